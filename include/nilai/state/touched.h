/*
 * touched.h - a set of record numbers: which customers changed since the last look.
 *
 * Two levels of bits, so that taking a few numbers out of millions reads a few words.
 * Thread: the partition's writer.
 */
#ifndef NILAI_STATE_TOUCHED_H
#define NILAI_STATE_TOUCHED_H

#include "nilai/base/base.h"

struct nilai_touched {
    uint64_t *bits, *summary; /* bit i of summary: bits[i] is not 0 */
    uint32_t numbers;         /* room */
};

void nilai_touched_init(struct nilai_touched *touched);
void nilai_touched_fini(struct nilai_touched *touched);

NILAI_MUST_CHECK enum nilai_status nilai_touched_add(struct nilai_touched *touched,
                                                     uint32_t number);
void nilai_touched_remove(struct nilai_touched *touched, uint32_t number);

/* Takes the lowest number at or after *from out and moves *from behind it; false: none. */
bool nilai_touched_take(struct nilai_touched *touched, uint32_t *from, uint32_t *number);

#endif
