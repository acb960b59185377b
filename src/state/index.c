/*
 * A slot is the upper 32 bits of the hash (its tag) and the record number + 1; 0 is empty.
 *
 *     tag:  31 ............ 9 8 ........ 0
 *           directory entry | home line      the directory uses as many of the upper bits
 *                                            as it is deep, so both never overlap
 *
 * Always true of a segment: an entry lies in its home line or, if that is full, in one of the
 * lines after it (around the end), with no line in between that is not full; and the empty
 * slots of a line are its last. So a look-up may stop at the first empty slot. Erasing keeps
 * this by moving entries back into the hole; nothing is left behind that would rot.
 *
 * Why a reader may trust what it sees
 *
 * A candidate proves itself: the owner compares the id in the record. What needs an argument
 * is "not there". Entries move only while the segment's version is odd. The writer makes it
 * odd (relaxed), moves entries with release stores, and makes it even again (release). The
 * reader reads the version (acquire), then slots (acquire), then the version again.
 *   - The first reading is even and comes from after some moves: acquiring it, the reader
 *     sees all of them.
 *   - If any slot shows a value of a later move, that acquiring load synchronizes with the
 *     release store, before which the version was made odd; so the second reading is not the
 *     first one's value, and the look-up is not settled.
 *   - Else all slots come from one quiet time, in which every line obeyed the rule above;
 *     only insertions into empty slots may have happened, and whether one of those that run
 *     at the same time is seen makes no difference to anybody.
 * A split publishes the new segment in the directory before it takes the first entry that
 * has gone there out of the old one. A reader that began in the old segment therefore either
 * saw it whole, or saw an odd or changed version, or read the version of after the split,
 * and then finds that the directory (acquire) names another segment for its tag by now.
 * Versions have 31 bits of use; a reader would have to sleep through exactly 2^31 moves.
 */
#include "nilai/state/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_SLOTS = 8,
    LINES_LOG2 = 9,
    LINES = 1 << LINES_LOG2,
    SEGMENT_SLOTS = LINES * LINE_SLOTS,
    SEGMENT_FULL = SEGMENT_SLOTS / 8 * 7, /* entries at which a segment is split */
    TAG_BITS = 32,
    DEPTH_MAX = TAG_BITS - LINES_LOG2,
    DIRECTORIES_MAX = DEPTH_MAX + 1,
    SEGMENTS_PER_CHUNK_LOG2 = 6,
};

struct nilai_index_segment {
    uint32_t version; /* odd while entries move */
    uint32_t depth;   /* how many upper bits of the tag all its entries share */
    uint32_t prefix;  /* and which */
    uint32_t count;
    uint32_t unused[12];
    uint64_t slots[SEGMENT_SLOTS];
};

static_assert(offsetof(struct nilai_index_segment, slots) == 64, "lines of slots are cache lines");
static_assert(sizeof(struct nilai_index_segment) % 64 == 0, "and stay so in the slab");

struct directory {
    uint32_t depth;
    struct nilai_index_segment *entries[];
};

struct nilai_index {
    struct directory *directory; /* the newest; readers load it with acquire */
    struct nilai_memory *memory;
    struct nilai_slab segments;
    struct nilai_index_segment *spare; /* of the segments, but in no directory */
    uint64_t count;
    uint32_t directory_count;
    struct directory *directories[DIRECTORIES_MAX]; /* all there ever were */
};

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

static uint32_t home_of(uint32_t tag)
{
    return tag % LINES;
}

static uint64_t slot_make(uint32_t tag, uint32_t number)
{
    return (uint64_t)tag << 32 | (number + 1);
}

static uint32_t slot_tag(uint64_t slot)
{
    return (uint32_t)(slot >> 32);
}

static uint32_t slot_number(uint64_t slot)
{
    return (uint32_t)slot - 1;
}

/* The upper `depth` bits of a tag. */
static uint32_t prefix_of(uint32_t tag, uint32_t depth)
{
    return depth == 0 ? 0 : tag >> (TAG_BITS - depth);
}

static uint64_t load_slot(const struct nilai_index_segment *segment, uint32_t position)
{
    return __atomic_load_n(&segment->slots[position], __ATOMIC_ACQUIRE);
}

static void store_slot(struct nilai_index_segment *segment, uint32_t position, uint64_t slot)
{
    __atomic_store_n(&segment->slots[position], slot, __ATOMIC_RELEASE);
}

static struct nilai_index_segment *locate(const struct nilai_index *index, uint32_t tag)
{
    struct directory *directory = __atomic_load_n(&index->directory, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&directory->entries[prefix_of(tag, directory->depth)], __ATOMIC_ACQUIRE);
}

