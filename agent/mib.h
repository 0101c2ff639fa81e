/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LIBVIRT-ADMIN-MIB over a VadmSource: which objects there are (the ordered tables of data in
 * mib-*.c), how an OID leads to a value (GET) and to the next one (GETNEXT). No net-snmp here:
 * OIDs are sub-identifiers below the root of the MIB, agent/handler.c translates.
 */
#ifndef VADM_AGENT_MIB_H
#define VADM_AGENT_MIB_H

#include "agent/settings.h"
#include "common/source.h"

/* Types on the wire. Unsigned32 and Gauge32 share a tag there; the MIB tells them apart. */
typedef enum {
    VADM_SNMP_INTEGER,
    VADM_SNMP_UNSIGNED,
    VADM_SNMP_GAUGE,
    VADM_SNMP_COUNTER32,
    VADM_SNMP_COUNTER64,
    VADM_SNMP_OCTET_STR,
    VADM_SNMP_OTHER /* in a SET: no object of ours has it */
} VadmSnmpType;

#define VADM_DATUM_BUFFER 256
/* Sub-identifiers below the root of the longest instance: lvaContextTable with a name of 32. */
#define VADM_MIB_OID_MAX 48

/* One value. bytes point into the row, or into buffer for what is computed. */
typedef struct {
    VadmSnmpType type;
    guint64 number; /* of INTEGER too: ours are never negative */
    const guint8 *bytes;
    gsize length;
    guint8 buffer[VADM_DATUM_BUFFER];
} VadmDatum;

typedef struct {
    guint32 arcs[VADM_MIB_OID_MAX];
    guint length;
} VadmMibOid;

typedef struct _VadmMib VadmMib;
typedef struct _VadmContexts VadmContexts; /* agent/contexts.h */
typedef struct _VadmColumn VadmColumn;
typedef struct _VadmTable VadmTable;

/* A row of a table; a group of scalars has one, with index 0. */
typedef struct {
    VadmMib *mib;
    const VadmDaemonRow *daemon;
    const void *row; /* type by table: VadmServerRow, ... */
    VadmMibOid index;
} VadmRow;

/* What a SET may bring; a rule beyond that (min > max, grammar) is the source's. */
typedef enum { VADM_RULE_NONE, VADM_RULE_RANGE, VADM_RULE_TEXT, VADM_RULE_BITS } VadmRuleKind;
typedef struct {
    VadmRuleKind kind;
    guint32 min, max; /* RANGE: bounds; TEXT: max octets; BITS: max octets, number of bits */
} VadmRule;

/* FALSE: not instantiated in this row. */
typedef gboolean (*VadmGetter)(const VadmColumn *column, const VadmRow *row, VadmDatum *out);

/* One accessible object. */
struct _VadmColumn {
    guint32 arc;
    const char *name;
    VadmSnmpType type;
    VadmAccess access; /* at most; the source and the configuration can take away */
    VadmField field;   /* VADM_FIELD_NONE: always there */
    VadmGetter get;
    gsize offset;       /* of the member that get reads, where it takes one */
    guint32 max_length; /* octets of a string: a longer one is not instantiated */
    VadmRule rule;      /* of writable ones */
};

/* A table, or a group of scalars: path, then column, then index. */
struct _VadmTable {
    guint32 path[4];
    guint path_length;
    guint n_index; /* how many indexes identify a server (1) or a client (2) in a change */
    const VadmColumn *columns;
    gsize n_columns;
    const VadmColumn *notify_columns; /* accessible-for-notify: in notifications only */
    gsize n_notify_columns;
    /* EQ: the row with exactly row->index; GT: the first one behind it, which may be shorter or
     * longer than an index is. Fills row->row and row->index. */
    gboolean (*find)(VadmView *view, VadmMatch match, VadmRow *row);
};

typedef enum { VADM_GET_OK, VADM_GET_NO_OBJECT, VADM_GET_NO_INSTANCE } VadmGetResult;

/**
 * vadm_mib_new:
 * @source, @settings: (transfer none): must outlive the MIB
 * @contexts: (transfer none) (nullable): what lvaContextTable lists, which is there in the default
 *     context only; must outlive the MIB
 * @writable: FALSE: nothing can be set
 *
 * All functions of this header: snmp thread.
 */
VadmMib *vadm_mib_new(VadmSource *source, VadmSettings *settings, const VadmContexts *contexts,
                      gboolean writable);
void vadm_mib_free(VadmMib *mib);

VadmSource *vadm_mib_get_source(VadmMib *mib);
VadmSettings *vadm_mib_get_settings(VadmMib *mib);
/** vadm_mib_get_contexts: (transfer none) (nullable) */
const VadmContexts *vadm_mib_get_contexts(VadmMib *mib);
gboolean vadm_mib_is_writable(VadmMib *mib);

/** vadm_mib_tables: the tables in the order of their OIDs. */
const VadmTable *const *vadm_mib_tables(gsize *n_tables);

/** vadm_mib_is_own: whether @field is a setting of the agent: one that the source has not. */
gboolean vadm_mib_is_own(VadmMib *mib, VadmField field);
/** vadm_mib_access: what may be done with @column now. */
VadmAccess vadm_mib_access(VadmMib *mib, const VadmColumn *column);

/**
 * vadm_mib_locate:
 * @oid: sub-identifiers below the root
 * @table: (out)
 * @index: (out): what follows the column
 *
 * Returns: (nullable): the column that @oid names, or NULL
 */
const VadmColumn *vadm_mib_locate(const guint32 *oid, gsize length, const VadmTable **table,
                                  VadmMibOid *index);

/** vadm_mib_is_up: whether the daemon can be reached. */
gboolean vadm_mib_is_up(VadmView *view);

/** vadm_mib_has_row: whether the table has a row with exactly @index. */
gboolean vadm_mib_has_row(VadmMib *mib, VadmView *view, const VadmTable *table,
                          const VadmMibOid *index);

/** vadm_mib_get: the value of the instance @oid; @out is valid until the view ends. */
VadmGetResult vadm_mib_get(VadmMib *mib, VadmView *view, const guint32 *oid, gsize length,
                           VadmDatum *out);

/**
 * vadm_mib_next:
 * @oid: any sub-identifiers below the root, none included
 * @found: (out): those of the first instance behind @oid
 *
 * Returns: FALSE at the end of the MIB
 */
gboolean vadm_mib_next(VadmMib *mib, VadmView *view, const guint32 *oid, gsize length,
                       VadmMibOid *found, VadmDatum *out);

/**
 * vadm_mib_read_object:
 * @arc: of an object of @table, also one that is accessible-for-notify
 * @row: with its index
 * @oid: (out): of the instance
 * @out: (out): valid as long as @row's; where there is no value it is the empty one of the type
 */
void vadm_mib_read_object(const VadmTable *table, guint32 arc, const VadmRow *row, VadmMibOid *oid,
                          VadmDatum *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmMib, vadm_mib_free)

#endif
