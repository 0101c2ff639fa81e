/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libvirt's C interfaces share: version, typed parameters, reasons of a closed connection.
 * Names, types and numbers are those of libvirt, so that programs written for it compile
 * unchanged. Not included directly: by <libvirt/libvirt-admin.h>, <libvirt/virterror.h>, and
 * by libvirt's own <libvirt/libvirt.h> where a program uses that as well.
 *
 * All functions here may be called by any thread; no two may work on one list at the same time.
 */
#ifndef __VIR_VIRCOMMON_H__
#define __VIR_VIRCOMMON_H__

#if !defined __VIR_ADMIN_H_INCLUDES__ && !defined __VIR_LIBVIRT_H_INCLUDES__
#error "include <libvirt/libvirt-admin.h> instead of this file"
#endif

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef VIR_DEPRECATED
#ifdef __GNUC__
#define VIR_DEPRECATED __attribute__((__deprecated__))
#else
#define VIR_DEPRECATED
#endif
#endif

/* Before declarations of variables of a library. */
#define VIR_EXPORT_VAR extern

/**
 * LIBVIR_VERSION_NUMBER: major * 1000000 + minor * 1000 + release of the libvirt whose
 * administration API these headers offer in full. See virAdmGetVersion().
 */
#define LIBVIR_VERSION_NUMBER 11002000

/** LIBVIR_CHECK_VERSION: true when these headers offer what libvirt @major.@minor.@micro did. */
#define LIBVIR_CHECK_VERSION(major, minor, micro)                                                  \
    ((major)*1000000 + (minor)*1000 + (micro) <= LIBVIR_VERSION_NUMBER)

/**
 * virFreeCallback: frees what a program gave along with a callback, when the callback is needed
 * no more.
 * @opaque: what was given
 *
 * It must not call functions of this library: which thread runs it, and what that thread is in
 * the middle of, is not said.
 */
typedef void (*virFreeCallback)(void *opaque);

/** virConnectCloseReason: why a connection is closed. */
typedef enum {
    VIR_CONNECT_CLOSE_REASON_ERROR = 0,     /* reading or writing failed */
    VIR_CONNECT_CLOSE_REASON_EOF = 1,       /* the daemon closed it */
    VIR_CONNECT_CLOSE_REASON_KEEPALIVE = 2, /* the daemon is silent */
    VIR_CONNECT_CLOSE_REASON_CLIENT = 3,    /* the program closed it */
#ifdef VIR_ENUM_SENTINELS
    VIR_CONNECT_CLOSE_REASON_LAST
#endif
} virConnectCloseReason;

/** virTypedParameterType: which member of the union of a virTypedParameter is in use. */
typedef enum {
    VIR_TYPED_PARAM_INT = 1,     /* i */
    VIR_TYPED_PARAM_UINT = 2,    /* ui */
    VIR_TYPED_PARAM_LLONG = 3,   /* l */
    VIR_TYPED_PARAM_ULLONG = 4,  /* ul */
    VIR_TYPED_PARAM_DOUBLE = 5,  /* d */
    VIR_TYPED_PARAM_BOOLEAN = 6, /* b, 0 or 1 */
    VIR_TYPED_PARAM_STRING = 7,  /* s */
#ifdef VIR_ENUM_SENTINELS
    VIR_TYPED_PARAM_LAST
#endif
} virTypedParameterType;

/** virTypedParameterFlags: for functions of libvirt that give typed parameters; the
 * administration API has no use for it. */
typedef enum {
    VIR_TYPED_PARAM_STRING_OKAY = 1 << 2, /* the caller understands strings */
} virTypedParameterFlags;

/** VIR_TYPED_PARAM_FIELD_LENGTH: octets of a name of a parameter, with its final 0. */
#define VIR_TYPED_PARAM_FIELD_LENGTH 80

/** virTypedParameter: one value with its name. */
typedef struct _virTypedParameter virTypedParameter;
struct _virTypedParameter {
    char field[VIR_TYPED_PARAM_FIELD_LENGTH]; /* the name */
    int type;                                 /* virTypedParameterType */
    union {
        int i;
        unsigned int ui;
        long long int l;
        unsigned long long int ul;
        double d;
        char b;
        char *s; /* owned by the parameter: virTypedParamsClear() frees it */
    } value;
};
typedef virTypedParameter *virTypedParameterPtr;

/**
 * virTypedParamsGet: the first parameter with a name.
 * @params: a list, NULL for an empty one
 * @nparams: how many it has
 * @name: the name
 *
 * Returns: the parameter in @params, NULL when none has that name or @name is NULL. This raises
 * no error, and the last one stays.
 */
virTypedParameterPtr virTypedParamsGet(virTypedParameterPtr params, int nparams, const char *name);

