#include "nilai/state/erased.h"
#include "test.h"

static struct nilai_text name_of(char text[16], uint32_t i)
{
    int size = snprintf(text, 16, "c%u", i);
    return (struct nilai_text){text, (uint32_t)size};
}

/* Goal: exactly the erasures within erase.remember cover events up to their ts.
 * Method: random erasures and look-ups as the clock moves, against an array. */
TEST(erasures_match_the_plain_model)
{
    enum { CUSTOMERS = 500, STEPS = 60000, REMEMBER_MS = 5000 };
    struct {
        int64_t ts_ms, clock_ms;
    } model[CUSTOMERS];
    char text[16];
    uint64_t seed = test_seed(1);
    int64_t clock_ms = 0;
    struct nilai_erased *erased = nilai_erased_create(REMEMBER_MS, 1000, 7);
    for (int i = 0; i < CUSTOMERS; i++)
        model[i].clock_ms = -REMEMBER_MS - 1;
    for (int step = 0; step < STEPS; step++) {
        uint32_t who = (uint32_t)(next_random(&seed) % CUSTOMERS);
        struct nilai_text id = name_of(text, who);
        clock_ms += (int64_t)(next_random(&seed) % 20);
        int64_t ts_ms = clock_ms - (int64_t)(next_random(&seed) % 3000);
        if (ts_ms < 0)
            ts_ms = 0;
        bool covered = clock_ms - model[who].clock_ms < REMEMBER_MS && ts_ms <= model[who].ts_ms;
        CHECK_EQ(nilai_erased_covers(erased, id, ts_ms, clock_ms), covered);
        if (covered || next_random(&seed) % 4 != 0)
            continue;
        CHECK_EQ(nilai_erased_add(erased, id, ts_ms, clock_ms), NILAI_OK);
        model[who].ts_ms = ts_ms;
        model[who].clock_ms = clock_ms;
    }
    nilai_erased_destroy(erased);
}

/* Goal: there is a limit, and room again when the clock has moved on. */
TEST(too_many_erasures_are_refused_until_some_expire)
{
    enum { MANY = 100 };
    char text[16];
    struct nilai_erased *erased = nilai_erased_create(1000, MANY, 7);
    for (uint32_t i = 0; i < MANY; i++)
        CHECK_EQ(nilai_erased_add(erased, name_of(text, i), 5, 5), NILAI_OK);
    CHECK_EQ(nilai_erased_add(erased, name_of(text, MANY), 5, 5), NILAI_FULL);
    CHECK_EQ(nilai_erased_add(erased, name_of(text, MANY), 5, 1004), NILAI_FULL);
    CHECK_EQ(nilai_erased_add(erased, name_of(text, MANY), 5, 1005), NILAI_OK);
    CHECK_EQ(nilai_erased_count(erased), 1);
    nilai_erased_destroy(erased);
}

enum { IMAGE_MAX = 5000 };

struct entry {
    struct nilai_hash_wide hash;
    int64_t ts_ms, clock_ms;
};

struct image {
    struct entry entries[IMAGE_MAX];
    uint32_t count, bucket;
};

static void keep(void *context, struct nilai_hash_wide hash, int64_t ts_ms, int64_t erased_clock_ms)
{
    struct image *image = context;
    CHECK(image->count < IMAGE_MAX);
    CHECK_EQ(hash.high >> 58, image->bucket);
    image->entries[image->count++] = (struct entry){hash, ts_ms, erased_clock_ms};
}

static void add_image(const struct nilai_erased *erased, int64_t clock_ms, struct image *image)
{
    for (image->bucket = 0; image->bucket < NILAI_ERASED_BUCKETS; image->bucket++)
        nilai_erased_visit(erased, clock_ms, image->bucket, keep, image);
}

/* Loads all entries in a random order, some of them again. */
static void load_shuffled(struct nilai_erased *erased, struct image *image, int64_t clock_ms,
                          uint64_t *seed)
{
    for (uint32_t left = image->count; left > 0; left--) {
        uint32_t at = (uint32_t)(next_random(seed) % left);
        struct entry entry = image->entries[at];
        image->entries[at] = image->entries[left - 1];
        image->entries[left - 1] = entry;
        for (uint64_t times = 1 + next_random(seed) % 2; times > 0; times--)
            CHECK_EQ(nilai_erased_load(erased, entry.hash, entry.ts_ms, entry.clock_ms, clock_ms),
                     NILAI_OK);
    }
}

