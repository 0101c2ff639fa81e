#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests of the MIB and its generator: the interface, the rules that its texts follow, the results
# for several roots, bad input; then what smilint, libsmi and net-snmp say of the module, where the
# IETF modules that it imports are found ($VADM_MIBDIRS, a colon separated list, or the system's).
# Run by "make check"; by hand: tests/unit/test-mib.sh. Fails when a tool is missing and CI=true.
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
source=$top/mib/LIBVIRT-ADMIN-MIB.txt.in
playpen=1.3.6.1.4.1.8072.9999.9999.6906
# Roots: the default, below an enterprise number, one itself, and outside of enterprises.
roots="$playpen 1.3.6.1.4.1.99999.7 1.3.6.1.4.1.55555 1.3.6.1.3.77"
module=LIBVIRT-ADMIN-MIB
. "$here/count.sh"

# missing TOOL: says that it is not there; TRUE when it is missing
missing() {
    command -v "$1" >/dev/null 2>&1 && return 1
    echo "$1 is not installed: its tests are left out"
    [ "${CI:-}" != true ] || ok "CI has $1" 1
    return 0
}

mkmib() { "${PERL:-perl}" "$top/mib/mkmib.pl" "$@"; }

generate() {
    for root in $roots; do
        mkdir "$tmp/$root" || exit 1
        for mode in mib header objects names oids; do
            case $mode in
                mib) out=$tmp/$root/$module.txt ;;
                *) out=$tmp/$root/$mode ;;
            esac
            mkmib --root="$root" --$mode "$source" >"$out" 2>"$tmp/why"
            ok "--$mode for $root" $?
        done
    done
    mkmib --markdown "$source" >"$tmp/markdown" 2>"$tmp/why"
    ok '--markdown' $?
}

# The public interface is what mib-interface.txt says. objects: name, OID, type, access of what has
# a value; the lists for the agent have the same, whatever the root.
test_interface() {
    grep -v '^#' "$here/mib-interface.txt" >"$tmp/expected"
    mkmib --interface "$source" >"$tmp/found" 2>&1
    same 'the interface is that of mib-interface.txt' "$tmp/expected" "$tmp/found"
    sed -n 's/:.*//;s/ read-only$/ RO/;s/ read-write$/ RW/;s/ accessible-for-notify$/ NOTIFY/
        s/^\(1\.[0-9.]*\) \(lva[A-Za-z0-9]*\) \([A-Z].*\)$/\2 \1 \3/p' "$tmp/expected" |
        grep -v 'not-accessible$' >"$tmp/objects"
    sed -n 's/^0\.\([0-9]*\) \(lva[A-Za-z0-9]*\) notification: \(.*\)/\2 \1 \3/p' \
        "$tmp/expected" >"$tmp/notifications"
    for root in $roots; do
        sed -n 's/^LVA_OBJECT(\(.*\), "\(.*\)", \(.*\), \(.*\))$/\1 \2 \3 \4/p' \
            "$tmp/$root/objects" >"$tmp/found"
        same "the objects below $root" "$tmp/objects" "$tmp/found"
        sed -n 's/^LVA_NOTIFICATION(\(.*\), \(.*\), "\(.*\)")$/\1 \2 \3/p' \
            "$tmp/$root/objects" >"$tmp/found"
        same "the notifications below $root" "$tmp/notifications" "$tmp/found"
    done
    cut -d' ' -f2 "$tmp/objects" >"$tmp/order"
    sort -t. -k1,1n -k2,2n -k3,3n -k4,4n -k5,5n "$tmp/order" >"$tmp/sorted"
    same 'objects are in the order of OIDs' "$tmp/sorted" "$tmp/order"
    uniq -d "$tmp/sorted" >"$tmp/why"
    empty 'no OID is there twice'
}

