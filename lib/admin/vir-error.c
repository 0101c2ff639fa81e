/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The last error of each thread, and what the program does with errors. */
#include "admin/vir-private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/lock.h"
#include "rpc/rpc-error.h"

typedef struct {
    virErrorFunc function; /* NULL: virDefaultErrorFunc() */
    void *user;
} ErrorHandler;

/* The interface says that there is one for the process. */
static VadmMutex handler_lock = VADM_MUTEX_INIT;
static ErrorHandler handler;

/* A child must not find the lock taken by a thread that it has not got. */
static void
lock_handler(void)
{
    vadm_mutex_lock(&handler_lock);
}

static void
unlock_handler(void)
{
    vadm_mutex_unlock(&handler_lock);
}

__attribute__((constructor)) static void
keep_lock_over_forks(void)
{
    pthread_atfork(lock_handler, unlock_handler, unlock_handler);
}

static GPrivate last_error = G_PRIVATE_INIT((GDestroyNotify)virFreeError);

/* This library is loaded into programs that think well of errno. */
#define KEEP_ERRNO                                                                                 \
    G_GNUC_UNUSED __attribute__((cleanup(restore_errno))) const int kept_errno = errno

static void
restore_errno(const int *kept)
{
    errno = *kept;
}

/* The error of this thread, made when there is none. */
static virErrorPtr
last_error_ensure(void)
{
    virErrorPtr last = g_private_get(&last_error);

    if (last == NULL) {
        last = g_new0(virError, 1);
        g_private_set(&last_error, last);
    }
    return last;
}

static void
copy_error(virErrorPtr to, const virError *from)
{
    *to = *from;
    to->message = g_strdup(from->message);
    to->str1 = g_strdup(from->str1);
    to->str2 = g_strdup(from->str2);
    to->str3 = g_strdup(from->str3);
}

/* The function runs without the lock, so that it may set another one. */
static void
dispatch(virErrorPtr error)
{
    ErrorHandler current;

    vadm_mutex_lock(&handler_lock);
    current = handler;
    vadm_mutex_unlock(&handler_lock);
    if (current.function)
        current.function(current.user, error);
    else
        virDefaultErrorFunc(error);
}

/* @error: its strings are taken over. */
static void
raise_error(const virError *error)
{
    virErrorPtr last = last_error_ensure();

    virResetError(last);
    *last = *error;
    dispatch(last);
}

VADM_VIR_PUBLIC virErrorPtr
virGetLastError(void)
{
    KEEP_ERRNO;
    virErrorPtr last = g_private_get(&last_error);

    return last && last->code != VIR_ERR_OK ? last : NULL;
}

VADM_VIR_PUBLIC int
virGetLastErrorCode(void)
{
    virErrorPtr last = virGetLastError();

    return last ? last->code : VIR_ERR_OK;
}

VADM_VIR_PUBLIC int
virGetLastErrorDomain(void)
{
    virErrorPtr last = virGetLastError();

    return last ? last->domain : VIR_FROM_NONE;
}

VADM_VIR_PUBLIC const char *
virGetLastErrorMessage(void)
{
    virErrorPtr last = virGetLastError();

    if (last == NULL)
        return "no error";
    return last->message ? last->message : "unknown error";
}

VADM_VIR_PUBLIC virErrorPtr
virSaveLastError(void)
{
    KEEP_ERRNO;
    virErrorPtr last = virGetLastError();
    virErrorPtr saved = g_new0(virError, 1);

    if (last)
        copy_error(saved, last);
    return saved;
}

VADM_VIR_PUBLIC int
virCopyLastError(virErrorPtr to)
{
    virErrorPtr last = virGetLastError();

    if (to == NULL)
        return -1;
    *to = (virError){0};
    if (last)
        copy_error(to, last);
    return to->code;
}

VADM_VIR_PUBLIC void
virResetError(virErrorPtr err)
{
    KEEP_ERRNO;

    if (err == NULL)
        return;
    g_free(err->message);
    g_free(err->str1);
    g_free(err->str2);
    g_free(err->str3);
    *err = (virError){0};
}

VADM_VIR_PUBLIC void
virResetLastError(void)
{
    KEEP_ERRNO;

    virResetError(g_private_get(&last_error));
}

VADM_VIR_PUBLIC void
virFreeError(virErrorPtr err)
{
    KEEP_ERRNO;

    virResetError(err);
    g_free(err);
}

