/*
 * floors.h - up to which turn the journal knows each chunk of a partition.
 *
 * A chunk is a row of record numbers; remembered erasures come in buckets. The image of a chunk
 * after turn t makes t its floor; a customer created in turn u, of whom no image can know, lowers
 * it to u - 1 at most. The partition's floor is the lowest: turns after it are needed to rebuild
 * the state from the images, those up to it are not.
 *
 * Thread: the partition's writer.
 */
#ifndef NILAI_STATE_FLOORS_H
#define NILAI_STATE_FLOORS_H

#include "nilai/state/erased.h"

/* The simulator makes do with fewer, to see many chunks. */
#ifndef NILAI_CHUNK_CUSTOMERS
#define NILAI_CHUNK_CUSTOMERS 256
#endif

struct nilai_floors {
    uint64_t *chunks; /* by chunk; UINT64_MAX: there never was a customer in it */
    uint32_t chunk_count, room;
    uint64_t erasures[NILAI_ERASED_BUCKETS];
};

/* Nothing is known to the journal: all floors are 0. */
void nilai_floors_init(struct nilai_floors *floors);
void nilai_floors_fini(struct nilai_floors *floors);

/* A customer was created in `chunk` in turn `turn` (> 0). NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status nilai_floors_created(struct nilai_floors *floors, uint32_t chunk,
                                                        uint64_t turn);
/* An image was written, or read, of how it was after `turn`. NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status nilai_floors_imaged(struct nilai_floors *floors, uint32_t chunk,
                                                       uint64_t turn);
void nilai_floors_imaged_erasures(struct nilai_floors *floors, uint32_t bucket, uint64_t turn);

uint64_t nilai_floors_lowest(const struct nilai_floors *floors);

#endif
