/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handshakes while the system starts no threads: who gives up gives its place back. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls-guest.h"

static gint refuse, refused; /* atomic */

typedef int (*ThreadCreate)(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                            void *data);

/* Of a sanitizer that is linked into this program, which has to know of all threads. */
int __interceptor_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                                 void *(*run)(void *), void *data) __attribute__((weak));

/* In the way of all that start threads here, GLib included. */
int
pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attr,
               void *(*run)(void *), void *restrict data)
{
    ThreadCreate real = __interceptor_pthread_create;

    if (g_atomic_int_get(&refuse)) {
        g_atomic_int_inc(&refused);
        return EAGAIN;
    }
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attr, run, data);
}

static void
setup_threads(void)
{
    setup();
    g_type_ensure(
        G_TYPE_TASK); /* a thread of its own, which starts the others, is no matter here */
}

/* One whose first message is there as a whole. */
static Guest *
mute_guest(int *fd)
{
    g_autoptr(GByteArray) hello = tls_make_hello();

    *fd = tls_connect(port);
    ck_assert_int_eq(send(*fd, hello->data, hello->len, MSG_NOSIGNAL), (ssize_t)hello->len);
    return guest_new();
}

static void
give_up(Guest *guest, int fd)
{
    g_autoptr(GSocketConnection) base = g_object_ref(guest->base);

    guest_free(guest);
    SPIN_UNTIL(g_socket_is_closed(g_socket_connection_get_socket(base)));
    close(fd);
}

/* The first has the only thread; those behind it have their places, and no thread. */
START_TEST(none_of_ours)
{
    int fd, fds[7]; /* the other places: nobody waits, for whom the first would have to go */
    Guest *first = mute_guest(&fd), *guests[G_N_ELEMENTS(fds)];
    char octet;

    SPIN_UNTIL(recv(fd, &octet, 1, MSG_DONTWAIT | MSG_PEEK) == 1);
    g_atomic_int_set(&refuse, 1);
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
        guests[i] = mute_guest(&fds[i]);
    SPIN_UNTIL(g_atomic_int_get(&refused) >= (gint)G_N_ELEMENTS(fds));
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
        give_up(guests[i], fds[i]);
    give_up(first, fd);
    g_atomic_int_set(&refuse, 0);
    try_good(&(TlsClientInit){.pki = pki.client}, NULL);
}
END_TEST

/* Ours waits for one of GIO, which nobody starts any more. */
START_TEST(none_of_gio)
{
    int fd;
    Guest *guest;

    g_atomic_int_set(&refuse, 1);
    guest = mute_guest(&fd);
    SPIN_UNTIL(g_atomic_int_get(&refused) >= 1);
    g_atomic_int_set(&refuse, 0);
    give_up(guest, fd);
    try_good(&(TlsClientInit){.pki = pki.client}, NULL);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tls-threads");
    TCase *shortage = tcase_create("shortage");

    tcase_add_checked_fixture(shortage, setup_threads, teardown);
    tcase_add_test(shortage, none_of_ours);
    tcase_add_test(shortage, none_of_gio);
    tcase_set_timeout(shortage, 120);
    suite_add_tcase(suite, shortage);
    return vadm_unit_main(suite);
}
