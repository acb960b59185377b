/*
 * input.h - random events into the simulated input topics.
 *
 * Two moods. In order: each customer's events are all in one topic, and nothing is earlier than
 * what any process's clock can have reached, so that what comes out does not depend on how things
 * arrive. Out of order: late, twice, too far in the future, over several topics, in transactions
 * that are aborted or stay open for a while.
 */
#ifndef NILAI_SIM_INPUT_H
#define NILAI_SIM_INPUT_H

#include "broker.h"

enum { SIM_SKEW_MAX_MS = 1500 }; /* of a process's wall clock against the others */

struct sim_input {
    struct sim_broker *broker;
    bool orderly;
    int customers;      /* of one partition */
    double erase_share; /* of events */
    int64_t last_ts_ms;
    uint64_t last_event; /* number */
    int64_t last_customer; /* its customer's number; -1: it has none */
    int last_partition;
    uint64_t appended;
};

void sim_input_step(struct sim_input *input, int64_t wall_ms, int64_t count);
/* One purchase, of a customer who is never erased, in every partition. */
void sim_input_trickle(struct sim_input *input, int64_t wall_ms);
/* Ends the transactions that are open. */
void sim_input_finish(struct sim_input *input);

#endif