/* ---- looking up ---- */

void nilai_index_prefetch(const struct nilai_index *index, uint64_t hash)
{
    uint32_t tag = tag_of(hash);
    __builtin_prefetch(&locate(index, tag)->slots[home_of(tag) * LINE_SLOTS]);
    __asm__ volatile(""); /* an effect, or gcc may leave the call out */
}

void nilai_index_seek(const struct nilai_index *index, uint64_t hash,
                      struct nilai_index_cursor *cursor)
{
    nilai_index_seek_own(index, hash, cursor);
    cursor->version = __atomic_load_n(&cursor->segment->version, __ATOMIC_ACQUIRE);
}

void nilai_index_seek_own(const struct nilai_index *index, uint64_t hash,
                          struct nilai_index_cursor *cursor)
{
    uint32_t tag = tag_of(hash);
    *cursor = (struct nilai_index_cursor){
        .index = index,
        .segment = locate(index, tag),
        .tag = tag,
    };
}

bool nilai_index_next(struct nilai_index_cursor *cursor, uint32_t *number)
{
    uint32_t start = home_of(cursor->tag) * LINE_SLOTS;

    while (cursor->step < SEGMENT_SLOTS) {
        uint64_t slot = load_slot(cursor->segment, (start + cursor->step) % SEGMENT_SLOTS);
        if (slot == 0)
            return false;
        cursor->step++;
        if (slot_tag(slot) == cursor->tag) {
            *number = slot_number(slot);
            return true;
        }
    }
    return false;
}

bool nilai_index_settled(const struct nilai_index_cursor *cursor)
{
    uint32_t version = __atomic_load_n(&cursor->segment->version, __ATOMIC_ACQUIRE);

    return version % 2 == 0 && version == cursor->version
           && locate(cursor->index, cursor->tag) == cursor->segment;
}

/* ---- within one segment ---- */

static bool line_is_full(const struct nilai_index_segment *segment, uint32_t line)
{
    return segment->slots[line * LINE_SLOTS + LINE_SLOTS - 1] != 0;
}

static uint32_t line_count(const struct nilai_index_segment *segment, uint32_t line)
{
    uint32_t count = 0;
    while (count < LINE_SLOTS && segment->slots[line * LINE_SLOTS + count] != 0)
        count++;
    return count;
}

static void segment_insert(struct nilai_index_segment *segment, uint64_t slot)
{
    uint32_t line = home_of(slot_tag(slot));

    NILAI_ASSERT(segment->count < SEGMENT_SLOTS);
    while (line_is_full(segment, line))
        line = (line + 1) % LINES;
    store_slot(segment, line * LINE_SLOTS + line_count(segment, line), slot);
    segment->count++;
}

static void move_begin(struct nilai_index_segment *segment)
{
    NILAI_ASSERT(segment->version % 2 == 0);
    __atomic_store_n(&segment->version, segment->version + 1, __ATOMIC_RELAXED);
}

static void move_end(struct nilai_index_segment *segment)
{
    NILAI_ASSERT(segment->version % 2 == 1);
    __atomic_store_n(&segment->version, segment->version + 1, __ATOMIC_RELEASE);
}

/* Whether an entry whose home is `home` may be moved from `line` back to `hole`. */
static bool may_move(uint32_t home, uint32_t hole, uint32_t line)
{
    uint32_t from_home = (line - home) % LINES;
    uint32_t from_hole = (line - hole) % LINES;
    return from_home >= from_hole;
}

/* Looks behind a line that was full for an entry that must not stay behind a hole there.
 * All lines up to the first that is not full may hold one. */
static bool find_mover(const struct nilai_index_segment *segment, uint32_t hole, uint32_t *position)
{
    for (uint32_t step = 1; step < LINES; step++) {
        uint32_t line = (hole + step) % LINES;
        uint32_t count = line_count(segment, line);

        for (uint32_t i = 0; i < count; i++) {
            uint64_t slot = segment->slots[line * LINE_SLOTS + i];
            if (may_move(home_of(slot_tag(slot)), hole, line)) {
                *position = line * LINE_SLOTS + i;
                return true;
            }
        }
        if (count < LINE_SLOTS)
            return false;
    }
    return false;
}

/* Takes one entry out and closes the hole. What moves is first written to its new place, then
 * overwritten in the old one, so that a reader misses it seldom. */
