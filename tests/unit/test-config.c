/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h> /* HAVE_SASL */

#include "config-fixture.h"

#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static VadmConfig *
load_file(GError **error)
{
    return vadm_config_load(path, error);
}

static const VadmListenConfig *
listen_of(const VadmServerConfig *server, guint i)
{
    ck_assert_uint_lt(i, server->listens->len);
    return server->listens->pdata[i];
}

START_TEST(defaults_are_those_of_the_contract)
{
    g_autoptr(VadmConfig) config = load_good("");
    const VadmServerConfig *admin = config->servers->pdata[0];
    const VadmServerConfig *relay = config->servers->pdata[1];

    ck_assert_uint_eq(config->servers->len, 2);
    ck_assert_str_eq(config->runtime_dir, "/run/virtadm");
    ck_assert_uint_eq(config->log_level, 3);
    ck_assert_str_eq(config->log_outputs, "1:stderr");
    ck_assert_str_eq(config->log_directories[0], "/var/log/virtadm");
    ck_assert_uint_eq(config->notify_enable, 0x3e7);
    ck_assert_str_eq(admin->name, "admin");
    ck_assert_uint_eq(admin->index, 1);
    ck_assert_uint_eq(admin->limits.clients_max, 50);
    ck_assert_uint_eq(admin->limits.workers_max, 5);
    ck_assert_uint_eq(admin->limits.workers_priority, 0);
    ck_assert_str_eq(listen_of(admin, 0)->path, "/run/virtadm/virtadm-admin-sock");
    ck_assert_str_eq(relay->name, "libvirtd");
    ck_assert_uint_eq(relay->index, 2);
    ck_assert_uint_eq(relay->limits.clients_max, 5000);
    ck_assert_uint_eq(relay->limits.clients_unauth_max, 20);
    ck_assert_uint_eq(relay->limits.workers_min, 5);
    ck_assert_uint_eq(relay->socket_mode, 0600);
    ck_assert_str_eq(relay->upstream_ro, "/run/libvirt/libvirt-sock-ro");
    ck_assert_str_eq(listen_of(relay, 1)->text, "unix-ro:/run/virtadm/libvirt-sock-ro");
    ck_assert(listen_of(relay, 1)->readonly);
}
END_TEST

#ifdef HAVE_SASL
START_TEST(sockets_with_sasl)
{
    g_autoptr(VadmConfig) config =
        load_good("[server libvirtd]\nlisten = unix+sasl:/a;unix-ro+sasl:b;unix:c\n");
    const VadmServerConfig *relay = vadm_config_find_server(config, "libvirtd");
    g_autoptr(VadmConfig) plain = vadm_config_new();

    ck_assert_int_eq(listen_of(relay, 0)->auth, VADM_AUTH_SASL);
    ck_assert(!listen_of(relay, 0)->readonly);
    ck_assert_str_eq(listen_of(relay, 0)->text, "unix+sasl:/a");
    ck_assert_int_eq(listen_of(relay, 1)->auth, VADM_AUTH_SASL);
    ck_assert(listen_of(relay, 1)->readonly);
    ck_assert_str_eq(listen_of(relay, 1)->text, "unix-ro+sasl:/run/virtadm/b");
    ck_assert_int_eq(listen_of(relay, 2)->auth, VADM_AUTH_NONE);
    ck_assert(vadm_config_has_auth(config, VADM_AUTH_SASL));
    ck_assert(!vadm_config_has_auth(plain, VADM_AUTH_SASL));
}
END_TEST
#endif

