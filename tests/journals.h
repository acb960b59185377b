/*
 * journals.h - a journal in memory, and partitions that are driven by made-up events: for tests.
 *
 * One `struct journal` is both ends: the sink that is put into, with as much room as a test gives,
 * and the log that is read and trimmed. Offsets of its records never change.
 */
#ifndef NILAI_TEST_JOURNALS_H
#define NILAI_TEST_JOURNALS_H

#include "customers.h"
#include "nilai/base/clock.h"
#include "nilai/base/hash.h"
#include "nilai/io/sink.h"
#include "nilai/io/state_log.h"
#include "nilai/run/recall.h"
#include "nilai/run/scribe.h"
#include "nilai/state/image.h"
#include "nilai/state/restore.h"

/* ---- the log ---- */

struct journal_record {
    void *data;
    size_t size;
};

struct journal {
    struct nilai_sink sink;
    struct nilai_state_log log;
    struct journal_record *records;
    int64_t first, count, room; /* offsets [first, count) are there */
    uint64_t credit;            /* records that are taken before the sink is full */
    int64_t next;               /* to be read */
    int outside;
    bool asked, answers; /* the mark */
    int64_t trimmed;
};

static inline struct journal *journal_of_log(struct nilai_state_log *log)
{
    return (struct journal *)((char *)log - offsetof(struct journal, log));
}

static inline void journal_append(struct journal *journal, const void *data, size_t size)
{
    if (journal->count == journal->room) {
        journal->room = journal->room > 0 ? 2 * journal->room : 64;
        journal->records = realloc(journal->records,
                                   (size_t)journal->room * sizeof *journal->records);
        CHECK(journal->records != NULL);
    }
    struct journal_record *record = &journal->records[journal->count++];
    *record = (struct journal_record){malloc(size > 0 ? size : 1), size};
    CHECK(record->data != NULL);
    if (size > 0)
        memcpy(record->data, data, size);
}

static inline enum nilai_status journal_put(struct nilai_sink *sink,
                                            const struct nilai_output *output)
{
    struct journal *journal = (struct journal *)sink;
    CHECK(output->topic == NILAI_OUTPUT_STATE && output->key == NULL);
    if (journal->credit == 0)
        return NILAI_AGAIN;
    journal->credit--;
    journal_append(journal, output->value, output->value_size);
    return NILAI_OK;
}

static inline enum nilai_status journal_open(struct nilai_state_log *log, int32_t partition)
{
    (void)partition;
    journal_of_log(log)->next = journal_of_log(log)->first;
    return NILAI_OK;
}

static inline enum nilai_status journal_take(struct nilai_state_log *log, int32_t partition,
                                             struct nilai_input *input)
{
    struct journal *journal = journal_of_log(log);
    (void)partition;
    *input = (struct nilai_input){.offset = journal->next};
    if (journal->next >= journal->count)
        return NILAI_MISSING;
    const struct journal_record *record = &journal->records[journal->next++];
    input->value = record->data;
    input->value_size = record->size;
    journal->outside++;
    return NILAI_OK;
}

static inline void journal_give_back(struct nilai_state_log *log, struct nilai_input *input)
{
    (void)input;
    CHECK(journal_of_log(log)->outside-- > 0);
}

static inline int64_t journal_end(struct nilai_state_log *log, int32_t partition)
{
    (void)partition;
    return journal_of_log(log)->count;
}

static inline void journal_stop(struct nilai_state_log *log, int32_t partition)
{
    (void)log, (void)partition;
}

static inline void journal_mark(struct nilai_state_log *log, int32_t partition)
{
    (void)partition;
    journal_of_log(log)->asked = true;
}

static inline int64_t journal_marked(struct nilai_state_log *log, int32_t partition)
{
    struct journal *journal = journal_of_log(log);
    (void)partition;
    return journal->asked && journal->answers ? journal->count : -1;
}

static inline void journal_trim(struct nilai_state_log *log, int32_t partition, int64_t offset)
{
    struct journal *journal = journal_of_log(log);
    (void)partition;
    CHECK(offset >= journal->trimmed && offset <= journal->count);
    journal->trimmed = offset;
    for (; journal->first < offset; journal->first++) {
        free(journal->records[journal->first].data);
        journal->records[journal->first].data = NULL;
    }
}

static inline enum nilai_status journal_poll(struct nilai_state_log *log, struct nilai_error *error)
{
    (void)log, (void)error;
    return NILAI_OK;
}

static inline void journal_init(struct journal *journal)
{
    static const struct nilai_sink_ops sink_ops = {.put = journal_put};
    static const struct nilai_state_log_ops log_ops = {
        .open = journal_open,
        .take = journal_take,
        .give_back = journal_give_back,
        .end = journal_end,
        .stop = journal_stop,
        .mark = journal_mark,
        .marked = journal_marked,
        .trim = journal_trim,
        .poll = journal_poll,
    };
    *journal = (struct journal){.sink.ops = &sink_ops, .log.ops = &log_ops,
                                .credit = UINT64_MAX, .answers = true};
}

