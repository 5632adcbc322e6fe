/* Stands between a program and the kernel: counts what it writes below one folder, and at a chosen call kills the
 * program, fails the call, or only writes down what was done. Loaded with LD_PRELOAD; armed by torture_arm. Python,
 * SQLite and every other library go through it alike. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE = 2, SYNC = 4, NAME = 8, SIZE = 16, SEND = 32, READ = 64, OPEN = 128 }; /* what a call does */
enum { COUNT = 0, KILL = 1, TEAR = 2, FAIL = 3, FAIL_ONCE = 4 };                      /* what to do at the n-th */

static char folder[PATH_MAX];
static size_t folder_length;
static int mode, error_number, classes, log_descriptor = -1;
static long strike_at;
static long *calls; /* shared with the process that forks the armed ones */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void share(void) {
    calls = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

long torture_calls(void) { return *calls; }

void torture_arm(const char *below, int what, int which, long at, int error, int log) {
    snprintf(folder, sizeof folder, "%s", below);
    folder_length = strlen(folder);
    mode = what, classes = which, strike_at = at, error_number = error, log_descriptor = log;
    *calls = 0;
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

static int is_watched(const char *path) {
    return folder_length && !strncmp(path, folder, folder_length) && (path[folder_length] == '/' || !path[folder_length]);
}

/* The absolute path, its folder without links; 0 where it is not watched. */
static int find_path(int at, const char *path, char *found) {
    char given[PATH_MAX], parent[PATH_MAX];
    if (!folder_length || !path) return 0;
    if (path[0] != '/' && at != AT_FDCWD) {
        char link[64], start[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t length = readlink(link, start, sizeof start - 1);
        if (length < 0) return 0;
        start[length] = 0;
        if (snprintf(given, sizeof given, "%s/%s", start, path) >= (int)sizeof given) return 0;
    } else if (snprintf(given, sizeof given, "%s", path) >= (int)sizeof given) return 0;
    size_t length = strlen(given);
    while (length > 1 && given[length - 1] == '/') given[--length] = 0;
    char *slash = strrchr(given, '/');
    const char *name = slash ? slash + 1 : given;
    if (slash == given) snprintf(parent, sizeof parent, "/");
    else if (slash) { *slash = 0; if (!realpath(given, parent)) return 0; }
    else if (!realpath(".", parent)) return 0;
    if (snprintf(found, PATH_MAX, "%s/%s", parent, name) >= PATH_MAX) return 0;
    return is_watched(found);
}

static int find_open(int descriptor, char *found) {
    char link[64];
    if (!folder_length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, found, PATH_MAX - 1);
    if (length < 0) return 0;
    found[length] = 0;
    return is_watched(found);
}

/* Counts a call; -1 and errno where it is to fail; 1 where it is to be torn. */
static int strike(int what) {
    if (!(classes & what)) return 0;
    long number = __atomic_add_fetch(calls, 1, __ATOMIC_SEQ_CST);
    if (mode == COUNT || number < strike_at) return 0;
    if (mode == KILL && number == strike_at) die();
    if (mode == TEAR && number == strike_at) return 1;
    if (mode == FAIL || (mode == FAIL_ONCE && number == strike_at)) { errno = error_number; return -1; }
    return 0;
}

static void put(const void *data, size_t size) {
    const char *next = data;
    while (size) {
        ssize_t done = syscall(SYS_write, log_descriptor, next, size);
        if (done <= 0) die();
        next += done, size -= done;
    }
}

/* One record: what was done, a number, and two byte strings. */
static void note(char what, const char *path, int64_t number, const void *data, size_t size) {
    if (log_descriptor < 0) return;
    int saved = errno;
    char head[64];
    int length = snprintf(head, sizeof head, "%c %zu %lld %zu\n", what, strlen(path), (long long)number, size);
    put(head, length), put(path, strlen(path)), put(data, size);
    errno = saved;
}

#define LOCKED(result, call, what, path, number, data, size)               \
    do {                                                                   \
        if (log_descriptor >= 0) pthread_mutex_lock(&turn);                \
        result = call;                                                     \
        if (result >= 0) note(what, path, number, data, size);             \
        if (log_descriptor >= 0) pthread_mutex_unlock(&turn);              \
    } while (0)

/* SYS_ calls directly: dlsym would have to be careful about who calls whom. */
static int open_at(int at, const char *path, int flags, mode_t permissions) {
    char found[PATH_MAX];
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT), result, saved = errno;
    if (!find_path(at, path, found)) { errno = saved; return syscall(SYS_openat, at, path, flags, permissions); }
    if (!writes) {
        if (strike(READ) < 0) return -1;
        errno = saved;
        return syscall(SYS_openat, at, path, flags, permissions);
    }
    struct stat before;
    int is_new = stat(found, &before) != 0, cuts = (flags & O_TRUNC) && !is_new;
    errno = saved;
    int changes = (is_new && (flags & O_CREAT)) || cuts;
    int struck = strike(changes ? CREATE : OPEN);
    if (struck < 0) return -1;
    LOCKED(result, syscall(SYS_openat, at, path, flags, permissions), is_new ? 'c' : cuts ? 't' : 'o', found, 0, "", 0);
    if (struck > 0) die();
    return result;
}

#define MODE_OF(flags, permissions)                                                       \
    mode_t permissions = 0;                                                               \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                \
        va_list rest;                                                                     \
        va_start(rest, flags);                                                            \
        permissions = va_arg(rest, mode_t);                                               \
        va_end(rest);                                                                     \
    }
int open(const char *path, int flags, ...) { MODE_OF(flags, mode) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) {
    MODE_OF(flags, mode) return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags, mode) return open_at(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) {
    MODE_OF(flags, mode) return open_at(at, path, flags | O_LARGEFILE, mode);
}

static ssize_t write_at(int descriptor, const void *data, size_t size, off_t offset, int placed) {
    char found[PATH_MAX];
    int saved = errno;
    ssize_t result;
    int watched = find_open(descriptor, found), struck = 0;
    errno = saved;
    if (watched) {
        if ((struck = strike(WRITE)) < 0) return -1;
        if (struck > 0) size /= 2;
        if (!placed) {
            offset = lseek(descriptor, 0, fcntl(descriptor, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
            errno = saved;
        }
    }
#define DO_WRITE (placed ? syscall(SYS_pwrite64, descriptor, data, size, offset) : syscall(SYS_write, descriptor, data, size))
    if (!watched) return DO_WRITE;
    LOCKED(result, DO_WRITE, 'w', found, offset, data, (size_t)result);
    if (struck > 0) die();
    return result;
}
ssize_t write(int descriptor, const void *data, size_t size) { return write_at(descriptor, data, size, 0, 0); }
ssize_t pwrite(int descriptor, const void *data, size_t size, off_t at) { return write_at(descriptor, data, size, at, 1); }
ssize_t pwrite64(int descriptor, const void *data, size_t size, off_t at) { return write_at(descriptor, data, size, at, 1); }

static int on_open(int descriptor, int what, char told, long number, long size) {
    char found[PATH_MAX];
    int saved = errno, result, struck = 0;
    int watched = find_open(descriptor, found);
    errno = saved;
    if (watched && (struck = strike(what)) < 0) return -1;
    if (watched && struck > 0) die();
    if (!watched) return syscall(number, descriptor, size);
    LOCKED(result, syscall(number, descriptor, size), told, found, size, "", 0);
    return result;
}
int fsync(int descriptor) { return on_open(descriptor, SYNC, 's', SYS_fsync, 0); }
int fdatasync(int descriptor) { return on_open(descriptor, SYNC, 's', SYS_fdatasync, 0); }
int ftruncate(int descriptor, off_t size) { return on_open(descriptor, SIZE, 'l', SYS_ftruncate, size); }
int ftruncate64(int descriptor, off_t size) { return on_open(descriptor, SIZE, 'l', SYS_ftruncate, size); }
void sync(void) {
    if (folder_length && strike(SYNC) > 0) die();
    int result;
    LOCKED(result, (int)syscall(SYS_sync), 'S', folder, 0, "", 0);
    (void)result;
}

#define NAMED(at, path, told, number, data, size, call)                     \
    do {                                                                    \
        char found[PATH_MAX];                                               \
        int saved = errno, result, watched = find_path(at, path, found);    \
        errno = saved;                                                      \
        if (!watched) return call;                                          \
        int struck = strike(NAME);                                          \
        if (struck < 0) return -1;                                          \
        if (struck > 0) die();                                              \
        LOCKED(result, call, told, found, number, data, size);              \
        return result;                                                      \
    } while (0)

int unlinkat(int at, const char *path, int flags) {
    NAMED(at, path, flags & AT_REMOVEDIR ? 'd' : 'u', 0, "", 0, (int)syscall(SYS_unlinkat, at, path, flags));
}
int unlink(const char *path) { NAMED(AT_FDCWD, path, 'u', 0, "", 0, (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0)); }
int rmdir(const char *path) {
    NAMED(AT_FDCWD, path, 'd', 0, "", 0, (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
}
int mkdirat(int at, const char *path, mode_t mode) {
    NAMED(at, path, 'm', 0, "", 0, (int)syscall(SYS_mkdirat, at, path, mode));
}
int mkdir(const char *path, mode_t mode) {
    NAMED(AT_FDCWD, path, 'm', 0, "", 0, (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}
int renameat(int from, const char *old, int to, const char *new) {
    char source[PATH_MAX];
    if (!find_path(from, old, source)) source[0] = 0;
    NAMED(to, new, 'r', 0, source, strlen(source), (int)syscall(SYS_renameat2, from, old, to, new, 0));
}
int rename(const char *old, const char *new) { return renameat(AT_FDCWD, old, AT_FDCWD, new); }

/* Times are no calls of their own: they are only written down. */
int futimens(int descriptor, const struct timespec times[2]) {
    char found[PATH_MAX];
    int saved = errno, watched = find_open(descriptor, found), result;
    errno = saved;
    if (!watched || !times) return (int)syscall(SYS_utimensat, descriptor, NULL, times, 0);
    LOCKED(result, (int)syscall(SYS_utimensat, descriptor, NULL, times, 0), 'a', found,
           times[1].tv_sec * 1000000000LL + times[1].tv_nsec, "", 0);
    return result;
}

ssize_t sendfile64(int to, int from, off_t *offset, size_t size) { /* "not supported": callers then read and write */
    char found[PATH_MAX];
    if (find_open(to, found)) { errno = EINVAL; return -1; }
    return syscall(SYS_sendfile, to, from, offset, size);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t size) { return sendfile64(to, from, offset, size); }
ssize_t copy_file_range(int from, off_t *at, int to, off_t *place, size_t size, unsigned flags) {
    char found[PATH_MAX];
    if (find_open(to, found)) { errno = ENOSYS; return -1; }
    return syscall(SYS_copy_file_range, from, at, to, place, size, flags);
}
ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    char found[PATH_MAX];
    if (!find_open(descriptor, found)) return syscall(SYS_writev, descriptor, parts, count);
    ssize_t done = 0;
    for (int part = 0; part < count; part++) {
        ssize_t result = write(descriptor, parts[part].iov_base, parts[part].iov_len);
        if (result < 0) return done ? done : -1;
        done += result;
    }
    return done;
}
int posix_fallocate64(int descriptor, off_t at, off_t size) {
    char found[PATH_MAX];
    if (find_open(descriptor, found)) return EOPNOTSUPP;
    return syscall(SYS_fallocate, descriptor, 0, at, size) ? errno : 0;
}
int posix_fallocate(int descriptor, off_t at, off_t size) { return posix_fallocate64(descriptor, at, size); }

ssize_t send(int descriptor, const void *data, size_t size, int flags) { /* what libpq tells its server */
    if (folder_length && strike(SEND) != 0 && mode != COUNT) { if (mode == FAIL || mode == FAIL_ONCE) return -1; die(); }
    return syscall(SYS_sendto, descriptor, data, size, flags, NULL, 0);
}
