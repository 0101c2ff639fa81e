/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests to the handler as net-snmp would make them, without a master agent. */
#ifndef VADM_TESTS_AGENT_REQUEST_H
#define VADM_TESTS_AGENT_REQUEST_H

#include "agent/contexts.h"
#include "agent/handler.h"
#include "fake-source.h"

typedef struct {
    FakeSource *fake;
    VadmSettings *settings;
    VadmContexts *contexts; /* that of fake, to which others may be added */
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

/* A PDU on its way through one phase, which the handler may answer later. */
typedef struct {
    netsnmp_request_info requests[AGENT_VARBINDS_MAX];
    guint n;
    netsnmp_pdu raw;
    netsnmp_handler_registration registration;
    netsnmp_agent_session asp;
    netsnmp_agent_request_info info;
} AgentSent;

void agent_bed_init(AgentBed *bed, gboolean writable);
void agent_bed_clear(AgentBed *bed);

void agent_pdu_clear(AgentPdu *pdu);
/** agent_add: @oid: below the root, "1.4.1.3.2"; "" is the root. */
void agent_add(AgentPdu *pdu, const char *oid, u_char type, const void *value, gsize length);
void agent_add_long(AgentPdu *pdu, const char *oid, u_char type, long value);
void agent_add_text(AgentPdu *pdu, const char *oid, const char *value);
/** agent_add_absolute: a name that is not below the root. */
void agent_add_absolute(AgentPdu *pdu, const oid *name, gsize length);

/** agent_post: Returns: (transfer full): what is to be asked for its outcome; @pdu must be kept
 * until then. */
AgentSent *agent_post(AgentBed *bed, const AgentPdu *pdu, int mode);
gboolean agent_is_pending(const AgentSent *sent);
/** agent_outcome: Returns: the error-status; @at: (out) (optional): the varbind, from 0. */
int agent_outcome(const AgentSent *sent, guint *at);
/** agent_sent_free: of one that is not pending; agent_forget(): of any, as net-snmp would do that
 * gives requests up without asking. */
void agent_sent_free(AgentSent *sent);
void agent_forget(AgentSent *sent);

/** agent_send: post, outcome and free in one. */
int agent_send(AgentBed *bed, AgentPdu *pdu, int mode, guint *at);
/** agent_test_set: RESERVE1 and RESERVE2, with FREE after a failure, as a master makes of a
 * TestSet. */
int agent_test_set(AgentBed *bed, AgentPdu *pdu, guint *at);
/** agent_whole_set: all phases, with UNDO after a failure of ACTION. */
int agent_whole_set(AgentBed *bed, AgentPdu *pdu, guint *at);

/** agent_result: Returns: (transfer full): "OID type value" of a varbind, the OID below the root:
 * "1.1.1.0 4 virtadmd", "... 65 7", octets that are not printable as x:hex; exceptions as
 * "OID noSuchObject". */
char *agent_result(const AgentPdu *pdu, guint at);

#endif
