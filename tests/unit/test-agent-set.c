/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SET: statuses, and what reaches the source. Orders of phases are in test-agent-phases.c, those
 * that take time in test-agent-delegation.c, the lock in test-agent-settings.c. */
#include <string.h>

#include "agent-fixture.h"
#include "agent/set.h"

START_TEST(test_two_varbinds)
{
    agent_add_long(&pdu, "1.4.1.4.300", ASN_UNSIGNED, 40);
    agent_add_text(&pdu, "1.3.2.0", "1:b\xc3\xa4");
    agent_add_long(&pdu, "1.6.1.21.300.4294967295", ASN_INTEGER, 2);
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
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
    {"1.2.5.0", ASN_UNSIGNED, 2, NULL, 0, SNMP_ERR_WRONGTYPE},
    {"1.2.5.0", ASN_OCTET_STR, 0, "3", 1, SNMP_ERR_WRONGTYPE},
    {"1.2.5.0", ASN_INTEGER, 0, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.2.5.0", ASN_INTEGER, 1, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.2.5.0", ASN_INTEGER, 4, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.2.5.0", ASN_INTEGER, 5, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.2.5.0", ASN_INTEGER, -1, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.2.6.0", ASN_INTEGER, 60, NULL, 0, SNMP_ERR_WRONGTYPE},
    {"1.2.6.0", ASN_TIMETICKS, 60, NULL, 0, SNMP_ERR_WRONGTYPE},
    {"1.2.6.0", ASN_OCTET_STR, 0, "60", 2, SNMP_ERR_WRONGTYPE},
    {"1.2.6.0", ASN_UNSIGNED, 86401, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.2.6.0", ASN_UNSIGNED, 4294967295, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.2.6.0", ASN_UNSIGNED, -1, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.2.6.1", ASN_UNSIGNED, 60, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.4.1.3.2", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.4.1.3", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.4.1.3.1.1", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.3.1.1", ASN_INTEGER, 1, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.3.1", ASN_INTEGER, 1, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.6.1.21.300.4", ASN_INTEGER, 2, NULL, 0, SNMP_ERR_NOCREATION},
    {"1.7.2.1", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_NOCREATION},
};

/* Thing, value, rule. */
static void
check_refusal_text(const Refusal *refusal)
{
    g_autofree char *value = g_strdup_printf(" = %ld: ", refusal->number);
    gboolean is_number = refusal->type == ASN_INTEGER || refusal->type == ASN_UNSIGNED;

    check_last_error("lva");
    check_last_error(is_number ? value : ": ");
}

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
    check_refusal_text(refusal);
}
END_TEST

START_TEST(test_long_text)
{
    g_autofree char *text = g_strnfill(4097, 'a');
    g_autofree char *fits = g_strnfill(4096, 'a');

    agent_add_text(&pdu, "1.3.2.0", text);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), SNMP_ERR_WRONGLENGTH);
    check_last_error("lvaLogFilters.0 = \"aaaa");
    check_last_error("4097 octets, at most 4096");
    agent_pdu_clear(&pdu);
    agent_add_text(&pdu, "1.3.2.0", fits);
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
    ck_assert_uint_eq(strlen(bed.fake->changes[0].value.string), 4096);
    agent_pdu_clear(&pdu);
    agent_add(&pdu, "1.3.3.0", ASN_OCTET_STR, "", 0);
    pdu.transaction = 8;
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
    ck_assert_str_eq(bed.fake->changes[0].value.string, "");
}
END_TEST

START_TEST(test_two_values)
{
    guint at = 0;

    agent_add_long(&pdu, "1.4.1.4.1", ASN_UNSIGNED, 30);
    agent_add_long(&pdu, "1.4.1.4.300", ASN_UNSIGNED, 30);
    agent_add_long(&pdu, "1.4.1.4.1", ASN_UNSIGNED, 30);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, &at), SNMP_ERR_INCONSISTENTVALUE);
    ck_assert_uint_eq(at, 2);
    ck_assert_uint_eq(bed.fake->prepared, 0);
}
END_TEST

