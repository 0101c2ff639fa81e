/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The calls that change a daemon. They are made one after the other, so that it is known which of
 * them have been carried out when one is refused: those are taken back then. When a call is not
 * answered nobody knows whether it was, or will be, carried out. The connection is dropped then,
 * the daemon is read anew over another one, and what it has is logged: nothing is guessed.
 */
#include <string.h>

#include "agent/remote-memory.h"
#include "agent/remote-set.h"
#include "rpc/admin.h"
#include "rpc/rpc-error.h"

#define VADM_LOG_CATEGORY "agent.remote"
#include "common/log.h"

/* Nobody waits any more when something is taken back late, but the daemon must not be left half
 * changed for that. */
#define REMOTE_BACK_US    G_USEC_PER_SEC
#define REMOTE_INQUIRY_MS 100
#define REMOTE_CLOSE_MS   2000

typedef struct {
    VadmRemoteSource *source;
    VadmRemotePlan *plan;
    gint64 deadline;
    VadmRemoteApplied done;
    gpointer user;

    guint at;           /* the step whose call is under way */
    gboolean backwards; /* it is taken back */
    GError *error;
    guint tag;
} RemoteRun;

static void remote_run_forwards(RemoteRun *run);
static void remote_run_backwards(RemoteRun *run);
static void remote_inquire(VadmRemoteSource *source, VadmRemotePlan *plan);

static RemoteRun *
remote_run_new(VadmRemoteSource *source, VadmRemotePlan *plan, gint64 deadline,
               VadmRemoteApplied done, gpointer user)
{
    RemoteRun *run = g_new0(RemoteRun, 1);

    run->source = source;
    run->plan = vadm_remote_plan_ref(plan);
    run->deadline = deadline;
    run->done = done;
    run->user = user;
    vadm_remote_reader_hold(source);
    return run;
}

static void
remote_run_end(RemoteRun *run)
{
    vadm_remote_reader_release(run->source);
    run->done(run->error, run->tag, run->user);
    g_clear_error(&run->error);
    vadm_remote_plan_unref(run->plan);
    g_free(run);
}

/* The first fault decides what kind of error it is; what follows from it is added. */
static void G_GNUC_PRINTF(3, 4)
    remote_run_fail(RemoteRun *run, VadmErrorCode code, const char *format, ...)
{
    g_autoptr(GError) before = g_steal_pointer(&run->error);
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    run->error = before ? g_error_new(VADM_ERROR, before->code, "%s; %s", before->message, text)
                        : g_error_new_literal(VADM_ERROR, (int)code, text);
}

static VadmRemoteStep *
remote_run_step(const RemoteRun *run)
{
    return g_ptr_array_index(run->plan->steps, run->at);
}

static guint
remote_run_timeout(const RemoteRun *run)
{
    return (guint)MAX((run->deadline - g_get_monotonic_time()) / 1000, 1);
}

/* ---- one call ---- */

static void
remote_call_pool(RemoteRun *run, const VadmRemoteStep *step, vadm_typed_param *params, u_int count,
                 VadmReplyFn done)
{
    vadm_admin_server_set_threadpool_parameters_args args = {
        .srv = {.name = step->name}, .params = {.params_len = count, .params_val = params}};

    vadm_remote_call(run->source, VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS,
                     (xdrproc_t)xdr_vadm_admin_server_set_threadpool_parameters_args, &args,
                     remote_run_timeout(run), done, run);
}

static void
remote_call_limits(RemoteRun *run, const VadmRemoteStep *step, vadm_typed_param *params,
                   u_int count, VadmReplyFn done)
{
    vadm_admin_server_set_client_limits_args args = {
        .srv = {.name = step->name}, .params = {.params_len = count, .params_val = params}};

    vadm_remote_call(run->source, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS,
                     (xdrproc_t)xdr_vadm_admin_server_set_client_limits_args, &args,
                     remote_run_timeout(run), done, run);
}

