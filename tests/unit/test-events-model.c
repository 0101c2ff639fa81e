/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients that come, authenticate, fail and go, and limits that change, in any order: what is told
 * and counted is what a model of it says. */
#include "events-fixture.h"

#define STEPS     400u
#define PEERS_MAX 12u

/* A model, not vadm_limit_update(): in whole clients, from docs/mib.md, "Thresholds". */
typedef struct {
    gboolean full, high;
} ModelLimit;

typedef struct {
    Peer *peer;
    VadmClient *client;
    gboolean authenticated, failing; /* failing: it is being closed for that */
} ModelClient;

static struct {
    GRand *random;
    GArray *clients; /* of ModelClient */
    guint32 max, unauth_max, high_percent;
    ModelLimit limit, unauth_limit;
    guint64 accepted;
    guint32 failures;
    GString *told; /* what has to be told, in the words of heard_take() */
} model;

static guint32
count_unauth(void)
{
    guint32 n = 0;

    for (guint i = 0; i < model.clients->len; i++)
        n += !g_array_index(model.clients, ModelClient, i).authenticated;
    return n;
}

static void
expect_told(const char *word)
{
    g_string_append_printf(model.told, "%s%s", model.told->len > 0 ? " " : "", word);
}

static gboolean
alarm_after(gboolean raised, guint32 current, guint32 threshold)
{
    return current >= threshold || (raised && 10 * current > 9 * threshold);
}

static const char *
limit_name(const ModelLimit *limit)
{
    return limit->full ? "full" : limit->high ? "high" : "normal";
}

static VadmLimitState
limit_state(const ModelLimit *limit)
{
    return limit->full ? VADM_LIMIT_FULL : limit->high ? VADM_LIMIT_HIGH : VADM_LIMIT_NORMAL;
}

/* Behind each change. */
static void
model_limits(void)
{
    const char *before = limit_name(&model.limit), *unauth_before = limit_name(&model.unauth_limit);
    guint32 high = (model.max * model.high_percent + 99) / 100;

    model.limit.full = alarm_after(model.limit.full, model.clients->len, model.max);
    model.limit.high =
        model.high_percent > 0 && alarm_after(model.limit.high, model.clients->len, high);
    model.unauth_limit.full = model.unauth_max > 0 && alarm_after(model.unauth_limit.full,
                                                                  count_unauth(), model.unauth_max);
    if (strcmp(before, limit_name(&model.limit)) != 0)
        expect_told(limit_name(&model.limit));
    if (strcmp(unauth_before, limit_name(&model.unauth_limit)) != 0) {
        g_autofree char *word = g_strconcat("unauth-", limit_name(&model.unauth_limit), NULL);

        expect_told(word);
    }
}

static void
check_model(guint step)
{
    g_autofree char *told = heard_take();
    VadmServerRow row;

    get_row(&row);
    ck_assert_msg(strcmp(told, model.told->str) == 0, "step %u: told '%s', not '%s'", step, told,
                  model.told->str);
    g_string_truncate(model.told, 0);
    ck_assert_uint_eq(row.clients_current, model.clients->len);
    ck_assert_uint_eq(row.clients_unauth_current, count_unauth());
    ck_assert_int_eq(row.clients_state, limit_state(&model.limit));
    ck_assert_int_eq(row.clients_unauth_state, limit_state(&model.unauth_limit));
    ck_assert_uint_eq(row.clients_accepted, model.accepted);
    ck_assert_uint_eq(row.auth_failures, model.failures);
}

static ModelClient *
pick(void)
{
    if (model.clients->len == 0)
        return NULL;
    return &g_array_index(model.clients, ModelClient,
                          g_rand_int_range(model.random, 0, (gint)model.clients->len));
}

static void
forget(ModelClient *client)
{
    guint index = (guint)(client - (ModelClient *)(void *)model.clients->data);

    vadm_client_unref(client->client);
    g_array_remove_index(model.clients, index);
    expect_told("gone");
    model_limits();
}