# What the texts promise. rows: those of all objects, as name|syntax|access|text: the first sentence
# from the table, the others from the list behind it.
test_texts() {
    awk '
        match($0, /^- [*][*]lva[A-Za-z0-9]*[*][*]: /) {
            name = substr($0, 5, RLENGTH - 8)
            text[name] = text[name] " " substr($0, RLENGTH + 1)
        }
        /^[|] [0-9.]+ [|] lva/ && split($0, cell, / [|] /) == 5 &&
                cell[4] ~ /^(read-only|read-write|accessible-for-notify)$/ {
            order[++count] = cell[2]
            row[cell[2]] = cell[2] "|" cell[3] "|" cell[4]
            sub(/ [|]$/, "", cell[5])
            text[cell[2]] = cell[5]
        }
        END { for (i = 1; i <= count; i++) print row[order[i]] "|" text[order[i]] }' \
        "$tmp/markdown" >"$tmp/rows"
    cut -d' ' -f1 "$tmp/objects" >"$tmp/expected"
    cut -d'|' -f1 "$tmp/rows" >"$tmp/found"
    same 'the markdown has every object' "$tmp/expected" "$tmp/found"

    awk -F'|' '$3 == "read-write" && $4 !~ /wrongValue|inconsistentValue/' "$tmp/rows" >"$tmp/why"
    empty 'read-write objects say what a bad value gets'
    awk -F'|' '$3 == "read-write" && $4 !~ /surviv/' "$tmp/rows" >"$tmp/why"
    empty 'read-write objects say what survives a restart'
    awk -F'|' '$2 ~ /^Counter(32|64)/ && $4 !~ \
        /see (lvaDaemonStartTime|lvaClientConnectedSince|lvaNotifyDiscontinuityTime)/' \
        "$tmp/rows" >"$tmp/why"
    empty 'counters name their discontinuity object'
    awk -F'|' '$2 !~ /\([0-9]+\)/ && sub(/.*, /, "", $2) &&
        $2 !~ /^(seconds|microseconds|percent)$/' "$tmp/rows" >"$tmp/why"
    empty 'UNITS are those of times and percentages'
    awk -F'|' '$1 ~ /(Time|Age|Interval|Timeout|Percent)$/ &&
        $2 !~ /^DateAndTime|seconds$|percent$/' "$tmp/rows" >"$tmp/why"
    empty 'times and percentages have UNITS'
    sed -n 's/^- Need not be writable: \(.*\)\.$/\1/p' "$tmp/markdown" | sed 's/, /\
/g' | sort >"$tmp/found"
    awk '$4 == "RW" { print $1 }' "$tmp/objects" | sort >"$tmp/expected"
    same 'read-only compliance is about every read-write object' "$tmp/expected" "$tmp/found"
    awk '$3 != "lvaDaemonName"' "$tmp/notifications" >"$tmp/why"
    empty 'notifications begin with lvaDaemonName'
    awk 'NR == FNR { type[$1] = $3; next }
        { for (i = 3; i <= NF; i++) if (type[$i] == "COUNTER64") print $1, $i }' \
        "$tmp/objects" "$tmp/notifications" >"$tmp/why"
    empty 'no notification has a Counter64 (SNMPv1 cannot carry it)'
    grep -n '	\|[[:space:]]$' "$source" >"$tmp/why"
    empty 'no tabs and no blanks at the ends of lines'
}

test_root() {
    for root in $roots; do
        grep -c 'provisional' "$tmp/$root/$module.txt" >"$tmp/found"
        case $root in "$playpen") echo 1 ;; *) echo 0 ;; esac >"$tmp/expected"
        same "the playpen is called provisional, $root" "$tmp/expected" "$tmp/found"
        grep -n '@[A-Z_]*@' "$tmp/$root/$module.txt" >"$tmp/why"
        empty "no placeholder is left for $root"
    done
    cat >"$tmp/expected" <<'END'
    ::= { enterprises netSnmp(8072) netSnmpExperimental(9999) netSnmpPlaypen(9999) 6906 }
    ::= { enterprises virtadmRoot1(99999) 7 }
    ::= { enterprises 55555 }
    ::= { experimental 77 }
