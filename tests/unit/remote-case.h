/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of test programs of the remote source that want a bed of their own for each test. */
#ifndef VADM_TESTS_REMOTE_CASE_H
#define VADM_TESTS_REMOTE_CASE_H

#include "remote-fixture.h"

static Bed *bed;
static FakeServer *libvirtd G_GNUC_UNUSED; /* of the bed's daemon */

static void
setup(void)
{
    bed = bed_new();
    libvirtd = fake_find_server(bed->fake, "libvirtd");
}

static void
teardown(void)
{
    g_clear_pointer(&bed, bed_free);
}

/* Returns: (transfer full): to which tests in a loop are added */
static TCase *
remote_case_new(const char *name, const TTest *const *tests, gsize n_tests)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 180);
    for (gsize i = 0; i < n_tests; i++)
        tcase_add_test(tc, tests[i]);
    return tc;
}

/* @tc: (transfer full). Returns: the exit status */
static int
remote_case_main(const char *name, TCase *tc)
{
    Suite *suite = suite_create(name);

    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}

#endif
