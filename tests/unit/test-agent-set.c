/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SET: statuses, what reaches the source; settings and views. Orders of phases are in
 * test-agent-phases.c, those that take time in test-agent-delegation.c. */
#include <string.h>

#include "agent-request.h"
#include "agent/set.h"
#include "agent/views.h"
#include "unit.h"

static AgentBed bed;
static AgentPdu pdu;

static void
set_up(void)
{
    agent_bed_init(&bed, TRUE);
    memset(&pdu, 0, sizeof(pdu));
    pdu.transaction = 7;
}

static void
tear_down(void)
{
    agent_pdu_clear(&pdu);
    agent_bed_clear(&bed);
}

/* RESERVE1 and RESERVE2, with FREE after a failure, as a master makes of a TestSet. */
static int
test_set(guint *at)
{
    int status = agent_send(&bed, &pdu, MODE_SET_RESERVE1, at);

    if (status == 0)
        status = agent_send(&bed, &pdu, MODE_SET_RESERVE2, at);
    if (status != 0)
        ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_FREE, NULL), 0);
    return status;
}

static int
whole_set(guint *at)
{
    int status = test_set(at);

    if (status != 0)
        return status;
    status = agent_send(&bed, &pdu, MODE_SET_ACTION, at);
    if (status != 0)
        agent_send(&bed, &pdu, MODE_SET_UNDO, NULL);
    else
        ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_COMMIT, NULL), 0);
    return status;
}

static void
check_last_error(const char *part)
{
    g_autofree char *text = vadm_settings_get_last_error(bed.settings);

    ck_assert_msg(strstr(text, part) != NULL, "lvaConfigLastError is %s", text);
}

START_TEST(test_two_varbinds)
{
    agent_add_long(&pdu, "1.4.1.4.300", ASN_UNSIGNED, 40);
    agent_add_text(&pdu, "1.3.2.0", "1:b\xc3\xa4");
    agent_add_long(&pdu, "1.6.1.21.300.4294967295", ASN_INTEGER, 2);
    ck_assert_int_eq(whole_set(NULL), 0);
    ck_assert_uint_eq(bed.fake->prepared, 1);
    ck_assert_uint_eq(bed.fake->committed, 1);
    ck_assert_uint_eq(bed.fake->finished, 1);
    ck_assert_uint_eq(bed.fake->n_changes, 3);
    ck_assert_int_eq(bed.fake->changes[0].field, VADM_FIELD_SERVER_WORKERS_MAX);
    ck_assert_uint_eq(bed.fake->changes[0].server, 300);
    ck_assert_uint_eq(bed.fake->changes[0].value.number, 40);
    ck_assert_str_eq(bed.fake->changes[1].value.string, "1:b\xc3\xa4");
    ck_assert_uint_eq(bed.fake->changes[1].tag, 1);
    ck_assert_uint_eq(bed.fake->changes[2].client, 4294967295u);
}
END_TEST

typedef struct {
    const char *oid;
    u_char type;
    long number;
    const char *text;
    gsize length;
    int status;
} Refusal;

