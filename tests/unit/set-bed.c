/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "set-bed.h"

#include <string.h>

#include "log-fixture.h"

/* ---- the daemon ---- */

/* What is to become of the next call. Returns: FALSE: nothing goes wrong */
static gboolean
set_bed_next(SetBed *set, SetFailure *failure)
{
    VADM_LOCK_SCOPE(&set->lock);
    guint n = ++set->calls;

    if (set->fail_from && n >= set->fail_from && n <= set->fail_to) {
        *failure = set->failure;
        return TRUE;
    }
    *failure = set->then;
    return set->then_from && n >= set->then_from;
}

/* A length word that cannot be: the other side ends the connection. */
static VadmMessage *
garbage(void)
{
    VadmMessage *message = g_new0(VadmMessage, 1);

    message->length = 4;
    message->data = g_memdup2("\0\0\0\1", 4);
    return message;
}

static VadmMessage *
refused(const VadmMessage *call, const char *text)
{
    return vadm_message_new_error(&call->header, VADM_VIR_ERR_INVALID_ARG, VADM_VIR_FROM_NONE, text,
                                  -1);
}

/* Returns: (nullable): why not */
typedef const char *(*SetApply)(SetBed *set, const VadmMessage *call);

static VadmMessage *
set_bed_carry_out(SetBed *set, const VadmMessage *call, SetApply apply)
{
    SetFailure failure;
    gboolean fails = set_bed_next(set, &failure);
    VADM_LOCK_SCOPE(&set->bed->fake->lock);
    const char *why;

    if (fails && failure == SET_REFUSE)
        return refused(call, "refused by the test");
    if (fails && failure == SET_SILENT)
        return NULL;
    if (fails && failure == SET_GARBAGE)
        return garbage();
    why = apply(set, call);
    if (fails)
        return failure == SET_SILENT_APPLIED ? NULL : garbage();
    return why ? refused(call, why) : vadm_message_new_reply(&call->header, NULL, NULL, NULL);
}

/* libvirt's names of what can be set, as long as it is in the array. */
static gboolean
take_numbers(const vadm_typed_param *params, guint n, const char *const *names, guint32 *values,
             guint n_names)
{
    for (guint i = 0; i < n; i++) {
        guint at = 0;

        while (at < n_names && (!names[at] || strcmp(names[at], params[i].field) != 0))
            at++;
        if (at == n_names || params[i].value.type != VADM_TYPED_PARAM_UINT)
            return FALSE;
        values[at] = params[i].value.vadm_typed_param_value_u.ui;
    }
    return TRUE;
}

static const char *
set_pool(FakeServer *server, const vadm_typed_param *params, guint n)
{
    static const char *const names[POOL_LAST] = {
        [POOL_MIN] = "minWorkers", [POOL_MAX] = "maxWorkers", [POOL_PRIORITY] = "prioWorkers"};
    guint32 pool[POOL_LAST];

    memcpy(pool, server->pool, sizeof(pool));
    if (!take_numbers(params, n, names, pool, POOL_LAST))
        return "not supported";
    if (pool[POOL_MIN] > pool[POOL_MAX])
        return "minWorkers cannot be larger than maxWorkers";
    if ((pool[POOL_MAX] == 0) != (server->pool[POOL_MAX] == 0))
        return "maxWorkers must not be switched from zero to non-zero and vice versa";
    memcpy(server->pool, pool, sizeof(pool));
    return NULL;
}

static const char *
set_limits(FakeServer *server, const vadm_typed_param *params, guint n)
{
    static const char *const names[LIMIT_LAST] = {
        [LIMIT_MAX] = "nclients_max", [LIMIT_UNAUTH_MAX] = "nclients_unauth_max"};
    guint32 limits[LIMIT_LAST];

    memcpy(limits, server->limits, sizeof(limits));
    if (!take_numbers(params, n, names, limits, LIMIT_LAST))
        return "not supported";
    if (limits[LIMIT_MAX] < limits[LIMIT_UNAUTH_MAX])
        return "The overall maximum number of clients must not be less";
    memcpy(server->limits, limits, sizeof(limits));
    return NULL;
}

