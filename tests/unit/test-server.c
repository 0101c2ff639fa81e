/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is let in, limits, indexes, rows; the daemon's timeout and its end. */
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/spare-fds.h"
#include "daemon-fixture.h"

static VadmServerLimits *
config_limits(void)
{
    return &vadm_config_find_server(fix.config, "libvirtd")->limits;
}

static VadmServerRow
row(void)
{
    VadmServerRow now;

    get_row(&now);
    return now;
}

static gboolean
accepting(void)
{
    VadmServiceRow service;

    ck_assert(vadm_server_fill_service(fix.server, 1, &service));
    return service.accepting;
}

static gboolean
is_named(VadmClient *client)
{
    g_autoptr(VadmIdentity) identity = vadm_client_get_identity(client);

    return identity->named;
}

START_TEST(identity)
{
    g_autoptr(VadmClient) client = NULL;
    g_autoptr(VadmIdentity) who = NULL, waited = NULL;
    g_autofree char *peer_text = NULL;
    gint64 before = g_get_real_time();
    VadmClientRow got;
    Peer *peer;

    fixture_start();
    peer = peer_new(fix.path);
    client = get_client(1);
    SPIN_UNTIL(is_named(client));
    who = vadm_client_get_identity(client);
    ck_assert(who->local);
    ck_assert_uint_eq(who->uid, getuid());
    ck_assert_uint_eq(who->gid, getgid());
    ck_assert_uint_eq(who->pid, (guint32)getpid());
    ck_assert_str_eq(who->user_name, g_get_user_name());
    peer_text = vadm_identity_peer(who, VADM_TRANSPORT_UNIX);
    ck_assert(g_str_has_prefix(peer_text, "unix:pid="));
    waited = vadm_client_wait_names(client, 0);
    ck_assert_ptr_eq(waited, who);
    vadm_client_fill_row(client, &got);
    ck_assert_uint_eq(got.server, 2);
    ck_assert_uint_eq(got.index, 1);
    ck_assert_uint_eq(got.id, 1);
    ck_assert_int_eq(got.transport, VADM_TRANSPORT_UNIX);
    ck_assert_int_ge(got.connected_since, before);
    ck_assert_int_le(got.connected_since, g_get_real_time());
    ck_assert(got.authenticated);
    ck_assert(!got.readonly);
    ck_assert_uint_eq(got.requests, 0);
    vadm_identity_unref(got.identity);
    peer_free(peer);
}
END_TEST

START_TEST(full_suspends_and_resumes)
{
    VadmServerLimits *limits = config_limits();
    Peer *one, *two, *three;

    limits->clients_max = 2;
    fixture_start();
    one = peer_new(fix.path);
    two = peer_new(fix.path);
    SPIN_UNTIL(row().clients_current == 2);
    ck_assert_int_eq(row().clients_state, VADM_LIMIT_FULL);
    ck_assert(!accepting());
    three = peer_new(fix.path);
    peer_call(three, ECHO_NOW, 3, "served later");
    ck_assert(peer_is_silent(three));
    ck_assert_uint_eq(row().clients_current, 2);
    ck_assert_uint_eq(row().clients_full_events, 1);
    peer_free(one);
    peer_expect_reply(three, 3, "served later");
    ck_assert_uint_eq(row().clients_full_events, 2);
    ck_assert_uint_eq(row().clients_accepted, 3);
    /* lowering disconnects nobody */
    limits->clients_max = 1;
    set_limits(limits);
    ck_assert_uint_eq(row().clients_current, 2);
    peer_call(two, ECHO_NOW, 4, "still here");
    peer_expect_reply(two, 4, "still here");
    peer_free(two);
    SPIN_UNTIL(row().clients_current == 1);
    ck_assert(!accepting());
    limits->clients_max = 10;
    set_limits(limits);
    ck_assert(accepting());
    ck_assert_int_eq(row().clients_state, VADM_LIMIT_NORMAL);
    limits->clients_max = 0;
    limits->clients_unauth_max = 0;
    set_limits(limits);
    ck_assert_int_eq(row().clients_state, VADM_LIMIT_FULL);
    ck_assert(!accepting());
    peer_call(three, ECHO_NOW, 5, "even so");
    peer_expect_reply(three, 5, "even so");
    peer_free(three);
}
END_TEST

