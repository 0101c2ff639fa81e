/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GET and GETNEXT over a fake source: the whole tree against one ordered list. */
#include <string.h>

#include "agent-request.h"
#include "mib/lva-mib.h"
#include "unit.h"

/* The whole tree of the fake source in the order of OIDs: "OID type value"; a value of ? is the
 * random lock. 2 INTEGER, 4 OCTET STRING, 65 Counter32, 66 Gauge32 and Unsigned32, 70
 * Counter64. */
static const char *const expected[] = {
#include "agent-expected.inc"
};

static AgentBed bed;

static void
set_up(void)
{
    agent_bed_init(&bed, TRUE);
}

static void
tear_down(void)
{
    agent_bed_clear(&bed);
}

static char *
ask(const char *oid, int mode)
{
    static long transaction;
    AgentPdu pdu = {.transaction = ++transaction};
    char *result;

    agent_add(&pdu, oid, ASN_NULL, NULL, 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, mode, NULL), 0);
    result = agent_result(&pdu, 0);
    agent_pdu_clear(&pdu);
    return result;
}

static char *
oid_of(const char *line)
{
    return g_strndup(line, (gsize)(strchr(line, ' ') - line));
}

static void
check_line(const char *got, const char *line)
{
    if (g_str_has_suffix(line, " ?")) {
        g_autofree char *prefix = g_strndup(line, strlen(line) - 1);
        ck_assert_msg(g_str_has_prefix(got, prefix), "got %s, expected %s", got, line);
        return;
    }
    ck_assert_str_eq(got, line);
}

static void
check_next(const char *oid, const char *expected_oid)
{
    g_autofree char *got = ask(oid, MODE_GETNEXT);
    g_autofree char *got_oid = oid_of(got);

    ck_assert_msg(strcmp(got_oid, expected_oid) == 0, "behind %s: got %s, expected %s", oid, got,
                  expected_oid);
}

START_TEST(test_walk)
{
    g_autofree char *at = g_strdup("1");
    g_autofree char *last = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_autofree char *got = ask(at, MODE_GETNEXT);
        check_line(got, expected[i]);
        g_free(at);
        at = oid_of(got);
    }
    last = ask(at, MODE_GETNEXT);
    ck_assert(g_str_has_suffix(last, " untouched"));
}
END_TEST

START_TEST(test_get_each)
{
    for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_autofree char *oid = oid_of(expected[i]);
        g_autofree char *got = ask(oid, MODE_GET);
        check_line(got, expected[i]);
    }
}
END_TEST

/* Between any two neighbours of the list: behind an instance extended by arcs comes the next. */
START_TEST(test_next_between)
{
    for (gsize i = 0; i + 1 < G_N_ELEMENTS(expected); i++) {
        g_autofree char *oid = oid_of(expected[i]);
        g_autofree char *below = g_strconcat(oid, ".0", NULL);
        g_autofree char *deep = g_strconcat(oid, ".4294967295.1.2.3.4.5", NULL);
        g_autofree char *next = oid_of(expected[i + 1]);

        check_next(below, next);
        check_next(deep, next);
    }
}
END_TEST

