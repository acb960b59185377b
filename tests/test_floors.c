#include "nilai/state/floors.h"
#include "test.h"

enum { CHUNKS = 300, STEPS = 60000 };

/* The plain model: every floor by itself, and a look at all of them. */
struct model {
    uint64_t chunks[CHUNKS], erasures[NILAI_ERASED_BUCKETS];
};

static uint64_t lowest(const struct model *model)
{
    uint64_t low = UINT64_MAX;
    for (int at = 0; at < CHUNKS; at++)
        low = model->chunks[at] < low ? model->chunks[at] : low;
    for (int at = 0; at < NILAI_ERASED_BUCKETS; at++)
        low = model->erasures[at] < low ? model->erasures[at] : low;
    return low;
}

static void create(struct model *model, struct nilai_floors *floors, uint32_t chunk, uint64_t turn)
{
    if (turn - 1 < model->chunks[chunk])
        model->chunks[chunk] = turn - 1;
    CHECK_EQ(nilai_floors_created(floors, chunk, turn), NILAI_OK);
}

static void image(struct model *model, struct nilai_floors *floors, uint32_t chunk, uint64_t turn)
{
    model->chunks[chunk] = turn;
    CHECK_EQ(nilai_floors_imaged(floors, chunk, turn), NILAI_OK);
}

/* Goal: the floor is the lowest of all chunks and buckets: an image lifts one, a customer created
 * later lowers it to the turn before at most, and a chunk that never held anybody does not count.
 * Method: random images and creations, as a partition makes them, against a look at everything. */
TEST(the_floor_is_the_lowest_of_a_plain_model)
{
    static struct model model;
    struct nilai_floors floors;
    uint64_t seed = test_seed(3), turn = 1, moved = 0, before = 0;
    nilai_floors_init(&floors);
    memset(model.chunks, 0xff, sizeof model.chunks);
    CHECK_EQ(nilai_floors_lowest(&floors), 0);
    for (int step = 0; step < STEPS; step++) {
        uint32_t reach = 1 + (uint32_t)(step * (CHUNKS - 1) / STEPS);
        uint32_t chunk = (uint32_t)(next_random(&seed) % reach);
        uint64_t dice = next_random(&seed) % 8;
        turn += next_random(&seed) % 3;
        if (dice < 3) {
            image(&model, &floors, chunk, turn);
        } else if (dice < 5) {
            create(&model, &floors, chunk, turn);
        } else {
            uint32_t bucket = (uint32_t)(next_random(&seed) % NILAI_ERASED_BUCKETS);
            model.erasures[bucket] = turn;
            nilai_floors_imaged_erasures(&floors, bucket, turn);
        }
        CHECK(nilai_floors_lowest(&floors) == lowest(&model));
        moved += nilai_floors_lowest(&floors) != before;
        before = nilai_floors_lowest(&floors);
    }
    CHECK(moved > 100);
    nilai_floors_fini(&floors);
}

/* Goal: chunks without anybody, below one that has somebody, hold nothing back; an image puts a
 * floor to its turn even where that is lower. */
TEST(only_what_there_was_counts)
{
    struct nilai_floors floors;
    nilai_floors_init(&floors);
    for (uint32_t bucket = 0; bucket < NILAI_ERASED_BUCKETS; bucket++)
        nilai_floors_imaged_erasures(&floors, bucket, 1000);
    CHECK_EQ(nilai_floors_lowest(&floors), 1000);
    CHECK_EQ(nilai_floors_created(&floors, 200, 501), NILAI_OK);
    CHECK_EQ(floors.chunk_count, 201);
    CHECK_EQ(nilai_floors_lowest(&floors), 500);
    CHECK_EQ(nilai_floors_imaged(&floors, 200, 700), NILAI_OK);
    CHECK_EQ(nilai_floors_created(&floors, 200, 900), NILAI_OK);
    CHECK_EQ(nilai_floors_lowest(&floors), 700);
    CHECK_EQ(nilai_floors_imaged(&floors, 200, 600), NILAI_OK);
    CHECK_EQ(nilai_floors_lowest(&floors), 600);
    nilai_floors_fini(&floors);
}
