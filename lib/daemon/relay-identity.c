/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who the client is, told to the upstream daemon: procedure 419, CONNECT_SET_IDENTITY, with the
 * fields that libvirt documents as VIR_CONNECT_IDENTITY_*. A field that we do not know is left
 * out; the upstream's access driver then refuses what depends on it.
 */
#define VADM_LOG_CATEGORY "daemon.relay"
#include "daemon/relay-private.h"

#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "rpc/remote.h"

/* One slot for each field that there is. */
typedef struct {
    vadm_typed_param params[9];
    guint n_params;
} VadmRelayParams;

static vadm_typed_param *
vadm_relay_param_add(VadmRelayParams *set, const char *field, int type)
{
    vadm_typed_param *param = &set->params[set->n_params++];

    g_assert(set->n_params <= G_N_ELEMENTS(set->params));
    param->field = (char *)field;
    param->value.type = type;
    return param;
}

static void
vadm_relay_param_string(VadmRelayParams *set, const char *field, const char *value)
{
    if (value && *value)
        vadm_relay_param_add(set, field, VADM_TYPED_PARAM_STRING)
            ->value.vadm_typed_param_value_u.s = (char *)value;
}

static void
vadm_relay_param_number(VadmRelayParams *set, const char *field, guint64 value)
{
    vadm_relay_param_add(set, field, VADM_TYPED_PARAM_ULLONG)->value.vadm_typed_param_value_u.ul =
        value;
}

/* comm, field 2, may hold anything, blanks and parentheses too: fields are counted from the last
 * parenthesis, behind which stands field 3. */
static gboolean
vadm_relay_read_start_time(guint32 pid, guint64 *ticks)
{
    g_autofree char *path = g_strdup_printf("/proc/%u/stat", pid);
    g_autofree char *text = NULL;
    g_auto(GStrv) fields = NULL;
    const char *rest;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return FALSE;
    rest = strrchr(text, ')');
    if (!rest || rest[1] != ' ')
        return FALSE;
    fields = g_strsplit(rest + 2, " ", 21);
    if (g_strv_length(fields) < 20)
        return FALSE;
    return g_ascii_string_to_unsigned(fields[19], 10, 0, G_MAXUINT64, ticks, NULL);
}

/* A process that is younger than the connection has taken over the id of the one that made it;
 * its start time would lend the client somebody else's session. */
gboolean
vadm_relay_process_time(guint32 pid, gint64 connected_since, guint64 *ticks)
{
    const gint64 slack = G_USEC_PER_SEC;
    struct timespec now;
    gint64 process_age, connection_age;
    long per_second = sysconf(_SC_CLK_TCK);

    if (pid == 0 || per_second <= 0 || !vadm_relay_read_start_time(pid, ticks))
        return FALSE;
    clock_gettime(CLOCK_BOOTTIME, &now);
    process_age = (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000 -
                  (gint64)(*ticks / (guint64)per_second) * G_USEC_PER_SEC;
    connection_age = g_get_real_time() - connected_since;
    return process_age + slack >= connection_age;
}

static void
vadm_relay_params_fill(VadmRelayParams *set, const VadmIdentity *identity, gint64 connected_since)
{
    guint64 ticks;

    if (identity->local) {
        vadm_relay_param_string(set, "user-name", identity->user_name);
        if (identity->uid != G_MAXUINT32)
            vadm_relay_param_number(set, "unix-user-id", identity->uid);
        vadm_relay_param_string(set, "group-name", identity->group_name);
        if (identity->gid != G_MAXUINT32)
            vadm_relay_param_number(set, "unix-group-id", identity->gid);
        if (vadm_relay_process_time(identity->pid, connected_since, &ticks)) {
            vadm_relay_param_add(set, "process-id", VADM_TYPED_PARAM_LLONG)
                ->value.vadm_typed_param_value_u.l = identity->pid;
            vadm_relay_param_number(set, "process-time", ticks);
        }
    }
    vadm_relay_param_string(set, "sasl-user-name", identity->sasl_user_name);
    vadm_relay_param_string(set, "x509-distinguished-name", identity->x509_dn);
    vadm_relay_param_string(set, "selinux-context", identity->selinux_context);
}

VadmMessage *
vadm_relay_identity_message(VadmClient *client, GError **error)
{
    g_autoptr(VadmIdentity) identity = vadm_client_wait_names(client, VADM_RELAY_NAMES_US);
    VadmRelayParams set = {.n_params = 0};
    struct vadm_remote_connect_set_identity_args args = {.flags = 0};
    VadmRpcHeader header = {
        .program = VADM_RPC_PROGRAM_REMOTE,
        .version = VADM_RPC_VERSION,
        .procedure = VADM_REMOTE_PROC_CONNECT_SET_IDENTITY,
        .type = VADM_RPC_CALL,
        .status = VADM_RPC_OK,
    };

    vadm_relay_params_fill(&set, identity, vadm_client_get_connected_since(client));
    /* Of a client over plain TCP there is nothing to know. */
    if (set.n_params == 0 && !*identity->sock_addr)
        VADM_WARN("nothing is known of client %" G_GUINT64_FORMAT
                  ": the upstream gets an empty identity",
                  vadm_client_get_id(client));
    args.params.params_len = set.n_params;
    args.params.params_val = set.params;
    return vadm_message_new(&header, (xdrproc_t)xdr_vadm_remote_connect_set_identity_args, &args,
                            error);
}
