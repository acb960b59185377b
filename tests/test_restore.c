#include "nilai/state/restore.h"

#include "journals.h"

enum { TOPICS = 1 };

static struct nilai_model model;

static struct nilai_partition_options state_options(void)
{
    nilai_model_defaults(&model);
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    return journal_state(&model);
}

static struct nilai_partition *fresh(void)
{
    const struct nilai_partition_options options = state_options();
    struct nilai_partition *partition = nilai_partition_create(&options);
    CHECK(partition != NULL);
    return partition;
}

/* ---- logs made by hand ---- */

/* Somebody who writes turns, at offsets that are their numbers times ten. */
struct pen {
    struct journal *journal;
    struct nilai_part_writer parts;
};

static struct nilai_point point_after(uint64_t turn)
{
    return (struct nilai_point){.offsets = {(int64_t)turn * 10},
                                .clock_ms = TEST_START_MS + (int64_t)turn};
}

static struct pen pen_of(struct journal *journal, uint64_t writer, uint64_t parent, uint64_t after)
{
    struct pen pen = {.journal = journal};
    const struct nilai_journal_head head = {NILAI_JOURNAL_PART, DESK_INPUTS, writer};
    nilai_part_writer_init(&pen.parts, &head,
                           &(struct nilai_part_head){.parent = parent,
                                                     .settings = DESK_SETTINGS,
                                                     .first = after + 1,
                                                     .topic_count = TOPICS,
                                                     .before = point_after(after)});
    return pen;
}

static void pen_turn(struct pen *pen, int64_t beside)
{
    static const uint64_t still[NILAI_TURN_EVENTS_MAX / 64];
    struct nilai_point point = point_after(pen->parts.turn + 1);
    point.offsets[0] += beside;
    nilai_part_add_turn(&pen->parts, &point, still);
}

static void pen_mark(struct pen *pen, const char *customer, uint32_t seq)
{
    struct nilai_effect effect = {.change = {.seq = seq, .to = {1, 1, 1, 0}},
                                  .erased = seq == 0,
                                  .customer_size = (uint8_t)strlen(customer)};
    memcpy(effect.customer, customer, effect.customer_size);
    nilai_part_add_mark(&pen->parts, &effect);
}

static void pen_sent(struct pen *pen)
{
    journal_append(pen->journal, pen->parts.buffer.data, pen->parts.buffer.size);
    nilai_part_sent(&pen->parts);
}

static void pen_send(struct pen *pen)
{
    nilai_part_send(&pen->parts);
    pen_sent(pen);
}

static void pen_close(struct pen *pen, uint64_t floor)
{
    const struct nilai_point base = point_after(1);
    nilai_part_close(&pen->parts, floor, &base);
    pen_sent(pen);
}

/* A commit of so many turns, whose floor is its end. */
static void pen_commit(struct pen *pen, int turns)
{
    while (turns-- > 0)
        pen_turn(pen, 0);
    pen_close(pen, pen->parts.turn);
}

/* Likewise, before there are images: all turns are needed. */
static void pen_commit_early(struct pen *pen, int turns)
{
    while (turns-- > 0)
        pen_turn(pen, 0);
    pen_close(pen, 0);
}

static void pen_image(struct pen *pen, const struct nilai_partition *state, uint32_t chunk,
                      uint64_t turn)
{
    struct nilai_buffer record;
    nilai_buffer_init(&record, NILAI_JOURNAL_SIZE_MAX);
    nilai_image_write_customers(state, chunk, turn, DESK_INPUTS, pen->parts.head.writer, &record);
    journal_append(pen->journal, record.data, record.size);
    nilai_buffer_fini(&record);
}

static void pen_drop(struct pen *pen)
{
    nilai_part_writer_fini(&pen->parts);
}

/* ---- reading them ---- */

struct outcome {
    enum nilai_status status;
    struct nilai_restored result;
    int again; /* times that reading began again */
};

static struct nilai_restore *open_restore(struct nilai_partition *state, uint64_t committed)
{
    struct nilai_restore *restore = nilai_restore_create(&(struct nilai_restore_options){
        .state = state,
        .topic_count = TOPICS,
        .inputs = DESK_INPUTS,
        .settings = DESK_SETTINGS,
        .committed = committed,
    });
    CHECK(restore != NULL);
    return restore;
}

