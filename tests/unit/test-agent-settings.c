/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is the agent's own: the lock, the last error, the settings of notifications; and views. */
#include <string.h>

#include <glib/gstdio.h>

#include "agent-fixture.h"
#include "agent/views.h"
#include "common/log.h"

static long
lock_value(void)
{
    return (long)vadm_settings_get(bed.settings).lock;
}

START_TEST(test_lock)
{
    long lock = lock_value();

    agent_add_long(&pdu, "1.2.1.0", ASN_INTEGER, lock);
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(lock_value(), (lock + 1) & 0x7fffffff);
    ck_assert_uint_eq(bed.fake->finished, 1);
    /* stale now: nothing of the PDU happens */
    pdu.transaction++;
    {
        guint at = 99;
        ck_assert_int_eq(agent_test_set(&bed, &pdu, &at), SNMP_ERR_INCONSISTENTVALUE);
        ck_assert_uint_eq(at, 0);
    }
    check_last_error("stale");
    ck_assert_uint_eq(bed.fake->committed, 1);
    ck_assert_uint_eq(bed.fake->open, 0);
}
END_TEST

START_TEST(test_lock_undone)
{
    long lock = lock_value();

    agent_add_long(&pdu, "1.2.1.0", ASN_INTEGER, lock);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_ACTION, NULL), 0);
    ck_assert_int_ne(lock_value(), lock);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_UNDO, NULL), 0);
    ck_assert_int_eq(lock_value(), lock);
    ck_assert_uint_eq(bed.fake->prepared, 0);
}
END_TEST

/* Only commit advances it: not prepare, nor what is given up before. */
START_TEST(test_lock_advances_at_commit)
{
    long lock = lock_value();

    agent_add_long(&pdu, "1.2.1.0", ASN_INTEGER, lock);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(lock_value(), lock);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_FREE, NULL), 0);
    ck_assert_int_eq(lock_value(), lock);
    pdu.transaction++;
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(lock_value(), (lock + 1) & VADM_LOCK_BOUND);
}
END_TEST

/* Two PDUs with the same value, prepared in turn: exactly one wins, whichever the master ends. */
START_TEST(test_lock_two_at_once)
{
    AgentPdu other = {.transaction = 8};
    long lock = lock_value();
    int first, second;

    agent_add_long(&pdu, "1.2.1.0", ASN_INTEGER, lock);
    agent_add_long(&other, "1.2.1.0", ASN_INTEGER, lock);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE1, NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &other, MODE_SET_RESERVE1, NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE2, NULL), 0);
    if (_i % 2) {
        first = agent_send(&bed, &pdu, MODE_SET_ACTION, NULL);
        second = agent_send(&bed, &other, MODE_SET_RESERVE2, NULL);
        ck_assert_int_eq(first, 0);
        ck_assert_int_eq(second, SNMP_ERR_INCONSISTENTVALUE);
    } else { /* the second puts the first aside, as a master does one SET at a time */
        ck_assert_int_eq(agent_send(&bed, &other, MODE_SET_RESERVE2, NULL), 0);
        first = agent_send(&bed, &pdu, MODE_SET_ACTION, NULL);
        second = agent_send(&bed, &other, MODE_SET_ACTION, NULL);
        ck_assert_int_eq(first, SNMP_ERR_COMMITFAILED);
        ck_assert_int_eq(second, 0);
    }
    ck_assert_int_eq(lock_value(), (lock + 1) & VADM_LOCK_BOUND);
    agent_pdu_clear(&other);
}
END_TEST

