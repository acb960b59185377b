#include "nilai/state/erased.h"

#include <assert.h>
#include <stdlib.h>

#include "nilai/base/clock.h"

enum { SLOTS_MIN = 64, BUCKET_SHIFT = 64 - 6 };
static_assert(NILAI_ERASED_BUCKETS == 1 << (64 - BUCKET_SHIFT), "as many as there are bits for");

/* A slot is free while clock_ms is -1. */
struct slot {
    struct nilai_hash_wide hash;
    int64_t ts_ms, clock_ms;
};

/* Open addressing, linear probing, at most half full; expired entries go when it is rebuilt. */
struct nilai_erased {
    struct slot *slots;
    uint64_t slot_count, used, entries_max;
    uint64_t hash_seed;
    int64_t remember_ms;
    int64_t latest_ts_ms; /* of all entries: an event after it needs no look-up */
};

static struct slot *slots_create(uint64_t count)
{
    struct slot *slots = malloc(count * sizeof *slots);
    for (uint64_t i = 0; slots != NULL && i < count; i++)
        slots[i] = (struct slot){.clock_ms = -1};
    return slots;
}

struct nilai_erased *nilai_erased_create(int64_t remember_ms, uint64_t entries_max,
                                         uint64_t hash_seed)
{
    struct nilai_erased *erased = malloc(sizeof *erased);
    if (erased == NULL)
        return NULL;
    *erased = (struct nilai_erased){
        .slots = slots_create(SLOTS_MIN),
        .slot_count = SLOTS_MIN,
        .entries_max = entries_max,
        .hash_seed = hash_seed,
        .remember_ms = remember_ms,
        .latest_ts_ms = -1,
    };
    if (erased->slots == NULL) {
        free(erased);
        return NULL;
    }
    return erased;
}

void nilai_erased_destroy(struct nilai_erased *erased)
{
    if (erased == NULL)
        return;
    free(erased->slots);
    free(erased);
}

/* The slot of that hash, or the free one where it belongs. */
static struct slot *slot_for(const struct nilai_erased *erased, struct nilai_hash_wide hash)
{
    uint64_t mask = erased->slot_count - 1;
    uint64_t home = nilai_hash_seeded(&hash, sizeof hash, erased->hash_seed);
    for (uint64_t at = home & mask;; at = (at + 1) & mask) {
        struct slot *slot = &erased->slots[at];
        if (slot->clock_ms < 0 || (slot->hash.low == hash.low && slot->hash.high == hash.high))
            return slot;
    }
}

static bool expired(const struct nilai_erased *erased, const struct slot *slot, int64_t clock_ms)
{
    return clock_ms - slot->clock_ms >= erased->remember_ms;
}

static void put(struct nilai_erased *erased, struct slot entry)
{
    struct slot *slot = slot_for(erased, entry.hash);
    erased->used += slot->clock_ms < 0;
    *slot = entry;
    if (entry.ts_ms > erased->latest_ts_ms)
        erased->latest_ts_ms = entry.ts_ms;
}

static uint64_t count_live(const struct nilai_erased *erased, int64_t clock_ms)
{
    uint64_t live = 0;
    for (uint64_t i = 0; i < erased->slot_count; i++)
        live += erased->slots[i].clock_ms >= 0 && !expired(erased, &erased->slots[i], clock_ms);
    return live;
}

static enum nilai_status rebuild(struct nilai_erased *erased, int64_t clock_ms)
{
    uint64_t live = count_live(erased, clock_ms), count = SLOTS_MIN;
    if (live >= erased->entries_max)
        return NILAI_FULL;
    while (count < 4 * live)
        count *= 2;
    struct slot *old = erased->slots, *slots = slots_create(count);
    uint64_t old_count = erased->slot_count;
    if (slots == NULL)
        return NILAI_NO_MEMORY;

    erased->slots = slots;
    erased->slot_count = count;
    erased->used = 0;
    erased->latest_ts_ms = -1;
    for (uint64_t i = 0; i < old_count; i++)
        if (old[i].clock_ms >= 0 && !expired(erased, &old[i], clock_ms))
            put(erased, old[i]);
    free(old);
    return NILAI_OK;
}

static bool is_later(const struct slot *a, const struct slot *b)
{
    return a->clock_ms != b->clock_ms ? a->clock_ms > b->clock_ms : a->ts_ms > b->ts_ms;
}

/* A slot that is free counts as the earliest of all. */
static enum nilai_status put_if_later(struct nilai_erased *erased, struct slot entry,
                                      int64_t clock_ms)
{
    const struct slot *slot = slot_for(erased, entry.hash);
    if (!is_later(&entry, slot))
        return NILAI_OK;
    bool is_new = slot->clock_ms < 0;
    if (is_new
        && (2 * (erased->used + 1) > erased->slot_count || erased->used >= erased->entries_max)) {
        enum nilai_status status = rebuild(erased, clock_ms);
        if (status != NILAI_OK)
            return status;
    }
    put(erased, entry);
    return NILAI_OK;
}

enum nilai_status nilai_erased_add(struct nilai_erased *erased, struct nilai_text id, int64_t ts_ms,
                                   int64_t clock_ms)
{
    NILAI_ASSERT(ts_ms >= 0 && clock_ms >= ts_ms);
    return put_if_later(erased, (struct slot){nilai_hash_wide(id.data, id.size), ts_ms, clock_ms},
                        clock_ms);
}

enum nilai_status nilai_erased_load(struct nilai_erased *erased, struct nilai_hash_wide hash,
                                    int64_t ts_ms, int64_t erased_clock_ms, int64_t clock_ms)
{
    struct slot entry = {hash, ts_ms, erased_clock_ms};
    if (ts_ms < 0 || erased_clock_ms < ts_ms || erased_clock_ms > NILAI_TIME_MAX_MS)
        return NILAI_INVALID;
    return expired(erased, &entry, clock_ms) ? NILAI_OK : put_if_later(erased, entry, clock_ms);
}

void nilai_erased_visit(const struct nilai_erased *erased, int64_t clock_ms, uint32_t bucket,
                        nilai_erased_visit_fn visit, void *context)
{
    NILAI_ASSERT(bucket < NILAI_ERASED_BUCKETS);
    for (uint64_t i = 0; i < erased->slot_count; i++) {
        const struct slot *slot = &erased->slots[i];
        if (slot->clock_ms >= 0 && slot->hash.high >> BUCKET_SHIFT == bucket
            && !expired(erased, slot, clock_ms))
            visit(context, slot->hash, slot->ts_ms, slot->clock_ms);
    }
}

bool nilai_erased_covers(const struct nilai_erased *erased, struct nilai_text id, int64_t ts_ms,
                         int64_t clock_ms)
{
    if (ts_ms > erased->latest_ts_ms)
        return false;
    const struct slot *slot = slot_for(erased, nilai_hash_wide(id.data, id.size));
    return slot->clock_ms >= 0 && !expired(erased, slot, clock_ms) && ts_ms <= slot->ts_ms;
}

uint64_t nilai_erased_count(const struct nilai_erased *erased)
{
    return erased->used;
}

uint64_t nilai_erased_memory_bytes(const struct nilai_erased *erased)
{
    return erased->slot_count * sizeof *erased->slots;
}
