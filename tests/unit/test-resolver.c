/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/resolver.h"

#include <stdatomic.h>
#include <unistd.h>

#include "common/lock.h"
#include "unit.h"

#define PATIENCE (20 * (gint64)G_USEC_PER_SEC)

/* A name service that counts, and hangs while it is told to. Static since it outlives its
 * resolver; each test runs in a process of its own. */
static struct {
    VadmMutex lock;
    VadmCond changed;
    gboolean hang, inside;
    guint users, groups;
} nss = {.lock = VADM_MUTEX_INIT};

/* What the callbacks of a test have seen. */
typedef struct {
    VadmMutex lock;
    VadmCond changed;
    guint done, destroyed;
    char *user, *group;
    gboolean named;
} Seen;

static char *
fake_user(guint32 uid)
{
    VADM_LOCK_SCOPE(&nss.lock);
    nss.users++;
    nss.inside = TRUE;
    vadm_cond_broadcast(&nss.changed);
    while (nss.hang)
        vadm_cond_wait(&nss.changed, &nss.lock);
    nss.inside = FALSE;
    vadm_cond_broadcast(&nss.changed);
    return g_strdup(uid == 77 ? "" : "anna");
}

static char *
fake_group(guint32 gid)
{
    (void)gid;
    VADM_LOCK_SCOPE(&nss.lock);
    nss.groups++;
    return g_strdup("staff");
}

static const VadmNameService fake = {fake_user, fake_group};

static void
set_hang(gboolean hang)
{
    VADM_LOCK_SCOPE(&nss.lock);
    nss.hang = hang;
    vadm_cond_broadcast(&nss.changed);
}

static void
wait_inside(gboolean inside)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;

    VADM_LOCK_SCOPE(&nss.lock);
    while (nss.inside != inside)
        ck_assert(vadm_cond_wait_until(&nss.changed, &nss.lock, deadline));
}

static void
seen_init(Seen *seen)
{
    *seen = (Seen){0};
    vadm_mutex_init(&seen->lock);
    vadm_cond_init(&seen->changed);
}

static void
seen_clear(Seen *seen)
{
    g_free(seen->user);
    g_free(seen->group);
    vadm_cond_clear(&seen->changed);
    vadm_mutex_clear(&seen->lock);
}

static void
on_done(VadmIdentity *named, gpointer user)
{
    Seen *seen = user;

    VADM_LOCK_SCOPE(&seen->lock);
    g_free(seen->user);
    g_free(seen->group);
    seen->user = g_strdup(named->user_name);
    seen->group = g_strdup(named->group_name);
    seen->named = named->named;
    seen->done++;
}

static void
on_destroy(gpointer user)
{
    Seen *seen = user;

    VADM_LOCK_SCOPE(&seen->lock);
    seen->destroyed++;
    vadm_cond_broadcast(&seen->changed);
}

static void
wait_destroyed(Seen *seen, guint count)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;

    VADM_LOCK_SCOPE(&seen->lock);
    while (seen->destroyed < count)
        ck_assert(vadm_cond_wait_until(&seen->changed, &seen->lock, deadline));
}

static VadmIdentity *
make_identity(guint32 uid, guint32 gid)
{
    VadmIdentity *identity = vadm_identity_new();

    identity->local = TRUE;
    identity->uid = uid;
    identity->gid = gid;
    return identity;
}

static void
look_up(VadmResolver *resolver, guint32 uid, guint32 gid, Seen *seen)
{
    g_autoptr(VadmIdentity) identity = make_identity(uid, gid);

    vadm_resolver_look_up(resolver, identity, on_done, seen, on_destroy);
    ck_assert(!identity->named); /* immutable */
}

static void
setup(void)
{
    vadm_cond_init(&nss.changed);
}

START_TEST(real_names)
{
    VadmResolver *resolver = vadm_resolver_new();
    Seen seen;

    seen_init(&seen);
    look_up(resolver, 0, 0, &seen);
    wait_destroyed(&seen, 1);
    ck_assert_str_eq(seen.user, "root");
    ck_assert_str_eq(seen.group, "root");
    /* without an entry, and the absent id */
    look_up(resolver, 3999999999u, G_MAXUINT32, &seen);
    wait_destroyed(&seen, 2);
    ck_assert_uint_eq(seen.done, 2);
    ck_assert(seen.named);
    ck_assert_str_eq(seen.user, "");
    ck_assert_str_eq(seen.group, "");
    vadm_resolver_free(resolver);
    seen_clear(&seen);
}
END_TEST

