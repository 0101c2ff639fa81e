#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests of what is generated for snmpd, receivers of traps and monitoring systems: a new root changes
# every OID in it, and nothing else; placeholders, and those that are wrong.
# Run by "make check"; by hand: tests/unit/test-noc.sh.
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
source=$top/mib/LIBVIRT-ADMIN-MIB.txt.in
playpen=1.3.6.1.4.1.8072.9999.9999.6906
other=1.3.6.1.4.1.55555.8
. "$here/count.sh"

mkmib() { "${PERL:-perl}" "$top/mib/mkmib.pl" "$@" "$source"; }

# moves ROOT: standard input with the playpen's root, also as a regular expression, put at ROOT
moves() {
    sed "s/$(echo $playpen | sed 's/\./\\./g')/$1/g
        s/$(echo $playpen | sed 's/\./\\\\\\./g')/$(echo "$1" | sed 's/\./\\\\./g')/g"
}

# root_moves NAME OPTION: what OPTION generates has OIDs, and those of the other root instead
root_moves() {
    mkmib --root=$playpen "$2" >"$tmp/here" 2>"$tmp/why"
    ok "$1 is generated" $?
    moves $other <"$tmp/here" >"$tmp/expected"
    mkmib --root=$other "$2" >"$tmp/there" 2>"$tmp/why"
    diff -u "$tmp/expected" "$tmp/there" >"$tmp/why"
    ok "$1 at another root" $?
    grep -n '8072\|playpen\|6906' "$tmp/there" >"$tmp/why"
    [ $? -eq 1 ]
    ok "$1 at another root has nothing of the playpen" $?
    ! cmp -s "$tmp/here" "$tmp/there" || ! grep -q '@oid' "$top/noc/$1.in" 2>/dev/null
    ok "$1 depends on the root" $?
    grep -n '@[a-z]*:[A-Za-z ]*@\|@labels\|@objects\|@generated@' "$tmp/here" >"$tmp/why"
    [ $? -eq 1 ]
    ok "$1 has no placeholder left" $?
}

# fills TEXT EXPECTED
fills() {
    printf '%s\n' "$1" >"$tmp/template"
    printf '%s\n' "$2" >"$tmp/expected"
    mkmib --root=$other --fill="$tmp/template" >"$tmp/found" 2>&1
    diff -u "$tmp/expected" "$tmp/found" >"$tmp/why"
    ok "$1" $?
}

# refuses TEXT REASON: as an error in line 2
refuses() {
    printf '%s\n' 'a line' "$1" >"$tmp/template"
    mkmib --root=$other --fill="$tmp/template" >"$tmp/found" 2>"$tmp/why"
    status=$?
    [ $status -eq 1 ] && [ ! -s "$tmp/found" ] && grep -qx "$tmp/template:2: $2" "$tmp/why"
    ok "refused: $1" $?
}

templates() {
    for template in "$top"/noc/*/*.in; do
        [ -e "$template" ] || continue
        name=${template#"$top/noc/"}
        root_moves "${name%.in}" --fill="$template"
    done
}

# The events of snmptt, and the list of them for programs. lvaClientDisconnected has two enumerations.
notifications() {
    root_moves 'sheet of OIDs' --sheet="$top/docs/oids.md.in"
    root_moves 'events of snmptt' --snmptt
    root_moves 'list of events' --events
    mkmib --root=$other --snmptt >"$tmp/snmptt" 2>"$tmp/why"
    sed -n '/^EVENT lvaClientDisconnected /,/^SDESC/p' "$tmp/snmptt" >"$tmp/found"
    cat >"$tmp/expected" <<END
EVENT lvaClientDisconnected .$other.0.7 "Status Events" Informational
FORMAT \$1: server \$2: client gone (\$3 \$4, \$5)
REGEX (: client gone \x281 )(: client gone (unix )
REGEX (: client gone \x282 )(: client gone (tcp )
REGEX (: client gone \x283 )(: client gone (tls )
REGEX (, 1\x29\$)(, client))
REGEX (, 2\x29\$)(, administrator))
REGEX (, 3\x29\$)(, keepalive))
REGEX (, 4\x29\$)(, protocolError))
REGEX (, 5\x29\$)(, authFailure))
REGEX (, 6\x29\$)(, shutdown))
REGEX (, 7\x29\$)(, unknown))
SDESC
END
    diff -u "$tmp/expected" "$tmp/found" >"$tmp/why"
    ok 'an event of snmptt with two enumerations' $?
    mkmib --root=$other --interface | sed -n 's/^0\.[0-9]* \(lva[A-Za-z]*\) notification: .*/\1/p' \
        >"$tmp/expected"
    sed -n 's/^EVENT \([^ ]*\) .*/\1/p' "$tmp/snmptt" >"$tmp/found"
    diff -u "$tmp/expected" "$tmp/found" >"$tmp/why"
    ok 'each notification is an event of snmptt' $?
    # What is over is Normal, and what is not, is not: receivers clear alarms by that.
    sed -n 's/^EVENT \([^ ]*\) .* Normal$/\1/p' "$tmp/snmptt" | tr '\n' ' ' >"$tmp/found"
    echo 'lvaClientsNormal lvaUnauthNormal lvaWorkersAvailable lvaDaemonReachable lvaUpstreamUp ' |
        tr -d '\n' >"$tmp/expected"
    diff -u "$tmp/expected" "$tmp/found" >"$tmp/why"
    ok 'the events that end an alarm' $?
    mkmib --root=$other --events >"$tmp/events" 2>"$tmp/why"
    printf 'event\t.%s\tlvaConfigChanged\tInformational\t%s\n' $other.0.10 \
        '%1: configuration %2 in force (origin %3)' >"$tmp/expected"
    grep lvaConfigChanged "$tmp/events" | diff -u "$tmp/expected" - >"$tmp/why"
    ok 'an event of the list' $?
    printf 'label\t.%s\t%s\n' $other.1.6.1.3 "1	unix" $other.1.6.1.3 "2	tcp" $other.1.6.1.3 "3	tls" \
        >"$tmp/expected"
    grep "\.$other.1.6.1.3	" "$tmp/events" | diff -u "$tmp/expected" - >"$tmp/why"
    ok 'labels of the list' $?
}

