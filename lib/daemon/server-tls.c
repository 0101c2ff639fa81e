/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TLS in the life of a server and its clients: the files, and a client's way through the
 * handshake. */
#include "daemon/daemon-private.h"
#include "daemon/server-private.h"

#define VADM_LOG_CATEGORY "daemon.server"
#include "common/log.h"

gboolean
vadm_server_config_has_tls(const VadmServerConfig *config)
{
    const GPtrArray *listens = config->listens;

    for (guint i = 0; i < listens->len; i++) {
        const VadmListenConfig *listen = g_ptr_array_index(listens, i);

        if (listen->transport == VADM_TRANSPORT_TLS)
            return TRUE;
    }
    return FALSE;
}

static VadmTls *
vadm_server_read_tls(const VadmServerConfig *config, GError **error)
{
    VadmTlsFiles files = {config->ca_file, config->cert_file, config->key_file, config->crl_file};
    VadmTls *tls = vadm_tls_new(&files, error);

    if (!tls)
        g_prefix_error(error, "server '%s': ", config->name);
    return tls;
}

gboolean
vadm_daemon_check_files(const VadmConfig *config, GError **error)
{
    for (guint i = 0; i < config->servers->len; i++) {
        const VadmServerConfig *server = g_ptr_array_index(config->servers, i);
        g_autoptr(VadmTls) tls = NULL;

        if (!vadm_server_config_has_tls(server))
            continue;
        tls = vadm_server_read_tls(server, error);
        if (!tls)
            return FALSE;
    }
    return TRUE;
}

gboolean
vadm_server_start_tls(VadmServer *server, GError **error)
{
    if (!vadm_server_config_has_tls(server->config))
        return TRUE;
    server->tls_gate = vadm_daemon_get_tls_gate(server->daemon, error);
    if (!server->tls_gate)
        return FALSE;
    server->tls = vadm_server_read_tls(server->config, error);
    if (!server->tls)
        return FALSE;
    VADM_INFO("Server '%s': TLS with the certificate %s", server->config->name,
              vadm_tls_describe(server->tls));
    return TRUE;
}

/* One at a time: what was read first must not take the place of what was read later. */
static gboolean
vadm_server_read_tls_again(VadmServer *server, GError **error)
{
    VADM_LOCK_SCOPE(&server->tls_update);
    g_autoptr(VadmTls) tls = vadm_server_read_tls(server->config, error);
    VadmTls *old;

    if (!tls)
        return FALSE;
    VADM_WARN("Server '%s': TLS files have been read again; new clients get the certificate %s",
              server->config->name, vadm_tls_describe(tls));
    vadm_mutex_lock(&server->lock);
    old = server->tls;
    server->tls = g_steal_pointer(&tls);
    vadm_mutex_unlock(&server->lock);
    VADM_INFO("Server '%s': the certificate before was %s", server->config->name,
              vadm_tls_describe(old));
    vadm_tls_unref(old);
    return TRUE;
}

gboolean
vadm_server_update_tls(VadmServer *server, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (!vadm_server_config_has_tls(server->config)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_INTERNAL,
                    "no tls service found, unable to update tls files");
        return FALSE;
    }
    if (vadm_server_read_tls_again(server, &cause))
        return TRUE;
    VADM_ERR("TLS files are left as they were: %s", cause->message);
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

/* (transfer full) */
static VadmTls *
vadm_server_get_tls(VadmServer *server)
{
    VADM_LOCK_SCOPE(&server->lock);
    return vadm_tls_ref(server->tls);
}

static void
vadm_server_turn_away(VadmServer *server, VadmClient *client, const GError *error)
{
    /* Nobody has tried anything: monitoring looks whether the port is open. */
    gboolean gone = g_error_matches(error, VADM_ERROR, VADM_ERROR_NO_CONNECT);

    if (gone)
        VADM_INFO("Client %" G_GUINT64_FORMAT " of server '%s': %s", client->id,
                  server->config->name, error->message);
    else if (vadm_server_may_complain(server))
        VADM_WARN("Client %" G_GUINT64_FORMAT " of server '%s': no TLS with it: %s", client->id,
                  server->config->name, error->message);
    if (!gone)
        vadm_server_note_auth_failure(server, client);
    vadm_client_close(client, gone ? VADM_DISCONNECT_CLIENT : VADM_DISCONNECT_AUTH_FAILURE);
}

static void
vadm_server_shaken(GIOStream *stream, const char *dn, const char *warnings, const GError *error,
                   gpointer user)
{
    VadmClient *client = user;
    VadmServer *server = client->server;

    client->handshake = NULL;
    if (error) {
        vadm_server_turn_away(server, client, error);
        return;
    }
    VADM_INFO("Client %" G_GUINT64_FORMAT " of server '%s' is '%s'", client->id,
              server->config->name, dn);
    if (warnings && vadm_server_may_complain(server))
        VADM_WARN("Client %" G_GUINT64_FORMAT " of server '%s': %s", client->id,
                  server->config->name, warnings);
    vadm_client_ref(client);
    vadm_conn_set_stream(client->conn, stream);
    vadm_server_set_x509_dn(server, client, dn);
    vadm_client_start(client);
    vadm_client_unref(client);
}

void
vadm_server_begin_tls(VadmServer *server, VadmClient *client, GSocketConnection *base)
{
    g_autoptr(VadmTls) tls = vadm_server_get_tls(server);

    client->handshake = vadm_tls_accept(
        server->tls_gate, tls, base, server->config->tls_allowed_dns, vadm_server_shaken, client);
}
