# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Receiver for snmptrapd's embedded Perl that tells Nagios (or Icinga 2, with its feature "command") of a
# notification of LIBVIRT-ADMIN-MIB: it is the result of a passive service, and services that it is about
# are looked at at once. In snmptrapd.conf:
#
#   perl $Virtadm::Nagios::file = "/var/lib/nagios4/rw/nagios.cmd"
#   perl $Virtadm::Nagios::host{"192.0.2.7"} = "virt1"
#   perl do "/usr/share/virtadm/traps/nagios-traps.pl" or die $@ || $!
#
# host: the host_name of each address; without one it is the address. $service is that of
# nagios-events.cfg beside this file; what is looked at are the services of noc/nagios.
package Virtadm::Nagios;
use strict;
use warnings;
no warnings qw(redefine once); # a SIGHUP makes snmptrapd load this again
use Encode ();
use Fcntl qw(O_WRONLY O_NONBLOCK);
use File::Basename qw(dirname);
require(dirname(__FILE__) . '/VirtadmTraps.pm');

our ($file, %host, $service);
$file //= '/var/lib/nagios4/rw/nagios.cmd';
$service //= 'libvirt events';

my $PIPE_BUF = 4096; # what is not longer gets into a pipe whole
my %STATE = (Normal => 0, Informational => 0, Warning => 1, Minor => 1, Major => 2, Critical => 2);

# Which services a notification is about: those that are looked at whenever it comes, and those where a state
# has to last for some minutes until it is a problem, only at its end. Nagios counts each look as one
# of max_check_attempts: a few notifications would make minutes of seconds. (A rate needs time between
# two looks; so that of refused authentications is never looked at.)
my @ABOUT = (
    [qr/^lvaClients/       => ['libvirt full'], ['libvirt clients']],
    [qr/^lvaUnauth/        => [], ['libvirt unauthenticated']],
    [qr/^lvaWorkers/       => [], ['libvirt workers', 'libvirt queue']],
    [qr/^lvaConfig/        => ['libvirt configuration'], []],
    [qr/^lva(?:Daemon|Up)/ => ['libvirt daemons'], []],
);

sub services_about {
    my ($told) = @_;
    my $over = $told->{severity} eq 'Normal';
    return map {
        my ($pattern, $always, $at_end) = @$_;
        $told->{name} =~ $pattern ? (@$always, $over ? @$at_end : ()) : ();
    } @ABOUT;
}

# A bar would begin performance data, a line break a command.
sub commands {
    my ($told) = @_;
    my $name = $host{ $told->{address} } // $told->{address};
    my $text = VirtadmTraps::harmless("$told->{name}: $told->{text}") =~ tr/|/!/r;
    my $now = time;
    my $result = "[$now] PROCESS_SERVICE_CHECK_RESULT;$name;$service;$STATE{$told->{severity}};"
        . Encode::encode('UTF-8', $text);
    my $look = join '', map { "\n[$now] SCHEDULE_FORCED_SVC_CHECK;$name;$_;$now" }
        services_about($told);
    return substr($result, 0, $PIPE_BUF - 1 - length $look) . "$look\n";
}

# Into the pipe that Nagios reads: never waits. Only an existing pipe will do: a file that takes its place
# would keep Nagios from starting.
sub hand_over {
    my ($text) = @_;
    sysopen my $out, $file, O_WRONLY | O_NONBLOCK or die "$file: $!\n";
    die "$file: is not a pipe\n" if !-p $out;
    my $done = syswrite $out, $text;
    die "$file: $!\n" if !defined $done;
    close $out;
    return;
}

VirtadmTraps::register('nagios-traps.pl', sub { hand_over(commands($_[0])) if $_[0]{name} });

1;
