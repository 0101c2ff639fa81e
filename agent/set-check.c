/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/set-check.h"

#include <string.h>

#define VADM_DESCRIBE_VALUE_MAX 80 /* octets of a text value in a message */

VadmStatus
vadm_status_from_error(const GError *error, VadmPhase phase)
{
    if (phase == VADM_PHASE_ACTION)
        return VADM_STATUS_COMMIT_FAILED;
    if (phase == VADM_PHASE_UNDO)
        return VADM_STATUS_UNDO_FAILED;
    if (!error || error->domain != VADM_ERROR)
        return VADM_STATUS_GEN_ERR;
    switch ((VadmErrorCode)error->code) {
    case VADM_ERROR_INVALID_VALUE:
    case VADM_ERROR_DENIED:
        return VADM_STATUS_WRONG_VALUE;
    case VADM_ERROR_INCONSISTENT:
        return VADM_STATUS_INCONSISTENT_VALUE;
    case VADM_ERROR_NO_SERVER:
    case VADM_ERROR_NO_CLIENT:
        return VADM_STATUS_NO_CREATION;
    case VADM_ERROR_NOT_SUPPORTED:
        return VADM_STATUS_NOT_WRITABLE;
    case VADM_ERROR_BUSY:
    case VADM_ERROR_NO_MEMORY:
    case VADM_ERROR_SYSTEM:
    case VADM_ERROR_NO_CONNECT:
    case VADM_ERROR_TIMEOUT:
        return VADM_STATUS_RESOURCE_UNAVAILABLE;
    case VADM_ERROR_INTERNAL:
    case VADM_ERROR_CONFLICT:
    case VADM_ERROR_RPC:
    case VADM_ERROR_AUTH:
    case VADM_ERROR_CONFIG:
    case VADM_ERROR_NO_SUPPORT:
    case VADM_ERROR_LAST:
    default:
        return VADM_STATUS_GEN_ERR;
    }
}

void
vadm_set_target_clear(VadmSetTarget *target)
{
    g_clear_pointer(&target->text, g_free);
}

/* The type as the wire has it: Unsigned32 and Gauge32 share the tag 0x42 (RFC 2578 section
 * 7.1.11). */
static VadmSnmpType
vadm_set_wire_type(VadmSnmpType type)
{
    return type == VADM_SNMP_GAUGE ? VADM_SNMP_UNSIGNED : type;
}

static VadmStatus
vadm_set_check_range(const VadmSetItem *item, const VadmRule *rule, VadmChange *change,
                     char **broken)
{
    if (item->number < (gint64)rule->min || item->number > (gint64)rule->max) {
        *broken = g_strdup_printf("must be between %u and %u", rule->min, rule->max);
        return VADM_STATUS_WRONG_VALUE;
    }
    change->value.kind = VADM_VALUE_UINT;
    change->value.number = (guint64)item->number;
    return VADM_STATUS_OK;
}

static VadmStatus
vadm_set_check_text(const VadmSetItem *item, const VadmRule *rule, VadmSetTarget *target,
                    char **broken)
{
    if (item->length > rule->max) {
        *broken = g_strdup_printf("%zu octets, at most %u are allowed", item->length, rule->max);
        return VADM_STATUS_WRONG_LENGTH;
    }
    if (item->length > 0 && memchr(item->bytes, '\0', item->length)) {
        *broken = g_strdup("must not contain a NUL");
        return VADM_STATUS_WRONG_VALUE;
    }
    if (item->length > 0 &&
        !g_utf8_validate((const char *)item->bytes, (gssize)item->length, NULL)) {
        *broken = g_strdup("must be UTF-8");
        return VADM_STATUS_WRONG_VALUE;
    }
    target->text =
        item->length > 0 ? g_strndup((const char *)item->bytes, item->length) : g_strdup("");
    target->change.value.kind = VADM_VALUE_STRING;
    target->change.value.string = target->text;
    return VADM_STATUS_OK;
}

/* Fewer octets than the BITS have mean that the bits left out are 0 (RFC 2578 section 7.1.4). */
static VadmStatus
vadm_set_check_bits(const VadmSetItem *item, const VadmRule *rule, VadmChange *change,
                    char **broken)
{
    guint64 number = 0;

    if (item->length > rule->min) {
        *broken = g_strdup_printf("%zu octets, at most %u are allowed", item->length, rule->min);
        return VADM_STATUS_WRONG_LENGTH;
    }
    for (guint bit = 0; bit < item->length * 8; bit++) {
        if (!(item->bytes[bit / 8] & (0x80u >> (bit % 8))))
            continue;
        if (bit >= rule->max) {
            *broken = g_strdup_printf("bit %u is not defined", bit);
            return VADM_STATUS_WRONG_VALUE;
        }
        number |= G_GUINT64_CONSTANT(1) << bit;
    }
    change->value.kind = VADM_VALUE_UINT;
    change->value.number = number;
    return VADM_STATUS_OK;
}

