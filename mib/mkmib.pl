#!/usr/bin/env perl
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# mkmib.pl: makes everything that carries an OID from the one source of the MIB and the one root.
#
#   mkmib.pl --root=OID MODE FILE.in        the result is written to standard output
#
# MODE is one of
#   --mib       the module that is installed: the placeholders of the source filled in
#   --header    C: the root, the arc of every group, object and notification, the enumerations
#   --objects   C: one LVA_OBJECT(name, "OID below the root", type, access) for each object that
#               has a value, in the order of OIDs, then LVA_NOTIFICATION(name, number, "objects")
#   --names     sed script: numeric OIDs, as snmpwalk -On prints them, become names
#   --oids      name, TAB, numeric OID; one line for each node
#   --interface what a release promises, one line for each thing; the root plays no part
#   --markdown  the reference for people; the root plays no part
#   --snmptt    the notifications as events of snmptt, see NocTraps.pm
#   --events    the same as a list for programs
#   --sheet=TEMPLATE  the sheet of OIDs, see NocSheet.pm
#   --fill=TEMPLATE  the template with its placeholders filled, see NocFill.pm
#   --prometheus=FORM  a configuration of Prometheus' snmp_exporter, see NocPrometheus.pm
#
# Placeholders of the source: @ROOT@ (the value of MODULE-IDENTITY), @ROOT_BASE@ (the node of
# SNMPv2-SMI that the root starts from, in IMPORTS), and a line @PROVISIONAL@, which is left out
# unless the root lies in the playpen.
#
# The source is read and checked by MibModule.pm beside this file.
# Exit status: 0 success, 1 a defect of the source, 2 wrong usage.
use strict;
use warnings;
use FindBin;
use Getopt::Long qw(:config no_auto_abbrev);

use lib $FindBin::Bin;
use MibModule qw(oid_text compare_oid is_table is_entry is_leaf has_value);
use NocFill ();
use NocPrometheus ();
use NocSheet ();
use NocTraps ();

# Nodes of SNMPv2-SMI that a module can import and start from.
my %SMI_NODE = (
    '1.3.6.1'       => 'internet',
    '1.3.6.1.1'     => 'directory',
    '1.3.6.1.2'     => 'mgmt',
    '1.3.6.1.2.1'   => 'mib-2',
    '1.3.6.1.3'     => 'experimental',
    '1.3.6.1.4'     => 'private',
    '1.3.6.1.4.1'   => 'enterprises',
    '1.3.6.1.5'     => 'security',
    '1.3.6.1.6'     => 'snmpV2',
    '1.3.6.1.6.1'   => 'snmpDomains',
    '1.3.6.1.6.2'   => 'snmpProxys',
    '1.3.6.1.6.3'   => 'snmpModules',
);

# Labels that others have given to arcs which the root may pass through.
my %KNOWN_LABEL = (
    '1.3.6.1.4.1.8072'           => 'netSnmp',
    '1.3.6.1.4.1.8072.9999'      => 'netSnmpExperimental',
    '1.3.6.1.4.1.8072.9999.9999' => 'netSnmpPlaypen',
);
my $PLAYPEN = '1.3.6.1.4.1.8072.9999.9999';

# An OID has at most 128 arcs (RFC 2578 section 3.5); the longest instance below the root has 37:
# four to a column of lvaContextTable, a length, and 32 octets of a name.
my $MAX_ROOT_ARCS = 128 - 37;

# MAX-ACCESS as the agent names it.
my %ACCESS = (
    'read-only'             => 'RO',
    'read-write'            => 'RW',
    'accessible-for-notify' => 'NOTIFY',
);

# ---------------------------------------------------------------------------------------------
# The root.

# The arcs of a numeric OID, checked.
sub parse_root {
    my ($text) = @_;
    usage("--root=$text: must be numbers separated by dots, below 1.3.6.1")
        if $text !~ /^1\.3\.6\.1(?:\.(?:0|[1-9]\d{0,9}))+\z/;
    my @arcs = split /\./, $text;
    for my $arc (@arcs) {
        usage("--root=$text: the arc $arc is more than 4294967295") if $arc > 4294967295;
    }
    usage("--root=$text: has more than $MAX_ROOT_ARCS arcs") if @arcs > $MAX_ROOT_ARCS;
    usage("--root=$text: is $SMI_NODE{$text} of SNMPv2-SMI") if $SMI_NODE{$text};
    usage("--root=$text: lies below mib-2, where only IANA registers modules")
        if index($text, '1.3.6.1.2.1.') == 0;
    return \@arcs;
}