static enum nilai_status read_once(struct nilai_restore *restore, const struct journal *journal,
                                   struct nilai_error *error)
{
    enum nilai_status status = NILAI_OK;
    for (int64_t at = journal->first; at < journal->count && status == NILAI_OK; at++)
        status = nilai_restore_take(restore, journal->records[at].data, journal->records[at].size,
                                    error);
    return status == NILAI_OK ? nilai_restore_finish(restore, error) : status;
}

static struct outcome read_log(const struct journal *journal, uint64_t committed)
{
    struct outcome outcome = {.status = NILAI_OK};
    struct nilai_error error = {0};
    struct nilai_partition *state = fresh();
    struct nilai_restore *restore = open_restore(state, committed);
    while ((outcome.status = read_once(restore, journal, &error)) == NILAI_AGAIN) {
        CHECK(++outcome.again < 10);
        nilai_partition_destroy(state);
        state = fresh();
        nilai_restore_begin_again(restore, state);
    }
    CHECK((outcome.status == NILAI_OK) == (error.text[0] == '\0'));
    outcome.result = *nilai_restore_result(restore);
    nilai_restore_destroy(restore);
    nilai_partition_destroy(state);
    return outcome;
}

static void check_end(const struct journal *journal, uint64_t committed, uint64_t writer,
                      uint64_t turn, int again)
{
    struct outcome outcome = read_log(journal, committed);
    CHECK_EQ(outcome.status, NILAI_OK);
    CHECK(outcome.result.found);
    CHECK_EQ(outcome.result.writer, writer);
    CHECK_EQ(outcome.result.turn, turn);
    CHECK_EQ(outcome.result.end.offsets[0], point_after(turn).offsets[0]);
    CHECK_EQ(outcome.again, again);
}

enum { A = 101, B = 102, C = 103 };

/* Goal: one writer after the other is one history. */
TEST(writers_follow_each_other)
{
    struct journal journal;
    journal_init(&journal);
    struct outcome outcome = read_log(&journal, 0);
    CHECK(outcome.status == NILAI_OK && !outcome.result.found);
    struct pen a = pen_of(&journal, A, 0, 1), b = pen_of(&journal, B, A, 4);
    pen_commit(&a, 2);
    check_end(&journal, A, A, 3, 0);
    pen_commit(&a, 1);
    pen_commit(&b, 2);
    pen_commit(&b, 0);
    check_end(&journal, 0, B, 6, 0);
    check_end(&journal, A, B, 6, 0);
    check_end(&journal, B, B, 6, 0);
    check_end(&journal, 4711, B, 6, 0); /* of whom nothing is left */
    pen_drop(&a), pen_drop(&b);
    journal_fini(&journal);
}

/* Goal: what somebody writes after he was followed does not count, wherever it lies. */
TEST(the_tail_of_who_was_replaced_is_ignored)
{
    struct journal after, before, amid;
    journal_init(&after), journal_init(&before), journal_init(&amid);
    struct journal *logs[] = {&after, &before, &amid};
    for (int which = 0; which < 3; which++) {
        struct pen a = pen_of(logs[which], A, 0, 1), b = pen_of(logs[which], B, A, 3);
        pen_commit(&a, 2);
        if (which > 0) { /* B has read up to here */
            pen_turn(&a, 5);
            pen_close(&a, 3);
        }
        if (which == 2)
            pen_turn(&a, 0), pen_send(&a);
        pen_commit(&b, 1);
        pen_turn(&a, 1);
        pen_mark(&a, "x", 9);
        pen_close(&a, 3);
        check_end(logs[which], 0, B, 4, which > 0);
        check_end(logs[which], A, B, 4, which > 0);
        pen_commit(&b, 1);
        check_end(logs[which], B, B, 5, which > 0);
        pen_drop(&a), pen_drop(&b);
        journal_fini(logs[which]);
    }
}

/* Goal: where the head of a log was deleted, what is left of a parent may all be from after it was
 * replaced, and end by chance with the number that its child goes on from. It does not count. */
