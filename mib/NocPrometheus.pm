# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The configuration of Prometheus' snmp_exporter, from the MIB: what its generator would make of the
# MIB and a generator.yml, and that generator.yml, so that nobody needs the generator (which wants the
# IETF's MIBs, too) unless they change what is collected. There are two forms of both files: up to
# release 0.22 (Debian 12 has 0.21) each module has version and authentication in it; from 0.23 on
# they are in a section of their own. Neither reads the other's.
#
#   print NocPrometheus::text($mib, $root, $form);     # one of NocPrometheus::forms()
#
# The rules of the generator that are followed here: metrics in the order of OIDs, not-accessible
# columns among them (what cannot be read is never seen, but can be an index); types by the type on
# the wire and the textual convention, unless overridden; the first sentence of DESCRIPTION and the
# OID as help; labels of enumerations and BITS; a lookup for each whose indexes are all there, and
# then what takes their labels away.
package NocPrometheus;

use strict;
use warnings;
use MibModule qw(oid_text is_leaf);
use NocFill qw(quoted);

# What is collected. Names of nodes of the MIB throughout; an override is a type, or ignore.
my %MODULE = (
    virtadm => {
        walk => [qw(lvaDaemon lvaConfig lvaLog lvaServerTable lvaServiceTable lvaNotify
                    lvaContextTable lvaTables)],
        lookups => [
            { from => ['lvaServerIndex'], to => 'lvaServerName', drop => 1 },
            { from => ['lvaServerIndex', 'lvaServiceIndex'], to => 'lvaServiceListen' },
        ],
        overrides => {
            # one that is a label already, and texts that a time series for each value does not fit
            lvaServerName          => 'ignore',
            lvaServiceListen       => 'ignore',
            lvaConfigLastError     => 'ignore',
            lvaLogFilters          => 'ignore',
            lvaLogOutputs          => 'ignore',
            # a number that says nothing, and what the address shows
            lvaConfigLock          => 'ignore',
            lvaServiceAddressType  => 'ignore',
            # states, one time series for each: what rules ask for
            lvaContextState         => 'EnumAsStateSet',
            lvaDaemonState          => 'EnumAsStateSet',
            lvaServerClientsState   => 'EnumAsStateSet',
            lvaServerClientsUnauthState => 'EnumAsStateSet',
            lvaServerUpstreamState  => 'EnumAsStateSet',
            lvaServiceAccepting     => 'EnumAsStateSet',
            # properties: a label
            lvaConfigLastOrigin     => 'EnumAsInfo',
            lvaConfigStorage        => 'EnumAsInfo',
            lvaLogLevel             => 'EnumAsInfo',
            lvaLogStatsLevel        => 'EnumAsInfo',
            lvaServiceAuth          => 'EnumAsInfo',
            lvaServiceReadOnly      => 'EnumAsInfo',
            lvaServiceTransport     => 'EnumAsInfo',
        },
    },
    virtadm_clients => {
        walk => [qw(lvaClientTable)],
        lookups => [
            { from => ['lvaServerIndex'], to => 'lvaServerName', drop => 1 },
            { from => ['lvaServerIndex', 'lvaClientIndex'], to => 'lvaClientPeer' },
        ],
        overrides => {
            lvaClientPeer          => 'ignore',
            lvaClientAdminStatus   => 'ignore',
            lvaClientAddressType   => 'ignore',
            # a level in form, a number in fact; a counter to the generator
            lvaClientId            => 'gauge',
            lvaClientTransport     => 'EnumAsInfo',
            lvaClientReadOnly      => 'EnumAsInfo',
            lvaClientAuthenticated => 'EnumAsInfo',
        },
    },
);

# A request waits longer than snmpd does for its subagent (agentXTimeout); with the second try it is
# still over before Prometheus gives up (scrape_timeout of the sample).
my @WALK_PARAMETERS = (max_repetitions => 25, retries => 1, timeout => '5s');

my @V3 = (
    security_level => 'authPriv',
    username       => 'noc',
    password       => 'change-me-authentication',
    auth_protocol  => 'SHA256',
    priv_protocol  => 'AES',
    priv_password  => 'change-me-privacy',
);
my @CONTEXT = (context_name => 'virtlogd');

# Before 0.23 a way to ask is a copy of the module, called like both: [ending of the name, auth].
my @OLD_AUTHS = (['_v3', [@V3]], ['_v3_virtlogd', [@V3, @CONTEXT]]);
my @NEW_AUTHS = (
    virtadm_v2          => ['map', version => 2, community => 'public'],
    virtadm_v3          => ['map', version => 3, @V3],
    virtadm_v3_virtlogd => ['map', version => 3, @V3, @CONTEXT],
);

# ---------------------------------------------------------------------------------------------
# YAML. A value is a scalar as it is written, ['map', KEY => VALUE, ...], or ['list', VALUE, ...].

