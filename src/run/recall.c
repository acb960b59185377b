#include "nilai/run/recall.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/base/log.h"

enum { RECORDS_PER_CALL = 32 };

struct nilai_recall {
    struct nilai_recall_options options;
    struct nilai_partition *state;
    struct nilai_restore *restore;
    bool loaded, base_told;
    uint64_t records;
    int64_t first, last; /* offsets; -1: nothing read */
    int64_t doubted;     /* `first` of the reading that made no sense; -1: none */
};

struct nilai_recall *nilai_recall_create(const struct nilai_recall_options *options)
{
    struct nilai_recall *recall = calloc(1, sizeof *recall);
    if (recall == NULL)
        return NULL;
    recall->options = *options;
    recall->first = recall->last = recall->doubted = -1;
    recall->state = nilai_partition_create(&options->state);
    if (recall->state != NULL)
        recall->restore = nilai_restore_create(&(struct nilai_restore_options){
            .state = recall->state,
            .topic_count = options->topic_count,
            .inputs = options->inputs,
            .settings = options->settings,
            .committed = options->committed.writer,
        });
    if (recall->restore == NULL) {
        nilai_recall_destroy(recall);
        return NULL;
    }
    return recall;
}

static void stop_reading(struct nilai_recall *recall)
{
    struct nilai_state_log *log = recall->options.log;
    if (log != NULL && !recall->loaded)
        log->ops->stop(log, recall->options.committed.partition);
}

void nilai_recall_destroy(struct nilai_recall *recall)
{
    if (recall == NULL)
        return;
    stop_reading(recall);
    nilai_restore_destroy(recall->restore);
    if (recall->state != NULL)
        nilai_partition_destroy(recall->state);
    free(recall);
}

/* ---- loading ---- */

/* Names the place, and what a person can do about it. */
static enum nilai_status refuse(const struct nilai_recall *recall, enum nilai_status status,
                                struct nilai_error *error)
{
    struct nilai_error cause = *error;
    const char *name = recall->options.log_name;
    int32_t partition = recall->options.committed.partition;
    if (status == NILAI_NO_MEMORY || status == NILAI_FULL)
        return nilai_error_set(error, status, "restoring partition %" PRId32 ": %s", partition,
                               cause.text);
    return nilai_error_set(error, NILAI_CONFIG,
                           "%s, partition %" PRId32 ", offset %" PRId64 ": %s. Nothing was "
                           "changed. If it cannot be mended: stop every process, delete the topic "
                           "%s and make it anew, and start; state is then rebuilt from the "
                           "oldest input on",
                           name, partition, recall->last, cause.text, name);
}

