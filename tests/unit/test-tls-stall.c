/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handshakes: those who are no clients, or stop on the way, keep nobody out. */
#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls-guest.h"

static Guest *
raw_guest(int *fd)
{
    *fd = tls_connect(port);
    return guest_new();
}

static void
say(int fd, const void *data, gsize length)
{
    ck_assert_int_eq(send(fd, data, length, MSG_NOSIGNAL), (ssize_t)length);
}

START_TEST(garbage)
{
    const guint8 plain[28] = {0, 0, 0, 28, 0x20, 0, 0x80, 0x86};
    g_autoptr(GByteArray) hello = tls_make_hello();
    int fd;
    Guest *guest = raw_guest(&fd);

    say(fd, plain, sizeof(plain));
    SPIN_UNTIL(!guest->handshake);
    ck_assert(is_refused(guest, VADM_ERROR_AUTH, "does not speak TLS"));
    guest_free(guest);
    close(fd);
    /* a hello whose inside is garbage gets as far as GnuTLS */
    memset(hello->data + 9, 0xff, hello->len - 9);
    guest = raw_guest(&fd);
    say(fd, hello->data, hello->len);
    SPIN_UNTIL(!guest->handshake);
    ck_assert(is_refused(guest, VADM_ERROR_AUTH, ""));
    guest_free(guest);
    close(fd);
}
END_TEST

START_TEST(ends_early)
{
    g_autoptr(GByteArray) hello = tls_make_hello();
    int fd;
    Guest *guest = raw_guest(&fd);

    close(fd); /* that is nobody who tried something */
    SPIN_UNTIL(!guest->handshake);
    ck_assert(is_refused(guest, VADM_ERROR_NO_CONNECT, "closed the connection"));
    guest_free(guest);
    guest = raw_guest(&fd);
    say(fd, hello->data, 40);
    SPIN_UNTIL(g_socket_get_available_bytes(g_socket_connection_get_socket(guest->base)) == 40);
    for (int i = 0; i < 100; i++)
        spin();
    ck_assert_ptr_nonnull(guest->handshake);
    shutdown(fd, SHUT_WR);
    SPIN_UNTIL(!guest->handshake);
    ck_assert(is_refused(guest, VADM_ERROR_AUTH, "closed the connection"));
    guest_free(guest);
    close(fd);
    guest = raw_guest(&fd); /* within the handshake */
    say(fd, hello->data, hello->len);
    shutdown(fd, SHUT_WR);
    SPIN_UNTIL(!guest->handshake);
    ck_assert(is_refused(guest, VADM_ERROR_AUTH, ""));
    guest_free(guest);
    close(fd);
}
END_TEST

/* The main loop is not turned by those who send octet by octet, and a whole hello is found however
 * it comes. */