/* Bounds that are allowed, and what is read then. */
START_TEST(test_config_bounds)
{
    static const struct {
        long storage, confirm;
    } bounds[] = {{3, 86400}, {2, 0}, {3, 1}};

    for (guint i = 0; i < G_N_ELEMENTS(bounds); i++) {
        g_autofree char *storage = g_strdup_printf("1.2.5.0 2 %ld", bounds[i].storage);
        g_autofree char *confirm = g_strdup_printf("1.2.6.0 66 %ld", bounds[i].confirm);
        g_autofree char *got_storage = NULL, *got_confirm = NULL;

        agent_add_long(&pdu, "1.2.5.0", ASN_INTEGER, bounds[i].storage);
        agent_add_long(&pdu, "1.2.6.0", ASN_UNSIGNED, bounds[i].confirm);
        ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
        ck_assert_int_eq(bed.fake->changes[0].field, VADM_FIELD_CONFIG_STORAGE);
        ck_assert_int_eq(bed.fake->changes[1].field, VADM_FIELD_CONFIG_CONFIRM_TIMEOUT);
        agent_pdu_clear(&pdu);
        pdu.transaction = 100 + 2 * (long)i;
        agent_add(&pdu, "1.2.5.0", ASN_NULL, NULL, 0);
        agent_add(&pdu, "1.2.6.0", ASN_NULL, NULL, 0);
        ck_assert_int_eq(agent_send(&bed, &pdu, MODE_GET, NULL), 0);
        got_storage = agent_result(&pdu, 0);
        got_confirm = agent_result(&pdu, 1);
        ck_assert_str_eq(got_storage, storage);
        ck_assert_str_eq(got_confirm, confirm);
        agent_pdu_clear(&pdu);
        pdu.transaction = 101 + 2 * (long)i;
    }
}
END_TEST

/* A source that has neither (a remote one): they are not there. */
START_TEST(test_config_not_of_source)
{
    bed.fake->access[VADM_FIELD_CONFIG_STORAGE] = VADM_ACCESS_NONE;
    bed.fake->access[VADM_FIELD_CONFIG_CONFIRM_TIMEOUT] = VADM_ACCESS_READ;
    agent_add_long(&pdu, "1.2.5.0", ASN_INTEGER, 3);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), SNMP_ERR_NOTWRITABLE);
    agent_pdu_clear(&pdu);
    agent_add_long(&pdu, "1.2.6.0", ASN_UNSIGNED, 3);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), SNMP_ERR_NOTWRITABLE);
    agent_pdu_clear(&pdu);
    agent_add(&pdu, "1.2.5.0", ASN_NULL, NULL, 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_GET, NULL), 0);
    ck_assert_uint_eq(pdu.varbinds[0].type, SNMP_NOSUCHINSTANCE);
}
END_TEST

/* What each error of the source becomes where prepare fails; where commit or undo fails, it is the
 * status of the phase, whatever the error. All codes: the number of rows is checked. */
typedef struct {
    int code, status;
} Mapping;

