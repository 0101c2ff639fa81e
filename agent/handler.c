/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls net-snmp. */
#include "agent/handler.h"

#include <string.h>

#include "agent/delegation.h"
#include "agent/set.h"
#include "agent/views.h"
#include "mib/lva-mib.h"

#define VADM_LOG_CATEGORY "agent.handler"
#include "common/log.h"

G_STATIC_ASSERT(VADM_STATUS_GEN_ERR == SNMP_ERR_GENERR);
G_STATIC_ASSERT(VADM_STATUS_WRONG_TYPE == SNMP_ERR_WRONGTYPE);
G_STATIC_ASSERT(VADM_STATUS_WRONG_LENGTH == SNMP_ERR_WRONGLENGTH);
G_STATIC_ASSERT(VADM_STATUS_WRONG_VALUE == SNMP_ERR_WRONGVALUE);
G_STATIC_ASSERT(VADM_STATUS_NO_CREATION == SNMP_ERR_NOCREATION);
G_STATIC_ASSERT(VADM_STATUS_INCONSISTENT_VALUE == SNMP_ERR_INCONSISTENTVALUE);
G_STATIC_ASSERT(VADM_STATUS_RESOURCE_UNAVAILABLE == SNMP_ERR_RESOURCEUNAVAILABLE);
G_STATIC_ASSERT(VADM_STATUS_COMMIT_FAILED == SNMP_ERR_COMMITFAILED);
G_STATIC_ASSERT(VADM_STATUS_UNDO_FAILED == SNMP_ERR_UNDOFAILED);
G_STATIC_ASSERT(VADM_STATUS_NOT_WRITABLE == SNMP_ERR_NOTWRITABLE);

struct _VadmHandler {
    VadmMib *mib;   /* of the default context */
    VadmMib *named; /* of all others */
    VadmViews *views;
    VadmSet *set;
    guint64 session;  /* generation, counted from 1 */
    gboolean stopped; /* it has ended, and the next one has not begun */
};

static const oid vadm_root[] = {LVA_ROOT};

VadmHandler *
vadm_handler_new(VadmSource *source, VadmSettings *settings, const VadmContexts *contexts,
                 gboolean writable)
{
    VadmHandler *handler = g_new0(VadmHandler, 1);

    handler->mib = vadm_mib_new(source, settings, contexts, writable);
    handler->named = vadm_mib_new(source, settings, NULL, writable);
    handler->views = vadm_views_new(source);
    handler->set = vadm_set_new(handler->mib);
    handler->session = 1;
    return handler;
}

void
vadm_handler_free(VadmHandler *handler)
{
    if (!handler)
        return;
    vadm_set_free(handler->set);
    vadm_views_free(handler->views);
    vadm_mib_free(handler->named);
    vadm_mib_free(handler->mib);
    g_free(handler);
}

VadmMib *
vadm_handler_get_mib(VadmHandler *handler)
{
    return handler->mib;
}

void
vadm_handler_session_started(VadmHandler *handler)
{
    vadm_handler_session_stopped(handler);
    handler->session++;
    handler->stopped = FALSE;
}

void
vadm_handler_session_stopped(VadmHandler *handler)
{
    handler->stopped = TRUE;
    vadm_set_settle(handler->set, "the session with the master agent ended");
    vadm_views_clear(handler->views);
}

gint64
vadm_handler_expire(VadmHandler *handler, gint64 now)
{
    gint64 set = vadm_set_expire(handler->set, now);

    if (vadm_views_expire(handler->views, now) == 0)
        return set;
    return set == 0 ? now + VADM_VIEW_LIFE_US : MIN(set, now + VADM_VIEW_LIFE_US);
}

/* An arc has 32 bits (RFC 2578 section 3.5), but net-snmp reads those of AgentX as int and hands
 * one of 2^31 or more over with its sign extended into the oid, which is a long. Anything else
 * beyond 32 bits does not exist on the wire: *exact tells that it was cut, which keeps the
 * order. */
static guint32
vadm_handler_arc(oid arc, gboolean *exact)
{
    if (arc <= G_MAXUINT32 || arc >= (oid)(long)G_MININT32)
        return (guint32)arc;
    *exact = FALSE;
    return G_MAXUINT32;
}

