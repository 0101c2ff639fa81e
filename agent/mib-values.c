/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Getters: how members of rows become values on the wire. */
#include <string.h>

#include "agent/mib-private.h"

#define VADM_MEMBER(type, row, column)                                                             \
    ((const type *)(const void *)((const guint8 *)(row)->row + (column)->offset))

gboolean
vadm_datum_set_number(VadmDatum *out, guint64 number)
{
    out->number = number;
    return TRUE;
}

gboolean
vadm_datum_set_text(VadmDatum *out, const VadmColumn *column, const char *text)
{
    if (!text)
        return FALSE;
    out->bytes = (const guint8 *)text;
    out->length = strlen(text);
    return out->length <= column->max_length;
}

gboolean
vadm_datum_copy_text(VadmDatum *out, const VadmColumn *column, const char *text)
{
    if (!vadm_datum_set_text(out, column, text) || out->length > sizeof(out->buffer))
        return FALSE;
    memcpy(out->buffer, text, out->length);
    out->bytes = out->buffer;
    return TRUE;
}

gboolean
vadm_datum_set_inet_type(VadmDatum *out, const VadmInetAddress *address)
{
    return vadm_datum_set_number(out, address->type);
}

gboolean
vadm_datum_set_inet_octets(VadmDatum *out, const VadmInetAddress *address)
{
    out->bytes = address->octets;
    out->length = MIN(address->length, sizeof(address->octets));
    return TRUE;
}

gboolean
vadm_get_u32(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return vadm_datum_set_number(out, *VADM_MEMBER(guint32, row, column));
}

gboolean
vadm_get_u64(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return vadm_datum_set_number(out, *VADM_MEMBER(guint64, row, column));
}

/* The enumerations of source.h have the MIB's numbers and, having no negative one, the
 * representation of unsigned int. */
gboolean
vadm_get_enum(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    G_STATIC_ASSERT(sizeof(VadmReachability) == sizeof(guint));
    return vadm_datum_set_number(out, *VADM_MEMBER(guint, row, column));
}

/* TruthValue: true(1), false(2) (RFC 2579). */
gboolean
vadm_get_truth(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return vadm_datum_set_number(out, *VADM_MEMBER(gboolean, row, column) ? 1 : 2);
}

gboolean
vadm_get_string(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return vadm_datum_set_text(out, column, *VADM_MEMBER(char *, row, column));
}

/* DateAndTime (RFC 2579) with the offset from UTC, which is zero: always 11 octets. */
gboolean
vadm_datum_set_time(VadmDatum *out, gint64 time_us)
{
    g_autoptr(GDateTime) epoch = NULL;
    g_autoptr(GDateTime) when = NULL;
    int year;

    if (time_us <= 0)
        return FALSE;
    epoch = g_date_time_new_from_unix_utc(time_us / G_USEC_PER_SEC);
    when = epoch ? g_date_time_add(epoch, time_us % G_USEC_PER_SEC) : NULL;
    if (!when)
        return FALSE;
    year = g_date_time_get_year(when);
    out->buffer[0] = (guint8)(year >> 8);
    out->buffer[1] = (guint8)(year & 0xff);
    out->buffer[2] = (guint8)g_date_time_get_month(when);
    out->buffer[3] = (guint8)g_date_time_get_day_of_month(when);
    out->buffer[4] = (guint8)g_date_time_get_hour(when);
    out->buffer[5] = (guint8)g_date_time_get_minute(when);
    out->buffer[6] = (guint8)g_date_time_get_second(when);
    out->buffer[7] = (guint8)(g_date_time_get_microsecond(when) / 100000);
    out->buffer[8] = '+';
    out->buffer[9] = out->buffer[10] = 0;
    out->bytes = out->buffer;
    out->length = 11;
    return TRUE;
}

gboolean
vadm_get_time(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return vadm_datum_set_time(out, *VADM_MEMBER(gint64, row, column));
}

gboolean
vadm_get_inet_type(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return vadm_datum_set_inet_type(out, VADM_MEMBER(VadmInetAddress, row, column));
}

gboolean
vadm_get_inet_octets(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return vadm_datum_set_inet_octets(out, VADM_MEMBER(VadmInetAddress, row, column));
}

gboolean
vadm_get_inet_port(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return vadm_datum_set_number(out, VADM_MEMBER(VadmInetAddress, row, column)->port);
}
