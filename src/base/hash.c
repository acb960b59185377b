#include "nilai/base/hash.h"

/* Inlined, because the texts are a few bytes long: a call through the library costs more
 * than the hash. The results are those of every release of XXH3. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t nilai_hash(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

uint64_t nilai_hash_seeded(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

struct nilai_hash_wide nilai_hash_wide(const void *data, size_t size)
{
    XXH128_hash_t hash = XXH3_128bits(data, size);
    return (struct nilai_hash_wide){.low = hash.low64, .high = hash.high64};
}
