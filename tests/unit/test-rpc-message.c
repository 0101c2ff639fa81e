/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/error.h"
#include "test-rpc-data.h"
#include "unit.h"

static const VadmRpcHeader call_header = {
    .program = VADM_RPC_PROGRAM_ADMIN,
    .version = 1,
    .procedure = VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS,
    .type = VADM_RPC_CALL,
    .serial = 0xfffffff0u,
};

/* A message with @hex behind the header. */
static VadmMessage *
message_of_hex(guint32 type, const char *hex)
{
    g_autoptr(GString) all = g_string_new(NULL);
    gsize length;
    guint8 *data;

    g_string_printf(all, "%08zx06900690000000010000000700000000%08x00000000%s",
                    28 + strlen(hex) / 2, 5u, hex);
    data = unhex(all->str, &length);
    data[19] = (guint8)type;
    return vadm_message_new_take(data, length);
}

static gboolean
decodes(const char *hex, xdrproc_t proc, gpointer payload)
{
    g_autoptr(VadmMessage) message = message_of_hex(VADM_RPC_CALL, hex);
    g_autoptr(GError) error = NULL;
    gboolean done = vadm_message_decode(message, proc, payload, &error);

    if (!done) {
        ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_RPC));
        ck_assert_str_eq(error->message, "Unable to decode message payload");
    }
    return done;
}

START_TEST(test_empty)
{
    g_autoptr(VadmMessage) message = vadm_message_new(&call_header, NULL, NULL, NULL);
    gsize length;
    g_autofree guint8 *expected =
        unhex("0000001c06900690000000010000000700000000fffffff000000000", &length);

    ck_assert_uint_eq(message->length, 28);
    ck_assert_mem_eq(message->data, expected, 28);
    vadm_message_payload(message, &length);
    ck_assert_uint_eq(length, 0);
}
END_TEST

START_TEST(test_reply_echoes)
{
    vadm_extension_get_log_level_ret ret = {.level = 2};
    g_autoptr(VadmMessage) reply = vadm_message_new_reply(
        &call_header, (xdrproc_t)xdr_vadm_extension_get_log_level_ret, &ret, NULL);

    ck_assert_uint_eq(reply->header.type, VADM_RPC_REPLY);
    ck_assert_uint_eq(reply->header.status, VADM_RPC_OK);
    ck_assert_uint_eq(reply->header.serial, call_header.serial);
    ck_assert_int_eq(reply->header.procedure, call_header.procedure);
    ck_assert_uint_eq(reply->length, 32);
    ck_assert_uint_eq(reply->data[3], 32);
    ck_assert_uint_eq(reply->data[31], 2);
}
END_TEST

START_TEST(test_set_serial)
{
    g_autoptr(VadmMessage) message = vadm_message_new(&call_header, NULL, NULL, NULL);
    g_autoptr(VadmMessage) copy = vadm_message_copy(message);

    vadm_message_set_serial(message, 0x01020304);
    ck_assert_uint_eq(message->header.serial, 0x01020304);
    ck_assert_mem_eq(message->data + 20, "\1\2\3\4", 4);
    ck_assert_uint_eq(copy->header.serial, call_header.serial);
    ck_assert_uint_eq(copy->data[23], 0xf0);
}
END_TEST

/* Anything may stand in a header; nothing is judged while framing. */
START_TEST(test_odd_header)
{
    gsize length;
    guint8 *data = unhex("0000001cffffffff80000000ffffffff7fffffff0000000000000009", &length);
    g_autoptr(VadmMessage) message = vadm_message_new_take(data, length);

    ck_assert_uint_eq(message->header.program, 0xffffffffu);
    ck_assert_uint_eq(message->header.version, 0x80000000u);
    ck_assert_int_eq(message->header.procedure, -1);
    ck_assert_uint_eq(message->header.type, 0x7fffffffu);
    ck_assert_uint_eq(message->header.status, 9);
}
END_TEST

static const struct {
    const char *hex;
    const char *name; /* NULL: must not decode */
} lookups[] = {
    {"0000000561646d696e00000000000007", "admin"},
    {"0000000561646d696e00000000000007deadbeef01", "admin"}, /* octets behind it */
    {"0000000561646d696effffff00000007", "admin"},           /* pad octets */
    {"0000000561640069 6e00000000000007", "ad"},             /* NUL inside */
    {"00000002fffe000000000007", "\xff\xfe"},                /* no UTF-8 */
    {"0000000000000007", ""},
    {"0000000561646d696e000000000000", NULL}, /* flags cut off */
    {"0000000561646d696e0000", NULL},         /* pad cut off */
    {"0000000561646d", NULL},                 /* text cut off */
    {"00400000", NULL},                       /* promises 4 MiB */
    {"00400001", NULL},
    {"ffffffff", NULL},
    {"7fffffff00000000", NULL},
    {"000000", NULL},
    {"", NULL},
};