START_TEST(dribbling)
{
    g_autoptr(GByteArray) hello = tls_make_hello();
    int fd;
    Guest *guest = raw_guest(&fd);
    guint turns = 0;

    for (guint at = 0; at < hello->len - 1; at++) {
        say(fd, hello->data + at, 1);
        while (g_main_context_iteration(context, FALSE))
            turns++;
    }
    SPIN_UNTIL(g_socket_get_available_bytes(g_socket_connection_get_socket(guest->base)) ==
               (gssize)hello->len - 1);
    ck_assert_ptr_nonnull(guest->handshake);
    ck_assert_uint_le(turns, 8);
    say(fd, hello->data + hello->len - 1, 1);
    /* the server's answer comes */
    SPIN_UNTIL(({
        char octet;
        recv(fd, &octet, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
    }));
    guest_free(guest);
    close(fd);
}
END_TEST

static guint
count_entries(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    guint count = 0;

    while (g_dir_read_name(dir))
        count++;
    return count;
}

#define STALLED 40u

/* More than there are places neither say anything nor answer: the others come in. */
START_TEST(stalled)
{
    g_autoptr(GByteArray) hello = tls_make_hello();
    Guest *silent[STALLED], *mute[STALLED], *good;
    int fds[2][STALLED];
    guint threads = count_entries("/proc/self/task");
    guint thrown_out = 0;
    gint64 begin;
    TlsClient *client;

    for (guint i = 0; i < STALLED; i++)
        silent[i] = raw_guest(&fds[0][i]);
    for (guint i = 0; i < STALLED / 2; i++) {
        mute[i] = raw_guest(&fds[1][i]);
        say(fds[1][i], hello->data, hello->len);
    }
    begin = g_get_monotonic_time();
    client = tls_client_new(&(TlsClientInit){.pki = pki.client, .port = port});
    good = guest_new();
    SPIN_UNTIL(!good->handshake);
    ck_assert_msg(good->stream != NULL, "%s", good->error ? good->error->message : "");
    /* two and a half rounds of two seconds; and GTask's ten threads, our eight, its manager's */
    ck_assert_int_lt(g_get_monotonic_time() - begin, PATIENCE / 2);
    ck_assert_uint_le(count_entries("/proc/self/task"), threads + 24);
    for (guint i = 0; i < STALLED / 2; i++)
        if (!mute[i]->handshake) {
            thrown_out++;
            ck_assert(is_refused(mute[i], VADM_ERROR_AUTH, "silent in its handshake"));
        }
    ck_assert_uint_ge(thrown_out, 8);
    guest_free(good);
    for (guint i = 0; i < STALLED; i++) {
        ck_assert_ptr_nonnull(silent[i]->handshake);
        guest_free(silent[i]);
        close(fds[0][i]);
    }
    for (guint i = 0; i < STALLED / 2; i++) {
        guest_free(mute[i]);
        close(fds[1][i]);
    }
    SPIN_UNTIL(tls_client_ended(client));
    tls_client_free(client);
}
END_TEST

/* Nobody else wants the place. */
START_TEST(slow_alone)
{
    g_autoptr(GByteArray) hello = tls_make_hello();
    int fd;
    Guest *guest = raw_guest(&fd);
    gint64 until;

    say(fd, hello->data, hello->len);
    for (until = g_get_monotonic_time() + 3 * G_USEC_PER_SEC; g_get_monotonic_time() < until;)
        spin();
    ck_assert_ptr_nonnull(guest->handshake);
    guest_free(guest);
    close(fd);
}
END_TEST

/* In all phases, and nothing is left behind. */
START_TEST(thousand_given_up)
{
    g_autoptr(GByteArray) hello = tls_make_hello();
    guint fds = 0;

    for (guint i = 0; i < 1000; i++) {
        int fd;
        Guest *guest = raw_guest(&fd);
        gsize part = i % 5 == 4 ? 0 : hello->len >> (i % 5);

        say(fd, hello->data, part);
        for (guint j = 0; j < i % 7; j++)
            spin();
        if (i % 3 == 0)
            close(fd);
        guest_free(guest);
        if (i % 3 != 0)
            close(fd);
        if (i == 99)
            fds = count_entries("/proc/self/fd");
    }
    SPIN_UNTIL(count_entries("/proc/self/fd") <= fds + 8);
    ck_assert_uint_le(count_entries("/proc/self/task"), 1 + 8 + 10 + 6);
    try_good(&(TlsClientInit){.pki = pki.client}, NULL);
}
END_TEST

/* While a thread is in it, closing the connection leaves the descriptor alone. */
START_TEST(closed_under_a_thread)
{
    g_autoptr(GByteArray) hello = tls_make_hello();
    int fd, number;
    Guest *guest = raw_guest(&fd);
    char octet;

    say(fd, hello->data, hello->len);
    SPIN_UNTIL(recv(fd, &octet, 1, MSG_DONTWAIT | MSG_PEEK) == 1);
    number = g_socket_get_fd(g_socket_connection_get_socket(guest->base));
    g_io_stream_close(G_IO_STREAM(guest->base), NULL, NULL);
    ck_assert(!g_socket_is_closed(g_socket_connection_get_socket(guest->base)));
    ck_assert_int_ge(fcntl(number, F_GETFD), 0);
    g_object_ref(guest->base);
    vadm_tls_cancel(guest->handshake);
    guest->handshake = NULL;
    SPIN_UNTIL(g_socket_is_closed(g_socket_connection_get_socket(guest->base)));
    g_object_unref(guest->base);
    guest_free(guest);
    close(fd);
}
END_TEST

/* The gate ends while handshakes are under way that nobody wants any more. */
START_TEST(gate_ends)
{
    g_autoptr(GByteArray) hello = tls_make_hello();
    int fds[20];
    Guest *guests[20];

    for (guint i = 0; i < G_N_ELEMENTS(guests); i++) {
        guests[i] = raw_guest(&fds[i]);
        say(fds[i], hello->data, hello->len);
    }
    for (guint i = 0; i < 20; i++)
        spin();
    for (guint i = 0; i < G_N_ELEMENTS(guests); i++) {
        guest_free(guests[i]);
        close(fds[i]);
    }
    vadm_tls_gate_free(g_steal_pointer(&gate));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tls-stall");
    TCase *stall = tcase_create("stall");

    tcase_add_checked_fixture(stall, setup, teardown);
    tcase_add_test(stall, garbage);
    tcase_add_test(stall, ends_early);
    tcase_add_test(stall, dribbling);
    tcase_add_test(stall, stalled);
    tcase_add_test(stall, slow_alone);
    tcase_add_test(stall, thousand_given_up);
    tcase_add_test(stall, closed_under_a_thread);
    tcase_add_test(stall, gate_ends);
    tcase_set_timeout(stall, 120);
    suite_add_tcase(suite, stall);
    return vadm_unit_main(suite);
}
