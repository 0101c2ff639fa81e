/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls-guest.h"

GMainContext *context;
VadmTlsGate *gate;
VadmTls *tls;
static int listener;
guint16 port;

void
setup(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);

    pki_setup();
    tls = pki_load(NULL, NULL);
    ck_assert_ptr_nonnull(tls);
    context = g_main_context_new();
    gate = vadm_tls_gate_new(context, NULL);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, length), 0);
    ck_assert_int_eq(listen(listener, 1024), 0);
    getsockname(listener, (struct sockaddr *)&address, &length);
    port = ntohs(address.sin_port);
}

void
teardown(void)
{
    vadm_tls_gate_free(gate);
    g_main_context_unref(context);
    vadm_tls_unref(tls);
    close(listener);
    pki_teardown();
}

void
spin(void)
{
    if (!g_main_context_iteration(context, FALSE))
        poll(NULL, 0, 1);
}

static void
on_done(GIOStream *stream, const char *dn, const char *warnings, const GError *error, gpointer user)
{
    Guest *guest = user;

    ck_assert_ptr_nonnull(guest->handshake);
    ck_assert((stream == NULL) == (error != NULL));
    ck_assert((stream == NULL) == (dn == NULL));
    guest->handshake = NULL;
    guest->stream = stream ? g_object_ref(stream) : NULL;
    guest->dn = g_strdup(dn);
    guest->warnings = g_strdup(warnings);
    guest->error = error ? g_error_copy(error) : NULL;
}

Guest *
guest_new_allowed(char *const *allowed)
{
    Guest *guest = g_new0(Guest, 1);
    g_autoptr(GSocket) socket = g_socket_new_from_fd(accept(listener, NULL, NULL), NULL);

    g_socket_set_blocking(socket, FALSE);
    guest->base = g_socket_connection_factory_create_connection(socket);
    guest->handshake = vadm_tls_accept(gate, tls, guest->base, allowed, on_done, guest);
    return guest;
}

Guest *
guest_new(void)
{
    return guest_new_allowed(NULL);
}

void
guest_free(Guest *guest)
{
    if (guest->handshake)
        vadm_tls_cancel(guest->handshake);
    g_io_stream_close(guest->stream ? guest->stream : G_IO_STREAM(guest->base), NULL, NULL);
    g_clear_object(&guest->stream);
    g_object_unref(guest->base);
    g_clear_error(&guest->error);
    g_free(guest->dn);
    g_free(guest->warnings);
    g_free(guest);
}

gboolean
is_refused(const Guest *guest, VadmErrorCode code, const char *text)
{
    ck_assert_ptr_null(guest->stream);
    ck_assert_msg(g_error_matches(guest->error, VADM_ERROR, (gint)code), "%s",
                  guest->error->message);
    ck_assert_msg(strstr(guest->error->message, text) != NULL, "%s", guest->error->message);
    return TRUE;
}

void
try_good(const TlsClientInit *init, char *const *allowed)
{
    try_doubtful(init, allowed, NULL);
}

void
try_doubtful(const TlsClientInit *init, char *const *allowed, const char *warning)
{
    TlsClientInit here = *init;
    char expected[256];
    size_t length = sizeof(expected);
    TlsClient *client;
    Guest *guest;

    here.port = port;
    client = tls_client_new(&here);
    guest = guest_new_allowed(allowed);
    SPIN_UNTIL(!guest->handshake);
    ck_assert_msg(guest->stream != NULL, "%s", guest->error ? guest->error->message : "");
    /* what libvirt calls */
    ck_assert_int_eq(gnutls_x509_crt_get_dn(here.pki->crt, expected, &length), 0);
    ck_assert_str_eq(guest->dn, expected);
    ck_assert_pstr_eq(guest->warnings, warning);
    SPIN_UNTIL(tls_client_octet(client) == 1);
    guest_free(guest);
    SPIN_UNTIL(tls_client_ended(client));
    tls_client_free(client);
}