START_TEST(test_next_edges)
{
    check_next("0", "1.1.1.0");
    check_next("0.4294967295", "1.1.1.0");
    check_next("1.0.99", "1.1.1.0");
    check_next("1.1", "1.1.1.0");
    check_next("1.1.1", "1.1.1.0");
    check_next("1.1.0.5", "1.1.1.0");
    check_next("1.1.7", "1.1.7.0");
    check_next("1.1.8", "1.2.1.0");
    check_next("1.1.4294967295", "1.2.1.0");
    check_next("1.2.4.0", "1.2.5.0");
    check_next("1.2.6.0", "1.2.7.0");
    check_next("1.3.3.0", "1.3.4.1.2.1");
    check_next("1.3.4", "1.3.4.1.2.1");
    check_next("1.3.4.1", "1.3.4.1.2.1");
    check_next("1.3.4.1.1.7", "1.3.4.1.2.1");
    check_next("1.3.4.1.2.4294967295", "1.3.4.1.3.1");
    check_next("1.3.4.2", "1.4.1.2.1");
    check_next("1.4.1.2.0", "1.4.1.2.1");
    check_next("1.4.1.2.2", "1.4.1.2.300");
    check_next("1.4.1.2.299.4294967295", "1.4.1.2.300");
    check_next("1.4.1.2.300", "1.4.1.3.1");
    check_next("1.5.1.2.1", "1.5.1.2.1.1");
    check_next("1.5.1.2.300", "1.5.1.2.300.1");
    check_next("1.5.1.2.1.4294967295", "1.5.1.2.300.1");
    check_next("1.6.1.2.300.7", "1.6.1.2.300.4294967295");
    check_next("1.6.1.2.300.4294967295", "1.6.1.3.1.1");
    check_next("1.6.1.2.4294967295.4294967295", "1.6.1.3.1.1");
    /* the string that is too long is passed over */
    check_next("1.6.1.12.1.1", "1.6.1.12.300.7");
    /* not accessible: the index and what notifications alone carry */
    check_next("1.6.1.1", "1.6.1.2.1.1");
    check_next("1.6.1.23.300.4294967295", "1.7.1.0");
    check_next("1.6.1.24.1.1", "1.7.1.0");
    /* context: the shorter name sorts first */
    check_next("1.8.1.2.7.255", "1.8.1.2.8.118.105.114.116.97.100.109.100");
    check_next("1.8.1.2.8.118.105.114.116.97.100.109", "1.8.1.2.8.118.105.114.116.97.100.109.100");
    check_next("1.8.1.2.8.118.105.114.116.97.100.109.100",
               "1.8.1.3.8.118.105.114.116.97.100.109.100");
    check_next("1.8.1.2.9", "1.8.1.3.8.118.105.114.116.97.100.109.100");
}
END_TEST

START_TEST(test_next_end)
{
    static const char *const behind[] = {"1.9.4.0", "1.9.5", "1.10", "2", "4294967295"};

    for (gsize i = 0; i < G_N_ELEMENTS(behind); i++) {
        g_autofree char *got = ask(behind[i], MODE_GETNEXT);
        ck_assert_msg(g_str_has_suffix(got, " untouched"), "%s: %s", behind[i], got);
    }
}
END_TEST

START_TEST(test_next_from_outside)
{
    oid before[LVA_ROOT_LEN + 1] = {LVA_ROOT, 7};
    oid behind[LVA_ROOT_LEN] = {LVA_ROOT};
    AgentPdu pdu = {.transaction = 1};
    g_autofree char *first = NULL;

    before[LVA_ROOT_LEN - 1]--;
    behind[LVA_ROOT_LEN - 1]++;
    agent_add_absolute(&pdu, before, G_N_ELEMENTS(before));
    agent_add_absolute(&pdu, before, 3);
    agent_add_absolute(&pdu, behind, G_N_ELEMENTS(behind));
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_GETNEXT, NULL), 0);
    first = agent_result(&pdu, 0);
    ck_assert_str_eq(first, expected[0]);
    ck_assert_uint_eq(pdu.varbinds[1].type, ASN_OCTET_STR);
    ck_assert_uint_eq(pdu.varbinds[2].type, ASN_NULL);
    agent_pdu_clear(&pdu);
}
END_TEST

/* AgentX can ask for the first instance at or behind an OID. */
START_TEST(test_next_inclusive)
{
    AgentPdu pdu = {.transaction = 1};
    g_autofree char *at = NULL;
    g_autofree char *behind = NULL;

    agent_add(&pdu, "1.4.1.2.1", ASN_NULL, NULL, 0);
    agent_add(&pdu, "1.4.1.2.2", ASN_NULL, NULL, 0);
    pdu.requests[0].inclusive = pdu.requests[1].inclusive = 1;
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_GETNEXT, NULL), 0);
    at = agent_result(&pdu, 0);
    behind = agent_result(&pdu, 1);
    ck_assert_str_eq(at, "1.4.1.2.1 4 admin");
    ck_assert_str_eq(behind, "1.4.1.2.300 4 libvirtd");
    agent_pdu_clear(&pdu);
}
END_TEST