VADM_VIR_PUBLIC void
virSetErrorFunc(void *userData, virErrorFunc function)
{
    vadm_mutex_lock(&handler_lock);
    handler = (ErrorHandler){.function = function, .user = userData};
    vadm_mutex_unlock(&handler_lock);
}

void
vadm_vir_enter(void)
{
    virResetLastError();
}

void
vadm_vir_raise(int number, int domain, const char *format, ...)
{
    KEEP_ERRNO;
    const char *prefix = vadm_rpc_error_prefix(number);
    virError error = {.code = number, .domain = domain, .level = VIR_ERR_ERROR};
    va_list args;

    va_start(args, format);
    error.str2 = g_strdup_vprintf(format, args);
    va_end(args);
    error.str1 = g_strconcat(prefix, "%s", NULL);
    error.message = g_strconcat(prefix, error.str2, NULL);
    error.int1 = -1;
    error.int2 = -1;
    raise_error(&error);
}

void
vadm_vir_raise_gerror(int domain, const GError *from)
{
    KEEP_ERRNO;
    int number = vadm_rpc_error_number(from);
    int errnum = from->domain == VADM_ERROR ? vadm_error_get_errno(from) : 0;
    const char *prefix = vadm_rpc_error_prefix(number);
    virError error = {
        .code = number,
        .domain = domain,
        .message = g_strconcat(prefix, from->message, NULL),
        .level = VIR_ERR_ERROR,
        .str1 = g_strconcat(prefix, "%s", NULL),
        .str2 = g_strdup(from->message),
        .int1 = errnum > 0 ? errnum : -1,
        .int2 = -1,
    };

    raise_error(&error);
}

/* What is wrong with one argument of a call of the program has no prefix. */
static void
raise_argument(int domain, char *message, const char *function, const char *argument)
{
    virError error = {
        .code = VIR_ERR_INVALID_ARG,
        .domain = domain,
        .message = message,
        .level = VIR_ERR_ERROR,
        .str1 = g_strdup(function),
        .str2 = g_strdup(argument),
    };

    raise_error(&error);
}

void
vadm_vir_raise_flags(unsigned int flags, const char *function)
{
    KEEP_ERRNO;

    raise_argument(VIR_FROM_ADMIN,
                   g_strdup_printf("unsupported flags (0x%x) in function %s", flags, function),
                   function, "flags");
}

void
vadm_vir_raise_null(int domain, const char *argument, const char *function)
{
    KEEP_ERRNO;

    raise_argument(domain, g_strdup_printf("%s in %s must not be NULL", argument, function),
                   function, argument);
}

void
vadm_vir_raise_negative(int domain, const char *argument, const char *function)
{
    KEEP_ERRNO;

    raise_argument(domain, g_strdup_printf("%s in %s must be zero or greater", argument, function),
                   function, argument);
}

/* A failure without a number would look like a success. */
static void
raise_unknown(void)
{
    virError error = {
        .code = VIR_ERR_INTERNAL_ERROR,
        .domain = VIR_FROM_NONE,
        .message = g_strdup("An error occurred, but the cause is unknown"),
        .level = VIR_ERR_ERROR,
    };

    raise_error(&error);
}

static char *
optional_string(char *const *string)
{
    return string ? g_strdup(*string) : NULL;
}

void
vadm_vir_raise_reply(const VadmMessage *reply)
{
    KEEP_ERRNO;
    vadm_rpc_error payload = {0};
    g_autoptr(GError) problem = NULL;
    virError error = {0};

    if (!vadm_message_decode(reply, (xdrproc_t)xdr_vadm_rpc_error, &payload, &problem)) {
        vadm_vir_raise_gerror(VIR_FROM_RPC, problem);
    } else if (payload.code == VIR_ERR_OK) {
        raise_unknown();
    } else {
        error.code = payload.code;
        error.domain = payload.domain;
        error.message = payload.message ? g_strdup(*payload.message) : g_strdup("Unknown error");
        error.level = (virErrorLevel)payload.level;
        error.str1 = optional_string(payload.str1);
        error.str2 = optional_string(payload.str2);
        error.str3 = optional_string(payload.str3);
        error.int1 = payload.int1;
        error.int2 = payload.int2;
        raise_error(&error);
    }
    xdr_free((xdrproc_t)xdr_vadm_rpc_error, &payload);
}
