#include "nilai/base/machine.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

uint32_t nilai_machine_cores(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        return (uint32_t)CPU_COUNT(&allowed);
    /* More processors than a cpu_set_t holds. */
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

/* The limit that a container sees as its own root; "max" means none. */
static uint64_t group_limit(const char *path)
{
    uint64_t limit = UINT64_MAX;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return limit;
    if (fscanf(file, "%" SCNu64, &limit) != 1)
        limit = UINT64_MAX;
    fclose(file);
    return limit;
}

uint64_t nilai_machine_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGESIZE);
    NILAI_ASSERT(pages > 0 && page_size > 0);
    uint64_t bytes = (uint64_t)pages * (uint64_t)page_size;

    static const char *const limits[] = {
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(limits); i++) {
        uint64_t limit = group_limit(limits[i]);
        if (limit < bytes)
            bytes = limit;
    }
    return bytes;
}

void nilai_machine_name(char *name, size_t size)
{
    NILAI_ASSERT(size > 0);
    if (gethostname(name, size) != 0)
        name[0] = '\0';
    name[size - 1] = '\0';
}
