/*
 * full_disk.c - a disk that is full when a test says so.
 *
 *   LD_PRELOAD=full_disk.so NILAI_TEST_DISK=DIRECTORY java ...
 *
 * While there is a file DIRECTORY/full, nothing can be written to a file below DIRECTORY: ENOSPC,
 * as on a disk without a free block. A real one, small and full, would need the right to mount it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static bool is_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && path[length] == '/';
}

/** Whether this file cannot grow now; errno says so, and is left alone otherwise. */
static bool is_full(int file)
{
    const char *directory = getenv("NILAI_TEST_DISK");
    char mark[PATH_MAX], link[64], path[PATH_MAX];
    int before = errno;
    if (!directory)
        return false;

    snprintf(mark, sizeof(mark), "%s/full", directory);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
    ssize_t length = access(mark, F_OK) == 0 ? readlink(link, path, sizeof(path) - 1) : -1;
    path[length > 0 ? length : 0] = '\0';
    bool full = is_below(path, directory);
    errno = full ? ENOSPC : before;
    return full;
}

// What the C library would have done. A cast of what dlsym gives is what POSIX asks for.
#define NEXT(function) ((__typeof__(&(function)))dlsym(RTLD_NEXT, #function))

ssize_t write(int file, const void *bytes, size_t size)
{
    return is_full(file) ? -1 : NEXT(write)(file, bytes, size);
}

ssize_t writev(int file, const struct iovec *pieces, int count)
{
    return is_full(file) ? -1 : NEXT(writev)(file, pieces, count);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset)
{
    return is_full(file) ? -1 : NEXT(pwrite)(file, bytes, size, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t offset)
{
    return is_full(file) ? -1 : NEXT(pwrite64)(file, bytes, size, offset);
}