/**
 * virTypedParamsGetInt, ...GetUInt, ...GetLLong, ...GetULLong, ...GetDouble, ...GetBoolean,
 * ...GetString: the value of the first parameter with a name.
 * @params: a list, NULL for an empty one
 * @nparams: how many it has
 * @name: the name
 * @value: where to put the value; NULL when only its presence is of interest. A string belongs to
 *     the list and lives as long as it. Unchanged unless 1 is returned.
 *
 * Returns: 1 when it is there, 0 when not, or @name is NULL; -1 with VIR_ERR_INVALID_ARG when it is
 * there with another type.
 */
int virTypedParamsGetInt(virTypedParameterPtr params, int nparams, const char *name, int *value);
int virTypedParamsGetUInt(virTypedParameterPtr params, int nparams, const char *name,
                          unsigned int *value);
int virTypedParamsGetLLong(virTypedParameterPtr params, int nparams, const char *name,
                           long long *value);
int virTypedParamsGetULLong(virTypedParameterPtr params, int nparams, const char *name,
                            unsigned long long *value);
int virTypedParamsGetDouble(virTypedParameterPtr params, int nparams, const char *name,
                            double *value);
int virTypedParamsGetBoolean(virTypedParameterPtr params, int nparams, const char *name,
                             int *value);
int virTypedParamsGetString(virTypedParameterPtr params, int nparams, const char *name,
                            const char **value);

/**
 * virTypedParamsAddInt, ...AddUInt, ...AddLLong, ...AddULLong, ...AddDouble, ...AddBoolean,
 * ...AddString: append one parameter to a list.
 * @params: the list, to begin with a pointer to NULL; it is moved when it grows
 * @nparams: how many it has; counted up
 * @maxparams: for how many there is memory; to begin with 0. Counted up when the list grows
 * @name: up to VIR_TYPED_PARAM_FIELD_LENGTH - 1 octets; copied
 * @value: a string is copied, and NULL as a string becomes "". A boolean is 0 or else true
 *
 * A name may be added several times; what that means is up to the function that gets the list.
 * Returns: 0; -1 with the list as it was: VIR_ERR_INTERNAL_ERROR for a name that is too long,
 * VIR_ERR_INVALID_ARG for a pointer that is NULL. The caller frees the list with
 * virTypedParamsFree().
 */
int virTypedParamsAddInt(virTypedParameterPtr *params, int *nparams, int *maxparams,
                         const char *name, int value);
int virTypedParamsAddUInt(virTypedParameterPtr *params, int *nparams, int *maxparams,
                          const char *name, unsigned int value);
int virTypedParamsAddLLong(virTypedParameterPtr *params, int *nparams, int *maxparams,
                           const char *name, long long value);
int virTypedParamsAddULLong(virTypedParameterPtr *params, int *nparams, int *maxparams,
                            const char *name, unsigned long long value);
int virTypedParamsAddDouble(virTypedParameterPtr *params, int *nparams, int *maxparams,
                            const char *name, double value);
int virTypedParamsAddBoolean(virTypedParameterPtr *params, int *nparams, int *maxparams,
                             const char *name, int value);
int virTypedParamsAddString(virTypedParameterPtr *params, int *nparams, int *maxparams,
                            const char *name, const char *value);

/**
 * virTypedParamsAddStringList: appends a parameter of the same name for each of several strings.
 * @values: ends with NULL; NULL for none
 *
 * The rest, and what is returned: as with virTypedParamsAddString(). After a failure those
 * strings that came before it are in the list.
 */
int virTypedParamsAddStringList(virTypedParameterPtr *params, int *nparams, int *maxparams,
                                const char *name, const char **values);

/**
 * virTypedParamsAddFromString: appends a parameter whose value is given as text.
 * @type: virTypedParameterType; what @value has to be
 * @value: a decimal number for a number; "0", "1", "false" or "true" for a boolean
 *
 * The rest, and what is returned: as with virTypedParamsAddInt(). Text that is not of @type, and
 * a number out of its range, is VIR_ERR_INVALID_ARG; a @type that does not exist is
 * VIR_ERR_INTERNAL_ERROR. A negative number as an unsigned one wraps, as with strtoul().
 */
int virTypedParamsAddFromString(virTypedParameterPtr *params, int *nparams, int *maxparams,
                                const char *name, int type, const char *value);

/**
 * virTypedParamsClear: frees the strings of a list, which is then to be filled anew: not the list.
 * @params: NULL: nothing is done
 * @nparams: how many it has
 *
 * Raises no error, and the last one stays, so that a program can clean up before it looks at it.
 */
void virTypedParamsClear(virTypedParameterPtr params, int nparams);

/** virTypedParamsFree: frees a list with its strings; as virTypedParamsClear() else. */
void virTypedParamsFree(virTypedParameterPtr params, int nparams);

#ifdef __cplusplus
}
#endif

#endif
