/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loaded into virsh by LD_PRELOAD, for its commands that run a job: save, managedsave, dump.
 *
 * Such a command does its work in a thread, which ends the main loop of the first thread when it is
 * done, and the first thread enters that loop after it has started the other. A job that is done
 * before that, as the test driver's may be on a busy machine, ends a loop that does not run yet;
 * g_main_loop_run() then runs for ever, whatever daemon is at the other end (seen in libvirt 9.0,
 * beside a stock libvirtd). Here virsh's order to end is given from within the loop, where it
 * cannot come too early. libvirt.so's own loops are left alone.
 *
 * VADM_VIRSH_LATE=MS in the environment makes virsh that many milliseconds late, which shows it.
 */
#include <dlfcn.h>
#include <glib.h>
#include <link.h>
#include <sys/auxv.h>

typedef void (*LoopFunc)(GMainLoop *loop);

/* Whether the code at address belongs to virsh itself, and not to a library. */
static gboolean
of_the_program(const void *address)
{
    Dl_info caller, program;

    return dladdr(address, &caller) && dladdr((void *)getauxval(AT_ENTRY), &program) &&
           caller.dli_fbase == program.dli_fbase;
}

/* GLib's own function of that name. */
static LoopFunc
glib(const char *name)
{
    LoopFunc function = NULL;

    *(void **)&function = dlsym(RTLD_NEXT, name);
    return function;
}

static gboolean
quit(gpointer loop)
{
    glib("g_main_loop_quit")(loop);
    return G_SOURCE_REMOVE;
}

void
g_main_loop_quit(GMainLoop *loop)
{
    g_autoptr(GSource) order = NULL;

    if (!of_the_program(__builtin_return_address(0))) {
        quit(loop);
        return;
    }
    order = g_idle_source_new();
    g_source_set_priority(order, G_PRIORITY_DEFAULT);
    g_source_set_callback(order, quit, g_main_loop_ref(loop), (GDestroyNotify)g_main_loop_unref);
    g_source_attach(order, g_main_loop_get_context(loop));
}

void
g_main_loop_run(GMainLoop *loop)
{
    const char *late = g_getenv("VADM_VIRSH_LATE");

    if (late && of_the_program(__builtin_return_address(0)))
        g_usleep(1000 * (gulong)g_ascii_strtoull(late, NULL, 10));
    glib("g_main_loop_run")(loop);
}
