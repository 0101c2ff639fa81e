#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests of libvirtadm.so as programs see it: it is installed into a temporary folder, and programs are
# compiled with what pkg-config says. What it exports; that the headers stand by themselves, and
# that they and the library are what those of libvirt are; that both can be in one process.
# Run by "make check", in the build folder. Fails when a tool is missing and CI=true.
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
. "$here/count.sh"

# missing NAME CHECK...: says that it is not there; TRUE when it is missing
missing() {
    name=$1
    shift
    "$@" >/dev/null 2>&1 && return 1
    echo "$name is not installed: its tests are left out"
    [ "${CI:-}" != true ] || ok "CI has $name" 1
    return 0
}

# made NAME: what ./configure has found
made() { sed -n "s/^$1 = //p" Makefile; }

# set where libdir may refer to them
prefix=$(made prefix)
eval "exec_prefix=$(made exec_prefix)"
eval "libdir=$(made libdir)"
: "$prefix" "$exec_prefix"
cc=$(made CC)
cxx=${CXX:-g++}
sanitizers=$(made SAN_CFLAGS)
pkg_config=$(made PKG_CONFIG)
warnings="-Wall -Wextra -Wstrict-prototypes -Werror"

# ours ARGUMENT...: pkg-config for the library in $tmp/root
ours() {
    PKG_CONFIG_SYSROOT_DIR=$tmp/root PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
        PKG_CONFIG_LIBDIR="$tmp/root$libdir/pkgconfig" "$pkg_config" "$@" libvirtadm
}

# run PROGRAM ARGUMENT...: with the library in $tmp/root
run() {
    LD_LIBRARY_PATH="$tmp/root$libdir" "$@"
}

install_library() {
    # with no part in the jobs of the make that runs this
    MAKEFLAGS='' "${MAKE:-make}" DESTDIR="$tmp/root" install-libLTLIBRARIES \
        install-virtadmincludeHEADERS install-nodist_pkgconfigDATA >"$tmp/why" 2>&1
    ok 'it can be installed' $?
    [ "$failed" -eq 0 ] || exit 1
    library=$tmp/root$libdir/libvirtadm.so.0
    cflags=$(ours --cflags)
    libs=$(ours --libs)
    [ -f "$library" ] && [ -n "$cflags" ] && [ -n "$libs" ]
    ok "pkg-config: '$cflags' '$libs'" $?
    [ "$(ours --modversion)" = "$(made PACKAGE_VERSION)" ]
    ok 'pkg-config has the version' $?
}

test_symbols() {
    grep -v '^#' "$here/library-symbols.txt" >"$tmp/expected"
    nm -D --defined-only "$library" | sed -n 's/.* [TDBRVW] \(.*\)@@VIRTADM_.*/\1/p' >"$tmp/found"
    same 'it exports what library-symbols.txt lists' "$tmp/expected" "$tmp/found"
    # whatever its kind and version
    nm -D --defined-only "$library" | sed 's/.* //; s/@.*//' |
        grep -vxFf "$tmp/expected" | grep -v '^VIRTADM_' >"$tmp/why"
    empty 'it exports nothing else'
    # calls of its own functions that another library could catch, and such addresses
    { nm -D --undefined-only "$library"; readelf -rW "$library"; } |
        grep -E '[ @](vir[A-Z]|vadm_|xdr_vadm_)' >"$tmp/why"
    empty 'what it has itself it does not look for elsewhere'
    for header in "$here"/../../lib/public/libvirt/*.h; do
        sed -n 's/^[a-z].*[ *]\(vir[A-Za-z]*\)(.*/\1/p' "$header"
    done | sort -u >"$tmp/found"
    LC_ALL=C sort "$tmp/expected" >"$tmp/sorted"
    same 'the headers declare what it exports' "$tmp/sorted" "$tmp/found"
}

# Each by itself, in any order, twice, in all kinds of C, with more warnings than one would use.
test_headers() {
    for header in libvirt-admin virterror; do
        other=$([ $header = virterror ] && echo libvirt-admin || echo virterror)
        {
            printf '#include <libvirt/%s.h>\n' $header $other $header
            echo 'int main(void) { return virGetLastErrorCode() + virAdmInitialize(); }'
        } >"$tmp/header.c"
        for standard in c99 c11 gnu17; do
            # shellcheck disable=SC2086
            $cc -std=$standard $warnings -Wpedantic $cflags -fsyntax-only "$tmp/header.c" >"$tmp/why" 2>&1
            ok "$header.h is $standard" $?
        done
        missing "$cxx" "$cxx" --version && continue
        # shellcheck disable=SC2086
        "$cxx" -Wall -Wextra -Wpedantic -Werror $cflags -fsyntax-only -x c++ "$tmp/header.c" \
            >"$tmp/why" 2>&1
        ok "$header.h is C++" $?
    done
    echo '#include <libvirt/libvirt-common.h>' >"$tmp/header.c"
    # shellcheck disable=SC2086
    ! $cc $cflags -fsyntax-only "$tmp/header.c" 2>"$tmp/why"
    ok 'libvirt-common.h is not for programs' $?
}

# constants CFLAG...: NAME=VALUE of all constants that libvirt's three headers have
constants() {
    {
        echo '#define VIR_ENUM_SENTINELS'
        echo '#include <libvirt/libvirt-admin.h>'
        echo '#include <libvirt/virterror.h>'
        echo '#include <stdio.h>'
        printf '%s\n' 'static void text(const char *n, const char *v) { printf("%s=%s\n", n, v); }' \
            'static void number(const char *n, long v) { printf("%s=%ld\n", n, v); }'
        echo '#define SHOW(name) _Generic((name), char *: text, default: number)(#name, name)'
        echo 'int main(void) {'
        sed 's/.*/SHOW(&);/' "$tmp/names"
        echo 'return 0; }'
    } >"$tmp/constants.c"
    # shellcheck disable=SC2086
    $cc "$@" -o "$tmp/constants" "$tmp/constants.c" && "$tmp/constants"
}