static void
step_connect(void)
{
    ModelClient client = {0};
    g_autoptr(GPtrArray) list = NULL;

    if (model.clients->len >= MIN(model.max, PEERS_MAX) ||
        (model.unauth_max > 0 && count_unauth() >= model.unauth_max))
        return;
    client.peer = connect_as(model.clients->len + 1);
    list = vadm_server_list_clients(fix.server);
    client.client = vadm_client_ref(g_ptr_array_index(list, list->len - 1));
    g_array_append_val(model.clients, client);
    model.accepted++;
    expect_told("connected");
    model_limits();
}

static void
step_disconnect(void)
{
    ModelClient *client = pick();

    if (!client)
        return;
    peer_free(client->peer);
    SPIN_UNTIL(vadm_client_is_closed(client->client));
    forget(client);
}

/* Again has no effect. */
static void
step_authenticate(void)
{
    ModelClient *client = pick();

    if (!client)
        return;
    vadm_server_set_sasl_user(fix.server, client->client, "fred@example");
    client->authenticated = TRUE;
    model_limits();
}

/* As the relay does it. */
static void
step_fail(void)
{
    ModelClient *client = pick();

    if (!client)
        return;
    vadm_server_note_auth_failure(fix.server, client->client);
    model.failures++;
    expect_told("auth");
    vadm_client_close_flushed(client->client, VADM_DISCONNECT_AUTH_FAILURE);
    SPIN_UNTIL(vadm_client_is_closed(client->client));
    peer_free(client->peer);
    forget(client);
}

/* A worker's answer for one who has been closed meanwhile. */
static void
step_too_late(void)
{
    ModelClient *client = pick();
    g_autoptr(VadmClient) keep = NULL;

    if (!client)
        return;
    keep = vadm_client_ref(client->client);
    vadm_client_close(keep, VADM_DISCONNECT_ADMINISTRATOR);
    peer_free(client->peer);
    forget(client);
    if (g_rand_boolean(model.random)) {
        vadm_server_set_sasl_user(fix.server, keep, "fred@example");
        return;
    }
    vadm_server_note_auth_failure(fix.server, keep);
    model.failures++;
    expect_told("auth");
}

static void
step_limits(void)
{
    VadmServerLimits limits = server_config()->limits;

    model.max = (guint32)g_rand_int_range(model.random, 1, PEERS_MAX + 2);
    model.unauth_max = (guint32)g_rand_int_range(model.random, 0, (gint)model.max + 1);
    model.high_percent = (guint32)g_rand_int_range(model.random, 0, 101);
    limits.clients_max = model.max;
    limits.clients_unauth_max = model.unauth_max;
    limits.clients_high_percent = model.high_percent;
    set_limits(&limits);
    model_limits();
}

static void (*const steps[])(void) = {step_connect,    step_connect,      step_connect,
                                      step_disconnect, step_authenticate, step_fail,
                                      step_too_late,   step_limits};

START_TEST(any_order)
{
    VadmListenConfig *listen = g_ptr_array_index(server_config()->listens, 0);
    VadmServerLimits *limits = &server_config()->limits;

    listen->auth = VADM_AUTH_SASL;
    memset(&model, 0, sizeof(model));
    model.random = g_rand_new_with_seed(4711u + (guint32)_i);
    model.clients = g_array_new(FALSE, TRUE, sizeof(ModelClient));
    model.told = g_string_new(NULL);
    model.max = limits->clients_max = 6;
    model.unauth_max = limits->clients_unauth_max = 3;
    model.high_percent = limits->clients_high_percent = 80;
    events_start();
    for (guint i = 0; i < STEPS; i++) {
        steps[g_rand_int_range(model.random, 0, G_N_ELEMENTS(steps))]();
        check_model(i);
    }
    while (model.clients->len > 0)
        step_disconnect();
    check_model(STEPS);
    g_array_unref(model.clients);
    g_string_free(model.told, TRUE);
    g_rand_free(model.random);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("events-model");
    TCase *tcase = tcase_create("model");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, events_setup, events_teardown);
    tcase_add_loop_test(tcase, any_order, 0, 3);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
