/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/remote-identity.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

/* InetAddressType (RFC 4001) */
#define VADM_INET_UNKNOWN 0u
#define VADM_INET_IPV4    1u
#define VADM_INET_IPV6    2u
#define VADM_INET_IPV6Z   4u

gboolean
vadm_remote_text_is_fit(const char *text)
{
    if (!g_utf8_validate(text, -1, NULL))
        return FALSE;
    for (const char *c = text; *c; c = g_utf8_next_char(c)) {
        if (g_unichar_iscntrl(g_utf8_get_char(c)))
            return FALSE;
    }
    return TRUE;
}

gboolean
vadm_remote_text_is_kept(const char *text)
{
    return strlen(text) <= VADM_REMOTE_TEXT_MAX && vadm_remote_text_is_fit(text);
}

static const vadm_typed_param_value *
vadm_remote_param(const vadm_typed_param *params, guint n_params, const char *name, int type)
{
    for (guint i = 0; i < n_params; i++) {
        if (params[i].value.type == type && strcmp(params[i].field, name) == 0)
            return &params[i].value;
    }
    return NULL;
}

/* Servers */

typedef struct {
    const char *name;
    VadmField field;
    gsize offset; /* of a guint32 in VadmServerRow */
} VadmRemoteNumber;

static void
vadm_remote_parse_numbers(const vadm_typed_param *params, guint n_params,
                          const VadmRemoteNumber *numbers, gsize n_numbers, VadmServerRow *row)
{
    for (gsize i = 0; i < n_numbers; i++) {
        const vadm_typed_param_value *value =
            vadm_remote_param(params, n_params, numbers[i].name, VADM_TYPED_PARAM_UINT);

        if (!value)
            continue;
        G_STRUCT_MEMBER(guint32, row, numbers[i].offset) = value->vadm_typed_param_value_u.ui;
        row->unknown &= ~VADM_SERVER_UNKNOWN(numbers[i].field);
    }
}

void
vadm_remote_parse_threadpool(const vadm_typed_param *params, guint n_params, VadmServerRow *row)
{
    static const VadmRemoteNumber numbers[] = {
        {"minWorkers", VADM_FIELD_SERVER_WORKERS_MIN, offsetof(VadmServerRow, workers_min)},
        {"maxWorkers", VADM_FIELD_SERVER_WORKERS_MAX, offsetof(VadmServerRow, workers_max)},
        {"prioWorkers", VADM_FIELD_SERVER_WORKERS_PRIORITY,
         offsetof(VadmServerRow, workers_priority)},
        {"nWorkers", VADM_FIELD_SERVER_WORKERS_CURRENT, offsetof(VadmServerRow, workers_current)},
        {"freeWorkers", VADM_FIELD_SERVER_WORKERS_FREE, offsetof(VadmServerRow, workers_free)},
        {"jobQueueDepth", VADM_FIELD_SERVER_JOB_QUEUE_DEPTH,
         offsetof(VadmServerRow, job_queue_depth)},
    };

    vadm_remote_parse_numbers(params, n_params, numbers, G_N_ELEMENTS(numbers), row);
}

void
vadm_remote_parse_limits(const vadm_typed_param *params, guint n_params, VadmServerRow *row)
{
    static const VadmRemoteNumber numbers[] = {
        {"nclients_max", VADM_FIELD_SERVER_CLIENTS_MAX, offsetof(VadmServerRow, clients_max)},
        {"nclients", VADM_FIELD_SERVER_CLIENTS_CURRENT, offsetof(VadmServerRow, clients_current)},
        {"nclients_unauth_max", VADM_FIELD_SERVER_CLIENTS_UNAUTH_MAX,
         offsetof(VadmServerRow, clients_unauth_max)},
        {"nclients_unauth", VADM_FIELD_SERVER_CLIENTS_UNAUTH_CURRENT,
         offsetof(VadmServerRow, clients_unauth_current)},
    };

    vadm_remote_parse_numbers(params, n_params, numbers, G_N_ELEMENTS(numbers), row);
}

/* Clients */

/* The number of a zone: the interface's, in this namespace, or as it is written; 0: none. */
static guint32
vadm_remote_parse_zone(const char *zone)
{
    guint64 number = if_nametoindex(zone);

    if (number == 0 && !g_ascii_string_to_unsigned(zone, 10, 1, G_MAXUINT32, &number, NULL))
        return 0;
    return (guint32)number;
}