END
    for root in $roots; do
        grep -m 1 '^    ::= {' "$tmp/$root/$module.txt"
    done >"$tmp/found"
    same 'each arc of the root has a label' "$tmp/expected" "$tmp/found"
    cat >"$tmp/expected" <<'END'
#define LVA_ROOT 1, 3, 6, 1, 4, 1, 99999, 7
#define LVA_ROOT_LEN 8
#define LVA_ROOT_TEXT "1.3.6.1.4.1.99999.7"
END
    grep '^#define LVA_ROOT' "$tmp/1.3.6.1.4.1.99999.7/header" >"$tmp/found"
    same 'the root in C' "$tmp/expected" "$tmp/found"
}

# The C files compile, alone and together, and agree with each other.
test_c() {
    missing "${CC%% *}" && return
    cp "$tmp/$playpen/header" "$tmp/lva-mib.h"
    cp "$tmp/$playpen/objects" "$tmp/lva-objects.inc"
    cat >"$tmp/program.c" <<'END'
#include <stdio.h>
#include <string.h>
#include "lva-mib.h"
#include "lva-mib.h"
#define INTEGER 1
#define UNSIGNED 2
#define GAUGE 3
#define COUNTER32 4
#define COUNTER64 5
#define OCTET_STR 6
enum { RO, RW, NOTIFY };
static const struct {
    const char *name, *oid;
    int type, access, arc;
} objects[] = {
#define LVA_OBJECT(name, oid, type, access) { #name, oid, type, access, LVA_ARC_##name },
#include "lva-objects.inc"
};
static const struct {
    const char *name;
    int arc, again;
} notifications[] = {
#define LVA_NOTIFICATION(name, arc, objects) { #name, arc, LVA_ARC_##name },
#include "lva-objects.inc"
};
static const unsigned long root[] = { LVA_ROOT };
_Static_assert(sizeof(root) / sizeof(root[0]) == LVA_ROOT_LEN, "LVA_ROOT_LEN");
_Static_assert(LVA_GROUP_lvaServerTable == 4 && LVA_ARC_lvaLogStatsTable == 4, "arcs");
_Static_assert(LVA_ENUM_LvaLogPriority_daemonDefault == 5, "labels of a textual convention");
_Static_assert(LVA_ENUM_lvaServerUpstreamState_unreachable == 3, "labels of an object");
_Static_assert(LVA_ENUM_lvaNotifyEnable_clientLimit == 0, "labels of bits");

int
main(void)
{
    char text[256] = "", arc[32];
    size_t i;

    for (i = 0; i < LVA_ROOT_LEN; i++)
        sprintf(text + strlen(text), i ? ".%lu" : "%lu", root[i]);
    if (strcmp(text, LVA_ROOT_TEXT) != 0)
        printf("LVA_ROOT is %s, LVA_ROOT_TEXT %s\n", text, LVA_ROOT_TEXT);
    for (i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        snprintf(arc, sizeof(arc), ".%d", objects[i].arc);
        if (strcmp(strrchr(objects[i].oid, '.'), arc) != 0)
            printf("%s: OID %s, arc %s\n", objects[i].name, objects[i].oid, arc);
    }
    for (i = 0; i < sizeof(notifications) / sizeof(notifications[0]); i++)
        if (notifications[i].arc != notifications[i].again)
            printf("%s: %d, %d\n", notifications[i].name, notifications[i].arc,
                   notifications[i].again);
    return 0;
}
END
    $CC -std=gnu11 -Wall -Wextra -Werror -o "$tmp/program" "$tmp/program.c" >"$tmp/why" 2>&1
    ok 'the C files compile' $?
    "$tmp/program" >"$tmp/why" 2>&1
    empty 'the C files agree'
}

