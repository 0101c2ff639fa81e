/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a daemon has of that which a SET is about: compared, and in words. */
#include <string.h>

#include "agent/remote-set.h"
#include "common/log.h"

char *
vadm_remote_outputs_form(const char *outputs)
{
    char *form = outputs && *outputs ? vadm_log_normalise_outputs(outputs, NULL, NULL) : NULL;

    return form ? form : g_strdup(outputs);
}

/* ---- what is in force ---- */

static gboolean
remote_numbers_are_shown(const VadmRemoteStep *step, const VadmRemoteSnapshot *snapshot,
                         VadmRemoteSide side)
{
    const VadmRemoteServer *server = vadm_remote_find_server(snapshot, VADM_MATCH_EQ, step->server);

    if (!server)
        return FALSE;
    for (guint i = 0; i < step->n_numbers; i++) {
        const VadmRemoteNumber *number = &step->numbers[i];
        guint32 expected = side == VADM_REMOTE_BEFORE ? number->before : number->wanted;

        if (number->key->field != VADM_FIELD_SERVER_WORKERS_PRIORITY &&
            ((server->row.unknown & VADM_SERVER_UNKNOWN(number->key->field)) ||
             vadm_remote_key_get(&server->row, number->key) != expected))
            return FALSE;
    }
    return TRUE;
}

/* What @snapshot has of @step, in a form that can be compared. */
static char *
remote_text_shown(const VadmRemoteStep *step, const VadmRemoteSnapshot *snapshot)
{
    if (step->kind == VADM_REMOTE_STEP_OUTPUTS)
        return vadm_remote_outputs_form(snapshot->outputs);
    return snapshot->log_level ? vadm_remote_log_compose(snapshot->raw_filters, NULL, 0, NULL)
                               : NULL;
}

static gboolean
remote_text_is_shown(const VadmRemoteStep *step, const VadmRemoteSnapshot *snapshot,
                     VadmRemoteSide side)
{
    gboolean outputs = step->kind == VADM_REMOTE_STEP_OUTPUTS;
    const char *expected = step->wanted;
    g_autofree char *form = NULL;
    g_autofree char *now = remote_text_shown(step, snapshot);

    if (side == VADM_REMOTE_BEFORE)
        expected = step->before;
    else if (step->settled)
        expected = step->settled;
    else if (outputs && !*expected)
        expected = NULL;
    if (!expected) /* there is nothing to be compared with */
        return TRUE;
    form = outputs ? vadm_remote_outputs_form(expected) : g_strdup(expected);
    return g_strcmp0(form, now) == 0;
}

static gboolean
remote_step_is_shown(const VadmRemoteStep *step, const VadmRemoteSnapshot *snapshot,
                     VadmRemoteSide side)
{
    return step->n_numbers > 0 ? remote_numbers_are_shown(step, snapshot, side)
                               : remote_text_is_shown(step, snapshot, side);
}

gboolean
vadm_remote_plan_is_shown(const VadmRemotePlan *plan, const VadmRemoteSnapshot *snapshot,
                          VadmRemoteSide side)
{
    for (guint i = 0; i < plan->steps->len; i++) {
        if (!remote_step_is_shown(g_ptr_array_index(plan->steps, i), snapshot, side))
            return FALSE;
    }
    return TRUE;
}

void
vadm_remote_plan_settle(VadmRemotePlan *plan, const VadmRemoteSnapshot *snapshot)
{
    for (guint i = 0; i < plan->steps->len; i++) {
        VadmRemoteStep *step = g_ptr_array_index(plan->steps, i);

        if (step->n_numbers > 0)
            continue;
        g_free(step->settled);
        step->settled = remote_text_shown(step, snapshot);
    }
}

/* ---- in words ---- */

/* A line break in a filter would forge a line of the log. */
static char *
remote_words(GString *text)
{
    for (gsize i = 0; i < text->len; i++) {
        if (g_ascii_iscntrl(text->str[i]))
            text->str[i] = ' ';
    }
    return g_string_free(text, FALSE);
}

