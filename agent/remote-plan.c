/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a SET comes down to: which calls with which values, validated as a whole against what the
 * daemon has. The daemon validates again; here it is done first because a SET is to be refused as a
 * whole before anything of it is in force, and with the varbind at fault.
 */
#include <string.h>

#include "agent/remote-memory.h"
#include "agent/remote-set.h"
#include "common/log.h"
#include "daemon/config.h"

/* libvirt's texts, as they are; the last one is inverted there, too (docs/protocol.md). */
#define REMOTE_TEXT_WORKERS_ZERO                                                                   \
    "maxWorkers must not be switched from zero to non-zero and vice versa"
#define REMOTE_TEXT_WORKERS_MIN_MAX "minWorkers cannot be larger than maxWorkers"
#define REMOTE_TEXT_CLIENTS_UNAUTH                                                                 \
    "The overall maximum number of clients waiting for authentication must not be less than "      \
    "the overall maximum number of clients"

#define REMOTE_PERCENT_MAX 100u

#define KEY(field, step, param, name, member, bound)                                               \
    {                                                                                              \
        VADM_FIELD_SERVER_##field, VADM_REMOTE_STEP_##step, param, name,                           \
            offsetof(VadmServerRow, member), bound                                                 \
    }

enum { MIN_WORKERS, MAX_WORKERS, PRIO_WORKERS, MAX_CLIENTS, MAX_ANONYMOUS, HIGH_PERCENT, KEYS };

static const VadmRemoteKey remote_keys[KEYS] = {
    [MIN_WORKERS] =
        KEY(WORKERS_MIN, POOL, "minWorkers", "min_workers", workers_min, VADM_WORKERS_BOUND),
    [MAX_WORKERS] =
        KEY(WORKERS_MAX, POOL, "maxWorkers", "max_workers", workers_max, VADM_WORKERS_BOUND),
    [PRIO_WORKERS] = KEY(WORKERS_PRIORITY, POOL, "prioWorkers", "prio_workers", workers_priority,
                         VADM_WORKERS_BOUND),
    [MAX_CLIENTS] =
        KEY(CLIENTS_MAX, LIMITS, "nclients_max", "max_clients", clients_max, VADM_CLIENTS_BOUND),
    [MAX_ANONYMOUS] = KEY(CLIENTS_UNAUTH_MAX, LIMITS, "nclients_unauth_max",
                          "max_anonymous_clients", clients_unauth_max, VADM_CLIENTS_BOUND),
    [HIGH_PERCENT] = KEY(CLIENTS_HIGH_PERCENT, LIMITS, NULL, VADM_REMOTE_PERCENT_NAME,
                         clients_high_percent, REMOTE_PERCENT_MAX),
};

/* ---- the plan ---- */

static void
remote_step_free(gpointer data)
{
    VadmRemoteStep *step = data;

    g_free(step->name);
    g_free(step->before);
    g_free(step->wanted);
    g_free(step->settled);
    g_free(step);
}

static void
remote_percent_free(gpointer data)
{
    VadmRemotePercent *percent = data;

    g_free(percent->name);
    g_free(percent);
}

static void
remote_close_free(gpointer data)
{
    VadmRemoteClose *close = data;

    g_free(close->server);
    g_free(close);
}

VadmRemotePlan *
vadm_remote_plan_ref(VadmRemotePlan *plan)
{
    g_atomic_int_inc(&plan->refs);
    return plan;
}

void
vadm_remote_plan_unref(VadmRemotePlan *plan)
{
    if (!plan || !g_atomic_int_dec_and_test(&plan->refs))
        return;
    g_ptr_array_unref(plan->steps);
    g_ptr_array_unref(plan->percents);
    g_ptr_array_unref(plan->closes);
    g_free(plan);
}

