# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Parser of the MIB's source. It knows the part of SMIv2 (RFC 2578 to 2580) that the source uses
# and dies with "file:line: why" of all else: what is not understood must not be left out of the
# agent in silence. It also checks what the parts must be to each other.
#
#   my $mib = MibModule::parse($file, $text);
#
# The result is a hash: module (its name), identity (the node of MODULE-IDENTITY), sorted (all nodes
# in the order of OIDs), nodes (by name), type_order (textual conventions), file, text. A node has
# name, kind (the macro), line, oid (a list of arcs, relative to the root), parent (a name), arc,
# children (nodes), and what its macro says: syntax, type (the resolved syntax: base, wire, labels),
# access, description, reference, units, defval, index, objects, members, mandatory, conditional,
# refined, last_updated.
package MibModule;

use strict;
use warnings;
use Exporter qw(import);

our @EXPORT_OK = qw(oid_text compare_oid is_table is_entry is_leaf has_value);

# Types: what stands in SYNTAX and what it is on the wire (RFC 2578 section 7.1).
my %BASE_TYPE = (
    'INTEGER'           => 'INTEGER',
    'Integer32'         => 'INTEGER',
    'Unsigned32'        => 'UNSIGNED',
    'Gauge32'           => 'GAUGE',
    'Counter32'         => 'COUNTER32',
    'Counter64'         => 'COUNTER64',
    'OCTET STRING'      => 'OCTET_STR',
    'BITS'              => 'OCTET_STR',
);

# Textual conventions of other modules: the module, the type on the wire, the enumeration.
my %FOREIGN_TYPE = (
    SnmpAdminString     => ['SNMP-FRAMEWORK-MIB', 'OCTET_STR'],
    DateAndTime         => ['SNMPv2-TC', 'OCTET_STR'],
    TestAndIncr         => ['SNMPv2-TC', 'INTEGER'],
    TruthValue          => ['SNMPv2-TC', 'INTEGER', [['true', 1], ['false', 2]]],
    StorageType         => ['SNMPv2-TC', 'INTEGER',
                            [['other', 1], ['volatile', 2], ['nonVolatile', 3], ['permanent', 4],
                             ['readOnly', 5]]],
    CounterBasedGauge64 => ['HCNUM-TC', 'COUNTER64'],
    InetAddress         => ['INET-ADDRESS-MIB', 'OCTET_STR'],
    InetPortNumber      => ['INET-ADDRESS-MIB', 'UNSIGNED'],
    InetAddressType     => ['INET-ADDRESS-MIB', 'INTEGER',
                            [['unknown', 0], ['ipv4', 1], ['ipv6', 2], ['ipv4z', 3], ['ipv6z', 4],
                             ['dns', 16]]],
);

my %ACCESS = map { $_ => 1 } qw(not-accessible accessible-for-notify read-only read-write);

# ---------------------------------------------------------------------------------------------
# Tokens: [kind, text, line], kind one of word, number, string, placeholder, punct, end.

# Where a token is from, for messages.
sub where {
    my ($mib, $token) = @_;
    return "$mib->{file}:$token->[2]";
}

sub fail {
    my ($mib, $token, $message) = @_;
    die where($mib, $token) . ": $message\n";
}

sub tokenize {
    my ($mib, $text) = @_;
    my @tokens;
    my $line = 1;
    pos($text) = 0;
    while (pos($text) < length $text) {
        my $here = ['none', '', $line];
        if ($text =~ /\G\n/gc) {
            $line++;
        } elsif ($text =~ /\G[ \t\r\f]+/gc) {
            next;
        } elsif ($text =~ /\G--([^\n]*)/gc) {
            # ASN.1 ends a comment at the next "--", many tools only at the end of the line.
            fail($mib, $here, 'a second "--" in a comment: tools disagree on its end')
                if $1 =~ /--/;
        } elsif ($text =~ /\G"([^"]*)"/gc) {
            push @tokens, ['string', $1, $line];
            $line += ($1 =~ tr/\n//);
        } elsif ($text =~ /\G"/gc) {
            fail($mib, $here, 'a string without its end');
        } elsif ($text =~ /\G(\@[A-Z_]+\@)/gc) {
            push @tokens, ['placeholder', $1, $line];
        } elsif ($text =~ /\G([A-Za-z](?:-?[A-Za-z0-9])*)/gc) {
            push @tokens, ['word', $1, $line];
        } elsif ($text =~ /\G(-?\d+)/gc) {
            push @tokens, ['number', $1, $line];
        } elsif ($text =~ /\G(::=|\.\.|[{}(),;|])/gc) {
            push @tokens, ['punct', $1, $line];
        } else {
            my ($rest) = $text =~ /\G([^\n]{0,20})/;
            fail($mib, $here, "cannot read \"$rest\"");
        }
    }
    $line-- if $text =~ /\n\z/;
    push @tokens, ['end', 'the end of the file', $line];
    return \@tokens;
}