TEST(what_comes_too_late_is_no_parent)
{
    struct journal journal;
    journal_init(&journal);
    struct pen a = pen_of(&journal, A, 0, 1), b = pen_of(&journal, B, A, 3);
    pen_commit(&a, 2);
    pen_commit(&b, 1);
    pen_turn(&a, 5);
    pen_close(&a, 0);
    pen_turn(&b, 0);
    pen_close(&b, 4);
    check_end(&journal, B, B, 5, 0);
    journal_trim(&journal.log, 0, 2); /* what B began with is gone */
    check_end(&journal, B, B, 5, 1);
    check_end(&journal, 0, B, 5, 1);
    pen_drop(&a), pen_drop(&b);
    journal_fini(&journal);
}

/* Goal: of two children of one parent the one counts that the committed position names, or who went
 * on from it; what the other wrote is cut off. */
TEST(of_two_children_the_committed_one_counts)
{
    struct journal journal;
    journal_init(&journal);
    struct pen a = pen_of(&journal, A, 0, 1), b = pen_of(&journal, B, A, 3);
    struct pen c = pen_of(&journal, C, A, 3), d = pen_of(&journal, 104, C, 5);
    pen_commit(&a, 2);
    pen_commit(&b, 1);
    pen_commit(&c, 2);
    check_end(&journal, 0, B, 4, 0);
    check_end(&journal, A, B, 4, 0);
    check_end(&journal, B, B, 4, 0);
    check_end(&journal, C, C, 5, 1);
    pen_commit(&b, 1);
    pen_commit(&d, 1);
    check_end(&journal, C, 104, 6, 1);
    check_end(&journal, 104, 104, 6, 1);
    check_end(&journal, B, B, 5, 0);
    pen_drop(&a), pen_drop(&b), pen_drop(&c), pen_drop(&d);
    journal_fini(&journal);
}

/* Goal: what a parent wrote counts again when the child for whose sake it was cut off does not
 * count: another one, the committed, went on from it. */
TEST(what_was_cut_off_for_nobody_counts_again)
{
    struct journal journal;
    journal_init(&journal);
    struct pen a = pen_of(&journal, A, 0, 1), b = pen_of(&journal, B, A, 3);
    struct pen c = pen_of(&journal, C, A, 5), d = pen_of(&journal, 104, B, 4);
    pen_commit_early(&a, 2);
    pen_commit_early(&a, 2); /* B has not read it, C has */
    pen_commit_early(&b, 1);
    pen_commit_early(&c, 1);
    check_end(&journal, 0, B, 4, 1);
    check_end(&journal, B, B, 4, 1);
    check_end(&journal, C, C, 6, 2);
    pen_commit_early(&b, 1); /* nor has D read this */
    pen_commit_early(&d, 1);
    check_end(&journal, 104, 104, 5, 2);
    check_end(&journal, C, C, 6, 3);
    pen_drop(&a), pen_drop(&b), pen_drop(&c), pen_drop(&d);
    journal_fini(&journal);
}

/* Goal: whoever has not read the last images of his parent needs turns that the parent does not,
 * and gets them, unless somebody else counts. */
TEST(what_a_child_needs_is_kept)
{
    struct journal journal;
    journal_init(&journal);
    struct pen a = pen_of(&journal, A, 0, 1), b = pen_of(&journal, B, A, 3);
    struct pen c = pen_of(&journal, C, A, 3);
    pen_commit_early(&a, 2);
    pen_commit(&a, 0); /* C has read it, B has not */
    pen_commit_early(&b, 1);
    pen_turn(&c, 0);
    pen_close(&c, 3);
    check_end(&journal, 0, B, 4, 1);
    check_end(&journal, A, B, 4, 1);
    CHECK_EQ(read_log(&journal, B).result.turns, 3);
    check_end(&journal, C, C, 4, 2);
    CHECK_EQ(read_log(&journal, C).result.turns, 1);
    pen_drop(&a), pen_drop(&b), pen_drop(&c);
    journal_fini(&journal);
}

