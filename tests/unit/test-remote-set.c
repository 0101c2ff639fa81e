/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SET at an unmodified daemon: what is validated, sent, shown, told and disconnected. */
#include "set-bed.h"

#include <string.h>

static SetBed *set;

static void
setup(void)
{
    set = set_bed_new(SLOW);
}

static void
teardown(void)
{
    g_clear_pointer(&set, set_bed_free);
}

/* ---- what is set ---- */

START_TEST(test_all_fields)
{
    guint32 before = set_bed_generation(set);
    g_autofree char *state = NULL;
    VadmTxn *txn = COMMITTED(
        set, NUMBER(SERVER_WORKERS_MIN, SERVER, 6, 0), NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 1),
        NUMBER(SERVER_WORKERS_PRIORITY, SERVER, 7, 2), NUMBER(SERVER_CLIENTS_MAX, SERVER, 100, 3),
        NUMBER(SERVER_CLIENTS_UNAUTH_MAX, SERVER, 50, 4),
        NUMBER(SERVER_CLIENTS_HIGH_PERCENT, SERVER, 70, 5),
        NUMBER(SERVER_CLIENTS_MAX, ADMIN, 20, 6), NUMBER(LOG_LEVEL, 0, 2, 7),
        TEXT(LOG_FILTERS, "3:rpc 4:util", 8), TEXT(LOG_OUTPUTS, "1:journald 3:syslog:x", 9));

    state = set_bed_state(set);
    ck_assert_str_eq(state, "libvirtd 6 30 7 100 50; admin 5 20 5 20 0; "
                            "filters '3:*rpc* 4:*util* 2:*** '; outputs '1:journald 3:syslog:x'");
    ck_assert_uint_eq(set_bed_calls(set), 5); /* one for each server and kind */
    /* What is shown is what was set, before the manager has the answer. */
    ck_assert_uint_eq(set_bed_row(set, SERVER).workers_max, 30);
    ck_assert_uint_eq(set_bed_row(set, SERVER).workers_priority, 7);
    ck_assert_uint_eq(set_bed_row(set, SERVER).clients_max, 100);
    ck_assert_uint_eq(set_bed_row(set, SERVER).clients_high_percent, 70);
    ck_assert_uint_eq(set_bed_row(set, ADMIN).clients_max, 20);
    ck_assert_uint_eq(set->bed->source->snapshot->log_level, 2);
    ck_assert_str_eq(set->bed->source->snapshot->filters, "3:rpc 4:util");
    ck_assert_str_eq(set->bed->source->snapshot->outputs, "1:journald 3:syslog:x");
    ck_assert_uint_gt(set_bed_generation(set), before);
    ck_assert_int_eq(set->bed->source->snapshot->last_origin, VADM_ORIGIN_SNMP);
    /* The event tells what is settled. */
    ck_assert_uint_eq(bed_count(set->bed, VADM_EVENT_CONFIG), 0);
    set_finish(set, txn);
    WAIT_FOR(bed_count(set->bed, VADM_EVENT_CONFIG) > 0);
    run_for(50);
    ck_assert_uint_eq(bed_count(set->bed, VADM_EVENT_CONFIG), 1);
    ck_assert_int_eq(bed_last(set->bed, VADM_EVENT_CONFIG)->config.last_origin, VADM_ORIGIN_SNMP);
    ck_assert(set_bed_has_logged("[server libvirtd] max_workers 20 -> 30"));
    ck_assert(
        set_bed_has_logged("[log] level 5 -> 2; [log] filters '1:util 2:b' -> '3:rpc 4:util'"));
    ck_assert(set_bed_has_logged("[log] outputs '3:stderr' -> '1:journald 3:syslog:x'"));
    ck_assert(set_bed_has_logged("[server libvirtd] clients_high_percent 80 -> 70"));
    ck_assert(set_bed_has_logged("(snmp): "));
}
END_TEST

START_TEST(test_one_generation)
{
    guint32 before = set_bed_generation(set);

    SET_ALL(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0),
            NUMBER(SERVER_CLIENTS_MAX, SERVER, 30, 1), NUMBER(LOG_LEVEL, 0, 2, 2));
    ck_assert_uint_eq(set_bed_generation(set), before + 1);
}
END_TEST

