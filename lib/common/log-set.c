/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The grammar of filters and outputs, and the immutable set that comes of it. The texts of the
 * errors are those that libvirt's clients show; docs/logging.md has the grammar.
 */
#include "config.h"

#include "common/log-private.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"

static const char *const vadm_log_kinds[] = {"stderr", "journald", "syslog", "file"};
G_STATIC_ASSERT(G_N_ELEMENTS(vadm_log_kinds) == VADM_LOG_KIND_LAST);

static void
vadm_log_filter_clear(gpointer data)
{
    VadmLogFilter *filter = data;

    g_free(filter->match);
    g_pattern_spec_free(filter->pattern);
}

static GArray *
vadm_log_filters_new(void)
{
    GArray *filters = g_array_new(FALSE, FALSE, sizeof(VadmLogFilter));

    g_array_set_clear_func(filters, vadm_log_filter_clear);
    return filters;
}

VadmLogSet *
vadm_log_set_new_empty(VadmLog *log, int level)
{
    VadmLogSet *set = g_new0(VadmLogSet, 1);

    atomic_init(&set->refs, 1);
    set->log = vadm_log_ref(log);
    set->level = level;
    set->outputs_floor = set->floor = VADM_LOG_LEVEL_LAST;
    set->filters = vadm_log_filters_new();
    set->outputs = g_array_new(FALSE, FALSE, sizeof(VadmLogOutput));
    set->filters_text = g_strdup("");
    set->outputs_text = g_strdup("");
    return set;
}

VadmLogSet *
vadm_log_set_ref(VadmLogSet *set)
{
    atomic_fetch_add(&set->refs, 1);
    return set;
}

static void
vadm_log_set_free(VadmLogSet *set, gboolean remove_created)
{
    for (guint i = 0; i < set->outputs->len; i++) {
        VadmLogOutput *output = &g_array_index(set->outputs, VadmLogOutput, i);

        if (remove_created)
            vadm_log_sink_discard(output->sink, output->created);
        else
            vadm_log_sink_release(output->sink);
        vadm_log_created_free(output->created);
    }
    g_array_unref(set->outputs);
    g_array_unref(set->filters);
    g_strfreev(set->guard);
    g_free(set->filters_text);
    g_free(set->outputs_text);
    vadm_log_unref(set->log);
    g_free(set);
}

void
vadm_log_set_unref(VadmLogSet *set)
{
    if (set && atomic_fetch_sub(&set->refs, 1) == 1)
        vadm_log_set_free(set, FALSE);
}

void
vadm_log_set_discard(VadmLogSet *set)
{
    if (set && atomic_fetch_sub(&set->refs, 1) == 1)
        vadm_log_set_free(set, TRUE);
}

/* Under registry, because two threads may install the same set. */
void
vadm_log_set_keep_files(VadmLogSet *set)
{
    VADM_LOCK_SCOPE(&set->log->registry);

    for (guint i = 0; i < set->outputs->len; i++)
        g_clear_pointer(&g_array_index(set->outputs, VadmLogOutput, i).created,
                        vadm_log_created_free);
}

void
vadm_log_set_impose_guard(const VadmLogSet *set)
{
    for (guint i = 0; i < set->outputs->len; i++)
        vadm_log_sink_set_guard(g_array_index(set->outputs, VadmLogOutput, i).sink,
                                (const char *const *)set->guard);
}

/* ---- the grammar ---- */

static gboolean
vadm_log_is_blank(const char *text)
{
    return !text || text[strspn(text, " \t\r\n\f\v")] == '\0';
}

/* 1..4, or 0. "01" and "+2" are numbers to libvirt. */
static int
vadm_log_parse_level(const char *text)
{
    guint64 level = 0;

    if (*text == '+')
        text++;
    if (!g_ascii_string_to_unsigned(text, 10, VADM_LOG_DEBUG, VADM_LOG_ERROR, &level, NULL))
        return 0;
    return (int)level;
}

/* What was stored is shown over SNMP and in errors, where only UTF-8 may go. */
static gboolean
vadm_log_check_utf8(const char *what, const char *text, GError **error)
{
    const char *end;

    if (!text || g_utf8_validate(text, -1, &end))
        return TRUE;
    g_set_error(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE,
                "log %s must be UTF-8, octet %" G_GSIZE_FORMAT " is not", what,
                (gsize)(end - text) + 1);
    return FALSE;
}

static gboolean G_GNUC_PRINTF(2, 3) vadm_log_set_invalid(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error,
                      g_error_new_valist(VADM_ERROR, VADM_ERROR_INVALID_VALUE, format, args));
    va_end(args);
    return FALSE;
}