/* The same where the source takes its time for both. */
START_TEST(test_lock_two_deferred)
{
    AgentPdu other = {.transaction = 8};
    long lock = lock_value();
    AgentSent *first, *second;

    bed.fake->defer[FAKE_PREPARE] = bed.fake->defer[FAKE_COMMIT] = TRUE;
    agent_add_long(&pdu, "1.2.1.0", ASN_INTEGER, lock);
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    agent_add_long(&other, "1.2.1.0", ASN_INTEGER, lock);
    agent_add_long(&other, "1.4.1.3.1", ASN_UNSIGNED, 7);
    first = agent_post(&bed, &pdu, MODE_SET_RESERVE2);
    second = agent_post(&bed, &other, MODE_SET_RESERVE2);
    ck_assert_int_eq(agent_outcome(first, NULL), SNMP_ERR_RESOURCEUNAVAILABLE);
    ck_assert_int_eq(agent_outcome(second, NULL), SNMP_ERR_RESOURCEUNAVAILABLE);
    agent_sent_free(first);
    agent_sent_free(second);
    ck_assert(fake_source_complete(bed.fake));
    ck_assert_uint_eq(bed.fake->open, 0);
    second = agent_post(&bed, &other, MODE_SET_RESERVE2);
    ck_assert(fake_source_complete(bed.fake));
    ck_assert_int_eq(agent_outcome(second, NULL), 0);
    agent_sent_free(second);
    second = agent_post(&bed, &other, MODE_SET_ACTION);
    first = agent_post(&bed, &pdu, MODE_SET_ACTION);
    ck_assert_int_eq(agent_outcome(first, NULL), SNMP_ERR_COMMITFAILED);
    agent_sent_free(first);
    ck_assert_int_eq(lock_value(), lock);
    ck_assert(fake_source_complete(bed.fake));
    ck_assert_int_eq(agent_outcome(second, NULL), 0);
    agent_sent_free(second);
    ck_assert_int_eq(lock_value(), (lock + 1) & VADM_LOCK_BOUND);
    ck_assert_uint_eq(fake_source_workers_min(bed.fake, 1), 7);
    agent_pdu_clear(&other);
}
END_TEST

/* Somebody else has used the new value since: undo must not take that back. */
START_TEST(test_lock_undo_after_other)
{
    VadmChange change = {.field = VADM_FIELD_CONFIG_LOCK};
    VadmSettingsTxn txn = {0};
    VadmFault fault = {0};
    long lock = lock_value();

    agent_add_long(&pdu, "1.2.1.0", ASN_INTEGER, lock);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_ACTION, NULL), 0);
    change.value.number = (guint64)lock_value();
    ck_assert(vadm_settings_prepare(bed.settings, &change, 1, &txn, &fault));
    vadm_settings_commit(bed.settings, &txn);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_UNDO, NULL), 0);
    ck_assert_int_eq(lock_value(), (lock + 2) & VADM_LOCK_BOUND);
}
END_TEST

/* TestAndIncr (RFC 2579): behind 2147483647 comes 0, and undo goes back across it. */
START_TEST(test_lock_wraps)
{
    VadmChange change = {.field = VADM_FIELD_CONFIG_LOCK};
    VadmSettingsTxn txn = {0};
    VadmFault fault = {0};

    change.value.number = (guint64)lock_value();
    ck_assert(vadm_settings_prepare(bed.settings, &change, 1, &txn, &fault));
    txn.next.lock = VADM_LOCK_BOUND;
    vadm_settings_commit(bed.settings, &txn);
    agent_add_long(&pdu, "1.2.1.0", ASN_INTEGER, VADM_LOCK_BOUND);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_ACTION, NULL), 0);
    ck_assert_int_eq(lock_value(), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_UNDO, NULL), 0);
    ck_assert_int_eq(lock_value(), VADM_LOCK_BOUND);
    pdu.transaction++;
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(lock_value(), 0);
    agent_pdu_clear(&pdu);
    pdu.transaction = 9;
    agent_add_long(&pdu, "1.2.1.0", ASN_INTEGER, 0);
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(lock_value(), 1);
}
END_TEST

START_TEST(test_notify_bits)
{
    agent_add(&pdu, "1.7.1.0", ASN_OCTET_STR, "\x80\x40", 2);
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_enable, 0x201);
    agent_pdu_clear(&pdu);
    pdu.transaction = 8;
    agent_add(&pdu, "1.7.1.0", ASN_OCTET_STR, "\x01", 1);
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_enable, 0x80);
    agent_pdu_clear(&pdu);
    pdu.transaction = 9;
    agent_add(&pdu, "1.7.1.0", ASN_OCTET_STR, "", 0);
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_enable, 0);
}
END_TEST

