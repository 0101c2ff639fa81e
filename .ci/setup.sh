# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by ./quickstart, ./run-tests and .ci/run: packages and builds. POSIX shell.
# Expects $top, the root of the tree.

# What the build needs, and what the private daemons and the tests need beyond it.
packages_build="autoconf automake libtool make gcc libc6-dev pkg-config perl rpcsvc-proto \
    libglib2.0-dev libtirpc-dev libsnmp-dev libsystemd-dev libselinux1-dev check"
packages_run="snmp snmpd snmptrapd libvirt-daemon libvirt-clients python3 util-linux procps"
packages_test="clang libclang-rt-14-dev clang-format smitools strace valgrind xz-utils git ca-certificates"

say() {
    printf '%s\n' "$*"
}

step() {
    printf '\n== %s\n' "$*"
}

missing_packages() {
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

# No service is started because its package came with ours: a temporary policy-rc.d says no,
# unless the system has a policy of its own.
forbid_services() {
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && return
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

allow_services() {
    [ "${policy:-}" ] && grep -qx 'exit 101' "$policy" 2>/dev/null && rm -f "$policy"
    trap - EXIT INT TERM
}

# One line for each package as it is unpacked and set up, numbered, so that a slow mirror can be
# told from a hang; everything is in the log.
install_packages() {
    want=$(missing_packages "$@")
    if [ -z "$want" ]; then
        say "all packages are there"
        return 0
    fi
    if [ "$(id -u)" != 0 ]; then
        say "missing packages: $want"
        say "install them as root:  apt-get install --no-install-recommends $want"
        return 1
    fi
    log=${TMPDIR:-/tmp}/virtadm-install.$$.log
    forbid_services
    say "installing: $want"
    say "(log: $log)"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update >"$log" 2>&1 || say "apt-get update failed; going on with the lists there are"
    { apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 install $want 2>&1; echo "status $?"; } |
        tee -a "$log" |
        awk '/newly installed/ { total = $3; print "   " $0 }
             /^Get:/ { printf "   fetching %s\n", $5 }
             /^Setting up / { n++; printf "   [%d of %s] %s\n", n, total, $3 }
             /^E:/ { print "   " $0 }
             { fflush() }'
    allow_services
    if ! grep -q '^status 0$' "$log"; then
        say "the installation failed; the end of $log:"
        tail -n 15 "$log"
        return 1
    fi
    rm -f "$log"
}

# build DIR CONFIGURE-ARGUMENTS...: configures once (again when the arguments change), then makes.
build() {
    dir=$1
    shift
    [ -x "$top/configure" ] && [ "$top/configure" -nt "$top/configure.ac" ] ||
        (cd "$top" && ./autogen.sh >"$top/autogen.log" 2>&1) ||
        { tail -n 20 "$top/autogen.log"; return 1; }
    mkdir -p "$dir" || return 1
    if [ ! -f "$dir/Makefile" ] || [ "$(cat "$dir/configure.args" 2>/dev/null)" != "$*" ]; then
        say "configure $*"
        (cd "$dir" && "$top/configure" -q "$@" >configure.out 2>&1) ||
            { tail -n 20 "$dir/configure.out"; return 1; }
        printf '%s' "$*" >"$dir/configure.args"
    fi
    make -C "$dir" -j"$(nproc)" --no-print-directory || return 1
}
