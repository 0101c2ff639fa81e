/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every unit test's main() does. VADM_TEST_TIMEOUT stretches Check's time limits. */
#ifndef VADM_TESTS_UNIT_H
#define VADM_TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

static inline int
vadm_unit_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
