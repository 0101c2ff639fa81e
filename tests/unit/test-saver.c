/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit.h"

#include "common/lock.h"
#include "daemon/saver.h"

#define PATIENCE (30 * G_USEC_PER_SEC)
#define JOBS     1000

typedef struct {
    VadmMutex lock;
    VadmCond cond;
    GArray *order; /* of guint */
    gboolean hold; /* the job that waits goes on when it is FALSE */
    gboolean holding;
} Notes;

typedef struct {
    Notes *notes;
    guint number;
} Job;

static Notes notes;
static VadmSaver *saver;

static void
setup(void)
{
    notes = (Notes){.order = g_array_new(FALSE, FALSE, sizeof(guint))};
    vadm_mutex_init(&notes.lock);
    vadm_cond_init(&notes.cond);
    saver = vadm_saver_new(NULL);
    ck_assert_ptr_nonnull(saver);
}

static void
teardown(void)
{
    if (saver)
        ck_assert(vadm_saver_stop(saver, PATIENCE));
    g_array_unref(notes.order);
    vadm_cond_clear(&notes.cond);
    vadm_mutex_clear(&notes.lock);
}

static void
note(gpointer data)
{
    guint number = GPOINTER_TO_UINT(data);
    VADM_LOCK_SCOPE(&notes.lock);

    g_array_append_val(notes.order, number);
}

static void
hold(gpointer data)
{
    (void)data;
    vadm_mutex_lock(&notes.lock);
    notes.holding = TRUE;
    vadm_cond_signal(&notes.cond);
    while (notes.hold)
        vadm_cond_wait(&notes.cond, &notes.lock);
    vadm_mutex_unlock(&notes.lock);
}

static void
start_holding(void)
{
    notes.hold = TRUE;
    vadm_saver_submit(saver, hold, NULL);
    vadm_mutex_lock(&notes.lock);
    while (!notes.holding)
        vadm_cond_wait(&notes.cond, &notes.lock);
    vadm_mutex_unlock(&notes.lock);
}

static void
let_go(void)
{
    VADM_LOCK_SCOPE(&notes.lock);

    notes.hold = FALSE;
    vadm_cond_signal(&notes.cond);
}

static void
note_and_submit(gpointer data)
{
    note(data);
    vadm_saver_submit(saver, note, GUINT_TO_POINTER(GPOINTER_TO_UINT(data) + 1));
}

START_TEST(jobs_run_once_and_in_order)
{
    for (guint i = 0; i < JOBS; i++)
        vadm_saver_submit(saver, note, GUINT_TO_POINTER(i));
    ck_assert(vadm_saver_stop(saver, PATIENCE));
    saver = NULL;
    ck_assert_uint_eq(notes.order->len, JOBS);
    for (guint i = 0; i < JOBS; i++)
        ck_assert_uint_eq(g_array_index(notes.order, guint, i), i);
}
END_TEST

START_TEST(idle_means_that_nothing_is_under_way)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;

    ck_assert(vadm_saver_is_idle(saver));
    start_holding();
    ck_assert(!vadm_saver_is_idle(saver));
    vadm_saver_submit(saver, note, NULL);
    let_go();
    while (!vadm_saver_is_idle(saver))
        ck_assert_int_lt(g_get_monotonic_time(), deadline);
    ck_assert_uint_eq(notes.order->len, 1);
}
END_TEST

START_TEST(a_job_may_bring_another_at_the_end)
{
    start_holding();
    vadm_saver_submit(saver, note_and_submit, GUINT_TO_POINTER(7));
    ck_assert(!vadm_saver_stop(saver, 1000));
    let_go();
    ck_assert(vadm_saver_stop(saver, PATIENCE));
    saver = NULL;
    ck_assert_uint_eq(notes.order->len, 2);
    ck_assert_uint_eq(g_array_index(notes.order, guint, 1), 8);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("saver");
    TCase *tc = tcase_create("saver");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, jobs_run_once_and_in_order);
    tcase_add_test(tc, idle_means_that_nothing_is_under_way);
    tcase_add_test(tc, a_job_may_bring_another_at_the_end);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