START_TEST(unauthenticated_have_a_limit_of_their_own)
{
    VadmServerConfig *config = vadm_config_find_server(fix.config, "libvirtd");
    VadmListenConfig *listen = g_ptr_array_index(config->listens, 0);
    g_autoptr(VadmClient) client = NULL;
    Peer *one, *two;

    listen->auth = VADM_AUTH_SASL;
    config->limits.clients_unauth_max = 1;
    fixture_start();
    one = peer_new(fix.path);
    two = peer_new(fix.path);
    client = get_client(1);
    ck_assert(peer_is_silent(two));
    ck_assert_uint_eq(row().clients_current, 1);
    ck_assert_uint_eq(row().clients_unauth_current, 1);
    ck_assert_int_eq(row().clients_unauth_state, VADM_LIMIT_FULL);
    ck_assert_int_eq(row().clients_state, VADM_LIMIT_NORMAL);
    vadm_server_set_sasl_user(fix.server, client, "fred@example");
    vadm_server_set_sasl_user(fix.server, client, "fred@example");
    SPIN_UNTIL(row().clients_current == 2);
    ck_assert_uint_eq(row().clients_unauth_current, 1);
    peer_free(two);
    SPIN_UNTIL(row().clients_current == 1);
    ck_assert_uint_eq(row().clients_unauth_current, 0);
    ck_assert_int_eq(row().clients_unauth_state, VADM_LIMIT_NORMAL);
    peer_free(one);
    SPIN_UNTIL(row().clients_current == 0);
    vadm_server_set_sasl_user(fix.server, client, "fred@example");
    ck_assert_uint_eq(row().clients_unauth_current, 0);
}
END_TEST

/* SASL and the look-up of names end in any order, and the later one loses nothing of the earlier:
 * 0: SASL first; 1: names first. */
START_TEST(sasl_name_and_other_names)
{
    VadmServerConfig *config = vadm_config_find_server(fix.config, "libvirtd");
    VadmListenConfig *listen = g_ptr_array_index(config->listens, 0);
    g_autoptr(VadmIdentity) named = vadm_identity_new(), before = NULL;
    g_autoptr(VadmClient) client = NULL;
    VadmClientRow got;
    Peer *peer;

    listen->auth = VADM_AUTH_SASL;
    fixture_start();
    peer = peer_new(fix.path);
    client = get_client(1);
    SPIN_UNTIL(is_named(client)); /* the real look-up comes in between no more */
    ck_assert(!vadm_client_is_authenticated(client));
    before = vadm_client_get_identity(client);
    g_free(named->user_name);
    named->user_name = g_strdup("somebody");
    if (_i == 0)
        vadm_server_set_sasl_user(fix.server, client, "fred@example");
    vadm_server_set_names(fix.server, client, named);
    if (_i == 1)
        vadm_server_set_sasl_user(fix.server, client, "fred@example");

    ck_assert(vadm_client_is_authenticated(client));
    vadm_client_fill_row(client, &got);
    ck_assert(got.authenticated);
    ck_assert_str_eq(got.identity->sasl_user_name, "fred@example");
    ck_assert_str_eq(got.identity->user_name, "somebody");
    ck_assert_uint_eq(got.identity->pid, (guint32)getpid());
    vadm_identity_unref(got.identity);
    ck_assert_str_eq(before->sasl_user_name, ""); /* who holds the old one sees no change */
    ck_assert_uint_eq(row().clients_unauth_current, 0);
    peer_free(peer);
    SPIN_UNTIL(row().clients_current == 0);
    vadm_server_set_sasl_user(fix.server, client, "too late");
    ck_assert_uint_eq(row().clients_unauth_current, 0);
}
END_TEST

static VadmListenConfig *
add_asking_listen(VadmServerConfig *config)
{
    const VadmListenConfig *first = g_ptr_array_index(config->listens, 0);
    VadmListenConfig *asking = g_new0(VadmListenConfig, 1);

    asking->transport = VADM_TRANSPORT_UNIX;
    asking->auth = VADM_AUTH_SASL;
    asking->path = g_strconcat(first->path, "-sasl", NULL);
    asking->text = g_strdup("unix+sasl:sock-sasl");
    g_ptr_array_add(config->listens, asking);
    return asking;
}