static gboolean
vadm_remote_parse_host(const char *host, gboolean bracketed, VadmInetAddress *address)
{
    g_auto(GStrv) parts = NULL;
    guint32 zone;

    if (!bracketed) {
        address->type = VADM_INET_IPV4;
        address->length = 4;
        return inet_pton(AF_INET, host, address->octets) == 1;
    }
    parts = g_strsplit(host, "%", 2);
    if (!parts[0] || inet_pton(AF_INET6, parts[0], address->octets) != 1)
        return FALSE;
    address->type = VADM_INET_IPV6;
    address->length = 16;
    if (!parts[1])
        return TRUE;
    zone = g_htonl(vadm_remote_parse_zone(parts[1]));
    address->type = VADM_INET_IPV6Z;
    address->length = 20;
    memcpy(address->octets + 16, &zone, sizeof(zone));
    return zone != 0;
}

gboolean
vadm_remote_parse_address(const char *text, VadmInetAddress *address)
{
    const char *colon = strrchr(text, ':');
    gboolean bracketed = *text == '[' && colon > text && colon[-1] == ']';
    g_autofree char *host = NULL;
    guint64 port;

    *address = (VadmInetAddress){.type = VADM_INET_UNKNOWN};
    if (!colon || !g_ascii_string_to_unsigned(colon + 1, 10, 0, G_MAXUINT16, &port, NULL))
        return FALSE;
    host = bracketed ? g_strndup(text + 1, (gsize)(colon - text) - 2)
                     : g_strndup(text, (gsize)(colon - text));
    if (!vadm_remote_parse_host(host, bracketed, address)) {
        *address = (VadmInetAddress){.type = VADM_INET_UNKNOWN};
        return FALSE;
    }
    address->port = (guint16)port;
    return TRUE;
}

/* @text: (inout): "" when the daemon says that there is none. */
static void
vadm_remote_take_text(const vadm_typed_param *params, guint n_params, const char *name, char **text)
{
    const vadm_typed_param_value *value =
        vadm_remote_param(params, n_params, name, VADM_TYPED_PARAM_STRING);
    const char *given;

    if (!value)
        return;
    given = value->vadm_typed_param_value_u.s;
    g_free(*text);
    *text = vadm_remote_text_is_kept(given) ? g_strdup(given) : NULL;
}

/* Ids are signed there, (uid_t)-1 being -1. */
static gboolean
vadm_remote_take_id(const vadm_typed_param *params, guint n_params, const char *name, guint32 *id)
{
    const vadm_typed_param_value *value =
        vadm_remote_param(params, n_params, name, VADM_TYPED_PARAM_INT);

    if (!value)
        return FALSE;
    *id = (guint32)value->vadm_typed_param_value_u.i;
    return TRUE;
}

VadmIdentity *
vadm_remote_parse_identity(const vadm_typed_param *params, guint n_params, gboolean *readonly)
{
    const vadm_typed_param_value *value =
        vadm_remote_param(params, n_params, "readonly", VADM_TYPED_PARAM_BOOLEAN);
    VadmIdentity *identity;

    if (!value)
        return NULL;
    *readonly = value->vadm_typed_param_value_u.b != 0;
    identity = vadm_identity_new();
    vadm_remote_take_text(params, n_params, "sasl_user_name", &identity->sasl_user_name);
    vadm_remote_take_text(params, n_params, "tls_x509_dname", &identity->x509_dn);
    vadm_remote_take_text(params, n_params, "selinux_context", &identity->selinux_context);
    vadm_remote_take_text(params, n_params, "unix_user_name", &identity->user_name);
    vadm_remote_take_text(params, n_params, "unix_group_name", &identity->group_name);
    identity->local = vadm_remote_take_id(params, n_params, "unix_user_id", &identity->uid);
    vadm_remote_take_id(params, n_params, "unix_group_id", &identity->gid);
    identity->local &= vadm_remote_take_id(params, n_params, "unix_process_id", &identity->pid);
    identity->named = identity->local;
    vadm_remote_take_text(params, n_params, "sock_addr", &identity->sock_addr);
    if (!identity->sock_addr) /* readers rely on a text */
        identity->sock_addr = g_strdup("");
    vadm_remote_parse_address(identity->sock_addr, &identity->address);
    return identity;
}

static gboolean
vadm_remote_address_equal(const VadmInetAddress *a, const VadmInetAddress *b)
{
    return a->type == b->type && a->port == b->port && a->length == b->length &&
           memcmp(a->octets, b->octets, a->length) == 0;
}

gboolean
vadm_remote_identity_equal(const VadmIdentity *a, const VadmIdentity *b)
{
    return a->local == b->local && a->uid == b->uid && a->gid == b->gid && a->pid == b->pid &&
           g_strcmp0(a->user_name, b->user_name) == 0 &&
           g_strcmp0(a->group_name, b->group_name) == 0 &&
           g_strcmp0(a->selinux_context, b->selinux_context) == 0 &&
           g_strcmp0(a->sasl_user_name, b->sasl_user_name) == 0 &&
           g_strcmp0(a->x509_dn, b->x509_dn) == 0 && g_strcmp0(a->sock_addr, b->sock_addr) == 0 &&
           vadm_remote_address_equal(&a->address, &b->address);
}
