# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/faults.md: each test that it names is there."""

import glob
import os
import re
import unittest

import harness


def text_of(path):
    with open(path, encoding="utf-8") as text:
        return text.read()


class Table(unittest.TestCase):
    def test_names(self):
        unit, live = {}, {}
        for path in glob.glob(os.path.join(harness.SOURCE, "tests", "unit", "test-*.c")):
            unit[os.path.basename(path)[:-2]] = re.findall(r"START_TEST\((\w+)\)", text_of(path))
        for path in glob.glob(os.path.join(harness.SOURCE, "tests", "live", "test_*.py")):
            module = os.path.basename(path)[len("test_"):-len(".py")]
            live[module] = ()
            for name, body in re.findall(r"^class (\w+)\(.*\n((?:.+\n|\n)*?)(?=^\S|\Z)",
                                         text_of(path), re.M):
                tests = re.findall(r"def (test_\w+)\(", body)
                live[f"{module}.{name}"] = tests
                live.update((f"{module}.{name}.{test}", ()) for test in tests)
        every = {name for names in (*unit.values(), *live.values()) for name in names}
        table = text_of(os.path.join(harness.SOURCE, "docs", "faults.md"))
        rows = [row.split("|")[-2] for row in table.splitlines() if row.startswith("| ")]
        named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
        self.assertGreater(len(named), 100)
        for name in named:
            with self.subTest(name):
                program, _, test = name.partition(": ")
                if test:
                    self.assertIn(test, unit.get(program, ()))
                else:
                    self.assertTrue(name in unit or name in live or name in every)


if __name__ == "__main__":
    unittest.main()