/* A crowd at one socket does not starve the other. */
START_TEST(sockets_take_turns)
{
    VadmServerConfig *config = vadm_config_find_server(fix.config, "libvirtd");
    VadmListenConfig *other = add_asking_listen(config);
    Peer *crowd[4], *one;

    ((VadmListenConfig *)g_ptr_array_index(config->listens, 0))->auth = VADM_AUTH_SASL;
    config->limits.clients_unauth_max = 1;
    fixture_start();
    for (guint i = 0; i < G_N_ELEMENTS(crowd); i++)
        crowd[i] = peer_new(fix.path);
    SPIN_UNTIL(row().clients_accepted == 1);
    one = peer_new(other->path);
    peer_call(one, ECHO_NOW, 1, "my turn");
    ck_assert(peer_is_silent(one));
    peer_free(crowd[0]);
    peer_expect_reply(one, 1, "my turn");
    ck_assert_uint_eq(row().clients_accepted, 2);
    peer_free(one);
    SPIN_UNTIL(row().clients_accepted == 3);
    for (guint i = 1; i < G_N_ELEMENTS(crowd); i++)
        peer_free(crowd[i]);
    SPIN_UNTIL(row().clients_accepted == 5 && row().clients_current == 0);
    ck_assert_int_eq(unlink(other->path), 0);
}
END_TEST

/* Those who have to show who they are wait for one another, and nobody for them. */
START_TEST(strangers_keep_out_strangers)
{
    VadmServerConfig *config = vadm_config_find_server(fix.config, "libvirtd");
    VadmListenConfig *asking = add_asking_listen(config);
    VadmServiceRow service;
    Peer *one, *two, *three;

    config->limits.clients_unauth_max = 1;
    config->limits.clients_max = 2;
    fixture_start();
    one = peer_new(asking->path);
    SPIN_UNTIL(row().clients_unauth_current == 1);
    ck_assert(vadm_server_fill_service(fix.server, 2, &service));
    ck_assert(!service.accepting);
    ck_assert(accepting());
    two = peer_new(fix.path);
    peer_call(two, ECHO_NOW, 1, "let in");
    peer_expect_reply(two, 1, "let in");
    ck_assert(!accepting()); /* the limit on all is for all */
    three = peer_new(fix.path);
    ck_assert(peer_is_silent(three));
    peer_free(two);
    SPIN_UNTIL(row().clients_accepted == 3);
    peer_free(one);
    peer_free(three);
    SPIN_UNTIL(row().clients_current == 0);
    ck_assert(vadm_server_fill_service(fix.server, 2, &service));
    ck_assert(service.accepting);
    ck_assert_int_eq(unlink(asking->path), 0);
}
END_TEST

START_TEST(indexes_beyond_32_bits)
{
    const guint64 ids[] = {1, G_MAXUINT32, 1ull << 32, (1ull << 32) + 1};
    const guint32 indexes[] = {1, G_MAXUINT32, 2, 3};
    Peer *peers[G_N_ELEMENTS(ids)];
    g_autoptr(GPtrArray) list = NULL;
    guint32 index = 0;

    fixture_start();
    peers[0] = peer_new(fix.path);
    SPIN_UNTIL(row().clients_current == 1);
    vadm_server_preset_id(fix.server, G_MAXUINT32 - 1);
    for (guint i = 1; i < G_N_ELEMENTS(ids); i++) {
        peers[i] = peer_new(fix.path);
        SPIN_UNTIL(row().clients_current == i + 1);
    }
    list = vadm_server_list_clients(fix.server);
    ck_assert_uint_eq(list->len, G_N_ELEMENTS(ids));
    for (guint i = 0; i < list->len; i++) {
        g_autoptr(VadmClient) found = vadm_server_lookup_client(fix.server, ids[i]);

        ck_assert_ptr_eq(found, g_ptr_array_index(list, i));
        ck_assert_uint_eq(vadm_client_get_id(found), ids[i]);
        ck_assert_uint_eq(vadm_client_get_index(found), indexes[i]);
    }
    ck_assert_ptr_null(vadm_server_lookup_client(fix.server, 0));
    ck_assert_ptr_null(vadm_server_lookup_client(fix.server, 3));
    for (guint i = 0; i < 3; i++) {
        g_autoptr(VadmClient) next = vadm_server_find_client(fix.server, VADM_MATCH_GT, index);

        index = vadm_client_get_index(next);
        ck_assert_uint_eq(index, i + 1);
    }
    ck_assert_ptr_null(vadm_server_find_client(fix.server, VADM_MATCH_GT, G_MAXUINT32));
    ck_assert_ptr_null(vadm_server_find_client(fix.server, VADM_MATCH_EQ, 4));
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++)
        peer_free(peers[i]);
}
END_TEST

