/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config.h"

#include <string.h>

#include "daemon/config-private.h"

/* All of lvaNotifyEnable but clientConnect(3) and clientDisconnect(4). */
#define VADM_NOTIFY_DEFAULT 0x3e7u

static void
vadm_listen_config_destroy(gpointer listen)
{
    vadm_listen_config_free(listen);
}

static void
vadm_server_config_add_listen(VadmServerConfig *server, const char *dir, const char *file,
                              gboolean readonly)
{
    g_autofree char *path = g_build_filename(dir, file, NULL);

    g_ptr_array_add(server->listens, vadm_listen_config_new(path, readonly, VADM_AUTH_NONE));
}

static void
vadm_server_config_set_relay_defaults(VadmServerConfig *server, const char *runtime_dir)
{
    server->max_queued_clients = 1000;
    server->limits = (VadmServerLimits){
        .workers_min = 5,
        .workers_max = 20,
        .workers_priority = 5,
        .clients_max = 5000,
        .clients_unauth_max = 20,
        .clients_high_percent = 90,
        .client_requests_max = 5,
    };
    /* Another relay says itself where it listens and whom it stands for: two of them cannot
     * share a socket, and must not silently share a daemon. */
    if (!g_str_equal(server->name, VADM_RELAY_SERVER_NAME))
        return;
    server->upstream = g_strdup("/run/libvirt/libvirt-sock");
    server->upstream_ro = g_strdup("/run/libvirt/libvirt-sock-ro");
    vadm_server_config_add_listen(server, runtime_dir, "libvirt-sock", FALSE);
    vadm_server_config_add_listen(server, runtime_dir, "libvirt-sock-ro", TRUE);
}

static void
vadm_server_config_set_admin_defaults(VadmServerConfig *server, const char *runtime_dir)
{
    server->max_queued_clients = 20;
    server->limits = (VadmServerLimits){
        .workers_min = 1,
        .workers_max = 5,
        .workers_priority = 0,
        .clients_max = 50,
        .clients_unauth_max = 0,
        .clients_high_percent = 90,
        .client_requests_max = 5,
    };
    if (g_str_equal(server->name, VADM_ADMIN_SERVER_NAME))
        vadm_server_config_add_listen(server, runtime_dir, "virtadm-admin-sock", FALSE);
}

VadmServerConfig *
vadm_server_config_new(const char *name, VadmProgramKind program, const char *runtime_dir)
{
    VadmServerConfig *server = g_new0(VadmServerConfig, 1);

    server->name = g_strdup(name);
    server->program = program;
    server->listens = g_ptr_array_new_with_free_func(vadm_listen_config_destroy);
    server->socket_mode = server->socket_mode_ro = 0600;
    server->socket_gid = (gid_t)-1;
    server->sasl_allowed_usernames = g_new0(char *, 1);
    server->tls_allowed_dns = g_new0(char *, 1);
    server->auth_timeout = 30;
    server->keepalive_interval = 5;
    server->keepalive_count = 5;
    server->auth_timeout = 30;
    if (program == VADM_PROGRAM_ADMIN)
        vadm_server_config_set_admin_defaults(server, runtime_dir);
    else
        vadm_server_config_set_relay_defaults(server, runtime_dir);
    return server;
}

void
vadm_server_config_free(VadmServerConfig *server)
{
    if (!server)
        return;
    g_free(server->name);
    g_free(server->upstream);
    g_free(server->upstream_ro);
    g_strfreev(server->sasl_allowed_usernames);
    g_free(server->ca_file);
    g_free(server->cert_file);
    g_free(server->key_file);
    g_free(server->crl_file);
    g_strfreev(server->tls_allowed_dns);
    g_ptr_array_unref(server->listens);
    g_free(server);
}

static VadmServerConfig *
vadm_server_config_copy(const VadmServerConfig *server)
{
    VadmServerConfig *copy = g_new(VadmServerConfig, 1);

    *copy = *server;
    copy->name = g_strdup(server->name);
    copy->upstream = g_strdup(server->upstream);
    copy->upstream_ro = g_strdup(server->upstream_ro);
    copy->sasl_allowed_usernames = g_strdupv(server->sasl_allowed_usernames);
    copy->ca_file = g_strdup(server->ca_file);
    copy->cert_file = g_strdup(server->cert_file);
    copy->key_file = g_strdup(server->key_file);
    copy->crl_file = g_strdup(server->crl_file);
    copy->tls_allowed_dns = g_strdupv(server->tls_allowed_dns);
    copy->listens = g_ptr_array_new_with_free_func(vadm_listen_config_destroy);
    for (guint i = 0; i < server->listens->len; i++)
        g_ptr_array_add(copy->listens, vadm_listen_config_copy(server->listens->pdata[i]));
    return copy;
}

