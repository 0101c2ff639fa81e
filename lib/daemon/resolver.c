/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/resolver.h"

#include <grp.h>
#include <pwd.h>

#include "common/lock.h"

#define VADM_LOG_CATEGORY "daemon.resolver"
#include "common/log.h"

#define VADM_RESOLVER_KEEP        (60 * (gint64)G_USEC_PER_SEC)
#define VADM_RESOLVER_WAITING_MAX 65536u
#define VADM_RESOLVER_CACHE_MAX   8192u
/* No entry of a sane name service is longer; a broken one must not eat the memory. */
#define VADM_RESOLVER_BUFFER_MAX (1024u * 1024)

typedef struct {
    VadmIdentity *identity;
    VadmResolved done;
    gpointer user;
    GDestroyNotify destroy;
} VadmLookup;

typedef struct {
    char *name;
    gint64 expires; /* monotonic, microseconds */
} VadmCachedName;

struct _VadmResolver {
    gatomicrefcount refs; /* the owner's and the thread's */
    const VadmNameService *names;
    gboolean has_thread;
    pthread_t thread;

    VadmMutex lock;
    VadmCond wake;      /* there is work, or stop */
    VadmCond delivered; /* busy has become NULL */
    /* All under lock. */
    gboolean stop;
    gboolean looking;     /* the thread is in the name service for @busy and may hang there */
    VadmLookup *busy;     /* taken by the thread; NULL when free has taken it away */
    GQueue *waiting;      /* of VadmLookup */
    gboolean overflowing; /* has been logged */
    GHashTable *users, *groups;
};

static void
vadm_cached_name_free(gpointer data)
{
    VadmCachedName *cached = data;

    g_free(cached->name);
    g_free(cached);
}

static void
vadm_lookup_free(VadmLookup *lookup)
{
    if (lookup->destroy)
        lookup->destroy(lookup->user);
    vadm_identity_unref(lookup->identity);
    g_free(lookup);
}

static void
vadm_resolver_unref(VadmResolver *resolver)
{
    if (!g_atomic_int_dec_and_test(&resolver->refs))
        return;
    g_queue_free(resolver->waiting);
    g_hash_table_unref(resolver->users);
    g_hash_table_unref(resolver->groups);
    vadm_cond_clear(&resolver->wake);
    vadm_cond_clear(&resolver->delivered);
    vadm_mutex_clear(&resolver->lock);
    g_free(resolver);
}

/* Names go into SNMP and RPC strings, which are UTF-8. */
static char *
vadm_resolver_own_name(const char *name)
{
    return g_utf8_make_valid(name ? name : "", -1);
}

static char *
vadm_resolver_nss_user(guint32 uid)
{
    for (gsize size = 1024; size <= VADM_RESOLVER_BUFFER_MAX; size *= 2) {
        g_autofree char *buffer = g_malloc(size);
        struct passwd entry, *found = NULL;
        int rc = getpwuid_r((uid_t)uid, &entry, buffer, size, &found);

        if (rc != ERANGE)
            return vadm_resolver_own_name(rc == 0 && found ? found->pw_name : NULL);
    }
    return g_strdup("");
}

static char *
vadm_resolver_nss_group(guint32 gid)
{
    for (gsize size = 1024; size <= VADM_RESOLVER_BUFFER_MAX; size *= 2) {
        g_autofree char *buffer = g_malloc(size);
        struct group entry, *found = NULL;
        int rc = getgrgid_r((gid_t)gid, &entry, buffer, size, &found);

        if (rc != ERANGE)
            return vadm_resolver_own_name(rc == 0 && found ? found->gr_name : NULL);
    }
    return g_strdup("");
}

/* Under lock. (transfer none) (nullable) */
static const char *
vadm_resolver_cached(GHashTable *cache, guint32 number)
{
    VadmCachedName *cached;

    if (number == G_MAXUINT32)
        return "";
    cached = g_hash_table_lookup(cache, GUINT_TO_POINTER(number));
    if (!cached || cached->expires <= g_get_monotonic_time())
        return NULL;
    return cached->name;
}

