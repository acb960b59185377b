/*
 * A journal that may hold anything, read and applied again; then somebody goes on from it.
 *
 *     0   1   bits: 0-1 whose position is committed (nobody's, or one of three writers of the corpus),
 *             2 other settings, 3 under a journal of others, 4 the events are far away in time
 *     then records, each
 *     0   2   length, little-endian     2   bytes; their checksum is put right before they are read
 *
 * Packed images are in the corpus as one run of literals, so that what changes here changes there.
 * (make_journal_corpus.c makes it.)
 *
 * Whatever is accepted can be applied, written anew and lived with; nothing takes memory beyond
 * state.memory_max and a few times its own size, or for ever.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/base/hash.h"
#include "nilai/run/recall.h"
#include "nilai/run/scribe.h"

enum {
    RECORDS_MAX = 64,
    RECORD_MAX = 65535,
    FRAME = 32, /* of a record: the shortest */
    INPUTS = 11,
    SETTINGS = 12,
    EVENTS_MAX = 256, /* in all */
    LOADS_MAX = 10000,
    ROUND_MS = 1000,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
    struct nilai_state_log log; /* first */
    unsigned char *records[RECORDS_MAX];
    size_t sizes[RECORDS_MAX];
    int64_t count, next;
};

static struct nilai_model model;

/* ---- the log ---- */

static enum nilai_status log_open(struct nilai_state_log *base, int32_t partition)
{
    (void)partition;
    ((struct memory *)base)->next = 0;
    return NILAI_OK;
}

static enum nilai_status log_take(struct nilai_state_log *base, int32_t partition,
                                  struct nilai_input *input)
{
    struct memory *memory = (struct memory *)base;
    (void)partition;
    *input = (struct nilai_input){.offset = memory->next};
    if (memory->next == memory->count)
        return NILAI_MISSING;
    input->value = memory->records[memory->next];
    input->value_size = memory->sizes[memory->next++];
    return NILAI_OK;
}

static void log_give_back(struct nilai_state_log *base, struct nilai_input *input)
{
    (void)base, (void)input;
}

static int64_t log_end(struct nilai_state_log *base, int32_t partition)
{
    (void)partition;
    return ((struct memory *)base)->count;
}

static void log_nothing(struct nilai_state_log *base, int32_t partition)
{
    (void)base, (void)partition;
}

static void log_trim(struct nilai_state_log *base, int32_t partition, int64_t offset)
{
    (void)base, (void)partition, (void)offset;
}

static const struct nilai_state_log_ops log_ops = {
    .open = log_open,
    .take = log_take,
    .give_back = log_give_back,
    .end = log_end,
    .stop = log_nothing,
    .mark = log_nothing,
    .marked = log_end,
    .trim = log_trim,
};

static void put_right(unsigned char *record, size_t size)
{
    if (size < FRAME)
        return;
    uint64_t sum = nilai_hash(record, size - 8);
    memcpy(record + size - 8, &sum, sizeof sum);
}

static void read_input(struct memory *memory, const uint8_t *data, size_t size)
{
    *memory = (struct memory){.log.ops = &log_ops};
    while (size >= 2 && memory->count < RECORDS_MAX) {
        size_t length = (size_t)data[0] | (size_t)data[1] << 8;
        data += 2, size -= 2;
        length = length < size ? length : size;
        unsigned char *record = malloc(length > 0 ? length : 1);
        NILAI_ASSERT(record != NULL);
        memcpy(record, data, length);
        put_right(record, length);
        memory->records[memory->count] = record;
        memory->sizes[memory->count++] = length;
        data += length, size -= length;
    }
}

static void drop_input(struct memory *memory)
{
    for (int64_t at = 0; at < memory->count; at++)
        free(memory->records[at]);
}

/* ---- applying ---- */

struct player {
    struct nilai_partition *state;
    struct nilai_restore *restore;
    struct nilai_scribe *scribe; /* NULL: nobody writes yet */
    struct nilai_sink *sink;
    uint32_t events; /* left */
    bool far;
};