static void
remote_call_numbers(RemoteRun *run, const VadmRemoteStep *step, VadmReplyFn done)
{
    vadm_typed_param params[VADM_REMOTE_STEP_NUMBERS] = {0};
    u_int count = 0;

    for (guint i = 0; i < step->n_numbers; i++) {
        const VadmRemoteNumber *number = &step->numbers[i];

        params[count].field = (char *)number->key->param;
        params[count].value.type = VADM_TYPED_PARAM_UINT;
        params[count++].value.vadm_typed_param_value_u.ui =
            run->backwards ? number->before : number->wanted;
    }
    if (step->kind == VADM_REMOTE_STEP_POOL)
        remote_call_pool(run, step, params, count, done);
    else
        remote_call_limits(run, step, params, count, done);
}

static void
remote_call_text(RemoteRun *run, const VadmRemoteStep *step, VadmReplyFn done)
{
    vadm_string text = run->backwards ? step->before : step->wanted;
    vadm_admin_connect_set_logging_outputs_args outputs = {.outputs = &text};
    vadm_admin_connect_set_logging_filters_args filters = {.filters = &text};

    if (step->kind == VADM_REMOTE_STEP_OUTPUTS)
        vadm_remote_call(run->source, VADM_ADMIN_PROC_CONNECT_SET_LOGGING_OUTPUTS,
                         (xdrproc_t)xdr_vadm_admin_connect_set_logging_outputs_args, &outputs,
                         remote_run_timeout(run), done, run);
    else
        vadm_remote_call(run->source, VADM_ADMIN_PROC_CONNECT_SET_LOGGING_FILTERS,
                         (xdrproc_t)xdr_vadm_admin_connect_set_logging_filters_args, &filters,
                         remote_run_timeout(run), done, run);
}

static void
remote_run_call(RemoteRun *run, VadmReplyFn done)
{
    const VadmRemoteStep *step = remote_run_step(run);

    if (step->n_numbers > 0)
        remote_call_numbers(run, step, done);
    else
        remote_call_text(run, step, done);
}

/* The daemon shows how many there are, and they come and go one by one. */
static void
remote_run_expect(const RemoteRun *run)
{
    const VadmRemoteStep *step = remote_run_step(run);

    for (guint i = 0; i < step->n_numbers; i++) {
        const VadmRemoteNumber *number = &step->numbers[i];

        if (number->key->field == VADM_FIELD_SERVER_WORKERS_PRIORITY)
            vadm_remote_expect_priority(run->source, step->server,
                                        run->backwards ? number->before : number->wanted);
    }
}

/* Returns: (transfer full) (nullable): why the daemon refused; NULL: it did not */
static char *
remote_refusal(const VadmMessage *reply)
{
    char *text;

    if (reply->header.status != VADM_RPC_ERROR)
        return NULL;
    text = vadm_message_get_error(reply, NULL, NULL);
    return text && *text ? text : (g_free(text), g_strdup("refused without a reason"));
}

/* A call that was on its way has no answer. */
static void
remote_run_lose(RemoteRun *run, const GError *why)
{
    g_autofree char *thing = vadm_remote_step_describe(remote_run_step(run));

    remote_run_fail(run, VADM_ERROR_TIMEOUT,
                    "%s%s: no answer (%s): what is in force is not known, and will be logged when "
                    "the daemon could be read again",
                    run->backwards ? "taking back " : "", thing, why->message);
    remote_inquire(run->source, run->plan);
    vadm_remote_drop(run->source, VADM_ORIGIN_SNMP, "a change was not answered");
    remote_run_end(run);
}

/* There is no connection any more, so the call was not made; those before it were. */
static void
remote_run_disconnected(RemoteRun *run)
{
    gboolean untouched = run->at == 0 && !run->backwards;

    run->tag = run->error ? run->tag : remote_run_step(run)->tag;
    remote_run_fail(run, VADM_ERROR_NO_CONNECT, "%s: the connection is lost: %s", run->source->name,
                    untouched ? "nothing has been changed"
                              : "what is in force is not known, and will be logged when the daemon "
                                "could be read again");
    if (!untouched)
        remote_inquire(run->source, run->plan);
    remote_run_end(run);
}

