# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The sheet of OIDs for tools without MIB files: a template, its placeholders filled (NocFill.pm), with
# the list of all objects in the place of the line @list@.
package NocSheet;
use strict;
use warnings;
use Exporter qw(import);
use List::Util qw(max);
use MibModule qw(oid_text is_table is_leaf has_value);
use NocFill qw(fill first_sentence);

our @EXPORT_OK = qw(sheet);

# What snmpget calls a type, and what snmpset does.
my %TYPE = (
    INTEGER   => ['INTEGER', 'i'],
    UNSIGNED  => ['Gauge32', 'u'],
    GAUGE     => ['Gauge32', 'u'],
    COUNTER32 => ['Counter32'],
    COUNTER64 => ['Counter64'],
    OCTET_STR => ['STRING', 's'],
);
my $HEX = qr/^(?:BITS|DateAndTime|InetAddress)$/;
my %ACCESS = ('read-only' => 'ro', 'read-write' => 'rw');
my $LONG = 90; # characters of a meaning

# What stands for an index at the end of a column's OID.
sub index_word {
    my ($name) = @_;
    return uc $name =~ s/^lva(?:LogStats)?//r =~ s/(?:Index|Name)$//r;
}

# The first sentence; of a long one, the first part; and the labels.
sub meaning {
    my ($node) = @_;
    my $text = first_sentence($node) =~ s/[.]$//r;
    $text =~ s/[:;] .*//s if length $text > $LONG;
    $text .= " ($node->{units})" if $node->{units};
    my $labels = $node->{type}{labels};
    $text .= ': ' . join ', ', map { "$_->[1] $_->[0]" } @$labels if $labels;
    return $text;
}

sub type_text {
    my ($node) = @_;
    my ($name, $letter) = @{ $TYPE{ $node->{type}{wire} } };
    ($name, $letter) = ('Hex-STRING', 'x') if $node->{type}{base} =~ $HEX;
    return "$ACCESS{ $node->{access} } $name" . ($node->{access} eq 'read-write' ? " $letter" : '');
}

# Rows: [OID, name, access and type, meaning]
sub rows {
    my ($root, $instance, @nodes) = @_;
    return map {
        ['.' . oid_text([@$root, @{ $_->{oid} }]) . $instance, $_->{name}, type_text($_), meaning($_)]
    } grep { has_value($_) && $ACCESS{ $_->{access} } } @nodes;
}

sub block {
    my (@rows) = @_;
    my @width = map { my $i = $_; max(map { length $_->[$i] } @rows) } 0 .. 2;
    my $form = join('', map { "  %-${_}s" } grep { $_ } @width) . "  %s\n";
    return join '', map { '  ' . sprintf $form, grep { $_ ne '' } @$_ } @rows;
}

sub table_section {
    my ($root, $table) = @_;
    my $entry = $table->{children}[0];
    my $instance = join '', map { '.' . index_word($_) } @{ $entry->{index} };
    return "\n### $table->{name}\n\n" . block(rows($root, $instance, @{ $entry->{children} }));
}

sub list {
    my ($mib, $root) = @_;
    my $text = '';
    for my $group (@{ $mib->{nodes}{lvaObjects}{children} }) {
        if (is_table($group)) {
            $text .= table_section($root, $group);
            next;
        }
        $text .= "\n### $group->{name}\n\n" . block(rows($root, '.0', @{ $group->{children} }));
        $text .= table_section($root, $_) for grep { is_table($_) } @{ $group->{children} };
    }
    $text .= "\n### Notifications\n\n";
    my @events = map { ['.' . oid_text([@$root, @{ $_->{oid} }]), $_->{name}, '', first_sentence($_)] }
        grep { $_->{objects} } @{ $mib->{sorted} };
    return $text . block(@events);
}

sub sheet {
    my ($mib, $root, $template) = @_;
    my $text = fill($mib, $root, $template);
    my $list = list($mib, $root);
    $text =~ s/^\@list\@\n/$list/m or die "$template:1: there is no line \@list\@\n";
    return $text;
}

1;