static VadmRemotePlan *
remote_plan_new_empty(guint connection)
{
    VadmRemotePlan *plan = g_new0(VadmRemotePlan, 1);

    plan->refs = 1;
    plan->connection = connection;
    plan->steps = g_ptr_array_new_with_free_func(remote_step_free);
    plan->percents = g_ptr_array_new_with_free_func(remote_percent_free);
    plan->closes = g_ptr_array_new_with_free_func(remote_close_free);
    return plan;
}

/* ---- what is wished, sorted by what it is about ---- */

typedef struct {
    const VadmRemoteServer *server;
    guint32 values[KEYS];
    gboolean given[KEYS];
    guint tags[KEYS];
} RemoteServerWish;

typedef struct {
    const VadmChange *level, *filters, *outputs; /* NULL: not given */
    GPtrArray *servers;                          /* of RemoteServerWish */
} RemoteWish;

static gboolean G_GNUC_PRINTF(4, 5)
    remote_fault(VadmFault *fault, guint tag, VadmErrorCode code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fault->tag = tag;
    fault->error = g_error_new_valist(VADM_ERROR, (int)code, format, args);
    va_end(args);
    return FALSE;
}

static RemoteServerWish *
remote_wish_find(RemoteWish *wish, const VadmRemoteServer *server)
{
    RemoteServerWish *found;

    for (guint i = 0; i < wish->servers->len; i++) {
        found = g_ptr_array_index(wish->servers, i);
        if (found->server == server)
            return found;
    }
    found = g_new0(RemoteServerWish, 1);
    found->server = server;
    for (guint i = 0; i < KEYS; i++)
        found->values[i] = vadm_remote_key_get(&server->row, &remote_keys[i]);
    g_ptr_array_add(wish->servers, found);
    return found;
}

static VadmRemoteServer *
remote_need_server(const VadmRemoteSnapshot *snapshot, const VadmChange *change, VadmFault *fault)
{
    VadmRemoteServer *server = vadm_remote_find_server(snapshot, VADM_MATCH_EQ, change->server);

    if (!server)
        remote_fault(fault, change->tag, VADM_ERROR_NO_SERVER, "there is no server with index %u",
                     change->server);
    return server;
}

static gboolean
remote_twice(const VadmChange *change, VadmFault *fault)
{
    return remote_fault(fault, change->tag, VADM_ERROR_INCONSISTENT,
                        "the request has another value for it");
}

static gboolean
remote_is_number(const VadmChange *change, VadmFault *fault)
{
    if (change->value.kind == VADM_VALUE_UINT)
        return TRUE;
    return remote_fault(fault, change->tag, VADM_ERROR_INVALID_VALUE, "must be a number");
}

/* What the daemon has already may be beyond our bounds: they are there for new values. */
static gboolean
remote_check_number(const RemoteServerWish *wish, guint which, const VadmChange *change,
                    VadmFault *fault)
{
    const VadmRemoteKey *key = &remote_keys[which];
    const VadmServerRow *row = &wish->server->row;

    if (wish->given[which])
        return remote_twice(change, fault);
    if (row->unknown & VADM_SERVER_UNKNOWN(key->field))
        return remote_fault(fault, change->tag, VADM_ERROR_BUSY,
                            "[server %s] %s: the daemon does not tell its present value", row->name,
                            key->name);
    if (change->value.number <= key->bound || change->value.number == vadm_remote_key_get(row, key))
        return TRUE;
    return remote_fault(fault, change->tag, VADM_ERROR_INVALID_VALUE,
                        "[server %s] %s: value %" G_GUINT64_FORMAT " must be a number from 0 to %u",
                        row->name, key->name, change->value.number, key->bound);
}

static gboolean
remote_wish_number(RemoteWish *wish, const VadmRemoteSnapshot *snapshot, guint which,
                   const VadmChange *change, VadmFault *fault)
{
    const VadmRemoteServer *server = remote_need_server(snapshot, change, fault);
    RemoteServerWish *of;

    if (!server || !remote_is_number(change, fault))
        return FALSE;
    of = remote_wish_find(wish, server);
    if (!remote_check_number(of, which, change, fault))
        return FALSE;
    of->values[which] = (guint32)change->value.number;
    of->given[which] = TRUE;
    of->tags[which] = change->tag;
    return TRUE;
}