START_TEST(admin_takes_root_and_itself_only)
{
    VadmServerConfig *config = vadm_config_find_server(fix.config, "admin");
    VadmServerRow now;
    g_autoptr(VadmClient) client = NULL;
    struct stat st;
    Peer *peer;

    config->socket_mode = 0666;
    fixture_start();
    ck_assert_int_eq(stat(fix.admin_path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600); /* whatever the configuration says */
    peer = peer_new(fix.admin_path);
    SPIN_UNTIL(vadm_server_count_clients(fix.admin) == 1);
    peer_free(peer);
    SPIN_UNTIL(vadm_server_count_clients(fix.admin) == 0);
    if (geteuid() != 0)
        return;
    connect_as_nobody();
    vadm_server_fill_row(fix.admin, config, &now);
    ck_assert_uint_eq(now.auth_failures, 1);
    ck_assert_uint_eq(now.clients_accepted, 1);
    ck_assert_uint_eq(fix.echo.closed, 1); /* the first; the second never was a client */
    peer = peer_new(fix.admin_path);
    SPIN_UNTIL(vadm_server_count_clients(fix.admin) == 1);
    client = vadm_server_find_client(fix.admin, VADM_MATCH_GT, 0);
    ck_assert_uint_eq(vadm_client_get_id(client), 3); /* the refused one took an id */
    peer_free(peer);
}
END_TEST

START_TEST(comes_and_goes_without_a_trace)
{
    guint fds = 0, threads = 0;

    /* how many workers the jobs of those that do not wait bring about is up to the machine */
    vadm_config_find_server(fix.config, "libvirtd")->limits.workers_max = 1;
    fixture_start();
    for (guint i = 0; i < 550; i++) {
        Peer *peer;

        if (i == 50) {
            SPIN_UNTIL(row().clients_current == 0);
            settle();
            fds = count_fds();
            threads = count_threads();
        }
        peer = peer_new(fix.path);
        peer_call(peer, i % 2 ? ECHO_NOW : ECHO_WORKER, i, "hello");
        if (i % 3)
            peer_expect_reply(peer, i, "hello");
        peer_free(peer);
    }
    SPIN_UNTIL(row().clients_current == 0);
    settle();
    ck_assert_uint_eq(count_fds(), fds);
    ck_assert_uint_le(count_threads(), threads + 1);
    ck_assert_uint_eq(fix.echo.closed, 550);
    ck_assert_uint_eq(row().clients_accepted, 550);
}
END_TEST

/* The limit with which @fd and those above it are not for clients. Returns: the one before */
static struct rlimit
keep_descriptors_from(int fd)
{
    struct rlimit saved, low;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &saved), 0);
    low = saved;
    low.rlim_cur = (rlim_t)fd + MIN((rlim_t)fd, VADM_SPARE_FDS);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    return saved;
}

START_TEST(out_of_descriptors)
{
    g_autoptr(VadmClient) client = NULL;
    struct rlimit saved;
    Peer *one, *two;

    fixture_start();
    one = peer_new(fix.path);
    client = get_client(1);
    SPIN_UNTIL(is_named(client)); /* the resolver has a descriptor while it looks */
    two = peer_new(fix.path);
    saved = keep_descriptors_from(two->fd);
    SPIN_UNTIL(!accepting());
    peer_call(one, ECHO_NOW, 1, "served");
    peer_expect_reply(one, 1, "served");
    ck_assert_uint_eq(row().clients_current, 1);
    /* a client that goes makes place at once */
    peer_free(one);
    if (_i == 1)
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &saved), 0);
    peer_call(two, ECHO_NOW, 2, "at last");
    peer_expect_reply(two, 2, "at last");
    ck_assert(accepting());
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &saved), 0);
    peer_free(two);
}
END_TEST