START_TEST(every_kind_of_value_is_read)
{
    g_autoptr(VadmConfig) config = load_good("# a comment\n"
                                             "[server libvirtd]\n"
                                             "listen = unix:a;unix-ro:/tmp/b ;\n"
                                             "upstream = unix:/tmp/up\n"
                                             "socket_mode = 0660\n"
                                             "socket_group = root\n"
                                             "keepalive_interval = -1\n"
                                             "max_workers = 1000  \n"
                                             "[daemon]\n"
                                             "runtime_dir = /tmp/run\n"
                                             "[log]\n"
                                             "filters = 1:rpc 2:util\n"
                                             "directories = /a;/b\n"
                                             "[snmp]\n"
                                             "enabled = false\n"
                                             "master = tcp:[::1]:705\n"
                                             "[notify]\n"
                                             "enable = clientConnect;upstream\n");
    const VadmServerConfig *relay = vadm_config_find_server(config, "libvirtd");
    const VadmServerConfig *admin = vadm_config_find_server_index(config, 1);

    ck_assert_str_eq(listen_of(relay, 0)->path, "/tmp/run/a");
    ck_assert_str_eq(listen_of(relay, 1)->path, "/tmp/b");
    ck_assert_uint_eq(relay->listens->len, 2);
    ck_assert_str_eq(relay->upstream, "/tmp/up");
    ck_assert_uint_eq(relay->socket_mode, 0660);
    ck_assert_uint_eq(relay->socket_gid, 0);
    ck_assert_int_eq(relay->keepalive_interval, -1);
    ck_assert_uint_eq(relay->limits.workers_max, 1000);
    ck_assert_str_eq(admin->name, "admin");
    ck_assert_str_eq(listen_of(admin, 0)->path, "/tmp/run/virtadm-admin-sock");
    ck_assert_str_eq(config->log_filters, "1:rpc 2:util");
    ck_assert_str_eq(config->log_directories[1], "/b");
    ck_assert(!config->snmp_enabled);
    ck_assert_str_eq(config->snmp_master, "tcp:[::1]:705");
    ck_assert_uint_eq(config->notify_enable, (1u << 3) | (1u << 9));
}
END_TEST

START_TEST(servers_get_their_index)
{
    g_autoptr(VadmConfig) config = load_good("[server zeta]\n"
                                             "listen = unix:z\n"
                                             "upstream = unix:/u\n"
                                             "[server beta]\n"
                                             "index = 65535\n"
                                             "listen = unix:b\n"
                                             "upstream = unix:/v\n"
                                             "[server second]\n"
                                             "program = admin\n"
                                             "index = 7\n"
                                             "listen = unix:s\n");

    ck_assert_uint_eq(config->servers->len, 4);
    ck_assert_str_eq(vadm_config_find_server_index(config, 1)->name, "admin");
    ck_assert_str_eq(vadm_config_find_server_index(config, 2)->name, "zeta");
    ck_assert_int_eq(vadm_config_find_server_index(config, 7)->program, VADM_PROGRAM_ADMIN);
    ck_assert_str_eq(((VadmServerConfig *)config->servers->pdata[3])->name, "beta");
    ck_assert_ptr_null(vadm_config_find_server(config, "libvirtd"));
}
END_TEST

#define RELAY(name) "[server " name "]\nlisten = unix:" name "\nupstream = unix:/u\n"
#define KINDS                                                                                      \
    "unix-ro:PATH, tcp:ADDRESS:PORT or tls:ADDRESS:PORT, or one of them with SASL, such as "       \
    "unix+sasl:PATH"
#define LONG_NAME                                                                                  \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aa"

