/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "common.log"
#include "config.h"

#include "common/log-private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The one global that logging needs: which log VADM_DEBUG() and its siblings mean. */
static _Atomic(VadmLog *) vadm_log_default;

static const char *const vadm_log_words[] = {"", "debug", "info", "warning", "error"};
G_STATIC_ASSERT(G_N_ELEMENTS(vadm_log_words) == VADM_LOG_LEVEL_LAST);

/* ---- records ---- */

/* "2026-01-31 12:00:00.123+0000" */
static void
vadm_log_format_time(gint64 when, char *buffer, gsize size)
{
    time_t seconds = (time_t)(when / G_USEC_PER_SEC);
    struct tm tm;
    char date[32];

    gmtime_r(&seconds, &tm);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
    g_snprintf(buffer, size, "%s.%03d+0000", date, (int)(when % G_USEC_PER_SEC / 1000));
}

VadmLogRecord *
vadm_log_record_new(VadmLog *log, VadmLogLevel level, const char *category, const char *func,
                    int line, gint64 when, pid_t tid, const char *text)
{
    VadmLogRecord *record = g_new0(VadmLogRecord, 1);
    g_autoptr(GString) out = g_string_sized_new(strlen(text) + 160);
    char stamp[64];

    vadm_log_format_time(when, stamp, sizeof(stamp));
    atomic_init(&record->refs, 1);
    record->log = log;
    record->level = level;
    record->when = when;
    record->tid = tid;
    record->line = line;
    g_string_append_printf(out, "%s: ", stamp);
    record->body = out->len;
    g_string_append_printf(out, "%d: %s : ", (int)tid, vadm_log_words[level]);
    record->func = out->len;
    if (func) {
        g_string_append(out, func);
        record->func_length = out->len - record->func;
        g_string_append_printf(out, ":%d : ", line);
    }
    record->text = out->len;
    g_string_append(out, text);
    g_string_append_c(out, '\n');
    record->length = out->len;
    g_string_append(out, category);
    record->data = g_string_free(g_steal_pointer(&out), FALSE);
    return record;
}

VadmLogRecord *
vadm_log_record_ref(VadmLogRecord *record)
{
    atomic_fetch_add(&record->refs, 1);
    return record;
}

void
vadm_log_record_unref(VadmLogRecord *record)
{
    VadmLog *log = record->log;

    if (atomic_fetch_sub(&record->refs, 1) != 1)
        return;
    if (log && atomic_load(&record->written))
        atomic_fetch_add(&log->emitted[record->level], 1);
    if (log && atomic_load(&record->lost))
        atomic_fetch_add(&log->dropped[record->level], 1);
    g_free(record->data);
    g_free(record);
}

/* One message is one line: a newline in a name that a client chose must not look like another
 * message, nor an escape sequence reach a terminal. C1 controls are 0xC2 0x80..0x9F in UTF-8. */
static void
vadm_log_clean(char *text)
{
    for (guchar *p = (guchar *)text; *p; p++) {
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
            p[0] = p[1] = '?';
    }
}

/* A queue is bounded in octets, so one message has to be as well. */
static char *
vadm_log_cut(char *text)
{
    gsize length = strlen(text);
    char *end, *cut;

    if (length <= VADM_LOG_TEXT_MAX)
        return text;
    end = g_utf8_find_prev_char(text, text + VADM_LOG_TEXT_MAX + 1);
    if (!end)
        end = text + VADM_LOG_TEXT_MAX;
    cut = g_strdup_printf("%.*s [%" G_GSIZE_FORMAT " octets cut]", (int)(end - text), text,
                          length - (gsize)(end - text));
    g_free(text);
    return cut;
}

static char *G_GNUC_PRINTF(1, 0) vadm_log_format(const char *format, va_list args)
{
    char *text = g_strdup_vprintf(format, args);

    if (!text)
        return g_strdup("(a message that cannot be formatted)");
    while (g_str_has_suffix(text, "\n"))
        text[strlen(text) - 1] = '\0';
    vadm_log_clean(text);
    return vadm_log_cut(text);
}

/* ---- the log ---- */

VadmLog *
vadm_log_ref(VadmLog *log)
{
    atomic_fetch_add(&log->refs, 1);
    return log;
}

void
vadm_log_unref(VadmLog *log)
{
    if (atomic_fetch_sub(&log->refs, 1) != 1)
        return;
    g_hash_table_unref(log->sinks);
    vadm_cond_clear(&log->ended);
    vadm_mutex_clear(&log->registry);
    vadm_mutex_clear(&log->swap);
    g_free(log->ident);
    g_free(log->version);
    g_free(log);
}

VadmLog *
vadm_log_new(const char *ident, const char *version)
{
    VadmLog *log = g_new0(VadmLog, 1);
    g_autoptr(VadmLogSet) set = NULL;
    g_autoptr(GError) error = NULL;

    atomic_init(&log->refs, 1);
    log->ident = g_strdup(ident);
    log->version = g_strdup(version);
    vadm_mutex_init(&log->swap);
    vadm_mutex_init(&log->registry);
    vadm_cond_init(&log->ended);
    log->sinks = g_hash_table_new(g_str_hash, g_str_equal);
    set = vadm_log_set_new(log, VADM_LOG_WARN, NULL, NULL, "1:stderr", NULL, &error);
    if (!set) {
        fprintf(stderr, "%s: logging to stderr: %s\n", ident, error->message);
        set = vadm_log_set_new_empty(log, VADM_LOG_WARN);
    }
    vadm_log_install(log, set);
    return log;
}