/* A source that keeps it is asked to change it, and what it has is what is read. */
START_TEST(test_notify_of_source)
{
    bed.fake->access[VADM_FIELD_NOTIFY_ENABLE] = VADM_ACCESS_WRITE;
    bed.fake->access[VADM_FIELD_NOTIFY_MIN_INTERVAL] = VADM_ACCESS_WRITE;
    bed.fake->config.notify_enable = 0x3e4;
    bed.fake->config.notify_min_interval = 9;
    agent_add(&pdu, "1.7.1.0", ASN_NULL, NULL, 0);
    agent_add(&pdu, "1.7.2.0", ASN_NULL, NULL, 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_GET, NULL), 0);
    for (guint i = 0; i < 2; i++) {
        g_autofree char *got = agent_result(&pdu, i);
        ck_assert_str_eq(got, i == 0 ? "1.7.1.0 4 x:27c0" : "1.7.2.0 66 9");
    }
    agent_pdu_clear(&pdu);
    pdu.transaction = 8;
    agent_add(&pdu, "1.7.1.0", ASN_OCTET_STR, "\x80\x40", 2);
    agent_add_long(&pdu, "1.7.2.0", ASN_UNSIGNED, 77);
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
    ck_assert_uint_eq(bed.fake->finished, 1);
    ck_assert_int_eq(bed.fake->changes[0].field, VADM_FIELD_NOTIFY_ENABLE);
    ck_assert_uint_eq(bed.fake->changes[0].value.number, 0x201);
    ck_assert_uint_eq(bed.fake->changes[1].value.number, 77);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_enable, 0x3e7);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_min_interval, 5);
}
END_TEST

START_TEST(test_last_error_cut)
{
    GString *text = g_string_new("x");
    g_autofree char *got = NULL;

    for (guint i = 0; i < 200; i++)
        g_string_append(text, "\xc3\xa4");
    vadm_settings_set_last_error(bed.settings, text->str);
    got = vadm_settings_get_last_error(bed.settings);
    ck_assert_uint_eq(strlen(got), 255);
    ck_assert(g_utf8_validate(got, -1, NULL));
    g_string_erase(text, 0, 1);
    vadm_settings_set_last_error(bed.settings, text->str);
    g_free(got);
    got = vadm_settings_get_last_error(bed.settings);
    ck_assert_uint_eq(strlen(got), 254);
    ck_assert(g_utf8_validate(got, -1, NULL));
    g_string_free(text, TRUE);
}
END_TEST

/* What the file has changed counts, the rest is what a SET has made of it. */
START_TEST(test_reload)
{
    const VadmSettingsValues first = {.notify_enable = 0x3e7, .notify_min_interval = 5};
    const VadmSettingsValues second = {.notify_enable = 0x3e7, .notify_min_interval = 60};
    const VadmSettingsValues third = {.notify_enable = 0x001, .notify_min_interval = 60};
    long lock = lock_value();

    agent_add_long(&pdu, "1.7.2.0", ASN_UNSIGNED, 9);
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
    vadm_settings_reload(bed.settings, &first, &first);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_min_interval, 9);
    vadm_settings_reload(bed.settings, &first, &second);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_min_interval, 60);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_enable, 0x3e7);
    vadm_settings_reload(bed.settings, &second, &third);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_min_interval, 60);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_enable, 0x001);
    ck_assert_int_eq(lock_value(), lock);
}
END_TEST

/* Between the phases of a SET of something else; and of the same, which the SET was told first. */
START_TEST(test_reload_within_set)
{
    const VadmSettingsValues was = {.notify_enable = 0x3e7, .notify_min_interval = 5};
    const VadmSettingsValues is = {.notify_enable = 0x002, .notify_min_interval = 60};

    agent_add_long(&pdu, "1.7.2.0", ASN_UNSIGNED, 9);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_ACTION, NULL), 0);
    vadm_settings_reload(bed.settings, &was, &is);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_UNDO, NULL), 0);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_min_interval, 60);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_enable, 0x002);
}
END_TEST