# Names for numbers: the expected lines are written by hand.
test_names() {
    cat >"$tmp/in" <<'END'
.1.3.6.1.3.77.1.4.1.2.2 = STRING: "libvirtd"
.1.3.6.1.3.77.1.4.1.25.2 = INTEGER: 3
.1.3.6.1.3.77.1.4.1.14.1 = INTEGER: 1
iso.3.6.1.3.77.1.2.4.0 = INTEGER: 3
.1.3.6.1.3.77.1.3.4.1.4.1 = Counter64: 12
.1.3.6.1.3.77.1.6.1.21.2.4294967295 = INTEGER: 1
.1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.3.77.0.10
.1.3.6.1.2.1.1.9.1.2.7 = OID: .1.3.6.1.3.77
a=.1.3.6.1.3.77.1.1.1.0 .1.3.6.1.3.77.1.1.2.0 .1.3.6.1.3.77
.1.3.6.1.3.77.1.4.1.2 .1.3.6.1.3.77.1.4.1.20.2
.1.3.6.1.3.77.1.4.1.3.2 = INTEGER: 3	.1.3.6.1.3.77.1.6.1.3.2.9 = INTEGER: 1	.1.3.6.1.3.77.1.5.1.8.2.1 = INTEGER: 9
.1.3.6.1.3.77.1.4.1.14.1 = INTEGER: 9
.1.3.6.1.3.77.1.99.1 = INTEGER: 3
snmpset 127.0.0.1:161 1.3.6.1.3.77.1.3.1.0 i 1 iso.3.6.1.3.77.1.2.1.0 i 7
1.3.6.1.3.77.1.2.8.0
version 1.3.6.1, not 1.3.6.1.3.7
.1.3.6.1.3.777.1.4.1.2.2 = STRING: "another root"
.1.3.6.1.6.3.16.1.5.2.1.3.1.97.6.1.3.6.1.3.77 = STRING: "inside an index"
.1.3.6.1.2.1.1.5.0 = STRING: "host"
END
    cat >"$tmp/expected" <<'END'
lvaServerName.2 = STRING: "libvirtd"
lvaServerUpstreamState.2 = INTEGER: unreachable(3)
lvaServerClientsState.1 = INTEGER: normal(1)
lvaConfigLastOrigin.0 = INTEGER: snmp(3)
lvaLogStatsDropped.1 = Counter64: 12
lvaClientAdminStatus.2.4294967295 = INTEGER: connected(1)
.1.3.6.1.6.3.1.1.4.1.0 = OID: lvaConfigChanged
.1.3.6.1.2.1.1.9.1.2.7 = OID: lvaMIB
a=lvaDaemonName.0 lvaDaemonVersion.0 lvaMIB
lvaServerName lvaServerClientRequestsDelayed.2
lvaServerWorkersMin.2 = INTEGER: 3	lvaClientTransport.2.9 = INTEGER: unix(1)	lvaServiceAuth.2.1 = INTEGER: 9
lvaServerClientsState.1 = INTEGER: 9
lvaObjects.99.1 = INTEGER: 3
snmpset 127.0.0.1:161 lvaLogLevel.0 i 1 lvaConfigLock.0 i 7
lvaConfigLastError.0
version 1.3.6.1, not 1.3.6.1.3.7
.1.3.6.1.3.777.1.4.1.2.2 = STRING: "another root"
.1.3.6.1.6.3.16.1.5.2.1.3.1.97.6.1.3.6.1.3.77 = STRING: "inside an index"
.1.3.6.1.2.1.1.5.0 = STRING: "host"
END
    sed -f "$tmp/1.3.6.1.3.77/names" "$tmp/in" >"$tmp/found" 2>&1
    same 'numbers become names' "$tmp/expected" "$tmp/found"
    grep -E '	\.1\.3\.6\.1\.3\.77(\.1\.4\.1\.2|\.0\.1|)$' "$tmp/1.3.6.1.3.77/oids" >"$tmp/found"
    printf '%s\t%s\n' lvaMIB .1.3.6.1.3.77 lvaClientsFull .1.3.6.1.3.77.0.1 \
        lvaServerName .1.3.6.1.3.77.1.4.1.2 >"$tmp/expected"
    same 'names become numbers' "$tmp/expected" "$tmp/found"
    # Both maps have every node, and each turns round what the other did.
    cut -f 2 "$tmp/$playpen/oids" | sed -f "$tmp/$playpen/names" >"$tmp/found"
    cut -f 1 "$tmp/$playpen/oids" >"$tmp/expected"
    same 'both maps have the same names' "$tmp/expected" "$tmp/found"
}

