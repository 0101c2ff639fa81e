/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions against a scripted peer (peer-fixture.h), in a main context of their own. */
#include "config.h"

#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>

#include "admin/session-private.h"
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

START_TEST(test_max_in_flight)
{
    options.max_in_flight = 3;
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    for (int i = 0; i < 10; i++)
        call_version(0);
    peer_wait_calls(peer, PROC_VERSION, 3);
    settle();
    ck_assert_uint_eq(vadm_session_in_flight(session), 3);
    vadm_session_set_max_in_flight(session, 5);
    ck_assert_uint_eq(vadm_session_in_flight(session), 5);
    vadm_session_set_max_in_flight(session, 2);
    peer_wait_calls(peer, PROC_VERSION, 5);
    settle();
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 5);
    peer_release(peer, PROC_VERSION, FALSE);
    WAIT_FOR(told->len == 10);
    assert_told(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1);
}
END_TEST

START_TEST(test_waits_for_opening)
{
    peer_hold(peer, VADM_ADMIN_PROC_CONNECT_OPEN);
    open_session();
    call_version(0);
    WAIT_FOR(peer_n_calls(peer, VADM_ADMIN_PROC_CONNECT_OPEN) == 1);
    settle();
    ck_assert(!vadm_session_is_open(session));
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 0);
    peer_release(peer, VADM_ADMIN_PROC_CONNECT_OPEN, FALSE);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
}
END_TEST

START_TEST(test_nobody_wants_to_know)
{
    open_session();
    vadm_session_call(session, VADM_RPC_PROGRAM_EXTENSION, 1, NULL, NULL, 0, NULL, NULL);
    vadm_session_call(session, VADM_RPC_PROGRAM_ADMIN, PROC_FILTERS, NULL, NULL, 1, NULL, NULL);
    call_version(0);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

START_TEST(test_many)
{
    const guint many = 16384;

    options.max_in_flight = _i == 0 ? 4 : 0;
    open_session();
    for (guint i = 0; i < many; i++)
        call_version(20000 - i);
    WAIT_FOR(told->len == many);
    for (guint i = 0; i < many; i++)
        ck_assert_uint_eq(outcome(i)->version, 9000000);
    ck_assert_uint_eq(vadm_session_in_flight(session), 0);
}
END_TEST

/* All of them are given up at once, in the order of their deadlines. */
START_TEST(test_many_given_up)
{
    const guint many = 16384;

    peer_ignore(peer, VADM_ADMIN_PROC_CONNECT_OPEN);
    open_session();
    for (guint i = 0; i < many; i++)
        call_version(i % 2 == 0 ? 2 : 1);
    WAIT_FOR(told->len == many);
    ck_assert_int_eq(outcome(many - 1)->code, VADM_ERROR_TIMEOUT);
}
END_TEST

static bool_t
encode_never(XDR *xdrs G_GNUC_UNUSED, ...)
{
    return FALSE;
}

/* Told from the main loop; others go on. */
START_TEST(test_cannot_encode)
{
    Outcome *failed = g_new0(Outcome, 1);
    const int args = 0;

    g_ptr_array_add(outcomes, failed);
    open_and_wait();
    vadm_session_call(session, VADM_RPC_PROGRAM_ADMIN, PROC_FILTERS, (xdrproc_t)encode_never, &args,
                      0, on_reply, failed);
    ck_assert_uint_eq(failed->times, 0);
    call_version(0);
    WAIT_FOR(told->len == 2);
    assert_told(0, 1, -1);
    ck_assert_int_eq(failed->code, VADM_ERROR_RPC);
    ck_assert_uint_eq(outcome(1)->version, 9000000);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_FILTERS), 0);
}
END_TEST

/* Calls that are given up */

START_TEST(test_timeout)
{
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    call_version(30);
    WAIT_FOR(told->len == 1);
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_TIMEOUT);
    ck_assert_str_eq(outcome(0)->text, "no reply to procedure 3 within 30 ms");
    ck_assert_uint_eq(vadm_session_in_flight(session), 1); /* the daemon has it still */
    peer_release(peer, PROC_VERSION, FALSE);
    WAIT_FOR(vadm_session_in_flight(session) == 0);
    call_version(0);
    WAIT_FOR(told->len == 2);
    ck_assert_uint_eq(outcome(1)->version, 9000000);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* Those that a daemon does not answer make no place for others. */
START_TEST(test_timeout_in_flight)
{
    options.max_in_flight = 1;
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    call_version(20);
    call_version(20);
    call_version(0);
    WAIT_FOR(told->len == 2);
    assert_told(0, 1, -1);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 1);
    peer_release(peer, PROC_VERSION, FALSE);
    WAIT_FOR(told->len == 3);
    ck_assert_uint_eq(outcome(2)->version, 9000000);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 2); /* the second was never sent */
}
END_TEST

