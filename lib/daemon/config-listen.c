/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands in the key "listen": where clients come from, and what they are asked for. */
#include <config.h> /* HAVE_SASL */

#include <string.h>

#include "daemon/config-private.h"

#ifdef HAVE_SASL
#define SASL_AVAILABLE TRUE
#else
#define SASL_AVAILABLE FALSE
#endif

typedef struct {
    const char *name;
    gboolean available, readonly;
    VadmAuthKind auth;
} VadmListenKind;

/* Where a listen may be, and how its clients authenticate themselves. */
static const VadmListenKind listen_kinds[] = {
    {"unix", TRUE, FALSE, VADM_AUTH_NONE},      {"unix-ro", TRUE, TRUE, VADM_AUTH_NONE},
    {"unix+sasl", TRUE, FALSE, VADM_AUTH_SASL}, {"unix-ro+sasl", TRUE, TRUE, VADM_AUTH_SASL},
    {"tcp", FALSE, FALSE, VADM_AUTH_NONE},      {"tcp+sasl", FALSE, FALSE, VADM_AUTH_SASL},
    {"tls", FALSE, FALSE, VADM_AUTH_NONE},      {"tls+sasl", FALSE, FALSE, VADM_AUTH_SASL},
};

char *
vadm_config_socket_path(const VadmConfig *config, const char *path, GError **error)
{
    g_autofree char *full = NULL;

    if (!*path) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "the path of the socket is missing");
        return NULL;
    }
    full = *path == '/' ? g_strdup(path) : g_build_filename(config->runtime_dir, path, NULL);
    if (strlen(full) > VADM_SOCKET_PATH_MAX) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "the path of a socket has at most %u octets, %s has %zu", VADM_SOCKET_PATH_MAX,
                    full, strlen(full));
        return NULL;
    }
    return g_steal_pointer(&full);
}

/* @text: "KIND:...". Returns: NULL: there is no such kind */
static const VadmListenKind *
vadm_find_listen_kind(const char *text)
{
    gsize length = strcspn(text, ":");

    for (guint i = 0; i < G_N_ELEMENTS(listen_kinds); i++) {
        const VadmListenKind *kind = &listen_kinds[i];

        if (strlen(kind->name) == length && strncmp(text, kind->name, length) == 0)
            return kind;
    }
    return NULL;
}

VadmListenConfig *
vadm_config_read_listen(const VadmConfig *config, const char *text, GError **error)
{
    const VadmListenKind *kind = vadm_find_listen_kind(text);
    const char *colon = strchr(text, ':');
    g_autofree char *path = NULL;

    if (kind && !kind->available) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "'%s': %s is not available in this version", text, kind->name);
        return NULL;
    }
    if (!kind || !colon) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "'%s' must be unix:PATH, unix-ro:PATH, unix+sasl:PATH or unix-ro+sasl:PATH",
                    text);
        return NULL;
    }
    if (kind->auth == VADM_AUTH_SASL && !SASL_AVAILABLE) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "'%s': this virtadmd was built without SASL", text);
        return NULL;
    }
    path = vadm_config_socket_path(config, colon + 1, error);
    return path ? vadm_listen_config_new(path, kind->readonly, kind->auth) : NULL;
}