/* Goal: two who begin a log at once are children of nobody, and told apart likewise. */
TEST(of_two_who_begin_the_committed_one_counts)
{
    struct journal journal;
    journal_init(&journal);
    struct pen a = pen_of(&journal, A, 0, 1), b = pen_of(&journal, B, 0, 1);
    pen_commit(&a, 1);
    pen_commit(&b, 2);
    check_end(&journal, 0, A, 2, 0);
    check_end(&journal, B, B, 3, 1);
    pen_drop(&a), pen_drop(&b);
    journal_fini(&journal);
}

/* Goal: a commit that nothing closes never was, and its successor goes on from before it. */
TEST(a_torn_commit_never_was)
{
    struct journal journal;
    journal_init(&journal);
    struct pen a = pen_of(&journal, A, 0, 1), b = pen_of(&journal, B, A, 2);
    pen_mark(&a, "x", 1);
    pen_send(&a);
    struct outcome outcome = read_log(&journal, 0);
    CHECK(outcome.status == NILAI_OK && !outcome.result.found);
    pen_commit(&a, 1);
    pen_turn(&a, 0);
    pen_mark(&a, "x", 2);
    pen_send(&a);
    pen_turn(&a, 0);
    pen_send(&a);
    check_end(&journal, A, A, 2, 0);
    pen_commit(&b, 1);
    check_end(&journal, A, B, 3, 0);
    pen_drop(&a), pen_drop(&b);
    journal_fini(&journal);
}

/* Goal: where the head was deleted amid a commit, the rest of it is the beginning. */
TEST(the_head_may_be_cut_amid_a_commit)
{
    struct journal journal;
    journal_init(&journal);
    struct nilai_partition *state = fresh();
    struct pen a = pen_of(&journal, A, 0, 1);
    pen_mark(&a, "x", 1);
    pen_send(&a);
    pen_turn(&a, 0);
    pen_mark(&a, "x", 2);
    pen_send(&a);
    pen_commit(&a, 2);
    pen_image(&a, state, 0, 4);
    pen_commit(&a, 1);
    for (int64_t first = 0; first < 5; first++) {
        journal_trim(&journal.log, 0, first);
        check_end(&journal, A, A, 5, 0);
    }
    journal_trim(&journal.log, 0, 5);
    CHECK(!read_log(&journal, A).result.found);
    pen_drop(&a);
    nilai_partition_destroy(state);
    journal_fini(&journal);
}

static void check_refused(struct journal *journal, enum nilai_status status)
{
    struct outcome outcome = read_log(journal, 0);
    CHECK_EQ(outcome.status, status);
    journal_fini(journal);
}

/* Goal: a log with a hole, or one that contradicts itself, is refused and never half believed. */
TEST(holes_and_contradictions_are_refused)
{
    struct journal journal;
    struct pen a;
    journal_init(&journal); /* a turn is missing */
    a = pen_of(&journal, A, 0, 1);
    pen_commit(&a, 1), pen_commit(&a, 1), pen_commit(&a, 1);
    free(journal.records[1].data);
    journal.records[1] = journal.records[--journal.count];
    pen_drop(&a);
    check_refused(&journal, NILAI_INVALID);

    journal_init(&journal); /* a part of a commit is missing */
    a = pen_of(&journal, A, 0, 1);
    pen_turn(&a, 0), pen_send(&a);
    a.parts.part.index = 2;
    pen_commit(&a, 1);
    pen_drop(&a);
    check_refused(&journal, NILAI_INVALID);

    journal_init(&journal); /* offsets do not go on where they were */
    a = pen_of(&journal, A, 0, 1);
    pen_commit(&a, 1);
    a.parts.part.before.offsets[0]++;
    pen_commit(&a, 1);
    pen_drop(&a);
    check_refused(&journal, NILAI_INVALID);

    journal_init(&journal); /* the floor goes back */
    a = pen_of(&journal, A, 0, 1);
    pen_turn(&a, 0), pen_turn(&a, 0), pen_close(&a, 3);
    pen_turn(&a, 0), pen_close(&a, 2);
    pen_drop(&a);
    check_refused(&journal, NILAI_INVALID);

    journal_init(&journal); /* the floor lies ahead */
    a = pen_of(&journal, A, 0, 1);
    pen_turn(&a, 0), pen_close(&a, 3);
    pen_drop(&a);
    check_refused(&journal, NILAI_INVALID);

    journal_init(&journal); /* the floor is older than the head */
    a = pen_of(&journal, A, 0, 5);
    pen_turn(&a, 0), pen_close(&a, 4);
    pen_drop(&a);
    check_refused(&journal, NILAI_INVALID);
}

