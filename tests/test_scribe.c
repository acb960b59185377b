#include "nilai/run/scribe.h"

#include "journals.h"

static struct nilai_model model;

static struct nilai_partition *fresh(void)
{
    nilai_model_defaults(&model);
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    const struct nilai_partition_options options = journal_state(&model);
    struct nilai_partition *partition = nilai_partition_create(&options);
    CHECK(partition != NULL);
    return partition;
}

/* What one record is, and if it is a part, what is in it. */
struct seen {
    enum nilai_journal_kind kind;
    struct nilai_part_head head;
    int turns, marks;
    bool closes;
    uint64_t floor, turn; /* turn: of an image */
};

static struct seen look(const struct journal *journal, int64_t offset)
{
    const struct journal_record *record = &journal->records[offset];
    struct nilai_journal_head head;
    struct nilai_wire body;
    struct seen seen = {.turns = 0};
    CHECK(record->size <= NILAI_JOURNAL_SIZE_MAX);
    CHECK_EQ(nilai_journal_open(record->data, record->size, &head, &body, NULL), NILAI_OK);
    seen.kind = head.kind;
    if (head.kind == NILAI_JOURNAL_PART) {
        struct nilai_part_reader reader;
        struct nilai_part_item item;
        CHECK_EQ(nilai_part_open(&reader, body), NILAI_OK);
        seen.head = reader.head;
        do {
            CHECK_EQ(nilai_part_next(&reader, &item), NILAI_OK);
            seen.turns += item.kind == NILAI_ITEM_TURN;
            seen.marks += item.kind == NILAI_ITEM_MARK || item.kind == NILAI_ITEM_ERASED;
        } while (item.kind != NILAI_ITEM_CLOSE && item.kind != NILAI_ITEM_MORE);
        seen.closes = item.kind == NILAI_ITEM_CLOSE;
        seen.floor = item.floor;
        return seen;
    }
    struct nilai_image image;
    if (head.kind == NILAI_JOURNAL_CUSTOMERS)
        CHECK_EQ(nilai_image_open_customers(&image, body), NILAI_OK);
    else
        CHECK_EQ(nilai_image_open_erasures(&image, body), NILAI_OK);
    seen.turn = image.turn;
    return seen;
}

/* Days to write about, and who writes them into a log that does not say yet where it ends: so there
 * are no images. */
struct scene {
    struct history *history;
    struct journal journal;
    struct desk desk;
    uint64_t patience;
};

static void scene_open(struct scene *scene, uint64_t seed)
{
    scene->history = make_history(test_seed(seed));
    scene->patience = 1;
    journal_init(&scene->journal);
    scene->journal.answers = false;
    desk_open(&scene->desk, &scene->journal, scene->history, fresh(), NULL, 77, &scene->patience);
}

static void scene_close(struct scene *scene)
{
    desk_close(&scene->desk);
    journal_fini(&scene->journal);
    free(scene->history);
}

/* Turns, ticks and commits as `seed` says. */
static void write_days(struct journal *journal, const struct history *history, uint64_t seed,
                       bool stingy)
{
    struct desk desk;
    uint64_t patience = 1;
    int64_t now_ms = 0;
    journal_init(journal);
    desk_open(&desk, journal, history, fresh(), NULL, 77, &patience);
    desk.stingy = stingy;
    if (stingy)
        journal->credit = 0;
    for (int step = 0; step < 200; step++) {
        now_ms += 20;
        bool tick = next_random(&seed) % 4 == 0;
        int64_t ahead_ms = (int64_t)(next_random(&seed) % 3) * NILAI_DAY_MS;
        desk_turn(&desk, tick ? 0 : 1 + (int64_t)(next_random(&seed) % 50),
                  tick ? desk.reached.clock_ms + ahead_ms : -1);
        if (next_random(&seed) % 3 == 0) {
            desk_put_commit(&desk, now_ms);
            nilai_scribe_commit_held(desk.scribe);
        }
    }
    desk_close(&desk);
}

/* Goal: a sink that is full anywhere changes nothing about what is written.
 * Method: the same days with all the room there is, and with room for none to two records at a
 * time. */