static const struct {
    const char *text, *message;
} bad_files[] = {
    {"[deamon]\n", "group [deamon]: is unknown; there are [daemon], [log], [snmp], [notify] and "
                   "[server NAME]"},
    {"[log]\nlvel = 3\n", "group [log], key lvel: value '3': there is no such key in this group; "
                          "there are level, filters, outputs and directories"},
    {"[log]\nlevel[de] = 3\n",
     "group [log], key level[de]: value '3': there is no such key in this group; there are level, "
     "filters, outputs and directories"},
    {"[source libvirtd]\n", "group [source libvirtd]: is unknown; there are [daemon], [log], "
                            "[snmp], [notify] and [server NAME]"},
    {"[log]\nlevel = 5\n", "group [log], key level: value '5': must be a number from 1 to 4"},
    {"[log]\nlevel = +3\n", "group [log], key level: value '+3': must be a number from 1 to 4"},
    {"[log]\nlevel = 3 # warning\n",
     "group [log], key level: value '3 # warning': must be a number from 1 to 4"},
    {"[log]\nlevel =\n", "group [log], key level: value '': must be a number from 1 to 4"},
    {"[log]\ndirectories = /a;b\n",
     "group [log], key directories: value '/a;b': 'b' must be an absolute path"},
    {"[log]\nlevel = 2\nlevel = 3\n", "group [log], key level: is there twice, again in line 3"},
    {"[server admin]\n[log]\n[server admin]\n",
     "group [server admin]: is there twice, again in line 3"},
    {"[daemon]\nshutdown_timeout = 4294967297\n",
     "group [daemon], key shutdown_timeout: value '4294967297': must be a number from 0 to 3600"},
    {"[daemon]\nname =\n", "group [daemon], key name: value '': must have 1 to 32 octets"},
    {"[daemon]\nname = a\\qb\n", "group [daemon], key name: value 'a\\qb': a backslash must begin "
                                 "one of \\s, \\n, \\t, \\r and \\\\"},
    {"[daemon]\nruntime_dir = /a\\\n",
     "group [daemon], key runtime_dir: value '/a\\': a backslash must begin one of \\s, \\n, \\t, "
     "\\r and \\\\"},
    {"[snmp]\nwritable = yes\n", "group [snmp], key writable: value 'yes': must be true or false"},
    {"[snmp]\nmaster = tcp:127.0.0.1:1024\n",
     "group [snmp], key master: value 'tcp:127.0.0.1:1024': must be unix:/PATH, "
     "tcp:127.0.0.1:PORT or tcp:[::1]:PORT with a port from 1 to 1023"},
    {"[snmp]\nmaster = tcp:10.0.0.1:705\n",
     "group [snmp], key master: value 'tcp:10.0.0.1:705': must be unix:/PATH, "
     "tcp:127.0.0.1:PORT or tcp:[::1]:PORT with a port from 1 to 1023"},
    {"[snmp]\ncontext = 123456789012345678901234567890123\n",
     "group [snmp], key context: value '123456789012345678901234567890123': "
     "must have 0 to 32 octets"},
    {"[notify]\nenable = clientLimit;nosuch\n",
     "group [notify], key enable: value 'clientLimit;nosuch': 'nosuch' is none of clientLimit, "
     "unauthLimit, clientHigh, clientConnect, clientDisconnect, workers, config, daemon, "
     "authFailure, upstream"},
    {"[server libvirtd]\nmax_workers = 0\n",
     "group [server libvirtd], key max_workers: value '0': must be a number from 1 to 1000"},
    {"[server libvirtd]\nmax_workers = 1001\n",
     "group [server libvirtd], key max_workers: value '1001': must be a number from 1 to 1000"},
    {"[server libvirtd]\nmin_workers = 21\n",
     "group [server libvirtd], key max_workers: minWorkers cannot be larger than maxWorkers"},
    {"[server admin]\nmax_anonymous_clients = 51\n",
     "group [server admin], key max_anonymous_clients: The overall maximum number of clients "
     "waiting for authentication must not be less than the overall maximum number of clients"},
    {"[server libvirtd]\nsocket_mode = 1000\n",
     "group [server libvirtd], key socket_mode: value '1000': "
     "must be an octal number from 0 to 777"},
    {"[server libvirtd]\nsocket_mode = 0680\n",
     "group [server libvirtd], key socket_mode: value '0680': "
     "must be an octal number from 0 to 777"},
    {"[server libvirtd]\nsocket_group = no-such-group\n",
     "group [server libvirtd], key socket_group: value 'no-such-group': "
     "there is no such group"},
    {"[server libvirtd]\nkeepalive_interval = -2\n",
     "group [server libvirtd], key keepalive_interval: value '-2': "
     "must be -1 (never) or a number from 1 to 86400"},
    {"[server libvirtd]\nlisten = vsock:1\n",
     "group [server libvirtd], key listen: value 'vsock:1': 'vsock:1' must be unix:PATH, " KINDS},
    {"[server libvirtd]\nlisten = unix\n",
     "group [server libvirtd], key listen: value 'unix': 'unix' must be unix:PATH, " KINDS},
    {"[server libvirtd]\nlisten = unix+ssl:a\n",
     "group [server libvirtd], key listen: value 'unix+ssl:a': 'unix+ssl:a' must be "
     "unix:PATH, " KINDS},
#ifdef HAVE_SASL
    {"[server libvirtd]\nlisten = unix+sasl\n",
     "group [server libvirtd], key listen: value 'unix+sasl': 'unix+sasl' must be "
     "unix:PATH, " KINDS},
    {"[server libvirtd]\nlisten = unix+sasl:\n",
     "group [server libvirtd], key listen: value 'unix+sasl:': the path of the socket is missing"},
    {"[server libvirtd]\nlisten = unix+sasl:a;unix-ro+sasl:a\n",
     "group [server libvirtd], key listen: value 'unix+sasl:/run/virtadm/a': "
     "the server 'libvirtd' listens there, too, by 'unix-ro+sasl:/run/virtadm/a'"},
    {"[server libvirtd]\nlisten = unix-ro+sasl:a\nupstream_ro =\n",
     "group [server libvirtd], key listen: value 'unix-ro+sasl:/run/virtadm/a': "
     "a read-only socket needs upstream_ro"},
    {"[server admin]\nlisten = unix+sasl:a\n",
     "group [server admin], key listen: value 'unix+sasl:/run/virtadm/a': only a relay has SASL: "
     "an admin server knows its clients by their user id"},
#else
    {"[server libvirtd]\nlisten = unix+sasl:a\n",
     "group [server libvirtd], key listen: value 'unix+sasl:a': 'unix+sasl:a': "
     "this virtadmd was built without SASL"},
#endif
    {"[server libvirtd]\nlisten =\n",
     "group [server libvirtd], key listen: a server needs a socket to listen on"},
    {"[server libvirtd]\nlisten = unix:" LONG_NAME "aa\n",
     "group [server libvirtd], key listen: value 'unix:" LONG_NAME "aa': the path of a socket "
     "has at most 107 octets, /run/virtadm/" LONG_NAME "aa has 109"},
    {"[server libvirtd]\nlisten = unix:virtadm-admin-sock\n[server admin]\n",
     "group [server admin], key listen: value 'unix:/run/virtadm/virtadm-admin-sock': "
     "the server 'libvirtd' listens there, too, by 'unix:/run/virtadm/virtadm-admin-sock'"},
    {"[server libvirtd]\nlisten = unix:a;unix-ro:a\n",
     "group [server libvirtd], key listen: value 'unix:/run/virtadm/a': "
     "the server 'libvirtd' listens there, too, by 'unix-ro:/run/virtadm/a'"},
    {"[server libvirtd]\nupstream = unix:libvirt-sock\n",
     "group [server libvirtd], key upstream: value '/run/virtadm/libvirt-sock': "
     "is a socket of this daemon itself"},
    {"[server libvirtd]\nupstream_ro =\n",
     "group [server libvirtd], key listen: value 'unix-ro:/run/virtadm/libvirt-sock-ro': "
     "a read-only socket needs upstream_ro"},
    {"[server libvirtd]\nindex = 0\n",
     "group [server libvirtd], key index: value '0': must be a number from 1 to 65535"},
    {"[server libvirtd]\nindex = 1\n",
     "group [server admin], key index: value '1': the server 'libvirtd' has the same"},
    {"[server admin]\nprogram = relay\n",
     "group [server admin], key program: value 'relay': the server 'admin' must have 'admin'"},
    {"[server admin]\nupstream = unix:/u\n",
     "group [server admin], key upstream: value '/u': is for relays only"},
    {"[server admin]\nlisten = unix-ro:x\n",
     "group [server admin], key listen: value 'unix-ro:/run/virtadm/x': "
     "only a relay has a read-only socket"},
    {"[server a]\nlisten = unix:a\n",
     "group [server a], key upstream: a relay needs a socket to relay to"},
    {RELAY("a") RELAY("b"), "group [server b], key index: must be set: only the server 'admin' "
                            "and the first relay have a default"},
    {"[server libvirtd]\nprogram = proxy\n",
     "group [server libvirtd], key program: value 'proxy': must be relay or admin"},
    {"[log]\nfilters = \xff\n", "is not UTF-8 text"},
};