sub peek { return $_[0]{tokens}[0]; }

sub next_is {
    my ($mib, $text) = @_;
    my $token = peek($mib);
    return $token->[0] ne 'string' && $token->[0] ne 'end' && $token->[1] eq $text;
}

# Takes the next token, which must be of this kind (and text).
sub take {
    my ($mib, $kind, $text) = @_;
    my $token = peek($mib);
    if ($token->[0] ne $kind || (defined $text && $token->[1] ne $text)) {
        my $wanted = defined $text ? "\"$text\"" : "a $kind";
        my $found = $token->[0] eq 'string' ? 'a string' : "\"$token->[1]\"";
        fail($mib, $token, "$wanted expected, found $found");
    }
    shift @{ $mib->{tokens} } if $kind ne 'end';
    return $token;
}

sub take_word  { return take($_[0], 'word', $_[1])->[1]; }
sub take_punct { return take($_[0], 'punct', $_[1])->[1]; }

# Takes the token if it is there.
sub try_take {
    my ($mib, $text) = @_;
    return 0 if !next_is($mib, $text);
    shift @{ $mib->{tokens} };
    return 1;
}

# A string with its line breaks and indentation made single blanks.
sub take_text {
    my ($mib) = @_;
    my $text = take($mib, 'string')->[1];
    $text =~ s/\s+/ /g;
    $text =~ s/^ | $//g;
    return $text;
}

# ---------------------------------------------------------------------------------------------
# The parser: one function for each construct.

# { a, b, c }
sub take_name_list {
    my ($mib) = @_;
    my @names;
    take_punct($mib, '{');
    do { push @names, take_word($mib) } while try_take($mib, ',');
    take_punct($mib, '}');
    return \@names;
}

# ::= { parent arc }, or ::= { @ROOT@ } where that is allowed
sub take_place {
    my ($mib, $node) = @_;
    take_punct($mib, '::=');
    take_punct($mib, '{');
    if ($node->{kind} eq 'MODULE-IDENTITY') {
        take($mib, 'placeholder', '@ROOT@');
    } else {
        $node->{parent} = take_word($mib);
        $node->{arc} = take($mib, 'number')->[1];
    }
    take_punct($mib, '}');
    return;
}

# { label(number), ... }
sub take_labels {
    my ($mib) = @_;
    my (@labels, %seen);
    take_punct($mib, '{');
    do {
        my $token = take($mib, 'word');
        take_punct($mib, '(');
        my $number = take($mib, 'number')->[1];
        take_punct($mib, ')');
        fail($mib, $token, "$token->[1]($number): the label or the number is there already")
            if $seen{"label $token->[1]"}++ || $seen{"number $number"}++;
        push @labels, [$token->[1], $number];
    } while (try_take($mib, ','));
    take_punct($mib, '}');
    return \@labels;
}

# (1..5), (0 | 3..7): kept as text
sub take_range {
    my ($mib) = @_;
    my @parts;
    do {
        my $part = take($mib, 'number')->[1];
        $part .= '..' . take($mib, 'number')->[1] if try_take($mib, '..');
        push @parts, $part;
    } while (try_take($mib, '|'));
    return join ' | ', @parts;
}

