/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lib/daemon/sasl.h and sasl-layer.h without Cyrus SASL: mechanisms that say what the test tells
 * them to. */
#ifndef FAKE_SASL_H
#define FAKE_SASL_H

#include "common/lock.h"
#include "daemon/sasl-layer.h"

/* Used by the workers. Parts of it are locked by the tests only where a turn may run at the same
 * time. */
typedef struct {
    VadmMutex lock;
    VadmCond cond;
    gboolean blocked; /* turns wait */
    guint waiting;
    guint made, freed, starts, steps;
    GBytes *heard;      /* what the client said last; NULL: nothing */
    char *mechanism;    /* asked for last */
    const char *offers; /* NULL: none */
    gboolean refuses, complete, layer;
    const void *answer; /* NULL: none */
    gsize answer_length;
    char *scripted;
    const char *user; /* NULL: none that could be used */
} FakeSasl;

extern FakeSasl fake_sasl;

void fake_sasl_init(void);
/** fake_sasl_clear: fails where an exchange was not freed. */
void fake_sasl_clear(void);
/** fake_sasl_block: turns that begin wait, or go on. */
void fake_sasl_block(gboolean blocked);
guint fake_sasl_count_waiting(void);
gboolean fake_sasl_all_freed(void);

#endif