/* What lies at or beyond `count` was never committed. */
static inline void journal_cut(struct journal *journal, int64_t count)
{
    while (journal->count > count)
        free(journal->records[--journal->count].data);
}

static inline void journal_fini(struct journal *journal)
{
    CHECK_EQ(journal->outside, 0);
    journal_cut(journal, journal->first);
    free(journal->records);
}

/* ---- events: the one at offset i is events[i] ---- */

enum { HISTORY_EVENTS = 12000, HISTORY_CUSTOMERS = 900 };

struct history {
    struct nilai_event events[HISTORY_EVENTS];
    char customers[HISTORY_CUSTOMERS][64];
    char ids[HISTORY_EVENTS][16], tickets[HISTORY_EVENTS][32];
};

static inline struct nilai_text text_of(const char *text)
{
    return (struct nilai_text){text, (uint32_t)strlen(text)};
}

/* Some late, some repeated; customers come with time, one in forty events is an erasure. */
static inline struct history *make_history(uint64_t seed)
{
    struct history *history = calloc(1, sizeof *history);
    struct random_customer source = {.events = 0};
    int64_t now_ms = TEST_START_MS;
    CHECK(history != NULL);
    for (int i = 0; i < HISTORY_CUSTOMERS; i++)
        snprintf(history->customers[i], sizeof history->customers[i],
                 i % 5 == 0 ? "a customer with a name that is rather long, %d" : "c%d", i);
    for (int i = 0; i < HISTORY_EVENTS; i++) {
        struct nilai_event *event = &history->events[i];
        now_ms += (int64_t)(next_uniform(&seed) * 0.1 * NILAI_DAY_MS);
        bool late = next_random(&seed) % 10 == 0;
        *event = random_event(&source, &seed,
                              late ? now_ms - (int64_t)(next_uniform(&seed) * 20 * NILAI_DAY_MS)
                                   : now_ms);
        if (next_random(&seed) % 40 == 0)
            event->type = NILAI_ERASE;
        uint64_t known = 20 + (uint64_t)i * (HISTORY_CUSTOMERS - 20) / HISTORY_EVENTS;
        event->customer = text_of(history->customers[next_random(&seed) % known]);
        snprintf(history->ids[i], sizeof history->ids[i], "e%d", i);
        if (i > 0 && next_random(&seed) % 30 == 0) {
            snprintf(history->ids[i], sizeof history->ids[i], "%s", history->ids[i - 1]);
            event->customer = history->events[i - 1].customer;
        }
        event->id = text_of(history->ids[i]);
        if (event->type == NILAI_TICKET) {
            memcpy(history->tickets[i], event->ticket.ticket.data, event->ticket.ticket.size);
            event->ticket.ticket.data = history->tickets[i];
        }
    }
    return history;
}

/* ---- partitions ---- */

static inline struct nilai_partition_options journal_state(const struct nilai_model *model)
{
    return (struct nilai_partition_options){
        .model = model,
        .limits = {.memory_max_bytes = 64 << 20, .hash_seed = 7},
        .erase_remember_ms = 30 * (int64_t)NILAI_DAY_MS,
        .journaled = true,
    };
}

typedef void (*effects_fn)(void *context, const struct nilai_effects *effects);

/* Events [from, to) and then the clock, as one turn. */
static inline void apply_turn(struct nilai_partition *partition, const struct history *history,
                              int64_t from, int64_t to, int64_t clock_ms, uint64_t number,
                              const struct nilai_again *again, effects_fn visit, void *context)
{
    static struct nilai_effects effects;
    const struct nilai_event *list[NILAI_TURN_EVENTS_MAX];
    bool done = false;
    CHECK(to >= from && to - from <= NILAI_TURN_EVENTS_MAX);
    for (int64_t at = from; at < to; at++)
        list[at - from] = &history->events[at];
    nilai_partition_begin(partition, &(struct nilai_turn){.events = list,
                                                          .count = (size_t)(to - from),
                                                          .clock_ms = clock_ms,
                                                          .number = number,
                                                          .again = again});
    while (!done) {
        CHECK_EQ(nilai_partition_step(partition, &effects, &done), NILAI_OK);
        if (visit != NULL)
            visit(context, &effects);
    }
}

static inline bool find_customer(const struct nilai_partition *partition, struct nilai_text id,
                                 uint32_t *number)
{
    const struct nilai_table *table = nilai_partition_table(partition);
    return nilai_table_find(table, nilai_table_hash(table, id), id, number) == NILAI_OK;
}

