#include "nilai/state/slab.h"
#include "test.h"

enum { RECORD_BYTES = 312, LINK_OFFSET = 8, CHUNK_LOG2 = 9, RECORDS_MAX = 1 << 14 };

static const struct nilai_slab_options options = {
    .record_bytes = RECORD_BYTES,
    .link_offset = LINK_OFFSET,
    .chunk_log2 = CHUNK_LOG2,
    .records_max = RECORDS_MAX,
};

/* A free record may hold anything at the link. */
static bool is_all(const unsigned char *record, unsigned char value, bool but_for_link)
{
    for (int i = 0; i < RECORD_BYTES; i++) {
        if (but_for_link && i >= LINK_OFFSET && i < LINK_OFFSET + 4)
            continue;
        if (record[i] != value)
            return false;
    }
    return true;
}

/* Goal: records do not move, do not overlap and keep what their owner wrote; new ones are
 * zeros, and old ones come back as they were left.
 * Method: random taking and giving back against an array of owners. */
TEST(slab_matches_the_plain_model)
{
    static unsigned char *owners[RECORDS_MAX];
    static unsigned char values[RECORDS_MAX];
    struct nilai_memory memory = {.max_bytes = 64 << 20};
    struct nilai_slab slab;
    uint64_t seed = test_seed(3);
    uint32_t numbers = 0, live = 0;

    memset(owners, 0, sizeof owners);
    CHECK_EQ(nilai_slab_init(&slab, &options, &memory), NILAI_OK);
    CHECK_EQ(memory.used_bytes, 0);
    for (int step = 0; step < 40000; step++) {
        uint32_t number = (uint32_t)(next_random(&seed) % (numbers + 1));
        if (number < numbers && owners[number] != NULL && next_random(&seed) % 3 == 0) {
            CHECK(is_all(owners[number], values[number], false));
            nilai_slab_give(&slab, number);
            owners[number] = NULL;
            live--;
        } else if (live < RECORDS_MAX) {
            CHECK_EQ(nilai_slab_take(&slab, &number), NILAI_OK);
            CHECK(number <= numbers);
            unsigned char *record = nilai_slab_at(&slab, number);
            CHECK(number == numbers ? is_all(record, 0, false) : owners[number] == NULL);
            if (number < numbers)
                CHECK(is_all(record, values[number], true));
            numbers += number == numbers;
            owners[number] = record;
            values[number] = (unsigned char)(1 + next_random(&seed) % 255);
            memset(record, values[number], RECORD_BYTES);
            live++;
        }
        CHECK_EQ(slab.live, live);
        if (step % 500 == 0)
            nilai_slab_validate(&slab);
    }
    CHECK(numbers > 5000);
    for (uint32_t number = 0; number < numbers; number++)
        CHECK(owners[number] == NULL || is_all(nilai_slab_at(&slab, number), values[number], false));
    nilai_slab_fini(&slab);
    CHECK_EQ(memory.used_bytes, 0);
}

/* Goal: the limits of memory and of numbers are kept, and are no end: what is given back can
 * be taken again.
 * Method: take until full, under each limit. */
TEST(slab_says_full_at_either_limit)
{
    static const uint64_t limits[] = {1 << 20, UINT64_C(1) << 30};

    for (size_t i = 0; i < NILAI_ARRAY_LEN(limits); i++) {
        struct nilai_memory memory = {.max_bytes = limits[i]};
        struct nilai_slab slab;
        uint32_t count = 0, number;

        CHECK_EQ(nilai_slab_init(&slab, &options, &memory), NILAI_OK);
        while (nilai_slab_take(&slab, &number) == NILAI_OK)
            CHECK_EQ(number, count++);
        CHECK_EQ(nilai_slab_take(&slab, &number), NILAI_FULL);
        uint64_t chunks = limits[i] / (RECORD_BYTES << CHUNK_LOG2);
        CHECK_EQ(count, i == 0 ? chunks << CHUNK_LOG2 : RECORDS_MAX);
        CHECK(memory.used_bytes <= memory.max_bytes);
        nilai_slab_validate(&slab);
        nilai_slab_give(&slab, 5);
        CHECK_EQ(nilai_slab_take(&slab, &number), NILAI_OK);
        CHECK_EQ(number, 5);
        nilai_slab_fini(&slab);
        CHECK_EQ(memory.used_bytes, 0);
    }
}

/* Goal: slabs that share a limit keep it together.
 * Method: take from two in turn until neither has any more. */
TEST(slabs_share_one_limit)
{
    enum { CHUNK_BYTES = RECORD_BYTES << CHUNK_LOG2 };
    struct nilai_memory memory = {.max_bytes = 5 * CHUNK_BYTES + 1};
    struct nilai_slab slabs[2];
    enum nilai_status status[2] = {NILAI_OK, NILAI_OK};
    uint32_t number;

    for (int i = 0; i < 2; i++)
        CHECK_EQ(nilai_slab_init(&slabs[i], &options, &memory), NILAI_OK);
    while (status[0] == NILAI_OK || status[1] == NILAI_OK) {
        for (int i = 0; i < 2; i++)
            status[i] = nilai_slab_take(&slabs[i], &number);
    }
    CHECK_EQ(status[0], NILAI_FULL);
    CHECK_EQ(status[1], NILAI_FULL);
    CHECK_EQ(memory.used_bytes, 5 * CHUNK_BYTES);
    CHECK_EQ(slabs[0].live + slabs[1].live, 5 << CHUNK_LOG2);
    for (int i = 0; i < 2; i++)
        nilai_slab_fini(&slabs[i]);
    CHECK_EQ(memory.used_bytes, 0);
}

/* Goal: pages are touched before they are needed, a few at a time, not a chunk at once.
 * Method: watch how far touching has come after each taking. */