static const Mapping mappings[] = {
    {VADM_ERROR_INTERNAL, SNMP_ERR_GENERR},
    {VADM_ERROR_NO_MEMORY, SNMP_ERR_RESOURCEUNAVAILABLE},
    {VADM_ERROR_INVALID_VALUE, SNMP_ERR_WRONGVALUE},
    {VADM_ERROR_INCONSISTENT, SNMP_ERR_INCONSISTENTVALUE},
    {VADM_ERROR_NOT_SUPPORTED, SNMP_ERR_NOTWRITABLE},
    {VADM_ERROR_NO_SERVER, SNMP_ERR_NOCREATION},
    {VADM_ERROR_NO_CLIENT, SNMP_ERR_NOCREATION},
    {VADM_ERROR_BUSY, SNMP_ERR_RESOURCEUNAVAILABLE},
    {VADM_ERROR_CONFLICT, SNMP_ERR_GENERR},
    {VADM_ERROR_SYSTEM, SNMP_ERR_RESOURCEUNAVAILABLE},
    {VADM_ERROR_RPC, SNMP_ERR_GENERR},
    {VADM_ERROR_AUTH, SNMP_ERR_GENERR},
    {VADM_ERROR_DENIED, SNMP_ERR_WRONGVALUE},
    {VADM_ERROR_NO_CONNECT, SNMP_ERR_RESOURCEUNAVAILABLE},
    {VADM_ERROR_TIMEOUT, SNMP_ERR_RESOURCEUNAVAILABLE},
    {VADM_ERROR_CONFIG, SNMP_ERR_GENERR},
    {VADM_ERROR_NO_SUPPORT, SNMP_ERR_GENERR},
};
G_STATIC_ASSERT(G_N_ELEMENTS(mappings) == VADM_ERROR_LAST);

START_TEST(test_error_statuses)
{
    g_autoptr(GError) error = g_error_new(VADM_ERROR, mappings[_i].code, "x");
    g_autoptr(GError) foreign = g_error_new(G_FILE_ERROR, G_FILE_ERROR_IO, "x");

    ck_assert_int_eq(mappings[_i].code, _i);
    ck_assert_int_eq((int)vadm_status_from_error(error, VADM_PHASE_RESERVE2), mappings[_i].status);
    ck_assert_int_eq((int)vadm_status_from_error(error, VADM_PHASE_ACTION), SNMP_ERR_COMMITFAILED);
    ck_assert_int_eq((int)vadm_status_from_error(error, VADM_PHASE_UNDO), SNMP_ERR_UNDOFAILED);
    ck_assert_int_eq((int)vadm_status_from_error(foreign, VADM_PHASE_RESERVE2), SNMP_ERR_GENERR);
}
END_TEST

/* The fault is put on the varbind that the source names, which is the last that takes part. */
START_TEST(test_prepare_errors)
{
    guint at = 99;

    bed.fake->fail_prepare = mappings[_i].code;
    bed.fake->fail_tag = 1;
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 50);
    agent_add_long(&pdu, "1.4.1.4.1", ASN_UNSIGNED, 40);
    agent_add_long(&pdu, "1.4.1.5.1", ASN_UNSIGNED, 4);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, &at), mappings[_i].status);
    ck_assert_uint_eq(at, 1);
    check_last_error("lvaServerWorkersMax.1 = 40: made up by the test");
    ck_assert_uint_eq(fake_source_workers_min(bed.fake, 1), 5);
    /* and the next one is not poisoned */
    bed.fake->fail_prepare = 0;
    pdu.transaction++;
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), 0);
}
END_TEST

/* A fault that names no varbind of the PDU must not be put beyond it. */
START_TEST(test_wild_tag)
{
    guint at = 99;

    bed.fake->fail_prepare = VADM_ERROR_BUSY;
    bed.fake->fail_tag = 1000;
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 50);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, &at), SNMP_ERR_RESOURCEUNAVAILABLE);
    ck_assert_uint_eq(at, 0);
}
END_TEST

START_TEST(test_commit_and_undo_fail)
{
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    agent_add_long(&pdu, "1.7.2.0", ASN_UNSIGNED, 77);
    bed.fake->fail_commit = VADM_ERROR_SYSTEM;
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, NULL), SNMP_ERR_COMMITFAILED);
    check_last_error("SET: made up by the test");
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_min_interval, 5);
    ck_assert_uint_eq(bed.fake->aborted, 1);

    bed.fake->fail_commit = 0;
    bed.fake->fail_undo = VADM_ERROR_CONFLICT;
    pdu.transaction++;
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_ACTION, NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_UNDO, NULL), SNMP_ERR_UNDOFAILED);
    ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_min_interval, 5);
}
END_TEST

/* What only the daemon has cannot be set while it cannot be reached, and later it can; the agent's
 * own can. */