static gboolean
vadm_cached_name_expired(gpointer key, gpointer value, gpointer now)
{
    (void)key;
    return ((VadmCachedName *)value)->expires <= *(gint64 *)now;
}

/* Under lock. A host with more live users than the cache holds looks them up again. */
static void
vadm_resolver_remember(GHashTable *cache, guint32 number, char *name)
{
    VadmCachedName *cached = g_new(VadmCachedName, 1);
    gint64 now = g_get_monotonic_time();

    if (g_hash_table_size(cache) >= VADM_RESOLVER_CACHE_MAX)
        g_hash_table_foreach_remove(cache, vadm_cached_name_expired, &now);
    if (g_hash_table_size(cache) >= VADM_RESOLVER_CACHE_MAX)
        g_hash_table_remove_all(cache);
    cached->name = name;
    cached->expires = now + VADM_RESOLVER_KEEP;
    g_hash_table_replace(cache, GUINT_TO_POINTER(number), cached);
}

/* Under lock. Returns: (transfer full) (nullable): with names, if both are known */
static VadmIdentity *
vadm_resolver_name(VadmResolver *resolver, const VadmIdentity *identity)
{
    const char *user =
        vadm_resolver_cached(resolver->users, identity->local ? identity->uid : G_MAXUINT32);
    const char *group =
        vadm_resolver_cached(resolver->groups, identity->local ? identity->gid : G_MAXUINT32);
    VadmIdentity *named;

    if (!user || !group)
        return NULL;
    named = vadm_identity_copy(identity);
    g_free(named->user_name);
    g_free(named->group_name);
    named->user_name = g_strdup(user);
    named->group_name = g_strdup(group);
    named->named = TRUE;
    return named;
}

/* Called with the lock held; gives it up while the name service is asked. Returns: FALSE when
 * the resolver was freed meanwhile: @identity's look-up is gone. */
static gboolean
vadm_resolver_ask(VadmResolver *resolver, const VadmIdentity *asked)
{
    guint32 uid = asked->uid, gid = asked->gid;
    gboolean need_user = !vadm_resolver_cached(resolver->users, uid);
    gboolean need_group = !vadm_resolver_cached(resolver->groups, gid);
    char *user = NULL, *group = NULL;

    resolver->looking = TRUE;
    vadm_mutex_unlock(&resolver->lock);
    if (need_user)
        user = resolver->names->user_name(uid);
    if (need_group)
        group = resolver->names->group_name(gid);
    vadm_mutex_lock(&resolver->lock);
    resolver->looking = FALSE;
    if (need_user)
        vadm_resolver_remember(resolver->users, uid, user);
    if (need_group)
        vadm_resolver_remember(resolver->groups, gid, group);
    return !resolver->stop;
}

/* Called with the lock held; gives it up for the callbacks. */
static void
vadm_resolver_work(VadmResolver *resolver)
{
    VadmLookup *lookup = g_queue_pop_head(resolver->waiting);
    g_autoptr(VadmIdentity) named = vadm_resolver_name(resolver, lookup->identity);

    resolver->busy = lookup;
    for (guint round = 0; !named && round < 2; round++) {
        /* The second round: what was cached in the first may have expired meanwhile. */
        if (!vadm_resolver_ask(resolver, lookup->identity))
            return;
        named = vadm_resolver_name(resolver, lookup->identity);
    }
    vadm_mutex_unlock(&resolver->lock);
    if (named)
        lookup->done(named, lookup->user);
    vadm_lookup_free(lookup);
    vadm_mutex_lock(&resolver->lock);
    resolver->busy = NULL;
    vadm_cond_broadcast(&resolver->delivered);
}

static void *
vadm_resolver_run(void *data)
{
    VadmResolver *resolver = data;

    vadm_mutex_lock(&resolver->lock);
    while (!resolver->stop) {
        if (g_queue_is_empty(resolver->waiting))
            vadm_cond_wait(&resolver->wake, &resolver->lock);
        else
            vadm_resolver_work(resolver);
    }
    vadm_mutex_unlock(&resolver->lock);
    vadm_resolver_unref(resolver);
    return NULL;
}

