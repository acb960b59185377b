#include "nilai/run/demo_view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/customer/explain.h"
#include "nilai/event/utf8.h"

enum {
    LEFT_BAR = 9,
    LEFT_NUMBER = 36, /* columns; numbers end there */
    RIGHT = 40,
    RIGHT_BAR = 52,
    RIGHT_NUMBER = 79,
    BAR_CELLS = 16,
    SIDE_BY_SIDE_MIN = 80, /* columns for both tables of bars */
    TABLES_MIN = 18,       /* rows, below which only the alerts stay */
    REASON_INDENT = 4,
    REASON_LINES_MAX = 2,
    STYLE_ROOM = 16, /* bytes that the escape sequences of one piece take at most */
};

enum style { PLAIN, BOLD, DIM, REVERSE, RED, YELLOW, GREEN, CYAN };

static const char *const style_codes[] = {
    [PLAIN] = "",         [BOLD] = "\033[1m",      [DIM] = "\033[2m",      [REVERSE] = "\033[7m",
    [RED] = "\033[1;31m", [YELLOW] = "\033[1;33m", [GREEN] = "\033[1;32m", [CYAN] = "\033[1;36m",
};

static const char *const band_titles[NILAI_BANDS] = {
    [NILAI_BAND_LOW] = "low risk",
    [NILAI_BAND_MEDIUM] = "medium risk",
    [NILAI_BAND_HIGH] = "HIGH RISK",
};
static const enum style band_styles[NILAI_BANDS] = {
    [NILAI_BAND_LOW] = GREEN,
    [NILAI_BAND_MEDIUM] = YELLOW,
    [NILAI_BAND_HIGH] = RED,
};

/* ---- names and numbers ---- */

static uint32_t code_point(const char *data, size_t size)
{
    static const uint8_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = (uint8_t)data[0] & lead_bits[size];
    for (size_t i = 1; i < size; i++)
        point = point << 6 | ((uint8_t)data[i] & 0x3f);
    return point;
}

/* Letters, digits and signs of Latin, Greek and Cyrillic: surely one cell each, written from
 * left to right. Other scripts would need tables that terminals do not agree on. */
static bool takes_one_cell(uint32_t point, bool unicode)
{
    if (point < 0x80)
        return point >= 0x20 && point != 0x7f;
    if (!unicode)
        return false;
    return (point >= 0xa1 && point <= 0x2ff && point != 0xad) || (point >= 0x386 && point <= 0x481)
           || (point >= 0x48a && point <= 0x52f);
}

uint32_t nilai_demo_view_name(const char *id, size_t size, bool unicode,
                              char text[static NILAI_DEMO_NAME_SIZE])
{
    uint32_t cells = 0;
    size_t used = 0;
    NILAI_ASSERT(size <= NILAI_TEXT_MAX);
    for (size_t at = 0; at < size; cells++) {
        bool valid;
        size_t step = nilai_utf8_step(id + at, size - at, &valid);
        if (valid && takes_one_cell(code_point(id + at, step), unicode)) {
            memcpy(text + used, id + at, step);
            used += step;
        } else {
            text[used++] = '?';
        }
        at += step;
    }
    text[used] = '\0';
    return cells;
}

void nilai_demo_view_number(uint64_t number, char text[static 32])
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%" PRIu64, number);
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
}

static uint64_t whole(double number)
{
    return number > 0 ? (uint64_t)llround(fmin(number, 1e15)) : 0;
}

/* "14 Jun 2025" */
static void format_date(int64_t ms, char text[static 16])
{
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char iso[NILAI_CLOCK_TEXT_SIZE];
    nilai_clock_format(ms, iso);
    int month = (iso[5] - '0') * 10 + iso[6] - '0';
    NILAI_ASSERT(month >= 1 && month <= 12);
    snprintf(text, 16, "%.2s %s %.4s", iso + 8, months[month - 1], iso);
}

/* ---- what is said of one change ---- */

static void format_money(const char *currency, double amount, char text[static 48])
{
    /* Whole units of large sums are enough for a glance. */
    snprintf(text, 48, amount < 1e4 ? "%.3s %.2f" : "%.3s %.4g", currency, amount);
}

