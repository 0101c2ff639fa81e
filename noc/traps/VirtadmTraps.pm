# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the receivers beside this file share: they run in snmptrapd's embedded Perl, get what it lets
# through, whoever sends it, and write lines for other programs.
#
# Senders choose the values. What these functions return stays in its line, has nothing but printable
# characters and is of limited length.
package VirtadmTraps;
use strict;
use warnings;
use Encode ();
use Exporter qw(import);
use File::Basename qw(dirname);

our @EXPORT_OK = qw(told harmless register);

# The list of events that is generated with the MIB.
our $events = dirname(__FILE__) . '/events.txt';

my $MAX_VALUE = 1024; # characters
my $TRAP_OID = '.1.3.6.1.6.3.1.1.4.1.0';
my $HEADER = 2;       # sysUpTime and snmpTrapOID come before the objects of a notification

# { events: OID => [name, severity, format], labels: OID of an object => { number => label } }
sub read_events {
    my %known = (events => {}, labels => {});
    open my $in, '<:encoding(UTF-8)', $events or die "$events: $!\n";
    while (my $line = <$in>) {
        chomp $line;
        my ($kind, $oid, @rest) = split /\t/, $line;
        next if !defined $oid;
        if ($kind eq 'event') {
            $known{events}{$oid} = \@rest;
        } elsif ($kind eq 'label') {
            $known{labels}{$oid}{ $rest[0] } = $rest[1];
        }
    }
    close $in;
    return \%known;
}

# Text in one line of printable characters, in the order that they have. That it was longer is said.
sub harmless {
    my ($text) = @_;
    my $all = length $text;
    $text = substr $text, 0, $MAX_VALUE;
    $text =~ s/\s+/ /g;
    $text =~ s/([^[:print:]]|\p{Bidi_Control})/sprintf '\\x{%x}', ord $1/ge;
    $text .= "... ($all characters)" if $all > $MAX_VALUE;
    return $text;
}

# A value as net-snmp prints it. What it prints in hexadecimal and is text in UTF-8 becomes text.
sub printed {
    my ($value) = @_;
    $value = Encode::decode('UTF-8', $value);
    $value =~ s/\s+\z//;
    if ($value =~ /^Hex-STRING: ([0-9A-F\s]+)\z/) {
        my $octets = pack 'H*', $1 =~ s/\s+//gr;
        my $text = eval { Encode::decode('UTF-8', $octets, Encode::FB_CROAK) };
        $value = "STRING: \"$text\"" if defined $text && $text !~ /[[:cntrl:]]/;
    }
    return harmless($value);
}

# The same for people: without the type, quotes and units.
sub plain {
    my ($value) = @_;
    return '' if $value eq '""'; # this one comes without a type
    return $value if $value !~ /^([\w-]+): (.*)\z/;
    my ($type, $text) = ($1, $2);
    return $text =~ s/^"(.*)"\z/$1/r =~ s/\\(["\\])/$1/gr if $type eq 'STRING';
    return $1 if $type eq 'INTEGER' && $text =~ /\((-?\d+)\)\z/;
    return $1 if $text =~ /^(-?\d+)\b/;
    return $text;
}

sub text_of {
    my ($known, $format, @binds) = @_;
    my @values;
    for my $bind (@binds) {
        my $value = plain($bind->{value});
        my ($object) = grep { index($bind->{oid}, "$_.") == 0 } keys %{ $known->{labels} };
        push @values, $object ? $known->{labels}{$object}{$value} // $value : $value;
    }
    return $format =~ s/%(\d+)/$values[$1 - 1] \/\/ '?'/ger;
}

# A notification: { address, trap (its OID), binds: [{ oid, type, value }], and for one of ours name,
# severity, text }. The address is the one that the datagram came from.
sub told {
    my ($known, $pdu, $varbinds) = @_;
    my ($address) = ($pdu->{receivedfrom} // '') =~ /\[([0-9A-Fa-f.:]+)(?:%\w+)?\]/;
    my @binds = map { { oid => '.' . join('.', $_->[0]->to_array()), type => $_->[2],
                        value => printed($_->[1]) } } @$varbinds;
    my ($trap) = map { $_->{value} =~ /^OID: ([.\d]+)/ ? $1 : () } grep { $_->{oid} eq $TRAP_OID } @binds;
    my $told = { address => $address // '127.0.0.1', trap => $trap // '?', binds => \@binds };
    if (my $event = $known->{events}{ $told->{trap} }) {
        my $format;
        ($told->{name}, $told->{severity}, $format) = @$event;
        $told->{text} = text_of($known, $format, @binds[$HEADER .. $#binds]);
    }
    return $told;
}

my %handlers;

# Calls handler->(told) for each notification. What it dies of is said once, until it is something else.
# When snmptrapd reads its configuration again it loads receivers anew, but keeps what is
# registered: of the handlers of one name the last one is called.
sub register {
    my ($name, $handler) = @_;
    my $known = read_events();
    my $first = !$handlers{$name};
    my $said = '';
    $handlers{$name} = sub {
        my ($pdu, $varbinds) = @_;
        my $done = eval { $handler->(told($known, $pdu, $varbinds)); 1 };
        my $why = $done ? '' : $@;
        print STDERR "$name: $why" if $why ne '' && $why ne $said;
        $said = $why;
        return $done ? main::NETSNMPTRAPD_HANDLER_OK() : main::NETSNMPTRAPD_HANDLER_FAIL();
    };
    !$first || NetSNMP::TrapReceiver::register('all', sub { return $handlers{$name}->(@_) })
        or die "$name: cannot register\n";
    return;
}

1;
