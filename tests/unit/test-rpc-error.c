/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <gio/gio.h>

#include "rpc/rpc-error.h"
#include "test-rpc-data.h"
#include "unit.h"

static const VadmRpcHeader call = {
    .program = VADM_RPC_PROGRAM_ADMIN, .version = 1, .procedure = 16, .serial = 72};

static void
assert_hex(const VadmMessage *message, const char *hex)
{
    gsize length;
    g_autofree guint8 *expected = unhex(hex, &length);

    ck_assert_uint_eq(message->length, length);
    ck_assert_mem_eq(message->data, expected, length);
}

/* Octet by octet what libvirtd 9.0.0 answers. */
static const char flags_reply[] =
    "000000c0069006900000000100000010000000010000004800000001000000080000003e00000001"
    "00000041756e737570706f7274656420666c61677320283078312920696e2066756e6374696f6e20"
    "61646d696e436f6e6e6563745365744c6f6767696e674f7574707574730000000000000200000000"
    "000000010000001d61646d696e436f6e6e6563745365744c6f6767696e674f757470757473000000"
    "0000000100000005666c61677300000000000000000000000000000000000000";
static const char system_reply[] =
    "000000c8069006900000000100000010000000010000004800000001000000260000000000000001"
    "000000386661696c656420746f206f70656e202f6e6f6e6578697374656e742f783a204e6f207375"
    "63682066696c65206f72206469726563746f72790000000200000000000000010000000225730000"
    "00000001000000386661696c656420746f206f70656e202f6e6f6e6578697374656e742f783a204e"
    "6f20737563682066696c65206f72206469726563746f72790000000000000002ffffffff00000000";

START_TEST(test_flags)
{
    g_autoptr(VadmMessage) message =
        vadm_message_new_flags_error(&call, 1, "adminConnectSetLoggingOutputs");

    assert_hex(message, flags_reply);
}
END_TEST

START_TEST(test_system)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmMessage) message = NULL;

    vadm_error_set_errno(&error, ENOENT, "failed to open %s", "/nonexistent/x");
    message = vadm_message_new_gerror(&call, VADM_VIR_FROM_NONE, error);
    assert_hex(message, system_reply);
}
END_TEST

/* Each code, and the text that a user of virt-admin reads. */
static const struct {
    VadmErrorCode code;
    int number;
    const char *text;
} codes[] = {
    {VADM_ERROR_INTERNAL, 1, "internal error: x"},
    {VADM_ERROR_NO_MEMORY, 2, "out of memory: x"},
    {VADM_ERROR_INVALID_VALUE, 8, "invalid argument: x"},
    {VADM_ERROR_INCONSISTENT, 8, "invalid argument: x"},
    {VADM_ERROR_NOT_SUPPORTED, 74, "argument unsupported: x"},
    {VADM_ERROR_NO_SERVER, 95, "Server not found: x"},
    {VADM_ERROR_NO_CLIENT, 96, "Client not found: x"},
    {VADM_ERROR_BUSY, 87, "resource busy: x"},
    {VADM_ERROR_CONFLICT, 55, "Requested operation is not valid: x"},
    {VADM_ERROR_SYSTEM, 38, "x"},
    {VADM_ERROR_RPC, 39, "x"},
    {VADM_ERROR_AUTH, 45, "authentication failed: x"},
    {VADM_ERROR_DENIED, 29, "operation forbidden: x"},
    {VADM_ERROR_NO_CONNECT, 38, "x"},
    {VADM_ERROR_TIMEOUT, 68, "Timed out during operation: x"},
    {VADM_ERROR_CONFIG, 67, "unsupported configuration: x"},
    {VADM_ERROR_NO_SUPPORT, 84, "Operation not supported: x"},
};

START_TEST(test_codes)
{
    ck_assert_uint_eq(G_N_ELEMENTS(codes), VADM_ERROR_LAST);
    for (gsize i = 0; i < G_N_ELEMENTS(codes); i++) {
        g_autoptr(GError) error = g_error_new_literal(VADM_ERROR, (int)codes[i].code, "x");
        g_autoptr(VadmMessage) message = vadm_message_new_gerror(&call, VADM_VIR_FROM_ADMIN, error);
        int number = -1, domain = -1;
        g_autofree char *text = vadm_message_get_error(message, &number, &domain);

        ck_assert_uint_eq(codes[i].code, i);
        ck_assert_str_eq(text, codes[i].text);
        ck_assert_int_eq(number, codes[i].number);
        ck_assert_int_eq(domain, VADM_VIR_FROM_ADMIN);
        ck_assert_uint_eq(message->header.serial, call.serial);
        ck_assert_uint_eq(message->header.status, VADM_RPC_ERROR);
    }
}
END_TEST