# bad NAME LINE-PATTERN MESSAGE SED-SCRIPT: a source altered by the script is refused, with the
# file, the number of the (altered) line that matches, and the message; nothing is written.
bad() {
    sed "$4" "$source" >"$tmp/bad.in"
    if cmp -s "$source" "$tmp/bad.in"; then
        echo "the script alters nothing" >"$tmp/why"
        ok "refused: $1" 1
        return
    fi
    line=$(grep -n "$2" "$tmp/bad.in" | sed -n '$s/:.*//p')
    mkmib --root=1.3.6.1.3.77 --header "$tmp/bad.in" >"$tmp/found" 2>"$tmp/why"
    [ $? -eq 1 ] && [ ! -s "$tmp/found" ] && grep -qF "$tmp/bad.in:$line: " "$tmp/why" &&
        grep -qF "$3" "$tmp/why"
    status=$?
    [ $status -eq 0 ] || echo "expected: $tmp/bad.in:$line: ... $3" >>"$tmp/why"
    ok "refused: $1" $status
}

test_bad_sources() {
    bad 'two objects with one number' '^lvaDaemonVersion ' 'has the OID of lvaDaemonName' \
        's/{ lvaDaemon 2 }/{ lvaDaemon 1 }/'
    bad 'a name that is there twice' '^lvaDaemonName OBJ' 'is defined twice' \
        's/^lvaDaemonVersion OBJECT-TYPE/lvaDaemonName OBJECT-TYPE/'
    bad 'an unknown macro' '^lvaDaemonName ' 'unknown macro OBJECT-KIND' \
        's/^lvaDaemonName OBJECT-TYPE/lvaDaemonName OBJECT-KIND/'
    bad 'an unknown clause' 'DEFAULT ' '"::=" expected, found "DEFAULT"' \
        's/^    DEFVAL      { 90 }/    DEFAULT     { 90 }/'
    bad 'an unknown type' '^lvaDaemonVersion OBJ' 'unknown type DisplayString' \
        '/^lvaDaemonVersion OBJ/,/::=/s/SnmpAdminString/DisplayString/'
    bad 'a type that is not imported' '^lvaDaemonStartTime OBJ' 'DateAndTime is not imported' \
        's/TEXTUAL-CONVENTION, DateAndTime,/TEXTUAL-CONVENTION,/'
    bad 'an unknown access' 'read-only-x' 'unknown MAX-ACCESS read-only-x' \
        '/^lvaDaemonName OBJ/,/::=/s/read-only/read-only-x/'
    bad 'a missing description' '::= { lvaDaemon 6 }' '"DESCRIPTION" expected, found "::="' \
        '/^lvaDaemonProcessId OBJ/,/::=/{/DESCRIPTION/d;/"/d;}'
    bad 'a string without its end' '^"END' 'a string without its end' 's/^END/"END/'
    bad 'a character that is none of the language' 'lvaDaemon ?' 'cannot read "?' \
        's/{ lvaDaemon 4 }/{ lvaDaemon ?4 }/'
    bad 'a comment that tools end differently' '^-- the daemon' 'a second "--"' \
        's/^-- the daemon$/-- the daemon -- lvaX/'
    bad 'a parent that is not there' '^lvaDaemonName OBJ' 'its parent lvaDemon' \
        's/{ lvaDaemon 1 }/{ lvaDemon 1 }/'
    bad 'a node that is its own ancestor' '^lvaObjects ' 'is its own ancestor' \
        's/^lvaObjects .*/lvaObjects OBJECT IDENTIFIER ::= { lvaDaemon 1 }/'
    bad 'a column that the SEQUENCE lacks' '^lvaServerEntry OBJ' 'its SEQUENCE has' \
        '/^    lvaServerJobsDone  /d'
    bad 'a column of another type than in the SEQUENCE' '^lvaServerEntry OBJ' 'its SEQUENCE has' \
        '/^LvaServerEntry/,/}/s/\(lvaServerJobsDone *\)Counter64/\1Counter32/'
    bad 'an index that is not there' '^lvaServerEntry OBJ' 'INDEX lvaServerNumer' \
        's/INDEX       { lvaServerIndex }/INDEX       { lvaServerNumer }/'
    bad 'an entry whose arc is not 1' '^lvaServerTable OBJ' 'its entry, with arc 1' \
        's/{ lvaServerTable 1 }/{ lvaServerTable 2 }/'
    bad 'a label that is there twice' 'info(1)' 'the number is there already' \
        '/^LvaLogPriority/,/}/s/info(2)/info(1)/'
    bad 'a default that is no label' '^lvaLogLevel OBJ' 'DEFVAL loud' \
        's/DEFVAL      { warning }/DEFVAL      { loud }/'
    bad 'an object in no group' '^lvaDaemonUri OBJ' 'is in no group' \
        '/^lvaDaemonGroup/,/}/{/lvaDaemonUri,/d;}'
    bad 'an object in two groups' '^lvaDaemonProcessGroup ' \
        'lvaDaemonUri is in lvaDaemonGroup too' \
        '/^lvaDaemonProcessGroup/,/}/s/lvaDaemonUpTime/lvaDaemonUri/'
    bad 'a notification of an object that is not there' '^lvaUpstreamUp NOT' 'lvaServerUp is not' \
        '/^lvaUpstreamUp NOT/,/}/s/lvaServerUpstreamState/lvaServerUp/'
    bad 'a notification of an index' '^lvaUpstreamUp NOT' 'lvaServerIndex is not' \
        '/^lvaUpstreamUp NOT/,/}/s/lvaServerName/lvaServerIndex/'
    bad 'a compliance with an unknown group' '^lvaFullCompliance ' 'lvaXGroup is not a group' \
        '/^lvaFullCompliance/,/}/s/lvaDaemonGroup/lvaXGroup/'
    bad 'LAST-UPDATED without a REVISION' '^lvaMIB ' 'is not the newest REVISION' \
        's/LAST-UPDATED "2026/LAST-UPDATED "2027/'
    # shellcheck disable=SC2016
    bad 'a module that does not end' '^$' '"the end of the file"' '$d'
    bad 'a root that is written out' '{ enterprises 5 }' '"@ROOT@" expected' \
        's/{ @ROOT@ }/{ enterprises 5 }/'
    bad 'a placeholder that was lost' '^-- SPDX' '@PROVISIONAL@ is there 0 times' '/@PROVISIONAL@/d'
}