/* Erasures as a partition makes them: not those that an earlier one covers. */
static void erase_randomly(struct nilai_erased *erased, int64_t *clock_ms, uint32_t steps,
                           uint64_t *seed)
{
    char text[16];
    for (uint32_t step = 0; step < steps; step++) {
        struct nilai_text id = name_of(text, (uint32_t)(next_random(seed) % 300));
        *clock_ms += (int64_t)(next_random(seed) % 4);
        int64_t ts_ms = *clock_ms - (int64_t)(next_random(seed) % 200);
        if (ts_ms < 0)
            ts_ms = 0;
        if (!nilai_erased_covers(erased, id, ts_ms, *clock_ms))
            CHECK_EQ(nilai_erased_add(erased, id, ts_ms, *clock_ms), NILAI_OK);
    }
}

static void check_same(const struct nilai_erased *a, const struct nilai_erased *b, int64_t clock_ms)
{
    char text[16];
    for (uint32_t who = 0; who < 300; who++)
        for (int64_t back_ms = 0; back_ms < 1300; back_ms += 7) {
            struct nilai_text id = name_of(text, who);
            CHECK_EQ(nilai_erased_covers(a, id, clock_ms - back_ms, clock_ms),
                     nilai_erased_covers(b, id, clock_ms - back_ms, clock_ms));
        }
}

/* Goal: images of any age, loaded in any order and more than once, and erasures added again come
 * to the same as what happened.
 * Method: images at three moments, the last steps added again by their seed. */
TEST(images_in_any_order_come_to_what_happened)
{
    enum { REMEMBER_MS = 1000 };
    static struct image image;
    uint64_t seed = test_seed(4);
    for (int round = 0; round < 20; round++) {
        struct nilai_erased *lived = nilai_erased_create(REMEMBER_MS, 1000, 7);
        struct nilai_erased *loaded = nilai_erased_create(REMEMBER_MS, 1000, next_random(&seed));
        int64_t clock_ms = 0;
        image.count = 0;
        erase_randomly(lived, &clock_ms, 500, &seed);
        add_image(lived, clock_ms, &image);
        uint32_t first = image.count;
        erase_randomly(lived, &clock_ms, 200, &seed);
        uint64_t again_seed = seed;
        int64_t again_ms = clock_ms;
        erase_randomly(lived, &clock_ms, 300, &seed);
        add_image(lived, clock_ms, &image);
        CHECK(first > 100 && image.count > first + 100);

        load_shuffled(loaded, &image, again_ms, &seed);
        erase_randomly(loaded, &again_ms, 300, &again_seed);
        CHECK_EQ(again_ms, clock_ms);
        check_same(lived, loaded, clock_ms);
        nilai_erased_destroy(lived);
        nilai_erased_destroy(loaded);
    }
}

/* Goal: what expired is not saved and not loaded; what never was is refused; who is known takes
 * no further place. */
TEST(entries_are_loaded_within_limits)
{
    static struct image image;
    char text[16];
    struct nilai_erased *erased = nilai_erased_create(1000, 2, 7);
    struct nilai_hash_wide hash = nilai_hash_wide("c0", 2);
    CHECK_EQ(nilai_erased_load(erased, hash, -1, 5, 10), NILAI_INVALID);
    CHECK_EQ(nilai_erased_load(erased, hash, 6, 5, 10), NILAI_INVALID);
    CHECK_EQ(nilai_erased_load(erased, hash, 5, INT64_MAX, 10), NILAI_INVALID);
    CHECK_EQ(nilai_erased_load(erased, hash, 5, 10, 1010), NILAI_OK);
    CHECK_EQ(nilai_erased_count(erased), 0);
    CHECK_EQ(nilai_erased_load(erased, hash, 5, 10, 1009), NILAI_OK);
    CHECK_EQ(nilai_erased_load(erased, hash, 4, 10, 1009), NILAI_OK);
    CHECK(nilai_erased_covers(erased, name_of(text, 0), 5, 1009));
    CHECK(!nilai_erased_covers(erased, name_of(text, 0), 6, 1009));
    CHECK_EQ(nilai_erased_add(erased, name_of(text, 1), 11, 11), NILAI_OK);
    CHECK_EQ(nilai_erased_load(erased, nilai_hash_wide("c2", 2), 5, 12, 1009), NILAI_FULL);
    CHECK_EQ(nilai_erased_load(erased, hash, 3, 12, 1009), NILAI_OK);
    CHECK(!nilai_erased_covers(erased, name_of(text, 0), 4, 1009));
    CHECK_EQ(nilai_erased_count(erased), 2);

    image.count = 0;
    add_image(erased, 1011, &image);
    CHECK_EQ(image.count, 1);
    CHECK_EQ(image.entries[0].ts_ms, 3);
    CHECK_EQ(image.entries[0].clock_ms, 12);
    nilai_erased_destroy(erased);
}