START_TEST(bad_files_are_refused_with_reason)
{
    load_bad(bad_files[_i].text, bad_files[_i].message);
}
END_TEST

START_TEST(what_is_no_text_is_refused)
{
    g_autoptr(GError) error = NULL;

    ck_assert(g_file_set_contents(path, "[log]\0level=1\n", 14, NULL));
    ck_assert_ptr_null(vadm_config_load(path, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "is not UTF-8 text"));
    g_clear_error(&error);
    ck_assert_ptr_null(load("garbage\n", &error));
    ck_assert_ptr_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    ck_assert_ptr_null(vadm_config_load("/nonexistent/file", &error));
    ck_assert_str_eq(error->message,
                     "/nonexistent/file: cannot be opened: No such file or directory");
    g_clear_error(&error);
    ck_assert_ptr_null(vadm_config_load("/tmp", &error));
    ck_assert_str_eq(error->message, "/tmp: is not a regular file");
    g_clear_error(&error);
    g_unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_ptr_null(vadm_config_load(path, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "is not a regular file"));
    g_clear_error(&error);
    ck_assert_ptr_null(vadm_config_load("/dev/zero", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "is larger than"));
}
END_TEST

START_TEST(text_loads_again_to_the_same)
{
    g_autoptr(VadmConfig) one =
        load_good("[daemon]\n"
                  "name = bl\xc3\xa4h \\\\ x\n"
                  "[log]\n"
                  "filters = 1:a\\\\b 2:c;d\n"
                  "directories = /with\\;semicolon;/b\n"
                  "[notify]\n"
                  "enable =\n"
                  "[server libvirtd]\n"
                  "socket_group = root\n"
                  "keepalive_interval = -1\n"
                  "max_client_requests = 4294967295\n"
                  "socket_mode_ro = 7\n"
                  "listen = unix:a\n"
                  "upstream_ro =\n"
                  "sasl_allowed_username_list = *@EX\\;AMPLE; fred@\xc3\xa4 ;\n"
                  "[server x y]\n"
                  "index = 9\n"
                  "program = admin\n"
                  "listen = unix:/q\n");
    g_autofree char *text = vadm_config_to_text(one);
    g_autoptr(VadmConfig) two = load_good(text);
    g_autofree char *again = vadm_config_to_text(two);
    const VadmServerConfig *relay = vadm_config_find_server(two, "libvirtd");

    ck_assert_str_eq(text, again);
    ck_assert_str_eq(two->name, "bl\xc3\xa4h \\ x");
    ck_assert_str_eq(two->log_filters, "1:a\\b 2:c;d");
    ck_assert_str_eq(two->log_directories[0], "/with;semicolon");
    ck_assert_str_eq(two->log_directories[1], "/b");
    ck_assert_ptr_null(two->log_directories[2]);
    ck_assert_uint_eq(two->notify_enable, 0);
    ck_assert_uint_eq(relay->socket_gid, 0);
    ck_assert_uint_eq(relay->socket_mode_ro, 7);
    ck_assert_uint_eq(relay->limits.client_requests_max, G_MAXUINT32);
    ck_assert_ptr_null(relay->upstream_ro);
    ck_assert_uint_eq(vadm_config_find_server(two, "x y")->index, 9);
    ck_assert_ptr_nonnull(strstr(text, "socket_group=root\n"));
    ck_assert_ptr_nonnull(strstr(text, "listen=unix:/run/virtadm/a;\n"));
    ck_assert_uint_eq(g_strv_length(relay->sasl_allowed_usernames), 2);
    ck_assert_str_eq(relay->sasl_allowed_usernames[0], "*@EX;AMPLE");
    ck_assert_str_eq(relay->sasl_allowed_usernames[1], "fred@\xc3\xa4");
    ck_assert_ptr_null(vadm_config_find_server(two, "x y")->sasl_allowed_usernames[0]);
}
END_TEST