/* The arguments of both procedures are laid out alike. */
G_STATIC_ASSERT(sizeof(vadm_admin_server_set_client_limits_args) ==
                sizeof(vadm_admin_server_set_threadpool_parameters_args));

static const char *
apply_numbers(SetBed *set, const VadmMessage *call)
{
    vadm_admin_server_set_threadpool_parameters_args args = {0};
    gboolean pool = call->header.procedure == VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS;
    xdrproc_t decode = (xdrproc_t)xdr_vadm_admin_server_set_threadpool_parameters_args;
    FakeServer *server;
    const char *why = "no such server";

    ck_assert(vadm_message_decode(call, decode, &args, NULL));
    ck_assert_uint_eq(args.flags, 0);
    server = fake_find_server(set->bed->fake, args.srv.name);
    if (server && pool)
        why = set_pool(server, args.params.params_val, args.params.params_len);
    else if (server)
        why = set_limits(server, args.params.params_val, args.params.params_len);
    xdr_free(decode, (char *)&args);
    return why;
}

/* As the daemon shows it. */
static char *
with_stars(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    GString *raw = g_string_new(NULL);

    for (char **word = words; *word; word++) {
        g_auto(GStrv) parts = g_strsplit(*word, ":", -1);

        if (**word)
            g_string_append_printf(raw, "%s:*%s* ", parts[0], parts[1] + (*parts[1] == '+'));
    }
    return g_string_free(raw, FALSE);
}

static const char *
apply_filters(SetBed *set, const VadmMessage *call)
{
    vadm_admin_connect_set_logging_filters_args args = {0};
    xdrproc_t decode = (xdrproc_t)xdr_vadm_admin_connect_set_logging_filters_args;
    Fake *fake = set->bed->fake;

    ck_assert(vadm_message_decode(call, decode, &args, NULL));
    g_free(fake->filters);
    fake->filters = args.filters && **args.filters ? with_stars(*args.filters) : NULL;
    xdr_free(decode, (char *)&args);
    return NULL;
}

static const char *
apply_outputs(SetBed *set, const VadmMessage *call)
{
    vadm_admin_connect_set_logging_outputs_args args = {0};
    xdrproc_t decode = (xdrproc_t)xdr_vadm_admin_connect_set_logging_outputs_args;
    Fake *fake = set->bed->fake;
    gboolean given;

    ck_assert(vadm_message_decode(call, decode, &args, NULL));
    given = args.outputs && **args.outputs;
    g_free(fake->outputs);
    fake->outputs = g_strdup(given ? *args.outputs : set->default_outputs);
    xdr_free(decode, (char *)&args);
    return NULL;
}

static VadmMessage *
on_set_numbers(const VadmMessage *call, gpointer user)
{
    return set_bed_carry_out(user, call, apply_numbers);
}

static VadmMessage *
on_set_filters(const VadmMessage *call, gpointer user)
{
    return set_bed_carry_out(user, call, apply_filters);
}

static VadmMessage *
on_set_outputs(const VadmMessage *call, gpointer user)
{
    return set_bed_carry_out(user, call, apply_outputs);
}

static VadmMessage *
on_close(const VadmMessage *call, gpointer user)
{
    vadm_admin_client_close_args args = {0};
    xdrproc_t decode = (xdrproc_t)xdr_vadm_admin_client_close_args;
    SetBed *set = user;
    guint before;

    ck_assert(vadm_message_decode(call, decode, &args, NULL));
    fake_lock(set->bed->fake);
    before = fake_find_server(set->bed->fake, args.clnt.srv.name)->clients->len;
    fake_unlock(set->bed->fake);
    fake_remove_client(set->bed->fake, args.clnt.srv.name, args.clnt.id);
    fake_lock(set->bed->fake);
    before -= fake_find_server(set->bed->fake, args.clnt.srv.name)->clients->len;
    fake_unlock(set->bed->fake);
    xdr_free(decode, (char *)&args);
    if (before == 0)
        return vadm_message_new_error(&call->header, VADM_VIR_ERR_NO_CLIENT, VADM_VIR_FROM_RPC,
                                      "No client with matching ID", -1);
    VADM_LOCK_SCOPE(&set->lock);
    set->closed++;
    return vadm_message_new_reply(&call->header, NULL, NULL, NULL);
}