# The lines of a value, without indentation of its own.
sub yaml_lines {
    my ($value) = @_;
    return ($value) if !ref $value;
    my ($kind, @parts) = @$value;
    my @lines;
    while (@parts) {
        my $head = $kind eq 'map' ? shift(@parts) . ':' : '-';
        my $part = shift @parts;
        my ($first, @rest) = yaml_lines($part);
        if (!ref $part) {
            push @lines, "$head $first";
        } elsif ($kind eq 'list') {
            push @lines, "$head $first", map { "  $_" } @rest;
        } else {
            push @lines, $head, map { "  $_" } $first, @rest;
        }
    }
    return @lines;
}

# { KEY: VALUE, ... } in one line
sub yaml_flow {
    my (@pairs) = @_;
    my @parts;
    while (my ($key, $value) = splice @pairs, 0, 2) {
        push @parts, "$key: $value";
    }
    return '{' . join(', ', @parts) . '}';
}

# A word that YAML would take for something else is quoted.
sub word {
    my ($text) = @_;
    return $text =~ /^(?:true|false|yes|no|on|off|y|n|null)$/i ? quoted($text) : $text;
}

sub yaml_list { return '[' . join(', ', @_) . ']'; }

# ---------------------------------------------------------------------------------------------
# snmp.yml: what the generator makes of the nodes.

