/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions against a scripted peer (peer-fixture.h), in a main context of their own. */
#include "config.h"

#include <string.h>

#include "admin/session.h"
#include "peer-fixture.h"
#include "rpc/admin.h"
#include "rpc/protocol.h"
#include "rpc/rpc-error.h"
#include "unit.h"

#define PROC_VERSION VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION
#define PROC_FILTERS VADM_ADMIN_PROC_CONNECT_GET_LOGGING_FILTERS

static GMainContext *context;
static Peer *peer;
static VadmSession *session;
static VadmSessionOptions options;
static guint opens, ends, closes;
static VadmSessionEnd last_end;
static GError *last_error;
static guint32 last_reply_status; /* G_MAXUINT32: there was none */
static GArray *told;              /* of int: which calls were told, in this order */

/* What the handlers and the replies do besides, when told that number. */
typedef enum { ACT_NONE, ACT_FREE, ACT_CALL, ACT_CLOSE } Act;
static Act act;
static int act_on;
#define ON_OPENED -1
#define ON_ENDED  -2

/* The outcome of one call. */
typedef struct {
    int number;
    guint times;
    gboolean replied;
    guint64 version;
    int refusal;
    char *text; /* of the daemon's refusal, or of the error */
    int code;   /* of the error; -1: none */
    int errnum;
} Outcome;

static GPtrArray *outcomes; /* of Outcome */

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        gint64 deadline_ = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;                           \
        while (!(condition)) {                                                                     \
            ck_assert_msg(g_get_monotonic_time() < deadline_, "waited in vain for %s",             \
                          #condition);                                                             \
            if (!g_main_context_iteration(context, FALSE))                                         \
                g_usleep(500);                                                                     \
        }                                                                                          \
    } while (0)

static void
settle(void)
{
    while (g_main_context_iteration(context, FALSE)) {
    }
}

static void call_version(guint timeout_ms);

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

static const VadmSessionHandlers handlers = {.opened = on_opened, .ended = on_ended};

static void
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

static Outcome *
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

static void
call_procedure(gint32 procedure, guint timeout_ms)
{
    Outcome *new = g_new0(Outcome, 1);

    new->number = (int)outcomes->len;
    g_ptr_array_add(outcomes, new);
    vadm_session_call(session, VADM_RPC_PROGRAM_ADMIN, procedure, NULL, NULL, timeout_ms, on_reply,
                      new);
    ck_assert_uint_eq(new->times, 0);
}

static void
call_version(guint timeout_ms)
{
    call_procedure(PROC_VERSION, timeout_ms);
}

/* Each number's outcome was told, once, in this order; ended by -1. */
static void
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

static void
answer_version(guint64 version)
{
    const struct vadm_admin_connect_get_lib_version_ret ret = {.lib_version = version};

    peer_answer(peer, PROC_VERSION, (xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret, &ret);
}

static void
open_session(void)
{
    options.path = peer_path(peer);
    session = vadm_session_open(&options, context, &handlers, &opens);
}

static void
open_and_wait(void)
{
    open_session();
    WAIT_FOR(opens > 0);
}

static void
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

static void
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

/* The normal path */

START_TEST(test_call)
{
    g_autoptr(GPtrArray) calls = NULL;

    open_session();
    ck_assert_uint_eq(opens, 0);
    call_version(0); /* waits until it has opened */
    ck_assert_uint_eq(vadm_session_in_flight(session), 0);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(opens, 1);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
    call_version(0);
    ck_assert_uint_eq(vadm_session_in_flight(session), 1);
    WAIT_FOR(told->len == 2);
    ck_assert_uint_eq(vadm_session_in_flight(session), 0);
    ck_assert_uint_eq(ends, 0);
    calls = peer_get_calls(peer);
    ck_assert_uint_eq(calls->len, 3);
    for (guint32 i = 0; i < 3; i++) {
        const VadmMessage *call = calls->pdata[i];

        ck_assert_uint_eq(call->header.serial, i);
        ck_assert_uint_eq(call->header.program, VADM_RPC_PROGRAM_ADMIN);
        ck_assert_uint_eq(call->header.version, 1);
        ck_assert_uint_eq(call->header.type, VADM_RPC_CALL);
        ck_assert_uint_eq(call->header.status, VADM_RPC_OK);
        ck_assert_int_eq(call->header.procedure,
                         i == 0 ? VADM_ADMIN_PROC_CONNECT_OPEN : PROC_VERSION);
        ck_assert_uint_eq(call->length, i == 0 ? 32 : 28); /* flags */
    }
}
END_TEST

START_TEST(test_refused_call)
{
    open_session();
    peer_refuse(peer, PROC_VERSION, VADM_VIR_ERR_OPERATION_DENIED, "not you");
    call_version(0);
    WAIT_FOR(told->len == 1);
    ck_assert(outcome(0)->replied);
    ck_assert_int_eq(outcome(0)->refusal, VADM_VIR_ERR_OPERATION_DENIED);
    ck_assert_str_eq(outcome(0)->text, "operation forbidden: not you");
    ck_assert_uint_eq(ends, 0);
}
END_TEST

START_TEST(test_out_of_order)
{
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    for (int i = 0; i < 4; i++)
        call_version(0);
    ck_assert_uint_eq(vadm_session_in_flight(session), 4);
    peer_wait_calls(peer, PROC_VERSION, 4);
    peer_release(peer, PROC_VERSION, TRUE);
    WAIT_FOR(told->len == 4);
    assert_told(3, 2, 1, 0, -1);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("session");
    TCase *tc = tcase_create("calls");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_call);
    tcase_add_test(tc, test_refused_call);
    tcase_add_test(tc, test_out_of_order);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
