/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Notifications as data: against the OBJECTS clauses of the MIB, and their varbinds against what
 * GET answers for the same rows. */
#include <string.h>

#include "agent/notification.h"
#include "fake-source.h"
#include "mib/lva-mib.h"
#include "unit.h"

typedef struct {
    const char *name, *oid;
    VadmSnmpType type;
} MibObject;

typedef struct {
    const char *name;
    guint32 arc;
    const char *objects;
} MibNotification;

static const MibObject mib_objects[] = {
#define LVA_OBJECT(object, number, wire, rights) {#object, number, VADM_SNMP_##wire},
#include "mib/lva-objects.inc"
};
static const MibNotification mib_notifications[] = {
#define LVA_NOTIFICATION(notification, number, objects) {#notification, number, objects},
#include "mib/lva-objects.inc"
};

/* An event of each notification, in the order of their arcs, with the bit that enables it. */
typedef struct {
    VadmEventKind kind;
    guint32 state;
    guint16 bit;
} Sample;

static const Sample samples[] = {
    {VADM_EVENT_CLIENT_LIMIT, VADM_LIMIT_FULL, 0},
    {VADM_EVENT_CLIENT_LIMIT, VADM_LIMIT_HIGH, 2},
    {VADM_EVENT_CLIENT_LIMIT, VADM_LIMIT_NORMAL, 0},
    {VADM_EVENT_UNAUTH_LIMIT, VADM_LIMIT_FULL, 1},
    {VADM_EVENT_UNAUTH_LIMIT, VADM_LIMIT_NORMAL, 1},
    {VADM_EVENT_CLIENT_CONNECTED, 0, 3},
    {VADM_EVENT_CLIENT_DISCONNECTED, 0, 4},
    {VADM_EVENT_WORKERS, 2, 5},
    {VADM_EVENT_WORKERS, 1, 5},
    {VADM_EVENT_CONFIG, 7, 6},
    {VADM_EVENT_DAEMON, VADM_REACH_UNREACHABLE, 7},
    {VADM_EVENT_DAEMON, VADM_REACH_UP, 7},
    {VADM_EVENT_AUTH_FAILURE, 9, 8},
    {VADM_EVENT_UPSTREAM, VADM_UPSTREAM_UNREACHABLE, 9},
    {VADM_EVENT_UPSTREAM, VADM_UPSTREAM_UP, 9},
};

G_STATIC_ASSERT(G_N_ELEMENTS(samples) == G_N_ELEMENTS(mib_notifications));

static FakeSource *fake;
static VadmSettings *settings;
static VadmMib *mib;

static void
set_up(void)
{
    fake = fake_source_new();
    settings = vadm_settings_new("fake", 0, 0);
    mib = vadm_mib_new(&fake->base, settings, NULL, TRUE);
}

static void
tear_down(void)
{
    vadm_mib_free(mib);
    vadm_settings_free(settings);
    fake_source_free(fake);
}

static VadmEvent
make_event(const Sample *sample)
{
    VadmEvent event = {.kind = sample->kind,
                       .daemon = fake->daemon,
                       .config = fake->config,
                       .server = *fake_source_server(fake, 300),
                       .client = g_array_index(fake->clients, VadmClientRow, 4)};

    event.client.disconnect_reason = VADM_DISCONNECT_KEEPALIVE;
    event.config.generation = 7;
    if (sample->kind == VADM_EVENT_CLIENT_LIMIT)
        event.server.clients_state = sample->state;
    if (sample->kind == VADM_EVENT_UNAUTH_LIMIT)
        event.server.clients_unauth_state = sample->state;
    if (sample->kind == VADM_EVENT_WORKERS)
        event.server.workers_exhausted = sample->state > 1;
    if (sample->kind == VADM_EVENT_DAEMON)
        event.daemon.state = sample->state;
    if (sample->kind == VADM_EVENT_UPSTREAM)
        event.server.upstream_state = sample->state;
    return event;
}

static const MibObject *
find_object(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(mib_objects); i++) {
        if (strcmp(mib_objects[i].name, name) == 0)
            return &mib_objects[i];
    }
    ck_abort_msg("no object %s", name);
}

static const char *
index_of(const char *object)
{
    if (g_str_has_prefix(object, "lvaServer"))
        return "300";
    if (g_str_has_prefix(object, "lvaClient"))
        return "300.4294967295";
    return "0";
}

static char *
oid_text(const VadmMibOid *oid)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < oid->length; i++)
        g_string_append_printf(text, "%s%u", i > 0 ? "." : "", oid->arcs[i]);
    return g_string_free(text, FALSE);
}

static void
check_varbind(const VadmVarbind *varbind, const char *name)
{
    const MibObject *object = find_object(name);
    g_autofree char *expected = g_strdup_printf("%s.%s", object->oid, index_of(name));
    g_autofree char *oid = oid_text(&varbind->oid);

    ck_assert_str_eq(oid, expected);
    ck_assert_msg(varbind->datum.type == object->type, "type of %s", name);
}

