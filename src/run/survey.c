#include "nilai/run/survey.h"

#include <inttypes.h>

#include "nilai/base/log.h"
#include "nilai/run/lane.h"

enum {
    PROGRESS_EVERY_MS = 5000,
    WARN_EVERY_MS = 60000,
};

static uint64_t lag_of(const struct nilai_surveyed *what, struct nilai_lane *lane)
{
    uint64_t lag = 0;
    struct nilai_position position;
    if (lane == what->busy || nilai_lane_phase(lane) == NILAI_LANE_FINISHED
        || nilai_lane_phase(lane) == NILAI_LANE_LOADING)
        return 0;
    int64_t reading[NILAI_INPUT_TOPICS_MAX];
    nilai_lane_position(lane, &position);
    nilai_lane_start(lane, reading);
    for (uint32_t topic = 0; topic < what->topic_count; topic++) {
        int64_t high = nilai_source_high(what->source, topic, position.partition);
        int64_t offset = reading[topic] < 0 ? 0 : reading[topic];
        lag += high > offset ? (uint64_t)(high - offset) : 0;
    }
    return lag;
}

static void tell_gap(struct nilai_lane *lane)
{
    enum nilai_lane_gap gap = nilai_lane_take_gap(lane);
    if (gap == NILAI_GAP_OLD)
        nilai_log(NILAI_LOG_WARNING,
                  "partition %" PRId32 ": the oldest events are no longer in the input topics; "
                  "state is built from those that are",
                  nilai_lane_partition(lane));
    if (gap == NILAI_GAP_UNREAD)
        nilai_log(NILAI_LOG_ERROR,
                  "partition %" PRId32 ": events were deleted from the input topics before they "
                  "were read: what they would have changed is lost; keep them for longer "
                  "(retention.ms)",
                  nilai_lane_partition(lane));
}

/* A restore needs the input from the journal's floor on. */
static void watch_retention(struct nilai_survey *survey, const struct nilai_surveyed *what)
{
    uint64_t near = 0;
    enum nilai_lane_retention worst = NILAI_RETENTION_FAR;
    for (size_t index = 0; index < what->lane_count; index++) {
        enum nilai_lane_retention retention =
            nilai_lane_retention(what->lanes[index], what->source);
        near += retention != NILAI_RETENTION_FAR;
        worst = retention > worst ? retention : worst;
    }
    nilai_counter_set(what->counters, NILAI_COUNTER_RETENTION_NEAR, near);
    if (near == 0 || what->now_ms < survey->warn_at_ms)
        return;
    survey->warn_at_ms = what->now_ms + WARN_EVERY_MS;
    nilai_log(worst == NILAI_RETENTION_PAST ? NILAI_LOG_ERROR : NILAI_LOG_WARNING,
              "%s for %" PRIu64 " partitions: keep the input for longer (retention.ms), or make "
              "state.image_round_max shorter",
              worst == NILAI_RETENTION_PAST
                  ? "input that a restore would need may have been deleted"
                  : "input that a restore would need is about to be deleted",
              near);
}

static bool is_restoring(const struct nilai_lane *lane)
{
    return nilai_lane_phase(lane) == NILAI_LANE_LOADING
           || nilai_lane_phase(lane) == NILAI_LANE_REPLAYING;
}

static void tell_restored(const struct nilai_surveyed *what, struct nilai_lane *lane)
{
    struct nilai_lane_restored restored;
    if (!nilai_lane_take_restored(lane, &restored) || !restored.found)
        return;
    nilai_counter_add(what->counters, NILAI_COUNTER_RESTORED_BYTES, restored.image_bytes);
    nilai_counter_add(what->counters, NILAI_COUNTER_DIFFERENCES, restored.differences);
    nilai_log(restored.differences > 0 ? NILAI_LOG_ERROR : NILAI_LOG_INFO,
              "partition %" PRId32 ": restored %" PRIu64 " customers from %" PRIu64
              " bytes of images in %.1f s and %" PRIu64 " turns in %.1f s; differences %" PRIu64,
              nilai_lane_partition(lane), restored.customers, restored.image_bytes,
              (double)restored.load_ms / 1000, restored.turns, (double)restored.replay_ms / 1000,
              restored.differences);
}

static void tell_progress(struct nilai_survey *survey, const struct nilai_surveyed *what)
{
    uint64_t loading = 0, replaying = 0, read = 0, all = 0;
    for (size_t index = 0; index < what->lane_count; index++) {
        uint64_t lane_read, lane_all;
        nilai_lane_progress(what->lanes[index], &lane_read, &lane_all);
        read += lane_read;
        all += lane_all;
        loading += nilai_lane_phase(what->lanes[index]) == NILAI_LANE_LOADING;
        replaying += nilai_lane_phase(what->lanes[index]) == NILAI_LANE_REPLAYING;
    }
    if (loading + replaying == 0)
        survey->progress_at_ms = what->now_ms; /* a short one needs no words */
    if (what->now_ms - survey->progress_at_ms < PROGRESS_EVERY_MS)
        return;
    survey->progress_at_ms = what->now_ms;
    nilai_log(NILAI_LOG_INFO,
              "restoring: %" PRIu64 " partitions load (record %" PRIu64 " of %" PRIu64 "), %" PRIu64
              " replay",
              loading, read, all, replaying);
}

static uint64_t book(struct nilai_survey *survey, struct nilai_budget *budget, uint64_t memory)
{
    uint64_t before = atomic_fetch_add_explicit(&budget->used_bytes, memory - survey->memory_bytes,
                                                memory_order_relaxed);
    uint64_t used = before + memory - survey->memory_bytes;
    survey->memory_bytes = memory;
    return used;
}

bool nilai_survey_take(struct nilai_survey *survey, const struct nilai_surveyed *what)
{
    uint64_t customers = 0, memory = 0, lag = 0, restoring = 0;
    for (size_t index = 0; index < what->lane_count; index++) {
        struct nilai_lane *lane = what->lanes[index];
        struct nilai_partition *state = nilai_lane_state(lane);
        if (state == NULL)
            continue;
        struct nilai_table_stats stats;
        nilai_table_stats(nilai_partition_table(state), &stats);
        customers += stats.customers;
        memory += nilai_partition_memory_bytes(state);
        lag += lag_of(what, lane);
        restoring += is_restoring(lane);
        tell_gap(lane);
        tell_restored(what, lane);
    }
    tell_progress(survey, what);
    watch_retention(survey, what);
    nilai_counter_set(what->counters, NILAI_COUNTER_CUSTOMERS, customers);
    nilai_counter_set(what->counters, NILAI_COUNTER_MEMORY_BYTES, memory);
    nilai_counter_set(what->counters, NILAI_COUNTER_LAG, lag);
    nilai_counter_set(what->counters, NILAI_COUNTER_PARTITIONS, what->lane_count);
    nilai_counter_set(what->counters, NILAI_COUNTER_REPLAYING, restoring);
    survey->taken_at_ms = what->now_ms;
    return book(survey, what->budget, memory) <= what->budget->max_bytes;
}

void nilai_survey_end(struct nilai_survey *survey, struct nilai_budget *budget)
{
    (void)book(survey, budget, 0);
}
