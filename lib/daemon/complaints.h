/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many lines the log takes about clients that do not behave. Whoever can connect can make us
 * complain, tens of thousands of times a second: beyond so many in a second it is only said, once,
 * how many there were.
 */
#ifndef VADM_DAEMON_COMPLAINTS_H
#define VADM_DAEMON_COMPLAINTS_H

#include <glib.h>

/* Lines in a second, of one server. */
#define VADM_COMPLAINTS_MAX 50u

typedef struct _VadmComplaints VadmComplaints;

/** vadm_complaints_new: @server: its name; borrowed. Main thread. */
VadmComplaints *vadm_complaints_new(const char *server, GMainContext *context);
/** vadm_complaints_free: (nullable): what was left out and not said yet is said. Main thread, when
 * no other thread complains any more. */
void vadm_complaints_free(VadmComplaints *complaints);
/** vadm_complaints_allow: may the caller log a line now? Else it is counted. Any thread. */
gboolean vadm_complaints_allow(VadmComplaints *complaints);
/** vadm_complaints_left_out: lines that were left out, and not said to be so yet. Any thread. */
guint vadm_complaints_left_out(VadmComplaints *complaints);

#endif