START_TEST(test_get_missing)
{
    static const char *const cases[] = {
        "1.1.1 noSuchInstance",
        "1.1.1.1 noSuchInstance",
        "1.1.1.0.0 noSuchInstance",
        "1.1.99.0 noSuchObject",
        "1.4.1.1.1 noSuchObject",
        "1.4.1.2.2 noSuchInstance",
        "1.4.1.2 noSuchInstance",
        "1.4.1.2.1.0 noSuchInstance",
        "1.4.2.2.1 noSuchObject",
        "1.5.1.2.300 noSuchInstance",
        "1.6.1.12.300.2 noSuchInstance",
        "1.6.1.6.300.3 noSuchInstance",
        "1.6.1.4.300.3 noSuchInstance",
        "1.6.1.24.1.1 noSuchObject",
        "1.8.1.2.8.118 noSuchInstance",
        "1 noSuchObject",
        "2.1 noSuchObject",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *oid = oid_of(cases[i]);
        g_autofree char *got = ask(oid, MODE_GET);
        ck_assert_str_eq(got, cases[i]);
    }
}
END_TEST

/* Arcs beyond 32 bits are nobody's, and do not wrap onto somebody's. */
START_TEST(test_wide_arcs)
{
    AgentPdu pdu = {.transaction = 1};

    agent_add(&pdu, "1.6.1.2.300.4294967295", ASN_NULL, NULL, 0);
    pdu.varbinds[0].name[pdu.varbinds[0].name_length - 1] = G_GUINT64_CONSTANT(0x1ffffffff);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_GET, NULL), 0);
    ck_assert_uint_eq(pdu.varbinds[0].type, SNMP_NOSUCHINSTANCE);
    agent_pdu_clear(&pdu);
}
END_TEST

/* net-snmp extends the sign of an arc that came over AgentX. */
START_TEST(test_high_arcs)
{
    static const struct {
        guint32 arc;
        const char *next; /* behind lvaClientId.300.arc */
        gboolean there;
    } cases[] = {
        {2147483648u, "1.6.1.2.300.4294967295", FALSE},
        {4294967294u, "1.6.1.2.300.4294967295", FALSE},
        {4294967295u, "1.6.1.3.1.1", TRUE},
    };

    for (gsize i = 0; i < 2 * G_N_ELEMENTS(cases); i++) {
        int mode = i % 2 ? MODE_GETNEXT : MODE_GET;
        AgentPdu pdu = {.transaction = 1};
        netsnmp_variable_list *varbind = &pdu.varbinds[0];

        agent_add(&pdu, "1.6.1.2.300.0", ASN_NULL, NULL, 0);
        varbind->name[varbind->name_length - 1] = (oid)(long)(gint32)cases[i / 2].arc;
        ck_assert_int_eq(agent_send(&bed, &pdu, mode, NULL), 0);
        if (mode == MODE_GETNEXT) {
            g_autofree char *got = agent_result(&pdu, 0);
            g_autofree char *name = oid_of(got);
            ck_assert_str_eq(name, cases[i / 2].next);
        } else {
            ck_assert_uint_eq(varbind->type,
                              cases[i / 2].there ? ASN_COUNTER64 : SNMP_NOSUCHINSTANCE);
        }
        agent_pdu_clear(&pdu);
    }
}
END_TEST

START_TEST(test_no_access)
{
    g_autofree char *got = NULL;

    bed.fake->access[VADM_FIELD_SERVER_WORKERS_MIN] = VADM_ACCESS_NONE;
    got = ask("1.4.1.3.1", MODE_GET);
    ck_assert_str_eq(got, "1.4.1.3.1 noSuchInstance");
    check_next("1.4.1.2.300", "1.4.1.4.1");
}
END_TEST

/* What a remote source was not told is no value, in that row. */
START_TEST(test_unknown_values)
{
    VadmServerRow *server = fake_source_server(bed.fake, 1);
    static const char *const gone[] = {
        "1.3.1.0 noSuchInstance",   "1.3.2.0 noSuchInstance",    "1.4.1.8.1 noSuchInstance",
        "1.4.1.9.1 noSuchInstance", "1.4.1.14.1 noSuchInstance", "1.4.1.15.1 noSuchInstance",
    };

    bed.fake->config.log_level = 0;
    bed.fake->config.log_filters = NULL;
    server->unknown = VADM_SERVER_UNKNOWN(VADM_FIELD_SERVER_JOB_QUEUE_DEPTH) |
                      VADM_SERVER_UNKNOWN(VADM_FIELD_SERVER_CLIENTS_MAX) |
                      VADM_SERVER_UNKNOWN(VADM_FIELD_SERVER_CLIENTS_STATE) |
                      VADM_SERVER_UNKNOWN(VADM_FIELD_SERVER_CLIENTS_UNAUTH_STATE);
    for (guint i = 0; i < G_N_ELEMENTS(gone); i++) {
        g_autofree char *oid = oid_of(gone[i]);
        g_autofree char *got = ask(oid, MODE_GET);

        ck_assert_str_eq(got, gone[i]);
    }
    check_next("1.2.8.0", "1.3.3.0");
    check_next("1.4.1.7.300", "1.4.1.8.300");
    check_next("1.4.1.9", "1.4.1.9.300");
    check_next("1.4.1.9.300", "1.4.1.10.1");
}
END_TEST

