/*
 * state.h - whether two partitions hold the same, whatever the numbers of their records.
 */
#ifndef NILAI_SIM_STATE_H
#define NILAI_SIM_STATE_H

#include "broker.h"
#include "nilai/state/partition.h"

/* Fails the run, naming `what`, at the first customer or erasure that differs. */
void sim_compare_states(const struct nilai_partition *actual,
                        const struct nilai_partition *expected, const char *what);

#endif
