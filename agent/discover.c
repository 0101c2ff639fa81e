/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/discover.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/session.h"
#include "admin/uri.h"
#include "agent/socket-owner.h"
#include "rpc/admin.h"
#include "rpc/rpc-error.h"

#define ADMIN_SOCKET_SUFFIX "-admin-sock"
/* libvirtd's socket has another prefix than its name, and virtproxyd has the same one. */
#define LIBVIRT_PREFIX "libvirt"
/* An SNMP context (lvaContextName). */
#define NAME_MAX_OCTETS 32u
/* For everything that is asked of one daemon, milliseconds: one that is full or stopped accepts
 * the connection and is silent. */
#define ANSWER_MS 2000u
/* For taking leave: a daemon logs an error about who goes without. */
#define LEAVE_MS 500u

typedef struct {
    guint waiting; /* sockets that have not answered yet, or of which we take leave */
    GMainLoop *loop;
} Discovery;

typedef struct {
    Discovery *discovery;
    gboolean in_session; /* the user's own daemon, not the system's */
    char *path;
    char *prefix; /* of the socket's file name */
    char *name;   /* of the source */
    VadmSession *session;
    guint64 lib_version;
    char **servers; /* sorted; NULL: not known */
    char *problem;  /* NULL: it answered */
    gboolean done;
} Candidate;

static void
candidate_free(gpointer data)
{
    Candidate *candidate = data;

    g_clear_pointer(&candidate->session, vadm_session_free);
    g_free(candidate->path);
    g_free(candidate->prefix);
    g_free(candidate->name);
    g_strfreev(candidate->servers);
    g_free(candidate->problem);
    g_free(candidate);
}

/* ---- asking ---- */

static void
candidate_left(gpointer user)
{
    Candidate *candidate = user;

    if (--candidate->discovery->waiting == 0)
        g_main_loop_quit(candidate->discovery->loop);
}

/* @problem: (nullable): what keeps it from answering */
static void
candidate_done(Candidate *candidate, const char *problem)
{
    if (candidate->done)
        return;
    candidate->done = TRUE;
    if (problem) {
        candidate->problem = vadm_socket_owner_explain(candidate->path, problem);
        candidate_left(candidate);
        return;
    }
    vadm_session_close_gracefully(g_steal_pointer(&candidate->session), LEAVE_MS, candidate_left,
                                  candidate);
}

/* Returns: whether @ret holds an answer; the caller frees what is in it in either case. */
static gboolean
candidate_decode(Candidate *candidate, const VadmMessage *reply, const GError *error, xdrproc_t xdr,
                 gpointer ret)
{
    g_autoptr(GError) fault = NULL;
    g_autofree char *refusal = NULL;

    if (!error && reply->header.status == VADM_RPC_ERROR)
        refusal = vadm_message_get_error(reply, NULL, NULL);
    else if (!error && vadm_message_decode(reply, xdr, ret, &fault))
        return TRUE;
    if (fault)
        error = fault;
    candidate_done(candidate, error ? error->message : refusal ? refusal : "an error without text");
    return FALSE;
}

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **
servers_to_strv(const vadm_admin_connect_list_servers_ret *ret)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (guint i = 0; i < ret->servers.servers_len; i++)
        g_ptr_array_add(names, g_strdup(ret->servers.servers_val[i].name));
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_steal(names, NULL);
}

static void
candidate_take_servers(VadmSession *session, const VadmMessage *reply, const GError *error,
                       gpointer user)
{
    Candidate *candidate = user;
    vadm_admin_connect_list_servers_ret ret = {0};
    const xdrproc_t xdr = (xdrproc_t)xdr_vadm_admin_connect_list_servers_ret;

    (void)session;
    if (candidate_decode(candidate, reply, error, xdr, &ret)) {
        candidate->servers = servers_to_strv(&ret);
        candidate_done(candidate, NULL);
    }
    xdr_free(xdr, &ret);
}