START_TEST(test_unreachable)
{
    static const char *const gone[] = {
        "1.1.2.0 noSuchInstance", "1.3.1.0 noSuchInstance",     "1.3.2.0 noSuchInstance",
        "1.3.3.0 noSuchInstance", "1.3.4.1.2.1 noSuchInstance",
    };
    g_autofree char *state = NULL;
    g_autofree char *number = NULL;

    bed.fake->daemon.state = VADM_REACH_UNREACHABLE;
    state = ask("1.1.4.0", MODE_GET);
    ck_assert_str_eq(state, "1.1.4.0 2 2");
    check_next("1.1.1.0", "1.1.3.0");
    check_next("1.2.8.0", "1.7.1.0"); /* nothing of the log, servers, services, clients */
    for (guint i = 0; i < G_N_ELEMENTS(gone); i++) {
        g_autofree char *oid = oid_of(gone[i]);
        g_autofree char *got = ask(oid, MODE_GET);

        ck_assert_str_eq(got, gone[i]);
    }
    check_next("1.7.5.0", "1.8.1.2.8.118.105.114.116.97.100.109.100");
    number = ask("1.9.3.0", MODE_GET);
    ck_assert_str_eq(number, "1.9.3.0 66 0");
}
END_TEST

/* Other daemons of the same agent. */
typedef struct {
    FakeSource *fake;
    const char *name;
} Neighbour;

static void
add_neighbours(Neighbour *neighbours, guint n)
{
    for (guint i = 0; i < n; i++) {
        neighbours[i].fake = fake_source_new();
        neighbours[i].fake->daemon.name = neighbours[i].name;
        neighbours[i].fake->daemon.uri = neighbours[i].name;
        ck_assert(
            vadm_contexts_add(bed.contexts, neighbours[i].name, &neighbours[i].fake->base, NULL));
    }
}

/* Nothing of what was read of them is kept: AddressSanitizer would see it. */
static void
free_neighbours(Neighbour *neighbours, guint n)
{
    for (guint i = 0; i < n; i++) {
        ck_assert_uint_eq(neighbours[i].fake->views_open, 0);
        fake_source_free(neighbours[i].fake);
    }
}

START_TEST(test_contexts)
{
    static const char *const table[] = {
        "1.8.1.2.1.98 4 b",
        "1.8.1.2.1.255 4 x:ff",
        "1.8.1.2.2.97.97 4 aa",
        "1.8.1.2.8.118.105.114.116.97.100.109.100 4 virtadmd",
        "1.8.1.2.8.118.105.114.116.113.101.109.117 4 virtqemu",
        "1.8.1.3.1.98 2 1",
        "1.8.1.3.1.255 2 1",
        "1.8.1.3.2.97.97 2 2",
        "1.8.1.3.8.118.105.114.116.97.100.109.100 2 1",
        "1.8.1.3.8.118.105.114.116.113.101.109.117 2 1",
        "1.8.1.4.1.98 4 b",
        "1.8.1.4.1.255 4 x:ff",
        "1.8.1.4.2.97.97 4 aa",
        "1.8.1.4.8.118.105.114.116.97.100.109.100 4 libvirtd:///system",
        "1.8.1.4.8.118.105.114.116.113.101.109.117 4 virtqemu",
        "1.9.1.0 66 2",
    };
    Neighbour neighbours[] = {
        {.name = "virtqemu"}, {.name = "aa"}, {.name = "b"}, {.name = "\xff"}};
    g_autofree char *at = g_strdup("1.8");
    g_autofree char *number = NULL;

    add_neighbours(neighbours, G_N_ELEMENTS(neighbours));
    neighbours[1].fake->daemon.state = VADM_REACH_UNREACHABLE;
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autofree char *next = ask(at, MODE_GETNEXT);
        g_autofree char *oid = oid_of(table[i]);
        g_autofree char *got = ask(oid, MODE_GET);

        ck_assert_str_eq(next, table[i]);
        ck_assert_str_eq(got, table[i]);
        g_free(at);
        at = g_steal_pointer(&oid);
    }
    number = ask("1.9.4.0", MODE_GET);
    ck_assert_str_eq(number, "1.9.4.0 66 5");
    check_next("1.8.1.2.1.97.4294967295", "1.8.1.2.1.98");
    check_next("1.8.1.2.2", "1.8.1.2.2.97.97");
    check_next("1.8.1.2.2.97.97.0", "1.8.1.2.8.118.105.114.116.97.100.109.100");
    check_next("1.8.1.2.7", "1.8.1.2.8.118.105.114.116.97.100.109.100");
    free_neighbours(neighbours, G_N_ELEMENTS(neighbours));
}
END_TEST

