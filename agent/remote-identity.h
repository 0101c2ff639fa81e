/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon's typed parameters say about a client and about a server. */
#ifndef VADM_AGENT_REMOTE_IDENTITY_H
#define VADM_AGENT_REMOTE_IDENTITY_H

#include "common/source.h"
#include "rpc/protocol.h"

/**
 * vadm_remote_parse_identity:
 * @params: the answer to CLIENT_GET_INFO
 * @readonly: (out)
 *
 * Texts that are no printable UTF-8, or too long, are NULL; an address that is none is unknown(0),
 * with its text. Any thread. Returns: (transfer full) (nullable): NULL: no such answer of libvirt:
 * "readonly", which is always there, is not
 */
VadmIdentity *vadm_remote_parse_identity(const vadm_typed_param *params, guint n_params,
                                         gboolean *readonly);
/** vadm_remote_identity_equal: in all that is shown of them. Any thread. */
gboolean vadm_remote_identity_equal(const VadmIdentity *a, const VadmIdentity *b);

/** vadm_remote_parse_threadpool, _limits: puts what is there into @row, and clears its bits of
 * row->unknown. */
void vadm_remote_parse_threadpool(const vadm_typed_param *params, guint n_params,
                                  VadmServerRow *row);
void vadm_remote_parse_limits(const vadm_typed_param *params, guint n_params, VadmServerRow *row);

/* Octets of LvaLongString: the MIB shows no longer text. The protocol has 4 MiB for each, and there
 * may be several of them for each of a million clients. */
#define VADM_REMOTE_TEXT_MAX 4096u

/** vadm_remote_text_is_fit: whether @text can be shown: UTF-8 without control characters. */
gboolean vadm_remote_text_is_fit(const char *text);
/** vadm_remote_text_is_kept: and it is not longer than VADM_REMOTE_TEXT_MAX. */
gboolean vadm_remote_text_is_kept(const char *text);

#endif
