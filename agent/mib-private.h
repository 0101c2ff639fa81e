/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the tables of data in mib-*.c are written. To add a column: one line in the MIB, one row
 * here (in the order of the arcs); the unit test fails until both agree.
 */
#ifndef VADM_AGENT_MIB_PRIVATE_H
#define VADM_AGENT_MIB_PRIVATE_H

#include "agent/mib.h"
#include "mib/lva-mib.h"

#define VADM_SNMP_STRING_MAX      255u  /* SnmpAdminString */
#define VADM_SNMP_LONG_STRING_MAX 4096u /* LvaLongString */
#define VADM_SNMP_NAME_MAX        32u   /* lvaDaemonName */

#define VADM_RANGE(from, to)                                                                       \
    {                                                                                              \
        VADM_RULE_RANGE, (from), (to)                                                              \
    }
#define VADM_TEXT(octets)                                                                          \
    {                                                                                              \
        VADM_RULE_TEXT, 0, (octets)                                                                \
    }
#define VADM_BITS(bits)                                                                            \
    {                                                                                              \
        VADM_RULE_BITS, ((bits) + 7) / 8, (bits)                                                   \
    }

/* A column whose value is a member of the row. */
#define VADM_COLUMN(object, wire, source_field, getter, struct_type, member)                       \
    {                                                                                              \
        .arc = LVA_ARC_##object, .name = #object, .type = VADM_SNMP_##wire,                        \
        .access = VADM_ACCESS_READ, .field = VADM_FIELD_##source_field, .get = getter,             \
        .offset = offsetof(struct_type, member)                                                    \
    }
/* A string of at most octets. */
#define VADM_COLUMN_TEXT(object, source_field, struct_type, member, octets)                        \
    {                                                                                              \
        .arc = LVA_ARC_##object, .name = #object, .type = VADM_SNMP_OCTET_STR,                     \
        .access = VADM_ACCESS_READ, .field = VADM_FIELD_##source_field, .get = vadm_get_string,    \
        .offset = offsetof(struct_type, member), .max_length = (octets)                            \
    }
/* A column whose getter finds the value itself. */
#define VADM_COLUMN_OWN(object, wire, source_field, getter, octets)                                \
    {                                                                                              \
        .arc = LVA_ARC_##object, .name = #object, .type = VADM_SNMP_##wire,                        \
        .access = VADM_ACCESS_READ, .field = VADM_FIELD_##source_field, .get = getter,             \
        .max_length = (octets)                                                                     \
    }
/* The same, writable; rule: what a SET may bring. */
#define VADM_COLUMN_RW(object, wire, source_field, getter, struct_type, member, octets, ...)       \
    {                                                                                              \
        .arc = LVA_ARC_##object, .name = #object, .type = VADM_SNMP_##wire,                        \
        .access = VADM_ACCESS_WRITE, .field = VADM_FIELD_##source_field, .get = getter,            \
        .offset = offsetof(struct_type, member), .max_length = (octets), .rule = __VA_ARGS__       \
    }
#define VADM_COLUMN_OWN_RW(object, wire, source_field, getter, octets, ...)                        \
    {                                                                                              \
        .arc = LVA_ARC_##object, .name = #object, .type = VADM_SNMP_##wire,                        \
        .access = VADM_ACCESS_WRITE, .field = VADM_FIELD_##source_field, .get = getter,            \
        .max_length = (octets), .rule = __VA_ARGS__                                                \
    }

/* Getters of a member, by its C type. */
gboolean vadm_get_u32(const VadmColumn *column, const VadmRow *row, VadmDatum *out);
gboolean vadm_get_u64(const VadmColumn *column, const VadmRow *row, VadmDatum *out);
gboolean vadm_get_enum(const VadmColumn *column, const VadmRow *row, VadmDatum *out);
gboolean vadm_get_truth(const VadmColumn *column, const VadmRow *row, VadmDatum *out);
gboolean vadm_get_string(const VadmColumn *column, const VadmRow *row, VadmDatum *out);
/* gint64 microseconds since the epoch as DateAndTime, UTC; 0, unknown, is not instantiated. */
gboolean vadm_get_time(const VadmColumn *column, const VadmRow *row, VadmDatum *out);
/* The three objects of a VadmInetAddress member. */
gboolean vadm_get_inet_type(const VadmColumn *column, const VadmRow *row, VadmDatum *out);
gboolean vadm_get_inet_octets(const VadmColumn *column, const VadmRow *row, VadmDatum *out);
gboolean vadm_get_inet_port(const VadmColumn *column, const VadmRow *row, VadmDatum *out);

/* What getters are made of. */
gboolean vadm_datum_set_number(VadmDatum *out, guint64 number);
/* Borrows text; FALSE when it is longer than the column's type. */
gboolean vadm_datum_set_text(VadmDatum *out, const VadmColumn *column, const char *text);
/* Copies text into the datum's own buffer. */
gboolean vadm_datum_copy_text(VadmDatum *out, const VadmColumn *column, const char *text);
/* As vadm_get_time(). */
gboolean vadm_datum_set_time(VadmDatum *out, gint64 time_us);
gboolean vadm_datum_set_inet_type(VadmDatum *out, const VadmInetAddress *address);
gboolean vadm_datum_set_inet_octets(VadmDatum *out, const VadmInetAddress *address);

/* For find: a group of scalars has the one row with index 0. */
gboolean vadm_mib_match_scalar(VadmMatch match, VadmRow *row);
/* For find: an index of n numbers. GT: the numbers that the source's GT is to be asked with,
 * zero where the given index is shorter. EQ: FALSE unless it has exactly n. */
gboolean vadm_mib_match_numbers(VadmMatch match, const VadmRow *row, guint n, guint32 *numbers);
void vadm_mib_set_index(VadmRow *row, guint n, guint32 first, guint32 second);
/* Whether the tables have rows at all. */
gboolean vadm_mib_is_reachable(const VadmRow *row);

extern const VadmTable vadm_mib_daemon_scalars;
extern const VadmTable vadm_mib_config_scalars;
extern const VadmTable vadm_mib_log_scalars;
extern const VadmTable vadm_mib_log_stats_table;
extern const VadmTable vadm_mib_server_table;
extern const VadmTable vadm_mib_service_table;
extern const VadmTable vadm_mib_client_table;
extern const VadmTable vadm_mib_notify_scalars;
extern const VadmTable vadm_mib_context_table;
extern const VadmTable vadm_mib_tables_scalars;

#endif