static void segment_erase(struct nilai_index_segment *segment, uint32_t position)
{
    NILAI_ASSERT(segment->slots[position] != 0);
    move_begin(segment);
    for (;;) {
        uint32_t line = position / LINE_SLOTS, mover;
        if (line_is_full(segment, line) && find_mover(segment, line, &mover)) {
            store_slot(segment, position, segment->slots[mover]);
            position = mover;
            continue;
        }
        uint32_t last = line * LINE_SLOTS + line_count(segment, line) - 1;
        if (last != position)
            store_slot(segment, position, segment->slots[last]);
        store_slot(segment, last, 0);
        break;
    }
    segment->count--;
    move_end(segment);
}

/* ---- growing ---- */

static uint64_t directory_bytes(uint32_t depth)
{
    return sizeof(struct directory) + (sizeof(struct nilai_index_segment *) << depth);
}

static enum nilai_status directory_create(struct nilai_index *index, uint32_t depth,
                                          struct directory **directory)
{
    if (!nilai_memory_book(index->memory, directory_bytes(depth)))
        return NILAI_FULL;
    *directory = malloc(directory_bytes(depth));
    if (*directory == NULL) {
        nilai_memory_unbook(index->memory, directory_bytes(depth));
        return NILAI_NO_MEMORY;
    }
    (*directory)->depth = depth;
    index->directories[index->directory_count++] = *directory;
    return NILAI_OK;
}

static enum nilai_status directory_double(struct nilai_index *index)
{
    const struct directory *old = index->directory;
    struct directory *directory;

    enum nilai_status status = directory_create(index, old->depth + 1, &directory);
    if (status != NILAI_OK)
        return status;
    for (uint32_t i = 0; i < UINT32_C(1) << directory->depth; i++)
        directory->entries[i] = old->entries[i / 2];
    __atomic_store_n(&index->directory, directory, __ATOMIC_RELEASE);
    return NILAI_OK;
}

static enum nilai_status segment_create(struct nilai_index *index, uint32_t depth, uint32_t prefix,
                                        struct nilai_index_segment **segment)
{
    uint32_t number;
    enum nilai_status status = nilai_slab_take(&index->segments, &number);
    if (status != NILAI_OK)
        return status;
    *segment = nilai_slab_at(&index->segments, number);
    (*segment)->depth = depth;
    (*segment)->prefix = prefix;
    return NILAI_OK;
}

static bool belongs(const struct nilai_index_segment *segment, uint64_t slot)
{
    return prefix_of(slot_tag(slot), segment->depth) == segment->prefix;
}

static void copy_belonging(struct nilai_index_segment *to, const struct nilai_index_segment *from)
{
    for (uint32_t i = 0; i < SEGMENT_SLOTS; i++) {
        if (from->slots[i] != 0 && belongs(to, from->slots[i]))
            segment_insert(to, from->slots[i]);
    }
}

static void publish_segment(struct nilai_index *index, struct nilai_index_segment *segment)
{
    struct directory *directory = index->directory;
    uint32_t spread = directory->depth - segment->depth;
    uint32_t first = segment->prefix << spread;

    for (uint32_t i = 0; i < UINT32_C(1) << spread; i++)
        __atomic_store_n(&directory->entries[first + i], segment, __ATOMIC_RELEASE);
}

/* Gives a segment the entries of another, in one short go. */
static void overwrite(struct nilai_index_segment *segment, const struct nilai_index_segment *with)
{
    move_begin(segment);
    for (uint32_t i = 0; i < SEGMENT_SLOTS; i++) {
        if (segment->slots[i] != with->slots[i])
            store_slot(segment, i, with->slots[i]);
    }
    segment->depth = with->depth;
    segment->prefix = with->prefix;
    segment->count = with->count;
    move_end(segment);
}

/* The work is done where no reader looks: in the new segment, and in the spare one. */
static enum nilai_status split(struct nilai_index *index, struct nilai_index_segment *segment)
{
    struct nilai_index_segment *high, *low = index->spare;
    enum nilai_status status = NILAI_OK;

    /* With a seeded hash, a depth of 23 means more entries than numbers. */
    if (segment->depth == DEPTH_MAX)
        return NILAI_FULL;
    if (segment->depth == index->directory->depth)
        status = directory_double(index);
    if (status == NILAI_OK)
        status = segment_create(index, segment->depth + 1, segment->prefix * 2 + 1, &high);
    if (status != NILAI_OK)
        return status;

    memset(low, 0, sizeof *low);
    low->depth = segment->depth + 1;
    low->prefix = segment->prefix * 2;
    copy_belonging(low, segment);
    copy_belonging(high, segment);
    NILAI_ASSERT(low->count + high->count == segment->count);
    publish_segment(index, high);
    overwrite(segment, low);
    return NILAI_OK;
}

/* ---- the writer's functions ---- */

