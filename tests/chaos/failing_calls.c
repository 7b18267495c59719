/* Preloaded into a command, lets its n-th system call of one kind on files below a folder fail.

   FAILING_CALL    open, create, read, write, fsync (of a file), sync (of a folder), link, rename, unlink, mkdir or flock
   FAILING_NUMBER  which of them, counted from 1 in each process; a negative one: all from there on
   FAILING_ERRNO   what it fails with
   FAILING_BELOW   what the paths of the files begin with
   FAILING_REPORT  is made when a call has failed */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(const char *call, const char *path) {
    static int count;
    const char *wanted = getenv("FAILING_CALL"), *below = getenv("FAILING_BELOW"), *report = getenv("FAILING_REPORT");
    if (!wanted || !below || !report || !path || strcmp(call, wanted) || strncmp(path, below, strlen(below))) return 0;
    int number = atoi(getenv("FAILING_NUMBER")), now = __sync_add_and_fetch(&count, 1);
    if (number > 0 ? now != number : now < -number) return 0;
    long made = syscall(SYS_openat, AT_FDCWD, report, O_CREAT | O_WRONLY, 0644);
    if (made >= 0) syscall(SYS_close, made);
    errno = atoi(getenv("FAILING_ERRNO"));
    return 1;
}

static const char *path_of(int file) {
    static __thread char path[4096];
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return NULL;
    path[size] = 0;
    return path;
}

static int is_folder(int file) {
    struct stat status;
    return !fstat(file, &status) && S_ISDIR(status.st_mode);
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define OF_FILE(type, name, call, parameters, ...)                 \
    type name parameters {                                         \
        REAL(name);                                                \
        return fails(call, path_of(file)) ? -1 : real(__VA_ARGS__); \
    }
#define OF_PATH(name, call, path, parameters, ...)           \
    int name parameters {                                    \
        REAL(name);                                          \
        return fails(call, path) ? -1 : real(__VA_ARGS__);   \
    }
#define OPENING(name, parameters, ...)                                                          \
    int name parameters {                                                                       \
        REAL(name);                                                                             \
        mode_t mode = 0;                                                                        \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                    \
            va_list rest;                                                                       \
            va_start(rest, flags);                                                              \
            mode = va_arg(rest, mode_t);                                                        \
            va_end(rest);                                                                       \
        }                                                                                       \
        return fails(flags & O_CREAT ? "create" : "open", path) ? -1 : real(__VA_ARGS__, mode); \
    }

OF_FILE(ssize_t, read, "read", (int file, void *data, size_t size), file, data, size)
OF_FILE(ssize_t, pread64, "read", (int file, void *data, size_t size, off64_t at), file, data, size, at)
OF_FILE(ssize_t, write, "write", (int file, const void *data, size_t size), file, data, size)
OF_FILE(ssize_t, pwrite64, "write", (int file, const void *data, size_t size, off64_t at), file, data, size, at)
OF_FILE(int, fsync, is_folder(file) ? "sync" : "fsync", (int file), file)
OF_FILE(int, fdatasync, "fsync", (int file), file)
OF_FILE(int, flock, "flock", (int file, int operation), file, operation)
OF_PATH(link, "link", to, (const char *from, const char *to), from, to)
OF_PATH(linkat, "link", to, (int a, const char *from, int b, const char *to, int flags), a, from, b, to, flags)
OF_PATH(rename, "rename", to, (const char *from, const char *to), from, to)
OF_PATH(unlink, "unlink", path, (const char *path), path)
OF_PATH(mkdir, "mkdir", path, (const char *path, mode_t mode), path, mode)
OPENING(open, (const char *path, int flags, ...), path, flags)
OPENING(open64, (const char *path, int flags, ...), path, flags)
OPENING(openat, (int folder, const char *path, int flags, ...), folder, path, flags)
OPENING(openat64, (int folder, const char *path, int flags, ...), folder, path, flags)
