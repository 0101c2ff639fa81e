/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/error.h"

#include <stdarg.h>

typedef struct {
    int errnum;
} VadmErrorPrivate;

static void
vadm_error_private_init(VadmErrorPrivate *priv)
{
    priv->errnum = 0;
}

static void
vadm_error_private_copy(const VadmErrorPrivate *src, VadmErrorPrivate *dest)
{
    *dest = *src;
}

static void
vadm_error_private_clear(VadmErrorPrivate *priv)
{
    (void)priv;
}

/* The macro defines vadm_error_quark() and the accessor of the private part. */
G_DEFINE_EXTENDED_ERROR(VadmError, vadm_error)

/* While there is one thread: ThreadSanitizer does not see what guards it, which is in libglib, and
 * a suppression by name is of no use where descriptors are too few to look names up. */
__attribute__((constructor)) static void
register_domain(void)
{
    (void)vadm_error_quark();
}

void
vadm_error_set_errno(GError **error, int errnum, const char *format, ...)
{
    va_list args;
    g_autofree char *what = NULL;
    GError *made;
    VadmErrorPrivate *priv;

    if (!error)
        return;
    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    made = g_error_new(VADM_ERROR, VADM_ERROR_SYSTEM, "%s: %s", what, g_strerror(errnum));
    priv = vadm_error_get_private(made);
    if (priv)
        priv->errnum = errnum;
    g_propagate_error(error, made);
}

int
vadm_error_get_errno(const GError *error)
{
    const VadmErrorPrivate *priv;

    if (!error || error->domain != VADM_ERROR)
        return 0;
    priv = vadm_error_get_private(error);
    return priv ? priv->errnum : 0;
}