/* The journal has turned out to hold more than its history. */
static enum nilai_status begin_again(struct nilai_recall *recall, struct nilai_error *error)
{
    struct nilai_partition *fresh = nilai_partition_create(&recall->options.state);
    if (fresh == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    nilai_partition_destroy(recall->state);
    recall->state = fresh;
    nilai_restore_begin_again(recall->restore, fresh);
    recall->records = 0;
    recall->first = recall->last = -1;
    struct nilai_state_log *log = recall->options.log;
    enum nilai_status status = log->ops->open(log, recall->options.committed.partition);
    return status == NILAI_OK ? NILAI_AGAIN : status;
}

/* The log's head may be deleted while it is read, which leaves a hole after what was read by then.
 * Read again it begins later and has none; if it begins where it did, the hole is real. */
static enum nilai_status judge(struct nilai_recall *recall, enum nilai_status status,
                               struct nilai_error *error)
{
    if (status == NILAI_AGAIN)
        return begin_again(recall, error);
    if (status != NILAI_INVALID || recall->first == recall->doubted)
        return refuse(recall, status, error);
    recall->doubted = recall->first;
    return begin_again(recall, error);
}

static bool is_known(const struct nilai_recall *recall)
{
    for (uint32_t topic = 0; topic < recall->options.topic_count; topic++) {
        if (recall->options.committed.offsets[topic] >= 0)
            return true;
    }
    return false;
}

/* A journal that was begun at the committed position, and nothing was committed since. */
static bool begins_at_committed(const struct nilai_recall *recall)
{
    const struct nilai_position *committed = &recall->options.committed;
    const struct nilai_restored *result = nilai_restore_result(recall->restore);
    return memcmp(committed->offsets, result->base.offsets,
                  recall->options.topic_count * sizeof committed->offsets[0])
           == 0;
}

/* Where the committed position lies: before the journal's end (-1), at it (0), or elsewhere (1). */
static int compare_positions(const struct nilai_recall *recall)
{
    const struct nilai_position *committed = &recall->options.committed;
    const struct nilai_restored *result = nilai_restore_result(recall->restore);
    bool before = committed->turn < result->turn, same = true;
    for (uint32_t topic = 0; topic < recall->options.topic_count; topic++) {
        if (committed->offsets[topic] > result->end.offsets[topic])
            return 1;
        same = same && committed->offsets[topic] == result->end.offsets[topic];
    }
    if (begins_at_committed(recall))
        return -1;
    if (committed->turn == 0 || committed->turn > result->turn || (!before && !same))
        return 1;
    return before ? -1 : 0;
}

static enum nilai_status check_position(const struct nilai_recall *recall,
                                        struct nilai_error *error)
{
    const struct nilai_restored *result = nilai_restore_result(recall->restore);
    if (!result->found || !is_known(recall) || compare_positions(recall) <= 0)
        return NILAI_OK;
    /* Doubtful like damage: who was held up while reading may have missed all that came since. */
    return nilai_error_set(error, NILAI_INVALID,
                           "the committed offsets of the group are not those that the journal ends "
                           "with (turn %" PRIu64 "; committed: %" PRIu64 "): were they set by "
                           "hand? Set them back, or delete the group's offsets to go on where the "
                           "journal ends",
                           result->turn, recall->options.committed.turn);
}

static enum nilai_status finish(struct nilai_recall *recall, struct nilai_error *error)
{
    enum nilai_status status = nilai_restore_finish(recall->restore, error);
    if (status == NILAI_OK)
        status = check_position(recall, error);
    if (status != NILAI_OK)
        return judge(recall, status, error);
    stop_reading(recall);
    recall->loaded = true;
    if (recall->options.log != NULL && !nilai_restore_result(recall->restore)->found
        && recall->options.committed.turn > 0)
        nilai_log(NILAI_LOG_WARNING,
                  "partition %" PRId32 ": the journal that the committed offsets speak of (turn "
                  "%" PRIu64
                  ") is gone from %s; state is rebuilt from the oldest input that is there",
                  recall->options.committed.partition, recall->options.committed.turn,
                  recall->options.log_name);
    return NILAI_OK;
}

static enum nilai_status take_record(struct nilai_recall *recall, const struct nilai_input *input,
                                     struct nilai_error *error)
{
    recall->records++;
    recall->last = input->offset;
    if (recall->first < 0)
        recall->first = input->offset;
    enum nilai_status status =
        nilai_restore_take(recall->restore, input->value, input->value_size, error);
    return status == NILAI_OK ? NILAI_OK : judge(recall, status, error);
}

enum nilai_status nilai_recall_load(struct nilai_recall *recall, struct nilai_error *error)
{
    struct nilai_state_log *log = recall->options.log;
    struct nilai_input input;
    NILAI_ASSERT(!recall->loaded);
    if (log == NULL)
        return finish(recall, error);
    for (int count = 0; count < RECORDS_PER_CALL; count++) {
        enum nilai_status status = log->ops->take(log, recall->options.committed.partition, &input);
        if (status == NILAI_MISSING)
            return finish(recall, error);
        if (status == NILAI_FAILED)
            return NILAI_AGAIN; /* the log's next poll says why */
        if (status != NILAI_OK)
            return status;
        status = take_record(recall, &input, error);
        log->ops->give_back(log, &input);
        if (status != NILAI_OK)
            return status;
    }
    return NILAI_AGAIN;
}

void nilai_recall_progress(const struct nilai_recall *recall, uint64_t *read, uint64_t *all)
{
    struct nilai_state_log *log = recall->options.log;
    int64_t end = log != NULL && !recall->loaded
                      ? log->ops->end(log, recall->options.committed.partition)
                      : -1;
    *read = recall->first < 0 ? 0 : (uint64_t)(recall->last - recall->first + 1);
    *all = end > recall->first && recall->first >= 0 ? (uint64_t)(end - recall->first) : *read;
}

/* ---- applying again ---- */

const struct nilai_restored *nilai_recall_result(const struct nilai_recall *recall)
{
    NILAI_ASSERT(recall->loaded);
    return nilai_restore_result(recall->restore);
}

struct nilai_restore *nilai_recall_restore(struct nilai_recall *recall)
{
    return recall->restore;
}

struct nilai_partition *nilai_recall_state(struct nilai_recall *recall)
{
    return recall->state;
}

struct nilai_partition *nilai_recall_take(struct nilai_recall *recall)
{
    struct nilai_partition *state = recall->state;
    NILAI_ASSERT(recall->loaded && state != NULL);
    recall->state = NULL;
    return state;
}

/* Without a journal: up to the committed position. */
static enum nilai_status tell_base(struct nilai_recall *recall, struct nilai_restored_turn *turn)
{
    const struct nilai_position *committed = &recall->options.committed;
    if (recall->base_told || !is_known(recall))
        return NILAI_MISSING;
    recall->base_told = true;
    *turn = (struct nilai_restored_turn){
        .number = 1,
        .from.clock_ms = -1,
        .to.clock_ms = committed->clock_ms,
        .again.restore = recall->restore,
    };
    for (uint32_t topic = 0; topic < recall->options.topic_count; topic++) {
        turn->from.offsets[topic] = -1;
        turn->to.offsets[topic] = committed->offsets[topic];
    }
    return NILAI_OK;
}

enum nilai_status nilai_recall_next(struct nilai_recall *recall, struct nilai_restored_turn *turn)
{
    NILAI_ASSERT(recall->loaded);
    if (!nilai_recall_result(recall)->found)
        return tell_base(recall, turn);
    return nilai_restore_next(recall->restore, turn);
}
