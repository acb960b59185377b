/*
 * residue.h - what is still in a journal: how large it is, and of whom.
 */
#ifndef NILAI_SIM_RESIDUE_H
#define NILAI_SIM_RESIDUE_H

#include "broker.h"
#include "nilai/state/partition.h"

/* Everybody named in what is left of the journal must be known to `state`. */
void sim_check_residue(struct sim_log *log, const struct nilai_partition *state);

/* Bytes of all images that are left, and of the newest of each chunk and bucket. */
struct sim_residue {
    uint64_t image_bytes, newest_bytes;
};
struct sim_residue sim_measure_residue(struct sim_log *log);

#endif