# wrong STATUS MESSAGE ARGUMENTS...: wrong usage
wrong() {
    expected=$1
    message=$2
    shift 2
    mkmib "$@" >"$tmp/found" 2>"$tmp/why"
    status=$?
    [ $status -eq "$expected" ] && [ ! -s "$tmp/found" ] && grep -qF -e "$message" "$tmp/why"
    ok "usage: $*" $?
}

test_usage() {
    wrong 2 '--root is needed' --mib "$source"
    wrong 2 '--root is needed' --oids "$source"
    wrong 2 'one mode and one file' --root=1.3.6.1.3.77 "$source"
    wrong 2 'one mode and one file' --root=1.3.6.1.3.77 --mib --oids "$source"
    wrong 2 'one mode and one file' --root=1.3.6.1.3.77 --mib
    wrong 2 'wrong options' --root=1.3.6.1.3.77 --json "$source"
    wrong 2 'numbers separated by dots' --root=enterprises.7 --mib "$source"
    wrong 2 'numbers separated by dots' --root=1.3.6.1.4.1.07 --mib "$source"
    wrong 2 'numbers separated by dots' --root=1.3.6.2.7 --mib "$source"
    wrong 2 'more than 4294967295' --root=1.3.6.1.4.1.4294967296 --mib "$source"
    wrong 2 'is enterprises of SNMPv2-SMI' --root=1.3.6.1.4.1 --mib "$source"
    wrong 2 'below mib-2' --root=1.3.6.1.2.1.7777 --mib "$source"
    wrong 2 'more than 91 arcs' --root=1.3.6.1.3"$(printf '.7%.0s' $(seq 87))" --mib "$source"
    wrong 1 'No such file' --root=1.3.6.1.3.77 --mib "$tmp/none.in"
    mkmib --root=1.3.6.1.3"$(printf '.7%.0s' $(seq 86))" --header "$source" >/dev/null 2>"$tmp/why"
    ok 'a root of 91 arcs' $?
    if [ -w /dev/full ]; then
        mkmib --root=1.3.6.1.3.77 --header "$source" >/dev/full 2>"$tmp/why"
        [ $? -eq 1 ]
        ok 'a full disk is an error' $?
    fi
}

