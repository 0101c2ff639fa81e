/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One change of the state file, by the functions of the daemon and without its threads, so that
 * test_state.py can have it killed, or have a call refused, at each system call in turn.
 *
 *   state-save text N        prints what is stored when max_workers is N
 *   state-save save PATH N   stores that
 *   state-save undo PATH N   stores that, and puts back what was there
 *   state-save remove PATH   removes the file
 *   state-save revive PATH   removes the file, and puts it back
 *   state-save load PATH     prints max_workers as it is after loading, or "none"
 *
 * Exit status 0: done; 1: refused, and the old file is there; 3: the undo was refused, and the new
 * one is there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/state-file.h"
#include "daemon/state.h"

enum { DONE = 0, REFUSED = 1, USAGE = 2, UNDO_REFUSED = 3 };

static char *
make_text(const char *number)
{
    g_autoptr(VadmConfig) config = vadm_config_new();

    config->base = vadm_config_copy(config);
    vadm_config_find_server(config, "libvirtd")->limits.workers_max = (guint32)atoi(number);
    return vadm_state_to_text(config);
}

static int
tell(const GError *error, int status)
{
    fprintf(stderr, "%s\n", error->message);
    return status;
}

/* @text: (nullable) */
static int
change(const char *path, const char *text, gboolean undo)
{
    g_autoptr(GError) error = NULL;
    VadmStateFile *file = vadm_state_file_prepare(path, text, &error);

    if (!file)
        return tell(error, REFUSED);
    if (!vadm_state_file_commit(file, &error)) {
        vadm_state_file_abort(file);
        return tell(error, REFUSED);
    }
    if (undo && !vadm_state_file_undo(file, &error)) {
        vadm_state_file_finish(file);
        return tell(error, UNDO_REFUSED);
    }
    vadm_state_file_finish(file);
    return DONE;
}

static int
load(const char *path)
{
    g_autoptr(VadmConfig) config = vadm_config_new();
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    VadmStateResult result = vadm_state_load(path, config, NULL, warnings);

    for (guint i = 0; i < warnings->len; i++)
        fprintf(stderr, "%s\n", (const char *)warnings->pdata[i]);
    if (result == VADM_STATE_NONE)
        printf("none\n");
    else
        printf("%u\n", vadm_config_find_server(config, "libvirtd")->limits.workers_max);
    return result == VADM_STATE_NONE || result == VADM_STATE_APPLIED ? DONE : REFUSED;
}

int
main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    g_autofree char *text = NULL;

    if (argc == 3 && strcmp(verb, "text") == 0) {
        text = make_text(argv[2]);
        return fputs(text, stdout) < 0 ? REFUSED : DONE;
    }
    if (argc == 3 && strcmp(verb, "load") == 0)
        return load(argv[2]);
    if (argc == 3 && (strcmp(verb, "remove") == 0 || strcmp(verb, "revive") == 0))
        return change(argv[2], NULL, strcmp(verb, "revive") == 0);
    if (argc == 4 && (strcmp(verb, "save") == 0 || strcmp(verb, "undo") == 0)) {
        text = make_text(argv[3]);
        return change(argv[2], text, strcmp(verb, "undo") == 0);
    }
    return USAGE;
}
