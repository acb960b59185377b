/*
 * reference.h - what must have come out: turns applied from scratch, by one partition that is
 * never interrupted.
 *
 * Reads the input logs as they ever were, whatever retention has deleted since.
 */
#ifndef NILAI_SIM_REFERENCE_H
#define NILAI_SIM_REFERENCE_H

#include "broker.h"
#include "history.h"
#include "nilai/run/config.h"
#include "nilai/state/partition.h"

struct sim_expected {
    enum nilai_output_topic topic;
    struct sim_message message;
};

struct sim_reference;

struct sim_reference *sim_reference_create(struct sim_broker *broker,
                                           const struct nilai_config *config, int32_t partition);
void sim_reference_destroy(struct sim_reference *reference);

/* Applies the messages from the last turn's offsets up to those of `to`, judged by `wall_ms`; then
 * the clock is at least at `clock_ms`. */
void sim_reference_apply(struct sim_reference *reference, const struct nilai_position *to,
                         int64_t wall_ms);

/* The same for each turn of a history, whose marks must be what the turn brings. */
void sim_reference_follow(struct sim_reference *reference, const struct sim_history *history);

size_t sim_reference_count(const struct sim_reference *reference);
const struct sim_expected *sim_reference_message(const struct sim_reference *reference,
                                                 size_t index);
struct nilai_partition *sim_reference_state(struct sim_reference *reference);

#endif
