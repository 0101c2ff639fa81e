# SPDX-License-Identifier: LGPL-2.1-or-later
TESTS += tests/unit/test-links.pl tests/unit/test-mib.sh tests/unit/test-noc.sh
EXTRA_DIST += tests/unit/count.sh tests/unit/test-links.pl tests/unit/test-mib.sh tests/unit/test-noc.sh tests/unit/mib-interface.txt