static void describe_band(const struct nilai_effect *effect, const char *currency,
                          char text[static 160])
{
    char money[48];
    format_money(currency, effect->change.value_at_risk, money);
    snprintf(text, 160, "%.0f %%, was %s; %s at risk; %s", effect->change.risk * 100,
             nilai_band_names[effect->change.from.band], money,
             effect->by_event ? "after an event" : "by time alone");
}

static void describe_value(const struct nilai_effect *effect, const char *currency,
                           char text[static 160])
{
    char money[48];
    const struct nilai_change *change = &effect->change;
    format_money(currency, change->clv_365, money);
    snprintf(text, 160, "%s%s; %s expected in the next year",
             change->first ? "a new customer" : "was ",
             change->first ? "" : nilai_segment_names[change->from.segment], money);
}

static void describe(const struct nilai_effect *effect, const char *currency, char text[static 160])
{
    if (effect->change.is_band)
        describe_band(effect, currency, text);
    else
        describe_value(effect, currency, text);
}

/* The reasons that speak for leaving, one sentence after the other. */
static void explain_band(const struct nilai_change *change, char *text, size_t size)
{
    const struct nilai_explain_facts facts = {
        .silence_days = change->silence_days,
        .gap_days = change->gap_days,
        .purchase_days = change->repeat_days + 1,
        .span_days = change->span_days,
    };
    bool rises = change->to.band > change->from.band;
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < change->reason_count; i++) {
        char sentence[NILAI_EXPLAIN_SIZE];
        if ((change->reasons[i].points > 0) != rises)
            continue;
        nilai_explain_reason(&change->reasons[i], &facts, sentence);
        if (used + strlen(sentence) + 2 > size)
            break;
        used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? " " : "", sentence);
    }
}

static void explain(const struct nilai_effect *effect, const char *currency, char *text,
                    size_t size)
{
    const struct nilai_change *change = &effect->change;
    if (change->is_band) {
        explain_band(change, text, size);
        return;
    }
    char money[48];
    format_money(currency, (double)change->net_year / 1e4, money);
    snprintf(text, size,
             "Bought on %" PRIu32 " day%s of the last year, which earned %s after all costs.",
             change->purchase_days_year, change->purchase_days_year == 1 ? "" : "s", money);
}

static const char *title_of(const struct nilai_change *change)
{
    if (change->is_band)
        return band_titles[change->to.band];
    return change->to.segment == NILAI_SEGMENT_VIP ? "VIP"
                                                   : nilai_segment_names[change->to.segment];
}

void nilai_demo_view_alert(const struct nilai_effect *effect, const char *currency, bool unicode,
                           char text[static NILAI_DEMO_ALERT_SIZE])
{
    char date[NILAI_CLOCK_TEXT_SIZE], name[NILAI_DEMO_NAME_SIZE], facts[160], reasons[640];
    nilai_clock_format(effect->change.at_ms, date);
    nilai_demo_view_name(effect->customer, effect->customer_size, unicode, name);
    describe(effect, currency, facts);
    explain(effect, currency, reasons, sizeof reasons);
    snprintf(text, NILAI_DEMO_ALERT_SIZE, "%.10s %s %s: %s. %s", date, title_of(&effect->change),
             name, facts, reasons);
}

/* ---- a pen that stays on the paper ---- */

struct pen {
    const struct nilai_demo_view *view;
    struct nilai_demo_lines *lines;
    uint32_t columns, rows; /* of the paper */
    char *line;             /* the present one */
    size_t used;            /* bytes */
    uint32_t column;        /* cells */
};

static bool begin_line(struct pen *pen)
{
    if (pen->lines->count >= pen->rows)
        return false;
    pen->line = pen->lines->text[pen->lines->count++];
    pen->line[0] = '\0';
    pen->used = 0;
    pen->column = 0;
    return true;
}

static void append(struct pen *pen, const char *bytes, size_t size)
{
    memcpy(pen->line + pen->used, bytes, size);
    pen->used += size;
    pen->line[pen->used] = '\0';
}

