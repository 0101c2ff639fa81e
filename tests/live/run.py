#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the live tests: run.py [NAME ...], each NAME a test_NAME.py, its class or method as
unittest spells it. A missing tool is a failure. Tests that need root are left out for another
user, and say so; in CI that is a failure, too."""

import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import harness


class Result(unittest.TextTestResult):
    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.stream.writeln(f"   {time.monotonic() - self.began:.1f} s")


def main():
    harness.end_in_order()
    names = sys.argv[1:]
    loader = unittest.defaultTestLoader
    if names:
        suite = loader.loadTestsFromNames(
            [name if name.startswith("test_") else "test_" + name for name in names])
    else:
        suite = loader.discover(HERE, "test_*.py")
    runner = unittest.TextTestRunner(verbosity=2, resultclass=Result, stream=sys.stdout)
    result = runner.run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    left_out = len(result.skipped)
    passed = max(result.testsRun - failed - left_out, 0)
    if left_out:
        print(f"{left_out} left out: they need root")
    if os.environ.get("CI"):
        failed += left_out
    if result.testsRun == 0:
        failed += 1
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