# prototypes CFLAG...: of what our headers declare, without names of arguments
prototypes() {
    printf '#include <libvirt/%s.h>\n' libvirt-admin virterror >"$tmp/prototypes.c"
    gcc "$@" -aux-info "$tmp/aux" -fsyntax-only "$tmp/prototypes.c" || return 1
    sed -n 's/^.*\*\/ extern \(.*\bvir[A-Z][A-Za-z]* (.*\);.*/\1/p' "$tmp/aux" |
        grep -wFf "$tmp/expected" | sort
}

test_against_libvirt() {
    missing libvirt-dev "$pkg_config" libvirt-admin && return
    theirs=$("$pkg_config" --cflags libvirt-admin)
    folder=$("$pkg_config" --variable=includedir libvirt-admin)/libvirt

    cat "$folder/libvirt-admin.h" "$folder/libvirt-common.h" "$folder/virterror.h" |
        grep -oE '\bVIR_[A-Z0-9_]+\b' | sort -u |
        grep -vE '^VIR_(DEPRECATED|EXPORT_VAR|ENUM_SENTINELS|ERR_NUMBER_LAST)$' >"$tmp/all"
    # what a libvirt has added that is later than the one our headers follow is not in them
    later=$("$pkg_config" --atleast-version=11.2.1 libvirt-admin && echo yes)
    cat "$here"/../../lib/public/libvirt/*.h | grep -oE '\bVIR_[A-Z0-9_]+\b' | sort -u >"$tmp/known"
    if [ -n "$later" ]; then
        grep -xFf "$tmp/known" "$tmp/all" | grep -v '_LAST$' >"$tmp/names"
    else
        cp "$tmp/all" "$tmp/names"
    fi
    # shellcheck disable=SC2086
    {
        constants $theirs >"$tmp/theirs" 2>"$tmp/why" && constants $cflags >"$tmp/found" 2>"$tmp/why"
    }
    ok 'constants can be compared' $?
    same 'constants are those of libvirt' "$tmp/theirs" "$tmp/found"
    [ "$(wc -l <"$tmp/found")" -gt 220 ]
    ok "all constants: $(wc -l <"$tmp/found")" $?

    if ! missing gcc gcc --version; then
        # shellcheck disable=SC2086
        { prototypes $theirs >"$tmp/theirs" && prototypes $cflags >"$tmp/found"; } 2>"$tmp/why"
        ok 'prototypes can be compared' $?
        # libvirt has them later, or never
        grep -vE 'LoggingLevel|DaemonShutdown' "$tmp/found" >"$tmp/found2"
        grep -vE 'LoggingLevel|DaemonShutdown' "$tmp/theirs" >"$tmp/theirs2"
        same 'prototypes are those of libvirt' "$tmp/theirs2" "$tmp/found2"
        [ "$(wc -l <"$tmp/found2")" -gt 60 ]
        ok "all prototypes: $(wc -l <"$tmp/found2")" $?
    fi

    # shellcheck disable=SC2086,SC2046
    {
        $cc $sanitizers $warnings $cflags -o "$tmp/probe-ours" "$here/library-probe.c" $libs \
            -pthread 2>"$tmp/why" &&
            $cc $warnings -o "$tmp/probe-theirs" "$here/library-probe.c" \
                $("$pkg_config" --cflags --libs libvirt-admin libvirt) -pthread 2>"$tmp/why"
    }
    ok 'one program compiles with both' $?
    "$tmp/probe-theirs" >"$tmp/raw" 2>&1
    ok "it runs with libvirt's" $?
    # newer ones of libvirt count in the formats that they tell
    sed 's/%1\$s/%s/g' "$tmp/raw" >"$tmp/theirs"
    run "$tmp/probe-ours" >"$tmp/found" 2>&1
    ok 'it runs with ours' $?
    same 'it writes the same' "$tmp/theirs" "$tmp/found"
    [ "$(wc -l <"$tmp/found")" -gt 2000 ]
    ok "all of it: $(wc -l <"$tmp/found") lines" $?
}

# coexist NAME MODE ARGUMENT...: compiled with these arguments, run with MODE
coexist() {
    name=$1
    mode=$2
    shift 2
    # shellcheck disable=SC2086
    $cc $sanitizers $warnings $cflags $("$pkg_config" --cflags libvirt) \
        -o "$tmp/coexist" "$here/library-coexist.c" "$@" -ldl -pthread 2>"$tmp/why" &&
        run "$tmp/coexist" "$mode" >"$tmp/why" 2>&1
    ok "$name" $?
}

test_coexistence() {
    missing libvirt-dev "$pkg_config" libvirt && return
    first=-Wl,--no-as-needed
    # shellcheck disable=SC2046,SC2086
    coexist 'linked with libvirt.so, then ours' linked $first $("$pkg_config" --libs libvirt) $libs
    # shellcheck disable=SC2046,SC2086
    coexist 'linked with ours, then libvirt.so' linked $first $libs $("$pkg_config" --libs libvirt)
    coexist 'libvirt.so loaded, then ours' libvirt-first
    coexist 'ours loaded, then libvirt.so' libvirtadm-first
}

install_library
test_symbols
test_headers
test_against_libvirt
test_coexistence
echo "test-library: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