START_TEST(test_agree_with_mib)
{
    const MibNotification *expected = &mib_notifications[_i];
    VadmEvent event = make_event(&samples[_i]);
    const VadmNotification *notification = vadm_notification_find(&event);
    VadmVarbind varbinds[VADM_NOTIFICATION_OBJECTS];
    guint n = vadm_notification_fill(notification, mib, &event, varbinds);
    g_auto(GStrv) objects = g_strsplit(expected->objects, " ", -1);

    ck_assert_str_eq(notification->name, expected->name);
    ck_assert_uint_eq(notification->arc, expected->arc);
    ck_assert_uint_eq(notification->bit, samples[_i].bit);
    ck_assert_uint_ne(vadm_notification_bits(event.kind) & (1u << notification->bit), 0);
    ck_assert_uint_eq(n, g_strv_length(objects));
    for (guint i = 0; i < n; i++)
        check_varbind(&varbinds[i], objects[i]);
}
END_TEST

/* A poll of the same rows must show the same. */
START_TEST(test_agree_with_get)
{
    VadmEvent event = make_event(&samples[_i]);
    VadmVarbind varbinds[VADM_NOTIFICATION_OBJECTS];
    guint n = vadm_notification_fill(vadm_notification_find(&event), mib, &event, varbinds);
    VadmView *view;

    *fake_source_server(fake, 300) = event.server;
    fake->daemon = event.daemon;
    fake->config = event.config;
    view = fake->base.class->view_begin(&fake->base);
    for (guint i = 0; i < n && event.daemon.state == VADM_REACH_UP; i++) {
        const VadmMibOid *oid = &varbinds[i].oid;
        const VadmDatum *datum = &varbinds[i].datum;
        VadmDatum got;
        VadmGetResult result = vadm_mib_get(mib, view, oid->arcs, oid->length, &got);
        g_autofree char *reason = oid_text(oid);

        if (strcmp(reason, "1.6.1.24.300.4294967295") == 0) {
            ck_assert_int_ne(result, VADM_GET_OK);
            ck_assert_uint_eq(datum->number, VADM_DISCONNECT_KEEPALIVE);
            continue;
        }
        ck_assert_int_eq(result, VADM_GET_OK);
        ck_assert_uint_eq(got.type, datum->type);
        ck_assert_uint_eq(got.number, datum->number);
        ck_assert_uint_eq(got.length, datum->length);
        ck_assert_mem_eq(got.bytes, datum->bytes, got.length);
    }
    fake->base.class->view_end(view);
}
END_TEST

START_TEST(test_states)
{
    VadmEvent event = make_event(&samples[_i]);
    gboolean numbered =
        samples[_i].kind == VADM_EVENT_CONFIG || samples[_i].kind == VADM_EVENT_AUTH_FAILURE;
    gboolean condition = !numbered && samples[_i].state > 1;

    ck_assert_uint_eq(vadm_notification_state(&event), samples[_i].kind == VADM_EVENT_UPSTREAM
                                                           ? samples[_i].state - 1
                                                           : samples[_i].state);
    if (samples[_i].kind == VADM_EVENT_UPSTREAM)
        condition = samples[_i].state == VADM_UPSTREAM_UNREACHABLE;
    ck_assert_int_eq(vadm_notification_is_condition(&event), condition);
}
END_TEST

/* What was never needed is not down. */
START_TEST(test_upstream_unused)
{
    VadmEvent event = make_event(&samples[0]);

    event.kind = VADM_EVENT_UPSTREAM;
    event.server.upstream_state = VADM_UPSTREAM_NONE;
    ck_assert_uint_eq(vadm_notification_state(&event), VADM_STATE_NORMAL);
}
END_TEST

/* A client of whom nothing is known yet, and a text that does not fit: the varbind keeps its place.
 */
START_TEST(test_missing_values)
{
    VadmEvent event = make_event(&samples[5]);
    VadmVarbind varbinds[VADM_NOTIFICATION_OBJECTS];
    g_autofree char *name = g_strnfill(256, 'n');

    event.client = g_array_index(fake->clients, VadmClientRow, 2);
    event.server.name = name;
    ck_assert_uint_eq(vadm_notification_fill(vadm_notification_find(&event), mib, &event, varbinds),
                      4);
    check_varbind(&varbinds[1], "lvaServerName");
    ck_assert_uint_eq(varbinds[1].datum.length, 0);
    ck_assert_uint_eq(varbinds[3].datum.length, strlen("unix"));
    ck_assert_mem_eq(varbinds[3].datum.bytes, "unix", strlen("unix"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent-notification");
    TCase *tcase = tcase_create("notification");
    int n = (int)G_N_ELEMENTS(samples);

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, test_agree_with_mib, 0, n);
    tcase_add_loop_test(tcase, test_agree_with_get, 0, n);
    tcase_add_loop_test(tcase, test_states, 0, n);
    tcase_add_test(tcase, test_upstream_unused);
    tcase_add_test(tcase, test_missing_values);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