/* Where an OID of net-snmp lies: <0 before our root, 0 at or below it, >0 behind. The arcs below
 * it are put into @arcs (MAX_OID_LEN of them); *exact: none of them was cut. */
static int
vadm_handler_suffix(const oid *name, gsize name_length, guint32 *arcs, gsize *length,
                    gboolean *exact)
{
    int order = snmp_oid_ncompare(name, name_length, vadm_root, G_N_ELEMENTS(vadm_root),
                                  G_N_ELEMENTS(vadm_root));

    *length = 0;
    *exact = TRUE;
    if (order != 0)
        return order;
    if (name_length < G_N_ELEMENTS(vadm_root))
        return -1;
    for (gsize i = G_N_ELEMENTS(vadm_root); i < name_length && i < MAX_OID_LEN; i++)
        arcs[(*length)++] = vadm_handler_arc(name[i], exact);
    return 0;
}

/* Types on the wire: Unsigned32 has the tag of Gauge32; a Counter64 is two halves in longs. */
void
vadm_handler_answer(netsnmp_variable_list *varbind, const VadmDatum *datum)
{
    long integer = (long)datum->number;
    struct counter64 halves = {.high = (u_long)(datum->number >> 32),
                               .low = (u_long)(datum->number & G_MAXUINT32)};

    switch (datum->type) {
    case VADM_SNMP_INTEGER:
        snmp_set_var_typed_value(varbind, ASN_INTEGER, &integer, sizeof(integer));
        return;
    case VADM_SNMP_UNSIGNED:
    case VADM_SNMP_GAUGE:
        snmp_set_var_typed_value(varbind, ASN_UNSIGNED, &integer, sizeof(integer));
        return;
    case VADM_SNMP_COUNTER32:
        snmp_set_var_typed_value(varbind, ASN_COUNTER, &integer, sizeof(integer));
        return;
    case VADM_SNMP_COUNTER64:
        snmp_set_var_typed_value(varbind, ASN_COUNTER64, &halves, sizeof(halves));
        return;
    case VADM_SNMP_OCTET_STR:
        snmp_set_var_typed_value(varbind, ASN_OCTET_STR, datum->bytes, datum->length);
        return;
    case VADM_SNMP_OTHER:
    default:
        return;
    }
}

static void
vadm_handler_get(VadmMib *mib, VadmView *view, netsnmp_request_info *request)
{
    netsnmp_variable_list *varbind = request->requestvb;
    guint32 arcs[MAX_OID_LEN];
    gsize length;
    gboolean exact;
    VadmGetResult result = VADM_GET_NO_OBJECT;
    VadmDatum datum;

    if (vadm_handler_suffix(varbind->name, varbind->name_length, arcs, &length, &exact) == 0)
        result = exact ? vadm_mib_get(mib, view, arcs, length, &datum) : VADM_GET_NO_INSTANCE;
    if (result == VADM_GET_OK)
        vadm_handler_answer(varbind, &datum);
    else
        netsnmp_request_set_error(request, result == VADM_GET_NO_OBJECT ? SNMP_NOSUCHOBJECT
                                                                        : SNMP_NOSUCHINSTANCE);
}

static void
vadm_handler_set_name(netsnmp_variable_list *varbind, const VadmMibOid *found)
{
    oid name[G_N_ELEMENTS(vadm_root) + VADM_MIB_OID_MAX];

    memcpy(name, vadm_root, sizeof(vadm_root));
    for (guint i = 0; i < found->length; i++)
        name[G_N_ELEMENTS(vadm_root) + i] = found->arcs[i];
    snmp_set_var_objid(varbind, name, G_N_ELEMENTS(vadm_root) + found->length);
}

/* A varbind left as it came means that there is nothing behind it here: net-snmp goes on with
 * the next registration. AgentX may include the starting OID itself (RFC 2741 section 5.2). */
static void
vadm_handler_next(VadmMib *mib, VadmView *view, netsnmp_request_info *request)
{
    netsnmp_variable_list *varbind = request->requestvb;
    guint32 arcs[MAX_OID_LEN];
    gsize length;
    gboolean exact;
    int order;
    VadmMibOid found;
    VadmDatum datum;

    order = vadm_handler_suffix(varbind->name, varbind->name_length, arcs, &length, &exact);
    if (order > 0)
        return;
    if (request->inclusive && order == 0 && exact &&
        vadm_mib_get(mib, view, arcs, length, &datum) == VADM_GET_OK) {
        vadm_handler_answer(varbind, &datum);
        return;
    }
    if (!vadm_mib_next(mib, view, arcs, length, &found, &datum))
        return;
    vadm_handler_set_name(varbind, &found);
    vadm_handler_answer(varbind, &datum);
}