struct nilai_index *nilai_index_create(struct nilai_memory *memory)
{
    struct nilai_slab_options options = {
        .record_bytes = sizeof(struct nilai_index_segment),
        .chunk_log2 = SEGMENTS_PER_CHUNK_LOG2,
        .records_max = UINT32_C(1) << DEPTH_MAX,
    };
    struct nilai_index *index = calloc(1, sizeof *index);
    if (index == NULL)
        return NULL;
    index->memory = memory;
    if (nilai_slab_init(&index->segments, &options, memory) != NILAI_OK) {
        free(index);
        return NULL;
    }
    if (segment_create(index, 0, 0, &index->spare) != NILAI_OK
        || directory_create(index, 0, &index->directory) != NILAI_OK
        || segment_create(index, 0, 0, &index->directory->entries[0]) != NILAI_OK) {
        nilai_index_destroy(index);
        return NULL;
    }
    return index;
}

void nilai_index_destroy(struct nilai_index *index)
{
    if (index == NULL)
        return;
    for (uint32_t i = 0; i < index->directory_count; i++) {
        nilai_memory_unbook(index->memory, directory_bytes(index->directories[i]->depth));
        free(index->directories[i]);
    }
    nilai_slab_fini(&index->segments);
    free(index);
}

enum nilai_status nilai_index_make_room(struct nilai_index *index, uint64_t hash)
{
    struct nilai_index_segment *segment = locate(index, tag_of(hash));

    nilai_slab_prepare(&index->segments);
    /* Again if all entries shared the bit; with a seeded hash that does not happen twice. */
    while (segment->count >= SEGMENT_FULL) {
        enum nilai_status status = split(index, segment);
        if (status != NILAI_OK)
            return status;
        segment = locate(index, tag_of(hash));
    }
    return NILAI_OK;
}

void nilai_index_insert(struct nilai_index *index, uint64_t hash, uint32_t number)
{
    NILAI_ASSERT(number <= NILAI_INDEX_NUMBER_MAX);

    uint32_t tag = tag_of(hash);
    segment_insert(locate(index, tag), slot_make(tag, number));
    index->count++;
}

void nilai_index_erase(struct nilai_index *index, uint64_t hash, uint32_t number)
{
    uint32_t tag = tag_of(hash);
    uint32_t start = home_of(tag) * LINE_SLOTS;
    struct nilai_index_segment *segment = locate(index, tag);
    uint64_t slot = slot_make(tag, number);
    uint32_t step = 0;

    while (segment->slots[(start + step) % SEGMENT_SLOTS] != slot) {
        step++;
        NILAI_ASSERT(step < SEGMENT_SLOTS);
    }
    segment_erase(segment, (start + step) % SEGMENT_SLOTS);
    index->count--;
}

uint64_t nilai_index_count(const struct nilai_index *index)
{
    return index->count;
}

/* ---- what is always true ---- */

static void validate_line(const struct nilai_index_segment *segment, uint32_t line)
{
    for (uint32_t i = 0; i < LINE_SLOTS; i++) {
        uint64_t slot = segment->slots[line * LINE_SLOTS + i];
        NILAI_ASSERT((slot != 0) == (i < line_count(segment, line)));
        if (slot == 0)
            continue;
        NILAI_ASSERT(belongs(segment, slot));
        for (uint32_t on = home_of(slot_tag(slot)); on != line; on = (on + 1) % LINES)
            NILAI_ASSERT(line_is_full(segment, on));
    }
}

static uint64_t validate_segment(const struct nilai_index_segment *segment)
{
    uint32_t count = 0;
    for (uint32_t line = 0; line < LINES; line++) {
        validate_line(segment, line);
        count += line_count(segment, line);
    }
    NILAI_ASSERT(segment->version % 2 == 0);
    NILAI_ASSERT(count == segment->count && count <= SEGMENT_FULL);
    return count;
}

void nilai_index_validate(const struct nilai_index *index)
{
    const struct directory *directory = index->directory;
    uint64_t count = 0;
    uint32_t segments = 0;

    nilai_slab_validate(&index->segments);
    for (uint32_t i = 0; i < UINT32_C(1) << directory->depth;) {
        const struct nilai_index_segment *segment = directory->entries[i];
        NILAI_ASSERT(segment->depth <= directory->depth);
        uint32_t spread = directory->depth - segment->depth;
        NILAI_ASSERT(segment->prefix == i >> spread);
        for (uint32_t k = 0; k < UINT32_C(1) << spread; k++)
            NILAI_ASSERT(directory->entries[i + k] == segment);
        count += validate_segment(segment);
        segments++;
        i += UINT32_C(1) << spread;
    }
    NILAI_ASSERT(count == index->count && segments + 1 == index->segments.live);
}