/* ---- taking back ---- */

static void
remote_run_on_verified(gboolean fresh, gpointer user)
{
    RemoteRun *run = user;
    g_autoptr(VadmRemoteSnapshot) snapshot = vadm_remote_get_snapshot(run->source);
    g_autofree char *report = vadm_remote_plan_report(run->plan, snapshot);

    if (!fresh) {
        remote_run_fail(run, VADM_ERROR_NO_CONNECT,
                        "the daemon could not be read again: what is in force is not known");
        remote_inquire(run->source, run->plan);
    } else if (!vadm_remote_plan_is_shown(run->plan, snapshot, VADM_REMOTE_BEFORE)) {
        remote_run_fail(run, VADM_ERROR_CONFLICT, "not everything is as before: in force is %s",
                        report);
    } else if (run->error) {
        remote_run_fail(run, VADM_ERROR_SYSTEM, "everything is as before");
    }
    remote_run_end(run);
}

static void
remote_run_on_taken_back(VadmSession *session, const VadmMessage *reply, const GError *error,
                         gpointer user)
{
    RemoteRun *run = user;
    g_autofree char *refusal = NULL;
    g_autofree char *thing = NULL;

    (void)session;
    if (error) {
        remote_run_lose(run, error);
        return;
    }
    refusal = remote_refusal(reply);
    if (refusal) {
        thing = vadm_remote_step_describe(remote_run_step(run));
        remote_run_fail(run, VADM_ERROR_SYSTEM, "%s: cannot be taken back: %s", thing, refusal);
    } else {
        remote_run_expect(run);
    }
    remote_run_backwards(run);
}

/* Of the steps below @at, the last one. A step that cannot be taken back does not keep the others
 * from it. */
static void
remote_run_backwards(RemoteRun *run)
{
    run->backwards = TRUE;
    while (run->at > 0) {
        const VadmRemoteStep *step;
        g_autofree char *thing = NULL;

        run->at--;
        step = remote_run_step(run);
        if (!vadm_remote_is_connected(run->source)) {
            remote_run_disconnected(run);
            return;
        }
        if (step->n_numbers > 0 || step->before) {
            remote_run_call(run, remote_run_on_taken_back);
            return;
        }
        thing = vadm_remote_step_describe(step);
        remote_run_fail(run, VADM_ERROR_SYSTEM,
                        "%s: cannot be taken back: what was before is not known", thing);
    }
    vadm_remote_read_again(run->source, VADM_ORIGIN_SNMP, remote_run_timeout(run),
                           remote_run_on_verified, run);
}

void
vadm_remote_plan_revert(VadmRemoteSource *source, VadmRemotePlan *plan, gint64 deadline,
                        VadmRemoteApplied done, gpointer user)
{
    RemoteRun *run = remote_run_new(source, plan, deadline, done, user);

    for (guint i = 0; i < plan->percents->len; i++) {
        const VadmRemotePercent *percent = g_ptr_array_index(plan->percents, i);
        vadm_remote_set_high_percent(source, percent->server, percent->before);
    }
    run->at = plan->steps->len;
    if (run->at > 0)
        remote_run_backwards(run);
    else
        remote_run_end(run);
}

/* ---- applying ---- */

