/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a sink's writer gives one record to each kind of destination, and gives up on a stuck one. */
#include "common/log-sink-private.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <syslog.h>
#include <unistd.h>

#define POLL_MS 100 /* how soon a writer in front of a stuck output notices that it is given up */

/* openlog() and its identifier belong to the whole process; held by writers only. */
static VadmMutex vadm_log_syslog_lock = VADM_MUTEX_INIT;

static gboolean
vadm_log_sink_given_up(VadmLogSink *sink)
{
    gint64 at = atomic_load(&sink->give_up_at);

    return atomic_load(&sink->abandoned) || (at != 0 && g_get_monotonic_time() >= at);
}

/* fd 2 is shared with other processes and must not be made non-blocking, so wait here, where it
 * can be given up, and not in write(). */
static gboolean
vadm_log_sink_await_room(VadmLogSink *sink)
{
    struct pollfd pfd = {.fd = sink->fd, .events = POLLOUT};
    int rc;

    do {
        rc = poll(&pfd, 1, 0);
        if (rc == 0 && !vadm_log_sink_given_up(sink))
            rc = poll(&pfd, 1, POLL_MS);
        if (rc > 0)
            return !atomic_load(&sink->abandoned);
        if (rc < 0 && errno != EINTR)
            return FALSE;
    } while (!vadm_log_sink_given_up(sink));
    return FALSE;
}

/* Octets written, all of @length unless the output failed or was given up. A pipe that polls
 * writable has room for PIPE_BUF octets, not for more. */
static gsize
vadm_log_sink_write_all(VadmLogSink *sink, const char *data, gsize length)
{
    gsize done = 0;

    while (done < length) {
        gsize chunk = sink->regular ? length - done : MIN(length - done, (gsize)PIPE_BUF);
        gssize put;

        if (!sink->regular && !vadm_log_sink_await_room(sink))
            break;
        put = write(sink->fd, data + done, chunk);
        if (put > 0)
            done += (gsize)put;
        else if (put == 0 || (errno != EINTR && (errno != EAGAIN || sink->regular)))
            break;
    }
    return done;
}

/* A line that could not be finished (disk full) must not run into the next one. */
static gboolean
vadm_log_sink_write_line(VadmLogSink *sink, const VadmLogRecord *record)
{
    gsize done;

    if (sink->torn && vadm_log_sink_write_all(sink, "\n", 1) != 1)
        return FALSE;
    sink->torn = FALSE;
    done = vadm_log_sink_write_all(sink, record->data, record->length);
    sink->torn = done > 0 && done < record->length;
    return done == record->length;
}

static gboolean
vadm_log_sink_write_syslog(VadmLogSink *sink, const VadmLogRecord *record)
{
    static const int priorities[] = {0, LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR};
    int length = (int)(record->length - record->body - 1);
    VADM_LOCK_SCOPE(&vadm_log_syslog_lock);

    openlog(sink->data, 0, LOG_DAEMON);
    syslog(priorities[record->level], "%.*s", length, record->data + record->body);
    return TRUE;
}

static gboolean
vadm_log_sink_write_journal(VadmLogSink *sink, const VadmLogRecord *record)
{
    static const char *const priorities[] = {"", "7", "6", "4", "3"};
    char line[16];
    GLogField fields[] = {
        {"PRIORITY", priorities[record->level], -1},
        {"MESSAGE", record->data + record->text, (gssize)(record->length - record->text - 1)},
        {"SYSLOG_IDENTIFIER", sink->log->ident, -1},
        {"VADM_CATEGORY", record->data + record->length, -1},
        {"CODE_FUNC", record->data + record->func, (gssize)record->func_length},
        {"CODE_LINE", line, -1},
    };
    gsize count = record->func_length > 0 ? G_N_ELEMENTS(fields) : G_N_ELEMENTS(fields) - 2;

    g_snprintf(line, sizeof(line), "%d", record->line);
    return g_log_writer_journald(G_LOG_LEVEL_MESSAGE, fields, count, NULL) == G_LOG_WRITER_HANDLED;
}

static gboolean
vadm_log_sink_write_raw(VadmLogSink *sink, const VadmLogRecord *record)
{
    switch (sink->kind) {
    case VADM_LOG_STDERR:
    case VADM_LOG_FILE:
        return vadm_log_sink_write_line(sink, record);
    case VADM_LOG_SYSLOG:
        return vadm_log_sink_write_syslog(sink, record);
    case VADM_LOG_JOURNALD:
        return vadm_log_sink_write_journal(sink, record);
    case VADM_LOG_KIND_LAST:
        break;
    }
    return FALSE;
}

/* Who writes here, and from where: before the first message. Counted nowhere, since nobody
 * logged it. */
static void
vadm_log_sink_greet(VadmLogSink *sink, const VadmLogRecord *first)
{
    g_autofree char *version =
        g_strdup_printf("%s version: %s", sink->log->ident, sink->log->version);
    g_autofree char *host = g_strdup_printf("hostname: %s", g_get_host_name());
    const char *const lines[] = {version, host};

    sink->greeted = TRUE;
    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        VadmLogRecord *record = vadm_log_record_new(NULL, VADM_LOG_INFO, "common.log", NULL, 0,
                                                    first->when, first->tid, lines[i]);
        vadm_log_sink_write_raw(sink, record);
        vadm_log_record_unref(record);
    }
}

gboolean
vadm_log_sink_write(VadmLogSink *sink, const VadmLogRecord *record)
{
    if (!sink->greeted)
        vadm_log_sink_greet(sink, record);
    return vadm_log_sink_write_raw(sink, record);
}

/* closelog() forgets the identifier, which is freed with the sink; the other sinks set theirs
 * again with each message. */
void
vadm_log_sink_close(VadmLogSink *sink)
{
    VADM_LOCK_SCOPE(&vadm_log_syslog_lock);

    if (sink->kind == VADM_LOG_SYSLOG)
        closelog();
}
