/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/source.h"

/* Counted by the inline operations of g_atomic_int_*: ThreadSanitizer does not see into the
 * functions g_atomic_ref_count_*, and would report false races. */

VadmIdentity *
vadm_identity_new(void)
{
    VadmIdentity *identity = g_new0(VadmIdentity, 1);

    identity->refs = 1;
    identity->uid = identity->gid = G_MAXUINT32;
    identity->user_name = g_strdup("");
    identity->group_name = g_strdup("");
    identity->selinux_context = g_strdup("");
    identity->sasl_user_name = g_strdup("");
    identity->x509_dn = g_strdup("");
    identity->sock_addr = g_strdup("");
    return identity;
}

VadmIdentity *
vadm_identity_ref(VadmIdentity *identity)
{
    g_atomic_int_inc(&identity->refs);
    return identity;
}

void
vadm_identity_unref(VadmIdentity *identity)
{
    if (!identity || !g_atomic_int_dec_and_test(&identity->refs))
        return;
    g_free(identity->user_name);
    g_free(identity->group_name);
    g_free(identity->selinux_context);
    g_free(identity->sasl_user_name);
    g_free(identity->x509_dn);
    g_free(identity->sock_addr);
    g_free(identity);
}

VadmIdentity *
vadm_identity_copy(const VadmIdentity *identity)
{
    VadmIdentity *copy = g_new0(VadmIdentity, 1);

    /* field by field: others may count the original's references meanwhile */
    copy->refs = 1;
    copy->local = identity->local;
    copy->uid = identity->uid;
    copy->gid = identity->gid;
    copy->pid = identity->pid;
    copy->named = identity->named;
    copy->address = identity->address;
    copy->user_name = g_strdup(identity->user_name);
    copy->group_name = g_strdup(identity->group_name);
    copy->selinux_context = g_strdup(identity->selinux_context);
    copy->sasl_user_name = g_strdup(identity->sasl_user_name);
    copy->x509_dn = g_strdup(identity->x509_dn);
    copy->sock_addr = g_strdup(identity->sock_addr);
    return copy;
}

char *
vadm_identity_peer(const VadmIdentity *identity, VadmTransport transport)
{
    static const char *const names[] = {"unknown", "unix", "tcp", "tls"};

    if (identity && *identity->sock_addr)
        return g_strdup(identity->sock_addr);
    if (identity && identity->local && transport == VADM_TRANSPORT_UNIX)
        return g_strdup_printf("unix:pid=%u,uid=%u", identity->pid, identity->uid);
    return g_strdup(names[transport < G_N_ELEMENTS(names) ? transport : 0]);
}
