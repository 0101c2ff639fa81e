/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls and replies with descriptors. conn.c has seen to it that a message has as many as it says
 * wherever they can come: at the unix sockets of clients that are authenticated, and at the
 * upstream's. Such a message is passed on as it is, and its descriptors with it.
 */
#include <string.h>

#include "daemon/client.h"
#include "daemon/relay-private.h"
#include "rpc/remote.h"
#include "rpc/rpc-error.h"

gboolean
vadm_relay_takes_descriptors(const VadmClient *client)
{
    return vadm_client_get_transport(client) == VADM_TRANSPORT_UNIX;
}

/* Returns: FALSE: the message is too short to say how many it has */
static gboolean
relay_promised_fds(const VadmMessage *message, guint32 *promised)
{
    gsize length;
    const guint8 *payload = vadm_message_payload(message, &length);

    if (length < sizeof *promised)
        return FALSE;
    memcpy(promised, payload, sizeof *promised);
    *promised = GUINT32_FROM_BE(*promised);
    return TRUE;
}

/* Behind the message there are octets, one for each descriptor, which are no message: so the
 * connection ends with the refusal. */
static void
relay_refuse_fds(VadmClient *client, const VadmRpcHeader *header, guint32 descriptors)
{
    g_autofree char *detail = g_strdup_printf(
        "%u file descriptors of a call of procedure %d: they go through unix sockets only, as the "
        "answer to feature %d says",
        descriptors, header->procedure, VADM_REMOTE_FEATURE_FD_PASSING);

    vadm_client_reply(client, vadm_message_new_error(header, VADM_VIR_ERR_OPERATION_UNSUPPORTED,
                                                     VADM_VIR_FROM_RPC, detail, -1));
    vadm_client_close_flushed(client, VADM_DISCONNECT_PROTOCOL_ERROR);
}

VadmMessage *
vadm_relay_fds_call(VadmClient *client, VadmMessage *message)
{
    g_autoptr(VadmMessage) call = message;
    guint32 promised;

    if (!vadm_message_has_fd_count(call))
        return g_steal_pointer(&call);
    if (!relay_promised_fds(call, &promised))
        vadm_relay_refuse(client, call, VADM_VIR_ERR_RPC, "Unable to decode message payload");
    else if (promised == vadm_message_n_fds(call))
        return g_steal_pointer(&call);
    else
        relay_refuse_fds(client, &call->header, promised);
    return NULL;
}

VadmMessage *
vadm_relay_fds_reply(const VadmClient *client, VadmMessage *message)
{
    g_autoptr(VadmMessage) reply = message;
    guint n_fds = vadm_message_n_fds(reply);
    g_autofree char *detail = NULL;
    guint32 promised;

    if (!vadm_message_has_fd_count(reply))
        return g_steal_pointer(&reply);
    if (!relay_promised_fds(reply, &promised) || promised != n_fds)
        return NULL;
    if (n_fds == 0 || vadm_relay_takes_descriptors(client))
        return g_steal_pointer(&reply);
    detail = g_strdup_printf("%u file descriptors in the reply to procedure %d: they go through "
                             "unix sockets only",
                             n_fds, reply->header.procedure);
    return vadm_message_new_error(&reply->header, VADM_VIR_ERR_OPERATION_UNSUPPORTED,
                                  VADM_VIR_FROM_RPC, detail, -1);
}