START_TEST(a_copy_is_deep)
{
    g_autoptr(VadmConfig) one = vadm_config_new();
    VadmConfig *two = vadm_config_copy(one);
    VadmServerConfig *server = vadm_config_find_server(two, "libvirtd");

    server->limits.clients_max = 7;
    g_ptr_array_set_size(server->listens, 0);
    server->name[0] = 'X';
    two->log_filters[0] = '\0';
    vadm_config_unref(two);
    server = vadm_config_find_server(one, "libvirtd");
    ck_assert_ptr_nonnull(server);
    ck_assert_uint_eq(server->limits.clients_max, 5000);
    ck_assert_uint_eq(server->listens->len, 2);
}
END_TEST

static VadmChange
number(VadmField field, guint32 server, guint64 value)
{
    return (VadmChange){field, server, 0, {VADM_VALUE_UINT, value, NULL}, 42};
}

static const struct {
    VadmField field;
    guint32 server;
    guint64 value;
    int code; /* -1: good */
    const char *message;
} numbers[] = {
    {VADM_FIELD_LOG_LEVEL, 0, 4, -1, NULL},
    {VADM_FIELD_LOG_LEVEL, 0, 0, VADM_ERROR_INVALID_VALUE,
     "[log] level: value 0 must be a number from 1 to 4"},
    {VADM_FIELD_LOG_LEVEL, 0, 5, VADM_ERROR_INVALID_VALUE,
     "[log] level: value 5 must be a number from 1 to 4"},
    {VADM_FIELD_SERVER_WORKERS_MIN, 2, 0, -1, NULL},
    {VADM_FIELD_SERVER_WORKERS_MIN, 2, 1001, VADM_ERROR_INVALID_VALUE,
     "[server libvirtd] min_workers: value 1001 must be a number from 0 to 1000"},
    {VADM_FIELD_SERVER_WORKERS_MAX, 1, 1000, -1, NULL},
    {VADM_FIELD_SERVER_WORKERS_MAX, 1, 0, VADM_ERROR_INVALID_VALUE,
     "maxWorkers must not be switched from zero to non-zero and vice versa"},
    {VADM_FIELD_SERVER_WORKERS_MAX, 1, G_GUINT64_CONSTANT(4294967297), VADM_ERROR_INVALID_VALUE,
     "[server admin] max_workers: value 4294967297 must be a number from 1 to 1000"},
    {VADM_FIELD_SERVER_WORKERS_PRIORITY, 2, 0, -1, NULL},
    {VADM_FIELD_SERVER_CLIENTS_MAX, 1, 1000000, -1, NULL},
    {VADM_FIELD_SERVER_CLIENTS_MAX, 1, 1000001, VADM_ERROR_INVALID_VALUE,
     "[server admin] max_clients: value 1000001 must be a number from 0 to 1000000"},
    {VADM_FIELD_SERVER_CLIENTS_HIGH_PERCENT, 1, 101, VADM_ERROR_INVALID_VALUE,
     "[server admin] clients_high_percent: value 101 must be a number from 0 to 100"},
    {VADM_FIELD_SERVER_CLIENT_REQUESTS_MAX, 1, 0, VADM_ERROR_INVALID_VALUE,
     "[server admin] max_client_requests: value 0 must be a number from 1 to 4294967295"},
    {VADM_FIELD_SERVER_CLIENTS_MAX, 3, 1, VADM_ERROR_NO_SERVER, "there is no server with index 3"},
    {VADM_FIELD_LOG_FILTERS, 0, 1, VADM_ERROR_INVALID_VALUE, "filters: must be a string"},
    {VADM_FIELD_SERVER_NAME, 1, 1, VADM_ERROR_NOT_SUPPORTED, NULL},
    {VADM_FIELD_NOTIFY_ENABLE, 0, 0x3ff, -1, NULL},
    {VADM_FIELD_NOTIFY_ENABLE, 0, 0x400, VADM_ERROR_INVALID_VALUE,
     "[notify] enable: value 1024 must be a number from 0 to 1023"},
    {VADM_FIELD_NOTIFY_MIN_INTERVAL, 0, 3600, -1, NULL},
    {VADM_FIELD_NOTIFY_MIN_INTERVAL, 0, 3601, VADM_ERROR_INVALID_VALUE,
     "[notify] min_interval: value 3601 must be a number from 0 to 3600"},
    {VADM_FIELD_NOTIFY_SENT, 0, 1, VADM_ERROR_NOT_SUPPORTED, NULL},
    {VADM_FIELD_NONE, 0, 1, VADM_ERROR_NOT_SUPPORTED, NULL},
};

