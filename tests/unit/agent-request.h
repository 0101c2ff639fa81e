/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests to the handler as net-snmp would make them, without a master agent. */
#ifndef VADM_TESTS_AGENT_REQUEST_H
#define VADM_TESTS_AGENT_REQUEST_H

#include "agent/handler.h"
#include "fake-source.h"

typedef struct {
    FakeSource *fake;
    VadmSettings *settings;
    VadmHandler *handler;
} AgentBed;

#define AGENT_VARBINDS_MAX 8

/* One PDU: fill it with agent_add_*(), send it phase by phase, read the result. */
typedef struct {
    netsnmp_variable_list varbinds[AGENT_VARBINDS_MAX];
    netsnmp_request_info requests[AGENT_VARBINDS_MAX];
    guint n;
    long transaction;
    char *context; /* (transfer none), NULL: the default one */
} AgentPdu;

void agent_bed_init(AgentBed *bed, gboolean writable);
void agent_bed_clear(AgentBed *bed);

void agent_pdu_clear(AgentPdu *pdu);
/** agent_add: @oid: below the root, "1.4.1.3.2"; "" is the root. */
void agent_add(AgentPdu *pdu, const char *oid, u_char type, const void *value, gsize length);
void agent_add_long(AgentPdu *pdu, const char *oid, u_char type, long value);
void agent_add_text(AgentPdu *pdu, const char *oid, const char *value);
/** agent_add_absolute: a name that is not below the root. */
void agent_add_absolute(AgentPdu *pdu, const oid *name, gsize length);

/** agent_send: Returns: the error-status; @at: (out) (optional): the varbind, from 0. */
int agent_send(AgentBed *bed, AgentPdu *pdu, int mode, guint *at);

/** agent_result: Returns: (transfer full): "OID type value" of a varbind, the OID below the root:
 * "1.1.1.0 4 virtadmd", "... 65 7", octets that are not printable as x:hex; exceptions as
 * "OID noSuchObject". */
char *agent_result(const AgentPdu *pdu, guint at);

#endif