/* Goal: an image is of its commit's last turn, of a chunk that can be, and of somebody who counts;
 * else it is refused, or no matter. */
TEST(images_belong_to_their_commit)
{
    struct nilai_partition *state = fresh();
    struct journal journal;
    static const struct {
        uint64_t turn;
        uint32_t chunk;
        enum nilai_status status;
    } cases[] = {
        {3, 0, NILAI_OK}, {2, 0, NILAI_INVALID}, {4, 0, NILAI_INVALID}, {3, 100, NILAI_OK},
        {3, 1 << 20, NILAI_FULL}, {3, UINT32_MAX / 256, NILAI_FULL},
    };
    for (size_t index = 0; index < NILAI_ARRAY_LEN(cases); index++) {
        journal_init(&journal);
        struct pen a = pen_of(&journal, A, 0, 1), b = pen_of(&journal, B, 0, 1);
        pen_image(&a, state, 0, 99); /* at the head: of a commit that is gone */
        pen_commit(&a, 2);
        pen_image(&b, state, 0, 99); /* of nobody who counts */
        pen_image(&a, state, cases[index].chunk, cases[index].turn);
        pen_drop(&a), pen_drop(&b);
        check_refused(&journal, cases[index].status);
    }
    nilai_partition_destroy(state);
}

/* Somebody's first purchase. */
static void let_buy_in(struct nilai_partition *state, const char *name, uint64_t number,
                       const struct nilai_again *again)
{
    static struct nilai_effects effects;
    const struct nilai_event event = {.type = NILAI_PURCHASE,
                                      .id = text_of("id"),
                                      .customer = text_of(name),
                                      .ts_ms = TEST_START_MS,
                                      .purchase = {.amount = 10000}};
    const struct nilai_event *list[] = {&event};
    bool done = false;
    nilai_partition_begin(state, &(struct nilai_turn){
        .events = list, .count = 1, .clock_ms = -1, .number = number, .again = again});
    while (!done)
        CHECK_EQ(nilai_partition_step(state, &effects, &done), NILAI_OK);
}

static void let_buy(struct nilai_partition *state, const char *name)
{
    let_buy_in(state, name, 2, NULL);
}

/* Goal: of two images that hold one customer, who was erased and came back under another number,
 * the newer counts, and of two of one chunk the newer one alone. */
TEST(the_newer_image_counts)
{
    struct nilai_error error = {0};
    struct journal journal;
    struct nilai_partition *before = fresh(), *after = fresh(), *state = fresh();
    uint32_t number;
    journal_init(&journal);
    struct pen a = pen_of(&journal, A, 0, 1);
    let_buy(before, "back");
    let_buy(before, "gone");
    for (int at = 0; at < NILAI_CHUNK_CUSTOMERS; at++) {
        char name[16];
        snprintf(name, sizeof name, "other%d", at);
        let_buy(after, name);
    }
    let_buy(after, "back");
    pen_commit(&a, 2);
    pen_image(&a, before, 0, 3);
    pen_commit(&a, 1);
    pen_image(&a, after, 1, 4);
    struct nilai_restore *restore = open_restore(state, 0);
    CHECK_EQ(read_once(restore, &journal, &error), NILAI_OK);
    CHECK(find_customer(state, text_of("back"), &number) && number == NILAI_CHUNK_CUSTOMERS);
    CHECK(find_customer(state, text_of("gone"), &number) && number == 1);
    nilai_restore_destroy(restore);
    nilai_partition_destroy(state);

    pen_commit(&a, 1);
    pen_image(&a, after, 0, 5);
    state = fresh();
    restore = open_restore(state, 0);
    CHECK_EQ(read_once(restore, &journal, &error), NILAI_OK);
    CHECK(find_customer(state, text_of("back"), &number) && number == NILAI_CHUNK_CUSTOMERS);
    CHECK(find_customer(state, text_of("other0"), &number) && number == 0);
    CHECK(!find_customer(state, text_of("gone"), &number));
    nilai_table_validate(nilai_partition_table(state));
    nilai_restore_destroy(restore);
    nilai_partition_destroy(state);
    nilai_partition_destroy(before);
    nilai_partition_destroy(after);
    pen_drop(&a);
    journal_fini(&journal);
}

