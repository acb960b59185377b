/*
 * slab.h - records of one size that never move, named by numbers.
 *
 * Records lie in chunks that are mapped ahead of need and touched page by page, a page at a
 * taking: the first touch of a page costs the kernel a microsecond, a whole chunk of them at
 * once would be a pause that an event can feel. Numbers are dense and start at 0; the number
 * given back last is taken first.
 *
 * A slab can be filled from what was saved: records are taken at the numbers they had, in any
 * order, and when all are there the list of free numbers is made anew from the rest.
 *
 * Always true: a record that was never taken is all zeros; one that was given back holds what
 * its owner left, but for four bytes at `link_offset`, where the list of free records runs.
 *
 * Thread: one writer. Readers may follow nilai_slab_at with a number that the writer has
 * published with release order after taking it; the bytes there are the owner's affair.
 */
#ifndef NILAI_STATE_SLAB_H
#define NILAI_STATE_SLAB_H

#include "nilai/base/base.h"

/* What several slabs may map together. */
struct nilai_memory {
    uint64_t max_bytes;
    uint64_t used_bytes;
};

/* Books `bytes`; false (and nothing booked) if that goes beyond the limit. */
bool nilai_memory_book(struct nilai_memory *memory, uint64_t bytes);
void nilai_memory_unbook(struct nilai_memory *memory, uint64_t bytes);

struct nilai_slab_options {
    uint32_t record_bytes; /* a multiple of 8 */
    uint32_t link_offset;  /* of four aligned bytes that a free record can spare */
    uint32_t chunk_log2;   /* a chunk holds 2^chunk_log2 records; a whole number of pages */
    uint32_t records_max;
};

/* Open for speed; only the functions below touch it. */
struct nilai_slab {
    struct nilai_slab_options options;
    struct nilai_memory *memory;
    unsigned char **chunks;
    uint32_t chunks_max, chunk_count;
    uint32_t numbers;   /* every number ever taken is below */
    uint32_t live;      /* taken and not given back */
    uint32_t free_head; /* number + 1 of the record given back last; 0: none */
    uint64_t chunk_bytes;
    uint64_t touched_bytes; /* of all chunks in a row; whole pages */
    bool restoring;         /* from the first take_at to relink: no number is in the list */
};

/* NILAI_NO_MEMORY. `memory` outlives the slab. Nothing is mapped before the first taking. */
NILAI_MUST_CHECK enum nilai_status nilai_slab_init(struct nilai_slab *slab,
                                                   const struct nilai_slab_options *options,
                                                   struct nilai_memory *memory);
/* A slab of zeros, as one whose init failed leaves it, has nothing to give back. */
void nilai_slab_fini(struct nilai_slab *slab);

/* NILAI_FULL: the limit of memory or of numbers; NILAI_NO_MEMORY: the system's. */
NILAI_MUST_CHECK enum nilai_status nilai_slab_take(struct nilai_slab *slab, uint32_t *number);
/* The same statuses; after NILAI_OK the next taking succeeds. */
NILAI_MUST_CHECK enum nilai_status nilai_slab_reserve(struct nilai_slab *slab);
/* The owner has overwritten what must not stay. */
void nilai_slab_give(struct nilai_slab *slab, uint32_t number);

/* Takes exactly that number, which nobody holds; statuses as those of take, and then nothing is
 * taken. From the first of these until relink nothing else is taken (asserted); numbers may be
 * given back, and taken at again. */
NILAI_MUST_CHECK enum nilai_status nilai_slab_take_at(struct nilai_slab *slab, uint32_t number);
/* Makes the list of free numbers anew, of all below `numbers` that are not held: the lowest is
 * taken first. Looks at every number. */
void nilai_slab_relink(struct nilai_slab *slab, bool (*is_held)(void *context, uint32_t number),
                       void *context);

/* Touches one page ahead, if there is need. Taking does it too; for records of many pages
 * call it more often than you take. */
void nilai_slab_prepare(struct nilai_slab *slab);

static inline void *nilai_slab_at(const struct nilai_slab *slab, uint32_t number)
{
    uint32_t mask = (UINT32_C(1) << slab->options.chunk_log2) - 1;
    return slab->chunks[number >> slab->options.chunk_log2]
           + (uint64_t)(number & mask) * slab->options.record_bytes;
}

/* Asserts everything that is always true; walks the list of free records. */
void nilai_slab_validate(const struct nilai_slab *slab);

#endif
