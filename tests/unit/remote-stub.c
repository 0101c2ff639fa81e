/* temporary: until remote-set.c is there */
#include "agent/remote-private.h"
struct _VadmRemoteWriter *vadm_remote_writer_new(VadmRemoteSource *source){(void)source;return NULL;}
void vadm_remote_writer_free(struct _VadmRemoteWriter *writer){(void)writer;}
void vadm_remote_prepare(VadmSource *base, const VadmChange *changes, guint n_changes, VadmOrigin origin, gint64 deadline, VadmDone done, gpointer user){(void)base;(void)changes;(void)n_changes;(void)origin;(void)deadline;(void)done;(void)user;}
void vadm_remote_commit(VadmTxn *txn, VadmDone done, gpointer user){(void)txn;(void)done;(void)user;}
void vadm_remote_undo(VadmTxn *txn, VadmDone done, gpointer user){(void)txn;(void)done;(void)user;}
void vadm_remote_finish(VadmTxn *txn){(void)txn;}
void vadm_remote_abort(VadmTxn *txn){(void)txn;}