static GPtrArray *
vadm_log_list_sinks(VadmLog *log)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)vadm_log_sink_unref);
    GHashTableIter iter;
    gpointer sink;
    VADM_LOCK_SCOPE(&log->registry);

    g_hash_table_iter_init(&iter, log->sinks);
    while (g_hash_table_iter_next(&iter, NULL, &sink))
        g_ptr_array_add(list, vadm_log_sink_ref(sink));
    return list;
}

static void
vadm_log_await_writers(VadmLog *log, gint64 deadline)
{
    VADM_LOCK_SCOPE(&log->registry);

    while (log->writers > 0 && vadm_cond_wait_until(&log->ended, &log->registry, deadline))
        ;
}

static void
vadm_log_swap(VadmLog *log, VadmLogSet *set, int floor)
{
    VadmLogSet *old;

    vadm_mutex_lock(&log->swap);
    old = log->current;
    log->current = set;
    atomic_store(&log->floor, floor);
    vadm_mutex_unlock(&log->swap);
    if (old)
        vadm_log_set_unref(old);
}

void
vadm_log_free(VadmLog *log, gint64 drain_us)
{
    g_autoptr(GPtrArray) sinks = NULL;
    VadmLog *own = log;

    if (!log)
        return;
    atomic_compare_exchange_strong(&vadm_log_default, &own, NULL);
    sinks = vadm_log_list_sinks(log);
    vadm_log_swap(log, NULL, VADM_LOG_LEVEL_LAST);
    for (guint i = 0; i < sinks->len; i++)
        vadm_log_sink_stop(g_ptr_array_index(sinks, i));
    vadm_log_await_writers(log, g_get_monotonic_time() + MAX(drain_us, 0));
    for (guint i = 0; i < sinks->len; i++)
        vadm_log_sink_abandon(g_ptr_array_index(sinks, i));
    vadm_log_unref(log);
}

void
vadm_log_set_default(VadmLog *log)
{
    atomic_store(&vadm_log_default, log);
}

VadmLog *
vadm_log_get_default(void)
{
    return atomic_load(&vadm_log_default);
}

void
vadm_log_install(VadmLog *log, VadmLogSet *set)
{
    g_return_if_fail(set && set->log == log);
    vadm_log_set_keep_files(set);
    vadm_log_swap(log, vadm_log_set_ref(set), set->floor);
}

VadmLogSet *
vadm_log_get_set(VadmLog *log)
{
    VADM_LOCK_SCOPE(&log->swap);

    return log->current ? vadm_log_set_ref(log->current) : NULL;
}

void
vadm_log_reopen(VadmLog *log)
{
    g_autoptr(GPtrArray) sinks = vadm_log_list_sinks(log);
    g_autoptr(VadmLogSet) set = vadm_log_get_set(log);

    if (set)
        vadm_log_set_impose_guard(set);
    for (guint i = 0; i < sinks->len; i++)
        vadm_log_sink_reopen(g_ptr_array_index(sinks, i));
}

void
vadm_log_get_stats(VadmLog *log, int level, VadmLogStats *stats)
{
    *stats = (VadmLogStats){0};
    g_return_if_fail(level >= VADM_LOG_DEBUG && level <= VADM_LOG_ERROR);
    stats->emitted = atomic_load(&log->emitted[level]);
    stats->filtered = atomic_load(&log->filtered[level]);
    stats->dropped = atomic_load(&log->dropped[level]);
}

gboolean
vadm_log_flush(VadmLog *log, gint64 timeout_us)
{
    g_autoptr(GPtrArray) sinks = vadm_log_list_sinks(log);
    gint64 deadline = g_get_monotonic_time() + timeout_us;
    gboolean done = TRUE;

    for (guint i = 0; i < sinks->len; i++)
        done = vadm_log_sink_flush(g_ptr_array_index(sinks, i), deadline) && done;
    return done;
}

static void G_GNUC_PRINTF(6, 0)
    vadm_log_deliver(VadmLogSet *set, VadmLogLevel level, const char *category, const char *func,
                     int line, const char *format, va_list args)
{
    g_autofree char *text = vadm_log_format(format, args);
    VadmLogRecord *record = vadm_log_record_new(set->log, level, category, func, line,
                                                g_get_real_time(), gettid(), text);

    vadm_log_set_deliver(set, record);
    vadm_log_record_unref(record);
}

void
vadm_log_message(VadmLog *log, VadmLogLevel level, const char *category, const char *func, int line,
                 const char *format, ...)
{
    int saved = errno;
    VadmLogSet *set;
    va_list args;

    if (!log)
        return;
    g_return_if_fail(level >= VADM_LOG_DEBUG && level <= VADM_LOG_ERROR);
    set = (int)level < atomic_load(&log->floor) ? NULL : vadm_log_get_set(log);
    if (set && vadm_log_set_wants(set, level, category)) {
        va_start(args, format);
        vadm_log_deliver(set, level, category, func, line, format, args);
        va_end(args);
    } else {
        atomic_fetch_add(&log->filtered[level], 1);
    }
    g_clear_pointer(&set, vadm_log_set_unref);
    errno = saved;
}