START_TEST(test_timeout_before_opening)
{
    peer_hold(peer, VADM_ADMIN_PROC_CONNECT_OPEN);
    open_session();
    call_version(30);
    WAIT_FOR(told->len == 1);
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_TIMEOUT);
    peer_release(peer, VADM_ADMIN_PROC_CONNECT_OPEN, FALSE);
    WAIT_FOR(opens == 1);
    call_version(0);
    WAIT_FOR(told->len == 2);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 1);
}
END_TEST

START_TEST(test_timeout_order)
{
    options.call_timeout_ms = 80;
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    call_version(G_MAXUINT); /* for ever */
    call_version(0);
    call_version(20);
    call_version(140);
    call_version(20);
    WAIT_FOR(told->len == 4);
    assert_told(2, 4, 1, 3, -1);
    peer_release(peer, PROC_VERSION, FALSE);
    WAIT_FOR(told->len == 5);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* Our own main loop was busy until after the deadline: what has come counts. */
START_TEST(test_reply_in_time)
{
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    call_version(20);
    peer_wait_calls(peer, PROC_VERSION, 1);
    peer_release(peer, PROC_VERSION, FALSE);
    g_usleep(40000);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
    peer_hold(peer, VADM_ADMIN_PROC_CONNECT_CLOSE);
}
END_TEST

/* A daemon that says much, but not what is waited for, does not keep a call alive. */
START_TEST(test_timeout_among_events)
{
    const VadmRpcHeader event = {
        .program = VADM_RPC_PROGRAM_ADMIN, .version = 1, .procedure = 99, .type = VADM_RPC_EVENT};

    open_and_wait();
    peer_ignore(peer, PROC_VERSION);
    call_version(50);
    WAIT_FOR((peer_send(peer, &event, NULL, NULL), told->len == 1));
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_TIMEOUT);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* What comes unasked */

#define ADMIN VADM_RPC_PROGRAM_ADMIN
#define KEEP  VADM_RPC_PROGRAM_KEEPALIVE

/* While call 1 waits for its reply. */
static const VadmRpcHeader unexpected[] = {
    {ADMIN, 1, PROC_VERSION, VADM_RPC_REPLY, 2, VADM_RPC_OK},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_REPLY, G_MAXUINT32, VADM_RPC_OK},
    {ADMIN, 1, VADM_ADMIN_PROC_CONNECT_OPEN, VADM_RPC_REPLY, 0, VADM_RPC_OK}, /* once more */
    {ADMIN, 2, PROC_VERSION, VADM_RPC_REPLY, 1, VADM_RPC_OK},
    {VADM_RPC_PROGRAM_REMOTE, 1, PROC_VERSION, VADM_RPC_REPLY, 1, VADM_RPC_OK},
    {ADMIN, 1, PROC_FILTERS, VADM_RPC_REPLY, 1, VADM_RPC_OK},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_REPLY, 1, VADM_RPC_CONTINUE},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_REPLY, 1, 77},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_CALL, 1, VADM_RPC_OK},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_STREAM, 1, VADM_RPC_OK},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_STREAM_HOLE, 1, VADM_RPC_OK},
    {ADMIN, 1, PROC_VERSION, 7, 1, VADM_RPC_OK},
    {KEEP, 1, VADM_KEEPALIVE_PROC_PING, VADM_RPC_CALL, 0, VADM_RPC_OK},
};

START_TEST(test_unexpected)
{
    open_and_wait();
    peer_ignore(peer, PROC_VERSION);
    call_version(0);
    call_version(0);
    peer_wait_calls(peer, PROC_VERSION, 2);
    if (_i == 0)
        vadm_session_set_max_in_flight(session, 1);
    /* the second has serial 2 */
    if (unexpected[_i].serial == 2) {
        VadmRpcHeader other = unexpected[_i];

        other.serial = 3;
        peer_send(peer, &other, NULL, NULL);
    } else {
        peer_send(peer, &unexpected[_i], NULL, NULL);
    }
    WAIT_FOR(ends == 1);
    assert_told(0, 1, -1);
    ck_assert_uint_eq(last_end, VADM_SESSION_END_ERROR);
    ck_assert(g_error_matches(last_error, VADM_ERROR, VADM_ERROR_RPC));
    ck_assert_uint_eq(last_reply_status, G_MAXUINT32);
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_RPC);
    ck_assert_str_eq(outcome(0)->text, last_error->message);
    WAIT_FOR(peer_n_open(peer) == 0);
}
END_TEST

static const VadmRpcHeader tolerated[] = {
    {ADMIN, 1, 4711, VADM_RPC_EVENT, 0, VADM_RPC_OK},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_EVENT, 1, VADM_RPC_ERROR},
    {VADM_RPC_PROGRAM_REMOTE, 9, -1, VADM_RPC_EVENT, 5, VADM_RPC_OK},
    {KEEP, 1, VADM_KEEPALIVE_PROC_PING, VADM_RPC_EVENT, 0, VADM_RPC_OK},
    {KEEP, 1, VADM_KEEPALIVE_PROC_PONG, VADM_RPC_EVENT, 0, VADM_RPC_OK},
    {KEEP, 2, VADM_KEEPALIVE_PROC_PING, VADM_RPC_EVENT, 0, VADM_RPC_OK},
};