/* One that gives no rows, and one with a text that is too long, do not hide the others. */
START_TEST(test_contexts_without_rows)
{
    Neighbour neighbours[] = {{.name = "a"}, {.name = "z"}};
    g_autofree char *uri = g_strnfill(256, 'u');
    g_autofree char *got = NULL;

    add_neighbours(neighbours, G_N_ELEMENTS(neighbours));
    neighbours[0].fake->no_view = TRUE;
    neighbours[1].fake->daemon.uri = uri;
    check_next("1.8.1.2", "1.8.1.2.1.122");
    check_next("1.8.1.3", "1.8.1.3.1.122");
    check_next("1.8.1.4", "1.8.1.4.8.118.105.114.116.97.100.109.100");
    got = ask("1.8.1.3.1.97", MODE_GET);
    ck_assert_str_eq(got, "1.8.1.3.1.97 noSuchInstance");
    free_neighbours(neighbours, G_N_ELEMENTS(neighbours));
}
END_TEST

START_TEST(test_context_names)
{
    g_autofree char *longest = g_strnfill(VADM_CONTEXT_NAME_MAX, 'x');
    g_autofree char *longer = g_strnfill(VADM_CONTEXT_NAME_MAX + 1, 'x');
    const char *const bad[] = {NULL, "", "virtadmd", longer};
    g_autofree char *got = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        ck_assert(!vadm_contexts_add(bed.contexts, bad[i], &bed.fake->base, &error));
        ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_CONFIG));
    }
    ck_assert(vadm_contexts_add(bed.contexts, longest, &bed.fake->base, NULL));
    ck_assert_uint_eq(vadm_contexts_get_number(bed.contexts), 2);
    got = ask("1.8.1.2.8.118.105.114.116.97.100.109.100", MODE_GETNEXT);
    ck_assert_msg(g_str_has_prefix(got, "1.8.1.2.32.120.120."), "%s", got);
}
END_TEST

/* lvaContextTable is in the default context only. */
START_TEST(test_named_context)
{
    static const char *const cases[] = {
        "1.8.1.2.8.118.105.114.116.97.100.109.100 noSuchInstance",
        "1.9.4.0 66 0",
        "1.9.1.0 66 2",
    };
    char context[] = "virtadmd";

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        AgentPdu pdu = {.transaction = 1, .context = context};
        g_autofree char *name = oid_of(cases[i]);
        g_autofree char *got = NULL;

        agent_add(&pdu, name, ASN_NULL, NULL, 0);
        ck_assert_int_eq(agent_send(&bed, &pdu, MODE_GET, NULL), 0);
        got = agent_result(&pdu, 0);
        ck_assert_str_eq(got, cases[i]);
        agent_pdu_clear(&pdu);
    }
}
END_TEST

START_TEST(test_no_view)
{
    AgentPdu pdu = {.transaction = 1};

    bed.fake->no_view = TRUE;
    agent_add(&pdu, "1.1.1.0", ASN_NULL, NULL, 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_GET, NULL), SNMP_ERR_GENERR);
    agent_pdu_clear(&pdu);
}
END_TEST

/* Objects of later issues, that the agent does not serve yet, and the one that notifications
 * alone carry. */
static const char *const not_served[] = {
    "lvaClientDisconnectReason", /* accessible-for-notify: in test-agent-notification */
};