static gboolean
remote_wish_log(const VadmChange **slot, const VadmChange *change, VadmFault *fault)
{
    gboolean is_number = change->field == VADM_FIELD_LOG_LEVEL;

    if (*slot)
        return remote_twice(change, fault);
    if (is_number && !remote_is_number(change, fault))
        return FALSE;
    if (is_number && (change->value.number < 1 || change->value.number > 5))
        return remote_fault(fault, change->tag, VADM_ERROR_INVALID_VALUE,
                            "[log] level: value %" G_GUINT64_FORMAT " must be from 1 (debug) to 4 "
                            "(error), or 5 (the daemon's own)",
                            change->value.number);
    if (!is_number && (change->value.kind != VADM_VALUE_STRING || !change->value.string))
        return remote_fault(fault, change->tag, VADM_ERROR_INVALID_VALUE, "must be a string");
    *slot = change;
    return TRUE;
}

/* A client that is gone meanwhile is as good as disconnected, but the manager may have meant
 * another one: it is told. */
static gboolean
remote_wish_close(VadmRemotePlan *plan, const VadmRemoteSnapshot *snapshot,
                  const VadmChange *change, VadmFault *fault)
{
    const VadmRemoteServer *server = remote_need_server(snapshot, change, fault);
    const VadmRemoteClient *client;
    VadmRemoteClose *close;

    if (!server || !remote_is_number(change, fault))
        return FALSE;
    if (change->value.number != VADM_CLIENT_CONNECTED &&
        change->value.number != VADM_CLIENT_DISCONNECT)
        return remote_fault(fault, change->tag, VADM_ERROR_INVALID_VALUE,
                            "can be set to connected(1) or disconnect(2) only");
    client = vadm_remote_find_client(server, VADM_MATCH_EQ, change->client);
    if (!client)
        return remote_fault(fault, change->tag, VADM_ERROR_NO_CLIENT,
                            "server %s has no client with index %u", server->row.name,
                            change->client);
    if (change->value.number == VADM_CLIENT_CONNECTED)
        return TRUE;
    close = g_new0(VadmRemoteClose, 1);
    close->server = g_strdup(server->row.name);
    close->id = client->row.id;
    g_ptr_array_add(plan->closes, close);
    return TRUE;
}

static guint
remote_find_key(VadmField field)
{
    guint which = 0;

    while (which < KEYS && remote_keys[which].field != field)
        which++;
    return which;
}

static gboolean
remote_wish_add(RemoteWish *wish, VadmRemotePlan *plan, const VadmRemoteSnapshot *snapshot,
                const VadmChange *change, VadmFault *fault)
{
    guint which = remote_find_key(change->field);

    if (which < KEYS)
        return remote_wish_number(wish, snapshot, which, change, fault);
    if (change->field == VADM_FIELD_LOG_LEVEL)
        return remote_wish_log(&wish->level, change, fault);
    if (change->field == VADM_FIELD_LOG_FILTERS)
        return remote_wish_log(&wish->filters, change, fault);
    if (change->field == VADM_FIELD_LOG_OUTPUTS)
        return remote_wish_log(&wish->outputs, change, fault);
    if (change->field == VADM_FIELD_CLIENT_ADMIN_STATUS)
        return remote_wish_close(plan, snapshot, change, fault);
    return remote_fault(fault, change->tag, VADM_ERROR_NOT_SUPPORTED,
                        "field %d cannot be set in this daemon", change->field);
}

gboolean
vadm_remote_plan_reads(const VadmChange *changes, guint n_changes)
{
    for (guint i = 0; i < n_changes; i++) {
        if (changes[i].field != VADM_FIELD_CLIENT_ADMIN_STATUS &&
            changes[i].field != VADM_FIELD_SERVER_CLIENTS_HIGH_PERCENT)
            return TRUE;
    }
    return FALSE;
}

/* ---- numbers ---- */

