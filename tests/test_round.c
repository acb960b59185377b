#include "nilai/state/round.h"
#include "test.h"

enum { CHUNKS_MAX = 400, MAX_MS = 600000 };

/* What a round has written, seen from outside. */
struct watch {
    bool chunks[CHUNKS_MAX], buckets[NILAI_ERASED_BUCKETS];
    uint32_t chunks_before; /* that there were when it began */
    uint64_t written_bytes;
};

static void begin(struct nilai_round *round, const struct nilai_floors *floors, struct watch *watch,
                  int64_t now_ms)
{
    *watch = (struct watch){.chunks_before = floors->chunk_count,
                            .written_bytes = watch->written_bytes};
    nilai_round_begin(round, 17, now_ms);
}

/* Writes the image that is due; true: the round is complete. */
static bool write_one(struct nilai_round *round, const struct nilai_floors *floors,
                      struct watch *watch, uint64_t bytes)
{
    struct nilai_round_image image = nilai_round_image(round, floors);
    CHECK(image.part < (image.customers ? floors->chunk_count : (uint32_t)NILAI_ERASED_BUCKETS));
    (image.customers ? watch->chunks : watch->buckets)[image.part] = true;
    watch->written_bytes += bytes;
    return nilai_round_wrote(round, floors, bytes);
}

static void check_complete(const struct watch *watch)
{
    for (uint32_t chunk = 0; chunk < watch->chunks_before; chunk++)
        CHECK(watch->chunks[chunk]);
    for (uint32_t bucket = 0; bucket < NILAI_ERASED_BUCKETS; bucket++)
        CHECK(watch->buckets[bucket]);
}

static void have_chunks(struct nilai_floors *floors, uint32_t count)
{
    if (count > 0)
        CHECK_EQ(nilai_floors_created(floors, count - 1, 5), NILAI_OK);
}

/* Goal: a round writes everything that was there when it began, however the table grows meanwhile,
 * within its time, and another one begins only after something has happened.
 * Method: rounds at random speeds, looked at as seldom as once for all. */
TEST(a_round_writes_everything_within_its_time)
{
    uint64_t seed = test_seed(5);
    for (int times = 0; times < 300; times++) {
        struct nilai_round round;
        struct nilai_floors floors;
        struct watch watch = {.written_bytes = 0};
        int64_t now_ms = 1000000;
        nilai_floors_init(&floors);
        have_chunks(&floors, (uint32_t)(next_random(&seed) % 100));
        nilai_round_init(&round, 0.5, MAX_MS);
        CHECK(!nilai_round_wants_mark(&round) && !nilai_round_is_due(&round, &floors, now_ms));
        nilai_round_owe(&round, 0);
        CHECK(nilai_round_wants_mark(&round));
        begin(&round, &floors, &watch, now_ms);
        CHECK(!nilai_round_wants_mark(&round));
        bool done = false, touched = next_random(&seed) % 2;
        while (!done) {
            CHECK(now_ms < 1000000 + MAX_MS);
            now_ms += (int64_t)(next_random(&seed) % (MAX_MS / 2));
            now_ms = now_ms > 1000000 + MAX_MS ? 1000000 + MAX_MS : now_ms;
            if (touched)
                nilai_round_owe(&round, next_random(&seed) % 1000);
            while (!done && nilai_round_is_due(&round, &floors, now_ms)) {
                done = write_one(&round, &floors, &watch, next_random(&seed) % 3000);
                if (next_random(&seed) % 16 == 0 && floors.chunk_count < CHUNKS_MAX)
                    have_chunks(&floors, floors.chunk_count + 1);
            }
        }
        check_complete(&watch);
        CHECK_EQ(nilai_round_wants_mark(&round), touched);
        CHECK(!nilai_round_is_due(&round, &floors, now_ms + 100 * (int64_t)MAX_MS));
        nilai_floors_fini(&floors);
    }
}

/* Goal: with little input the images are spread over the time, not written at once.
 * Method: at each tenth of it, at most that part is due. */
TEST(a_quiet_round_takes_its_time)
{
    struct nilai_round round;
    struct nilai_floors floors;
    struct watch watch = {.written_bytes = 0};
    uint32_t written = 0;
    nilai_floors_init(&floors);
    have_chunks(&floors, 36); /* 100 images */
    nilai_round_init(&round, 0.5, MAX_MS);
    nilai_round_owe(&round, 0);
    begin(&round, &floors, &watch, 0);
    for (int tenth = 0; tenth <= 10; tenth++) {
        while (nilai_round_is_due(&round, &floors, tenth * (MAX_MS / 10))) {
            (void)write_one(&round, &floors, &watch, 1000);
            written++;
        }
        CHECK_EQ(written, 10 * tenth);
    }
    CHECK(!round.running);
    nilai_floors_fini(&floors);
}

/* Goal: while there is input, `ratio` bytes of image are written for each byte of it, one image
 * more or less, whatever the sizes of both; and what cannot be kept up with is forgiven beyond a
 * bound.
 * Method: an hour in which no time passes. */
TEST(images_follow_the_input)
{
    struct nilai_floors floors;
    uint64_t seed = test_seed(6);
    nilai_floors_init(&floors);
    have_chunks(&floors, 50);
    for (int times = 0; times < 20; times++) {
        struct nilai_round round;
        struct watch watch = {.written_bytes = 0};
        double ratio = 0.1 + 2 * next_uniform(&seed), owed = 0;
        uint64_t size_max = 1 + next_random(&seed) % 60000;
        nilai_round_init(&round, ratio, MAX_MS);
        for (int step = 0; step < 5000; step++) {
            uint64_t input = next_random(&seed) % 50000;
            nilai_round_owe(&round, input);
            owed += ratio * (double)input;
            while (nilai_round_wants_mark(&round) || nilai_round_is_due(&round, &floors, 0)) {
                if (!round.running)
                    begin(&round, &floors, &watch, 0);
                if (!nilai_round_is_due(&round, &floors, 0))
                    break;
                uint64_t bytes = next_random(&seed) % size_max;
                if (round.debt_bytes < (double)bytes)
                    owed += (double)bytes - round.debt_bytes; /* nobody gives credit */
                (void)write_one(&round, &floors, &watch, bytes);
            }
            CHECK(fabs(owed - (double)watch.written_bytes) < 1);
        }
    }
    struct nilai_round round;
    struct watch watch = {.written_bytes = 0};
    nilai_round_init(&round, 1, MAX_MS);
    nilai_round_owe(&round, UINT64_C(1) << 40);
    while (nilai_round_wants_mark(&round) || nilai_round_is_due(&round, &floors, 0)) {
        if (!round.running)
            nilai_round_owe(&round, 0), begin(&round, &floors, &watch, 0);
        while (nilai_round_is_due(&round, &floors, 0))
            (void)write_one(&round, &floors, &watch, 65536);
        if (round.running)
            break;
        nilai_round_owe(&round, 0);
    }
    CHECK_EQ(watch.written_bytes, NILAI_ROUND_DEBT_MAX);
    nilai_floors_fini(&floors);
}