static VadmStatus
vadm_set_check_value(const VadmSetItem *item, VadmSetTarget *target, char **broken)
{
    const VadmRule *rule = &target->column->rule;

    switch (rule->kind) {
    case VADM_RULE_RANGE:
        return vadm_set_check_range(item, rule, &target->change, broken);
    case VADM_RULE_TEXT:
        return vadm_set_check_text(item, rule, target, broken);
    case VADM_RULE_BITS:
        return vadm_set_check_bits(item, rule, &target->change, broken);
    case VADM_RULE_NONE:
    default:
        *broken = g_strdup("cannot be set");
        return VADM_STATUS_NOT_WRITABLE;
    }
}

/* What is not there while the daemon cannot be reached may be there again later. */
static VadmStatus
vadm_set_check_missing(VadmView *view, char **rule)
{
    if (!vadm_mib_is_up(view)) {
        *rule = g_strdup("the daemon cannot be reached");
        return VADM_STATUS_RESOURCE_UNAVAILABLE;
    }
    *rule = g_strdup("no such instance");
    return VADM_STATUS_NO_CREATION;
}

VadmStatus
vadm_set_check(VadmMib *mib, VadmView *view, const VadmSetItem *item, guint tag,
               VadmSetTarget *target, char **rule)
{
    VadmStatus status;

    memset(target, 0, sizeof(*target));
    target->column = vadm_mib_locate(item->oid, item->oid_length, &target->table, &target->index);
    if (!target->column || target->column->access != VADM_ACCESS_WRITE) {
        *rule = g_strdup(target->column ? "is read-only" : "no such object can be set");
        return VADM_STATUS_NOT_WRITABLE;
    }
    if (vadm_mib_access(mib, target->column) != VADM_ACCESS_WRITE) {
        *rule = g_strdup(vadm_mib_is_writable(mib) ? "this daemon cannot change it"
                                                   : "the agent is configured to be read-only");
        return VADM_STATUS_NOT_WRITABLE;
    }
    if (vadm_set_wire_type(item->type) != vadm_set_wire_type(target->column->type)) {
        *rule = g_strdup("wrong type of value");
        return VADM_STATUS_WRONG_TYPE;
    }
    status = vadm_set_check_value(item, target, rule);
    if (status != VADM_STATUS_OK)
        return status;
    if (!vadm_mib_has_row(mib, view, target->table, &target->index))
        return vadm_set_check_missing(view, rule);
    target->change.field = target->column->field;
    target->change.server = target->table->n_index > 0 ? target->index.arcs[0] : 0;
    target->change.client = target->table->n_index > 1 ? target->index.arcs[1] : 0;
    target->change.tag = tag;
    return VADM_STATUS_OK;
}

/* Only what is text is shown as such; a long one is cut at the boundary of a character. */
static void
vadm_set_describe_text(GString *out, const VadmSetItem *item)
{
    gsize shown = MIN(item->length, VADM_DESCRIBE_VALUE_MAX);
    g_autofree char *text = NULL;
    const char *end = (const char *)item->bytes;

    if (shown > 0)
        g_utf8_validate((const char *)item->bytes, (gssize)shown, &end);
    if (end < (const char *)item->bytes + shown &&
        (shown == item->length || item->bytes + shown - (const guint8 *)end > 3)) {
        g_string_append_printf(out, "(%zu octets that are not text)", item->length);
        return;
    }
    shown = (gsize)(end - (const char *)item->bytes);
    text = shown > 0 ? g_strndup((const char *)item->bytes, shown) : g_strdup("");
    for (char *c = text; *c; c++) {
        if (g_ascii_iscntrl(*c))
            *c = ' '; /* a line break would forge a line of the log */
    }
    g_string_append_printf(out, "\"%s\"%s", text, item->length > shown ? "..." : "");
}

char *
vadm_set_describe(const VadmSetItem *item)
{
    GString *out = g_string_new(NULL);
    const VadmTable *table;
    VadmMibOid index;
    const VadmColumn *column = vadm_mib_locate(item->oid, item->oid_length, &table, &index);

    if (column) {
        g_string_append(out, column->name);
        for (guint i = 0; i < index.length; i++)
            g_string_append_printf(out, ".%u", index.arcs[i]);
    } else {
        g_string_append(out, "lvaMIB");
        for (gsize i = 0; i < item->oid_length && i < VADM_MIB_OID_MAX; i++)
            g_string_append_printf(out, ".%u", item->oid[i]);
    }
    g_string_append(out, " = ");
    if (item->type == VADM_SNMP_OCTET_STR)
        vadm_set_describe_text(out, item);
    else if (item->type == VADM_SNMP_OTHER)
        g_string_append(out, "(a value of another type)");
    else
        g_string_append_printf(out, "%" G_GINT64_FORMAT, item->number);
    return g_string_free(out, FALSE);
}
