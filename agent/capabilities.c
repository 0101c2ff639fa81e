/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/capabilities.h"

#include <errno.h>
#include <sys/prctl.h>

#include <config.h>
#ifdef HAVE_LIBCAP_NG
#include <cap-ng.h>

/* The bounding set takes CAP_SETPCAP, so it goes first; who does not have that cannot gain by a
 * bounding set either, now that there are no new privileges, and libcap-ng would complain on
 * stderr. */
static gboolean
capabilities_apply_none(void)
{
    gboolean bounds = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);

    capng_clear(CAPNG_SELECT_ALL);
    if (bounds)
        capng_apply(CAPNG_SELECT_BOUNDS);
    return capng_apply(CAPNG_SELECT_CAPS) == 0 && capng_apply(CAPNG_SELECT_AMBIENT) == 0;
}

static gboolean
capabilities_clear(GError **error)
{
    if (capng_get_caps_process() == 0) {
        /* as our unit sees to, which also forbids the system calls that would take them */
        if (capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE || capabilities_apply_none())
            return TRUE;
    }
    g_set_error(error, VADM_ERROR, VADM_ERROR_SYSTEM, "capabilities cannot be given up: %s",
                g_strerror(errno));
    return FALSE;
}
#else
static gboolean
capabilities_clear(GError **error)
{
    (void)error;
    return TRUE;
}
#endif

gboolean
vadm_capabilities_drop(GError **error)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_SYSTEM,
                    "the gaining of privileges cannot be given up: %s", g_strerror(errno));
        return FALSE;
    }
    return capabilities_clear(error);
}