/* As much of the text as there are columns; it is ours or has been through view_name. */
static void put(struct pen *pen, enum style style, const char *text)
{
    bool styled = pen->view->colour && style != PLAIN;
    if (pen->column >= pen->columns || pen->used + STYLE_ROOM >= NILAI_DEMO_LINE_SIZE)
        return;
    if (styled)
        append(pen, style_codes[style], strlen(style_codes[style]));
    size_t size = strlen(text);
    for (size_t at = 0; at < size && pen->column < pen->columns; pen->column++) {
        bool valid;
        size_t step = nilai_utf8_step(text + at, size - at, &valid);
        NILAI_ASSERT(valid);
        if (pen->used + step + STYLE_ROOM / 2 >= NILAI_DEMO_LINE_SIZE)
            break;
        append(pen, text + at, step);
        at += step;
    }
    if (styled)
        append(pen, "\033[0m", 4);
}

static void NILAI_PRINTF(3, 4) print(struct pen *pen, enum style style, const char *format, ...)
{
    char text[NILAI_DEMO_ALERT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put(pen, style, text);
}

static void go_to(struct pen *pen, uint32_t column)
{
    while (pen->column < column && pen->column < pen->columns)
        put(pen, PLAIN, " ");
}

static const char *sign(const struct pen *pen, const char *unicode, const char *ascii)
{
    return pen->view->unicode ? unicode : ascii;
}

static uint32_t cells_of(const char *text)
{
    uint32_t cells = 0;
    for (; *text != '\0'; text++)
        cells += ((uint8_t)*text & 0xc0) != 0x80;
    return cells;
}

/* So that it ends before `end`. */
static void put_right(struct pen *pen, uint32_t end, enum style style, const char *text)
{
    uint32_t cells = cells_of(text);
    if (pen->column + cells > end)
        return;
    go_to(pen, end - cells);
    put(pen, style, text);
}

static void put_bar(struct pen *pen, enum style style, double share, uint32_t cells)
{
    uint32_t full = (uint32_t)lround(fmin(fmax(share, 0), 1) * cells);
    if (full == 0 && share > 0)
        full = 1;
    for (uint32_t i = 0; i < cells; i++) {
        if (i < full)
            put(pen, style, sign(pen, "\u2588", "#"));
        else
            put(pen, DIM, sign(pen, "\u00b7", "."));
    }
}

/* ---- the parts, from the top ---- */

static void draw_title(struct pen *pen)
{
    char date[16];
    if (!begin_line(pen))
        return;
    format_date(pen->view->sim_ms, date);
    put(pen, BOLD, " nilai ");
    put(pen, PLAIN, " who is about to leave, what they are worth, and why");
    put_right(pen, pen->columns, CYAN, date);
}

static void draw_way(struct pen *pen)
{
    const char *arrow = sign(pen, "\u2192", "->");
    if (!begin_line(pen))
        return;
    print(pen, DIM,
          " purchases, tickets, surveys %s Kafka %s nilai %s changes; %g simulated day%s a second",
          arrow, arrow, arrow, pen->view->speed, pen->view->speed == 1 ? "" : "s");
}

static void draw_phase(struct pen *pen)
{
    if (!begin_line(pen))
        return;
    switch (pen->view->phase) {
    case NILAI_DEMO_STARTING:
        put(pen, YELLOW, " starting the embedded broker and joining its consumer group ...");
        break;
    case NILAI_DEMO_HISTORY:
        print(pen, YELLOW, " catching up with %.0f days of history  ", pen->view->history_days);
        put_bar(pen, YELLOW, pen->view->progress, BAR_CELLS);
        print(pen, YELLOW, " %.0f %%", floor(pen->view->progress * 100));
        break;
    case NILAI_DEMO_STOPPING: put(pen, YELLOW, " stopping ..."); break;
    case NILAI_DEMO_LIVE: break;
    }
}

static void put_number(struct pen *pen, double number, const char *unit)
{
    char text[32];
    nilai_demo_view_number(whole(number), text);
    print(pen, BOLD, " %s", text);
    print(pen, PLAIN, " %s  ", unit);
}

static void draw_numbers(struct pen *pen)
{
    const struct nilai_demo_view *view = pen->view;
    if (!begin_line(pen))
        return;
    put_number(pen, view->events_per_s, "events/s");
    put_number(pen, (double)view->customers, "customers");
    put_number(pen, view->changes_per_s, "changes/s");
    if (view->has_latency) {
        print(pen, BOLD, " %.0f ms", view->latency_median_ms);
        print(pen, PLAIN, " event to change");
    }
}

static uint64_t sum_of(const uint64_t *counts, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += counts[i];
    return sum;
}

static void draw_count(struct pen *pen, const char *name, enum style style, uint64_t count,
                       uint64_t all, uint32_t bar, uint32_t number)
{
    char text[32];
    print(pen, PLAIN, " %s", name);
    go_to(pen, bar);
    put_bar(pen, style, all > 0 ? (double)count / (double)all : 0, BAR_CELLS);
    nilai_demo_view_number(count, text);
    put_right(pen, number, BOLD, text);
}

static void put_rate(struct pen *pen, double rate, const char *unit)
{
    char text[32];
    nilai_demo_view_number(whole(rate), text);
    print(pen, DIM, " %s %s", text, unit);
}

/* Row 0, 1 and 2 of the left table are the bands; below them, what comes in. */
static void draw_left(struct pen *pen, size_t row)
{
    static const enum nilai_band bands[] = {NILAI_BAND_HIGH, NILAI_BAND_MEDIUM, NILAI_BAND_LOW};
    const struct nilai_demo_view *view = pen->view;
    if (row < NILAI_ARRAY_LEN(bands))
        draw_count(pen, nilai_band_names[bands[row]], band_styles[bands[row]],
                   view->bands[bands[row]], sum_of(view->bands, NILAI_BANDS), LEFT_BAR,
                   LEFT_NUMBER);
    if (row == NILAI_ARRAY_LEN(bands) + 1) {
        put_rate(pen, view->purchases_per_s, "purchases/s");
    } else if (row == NILAI_ARRAY_LEN(bands) + 2) {
        put_rate(pen, view->tickets_per_s, "ticket steps/s ");
        put_rate(pen, view->surveys_per_s, "answers/s");
    }
}

static void draw_right(struct pen *pen, size_t row)
{
    static const enum nilai_segment order[] = {
        NILAI_SEGMENT_VIP, NILAI_SEGMENT_LOYAL,      NILAI_SEGMENT_REGULAR,
        NILAI_SEGMENT_NEW, NILAI_SEGMENT_OCCASIONAL, NILAI_SEGMENT_LAPSED,
    };
    const uint64_t *segments = pen->view->segments;
    go_to(pen, RIGHT);
    draw_count(pen, nilai_segment_names[order[row]], CYAN, segments[order[row]],
               sum_of(segments, NILAI_SEGMENTS), RIGHT_BAR, RIGHT_NUMBER);
}

static void draw_tables(struct pen *pen)
{
    enum { TABLE_ROWS = 6 };
    bool both = pen->columns >= SIDE_BY_SIDE_MIN;
    if (pen->rows < TABLES_MIN)
        return;
    begin_line(pen);
    begin_line(pen);
    put(pen, BOLD, " CHURN RISK of all customers");
    if (both) {
        go_to(pen, RIGHT);
        put(pen, BOLD, " VALUE SEGMENT");
    }
    for (size_t row = 0; row < TABLE_ROWS && begin_line(pen); row++) {
        draw_left(pen, row);
        if (both)
            draw_right(pen, row);
    }
    begin_line(pen);
}

/* How much of an ASCII text fits, broken between words if it can be. */
static size_t words_within(const char *text, uint32_t room)
{
    size_t size = strlen(text), take = room;
    if (size <= room)
        return size;
    while (take > 0 && text[take] != ' ')
        take--;
    return take > 0 ? take : room;
}

static const char *after_words(const char *text, size_t taken)
{
    text += taken;
    return *text == ' ' ? text + 1 : text;
}

static uint32_t lines_of(const char *text, uint32_t room)
{
    uint32_t lines = 0;
    for (; *text != '\0'; lines++)
        text = after_words(text, words_within(text, room));
    return lines;
}

/* Drops whole sentences from the end until the rest fits; the lines it takes. */
static uint32_t fit_sentences(char *text, uint32_t room)
{
    while (lines_of(text, room) > REASON_LINES_MAX) {
        size_t at = strlen(text);
        while (at > 0 && !(text[at] == ' ' && text[at - 1] == '.'))
            at--;
        if (at == 0)
            return REASON_LINES_MAX; /* one long sentence on a narrow screen: its beginning */
        text[at] = '\0';
    }
    return lines_of(text, room);
}

static enum style style_of(const struct nilai_change *change)
{
    return change->is_band ? band_styles[change->to.band] : CYAN;
}

/* False: there is no room for it. */
static bool draw_alert(struct pen *pen, const struct nilai_effect *effect, uint32_t rows_left)
{
    char name[NILAI_DEMO_NAME_SIZE], facts[160], reasons[640];
    uint32_t room = pen->columns - REASON_INDENT;
    bool good = !effect->change.is_band;
    explain(effect, pen->view->currency, reasons, sizeof reasons);
    uint32_t lines = fit_sentences(reasons, room);
    if (lines + 1 > rows_left || !begin_line(pen))
        return false;
    nilai_demo_view_name(effect->customer, effect->customer_size, pen->view->unicode, name);
    describe(effect, pen->view->currency, facts);
    print(pen, style_of(&effect->change), " %s %s",
          good ? sign(pen, "\u2605", "*") : sign(pen, "\u25b2", "!"), title_of(&effect->change));
    print(pen, BOLD, "  %s", name);
    print(pen, PLAIN, "  %s", facts);
    const char *rest = reasons;
    for (uint32_t line = 0; line < lines && begin_line(pen); line++) {
        size_t take = words_within(rest, room);
        go_to(pen, REASON_INDENT);
        print(pen, PLAIN, "%.*s", (int)take, rest);
        rest = after_words(rest, take);
    }
    return true;
}

static void draw_alerts(struct pen *pen)
{
    if (pen->lines->count + 2 > pen->rows || !begin_line(pen))
        return;
    put(pen, BOLD, " WHAT CHANGED");
    put(pen, DIM, "   each moment's change with the most money in it, newest first");
    for (size_t i = 0; i < pen->view->alert_count; i++) {
        /* The last row is the foot's. */
        if (!draw_alert(pen, &pen->view->alerts[i], pen->rows - 1 - pen->lines->count))
            break;
    }
    while (pen->lines->count + 1 < pen->rows)
        begin_line(pen);
}

static void draw_foot(struct pen *pen)
{
    char events[32], left[32];
    if (!begin_line(pen))
        return;
    nilai_demo_view_number(pen->view->events, events);
    nilai_demo_view_number(whole(ceil(pen->view->left_s)), left);
    print(pen, DIM, " q quits   %s events so far   ends by itself in %s s", events, left);
}

static uint32_t within(uint32_t number, uint32_t min, uint32_t max)
{
    return number < min ? min : number > max ? max : number;
}

void nilai_demo_view_draw(const struct nilai_demo_view *view, struct nilai_demo_lines *lines)
{
    struct pen pen = {
        .view = view,
        .lines = lines,
        .columns = within(view->columns, NILAI_DEMO_COLUMNS_MIN, NILAI_DEMO_COLUMNS_MAX),
        .rows = within(view->rows, NILAI_DEMO_ROWS_MIN, NILAI_DEMO_ROWS_MAX),
    };
    NILAI_ASSERT(view->alert_count <= NILAI_DEMO_ALERTS_MAX);
    lines->count = 0;
    draw_title(&pen);
    if (pen.rows >= TABLES_MIN) {
        draw_way(&pen);
        draw_phase(&pen);
    }
    draw_numbers(&pen);
    draw_tables(&pen);
    draw_alerts(&pen);
    draw_foot(&pen);
    NILAI_ASSERT(lines->count <= pen.rows);
}
