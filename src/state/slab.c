#include "nilai/state/slab.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
    PAGE_BYTES = 4096,
    /* Small pages, though huge ones spare walks of the page table: one huge page is milliseconds
     * to touch on a machine of the cloud, and also to make of small ones later, for which the
     * kernel holds up whoever touches a new page meanwhile. How far touching runs ahead of taking:
     * each taking touches up to one page, which holds many records, so the distance is regained
     * quickly and a burst finds it there. */
    AHEAD_BYTES = 64 * PAGE_BYTES,
};

bool nilai_memory_book(struct nilai_memory *memory, uint64_t bytes)
{
    NILAI_ASSERT(memory->used_bytes <= memory->max_bytes);

    if (bytes > memory->max_bytes - memory->used_bytes)
        return false;
    memory->used_bytes += bytes;
    return true;
}

void nilai_memory_unbook(struct nilai_memory *memory, uint64_t bytes)
{
    NILAI_ASSERT(bytes <= memory->used_bytes);
    memory->used_bytes -= bytes;
}

/* Lies in the middle of the owner's record, whatever that is made of. */
typedef uint32_t __attribute__((may_alias)) link;

static link *link_of(const struct nilai_slab *slab, uint32_t number)
{
    return (link *)(void *)((unsigned char *)nilai_slab_at(slab, number)
                            + slab->options.link_offset);
}

static uint64_t mapped_bytes(const struct nilai_slab *slab)
{
    return slab->chunk_count * slab->chunk_bytes;
}

enum nilai_status nilai_slab_init(struct nilai_slab *slab, const struct nilai_slab_options *options,
                                  struct nilai_memory *memory)
{
    uint64_t chunk_bytes = (uint64_t)options->record_bytes << options->chunk_log2;
    uint64_t chunks_max = (uint64_t)options->records_max >> options->chunk_log2;
    uint64_t chunks_fit = memory->max_bytes / chunk_bytes;

    NILAI_ASSERT(options->record_bytes % 8 == 0 && chunk_bytes % PAGE_BYTES == 0);
    NILAI_ASSERT(options->link_offset % 4 == 0
                 && options->link_offset + 4 <= options->record_bytes);
    NILAI_ASSERT(chunks_max > 0);

    *slab = (struct nilai_slab){.options = *options, .memory = memory, .chunk_bytes = chunk_bytes};
    /* For all chunks that there may ever be: a list that grew would move under the readers.
     * Pages of it that are not used yet cost nothing. */
    slab->chunks_max = (uint32_t)(chunks_fit < chunks_max ? chunks_fit : chunks_max);
    slab->chunks = calloc((size_t)slab->chunks_max + 1, sizeof *slab->chunks);
    return slab->chunks != NULL ? NILAI_OK : NILAI_NO_MEMORY;
}

void nilai_slab_fini(struct nilai_slab *slab)
{
    if (slab->chunks == NULL)
        return;
    for (uint32_t i = 0; i < slab->chunk_count; i++) {
        int failed = munmap(slab->chunks[i], slab->chunk_bytes);
        NILAI_ASSERT(!failed);
    }
    nilai_memory_unbook(slab->memory, mapped_bytes(slab));
    free(slab->chunks);
    *slab = (struct nilai_slab){0};
}

static enum nilai_status map_chunk(struct nilai_slab *slab)
{
    if (slab->chunk_count == slab->chunks_max)
        return NILAI_FULL;
    if (!nilai_memory_book(slab->memory, slab->chunk_bytes))
        return NILAI_FULL;
    void *chunk =
        mmap(NULL, slab->chunk_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) {
        nilai_memory_unbook(slab->memory, slab->chunk_bytes);
        return NILAI_NO_MEMORY;
    }
    slab->chunks[slab->chunk_count++] = chunk;
    return NILAI_OK;
}

/* Nobody has been given a byte beyond touched_bytes, so writing a zero there changes nothing. */
static void touch_page(struct nilai_slab *slab)
{
    NILAI_ASSERT(slab->touched_bytes < mapped_bytes(slab));

    unsigned char *chunk = slab->chunks[slab->touched_bytes / slab->chunk_bytes];
    *(volatile unsigned char *)(chunk + slab->touched_bytes % slab->chunk_bytes) = 0;
    slab->touched_bytes += PAGE_BYTES;
}

void nilai_slab_prepare(struct nilai_slab *slab)
{
    uint64_t used_bytes = (uint64_t)slab->numbers * slab->options.record_bytes;

    if (slab->touched_bytes >= used_bytes + AHEAD_BYTES)
        return;
    /* A chunk that cannot be had yet is not an error before a record of it is wanted. */
    if (slab->touched_bytes == mapped_bytes(slab) && map_chunk(slab) != NILAI_OK)
        return;
    touch_page(slab);
}

