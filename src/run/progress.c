#include "nilai/run/progress.h"

#include "nilai/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_NS    UINT64_C(500000000)
#define INTERVAL_NS UINT64_C(200000000)

enum { NUMBER_SIZE = 32 };

/* 1312000 -> "1,312,000" */
static const char *group_digits(uint64_t number, char text[static NUMBER_SIZE])
{
    char digits[24];
    size_t count = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, number), used = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

/* In the two largest units: "29 s", "3 min 05 s", "2 h 07 min". */
static const char *format_left(double seconds, char text[static NUMBER_SIZE])
{
    uint64_t s = seconds < 3.6e8 ? (uint64_t)seconds : UINT64_C(360000000);
    if (s < 60)
        snprintf(text, NUMBER_SIZE, "%" PRIu64 " s", s);
    else if (s < 3600)
        snprintf(text, NUMBER_SIZE, "%" PRIu64 " min %02" PRIu64 " s", s / 60, s % 60);
    else
        snprintf(text, NUMBER_SIZE, "%" PRIu64 " h %02" PRIu64 " min", s / 3600, s % 3600 / 60);
    return text;
}

void nilai_progress_init(struct nilai_progress *progress, const char *title, const char *unit,
                         uint64_t total, uint64_t now_ns)
{
    *progress = (struct nilai_progress){
        .title = title,
        .unit = unit,
        .total = total,
        .visible = isatty(STDERR_FILENO) == 1,
        .begin_ns = now_ns,
        .next_ns = now_ns + FIRST_NS,
        .last_ns = now_ns,
    };
}

void nilai_progress_format(const struct nilai_progress *progress, uint64_t done, uint64_t now_ns,
                           char text[static NILAI_PROGRESS_TEXT_SIZE])
{
    char number[NUMBER_SIZE], other[NUMBER_SIZE];
    size_t size = NILAI_PROGRESS_TEXT_SIZE, used;
    used = (size_t)snprintf(text, size, "%.20s  %s", progress->title, group_digits(done, number));
    if (progress->total > 0)
        used += (size_t)snprintf(text + used, size - used, " of %s",
                                 group_digits(progress->total, other));
    used += (size_t)snprintf(text + used, size - used, " %.12s", progress->unit);
    if (progress->total > 0)
        used += (size_t)snprintf(text + used, size - used, " (%.1f %%)",
                                 100.0 * (double)done / (double)progress->total);

    double lately_s = (double)(now_ns - progress->last_ns) / 1e9;
    double so_far_s = (double)(now_ns - progress->begin_ns) / 1e9;
    if (lately_s > 0 && done >= progress->last_done)
        used += (size_t)snprintf(
            text + used, size - used, "  %s/s",
            group_digits((uint64_t)((double)(done - progress->last_done) / lately_s), number));
    /* By the rate of the whole work, which does not jump about. */
    if (done > 0 && progress->total > done)
        used += (size_t)snprintf(
            text + used, size - used, "  %s left",
            format_left(so_far_s * (double)(progress->total - done) / (double)done, number));
    NILAI_ASSERT(used < size);
}

void nilai_progress_update(struct nilai_progress *progress, uint64_t done, uint64_t now_ns)
{
    char text[NILAI_PROGRESS_TEXT_SIZE];
    if (NILAI_LIKELY(!progress->visible || now_ns < progress->next_ns))
        return;
    nilai_progress_format(progress, done, now_ns, text);
    nilai_log_status(text);
    progress->drawn = true;
    progress->last_ns = now_ns;
    progress->last_done = done;
    progress->next_ns = now_ns + INTERVAL_NS;
}

void nilai_progress_finish(struct nilai_progress *progress)
{
    if (progress->drawn)
        nilai_log_status("");
    progress->drawn = false;
}