static const Refusal refusals[] = {
    {"1.1.1.0", ASN_OCTET_STR, 0, "x", 1, SNMP_ERR_NOTWRITABLE},
    {"1.4.1.6.1", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_NOTWRITABLE},
    {"1.4.1.1.1", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_NOTWRITABLE},
    {"1.6.1.24.1.1", ASN_INTEGER, 1, NULL, 0, SNMP_ERR_NOTWRITABLE},
    {"1.99.1.0", ASN_INTEGER, 1, NULL, 0, SNMP_ERR_NOTWRITABLE},
    {"", ASN_INTEGER, 1, NULL, 0, SNMP_ERR_NOTWRITABLE},
    {"1.4.1.3.1", ASN_INTEGER, 1, NULL, 0, SNMP_ERR_WRONGTYPE},
    {"1.4.1.3.1", ASN_OCTET_STR, 0, "1", 1, SNMP_ERR_WRONGTYPE},
    {"1.4.1.3.1", ASN_COUNTER, 1, NULL, 0, SNMP_ERR_WRONGTYPE},
    {"1.3.1.0", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_WRONGTYPE},
    {"1.3.2.0", ASN_INTEGER, 1, NULL, 0, SNMP_ERR_WRONGTYPE},
    {"1.3.1.0", ASN_INTEGER, 0, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.3.1.0", ASN_INTEGER, 6, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.3.1.0", ASN_INTEGER, -1, NULL, 0, SNMP_ERR_WRONGVALUE},
    /* 300 and 2^32 + 3 would be 44 and 3, read with another width */
    {"1.3.1.0", ASN_INTEGER, 4294967299, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.4.1.13.1", ASN_UNSIGNED, 300, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.4.1.13.1", ASN_UNSIGNED, 101, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.4.1.13.1", ASN_UNSIGNED, -1, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.4.1.19.1", ASN_UNSIGNED, 0, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.4.1.3.1", ASN_UNSIGNED, 4294967296, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.6.1.21.1.1", ASN_INTEGER, 3, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.3.2.0", ASN_OCTET_STR, 0, "1:a\0b", 5, SNMP_ERR_WRONGVALUE},
    {"1.3.2.0", ASN_OCTET_STR, 0, "\xff", 1, SNMP_ERR_WRONGVALUE},
    {"1.3.2.0", ASN_OCTET_STR, 0, "\xc3", 1, SNMP_ERR_WRONGVALUE},
    {"1.7.1.0", ASN_OCTET_STR, 0, "\xff\xc0\x00", 3, SNMP_ERR_WRONGLENGTH},
    {"1.7.1.0", ASN_OCTET_STR, 0, "\xff\xe0", 2, SNMP_ERR_WRONGVALUE},
    {"1.7.1.0", ASN_OCTET_STR, 0, "\x00\x01", 2, SNMP_ERR_WRONGVALUE},
    {"1.7.2.0", ASN_UNSIGNED, 3601, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.2.1.0", ASN_INTEGER, -1, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.2.1.0", ASN_INTEGER, 2147483648, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.4.1.3.2", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.4.1.3", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.4.1.3.1.1", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.3.1.1", ASN_INTEGER, 1, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.3.1", ASN_INTEGER, 1, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.6.1.21.300.4", ASN_INTEGER, 2, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.7.2.1", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_NOCREATION},
};

/* Behind a good varbind, so that the error must be put on the second one. */
START_TEST(test_refusals)
{
    const Refusal *refusal = &refusals[_i];
    guint at = 99;

    agent_add_long(&pdu, "1.4.1.5.1", ASN_UNSIGNED, 1);
    if (refusal->text)
        agent_add(&pdu, refusal->oid, refusal->type, refusal->text, refusal->length);
    else
        agent_add_long(&pdu, refusal->oid, refusal->type, refusal->number);
    ck_assert_msg(agent_send(&bed, &pdu, MODE_SET_RESERVE1, &at) == refusal->status, "%s = %ld",
                  refusal->oid, refusal->number);
    ck_assert_uint_eq(at, 1);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_FREE, NULL), 0);
    ck_assert_uint_eq(bed.fake->prepared, 0);
    check_last_error(": ");
}
END_TEST

START_TEST(test_long_text)
{
    g_autofree char *text = g_strnfill(4097, 'a');
    g_autofree char *fits = g_strnfill(4096, 'a');

    agent_add_text(&pdu, "1.3.2.0", text);
    ck_assert_int_eq(test_set(NULL), SNMP_ERR_WRONGLENGTH);
    check_last_error("lvaLogFilters.0 = \"aaaa");
    check_last_error("4097 octets, at most 4096");
    agent_pdu_clear(&pdu);
    agent_add_text(&pdu, "1.3.2.0", fits);
    ck_assert_int_eq(whole_set(NULL), 0);
    ck_assert_uint_eq(strlen(bed.fake->changes[0].value.string), 4096);
    agent_pdu_clear(&pdu);
    agent_add(&pdu, "1.3.3.0", ASN_OCTET_STR, "", 0);
    pdu.transaction = 8;
    ck_assert_int_eq(whole_set(NULL), 0);
    ck_assert_str_eq(bed.fake->changes[0].value.string, "");
}
END_TEST