/* The change is made, whatever comes of this. */
static void
remote_run_on_read(gboolean fresh, gpointer user)
{
    RemoteRun *run = user;
    g_autoptr(VadmRemoteSnapshot) snapshot = vadm_remote_get_snapshot(run->source);
    g_autofree char *wanted = vadm_remote_plan_describe(run->plan);
    g_autofree char *report = NULL;

    if (!fresh) {
        VADM_WARN("%s: %s: made, but the daemon could not be read again in time", run->source->name,
                  wanted);
        remote_run_end(run);
        return;
    }
    if (!vadm_remote_plan_is_shown(run->plan, snapshot, VADM_REMOTE_WANTED)) {
        report = vadm_remote_plan_report(run->plan, snapshot);
        VADM_WARN("%s: %s: made, but the daemon shows %s", run->source->name, wanted, report);
    }
    vadm_remote_plan_settle(run->plan, snapshot);
    remote_run_end(run);
}

/* A pool takes its numbers one after the other, and may have taken some of them. */
static void
remote_run_refuse(RemoteRun *run, const char *refusal)
{
    const VadmRemoteStep *step = remote_run_step(run);
    g_autofree char *thing = vadm_remote_step_describe(step);

    run->tag = step->tag;
    remote_run_fail(run, VADM_ERROR_SYSTEM, "%s: %s", thing, refusal);
    if (step->kind == VADM_REMOTE_STEP_POOL && step->n_numbers > 1)
        run->at++;
    if (run->at == 0) {
        remote_run_end(run);
        return;
    }
    run->deadline = g_get_monotonic_time() + REMOTE_BACK_US;
    remote_run_backwards(run);
}

static void
remote_run_on_applied(VadmSession *session, const VadmMessage *reply, const GError *error,
                      gpointer user)
{
    RemoteRun *run = user;
    g_autofree char *refusal = NULL;

    (void)session;
    if (error) {
        run->tag = remote_run_step(run)->tag;
        remote_run_lose(run, error);
        return;
    }
    refusal = remote_refusal(reply);
    if (refusal) {
        remote_run_refuse(run, refusal);
        return;
    }
    remote_run_expect(run);
    run->at++;
    remote_run_forwards(run);
}

static void
remote_run_forwards(RemoteRun *run)
{
    if (run->at < run->plan->steps->len) {
        if (vadm_remote_is_connected(run->source))
            remote_run_call(run, remote_run_on_applied);
        else
            remote_run_disconnected(run);
        return;
    }
    for (guint i = 0; i < run->plan->percents->len; i++) {
        const VadmRemotePercent *percent = g_ptr_array_index(run->plan->percents, i);
        vadm_remote_set_high_percent(run->source, percent->server, percent->wanted);
    }
    if (run->at > 0)
        vadm_remote_read_again(run->source, VADM_ORIGIN_SNMP, remote_run_timeout(run),
                               remote_run_on_read, run);
    else
        remote_run_end(run);
}

void
vadm_remote_plan_apply(VadmRemoteSource *source, VadmRemotePlan *plan, gint64 deadline,
                       VadmRemoteApplied done, gpointer user)
{
    remote_run_forwards(remote_run_new(source, plan, deadline, done, user));
}

/* ---- what cannot be taken back ---- */

typedef struct {
    VadmRemoteSource *source;
    char *server;
    guint64 id;
} RemoteClosing;

static void
remote_on_closed(VadmSession *session, const VadmMessage *reply, const GError *error, gpointer user)
{
    RemoteClosing *closing = user;
    g_autofree char *refusal = reply ? remote_refusal(reply) : NULL;
    int number = 0;

    (void)session;
    if (refusal)
        g_free(vadm_message_get_error(reply, &number, NULL));
    if (error) /* ourselves, among others: nobody answers then */
        VADM_INFO("%s: client %" G_GUINT64_FORMAT
                  " of server %s: no answer to its disconnection: %s",
                  closing->source->name, closing->id, closing->server, error->message);
    else if (number == VADM_VIR_ERR_NO_CLIENT)
        VADM_INFO("%s: client %" G_GUINT64_FORMAT " of server %s was gone already",
                  closing->source->name, closing->id, closing->server);
    else if (refusal)
        VADM_WARN("%s: client %" G_GUINT64_FORMAT " of server %s cannot be disconnected: %s",
                  closing->source->name, closing->id, closing->server, refusal);
    else
        VADM_INFO("%s: client %" G_GUINT64_FORMAT " of server %s is disconnected",
                  closing->source->name, closing->id, closing->server);
    g_free(closing->server);
    g_free(closing);
}