/* ---- a partition and who writes its journal ---- */

struct desk {
    const struct history *history;
    struct journal *journal;
    struct nilai_partition *state;
    struct nilai_scribe *scribe;
    struct nilai_point reached;
    uint64_t *seed;
    bool stingy; /* the sink is full now and then */
};

enum { DESK_INPUTS = 11, DESK_SETTINGS = 12 };

static inline void desk_open(struct desk *desk, struct journal *journal,
                             const struct history *history, struct nilai_partition *state,
                             const struct nilai_restored *result, uint64_t writer, uint64_t *seed)
{
    const struct nilai_point nowhere = {.offsets = {0}, .clock_ms = -1};
    bool found = result != NULL && result->found;
    *desk = (struct desk){.history = history, .journal = journal, .state = state, .seed = seed,
                          .reached = found ? result->end : nowhere};
    desk->scribe = nilai_scribe_create(&(struct nilai_scribe_options){
        .state = state,
        .log = &journal->log,
        .topic_count = 1,
        .inputs = DESK_INPUTS,
        .settings = DESK_SETTINGS,
        .writer = writer,
        .image_ratio = 0.5,
        .round_max_ms = 1000,
        .parent = found ? result->writer : 0,
        .turn = found ? result->turn : 1,
        .floor = found ? result->floor : 0,
        .base = found ? result->base : nowhere,
        .reached = desk->reached,
    });
    CHECK(desk->scribe != NULL);
}

static inline void desk_grant(struct desk *desk)
{
    CHECK(desk->stingy);
    desk->journal->credit = next_random(desk->seed) % 3;
}

static inline void desk_effects(void *context, const struct nilai_effects *effects)
{
    struct desk *desk = (struct desk *)context;
    for (uint32_t at = 0; at < effects->count; at++) {
        while (nilai_scribe_make_room(desk->scribe, &desk->journal->sink) == NILAI_AGAIN)
            desk_grant(desk);
        nilai_scribe_mark(desk->scribe, &effects->list[at]);
    }
}

/* The next `events`, and the clock at least at `clock_ms`. */
static inline void desk_turn(struct desk *desk, int64_t events, int64_t clock_ms)
{
    int64_t from = desk->reached.offsets[0];
    apply_turn(desk->state, desk->history, from, from + events, clock_ms,
               nilai_scribe_next_turn(desk->scribe), NULL, desk_effects, desk);
    desk->reached.offsets[0] = from + events;
    desk->reached.clock_ms = nilai_partition_clock_ms(desk->state);
    desk->reached.wall_ms = desk->reached.clock_ms + 5000;
    nilai_scribe_turn(desk->scribe, &desk->reached, (uint64_t)events * 100);
}

/* What lies in the log when it holds. */
static inline void desk_put_commit(struct desk *desk, int64_t now_ms)
{
    enum nilai_status status;
    (void)nilai_scribe_is_due(desk->scribe, now_ms);
    while ((status = nilai_scribe_put_commit(desk->scribe, &desk->journal->sink, now_ms))
           == NILAI_AGAIN)
        desk_grant(desk);
    CHECK_EQ(status, NILAI_OK);
}

static inline void desk_close(struct desk *desk)
{
    nilai_scribe_destroy(desk->scribe);
    nilai_partition_destroy(desk->state);
}

/* Goal of every restore: nobody can tell the two apart. */
static inline void check_same_state(const struct nilai_partition *a, const struct nilai_partition *b,
                                    const struct history *history)
{
    const struct nilai_table *one = nilai_partition_table(a), *other = nilai_partition_table(b);
    int64_t clock_ms = nilai_partition_clock_ms(a);
    CHECK_EQ(clock_ms, nilai_partition_clock_ms(b));
    for (int i = 0; i < HISTORY_CUSTOMERS; i++) {
        struct nilai_text id = text_of(history->customers[i]);
        uint32_t left, right;
        bool known = find_customer(a, id, &left);
        CHECK_EQ(find_customer(b, id, &right), known);
        for (int64_t day = 0; day < 32; day++)
            CHECK_EQ(nilai_erased_covers(nilai_partition_erased(a), id,
                                         clock_ms - day * NILAI_DAY_MS, clock_ms),
                     nilai_erased_covers(nilai_partition_erased(b), id,
                                         clock_ms - day * NILAI_DAY_MS, clock_ms));
        if (!known)
            continue;
        struct nilai_service service, expected;
        bool has_service = nilai_table_service(one, left, &service);
        CHECK_EQ(has_service, nilai_table_service(other, right, &expected));
        CHECK(memcmp(nilai_table_customer(one, left), nilai_table_customer(other, right),
                     sizeof(struct nilai_customer)) == 0);
        CHECK(!has_service || memcmp(&service, &expected, sizeof service) == 0);
    }
}

#endif
