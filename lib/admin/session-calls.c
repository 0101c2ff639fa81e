/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/session-calls.h"

void
vadm_session_call_free(VadmSessionCall *call)
{
    if (!call)
        return;
    g_clear_error(&call->error);
    g_clear_pointer(&call->message, vadm_message_free);
    g_free(call);
}

static gint
compare_deadlines(gconstpointer a, gconstpointer b, gpointer user G_GNUC_UNUSED)
{
    const VadmSessionCall *left = a, *right = b;

    if (left->deadline != right->deadline)
        return left->deadline < right->deadline ? -1 : 1;
    return left->order < right->order ? -1 : left->order > right->order;
}

static gint
compare_orders(gconstpointer a, gconstpointer b)
{
    const VadmSessionCall *left = *(VadmSessionCall *const *)a;
    const VadmSessionCall *right = *(VadmSessionCall *const *)b;

    return left->order < right->order ? -1 : left->order > right->order;
}

void
vadm_session_calls_init(VadmSessionCalls *calls)
{
    g_queue_init(&calls->waiting);
    g_queue_init(&calls->failed);
    g_queue_init(&calls->late_order);
    calls->sent = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)vadm_session_call_free);
    calls->late = g_hash_table_new(NULL, NULL);
    calls->deadlines = g_sequence_new(NULL);
}

void
vadm_session_calls_clear(VadmSessionCalls *calls)
{
    g_clear_pointer(&calls->deadlines, g_sequence_free);
    g_clear_pointer(&calls->sent, g_hash_table_unref);
    g_clear_pointer(&calls->late, g_hash_table_unref);
    g_queue_clear(&calls->late_order);
    g_queue_clear_full(&calls->waiting, (GDestroyNotify)vadm_session_call_free);
    g_queue_clear_full(&calls->failed, (GDestroyNotify)vadm_session_call_free);
}

static void
push(GQueue *queue, VadmSessionCall *call)
{
    g_queue_push_tail(queue, call);
    call->place = queue->tail;
}

static void
unlink_call(GQueue *queue, VadmSessionCall *call)
{
    g_queue_delete_link(queue, call->place);
    call->place = NULL;
}

static void
stop_timer(VadmSessionCall *call)
{
    g_clear_pointer(&call->timer, g_sequence_remove);
}

void
vadm_session_calls_add(VadmSessionCalls *calls, VadmSessionCall *call)
{
    call->order = calls->made++;
    if (call->error) {
        push(&calls->failed, call);
        return;
    }
    push(&calls->waiting, call);
    if (call->deadline != G_MAXINT64)
        call->timer = g_sequence_insert_sorted(calls->deadlines, call, compare_deadlines, NULL);
}

guint
vadm_session_calls_unanswered(const VadmSessionCalls *calls)
{
    return g_hash_table_size(calls->sent) + g_hash_table_size(calls->late);
}

guint32
vadm_session_calls_next_serial(VadmSessionCalls *calls)
{
    while (g_hash_table_contains(calls->sent, GUINT_TO_POINTER(calls->next_serial)) ||
           g_hash_table_contains(calls->late, GUINT_TO_POINTER(calls->next_serial)))
        calls->next_serial++;
    return calls->next_serial++;
}

VadmMessage *
vadm_session_calls_send(VadmSessionCalls *calls)
{
    VadmSessionCall *call = g_queue_peek_head(&calls->waiting);

    if (!call)
        return NULL;
    unlink_call(&calls->waiting, call);
    call->serial = vadm_session_calls_next_serial(calls);
    vadm_message_set_serial(call->message, call->serial);
    g_hash_table_insert(calls->sent, GUINT_TO_POINTER(call->serial), call);
    return g_steal_pointer(&call->message);
}

/* Late replies */

/* Serials go up, so what is older than one that was forgotten is told by comparing. */
static void
forget_oldest(VadmSessionCalls *calls)
{
    gpointer serial = g_queue_pop_head(&calls->late_order);

    if (!g_hash_table_remove(calls->late, serial))
        return; /* answered meanwhile */
    calls->forgot = TRUE;
    calls->forgot_serial = GPOINTER_TO_UINT(serial);
}

