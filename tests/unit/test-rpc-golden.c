/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Against the traffic of real clients and daemons (tests/data/admin-traces.hex). */
#include "rpc/rpc-error.h"
#include "test-rpc-data.h"
#include "unit.h"

#define TRACE_MESSAGES 133u

static GPtrArray *traces;

static void
setup(void)
{
    traces = traces_load(TRACES_ADMIN);
}

static void
teardown(void)
{
    g_ptr_array_unref(traces);
}

static const TraceMessage *
trace_at(guint i)
{
    return g_ptr_array_index(traces, i);
}

static VadmMessage *
message_at(guint i)
{
    const TraceMessage *trace = trace_at(i);

    return vadm_message_new_take(g_memdup2(trace->data, trace->length), trace->length);
}

static void
assert_same(const VadmMessage *message, const TraceMessage *trace)
{
    ck_assert_uint_eq(message->length, trace->length);
    ck_assert_mem_eq(message->data, trace->data, trace->length);
}

/* Gives all traces, joined, to a framer in chunks of 1..@most octets (@random) or of @most. */
static void
check_chunks(gsize most, GRand *random)
{
    g_autoptr(VadmFramer) framer = vadm_framer_new();
    g_autoptr(GByteArray) all = g_byte_array_new();
    gsize fed = 0;
    guint got = 0;

    for (guint i = 0; i < traces->len; i++)
        g_byte_array_append(all, trace_at(i)->data, (guint)trace_at(i)->length);
    while (fed < all->len) {
        gsize want = random ? (gsize)g_rand_int_range(random, 1, (gint)most + 1) : most, room;
        guint8 *space = vadm_framer_space(framer, want, &room);
        VadmMessage *message;

        room = MIN(room, all->len - fed);
        ck_assert_uint_ge(room, 1);
        memcpy(space, all->data + fed, room);
        vadm_framer_filled(framer, room);
        fed += room;
        while ((message = vadm_framer_next(framer, NULL))) {
            assert_same(message, trace_at(got++));
            vadm_message_free(message);
        }
    }
    ck_assert_uint_eq(got, traces->len);
    ck_assert_uint_eq(vadm_framer_pending(framer), 0);
}

START_TEST(test_framing)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(20260101);

    ck_assert_uint_eq(traces->len, TRACE_MESSAGES);
    for (gsize chunk = 1; chunk < 70; chunk++)
        check_chunks(chunk, NULL);
    check_chunks(1000000, NULL);
    for (int i = 0; i < 50; i++)
        check_chunks(400, random);
}
END_TEST

START_TEST(test_payloads)
{
    for (guint i = 0; i < traces->len; i++) {
        g_autoptr(VadmMessage) message = message_at(i), again = NULL;
        g_autofree gpointer payload = NULL;
        xdrproc_t proc;
        gsize size;

        ck_assert_msg(payload_of(&message->header, &proc, &size), "message %u: procedure %d", i,
                      message->header.procedure);
        if (proc) {
            payload = g_malloc0(size);
            ck_assert_msg(vadm_message_decode(message, proc, payload, NULL), "message %u", i);
        }
        again = vadm_message_new(&message->header, proc, payload, NULL);
        ck_assert_ptr_nonnull(again);
        assert_same(again, trace_at(i));
        if (proc)
            xdr_free(proc, payload);
    }
}
END_TEST

typedef struct {
    int number, domain;
    const char *detail;
} KnownError;

/* The error replies of the traces in their order. */
static const KnownError known_errors[] = {
    {VADM_VIR_ERR_NO_SERVER, VADM_VIR_FROM_RPC, "No server named 'nosuch'"},
    {VADM_VIR_ERR_INVALID_ARG, VADM_VIR_FROM_NONE, "minWorkers cannot be larger than maxWorkers"},
    {VADM_VIR_ERR_INVALID_ARG, VADM_VIR_FROM_NONE,
     "Invalid log priority '9' for log output '9:stderr'"},
    {VADM_VIR_ERR_INTERNAL_ERROR, VADM_VIR_FROM_RPC,
     "no tls service found, unable to update tls files"},
    {VADM_VIR_ERR_INTERNAL_ERROR, 10, "Cannot find suitable emulator for x86_64"},
    {VADM_VIR_ERR_RPC, VADM_VIR_FROM_RPC, "unknown procedure: 20"},
};

START_TEST(test_errors)
{
    guint got = 0;

    for (guint i = 1; i < traces->len; i++) {
        g_autoptr(VadmMessage) call = message_at(i - 1), reply = message_at(i), ours = NULL;
        g_autofree char *text = NULL, *expected = NULL;
        const KnownError *known = &known_errors[got];
        int number, domain;

        if (reply->header.status != VADM_RPC_ERROR)
            continue;
        ck_assert_uint_lt(got++, G_N_ELEMENTS(known_errors));
        ours =
            vadm_message_new_error(&call->header, known->number, known->domain, known->detail, -1);
        assert_same(ours, trace_at(i));
        text = vadm_message_get_error(reply, &number, &domain);
        expected = g_strconcat(vadm_rpc_error_prefix(known->number), known->detail, NULL);
        ck_assert_str_eq(text, expected);
        ck_assert_int_eq(number, known->number);
        ck_assert_int_eq(domain, known->domain);
    }
    ck_assert_uint_eq(got, G_N_ELEMENTS(known_errors));
}
END_TEST

/* A message whose fields are spelled out in the annotations of the captures. */
START_TEST(test_fields)
{
    g_autoptr(VadmMessage) list = message_at(3);
    vadm_admin_connect_list_servers_ret servers = {0};

    ck_assert_uint_eq(list->header.program, VADM_RPC_PROGRAM_ADMIN);
    ck_assert_uint_eq(list->header.version, 1);
    ck_assert_int_eq(list->header.procedure, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS);
    ck_assert_uint_eq(list->header.type, VADM_RPC_REPLY);
    ck_assert_uint_eq(list->header.serial, 1);
    ck_assert_uint_eq(list->header.status, VADM_RPC_OK);
    ck_assert(vadm_message_decode(list, (xdrproc_t)xdr_vadm_admin_connect_list_servers_ret,
                                  &servers, NULL));
    ck_assert_uint_eq(servers.servers.servers_len, 2);
    ck_assert_str_eq(servers.servers.servers_val[0].name, "admin");
    ck_assert_str_eq(servers.servers.servers_val[1].name, "libvirtd");
    ck_assert_uint_eq(servers.ret, 2);
    xdr_free((xdrproc_t)xdr_vadm_admin_connect_list_servers_ret, &servers);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rpc-golden");
    TCase *tc = tcase_create("traces");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_framing);
    tcase_add_test(tc, test_payloads);
    tcase_add_test(tc, test_errors);
    tcase_add_test(tc, test_fields);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
