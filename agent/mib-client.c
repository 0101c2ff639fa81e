/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lvaClientTable. What tells who a client is comes from its identity, which a remote source may
 * not have fetched yet: not instantiated until then. */
#include "agent/mib-private.h"

#define VADM_IDENTITY_MEMBER(type, identity, column)                                               \
    ((const type *)(const void *)((const guint8 *)(identity) + (column)->offset))

static const VadmIdentity *
vadm_row_identity(const VadmRow *row)
{
    return ((const VadmClientRow *)row->row)->identity;
}

static gboolean
vadm_get_identity_string(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    const VadmIdentity *identity = vadm_row_identity(row);

    return identity &&
           vadm_datum_set_text(out, column, *VADM_IDENTITY_MEMBER(char *, identity, column));
}

static gboolean
vadm_get_identity_u32(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    const VadmIdentity *identity = vadm_row_identity(row);

    return identity && vadm_datum_set_number(out, *VADM_IDENTITY_MEMBER(guint32, identity, column));
}

static gboolean
vadm_get_identity_inet_type(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    const VadmIdentity *identity = vadm_row_identity(row);

    (void)column;
    return identity && vadm_datum_set_inet_type(out, &identity->address);
}

static gboolean
vadm_get_identity_inet_octets(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    const VadmIdentity *identity = vadm_row_identity(row);

    (void)column;
    return identity && vadm_datum_set_inet_octets(out, &identity->address);
}

static gboolean
vadm_get_identity_port(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    const VadmIdentity *identity = vadm_row_identity(row);

    (void)column;
    return identity && vadm_datum_set_number(out, identity->address.port);
}

/* 0: one that has no number in the MIB. */
static gboolean
vadm_get_transport(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return ((const VadmClientRow *)row->row)->transport > 0 && vadm_get_enum(column, row, out);
}

static gboolean
vadm_get_read_only(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return vadm_row_identity(row) && vadm_get_truth(column, row, out);
}

/* Not known where it is not known when the client came. */
static gboolean
vadm_get_client_age(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    const VadmClientRow *client = row->row;

    return client->connected_since > 0 && vadm_get_u32(column, row, out);
}

/* Reads connected whenever there is a row. */
static gboolean
vadm_get_admin_status(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    (void)column;
    (void)row;
    return vadm_datum_set_number(out, VADM_CLIENT_CONNECTED);
}

static gboolean
vadm_get_peer(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    const VadmClientRow *client = row->row;
    g_autofree char *peer = vadm_identity_peer(client->identity, client->transport);

    return vadm_datum_copy_text(out, column, peer);
}

static gboolean
vadm_mib_find_client(VadmView *view, VadmMatch match, VadmRow *row)
{
    const VadmClientRow *client;
    guint32 index[2];

    if (!vadm_mib_is_reachable(row) || !vadm_mib_match_numbers(match, row, 2, index))
        return FALSE;
    client = view->source->class->client(view, match, index[0], index[1]);
    if (!client)
        return FALSE;
    row->row = client;
    vadm_mib_set_index(row, 2, client->server, client->index);
    return TRUE;
}

#define VADM_COLUMN_IDENTITY_TEXT(object, source_field, member, octets)                            \
    {                                                                                              \
        .arc = LVA_ARC_##object, .name = #object, .type = VADM_SNMP_OCTET_STR,                     \
        .access = VADM_ACCESS_READ, .field = VADM_FIELD_##source_field,                            \
        .get = vadm_get_identity_string, .offset = offsetof(VadmIdentity, member),                 \
        .max_length = (octets)                                                                     \
    }