/* What clients do not get is there for those who send them away. */
START_TEST(descriptors_for_administrators)
{
    struct rlimit saved;
    Peer *one, *admin;

    fixture_start();
    admin = peer_new(fix.admin_path);
    one = peer_new(fix.path);
    saved = keep_descriptors_from(one->fd);
    SPIN_UNTIL(!accepting());
    SPIN_UNTIL(vadm_server_count_clients(fix.admin) == 1);
    ck_assert_uint_eq(row().clients_current, 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &saved), 0);
    peer_free(admin);
    peer_free(one);
}
END_TEST

/* As if the name service had not answered yet, @seconds after the client came. */
static void
forget_names(VadmClient *client, gint64 seconds)
{
    SPIN_UNTIL(is_named(client));
    VADM_LOCK_SCOPE(&fix.server->lock);
    client->identity->named = FALSE;
    client->connected_at -= seconds * G_USEC_PER_SEC;
}

/* Returns: whether it waited for all of @timeout_us, which must be well below ten seconds */
static gboolean
waits_for_names(VadmClient *client, gint64 timeout_us)
{
    gint64 began = g_get_monotonic_time();

    vadm_identity_unref(vadm_client_wait_names(client, timeout_us));
    return g_get_monotonic_time() - began >= timeout_us;
}

START_TEST(who_waits_in_vain_for_names_does_so_for_all)
{
    g_autoptr(VadmClient) late = NULL, fresh = NULL;
    g_autoptr(VadmIdentity) named = NULL;
    const gint64 moment = 50 * 1000, ages = 10 * (gint64)G_USEC_PER_SEC;
    Peer *one, *two;

    fixture_start();
    one = peer_new(fix.path);
    two = peer_new(fix.path);
    late = get_client(1);
    fresh = get_client(2);
    forget_names(fresh, -3600);                /* it stays fresh, however long this takes */
    ck_assert(waits_for_names(fresh, moment)); /* too short to prove anything */
    ck_assert(waits_for_names(fresh, moment));
    forget_names(late, 5);
    ck_assert(waits_for_names(late, moment));
    ck_assert(!waits_for_names(late, ages));
    ck_assert(!waits_for_names(fresh, ages));
    /* a name out of the cache changes nothing, one that was waited for does */
    named = vadm_client_get_identity(fresh);
    vadm_server_set_names(fix.server, fresh, named);
    forget_names(fresh, 0);
    ck_assert(!waits_for_names(fresh, ages));
    vadm_server_set_names(fix.server, late, named);
    ck_assert(waits_for_names(fresh, moment));
    peer_free(one);
    peer_free(two);
}
END_TEST

/* Readers in threads while clients come and go: for ThreadSanitizer, and for the order. */
static atomic_bool reading_ends;

static void *
read_rows(void *data)
{
    atomic_uint *walks = data;

    while (!atomic_load(&reading_ends)) {
        VadmClient *client;
        VadmClientRow client_row;
        VadmServerRow server_row;
        VadmServiceRow service_row;
        guint32 index = 0;

        while ((client = vadm_server_find_client(fix.server, VADM_MATCH_GT, index))) {
            ck_assert_uint_gt(vadm_client_get_index(client), index);
            index = vadm_client_get_index(client);
            vadm_client_fill_row(client, &client_row);
            vadm_identity_unref(client_row.identity);
            vadm_client_unref(client);
        }
        get_row(&server_row);
        ck_assert_uint_le(server_row.clients_current, server_row.clients_accepted);
        vadm_server_fill_service(fix.server, 1, &service_row);
        g_ptr_array_unref(vadm_server_list_clients(fix.server));
        ++*walks;
    }
    return NULL;
}

