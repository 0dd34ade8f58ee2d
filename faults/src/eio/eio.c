/* One call that writes or syncs a file in a folder fails with EIO, as of a disk that is going. Calls are
   counted over all threads in a file that whoever started the process reads. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

struct state {
    _Atomic uint64_t calls; /* so far */
    uint64_t at;            /* which one fails, from 1 on; 0: none */
    _Atomic uint64_t hit;   /* whether it came to that */
    char what[488];         /* the call and its file */
};

static struct state *state;
static const char *folder;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("EIO_STATE");
    folder = getenv("EIO_FOLDER");
    int fd = path && folder ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED) state = mapped;
}

static int fails(int fd, const char *call) {
    if (!state) return 0;
    char link[64], path[400];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)) != 0) return 0;
    if (atomic_fetch_add(&state->calls, 1) + 1 != state->at) return 0;
    snprintf(state->what, sizeof state->what, "%s %s", call, path + strlen(folder));
    atomic_store(&state->hit, 1);
    errno = EIO;
    return 1;
}

#define NEXT(name) static __typeof__(&name) next; if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int fsync(int fd) { NEXT(fsync); return fails(fd, "fsync") ? -1 : next(fd); }
int fdatasync(int fd) { NEXT(fdatasync); return fails(fd, "fdatasync") ? -1 : next(fd); }
ssize_t write(int fd, const void *bytes, size_t count) {
    NEXT(write);
    return fails(fd, "write") ? -1 : next(fd, bytes, count);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    NEXT(writev);
    return fails(fd, "writev") ? -1 : next(fd, parts, count);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    NEXT(pwrite64);
    return fails(fd, "pwrite") ? -1 : next(fd, bytes, count, offset);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    NEXT(pwrite);
    return fails(fd, "pwrite") ? -1 : next(fd, bytes, count, offset);
}
