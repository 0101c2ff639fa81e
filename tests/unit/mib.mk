# SPDX-License-Identifier: LGPL-2.1-or-later
TESTS += tests/unit/test-mib.sh
EXTRA_DIST += tests/unit/test-mib.sh tests/unit/mib-interface.txt