START_TEST(readers_in_threads)
{
    pthread_t threads[2];
    atomic_uint walks[2] = {0};
    VadmServerLimits limits = *config_limits();
    Peer *peers[20] = {NULL};

    fixture_start();
    atomic_store(&reading_ends, false);
    for (guint i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_rows, &walks[i]), 0);
    for (guint i = 0; i < 400 || !atomic_load(&walks[0]) || !atomic_load(&walks[1]); i++) {
        Peer **peer = &peers[i % G_N_ELEMENTS(peers)];

        if (*peer)
            peer_free(*peer);
        *peer = peer_new(fix.path);
        peer_call(*peer, ECHO_WORKER, i, "");
        limits.clients_max = 25 + i % 3;
        vadm_server_set_limits(fix.server, &limits);
    }
    atomic_store(&reading_ends, true);
    for (guint i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (guint i = 0; i < G_N_ELEMENTS(peers); i++)
        peer_free(peers[i]);
}
END_TEST

START_TEST(servers_by_index_and_name)
{
    fixture_start();
    ck_assert_ptr_eq(vadm_daemon_server(fix.daemon, VADM_MATCH_GT, 0), fix.admin);
    ck_assert_ptr_eq(vadm_daemon_server(fix.daemon, VADM_MATCH_GT, 1), fix.server);
    ck_assert_ptr_null(vadm_daemon_server(fix.daemon, VADM_MATCH_GT, 2));
    ck_assert_ptr_eq(vadm_daemon_server(fix.daemon, VADM_MATCH_EQ, 2), fix.server);
    ck_assert_ptr_null(vadm_daemon_server(fix.daemon, VADM_MATCH_EQ, 3));
    ck_assert_ptr_null(vadm_daemon_find_server(fix.daemon, "nosuch"));
    ck_assert(g_str_has_prefix(vadm_daemon_get_uri(fix.daemon), "libvirtd:///system?socket=/"));
    ck_assert(g_str_has_suffix(vadm_daemon_get_uri(fix.daemon), "/admin-sock"));
}
END_TEST

START_TEST(timeout_after_the_last_client)
{
    gint64 went;
    Peer *one, *two;

    fixture_start();
    one = peer_new(fix.path);
    two = peer_new(fix.admin_path);
    SPIN_UNTIL(row().clients_current == 1 && vadm_server_count_clients(fix.admin) == 1);
    vadm_daemon_set_timeout(fix.daemon, 1);
    peer_free(one);
    for (gint64 until = g_get_monotonic_time() + 1500000; g_get_monotonic_time() < until;)
        turn();
    ck_assert_uint_eq(fix.quits, 0); /* an admin client counts */
    vadm_daemon_set_timeout(fix.daemon, 0);
    settle();
    peer_free(two);
    for (gint64 until = g_get_monotonic_time() + 1500000; g_get_monotonic_time() < until;)
        turn();
    ck_assert_uint_eq(fix.quits, 0);
    vadm_daemon_set_timeout(fix.daemon, G_MAXUINT32);
    settle();
    ck_assert_uint_eq(fix.quits, 0);
    went = g_get_monotonic_time();
    vadm_daemon_set_timeout(fix.daemon, 1);
    SPIN_UNTIL(fix.quits == 1);
    ck_assert_int_ge(g_get_monotonic_time() - went, G_USEC_PER_SEC);
}
END_TEST

START_TEST(quit_is_asked_once)
{
    fixture_start();
    vadm_daemon_post_quit(fix.daemon);
    vadm_daemon_post_quit(fix.daemon);
    ck_assert_uint_eq(fix.quits, 0);
    settle();
    ck_assert_uint_eq(fix.quits, 1);
}
END_TEST

START_TEST(shutdown_lets_jobs_end)
{
    g_autoptr(VadmClient) client = NULL;
    Peer *peer, *idle;

    fixture_start();
    peer = peer_new(fix.path);
    idle = peer_new(fix.path);
    client = get_client(1);
    echo_set_hang(TRUE);
    peer_call(peer, ECHO_HANG, 1, "in time");
    SPIN_UNTIL(echo_count_hanging() == 1);
    vadm_daemon_shutdown(fix.daemon, NULL, NULL);
    settle();
    ck_assert(!g_file_test(fix.path, G_FILE_TEST_EXISTS));
    ck_assert(!g_file_test(fix.admin_path, G_FILE_TEST_EXISTS));
    peer_call(peer, ECHO_NOW, 2, "too late");
    echo_set_hang(FALSE);
    peer_expect_reply(peer, 1, "in time");
    peer_expect_eof(peer);
    peer_expect_eof(idle);
    ck_assert_int_eq(client->reason, VADM_DISCONNECT_SHUTDOWN);
    ck_assert_uint_eq(fix.echo.calls, 1);
    peer_free(peer);
    peer_free(idle);
}
END_TEST

