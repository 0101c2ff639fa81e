/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which clients may send descriptors, and how many a server takes of one. */
#include <fcntl.h>
#include <gio/gio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon-fixture.h"

static void
set_client_requests(guint max)
{
    vadm_config_find_server(fix.config, "libvirtd")->limits.client_requests_max = max;
}

/* Returns: FALSE: the socket takes no more */
static gboolean
send_fd(const Peer *peer, int fd)
{
    char octet = 0;
    struct iovec part = {&octet, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.space = {0}};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = CMSG_LEN(sizeof fd)};

    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    return sendmsg(peer->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

static VadmMessage *
make_call_with_fds(gint32 procedure, guint32 serial, guint32 n_fds)
{
    guint32 word = GUINT32_TO_BE(n_fds);

    return make_message(VADM_RPC_PROGRAM_REMOTE, procedure, VADM_RPC_CALL_WITH_FDS, serial, 0,
                        &word, sizeof word);
}

static gboolean
is_closed(int outlet)
{
    char octet;

    return read(outlet, &octet, 1) == 0;
}

/* A call has its descriptor until it is answered. */
START_TEST(with_a_call)
{
    int ends[2];
    Peer *peer;

    fixture_start();
    peer = peer_new(fix.path);
    peer_call(peer, ECHO_NOW, 1, "");
    peer_expect_reply(peer, 1, "");
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    peer_send(peer, make_call_with_fds(ECHO_KEEP, 2, 1));
    settle();
    ck_assert_uint_eq(fix.echo.calls, 1);
    ck_assert(send_fd(peer, ends[1]));
    SPIN_UNTIL(fix.echo.calls == 2);
    close(ends[1]);
    ck_assert(!is_closed(ends[0]));
    echo_release(2);
    ck_assert(is_closed(ends[0]));
    close(ends[0]);
    peer_free(peer);
}
END_TEST

/* Before it is authenticated none may come, and behind that they may. */
START_TEST(of_a_stranger)
{
    VadmListenConfig *listen;
    g_autoptr(VadmClient) client = NULL;
    int ends[2];
    Peer *peer;

    listen = g_ptr_array_index(vadm_config_find_server(fix.config, "libvirtd")->listens, 0);
    listen->auth = VADM_AUTH_SASL;
    fixture_start();
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    peer = peer_new(fix.path);
    client = get_client(1);
    if (_i == 1)
        vadm_server_set_sasl_user(fix.server, client, "joe");
    if (_i == 1)
        peer_send(peer, make_call_with_fds(ECHO_NOW, 1, 1));
    send_fd(peer, ends[1]);
    close(ends[1]);
    if (_i == 0) {
        peer_expect_eof(peer);
        ck_assert_int_eq(client->reason, VADM_DISCONNECT_PROTOCOL_ERROR);
    } else {
        SPIN_UNTIL(fix.echo.calls == 1);
        ck_assert(!vadm_client_is_closed(client));
    }
    SPIN_UNTIL(is_closed(ends[0]));
    close(ends[0]);
    peer_free(peer);
}
END_TEST

/* One that sends calls with descriptors and never waits for an answer is not read any more. */
START_TEST(of_a_greedy_client)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    guint before, sent = 0;
    gboolean taken = TRUE;
    Peer *peer;

    set_client_requests(1);
    fixture_start();
    peer = peer_new(fix.path);
    peer_call(peer, ECHO_KEEP, 1, "");
    SPIN_UNTIL(fix.echo.calls == 1);
    before = count_fds();
    for (guint i = 0; taken && i < 1000; i++) {
        peer_send(peer, make_call_with_fds(ECHO_NOW, 2, VADM_RPC_FDS_MAX));
        for (guint j = 0; taken && j < VADM_RPC_FDS_MAX; j++) {
            turn();
            taken = send_fd(peer, null);
            if (!taken) { /* unless it only had no time to read */
                settle();
                taken = send_fd(peer, null);
            }
            sent += taken ? 1 : 0;
        }
    }
    ck_assert_msg(!taken, "%u descriptors were taken", sent);
    /* the resolver may have had some before */
    ck_assert_uint_gt(count_fds() + 4, before + VADM_RPC_FDS_MAX);
    ck_assert_uint_le(count_fds(), before + 2 * VADM_RPC_FDS_MAX);
    peer_free(peer);
    SPIN_UNTIL(vadm_server_count_clients(fix.server) == 0);
    SPIN_UNTIL(count_fds() < before);
    close(null);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("client-fds");
    TCase *tcase = tcase_create("descriptors");

    tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, with_a_call);
    tcase_add_loop_test(tcase, of_a_stranger, 0, 2);
    tcase_add_test(tcase, of_a_greedy_client);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
