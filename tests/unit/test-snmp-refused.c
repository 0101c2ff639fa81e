/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A net-snmp that does not start: the program goes on without SNMP, and can say that. */
#include "config.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/netsnmp.h"
#include "agent/snmp-thread.h"
#include "agent/startup.h"
#include "fake-source.h"
#include "loop.h"
#include "unit.h"

/* In the place of the library's. */
int
init_agent(const char *name)
{
    ck_assert_str_eq(name, "virtadmd");
    return -1;
}

#ifdef HAVE_SYSTEMD
/* Returns: (nullable) (transfer full): what a service manager is told first that begins with @what
 */
static char *
refused_hear(int manager, const char *what)
{
    char text[256];
    ssize_t size;

    while ((size = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
        text[size] = '\0';
        if (g_str_has_prefix(text, what))
            return g_strdup(text);
    }
    return NULL;
}

static void
refused_quit(gpointer loop)
{
    g_main_loop_quit(loop);
}

/* Runs as the program does, until it has told its status. */
static void
refused_check_status(VadmSnmpThread *thread)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    /* one of Linux' abstract names, of which nothing is left */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autofree char *name = g_strdup_printf("@vadm-refused-%d", (int)getpid());
    g_autofree char *status = NULL;
    int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    g_setenv("NOTIFY_SOCKET", name, TRUE);
    g_idle_add_once(refused_quit, loop);
    vadm_startup_run("virtadmd", loop, thread);
    g_unsetenv("NOTIFY_SOCKET");
    status = refused_hear(manager, "STATUS=");
    ck_assert_pstr_eq(status, "STATUS=There is no SNMP: net-snmp did not start, see the log");
    close(manager);
}
#else
static void
refused_check_status(VadmSnmpThread *thread)
{
    (void)thread; /* nobody is told */
}
#endif

START_TEST(test_refused)
{
    const VadmSnmpConfig config = {.master = "unix:/nonexistent/master", .retry_interval = 3600};
    FakeSource *fake = fake_source_new();
    VadmSettings *settings = vadm_settings_new("fake", 0, 0);
    VadmSnmpDaemon daemon = {&fake->base, settings, "fake"};
    VadmSnmpThread *thread;

    signal(SIGPIPE, SIG_IGN);
    thread = vadm_snmp_thread_start(&config, &daemon, 1, NULL);
    ck_assert_ptr_nonnull(thread);
    LOOP_WAIT_FOR(NULL, vadm_snmp_thread_has_ended(thread));
    ck_assert(!vadm_snmp_thread_is_connected(thread));
    refused_check_status(thread);
    /* no service manager is to end the program for it */
    ck_assert_int_eq(vadm_snmp_thread_get_silence(thread), 0);
    ck_assert(vadm_snmp_thread_stop(thread, 20 * G_USEC_PER_SEC));
    vadm_settings_free(settings);
    fake_source_free(fake);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("snmp-refused");
    TCase *refused = tcase_create("refused");

    tcase_set_timeout(refused, 60);
    tcase_add_test(refused, test_refused);
    suite_add_tcase(suite, refused);
    return vadm_unit_main(suite);
}