/* The event at an offset is always the same; customers are those of the corpus. */
static void make_event(const struct player *player, int64_t offset, int64_t clock_ms,
                       struct nilai_event *event, char texts[2][24])
{
    uint64_t dice = nilai_hash(&offset, sizeof offset);
    int64_t reach_ms = player->far ? NILAI_TIME_MAX_MS : 40 * (int64_t)NILAI_DAY_MS;
    int64_t ts_ms = clock_ms - (int64_t)(dice % (uint64_t)reach_ms);
    snprintf(texts[0], sizeof texts[0], "c%u", (unsigned)(dice % 24));
    snprintf(texts[1], sizeof texts[1], "e%u", (unsigned)(dice % 4096));
    *event = (struct nilai_event){
        .type = dice / 64 % NILAI_EVENT_TYPES,
        .id = {texts[1], (uint32_t)strlen(texts[1])},
        .customer = {texts[0], (uint32_t)strlen(texts[0])},
        .ts_ms = ts_ms < 0 ? (int64_t)(dice % 1000) : ts_ms,
    };
    if (event->type == NILAI_PURCHASE)
        event->purchase.amount = (int64_t)(dice % 1000000);
    else if (event->type == NILAI_TICKET)
        event->ticket.ticket = event->id;
    else if (event->type == NILAI_SURVEY)
        event->survey.normalized = 0.5;
}

static void publish(struct player *player, const struct nilai_effects *effects)
{
    if (player->scribe == NULL) {
        NILAI_ASSERT(nilai_restore_effects(player->restore, effects) == NILAI_OK);
        return;
    }
    for (uint32_t at = 0; at < effects->count; at++) {
        NILAI_ASSERT(nilai_scribe_make_room(player->scribe, player->sink) == NILAI_OK);
        nilai_scribe_mark(player->scribe, &effects->list[at]);
    }
}

/* One turn, as a lane would; false: the state does not fit. */
static bool play(struct player *player, int64_t from, int64_t to, struct nilai_turn turn)
{
    static struct nilai_effects effects;
    struct nilai_event events[EVENTS_MAX];
    const struct nilai_event *list[EVENTS_MAX];
    char texts[EVENTS_MAX][2][24];
    bool done = false;
    from = from > 0 ? from : 0;
    for (; from < to && player->events > 0; from++, player->events--) {
        list[turn.count] = &events[turn.count];
        make_event(player, from, turn.clock_ms, &events[turn.count], texts[turn.count]);
        turn.count++;
    }
    turn.events = list;
    nilai_partition_begin(player->state, &turn);
    while (!done) {
        enum nilai_status status = nilai_partition_step(player->state, &effects, &done);
        if (status != NILAI_OK)
            return NILAI_ASSERT(status == NILAI_FULL), false;
        publish(player, &effects);
    }
    return true;
}

static bool replay(struct nilai_recall *recall, struct player *player)
{
    struct nilai_restored_turn turn;
    enum nilai_status status;
    uint64_t before = 0;
    while ((status = nilai_recall_next(recall, &turn)) == NILAI_OK) {
        NILAI_ASSERT(turn.number > before);
        before = turn.number;
        if (!play(player, turn.from.offsets[0], turn.to.offsets[0],
                  (struct nilai_turn){.clock_ms = turn.to.clock_ms,
                                      .number = turn.number,
                                      .again = &turn.again}))
            return false;
        NILAI_ASSERT(nilai_restore_settle(player->restore) == NILAI_OK);
    }
    nilai_restore_end(player->restore);
    return status == NILAI_MISSING;
}

static enum nilai_status swallow(struct nilai_sink *sink, const struct nilai_output *output)
{
    struct nilai_journal_head head;
    struct nilai_wire body;
    (void)sink;
    NILAI_ASSERT(nilai_journal_open(output->value, output->value_size, &head, &body, NULL)
                 == NILAI_OK);
    return NILAI_OK;
}