START_TEST(test_equal_values)
{
    guint32 before = set_bed_generation(set);

    SET_ALL(set, NUMBER(SERVER_WORKERS_MIN, SERVER, 5, 0),
            NUMBER(SERVER_WORKERS_MAX, SERVER, 20, 1), NUMBER(SERVER_CLIENTS_MAX, ADMIN, 10, 2),
            NUMBER(SERVER_CLIENTS_HIGH_PERCENT, SERVER, 80, 3), NUMBER(LOG_LEVEL, 0, 5, 4),
            TEXT(LOG_FILTERS, " 01:+util  2:b", 5), TEXT(LOG_OUTPUTS, "3:stderr ", 6));
    run_for(50);
    ck_assert_uint_eq(set_bed_calls(set), 0);
    ck_assert_uint_eq(set_bed_generation(set), before);
    ck_assert_uint_eq(bed_count(set->bed, VADM_EVENT_CONFIG), 0);
    ck_assert(!set_bed_has_logged("(snmp)"));
}
END_TEST

/* The daemon shows how many priority workers there are, so it is told also if that is as many. */
START_TEST(test_priority_is_always_sent)
{
    SET_ALL(set, NUMBER(SERVER_WORKERS_PRIORITY, SERVER, 5, 0));
    ck_assert_uint_eq(set_bed_calls(set), 1);
    ck_assert(!set_bed_has_logged("(snmp)"));
}
END_TEST

START_TEST(test_priority_on_its_way)
{
    FakeServer *server = fake_find_server(set->bed->fake, "libvirtd");
    guint32 after;

    peer_handle(set->bed->peer, VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS,
                set_bed_accept_only, NULL);
    SET_ALL(set, NUMBER(SERVER_WORKERS_PRIORITY, SERVER, 9, 0));
    after = set_bed_generation(set);
    WAIT_FOR(bed_count(set->bed, VADM_EVENT_CONFIG) == 1);
    FAKE_SET(set->bed->fake, server->pool[POOL_PRIORITY] = 7);
    set_bed_refresh(set);
    FAKE_SET(set->bed->fake, server->pool[POOL_PRIORITY] = 9);
    set_bed_refresh(set);
    ck_assert_uint_eq(set_bed_generation(set), after);
    ck_assert_uint_eq(bed_count(set->bed, VADM_EVENT_CONFIG), 1);
    FAKE_SET(set->bed->fake, server->pool[POOL_PRIORITY] = 7); /* now it was somebody else */
    set_bed_refresh(set);
    ck_assert_uint_eq(set_bed_generation(set), after + 1);
}
END_TEST

START_TEST(test_filters_keep_their_places)
{
    FAKE_SET(set->bed->fake, g_free(set->bed->fake->filters);
             set->bed->fake->filters = g_strdup("3:*** 1:*a* "));
    SET_ALL(set, TEXT(LOG_FILTERS, "1:a", 0));
    ck_assert_uint_eq(set_bed_calls(set), 0);
    SET_ALL(set, NUMBER(LOG_LEVEL, 0, 1, 0));
    ck_assert_str_eq(set->bed->source->snapshot->raw_filters, "1:*** 1:*a* ");
    SET_ALL(set, TEXT(LOG_FILTERS, "", 0), NUMBER(LOG_LEVEL, 0, 5, 1));
    ck_assert_uint_eq(set->bed->source->snapshot->log_level, 5);
    ck_assert_str_eq(set->bed->source->snapshot->filters, "");
}
END_TEST

/* Only spaces would leave a libvirt daemon without outputs. */
START_TEST(test_default_outputs)
{
    g_autofree char *state = NULL;
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = COMMITTED(set, TEXT(LOG_OUTPUTS, "  ", 0));

    ck_assert_str_eq(set->bed->source->snapshot->outputs, "3:journald");
    set_undo(set, txn, &outcome);
    ck_assert_ptr_null(outcome.error);
    set_abort(set, txn);
    state = set_bed_state(set);
    ck_assert(strstr(state, "outputs '3:stderr'"));
}
END_TEST

START_TEST(test_default_outputs_changed_by_others)
{
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = COMMITTED(set, TEXT(LOG_OUTPUTS, "", 0));

    FAKE_SET(set->bed->fake, g_free(set->bed->fake->outputs);
             set->bed->fake->outputs = g_strdup("4:stderr"));
    set_undo(set, txn, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_CONFLICT));
    set_abort(set, txn);
}
END_TEST