/* The last of the two that was given. */
static guint
remote_later_tag(const RemoteServerWish *wish, guint one, guint other)
{
    if (!wish->given[one])
        return wish->tags[other];
    if (!wish->given[other])
        return wish->tags[one];
    return MAX(wish->tags[one], wish->tags[other]);
}

static gboolean
remote_check_server(const RemoteServerWish *wish, VadmFault *fault)
{
    const VadmServerRow *row = &wish->server->row;
    const guint32 *values = wish->values;

    if (wish->given[MAX_WORKERS] && (values[MAX_WORKERS] == 0) != (row->workers_max == 0))
        return remote_fault(fault, wish->tags[MAX_WORKERS], VADM_ERROR_INCONSISTENT, "%s",
                            REMOTE_TEXT_WORKERS_ZERO);
    if ((wish->given[MIN_WORKERS] || wish->given[MAX_WORKERS]) &&
        values[MIN_WORKERS] > values[MAX_WORKERS])
        return remote_fault(fault, remote_later_tag(wish, MIN_WORKERS, MAX_WORKERS),
                            VADM_ERROR_INCONSISTENT, "%s", REMOTE_TEXT_WORKERS_MIN_MAX);
    if ((wish->given[MAX_CLIENTS] || wish->given[MAX_ANONYMOUS]) &&
        values[MAX_CLIENTS] < values[MAX_ANONYMOUS])
        return remote_fault(fault, remote_later_tag(wish, MAX_CLIENTS, MAX_ANONYMOUS),
                            VADM_ERROR_INCONSISTENT, "%s", REMOTE_TEXT_CLIENTS_UNAUTH);
    return TRUE;
}

static void
remote_plan_add_numbers(VadmRemotePlan *plan, const RemoteServerWish *wish, VadmRemoteStepKind kind)
{
    const VadmServerRow *row = &wish->server->row;
    VadmRemoteStep *step = g_new0(VadmRemoteStep, 1);

    step->kind = kind;
    step->server = row->index;
    step->name = g_strdup(row->name);
    for (guint i = 0; i < KEYS; i++) {
        const VadmRemoteKey *key = &remote_keys[i];
        VadmRemoteNumber number = {key, vadm_remote_key_get(row, key), wish->values[i]};

        if (!wish->given[i] || !key->param || key->step != kind ||
            (number.before == number.wanted && i != PRIO_WORKERS))
            continue;
        step->numbers[step->n_numbers++] = number;
        step->tag = MAX(step->tag, wish->tags[i]);
    }
    if (step->n_numbers > 0)
        g_ptr_array_add(plan->steps, step);
    else
        remote_step_free(step);
}

static void
remote_plan_add_percent(VadmRemotePlan *plan, const RemoteServerWish *wish)
{
    const VadmServerRow *row = &wish->server->row;
    VadmRemotePercent *percent;

    if (wish->values[HIGH_PERCENT] == row->clients_high_percent)
        return;
    percent = g_new0(VadmRemotePercent, 1);
    percent->server = row->index;
    percent->name = g_strdup(row->name);
    percent->before = row->clients_high_percent;
    percent->wanted = wish->values[HIGH_PERCENT];
    g_ptr_array_add(plan->percents, percent);
}

static gboolean
remote_plan_add_servers(VadmRemotePlan *plan, const RemoteWish *wish, VadmFault *fault)
{
    for (guint i = 0; i < wish->servers->len; i++) {
        const RemoteServerWish *server = g_ptr_array_index(wish->servers, i);

        if (!remote_check_server(server, fault))
            return FALSE;
        remote_plan_add_numbers(plan, server, VADM_REMOTE_STEP_POOL);
        remote_plan_add_numbers(plan, server, VADM_REMOTE_STEP_LIMITS);
        remote_plan_add_percent(plan, server);
    }
    return TRUE;
}

/* ---- logging ---- */

static gboolean
remote_is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\f\v")] == '\0';
}

