/*
 * judge.h - whether what readers see is what one uninterrupted partition would have published.
 */
#ifndef NILAI_SIM_JUDGE_H
#define NILAI_SIM_JUDGE_H

#include "reference.h"

enum sim_rule {
    SIM_SAME,   /* every message once, in order */
    SIM_REPEAT, /* every message, in order; some more than once, but the same each time */
    SIM_WITHIN, /* every message, in order; others in between, which nobody accounted for */
};

struct sim_verdict {
    uint64_t changes, dead_letters, repeated;
};

/* `references`: one for each state partition. Fails the run. */
void sim_judge_outputs(struct sim_broker *broker, struct sim_reference *const *references,
                       enum sim_rule rule, struct sim_verdict *verdict);

/* Without a reference, when settings change on the way: each customer's changes are counted without
 * a gap, once, and each begins where the one before has ended. Nobody may have been erased. */
void sim_judge_chains(struct sim_broker *broker, struct sim_verdict *verdict);

#endif