START_TEST(test_strings)
{
    vadm_admin_connect_lookup_server_args args = {0};
    xdrproc_t proc = (xdrproc_t)xdr_vadm_admin_connect_lookup_server_args;
    g_auto(GStrv) parts = g_strsplit(lookups[_i].hex, " ", -1);
    g_autofree char *hex = g_strjoinv("", parts);

    ck_assert_int_eq(decodes(hex, proc, &args), lookups[_i].name != NULL);
    if (lookups[_i].name) {
        ck_assert_str_eq(args.name, lookups[_i].name);
        ck_assert_uint_eq(args.flags, 7);
    }
    xdr_free(proc, &args);
}
END_TEST

/* Presence is any number but 0. */
START_TEST(test_optional)
{
    static const char *const present[] = {"00000001", "00000002", "ffffffff", "80000000"};
    xdrproc_t proc = (xdrproc_t)xdr_vadm_admin_connect_set_logging_filters_args;
    vadm_admin_connect_set_logging_filters_args args = {0};

    ck_assert(decodes("0000000000000003", proc, &args));
    ck_assert_ptr_null(args.filters);
    ck_assert_uint_eq(args.flags, 3);
    for (gsize i = 0; i < G_N_ELEMENTS(present); i++) {
        g_autofree char *hex = g_strconcat(present[i], "00000003313a610000000004", NULL);

        memset(&args, 0, sizeof args);
        ck_assert(decodes(hex, proc, &args));
        ck_assert_str_eq(*args.filters, "1:a");
        ck_assert_uint_eq(args.flags, 4);
        xdr_free(proc, &args);
    }
}
END_TEST

/* @count parameters "a" = 1 of type @type in a call. */
static gboolean
decodes_params(guint count, int type)
{
    xdrproc_t proc = (xdrproc_t)xdr_vadm_admin_server_set_threadpool_parameters_args;
    vadm_admin_server_set_threadpool_parameters_args args = {0};
    g_autoptr(GString) hex = g_string_new("0000000173000000");
    gboolean done;

    g_string_append_printf(hex, "%08x", count);
    for (guint i = 0; i < count; i++)
        g_string_append_printf(hex, "0000000161000000%08x00000001", i == 1 ? (guint)type : 2u);
    g_string_append(hex, "00000000");
    done = decodes(hex->str, proc, &args);
    if (done) {
        ck_assert_uint_eq(args.params.params_len, count);
        ck_assert_uint_eq(args.params.params_val[count - 1].value.vadm_typed_param_value_u.ui, 1);
    }
    xdr_free(proc, &args);
    return done;
}

START_TEST(test_params)
{
    ck_assert(decodes_params(32, 2));
    ck_assert(!decodes_params(33, 2));
    ck_assert(decodes_params(3, 1));
    ck_assert(decodes_params(3, 6));
    ck_assert(!decodes_params(3, 0));
    ck_assert(!decodes_params(3, 8));
    ck_assert(!decodes_params(3, 9));
    ck_assert(!decodes_params(3, -1));
}
END_TEST

/* Counts that the octets do not keep, and one whose product with the size overflows. */
START_TEST(test_counts)
{
    static const char *const counts[] = {"00004000", "00004001", "20000001", "ffffffff"};
    xdrproc_t proc = (xdrproc_t)xdr_vadm_admin_server_list_clients_ret;

    for (gsize i = 0; i < G_N_ELEMENTS(counts); i++) {
        vadm_admin_server_list_clients_ret ret = {0};
        g_autofree char *hex = g_strconcat(counts[i], "0000000161000000", NULL);

        ck_assert(!decodes(hex, proc, &ret));
        xdr_free(proc, &ret);
    }
}
END_TEST

/* Each arm of a typed parameter, with numbers at their ends, there and back. */
START_TEST(test_arms)
{
    static char text[] = "text", field[] = "field";
    vadm_typed_param params[] = {
        {field, {VADM_TYPED_PARAM_INT, {.i = G_MININT32}}},
        {field, {VADM_TYPED_PARAM_UINT, {.ui = G_MAXUINT32}}},
        {field, {VADM_TYPED_PARAM_LLONG, {.l = G_MININT64}}},
        {field, {VADM_TYPED_PARAM_ULLONG, {.ul = G_MAXUINT64}}},
        {field, {VADM_TYPED_PARAM_DOUBLE, {.d = -0.1}}},
        {field, {VADM_TYPED_PARAM_BOOLEAN, {.b = 1}}},
        {field, {VADM_TYPED_PARAM_STRING, {.s = text}}},
    };
    vadm_remote_connect_set_identity_args args = {{G_N_ELEMENTS(params), params}, 0}, back = {0};
    xdrproc_t proc = (xdrproc_t)xdr_vadm_remote_connect_set_identity_args;
    g_autoptr(VadmMessage) message = vadm_message_new(&call_header, proc, &args, NULL);
    const vadm_typed_param *got;

    ck_assert_uint_eq(message->length, 28 + 4 + 7 * 16 + 3 * 4 + 4 * 8 + 4);
    ck_assert(vadm_message_decode(message, proc, &back, NULL));
    ck_assert_uint_eq(back.params.params_len, G_N_ELEMENTS(params));
    got = back.params.params_val;
    ck_assert_int_eq(got[0].value.vadm_typed_param_value_u.i, G_MININT32);
    ck_assert_uint_eq(got[1].value.vadm_typed_param_value_u.ui, G_MAXUINT32);
    ck_assert_int_eq(got[2].value.vadm_typed_param_value_u.l, G_MININT64);
    ck_assert_uint_eq(got[3].value.vadm_typed_param_value_u.ul, G_MAXUINT64);
    ck_assert_double_eq(got[4].value.vadm_typed_param_value_u.d, -0.1);
    ck_assert_int_eq(got[5].value.vadm_typed_param_value_u.b, 1);
    ck_assert_str_eq(got[6].value.vadm_typed_param_value_u.s, "text");
    xdr_free(proc, &back);
}
END_TEST

