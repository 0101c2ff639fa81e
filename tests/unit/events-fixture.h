/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps the events that the fixture's daemon tells. */
#ifndef VADM_TESTS_EVENTS_FIXTURE_H
#define VADM_TESTS_EVENTS_FIXTURE_H

#include "daemon-fixture.h"

typedef struct {
    VadmMutex lock;
    GPtrArray *list; /* of VadmEvent, in the order they were told; under lock */
    guint id;
} Heard;

static Heard heard;

static inline void
heard_free_event(gpointer event)
{
    vadm_event_free(event);
}

static inline void
heard_tell(const VadmEvent *event, gpointer user)
{
    (void)user;
    VADM_LOCK_SCOPE(&heard.lock);
    g_ptr_array_add(heard.list, vadm_event_copy(event));
}

static inline void
heard_setup(void)
{
    vadm_mutex_init(&heard.lock);
    heard.list = g_ptr_array_new_with_free_func(heard_free_event);
}

static inline void
heard_teardown(void)
{
    g_ptr_array_unref(heard.list);
    vadm_mutex_clear(&heard.lock);
}

static inline void
heard_begin(void)
{
    heard.id = vadm_events_subscribe(vadm_daemon_get_events(fix.daemon), heard_tell, NULL);
    ck_assert_uint_ne(heard.id, 0);
}

static inline void
heard_end(void)
{
    vadm_events_unsubscribe(vadm_daemon_get_events(fix.daemon), heard.id);
}

static inline guint
heard_count(void)
{
    VADM_LOCK_SCOPE(&heard.lock);
    return heard.list->len;
}

static inline const VadmEvent *
heard_at(guint index)
{
    VADM_LOCK_SCOPE(&heard.lock);
    ck_assert_uint_lt(index, heard.list->len);
    return g_ptr_array_index(heard.list, index);
}

static inline void
heard_forget(void)
{
    VADM_LOCK_SCOPE(&heard.lock);
    g_ptr_array_set_size(heard.list, 0);
}

/* (transfer full): e.g. "connected full": what has been told since the last call */
static inline char *
heard_take(void)
{
    static const char *const kinds[VADM_EVENT_LAST] = {
        "limit", "unauth", "workers", "upstream", "daemon", "config", "auth", "connected", "gone",
    };
    static const char *const limits[] = {"?", "normal", "high", "full"};
    GString *text = g_string_new(NULL);
    VADM_LOCK_SCOPE(&heard.lock);

    for (guint i = 0; i < heard.list->len; i++) {
        const VadmEvent *event = g_ptr_array_index(heard.list, i);

        if (i > 0)
            g_string_append_c(text, ' ');
        if (event->kind == VADM_EVENT_CLIENT_LIMIT)
            g_string_append(text, limits[event->server.clients_state]);
        else if (event->kind == VADM_EVENT_UNAUTH_LIMIT)
            g_string_append_printf(text, "unauth-%s", limits[event->server.clients_unauth_state]);
        else if (event->kind == VADM_EVENT_WORKERS)
            g_string_append(text, event->server.workers_exhausted ? "exhausted" : "available");
        else if (event->kind == VADM_EVENT_UPSTREAM)
            g_string_append_printf(text, "upstream-%d", event->server.upstream_state);
        else
            g_string_append(text, kinds[event->kind]);
    }
    g_ptr_array_set_size(heard.list, 0);
    return g_string_free(text, FALSE);
}

#define EXPECT_HEARD(wanted)                                                                       \
    do {                                                                                           \
        g_autofree char *got_ = heard_take();                                                      \
        ck_assert_str_eq(got_, wanted);                                                            \
    } while (0)

static inline VadmServerConfig *
server_config(void)
{
    return vadm_config_find_server(fix.config, "libvirtd");
}

static inline void
events_setup(void)
{
    fixture_setup();
    heard_setup();
}

static inline void
events_teardown(void)
{
    fixture_teardown();
    heard_teardown();
}

static inline void
events_start(void)
{
    fixture_start();
    heard_begin();
}

static inline void
expect_clients(guint32 count)
{
    SPIN_UNTIL(vadm_server_count_clients(fix.server) == count);
}

static inline Peer *
connect_as(guint32 count)
{
    Peer *peer = peer_new(fix.path);

    expect_clients(count);
    return peer;
}

static inline void
disconnect_to(Peer *peer, guint32 count)
{
    peer_free(peer);
    expect_clients(count);
}

/* Of the fixture's server. */
static inline VadmChange
change_to(VadmField field, guint64 number)
{
    return (VadmChange){.field = field, .server = 2, .value = {.number = number}};
}

#endif