/* The log says of which daemon, and calls the error as the manager's tools do. */
START_TEST(test_log_names_the_daemon)
{
    g_autofree char *dir = g_dir_make_tmp("vadm-settings-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "log", NULL);
    g_autofree char *outputs = g_strconcat("1:file:", path, NULL);
    VadmLog *log = vadm_log_new("unit", "1");
    g_autoptr(VadmLogSet) set = vadm_log_set_new(log, 1, "", outputs, outputs, NULL, NULL);
    g_autofree char *text = NULL;
    g_autofree char *refused = g_strdup_printf(
        "%s: refused (wrongValue): lvaNotifyMinInterval.0 = 3601: must be", bed.fake->daemon.name);
    g_autofree char *changed =
        g_strdup_printf("%s: lvaNotifyMinInterval 5 -> 9 (snmp)", bed.fake->daemon.name);

    vadm_log_install(log, set);
    vadm_log_set_default(log);
    agent_add_long(&pdu, "1.7.2.0", ASN_UNSIGNED, 3601);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), SNMP_ERR_WRONGVALUE);
    agent_pdu_clear(&pdu);
    pdu.transaction = 99;
    agent_add_long(&pdu, "1.7.2.0", ASN_UNSIGNED, 9);
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
    vadm_log_set_default(NULL);
    vadm_log_free(log, 10 * G_USEC_PER_SEC);
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    ck_assert_msg(strstr(text, refused), "%s: not in %s", refused, text);
    ck_assert_msg(strstr(text, changed), "%s: not in %s", changed, text);
    g_remove(path);
    g_rmdir(dir);
}
END_TEST

START_TEST(test_last_error_printable)
{
    g_autofree char *got = NULL;

    vadm_settings_set_last_error(bed.settings, "a\x1b[31mb\r\nc\x7f"
                                               "d\xc2\x9b"
                                               "e\xe2\x80\xae"
                                               "f \xc3\xa4");
    got = vadm_settings_get_last_error(bed.settings);
    ck_assert_str_eq(got, "a [31mb  c d e f \xc3\xa4");
}
END_TEST

START_TEST(test_views)
{
    g_autoptr(VadmViews) views = vadm_views_new(&bed.fake->base);
    VadmTxnKey key = {.session = 1, .transaction = 5};
    VadmView *first = vadm_views_get(views, key, 1000);

    ck_assert_ptr_eq(vadm_views_get(views, key, 1000 + VADM_VIEW_LIFE_US - 1), first);
    ck_assert_uint_eq(bed.fake->views_open, 1);
    key.session = 2;
    vadm_views_get(views, key, 2000);
    ck_assert_uint_eq(bed.fake->views_open, 2);
    ck_assert_uint_eq(vadm_views_expire(views, 1000 + VADM_VIEW_LIFE_US), 1);
    for (guint i = 0; i < 100; i++) {
        key.transaction = 100 + i;
        vadm_views_get(views, key, 3000 + i);
        ck_assert_uint_le(bed.fake->views_open, VADM_VIEWS_MAX);
    }
    vadm_views_clear(views);
    ck_assert_uint_eq(bed.fake->views_open, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent-settings");
    TCase *tests = tcase_create("settings");

    tcase_add_checked_fixture(tests, agent_set_up, agent_tear_down);
    tcase_add_test(tests, test_lock);
    tcase_add_test(tests, test_lock_undone);
    tcase_add_test(tests, test_lock_advances_at_commit);
    tcase_add_loop_test(tests, test_lock_two_at_once, 0, 2);
    tcase_add_test(tests, test_lock_two_deferred);
    tcase_add_test(tests, test_lock_undo_after_other);
    tcase_add_test(tests, test_lock_wraps);
    tcase_add_test(tests, test_notify_bits);
    tcase_add_test(tests, test_notify_of_source);
    tcase_add_test(tests, test_reload);
    tcase_add_test(tests, test_reload_within_set);
    tcase_add_test(tests, test_log_names_the_daemon);
    tcase_add_test(tests, test_last_error_cut);
    tcase_add_test(tests, test_last_error_printable);
    tcase_add_test(tests, test_views);
    suite_add_tcase(suite, tests);
    return vadm_unit_main(suite);
}
