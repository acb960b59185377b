/*
 * hash.h - the hashes of the program, all of them XXH3.
 *
 * The plain hash is part of what users see (the phase of a customer's periods, the ids of
 * events that are known to be duplicates) and of what is saved, so it never changes. The
 * seeded one is for tables in memory, whose keys strangers choose: without the seed nobody
 * can aim at one place. The wide one stands for a text that is not kept itself.
 */
#ifndef NILAI_BASE_HASH_H
#define NILAI_BASE_HASH_H

#include "nilai/base/base.h"

/* 128 bits; equal texts have equal hashes, and different texts do not meet in practice. */
struct nilai_hash_wide {
    uint64_t low, high;
};

/* XXH3_64bits. `data` may be NULL if `size` is 0. */
uint64_t nilai_hash(const void *data, size_t size);

/* XXH3_64bits_withSeed. */
uint64_t nilai_hash_seeded(const void *data, size_t size, uint64_t seed);

/* XXH3_128bits. */
struct nilai_hash_wide nilai_hash_wide(const void *data, size_t size);

#endif