/* The word that counts descriptors stands before the arguments. */
START_TEST(test_with_fds)
{
    vadm_extension_set_log_level_args args = {0};
    xdrproc_t proc = (xdrproc_t)xdr_vadm_extension_set_log_level_args;
    g_autoptr(VadmMessage) call =
        message_of_hex(VADM_RPC_CALL_WITH_FDS, "000000000000000400000001");
    g_autoptr(VadmMessage) reply =
        message_of_hex(VADM_RPC_REPLY_WITH_FDS, "000000000000000300000002");
    g_autoptr(VadmMessage) cut = message_of_hex(VADM_RPC_CALL_WITH_FDS, "000000");

    ck_assert(vadm_message_decode(call, proc, &args, NULL));
    ck_assert_uint_eq(args.level, 4);
    ck_assert_uint_eq(args.flags, 1);
    ck_assert(vadm_message_decode(reply, proc, &args, NULL));
    ck_assert_uint_eq(args.level, 3);
    ck_assert(!vadm_message_decode(cut, proc, &args, NULL));
}
END_TEST

/* Eight names, the last of @last octets, the others of 4 MiB: a payload near the limit. */
static VadmMessage *
new_near_limit(gsize last, GError **error)
{
    g_autofree char *most = g_strnfill(VADM_RPC_STRING_MAX, 'x');
    g_autofree char *rest = g_strnfill(last, 'y');
    vadm_admin_server servers[8];
    vadm_admin_connect_list_servers_ret ret = {{G_N_ELEMENTS(servers), servers}, 8};

    for (gsize i = 0; i < G_N_ELEMENTS(servers); i++)
        servers[i].name = i == G_N_ELEMENTS(servers) - 1 ? rest : most;
    return vadm_message_new_reply(&call_header, (xdrproc_t)xdr_vadm_admin_connect_list_servers_ret,
                                  &ret, error);
}

START_TEST(test_encode_limit)
{
    /* count, eight lengths, ret: 40 octets beside the names */
    gsize fits = VADM_RPC_LENGTH_MAX - 28 - 40 - 7 * VADM_RPC_STRING_MAX;
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmMessage) message = new_near_limit(fits, &error);

    ck_assert_ptr_nonnull(message);
    ck_assert_uint_eq(message->length, VADM_RPC_LENGTH_MAX);
    ck_assert_ptr_null(new_near_limit(fits + 1, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_RPC));
}
END_TEST

/* Growth is by doubling: nothing may be lost at its steps. */
START_TEST(test_encode_growth)
{
    for (gsize size = 65536 - 80; size <= 65536 + 16; size++) {
        g_autofree char *name = g_strnfill(size, 'n');
        vadm_admin_connect_lookup_server_ret ret = {.srv = {.name = name}}, back = {0};
        xdrproc_t proc = (xdrproc_t)xdr_vadm_admin_connect_lookup_server_ret;
        g_autoptr(VadmMessage) message = vadm_message_new_reply(&call_header, proc, &ret, NULL);

        ck_assert_uint_eq(message->length, 28 + 4 + (size + 3) / 4 * 4);
        ck_assert(vadm_message_decode(message, proc, &back, NULL));
        ck_assert_uint_eq(strlen(back.srv.name), size);
        xdr_free(proc, &back);
    }
}
END_TEST

/* A value that no space is enough for. */
START_TEST(test_encode_bad_arm)
{
    static char field[] = "field";
    vadm_typed_param param = {field, {9, {.i = 1}}};
    vadm_admin_client_get_info_ret ret = {{1, &param}};
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(vadm_message_new_reply(
        &call_header, (xdrproc_t)xdr_vadm_admin_client_get_info_ret, &ret, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_RPC));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rpc-message");
    TCase *tc = tcase_create("message");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_empty);
    tcase_add_test(tc, test_reply_echoes);
    tcase_add_test(tc, test_set_serial);
    tcase_add_test(tc, test_odd_header);
    tcase_add_loop_test(tc, test_strings, 0, G_N_ELEMENTS(lookups));
    tcase_add_test(tc, test_optional);
    tcase_add_test(tc, test_params);
    tcase_add_test(tc, test_counts);
    tcase_add_test(tc, test_arms);
    tcase_add_test(tc, test_with_fds);
    tcase_add_test(tc, test_encode_limit);
    tcase_add_test(tc, test_encode_growth);
    tcase_add_test(tc, test_encode_bad_arm);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
