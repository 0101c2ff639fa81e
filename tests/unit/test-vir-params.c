/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed parameters of libvirtadm.so. tests/unit/library-probe.c compares with libvirt's. */
#include "admin/vir-private.h"

#include <limits.h>
#include <string.h>

#include "unit.h"

typedef struct {
    virTypedParameterPtr params;
    int n, max;
} List;

static List list;

static void
be_silent(void *user G_GNUC_UNUSED, virErrorPtr error G_GNUC_UNUSED)
{
}

static void
setup(void)
{
    virSetErrorFunc(NULL, be_silent);
    list = (List){0};
}

static void
teardown(void)
{
    virTypedParamsFree(list.params, list.n);
    virSetErrorFunc(NULL, NULL);
}

static void
check_error(int code, const char *message)
{
    ck_assert_int_eq(virGetLastErrorCode(), code);
    ck_assert_int_eq(virGetLastErrorDomain(), VIR_FROM_NONE);
    ck_assert_str_eq(virGetLastErrorMessage(), message);
}

#define ADD(Type, name, value)                                                                     \
    ck_assert_int_eq(virTypedParamsAdd##Type(&list.params, &list.n, &list.max, name, value), 0)
#define GET(Type, name, value) virTypedParamsGet##Type(list.params, list.n, name, value)

START_TEST(every_type)
{
    int i = 0, b = 0;
    unsigned int ui = 0;
    long long l = 0;
    unsigned long long ul = 0;
    double d = 0;
    const char *s = NULL;

    ADD(Int, "i", INT_MIN);
    ADD(UInt, "ui", UINT_MAX);
    ADD(LLong, "l", LLONG_MIN);
    ADD(ULLong, "ul", ULLONG_MAX);
    ADD(Double, "d", 0.1);
    ADD(Boolean, "b", 256); /* not 0, though its lowest octet is */
    ADD(String, "s", "text");
    ck_assert_int_eq(GET(Int, "i", &i), 1);
    ck_assert_int_eq(i, INT_MIN);
    ck_assert_int_eq(GET(UInt, "ui", &ui), 1);
    ck_assert_uint_eq(ui, UINT_MAX);
    ck_assert_int_eq(GET(LLong, "l", &l), 1);
    ck_assert(l == LLONG_MIN);
    ck_assert_int_eq(GET(ULLong, "ul", &ul), 1);
    ck_assert(ul == ULLONG_MAX);
    ck_assert_int_eq(GET(Double, "d", &d), 1);
    ck_assert_double_eq(d, 0.1);
    ck_assert_int_eq(GET(Boolean, "b", &b), 1);
    ck_assert_int_eq(b, 1);
    ck_assert_int_eq(GET(String, "s", &s), 1);
    ck_assert_str_eq(s, "text");
    ck_assert_ptr_eq(s, list.params[6].value.s);
    for (int k = 0; k < list.n; k++)
        ck_assert_int_eq(list.params[k].type, k + 1);
}
END_TEST

START_TEST(strings_are_copied)
{
    char name[] = "name", text[] = "text";

    ADD(String, name, text);
    ADD(String, "empty", NULL);
    name[0] = text[0] = '!';
    ck_assert_str_eq(list.params[0].field, "name");
    ck_assert_str_eq(list.params[0].value.s, "text");
    ck_assert_str_eq(list.params[1].value.s, "");
    virTypedParamsClear(list.params, list.n);
    ck_assert_ptr_null(list.params[0].value.s);
    virTypedParamsClear(list.params, list.n);
    virTypedParamsClear(NULL, 3);
    virTypedParamsFree(NULL, 3);
}
END_TEST

START_TEST(not_there)
{
    int value = 42;

    ADD(Int, "a", 1);
    ck_assert_int_eq(GET(Int, "b", &value), 0);
    ck_assert_int_eq(GET(Int, NULL, &value), 0);
    ck_assert_int_eq(virTypedParamsGetInt(NULL, 3, "a", &value), 0);
    ck_assert_int_eq(virTypedParamsGetInt(list.params, -1, "a", &value), 0);
    ck_assert_int_eq(virTypedParamsGetInt(list.params, 0, "a", &value), 0);
    ck_assert_int_eq(value, 42);
    ck_assert_ptr_null(virGetLastError());
    ck_assert_int_eq(GET(Int, "a", NULL), 1);
    ck_assert_ptr_null(virTypedParamsGet(list.params, list.n, "b"));
    ck_assert_ptr_eq(virTypedParamsGet(list.params, list.n, "a"), list.params);
}
END_TEST

START_TEST(another_type)
{
    unsigned int value = 42;

    ADD(Int, "a", 1);
    ADD(UInt, "a", 2);
    ck_assert_int_eq(GET(UInt, "a", &value), -1);
    ck_assert_uint_eq(value, 42);
    check_error(VIR_ERR_INVALID_ARG, "invalid argument: Invalid type 'uint' requested for "
                                     "parameter 'a', actual type is 'int'");
    list.params[0].type = 99;
    ck_assert_int_eq(GET(UInt, "a", &value), -1);
    list.params[0].type = -1;
    ck_assert_int_eq(GET(UInt, "a", &value), -1);
    /* the next call that works takes the error away */
    ck_assert_int_eq(GET(UInt, "b", &value), 0);
    ck_assert_ptr_null(virGetLastError());
}
END_TEST

START_TEST(long_names)
{
    char name[VIR_TYPED_PARAM_FIELD_LENGTH + 1];

    memset(name, 'n', sizeof(name));
    name[VIR_TYPED_PARAM_FIELD_LENGTH] = '\0';
    ck_assert_int_eq(virTypedParamsAddString(&list.params, &list.n, &list.max, name, "v"), -1);
    ck_assert_int_eq(virGetLastErrorCode(), VIR_ERR_INTERNAL_ERROR);
    ck_assert(g_str_has_prefix(virGetLastErrorMessage(), "internal error: Field name 'nnn"));
    ck_assert(g_str_has_suffix(virGetLastErrorMessage(), "nnn' too long"));
    ck_assert_int_eq(list.n, 0);
    ck_assert_ptr_null(list.params);
    name[VIR_TYPED_PARAM_FIELD_LENGTH - 1] = '\0';
    ADD(Int, name, 1);
    ck_assert_int_eq(GET(Int, name, NULL), 1);
    /* one that a program has filled to the end is compared and not read beyond */
    memset(list.params[0].field, 'n', VIR_TYPED_PARAM_FIELD_LENGTH);
    ck_assert_int_eq(GET(Int, name, NULL), 0);
}
END_TEST

START_TEST(missing_arguments)
{
    ck_assert_int_eq(virTypedParamsAddInt(NULL, &list.n, &list.max, "a", 1), -1);
    check_error(VIR_ERR_INVALID_ARG, "params in virTypedParamsAddInt must not be NULL");
    ck_assert_int_eq(virTypedParamsAddUInt(&list.params, NULL, &list.max, "a", 1), -1);
    check_error(VIR_ERR_INVALID_ARG, "nparams in virTypedParamsAddUInt must not be NULL");
    ck_assert_int_eq(virTypedParamsAddString(&list.params, &list.n, NULL, "a", "1"), -1);
    check_error(VIR_ERR_INVALID_ARG, "maxparams in virTypedParamsAddString must not be NULL");
    ck_assert_int_eq(virTypedParamsAddFromString(&list.params, &list.n, &list.max, NULL, 1, "1"),
                     -1);
    check_error(VIR_ERR_INVALID_ARG, "name in virTypedParamsAddFromString must not be NULL");
    list.n = -1;
    ck_assert_int_eq(virTypedParamsAddInt(&list.params, &list.n, &list.max, "a", 1), -1);
    check_error(VIR_ERR_INVALID_ARG, "invalid argument: nparams in virTypedParamsAddInt is -1, "
                                     "must be within 0 and 1073741823");
    list.n = 0;
}
END_TEST

/* A list as a program may have made it itself: full, and with no word on its memory. */
START_TEST(list_grows)
{
    list.params = g_new0(virTypedParameter, 1);
    list.params[0].type = VIR_TYPED_PARAM_INT;
    list.n = 1;
    for (int i = 0; i < 1000; i++) {
        ADD(Int, "a", i);
        ck_assert_int_ge(list.max, list.n);
    }
    ck_assert_int_eq(list.n, 1001);
    ck_assert_int_le(list.max, 2 * list.n);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(list.params[i + 1].value.i, i);
}
END_TEST

START_TEST(string_lists)
{
    const char *two[] = {"1", "2", NULL}, *none[] = {NULL};

    ck_assert_int_eq(virTypedParamsAddStringList(&list.params, &list.n, &list.max, "a", two), 0);
    ck_assert_int_eq(virTypedParamsAddStringList(&list.params, &list.n, &list.max, "a", none), 0);
    ck_assert_int_eq(virTypedParamsAddStringList(&list.params, &list.n, &list.max, "a", NULL), 0);
    ck_assert_int_eq(list.n, 2);
    ck_assert_str_eq(list.params[1].value.s, "2");
}
END_TEST

typedef struct {
    int type;
    const char *text;
    gboolean fine;
    long long number; /* of a double: its integral part */
} Text;

static const Text texts[] = {
    {VIR_TYPED_PARAM_INT, "-2147483648", TRUE, INT_MIN},
    {VIR_TYPED_PARAM_INT, "2147483647", TRUE, INT_MAX},
    {VIR_TYPED_PARAM_INT, "2147483648", FALSE, 0},
    {VIR_TYPED_PARAM_INT, "-2147483649", FALSE, 0},
    {VIR_TYPED_PARAM_INT, " +7", TRUE, 7},
    {VIR_TYPED_PARAM_INT, "7 ", FALSE, 0},
    {VIR_TYPED_PARAM_INT, "", FALSE, 0},
    {VIR_TYPED_PARAM_INT, "0x10", FALSE, 0},
    {VIR_TYPED_PARAM_UINT, "4294967295", TRUE, UINT_MAX},
    {VIR_TYPED_PARAM_UINT, "4294967296", FALSE, 0},
    {VIR_TYPED_PARAM_UINT, "-1", TRUE, UINT_MAX},
    {VIR_TYPED_PARAM_UINT, "-4294967295", TRUE, 1},
    {VIR_TYPED_PARAM_UINT, "-4294967296", FALSE, 0},
    {VIR_TYPED_PARAM_LLONG, "-9223372036854775808", TRUE, LLONG_MIN},
    {VIR_TYPED_PARAM_LLONG, "9223372036854775808", FALSE, 0},
    {VIR_TYPED_PARAM_ULLONG, "9223372036854775807", TRUE, LLONG_MAX},
    {VIR_TYPED_PARAM_ULLONG, "18446744073709551616", FALSE, 0},
    {VIR_TYPED_PARAM_DOUBLE, "1e3", TRUE, 1000},
    {VIR_TYPED_PARAM_DOUBLE, "1,5", FALSE, 0},
    {VIR_TYPED_PARAM_DOUBLE, "1e400", FALSE, 0},
    {VIR_TYPED_PARAM_BOOLEAN, "1", TRUE, 1},
    {VIR_TYPED_PARAM_BOOLEAN, "0", TRUE, 0},
    {VIR_TYPED_PARAM_BOOLEAN, "TRUE", TRUE, 1},
    {VIR_TYPED_PARAM_BOOLEAN, "false", TRUE, 0},
    {VIR_TYPED_PARAM_BOOLEAN, "yes", FALSE, 0},
    {VIR_TYPED_PARAM_BOOLEAN, "", FALSE, 0},
};

static long long
get_number(const virTypedParameter *param)
{
    switch (param->type) {
    case VIR_TYPED_PARAM_INT:
        return param->value.i;
    case VIR_TYPED_PARAM_UINT:
        return param->value.ui;
    case VIR_TYPED_PARAM_LLONG:
        return param->value.l;
    case VIR_TYPED_PARAM_ULLONG:
        return (long long)param->value.ul;
    case VIR_TYPED_PARAM_DOUBLE:
        return (long long)param->value.d;
    default:
        return param->value.b;
    }
}

START_TEST(from_text)
{
    const Text *text = &texts[_i];
    int rc = virTypedParamsAddFromString(&list.params, &list.n, &list.max, "field", text->type,
                                         text->text);

    ck_assert_int_eq(rc, text->fine ? 0 : -1);
    ck_assert_int_eq(list.n, text->fine ? 1 : 0);
    if (text->fine) {
        ck_assert_int_eq(list.params[0].type, text->type);
        ck_assert(get_number(&list.params[0]) == text->number);
    } else {
        ck_assert_int_eq(virGetLastErrorCode(), VIR_ERR_INVALID_ARG);
    }
}
END_TEST

START_TEST(from_text_of_no_type)
{
    ck_assert_int_eq(virTypedParamsAddFromString(&list.params, &list.n, &list.max, "f", 8, "1"),
                     -1);
    check_error(VIR_ERR_INTERNAL_ERROR, "internal error: unexpected type 8 for field f");
    ck_assert_int_eq(virTypedParamsAddFromString(&list.params, &list.n, &list.max, "f", 7, NULL),
                     -1);
    check_error(VIR_ERR_INVALID_ARG, "invalid argument: NULL value for field 'f'");
    ck_assert_int_eq(list.n, 0);
}
END_TEST

START_TEST(over_the_wire)
{
    vadm_typed_param *wire;
    virTypedParameterPtr back;
    guint n_wire;
    int n_back;

    ADD(Int, "i", -1);
    ADD(UInt, "ui", 2);
    ADD(LLong, "l", -3);
    ADD(ULLong, "ul", 4);
    ADD(Double, "d", 5.5);
    ADD(Boolean, "b", 1);
    ADD(String, "s", "text");
    ck_assert(vadm_vir_params_to_wire(list.params, list.n, &wire, &n_wire));
    ck_assert_uint_eq(n_wire, 7);
    ck_assert(vadm_vir_params_from_wire(wire, n_wire, &back, &n_back));
    vadm_vir_params_wire_free(wire, n_wire);
    ck_assert_int_eq(n_back, 7);
    for (int i = 0; i < n_back; i++) {
        ck_assert_str_eq(back[i].field, list.params[i].field);
        ck_assert_int_eq(back[i].type, list.params[i].type);
        if (i < 6)
            ck_assert(get_number(&back[i]) == get_number(&list.params[i]));
    }
    ck_assert_double_eq(back[4].value.d, 5.5);
    ck_assert_str_eq(back[6].value.s, "text");
    virTypedParamsFree(back, n_back);
}
END_TEST

START_TEST(not_for_the_wire)
{
    vadm_typed_param *wire = NULL;
    guint n;

    ADD(String, "s", "text");
    ADD(Int, "i", 1);
    list.params[1].type = 8;
    ck_assert(!vadm_vir_params_to_wire(list.params, list.n, &wire, &n));
    ck_assert_ptr_null(wire);
    ck_assert_str_eq(virGetLastErrorMessage(), "unknown parameter type: 8");
    ck_assert_int_eq(virGetLastErrorDomain(), VIR_FROM_NONE);
    /* a name without its end, and no parameters at all */
    list.params[1].type = VIR_TYPED_PARAM_INT;
    memset(list.params[1].field, 'n', VIR_TYPED_PARAM_FIELD_LENGTH);
    ck_assert(vadm_vir_params_to_wire(list.params, list.n, &wire, &n));
    ck_assert_uint_eq(strlen(wire[1].field), VIR_TYPED_PARAM_FIELD_LENGTH);
    vadm_vir_params_wire_free(wire, n);
    /* one that was not set */
    list.params[0].type = 0;
    ck_assert(vadm_vir_params_to_wire(list.params, list.n, &wire, &n));
    list.params[0].type = VIR_TYPED_PARAM_STRING;
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(wire[0].field[0], 'n');
    vadm_vir_params_wire_free(wire, n);
    ck_assert(vadm_vir_params_to_wire(NULL, 0, &wire, &n));
    ck_assert_ptr_nonnull(wire);
    ck_assert_uint_eq(n, 0);
    vadm_vir_params_wire_free(wire, n);
}
END_TEST

START_TEST(not_from_the_wire)
{
    char name[VIR_TYPED_PARAM_FIELD_LENGTH + 1], ok[] = "ok", text[] = "text";
    vadm_typed_param wire[] = {
        {.field = ok,
         .value = {.type = VADM_TYPED_PARAM_STRING, .vadm_typed_param_value_u.s = text}},
        {.field = name, .value = {.type = VADM_TYPED_PARAM_INT}},
    };
    virTypedParameterPtr params = NULL;
    int n = 0;

    memset(name, 'n', sizeof(name));
    name[VIR_TYPED_PARAM_FIELD_LENGTH] = '\0';
    ck_assert(!vadm_vir_params_from_wire(wire, 2, &params, &n));
    ck_assert_ptr_null(params);
    ck_assert(g_str_has_suffix(virGetLastErrorMessage(), "nn too big for destination"));
    ck_assert_int_eq(virGetLastErrorDomain(), VIR_FROM_NONE);
    ck_assert(vadm_vir_params_from_wire(NULL, 0, &params, &n));
    ck_assert_int_eq(n, 0);
    virTypedParamsFree(params, n);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vir-params");
    TCase *tc = tcase_create("params");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_type);
    tcase_add_test(tc, strings_are_copied);
    tcase_add_test(tc, not_there);
    tcase_add_test(tc, another_type);
    tcase_add_test(tc, long_names);
    tcase_add_test(tc, missing_arguments);
    tcase_add_test(tc, list_grows);
    tcase_add_test(tc, string_lists);
    tcase_add_loop_test(tc, from_text, 0, G_N_ELEMENTS(texts));
    tcase_add_test(tc, from_text_of_no_type);
    tcase_add_test(tc, over_the_wire);
    tcase_add_test(tc, not_for_the_wire);
    tcase_add_test(tc, not_from_the_wire);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