/* Goal: what is not ours is refused with a status of its own, and nothing else is. */
TEST(a_journal_of_others_is_refused)
{
    struct journal journal;
    struct pen a;
    journal_init(&journal);
    a = pen_of(&journal, A, 0, 1);
    a.parts.head.inputs++;
    pen_commit(&a, 1);
    pen_drop(&a);
    check_refused(&journal, NILAI_CONFIG);

    journal_init(&journal);
    a = pen_of(&journal, A, 0, 1);
    a.parts.part.topic_count = 2;
    pen_commit(&a, 1);
    pen_drop(&a);
    check_refused(&journal, NILAI_INVALID);

    journal_init(&journal);
    journal_append(&journal, "NLJ\2 and what will be, of any length at all", 44);
    check_refused(&journal, NILAI_CONFIG);
    journal_init(&journal);
    journal_append(&journal, NULL, 0);
    check_refused(&journal, NILAI_INVALID);
}

/* ---- the whole way ---- */

struct turn_told {
    int64_t from, to, clock_ms;
};

/* Applied for the first and only time, without a journal's help. */
static struct nilai_partition *reference(const struct history *history,
                                         const struct turn_told *turns, size_t count)
{
    struct nilai_partition *state = fresh();
    for (size_t at = 0; at < count; at++)
        apply_turn(state, history, turns[at].from, turns[at].to, turns[at].clock_ms, at + 2, NULL,
                   NULL, NULL);
    return state;
}

static void see_again(void *context, const struct nilai_effects *effects)
{
    CHECK_EQ(nilai_restore_effects((struct nilai_restore *)context, effects), NILAI_OK);
}

/* Loads the journal and applies what is to be applied again; hands over the state. */
static struct nilai_partition *restored(struct journal *journal, const struct history *history,
                                        uint64_t settings, uint64_t turn, uint64_t writer,
                                        struct nilai_restored *result, uint64_t *differences)
{
    struct nilai_error error = {0};
    struct nilai_restored_turn again;
    enum nilai_status status;
    const struct nilai_recall_options options = {
        .log = &journal->log,
        .log_name = "log",
        .topic_count = TOPICS,
        .inputs = DESK_INPUTS,
        .settings = settings,
        .committed = {.offsets = {-1}, .clock_ms = -1, .turn = turn, .writer = writer},
        .state = state_options(),
    };
    struct nilai_recall *recall = nilai_recall_create(&options);
    CHECK_EQ(journal->log.ops->open(&journal->log, 0), NILAI_OK);
    while ((status = nilai_recall_load(recall, &error)) == NILAI_AGAIN)
        continue;
    if (status != NILAI_OK)
        fail_msg("%s", error.text);
    *result = *nilai_recall_result(recall);
    struct nilai_restore *restore = nilai_recall_restore(recall);
    while ((status = nilai_recall_next(recall, &again)) == NILAI_OK) {
        int64_t from = again.from.offsets[0] > 0 ? again.from.offsets[0] : 0;
        apply_turn(nilai_recall_state(recall), history, from, again.to.offsets[0],
                   again.to.clock_ms, again.number, &again.again, see_again, restore);
        CHECK_EQ(nilai_restore_settle(restore), NILAI_OK);
    }
    CHECK_EQ(status, NILAI_MISSING);
    nilai_restore_end(restore);
    *differences = nilai_restore_differences(restore);
    struct nilai_partition *state = nilai_recall_take(recall);
    nilai_recall_destroy(recall);
    nilai_table_validate(nilai_partition_table(state));
    return state;
}

/* Goal: after any end, what was committed is restored to the last byte, from images and turns, and
 * is what the turns alone would have made; the log stays short.
 * Method: random turns, ticks, commits and rounds; at random the log loses what was not committed,
 * and somebody else goes on. Then the state is compared with that of a partition that never
 * stopped. */
