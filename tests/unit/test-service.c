/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Socket files: what is there already, who may connect, what is left behind. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon-fixture.h"

static VadmListenConfig config = {.transport = VADM_TRANSPORT_UNIX, .text = (char *)"unix:test"};
static const VadmServiceAccess usual = {0600, (gid_t)-1, 10, 0};

static void
on_accepted(VadmService *service, int fd, const VadmInetAddress *peer, gpointer user)
{
    (void)service;
    ck_assert_uint_eq(peer->type, 0);
    close(fd);
    (*(guint *)user)++;
}

static int
bind_raw(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void
expect_refusal(const char *path, const char *text)
{
    g_autoptr(GError) error = NULL;
    VadmListenConfig bad = {.transport = VADM_TRANSPORT_UNIX, .path = (char *)path};
    VadmService *service = vadm_service_new(&bad, &usual, NULL, on_accepted, NULL);
    guint fds = count_fds();

    ck_assert(!vadm_service_listen(service, &error));
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strstr(error->message, path) != NULL, "%s", error->message);
    ck_assert_msg(strstr(error->message, text) != NULL, "%s", error->message);
    vadm_service_free(service);
    ck_assert_uint_eq(count_fds(), fds);
}

static VadmService *
listen_at(const char *path, const VadmServiceAccess *access, guint *accepted)
{
    g_autoptr(GError) error = NULL;
    VadmService *service;

    config.path = (char *)path;
    service = vadm_service_new(&config, access, NULL, on_accepted, accepted);
    ck_assert_msg(vadm_service_listen(service, &error), "%s", error ? error->message : "?");
    return service;
}

START_TEST(what_is_there_already)
{
    struct stat before, after;
    guint accepted = 0;
    VadmService *service;
    int fd;

    /* a file stays as it was */
    ck_assert(g_file_set_contents(fix.path, "precious", -1, NULL));
    expect_refusal(fix.path, "exists and is no socket");
    ck_assert(g_file_test(fix.path, G_FILE_TEST_IS_REGULAR));
    g_unlink(fix.path);
    /* so does a link, whatever it leads to */
    ck_assert_int_eq(symlink("/nonexistent/sock", fix.path), 0);
    expect_refusal(fix.path, "exists and is no socket");
    g_unlink(fix.path);
    /* somebody listens, or has a socket of another type */
    fd = bind_raw(fix.path, SOCK_STREAM);
    ck_assert_int_eq(listen(fd, 0), 0);
    expect_refusal(fix.path, "already in use");
    expect_refusal(fix.path, "already in use"); /* its backlog is full by now */
    expect_refusal(fix.path, "already in use");
    close(fd);
    g_unlink(fix.path);
    fd = bind_raw(fix.path, SOCK_DGRAM);
    expect_refusal(fix.path, "already in use");
    ck_assert_int_eq(stat(fix.path, &before), 0);
    close(fd);
    /* nobody listens any more */
    service = listen_at(fix.path, &usual, &accepted);
    ck_assert_int_eq(stat(fix.path, &after), 0);
    ck_assert_int_eq(after.st_mode & 07777, 0600);
    expect_refusal(fix.path, "already in use");
    vadm_service_free(service);
    ck_assert(!g_file_test(fix.path, G_FILE_TEST_EXISTS));
}
END_TEST

START_TEST(paths_that_cannot_be)
{
    g_autofree char *fill = g_strnfill(120, 'x');
    g_autofree char *longest = g_strnfill(107 - strlen(fix.folder) - 1, 'x');
    g_autofree char *too_long = g_build_filename(fix.folder, fill, NULL);
    g_autofree char *just = g_build_filename(fix.folder, longest, NULL);
    g_autofree char *just_over = g_strconcat(just, "x", NULL);
    g_autofree char *missing = g_build_filename(fix.folder, "missing", "sock", NULL);
    guint accepted = 0;
    VadmService *service;

    expect_refusal("relative", "must be absolute");
    expect_refusal(too_long, "too long");
    expect_refusal(just_over, "too long");
    expect_refusal(missing, "No such file or directory");
    service = listen_at(just, &usual, &accepted);
    vadm_service_free(service);
}
END_TEST