# The node of SNMPv2-SMI to start from and, behind it, the arcs as a MIB writes them: each but the
# last has a label, without which smilint complains.
sub root_in_smi {
    my ($root) = @_;
    my $start = $#$root;
    $start-- while !$SMI_NODE{ oid_text([@$root[0 .. $start - 1]]) };
    my @written;
    for my $i ($start .. $#$root - 1) {
        my $known = $KNOWN_LABEL{ oid_text([@$root[0 .. $i]]) };
        push @written, ($known // 'virtadmRoot' . ($i - $start + 1)) . "($root->[$i])";
    }
    return ($SMI_NODE{ oid_text([@$root[0 .. $start - 1]]) }, join ' ', @written, $root->[-1]);
}

# ---------------------------------------------------------------------------------------------
# The results.

sub write_mib {
    my ($mib, $root) = @_;
    my $text = $mib->{text};
    my ($base, $arcs) = root_in_smi($root);
    my $provisional = index(oid_text($root) . '.', "$PLAYPEN.") == 0;
    $text =~ s/^[ \t]*\@PROVISIONAL\@\n/$provisional ? provisional_text() : ''/me;
    $text =~ s/\@ROOT_BASE\@/$base/;
    $text =~ s/\@ROOT\@/$base $arcs/;
    print $text;
    return;
}

sub provisional_text {
    return <<'END';
         The root of this module is provisional: it lies in the Net-SNMP
         playpen, which is for private tests. Whoever builds the agent
         sets another one with configure --with-mib-root=OID.
END
}

# The children of lvaObjects: the groups of scalars and the tables.
sub object_groups {
    my ($mib) = @_;
    my $objects = $mib->{nodes}{lvaObjects} or die "$mib->{file}:1: there is no lvaObjects\n";
    return @{ $objects->{children} };
}

sub notifications { return grep { $_->{objects} } @{ $_[0]{sorted} }; }

sub write_header {
    my ($mib, $root) = @_;
    my $source = $mib->{file} =~ s{.*/}{}r;
    print <<"END";
/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Generated by mib/mkmib.pl from mib/$source: do not edit. */
#ifndef LVA_MIB_H
#define LVA_MIB_H

/* The root: its arcs as an initialiser list, their number, and as text without a leading dot. */
END
    print '#define LVA_ROOT ' . join(', ', @$root) . "\n";
    print '#define LVA_ROOT_LEN ' . scalar(@$root) . "\n";
    print '#define LVA_ROOT_TEXT "' . oid_text($root) . "\"\n";
    print "#define LVA_MODULE \"$mib->{module}\"\n";
    print "#define LVA_LAST_UPDATED \"$mib->{identity}{last_updated}\"\n";
    print "\n/* The groups and tables: their arcs below LVA_ROOT.1 (lvaObjects). */\n";
    print "#define LVA_GROUP_$_->{name} $_->{arc}\n" for object_groups($mib);
    print "\n/* Objects: the arc in the group, or the column; the entry of a table has arc 1. */\n";
    for my $node (grep { $_->{kind} eq 'OBJECT-TYPE' && !is_entry($_) } @{ $mib->{sorted} }) {
        next if $node->{parent} eq 'lvaObjects';
        print "#define LVA_ARC_$node->{name} $node->{arc}\n";
    }
    print "\n/* Notifications: their arcs below LVA_ROOT.0 (lvaNotifications). */\n";
    print "#define LVA_ARC_$_->{name} $_->{arc}\n" for notifications($mib);
    print "\n/* The labels of the enumerations and bits that the MIB defines. */\n";
    for my $owner (@{ $mib->{type_order} }, grep { is_leaf($_) } @{ $mib->{sorted} }) {
        next if !$owner->{syntax}{labels} || $owner->{syntax}{name} !~ /^(?:INTEGER|BITS)$/;
        print "#define LVA_ENUM_$owner->{name}_$_->[0] $_->[1]\n" for @{ $owner->{syntax}{labels} };
    }
    print "\n#endif\n";
    return;
}

sub write_objects {
    my ($mib) = @_;
    my $source = $mib->{file} =~ s{.*/}{}r;
    print "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n";
    print "/* Generated by mib/mkmib.pl from mib/$source: do not edit. */\n";
    print "/* Define one of the macros or both before including this, which undefines them. */\n";
    print "#ifndef $_\n#define $_(...)\n#endif\n" for 'LVA_OBJECT', 'LVA_NOTIFICATION';
    for my $node (grep { has_value($_) } @{ $mib->{sorted} }) {
        printf "LVA_OBJECT(%s, \"%s\", %s, %s)\n", $node->{name}, oid_text($node->{oid}),
            $node->{type}{wire}, $ACCESS{ $node->{access} };
    }
    for my $node (notifications($mib)) {
        printf "LVA_NOTIFICATION(%s, %d, \"%s\")\n", $node->{name}, $node->{arc},
            join(' ', @{ $node->{objects} });
    }
    print "#undef $_\n" for 'LVA_OBJECT', 'LVA_NOTIFICATION';
    return;
}

# A sed command for a pattern that a digit must not follow.
sub sed_replace {
    my ($pattern, $name) = @_;
    return "s/$pattern\\([^0-9]\\)/$name\\1/g\ns/$pattern\$/$name/\n";
}

sub write_names {
    my ($mib, $root) = @_;
    my $top = $mib->{identity}{name};
    print <<"END";
# SPDX-License-Identifier: LGPL-2.1-or-later
# Generated by mib/mkmib.pl: do not edit. sed script: numeric OIDs of $mib->{module} become names,
# numbers of enumerations get their labels: snmpwalk -On ... | sed -f lva-names.sed
# The root first, in all forms that tools print or take, at the start of a line or behind what
# is not part of an OID.
END
    for my $form (['\.1', 'dot'], ['iso', 'iso'], ['1', 'bare']) {
        my ($first, $label) = @$form;
        my $numeric = join '\.', $first, @$root[1 .. $#$root];
        print <<"END";
s/^$numeric\\([^0-9]\\)/$top\\1/
s/^$numeric\$/$top/
:$label
s/\\([^0-9A-Za-z.]\\)$numeric\\([^0-9]\\)/\\1$top\\2/
t $label
s/\\([^0-9A-Za-z.]\\)$numeric\$/\\1$top/
END
    }
    print <<"END";
/$top\\./!b
# Then what is below it, the longest first.
END
    my @below = grep { @{ $_->{oid} } } @{ $mib->{sorted} };
    for my $node (sort { @{ $b->{oid} } <=> @{ $a->{oid} } || compare_oid($a->{oid}, $b->{oid}) }
        @below) {
        print sed_replace(join('\.', $top, @{ $node->{oid} }), $node->{name});
    }
    print "# The labels of enumerations.\n";
    for my $node (grep { has_value($_) && $_->{type}{labels} && $_->{type}{wire} eq 'INTEGER' }
        @{ $mib->{sorted} }) {
        print "/$node->{name}\\./{\n";
        for my $label (@{ $node->{type}{labels} }) {
            my $value = "\\($node->{name}\\.[0-9.]* = INTEGER: \\)$label->[1]";
            print "s/$value\\([^0-9]\\)/\\1$label->[0]($label->[1])\\2/g\n";
            print "s/$value\$/\\1$label->[0]($label->[1])/\n";
        }
        print "}\n";
    }
    return;
}

sub write_oids {
    my ($mib, $root) = @_;
    for my $node (@{ $mib->{sorted} }) {
        print "$node->{name}\t." . oid_text([@$root, @{ $node->{oid} }]) . "\n";
    }
    return;
}

# SYNTAX as people read it.
sub syntax_text {
    my ($syntax) = @_;
    my $text = $syntax->{name};
    $text .= " ($syntax->{range})" if defined $syntax->{range};
    $text .= " (SIZE ($syntax->{size}))" if defined $syntax->{size};
    $text .= ' ' . join ', ', map { "$_->[0]($_->[1])" } @{ $syntax->{labels} }
        if $syntax->{labels};
    return $text;
}

# All of a node that managers rely on, in one line; empty for nodes that only give others a place.
sub interface_text {
    my ($node) = @_;
    return "notification: " . join(' ', @{ $node->{objects} }) if $node->{objects};
    return "group: " . join(' ', @{ $node->{members} }) if $node->{members};
    return "compliance: " . join(' ', @{ $node->{mandatory} }) if $node->{mandatory};
    return "entry: INDEX " . join(' ', @{ $node->{index} }) if is_entry($node);
    return is_table($node) ? 'table' : '' if !is_leaf($node);
    my $text = "$node->{type}{wire} $node->{access}: " . syntax_text($node->{syntax});
    $text .= "; UNITS $node->{units}" if $node->{units};
    $text .= "; DEFVAL $node->{defval}" if defined $node->{defval};
    return $text;
}

sub write_interface {
    my ($mib) = @_;
    for my $node (grep { @{ $_->{oid} } } @{ $mib->{sorted} }) {
        my $text = interface_text($node);
        print oid_text($node->{oid}) . " $node->{name}" . ($text eq '' ? '' : " $text") . "\n";
    }
    for my $type (@{ $mib->{type_order} }) {
        my $hint = $type->{hint} ? "; DISPLAY-HINT $type->{hint}" : '';
        print "$type->{name} " . syntax_text($type->{syntax}) . "$hint\n";
    }
    return;
}

# One cell of a Markdown table.
sub cell {
    my ($text) = @_;
    $text =~ s/([|*_<>\[\]\\`])/\\$1/g;
    return $text;
}

# The first sentence of a description, and the rest.
sub sentences {
    my ($text) = @_;
    return $text =~ /^(.*?[.])\s+(.*)$/s ? ($1, $2) : ($text, '');
}

sub object_row {
    my ($node, $instance) = @_;
    my $syntax = cell(syntax_text($node->{syntax}));
    $syntax .= ", $node->{units}" if $node->{units};
    my $access = $node->{access} eq 'not-accessible' ? 'index' : $node->{access};
    my ($first) = sentences($node->{description});
    return sprintf "| %s%s | %s | %s | %s | %s |\n", oid_text($node->{oid}), $instance, $node->{name},
        $syntax, $access, cell($first);
}

# What there is to say beyond a row of the table; empty if nothing.
sub object_details {
    my ($node) = @_;
    my (undef, $rest) = sentences($node->{description});
    my @text;
    push @text, cell($rest) if $rest ne '';
    push @text, 'Default: ' . cell($node->{defval}) . '.' if defined $node->{defval};
    push @text, '*' . cell($node->{reference}) . '*' if $node->{reference};
    return @text ? "- **$node->{name}**: @text\n" : '';
}

# $instance: what follows the OID of each in a request.
sub write_object_table {
    my ($nodes, $instance) = @_;
    print "\n| OID | Object | Syntax | Access | |\n|---|---|---|---|---|\n";
    print object_row($_, $instance) for @$nodes;
    my @details = grep { $_ ne '' } map { object_details($_) } @$nodes;
    print "\n", @details if @details;
    return;
}

sub write_table_section {
    my ($mib, $table) = @_;
    my $entry = $table->{children}[0];
    print "\n### $table->{name}: " . oid_text($table->{oid}) . "\n\n";
    print "Index: " . join(', ', @{ $entry->{index} }) . ". $table->{description}";
    print " $entry->{description}\n";
    write_object_table($entry->{children}, '');
    return;
}

# A row for each part of the page, with a link to it.
sub overview_row {
    my ($node, $what) = @_;
    my $oid = oid_text($node->{oid});
    my $anchor = lc("$node->{name}-$oid") =~ s/[.]//gr;
    return "| $oid | [$node->{name}](#$anchor) | $what |\n";
}

sub write_overview {
    my ($mib) = @_;
    print "\n| OID | | |\n|---|---|---|\n";
    for my $group (object_groups($mib)) {
        my @leaves = grep { is_leaf($_) } @{ $group->{children} };
        print overview_row($group, @leaves . ' scalars') if @leaves;
        for my $table (grep { is_table($_) } $group, @{ $group->{children} }) {
            my $entry = $table->{children}[0];
            my $columns = grep { has_value($_) } @{ $entry->{children} };
            print overview_row($table, "$columns columns, one row for each "
                    . join(' and ', @{ $entry->{index} }));
        }
    }
    return;
}

sub write_markdown {
    my ($mib) = @_;
    print "## Objects\n";
    write_overview($mib);
    for my $group (object_groups($mib)) {
        if (is_table($group)) {
            write_table_section($mib, $group);
            next;
        }
        print "\n### $group->{name}: " . oid_text($group->{oid}) . "\n";
        write_object_table([grep { is_leaf($_) } @{ $group->{children} }], '.0');
        write_table_section($mib, $_) for grep { is_table($_) } @{ $group->{children} };
    }
    print "\n## Notifications\n\n| OID | Notification | Objects | Sent when |\n|---|---|---|---|\n";
    for my $node (notifications($mib)) {
        my ($first) = sentences($node->{description});
        printf "| %s | %s | %s | %s |\n", oid_text($node->{oid}), $node->{name},
            join(', ', @{ $node->{objects} }), cell($first);
    }
    print "\n", map { object_details($_) } notifications($mib);
    print "\n## Textual conventions\n\n| Name | Syntax | Meaning |\n|---|---|---|\n";
    for my $type (@{ $mib->{type_order} }) {
        printf "| %s | %s | %s |\n", $type->{name}, cell(syntax_text($type->{syntax})),
            cell($type->{description});
    }
    print "\n## Groups\n\n| Group | Members |\n|---|---|\n";
    printf "| %s | %s |\n", $_->{name}, join(', ', @{ $_->{members} })
        for grep { $_->{members} } @{ $mib->{sorted} };
    print "\n## Compliance\n";
    for my $node (grep { $_->{mandatory} } @{ $mib->{sorted} }) {
        print "\n**$node->{name}**: $node->{description}\n\n";
        print '- Mandatory: ' . join(', ', @{ $node->{mandatory} }) . ".\n";
        print "- $_->[0]: $_->[1]\n" for @{ $node->{conditional} };
        my @read = map { $_->[0] } grep { $_->[1] } @{ $node->{refined} };
        print '- Need not be writable: ' . join(', ', @read) . ".\n" if @read;
    }
    return;
}

sub write_sheet {
    my ($mib, $root, $template) = @_;
    binmode STDOUT, ':encoding(UTF-8)';
    print NocSheet::sheet($mib, $root, $template);
    return;
}

sub write_filled {
    my ($mib, $root, $template) = @_;
    binmode STDOUT, ':encoding(UTF-8)';
    print NocFill::fill($mib, $root, $template);
    return;
}

sub write_prometheus {
    my ($mib, $root, $form) = @_;
    print NocPrometheus::text($mib, $root, $form);
    return;
}

# ---------------------------------------------------------------------------------------------

my %MODE = (
    mib       => \&write_mib,
    header    => \&write_header,
    objects   => \&write_objects,
    names     => \&write_names,
    oids      => \&write_oids,
    interface => \&write_interface,
    markdown  => \&write_markdown,
    snmptt    => \&NocTraps::write_snmptt,
    events    => \&NocTraps::write_events,
    'sheet=s' => \&write_sheet,
    'fill=s'  => \&write_filled,
    'prometheus=s' => \&write_prometheus,
);

sub usage {
    my ($message) = @_;
    print STDERR "mkmib.pl: $message\n";
    my @options = map { s/=s$/=FILE/r } sort keys %MODE;
    print STDERR 'usage: mkmib.pl --root=OID --' . join('|--', @options) . " FILE.in\n";
    exit 2;
}

sub main {
    my ($root_text, @modes, $value);
    GetOptions('root=s' => \$root_text,
        map { my $mode = $_; ($mode => sub { push @modes, $mode; $value = $_[1] }) } sort keys %MODE)
        or usage('wrong options');
    usage('one mode and one file are needed') if @modes != 1 || @ARGV != 1;
    usage('--root is needed')
        if !defined $root_text && $modes[0] ne 'markdown' && $modes[0] ne 'interface';
    my $root = defined $root_text ? parse_root($root_text) : [];
    my $file = $ARGV[0];
    open my $in, '<:encoding(UTF-8)', $file or do { print STDERR "$file: $!\n"; exit 1 };
    my $text = do { local $/; <$in> };
    close $in;
    my $mib = eval { MibModule::parse($file, $text) };
    if (!$mib) {
        print STDERR $@;
        exit 1;
    }
    eval { $MODE{ $modes[0] }->($mib, $root, $value); 1 } or do { print STDERR $@; exit 1 };
    # A full disk must not leave half a header with a good exit status.
    close STDOUT or do { print STDERR "mkmib.pl: standard output: $!\n"; exit 1 };
    return 0;
}

exit main();