static uint32_t pop_free(struct nilai_slab *slab)
{
    uint32_t number = slab->free_head - 1;
    slab->free_head = __atomic_load_n(link_of(slab, number), __ATOMIC_RELAXED);
    return number;
}

/* The chunk of the number is mapped. */
static void extend_to(struct nilai_slab *slab, uint32_t number)
{
    slab->numbers = number + 1;
    uint64_t used_bytes = (uint64_t)slab->numbers * slab->options.record_bytes;
    while (slab->touched_bytes < used_bytes)
        touch_page(slab);
}

static enum nilai_status take_fresh(struct nilai_slab *slab, uint32_t *number)
{
    if (slab->numbers == slab->chunk_count << slab->options.chunk_log2) {
        enum nilai_status status = map_chunk(slab);
        if (status != NILAI_OK)
            return status;
    }
    *number = slab->numbers;
    extend_to(slab, *number);
    nilai_slab_prepare(slab);
    return NILAI_OK;
}

enum nilai_status nilai_slab_reserve(struct nilai_slab *slab)
{
    bool has_room =
        slab->free_head != 0 || slab->numbers < slab->chunk_count << slab->options.chunk_log2;
    return has_room ? NILAI_OK : map_chunk(slab);
}

enum nilai_status nilai_slab_take(struct nilai_slab *slab, uint32_t *number)
{
    NILAI_ASSERT(!slab->restoring);
    if (slab->free_head != 0) {
        *number = pop_free(slab);
    } else {
        enum nilai_status status = take_fresh(slab, number);
        if (status != NILAI_OK)
            return status;
    }
    slab->live++;
    return NILAI_OK;
}

/* The link is written as an atomic, because a late reader of the record may look at it; it
 * has no meaning for that reader. */
static void push_free(struct nilai_slab *slab, uint32_t number)
{
    __atomic_store_n(link_of(slab, number), slab->free_head, __ATOMIC_RELEASE);
    slab->free_head = number + 1;
}

void nilai_slab_give(struct nilai_slab *slab, uint32_t number)
{
    NILAI_ASSERT(number < slab->numbers && slab->live > 0);

    if (!slab->restoring)
        push_free(slab, number);
    slab->live--;
}

/* All chunks up to that of the number. What they need together is asked for first, so that a
 * number from nowhere does not leave memory behind that nobody uses. */
static enum nilai_status map_through(struct nilai_slab *slab, uint32_t number)
{
    uint32_t chunk_count = (number >> slab->options.chunk_log2) + 1;
    if (chunk_count > slab->chunks_max)
        return NILAI_FULL;
    while (slab->chunk_count < chunk_count) {
        uint64_t more_bytes = (chunk_count - slab->chunk_count) * slab->chunk_bytes;
        if (more_bytes > slab->memory->max_bytes - slab->memory->used_bytes)
            return NILAI_FULL;
        enum nilai_status status = map_chunk(slab);
        if (status != NILAI_OK)
            return status;
    }
    return NILAI_OK;
}

/* The list would have to be searched for the number; it is made anew in the end instead. */
enum nilai_status nilai_slab_take_at(struct nilai_slab *slab, uint32_t number)
{
    if (number >= slab->numbers) {
        enum nilai_status status = map_through(slab, number);
        if (status != NILAI_OK)
            return status;
        extend_to(slab, number);
    }
    NILAI_ASSERT(slab->live < slab->numbers);
    slab->restoring = true;
    slab->free_head = 0;
    slab->live++;
    return NILAI_OK;
}

void nilai_slab_relink(struct nilai_slab *slab, bool (*is_held)(void *context, uint32_t number),
                       void *context)
{
    uint32_t held = 0;

    slab->restoring = false;
    slab->free_head = 0;
    for (uint32_t number = slab->numbers; number-- > 0;) {
        if (is_held(context, number))
            held++;
        else
            push_free(slab, number);
    }
    NILAI_ASSERT(held == slab->live);
}

void nilai_slab_validate(const struct nilai_slab *slab)
{
    uint32_t free_count = 0;

    NILAI_ASSERT(slab->chunk_count <= slab->chunks_max);
    NILAI_ASSERT(slab->touched_bytes <= mapped_bytes(slab));
    NILAI_ASSERT((uint64_t)slab->numbers * slab->options.record_bytes <= slab->touched_bytes);
    NILAI_ASSERT(mapped_bytes(slab) <= slab->memory->used_bytes);
    for (uint32_t head = slab->free_head; head != 0; head = *link_of(slab, head - 1)) {
        NILAI_ASSERT(head - 1 < slab->numbers);
        free_count++;
        NILAI_ASSERT(free_count <= slab->numbers);
    }
    if (slab->restoring)
        NILAI_ASSERT(free_count == 0 && slab->live <= slab->numbers);
    else
        NILAI_ASSERT(slab->live + free_count == slab->numbers);
}
