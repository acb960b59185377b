/*
 * erased.h - who was erased lately, so that a straggler does not bring them back.
 *
 * Keeps a 128-bit hash of the id, the erasure's ts and the partition's clock at that moment,
 * until the clock is erase.remember past it. Nothing else is known of an erased customer.
 *
 * Thread: the partition's writer.
 */
#ifndef NILAI_STATE_ERASED_H
#define NILAI_STATE_ERASED_H

#include "nilai/base/base.h"

struct nilai_erased;

/* NULL when out of memory. At most `entries_max` erasures are remembered at once. `hash_seed` keeps
 * chosen ids from crowding together. */
struct nilai_erased *nilai_erased_create(int64_t remember_ms, uint64_t entries_max,
                                         uint64_t hash_seed);
void nilai_erased_destroy(struct nilai_erased *erased);

/* Remembers an erasure; an earlier one of the same customer is replaced. NILAI_FULL: too many
 * within erase.remember; NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status nilai_erased_add(struct nilai_erased *erased, struct nilai_text id,
                                                    int64_t ts_ms, int64_t clock_ms);

/* Whether an event of that customer with `ts_ms` comes from before its erasure. */
bool nilai_erased_covers(const struct nilai_erased *erased, struct nilai_text id, int64_t ts_ms,
                         int64_t clock_ms);

/* How many are held, some of which may have expired. */
uint64_t nilai_erased_memory_bytes(const struct nilai_erased *erased);
uint64_t nilai_erased_count(const struct nilai_erased *erased);

#endif