typedef struct {
    const char *name, *oid;
    VadmSnmpType type;
    VadmAccess access;
} MibObject;

#define VADM_MIB_RO     VADM_ACCESS_READ
#define VADM_MIB_RW     VADM_ACCESS_WRITE
#define VADM_MIB_NOTIFY VADM_ACCESS_NONE
static const MibObject mib_objects[] = {
#define LVA_OBJECT(object, number, wire, rights)                                                   \
    {#object, number, VADM_SNMP_##wire, VADM_MIB_##rights},
#include "mib/lva-objects.inc"
};

static gboolean
is_not_served(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(not_served); i++) {
        if (strcmp(name, not_served[i]) == 0)
            return TRUE;
    }
    return FALSE;
}

static char *
column_oid(const VadmTable *table, const VadmColumn *column)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < table->path_length; i++)
        g_string_append_printf(out, "%u.", table->path[i]);
    g_string_append_printf(out, "%u", column->arc);
    return g_string_free(out, FALSE);
}

/* The code's columns and the MIB's: same set, order, type and access. */
START_TEST(test_columns_agree)
{
    gsize n_tables;
    const VadmTable *const *tables = vadm_mib_tables(&n_tables);
    gsize at = 0;
    gsize skipped = 0;

    for (gsize t = 0; t < n_tables; t++) {
        for (gsize c = 0; c < tables[t]->n_columns; c++) {
            const VadmColumn *column = &tables[t]->columns[c];
            g_autofree char *oid = column_oid(tables[t], column);

            for (; at < G_N_ELEMENTS(mib_objects) && is_not_served(mib_objects[at].name); at++)
                skipped++;
            ck_assert_uint_lt(at, G_N_ELEMENTS(mib_objects));
            ck_assert_str_eq(column->name, mib_objects[at].name);
            ck_assert_str_eq(oid, mib_objects[at].oid);
            ck_assert_msg(column->type == mib_objects[at].type, "type of %s", column->name);
            ck_assert_msg(column->access == mib_objects[at].access, "access of %s", column->name);
            ck_assert_msg((column->access == VADM_ACCESS_WRITE) ==
                              (column->rule.kind != VADM_RULE_NONE),
                          "rule of %s", column->name);
            at++;
        }
    }
    for (; at < G_N_ELEMENTS(mib_objects) && is_not_served(mib_objects[at].name); at++)
        skipped++;
    ck_assert_uint_eq(at, G_N_ELEMENTS(mib_objects));
    ck_assert_uint_eq(skipped, G_N_ELEMENTS(not_served));
}
END_TEST

START_TEST(test_columns_ordered)
{
    gsize n_tables;
    const VadmTable *const *tables = vadm_mib_tables(&n_tables);

    for (gsize t = 0; t < n_tables; t++) {
        for (gsize c = 1; c < tables[t]->n_columns; c++)
            ck_assert_uint_lt(tables[t]->columns[c - 1].arc, tables[t]->columns[c].arc);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent-mib");
    TCase *tree = tcase_create("tree");
    TCase *tables = tcase_create("tables");

    tcase_add_checked_fixture(tree, set_up, tear_down);
    tcase_add_test(tree, test_walk);
    tcase_add_test(tree, test_get_each);
    tcase_add_test(tree, test_next_between);
    tcase_add_test(tree, test_next_edges);
    tcase_add_test(tree, test_next_end);
    tcase_add_test(tree, test_next_from_outside);
    tcase_add_test(tree, test_next_inclusive);
    tcase_add_test(tree, test_get_missing);
    tcase_add_test(tree, test_wide_arcs);
    tcase_add_test(tree, test_high_arcs);
    tcase_add_test(tree, test_no_access);
    tcase_add_test(tree, test_unknown_values);
    tcase_add_test(tree, test_unreachable);
    tcase_add_test(tree, test_contexts);
    tcase_add_test(tree, test_contexts_without_rows);
    tcase_add_test(tree, test_context_names);
    tcase_add_test(tree, test_named_context);
    tcase_add_test(tree, test_no_view);
    suite_add_tcase(suite, tree);
    tcase_add_test(tables, test_columns_agree);
    tcase_add_test(tables, test_columns_ordered);
    suite_add_tcase(suite, tables);
    return vadm_unit_main(suite);
}