static gboolean
vadm_log_add_filter(GArray *filters, const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ":", -1);
    VadmLogFilter filter = {0};
    g_autofree char *glob = NULL;
    const char *match;

    if (g_strv_length(parts) < 2)
        return vadm_log_set_invalid(error, "Malformed format for filter '%s'", text);
    filter.level = vadm_log_parse_level(parts[0]);
    if (filter.level == 0)
        return vadm_log_set_invalid(error, "Invalid priority '%s' for filter '%s'", parts[0], text);
    match = *parts[1] == '+' ? parts[1] + 1 : parts[1];
    if (!*match)
        return vadm_log_set_invalid(error, "Invalid match string '%s'", parts[1]);
    if (filters->len >= VADM_LOG_FILTERS_MAX)
        return vadm_log_set_invalid(error, "log filters: at most %d are possible",
                                    VADM_LOG_FILTERS_MAX);
    glob = g_strdup_printf("*%s*", match);
    filter.match = g_strdup(match);
    filter.pattern = g_pattern_spec_new(glob);
    g_array_append_val(filters, filter);
    return TRUE;
}

static gboolean
vadm_log_parse_filters(GArray *filters, const char *text, GError **error)
{
    g_auto(GStrv) words = NULL;

    if (!vadm_log_check_utf8("filters", text, error))
        return FALSE;
    if (vadm_log_is_blank(text))
        return TRUE;
    words = g_strsplit(text, " ", -1);
    for (char **word = words; *word; word++)
        if (**word && !vadm_log_add_filter(filters, *word, error))
            return FALSE;
    return TRUE;
}

/* One output, parsed: nothing is opened before the whole text has been understood. */
typedef struct {
    int level;
    VadmLogKind kind;
    char *data, *key;
} VadmLogWish;

static void
vadm_log_wish_free(VadmLogWish *wish)
{
    g_free(wish->data);
    g_free(wish->key);
    g_free(wish);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmLogWish, vadm_log_wish_free)

static VadmLogKind
vadm_log_parse_kind(const char *text)
{
    int kind = 0;

    while (kind < VADM_LOG_KIND_LAST && strcmp(text, vadm_log_kinds[kind]) != 0)
        kind++;
    return (VadmLogKind)kind;
}

/* Relative to the working directory, unless that could not be read back. */
static char *
vadm_log_absolute_path(const char *path, const VadmLogGuard *guard, GError **error)
{
    g_autofree char *absolute = NULL;
    g_autofree char *cwd = NULL;

    if (*path == '/' || (guard && guard->directories))
        return g_strdup(path);
    cwd = g_get_current_dir();
    absolute = g_build_filename(cwd, path, NULL);
    if (strpbrk(cwd, " :")) {
        vadm_log_set_invalid(error,
                             "log file '%s' is relative to '%s', where blanks and colons are; "
                             "give an absolute path without them",
                             path, cwd);
        return NULL;
    }
    if (!vadm_log_check_utf8("file path", absolute, error))
        return NULL;
    return g_steal_pointer(&absolute);
}

static VadmLogWish *
vadm_log_parse_output(const char *text, const VadmLogGuard *guard, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ":", -1);
    g_autoptr(VadmLogWish) wish = g_new0(VadmLogWish, 1);
    guint count = g_strv_length(parts);
    gboolean has_data;

    if (count < 2) {
        vadm_log_set_invalid(error, "Malformed format for log output '%s'", text);
        return NULL;
    }
    wish->level = vadm_log_parse_level(parts[0]);
    if (wish->level == 0) {
        vadm_log_set_invalid(error, "Invalid log priority '%s' for log output '%s'", parts[0],
                             text);
        return NULL;
    }
    wish->kind = vadm_log_parse_kind(parts[1]);
    if (wish->kind == VADM_LOG_KIND_LAST) {
        vadm_log_set_invalid(error, "Invalid log destination '%s' for log output '%s'", parts[1],
                             text);
        return NULL;
    }
    has_data = wish->kind == VADM_LOG_FILE || wish->kind == VADM_LOG_SYSLOG;
    if (count != (has_data ? 3u : 2u) || (has_data && !*parts[2])) {
        vadm_log_set_invalid(error,
                             "Log output '%s' does not meet the format requirements for "
                             "destination type '%s'",
                             text, parts[1]);
        return NULL;
    }
    wish->data = wish->kind == VADM_LOG_FILE ? vadm_log_absolute_path(parts[2], guard, error)
                                             : g_strdup(has_data ? parts[2] : "");
    if (!wish->data)
        return NULL;
    wish->key = has_data ? g_strconcat(parts[1], ":", wish->data, NULL) : g_strdup(parts[1]);
    return g_steal_pointer(&wish);
}

