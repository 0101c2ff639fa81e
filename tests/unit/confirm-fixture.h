/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of confirmation and of storage share, beside txn-fixture.c. */
#ifndef VADM_TESTS_CONFIRM_FIXTURE_H
#define VADM_TESTS_CONFIRM_FIXTURE_H

#include "tests/unit/txn-fixture.h"

#include "daemon/rollback.h"
#include "daemon/state.h"

#define CONFIRM(seconds, tag) NUMBER(CONFIG_CONFIRM_TIMEOUT, 0, seconds, tag)
#define STORAGE(kind, tag)    NUMBER(CONFIG_STORAGE, 0, VADM_STORAGE_##kind, tag)

static inline void
change_as(VadmOrigin origin, const VadmChange *changes, guint n)
{
    VadmFault fault;

    if (!vadm_daemon_change(fake, changes, n, origin, 0, &fault))
        ck_abort_msg("refused: %s", fault.error->message);
}

static inline void
change(const VadmChange *changes, guint n)
{
    change_as(VADM_ORIGIN_SNMP, changes, n);
}

static inline void
let_time_run_out(void)
{
    vadm_mutex_lock(&fake->store.lock);
    fake->store.config->confirm_deadline = g_get_monotonic_time() - 1;
    vadm_mutex_unlock(&fake->store.lock);
    vadm_rollback_watch(fake);
}

static inline void
run_loop(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static inline void
wait_generation(guint32 generation)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;

    while (txn_generation() != generation) {
        ck_assert_int_lt(g_get_monotonic_time(), deadline);
        g_main_context_iteration(NULL, FALSE);
    }
}

/* (transfer full): what is in the state file; NULL: there is none */
static inline char *
stored(void)
{
    g_autoptr(VadmConfig) config = vadm_store_get_config(&fake->store);
    g_autofree char *path = vadm_state_path(config);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

#endif
