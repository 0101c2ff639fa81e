/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the relay knows of libvirt's procedures without decoding them: which are high priority, so
 * that priority workers may take them, and which open a stream, so that their serial lives on
 * behind the reply. Numbers as libvirt 9.0.0 dispatches them, plus those that releases up to
 * 10.1 added. A procedure that is not listed is an ordinary one, as in libvirt.
 */
#include "daemon/relay-private.h"

#include <stdlib.h>

typedef struct {
    gint32 first, last;
} VadmRelayRange;

/* In ascending order: searched by bisection. */
static const VadmRelayRange priority_remote[] = {
    {1, 6},     {11, 12},   {15, 15},   {17, 25},   {29, 30},   {35, 38},   {41, 52},   {59, 60},
    {65, 74},   {77, 77},   {80, 80},   {82, 82},   {84, 92},   {95, 102},  {105, 106}, {110, 113},
    {115, 117}, {121, 122}, {124, 124}, {126, 129}, {131, 132}, {134, 134}, {137, 147}, {149, 158},
    {167, 168}, {175, 181}, {186, 189}, {202, 203}, {212, 212}, {227, 229}, {231, 231}, {234, 236},
    {244, 244}, {246, 247}, {273, 275}, {278, 278}, {281, 287}, {291, 291}, {297, 297}, {313, 314},
    {316, 317}, {340, 340}, {350, 350}, {360, 361}, {368, 369}, {374, 375}, {378, 378}, {380, 381},
    {391, 391}, {397, 401}, {404, 405}, {413, 416}, {422, 422}, {429, 437}, {447, 447},
};

/* Registering for, and deregistering from, monitor events; the lxc program has none. */
static const VadmRelayRange priority_qemu[] = {{4, 5}};

/* Tunnelled migration (three generations), console, volume upload and download, screenshot,
 * channel. */
static const VadmRelayRange streams_remote[] = {
    {148, 148}, {201, 201}, {208, 209}, {211, 211}, {215, 215}, {296, 296}, {304, 304},
};

static int
vadm_relay_range_compare(const void *key, const void *element)
{
    const gint32 *procedure = key;
    const VadmRelayRange *range = element;

    if (*procedure < range->first)
        return -1;
    return *procedure > range->last;
}

static gboolean
vadm_relay_listed(const VadmRelayRange *ranges, gsize n_ranges, gint32 procedure)
{
    return bsearch(&procedure, ranges, n_ranges, sizeof(*ranges), vadm_relay_range_compare) != NULL;
}

gboolean
vadm_relay_is_priority(guint32 program, gint32 procedure)
{
    if (program == VADM_RPC_PROGRAM_REMOTE)
        return vadm_relay_listed(priority_remote, G_N_ELEMENTS(priority_remote), procedure);
    if (program == VADM_RPC_PROGRAM_QEMU)
        return vadm_relay_listed(priority_qemu, G_N_ELEMENTS(priority_qemu), procedure);
    return FALSE;
}

gboolean
vadm_relay_opens_stream(guint32 program, gint32 procedure)
{
    return program == VADM_RPC_PROGRAM_REMOTE &&
           vadm_relay_listed(streams_remote, G_N_ELEMENTS(streams_remote), procedure);
}