START_TEST(cached_at_once)
{
    VadmResolver *resolver = vadm_resolver_new_full(&fake);
    Seen seen;

    seen_init(&seen);
    look_up(resolver, 5, 6, &seen);
    wait_destroyed(&seen, 1);
    set_hang(TRUE);
    /* before look_up returns, in this thread, and without asking */
    look_up(resolver, 5, 6, &seen);
    ck_assert_uint_eq(seen.done, 2);
    ck_assert_uint_eq(seen.destroyed, 2);
    ck_assert_str_eq(seen.user, "anna");
    ck_assert_uint_eq(nss.users, 1);
    ck_assert_uint_eq(nss.groups, 1);
    set_hang(FALSE);
    /* the absent entry is remembered too, and a known group not asked for again */
    look_up(resolver, 77, 6, &seen);
    wait_destroyed(&seen, 3);
    look_up(resolver, 77, 6, &seen);
    ck_assert_uint_eq(seen.done, 4);
    ck_assert_str_eq(seen.user, "");
    ck_assert_uint_eq(nss.users, 2);
    ck_assert_uint_eq(nss.groups, 1);
    vadm_resolver_free(resolver);
    seen_clear(&seen);
}
END_TEST

START_TEST(not_local_needs_no_look_up)
{
    VadmResolver *resolver = vadm_resolver_new_full(&fake);
    g_autoptr(VadmIdentity) identity = vadm_identity_new();
    Seen seen;

    seen_init(&seen);
    set_hang(TRUE);
    identity->uid = identity->gid = 5; /* meaningless without local */
    vadm_resolver_look_up(resolver, identity, on_done, &seen, on_destroy);
    ck_assert_uint_eq(seen.done, 1);
    ck_assert(seen.named);
    ck_assert_str_eq(seen.user, "");
    vadm_resolver_free(resolver);
    seen_clear(&seen);
}
END_TEST

START_TEST(hanging_delays_names_only)
{
    VadmResolver *resolver = vadm_resolver_new_full(&fake);
    Seen seen;

    seen_init(&seen);
    set_hang(TRUE);
    for (guint32 i = 0; i < 100; i++)
        look_up(resolver, 100 + i % 10, 6, &seen);
    wait_inside(TRUE);
    ck_assert_uint_eq(seen.done, 0);
    set_hang(FALSE);
    wait_destroyed(&seen, 100);
    ck_assert_uint_eq(seen.done, 100);
    ck_assert_uint_eq(nss.users, 10);
    vadm_resolver_free(resolver);
    seen_clear(&seen);
}
END_TEST

START_TEST(free_leaves_a_hanging_thread_behind)
{
    VadmResolver *resolver = vadm_resolver_new_full(&fake);
    Seen seen;

    seen_init(&seen);
    set_hang(TRUE);
    for (guint32 i = 0; i < 3; i++)
        look_up(resolver, i, i, &seen);
    wait_inside(TRUE);
    vadm_resolver_free(resolver);
    ck_assert_uint_eq(seen.done, 0);
    ck_assert_uint_eq(seen.destroyed, 3);
    /* it wakes up later and finds nobody */
    set_hang(FALSE);
    wait_inside(FALSE);
    vadm_mutex_lock(&seen.lock);
    ck_assert_uint_eq(seen.done, 0);
    ck_assert_uint_eq(seen.destroyed, 3);
    vadm_mutex_unlock(&seen.lock);
    seen_clear(&seen);
}
END_TEST

START_TEST(too_many_waiting_go_without)
{
    VadmResolver *resolver = vadm_resolver_new_full(&fake);
    guint count = 65536 + 10;
    Seen seen;

    seen_init(&seen);
    set_hang(TRUE);
    look_up(resolver, 0, 0, &seen);
    wait_inside(TRUE); /* that one waits no more */
    for (guint i = 0; i < count; i++)
        look_up(resolver, i, 0, &seen);
    ck_assert_uint_eq(seen.done, 0);
    ck_assert_uint_eq(seen.destroyed, 10);
    vadm_resolver_free(resolver);
    ck_assert_uint_eq(seen.destroyed, count + 1);
    set_hang(FALSE);
    wait_inside(FALSE);
    seen_clear(&seen);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("resolver");
    TCase *tcase = tcase_create("resolver");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, real_names);
    tcase_add_test(tcase, cached_at_once);
    tcase_add_test(tcase, not_local_needs_no_look_up);
    tcase_add_test(tcase, hanging_delays_names_only);
    tcase_add_test(tcase, free_leaves_a_hanging_thread_behind);
    tcase_add_test(tcase, too_many_waiting_go_without);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