/* A reply to @serial is to be dropped. */
static void
expect_none(VadmSessionCalls *calls, guint32 program, guint32 serial)
{
    g_hash_table_insert(calls->late, GUINT_TO_POINTER(serial), GUINT_TO_POINTER(program));
    g_queue_push_tail(&calls->late_order, GUINT_TO_POINTER(serial));
    while (calls->late_order.length > VADM_SESSION_LATE_MAX)
        forget_oldest(calls);
}

static gboolean
take_late(VadmSessionCalls *calls, const VadmRpcHeader *header)
{
    gpointer key = GUINT_TO_POINTER(header->serial), program;

    if (g_hash_table_lookup_extended(calls->late, key, NULL, &program))
        return GPOINTER_TO_UINT(program) == header->program &&
               g_hash_table_remove(calls->late, key);
    return calls->forgot && (gint32)(header->serial - calls->forgot_serial) <= 0;
}

/* Taking calls out */

VadmSessionCall *
vadm_session_calls_take_reply(VadmSessionCalls *calls, const VadmRpcHeader *header,
                              gboolean *dropped)
{
    gpointer key = GUINT_TO_POINTER(header->serial);
    VadmSessionCall *call = g_hash_table_lookup(calls->sent, key);

    *dropped = FALSE;
    if (header->version != VADM_RPC_VERSION)
        return NULL;
    if (!call) {
        *dropped = take_late(calls, header);
        return NULL;
    }
    if (call->program != header->program || call->procedure != header->procedure)
        return NULL; /* it would be taken for something else */
    g_hash_table_steal(calls->sent, key);
    stop_timer(call);
    return call;
}

VadmSessionCall *
vadm_session_calls_take_due(VadmSessionCalls *calls, gint64 now)
{
    GSequenceIter *first = g_sequence_get_begin_iter(calls->deadlines);
    VadmSessionCall *call;

    if (g_sequence_iter_is_end(first))
        return NULL;
    call = g_sequence_get(first);
    if (call->deadline > now)
        return NULL;
    stop_timer(call);
    if (call->place) {
        unlink_call(&calls->waiting, call);
        return call;
    }
    g_hash_table_steal(calls->sent, GUINT_TO_POINTER(call->serial));
    expect_none(calls, call->program, call->serial);
    return call;
}

VadmSessionCall *
vadm_session_calls_take_failed(VadmSessionCalls *calls)
{
    return g_queue_pop_head(&calls->failed);
}

GPtrArray *
vadm_session_calls_take_all(VadmSessionCalls *calls)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)vadm_session_call_free);
    VadmSessionCall *call;
    GHashTableIter iter;

    g_hash_table_iter_init(&iter, calls->sent);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&call)) {
        g_hash_table_iter_steal(&iter);
        stop_timer(call);
        g_ptr_array_add(all, call);
    }
    while ((call = g_queue_pop_head(&calls->waiting)) ||
           (call = g_queue_pop_head(&calls->failed))) {
        stop_timer(call);
        call->place = NULL;
        g_ptr_array_add(all, call);
    }
    g_ptr_array_sort(all, compare_orders);
    return all;
}

void
vadm_session_calls_give_up(VadmSessionCalls *calls)
{
    g_autoptr(GPtrArray) all = vadm_session_calls_take_all(calls);

    for (guint i = 0; i < all->len; i++) {
        const VadmSessionCall *call = all->pdata[i];

        if (!call->message && !call->error)
            expect_none(calls, call->program, call->serial);
    }
}

gint64
vadm_session_calls_next_deadline(const VadmSessionCalls *calls)
{
    GSequenceIter *first = g_sequence_get_begin_iter(calls->deadlines);

    if (g_sequence_iter_is_end(first))
        return G_MAXINT64;
    return ((const VadmSessionCall *)g_sequence_get(first))->deadline;
}
