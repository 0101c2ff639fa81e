/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A log and a directory of its own for each test of logging. */
#ifndef VADM_TESTS_LOG_FIXTURE_H
#define VADM_TESTS_LOG_FIXTURE_H

#include <glib.h>
#include <glib/gstdio.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"
#include "unit.h"

#define SECONDS(n) ((gint64)(n)*G_USEC_PER_SEC)

static VadmLog *fx_log;
static char *fx_dir;

static inline void
fx_setup(void)
{
    fx_dir = g_dir_make_tmp("vadm-log-XXXXXX", NULL);
    ck_assert_ptr_nonnull(fx_dir);
    fx_log = vadm_log_new("unit", "1.2.3");
}

/* Only files and empty directories one level deep are made by these tests. */
static inline void
fx_remove(const char *path)
{
    GDir *dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *inner = g_build_filename(path, name, NULL);
        fx_remove(inner);
    }
    g_clear_pointer(&dir, g_dir_close);
    g_remove(path);
}

static inline void
fx_teardown(void)
{
    vadm_log_free(fx_log, SECONDS(10));
    fx_log = NULL;
    fx_remove(fx_dir);
    g_clear_pointer(&fx_dir, g_free);
}

static inline char *
fx_path(const char *name)
{
    return g_build_filename(fx_dir, name, NULL);
}

static inline VadmLogSet *
fx_set(int level, const char *filters, const char *outputs)
{
    GError *error = NULL;
    VadmLogSet *set = vadm_log_set_new(fx_log, level, filters, outputs, "1:stderr", NULL, &error);

    ck_assert_msg(set != NULL, "%s", error ? error->message : "no error");
    return set;
}

static inline void
fx_use(int level, const char *filters, const char *outputs)
{
    g_autoptr(VadmLogSet) set = fx_set(level, filters, outputs);

    vadm_log_install(fx_log, set);
}

static inline void
fx_use_file(int level, const char *filters, const char *name)
{
    g_autofree char *outputs = g_strdup_printf("1:file:%s/%s", fx_dir, name);

    fx_use(level, filters, outputs);
}

/* @outputs may have %s for the directory. */
static inline void
fx_refuse(const char *filters, const char *outputs, int code, const char *message)
{
    g_autoptr(GError) error = NULL;
    VadmLogSet *set = vadm_log_set_new(fx_log, 3, filters, outputs, "1:stderr", NULL, &error);

    ck_assert_msg(set == NULL, "accepted: %s %s", filters ? filters : "", outputs ? outputs : "");
    ck_assert_str_eq(error->message, message);
    ck_assert(g_error_matches(error, VADM_ERROR, code));
}

static inline char *
fx_read(const char *name)
{
    g_autofree char *path = fx_path(name);
    char *text = NULL;

    ck_assert(vadm_log_flush(fx_log, SECONDS(20)));
    return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

static inline guint
fx_count(const char *text, const char *what)
{
    guint count = 0;

    for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
        count++;
    return count;
}

#define FX_SAY(level, category, ...)                                                               \
    vadm_log_message(fx_log, level, category, __func__, __LINE__, __VA_ARGS__)

#endif