test_docs() {
    sed '1,/^<!-- generated /d' "$top/docs/mib.md" >"$tmp/found"
    same 'docs/mib.md is up to date (else: make update-mib-docs)' "$tmp/markdown" "$tmp/found"
    mkmib --root=$playpen --sheet="$top/docs/oids.md.in" "$source" >"$tmp/sheet" 2>"$tmp/why"
    ok '--sheet' $?
    same 'docs/oids.md is up to date (else: make update-mib-docs)' "$tmp/sheet" "$top/docs/oids.md"
    # Every object that can be read is in the sheet once, with its OID and whether it can be written.
    sed -n 's/^    \.\([0-9.]*\)\.[0A-Z.]*  *\(lva[A-Za-z0-9]*\)  *\(r[ow]\) .*/\2 \1 \3/p' \
        "$top/docs/oids.md" | sed 's/\.$//' | sort >"$tmp/found"
    awk -v root=$playpen '$4 != "NOTIFY" { print $1, root "." $2, $4 == "RW" ? "rw" : "ro" }' \
        "$tmp/objects" | sort >"$tmp/expected"
    same 'docs/oids.md has every object' "$tmp/expected" "$tmp/found"
}

# Sets mibdirs to the folders with MIBs; FALSE when the modules that ours imports are in none.
find_mibs() {
    mibdirs=
    IFS=:
    for dir in ${VADM_MIBDIRS:-} "$top/../shared/mibs" /usr/share/snmp/mibs /var/lib/mibs/ietf \
        /usr/share/mibs/ietf; do
        [ ! -d "$dir" ] || mibdirs=${mibdirs:+$mibdirs:}$dir
    done
    for wanted in SNMPv2-SMI SNMPv2-TC SNMPv2-CONF SNMP-FRAMEWORK-MIB HCNUM-TC INET-ADDRESS-MIB; do
        found=
        for dir in $mibdirs; do
            for file in "$dir/$wanted" "$dir/$wanted.txt" "$dir/$wanted.mib" "$dir/$wanted.my"; do
                [ ! -f "$file" ] || found=$file
            done
        done
        [ -n "$found" ] || break
    done
    unset IFS
    [ -n "$found" ] && return 0
    echo "$wanted was found nowhere (VADM_MIBDIRS is a list of folders): the tests with smilint," \
        'libsmi and net-snmp are left out'
    return 1
}

# smilint exits 0 whatever it finds, so what counts is that it prints nothing. Without -c it would
# read the system's configuration, which hides messages; a name with a slash is read as a file.
test_smilint() {
    missing smilint && return
    for root in $roots; do
        SMIPATH=$mibdirs smilint -c /dev/null -l 6 -s "$tmp/$root/$module.txt" >"$tmp/why" 2>&1
        empty "smilint has no message for $root"
    done
    sed 's/^    ::= { lvaDaemon 2 }/    ::= { lvaDaemon 1 }/' "$tmp/1.3.6.1.3.77/$module.txt" \
        >"$tmp/broken.txt"
    SMIPATH=$mibdirs smilint -c /dev/null -l 6 -s "$tmp/broken.txt" 2>&1 | grep -q .
    ok 'smilint finds what is wrong' $?
}

