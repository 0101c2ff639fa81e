/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * File descriptors that go along with messages through unix sockets (docs/protocol.md, "File
 * descriptors"), and the socket's plain octets. For conn.c.
 */
#ifndef VADM_RPC_CONN_FDS_H
#define VADM_RPC_CONN_FDS_H

#include <gio/gio.h>

#include "rpc/message.h"

/* Descriptors that have come and wait for their message to be whole, in the order in which they
 * came. Each belongs to one octet of all that was read. */
typedef struct _VadmConnFds VadmConnFds;

/** vadm_conn_fds_new: @spare: how many descriptors have to be left to this process behind each that
 * comes (common/spare-fds.h) */
VadmConnFds *vadm_conn_fds_new(guint spare);
/** vadm_conn_fds_free: @fds: (nullable); closes those that wait. */
void vadm_conn_fds_free(VadmConnFds *fds);

/**
 * vadm_conn_fds_receive: reads once, at most one descriptor
 * @fds: (nullable): where a descriptor is put; NULL: none may come
 * @position: how many octets were read before
 * @error: VADM_ERROR_RPC: a descriptor where none may come, or several with one octet;
 *     VADM_ERROR_SYSTEM: this process has no descriptor left to take it; or G_IO_ERROR
 *
 * The kernel ends what it gives at the octet that a descriptor goes along with, so that octet is
 * the last one. Never waits. Returns: how many octets came, 0: the end of file, -1: @error
 */
gssize vadm_conn_fds_receive(VadmConnFds *fds, int socket, guint8 *space, gsize room,
                             guint64 position, GError **error);

/** vadm_conn_fds_waiting: how many wait; 0 for NULL. */
guint vadm_conn_fds_waiting(const VadmConnFds *fds);

/**
 * vadm_conn_fds_check: do descriptors stand where they should?
 * @end: a position in what was read
 * @count: how many octets before @end have to have one each, while those before must have none
 * @error: VADM_ERROR_RPC: one is missing, or one is where none may be
 */
gboolean vadm_conn_fds_check(const VadmConnFds *fds, guint64 end, gsize count, GError **error);

/** vadm_conn_fds_claim: gives the first @count, at most as many as there are, to @message. */
void vadm_conn_fds_claim(VadmConnFds *fds, gsize count, VadmMessage *message);

/** vadm_conn_fds_send: sends one octet, and @fd with it. Never waits. Returns: 1, or -1: @error:
 * G_IO_ERROR */
gssize vadm_conn_fds_send(int socket, int fd, GError **error);

/** vadm_conn_fds_write: sends what the socket takes of @data. Never waits. Returns: how much, or
 * -1:
 * @error: G_IO_ERROR */
gssize vadm_conn_fds_write(int socket, const guint8 *data, gsize length, GError **error);

#endif