TEST(a_full_sink_changes_no_record)
{
    struct history *history = make_history(test_seed(41));
    for (uint64_t seed = 1; seed < 6; seed++) {
        struct journal generous, stingy;
        write_days(&generous, history, seed, false);
        write_days(&stingy, history, seed, true);
        CHECK(generous.count > 300 && generous.first > 0);
        CHECK(stingy.count == generous.count && stingy.first == generous.first);
        for (int64_t at = generous.first; at < generous.count; at++) {
            const struct journal_record *a = &generous.records[at], *b = &stingy.records[at];
            CHECK(a->size == b->size && memcmp(a->data, b->data, a->size) == 0);
        }
        journal_fini(&generous);
        journal_fini(&stingy);
    }
    free(history);
}

/* Goal: rows of turns in which only the clock moved are one turn, written when something follows or
 * a commit is put; a turn with events is one by itself. */
TEST(quiet_turns_are_written_as_one)
{
    struct scene scene;
    scene_open(&scene, 42);
    for (int tick = 1; tick <= 10; tick++)
        desk_turn(&scene.desk, 0, TEST_START_MS - 1000 + tick);
    CHECK_EQ(nilai_scribe_last_turn(scene.desk.scribe), 2);
    CHECK_EQ(nilai_scribe_next_turn(scene.desk.scribe), 3);
    desk_turn(&scene.desk, 5, -1);
    CHECK_EQ(nilai_scribe_last_turn(scene.desk.scribe), 3);
    desk_put_commit(&scene.desk, 0);
    for (int tick = 1; tick <= 10; tick++)
        desk_turn(&scene.desk, 0, scene.desk.reached.clock_ms + 1);
    desk_put_commit(&scene.desk, 0);
    desk_put_commit(&scene.desk, 0);
    CHECK_EQ(scene.journal.count, 3);
    CHECK(look(&scene.journal, 0).turns == 2 && look(&scene.journal, 0).closes);
    CHECK(look(&scene.journal, 1).turns == 1 && look(&scene.journal, 1).head.first == 4);
    CHECK(look(&scene.journal, 2).turns == 0 && look(&scene.journal, 2).head.first == 5);
    scene_close(&scene);
}

/* Goal: a commit that is longer than a record goes in parts, of which only the last one closes it,
 * whatever is the mark that fills a part and whatever comes after it: the end of the turn, or a
 * quiet turn and then another mark. Method: marks by the ten thousand, in turns of every length. */
TEST(a_long_commit_goes_in_parts)
{
    for (int length = 1; length < 40; length += 3) {
        struct journal journal;
        struct desk desk;
        uint64_t seed = 1;
        struct nilai_effect effect = {.change = {.seq = 1, .to = {1, 1, 1, 0}}};
        int marks = 0, turns = 0, seen_marks = 0, seen_turns = 0;
        journal_init(&journal);
        desk_open(&desk, &journal, NULL, fresh(), NULL, 77, &seed);
        effect.customer_size = (uint8_t)(20 + length);
        for (int turn = 0; turn < 30000 / length; turn++) {
            for (int mark = 0; mark < length; mark++, marks++) {
                CHECK_EQ(nilai_scribe_make_room(desk.scribe, &journal.sink), NILAI_OK);
                nilai_scribe_mark(desk.scribe, &effect);
            }
            desk.reached.offsets[0]++;
            nilai_scribe_turn(desk.scribe, &desk.reached, 0);
            desk.reached.clock_ms++;
            nilai_scribe_turn(desk.scribe, &desk.reached, 0); /* a quiet one */
            turns += 2;
        }
        desk_put_commit(&desk, 0);
        int64_t parts = 0;
        for (; parts < journal.count && look(&journal, parts).kind == NILAI_JOURNAL_PART; parts++) {
            struct seen seen = look(&journal, parts);
            CHECK_EQ(seen.head.index, parts);
            seen_marks += seen.marks;
            seen_turns += seen.turns;
            CHECK_EQ(seen.closes, seen_turns == turns);
        }
        CHECK(parts > 1 && seen_marks == marks && seen_turns == turns);
        desk_close(&desk);
        journal_fini(&journal);
    }
}

