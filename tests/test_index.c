#include <pthread.h>

#include "nilai/state/index.h"
#include "test.h"

enum { ENTRIES = 60000, SLOTS_PER_LINE = 8 };

static struct nilai_memory memory;

static struct nilai_index *create(uint64_t max_bytes)
{
    memory = (struct nilai_memory){.max_bytes = max_bytes};
    struct nilai_index *index = nilai_index_create(&memory);
    CHECK(index != NULL);
    return index;
}

static void destroy(struct nilai_index *index)
{
    nilai_index_destroy(index);
    CHECK_EQ(memory.used_bytes, 0);
}

static void insert(struct nilai_index *index, uint64_t hash, uint32_t number)
{
    CHECK_EQ(nilai_index_make_room(index, hash), NILAI_OK);
    nilai_index_insert(index, hash, number);
}

static bool has(const struct nilai_index *index, uint64_t hash, uint32_t number)
{
    struct nilai_index_cursor cursor;
    uint32_t candidate;

    nilai_index_seek(index, hash, &cursor);
    while (nilai_index_next(&cursor, &candidate)) {
        if (candidate == number)
            return true;
    }
    CHECK(nilai_index_settled(&cursor));
    return false;
}

/* A hash whose entry is at home in `line` of a segment; the upper bits are `high`. */
static uint64_t hash_in_line(uint32_t line, uint32_t high)
{
    return (uint64_t)(high << 9 | line) << 32;
}

struct model {
    uint64_t hash[ENTRIES];
    bool in[ENTRIES];
    uint64_t count;
};

static void check_model(const struct nilai_index *index, const struct model *model)
{
    for (uint32_t i = 0; i < ENTRIES; i++)
        CHECK_EQ(has(index, model->hash[i], i), model->in[i]);
    CHECK_EQ(nilai_index_count(index), model->count);
    nilai_index_validate(index);
}

static void toggle(struct nilai_index *index, struct model *model, uint32_t i)
{
    if (model->in[i])
        nilai_index_erase(index, model->hash[i], i);
    else
        insert(index, model->hash[i], i);
    model->in[i] = !model->in[i];
    model->count += model->in[i] ? 1 : UINT64_MAX;
    CHECK_EQ(has(index, model->hash[i], i), model->in[i]);
}

/* Goal: the index never disagrees with an array, through growing, splits and erasures.
 * Method: random insertions and erasures; a quarter of the entries shares tags or crowds
 * into few lines. */
TEST(index_matches_the_plain_model)
{
    static struct model model;
    struct nilai_index *index = create(UINT64_C(1) << 30);
    uint64_t seed = test_seed(23);

    for (uint32_t i = 0; i < ENTRIES; i++) {
        model.hash[i] = next_random(&seed);
        if (i % 8 == 1)
            model.hash[i] = model.hash[i - 1];
        if (i % 8 == 2)
            model.hash[i] = hash_in_line(511 - i % 3, (uint32_t)next_random(&seed) >> 9);
    }
    for (int phase = 0; phase < 6; phase++) {
        for (int step = 0; step < 2 * ENTRIES; step++) {
            uint32_t i = (uint32_t)(next_random(&seed) % ENTRIES);
            /* Even phases mostly insert, odd ones mostly erase. */
            if (model.in[i] == (phase % 2 == 1) || next_random(&seed) % 8 == 0)
                toggle(index, &model, i);
        }
        check_model(index, &model);
    }
    destroy(index);
}

/* Goal: erasing leaves nothing behind that would fill the segments up.
 * Method: with few entries at a time, a million come and go; no memory is added. */
TEST(index_does_not_rot)
{
    enum { LIVE = 3000, TURNS = 1000000 };
    static uint64_t hashes[LIVE];
    struct nilai_index *index = create(UINT64_C(1) << 30);
    uint64_t seed = test_seed(29), used_bytes = 0;

    for (uint32_t i = 0; i < TURNS; i++) {
        uint32_t place = i % LIVE;
        if (i >= LIVE)
            nilai_index_erase(index, hashes[place], place);
        hashes[place] = next_random(&seed);
        insert(index, hashes[place], place);
        if (i == LIVE)
            used_bytes = memory.used_bytes;
    }
    CHECK_EQ(memory.used_bytes, used_bytes);
    nilai_index_validate(index);
    destroy(index);
}

/* Goal: the limit has a name, changes nothing, and stays within itself.
 * Method: insert until full; all entries must still be there. */
TEST(index_says_full_at_its_limit)
{
    struct nilai_index *index = create(5 << 20);
    uint64_t seed = test_seed(31), start = seed, hash = next_random(&seed);
    uint32_t count = 0;

    for (; nilai_index_make_room(index, hash) == NILAI_OK; hash = next_random(&seed))
        nilai_index_insert(index, hash, count++);
    CHECK_EQ(nilai_index_make_room(index, hash), NILAI_FULL);
    CHECK(count > 100000 && memory.used_bytes <= memory.max_bytes);
    CHECK_EQ(nilai_index_count(index), count);
    for (uint32_t i = 0; i < count; i++)
        CHECK(has(index, next_random(&start), i));
    nilai_index_validate(index);
    destroy(index);
}

/* Goal: a look-up during which its entry moved back past it is not settled.
 * Method: stop a look-up in the middle, and erase what makes the entry move. */
