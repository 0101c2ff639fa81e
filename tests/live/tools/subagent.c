/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The other subagent of the live tests: it takes part in SETs and fails when it is told to.
 *
 *   subagent MASTER OID...
 *
 * Serves one writable INTEGER at each OID (the instance's, with the .0), all 0 at the start. The
 * value that is written says what happens: 0, all goes well; else 10 * phase + fault, phase and
 * fault by the numbers of the enumerations below. Prints a line "PHASE OID VALUE" for each phase of
 * each varbind when it begins, which makes it the clock of a test: one that waits does so until
 * SIGUSR1.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>

#include "agent/netsnmp.h"

#define SUBAGENT_NAME      "live-subagent"
#define SUBAGENT_PATIENCE  60 /* seconds until one that was forgotten goes on by itself */
#define SUBAGENT_INSTANCES 8

enum { PHASE_RESERVE1 = 1, PHASE_RESERVE2, PHASE_ACTION, PHASE_COMMIT, PHASE_UNDO, PHASE_FREE };
enum { FAULT_FAIL = 1, FAULT_WAIT, FAULT_DIE };

typedef struct {
    int mode, phase, error;
    const char *name;
} SubagentPhase;

static const SubagentPhase subagent_phases[] = {
    {MODE_SET_RESERVE1, PHASE_RESERVE1, SNMP_ERR_WRONGVALUE, "RESERVE1"},
    {MODE_SET_RESERVE2, PHASE_RESERVE2, SNMP_ERR_RESOURCEUNAVAILABLE, "RESERVE2"},
    {MODE_SET_ACTION, PHASE_ACTION, SNMP_ERR_COMMITFAILED, "ACTION"},
    {MODE_SET_COMMIT, PHASE_COMMIT, SNMP_ERR_COMMITFAILED, "COMMIT"},
    {MODE_SET_UNDO, PHASE_UNDO, SNMP_ERR_UNDOFAILED, "UNDO"},
    {MODE_SET_FREE, PHASE_FREE, SNMP_ERR_GENERR, "FREE"},
};

typedef struct {
    oid name[MAX_OID_LEN];
    size_t length;
    const char *text;
    long value, previous;
} SubagentInstance;

static volatile sig_atomic_t subagent_ended;

static void
subagent_end(int number)
{
    (void)number;
    subagent_ended = 1;
}

static void
subagent_say(const char *phase, const SubagentInstance *instance, long value)
{
    printf("%s %s %ld\n", phase, instance->text, value);
    fflush(stdout);
}

static void
subagent_wait(void)
{
    struct timespec patience = {.tv_sec = SUBAGENT_PATIENCE};
    sigset_t go;

    sigemptyset(&go);
    sigaddset(&go, SIGUSR1);
    sigtimedwait(&go, NULL, &patience);
}

static void
subagent_set(const SubagentPhase *phase, SubagentInstance *instance,
             netsnmp_agent_request_info *info, netsnmp_request_info *request)
{
    const netsnmp_variable_list *varbind = request->requestvb;
    long value = varbind->type == ASN_INTEGER ? *varbind->val.integer : 0;

    subagent_say(phase->name, instance, value);
    if (value / 10 == phase->phase) {
        if (value % 10 == FAULT_DIE)
            _exit(EXIT_SUCCESS);
        if (value % 10 == FAULT_WAIT)
            subagent_wait();
        if (value % 10 == FAULT_FAIL) {
            netsnmp_set_request_error(info, request, phase->error);
            return;
        }
    }
    if (phase->phase == PHASE_ACTION) {
        instance->previous = instance->value;
        instance->value = value;
    } else if (phase->phase == PHASE_UNDO) {
        instance->value = instance->previous;
    }
}

static int
subagent_request(netsnmp_mib_handler *node, netsnmp_handler_registration *registration,
                 netsnmp_agent_request_info *info, netsnmp_request_info *requests)
{
    SubagentInstance *instance = node->myvoid;

    (void)registration;
    for (; requests; requests = requests->next) {
        if (requests->processed)
            continue;
        if (info->mode == MODE_GET)
            snmp_set_var_typed_value(requests->requestvb, ASN_INTEGER, &instance->value,
                                     sizeof(instance->value));
        for (size_t i = 0; i < G_N_ELEMENTS(subagent_phases); i++)
            if (subagent_phases[i].mode == info->mode)
                subagent_set(&subagent_phases[i], instance, info, requests);
    }
    return SNMP_ERR_NOERROR;
}

/* netsnmp_register_instance() would check more than is wanted here; its GETNEXT is not missed. */
static gboolean
subagent_register(SubagentInstance *instance, const char *text)
{
    netsnmp_mib_handler *node;
    netsnmp_handler_registration *registration;

    instance->text = text;
    instance->length = G_N_ELEMENTS(instance->name);
    if (!read_objid(text, instance->name, &instance->length))
        return FALSE;
    node = netsnmp_create_handler(SUBAGENT_NAME, subagent_request);
    if (!node)
        return FALSE;
    node->myvoid = instance;
    registration = netsnmp_handler_registration_create(SUBAGENT_NAME, node, instance->name,
                                                       instance->length, HANDLER_CAN_RWRITE);
    return registration && netsnmp_register_handler(registration) == MIB_REGISTERED_OK;
}

static void
subagent_set_signals(void)
{
    struct sigaction end = {.sa_handler = subagent_end};
    sigset_t go;

    sigemptyset(&go);
    sigaddset(&go, SIGUSR1);
    sigprocmask(SIG_BLOCK, &go, NULL);
    sigaction(SIGTERM, &end, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* It must neither read nor write files of the system's snmpd. */
static void
subagent_configure_library(const char *master)
{
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DISABLE_PERSISTENT_LOAD, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DISABLE_PERSISTENT_SAVE, 1);
    netsnmp_ds_set_string(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_PERSISTENT_DIR, "/dev/null");
    netsnmp_set_mib_directory("");
    netsnmp_ds_set_boolean(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_ROLE, 1);
    netsnmp_ds_set_string(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_X_SOCKET, master);
}

int
main(int argc, char **argv)
{
    SubagentInstance instances[SUBAGENT_INSTANCES] = {0};

    if (argc < 3 || argc - 2 > SUBAGENT_INSTANCES) {
        fprintf(stderr, "usage: subagent MASTER OID...\n");
        return EXIT_FAILURE;
    }
    subagent_set_signals();
    snmp_enable_stderrlog();
    subagent_configure_library(argv[1]);
    if (init_agent(SUBAGENT_NAME) != 0)
        return EXIT_FAILURE;
    netsnmp_ds_set_int(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_AGENTX_PING_INTERVAL, 1);
    for (int i = 2; i < argc; i++) {
        if (!subagent_register(&instances[i - 2], argv[i])) {
            fprintf(stderr, "subagent: cannot register '%s'\n", argv[i]);
            return EXIT_FAILURE;
        }
    }
    init_snmp(SUBAGENT_NAME);
    while (!subagent_ended)
        agent_check_and_process(1);
    snmp_shutdown(SUBAGENT_NAME);
    shutdown_agent();
    return EXIT_SUCCESS;
}