/* The later of two outputs to the same destination takes the place of the earlier. */
static gboolean
vadm_log_add_wish(GPtrArray *wishes, VadmLogWish *wish, GError **error)
{
    for (guint i = 0; i < wishes->len; i++) {
        const VadmLogWish *other = g_ptr_array_index(wishes, i);
        if (strcmp(other->key, wish->key) == 0) {
            g_ptr_array_remove_index(wishes, i);
            break;
        }
    }
    g_ptr_array_add(wishes, wish);
    if (wishes->len > VADM_LOG_OUTPUTS_MAX)
        return vadm_log_set_invalid(error, "log outputs: at most %d are possible",
                                    VADM_LOG_OUTPUTS_MAX);
    return TRUE;
}

static GPtrArray *
vadm_log_parse_outputs(const char *outputs, const VadmLogGuard *guard, GError **error)
{
    g_autoptr(GPtrArray) wishes =
        g_ptr_array_new_with_free_func((GDestroyNotify)vadm_log_wish_free);
    g_auto(GStrv) words = NULL;

    if (!vadm_log_check_utf8("outputs", outputs, error))
        return NULL;
    words = g_strsplit(outputs, " ", -1);
    for (char **word = words; *word; word++) {
        VadmLogWish *wish;

        if (!**word)
            continue;
        wish = vadm_log_parse_output(*word, guard, error);
        if (!wish || !vadm_log_add_wish(wishes, wish, error))
            return NULL;
    }
    return g_steal_pointer(&wishes);
}

static gboolean
vadm_log_set_open(VadmLogSet *set, const GPtrArray *wishes, const VadmLogGuard *guard,
                  GError **error)
{
    for (guint i = 0; i < wishes->len; i++) {
        const VadmLogWish *wish = g_ptr_array_index(wishes, i);
        VadmLogOutput output = {.level = wish->level};

        output.sink = vadm_log_sink_acquire(set->log, wish->kind, wish->key, wish->data, guard,
                                            &output.created, error);
        if (!output.sink)
            return FALSE;
        g_array_append_val(set->outputs, output);
    }
    return TRUE;
}

/* FALSE: the log is about to end. */
static gboolean
vadm_log_set_share(VadmLogSet *set, const VadmLogSet *other)
{
    set->guard = g_strdupv(other->guard);
    for (guint i = 0; i < other->outputs->len; i++) {
        const VadmLogOutput *old = &g_array_index(other->outputs, VadmLogOutput, i);
        VadmLogOutput output = {.level = old->level, .sink = old->sink};

        if (!vadm_log_sink_share(output.sink))
            return FALSE;
        g_array_append_val(set->outputs, output);
    }
    return TRUE;
}

/* Outputs that are those in force are not opened, so who changes the filters alone neither lifts
 * the guard from files that a manager chose, nor stumbles over one that was moved away. */
static gboolean
vadm_log_set_take_outputs(VadmLogSet *set, const GPtrArray *wishes, const VadmLogGuard *guard,
                          GError **error)
{
    g_autoptr(VadmLogSet) current = vadm_log_get_set(set->log);

    if (!(guard && guard->directories) && current &&
        strcmp(current->outputs_text, set->outputs_text) == 0)
        return vadm_log_set_share(set, current) ||
               vadm_log_set_invalid(error, "log outputs: the log has ended");
    set->guard = guard ? g_strdupv((char **)guard->directories) : NULL;
    return vadm_log_set_open(set, wishes, guard, error);
}

/* ---- what the set says about itself ---- */

static char *
vadm_log_describe_filters(const GArray *filters)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < filters->len; i++) {
        const VadmLogFilter *filter = &g_array_index(filters, VadmLogFilter, i);
        const char *plus = *filter->match == '+' ? "+" : ""; /* for the one that is dropped */

        g_string_append_printf(text, "%s%d:%s%s", i ? " " : "", filter->level, plus, filter->match);
    }
    return g_string_free(text, FALSE);
}

static char *
vadm_log_describe_wishes(const GPtrArray *wishes)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < wishes->len; i++) {
        const VadmLogWish *wish = g_ptr_array_index(wishes, i);
        g_string_append_printf(text, "%s%d:%s", i ? " " : "", wish->level, wish->key);
    }
    return g_string_free(text, FALSE);
}

