/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemons that the agent serves, each in the SNMP context of its name: what lvaContextTable
 * lists. Names and sources only; what the table tells of a daemon is read from its source.
 */
#ifndef VADM_AGENT_CONTEXTS_H
#define VADM_AGENT_CONTEXTS_H

#include "agent/mib.h"
#include "common/error.h"

#define VADM_CONTEXT_NAME_MAX 32u /* octets; VACM allows no more (RFC 3415, vacmContextName) */

typedef struct {
    char *name;
    VadmSource *source;
} VadmContext;

/** vadm_contexts_new: Returns: (transfer full). All functions: snmp thread, or before it runs. */
VadmContexts *vadm_contexts_new(void);
void vadm_contexts_free(VadmContexts *contexts);

/**
 * vadm_contexts_add:
 * @name: copied
 * @source: (transfer none): must outlive @contexts
 * @error: VADM_ERROR_CONFIG: @name does not have 1 to VADM_CONTEXT_NAME_MAX octets, or is there
 *     already
 */
gboolean vadm_contexts_add(VadmContexts *contexts, const char *name, VadmSource *source,
                           GError **error);

guint vadm_contexts_get_number(const VadmContexts *contexts);

/**
 * vadm_contexts_find:
 * @index: of lvaContextTable; for VADM_MATCH_GT it may be shorter or longer than one is
 * @found: (out): the index of what is returned
 *
 * Returns: (transfer none) (nullable): EQ: the context with that index, GT: the first one behind
 */
const VadmContext *vadm_contexts_find(const VadmContexts *contexts, VadmMatch match,
                                      const VadmMibOid *index, VadmMibOid *found);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmContexts, vadm_contexts_free)

#endif
