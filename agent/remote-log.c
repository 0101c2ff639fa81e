/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lvaLogLevel and lvaLogFilters of a daemon whose admin program knows filters only. A daemon puts a
 * star on each side of every match that it is given and shows it with them, so what is sent back
 * has one star less on each side, or the stars would grow with every change.
 */
#include <string.h>

#include "agent/remote-private.h"
#include "common/log.h"

#define REMOTE_LOG_DEFAULT 5u /* daemonDefault: what the daemon was started with */

/* One filter. match: as it must be sent, with the '+' in front that the daemon drops when the match
 * itself begins with one. Without a colon it is no filter; it is kept all the same, for the
 * daemon to judge. */
typedef struct {
    char *level, *match;
    gboolean everything;
} RemoteFilter;

static void
remote_filter_free(gpointer data)
{
    RemoteFilter *filter = data;

    g_free(filter->level);
    g_free(filter->match);
    g_free(filter);
}

static GPtrArray *
remote_filters_new(void)
{
    return g_ptr_array_new_with_free_func(remote_filter_free);
}

static gboolean
remote_match_is_everything(const char *match)
{
    return *match && match[strspn(match, "*")] == '\0';
}

static void
remote_filters_add(GPtrArray *filters, const char *level, const char *match)
{
    RemoteFilter *filter = g_new0(RemoteFilter, 1);

    filter->level = g_strdup(level);
    filter->match = g_strdup(match);
    filter->everything = match && remote_match_is_everything(match);
    g_ptr_array_add(filters, filter);
}

/* The match that makes the daemon show @raw. */
static char *
remote_match_from_raw(const char *raw)
{
    gsize length = strlen(raw);
    g_autofree char *inner = NULL;

    if (remote_match_is_everything(raw) && length <= 2)
        return g_strdup("*"); /* none at all would be refused */
    if (length < 2 || raw[0] != '*' || raw[length - 1] != '*')
        return g_strconcat(*raw == '+' ? "+" : "", raw, NULL); /* no daemon known shows it so */
    inner = g_strndup(raw + 1, length - 2);
    return g_strconcat(*inner == '+' ? "+" : "", inner, NULL);
}

static GPtrArray *
remote_filters_from_raw(const char *raw)
{
    GPtrArray *filters = remote_filters_new();
    g_auto(GStrv) words = g_strsplit(raw ? raw : "", " ", -1);

    for (char **word = words; *word; word++) {
        char *colon = strchr(*word, ':');
        g_autofree char *match = NULL;

        if (!**word)
            continue;
        if (colon) {
            *colon = '\0';
            match = remote_match_from_raw(colon + 1);
        }
        remote_filters_add(filters, *word, match);
    }
    return filters;
}

/* @text: normalised, so the matches are as they must be sent. */
static GPtrArray *
remote_filters_from_wish(const char *text)
{
    GPtrArray *filters = remote_filters_new();
    g_auto(GStrv) words = g_strsplit(text, " ", -1);

    for (char **word = words; *word; word++) {
        g_auto(GStrv) parts = g_strsplit(*word, ":", 2);

        if (**word)
            remote_filters_add(filters, parts[0], parts[1]);
    }
    return filters;
}

static char *
remote_filters_to_text(const GPtrArray *filters, gboolean with_everything)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < filters->len; i++) {
        const RemoteFilter *filter = g_ptr_array_index(filters, i);

        if (filter->everything && !with_everything)
            continue;
        g_string_append_printf(text, "%s%s%s%s", text->len ? " " : "", filter->level,
                               filter->match ? ":" : "", filter->match ? filter->match : "");
    }
    return g_string_free(text, FALSE);
}

/* The first filter that matches everything: those behind it have no effect. */
static RemoteFilter *
remote_filters_find_level(const GPtrArray *filters)
{
    for (guint i = 0; i < filters->len; i++) {
        RemoteFilter *filter = g_ptr_array_index(filters, i);

        if (filter->everything)
            return filter;
    }
    return NULL;
}