# annotation SCRIPT REASON: refused, after sed has changed the comments of a notification
annotation() {
    sed "/^lvaClientsFull NOT/,/::=/{$1;}" "$source" >"$tmp/bad.in"
    ! cmp -s "$source" "$tmp/bad.in"
    ok "the script alters something: $1" $?
    line=$(grep -n '^lvaClientsFull NOT' "$tmp/bad.in" | sed 's/:.*//')
    "${PERL:-perl}" "$top/mib/mkmib.pl" --root=$other --snmptt "$tmp/bad.in" >"$tmp/found" 2>"$tmp/why"
    status=$?
    [ $status -eq 1 ] && grep -qxF "$tmp/bad.in:$line: lvaClientsFull: $2" "$tmp/why"
    ok "refused: $2" $?
}

annotations() {
    annotation '/--#SUMMARY/d' 'one annotation --#SUMMARY is needed'
    annotation '/--#SEVERITY/p' 'one annotation --#SEVERITY is needed'
    annotation 's/--#SEVERITY MAJOR/--#SEVERITY RED/' '--#SEVERITY RED is unknown'
    annotation 's/--#TYPE "lva/--#TYPE "x/' '--#TYPE xClientsFull is another name'
    annotation 's/{0,1,2,3}/{0,1,2}/' '--#SUMMARY has not one %s for each of --#ARGUMENTS'
    annotation 's/{0,1,2,3}/{0,1,2,4}/' '--#ARGUMENTS: there is no object 4'
    annotation 's/%s clients/%d clients/' '--#SUMMARY: % is there for %s alone, and $ for nothing'
}

prometheus() {
    for form in generator generator-before-0.23 snmp snmp-before-0.23; do
        root_moves "prometheus/$form.yml" --prometheus=$form
    done
    mkmib --root=$other --prometheus=influx >"$tmp/found" 2>"$tmp/why"
    [ $? -eq 1 ] && grep -q '^influx is not one of generator, ' "$tmp/why"
    ok 'a form that Prometheus does not have' $?
}

placeholders() {
    fills 'x @oid:lvaServerName@.2 y' "x $other.1.4.1.2.2 y"
    fills '@oidre:lvaClientsFull@' '1\.3\.6\.1\.4\.1\.55555\.8\.0\.1'
    fills '@oid:lvaMIB@ @oid:lvaObjects@' "$other $other.1"
    fills 'mail to a@example.org or b@example.org: thanks' 'mail to a@example.org or b@example.org: thanks'
    fills '@labels:lvaDaemonState@- @value@=@label@' '- 1=up
- 2=unreachable'
    fills '@labels:LvaTransport@@label@ @oid:lvaMIB@' "unix $other
tcp $other
tls $other"
    fills '@yaml:lvaConfigLock@' \
        "$(mkmib --interface >/dev/null && sed -n '/^lvaConfigLock/,/^::=\|^ *::=/p' "$source" |
            tr -s ' \n' ' ' | sed 's/.*DESCRIPTION "\([^.]*\.\).*/"\1"/')"
    printf '%s\n' '@uuid:a@' '@uuid:b@' '@uuid:a@' >"$tmp/template"
    mkmib --root=$other --fill="$tmp/template" >"$tmp/found" 2>"$tmp/why"
    [ "$(grep -cx '[0-9a-f]\{12\}4[0-9a-f]\{3\}[89ab][0-9a-f]\{15\}' "$tmp/found")" = 3 ] &&
        [ "$(sort -u "$tmp/found" | wc -l)" = 2 ]
    ok 'UUIDs: their form, the same for the same text' $?
    refuses '@oid:lvaNothing@' 'lvaNothing is not in the MIB'
    fills '@label:lvaDaemonState unreachable@ @label:LvaTransport tls@' 'unreachable tls'
    refuses '@label:lvaDaemonState down@' 'lvaDaemonState has no label down'
    refuses '@label:lvaServerName x@' 'lvaServerName has no labels'
    refuses '@oidre:@' ' is not in the MIB'
    refuses '@labels:lvaServerName@ x' 'lvaServerName has no labels'
    fills '@objects:accessible-for-notify@- .@oid:@name@@ @name@' \
        "- .$other.1.6.1.24 lvaClientDisconnectReason"
    refuses '@objects:read-never@ x' 'no object has the access read-never'
    refuses '@labels:nothing@ x' 'nothing is not in the MIB'
    refuses '@iod:lvaServerName@' '@iod:lvaServerName@ is not a placeholder'
    mkmib --root=$other --fill="$tmp/absent" >"$tmp/found" 2>"$tmp/why"
    [ $? -eq 1 ] && grep -q "^$tmp/absent: " "$tmp/why"
    ok 'a template that is not there' $?
}

templates
notifications
annotations
prometheus
placeholders
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