START_TEST(test_two_values)
{
    guint at = 0;

    agent_add_long(&pdu, "1.4.1.4.1", ASN_UNSIGNED, 30);
    agent_add_long(&pdu, "1.4.1.4.300", ASN_UNSIGNED, 30);
    agent_add_long(&pdu, "1.4.1.4.1", ASN_UNSIGNED, 30);
    ck_assert_int_eq(test_set(&at), SNMP_ERR_INCONSISTENTVALUE);
    ck_assert_uint_eq(at, 2);
    ck_assert_uint_eq(bed.fake->prepared, 0);
}
END_TEST

typedef struct {
    int code, status;
} Mapping;

static const Mapping mappings[] = {
    {VADM_ERROR_INVALID_VALUE, SNMP_ERR_WRONGVALUE},
    {VADM_ERROR_DENIED, SNMP_ERR_WRONGVALUE},
    {VADM_ERROR_INCONSISTENT, SNMP_ERR_INCONSISTENTVALUE},
    {VADM_ERROR_NO_SERVER, SNMP_ERR_NOCREATION},
    {VADM_ERROR_NO_CLIENT, SNMP_ERR_NOCREATION},
    {VADM_ERROR_NOT_SUPPORTED, SNMP_ERR_NOTWRITABLE},
    {VADM_ERROR_BUSY, SNMP_ERR_RESOURCEUNAVAILABLE},
    {VADM_ERROR_NO_MEMORY, SNMP_ERR_RESOURCEUNAVAILABLE},
    {VADM_ERROR_SYSTEM, SNMP_ERR_RESOURCEUNAVAILABLE},
    {VADM_ERROR_RPC, SNMP_ERR_GENERR},
    {VADM_ERROR_TIMEOUT, SNMP_ERR_GENERR},
};

START_TEST(test_prepare_errors)
{
    guint at = 99;

    bed.fake->fail_prepare = mappings[_i].code;
    bed.fake->fail_tag = 1;
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 50);
    agent_add_long(&pdu, "1.4.1.4.1", ASN_UNSIGNED, 40);
    ck_assert_int_eq(test_set(&at), mappings[_i].status);
    ck_assert_uint_eq(at, 1);
    check_last_error("lvaServerWorkersMax.1 = 40: made up by the test");
    /* and the next one is not poisoned */
    bed.fake->fail_prepare = 0;
    pdu.transaction++;
    ck_assert_int_eq(whole_set(NULL), 0);
}
END_TEST

/* A fault that names no varbind of the PDU must not be put beyond it. */
START_TEST(test_wild_tag)
{
    guint at = 99;

    bed.fake->fail_prepare = VADM_ERROR_BUSY;
    bed.fake->fail_tag = 1000;
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 50);
    ck_assert_int_eq(test_set(&at), SNMP_ERR_RESOURCEUNAVAILABLE);
    ck_assert_uint_eq(at, 0);
}
END_TEST

START_TEST(test_commit_and_undo_fail)
{
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    agent_add_long(&pdu, "1.7.2.0", ASN_UNSIGNED, 77);
    bed.fake->fail_commit = VADM_ERROR_SYSTEM;
    ck_assert_int_eq(whole_set(NULL), SNMP_ERR_COMMITFAILED);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_min_interval, 5);
    ck_assert_uint_eq(bed.fake->aborted, 1);

    bed.fake->fail_commit = 0;
    bed.fake->fail_undo = VADM_ERROR_CONFLICT;
    pdu.transaction++;
    ck_assert_int_eq(test_set(NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_ACTION, NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_UNDO, NULL), SNMP_ERR_UNDOFAILED);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_min_interval, 5);
}
END_TEST