# libsmi's parser is not ours: the names and numbers that it sees are those of the map.
test_libsmi() {
    missing smidump && return
    for root in $roots; do
        SMIPATH=$mibdirs smidump -c /dev/null -f identifiers "$tmp/$root/$module.txt" 2>&1 |
            awk '$2 ~ /^lva/ && $4 ~ /^1[.]/ { print $2 "\t." $4 }' | sort >"$tmp/found"
        sort "$tmp/$root/oids" >"$tmp/expected"
        same "libsmi sees the same OIDs below $root" "$tmp/expected" "$tmp/found"
    done
}

translate() {
    SNMPCONFPATH=$tmp SNMP_PERSISTENT_DIR=$tmp/persistent MIBDIRS=$mibdirs MIBS='' snmptranslate \
        -m "$tmp/$root/$module.txt" "$@" 2>&1 | grep -v '^$'
}

test_net_snmp() {
    missing snmptranslate && return
    mkdir -p "$tmp/persistent/cert_indexes" # else it says that it makes them
    for root in $roots; do
        # shellcheck disable=SC2046
        translate -On $(cut -f 1 "$tmp/$root/oids" | sed "s/^/${module}::/") >"$tmp/found"
        cut -f 2 "$tmp/$root/oids" >"$tmp/expected"
        same "net-snmp: names to numbers, $root" "$tmp/expected" "$tmp/found"
        # With instances that each object can have: net-snmp checks the ranges of indexes. -Ob
        # leaves indexes numbers, as the sed script does.
        {
            cut -f 2 "$tmp/$root/oids"
            cut -d' ' -f2 "$tmp/objects" | sed "
                s/^1\.3\.4\..*/&.4/
                s/^1\.4\..*/&.65535/
                s/^1\.5\..*/&.2.3/
                s/^1\.6\..*/&.2.4294967295/
                s/^1\.8\..*/&.3.97.98.99/
                s/^1\.[12379]\.[0-9]*\$/&.0/
                s/^/.$root./"
        } >"$tmp/numbers"
        # shellcheck disable=SC2046
        translate -Ob $(cat "$tmp/numbers") | sed "s/^${module}:://" >"$tmp/expected"
        sed -f "$tmp/$root/names" "$tmp/numbers" >"$tmp/found"
        same "net-snmp: numbers to names as the sed script, $root" "$tmp/expected" "$tmp/found"
    done
    # Types and access as net-snmp's parser sees them; they do not depend on the root.
    # shellcheck disable=SC2046
    translate -Td $(sed "s/ .*//;s/^/${module}::/" "$tmp/objects") |
        awk '/ OBJECT-TYPE/ { name = $1 } /^ *SYNTAX/ { type = $2 } /^ *MAX-ACCESS/ {
            print name, type, $2 }' |
        sed 's/ Unsigned32 / UNSIGNED /;s/ Gauge32 / GAUGE /;s/ Counter\([36]\)/ COUNTER\1/
            s/ OCTET / OCTET_STR /;s/ BITS / OCTET_STR /
            s/read-only$/RO/;s/read-write$/RW/;s/accessible-for-notify$/NOTIFY/' >"$tmp/found"
    cut -d' ' -f1,3,4 "$tmp/objects" >"$tmp/expected"
    same 'net-snmp: types and access' "$tmp/expected" "$tmp/found"
}

CC=${CC:-cc}
generate
test_interface
test_texts
test_root
test_c
test_names
test_bad_sources
test_usage
test_docs
if find_mibs; then
    test_smilint
    test_libsmi
    test_net_snmp
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