# The type of a textual convention that the exporter has a way of its own for, else that on the wire.
sub metric_type {
    my ($mib, $node) = @_;
    my $name = $node->{syntax}{name};
    my $hint = $mib->{types}{$name} ? $mib->{types}{$name}{hint} : undef;
    return 'DisplayString' if $name eq 'SnmpAdminString' || ($hint // '') =~ /^\d+[at]$/;
    return $name if $name eq 'DateAndTime' || $name eq 'InetAddress';
    return 'Bits' if $node->{type}{base} eq 'BITS';
    return 'counter' if $node->{type}{wire} =~ /^COUNTER/;
    return 'OctetString' if $node->{type}{wire} eq 'OCTET_STR';
    return 'gauge';
}

sub type_in {
    my ($mib, $module, $node) = @_;
    my $override = $module->{overrides}{ $node->{name} } // 'ignore';
    return $override eq 'ignore' ? metric_type($mib, $node) : $override;
}

sub full_oid {
    my ($root, $node) = @_;
    return oid_text([@$root, @{ $node->{oid} }]);
}

# As the generator cuts it: what ends with a full stop and a blank loses both.
sub help_text {
    my ($root, $node) = @_;
    my $text = $node->{description} =~ s/\s+/ /gr;
    $text =~ s/[.] .*//;
    return "$text - " . full_oid($root, $node);
}

sub enum_values {
    my ($node) = @_;
    my @labels = sort { $a->[1] <=> $b->[1] } @{ $node->{type}{labels} // [] };
    return @labels ? (enum_values => ['map', map { ($_->[1] => word($_->[0])) } @labels]) : ();
}

sub index_entry {
    my ($mib, $module, $node) = @_;
    return ['map', labelname => $node->{name}, type => type_in($mib, $module, $node),
        enum_values($node)];
}

# Those whose indexes the metric has; what takes labels away comes behind all.
sub lookups {
    my ($mib, $root, $module, @index) = @_;
    my %has = map { $_ => 1 } @index;
    my (@found, @dropped);
    for my $lookup (@{ $module->{lookups} }) {
        next if grep { !$has{$_} } @{ $lookup->{from} };
        my $node = $mib->{nodes}{ $lookup->{to} } // die "lookup $lookup->{to} is not in the MIB\n";
        push @found, ['map', labels => yaml_list(@{ $lookup->{from} }),
            labelname => $node->{name}, oid => full_oid($root, $node),
            type => type_in($mib, $module, $node)];
        push @dropped, map { ['map', labels => '[]', labelname => $_] } @{ $lookup->{from} }
            if $lookup->{drop};
    }
    return @found || @dropped ? (lookups => ['list', @found, @dropped]) : ();
}

sub metric {
    my ($mib, $root, $module, $node) = @_;
    my @index = @{ $mib->{nodes}{ $node->{parent} }{index} // [] };
    my @entries = map { index_entry($mib, $module, $mib->{nodes}{$_}) } @index;
    return ['map',
        name => $node->{name},
        oid  => full_oid($root, $node),
        type => type_in($mib, $module, $node),
        help => quoted(help_text($root, $node)),
        (@entries ? (indexes => ['list', @entries]) : ()),
        lookups($mib, $root, $module, @index),
        enum_values($node),
    ];
}

# The leaves at and below a node, in the order of OIDs.
sub leaves {
    my ($node) = @_;
    return is_leaf($node) ? ($node) : map { leaves($_) } @{ $node->{children} };
}

# In the order of texts, as the generator sorts them.
sub walk_nodes {
    my ($mib, $root, $module) = @_;
    my @nodes = map { $mib->{nodes}{$_} // die "walk $_ is not in the MIB\n" }
        @{ $module->{walk} };
    return sort { full_oid($root, $a) cmp full_oid($root, $b) } @nodes;
}

# What the lookups read must be walked, too, where it is not already.
sub walk_oids {
    my ($mib, $root, $module) = @_;
    my @walk = map { full_oid($root, $_) } walk_nodes($mib, $root, $module);
    for my $lookup (@{ $module->{lookups} }) {
        my $oid = full_oid($root, $mib->{nodes}{ $lookup->{to} });
        push @walk, $oid if !grep { index("$oid.", "$_.") == 0 } @walk;
    }
    return sort @walk;
}

sub exporter_module {
    my ($mib, $root, $module) = @_;
    for my $name (keys %{ $module->{overrides} }) {
        die "override $name is not in the MIB\n" if !$mib->{nodes}{$name};
    }
    my @metrics = grep { $_->{access} ne 'accessible-for-notify'
            && ($module->{overrides}{ $_->{name} } // '') ne 'ignore' }
        map { leaves($_) } walk_nodes($mib, $root, $module);
    return ['map',
        walk    => ['list', walk_oids($mib, $root, $module)],
        metrics => ['list', map { metric($mib, $root, $module, $_) } @metrics],
        @WALK_PARAMETERS,
    ];
}

# ---------------------------------------------------------------------------------------------
# generator.yml: what the generator is told, with names that it looks up in the MIB.

sub generator_module {
    my ($mib, $root, $module) = @_;
    my @lookups = map {
        ['map', source_indexes => yaml_list(@{ $_->{from} }), lookup => $_->{to},
            ($_->{drop} ? (drop_source_indexes => 'true') : ())]
    } @{ $module->{lookups} };
    my @overrides = map {
        my $override = $module->{overrides}{$_};
        ($_ => $override eq 'ignore' ? '{ignore: true}' : "{type: $override}")
    } sort keys %{ $module->{overrides} };
    return ['map', walk => ['list', @{ $module->{walk} }], lookups => ['list', @lookups],
        overrides => ['map', @overrides], @WALK_PARAMETERS];
}

# ---------------------------------------------------------------------------------------------
# The files.

# Each module once by itself, with what 0.21 takes for granted, SNMPv2c and the community public, and
# once for each other way to ask, which the exporter puts together from both.
sub old_form {
    my ($make) = @_;
    my @modules;
    for my $name (sort keys %MODULE) {
        my ($kind, @parts) = @{ $make->($MODULE{$name}) };
        push @modules, "$name: &$name", map { "  $_" } yaml_lines([$kind, @parts, version => 2]);
        for my $auth (@OLD_AUTHS) {
            my ($ending, $settings) = @$auth;
            push @modules, "$name$ending:", map { "  $_" } yaml_lines(['map', '<<' => "*$name",
                version => 3, auth => ['map', @$settings]]);
        }
    }
    return @modules;
}

# The generator has its modules in a section, of both forms.
sub old_generator_form {
    my ($make) = @_;
    return ('modules:', map { "  $_" } old_form($make));
}

sub new_form {
    my ($make) = @_;
    return yaml_lines(['map', auths => ['map', @NEW_AUTHS],
        modules => ['map', map { $_ => $make->($MODULE{$_}) } sort keys %MODULE]]);
}

my $OLD = 'up to release 0.22 (Debian 12 has 0.21)';
my $NEW = 'from release 0.23 on (Debian 13 has 0.28)';
my $OLD_ADVICE = <<'END';
# SNMPv2c asks with the community public; "auth: {community: ...}" in a module says another. A copy
# like virtadm_v3_virtlogd is needed for each SNMP context, or each set of secrets.
END
my $NEW_ADVICE = <<'END';
# An SNMP context is in auths, or (0.26) in the request: &snmp_context=NAME. Secrets may come from the
# environment (0.26): "password: ${NAME}" and --config.expand-environment-variables.
END

my %FORM = (
    'snmp-before-0.23' => { of => 'snmp_exporter', release => $OLD, advice => $OLD_ADVICE,
        make => \&exporter_module, arrange => \&old_form },
    'snmp' => { of => 'snmp_exporter', release => $NEW, advice => $NEW_ADVICE,
        make => \&exporter_module, arrange => \&new_form },
    'generator-before-0.23' => { of => "snmp_exporter's generator", release => $OLD,
        advice => $OLD_ADVICE, make => \&generator_module, arrange => \&old_generator_form },
    'generator' => { of => "snmp_exporter's generator", release => $NEW, advice => $NEW_ADVICE,
        make => \&generator_module, arrange => \&new_form },
);

sub forms { return sort keys %FORM; }

# A file, called as the form with .yml behind it; dies where there is no such form.
sub text {
    my ($mib, $root, $name) = @_;
    my $form = $FORM{$name} // die "$name is not one of " . join(', ', forms()) . "\n";
    my @lines = $form->{arrange}->(sub { $form->{make}->($mib, $root, $_[0]) });
    return <<"END" . join '', map { "$_\n" } @lines;
# SPDX-License-Identifier: LGPL-2.1-or-later
# For $form->{of}, $form->{release}.
# Generated by mib/mkmib.pl from the MIB. Change the secrets before use, in a copy that only the
# exporter can read.
$form->{advice}# The modules virtadm_clients have time series for each client: see docs/prometheus.md first.
END
}

1;