TEST(what_was_committed_is_restored)
{
    static struct turn_told turns[HISTORY_EVENTS];
    struct history *history = make_history(test_seed(51));
    uint64_t seed = test_seed(52), differences, floors = 0, trims = 0;
    for (int round = 0; round < 6; round++) {
        struct journal journal;
        struct desk desk;
        struct nilai_restored result = {.found = false};
        size_t count = 0, committed_count = 0;
        int64_t now_ms = 0, committed_end = 0;
        uint64_t writer = 1000;
        journal_init(&journal);
        desk_open(&desk, &journal, history, fresh(), NULL, writer, &seed);
        for (int step = 0; step < 400 && desk.reached.offsets[0] + 200 < HISTORY_EVENTS; step++) {
            bool tick = next_random(&seed) % 6 == 0;
            struct turn_told *turn = &turns[count++];
            turn->from = desk.reached.offsets[0];
            turn->to = turn->from + (tick ? 0 : (int64_t)(next_random(&seed) % 60));
            turn->clock_ms = tick ? desk.reached.clock_ms + 6 * 3600 * 1000 : -1;
            desk_turn(&desk, turn->to - turn->from, turn->clock_ms);
            now_ms += (int64_t)(next_random(&seed) % 100);
            journal.answers = next_random(&seed) % 4 != 0;
            if (next_random(&seed) % 4 == 0) {
                desk_put_commit(&desk, now_ms);
                nilai_scribe_commit_held(desk.scribe);
                committed_end = journal.count;
                committed_count = count;
            }
            if (committed_end > 0 && next_random(&seed) % 40 == 0) {
                desk_close(&desk);
                journal_cut(&journal, committed_end);
                struct nilai_partition *state = restored(&journal, history, DESK_SETTINGS, 0, writer,
                                                         &result, &differences);
                struct nilai_partition *plain = reference(history, turns, committed_count);
                check_same_state(state, plain, history);
                CHECK_EQ(differences, 0);
                nilai_partition_destroy(plain);
                count = committed_count;
                floors += result.floor > 0;
                desk_open(&desk, &journal, history, state, &result, ++writer, &seed);
            }
        }
        trims += journal.trimmed > 0;
        CHECK(journal.count - journal.first < 2000);
        desk_close(&desk);
        journal_fini(&journal);
    }
    CHECK(floors > 5 && trims > 3);
    free(history);
}

static const struct nilai_customer *customer_of(const struct nilai_partition *state,
                                                const char *name)
{
    uint32_t number;
    CHECK(find_customer(state, text_of(name), &number));
    return nilai_table_customer(nilai_partition_table(state), number);
}

static const char *name_of(const struct history *history, struct nilai_text id)
{
    for (int i = 0; i < HISTORY_CUSTOMERS; i++) {
        struct nilai_text name = text_of(history->customers[i]);
        if (name.size == id.size && memcmp(name.data, id.data, id.size) == 0)
            return history->customers[i];
    }
    fail_msg("nobody has that name");
    return NULL;
}

/* A log of turns of ten events whose marks are those of the events, but for one customer. */
static const char *write_lie(struct journal *journal, const struct history *history, bool missing)
{
    static struct nilai_effects effects;
    struct nilai_partition *state = fresh();
    struct pen a = pen_of(journal, A, 0, 1);
    const char *liar = NULL;
    const struct nilai_point nowhere = {.offsets = {0}, .clock_ms = -1};
    a.parts.part.before = a.parts.reached = nowhere;
    for (int at = 0; at < 200; at += 10) {
        const struct nilai_event *list[10];
        bool done = false;
        for (int event = 0; event < 10; event++)
            list[event] = &history->events[at + event];
        nilai_partition_begin(state, &(struct nilai_turn){
            .events = list, .count = 10, .clock_ms = -1, .number = a.parts.turn + 1});
        CHECK_EQ(nilai_partition_step(state, &effects, &done), NILAI_OK);
        CHECK(done);
        for (uint32_t index = 0; index < effects.count; index++) {
            struct nilai_effect *effect = &effects.list[index];
            struct nilai_text id = {effect->customer, effect->customer_size};
            if (at == 190 && liar == NULL && !effect->erased)
                liar = name_of(history, id);
            bool lie = liar != NULL && name_of(history, id) == liar;
            effect->change.seq += lie ? 100 : 0;
            if (!lie || !missing)
                nilai_part_add_mark(&a.parts, effect);
        }
        const struct nilai_point point = {.offsets = {at + 10},
                                          .clock_ms = nilai_partition_clock_ms(state)};
        nilai_part_add_turn(&a.parts, &point, nilai_partition_still(state));
    }
    CHECK(liar != NULL);
    nilai_part_close(&a.parts, 0, &nowhere);
    pen_sent(&a);
    pen_drop(&a);
    nilai_partition_destroy(state);
    return liar;
}

