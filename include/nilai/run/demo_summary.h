/*
 * demo_summary.h - what a demo tells at its end, on standard output, within 80 columns.
 */
#ifndef NILAI_RUN_DEMO_SUMMARY_H
#define NILAI_RUN_DEMO_SUMMARY_H

#include "nilai/run/demo_feed.h"
#include "nilai/run/demo_tally.h"

struct nilai_demo_summary {
    int64_t from_ms;           /* where simulated time began */
    uint64_t begin_ns, end_ns; /* of the feed */
    uint64_t events;           /* applied */
    uint64_t bad;              /* set aside */
    const struct nilai_demo_feed_state *feed;
    const struct nilai_demo_counts *counts;
};

void nilai_demo_summary_print(const struct nilai_demo_summary *summary);

#endif
