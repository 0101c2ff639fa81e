/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections: opening, closing, references, what they are connected to. */
#include "admin/vir-connect.h"

#include <signal.h>
#include <unistd.h>

#include "admin/uri.h"
#include "admin/vir-connect-private.h"

/* The one flag that libvirt knows, VIR_CONNECT_NO_ALIASES, is not for the daemon. */
#define NO_ALIASES 2u

/* A daemon handles five calls of a client at a time, if its configuration does not say otherwise,
 * and does not read what comes behind them: our signs of life would go unanswered there. */
#define MAX_IN_FLIGHT 4

#define CONNECT_TIMEOUT    30
#define CALL_TIMEOUT       60
#define KEEPALIVE_INTERVAL 5
#define KEEPALIVE_COUNT    5
#define SECONDS_MAX        86400

/* GLib has SIGPIPE ignored as soon as it makes a socket, which is not for a library to do. */
static void
initialize(void)
{
    struct sigaction before;

    sigaction(SIGPIPE, NULL, &before);
    g_type_class_unref(g_type_class_ref(G_TYPE_SOCKET));
    sigaction(SIGPIPE, &before, NULL);
}

static void
initialize_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, initialize);
}

VADM_VIR_PUBLIC int
virAdmInitialize(void)
{
    initialize_once();
    return 0;
}

VADM_VIR_PUBLIC int
virAdmGetVersion(unsigned long long *libVer)
{
    vadm_vir_enter();
    if (!libVer) {
        vadm_vir_raise_null(VIR_FROM_ADMIN, "libVer", __func__);
        return -1;
    }
    *libVer = LIBVIR_VERSION_NUMBER;
    return 0;
}

/* ---- opening ---- */

static gboolean
read_environment(const char *name, guint preset, guint *value)
{
    const char *text = g_getenv(name);
    guint64 number;

    *value = preset;
    if (!text || *text == '\0')
        return TRUE;
    if (!g_ascii_string_to_unsigned(text, 10, 0, SECONDS_MAX, &number, NULL)) {
        vadm_vir_raise(VIR_ERR_INVALID_ARG, VIR_FROM_ADMIN,
                       "environment variable %s is '%s', not a number from 0 to %d", name, text,
                       SECONDS_MAX);
        return FALSE;
    }
    *value = (guint)number;
    return TRUE;
}

static gboolean
read_options(VadmSessionOptions *options)
{
    guint connect, call, interval, count;

    if (!read_environment("VIRTADM_CONNECT_TIMEOUT", CONNECT_TIMEOUT, &connect) ||
        !read_environment("VIRTADM_CALL_TIMEOUT", CALL_TIMEOUT, &call) ||
        !read_environment("VIRTADM_KEEPALIVE_INTERVAL", KEEPALIVE_INTERVAL, &interval) ||
        !read_environment("VIRTADM_KEEPALIVE_COUNT", KEEPALIVE_COUNT, &count))
        return FALSE;
    options->connect_timeout_ms = connect * 1000;
    options->call_timeout_ms = call * 1000;
    options->keepalive_interval = (gint)interval;
    options->keepalive_count = count;
    options->max_in_flight = MAX_IN_FLIGHT;
    return TRUE;
}

/* Of libvirt-admin.conf. */
static void
raise_conf_error(const GError *error)
{
    switch (error->code) {
    case VADM_ERROR_SYSTEM:
        vadm_vir_raise_gerror(VIR_FROM_NONE, error);
        return;
    case VADM_ERROR_INVALID_VALUE:
        vadm_vir_raise(VIR_ERR_INTERNAL_ERROR, VIR_FROM_CONF, "%s", error->message);
        return;
    case VADM_ERROR_NOT_SUPPORTED:
        vadm_vir_raise(VIR_ERR_CONF_SYNTAX, VIR_FROM_URI, "%s", error->message);
        return;
    default:
        vadm_vir_raise(VIR_ERR_CONF_SYNTAX, VIR_FROM_CONF, "%s", error->message);
    }
}