gboolean
vadm_remote_plan_knows_clients(const VadmRemoteSource *source, const VadmRemotePlan *plan)
{
    return plan->closes->len == 0 ||
           (vadm_remote_is_connected(source) && plan->connection == source->memory->connection);
}

static void
remote_disconnect(VadmRemoteSource *source, const VadmRemoteClose *close)
{
    RemoteClosing *closing = g_new0(RemoteClosing, 1);
    vadm_admin_client_close_args args = {.clnt = {.srv = {.name = close->server}, .id = close->id}};

    closing->source = source;
    closing->server = g_strdup(close->server);
    closing->id = close->id;
    vadm_remote_call(source, VADM_ADMIN_PROC_CLIENT_CLOSE,
                     (xdrproc_t)xdr_vadm_admin_client_close_args, &args, REMOTE_CLOSE_MS,
                     remote_on_closed, closing);
}

void
vadm_remote_plan_disconnect(VadmRemoteSource *source, const VadmRemotePlan *plan)
{
    gboolean known = vadm_remote_plan_knows_clients(source, plan);

    for (guint i = 0; i < plan->closes->len; i++) {
        const VadmRemoteClose *close = g_ptr_array_index(plan->closes, i);

        if (known)
            remote_disconnect(source, close);
        else
            VADM_WARN("%s: client %" G_GUINT64_FORMAT
                      " of server %s is not disconnected: the connection to the daemon was lost "
                      "meanwhile, and the client of that id may be another one now",
                      source->name, close->id, close->server);
    }
}

/* ---- what nobody knows ---- */

typedef struct {
    VadmRemoteSource *source;
    VadmRemotePlan *plan;
    gint64 since;
    guint timer;
} RemoteInquiry;

void
vadm_remote_inquiry_free(gpointer data)
{
    RemoteInquiry *inquiry = data;

    g_clear_handle_id(&inquiry->timer, g_source_remove);
    vadm_remote_plan_unref(inquiry->plan);
    g_free(inquiry);
}

static gboolean
remote_inquiry_look(gpointer user)
{
    RemoteInquiry *inquiry = user;
    VadmRemoteSource *source = inquiry->source;
    g_autoptr(VadmRemoteSnapshot) snapshot = vadm_remote_get_snapshot(source);
    g_autofree char *wanted = NULL;
    g_autofree char *report = NULL;

    if (snapshot->taken <= inquiry->since ||
        !vadm_remote_is_fresh(source, snapshot, g_get_monotonic_time()))
        return G_SOURCE_CONTINUE;
    wanted = vadm_remote_plan_describe(inquiry->plan);
    report = vadm_remote_plan_report(inquiry->plan, snapshot);
    VADM_WARN("%s: of the change that was not answered (%s) is in force: %s", source->name, wanted,
              report);
    inquiry->timer = 0;
    g_ptr_array_remove(source->writer->inquiries, inquiry);
    return G_SOURCE_REMOVE;
}

/* Nobody knows what is in force of @plan: it is logged when everything has been read again after
 * now. Looking now and then is enough, and needs nobody to know of it. */
static void
remote_inquire(VadmRemoteSource *source, VadmRemotePlan *plan)
{
    RemoteInquiry *inquiry = g_new0(RemoteInquiry, 1);

    inquiry->source = source;
    inquiry->plan = vadm_remote_plan_ref(plan);
    inquiry->since = g_get_monotonic_time();
    inquiry->timer = g_timeout_add(REMOTE_INQUIRY_MS, remote_inquiry_look, inquiry);
    g_ptr_array_add(source->writer->inquiries, inquiry);
}