/* Integers travel as long, and a hand-made one may be shorter: read with the width it has. */
static gint64
vadm_handler_integer(const netsnmp_variable_list *varbind)
{
    if (varbind->val_len >= sizeof(long))
        return *varbind->val.integer;
    if (varbind->val_len >= sizeof(int)) {
        int narrow;
        memcpy(&narrow, varbind->val.string, sizeof(narrow));
        return narrow;
    }
    return -1;
}

static void
vadm_handler_item(const netsnmp_variable_list *varbind, VadmSetItem *item)
{
    switch (varbind->type) {
    case ASN_INTEGER:
        item->type = VADM_SNMP_INTEGER;
        item->number = vadm_handler_integer(varbind);
        return;
    case ASN_UNSIGNED:
        item->type = VADM_SNMP_UNSIGNED;
        item->number = vadm_handler_integer(varbind);
        return;
    case ASN_OCTET_STR:
        item->type = VADM_SNMP_OCTET_STR;
        item->bytes = varbind->val.string;
        item->length = varbind->val_len;
        return;
    default:
        item->type = VADM_SNMP_OTHER;
        return;
    }
}

/* The requests of one call, with the arcs that their items point to. */
typedef struct {
    guint n;
    netsnmp_request_info **requests;
    VadmSetItem *items;
    guint32 *arcs;
} VadmHandlerBatch;

static void
vadm_handler_batch_clear(VadmHandlerBatch *batch)
{
    g_free(batch->requests);
    g_free(batch->items);
    g_free(batch->arcs);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VadmHandlerBatch, vadm_handler_batch_clear)

static void
vadm_handler_batch_fill(VadmHandlerBatch *batch, netsnmp_request_info *requests)
{
    guint i = 0;

    for (netsnmp_request_info *request = requests; request; request = request->next)
        batch->n += request->processed == 0;
    batch->requests = g_new0(netsnmp_request_info *, batch->n);
    batch->items = g_new0(VadmSetItem, batch->n);
    batch->arcs = g_new0(guint32, (gsize)batch->n * MAX_OID_LEN);
    for (netsnmp_request_info *request = requests; request; request = request->next) {
        guint32 *arcs = batch->arcs + (gsize)i * MAX_OID_LEN;
        gboolean exact;

        if (request->processed)
            continue;
        batch->requests[i] = request;
        batch->items[i].oid = arcs;
        vadm_handler_suffix(request->requestvb->name, request->requestvb->name_length, arcs,
                            &batch->items[i].oid_length, &exact);
        if (!exact)
            batch->items[i].oid_length = 0; /* names nothing */
        vadm_handler_item(request->requestvb, &batch->items[i]);
        i++;
    }
}

static gboolean
vadm_handler_phase(int mode, VadmPhase *phase)
{
    switch (mode) {
    case MODE_SET_RESERVE1:
        *phase = VADM_PHASE_RESERVE1;
        return TRUE;
    case MODE_SET_RESERVE2:
        *phase = VADM_PHASE_RESERVE2;
        return TRUE;
    case MODE_SET_ACTION:
        *phase = VADM_PHASE_ACTION;
        return TRUE;
    case MODE_SET_COMMIT:
        *phase = VADM_PHASE_COMMIT;
        return TRUE;
    case MODE_SET_UNDO:
        *phase = VADM_PHASE_UNDO;
        return TRUE;
    case MODE_SET_FREE:
        *phase = VADM_PHASE_FREE;
        return TRUE;
    default:
        return FALSE;
    }
}

/* What net-snmp gave a handler. */
typedef struct {
    netsnmp_mib_handler *node;
    netsnmp_handler_registration *registration;
    netsnmp_agent_request_info *info;
    netsnmp_request_info *requests;
} VadmHandlerCall;