START_TEST(apply_checks_one_value)
{
    g_autoptr(VadmConfig) config = vadm_config_new();
    g_autofree char *before = vadm_config_to_text(config);
    g_autofree char *after = NULL;
    VadmChange change = number(numbers[_i].field, numbers[_i].server, numbers[_i].value);
    VadmFault fault;
    gboolean good = vadm_config_apply(config, &change, &fault);

    after = vadm_config_to_text(config);
    if (numbers[_i].code < 0) {
        ck_assert(good);
        ck_assert_str_ne(before, after);
        return;
    }
    ck_assert(!good);
    ck_assert_str_eq(before, after);
    ck_assert_uint_eq(fault.tag, 42);
    ck_assert(g_error_matches(fault.error, VADM_ERROR, numbers[_i].code));
    if (numbers[_i].message)
        ck_assert_str_eq(fault.error->message, numbers[_i].message);
    g_clear_error(&fault.error);
}
END_TEST

START_TEST(validate_finds_contradictions)
{
    g_autoptr(VadmConfig) config = vadm_config_new();
    VadmServerConfig *server = vadm_config_find_server(config, "libvirtd");
    g_autoptr(GError) error = NULL;
    VadmField field;
    guint32 index;

    server->limits.workers_min = server->limits.workers_max = 20;
    server->limits.clients_max = server->limits.clients_unauth_max;
    ck_assert(vadm_config_validate(config, &field, &index, &error));
    server->limits.workers_min = 21;
    ck_assert(!vadm_config_validate(config, &field, &index, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_INCONSISTENT));
    ck_assert_str_eq(error->message, "minWorkers cannot be larger than maxWorkers");
    ck_assert_int_eq(field, VADM_FIELD_SERVER_WORKERS_MAX);
    ck_assert_uint_eq(index, 2);
    g_clear_error(&error);
    server->limits.workers_min = 20;
    server->limits.clients_max--;
    ck_assert(!vadm_config_validate(config, NULL, NULL, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_INCONSISTENT));
}
END_TEST