/* Also before CONNECT_OPEN is answered. */
START_TEST(test_tolerated)
{
    peer_hold(peer, VADM_ADMIN_PROC_CONNECT_OPEN);
    open_session();
    call_version(0);
    WAIT_FOR(peer_n_calls(peer, VADM_ADMIN_PROC_CONNECT_OPEN) == 1);
    peer_send(peer, &tolerated[_i], NULL, NULL);
    peer_release(peer, VADM_ADMIN_PROC_CONNECT_OPEN, FALSE);
    peer_send(peer, &tolerated[_i], NULL, NULL);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
    ck_assert_uint_eq(ends, 0);
    if (_i == 3)
        WAIT_FOR(peer_n_pongs(peer) == 2);
    ck_assert_uint_eq(peer_n_pongs(peer), _i == 3 ? 2 : 0);
}
END_TEST

/* A reply with the descriptors' count, and the largest message that may be. */
START_TEST(test_large)
{
    const gsize length = _i == 0 ? VADM_RPC_LENGTH_MIN + 12 : VADM_RPC_LENGTH_MAX;
    g_autofree guint8 *octets = g_malloc0(length);
    const guint32 words[] = {GUINT32_TO_BE((guint32)length),
                             GUINT32_TO_BE(ADMIN),
                             GUINT32_TO_BE(1),
                             GUINT32_TO_BE(PROC_VERSION),
                             GUINT32_TO_BE(_i == 0 ? VADM_RPC_REPLY_WITH_FDS : VADM_RPC_REPLY),
                             GUINT32_TO_BE(1),
                             0,
                             0,
                             GUINT32_TO_BE(_i == 0 ? 0 : 77),
                             GUINT32_TO_BE(77)};

    memcpy(octets, words, sizeof words);
    peer_answer_raw(peer, PROC_VERSION, octets, length);
    open_session();
    call_version(0);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(outcome(0)->version, 77);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

typedef struct {
    const char *octets;
    gsize length;
} Garbage;

#define GARBAGE(text)                                                                              \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
static const Garbage garbage[] = {
    GARBAGE("\0\0\0\0"),         GARBAGE("\0\0\0\x1b_______________________"),
    GARBAGE("\x02\0\0\x05____"), GARBAGE("HTTP/1.1 400 Bad Request\r\n\r\n"),
    GARBAGE("\xff\xff\xff\xff"),
};

/* In the place of the answer to CONNECT_OPEN, and later. */
START_TEST(test_garbage)
{
    const Garbage *what = &garbage[_i / 2];
    gboolean opening = _i % 2 == 0;

    peer_answer_raw(peer, opening ? VADM_ADMIN_PROC_CONNECT_OPEN : PROC_VERSION, what->octets,
                    what->length);
    open_session();
    call_version(0);
    WAIT_FOR(ends == 1);
    assert_told(0, -1);
    ck_assert_uint_eq(opens, opening ? 0 : 1);
    ck_assert_uint_eq(last_end, opening ? VADM_SESSION_END_CONNECT : VADM_SESSION_END_ERROR);
    ck_assert(g_error_matches(last_error, VADM_ERROR, VADM_ERROR_RPC));
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_RPC);
}
END_TEST

/* The end */

static void
assert_end(VadmSessionEnd end, int code, int errnum, const char *text)
{
    ck_assert_uint_eq(ends, 1);
    ck_assert_uint_eq(last_end, end);
    ck_assert_str_eq(last_error->message, text);
    ck_assert(g_error_matches(last_error, VADM_ERROR, code));
    ck_assert_int_eq(vadm_error_get_errno(last_error), errnum);
}

#define TEXT_EOF   "End of file while reading data: Input/output error"
#define TEXT_RESET "Cannot recv data: Connection reset by peer"

/* After so many octets of the answer to CONNECT_OPEN, or to a call. */
START_TEST(test_hang_up)
{
    static const gsize sent[] = {0, 3, 4, 27, 31};
    gboolean opening = _i % 2 == 0;

    peer_hang_up(peer, opening ? VADM_ADMIN_PROC_CONNECT_OPEN : PROC_FILTERS, sent[_i / 2]);
    if (opening && sent[_i / 2] >= 28)
        return; /* it would be a whole answer */
    open_session();
    call_procedure(PROC_FILTERS, 0);
    WAIT_FOR(ends == 1);
    assert_end(opening ? VADM_SESSION_END_CONNECT : VADM_SESSION_END_EOF, VADM_ERROR_SYSTEM, EIO,
               TEXT_EOF);
    assert_told(0, -1);
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_SYSTEM);
    ck_assert_int_eq(outcome(0)->errnum, EIO);
    ck_assert_str_eq(outcome(0)->text, TEXT_EOF);
    ck_assert_uint_eq(opens, opening ? 0 : 1);
}
END_TEST

