/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/remote-identity.h"

#include <string.h>

#include "common/inet.h"

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
    vadm_inet_parse(identity->sock_addr, &identity->address);
    return identity;
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
           vadm_inet_equal(&a->address, &b->address);
}