# What follows SYNTAX: { name, labels or range or size, sequence_of }
sub take_syntax {
    my ($mib) = @_;
    my $token = take($mib, 'word');
    my $syntax = { name => $token->[1], line => $token->[2] };
    if ($token->[1] eq 'SEQUENCE') {
        take_word($mib, 'OF');
        $syntax->{sequence_of} = take_word($mib);
        return $syntax;
    }
    if ($token->[1] eq 'OCTET') {
        take_word($mib, 'STRING');
        $syntax->{name} = 'OCTET STRING';
    }
    if (next_is($mib, '{')) {
        $syntax->{labels} = take_labels($mib);
    } elsif (try_take($mib, '(')) {
        if (try_take($mib, 'SIZE')) {
            take_punct($mib, '(');
            $syntax->{size} = take_range($mib);
            take_punct($mib, ')');
        } else {
            $syntax->{range} = take_range($mib);
        }
        take_punct($mib, ')');
    }
    return $syntax;
}

# DEFVAL { ... }: a word, a number, a string, or a list of bits; kept as text
sub take_defval {
    my ($mib) = @_;
    take_punct($mib, '{');
    my $value;
    if (next_is($mib, '{')) {
        $value = join ', ', @{ take_name_list($mib) };
    } elsif (peek($mib)->[0] eq 'string') {
        $value = '"' . take($mib, 'string')->[1] . '"';
    } elsif (peek($mib)->[0] eq 'number') {
        $value = take($mib, 'number')->[1];
    } else {
        $value = take_word($mib);
    }
    take_punct($mib, '}');
    return $value;
}

# The clauses that several macros share, as far as they are there.
sub take_status {
    my ($mib, $node) = @_;
    take_word($mib, 'STATUS');
    $node->{status} = take_word($mib);
    take_word($mib, 'DESCRIPTION');
    $node->{description} = take_text($mib);
    $node->{reference} = take_text($mib) if try_take($mib, 'REFERENCE');
    return;
}

sub parse_module_identity {
    my ($mib, $node) = @_;
    take_word($mib, 'LAST-UPDATED');
    $node->{last_updated} = take_text($mib);
    take_word($mib, 'ORGANIZATION');
    take_text($mib);
    take_word($mib, 'CONTACT-INFO');
    take_text($mib);
    take_word($mib, 'DESCRIPTION');
    $node->{description} = take_text($mib);
    my @revisions;
    while (next_is($mib, 'REVISION')) {
        my $token = take($mib, 'word');
        push @revisions, take_text($mib);
        fail($mib, $token, "REVISION $revisions[-1] is not older than the one above it")
            if @revisions > 1 && $revisions[-2] le $revisions[-1];
        take_word($mib, 'DESCRIPTION');
        take_text($mib);
    }
    fail($mib, ['', '', $node->{line}], 'LAST-UPDATED is not the newest REVISION')
        if !@revisions || $revisions[0] ne $node->{last_updated};
    $mib->{identity} = $node;
    return;
}

sub parse_object_type {
    my ($mib, $node) = @_;
    take_word($mib, 'SYNTAX');
    $node->{syntax} = take_syntax($mib);
    $node->{units} = take_text($mib) if try_take($mib, 'UNITS');
    take_word($mib, 'MAX-ACCESS');
    my $token = take($mib, 'word');
    $node->{access} = $token->[1];
    fail($mib, $token, "unknown MAX-ACCESS $node->{access}")
        if !$ACCESS{ $node->{access} };
    take_status($mib, $node);
    $node->{index} = take_name_list($mib) if try_take($mib, 'INDEX');
    $node->{defval} = take_defval($mib) if try_take($mib, 'DEFVAL');
    return;
}

sub parse_notification_type {
    my ($mib, $node) = @_;
    take_word($mib, 'OBJECTS');
    $node->{objects} = take_name_list($mib);
    take_status($mib, $node);
    return;
}

sub parse_group {
    my ($mib, $node) = @_;
    take_word($mib, $node->{kind} eq 'OBJECT-GROUP' ? 'OBJECTS' : 'NOTIFICATIONS');
    $node->{members} = take_name_list($mib);
    take_status($mib, $node);
    return;
}