static guint32
remote_filters_get_level(const GPtrArray *filters)
{
    const RemoteFilter *filter = remote_filters_find_level(filters);
    guint64 level = REMOTE_LOG_DEFAULT;

    if (filter)
        g_ascii_string_to_unsigned(filter->level, 10, VADM_LOG_DEBUG, VADM_LOG_ERROR, &level, NULL);
    return (guint32)level;
}

static void
remote_filters_set_level(GPtrArray *filters, guint32 level)
{
    RemoteFilter *first = remote_filters_find_level(filters);
    g_autofree char *number = g_strdup_printf("%u", level);

    if (level == REMOTE_LOG_DEFAULT) {
        for (guint i = filters->len; i-- > 0;) {
            const RemoteFilter *filter = g_ptr_array_index(filters, i);

            if (filter->everything)
                g_ptr_array_remove_index(filters, i);
        }
        return;
    }
    if (!first) {
        remote_filters_add(filters, number, "*");
        return;
    }
    g_free(first->level);
    first->level = g_steal_pointer(&number);
}

/* The daemon's own configuration may hold anything; SNMP shows UTF-8 only. */
static char *
remote_filters_show(const GPtrArray *filters)
{
    g_autofree char *text = remote_filters_to_text(filters, FALSE);

    return g_utf8_make_valid(text, -1);
}

char *
vadm_remote_log_show(const char *raw, guint32 *level)
{
    g_autoptr(GPtrArray) filters = remote_filters_from_raw(raw);

    *level = remote_filters_get_level(filters);
    return remote_filters_show(filters);
}

/* What a SET of lvaLogFilters makes of the filters that are in force. */
static GPtrArray *
remote_filters_from_set(GPtrArray *current, const char *text, guint32 level, GError **error)
{
    g_autofree char *shown = remote_filters_show(current);
    g_autofree char *wish = NULL;
    g_autoptr(GPtrArray) filters = NULL;

    if (strcmp(text, shown) == 0) /* also what would not be accepted from elsewhere */
        return g_ptr_array_ref(current);
    wish = vadm_log_normalise_filters(text, error);
    if (!wish)
        return NULL;
    if (strcmp(wish, shown) == 0) /* those that match everything keep their places */
        return g_ptr_array_ref(current);
    filters = remote_filters_from_wish(wish);
    if (!remote_filters_find_level(filters)) {
        remote_filters_set_level(filters, level ? level : remote_filters_get_level(current));
        return g_steal_pointer(&filters);
    }
    if (level == 0)
        return g_steal_pointer(&filters);
    g_set_error(
        error, VADM_ERROR, VADM_ERROR_INCONSISTENT,
        "log filters: '%s' has a filter that matches everything, which is this daemon's log "
        "level: it cannot be set together with log level %u",
        wish, level);
    return NULL;
}

char *
vadm_remote_log_compose(const char *raw, const char *filters, guint32 level, GError **error)
{
    g_autoptr(GPtrArray) current = remote_filters_from_raw(raw);
    g_autoptr(GPtrArray) wanted = filters ? remote_filters_from_set(current, filters, level, error)
                                          : g_ptr_array_ref(current);

    if (!wanted)
        return NULL;
    if (level && level != remote_filters_get_level(wanted))
        remote_filters_set_level(wanted, level);
    return remote_filters_to_text(wanted, TRUE);
}

char *
vadm_remote_log_predict(const char *sent)
{
    g_autoptr(GPtrArray) filters = remote_filters_from_wish(sent);
    GString *raw = g_string_new(NULL);

    for (guint i = 0; i < filters->len; i++) {
        const RemoteFilter *filter = g_ptr_array_index(filters, i);
        const char *match = filter->match ? filter->match : "";

        g_string_append_printf(raw, "%s:*%s* ", filter->level, match + (*match == '+'));
    }
    return g_string_free(raw, FALSE);
}