/* The source takes its time: the requests are answered later, by vadm_delegation_answer(). */
static void
vadm_handler_delegate(VadmHandler *handler, const VadmHandlerCall *call, VadmHandlerBatch *batch)
{
    netsnmp_request_info *first = batch->requests[0];
    VadmDelegation *delegation =
        vadm_delegation_new(call->node, call->registration, call->info, call->requests,
                            g_steal_pointer(&batch->requests));

    if (delegation)
        vadm_set_wait(handler->set, vadm_delegation_answer, delegation);
    else
        netsnmp_set_request_error(call->info, first, SNMP_ERR_GENERR);
}

/* What still comes after the end of a session, from net-snmp's own queue, begins nothing: nobody
 * would end it. */
static VadmStatus
vadm_handler_phase_of_session(VadmHandler *handler, const VadmSetRequest *request, guint *at)
{
    if (handler->stopped &&
        (request->phase == VADM_PHASE_RESERVE1 || request->phase == VADM_PHASE_RESERVE2))
        return VADM_STATUS_RESOURCE_UNAVAILABLE;
    return vadm_set_phase(handler->set, request, at);
}

/* An error of the PDU as a whole is put on its first varbind. */
static void
vadm_handler_set(VadmHandler *handler, const VadmHandlerCall *call, VadmSetRequest *request)
{
    g_auto(VadmHandlerBatch) batch = {0};
    VadmStatus status;
    guint at = 0;

    vadm_handler_batch_fill(&batch, call->requests);
    if (batch.n == 0)
        return;
    request->items = batch.items;
    request->n_items = batch.n;
    status = vadm_handler_phase_of_session(handler, request, &at);
    if (status == VADM_STATUS_PENDING)
        vadm_handler_delegate(handler, call, &batch);
    else if (status != VADM_STATUS_OK)
        netsnmp_set_request_error(call->info, batch.requests[at], (int)status);
}

static void
vadm_handler_fail(netsnmp_agent_request_info *info, netsnmp_request_info *requests)
{
    for (netsnmp_request_info *request = requests; request; request = request->next)
        netsnmp_set_request_error(info, request, SNMP_ERR_GENERR);
}

static VadmMib *
vadm_handler_mib(VadmHandler *handler, const netsnmp_handler_registration *registration)
{
    const char *context = registration ? registration->contextName : NULL;

    return context && *context ? handler->named : handler->mib;
}

int
vadm_handler_request(netsnmp_mib_handler *node, netsnmp_handler_registration *registration,
                     netsnmp_agent_request_info *info, netsnmp_request_info *requests)
{
    VadmHandler *handler = node->myvoid;
    VadmSetRequest set = {.key.session = handler->session, .now = g_get_monotonic_time()};
    VadmHandlerCall call = {node, registration, info, requests};
    VadmMib *mib = vadm_handler_mib(handler, registration);
    gboolean is_set = vadm_handler_phase(info->mode, &set.phase);

    if (info->asp && info->asp->pdu)
        set.key.transaction = (guint32)info->asp->pdu->transid;
    if (!is_set || set.phase == VADM_PHASE_RESERVE1 || set.phase == VADM_PHASE_RESERVE2) {
        set.view = vadm_views_get(handler->views, set.key, set.now);
        if (!set.view) {
            vadm_handler_fail(info, requests);
            return SNMP_ERR_NOERROR;
        }
    }
    if (is_set) {
        vadm_handler_set(handler, &call, &set);
        return SNMP_ERR_NOERROR;
    }
    for (netsnmp_request_info *request = requests; request; request = request->next) {
        if (request->processed)
            continue;
        if (info->mode == MODE_GET)
            vadm_handler_get(mib, set.view, request);
        else if (info->mode == MODE_GETNEXT)
            vadm_handler_next(mib, set.view, request);
    }
    return SNMP_ERR_NOERROR;
}

netsnmp_handler_registration *
vadm_handler_register(VadmHandler *handler, const char *context)
{
    netsnmp_mib_handler *node;
    netsnmp_handler_registration *registration;

    node = netsnmp_create_handler("virtadm", vadm_handler_request);
    if (!node)
        return NULL;
    node->myvoid = handler;
    registration = netsnmp_handler_registration_create("virtadm", node, vadm_root,
                                                       G_N_ELEMENTS(vadm_root), HANDLER_CAN_RWRITE);
    if (!registration) {
        netsnmp_handler_free(node);
        return NULL;
    }
    if (*context)
        registration->contextName = strdup(context);
    return netsnmp_register_handler(registration) == MIB_REGISTERED_OK ? registration : NULL;
}
