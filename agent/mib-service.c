/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lvaServiceTable: the listening sockets of the servers. */
#include "agent/mib-private.h"

static gboolean
vadm_mib_find_service(VadmView *view, VadmMatch match, VadmRow *row)
{
    const VadmServiceRow *service;
    guint32 index[2];

    if (!vadm_mib_is_reachable(row) || !vadm_mib_match_numbers(match, row, 2, index))
        return FALSE;
    service = view->source->class->service(view, match, index[0], index[1]);
    if (!service)
        return FALSE;
    row->row = service;
    vadm_mib_set_index(row, 2, service->server, service->index);
    return TRUE;
}

/* In the order of the arcs. */
static const VadmColumn vadm_mib_service_columns[] = {
    VADM_COLUMN(lvaServiceTransport, INTEGER, SERVICE_TRANSPORT, vadm_get_enum, VadmServiceRow,
                transport),
    VADM_COLUMN(lvaServiceAddressType, INTEGER, SERVICE_ADDRESS_TYPE, vadm_get_inet_type,
                VadmServiceRow, address),
    VADM_COLUMN(lvaServiceAddress, OCTET_STR, SERVICE_ADDRESS, vadm_get_inet_octets, VadmServiceRow,
                address),
    VADM_COLUMN(lvaServicePort, UNSIGNED, SERVICE_PORT, vadm_get_inet_port, VadmServiceRow,
                address),
    VADM_COLUMN_TEXT(lvaServiceListen, SERVICE_LISTEN, VadmServiceRow, listen,
                     VADM_SNMP_STRING_MAX),
    VADM_COLUMN(lvaServiceReadOnly, INTEGER, SERVICE_READ_ONLY, vadm_get_truth, VadmServiceRow,
                readonly),
    VADM_COLUMN(lvaServiceAuth, INTEGER, SERVICE_AUTH, vadm_get_enum, VadmServiceRow, auth),
    VADM_COLUMN(lvaServiceAccepting, INTEGER, SERVICE_ACCEPTING, vadm_get_truth, VadmServiceRow,
                accepting),
};

const VadmTable vadm_mib_service_table = {
    .path = {1, LVA_GROUP_lvaServiceTable, 1},
    .path_length = 3,
    .n_index = 2,
    .columns = vadm_mib_service_columns,
    .n_columns = G_N_ELEMENTS(vadm_mib_service_columns),
    .find = vadm_mib_find_service,
};