/* A daemon without outputs cannot tell so; setting them is the cure. */
START_TEST(test_unknown_outputs)
{
    g_auto(Outcome) outcome = {0};
    g_autofree char *state = NULL;
    VadmTxn *txn;

    FAKE_SET(set->bed->fake, g_clear_pointer(&set->bed->fake->outputs, g_free));
    txn = PREPARED(set, TEXT(LOG_OUTPUTS, "1:journald", 0), NUMBER(LOG_LEVEL, 0, 1, 1));
    set_bed_script(set, 2, 2, SET_REFUSE);
    set_commit(set, txn, &outcome);
    ck_assert_ptr_nonnull(outcome.error);
    ck_assert_msg(strstr(outcome.error->message, "what was before is not known"), "%s",
                  outcome.error->message);
    set_abort(set, txn);
    set_bed_script(set, 0, 0, SET_REFUSE);
    SET_ALL(set, TEXT(LOG_OUTPUTS, "2:journald", 0));
    state = set_bed_state(set);
    ck_assert(strstr(state, "outputs '2:journald'"));
}
END_TEST

START_TEST(test_pool_without_workers)
{
    FakeServer *server = fake_find_server(set->bed->fake, "libvirtd");
    g_auto(Outcome) outcome = {0};
    const VadmChange min = NUMBER(SERVER_WORKERS_MIN, SERVER, 1, 0);

    FAKE_SET(set->bed->fake, memset(server->pool, 0, sizeof(server->pool)));
    SET_ALL(set, NUMBER(SERVER_WORKERS_PRIORITY, SERVER, 3, 0),
            NUMBER(SERVER_WORKERS_MAX, SERVER, 0, 1));
    ck_assert_uint_eq(set_bed_row(set, SERVER).workers_priority, 3);
    set_prepare(set, &min, 1, &outcome);
    ck_assert_ptr_nonnull(outcome.error);
    ck_assert_str_eq(outcome.error->message, "minWorkers cannot be larger than maxWorkers");
}
END_TEST

START_TEST(test_beyond_our_bounds)
{
    FakeServer *server = fake_find_server(set->bed->fake, "libvirtd");

    FAKE_SET(set->bed->fake, server->limits[LIMIT_MAX] = G_MAXUINT32);
    SET_ALL(set, NUMBER(SERVER_CLIENTS_MAX, SERVER, G_MAXUINT32, 0),
            NUMBER(SERVER_CLIENTS_UNAUTH_MAX, SERVER, 1000000, 1));
    ck_assert_uint_eq(set_bed_row(set, SERVER).clients_unauth_max, 1000000);
}
END_TEST