/* As a daemon that does not let us in: whether our call came before it closed or after. */
START_TEST(test_turned_away)
{
    peer_turn_away(peer, TRUE);
    open_session();
    call_version(0);
    WAIT_FOR(ends == 1);
    assert_end(VADM_SESSION_END_CONNECT, VADM_ERROR_SYSTEM, ECONNRESET, TEXT_RESET);
    ck_assert_str_eq(outcome(0)->text, TEXT_RESET);
}
END_TEST

/* The daemon has answered and gone; that the next call finds it out loses nothing. */
START_TEST(test_answers_before_end)
{
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    call_version(0);
    call_version(0);
    peer_wait_calls(peer, PROC_VERSION, 2);
    peer_release(peer, PROC_VERSION, TRUE);
    peer_close_all(peer);
    while (peer_n_open(peer) > 0)
        g_usleep(500);
    call_version(0);
    WAIT_FOR(ends == 1);
    assert_told(1, 0, 2, -1);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
    ck_assert_uint_eq(outcome(1)->version, 9000000);
    ck_assert_int_eq(outcome(2)->errnum, ECONNRESET);
    assert_end(VADM_SESSION_END_EOF, VADM_ERROR_SYSTEM, ECONNRESET, TEXT_RESET);
}
END_TEST

/* Sent and waiting, in the order in which they were made; then the end; then calls made late. */
START_TEST(test_end_tells_calls)
{
    options.max_in_flight = 2;
    open_and_wait();
    peer_ignore(peer, PROC_VERSION);
    for (int i = 0; i < 5; i++)
        call_version(0);
    act = ACT_CALL;
    act_on = _i == 0 ? 1 : ON_ENDED;
    peer_close_all(peer);
    WAIT_FOR(ends == 1);
    assert_told(0, 1, 2, 3, 4, -1);
    WAIT_FOR(told->len == 6);
    call_version(0);
    WAIT_FOR(told->len == 7);
    assert_told(0, 1, 2, 3, 4, 5, 6, -1);
    for (guint i = 0; i < 7; i++)
        ck_assert_str_eq(outcome(i)->text, TEXT_EOF);
    ck_assert_uint_eq(ends, 1);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 2);
}
END_TEST

/* CONNECT_OPEN is refused. */
START_TEST(test_open_refused)
{
    peer_refuse(peer, VADM_ADMIN_PROC_CONNECT_OPEN, VADM_VIR_ERR_OPERATION_DENIED, "no");
    open_session();
    call_version(0);
    WAIT_FOR(ends == 1);
    assert_end(VADM_SESSION_END_CONNECT, VADM_ERROR_RPC, 0, "operation forbidden: no");
    ck_assert_uint_eq(last_reply_status, VADM_RPC_ERROR);
    ck_assert_str_eq(outcome(0)->text, "operation forbidden: no");
    ck_assert_uint_eq(opens, 0);
    WAIT_FOR(peer_n_open(peer) == 0);
}
END_TEST

START_TEST(test_open_refused_badly)
{
    const VadmRpcHeader header = {
        .program = ADMIN, .version = 1, .procedure = 1, .type = VADM_RPC_REPLY, .status = 1};
    g_autoptr(VadmMessage) bad = vadm_message_new(&header, NULL, NULL, NULL);

    peer_answer_raw(peer, VADM_ADMIN_PROC_CONNECT_OPEN, bad->data, bad->length);
    open_session();
    WAIT_FOR(ends == 1);
    assert_end(VADM_SESSION_END_CONNECT, VADM_ERROR_RPC, 0, "Unable to decode message payload");
    ck_assert_uint_eq(last_reply_status, VADM_RPC_ERROR);
}
END_TEST

/* Connecting */

static void
assert_cannot_connect(const char *path, int errnum)
{
    g_autofree char *text =
        g_strdup_printf("Failed to connect socket to '%s': %s", path, g_strerror(errnum));

    options.path = path;
    session = vadm_session_open(&options, context, &handlers, &opens);
    call_version(0);
    ck_assert_uint_eq(ends, 0);
    WAIT_FOR(ends == 1);
    assert_end(VADM_SESSION_END_CONNECT, VADM_ERROR_NO_CONNECT, errnum, text);
    assert_told(0, -1);
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_NO_CONNECT);
    ck_assert_int_eq(outcome(0)->errnum, errnum);
}

START_TEST(test_no_socket)
{
    peer_stop_listening(peer);
    assert_cannot_connect(peer_path(peer), ENOENT);
}
END_TEST