/* A turn more, and a whole round of images. */
static void go_on(struct memory *memory, struct player *player, const struct nilai_restored *result)
{
    static const struct nilai_sink_ops sink_ops = {.put = swallow};
    struct nilai_sink sink = {.ops = &sink_ops};
    struct nilai_point reached = {.offsets = {0}, .clock_ms = -1};
    if (result->found)
        reached = result->end;
    player->sink = &sink;
    player->events = 8;
    player->scribe = nilai_scribe_create(&(struct nilai_scribe_options){
        .state = player->state,
        .log = &memory->log,
        .topic_count = 1,
        .inputs = INPUTS,
        .settings = SETTINGS,
        .writer = 7,
        .image_ratio = 1,
        .round_max_ms = ROUND_MS,
        .parent = result->found ? result->writer : 0,
        .turn = result->found ? result->turn : 1,
        .floor = result->found ? result->floor : 0,
        .base = result->found ? result->base : reached,
        .reached = reached,
    });
    NILAI_ASSERT(player->scribe != NULL);
    int64_t from = reached.offsets[0] < INT64_MAX - 8 ? reached.offsets[0] : INT64_MAX - 8;
    if (play(player, from, from + 8,
             (struct nilai_turn){.clock_ms = reached.clock_ms,
                                 .number = nilai_scribe_next_turn(player->scribe)})) {
        reached.offsets[0] = from + 8 > reached.offsets[0] ? from + 8 : reached.offsets[0];
        reached.clock_ms = nilai_partition_clock_ms(player->state);
        nilai_scribe_turn(player->scribe, &reached, 1000);
        for (int64_t now_ms = 0; now_ms <= 2 * ROUND_MS; now_ms += ROUND_MS / 4) {
            (void)nilai_scribe_is_due(player->scribe, now_ms);
            NILAI_ASSERT(nilai_scribe_put_commit(player->scribe, &sink, now_ms) == NILAI_OK);
            nilai_scribe_commit_held(player->scribe);
        }
    }
    nilai_scribe_destroy(player->scribe);
}

static void restore(struct memory *memory, uint8_t bits)
{
    struct nilai_error error;
    const struct nilai_recall_options options = {
        .log = &memory->log,
        .log_name = "log",
        .topic_count = 1,
        .inputs = INPUTS + (bits >> 3 & 1),
        .settings = SETTINGS + (bits >> 2 & 1),
        .committed = {.offsets = {-1}, .clock_ms = -1, .writer = (bits & 3) != 0 ? 999 + (bits & 3) : 0},
        .state = {.model = &model,
                  .limits = {.memory_max_bytes = 64 << 20, .hash_seed = 7},
                  .erase_remember_ms = 30 * (int64_t)NILAI_DAY_MS,
                  .journaled = true},
    };
    struct nilai_recall *recall = nilai_recall_create(&options);
    NILAI_ASSERT(recall != NULL);
    enum nilai_status status;
    int loads = 0;
    while ((status = nilai_recall_load(recall, &error)) == NILAI_AGAIN)
        NILAI_ASSERT(++loads < LOADS_MAX);
    NILAI_ASSERT(status == NILAI_OK || status == NILAI_CONFIG || status == NILAI_FULL);
    if (status == NILAI_OK) {
        struct player player = {.state = nilai_recall_state(recall),
                                .restore = nilai_recall_restore(recall),
                                .events = EVENTS_MAX,
                                .far = bits >> 4 & 1};
        const struct nilai_restored result = *nilai_recall_result(recall);
        if (replay(recall, &player)) {
            nilai_table_validate(nilai_partition_table(player.state));
            go_on(memory, &player, &result);
        }
    }
    nilai_recall_destroy(recall);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memory memory;
    if (model.name[0] == '\0') {
        nilai_model_defaults(&model);
        NILAI_ASSERT(nilai_model_prepare(&model, NULL) == NILAI_OK);
    }
    if (size == 0)
        return 0;
    read_input(&memory, data + 1, size - 1);
    restore(&memory, data[0]);
    drop_input(&memory);
    return 0;
}