/* A log line is one line. */
START_TEST(test_line_break_in_filter)
{
    SET_ALL(set, TEXT(LOG_FILTERS, "1:a\nforged", 0));
    ck_assert(set_bed_has_logged("-> '1:a forged'"));
    ck_assert(!set_bed_has_logged("\nforged"));
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    VadmChange changes[3];
    guint n, tag;
    int code;
    const char *message;
} refusals[] = {
    {{NUMBER(SERVER_WORKERS_MAX, SERVER, 1001, 4)},
     1,
     4,
     VADM_ERROR_INVALID_VALUE,
     "[server libvirtd] max_workers: value 1001 must be a number from 0 to 1000"},
    {{NUMBER(SERVER_WORKERS_MIN, SERVER, G_GUINT64_CONSTANT(0x100000005), 1)},
     1,
     1,
     VADM_ERROR_INVALID_VALUE,
     "value 4294967301 must be"},
    {{NUMBER(SERVER_CLIENTS_MAX, SERVER, 1000001, 0)},
     1,
     0,
     VADM_ERROR_INVALID_VALUE,
     "max_clients: value 1000001 must be a number from 0 to 1000000"},
    {{NUMBER(SERVER_CLIENTS_HIGH_PERCENT, SERVER, 101, 0)}, 1, 0, VADM_ERROR_INVALID_VALUE, "100"},
    {{NUMBER(SERVER_WORKERS_MIN, SERVER, 21, 3)},
     1,
     3,
     VADM_ERROR_INCONSISTENT,
     "minWorkers cannot be larger than maxWorkers"},
    {{NUMBER(SERVER_WORKERS_MIN, SERVER, 9, 0), NUMBER(SERVER_CLIENTS_MAX, ADMIN, 3, 1),
      NUMBER(SERVER_WORKERS_MAX, SERVER, 8, 2)},
     3,
     2,
     VADM_ERROR_INCONSISTENT,
     "minWorkers cannot be larger than maxWorkers"},
    {{NUMBER(SERVER_WORKERS_MAX, SERVER, 0, 0), NUMBER(SERVER_WORKERS_MIN, SERVER, 0, 1)},
     2,
     0,
     VADM_ERROR_INCONSISTENT,
     "maxWorkers must not be switched from zero to non-zero and vice versa"},
    {{NUMBER(SERVER_CLIENTS_UNAUTH_MAX, SERVER, 11, 0)},
     1,
     0,
     VADM_ERROR_INCONSISTENT,
     "The overall maximum number of clients waiting for authentication must not be less than the "
     "overall maximum number of clients"},
    {{NUMBER(SERVER_CLIENTS_MAX, 7, 11, 2)}, 1, 2, VADM_ERROR_NO_SERVER, "index 7"},
    {{CLOSE(SERVER, 4711, 1)}, 1, 1, VADM_ERROR_NO_CLIENT, "no client with index 4711"},
    {{CLOSE(9, 1, 1)}, 1, 1, VADM_ERROR_NO_SERVER, "index 9"},
    {{NUMBER(LOG_LEVEL, 0, 6, 1)}, 1, 1, VADM_ERROR_INVALID_VALUE, "value 6"},
    {{NUMBER(LOG_LEVEL, 0, 0, 1)}, 1, 1, VADM_ERROR_INVALID_VALUE, "value 0"},
    {{NUMBER(LOG_LEVEL, 0, 1, 0), TEXT(LOG_FILTERS, "3:a 9:b", 1)},
     2,
     1,
     VADM_ERROR_INVALID_VALUE,
     "Invalid priority '9' for filter '9:b'"},
    {{TEXT(LOG_FILTERS, "3:a 2:*", 0), NUMBER(LOG_LEVEL, 0, 1, 1)},
     2,
     1,
     VADM_ERROR_INCONSISTENT,
     "matches everything"},
    {{TEXT(LOG_OUTPUTS, "1:stdout", 2)},
     1,
     2,
     VADM_ERROR_INVALID_VALUE,
     "Invalid log destination 'stdout' for log output '1:stdout'"},
    {{TEXT(LOG_OUTPUTS, "1:file:/etc/passwd", 2)}, 1, 2, VADM_ERROR_DENIED, "'/etc/passwd'"},
    {{TEXT(LOG_OUTPUTS, "1:file:log", 2)}, 1, 2, VADM_ERROR_DENIED, "must be absolute"},
    {{TEXT(SERVER_WORKERS_MAX, "x", 1)}, 1, 1, VADM_ERROR_NO_SERVER, "index 0"},
    {{NUMBER(LOG_FILTERS, 0, 1, 1)}, 1, 1, VADM_ERROR_INVALID_VALUE, "string"},
    {{NUMBER(CONFIG_STORAGE, 0, 2, 1)}, 1, 1, VADM_ERROR_NOT_SUPPORTED, "cannot be set"},
    {{NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0), NUMBER(SERVER_WORKERS_MAX, SERVER, 31, 1)},
     2,
     1,
     VADM_ERROR_INCONSISTENT,
     "another value"},
    {{TEXT(LOG_OUTPUTS, "1:stderr", 0), TEXT(LOG_OUTPUTS, "1:stderr", 1)},
     2,
     1,
     VADM_ERROR_INCONSISTENT,
     "another value"},
};

START_TEST(test_refused)
{
    g_autofree char *before = set_bed_state(set);
    g_autofree char *after = NULL;
    g_auto(Outcome) outcome = {0};

    set_prepare(set, refusals[_i].changes, refusals[_i].n, &outcome);
    ck_assert_msg(outcome.error != NULL, "accepted");
    ck_assert_msg(g_error_matches(outcome.error, VADM_ERROR, refusals[_i].code), "%d: %s",
                  outcome.error->code, outcome.error->message);
    ck_assert_msg(strstr(outcome.error->message, refusals[_i].message) != NULL, "%s",
                  outcome.error->message);
    ck_assert_uint_eq(outcome.tag, refusals[_i].tag);
    after = set_bed_state(set);
    ck_assert_str_eq(after, before);
    ck_assert_uint_eq(set_bed_calls(set), 0);
    /* and the next one is not hindered */
    SET_ALL(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 21, 0));
}
END_TEST

START_TEST(test_one_at_a_time)
{
    const VadmChange change = NUMBER(SERVER_WORKERS_MAX, SERVER, 40, 0);
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = PREPARED(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0));

    set_prepare(set, &change, 1, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_BUSY));
    set_abort(set, txn);
    set_prepare(set, &change, 1, &outcome); /* behind the abort */
    ck_assert_ptr_null(outcome.error);
    txn = outcome.txn;
    set_commit(set, txn, &outcome);
    ck_assert_ptr_null(outcome.error);
    set_prepare(set, &change, 1, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_BUSY));
    set_finish(set, txn);
    set_prepare(set, &change, 1, &outcome);
    ck_assert_ptr_null(outcome.error);
    set_abort(set, outcome.txn);
}
END_TEST