VadmResolver *
vadm_resolver_new_full(const VadmNameService *names)
{
    VadmResolver *resolver = g_new0(VadmResolver, 1);
    int rc;

    g_atomic_ref_count_init(&resolver->refs);
    resolver->names = names;
    resolver->waiting = g_queue_new();
    resolver->users = g_hash_table_new_full(NULL, NULL, NULL, vadm_cached_name_free);
    resolver->groups = g_hash_table_new_full(NULL, NULL, NULL, vadm_cached_name_free);
    vadm_mutex_init(&resolver->lock);
    vadm_cond_init(&resolver->wake);
    vadm_cond_init(&resolver->delivered);
    g_atomic_int_inc(&resolver->refs);
    rc = pthread_create(&resolver->thread, NULL, vadm_resolver_run, resolver);
    resolver->has_thread = rc == 0;
    if (rc != 0) {
        vadm_resolver_unref(resolver);
        VADM_WARN("Unable to start the resolver's thread, clients go without names: %s",
                  g_strerror(rc));
    }
    return resolver;
}

VadmResolver *
vadm_resolver_new(void)
{
    static const VadmNameService nss = {vadm_resolver_nss_user, vadm_resolver_nss_group};

    return vadm_resolver_new_full(&nss);
}

/* What the thread will not do any more: what waits, and what it hangs with. */
static void
vadm_resolver_take_back(VadmResolver *resolver, GQueue *left, gboolean *hangs)
{
    VadmLookup *lookup;

    VADM_LOCK_SCOPE(&resolver->lock);
    resolver->stop = TRUE;
    vadm_cond_broadcast(&resolver->wake);
    while ((lookup = g_queue_pop_head(resolver->waiting)))
        g_queue_push_tail(left, lookup);
    *hangs = resolver->looking;
    if (resolver->looking)
        g_queue_push_tail(left, g_steal_pointer(&resolver->busy));
    while (resolver->busy)
        vadm_cond_wait(&resolver->delivered, &resolver->lock);
}

void
vadm_resolver_free(VadmResolver *resolver)
{
    g_auto(GQueue) left = G_QUEUE_INIT;
    gboolean hangs;

    if (!resolver)
        return;
    vadm_resolver_take_back(resolver, &left, &hangs);
    while (!g_queue_is_empty(&left))
        vadm_lookup_free(g_queue_pop_head(&left));
    if (resolver->has_thread && hangs)
        pthread_detach(resolver->thread);
    else if (resolver->has_thread)
        pthread_join(resolver->thread, NULL);
    vadm_resolver_unref(resolver);
}

/* Returns: FALSE when there is no room or no thread for it. */
static gboolean
vadm_resolver_enqueue(VadmResolver *resolver, VadmLookup *lookup)
{
    gboolean overflow;

    if (!resolver->has_thread)
        return FALSE;
    vadm_mutex_lock(&resolver->lock);
    overflow = resolver->waiting->length >= VADM_RESOLVER_WAITING_MAX;
    if (!overflow) {
        resolver->overflowing = FALSE;
        g_queue_push_tail(resolver->waiting, lookup);
        vadm_cond_signal(&resolver->wake);
        vadm_mutex_unlock(&resolver->lock);
        return TRUE;
    }
    overflow = !resolver->overflowing;
    resolver->overflowing = TRUE;
    vadm_mutex_unlock(&resolver->lock);
    if (overflow)
        VADM_WARN("The name service hangs: %u clients wait for their names, later ones go without",
                  VADM_RESOLVER_WAITING_MAX);
    return FALSE;
}

void
vadm_resolver_look_up(VadmResolver *resolver, VadmIdentity *identity, VadmResolved done,
                      gpointer user, GDestroyNotify destroy)
{
    g_autoptr(VadmIdentity) named = NULL;
    VadmLookup *lookup = g_new0(VadmLookup, 1);

    *lookup = (VadmLookup){vadm_identity_ref(identity), done, user, destroy};
    vadm_mutex_lock(&resolver->lock);
    named = vadm_resolver_name(resolver, identity);
    vadm_mutex_unlock(&resolver->lock);
    if (named)
        done(named, user);
    if (named || !vadm_resolver_enqueue(resolver, lookup))
        vadm_lookup_free(lookup);
}