START_TEST(test_nobody_listens)
{
    g_autoptr(GSocket) bound =
        g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
    g_autoptr(GSocketAddress) address = NULL;

    peer_stop_listening(peer);
    address = g_unix_socket_address_new(peer_path(peer));
    ck_assert(g_socket_bind(bound, address, TRUE, NULL));
    assert_cannot_connect(peer_path(peer), ECONNREFUSED);
    g_unlink(peer_path(peer));
}
END_TEST

START_TEST(test_no_path)
{
    g_autofree char *longest = g_strnfill(108, 'x');

    assert_cannot_connect(_i == 0 ? "" : longest, _i == 0 ? ENOENT : ENAMETOOLONG);
}
END_TEST

/* Fills the backlog. Returns: (transfer full): those who wait in it */
static GPtrArray *
fill_backlog(void)
{
    GPtrArray *waiting = g_ptr_array_new_with_free_func(g_object_unref);
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(peer_path(peer));
    gboolean room = TRUE;

    peer_accept(peer, FALSE);
    peer_set_backlog(peer, 1);
    while (room) {
        GSocket *socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                                       G_SOCKET_PROTOCOL_DEFAULT, NULL);

        g_socket_set_blocking(socket, FALSE);
        room = g_socket_connect(socket, address, NULL, NULL);
        g_ptr_array_add(waiting, socket);
    }
    return waiting;
}

START_TEST(test_backlog)
{
    g_autoptr(GPtrArray) waiting = fill_backlog();

    open_session();
    call_version(0);
    for (int i = 0; i < 20; i++)
        g_main_context_iteration(context, i < 3); /* several attempts */
    ck_assert_uint_eq(opens + ends, 0);
    peer_accept(peer, TRUE);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
}
END_TEST

START_TEST(test_backlog_for_ever)
{
    g_autoptr(GPtrArray) waiting = fill_backlog();
    g_autofree char *text =
        g_strdup_printf("'%s' did not accept a connection within 70 ms", peer_path(peer));

    options.connect_timeout_ms = 70;
    open_session();
    call_version(0);
    WAIT_FOR(ends == 1);
    assert_end(VADM_SESSION_END_TIMEOUT, VADM_ERROR_TIMEOUT, 0, text);
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_TIMEOUT);
}
END_TEST

/* The connection is made, by the kernel, but nobody takes it; or nobody answers. */
START_TEST(test_silent)
{
    g_autofree char *text =
        g_strdup_printf("'%s' did not answer CONNECT_OPEN within 50 ms", peer_path(peer));

    if (_i == 0)
        peer_accept(peer, FALSE);
    else
        peer_ignore(peer, VADM_ADMIN_PROC_CONNECT_OPEN);
    options.connect_timeout_ms = 50;
    open_session();
    WAIT_FOR(ends == 1);
    assert_end(VADM_SESSION_END_TIMEOUT, VADM_ERROR_TIMEOUT, 0, text);
}
END_TEST

/* Once it is open, the time to connect is over. */
START_TEST(test_open_in_time)
{
    options.connect_timeout_ms = 50;
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    call_version(100);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* Keepalive */

START_TEST(test_keepalive)
{
    options.keepalive_interval = 1;
    options.keepalive_count = 1;
    peer_answer_pings(peer, _i == 1);
    open_and_wait();
    peer_ignore(peer, PROC_VERSION);
    call_version(0);
    WAIT_FOR(ends == 1 || peer_n_pings(peer) == 3);
    if (_i == 1) {
        ck_assert_uint_eq(ends, 0);
        return;
    }
    assert_end(VADM_SESSION_END_KEEPALIVE, VADM_ERROR_TIMEOUT, 0,
               "connection closed due to keepalive timeout");
    ck_assert_uint_eq(peer_n_pings(peer), 1);
    ck_assert_str_eq(outcome(0)->text, "connection closed due to keepalive timeout");
}
END_TEST

/* Owners who act in a callback */

/* All replies come at once; the session goes with the second. */
START_TEST(test_act_in_reply)
{
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    for (int i = 0; i < 5; i++)
        call_version(0);
    peer_wait_calls(peer, PROC_VERSION, 5);
    act = _i == 0 ? ACT_FREE : ACT_CLOSE;
    act_on = 1;
    peer_release(peer, PROC_VERSION, FALSE);
    WAIT_FOR(told->len == 2);
    WAIT_FOR(peer_n_open(peer) == 0);
    settle();
    assert_told(0, 1, -1);
    ck_assert_uint_eq(ends, 0);
    ck_assert_uint_eq(closes, _i == 0 ? 0 : 1);
}
END_TEST

START_TEST(test_call_in_reply)
{
    open_and_wait();
    act = ACT_CALL;
    act_on = 0;
    call_version(0);
    WAIT_FOR(told->len == 2);
    ck_assert_uint_eq(outcome(1)->version, 9000000);
}
END_TEST

START_TEST(test_act_in_timeout)
{
    open_and_wait();
    peer_ignore(peer, PROC_VERSION);
    for (int i = 0; i < 5; i++)
        call_version(20);
    act = _i == 0 ? ACT_FREE : _i == 1 ? ACT_CLOSE : ACT_CALL;
    act_on = 1;
    WAIT_FOR(told->len >= 2);
    WAIT_FOR(_i == 2 ? told->len == 5 : peer_n_open(peer) == 0);
    settle();
    ck_assert_uint_eq(told->len, _i == 2 ? 5 : 2);
    ck_assert_uint_eq(ends, 0);
    ck_assert_uint_eq(closes, _i == 1 ? 1 : 0);
}
END_TEST

START_TEST(test_act_in_opened)
{
    act = _i == 0 ? ACT_FREE : _i == 1 ? ACT_CLOSE : ACT_CALL;
    act_on = ON_OPENED;
    open_session();
    call_version(0);
    WAIT_FOR(opens == 1);
    if (_i == 2) {
        WAIT_FOR(told->len == 2);
        assert_told(0, 1, -1);
        return;
    }
    WAIT_FOR(peer_n_open(peer) == 0);
    settle();
    ck_assert_uint_eq(told->len, 0);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 0);
    ck_assert_uint_eq(closes, _i == 1 ? 1 : 0);
}
END_TEST

