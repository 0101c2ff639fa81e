/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session-fixture.h"

GMainContext *context;
Peer *peer;
VadmSession *session;
VadmSessionOptions options;
guint opens, ends, closes;
VadmSessionEnd last_end;
GError *last_error;
guint32 last_reply_status;
GArray *told;
GPtrArray *outcomes;
Act act;
int act_on;

void
settle(void)
{
    while (g_main_context_iteration(context, FALSE)) {
    }
}

static void
on_closed(gpointer user)
{
    ck_assert_ptr_eq(user, &closes);
    closes++;
}

static void
do_act(int number)
{
    if (act == ACT_NONE || act_on != number)
        return;
    if (act == ACT_CALL) {
        call_version(0);
        return;
    }
    if (act == ACT_FREE)
        vadm_session_free(session);
    else
        vadm_session_close_gracefully(session, 1000, on_closed, &closes);
    session = NULL;
}

static void
on_opened(VadmSession *from, gpointer user)
{
    ck_assert_ptr_eq(from, session);
    ck_assert_ptr_eq(user, &opens);
    ck_assert(vadm_session_is_open(from));
    opens++;
    do_act(ON_OPENED);
}

static void
on_ended(VadmSession *from, VadmSessionEnd end, const GError *error, const VadmMessage *reply,
         gpointer user)
{
    ck_assert_ptr_eq(from, session);
    ck_assert_ptr_eq(user, &opens);
    ck_assert(!vadm_session_is_open(from));
    ck_assert_uint_eq(vadm_session_in_flight(from), 0);
    ends++;
    last_end = end;
    last_error = g_error_copy(error);
    last_reply_status = reply ? reply->header.status : G_MAXUINT32;
    do_act(ON_ENDED);
}

const VadmSessionHandlers handlers = {.opened = on_opened, .ended = on_ended};

void
on_reply(VadmSession *from, const VadmMessage *reply, const GError *error, gpointer user)
{
    Outcome *outcome = user;
    struct vadm_admin_connect_get_lib_version_ret ret = {.lib_version = 0};

    ck_assert_ptr_eq(from, session);
    ck_assert((reply != NULL) != (error != NULL));
    ck_assert_uint_eq(outcome->times++, 0);
    g_array_append_val(told, outcome->number);
    outcome->code = error ? error->code : -1;
    outcome->errnum = error ? vadm_error_get_errno(error) : 0;
    outcome->replied = reply != NULL;
    if (error)
        outcome->text = g_strdup(error->message);
    else if (reply->header.status == VADM_RPC_ERROR)
        outcome->text = vadm_message_get_error(reply, &outcome->refusal, NULL);
    else if (vadm_message_decode(reply, (xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret, &ret,
                                 NULL))
        outcome->version = ret.lib_version;
    do_act(outcome->number);
}

Outcome *
outcome(guint number)
{
    return g_ptr_array_index(outcomes, number);
}

static void
outcome_free(gpointer data)
{
    g_free(((Outcome *)data)->text);
    g_free(data);
}

void
call_procedure(gint32 procedure, guint timeout_ms)
{
    Outcome *new = g_new0(Outcome, 1);

    new->number = (int)outcomes->len;
    g_ptr_array_add(outcomes, new);
    vadm_session_call(session, VADM_RPC_PROGRAM_ADMIN, procedure, NULL, NULL, timeout_ms, on_reply,
                      new);
    ck_assert_uint_eq(new->times, 0);
}

void
call_version(guint timeout_ms)
{
    call_procedure(PROC_VERSION, timeout_ms);
}

/* Each number's outcome was told, once, in this order; ended by -1. */
void
assert_told(int first, ...)
{
    va_list args;
    guint n = 0;

    va_start(args, first);
    for (int number = first; number >= 0; number = va_arg(args, int), n++) {
        ck_assert_uint_lt(n, told->len);
        ck_assert_int_eq(g_array_index(told, int, n), number);
    }
    va_end(args);
    ck_assert_uint_eq(n, told->len);
}

void
answer_version(guint64 version)
{
    const struct vadm_admin_connect_get_lib_version_ret ret = {.lib_version = version};

    peer_answer(peer, PROC_VERSION, (xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret, &ret);
}

void
open_session(void)
{
    options.path = peer_path(peer);
    session = vadm_session_open(&options, context, &handlers, &opens);
}

void
open_and_wait(void)
{
    open_session();
    WAIT_FOR(opens > 0);
}

void
setup(void)
{
    const VadmSessionOptions plain = {.connect_timeout_ms = 20000, .call_timeout_ms = 20000};

    options = plain;
    context = g_main_context_new();
    peer = peer_new();
    answer_version(9000000);
    told = g_array_new(FALSE, FALSE, sizeof(int));
    outcomes = g_ptr_array_new_with_free_func(outcome_free);
    last_reply_status = G_MAXUINT32;
}

void
teardown(void)
{
    vadm_session_free(session);
    session = NULL;
    settle();
    peer_free(peer);
    g_main_context_unref(context);
    g_array_unref(told);
    g_ptr_array_unref(outcomes);
    g_clear_error(&last_error);
}

void
close_session(guint timeout_ms)
{
    vadm_session_close_gracefully(session, timeout_ms, on_closed, &closes);
    session = NULL;
    ck_assert_uint_eq(closes, 0); /* from the main loop only */
}

void
assert_end(VadmSessionEnd end, int code, int errnum, const char *text)
{
    ck_assert_uint_eq(ends, 1);
    ck_assert_uint_eq(last_end, end);
    ck_assert_str_eq(last_error->message, text);
    ck_assert(g_error_matches(last_error, VADM_ERROR, code));
    ck_assert_int_eq(vadm_error_get_errno(last_error), errnum);
}

TCase *
add_case(Suite *suite, const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    return tc;
}
