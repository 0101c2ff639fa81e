/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the transactions need of a daemon: the configuration in force and the writer token.
 * Readers take a reference under a short mutex and never wait for a writer; writers pass the
 * token from one to the next, it spans the phases of a transaction and so is no mutex.
 */
#ifndef VADM_DAEMON_STORE_H
#define VADM_DAEMON_STORE_H

#include "common/lock.h"
#include "daemon/config.h"
#include "daemon/saver.h"

typedef struct {
    VadmMutex lock;         /* leaf: nothing else is locked or called under it */
    VadmConfig *config;     /* in force, never NULL between init and clear; under lock */
    guint32 max_generation; /* the highest ever stamped: an undone one is not used again */
    gpointer holder;        /* who has the writer token, NULL: nobody; under lock */
    VadmCond released;      /* signalled when the token is free */

    VadmSaver *saver; /* constant; NULL in tests that store nothing */

    /* for reload.c; main thread */
    GSource *retry; /* a reload waits for the token, or for a confirmation */
    char *retry_path;
    gboolean reloading; /* one is with the saver */
    gboolean again;     /* and another one has been asked for meanwhile */

    GSource *rollback; /* for rollback.c: the time of the confirmation; main thread */
} VadmStore;

/**
 * vadm_store_init:
 * @config: (transfer none): put in force with generation 1, the time of now and origin
 *     startup; the strings of logging become those of its log_set. Where it has no file or base,
 *     that is what it says itself. Nobody else may see it yet.
 */
void vadm_store_init(VadmStore *store, VadmConfig *config);
/** vadm_store_clear: the token must be free, the saver gone, and no thread may use @store any
 * more. */
void vadm_store_clear(VadmStore *store);

/** vadm_store_get_config: Returns: (transfer full): the configuration in force. Any thread. */
VadmConfig *vadm_store_get_config(VadmStore *store);

/**
 * vadm_store_acquire:
 * @holder: who takes the writer token; not NULL, names this acquisition
 * @wait_us: how long to wait for it, microseconds; 0: not at all
 *
 * Any thread. Returns: FALSE when somebody else had it all the time.
 */
gboolean vadm_store_acquire(VadmStore *store, gpointer holder, gint64 wait_us);
/** vadm_store_release: only the holder; any thread, not just the one that acquired it. */
void vadm_store_release(VadmStore *store, gpointer holder);

/**
 * vadm_store_commit:
 * @next: (transfer none): put in force. Nobody else may see it yet.
 * @counted: it is another configuration: it is stamped with the next generation, the time of now
 *     and @origin
 *
 * The holder of the token only.
 */
void vadm_store_commit(VadmStore *store, VadmConfig *next, VadmOrigin origin, gboolean counted);
/**
 * vadm_store_undo:
 * @mine: what the caller has put in force
 * @previous: (transfer none): what to put back, with the stamp that it has
 *
 * Returns: FALSE: @mine is not in force (any more); nothing was done.
 */
gboolean vadm_store_undo(VadmStore *store, const VadmConfig *mine, VadmConfig *previous);

#endif