/* What is no URI at all, libvirt reports as a fault of its parser. */
static void
raise_uri_error(const GError *error)
{
    if (g_error_matches(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE))
        vadm_vir_raise(VIR_ERR_INTERNAL_ERROR, VIR_FROM_URI, "%s", error->message);
    else
        vadm_vir_raise_gerror(VIR_FROM_ADMIN, error);
}

static void
connect_dispose(gpointer object)
{
    virAdmConnectPtr conn = object;

    vadm_vir_close_callback_drop(conn);
    /* In the child of a fork there is no thread of ours, and what it held is in an unknown state:
     * it stays as it is. */
    if (conn->io && conn->pid == getpid())
        vadm_vir_io_close(conn->io);
    vadm_mutex_clear(&conn->lock);
    g_free(conn->uri);
    g_free(conn);
}

/* @uri: (transfer full) */
static virAdmConnectPtr
connect_new(char *uri)
{
    virAdmConnectPtr conn = g_new0(virAdmConnect, 1);

    vadm_vir_object_init(&conn->object, VADM_VIR_CONNECT, connect_dispose);
    vadm_mutex_init(&conn->lock);
    conn->uri = uri;
    conn->pid = getpid();
    return conn;
}

static gboolean
connect_open(virAdmConnectPtr conn, const VadmSessionOptions *options)
{
    g_autoptr(VadmMessage) refusal = NULL;
    g_autoptr(GError) error = NULL;

    conn->io = vadm_vir_io_open(options, vadm_vir_close_callback_on_end, conn, &refusal, &error);
    if (conn->io)
        return TRUE;
    if (refusal)
        vadm_vir_raise_reply(refusal);
    else
        vadm_vir_raise_gerror(VIR_FROM_RPC, error);
    return FALSE;
}

VADM_VIR_PUBLIC virAdmConnectPtr
virAdmConnectOpen(const char *name, unsigned int flags)
{
    VadmSessionOptions options = {0};
    g_autofree char *uri = NULL, *path = NULL;
    g_autoptr(GError) error = NULL;
    virAdmConnectPtr conn;

    vadm_vir_enter();
    initialize_once();
    if (!read_options(&options))
        return NULL;
    uri = vadm_admin_uri_resolve(name, (flags & NO_ALIASES) == 0, &error);
    if (!uri) {
        raise_conf_error(error);
        return NULL;
    }
    path = vadm_admin_uri_to_socket(uri, &error);
    if (!path) {
        raise_uri_error(error);
        return NULL;
    }
    options.path = path;
    conn = connect_new(vadm_admin_uri_format(uri));
    if (!connect_open(conn, &options)) {
        vadm_vir_object_unref(conn);
        return NULL;
    }
    /* In libvirt it is the daemon that knows no flags: a program sees the same error here. */
    if ((flags & ~NO_ALIASES) != 0) {
        vadm_vir_object_unref(conn);
        vadm_vir_raise_flags(flags & ~NO_ALIASES, "adminDispatchConnectOpen");
        return NULL;
    }
    return conn;
}

/* ---- references ---- */

VADM_VIR_PUBLIC int
virAdmConnectClose(virAdmConnectPtr conn)
{
    vadm_vir_enter();
    if (!conn)
        return 0;
    return vadm_vir_object_release(conn, VADM_VIR_CONNECT, __func__);
}

VADM_VIR_PUBLIC int
virAdmConnectRef(virAdmConnectPtr conn)
{
    g_autoptr(VadmVirObject) held = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return -1;
    vadm_vir_object_ref(conn);
    return 0;
}

/* ---- what it is ---- */

VADM_VIR_PUBLIC int
virAdmConnectIsAlive(virAdmConnectPtr conn)
{
    g_autoptr(VadmVirObject) held = NULL;

    vadm_vir_enter();
    if (!conn)
        return 0;
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return -1;
    return conn->pid == getpid() && vadm_vir_io_is_open(conn->io) ? 1 : 0;
}

VADM_VIR_PUBLIC char *
virAdmConnectGetURI(virAdmConnectPtr conn)
{
    g_autoptr(VadmVirObject) held = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    return held ? g_strdup(conn->uri) : NULL;
}