static void
remote_plan_add_text(VadmRemotePlan *plan, VadmRemoteStepKind kind, guint tag, const char *before,
                     char *wanted)
{
    VadmRemoteStep *step = g_new0(VadmRemoteStep, 1);

    step->kind = kind;
    step->tag = tag;
    step->before = g_strdup(before);
    step->wanted = wanted;
    g_ptr_array_add(plan->steps, step);
}

/* Blanks alone are no request for the default to a libvirt daemon, but leave it without outputs
 * and unable to tell so (docs/protocol.md, "Logging outputs"): "" is. */
static gboolean
remote_plan_add_outputs(VadmRemotePlan *plan, const VadmRemoteSource *source,
                        const VadmRemoteSnapshot *snapshot, const VadmChange *change,
                        VadmFault *fault)
{
    g_autofree char *before = NULL;
    g_autofree char *wanted = NULL;

    if (!change)
        return TRUE;
    fault->tag = change->tag;
    if (remote_is_blank(change->value.string)) {
        remote_plan_add_text(plan, VADM_REMOTE_STEP_OUTPUTS, change->tag, snapshot->outputs,
                             g_strdup(""));
        return TRUE;
    }
    wanted = vadm_log_normalise_outputs(change->value.string, NULL, &fault->error);
    if (!wanted)
        return FALSE;
    before = vadm_remote_outputs_form(snapshot->outputs);
    if (g_strcmp0(before, wanted) == 0)
        return TRUE;
    if (!vadm_remote_guard_outputs(change->value.string,
                                   (const char *const *)source->log_directories, &fault->error))
        return FALSE;
    remote_plan_add_text(plan, VADM_REMOTE_STEP_OUTPUTS, change->tag, snapshot->outputs,
                         g_steal_pointer(&wanted));
    return TRUE;
}

static gboolean
remote_plan_add_filters(VadmRemotePlan *plan, const VadmRemoteSnapshot *snapshot,
                        const RemoteWish *wish, VadmFault *fault)
{
    const char *filters = wish->filters ? wish->filters->value.string : NULL;
    guint32 level = wish->level ? (guint32)wish->level->value.number : 0;
    g_autofree char *before = NULL;
    g_autofree char *wanted = NULL;
    guint tag;

    if (!wish->filters && !wish->level)
        return TRUE;
    tag = MAX(wish->filters ? wish->filters->tag : 0, wish->level ? wish->level->tag : 0);
    if (snapshot->log_level == 0)
        return remote_fault(fault, tag, VADM_ERROR_BUSY,
                            "[log] the daemon does not tell its present filters");
    before = vadm_remote_log_compose(snapshot->raw_filters, NULL, 0, NULL);
    wanted = vadm_remote_log_compose(snapshot->raw_filters, filters, level, &fault->error);
    if (!wanted) {
        fault->tag = fault->error->code == VADM_ERROR_INCONSISTENT ? tag : wish->filters->tag;
        return FALSE;
    }
    if (strcmp(before, wanted) != 0)
        remote_plan_add_text(plan, VADM_REMOTE_STEP_FILTERS, tag, before, g_steal_pointer(&wanted));
    return TRUE;
}

VadmRemotePlan *
vadm_remote_plan_new(const VadmRemoteSource *source, const VadmRemoteSnapshot *snapshot,
                     const VadmChange *changes, guint n_changes, VadmFault *fault)
{
    g_autoptr(VadmRemotePlan) plan = remote_plan_new_empty(source->memory->connection);
    g_autoptr(GPtrArray) servers = g_ptr_array_new_with_free_func(g_free);
    RemoteWish wish = {.servers = servers};

    for (guint i = 0; i < n_changes; i++) {
        if (!remote_wish_add(&wish, plan, snapshot, &changes[i], fault))
            return NULL;
    }
    if (!remote_plan_add_outputs(plan, source, snapshot, wish.outputs, fault) ||
        !remote_plan_add_filters(plan, snapshot, &wish, fault) ||
        !remote_plan_add_servers(plan, &wish, fault))
        return NULL;
    return g_steal_pointer(&plan);
}