sub parse_compliance {
    my ($mib, $node) = @_;
    take_status($mib, $node);
    take_word($mib, 'MODULE');
    take_word($mib, 'MANDATORY-GROUPS');
    $node->{mandatory} = take_name_list($mib);
    $node->{conditional} = [];
    $node->{refined} = [];
    while (1) {
        if (try_take($mib, 'GROUP')) {
            my $name = take_word($mib);
            take_word($mib, 'DESCRIPTION');
            push @{ $node->{conditional} }, [$name, take_text($mib)];
        } elsif (try_take($mib, 'OBJECT')) {
            my $name = take_word($mib);
            take_syntax($mib) if try_take($mib, 'SYNTAX');
            my $access = try_take($mib, 'MIN-ACCESS') ? take_word($mib) : undef;
            take_word($mib, 'DESCRIPTION');
            take_text($mib);
            push @{ $node->{refined} }, [$name, $access];
        } else {
            return;
        }
    }
}

my %MACRO = (
    'MODULE-IDENTITY'    => \&parse_module_identity,
    'OBJECT-TYPE'        => \&parse_object_type,
    'NOTIFICATION-TYPE'  => \&parse_notification_type,
    'OBJECT-GROUP'       => \&parse_group,
    'NOTIFICATION-GROUP' => \&parse_group,
    'MODULE-COMPLIANCE'  => \&parse_compliance,
);

# Name ::= TEXTUAL-CONVENTION ... or Name ::= SEQUENCE { ... }
sub parse_type {
    my ($mib, $name) = @_;
    fail($mib, $name, "$name->[1] is defined twice")
        if $mib->{types}{ $name->[1] } || $mib->{sequences}{ $name->[1] };
    take_punct($mib, '::=');
    if (try_take($mib, 'SEQUENCE')) {
        my $sequence = { line => $name->[2], columns => [] };
        take_punct($mib, '{');
        do {
            my $column = take_word($mib);
            push @{ $sequence->{columns} }, [$column, take_syntax($mib)->{name}];
        } while (try_take($mib, ','));
        take_punct($mib, '}');
        $mib->{sequences}{ $name->[1] } = $sequence;
        return;
    }
    take_word($mib, 'TEXTUAL-CONVENTION');
    my $type = { name => $name->[1], line => $name->[2] };
    $type->{hint} = take_text($mib) if try_take($mib, 'DISPLAY-HINT');
    take_status($mib, $type);
    take_word($mib, 'SYNTAX');
    $type->{syntax} = take_syntax($mib);
    $mib->{types}{ $name->[1] } = $type;
    push @{ $mib->{type_order} }, $type;
    return;
}

# name MACRO ... ::= { parent arc } or name OBJECT IDENTIFIER ::= { parent arc }
sub parse_node {
    my ($mib, $name) = @_;
    fail($mib, $name, "$name->[1] is defined twice, first at line $mib->{nodes}{$name->[1]}{line}")
        if $mib->{nodes}{ $name->[1] };
    my $node = { name => $name->[1], line => $name->[2] };
    my $macro = take($mib, 'word');
    if ($macro->[1] eq 'OBJECT') {
        take_word($mib, 'IDENTIFIER');
        $node->{kind} = 'OBJECT IDENTIFIER';
    } else {
        $node->{kind} = $macro->[1];
        my $parse = $MACRO{ $macro->[1] };
        fail($mib, $macro, "unknown macro $macro->[1]") if !$parse;
        $parse->($mib, $node);
    }
    take_place($mib, $node);
    $mib->{nodes}{ $node->{name} } = $node;
    push @{ $mib->{order} }, $node;
    return;
}

sub parse_imports {
    my ($mib) = @_;
    take_word($mib, 'IMPORTS');
    while (!try_take($mib, ';')) {
        my @names;
        do {
            my $token = peek($mib);
            push @names, $token->[1];
            take($mib, $token->[0] eq 'placeholder' ? 'placeholder' : 'word');
        } while (try_take($mib, ','));
        take_word($mib, 'FROM');
        my $module = take_word($mib);
        $mib->{imports}{$_} = $module for @names;
    }
    return;
}

