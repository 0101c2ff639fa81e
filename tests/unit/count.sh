# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by the tests that are shell scripts, which have set $here: results are counted, $tmp is a
# folder that goes at the end. In $tmp/why is what is shown of a test that fails.
passed=0
failed=0

tmp=$(mktemp -d "${TMPDIR:-/tmp}/$(basename "$0" .sh).XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

# ok NAME STATUS: counts a result; $tmp/why, if it has something, is shown for a failure.
ok() {
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1"
        [ ! -s "$tmp/why" ] || sed 's/^/    /' "$tmp/why" | head -n 20
    fi
    rm -f "$tmp/why"
}

# empty NAME: $tmp/why should be empty. (Not the end of a pipe: that is a process of its own, and
# what it counts is lost.)
empty() {
    [ ! -s "$tmp/why" ]
    ok "$1" $?
}

# same NAME EXPECTED FOUND: two files
same() {
    diff -u "$2" "$3" >"$tmp/why" 2>&1
    ok "$1" $?
}