static void
vadm_server_config_destroy(gpointer server)
{
    vadm_server_config_free(server);
}

static gint
vadm_server_config_compare(gconstpointer a, gconstpointer b)
{
    const VadmServerConfig *const *left = a;
    const VadmServerConfig *const *right = b;

    return ((*left)->index > (*right)->index) - ((*left)->index < (*right)->index);
}

void
vadm_config_sort_servers(VadmConfig *config)
{
    g_ptr_array_sort(config->servers, vadm_server_config_compare);
}

static void
vadm_source_config_destroy(gpointer source)
{
    vadm_source_config_free(source);
}

/* What both programs have. */
static VadmConfig *
vadm_config_new_of_kind(VadmConfigKind kind)
{
    VadmConfig *config = g_new0(VadmConfig, 1);

    g_atomic_ref_count_init(&config->refs);
    config->kind = kind;
    config->name = g_strdup("virtadmd");
    config->runtime_dir = g_strdup("/run/virtadm");
    config->state_dir = g_strdup("/var/lib/virtadm");
    config->shutdown_timeout = 5;
    config->log_level = VADM_LOG_WARN;
    config->log_filters = g_strdup("");
    config->log_outputs = g_strdup("1:stderr");
    config->log_default_outputs = g_strdup("1:stderr");
    config->log_directories = g_strsplit("/var/log/virtadm", ";", -1);
    config->snmp_enabled = config->snmp_writable = TRUE;
    config->snmp_master = g_strdup("unix:/var/agentx/master");
    config->snmp_context = g_strdup("");
    config->snmp_retry_interval = 2;
    config->notify_enable = VADM_NOTIFY_DEFAULT;
    config->notify_min_interval = 5;
    config->servers = g_ptr_array_new_with_free_func(vadm_server_config_destroy);
    config->sources = g_ptr_array_new_with_free_func(vadm_source_config_destroy);
    config->storage = VADM_STORAGE_VOLATILE;
    config->origin = VADM_ORIGIN_STARTUP;
    return config;
}

VadmConfig *
vadm_config_new_agent(void)
{
    VadmConfig *config = vadm_config_new_of_kind(VADM_CONFIG_AGENT);

    g_ptr_array_add(config->sources, vadm_source_config_new(VADM_DEFAULT_SOURCE_NAME));
    return config;
}

VadmConfig *
vadm_config_new(void)
{
    VadmConfig *config = vadm_config_new_of_kind(VADM_CONFIG_DAEMON);
    VadmServerConfig *server;

    server =
        vadm_server_config_new(VADM_ADMIN_SERVER_NAME, VADM_PROGRAM_ADMIN, config->runtime_dir);
    server->index = 1;
    g_ptr_array_add(config->servers, server);
    server =
        vadm_server_config_new(VADM_RELAY_SERVER_NAME, VADM_PROGRAM_RELAY, config->runtime_dir);
    server->index = 2;
    g_ptr_array_add(config->servers, server);
    return config;
}

VadmConfig *
vadm_config_ref(VadmConfig *config)
{
    /* Not g_atomic_ref_count_inc(): that is code of GLib's library, which ThreadSanitizer does
     * not see, so it would report a race with the free(). */
    g_atomic_int_inc(&config->refs);
    return config;
}

void
vadm_config_unref(VadmConfig *config)
{
    if (!config || !g_atomic_int_dec_and_test(&config->refs))
        return;
    g_free(config->name);
    g_free(config->runtime_dir);
    g_free(config->state_dir);
    g_free(config->log_filters);
    g_free(config->log_outputs);
    g_free(config->log_default_outputs);
    g_strfreev(config->log_directories);
    if (config->log_set)
        vadm_log_set_unref(config->log_set);
    g_free(config->snmp_master);
    g_free(config->snmp_context);
    g_ptr_array_unref(config->servers);
    g_ptr_array_unref(config->sources);
    vadm_config_unref(config->file);
    vadm_config_unref(config->base);
    vadm_config_unref(config->rollback_to);
    g_free(config);
}

