/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a link comes up: connecting within a deadline, and the calls of our own (authentication,
 * and the client's identity), of which there is one at a time.
 */
#define VADM_LOG_CATEGORY "daemon.relay"
#include "daemon/relay-link.h"

#include "common/log.h"
#include "common/spare-fds.h"
#include "rpc/remote.h"
#include "rpc/rpc-error.h"
#include "rpc/unix-socket.h"

/* Calls of our own */

void
vadm_relay_link_send_own(VadmRelayLink *link, VadmMessage *message)
{
    link->own_serial = vadm_relay_link_next_serial(link);
    link->own_procedure = message->header.procedure;
    vadm_message_set_serial(message, link->own_serial);
    vadm_relay_link_send(link, message);
}

static void
link_call_own(VadmRelayLink *link, gint32 procedure)
{
    VadmRpcHeader header = {
        .program = VADM_RPC_PROGRAM_REMOTE,
        .version = VADM_RPC_VERSION,
        .procedure = procedure,
        .type = VADM_RPC_CALL,
        .status = VADM_RPC_OK,
    };

    vadm_relay_link_send_own(link, vadm_message_new(&header, NULL, NULL, NULL));
}

static void
link_ready(VadmRelayLink *link)
{
    vadm_relay_link_clear_source(&link->deadline);
    link->state = LINK_READY;
    vadm_conn_accept_descriptors(link->conn, VADM_SPARE_FDS);
    vadm_relay_note_success(link->upstream);
    /* It only looked, and is closed. */
    if (!link->client)
        return;
    vadm_relay_link_check_keepalive(link);
    vadm_relay_link_flush(link);
}

static void
link_authenticate(VadmRelayLink *link, const struct vadm_remote_auth_list_ret *list)
{
    gboolean polkit = FALSE;

    for (guint i = 0; i < list->types.types_len; i++) {
        if (list->types.types_val[i] == VADM_REMOTE_AUTH_NONE) {
            link_ready(link);
            return;
        }
        polkit |= list->types.types_val[i] == VADM_REMOTE_AUTH_POLKIT;
    }
    if (list->types.types_len == 0)
        link_ready(link);
    else if (polkit)
        link_call_own(link, VADM_REMOTE_PROC_AUTH_POLKIT);
    else
        vadm_relay_link_fail_new(
            link, VADM_ERROR_AUTH,
            "asks for authentication of kind %d: only none (0) and polkit (2) are "
            "possible",
            list->types.types_val[0]);
}

static void
link_own_auth_list(VadmRelayLink *link, const VadmMessage *reply)
{
    struct vadm_remote_auth_list_ret list = {.types = {0}};
    g_autoptr(GError) error = NULL;

    if (vadm_message_decode(reply, (xdrproc_t)xdr_vadm_remote_auth_list_ret, &list, &error))
        link_authenticate(link, &list);
    else
        vadm_relay_link_fail_new(link, VADM_ERROR_RPC, "answered AUTH_LIST with garbage");
    xdr_free((xdrproc_t)xdr_vadm_remote_auth_list_ret, (char *)&list);
}

static void
link_own_polkit(VadmRelayLink *link, const VadmMessage *reply)
{
    struct vadm_remote_auth_polkit_ret ret = {.complete = 0};

    if (vadm_message_decode(reply, (xdrproc_t)xdr_vadm_remote_auth_polkit_ret, &ret, NULL) &&
        ret.complete)
        link_ready(link);
    else
        vadm_relay_link_fail_new(link, VADM_ERROR_AUTH, "did not let us in by polkit");
}

/* Daemons older than libvirt 5.8 do not know the procedure and judge clients by their peer, which
 * is us. Any other error leaves the client with our identity where its own was expected: it
 * must not go on. */
static void
link_identity_refused(VadmRelayLink *link, const VadmMessage *reply)
{
    int number = 0;
    g_autofree char *text = vadm_message_get_error(reply, &number, NULL);

    if (number != VADM_VIR_ERR_RPC || g_strcmp0(text, "unknown procedure: 419") != 0) {
        vadm_relay_link_fail_new(link, VADM_ERROR_AUTH, "refused the client's identity: %s",
                                 text ? text : "no reason given");
        return;
    }
    if (!link->relay->identity_warned)
        VADM_WARN("upstream '%s' does not know CONNECT_SET_IDENTITY: its access control sees "
                  "this daemon instead of its clients",
                  link->path);
    link->relay->identity_warned = TRUE;
    link->gate = GATE_OPEN;
    vadm_relay_link_flush(link);
}

static void
link_own_identity(VadmRelayLink *link)
{
    link->gate = GATE_OPEN;
    vadm_relay_link_flush(link);
}

static void
link_own_refused(VadmRelayLink *link, gint32 procedure, const VadmMessage *reply)
{
    g_autofree char *text = NULL;

    if (procedure == VADM_REMOTE_PROC_CONNECT_SET_IDENTITY) {
        link_identity_refused(link, reply);
        return;
    }
    text = vadm_message_get_error(reply, NULL, NULL);
    vadm_relay_link_fail_new(link, VADM_ERROR_AUTH, "refused procedure %d: %s", procedure,
                             text ? text : "no reason given");
}

void
vadm_relay_link_own_reply(VadmRelayLink *link, const VadmMessage *reply)
{
    gint32 procedure = link->own_procedure;

    link->own_procedure = 0;
    if (reply->header.status != VADM_RPC_OK)
        link_own_refused(link, procedure, reply);
    else if (procedure == VADM_REMOTE_PROC_AUTH_LIST)
        link_own_auth_list(link, reply);
    else if (procedure == VADM_REMOTE_PROC_AUTH_POLKIT)
        link_own_polkit(link, reply);
    else
        link_own_identity(link);
}

/* Connecting */

static GSource *
link_add_timer(VadmRelayLink *link, guint milliseconds, GSourceFunc expired)
{
    GSource *source = g_timeout_source_new(milliseconds);

    g_source_set_callback(source, expired, link, NULL);
    g_source_attach(source, link->relay->context);
    return source;
}

static void
link_keepalive_dead(gpointer user)
{
    g_autoptr(VadmRelayLink) link = vadm_relay_link_ref(user);

    vadm_relay_link_fail_new(link, VADM_ERROR_TIMEOUT, "does not answer keepalive messages");
}

static void
link_connected(VadmRelayLink *link, int fd)
{
    link->conn = vadm_conn_new_socket(fd, link->relay->context, &vadm_relay_link_handlers, link);
    link->keepalive =
        vadm_keepalive_new(link->conn, link->relay->context, link_keepalive_dead, link);
    link->state = LINK_AUTH;
    link_call_own(link, VADM_REMOTE_PROC_AUTH_LIST);
    vadm_conn_set_reading(link->conn, TRUE);
}

/* Returns: -1: @error */
static int
link_open(const VadmRelayLink *link, GError **error)
{
    if (vadm_spare_fds_allow(VADM_SPARE_FDS))
        return vadm_unix_connect(link->path, error);
    vadm_error_set_errno(error, EMFILE, "Failed to connect socket to '%s'", link->path);
    return -1;
}

static gboolean
link_try(gpointer user)
{
    g_autoptr(VadmRelayLink) link = vadm_relay_link_ref(user);
    g_autoptr(GError) error = NULL;
    int fd = link_open(link, &error);

    /* A link that only looks is tried again soon enough. */
    if (fd < 0 && vadm_error_get_errno(error) == EAGAIN && link->client)
        return G_SOURCE_CONTINUE;
    vadm_relay_link_clear_source(&link->retry);
    if (fd < 0)
        vadm_relay_link_fail(link, error);
    else
        link_connected(link, fd);
    return G_SOURCE_REMOVE;
}

static gboolean
link_deadline_passed(gpointer user)
{
    g_autoptr(VadmRelayLink) link = vadm_relay_link_ref(user);

    vadm_relay_link_fail_new(link, VADM_ERROR_TIMEOUT, "%s within %u ms",
                             link->state == LINK_CONNECTING ? "did not accept a connection"
                                                            : "did not answer to authentication",
                             link->relay->deadline_ms);
    return G_SOURCE_REMOVE;
}

/* Who only looks has time: an upstream that hangs answers when it goes on, and must not find a
 * queue of those that have given up. */
void
vadm_relay_link_connect(VadmRelayLink *link)
{
    link->state = LINK_CONNECTING;
    if (link->client)
        link->deadline = link_add_timer(link, link->relay->deadline_ms, link_deadline_passed);
    if (link_try(link) == G_SOURCE_CONTINUE)
        link->retry = link_add_timer(link, VADM_RELAY_RETRY_MS, link_try);
}
