/*
 * index.h - from the hash of a customer's id to the numbers of records that may be theirs.
 *
 * Extendible hashing: a directory of 2^depth entries leads to segments of 32 KiB, each with
 * 512 cache lines of eight slots. A slot holds 32 bits of the hash and a record number; the
 * one that is looked for is nearly always in the first line. A segment that gets full is
 * split alone, which takes some tens of microseconds however large the whole is; when the
 * directory has to double, the old one is kept until the end (their sizes sum up to no more
 * than the newest's), so that no reader ever looks at memory that is gone.
 *
 * The index knows no ids: it offers candidates, and the owner of the records compares.
 *
 * Thread: one writer. Any thread may look up at any time; see nilai_index_settled for what a
 * reader has to ask before it believes that something is not there.
 */
#ifndef NILAI_STATE_INDEX_H
#define NILAI_STATE_INDEX_H

#include "nilai/state/slab.h"

struct nilai_index;
struct nilai_index_segment;

/* The largest record number that a slot can hold. */
#define NILAI_INDEX_NUMBER_MAX (UINT32_MAX - 1)

/* The state of one look-up. */
struct nilai_index_cursor {
    const struct nilai_index *index;
    const struct nilai_index_segment *segment;
    uint32_t tag;
    uint32_t version; /* of the segment, when the look-up began */
    uint32_t step;    /* slots looked at */
};

/* NULL when out of memory, or if `memory` has no room for the first segment. */
struct nilai_index *nilai_index_create(struct nilai_memory *memory);
/* No reader may be inside. */
void nilai_index_destroy(struct nilai_index *index);

/* Loads the line where a look-up will begin. */
void nilai_index_prefetch(const struct nilai_index *index, uint64_t hash);

void nilai_index_seek(const struct nilai_index *index, uint64_t hash,
                      struct nilai_index_cursor *cursor);
/* For the writer, who need not ask whether it is settled: the version, which is in a line and a
 * page of its own, is not waited for. */
void nilai_index_seek_own(const struct nilai_index *index, uint64_t hash,
                          struct nilai_index_cursor *cursor);
/* The next candidate; false when there is none any more. */
bool nilai_index_next(struct nilai_index_cursor *cursor, uint32_t *number);
/* For readers, after next has said false: whether the look-up saw every number that was in
 * the index under this hash during all of it. If not, it has to be made again. */
bool nilai_index_settled(const struct nilai_index_cursor *cursor);

/* The writer's. After NILAI_OK, the next insertion under this hash finds its place.
 * NILAI_FULL: the limit of memory, NILAI_NO_MEMORY: the system's. */
NILAI_MUST_CHECK enum nilai_status nilai_index_make_room(struct nilai_index *index, uint64_t hash);
/* Publishes a number, with release order. There is room. */
void nilai_index_insert(struct nilai_index *index, uint64_t hash, uint32_t number);
/* The number is there. */
void nilai_index_erase(struct nilai_index *index, uint64_t hash, uint32_t number);

uint64_t nilai_index_count(const struct nilai_index *index);

/* Asserts everything that is always true; slow. */
void nilai_index_validate(const struct nilai_index *index);

#endif