VadmConfig *
vadm_config_copy(const VadmConfig *config)
{
    VadmConfig *copy = g_new(VadmConfig, 1);
    const gsize behind_refs = offsetof(VadmConfig, kind);

    /* The counter of references is left out: others may be counting. */
    memcpy((char *)copy + behind_refs, (const char *)config + behind_refs,
           sizeof(*copy) - behind_refs);
    g_atomic_ref_count_init(&copy->refs);
    copy->name = g_strdup(config->name);
    copy->runtime_dir = g_strdup(config->runtime_dir);
    copy->state_dir = g_strdup(config->state_dir);
    copy->log_filters = g_strdup(config->log_filters);
    copy->log_outputs = g_strdup(config->log_outputs);
    copy->log_default_outputs = g_strdup(config->log_default_outputs);
    copy->log_directories = g_strdupv(config->log_directories);
    if (config->log_set)
        copy->log_set = vadm_log_set_ref(config->log_set);
    copy->snmp_master = g_strdup(config->snmp_master);
    copy->snmp_context = g_strdup(config->snmp_context);
    copy->servers = g_ptr_array_new_with_free_func(vadm_server_config_destroy);
    for (guint i = 0; i < config->servers->len; i++)
        g_ptr_array_add(copy->servers, vadm_server_config_copy(config->servers->pdata[i]));
    copy->sources = g_ptr_array_new_with_free_func(vadm_source_config_destroy);
    for (guint i = 0; i < config->sources->len; i++)
        g_ptr_array_add(copy->sources, vadm_source_config_copy(config->sources->pdata[i]));
    copy->file = config->file ? vadm_config_ref(config->file) : NULL;
    copy->base = config->base ? vadm_config_ref(config->base) : NULL;
    copy->rollback_to = config->rollback_to ? vadm_config_ref(config->rollback_to) : NULL;
    return copy;
}

/* What does not parse stays as it is: nothing equals it. */
static void
vadm_config_replace_text(char **text, char *other)
{
    if (!other)
        return;
    g_free(*text);
    *text = other;
}

VadmConfig *
vadm_config_copy_plain(const VadmConfig *config)
{
    VadmConfig *copy = vadm_config_copy(config);

    g_clear_pointer(&copy->file, vadm_config_unref);
    g_clear_pointer(&copy->base, vadm_config_unref);
    g_clear_pointer(&copy->rollback_to, vadm_config_unref);
    g_clear_pointer(&copy->log_set, vadm_log_set_unref);
    vadm_config_replace_text(&copy->log_filters,
                             vadm_log_normalise_filters(copy->log_filters, NULL));
    vadm_config_replace_text(
        &copy->log_outputs,
        vadm_log_normalise_outputs(copy->log_outputs, copy->log_default_outputs, NULL));
    return copy;
}

gboolean
vadm_config_has_auth(const VadmConfig *config, VadmAuthKind auth)
{
    for (guint i = 0; i < config->servers->len; i++) {
        const VadmServerConfig *server = g_ptr_array_index(config->servers, i);

        for (guint j = 0; j < server->listens->len; j++) {
            if (((const VadmListenConfig *)server->listens->pdata[j])->auth == auth)
                return TRUE;
        }
    }
    return FALSE;
}

VadmServerConfig *
vadm_config_find_server(const VadmConfig *config, const char *name)
{
    for (guint i = 0; i < config->servers->len; i++) {
        VadmServerConfig *server = config->servers->pdata[i];
        if (g_str_equal(server->name, name))
            return server;
    }
    return NULL;
}

VadmServerConfig *
vadm_config_find_server_index(const VadmConfig *config, guint32 index)
{
    for (guint i = 0; i < config->servers->len; i++) {
        VadmServerConfig *server = config->servers->pdata[i];
        if (server->index == index)
            return server;
    }
    return NULL;
}

guint32
vadm_config_confirm_left(const VadmConfig *config)
{
    gint64 left = config->confirm_deadline - g_get_monotonic_time();

    if (!config->rollback_to)
        return 0;
    /* The rollback may be late (no thread can be started), and 0 says that nothing is pending. */
    return left <= 0 ? 1 : (guint32)((left + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC);
}

gboolean
vadm_config_touches_disk(const VadmConfig *config)
{
    return config->storage == VADM_STORAGE_NON_VOLATILE ||
           (config->rollback_to && config->rollback_to->storage == VADM_STORAGE_NON_VOLATILE);
}
