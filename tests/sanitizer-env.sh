#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs a test with options for the sanitizers; they are ignored by a build without.
here=$(cd "$(dirname "$0")" && pwd)
export ASAN_OPTIONS="abort_on_error=1:detect_leaks=1:strict_string_checks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export LSAN_OPTIONS="suppressions=$here/lsan.supp:print_suppressions=0"
export UBSAN_OPTIONS="print_stacktrace=1"
# By default each process that ends sleeps for a second first, and each test is a process.
export TSAN_OPTIONS="suppressions=$here/tsan.supp:halt_on_error=1:second_deadlock_stack=1:atexit_sleep_ms=50"
# Check's limit of 4 seconds is there to end a hang, not to measure a busy machine.
export CK_DEFAULT_TIMEOUT=60 CK_TIMEOUT_MULTIPLIER=3
# GLib's own slice allocator hides errors from the sanitizers.
export G_SLICE=always-malloc
exec "$@"