/* In the handler of the end, and in that of a call that is told of it. */
START_TEST(test_act_at_end)
{
    gboolean in_handler = _i < 2;

    open_and_wait();
    peer_ignore(peer, PROC_VERSION);
    for (int i = 0; i < 3; i++)
        call_version(0);
    act = _i % 2 == 0 ? ACT_FREE : ACT_CLOSE;
    act_on = in_handler ? ON_ENDED : 1;
    peer_close_all(peer);
    WAIT_FOR(told->len >= 2);
    settle();
    ck_assert_uint_eq(told->len, in_handler ? 3 : 2);
    ck_assert_uint_eq(ends, in_handler ? 1 : 0);
    ck_assert_uint_eq(closes, _i % 2 == 0 ? 0 : 1);
}
END_TEST

/* In the outcome of calls that never were sent. */
START_TEST(test_act_in_failed)
{
    peer_stop_listening(peer);
    open_session();
    WAIT_FOR(ends == 1);
    act = _i == 0 ? ACT_FREE : _i == 1 ? ACT_CLOSE : ACT_CALL;
    act_on = 0;
    call_version(0);
    call_version(0);
    WAIT_FOR(told->len == (_i == 2 ? 3 : 1));
    settle();
    ck_assert_uint_eq(told->len, _i == 2 ? 3 : 1);
    ck_assert_uint_eq(closes, _i == 1 ? 1 : 0);
}
END_TEST

START_TEST(test_free_while_connecting)
{
    open_session();
    call_version(0);
    g_clear_pointer(&session, vadm_session_free);
    settle();
    ck_assert_uint_eq(told->len + opens + ends, 0);
}
END_TEST

/* Closing gracefully */

static void
close_session(guint timeout_ms)
{
    vadm_session_close_gracefully(session, timeout_ms, on_closed, &closes);
    session = NULL;
    ck_assert_uint_eq(closes, 0); /* from the main loop only */
}

START_TEST(test_close)
{
    open_and_wait();
    close_session(10000);
    WAIT_FOR(closes == 1);
    ck_assert_uint_eq(peer_n_calls(peer, VADM_ADMIN_PROC_CONNECT_CLOSE), 1);
    WAIT_FOR(peer_n_open(peer) == 0);
    settle();
    ck_assert_uint_eq(closes, 1);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* Their replies, which come before that to CONNECT_CLOSE, are no error; those that wait are not
 * sent, nor does CONNECT_CLOSE wait for its turn. */
START_TEST(test_close_with_calls)
{
    options.max_in_flight = 2;
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    peer_hold(peer, VADM_ADMIN_PROC_CONNECT_CLOSE);
    for (int i = 0; i < 4; i++)
        call_version(0);
    close_session(10000);
    peer_wait_calls(peer, VADM_ADMIN_PROC_CONNECT_CLOSE, 1);
    peer_release(peer, PROC_VERSION, FALSE);
    settle();
    ck_assert_uint_eq(closes, 0);
    peer_release(peer, VADM_ADMIN_PROC_CONNECT_CLOSE, FALSE);
    WAIT_FOR(closes == 1);
    ck_assert_uint_eq(told->len, 0);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 2);
}
END_TEST

/* Not answered; not read; answered with a hang-up, or with garbage. */
START_TEST(test_close_anyway)
{
    open_and_wait();
    if (_i == 0)
        peer_ignore(peer, VADM_ADMIN_PROC_CONNECT_CLOSE);
    if (_i == 1)
        peer_read(peer, FALSE);
    if (_i == 2)
        peer_hang_up(peer, VADM_ADMIN_PROC_CONNECT_CLOSE, 0);
    if (_i == 3)
        peer_answer_raw(peer, VADM_ADMIN_PROC_CONNECT_CLOSE, "\0\0\0\1", 4);
    close_session(_i < 2 ? 50 : 10000);
    WAIT_FOR(closes == 1);
    settle();
    ck_assert_uint_eq(closes, 1);
    ck_assert_uint_eq(ends, 0);
    peer_read(peer, TRUE);
    WAIT_FOR(peer_n_open(peer) == 0);
}
END_TEST