sub parse {
    my ($file, $text) = @_;
    my $mib = { file => $file, text => $text, imports => {}, nodes => {}, order => [],
                types => {}, type_order => [], sequences => {} };
    $mib->{tokens} = tokenize($mib, $text);
    $mib->{module} = take_word($mib);
    take_word($mib, 'DEFINITIONS');
    take_punct($mib, '::=');
    take_word($mib, 'BEGIN');
    parse_imports($mib);
    while (!try_take($mib, 'END')) {
        my $name = take($mib, 'word');
        if ($name->[1] =~ /^[A-Z]/) {
            parse_type($mib, $name);
        } else {
            parse_node($mib, $name);
        }
    }
    take($mib, 'end');
    for my $placeholder ('@ROOT@', '@ROOT_BASE@', '@PROVISIONAL@') {
        my $count = () = $text =~ /\Q$placeholder\E/g;
        die "$file:1: $placeholder is there $count times, not once\n" if $count != 1;
    }
    check($mib);
    return $mib;
}

# ---------------------------------------------------------------------------------------------
# What the parts must be to each other.

sub node_fail {
    my ($mib, $node, $message) = @_;
    die "$mib->{file}:$node->{line}: $node->{name}: $message\n";
}

# Gives every node its OID below the root: { oid } a list of arcs.
sub place {
    my ($mib, $node) = @_;
    return $node->{oid} if $node->{oid};
    return $node->{oid} = [] if $node == $mib->{identity};
    my $parent = $mib->{nodes}{ $node->{parent} }
        or node_fail($mib, $node, "its parent $node->{parent} is not in this module");
    node_fail($mib, $node, 'is its own ancestor') if $node->{placing}++;
    return $node->{oid} = [@{ place($mib, $parent) }, $node->{arc}];
}

sub oid_text { return join '.', @{ $_[0] }; }

