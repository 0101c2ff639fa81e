/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/limit.h"

#include "unit.h"

#define NORMAL VADM_LIMIT_NORMAL
#define HIGH   VADM_LIMIT_HIGH
#define FULL   VADM_LIMIT_FULL
#define BIG    G_MAXUINT32

typedef struct {
    guint32 current, max, percent;
    VadmLimitZero zero;
    VadmLimitState state; /* expected after this step */
    guint32 events;
} Step;

static void
run_steps(const Step *steps, gsize count)
{
    VadmLimit limit;

    vadm_limit_init(&limit);
    ck_assert_int_eq(limit.state, NORMAL);
    for (gsize i = 0; i < count; i++) {
        VadmLimitState before = limit.state;
        gboolean changed = vadm_limit_update(&limit, steps[i].current, steps[i].max,
                                             steps[i].percent, steps[i].zero);

        ck_assert_msg(limit.state == steps[i].state, "step %zu: state %d, not %d", i,
                      (int)limit.state, (int)steps[i].state);
        ck_assert_msg(limit.full_events == steps[i].events, "step %zu: %u events, not %u", i,
                      limit.full_events, steps[i].events);
        ck_assert_int_eq(changed, before != steps[i].state);
    }
}

#define RUN(...)                                                                                   \
    do {                                                                                           \
        const Step steps[] = {__VA_ARGS__};                                                        \
        run_steps(steps, G_N_ELEMENTS(steps));                                                     \
    } while (0)

START_TEST(hysteresis_of_full)
{
    RUN({9, 10, 0, 0, NORMAL, 0}, {10, 10, 0, 0, FULL, 1}, {11, 10, 0, 0, FULL, 1},
        {10, 10, 0, 0, FULL, 1}, {9, 10, 0, 0, NORMAL, 1}, {10, 10, 0, 0, FULL, 2});
    /* nine tenths, rounded down: 13 * 9 / 10 = 11 */
    RUN({13, 13, 0, 0, FULL, 1}, {12, 13, 0, 0, FULL, 1}, {13, 13, 0, 0, FULL, 1},
        {11, 13, 0, 0, NORMAL, 1}, {12, 13, 0, 0, NORMAL, 1});
}
END_TEST

START_TEST(small_limits_clear_one_below)
{
    RUN({1, 1, 0, 0, FULL, 1}, {0, 1, 0, 0, NORMAL, 1}, {1, 1, 0, 0, FULL, 2});
    RUN({2, 2, 0, 0, FULL, 1}, {1, 2, 0, 0, NORMAL, 1});
    /* 9 * 5 / 10 = 4 = T - 1 */
    RUN({5, 5, 0, 0, FULL, 1}, {4, 5, 0, 0, NORMAL, 1});
}
END_TEST

START_TEST(high_is_below_full)
{
    /* T = 90, cleared at 81 */
    RUN({89, 100, 90, 0, NORMAL, 0}, {90, 100, 90, 0, HIGH, 0}, {100, 100, 90, 0, FULL, 1},
        {91, 100, 90, 0, FULL, 1}, {90, 100, 90, 0, HIGH, 1}, {82, 100, 90, 0, HIGH, 1},
        {81, 100, 90, 0, NORMAL, 1}, {89, 100, 90, 0, NORMAL, 1});
    /* rounded up: 90 % of 5 is 5: high and full are one */
    RUN({4, 5, 90, 0, NORMAL, 0}, {5, 5, 90, 0, FULL, 1}, {4, 5, 90, 0, NORMAL, 1});
    /* rounded up: 50 % of 5 is 3, cleared at 2 */
    RUN({2, 5, 50, 0, NORMAL, 0}, {3, 5, 50, 0, HIGH, 0}, {2, 5, 50, 0, NORMAL, 0});
    /* one step from nothing to full and back */
    RUN({100, 100, 50, 0, FULL, 1}, {0, 100, 50, 0, NORMAL, 1});
    /* 100 %: raised together, cleared together */
    RUN({10, 10, 100, 0, FULL, 1}, {9, 10, 100, 0, NORMAL, 1});
}
END_TEST

START_TEST(percent_0_is_off)
{
    RUN({99, 100, 0, 0, NORMAL, 0}, {100, 100, 0, 0, FULL, 1});
    /* switched off while it is raised */
    RUN({95, 100, 90, 0, HIGH, 0}, {95, 100, 0, 0, NORMAL, 0});
}
END_TEST

START_TEST(zero)
{
    const VadmLimitZero full = VADM_LIMIT_ZERO_IS_FULL, none = VADM_LIMIT_ZERO_IS_NONE;

    RUN({0, 0, 90, full, FULL, 1}, {5, 0, 90, full, FULL, 1}, {5, 10, 90, full, NORMAL, 1},
        {5, 0, 90, full, FULL, 2});
    RUN({0, 0, 0, none, NORMAL, 0}, {BIG, 0, 0, none, NORMAL, 0}, {5, 5, 0, none, FULL, 1},
        {5, 0, 0, none, NORMAL, 1});
}
END_TEST

START_TEST(a_new_limit_counts_at_once)
{
    /* lowered below what is there, raised a little (hysteresis holds), raised enough */
    RUN({50, 100, 0, 0, NORMAL, 0}, {50, 40, 0, 0, FULL, 1}, {50, 52, 0, 0, FULL, 1},
        {50, 56, 0, 0, NORMAL, 1});
}
END_TEST

START_TEST(large_numbers)
{
    RUN({BIG - 1, BIG, 0, 0, NORMAL, 0}, {BIG, BIG, 0, 0, FULL, 1},
        {3865470565u, BIG, 0, 0, NORMAL, 1});
    RUN({3865470565u, BIG, 90, 0, NORMAL, 0}, {3865470566u, BIG, 90, 0, HIGH, 0});
}
END_TEST

START_TEST(room)
{
    const VadmLimitZero full = VADM_LIMIT_ZERO_IS_FULL, none = VADM_LIMIT_ZERO_IS_NONE;

    ck_assert(vadm_limit_has_room(0, 1, full));
    ck_assert(!vadm_limit_has_room(1, 1, full));
    ck_assert(!vadm_limit_has_room(2, 1, none));
    /* no hysteresis: the place that one left is the next one's */
    ck_assert(vadm_limit_has_room(99, 100, full));
    ck_assert(!vadm_limit_has_room(0, 0, full));
    ck_assert(vadm_limit_has_room(BIG, 0, none));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("limit");
    TCase *tcase = tcase_create("limit");

    tcase_add_test(tcase, hysteresis_of_full);
    tcase_add_test(tcase, small_limits_clear_one_below);
    tcase_add_test(tcase, high_is_below_full);
    tcase_add_test(tcase, percent_0_is_off);
    tcase_add_test(tcase, zero);
    tcase_add_test(tcase, a_new_limit_counts_at_once);
    tcase_add_test(tcase, large_numbers);
    tcase_add_test(tcase, room);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