START_TEST(mode_and_group)
{
    const VadmServiceAccess open = {0666, getegid(), 10, 0};
    mode_t mask = umask(077);
    guint accepted = 0;
    VadmService *service = listen_at(fix.path, &open, &accepted);
    struct stat st;

    ck_assert_uint_eq(umask(mask), 077); /* put back */
    ck_assert_int_eq(stat(fix.path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0666);
    ck_assert_uint_eq(st.st_gid, getegid());
    vadm_service_free(service);
}
END_TEST

START_TEST(accepts_when_told)
{
    guint accepted = 0;
    VadmService *service = listen_at(fix.path, &usual, &accepted);
    Peer *peer = peer_new(fix.path);

    settle();
    ck_assert_uint_eq(accepted, 0);
    ck_assert(!vadm_service_is_accepting(service));
    vadm_service_set_accepting(service, TRUE);
    ck_assert(vadm_service_is_accepting(service));
    SPIN_UNTIL(accepted == 1);
    vadm_service_stop(service);
    ck_assert(!vadm_service_is_accepting(service));
    vadm_service_set_accepting(service, TRUE);
    ck_assert(!vadm_service_is_accepting(service));
    vadm_service_free(service);
    peer_free(peer);
}
END_TEST

START_TEST(leaves_the_socket_of_another)
{
    guint accepted = 0;
    VadmService *service = listen_at(fix.path, &usual, &accepted);
    int fd;

    g_unlink(fix.path);
    fd = bind_raw(fix.path, SOCK_STREAM);
    vadm_service_free(service);
    ck_assert(g_file_test(fix.path, G_FILE_TEST_EXISTS));
    close(fd);
}
END_TEST

/* Somebody who can read the folder holds its lock: delayed, not refused. */
START_TEST(a_locked_folder_does_not_stop_it)
{
    guint accepted = 0;
    int fd = open(fix.folder, O_RDONLY | O_DIRECTORY);
    VadmService *service;

    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    service = listen_at(fix.path, &usual, &accepted);
    vadm_service_free(service);
    close(fd);
}
END_TEST

START_TEST(all_sockets_or_none)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *run = g_build_filename(fix.folder, "run", NULL);
    VadmListenConfig *listen;
    struct stat st;
    mode_t mask = umask(077);

    g_free(fix.config->runtime_dir);
    fix.config->runtime_dir = g_strdup(run);
    listen = g_ptr_array_index(vadm_config_find_server(fix.config, "libvirtd")->listens, 0);
    g_free(listen->path);
    listen->path = g_build_filename(run, "sock", NULL);
    fixture_start(); /* makes the folder */
    umask(mask);
    ck_assert_int_eq(stat(run, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0755);
    ck_assert(g_file_test(listen->path, G_FILE_TEST_EXISTS));
    vadm_server_stop_listening(fix.server);
    vadm_server_stop_listening(fix.admin);
    /* the second of two sockets cannot be: the first is taken back */
    ck_assert(g_file_set_contents(listen->path, "precious", -1, NULL));
    ck_assert(!vadm_daemon_listen(fix.daemon, &error));
    ck_assert(!g_file_test(fix.admin_path, G_FILE_TEST_EXISTS));
    ck_assert(g_file_test(listen->path, G_FILE_TEST_IS_REGULAR));
    g_unlink(listen->path);
    g_rmdir(run);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("service");
    TCase *tcase = tcase_create("service");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
    tcase_add_test(tcase, what_is_there_already);
    tcase_add_test(tcase, paths_that_cannot_be);
    tcase_add_test(tcase, mode_and_group);
    tcase_add_test(tcase, accepts_when_told);
    tcase_add_test(tcase, leaves_the_socket_of_another);
    tcase_add_test(tcase, a_locked_folder_does_not_stop_it);
    tcase_add_test(tcase, all_sockets_or_none);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