TEST(a_lookup_that_an_entry_passed_is_not_settled)
{
    struct nilai_index *index = create(UINT64_C(1) << 30);
    struct nilai_index_cursor cursor;
    uint32_t number;

    /* A full line; one more of the same tag as number 1 lies in the line after it. */
    for (uint32_t i = 0; i < SLOTS_PER_LINE; i++)
        insert(index, hash_in_line(7, i), i);
    insert(index, hash_in_line(7, 1), 100);
    nilai_index_seek(index, hash_in_line(7, 1), &cursor);
    CHECK(nilai_index_next(&cursor, &number) && number == 1);
    nilai_index_erase(index, hash_in_line(7, 0), 0);
    CHECK(!nilai_index_next(&cursor, &number));
    CHECK(!nilai_index_settled(&cursor));
    CHECK(has(index, hash_in_line(7, 1), 100));
    destroy(index);
}

static void fill_until_split(struct nilai_index *index, uint64_t *seed)
{
    uint64_t used_bytes = nilai_index_count(index);
    struct nilai_index_cursor before, after;
    uint64_t high_half = UINT64_MAX;

    nilai_index_seek(index, high_half, &before);
    do {
        insert(index, next_random(seed), (uint32_t)(1000 + used_bytes++));
        nilai_index_seek(index, high_half, &after);
    } while (after.segment == before.segment);
}

/* Goal: a look-up that began in a segment before its split is not settled, whether it read
 * the segment's version before the split or only after it.
 * Method: begin a look-up, split, go on; then the same with the version of after the split. */
TEST(a_lookup_that_a_split_overtook_is_not_settled)
{
    struct nilai_index *index = create(UINT64_C(1) << 30);
    uint64_t seed = test_seed(37), high = UINT64_MAX, low = 0;
    struct nilai_index_cursor cursor, late, other;
    uint32_t number;

    insert(index, high, 1);
    nilai_index_seek(index, high, &cursor);
    late = cursor;
    fill_until_split(index, &seed);
    CHECK(!nilai_index_next(&cursor, &number));
    CHECK(!nilai_index_settled(&cursor));

    nilai_index_seek(index, low, &other);
    CHECK(other.segment == late.segment);
    late.version = other.version;
    CHECK(!nilai_index_next(&late, &number));
    CHECK(!nilai_index_settled(&late));
    CHECK(has(index, high, 1));
    destroy(index);
}

/* ---- with threads ---- */

enum { STEADY = 40, READERS = 2, CHURN = 300000 };

struct watch {
    const struct nilai_index *index;
    bool over;
    uint64_t looked, unsettled;
};

/* Looks for entries that are always there, in the crowded lines. */
static void *watch_steady(void *argument)
{
    struct watch *watch = argument;

    while (!__atomic_load_n(&watch->over, __ATOMIC_ACQUIRE)) {
        uint32_t wanted = (uint32_t)(watch->looked++ % STEADY), number = UINT32_MAX;
        struct nilai_index_cursor cursor;

        nilai_index_seek(watch->index, hash_in_line(wanted % 2, wanted), &cursor);
        while (number != wanted && nilai_index_next(&cursor, &number))
            continue;
        if (number != wanted) {
            NILAI_ASSERT(!nilai_index_settled(&cursor));
            watch->unsettled++;
        }
    }
    return NULL;
}

/* Goal: no reader believes that an entry is not there which is there all the time.
 * Method: entries crowded into two lines, so that most lie far from home; the writer makes
 * them move by inserting and erasing others among them. */
TEST(readers_never_miss_what_stays)
{
    struct nilai_index *index = create(UINT64_C(1) << 30);
    struct watch watches[READERS];
    pthread_t threads[READERS];
    uint64_t seed = test_seed(41), looked = 0, unsettled = 0;
    bool in[STEADY * 2] = {false};

    for (uint32_t i = 0; i < STEADY; i++)
        insert(index, hash_in_line(i % 2, i), i);
    for (int i = 0; i < READERS; i++) {
        watches[i] = (struct watch){.index = index};
        CHECK_EQ(pthread_create(&threads[i], NULL, watch_steady, &watches[i]), 0);
    }
    for (int step = 0; step < CHURN; step++) {
        uint32_t i = (uint32_t)(next_random(&seed) % NILAI_ARRAY_LEN(in));
        uint64_t hash = hash_in_line(i % 2, 1000 + i);
        if (in[i])
            nilai_index_erase(index, hash, 1000 + i);
        else
            insert(index, hash, 1000 + i);
        in[i] = !in[i];
        /* Steady ones that come again at the end of the row are the ones that move back. */
        uint32_t steady = (uint32_t)(next_random(&seed) % STEADY);
        nilai_index_insert(index, hash_in_line(steady % 2, steady), steady);
        nilai_index_erase(index, hash_in_line(steady % 2, steady), steady);
    }
    for (int i = 0; i < READERS; i++) {
        __atomic_store_n(&watches[i].over, true, __ATOMIC_RELEASE);
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        looked += watches[i].looked;
        unsettled += watches[i].unsettled;
    }
    printf("looked %" PRIu64 ", unsettled %" PRIu64 "\n", looked, unsettled);
    CHECK(looked > unsettled);
    nilai_index_validate(index);
    destroy(index);
}
