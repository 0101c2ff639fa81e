/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/views.h"

typedef struct {
    VadmView *view; /* NULL: the slot is free */
    VadmTxnKey key;
    gint64 begun;
} VadmViewSlot;

struct _VadmViews {
    VadmSource *source;
    VadmViewSlot slots[VADM_VIEWS_MAX];
};

VadmViews *
vadm_views_new(VadmSource *source)
{
    VadmViews *views = g_new0(VadmViews, 1);

    views->source = source;
    return views;
}

static void
vadm_views_end(VadmViews *views, VadmViewSlot *slot)
{
    if (slot->view)
        views->source->class->view_end(slot->view);
    slot->view = NULL;
}

void
vadm_views_clear(VadmViews *views)
{
    for (guint i = 0; i < VADM_VIEWS_MAX; i++)
        vadm_views_end(views, &views->slots[i]);
}

void
vadm_views_free(VadmViews *views)
{
    if (!views)
        return;
    vadm_views_clear(views);
    g_free(views);
}

guint
vadm_views_expire(VadmViews *views, gint64 now)
{
    guint left = 0;

    for (guint i = 0; i < VADM_VIEWS_MAX; i++) {
        VadmViewSlot *slot = &views->slots[i];

        if (slot->view && now - slot->begun >= VADM_VIEW_LIFE_US)
            vadm_views_end(views, slot);
        left += slot->view != NULL;
    }
    return left;
}

/* A free slot, or that of the oldest view. */
static VadmViewSlot *
vadm_views_make_room(VadmViews *views)
{
    VadmViewSlot *oldest = &views->slots[0];

    for (guint i = 0; i < VADM_VIEWS_MAX; i++) {
        VadmViewSlot *slot = &views->slots[i];

        if (!slot->view)
            return slot;
        if (slot->begun < oldest->begun)
            oldest = slot;
    }
    vadm_views_end(views, oldest);
    return oldest;
}

VadmView *
vadm_views_get(VadmViews *views, VadmTxnKey key, gint64 now)
{
    VadmViewSlot *slot;

    vadm_views_expire(views, now);
    for (guint i = 0; i < VADM_VIEWS_MAX; i++) {
        slot = &views->slots[i];
        if (slot->view && vadm_txn_key_equal(slot->key, key))
            return slot->view;
    }
    slot = vadm_views_make_room(views);
    slot->view = views->source->class->view_begin(views->source);
    slot->key = key;
    slot->begun = now;
    return slot->view;
}