static void
remote_describe_filters(GString *text, const VadmRemoteStep *step)
{
    g_autofree char *raw_before = vadm_remote_log_predict(step->before);
    g_autofree char *raw_wanted = vadm_remote_log_predict(step->wanted);
    guint32 level_before, level_wanted;
    g_autofree char *before = vadm_remote_log_show(raw_before, &level_before);
    g_autofree char *wanted = vadm_remote_log_show(raw_wanted, &level_wanted);
    gsize length = text->len;

    if (level_before != level_wanted)
        g_string_append_printf(text, "[log] level %u -> %u", level_before, level_wanted);
    if (strcmp(before, wanted) != 0)
        g_string_append_printf(text, "%s[log] filters '%s' -> '%s'", text->len > length ? "; " : "",
                               before, wanted);
    if (text->len == length) /* what matches everything has another place now */
        g_string_append_printf(text, "[log] filters as sent '%s' -> '%s'", step->before,
                               step->wanted);
}

static void
remote_describe_step(GString *text, const VadmRemoteStep *step)
{
    gsize length = text->len;

    if (step->kind == VADM_REMOTE_STEP_FILTERS)
        remote_describe_filters(text, step);
    if (step->kind == VADM_REMOTE_STEP_OUTPUTS)
        g_string_append_printf(text, "[log] outputs '%s' -> '%s'",
                               step->before ? step->before : "(unknown)", step->wanted);
    for (guint i = 0; i < step->n_numbers; i++) {
        const VadmRemoteNumber *number = &step->numbers[i];

        if (number->before != number->wanted)
            g_string_append_printf(text, "%s[server %s] %s %u -> %u",
                                   text->len > length ? "; " : "", step->name, number->key->name,
                                   number->before, number->wanted);
    }
}

char *
vadm_remote_step_describe(const VadmRemoteStep *step)
{
    GString *text = g_string_new(NULL);

    remote_describe_step(text, step);
    if (text->len == 0)
        g_string_append_printf(text, "[server %s] %s %u", step->name, step->numbers[0].key->name,
                               step->numbers[0].wanted);
    return remote_words(text);
}

char *
vadm_remote_plan_describe(const VadmRemotePlan *plan)
{
    GString *all = g_string_new(NULL);

    for (guint i = 0; i < plan->steps->len; i++) {
        g_autoptr(GString) text = g_string_new(NULL);

        remote_describe_step(text, g_ptr_array_index(plan->steps, i));
        if (text->len > 0)
            g_string_append_printf(all, "%s%s", all->len ? "; " : "", text->str);
    }
    for (guint i = 0; i < plan->percents->len; i++) {
        const VadmRemotePercent *percent = g_ptr_array_index(plan->percents, i);

        g_string_append_printf(all, "%s[server %s] %s %u -> %u", all->len ? "; " : "",
                               percent->name, VADM_REMOTE_PERCENT_NAME, percent->before,
                               percent->wanted);
    }
    return remote_words(all);
}

static void
remote_report_numbers(GString *text, const VadmRemoteStep *step, const VadmRemoteSnapshot *snapshot)
{
    const VadmRemoteServer *server = vadm_remote_find_server(snapshot, VADM_MATCH_EQ, step->server);

    if (!server) {
        g_string_append_printf(text, "[server %s] is not there", step->name);
        return;
    }
    for (guint i = 0; i < step->n_numbers; i++) {
        const VadmRemoteKey *key = step->numbers[i].key;

        g_string_append_printf(text, "%s[server %s] %s ", i ? "; " : "", step->name, key->name);
        if (server->row.unknown & VADM_SERVER_UNKNOWN(key->field))
            g_string_append(text, "(unknown)");
        else
            g_string_append_printf(text, "%u", vadm_remote_key_get(&server->row, key));
    }
}

char *
vadm_remote_plan_report(const VadmRemotePlan *plan, const VadmRemoteSnapshot *snapshot)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < plan->steps->len; i++) {
        const VadmRemoteStep *step = g_ptr_array_index(plan->steps, i);

        if (i > 0)
            g_string_append(text, "; ");
        if (step->kind == VADM_REMOTE_STEP_OUTPUTS)
            g_string_append_printf(text, "[log] outputs '%s'",
                                   snapshot->outputs ? snapshot->outputs : "(unknown)");
        else if (step->kind == VADM_REMOTE_STEP_FILTERS)
            g_string_append_printf(text, "[log] level %u; [log] filters '%s'", snapshot->log_level,
                                   snapshot->filters ? snapshot->filters : "(unknown)");
        else
            remote_report_numbers(text, step, snapshot);
    }
    return remote_words(text);
}
