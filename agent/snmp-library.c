/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls net-snmp. */
#include "agent/snmp-library.h"

#include <fcntl.h>

#define VADM_LOG_CATEGORY "agent.snmp"
#include "common/log.h"

/* How long net-snmp waits for its own second half, which hands requests to the handler. Must be
 * longer than VADM_SET_DEADLINE_US: it would make a repetition of what is delegated. */
#define VADM_SNMP_INTERNAL_S 10
/* More hops than a request makes within net-snmp. */
#define VADM_SNMP_FLUSH_ROUNDS 16

/* Messages of net-snmp that tell what we tell ourselves, or that come in the course of things. */
static gboolean
vadm_snmp_is_routine(const char *message)
{
    static const char *const routine[] = {
        "AgentX master disconnected us",
        "AgentX master agent failed to respond to ping",
        "NET-SNMP version",
        "registering pdu failed",
        "Warning: Failed to connect",
        "Failed to create the persistent directory",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(routine); i++) {
        if (g_str_has_prefix(message, routine[i]))
            return TRUE;
    }
    return FALSE;
}

/* The attempts to come back repeat a message every few seconds: only what is new is worth an
 * operator's attention. */
void
vadm_snmp_library_log(int priority, const char *message, char **last)
{
    gboolean quiet = vadm_snmp_is_routine(message) || g_strcmp0(message, *last) == 0;

    if (quiet || priority >= LOG_DEBUG)
        VADM_DEBUG("%s", message);
    else if (priority <= LOG_ERR)
        VADM_ERR("%s", message);
    else if (priority == LOG_WARNING)
        VADM_WARN("%s", message);
    else
        VADM_INFO("%s", message);
    if (quiet)
        return;
    g_free(*last);
    *last = g_strdup(message);
}

/* Made with these before we could lay hands on it. */
void
vadm_snmp_library_limit_internal(void)
{
    netsnmp_ds_set_int(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_TIMEOUT, VADM_SNMP_INTERNAL_S);
    netsnmp_ds_set_int(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_RETRIES, 0);
}

/* Those that net-snmp would wait for now. */
static int
vadm_snmp_get_fds(netsnmp_large_fd_set *fds)
{
    struct timeval none = {0};
    int n = 0, block = 0;

    netsnmp_large_fd_set_init(fds, FD_SETSIZE);
    NETSNMP_LARGE_FD_ZERO(fds);
    snmp_select_info2(&n, fds, &none, &block);
    return n;
}

/* When a session ends, net-snmp is within a reading of all its sessions, and
 * vadm_snmp_library_flush() reads its internal pipes first. The outer reading then comes to a pipe
 * that is empty by now, and would wait in read() for ever. The socket of the master is non-blocking
 * anyhow. */
static void
vadm_snmp_unblock(int n, netsnmp_large_fd_set *fds)
{
    for (int fd = 0; fd < n; fd++) {
        if (NETSNMP_LARGE_FD_ISSET(fd, fds))
            (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
}

void
vadm_snmp_library_unblock_pipes(void)
{
    netsnmp_large_fd_set fds;
    int n = vadm_snmp_get_fds(&fds);

    vadm_snmp_unblock(n, &fds);
    netsnmp_large_fd_set_cleanup(&fds);
}

void
vadm_snmp_library_flush(int master)
{
    int ready = 1;

    for (guint i = 0; i < VADM_SNMP_FLUSH_ROUNDS && ready > 0; i++) {
        netsnmp_large_fd_set fds;
        struct timeval none = {0};
        int n;

        netsnmp_check_outstanding_agent_requests();
        n = vadm_snmp_get_fds(&fds);
        NETSNMP_LARGE_FD_CLR(master, &fds);
        vadm_snmp_unblock(n, &fds);
        ready = netsnmp_large_fd_set_select(n, &fds, NULL, NULL, &none);
        if (ready > 0)
            snmp_read2(&fds);
        netsnmp_large_fd_set_cleanup(&fds);
    }
}

/* Net-snmp would otherwise read and write files of the system's snmpd, and load MIBs. */
void
vadm_snmp_library_configure(void)
{
    char no_mibs[] = "mibs :";

    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DISABLE_PERSISTENT_LOAD, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DISABLE_PERSISTENT_SAVE, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_LOAD_HOST_FILES, 1);
    /* it would be made for an index of certificates that nobody needs: here it cannot be */
    netsnmp_ds_set_string(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_PERSISTENT_DIR, "/dev/null");
    netsnmp_config_remember(no_mibs);
    netsnmp_set_mib_directory(""); /* nor look for them, in our home directory and elsewhere */
    netsnmp_ds_set_boolean(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_ROLE, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_NO_ROOT_ACCESS, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_NO_CONNECTION_WARNINGS, 1);
}