START_TEST(test_read_only_agent)
{
    agent_bed_clear(&bed);
    agent_bed_init(&bed, FALSE);
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    ck_assert_int_eq(test_set(NULL), SNMP_ERR_NOTWRITABLE);
    check_last_error("read-only");
    agent_pdu_clear(&pdu);
    agent_add_long(&pdu, "1.7.2.0", ASN_UNSIGNED, 6);
    ck_assert_int_eq(test_set(NULL), SNMP_ERR_NOTWRITABLE);
}
END_TEST

START_TEST(test_source_forbids)
{
    bed.fake->access[VADM_FIELD_SERVER_WORKERS_MIN] = VADM_ACCESS_READ;
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    ck_assert_int_eq(test_set(NULL), SNMP_ERR_NOTWRITABLE);
}
END_TEST

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
    ck_assert_int_eq(whole_set(NULL), 0);
    ck_assert_int_eq(lock_value(), (lock + 1) & 0x7fffffff);
    ck_assert_uint_eq(bed.fake->finished, 1);
    /* stale now: nothing of the PDU happens */
    pdu.transaction++;
    {
        guint at = 99;
        ck_assert_int_eq(test_set(&at), SNMP_ERR_INCONSISTENTVALUE);
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
    ck_assert_int_eq(test_set(NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_ACTION, NULL), 0);
    ck_assert_int_ne(lock_value(), lock);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_UNDO, NULL), 0);
    ck_assert_int_eq(lock_value(), lock);
    ck_assert_uint_eq(bed.fake->prepared, 0);
}
END_TEST

START_TEST(test_notify_bits)
{
    agent_add(&pdu, "1.7.1.0", ASN_OCTET_STR, "\x80\x40", 2);
    ck_assert_int_eq(whole_set(NULL), 0);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_enable, 0x201);
    agent_pdu_clear(&pdu);
    pdu.transaction = 8;
    agent_add(&pdu, "1.7.1.0", ASN_OCTET_STR, "\x01", 1);
    ck_assert_int_eq(whole_set(NULL), 0);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_enable, 0x80);
    agent_pdu_clear(&pdu);
    pdu.transaction = 9;
    agent_add(&pdu, "1.7.1.0", ASN_OCTET_STR, "", 0);
    ck_assert_int_eq(whole_set(NULL), 0);
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
    ck_assert_int_eq(whole_set(NULL), 0);
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

START_TEST(test_lock_wraps)
{
    VadmChange change = {.field = VADM_FIELD_CONFIG_LOCK};
    VadmSettingsTxn txn = {0};
    VadmFault fault = {0};

    change.value.number = (guint64)lock_value();
    ck_assert(vadm_settings_prepare(bed.settings, &change, 1, &txn, &fault));
    txn.next.lock = VADM_LOCK_BOUND;
    vadm_settings_commit(bed.settings, &txn);
    change.value.number = VADM_LOCK_BOUND;
    ck_assert(vadm_settings_prepare(bed.settings, &change, 1, &txn, &fault));
    vadm_settings_commit(bed.settings, &txn);
    ck_assert_int_eq(lock_value(), 0);
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
    Suite *suite = suite_create("agent-set");
    TCase *tests = tcase_create("set");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_two_varbinds);
    tcase_add_loop_test(tests, test_refusals, 0, G_N_ELEMENTS(refusals));
    tcase_add_test(tests, test_long_text);
    tcase_add_test(tests, test_two_values);
    tcase_add_loop_test(tests, test_prepare_errors, 0, G_N_ELEMENTS(mappings));
    tcase_add_test(tests, test_wild_tag);
    tcase_add_test(tests, test_commit_and_undo_fail);
    tcase_add_test(tests, test_read_only_agent);
    tcase_add_test(tests, test_source_forbids);
    tcase_add_test(tests, test_lock);
    tcase_add_test(tests, test_lock_undone);
    tcase_add_test(tests, test_notify_bits);
    tcase_add_test(tests, test_notify_of_source);
    tcase_add_test(tests, test_last_error_cut);
    tcase_add_test(tests, test_last_error_printable);
    tcase_add_test(tests, test_lock_wraps);
    tcase_add_test(tests, test_views);
    suite_add_tcase(suite, tests);
    return vadm_unit_main(suite);
}
