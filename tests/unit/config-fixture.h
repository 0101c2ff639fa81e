/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of tests that read configuration files: one file, which each test writes. The test program
 * defines load_file(), which loads it as the program does whose file it is. */
#ifndef VADM_TESTS_CONFIG_FIXTURE_H
#define VADM_TESTS_CONFIG_FIXTURE_H

#include "daemon/config.h"
#include "unit.h"

#include <glib/gstdio.h>
#include <unistd.h>

static char *path;

static void
setup(void)
{
    int fd = g_file_open_tmp("virtadm-config-XXXXXX", &path, NULL);

    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void
teardown(void)
{
    g_unlink(path);
    g_free(path);
}

static VadmConfig *load_file(GError **error);

static VadmConfig *
load(const char *text, GError **error)
{
    ck_assert(g_file_set_contents(path, text, -1, NULL));
    return load_file(error);
}

static VadmConfig *
load_good(const char *text)
{
    g_autoptr(GError) error = NULL;
    VadmConfig *config = load(text, &error);

    if (!config)
        ck_abort_msg("%s: refused: %s", text, error->message);
    return config;
}

/* @expected: the message behind "FILE: " */
static void
load_bad(const char *text, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmConfig) config = load(text, &error);
    g_autofree char *message = g_strdup_printf("%s: %s", path, expected);

    ck_assert_msg(!config, "%s: was taken", text);
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_CONFIG));
    ck_assert_str_eq(error->message, message);
}

#endif