/* Goal: what was published wins over what a replay says, and the difference is counted: a mark that
 * says otherwise, and one that is not there. */
TEST(marks_win_and_differences_are_counted)
{
    struct history *history = make_history(test_seed(53));
    for (int missing = 0; missing < 2; missing++) {
        struct journal journal;
        struct nilai_restored result;
        uint64_t differences;
        journal_init(&journal);
        const char *liar = write_lie(&journal, history, missing);
        struct nilai_partition *state = restored(&journal, history, DESK_SETTINGS, 0, A, &result,
                                                 &differences);
        CHECK_EQ(differences, 1);
        if (!missing)
            CHECK(customer_of(state, liar)->seq > 100);
        CHECK_EQ(result.turns, 20);
        nilai_partition_destroy(state);
        journal_fini(&journal);
    }
    free(history);
}

/* Goal: a mark of the turn after the floor counts, in whichever part it lies: in the one in which
 * the floor's turn ends, in the one in which its own does, or between.
 * Method: a mark that says something that no replay would. */
TEST(marks_count_wherever_parts_end)
{
    for (unsigned ends = 0; ends < 4; ends++) {
        struct nilai_error error = {0};
        struct nilai_restored_turn turn;
        struct journal journal;
        struct nilai_partition *state = fresh();
        struct nilai_restore *restore = open_restore(state, 0);
        journal_init(&journal);
        struct pen a = pen_of(&journal, A, 0, 1);
        pen_turn(&a, 0);
        if (ends & 1)
            pen_send(&a);
        pen_mark(&a, "new", 100);
        if (ends & 2)
            pen_send(&a);
        pen_turn(&a, 0);
        pen_close(&a, 2);
        CHECK_EQ(read_once(restore, &journal, &error), NILAI_OK);
        CHECK_EQ(nilai_restore_next(restore, &turn), NILAI_OK);
        CHECK_EQ(turn.number, 3);
        CHECK_EQ(turn.from.offsets[0], point_after(2).offsets[0]);
        let_buy_in(state, "new", turn.number, &turn.again);
        CHECK_EQ(nilai_restore_settle(restore), NILAI_OK);
        CHECK_EQ(customer_of(state, "new")->seq, 100);
        CHECK_EQ(nilai_restore_next(restore, &turn), NILAI_MISSING);
        pen_drop(&a);
        nilai_restore_destroy(restore);
        nilai_partition_destroy(state);
        journal_fini(&journal);
    }
}

/* Goal: under other settings nothing that was published changes by the replay alone, and nothing is
 * counted as a difference; everybody is looked at soon after.
 * Method: a log whose marks say something that no settings would. */
TEST(turns_of_other_settings_are_frozen)
{
    struct history *history = make_history(test_seed(54));
    struct journal journal;
    struct nilai_restored result;
    uint64_t differences;
    journal_init(&journal);
    const char *liar = write_lie(&journal, history, false);
    struct nilai_partition *state = restored(&journal, history, DESK_SETTINGS + 1, 0, A, &result,
                                             &differences);
    CHECK_EQ(differences, 0);
    const struct nilai_customer *customer = customer_of(state, liar);
    CHECK(customer->seq > 100);
    int64_t clock_ms = nilai_partition_clock_ms(state);
    CHECK(customer->wake_s > clock_ms / 1000 && customer->wake_s != NILAI_NEVER_S);
    CHECK(nilai_partition_next_ms(state) <= (clock_ms / 1000 + 1) * 1000);
    nilai_partition_destroy(state);
    journal_fini(&journal);
    free(history);
}