/* At once after vadm_session_open(), while CONNECT_OPEN is not answered, and after the end. */
START_TEST(test_close_when_not_open)
{
    if (_i == 1)
        peer_ignore(peer, VADM_ADMIN_PROC_CONNECT_OPEN);
    if (_i == 2)
        peer_turn_away(peer, TRUE);
    open_session();
    call_version(0);
    if (_i == 1)
        WAIT_FOR(peer_n_calls(peer, VADM_ADMIN_PROC_CONNECT_OPEN) == 1);
    if (_i == 2)
        WAIT_FOR(ends == 1);
    close_session(10000);
    WAIT_FOR(closes == 1);
    settle();
    ck_assert_uint_eq(opens, 0);
    ck_assert_uint_eq(told->len, _i == 2 ? 1 : 0);
    ck_assert_uint_eq(peer_n_calls(peer, VADM_ADMIN_PROC_CONNECT_CLOSE), 0);
}
END_TEST

START_TEST(test_close_unnoticed)
{
    open_and_wait();
    vadm_session_close_gracefully(session, 10000, NULL, NULL);
    session = NULL;
    WAIT_FOR(peer_n_open(peer) == 0);
    settle();
}
END_TEST

/* The tables of the calls */

static VadmSessionCall *
add_call(VadmSessionCalls *calls, gint64 deadline)
{
    const VadmRpcHeader header = {.program = ADMIN, .version = 1, .procedure = PROC_VERSION};
    VadmSessionCall *call = g_new0(VadmSessionCall, 1);

    call->program = ADMIN;
    call->procedure = PROC_VERSION;
    call->deadline = deadline;
    call->message = vadm_message_new(&header, NULL, NULL, NULL);
    vadm_session_calls_add(calls, call);
    return call;
}

static guint32
send_next(VadmSessionCalls *calls)
{
    g_autoptr(VadmMessage) message = vadm_session_calls_send(calls);

    return message->header.serial;
}

/* Returns: whether a reply to @serial would be dropped; it must not be taken for another's */
static gboolean
is_dropped(VadmSessionCalls *calls, guint32 program, guint32 serial)
{
    const VadmRpcHeader header = {
        .program = program, .version = 1, .procedure = PROC_VERSION, .serial = serial};
    gboolean dropped;

    ck_assert_ptr_null(vadm_session_calls_take_reply(calls, &header, &dropped));
    return dropped;
}

START_TEST(test_serials_wrap)
{
    VadmSessionCalls calls = {.made = 0};

    vadm_session_calls_init(&calls);
    add_call(&calls, G_MAXINT64);
    ck_assert_uint_eq(send_next(&calls), 0);
    calls.next_serial = G_MAXUINT32;
    add_call(&calls, 1);
    add_call(&calls, G_MAXINT64);
    ck_assert_uint_eq(send_next(&calls), G_MAXUINT32);
    ck_assert_uint_eq(send_next(&calls), 1); /* 0 waits still */
    vadm_session_call_free(vadm_session_calls_take_due(&calls, 1));
    calls.next_serial = G_MAXUINT32; /* may come still */
    add_call(&calls, G_MAXINT64);
    ck_assert_uint_eq(send_next(&calls), 2);
    vadm_session_calls_clear(&calls);
}
END_TEST

/* More calls were given up than are remembered one by one. */
START_TEST(test_late_replies)
{
    const guint32 many = VADM_SESSION_LATE_MAX + 10;
    VadmSessionCalls calls = {.made = 0};

    vadm_session_calls_init(&calls);
    for (guint32 i = 0; i < many; i++) {
        add_call(&calls, 1);
        ck_assert_uint_eq(send_next(&calls), i);
        vadm_session_call_free(vadm_session_calls_take_due(&calls, 1));
    }
    add_call(&calls, G_MAXINT64);
    ck_assert_uint_eq(send_next(&calls), many);
    ck_assert_uint_eq(vadm_session_calls_unanswered(&calls), VADM_SESSION_LATE_MAX + 1);
    ck_assert(!is_dropped(&calls, VADM_RPC_PROGRAM_EXTENSION, many - 1));
    ck_assert(is_dropped(&calls, ADMIN, many - 1));
    ck_assert(!is_dropped(&calls, ADMIN, many - 1)); /* once */
    ck_assert(is_dropped(&calls, ADMIN, 9));         /* forgotten */
    ck_assert(is_dropped(&calls, ADMIN, 0));
    ck_assert(is_dropped(&calls, ADMIN, 10));
    ck_assert(!is_dropped(&calls, ADMIN, 10));
    ck_assert(!is_dropped(&calls, ADMIN, many + 1));
    ck_assert(!is_dropped(&calls, VADM_RPC_PROGRAM_REMOTE, many));
    ck_assert_uint_eq(vadm_session_calls_unanswered(&calls), VADM_SESSION_LATE_MAX - 1);
    vadm_session_calls_clear(&calls);
}
END_TEST

