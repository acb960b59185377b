/*
 * erased.h - who was erased lately, so that a straggler does not bring them back.
 *
 * Keeps a 128-bit hash of the id, the erasure's ts and the partition's clock at that moment,
 * until the clock is erase.remember past it. Nothing else is known of an erased customer.
 *
 * Of two erasures of one customer the later counts: that with the later clock or, at the same
 * clock, the later ts. While an erasure is remembered, one that is not after it in ts is itself
 * ignored (nilai_erased_covers), and the clock never goes back; so among erasures as they happen
 * the later one is always the newest. That makes what is kept independent of the order in which
 * entries are added and loaded, and of how often: an image may be loaded before or after an older
 * one, and the erasures that it holds may be added again.
 *
 * Thread: the partition's writer.
 */
#ifndef NILAI_STATE_ERASED_H
#define NILAI_STATE_ERASED_H

#include "nilai/base/hash.h"

enum { NILAI_ERASED_BUCKETS = 64 }; /* by the upper bits of the hash; saved one at a time */

struct nilai_erased;

/* NULL when out of memory. At most `entries_max` erasures are remembered at once. `hash_seed` keeps
 * chosen ids from crowding together. */
struct nilai_erased *nilai_erased_create(int64_t remember_ms, uint64_t entries_max,
                                         uint64_t hash_seed);
void nilai_erased_destroy(struct nilai_erased *erased);

/* Remembers an erasure; an earlier one of the same customer is replaced. NILAI_FULL: too many
 * customers within erase.remember; NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status nilai_erased_add(struct nilai_erased *erased,
                                                    struct nilai_text id, int64_t ts_ms,
                                                    int64_t clock_ms);

/* Whether an event of that customer with `ts_ms` comes from before its erasure. */
bool nilai_erased_covers(const struct nilai_erased *erased, struct nilai_text id, int64_t ts_ms,
                         int64_t clock_ms);

/* Calls `visit` for every entry of the bucket that has not expired at `clock_ms`: its hash, the
 * erasure's ts and the clock at the erasure. Looks at every entry of all buckets. */
typedef void (*nilai_erased_visit_fn)(void *context, struct nilai_hash_wide hash, int64_t ts_ms,
                                      int64_t erased_clock_ms);
void nilai_erased_visit(const struct nilai_erased *erased, int64_t clock_ms, uint32_t bucket,
                        nilai_erased_visit_fn visit, void *context);

/* Puts such an entry back; one that has expired at `clock_ms` is left out. `erased_clock_ms` may
 * lie after `clock_ms`. NILAI_INVALID: no erasure was ever like that; else as add. */
NILAI_MUST_CHECK enum nilai_status nilai_erased_load(struct nilai_erased *erased,
                                                     struct nilai_hash_wide hash, int64_t ts_ms,
                                                     int64_t erased_clock_ms, int64_t clock_ms);

/* How many are held, some of which may have expired. */
uint64_t nilai_erased_memory_bytes(const struct nilai_erased *erased);
uint64_t nilai_erased_count(const struct nilai_erased *erased);

#endif
