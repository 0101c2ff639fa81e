/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What clients can make the relay log, as often as they like: the server bounds the lines. Here it
 * wants none (relay-fixture.c). */
#include "common/log.h"
#include "relay-fixture.h"

/* One that lets no warning through, and counts those that it has held back. */
static VadmLog *
log_begin(void)
{
    VadmLog *log = vadm_log_new("unit", "1");
    VadmLogSet *set = vadm_log_set_new(log, VADM_LOG_ERROR, NULL, "4:stderr", NULL, NULL, NULL);

    ck_assert_ptr_nonnull(set);
    vadm_log_install(log, set);
    vadm_log_set_unref(set);
    vadm_log_set_default(log);
    return log;
}

/* Returns: how many warnings there were */
static guint64
log_end(VadmLog *log)
{
    VadmLogStats stats;

    vadm_log_set_default(NULL);
    vadm_log_get_stats(log, VADM_LOG_WARN, &stats);
    vadm_log_free(log, G_USEC_PER_SEC);
    return stats.filtered;
}

START_TEST(test_forged_identities)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    VadmLog *log = log_begin();

    for (guint i = 0; i < 100; i++)
        client_call(client, VADM_REMOTE_PROC_CONNECT_SET_IDENTITY, i, NULL, 0);
    assert_error(client_at(client, 99), 99, VADM_VIR_ERR_ACCESS_DENIED, "identity");
    ck_assert_uint_eq(relay_complaints(relay), 100);
    ck_assert_uint_eq(log_end(log), 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* Each call tries again, and fails at once. */
START_TEST(test_upstream_is_away)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new(relay, FALSE);
    VadmLog *log = log_begin();

    for (guint i = 0; i < 100; i++)
        client_call(client, PROC_VERSION, i, NULL, 0);
    client_at(client, 99);
    ck_assert_uint_gt(relay_complaints(relay), 0);
    ck_assert_uint_eq(log_end(log), 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

void
test_log_add(Suite *suite)
{
    TCase *tc = tcase_create("log");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_forged_identities);
    tcase_add_test(tc, test_upstream_is_away);
    suite_add_tcase(suite, tc);
}
