/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "notify-bed.h"

FakeSource *fake;
VadmSettings *settings;
VadmMib *mib;
VadmNotify *notify;
GString *sent;
GArray *tickets;
gboolean answering, failing;
guint woken;
gint64 now;

static guint64
number_of(const VadmVarbind *varbinds, guint at)
{
    return varbinds[at].datum.number;
}

/* The last arc is the server, or the client; the numbers behind the name of the server follow. */
gboolean
bed_send(const VadmNotification *notification, const VadmVarbind *varbinds, guint n, gsize ticket,
         gpointer user)
{
    const VadmMibOid *oid = &varbinds[n - 1].oid;

    ck_assert_ptr_eq(user, &fake);
    if (failing)
        return FALSE;
    g_string_append_printf(sent, "%s%s", sent->len > 0 ? ", " : "", notification->name);
    if (oid->arcs[oid->length - 1] != 0)
        g_string_append_printf(sent, " %u", oid->arcs[oid->length - 1]);
    if (notification->bit == VADM_NOTIFY_CLIENT_LIMIT ||
        notification->bit == VADM_NOTIFY_CLIENT_HIGH)
        g_string_append_printf(sent, " %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT,
                               number_of(varbinds, 2), number_of(varbinds, 3));
    if (notification->bit == VADM_NOTIFY_CONFIG)
        g_string_append_printf(sent, " %" G_GUINT64_FORMAT, number_of(varbinds, 1));
    if (notification->bit == VADM_NOTIFY_AUTH_FAILURE)
        g_string_append_printf(sent, " %" G_GUINT64_FORMAT, number_of(varbinds, 4));
    g_array_append_val(tickets, ticket);
    return TRUE;
}

void
bed_wake(gpointer user)
{
    ck_assert_ptr_eq(user, &fake);
    woken++;
}

void
answer_all(void)
{
    while (tickets->len > 0) {
        gsize ticket = g_array_index(tickets, gsize, 0);

        g_array_remove_index(tickets, 0);
        vadm_notify_answered(notify, ticket);
    }
}

gint64
run(void)
{
    gint64 next = vadm_notify_run(notify, now);

    while (answering && tickets->len > 0) {
        answer_all();
        next = vadm_notify_run(notify, now);
    }
    return next;
}

void
check_sent(const char *expected)
{
    run();
    ck_assert_str_eq(sent->str, expected);
    g_string_truncate(sent, 0);
}

void
check_counts(guint32 expected_sent, guint32 expected_suppressed)
{
    VadmNotifyStats stats = vadm_settings_get_notify_stats(settings);

    ck_assert_uint_eq(stats.sent, expected_sent);
    ck_assert_uint_eq(stats.suppressed, expected_suppressed);
}

void
set_clients(guint32 server, guint32 current, VadmLimitState state)
{
    VadmServerRow *row = fake_source_server(fake, server);

    row->clients_current = current;
    row->clients_max = 10;
    row->clients_state = state;
}

void
tell_clients(guint32 server, guint32 current, VadmLimitState state)
{
    set_clients(server, current, state);
    fake_source_tell(fake, VADM_EVENT_CLIENT_LIMIT, server, 0);
}

void
connect_master(gboolean connected)
{
    vadm_notify_set_connected(notify, connected);
}

static void
set_up(void)
{
    const VadmNotifyHooks hooks = {bed_send, bed_wake, &fake};

    fake = fake_source_new();
    fake->access[VADM_FIELD_NOTIFY_ENABLE] = VADM_ACCESS_WRITE;
    fake->access[VADM_FIELD_NOTIFY_MIN_INTERVAL] = VADM_ACCESS_WRITE;
    fake->config.notify_enable = ENABLE_DEFAULT;
    fake->config.notify_min_interval = 5;
    fake->config.generation = 1;
    set_clients(1, 0, VADM_LIMIT_NORMAL);
    set_clients(300, 0, VADM_LIMIT_NORMAL);
    settings = vadm_settings_new("fake", 0, 0);
    mib = vadm_mib_new(&fake->base, settings, NULL, TRUE);
    sent = g_string_new(NULL);
    tickets = g_array_new(FALSE, FALSE, sizeof(gsize));
    answering = TRUE;
    failing = FALSE;
    woken = 0;
    now = g_get_monotonic_time() + 2 * VADM_NOTIFY_START_US; /* the start is over */
    notify = vadm_notify_new(mib, &hooks, VADM_NOTIFY_WINDOW);
    connect_master(TRUE);
    check_sent("");
}

static void
tear_down(void)
{
    vadm_notify_free(notify);
    ck_assert_ptr_null(fake->tell);
    ck_assert_uint_eq(fake->views_open, 0);
    vadm_mib_free(mib);
    vadm_settings_free(settings);
    fake_source_free(fake);
    g_string_free(sent, TRUE);
    g_array_unref(tickets);
}

TCase *
add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    suite_add_tcase(suite, tcase);
    return tcase;
}