sub compare_oid {
    my ($a_oid, $b_oid) = @_;
    for my $i (0 .. ($#$a_oid < $#$b_oid ? $#$a_oid : $#$b_oid)) {
        my $order = $a_oid->[$i] <=> $b_oid->[$i];
        return $order if $order;
    }
    return @$a_oid <=> @$b_oid;
}

# The base type and the enumeration of a SYNTAX: { base, wire, labels }
sub resolve {
    my ($mib, $node, $syntax) = @_;
    my $name = $syntax->{name};
    if (my $wire = $BASE_TYPE{$name}) {
        node_fail($mib, $node, "$name is not imported")
            if $name !~ /^(?:INTEGER|OCTET STRING|BITS)$/ && !$mib->{imports}{$name};
        return { base => $name, wire => $wire, labels => $syntax->{labels} };
    }
    if (my $type = $mib->{types}{$name}) {
        my $base = resolve($mib, $type, $type->{syntax});
        return { %$base, labels => $syntax->{labels} || $base->{labels} };
    }
    if (my $foreign = $FOREIGN_TYPE{$name}) {
        my ($module, $wire, $labels) = @$foreign;
        node_fail($mib, $node, "$name is not imported from $module")
            if ($mib->{imports}{$name} // '') ne $module;
        return { base => $name, wire => $wire, labels => $syntax->{labels} || $labels };
    }
    return node_fail($mib, $node, "unknown type $name");
}

sub is_table { return $_[0]{syntax} && $_[0]{syntax}{sequence_of}; }
sub is_entry { return $_[0]{index}; }
sub is_leaf  { return $_[0]{kind} eq 'OBJECT-TYPE' && !is_table($_[0]) && !is_entry($_[0]); }
sub has_value { return is_leaf($_[0]) && $_[0]{access} ne 'not-accessible'; }

sub check_table {
    my ($mib, $table) = @_;
    my ($entry, @more) = @{ $table->{children} };
    node_fail($mib, $table, 'a table has one child, its entry, with arc 1')
        if !$entry || @more || !is_entry($entry) || $entry->{arc} != 1;
    my $sequence = $mib->{sequences}{ $table->{syntax}{sequence_of} };
    node_fail($mib, $entry, "its type is not that of $table->{name}, or has no SEQUENCE")
        if !$sequence || $entry->{syntax}{name} ne $table->{syntax}{sequence_of};
    my $listed = join ' ', map { "$_->[0]:$_->[1]" } @{ $sequence->{columns} };
    my $found = join ' ', map { "$_->{name}:$_->{syntax}{name}" } @{ $entry->{children} };
    node_fail($mib, $entry, "its SEQUENCE has ($listed) but its columns are ($found)")
        if $listed ne $found;
    for my $name (@{ $entry->{index} }) {
        node_fail($mib, $entry, "INDEX $name is not an object")
            if !$mib->{nodes}{$name} || !is_leaf($mib->{nodes}{$name});
    }
    return;
}

sub check_notification {
    my ($mib, $node) = @_;
    for my $name (@{ $node->{objects} }) {
        node_fail($mib, $node, "$name is not an object that has a value")
            if !$mib->{nodes}{$name} || !has_value($mib->{nodes}{$name});
    }
    return;
}

# Every object and notification is in exactly one group (RFC 2580 section 3.1 wants at least one).
sub check_groups {
    my ($mib) = @_;
    my %group_of;
    for my $group (grep { $_->{members} } @{ $mib->{order} }) {
        my $objects = $group->{kind} eq 'OBJECT-GROUP';
        for my $name (@{ $group->{members} }) {
            my $node = $mib->{nodes}{$name};
            node_fail($mib, $group, "$name cannot be a member")
                if !$node || ($objects ? !has_value($node) : !$node->{objects});
            node_fail($mib, $group, "$name is in $group_of{$name} too") if $group_of{$name};
            $group_of{$name} = $group->{name};
        }
    }
    for my $node (@{ $mib->{order} }) {
        node_fail($mib, $node, 'is in no group')
            if (has_value($node) || $node->{objects}) && !$group_of{ $node->{name} };
    }
    for my $node (grep { $_->{mandatory} } @{ $mib->{order} }) {
        my @groups = (@{ $node->{mandatory} }, map { $_->[0] } @{ $node->{conditional} });
        for my $name (@groups) {
            node_fail($mib, $node, "$name is not a group")
                if !$mib->{nodes}{$name} || !$mib->{nodes}{$name}{members};
        }
        for my $refined (@{ $node->{refined} }) {
            node_fail($mib, $node, "$refined->[0] is not in a group")
                if !$group_of{ $refined->[0] };
        }
    }
    return;
}

sub check_defval {
    my ($mib, $node) = @_;
    my $labels = $node->{type}{labels} or return;
    for my $value (split /, /, $node->{defval}) {
        node_fail($mib, $node, "DEFVAL $value is not one of its labels")
            if !grep { $_->[0] eq $value } @$labels;
    }
    return;
}

sub check {
    my ($mib) = @_;
    die "$mib->{file}:1: there is no MODULE-IDENTITY\n" if !$mib->{identity};
    my %at;
    for my $node (@{ $mib->{order} }) {
        my $oid = oid_text(place($mib, $node));
        node_fail($mib, $node, "has the OID of $at{$oid}{name} (line $at{$oid}{line})")
            if $at{$oid};
        $at{$oid} = $node;
    }
    my @sorted = sort { compare_oid($a->{oid}, $b->{oid}) } @{ $mib->{order} };
    $mib->{sorted} = \@sorted;
    for my $node (@sorted) {
        $node->{children} = [];
        push @{ $mib->{nodes}{ $node->{parent} }{children} }, $node if $node->{parent};
        $node->{type} = resolve($mib, $node, $node->{syntax}) if is_leaf($node);
        node_fail($mib, $node, 'a leaf has no number 0') if is_leaf($node) && $node->{arc} < 1;
    }
    for my $node (@sorted) {
        check_table($mib, $node) if is_table($node);
        check_notification($mib, $node) if $node->{objects};
        check_defval($mib, $node) if defined $node->{defval};
        node_fail($mib, $node, 'an object has nothing below it')
            if is_leaf($node) && @{ $node->{children} };
    }
    check_groups($mib);
    return;
}

1;