static void
candidate_take_version(VadmSession *session, const VadmMessage *reply, const GError *error,
                       gpointer user)
{
    Candidate *candidate = user;
    vadm_admin_connect_get_lib_version_ret ret = {0};
    vadm_admin_connect_list_servers_args args = {.need_results = 1};

    if (!candidate_decode(candidate, reply, error,
                          (xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret, &ret))
        return;
    candidate->lib_version = ret.lib_version;
    /* One after the other: virtlogd takes one request at a time. */
    vadm_session_call(session, VADM_RPC_PROGRAM_ADMIN, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS,
                      (xdrproc_t)xdr_vadm_admin_connect_list_servers_args, &args, 0,
                      candidate_take_servers, candidate);
}

static void
candidate_opened(VadmSession *session, gpointer user)
{
    (void)session;
    (void)user;
}

static void
candidate_ended(VadmSession *session, VadmSessionEnd end, const GError *error,
                const VadmMessage *reply, gpointer user)
{
    (void)session;
    (void)end;
    (void)reply;
    candidate_done(user, error->message);
}

static void
candidate_ask(Candidate *candidate)
{
    static const VadmSessionHandlers handlers = {candidate_opened, candidate_ended};
    VadmSessionOptions options = {
        .path = candidate->path,
        .connect_timeout_ms = ANSWER_MS,
        .call_timeout_ms = ANSWER_MS,
        .max_in_flight = 1,
    };

    candidate->discovery->waiting++;
    candidate->session = vadm_session_open(&options, NULL, &handlers, candidate);
    vadm_session_call(candidate->session, VADM_RPC_PROGRAM_ADMIN,
                      VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, NULL, NULL, 0,
                      candidate_take_version, candidate);
}

/* ---- looking ---- */

static void
discover_add(Discovery *discovery, GPtrArray *candidates, const char *dir, const char *file,
             gboolean in_session)
{
    g_autofree char *path = g_build_filename(dir, file, NULL);
    Candidate *candidate;
    struct stat st;

    if (!g_str_has_suffix(file, ADMIN_SOCKET_SUFFIX) || stat(path, &st) < 0 ||
        !S_ISSOCK(st.st_mode))
        return;
    candidate = g_new0(Candidate, 1);
    candidate->discovery = discovery;
    candidate->in_session = in_session;
    candidate->path = g_steal_pointer(&path);
    candidate->prefix = g_strndup(file, strlen(file) - strlen(ADMIN_SOCKET_SUFFIX));
    g_ptr_array_add(candidates, candidate);
}

static void
discover_look(Discovery *discovery, GPtrArray *candidates, const char *run_dir, gboolean in_session,
              GString *text)
{
    g_autofree char *dir = g_build_filename(run_dir, "libvirt", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) entries = g_dir_open(dir, 0, &error);
    guint before = candidates->len;
    const char *file;

    while (entries && (file = g_dir_read_name(entries)))
        discover_add(discovery, candidates, dir, file, in_session);
    if (entries)
        g_string_append_printf(text, "# %s: %u\n", dir, candidates->len - before);
    else
        g_string_append_printf(text, "# %s: cannot be read\n", dir);
}

/* ---- telling ---- */

/* The first one is served in the default context as well: the one that matters most on a host. */
static guint
candidate_rank(const Candidate *candidate)
{
    static const char *const first[] = {"libvirtd", "virtqemud"};
    static const char *const last[] = {"virtproxyd", "virtlogd", "virtlockd"};

    for (guint i = 0; i < G_N_ELEMENTS(first); i++) {
        if (g_str_equal(candidate->name, first[i]))
            return i;
    }
    for (guint i = 0; i < G_N_ELEMENTS(last); i++) {
        if (g_str_equal(candidate->name, last[i]))
            return 10 + i;
    }
    return candidate->in_session ? 20 : 5;
}

static gint
candidate_compare(gconstpointer a, gconstpointer b)
{
    const Candidate *left = *(Candidate *const *)a, *right = *(Candidate *const *)b;
    guint left_rank = candidate_rank(left), right_rank = candidate_rank(right);

    if (left_rank != right_rank)
        return left_rank < right_rank ? -1 : 1;
    return strcmp(left->name, right->name);
}

/* Who listens at libvirt-admin-sock says its servers: one of them has the daemon's name. */
static void
candidate_find_name(Candidate *candidate)
{
    const char *name =
        g_str_equal(candidate->prefix, LIBVIRT_PREFIX) ? "libvirtd" : candidate->prefix;

    for (char **server = candidate->servers; server && *server; server++) {
        if (name != candidate->prefix && g_str_equal(*server, "virtproxyd"))
            name = *server;
    }
    candidate->name = g_strconcat(name, candidate->in_session ? "-session" : NULL, NULL);
}

/* The short form where that leads to the same socket. */
static char *
candidate_uri(const Candidate *candidate)
{
    gboolean is_libvirt = g_str_equal(candidate->prefix, LIBVIRT_PREFIX);
    g_autofree char *uri = g_strdup_printf("%s:///%s", is_libvirt ? "libvirtd" : candidate->prefix,
                                           candidate->in_session ? "session" : "system");
    g_autofree char *path = vadm_admin_uri_to_socket(uri, NULL);
    g_autofree char *escaped = NULL;

    if (g_strcmp0(path, candidate->path) == 0)
        return g_steal_pointer(&uri);
    escaped = g_uri_escape_string(candidate->path, "/", FALSE);
    return g_strdup_printf("libvirtd:///system?socket=%s", escaped);
}

/* File names are bytes; these stand in a text, and in the name of a group. */
static gboolean
candidate_is_name(const char *name)
{
    for (const char *c = name; *c; c++) {
        if (!g_ascii_isgraph(*c) || *c == '[' || *c == ']')
            return FALSE;
    }
    return *name && strlen(name) <= NAME_MAX_OCTETS;
}

static void
candidate_print(const Candidate *candidate, GString *text)
{
    const char *off = candidate->problem ? "#" : "";
    g_autofree char *uri = candidate_uri(candidate);
    g_autofree char *servers = candidate->servers ? g_strjoinv(", ", candidate->servers) : NULL;

    if (!candidate_is_name(candidate->name)) {
        g_autofree char *escaped = g_strescape(candidate->path, NULL);
        g_string_append_printf(text, "\n# %s: its name cannot be that of an SNMP context\n",
                               escaped);
        return;
    }
    if (candidate->problem)
        g_string_append_printf(text, "\n# %s does not answer: %s\n", candidate->path,
                               candidate->problem);
    else
        g_string_append_printf(text,
                               "\n# libvirt %" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT
                               ".%" G_GUINT64_FORMAT ", servers: %s\n",
                               candidate->lib_version / 1000000,
                               candidate->lib_version / 1000 % 1000, candidate->lib_version % 1000,
                               servers);
    g_string_append_printf(text, "%s[source %s]\n%suri = %s\n", off, candidate->name, off, uri);
}

static void
discover_print(GPtrArray *candidates, GString *text)
{
    guint answered = 0;

    for (guint i = 0; i < candidates->len; i++) {
        Candidate *candidate = candidates->pdata[i];

        candidate_find_name(candidate);
        answered += !candidate->problem;
    }
    if (answered == 0)
        g_string_append(text, "#\n# None of them answers. Without a source virtadm-agent waits for "
                              "libvirtd:///system.\n");
    g_ptr_array_sort(candidates, candidate_compare);
    for (guint i = 0; i < candidates->len; i++)
        candidate_print(candidates->pdata[i], text);
}

char *
vadm_discover(const char *run_dir)
{
    g_autoptr(GPtrArray) candidates = g_ptr_array_new_with_free_func(candidate_free);
    GString *text = g_string_new(NULL);
    Discovery discovery = {0, g_main_loop_new(NULL, FALSE)};

    g_string_append_printf(
        text,
        "# Admin sockets of libvirt daemons, as user id %u finds them. The first "
        "source is\n# served in the default SNMP context, each in the one with "
        "its name.\n",
        (guint)geteuid());
    discover_look(&discovery, candidates, run_dir, FALSE, text);
    discover_look(&discovery, candidates, g_get_user_runtime_dir(), TRUE, text);
    for (guint i = 0; i < candidates->len; i++)
        candidate_ask(candidates->pdata[i]);
    if (discovery.waiting > 0)
        g_main_loop_run(discovery.loop);
    discover_print(candidates, text);
    g_main_loop_unref(discovery.loop);
    return g_string_free(text, FALSE);
}