/* Late replies that come after all are not remembered for ever. */
START_TEST(test_late_answered)
{
    VadmSessionCalls calls = {.made = 0};

    vadm_session_calls_init(&calls);
    for (guint32 i = 0; i < 3 * VADM_SESSION_LATE_MAX; i++) {
        add_call(&calls, 1);
        ck_assert_uint_eq(send_next(&calls), i);
        vadm_session_call_free(vadm_session_calls_take_due(&calls, 1));
        ck_assert(is_dropped(&calls, ADMIN, i));
    }
    ck_assert_uint_eq(vadm_session_calls_unanswered(&calls), 0);
    ck_assert_uint_le(calls.late_order.length, VADM_SESSION_LATE_MAX);
    ck_assert(!is_dropped(&calls, ADMIN, 5)); /* an answer to nothing */
    vadm_session_calls_clear(&calls);
}
END_TEST

static TCase *
add_case(Suite *suite, const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    return tc;
}

static void
add_calls(TCase *tc)
{
    tcase_add_test(tc, test_call);
    tcase_add_test(tc, test_refused_call);
    tcase_add_test(tc, test_out_of_order);
    tcase_add_test(tc, test_max_in_flight);
    tcase_add_test(tc, test_waits_for_opening);
    tcase_add_test(tc, test_nobody_wants_to_know);
    tcase_add_loop_test(tc, test_many, 0, 2);
    tcase_add_test(tc, test_many_given_up);
    tcase_add_test(tc, test_cannot_encode);
    tcase_add_test(tc, test_timeout);
    tcase_add_test(tc, test_timeout_in_flight);
    tcase_add_test(tc, test_timeout_before_opening);
    tcase_add_test(tc, test_timeout_order);
    tcase_add_test(tc, test_reply_in_time);
    tcase_add_test(tc, test_timeout_among_events);
}

static void
add_peers(TCase *tc)
{
    tcase_add_loop_test(tc, test_unexpected, 0, G_N_ELEMENTS(unexpected));
    tcase_add_loop_test(tc, test_tolerated, 0, G_N_ELEMENTS(tolerated));
    tcase_add_loop_test(tc, test_large, 0, 2);
    tcase_add_loop_test(tc, test_garbage, 0, 2 * G_N_ELEMENTS(garbage));
    tcase_add_loop_test(tc, test_hang_up, 0, 10);
    tcase_add_test(tc, test_turned_away);
    tcase_add_test(tc, test_answers_before_end);
    tcase_add_loop_test(tc, test_end_tells_calls, 0, 2);
    tcase_add_test(tc, test_open_refused);
    tcase_add_test(tc, test_open_refused_badly);
    tcase_add_loop_test(tc, test_keepalive, 0, 2);
}

static void
add_connecting(TCase *tc)
{
    tcase_add_test(tc, test_no_socket);
    tcase_add_test(tc, test_nobody_listens);
    tcase_add_loop_test(tc, test_no_path, 0, 2);
    tcase_add_test(tc, test_backlog);
    tcase_add_test(tc, test_backlog_for_ever);
    tcase_add_loop_test(tc, test_silent, 0, 2);
    tcase_add_test(tc, test_open_in_time);
}

static void
add_owners(TCase *tc)
{
    tcase_add_loop_test(tc, test_act_in_reply, 0, 2);
    tcase_add_test(tc, test_call_in_reply);
    tcase_add_loop_test(tc, test_act_in_timeout, 0, 3);
    tcase_add_loop_test(tc, test_act_in_opened, 0, 3);
    tcase_add_loop_test(tc, test_act_at_end, 0, 4);
    tcase_add_loop_test(tc, test_act_in_failed, 0, 3);
    tcase_add_test(tc, test_free_while_connecting);
    tcase_add_test(tc, test_close);
    tcase_add_test(tc, test_close_with_calls);
    tcase_add_loop_test(tc, test_close_anyway, 0, 4);
    tcase_add_loop_test(tc, test_close_when_not_open, 0, 3);
    tcase_add_test(tc, test_close_unnoticed);
}

int
main(void)
{
    Suite *suite = suite_create("session");
    TCase *tables = tcase_create("tables");

    add_calls(add_case(suite, "calls"));
    add_peers(add_case(suite, "peers"));
    add_connecting(add_case(suite, "connecting"));
    add_owners(add_case(suite, "owners"));
    tcase_add_test(tables, test_serials_wrap);
    tcase_add_test(tables, test_late_replies);
    tcase_add_test(tables, test_late_answered);
    suite_add_tcase(suite, tables);
    return vadm_unit_main(suite);
}
