/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of tests that read configuration files: one file, which each test writes. */
#ifndef VADM_TESTS_CONFIG_FIXTURE_H
#define VADM_TESTS_CONFIG_FIXTURE_H

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

#endif