static const Refusal unreachable[] = {
    {"1.3.1.0", ASN_INTEGER, 1, NULL, 0, SNMP_ERR_RESOURCEUNAVAILABLE},
    {"1.3.2.0", ASN_OCTET_STR, 0, "1:a", 3, SNMP_ERR_RESOURCEUNAVAILABLE},
    {"1.4.1.3.1", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_RESOURCEUNAVAILABLE},
    {"1.4.1.3.77", ASN_UNSIGNED, 1, NULL, 0, SNMP_ERR_RESOURCEUNAVAILABLE},
    {"1.6.1.21.1.1", ASN_INTEGER, 2, NULL, 0, SNMP_ERR_RESOURCEUNAVAILABLE},
    /* as ever */
    {"1.3.1.0", ASN_INTEGER, 9, NULL, 0, SNMP_ERR_WRONGVALUE},
    {"1.1.2.0", ASN_OCTET_STR, 0, "x", 1, SNMP_ERR_NOTWRITABLE},
    {"1.7.2.0", ASN_UNSIGNED, 9, NULL, 0, SNMP_ERR_NOERROR},
};

START_TEST(test_unreachable)
{
    const Refusal *refusal = &unreachable[_i];
    guint at = 99;

    bed.fake->daemon.state = VADM_REACH_UNREACHABLE;
    bed.fake->access[VADM_FIELD_NOTIFY_MIN_INTERVAL] = VADM_ACCESS_NONE;
    if (refusal->text)
        agent_add(&pdu, refusal->oid, refusal->type, refusal->text, refusal->length);
    else
        agent_add_long(&pdu, refusal->oid, refusal->type, refusal->number);
    ck_assert_int_eq(agent_whole_set(&bed, &pdu, &at), refusal->status);
    ck_assert_uint_eq(bed.fake->prepared, 0);
    if (refusal->status == SNMP_ERR_RESOURCEUNAVAILABLE)
        check_last_error(": the daemon cannot be reached");
    else if (refusal->status == SNMP_ERR_NOERROR)
        ck_assert_uint_eq(vadm_settings_get(bed.settings).notify_min_interval, 9);
}
END_TEST

START_TEST(test_read_only_agent)
{
    agent_bed_clear(&bed);
    agent_bed_init(&bed, FALSE);
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), SNMP_ERR_NOTWRITABLE);
    check_last_error("read-only");
    agent_pdu_clear(&pdu);
    agent_add_long(&pdu, "1.7.2.0", ASN_UNSIGNED, 6);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), SNMP_ERR_NOTWRITABLE);
}
END_TEST

START_TEST(test_source_forbids)
{
    bed.fake->access[VADM_FIELD_SERVER_WORKERS_MIN] = VADM_ACCESS_READ;
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), SNMP_ERR_NOTWRITABLE);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent-set");
    TCase *tests = tcase_create("set");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, agent_set_up, agent_tear_down);
    tcase_add_test(tests, test_two_varbinds);
    tcase_add_loop_test(tests, test_refusals, 0, G_N_ELEMENTS(refusals));
    tcase_add_test(tests, test_long_text);
    tcase_add_test(tests, test_two_values);
    tcase_add_test(tests, test_config_bounds);
    tcase_add_test(tests, test_config_not_of_source);
    tcase_add_loop_test(tests, test_error_statuses, 0, G_N_ELEMENTS(mappings));
    /* the fake source takes the first, 0, for no error */
    tcase_add_loop_test(tests, test_prepare_errors, 1, G_N_ELEMENTS(mappings));
    tcase_add_test(tests, test_wild_tag);
    tcase_add_test(tests, test_commit_and_undo_fail);
    tcase_add_test(tests, test_read_only_agent);
    tcase_add_loop_test(tests, test_unreachable, 0, G_N_ELEMENTS(unreachable));
    tcase_add_test(tests, test_source_forbids);
    suite_add_tcase(suite, tests);
    return vadm_unit_main(suite);
}
