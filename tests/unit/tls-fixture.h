/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Certificates made at run time in a temporary folder, and clients of TLS that know nothing of
 * ours: GnuTLS on a blocking socket, each in a thread of its own.
 */
#ifndef VADM_TESTS_TLS_FIXTURE_H
#define VADM_TESTS_TLS_FIXTURE_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "common/lock.h"
#include "daemon/tls.h"
#include "unit.h"

#define TLS_DAY (24 * 3600)

typedef struct {
    const char *dn;        /* as gnutls_x509_crt_set_dn() takes it */
    gboolean ca;           /* basic constraints */
    const char *purpose;   /* NULL: none in it */
    gboolean critical;     /* the purpose */
    gint64 from, until;    /* seconds from now; 0, 0: since yesterday, for a year */
    unsigned int rsa_bits; /* 0: a key of elliptic curves */
} PkiRequest;

typedef struct {
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
    char *cert_path, *key_path;
} Pki;

/** @issuer: NULL: signs itself. Writes NAME.pem and NAME-key.pem. */
Pki *pki_new(const char *name, const PkiRequest *request, const Pki *issuer);
void pki_free(Pki *pki);
/** Signs it again, for another issuer, and writes it again. */
void pki_sign(Pki *pki, const Pki *issuer);
/** @revoked: NULL: nobody. @next: seconds from now. Returns: the file's path */
char *pki_make_crl(const char *name, const Pki *issuer, const Pki *revoked, gint64 next);
/** Writes the certificates one behind the other. Returns: the file's path */
char *pki_make_chain(const char *name, const Pki *first, const Pki *second);
char *pki_write(const char *name, const char *text);

/* What all tests begin with. */
typedef struct {
    char *folder;
    Pki *ca, *server, *client, *other_ca, *stranger;
} PkiSet;

extern PkiSet pki;
void pki_setup(void);
void pki_teardown(void);
/** Those of the set, but for what is not NULL in @other. */
VadmTls *pki_load(const VadmTlsFiles *other, GError **error);

/* A client in a thread. */
typedef enum {
    TLS_CLIENT_TALK,        /* waits for the acknowledgement, then echoes until the end of file */
    TLS_CLIENT_RENEGOTIATE, /* asks for another handshake behind the acknowledgement */
    TLS_CLIENT_FILL /* takes nothing any more behind the acknowledgement until it is let go */
} TlsClientKind;

typedef struct {
    const Pki *pki;        /* NULL: shows no certificate */
    const char *cert_path; /* NULL: that of pki */
    const char *priority;  /* NULL: GnuTLS's own */
    TlsClientKind kind;
    guint16 port;
} TlsClientInit;

typedef struct {
    TlsClientInit init;
    pthread_t thread;
    VadmMutex lock;
    VadmCond changed;
    /* under lock */
    gboolean ended, go;
    int shaken; /* what gnutls_handshake() has returned; 1: it has not yet */
    int octet;  /* the acknowledgement; -1: none */
    int serial; /* the last octet of the serial number of the server's certificate */
    guint64 echoed;
} TlsClient;

TlsClient *tls_client_new(const TlsClientInit *init);
/** Reads a member under the lock. */
gboolean tls_client_ended(TlsClient *client);
int tls_client_octet(TlsClient *client);
void tls_client_let_go(TlsClient *client);
/** After its end. */
void tls_client_free(TlsClient *client);

/** A whole ClientHello as GnuTLS makes it. */
GByteArray *tls_make_hello(void);
/** Connects to 127.0.0.1. Returns: a blocking descriptor */
int tls_connect(guint16 port);

#endif