TEST(slab_touches_pages_ahead_and_little_by_little)
{
    struct nilai_memory memory = {.max_bytes = 64 << 20};
    struct nilai_slab slab;
    uint64_t touched_bytes = 0;
    uint32_t number;

    CHECK_EQ(nilai_slab_init(&slab, &options, &memory), NILAI_OK);
    for (uint32_t i = 0; i < RECORDS_MAX; i++) {
        CHECK_EQ(nilai_slab_take(&slab, &number), NILAI_OK);
        CHECK(slab.touched_bytes - touched_bytes <= 2 * 4096);
        touched_bytes = slab.touched_bytes;
        if (i > 100 && i < RECORDS_MAX - 1000)
            CHECK(touched_bytes > (uint64_t)(i + 1) * RECORD_BYTES + 100000);
    }
    nilai_slab_fini(&slab);
}

struct held {
    bool numbers[RECORDS_MAX];
};

static bool is_held(void *context, uint32_t number)
{
    return ((const struct held *)context)->numbers[number];
}

static void check_free_numbers_come_in_order(struct nilai_slab *slab, struct held *held)
{
    uint32_t numbers = slab->numbers, number;
    for (uint32_t expected = 0; expected < numbers; expected++) {
        if (held->numbers[expected])
            continue;
        CHECK_EQ(nilai_slab_take(slab, &number), NILAI_OK);
        CHECK_EQ(number, expected);
        held->numbers[number] = true;
    }
    CHECK_EQ(slab->live, numbers);
}

/* Goal: records can be had at chosen numbers, in any order, given back and had again; afterwards
 * exactly the others are free, the lowest first.
 * Method: random takings at numbers against an array, in a slab that was new or used before. */
TEST(slab_is_filled_at_chosen_numbers)
{
    static struct held held;
    uint64_t seed = test_seed(5);

    for (uint32_t used_before = 0; used_before <= 2000; used_before += 1000) {
        struct nilai_memory memory = {.max_bytes = 64 << 20};
        struct nilai_slab slab;
        uint32_t number, live = 0, most = 0;

        memset(&held, 0, sizeof held);
        CHECK_EQ(nilai_slab_init(&slab, &options, &memory), NILAI_OK);
        for (uint32_t i = 0; i < used_before; i++)
            CHECK_EQ(nilai_slab_take(&slab, &number), NILAI_OK);
        for (uint32_t i = 0; i < used_before; i++)
            nilai_slab_give(&slab, i);
        for (int step = 0; step < 6000; step++) {
            number = (uint32_t)(next_random(&seed) % (uint64_t)(1 + step));
            unsigned char *record;
            if (held.numbers[number]) {
                record = nilai_slab_at(&slab, number);
                CHECK(is_all(record, (unsigned char)(number | 1), false));
                memset(record, 0, RECORD_BYTES);
                nilai_slab_give(&slab, number);
                live--;
            } else {
                CHECK_EQ(nilai_slab_take_at(&slab, number), NILAI_OK);
                record = nilai_slab_at(&slab, number);
                CHECK(is_all(record, 0, number < used_before));
                memset(record, (unsigned char)(number | 1), RECORD_BYTES);
                live++;
            }
            held.numbers[number] = !held.numbers[number];
            most = number + 1 > most ? number + 1 : most;
            CHECK_EQ(slab.live, live);
            if (step % 500 == 0)
                nilai_slab_validate(&slab);
        }
        CHECK_EQ(slab.numbers, most > used_before ? most : used_before);
        nilai_slab_relink(&slab, is_held, &held);
        nilai_slab_validate(&slab);
        check_free_numbers_come_in_order(&slab, &held);
        nilai_slab_validate(&slab);
        nilai_slab_fini(&slab);
        CHECK_EQ(memory.used_bytes, 0);
    }
}

/* Goal: a number from nowhere is refused, under either limit, and costs nothing.
 * Method: numbers at and beyond the ends. */
TEST(slab_refuses_numbers_beyond_its_limits)
{
    enum { CHUNK_BYTES = RECORD_BYTES << CHUNK_LOG2, FITS = 3 << CHUNK_LOG2 };
    struct nilai_memory memory = {.max_bytes = 4 * CHUNK_BYTES - 1}, plenty = {.max_bytes = 64 << 20};
    struct nilai_slab slab;

    CHECK_EQ(nilai_slab_init(&slab, &options, &memory), NILAI_OK);
    CHECK_EQ(nilai_slab_take_at(&slab, FITS), NILAI_FULL);
    CHECK_EQ(nilai_slab_take_at(&slab, UINT32_MAX), NILAI_FULL);
    memory.used_bytes = CHUNK_BYTES; /* somebody else's */
    CHECK_EQ(nilai_slab_take_at(&slab, FITS - 1), NILAI_FULL);
    CHECK_EQ(memory.used_bytes, CHUNK_BYTES);
    CHECK(!slab.restoring && slab.numbers == 0);
    memory.used_bytes = 0;
    CHECK_EQ(nilai_slab_take_at(&slab, FITS - 1), NILAI_OK);
    CHECK_EQ(memory.used_bytes, 3 * CHUNK_BYTES);
    nilai_slab_validate(&slab);
    nilai_slab_fini(&slab);

    CHECK_EQ(nilai_slab_init(&slab, &options, &plenty), NILAI_OK);
    CHECK_EQ(nilai_slab_take_at(&slab, RECORDS_MAX), NILAI_FULL);
    CHECK_EQ(plenty.used_bytes, 0);
    CHECK_EQ(nilai_slab_take_at(&slab, RECORDS_MAX - 1), NILAI_OK);
    nilai_slab_validate(&slab);
    nilai_slab_fini(&slab);
    CHECK_EQ(plenty.used_bytes, 0);
}
