# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Receiver for snmptrapd's embedded Perl that writes the file which Zabbix's SNMP trapper reads
# (SNMPTrapperFile). In snmptrapd.conf:
#
#   perl $Virtadm::Zabbix::file = "/var/log/snmptrap/snmptrap.log"
#   perl do "/usr/share/virtadm/traps/zabbix-traps.pl" or die $@ || $!
#
# It takes every notification that snmptrapd lets through, whoever sends it. One record:
#
#   2026-11-21T20:31:42+0000 ZBXTRAP 192.0.2.7 lvaClientsFull Major virtadmd: server libvirtd is full: ...
#     .1.3.6.1.6.3.1.1.4.1.0 type=6 value=OID: .1.3.6.1.4.1...0.1
#     .1.3.6.1.4.1...1.1.1.0 type=4 value=STRING: "virtadmd"
#
# Zabbix looks for the host whose SNMP interface has the address. What follows it in the line is
# name, severity and text of a notification of LIBVIRT-ADMIN-MIB; of others, the OID. Communities are
# left out.
package Virtadm::Zabbix;
use strict;
use warnings;
no warnings qw(redefine once); # a SIGHUP makes snmptrapd load this again
use Encode ();
use Fcntl qw(:flock O_WRONLY O_APPEND O_CREAT O_NOFOLLOW O_NONBLOCK);
use File::Basename qw(dirname);
use POSIX qw(strftime);
require(dirname(__FILE__) . '/VirtadmTraps.pm');

our $file;
$file //= '/var/log/snmptrap/snmptrap.log';

my $MAX_RECORD = 32 * 1024; # octets; Zabbix reads 64 KiB at a time
my $TRAP_COMMUNITY = '.1.3.6.1.6.3.18.1.4.0';

# Zabbix takes its keyword for the beginning of a record wherever it stands.
sub no_keyword {
    my ($text) = @_;
    return $text =~ s/ZBX(?=TRAP)/ZBX_/gr;
}

sub record {
    my ($told) = @_;
    my $what = $told->{name} ? "$told->{name} $told->{severity} $told->{text}" : $told->{trap};
    my $text = strftime('%Y-%m-%dT%H:%M:%S%z', localtime) . " ZBXTRAP $told->{address} "
        . Encode::encode('UTF-8', no_keyword(VirtadmTraps::harmless($what))) . "\n";
    my $left = @{ $told->{binds} };
    for my $bind (@{ $told->{binds} }) {
        $left--;
        next if $bind->{oid} eq $TRAP_COMMUNITY;
        my $line = Encode::encode('UTF-8',
            "  $bind->{oid} type=$bind->{type} value=" . no_keyword($bind->{value}) . "\n");
        return $text . '  ... ' . ($left + 1) . " more\n"
            if length($text) + length($line) > $MAX_RECORD;
        $text .= $line;
    }
    return $text;
}

# Appends a record whole: readers and other writers see all of it or nothing. The file is opened
# each time, so that it can be moved away; a symbolic link is not followed, and a pipe that nobody
# reads does not hold up snmptrapd.
sub append {
    my ($text) = @_;
    sysopen my $out, $file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0640
        or die "$file: $!\n";
    die "$file: is not a file\n" if !-f $out;
    flock $out, LOCK_EX or die "$file: $!\n";
    my $done = syswrite $out, $text;
    die "$file: $!\n" if !defined $done;
    # A full disk: the next record must not begin within this one.
    if ($done < length $text) {
        syswrite $out, "\n";
        die "$file: no room for a record\n";
    }
    close $out or die "$file: $!\n";
    return;
}

VirtadmTraps::register('zabbix-traps.pl', sub { append(record($_[0])) });

1;