/* Returns: microseconds for which this thread could have run, and others did (proc(5), schedstat)
 */
static gint64
time_off(void)
{
    g_autofree char *text = NULL;
    guint64 waited = 0;

    if (g_file_get_contents("/proc/thread-self/schedstat", &text, NULL, NULL))
        sscanf(text, "%*u %" G_GUINT64_FORMAT, &waited);
    return (gint64)(waited / 1000);
}

START_TEST(shutdown_does_not_wait_for_ever)
{
    gint64 longest = 0, begun;
    Peer *peer, *stuck;
    const guint32 size = GUINT32_TO_BE(8u * 1024 * 1024);

    fix.config->shutdown_timeout = 1;
    fixture_start();
    peer = peer_new(fix.path);
    stuck = peer_new(fix.path); /* does not read its reply */
    peer_send(stuck,
              make_message(VADM_RPC_PROGRAM_REMOTE, ECHO_BIG, VADM_RPC_CALL, 1, 0, &size, 4));
    echo_set_hang(TRUE);
    peer_call(peer, ECHO_HANG, 1, "never");
    SPIN_UNTIL(echo_count_hanging() == 1);
    fixture_shutdown_begin();
    begun = g_get_monotonic_time();
    while (!fix.stopped) {
        gint64 before = g_get_monotonic_time(), off = time_off();

        turn();
        longest = MAX(longest, g_get_monotonic_time() - before - (time_off() - off));
        ck_assert_int_lt(before - begun, PATIENCE);
    }
    ck_assert(!fix.clean);
    ck_assert_int_ge(g_get_monotonic_time() - begun, G_USEC_PER_SEC);
    ck_assert_int_lt(longest, G_USEC_PER_SEC / 2); /* the main loop was never held up */
    peer_expect_eof(peer);
    ck_assert_uint_eq(vadm_server_count_clients(fix.server), 0);
    ck_assert_uint_eq(fix.echo.closed, 2);
    echo_set_hang(FALSE); /* only that lets the test free what the job still uses */
    peer_free(peer);
    peer_free(stuck);
}
END_TEST

START_TEST(shutdown_of_an_idle_daemon)
{
    fixture_start();
    fixture_shutdown_begin();
    ck_assert(!fix.stopped); /* from the main loop only */
    SPIN_UNTIL(fix.stopped);
    ck_assert(fix.clean);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("server");
    TCase *tcase = tcase_create("server");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
    tcase_add_test(tcase, identity);
    tcase_add_test(tcase, full_suspends_and_resumes);
    tcase_add_test(tcase, unauthenticated_have_a_limit_of_their_own);
    tcase_add_test(tcase, strangers_keep_out_strangers);
    tcase_add_test(tcase, sockets_take_turns);
    tcase_add_loop_test(tcase, sasl_name_and_other_names, 0, 2);
    tcase_add_test(tcase, indexes_beyond_32_bits);
    tcase_add_test(tcase, admin_takes_root_and_itself_only);
    tcase_add_test(tcase, comes_and_goes_without_a_trace);
    tcase_add_loop_test(tcase, out_of_descriptors, 0, 2);
    tcase_add_test(tcase, descriptors_for_administrators);
    tcase_add_test(tcase, who_waits_in_vain_for_names_does_so_for_all);
    tcase_add_test(tcase, readers_in_threads);
    tcase_add_test(tcase, servers_by_index_and_name);
    tcase_add_test(tcase, timeout_after_the_last_client);
    tcase_add_test(tcase, quit_is_asked_once);
    tcase_add_test(tcase, shutdown_lets_jobs_end);
    tcase_add_test(tcase, shutdown_does_not_wait_for_ever);
    tcase_add_test(tcase, shutdown_of_an_idle_daemon);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
