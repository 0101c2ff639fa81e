/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of agent/notify.c share: a fake source, a master agent that answers when the test
 * says so, and a clock of the test's own.
 */
#ifndef VADM_TESTS_NOTIFY_BED_H
#define VADM_TESTS_NOTIFY_BED_H

#include "agent/notify.h"
#include "fake-source.h"
#include "unit.h"

#define SECOND G_USEC_PER_SEC

/* What lvaNotifyEnable is by default: all but connects and disconnects. */
#define ENABLE_DEFAULT 0x3e7
#define ENABLE_ALL     0x3ff

/* Made anew for each test by add_case(): servers 1 and 300 with at most 10 clients, an interval of
 * 5 seconds, a master agent that is there. */
extern FakeSource *fake;
extern VadmSettings *settings;
extern VadmMib *mib;
extern VadmNotify *notify;
extern GString *sent;   /* what was sent since it was read last: "lvaClientsFull 300 5/10, ..." */
extern GArray *tickets; /* of what has not been answered */
extern gboolean answering, failing; /* the master answers at once; nothing can be handed over */
extern guint woken;
extern gint64 now;

/* The hooks of notify, with &fake for their user. */
gboolean bed_send(const VadmNotification *notification, const VadmVarbind *varbinds, guint n,
                  gsize ticket, gpointer user);
void bed_wake(gpointer user);

void answer_all(void);
/** run: until nothing changes, as the loop would. Returns: as vadm_notify_run() */
gint64 run(void);
void check_sent(const char *expected);
void check_counts(guint32 expected_sent, guint32 expected_suppressed);
void set_clients(guint32 server, guint32 current, VadmLimitState state);
void tell_clients(guint32 server, guint32 current, VadmLimitState state);
void connect_master(gboolean connected);

TCase *add_case(Suite *suite, const char *name);

#endif
