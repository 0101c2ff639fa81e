# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by ./quickstart, ./run-tests and .ci/run: packages and builds. POSIX shell.
# Expects $top, the root of the tree.

# What the build needs; beyond it what the private daemons need, what the tests use, what
# the complete ./run-tests uses, and what ./run-tests --noc uses.
packages_build="autoconf automake libtool make gcc libc6-dev pkg-config perl rpcsvc-proto \
    libglib2.0-dev libtirpc-dev libsnmp-dev libsystemd-dev libsasl2-dev libcap-ng-dev \
    libgnutls28-dev check"
packages_run="snmp snmpd snmptrapd libvirt-daemon libvirt-clients python3 util-linux \
    glib-networking"
packages_unit="smitools strace gnutls-bin libvirt-dev sasl2-bin libsasl2-modules libsasl2-modules-db \
    libsasl2-modules-gssapi-mit krb5-kdc krb5-admin-server krb5-user"
# Debian 13 has libvirtd's storage driver and virtlockd in packages of their own (virtlogd comes with
# libvirt-daemon).
case "$(. /etc/os-release 2>/dev/null; echo "${VERSION_ID:-}")" in
12 | 12.*) ;;
*)
    packages_run="$packages_run libvirt-daemon-driver-storage"
    packages_unit="$packages_unit libvirt-daemon-lock"
    ;;
esac
# llvm: without its symbolizer, the names in tests/tsan.supp match nothing
packages_test="clang libclang-rt-dev llvm clang-format xz-utils"
# the monitoring systems, a browser to look at them, and what makes and installs packages
packages_noc="zabbix-server-pgsql zabbix-frontend-php php-cli php-pgsql postgresql locales \
    fonts-dejavu-core prometheus prometheus-snmp-exporter nagios4-core nagios4-cgi \
    php-cgi icinga2-bin icinga2-common monitoring-plugins-basic monitoring-plugins-standard \
    snmptt libnet-ip-perl \
    libsnmp-perl chromium chromium-driver python3-selenium python3-yaml \
    build-essential dpkg-dev debhelper lintian fakeroot debootstrap systemd-container"

# Debian gives a user no sbin, and a root that came by su without - neither: dpkg needs it.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
# a locale that every Debian has: texts of tools are read here and compared by tests
LC_ALL=C.UTF-8
export LC_ALL
unset LANGUAGE

say() {
    printf '%s\n' "$*"
}

# With the time since the start, which shows what a run spends it on.
began=$(date +%s)
step() {
    now=$(($(date +%s) - began))
    printf '\n== %s (at %d:%02d)\n' "$*" $((now / 60)) $((now % 60))
}

missing_packages() {
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

# No service is started because its package came with ours: a temporary policy-rc.d says no,
# unless the system has a policy of its own.
policy=/usr/sbin/policy-rc.d
policy_text='#!/bin/sh
# temporary, by the installation of the packages for virtadm
exit 101'

forbid_services() {
    # one that was left by a run that was killed is ours, too
    [ ! -e "$policy" ] || [ "$(cat "$policy")" = "$policy_text" ] || return 0
    trap allow_services EXIT
    trap 'rm -f "$log"; exit 129' HUP
    trap 'rm -f "$log"; exit 130' INT
    trap 'rm -f "$log"; exit 143' TERM
    printf '%s\n' "$policy_text" >"$policy" && chmod 755 "$policy"
}

allow_services() {
    [ "$(cat "$policy" 2>/dev/null)" = "$policy_text" ] && rm -f "$policy"
    trap - EXIT HUP INT TERM
}

# What apt says, as one line for each step of each package, so that a slow mirror can be told from
# a hang. (The shell reads line by line; awk would wait for a block.)
progress() {
    total='?' fetched=0 unpacked=0 set_up=0
    while read -r word rest; do
        case "$word $rest" in
        *' newly installed,'*)
            total=${rest%% newly installed*}
            total=${total##* }
            ;;
        Get:*)
            fetched=$((fetched + 1))
            rest=${rest#* * * }
            say "   [$fetched of $total] fetching ${rest%% *}"
            ;;
        'Unpacking '*)
            unpacked=$((unpacked + 1))
            say "   [$unpacked of $total] unpacking ${rest%% *}"
            ;;
        'Setting up '*)
            set_up=$((set_up + 1))
            rest=${rest#up }
            say "   [$set_up of $total] setting up ${rest%% *}"
            ;;
        E:*) say "   $word $rest" ;;
        esac
    done
}

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
    log=$(mktemp "${TMPDIR:-/tmp}/virtadm-install.XXXXXX") || return 1
    forbid_services
    say "installing: $want"
    say "(log: $log)"
    say "   reading the lists of packages"
    apt-get -q update >"$log" 2>&1 || say "   apt-get update failed; going on with the lists there are"
    # ends what an interrupted installation left half done; apt does nothing before that
    DEBIAN_FRONTEND=noninteractive dpkg --configure -a >>"$log" 2>&1
    {
        DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
            -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install $want 2>&1
        echo "status $?"
    } | tee -a "$log" | progress
    allow_services
    if ! grep -q '^status 0$' "$log"; then
        say "the installation failed; the end of $log:"
        tail -n 15 "$log"
        return 1
    fi
    rm -f "$log"
}

# autoreconf makes configure before the rest: what it did not end, it has not done.
prepare() {
    [ "$top/configure.stamp" -nt "$top/configure.ac" ] && [ -x "$top/configure" ] && return 0
    # a release comes with all of it
    [ ! -e "$top/configure.stamp" ] && [ -x "$top/configure" ] && [ ! -e "$top/.git" ] && return 0
    say "autogen.sh"
    rm -f "$top/configure.stamp"
    (cd "$top" && ./autogen.sh) >"$top/autogen.log" 2>&1 && : >"$top/configure.stamp" ||
        { tail -n 20 "$top/autogen.log"; return 1; }
}

# build DIR CONFIGURE-ARGUMENTS...: configures once (again when the arguments change), then makes.
build() {
    dir=$1
    shift
    case $top in
    *[[:space:]]*)
        say "the folder is called '$top': autoconf and make cannot build where a name has blanks"
        return 1
        ;;
    esac
    prepare && mkdir -p "$dir" || return 1
    if [ ! -f "$dir/Makefile" ] || [ "$(cat "$dir/configure.args" 2>/dev/null)" != "configure $*" ]; then
        say "configure $*"
        rm -f "$dir/configure.args"
        (cd "$dir" && "$top/configure" -q "$@" >configure.out 2>&1) ||
            { tail -n 20 "$dir/configure.out"; return 1; }
        printf 'configure %s' "$*" >"$dir/configure.args"
    fi
    make -C "$dir" -j"$(nproc)" --no-print-directory
}