static void
vadm_log_set_find_floors(VadmLogSet *set)
{
    int lowest = set->level;

    for (guint i = 0; i < set->filters->len; i++)
        lowest = MIN(lowest, g_array_index(set->filters, VadmLogFilter, i).level);
    for (guint i = 0; i < set->outputs->len; i++)
        set->outputs_floor =
            MIN(set->outputs_floor, g_array_index(set->outputs, VadmLogOutput, i).level);
    set->floor = MAX(lowest, set->outputs_floor);
}

static gboolean
vadm_log_set_fill(VadmLogSet *set, const char *filters, const char *outputs,
                  const VadmLogGuard *guard, GError **error)
{
    g_autoptr(GPtrArray) wishes = NULL;

    if (!vadm_log_parse_filters(set->filters, filters, error))
        return FALSE;
    wishes = vadm_log_parse_outputs(outputs, guard, error);
    if (!wishes)
        return FALSE;
    g_free(set->filters_text);
    set->filters_text = vadm_log_describe_filters(set->filters);
    g_free(set->outputs_text);
    set->outputs_text = vadm_log_describe_wishes(wishes);
    if (!vadm_log_set_take_outputs(set, wishes, guard, error))
        return FALSE;
    vadm_log_set_find_floors(set);
    return TRUE;
}

/* What outputs that are @outputs stand for. */
static const char *
vadm_log_effective_outputs(const char *outputs, const char *default_outputs)
{
    if (!vadm_log_is_blank(outputs))
        return outputs;
    return vadm_log_is_blank(default_outputs) ? "1:stderr" : default_outputs;
}

/* The default outputs are the configuration's own and therefore trusted. */
VadmLogSet *
vadm_log_set_new(VadmLog *log, int level, const char *filters, const char *outputs,
                 const char *default_outputs, const VadmLogGuard *guard, GError **error)
{
    VadmLogSet *set;

    if (level < VADM_LOG_DEBUG || level > VADM_LOG_ERROR) {
        vadm_log_set_invalid(error, "Invalid log level %d: must be 1 (debug) to 4 (error)", level);
        return NULL;
    }
    if (vadm_log_is_blank(outputs))
        guard = NULL;
    outputs = vadm_log_effective_outputs(outputs, default_outputs);
    set = vadm_log_set_new_empty(log, level);
    if (vadm_log_set_fill(set, filters, outputs, guard, error))
        return set;
    vadm_log_set_discard(set);
    return NULL;
}

char *
vadm_log_normalise_filters(const char *filters, GError **error)
{
    g_autoptr(GArray) parsed = vadm_log_filters_new();

    return vadm_log_parse_filters(parsed, filters, error) ? vadm_log_describe_filters(parsed)
                                                          : NULL;
}

char *
vadm_log_normalise_outputs(const char *outputs, const char *default_outputs, GError **error)
{
    g_autoptr(GPtrArray) wishes =
        vadm_log_parse_outputs(vadm_log_effective_outputs(outputs, default_outputs), NULL, error);

    return wishes ? vadm_log_describe_wishes(wishes) : NULL;
}

int
vadm_log_set_get_level(const VadmLogSet *set)
{
    return set->level;
}

const char *
vadm_log_set_get_filters(const VadmLogSet *set)
{
    return set->filters_text;
}

const char *
vadm_log_set_get_outputs(const VadmLogSet *set)
{
    return set->outputs_text;
}

guint
vadm_log_set_count_filters(const VadmLogSet *set)
{
    return set->filters->len;
}

guint
vadm_log_set_count_outputs(const VadmLogSet *set)
{
    return set->outputs->len;
}

/* ---- using it ---- */

static int
vadm_log_set_level_of(const VadmLogSet *set, const char *category)
{
    gsize length = strlen(category);

    for (guint i = 0; i < set->filters->len; i++) {
        const VadmLogFilter *filter = &g_array_index(set->filters, VadmLogFilter, i);
        if (g_pattern_spec_match(filter->pattern, length, category, NULL))
            return filter->level;
    }
    return set->level;
}

gboolean
vadm_log_set_wants(const VadmLogSet *set, VadmLogLevel level, const char *category)
{
    return (int)level >= set->outputs_floor && (int)level >= vadm_log_set_level_of(set, category);
}

void
vadm_log_set_deliver(const VadmLogSet *set, VadmLogRecord *record)
{
    for (guint i = 0; i < set->outputs->len; i++) {
        const VadmLogOutput *output = &g_array_index(set->outputs, VadmLogOutput, i);

        if ((int)record->level >= output->level && !vadm_log_sink_push(output->sink, record))
            atomic_store(&record->lost, TRUE);
    }
}
