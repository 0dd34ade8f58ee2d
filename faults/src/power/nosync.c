/* For the control run: a process that loads this believes that it syncs. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/types.h>

int fsync(int fd) { (void)fd; return 0; }
int fdatasync(int fd) { (void)fd; return 0; }
int syncfs(int fd) { (void)fd; return 0; }
void sync(void) {}
int msync(void *address, size_t length, int flags) { (void)address; (void)length; (void)flags; return 0; }
int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned flags) {
    (void)fd; (void)offset; (void)bytes; (void)flags;
    return 0;
}
