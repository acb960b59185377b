#include "nilai/run/demo_summary.h"

#include <math.h>
#include <stdio.h>

#include "nilai/base/clock.h"
#include "nilai/run/demo_view.h"

static double elapsed_s(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) * 1e-9 : 0;
}

static void print_counted(uint64_t number, const char *text)
{
    char digits[32];
    nilai_demo_view_number(number, digits);
    printf("%s%s", digits, text);
}

static void print_events(const struct nilai_demo_summary *summary)
{
    const struct nilai_demo_feed_state *feed = summary->feed;
    uint64_t live_ns = feed->live ? feed->live_since_ns : summary->end_ns;
    uint64_t history = feed->live ? feed->history : feed->sent;
    double history_s = fmax(elapsed_s(summary->begin_ns, live_ns), 1e-3);
    double live_s = fmax(elapsed_s(live_ns, summary->end_ns), 1e-3);
    fputs("  events     ", stdout);
    print_counted(summary->events, "\n  history    ");
    print_counted(history, " in ");
    printf("%.1f s (%.0f/s)\n", history_s, (double)history / history_s);
    if (!feed->live)
        return;
    fputs("  live       ", stdout);
    print_counted(feed->sent - history, " in ");
    printf("%.1f s (%.0f/s)\n", live_s, (double)(feed->sent - history) / live_s);
    if (feed->late_s >= 0.1)
        printf("             the schedule moved by %.1f s: the machine was too slow, or stopped\n",
               feed->late_s);
}

static void print_customers(const struct nilai_demo_counts *counts)
{
    fputs("  customers  ", stdout);
    print_counted(nilai_demo_tally_customers(counts), "; risk:");
    for (size_t band = NILAI_BAND_LOW; band < NILAI_BANDS; band++) {
        printf("%s %s ", band == NILAI_BAND_LOW ? "" : ",", nilai_band_names[band]);
        print_counted(counts->bands[band], "");
    }
    fputs("\n  segments   ", stdout);
    for (size_t segment = NILAI_SEGMENT_LAPSED; segment < NILAI_SEGMENTS; segment++) {
        printf("%s%s ",
               segment == NILAI_SEGMENT_LAPSED    ? ""
               : segment == NILAI_SEGMENT_REGULAR ? ",\n             "
                                                  : ", ",
               nilai_segment_names[segment]);
        print_counted(counts->segments[segment], "");
    }
    putchar('\n');
}

static void print_changes(const struct nilai_demo_counts *counts)
{
    fputs("  changes    ", stdout);
    print_counted(nilai_demo_tally_changes(counts), "\n             of risk ");
    print_counted(counts->band_changes[0], " by time alone and ");
    print_counted(counts->band_changes[1], " by events\n             of value ");
    print_counted(counts->value_changes[0], " by time alone and ");
    print_counted(counts->value_changes[1], " by events\n");
    fputs("  alerts     ", stdout);
    print_counted(counts->alerts, " customers became high risk\n");
    if (counts->latency_count > 0)
        printf("  latency    median %.1f ms, 99 %% below %.1f ms, from when an event was due\n"
               "             until its change was handed to the Kafka client\n",
               counts->latency_median_ms, counts->latency_99_ms);
}

void nilai_demo_summary_print(const struct nilai_demo_summary *summary)
{
    char from[NILAI_CLOCK_TEXT_SIZE], until[NILAI_CLOCK_TEXT_SIZE];
    nilai_clock_format(summary->from_ms, from);
    nilai_clock_format(summary->feed->sim_ms, until);
    printf("nilai demo: simulated %.10s to %.10s\n", from, until);
    print_events(summary);
    print_customers(summary->counts);
    print_changes(summary->counts);
    fputs("  bad events ", stdout);
    print_counted(summary->bad, ", set aside in the dead-letter topic with the reason\n");
    fflush(stdout);
}