/* ---- the bed ---- */

SetBed *
set_bed_new(guint interval_ms)
{
    SetBed *set = g_new0(SetBed, 1);
    Peer *peer;

    fx_setup();
    vadm_log_set_default(fx_log);
    fx_use_file(1, NULL, "log");
    set->bed = bed_new();
    peer = set->bed->peer;
    vadm_mutex_init(&set->lock);
    set->default_outputs = g_strdup("3:journald");
    peer_handle(peer, VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS, on_set_numbers, set);
    peer_handle(peer, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS, on_set_numbers, set);
    peer_handle(peer, VADM_ADMIN_PROC_CONNECT_SET_LOGGING_FILTERS, on_set_filters, set);
    peer_handle(peer, VADM_ADMIN_PROC_CONNECT_SET_LOGGING_OUTPUTS, on_set_outputs, set);
    peer_handle(peer, VADM_ADMIN_PROC_CLIENT_CLOSE, on_close, set);
    bed_start_ready(set->bed, interval_ms);
    set->bed->base->mailbox = vadm_mailbox_new(NULL);
    set_bed_hurry(set, FALSE);
    return set;
}

void
set_bed_hurry(SetBed *set, gboolean hurried)
{
    set->hurried = hurried;
    set->bed->source->commit_us = hurried ? VADM_REMOTE_COMMIT_US : SET_PATIENCE_US;
    set->bed->source->look_us = hurried ? VADM_REMOTE_LOOK_US : SET_PATIENCE_US;
}

void
set_bed_free(SetBed *set)
{
    VadmMailbox *mailbox = g_steal_pointer(&set->bed->base->mailbox);

    if (mailbox) {
        vadm_mailbox_close(mailbox);
        vadm_mailbox_unref(mailbox);
    }
    bed_free(set->bed);
    vadm_mutex_clear(&set->lock);
    g_free(set->default_outputs);
    g_free(set);
    vadm_log_set_default(NULL);
    fx_teardown();
}

guint
set_bed_calls(SetBed *set)
{
    VADM_LOCK_SCOPE(&set->lock);
    return set->calls;
}

static gboolean
is_silent(SetFailure failure)
{
    return failure == SET_SILENT || failure == SET_SILENT_APPLIED;
}

void
set_bed_script(SetBed *set, guint from, guint to, SetFailure failure)
{
    VADM_LOCK_SCOPE(&set->lock);
    set->calls = 0;
    set->fail_from = from;
    set->fail_to = to;
    set->failure = failure;
    set->then_from = 0;
    set_bed_hurry(set, is_silent(failure));
}

void
set_bed_script_then(SetBed *set, guint from, SetFailure failure)
{
    VADM_LOCK_SCOPE(&set->lock);
    set->then_from = from;
    set->then = failure;
    if (is_silent(failure))
        set_bed_hurry(set, TRUE);
}

char *
set_bed_state(SetBed *set)
{
    Fake *fake = set->bed->fake;
    GString *text = g_string_new(NULL);
    VADM_LOCK_SCOPE(&fake->lock);

    for (guint i = 0; i < fake->servers->len; i++) {
        const FakeServer *server = fake->servers->pdata[i];

        g_string_append_printf(text, "%s %u %u %u %u %u; ", server->name, server->pool[POOL_MIN],
                               server->pool[POOL_MAX], server->pool[POOL_PRIORITY],
                               server->limits[LIMIT_MAX], server->limits[LIMIT_UNAUTH_MAX]);
    }
    g_string_append_printf(text, "filters '%s'; outputs '%s'", fake->filters ? fake->filters : "",
                           fake->outputs ? fake->outputs : "");
    return g_string_free(text, FALSE);
}

guint32
set_bed_generation(SetBed *set)
{
    return set->bed->source->snapshot->generation;
}