START_TEST(reload_keeps_what_the_file_did_not_change)
{
    g_autoptr(VadmConfig) was = load_good("[server libvirtd]\nmax_clients = 100\n");
    g_autoptr(VadmConfig) running = vadm_config_copy(was);
    g_autoptr(VadmConfig) is = load_good("[server libvirtd]\n"
                                         "max_clients = 200\n"
                                         "max_queued_clients = 9\n"
                                         "[log]\nlevel = 1\n"
                                         "[notify]\nenable = config\n"
                                         "[server third]\n"
                                         "index = 3\nlisten = unix:t\nupstream = unix:/t\n");
    g_autoptr(VadmConfig) merged = NULL;
    g_autofree char *statics = NULL;
    g_autofree char *diff = NULL;
    VadmServerLimits *limits = &vadm_config_find_server(running, "libvirtd")->limits;

    limits->workers_max = 33; /* an operator's */
    limits->clients_max = 150;
    merged = vadm_config_merge_reload(running, was, is, &statics);
    ck_assert_str_eq(statics, "[server libvirtd] max_queued_clients, [server third] (new)");
    diff = vadm_config_diff(running, merged);
    ck_assert_str_eq(diff, "[log] level 3 -> 1; [notify] enable 'clientLimit;unauthLimit;"
                           "clientHigh;workers;config;daemon;authFailure;upstream;' -> 'config;'; "
                           "[server libvirtd] max_clients 150 -> 200");
    limits = &vadm_config_find_server(merged, "libvirtd")->limits;
    ck_assert_uint_eq(limits->workers_max, 33);
    ck_assert_uint_eq(limits->clients_max, 200);
    ck_assert_uint_eq(merged->servers->len, 2);
    ck_assert_uint_eq(vadm_config_find_server(merged, "libvirtd")->max_queued_clients, 1000);
}
END_TEST

START_TEST(reload_of_the_same_file_changes_nothing)
{
    g_autoptr(VadmConfig) file = load_good("[log]\nfilters = 1:rpc\n");
    g_autoptr(VadmConfig) running = vadm_config_copy(file);
    g_autoptr(VadmConfig) merged = NULL;
    g_autofree char *statics = NULL;
    g_autofree char *diff = NULL;

    vadm_config_find_server(running, "admin")->limits.workers_max = 9;
    running->log_level = 1;
    merged = vadm_config_merge_reload(running, file, file, &statics);
    diff = vadm_config_diff(running, merged);
    ck_assert_ptr_null(statics);
    ck_assert_str_eq(diff, "");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("config");
    TCase *file = tcase_create("file");
    TCase *change = tcase_create("change");

    tcase_add_checked_fixture(file, setup, teardown);
    tcase_add_test(file, defaults_are_those_of_the_contract);
#ifdef HAVE_SASL
    tcase_add_test(file, sockets_with_sasl);
#endif
    tcase_add_test(file, every_kind_of_value_is_read);
    tcase_add_test(file, servers_get_their_index);
    tcase_add_loop_test(file, bad_files_are_refused_with_reason, 0, G_N_ELEMENTS(bad_files));
    tcase_add_test(file, what_is_no_text_is_refused);
    tcase_add_test(file, text_loads_again_to_the_same);
    tcase_add_test(file, reload_keeps_what_the_file_did_not_change);
    tcase_add_test(file, reload_of_the_same_file_changes_nothing);
    tcase_add_test(change, a_copy_is_deep);
    tcase_add_loop_test(change, apply_checks_one_value, 0, G_N_ELEMENTS(numbers));
    tcase_add_test(change, validate_finds_contradictions);
    suite_add_tcase(suite, file);
    suite_add_tcase(suite, change);
    return vadm_unit_main(suite);
}
