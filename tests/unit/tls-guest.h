/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server's side of handshakes, for the tests of it: a gate, a port, and those who come there.
 */
#ifndef VADM_TESTS_TLS_GUEST_H
#define VADM_TESTS_TLS_GUEST_H

#include "daemon/tls-private.h"
#include "tls-fixture.h"

/* One client as the server has it. */
typedef struct {
    GSocketConnection *base;
    VadmTlsHandshake *handshake; /* NULL: it has ended */
    GIOStream *stream;
    char *dn;
    char *warnings;
    GError *error;
} Guest;

extern GMainContext *context;
extern VadmTlsGate *gate;
extern VadmTls *tls; /* of pki */
extern guint16 port;

void setup(void);
void teardown(void);

/** spin: one turn of the loop, or a millisecond of nothing. */
void spin(void);

/* How long what must happen may take, microseconds. */
#define PATIENCE (60 * (gint64)G_USEC_PER_SEC)

#define SPIN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        gint64 spin_deadline = g_get_monotonic_time() + PATIENCE;                                  \
        while (!(condition)) {                                                                     \
            spin();                                                                                \
            ck_assert_msg(g_get_monotonic_time() < spin_deadline, "in vain: %s", #condition);      \
        }                                                                                          \
    } while (0)

/** guest_new, guest_new_allowed: accepts the next connection and begins its handshake.
 * @allowed: (nullable): as for vadm_tls_accept() */
Guest *guest_new(void);
Guest *guest_new_allowed(char *const *allowed);
/** guest_free: as a client that is closed does. */
void guest_free(Guest *guest);
/** try_good: a client tries, and comes in. */
void try_good(const TlsClientInit *init, char *const *allowed);
/** try_doubtful: the same, for one that the log is to warn of, with @warning, if not NULL. */
void try_doubtful(const TlsClientInit *init, char *const *allowed, const char *warning);
/** is_refused: asserts that it was, with @code, and a reason that has @text in it. Returns: TRUE */
gboolean is_refused(const Guest *guest, VadmErrorCode code, const char *text);

#endif