VadmServerRow
set_bed_row(SetBed *set, guint32 server)
{
    VadmServerRow row = {0};

    ck_assert(bed_server(set->bed, server, &row));
    return row;
}

static void
on_read(gboolean fresh, gpointer user)
{
    (void)fresh;
    (void)user;
}

void
set_bed_refresh(SetBed *set)
{
    vadm_remote_read_again(set->bed->source, VADM_ORIGIN_ADMIN_RPC, 0, on_read, NULL);
    bed_refresh(set->bed);
}

VadmMessage *
set_bed_accept_only(const VadmMessage *call, gpointer user)
{
    (void)user;
    return vadm_message_new_reply(&call->header, NULL, NULL, NULL);
}

char *
set_bed_log(void)
{
    ck_assert(vadm_log_flush(fx_log, SECONDS(10)));
    return fx_read("log");
}

gboolean
set_bed_has_logged(const char *text)
{
    g_autofree char *log = set_bed_log();

    return strstr(log, text) != NULL;
}

/* ---- phases ---- */

void
outcome_clear(Outcome *outcome)
{
    g_clear_error(&outcome->error);
}

void
outcome_done(VadmTxn *txn, const VadmFault *fault, gpointer user)
{
    Outcome *outcome = user;

    outcome->done++;
    outcome->txn = txn;
    if (fault && fault->error) {
        outcome->tag = fault->tag;
        outcome->error = g_error_copy(fault->error);
    }
}

static void
outcome_wait(Outcome *outcome)
{
    WAIT_FOR(outcome->done > 0);
    ck_assert_uint_eq(outcome->done, 1);
}

static void
outcome_reset(Outcome *outcome)
{
    outcome_clear(outcome);
    *outcome = (Outcome){0};
}

void
set_prepare(SetBed *set, const VadmChange *changes, guint n, Outcome *outcome)
{
    /* agent/set.h has 0.8 s */
    gint64 deadline =
        g_get_monotonic_time() + (set->hurried ? G_USEC_PER_SEC * 8 / 10 : SET_PATIENCE_US);

    outcome_reset(outcome);
    set->bed->base->class->prepare(set->bed->base, changes, n, VADM_ORIGIN_SNMP, deadline,
                                   outcome_done, outcome);
    outcome_wait(outcome);
    ck_assert_msg((outcome->txn == NULL) == (outcome->error != NULL), "txn and error");
}

void
set_commit(SetBed *set, VadmTxn *txn, Outcome *outcome)
{
    outcome_reset(outcome);
    set->bed->base->class->commit(txn, outcome_done, outcome);
    outcome_wait(outcome);
    ck_assert_ptr_eq(outcome->txn, txn);
}

void
set_undo(SetBed *set, VadmTxn *txn, Outcome *outcome)
{
    outcome_reset(outcome);
    set->bed->base->class->undo(txn, outcome_done, outcome);
    outcome_wait(outcome);
    ck_assert_ptr_eq(outcome->txn, txn);
}

void
set_finish(SetBed *set, VadmTxn *txn)
{
    set->bed->base->class->finish(txn);
}

void
set_abort(SetBed *set, VadmTxn *txn)
{
    set->bed->base->class->abort(txn);
}

VadmTxn *
set_prepared(SetBed *set, const VadmChange *changes, guint n)
{
    g_auto(Outcome) outcome = {0};

    set_prepare(set, changes, n, &outcome);
    ck_assert_msg(outcome.error == NULL, "%s", outcome.error ? outcome.error->message : "");
    return outcome.txn;
}

VadmTxn *
set_committed(SetBed *set, const VadmChange *changes, guint n)
{
    VadmTxn *txn = set_prepared(set, changes, n);
    g_auto(Outcome) outcome = {0};

    set_commit(set, txn, &outcome);
    ck_assert_msg(outcome.error == NULL, "%s", outcome.error ? outcome.error->message : "");
    return txn;
}

void
set_all(SetBed *set, const VadmChange *changes, guint n)
{
    set_finish(set, set_committed(set, changes, n));
    WAIT_FOR(set->bed->source->writer->holder == NULL);
}