/* In the order of the arcs. */
static const VadmColumn vadm_mib_client_columns[] = {
    VADM_COLUMN(lvaClientId, COUNTER64, CLIENT_ID, vadm_get_u64, VadmClientRow, id),
    VADM_COLUMN(lvaClientTransport, INTEGER, CLIENT_TRANSPORT, vadm_get_transport, VadmClientRow,
                transport),
    VADM_COLUMN(lvaClientConnectedSince, OCTET_STR, CLIENT_CONNECTED_SINCE, vadm_get_time,
                VadmClientRow, connected_since),
    VADM_COLUMN(lvaClientReadOnly, INTEGER, CLIENT_READ_ONLY, vadm_get_read_only, VadmClientRow,
                readonly),
    VADM_COLUMN_OWN(lvaClientAddressType, INTEGER, CLIENT_ADDRESS_TYPE, vadm_get_identity_inet_type,
                    0),
    VADM_COLUMN_OWN(lvaClientAddress, OCTET_STR, CLIENT_ADDRESS, vadm_get_identity_inet_octets, 20),
    VADM_COLUMN_OWN(lvaClientPort, UNSIGNED, CLIENT_PORT, vadm_get_identity_port, 0),
    VADM_COLUMN_IDENTITY_TEXT(lvaClientSaslUserName, CLIENT_SASL_USER_NAME, sasl_user_name,
                              VADM_SNMP_STRING_MAX),
    VADM_COLUMN_IDENTITY_TEXT(lvaClientX509DistinguishedName, CLIENT_X509_DN, x509_dn,
                              VADM_SNMP_LONG_STRING_MAX),
    VADM_COLUMN(lvaClientUnixUserId, UNSIGNED, CLIENT_UNIX_USER_ID, vadm_get_identity_u32,
                VadmIdentity, uid),
    VADM_COLUMN_IDENTITY_TEXT(lvaClientUnixUserName, CLIENT_UNIX_USER_NAME, user_name,
                              VADM_SNMP_STRING_MAX),
    VADM_COLUMN(lvaClientUnixGroupId, UNSIGNED, CLIENT_UNIX_GROUP_ID, vadm_get_identity_u32,
                VadmIdentity, gid),
    VADM_COLUMN_IDENTITY_TEXT(lvaClientUnixGroupName, CLIENT_UNIX_GROUP_NAME, group_name,
                              VADM_SNMP_STRING_MAX),
    VADM_COLUMN(lvaClientUnixProcessId, UNSIGNED, CLIENT_UNIX_PROCESS_ID, vadm_get_identity_u32,
                VadmIdentity, pid),
    VADM_COLUMN_IDENTITY_TEXT(lvaClientSelinuxContext, CLIENT_SELINUX_CONTEXT, selinux_context,
                              VADM_SNMP_LONG_STRING_MAX),
    VADM_COLUMN(lvaClientAuthenticated, INTEGER, CLIENT_AUTHENTICATED, vadm_get_truth,
                VadmClientRow, authenticated),
    VADM_COLUMN(lvaClientRequests, COUNTER64, CLIENT_REQUESTS, vadm_get_u64, VadmClientRow,
                requests),
    VADM_COLUMN(lvaClientRequestsInFlight, GAUGE, CLIENT_REQUESTS_IN_FLIGHT, vadm_get_u32,
                VadmClientRow, requests_in_flight),
    VADM_COLUMN(lvaClientIdleTime, GAUGE, CLIENT_IDLE_TIME, vadm_get_u32, VadmClientRow, idle_time),
    VADM_COLUMN_OWN_RW(lvaClientAdminStatus, INTEGER, CLIENT_ADMIN_STATUS, vadm_get_admin_status, 0,
                       VADM_RANGE(VADM_CLIENT_CONNECTED, VADM_CLIENT_DISCONNECT)),
    VADM_COLUMN_OWN(lvaClientPeer, OCTET_STR, CLIENT_PEER, vadm_get_peer, VADM_SNMP_STRING_MAX),
    VADM_COLUMN(lvaClientAge, GAUGE, CLIENT_AGE, vadm_get_client_age, VadmClientRow, age),
};

static const VadmColumn vadm_mib_client_notify_columns[] = {
    VADM_COLUMN(lvaClientDisconnectReason, INTEGER, CLIENT_DISCONNECT_REASON, vadm_get_enum,
                VadmClientRow, disconnect_reason),
};

const VadmTable vadm_mib_client_table = {
    .path = {1, LVA_GROUP_lvaClientTable, 1},
    .path_length = 3,
    .n_index = 2,
    .columns = vadm_mib_client_columns,
    .n_columns = G_N_ELEMENTS(vadm_mib_client_columns),
    .notify_columns = vadm_mib_client_notify_columns,
    .n_notify_columns = G_N_ELEMENTS(vadm_mib_client_notify_columns),
    .find = vadm_mib_find_client,
};
