/*
 * demo_view.h - the demo's screen as lines of text, and its alerts in English.
 *
 * Numbers and changes in, lines out. No line is wider than the screen, there are no more lines
 * than it has, and nothing that comes from an event can drive the terminal: of a customer's id
 * only characters of one visible cell are shown, everything else (control characters, marks
 * that change the direction of writing, wide or combining characters, bytes that are not UTF-8)
 * is a question mark.
 *
 * Pure. Thread: any.
 */
#ifndef NILAI_RUN_DEMO_VIEW_H
#define NILAI_RUN_DEMO_VIEW_H

#include "nilai/state/partition.h"

enum {
    NILAI_DEMO_COLUMNS_MIN = 20,
    NILAI_DEMO_COLUMNS_MAX = 120, /* a wider screen stays empty at the right */
    NILAI_DEMO_ROWS_MIN = 4,
    NILAI_DEMO_ROWS_MAX = 60,
    NILAI_DEMO_LINE_SIZE = 1024,
    NILAI_DEMO_ALERTS_MAX = 20,
    NILAI_DEMO_ALERT_SIZE = 1024,
    NILAI_DEMO_NAME_SIZE = 3 * NILAI_TEXT_MAX + 1,
};

enum nilai_demo_phase {
    NILAI_DEMO_STARTING, /* nothing has been read */
    NILAI_DEMO_HISTORY,
    NILAI_DEMO_LIVE,
    NILAI_DEMO_STOPPING,
};

/* Everything that is to be seen. Rates are those of the last moments. */
struct nilai_demo_view {
    uint32_t columns, rows;
    bool colour;  /* may use colours and other attributes */
    bool unicode; /* the terminal shows UTF-8 */
    enum nilai_demo_phase phase;
    double progress; /* through the history, 0 to 1 */
    double history_days;
    double speed; /* days a second, as asked for */
    int64_t sim_ms;
    double left_s; /* until the demo ends */
    uint64_t events, customers;
    double events_per_s, changes_per_s;
    double purchases_per_s, tickets_per_s, surveys_per_s;
    bool has_latency;
    double latency_median_ms, latency_99_ms;
    uint64_t bands[NILAI_BANDS], segments[NILAI_SEGMENTS];
    const char *currency;
    size_t alert_count;
    const struct nilai_effect *alerts; /* newest first */
};

struct nilai_demo_lines {
    uint32_t count;
    char text[NILAI_DEMO_ROWS_MAX][NILAI_DEMO_LINE_SIZE]; /* terminated, without line ends */
};

/* Screens below the minimum are drawn as if they were that large. */
void nilai_demo_view_draw(const struct nilai_demo_view *view, struct nilai_demo_lines *lines);

/* A change in one line: "2025-06-14 HIGH RISK c0000000042: 74 %, was medium; ...". */
void nilai_demo_view_alert(const struct nilai_effect *effect, const char *currency, bool unicode,
                           char text[static NILAI_DEMO_ALERT_SIZE]);

/* The id as it may be shown; returns how many cells it takes. */
uint32_t nilai_demo_view_name(const char *id, size_t size, bool unicode,
                              char text[static NILAI_DEMO_NAME_SIZE]);

/* "12,345,678". */
void nilai_demo_view_number(uint64_t number, char text[static 32]);

#endif
