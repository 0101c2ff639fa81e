/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/tls-database.h"

G_DECLARE_FINAL_TYPE(VadmTlsDatabase, vadm_tls_database, VADM, TLS_DATABASE, GTlsDatabase)

struct _VadmTlsDatabase {
    GTlsDatabase parent;
};

G_DEFINE_TYPE(VadmTlsDatabase, vadm_tls_database, G_TYPE_TLS_DATABASE)

/* Never good: GIO takes in without a question whose certificate is. */
static GTlsCertificateFlags
vadm_tls_database_verify_chain(GTlsDatabase *database, GTlsCertificate *chain, const char *purpose,
                               GSocketConnectable *identity, GTlsInteraction *interaction,
                               GTlsDatabaseVerifyFlags flags, GCancellable *cancellable,
                               GError **error)
{
    (void)database;
    (void)chain;
    (void)purpose;
    (void)identity;
    (void)interaction;
    (void)flags;
    (void)cancellable;
    (void)error;
    return G_TLS_CERTIFICATE_UNKNOWN_CA;
}

static void
vadm_tls_database_class_init(VadmTlsDatabaseClass *class)
{
    G_TLS_DATABASE_CLASS(class)->verify_chain = vadm_tls_database_verify_chain;
}

static void
vadm_tls_database_init(VadmTlsDatabase *database)
{
    (void)database;
}

GTlsDatabase *
vadm_tls_database_new(void)
{
    return g_object_new(vadm_tls_database_get_type(), NULL);
}