START_TEST(test_foreign_domain)
{
    g_autoptr(GError) foreign = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_BUSY, "x");
    g_autoptr(GError) above = g_error_new_literal(VADM_ERROR, VADM_ERROR_LAST, "x");
    g_autoptr(GError) below = g_error_new_literal(VADM_ERROR, -1, "x");

    ck_assert_int_eq(vadm_rpc_error_number(foreign), VADM_VIR_ERR_INTERNAL_ERROR);
    ck_assert_int_eq(vadm_rpc_error_number(above), VADM_VIR_ERR_INTERNAL_ERROR);
    ck_assert_int_eq(vadm_rpc_error_number(below), VADM_VIR_ERR_INTERNAL_ERROR);
}
END_TEST

/* 64 KiB of a text are kept, and no character is cut in two. */
START_TEST(test_overlong)
{
    for (gsize before = 65530; before <= 65540; before++) {
        g_autofree char *fill = g_strnfill(before, 'a');
        g_autofree char *detail = g_strconcat(fill, "\xf0\x9f\x98\x80 and more", NULL);
        g_autoptr(VadmMessage) message =
            vadm_message_new_error(&call, VADM_VIR_ERR_RPC, VADM_VIR_FROM_RPC, detail, -1);
        g_autofree char *text = vadm_message_get_error(message, NULL, NULL);

        ck_assert(g_utf8_validate(text, -1, NULL));
        ck_assert_uint_le(strlen(text), 65536);
        ck_assert_uint_ge(strlen(text), 65533);
        ck_assert(g_str_has_prefix(detail, text));
    }
}
END_TEST

/* Neither text of the wrong encoding nor a conversion in it makes a difference. */
START_TEST(test_raw_text)
{
    g_autoptr(VadmMessage) message = vadm_message_new_error(
        &call, VADM_VIR_ERR_NO_SERVER, VADM_VIR_FROM_RPC, "'\xff\xfe %s %n'", -1);
    g_autofree char *text = vadm_message_get_error(message, NULL, NULL);

    ck_assert_str_eq(text, "Server not found: '\xff\xfe %s %n'");
}
END_TEST

/* Replies of others: without a text; cut off; with all that may be in one. */
START_TEST(test_read)
{
    static char text[] = "text", name[] = "name";
    char *string = text;
    vadm_rpc_error_domain dom = {.name = name, .id = 3};
    vadm_rpc_error_network net = {.name = name};
    vadm_rpc_error payload = {.code = 42, .domain = 10};
    VadmRpcHeader header = call;
    VadmMessage *message;
    int number, domain;
    char *got;

    header.type = VADM_RPC_REPLY;
    header.status = VADM_RPC_ERROR;
    message = vadm_message_new(&header, (xdrproc_t)xdr_vadm_rpc_error, &payload, NULL);
    got = vadm_message_get_error(message, &number, &domain);
    ck_assert_str_eq(got, "");
    ck_assert_int_eq(number, 42);
    ck_assert_int_eq(domain, 10);
    g_free(got);
    message->length -= 4;
    ck_assert_ptr_null(vadm_message_get_error(message, &number, &domain));
    message->length += 4;
    vadm_message_free(message);

    payload.message = payload.str1 = payload.str2 = payload.str3 = &string;
    payload.dom = &dom;
    payload.net = &net;
    message = vadm_message_new(&header, (xdrproc_t)xdr_vadm_rpc_error, &payload, NULL);
    got = vadm_message_get_error(message, NULL, NULL);
    ck_assert_str_eq(got, "text");
    g_free(got);
    vadm_message_free(message);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rpc-error");
    TCase *tc = tcase_create("error");

    tcase_add_test(tc, test_flags);
    tcase_add_test(tc, test_system);
    tcase_add_test(tc, test_codes);
    tcase_add_test(tc, test_foreign_domain);
    tcase_add_test(tc, test_overlong);
    tcase_add_test(tc, test_raw_text);
    tcase_add_test(tc, test_read);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