/* Goal: the head of the log goes only when a commit holds that says so: its floor was written after
 * the images that lift it. Method: one round, step by step. */
TEST(the_head_goes_after_a_floor_that_knows_of_the_images)
{
    struct scene scene;
    scene_open(&scene, 43);
    desk_turn(&scene.desk, 500, -1);
    desk_turn(&scene.desk, 500, -1);
    desk_put_commit(&scene.desk, 0);
    nilai_scribe_commit_held(scene.desk.scribe);
    CHECK_EQ(scene.journal.count, 1); /* no round before the log has said where it ends */
    CHECK(scene.journal.asked);
    scene.journal.answers = true;
    for (int64_t now_ms = 0; scene.journal.trimmed == 0 && now_ms < 3000; now_ms += 100) {
        int64_t before = scene.journal.count;
        if (!nilai_scribe_is_due(scene.desk.scribe, now_ms))
            continue;
        desk_put_commit(&scene.desk, now_ms);
        struct seen close = look(&scene.journal, before);
        CHECK(close.closes);
        CHECK_EQ(scene.journal.trimmed, 0);
        nilai_scribe_commit_held(scene.desk.scribe);
        CHECK_EQ(scene.journal.trimmed > 0, close.floor > 0);
        for (int64_t at = before + 1; at < scene.journal.count; at++)
            CHECK_EQ(look(&scene.journal, at).turn, nilai_scribe_last_turn(scene.desk.scribe));
    }
    CHECK_EQ(scene.journal.trimmed, 1); /* where it ended when the round began */
    CHECK(!nilai_scribe_is_due(scene.desk.scribe, 1000000)); /* and then there is quiet */
    CHECK(nilai_scribe_take_bytes(scene.desk.scribe) > 0);
    CHECK_EQ(nilai_scribe_take_bytes(scene.desk.scribe), 0);
    scene_close(&scene);
}

/* Goal: what goes with the head of the log is no part whose commit has images of the round: those
 * would be nobody's.
 * Method: the log says where it ends amid a commit, after its last part. */
TEST(no_round_begins_amid_a_commit)
{
    struct scene scene;
    scene_open(&scene, 45);
    desk_turn(&scene.desk, 500, -1);
    CHECK(!nilai_scribe_is_due(scene.desk.scribe, 0));
    CHECK(scene.journal.asked);
    CHECK_EQ(nilai_scribe_put_part(scene.desk.scribe, &scene.journal.sink), NILAI_OK);
    CHECK_EQ(scene.journal.count, 1);
    scene.journal.answers = true;
    CHECK(!nilai_scribe_is_due(scene.desk.scribe, 0));
    desk_put_commit(&scene.desk, 0);
    nilai_scribe_commit_held(scene.desk.scribe);
    CHECK_EQ(scene.journal.count, 1);

    CHECK(nilai_scribe_is_due(scene.desk.scribe, 0));
    desk_put_commit(&scene.desk, 0);
    nilai_scribe_commit_held(scene.desk.scribe);
    CHECK(look(&scene.journal, 1).closes);
    CHECK(scene.journal.count > 2 && look(&scene.journal, 2).kind == NILAI_JOURNAL_CUSTOMERS);
    for (int64_t now_ms = 0; scene.journal.trimmed == 0; now_ms += 100) {
        CHECK(now_ms < 3000);
        desk_put_commit(&scene.desk, now_ms);
        nilai_scribe_commit_held(scene.desk.scribe);
    }
    CHECK_EQ(scene.journal.trimmed, 1);
    scene_close(&scene);
}

/* Goal: a topic whose beginning becomes known later moves without a turn of its events. */
TEST(a_beginning_that_becomes_known_is_a_turn_of_its_own)
{
    struct scene scene;
    scene_open(&scene, 44);
    nilai_scribe_move(scene.desk.scribe, 0, 40);
    scene.desk.reached.offsets[0] = 40;
    desk_turn(&scene.desk, 3, -1);
    desk_put_commit(&scene.desk, 0);
    CHECK_EQ(look(&scene.journal, 0).turns, 2);
    scene_close(&scene);
}