START_TEST(test_numbers_that_are_not_told)
{
    FakeServer *server = fake_find_server(set->bed->fake, "libvirtd");
    const VadmChange change = NUMBER(SERVER_CLIENTS_MAX, SERVER, 30, 5);
    g_auto(Outcome) outcome = {0};

    FAKE_SET(set->bed->fake, server->limits_absent = 1u << LIMIT_MAX);
    set_prepare(set, &change, 1, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_BUSY));
    ck_assert_uint_eq(outcome.tag, 5);
    SET_ALL(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0));
}
END_TEST

/* ---- disconnecting ---- */

START_TEST(test_disconnect)
{
    guint32 before = set_bed_generation(set);
    VadmTxn *txn;

    fake_add_client(set->bed->fake, "libvirtd", 9);
    set_bed_refresh(set);
    txn = COMMITTED(set, CLOSE(SERVER, 9, 0));
    run_for(50);
    ck_assert_uint_eq(peer_n_calls(set->bed->peer, VADM_ADMIN_PROC_CLIENT_CLOSE), 0);
    set_finish(set, txn);
    WAIT_FOR(set_bed_has_logged("client 9 of server libvirtd is disconnected"));
    ck_assert_uint_eq(set_bed_generation(set), before);
}
END_TEST

START_TEST(test_disconnect_of_who_is_gone)
{
    VadmTxn *txn;

    fake_add_client(set->bed->fake, "libvirtd", 9);
    set_bed_refresh(set);
    txn = COMMITTED(set, CLOSE(SERVER, 9, 0));
    fake_remove_client(set->bed->fake, "libvirtd", 9);
    set_finish(set, txn);
    WAIT_FOR(set_bed_has_logged("client 9 of server libvirtd was gone already"));
}
END_TEST

START_TEST(test_disconnect_refused)
{
    fake_add_client(set->bed->fake, "libvirtd", 9);
    set_bed_refresh(set);
    peer_refuse(set->bed->peer, VADM_ADMIN_PROC_CLIENT_CLOSE, VADM_VIR_ERR_INTERNAL_ERROR, "why");
    set_finish(set, COMMITTED(set, CLOSE(SERVER, 9, 0)));
    WAIT_FOR(set_bed_has_logged("client 9 of server libvirtd cannot be disconnected"));
}
END_TEST

START_TEST(test_disconnect_ourselves)
{
    peer_hang_up(set->bed->peer, VADM_ADMIN_PROC_CLIENT_CLOSE, 0);
    set_finish(set, COMMITTED(set, CLOSE(ADMIN, 1, 0)));
    WAIT_FOR(set_bed_has_logged("no answer to its disconnection"));
    WAIT_FOR(peer_n_connections(set->bed->peer) == 2 && bed_is_up(set->bed));
    SET_ALL(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0));
}
END_TEST

START_TEST(test_connected_is_nothing)
{
    const VadmChange change = {.field = VADM_FIELD_CLIENT_ADMIN_STATUS,
                               .server = ADMIN,
                               .client = 1,
                               .value = {.kind = VADM_VALUE_UINT, .number = 1}};
    const VadmChange bad = {.field = VADM_FIELD_CLIENT_ADMIN_STATUS,
                            .server = ADMIN,
                            .client = 1,
                            .value = {.kind = VADM_VALUE_UINT, .number = 3}};
    g_auto(Outcome) outcome = {0};

    set_all(set, &change, 1);
    ck_assert_uint_eq(peer_n_calls(set->bed->peer, VADM_ADMIN_PROC_CLIENT_CLOSE), 0);
    set_prepare(set, &bad, 1, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_INVALID_VALUE));
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        test_all_fields,           test_one_generation,
        test_equal_values,         test_priority_is_always_sent,
        test_priority_on_its_way,  test_filters_keep_their_places,
        test_default_outputs,      test_default_outputs_changed_by_others,
        test_unknown_outputs,      test_pool_without_workers,
        test_beyond_our_bounds,    test_line_break_in_filter,
        test_one_at_a_time,        test_numbers_that_are_not_told,
        test_disconnect,           test_disconnect_of_who_is_gone,
        test_disconnect_refused,   test_disconnect_ourselves,
        test_connected_is_nothing,
    };
    Suite *suite = suite_create("remote source, SET");
    TCase *tc = tcase_create("remote source, SET");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    for (guint i = 0; i < G_N_ELEMENTS(tests); i++)
        tcase_add_test(tc, tests[i]);
    tcase_add_loop_test(tc, test_refused, 0, G_N_ELEMENTS(refusals));
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
