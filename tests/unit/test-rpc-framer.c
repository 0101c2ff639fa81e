/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "common/error.h"
#include "rpc/message.h"
#include "unit.h"

#define WANT (64u * 1024)

static VadmFramer *framer;

static void
setup(void)
{
    framer = vadm_framer_new();
}

static void
teardown(void)
{
    vadm_framer_free(framer);
}

/* Feeds @length octets of @octet, reading as a connection does. Returns: the largest space. */
static gsize
feed_octets(guint8 octet, gsize length)
{
    gsize largest = 0;

    while (length > 0) {
        gsize room;
        guint8 *space = vadm_framer_space(framer, WANT, &room);

        largest = MAX(largest, room);
        room = MIN(room, length);
        memset(space, octet, room);
        vadm_framer_filled(framer, room);
        length -= room;
    }
    return largest;
}

static void
feed_length(guint32 length)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        feed_octets((guint8)(length >> shift), 1);
}

static void
feed_message(guint32 length, guint8 octet)
{
    feed_length(length);
    feed_octets(octet, length - 4);
}

static void
assert_next(guint32 length, guint8 octet)
{
    g_autoptr(VadmMessage) message = vadm_framer_next(framer, NULL);

    ck_assert_ptr_nonnull(message);
    ck_assert_uint_eq(message->length, length);
    ck_assert_uint_eq(message->data[4], octet);
    ck_assert_uint_eq(message->data[length - 1], octet);
}

static void
assert_none(void)
{
    GError *error = NULL;

    ck_assert_ptr_null(vadm_framer_next(framer, &error));
    ck_assert_ptr_null(error);
}

static const struct {
    guint32 length;
    gboolean valid;
} lengths[] = {
    {0, FALSE},        {3, FALSE},          {4, FALSE},          {27, FALSE},
    {28, TRUE},        {29, TRUE},          {33554435, TRUE},    {33554436, TRUE},
    {33554437, FALSE}, {0x7fffffff, FALSE}, {0x80000000, FALSE}, {0xffffffff, FALSE},
};

/* A length is judged as soon as its four octets are there. */
START_TEST(test_length_word)
{
    GError *error = NULL;
    gboolean valid = lengths[_i].valid;

    feed_octets((guint8)(lengths[_i].length >> 24), 1);
    assert_none();
    feed_octets((guint8)(lengths[_i].length >> 16), 1);
    feed_octets((guint8)(lengths[_i].length >> 8), 1);
    assert_none();
    feed_octets((guint8)lengths[_i].length, 1);
    ck_assert_ptr_null(vadm_framer_next(framer, &error));
    ck_assert_int_eq(g_error_matches(error, VADM_ERROR, VADM_ERROR_RPC), !valid);
    g_clear_error(&error);
    /* It stays wrong. */
    ck_assert_ptr_null(vadm_framer_next(framer, &error));
    ck_assert_int_eq(error != NULL, !valid);
    g_clear_error(&error);
}
END_TEST

START_TEST(test_bad_behind_good)
{
    GError *error = NULL;

    feed_message(28, 1);
    feed_length(27);
    assert_next(28, 1);
    ck_assert_ptr_null(vadm_framer_next(framer, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_RPC));
    g_error_free(error);
}
END_TEST

START_TEST(test_many_at_once)
{
    for (guint32 i = 0; i < 5000; i++)
        feed_message(28 + i % 300, (guint8)i);
    for (guint32 i = 0; i < 5000; i++)
        assert_next(28 + i % 300, (guint8)i);
    assert_none();
    ck_assert_uint_eq(vadm_framer_pending(framer), 0);
}
END_TEST

START_TEST(test_pending)
{
    feed_message(40, 1);
    feed_length(100);
    ck_assert_uint_eq(vadm_framer_pending(framer), 44);
    assert_next(40, 1);
    ck_assert_uint_eq(vadm_framer_pending(framer), 4);
    feed_octets(2, 95);
    assert_none();
    feed_octets(2, 1);
    assert_next(100, 2);
    ck_assert_uint_eq(vadm_framer_pending(framer), 0);
}
END_TEST

/* What is reserved follows what has come. */
START_TEST(test_memory_follows)
{
    feed_length(VADM_RPC_LENGTH_MAX);
    for (gsize fed = 4; fed < 2000000; fed += 1000)
        ck_assert_uint_le(feed_octets(7, 1000), MAX(4096, 2 * (fed + 1000)));
    assert_none();
}
END_TEST

START_TEST(test_largest)
{
    gsize room;

    feed_message(VADM_RPC_LENGTH_MAX, 9);
    feed_length(30);
    assert_next(VADM_RPC_LENGTH_MAX, 9);
    ck_assert_uint_eq(vadm_framer_pending(framer), 4);
    feed_octets(3, 26);
    assert_next(30, 3);
    /* The memory of the big one is given up. */
    vadm_framer_space(framer, WANT, &room);
    ck_assert_uint_le(room, 4096);
}
END_TEST

/* Sizes around those where the buffer grows and where a message takes it over, each with
 * something of the next one behind it. */
START_TEST(test_boundaries)
{
    static const guint32 around[] = {4096, 8192, 65536, 131072, 1048576};

    for (gsize i = 0; i < G_N_ELEMENTS(around); i++) {
        for (guint32 length = around[i] - 5; length <= around[i] + 5; length++) {
            feed_message(length, 1);
            feed_length(35);
            feed_octets(2, length % 31);
            assert_next(length, 1);
            assert_none();
            feed_octets(2, 31 - length % 31);
            assert_next(35, 2);
            ck_assert_uint_eq(vadm_framer_pending(framer), 0);
        }
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rpc-framer");
    TCase *tc = tcase_create("framer");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_length_word, 0, G_N_ELEMENTS(lengths));
    tcase_add_test(tc, test_bad_behind_good);
    tcase_add_test(tc, test_many_at_once);
    tcase_add_test(tc, test_pending);
    tcase_add_test(tc, test_memory_follows);
    tcase_add_test(tc, test_largest);
    tcase_add_test(tc, test_boundaries);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
