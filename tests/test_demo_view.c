#include "nilai/run/demo_view.h"

#include "nilai/customer/explain.h"
#include "nilai/event/utf8.h"
#include "test.h"

static struct nilai_effect rise(const char *id, size_t size)
{
    struct nilai_effect effect = {
        .customer_size = (uint8_t)size,
        .change = {
            .is_band = true,
            .seq = 3,
            .at_ms = INT64_C(1749859200000), /* 2025-06-14 */
            .from = {.band = NILAI_BAND_MEDIUM, .segment = NILAI_SEGMENT_REGULAR, .tier = NILAI_TIER_B},
            .to = {.band = NILAI_BAND_HIGH, .segment = NILAI_SEGMENT_REGULAR, .tier = NILAI_TIER_B},
            .risk = 0.7349,
            .silence_days = 23.1,
            .gap_days = 7.2,
            .repeat_days = 5,
            .span_days = 60,
            .value_at_risk = 84.1,
            .reason_count = 2,
            .reasons = {{.code = NILAI_REASON_SILENCE, .points = 1.5},
                        {.code = NILAI_SIGNAL_COMPLAINT, .points = 0.6}},
        },
    };
    memcpy(effect.customer, id, size);
    return effect;
}

static struct nilai_demo_view busy(uint32_t columns, uint32_t rows)
{
    return (struct nilai_demo_view){
        .columns = columns, .rows = rows, .colour = true, .unicode = true,
        .phase = NILAI_DEMO_LIVE, .progress = 0.5, .history_days = 400, .speed = 1,
        .sim_ms = INT64_C(1749859200000), .left_s = 3581, .events = 1234567, .customers = 20113,
        .events_per_s = 2013, .changes_per_s = 85, .purchases_per_s = 812, .tickets_per_s = 211,
        .surveys_per_s = 90, .has_latency = true, .latency_median_ms = 8.9, .latency_99_ms = 85,
        .bands = {0, 15002, 3881, 1230}, .segments = {0, 10, 812, 300, 4000, 6000, 8991},
        .currency = "USD",
    };
}

/* Cells of a line, without its attributes; fails on anything else that a terminal would obey. */
static uint32_t visible_cells(const char *line, bool colour)
{
    uint32_t cells = 0;
    for (size_t at = 0, size = strlen(line); at < size;) {
        if (line[at] == '\033') {
            CHECK(colour);
            CHECK(line[at + 1] == '[');
            size_t end = at + 2 + strspn(line + at + 2, "0123456789;");
            CHECK(line[end] == 'm');
            at = end + 1;
            continue;
        }
        bool valid;
        size_t step = nilai_utf8_step(line + at, size - at, &valid);
        CHECK(valid);
        CHECK((unsigned char)line[at] >= 0x20 && line[at] != 0x7f);
        CHECK(!(step == 2 && (unsigned char)line[at] == 0xc2 && (unsigned char)line[at + 1] < 0xa0));
        at += step;
        cells++;
    }
    return cells;
}

static bool some_line_holds(const struct nilai_demo_lines *lines, const char *text)
{
    for (uint32_t i = 0; i < lines->count; i++)
        if (strstr(lines->text[i], text) != NULL)
            return true;
    return false;
}

/* Goal: whatever the numbers, ids and the size of the screen, the page fits it.
 * Method: random views with ids of random bytes; every line is measured. */
TEST(no_page_is_larger_than_its_screen)
{
    enum { VIEWS = 3000 };
    static struct nilai_demo_lines lines;
    static struct nilai_effect alerts[NILAI_DEMO_ALERTS_MAX];
    uint64_t seed = test_seed(7);
    for (int round = 0; round < VIEWS; round++) {
        struct nilai_demo_view view = busy((uint32_t)(next_random(&seed) % 200),
                                           (uint32_t)(next_random(&seed) % 80));
        view.colour = next_random(&seed) % 2;
        view.unicode = next_random(&seed) % 2;
        view.phase = (enum nilai_demo_phase)(next_random(&seed) % 4);
        view.progress = next_uniform(&seed) * 1.5 - 0.2;
        if (round % 10 == 0) {
            view.events_per_s = view.changes_per_s = 1e300;
            view.events = view.customers = view.bands[1] = UINT64_MAX;
        }
        view.alert_count = next_random(&seed) % (NILAI_DEMO_ALERTS_MAX + 1);
        view.alerts = alerts;
        for (size_t i = 0; i < view.alert_count; i++) {
            char id[NILAI_TEXT_MAX];
            size_t size = 1 + next_random(&seed) % sizeof id;
            for (size_t k = 0; k < size; k++)
                id[k] = (char)next_random(&seed);
            alerts[i] = rise(id, size);
            alerts[i].change.reasons[0].code = (uint8_t)(next_random(&seed) % NILAI_REASON_CODES);
            if (next_random(&seed) % 3 == 0) {
                alerts[i].change.is_band = false;
                alerts[i].change.clv_365 = next_uniform(&seed) * 1e12;
                alerts[i].change.to.segment = NILAI_SEGMENT_VIP;
            }
        }
        nilai_demo_view_draw(&view, &lines);
        uint32_t columns = view.columns < NILAI_DEMO_COLUMNS_MIN ? NILAI_DEMO_COLUMNS_MIN : view.columns;
        uint32_t rows = view.rows < NILAI_DEMO_ROWS_MIN ? NILAI_DEMO_ROWS_MIN : view.rows;
        CHECK(lines.count <= rows && lines.count <= NILAI_DEMO_ROWS_MAX);
        for (uint32_t i = 0; i < lines.count; i++)
            CHECK(visible_cells(lines.text[i], view.colour) <= columns);
    }
}

/* Goal: on an ordinary terminal everything that matters is there. Method: the page is searched. */
TEST(a_page_of_80_by_24_tells_all)
{
    static struct nilai_demo_lines lines;
    struct nilai_effect alert = rise("c0000000042", 11);
    struct nilai_demo_view view = busy(80, 24);
    view.colour = false;
    view.alerts = &alert;
    view.alert_count = 1;
    nilai_demo_view_draw(&view, &lines);
    CHECK_EQ(lines.count, 24);
    static const char *const told[] = {
        "who is about to leave", "14 Jun 2025", "2,013 events/s", "20,113 customers", "85 changes/s",
        "9 ms event to change", "1,230", "15,002", "vip", "lapsed", "HIGH RISK", "c0000000042", "73 %, was medium",
        "USD 84.10 at risk", "by time alone", "No purchase for 23.1 days", "Complained", "q quits",
        "1,234,567 events",
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(told); i++)
        if (!some_line_holds(&lines, told[i]))
            fail_msg("the page does not say \"%s\"", told[i]);
}

/* Goal: a reason is shown whole or not at all. Method: the second sentence does not fit. */
TEST(a_sentence_that_does_not_fit_is_left_out)
{
    static struct nilai_demo_lines lines;
    struct nilai_effect alert = rise("c", 1);
    struct nilai_demo_view view = busy(64, 24);
    view.alerts = &alert;
    view.alert_count = 1;
    nilai_demo_view_draw(&view, &lines);
    CHECK(some_line_holds(&lines, "days."));
    CHECK(!some_line_holds(&lines, "Complained"));
}

/* Goal: an id is data. Method: ids that would move the cursor, turn the writing around, join
 * the next cell, take two cells, or are not UTF-8. */
TEST(an_id_cannot_drive_the_terminal)
{
    static const struct { const char *id, *shown, *plain; } cases[] = {
        {"ana", "ana", "ana"},
        {"a\033[2Jb", "a?[2Jb", "a?[2Jb"},
        {"a\r\n\tb\x7f", "a???b?", "a???b?"},
        {"\xc2\x9b" "2J", "?2J", "?2J"},             /* CSI as one character */
        {"\xe2\x80\xae" "abc", "?abc", "?abc"},       /* right-to-left override */
        {"e\xcc\x81", "e?", "e?"},                    /* combining accent */
        {"\xe2\x80\x8b", "?", "?"},                   /* no width */
        {"\xc2\xad", "?", "?"},                       /* soft hyphen */
        {"\xe6\x97\xa5\xe6\x9c\xac", "??", "??"},     /* two cells each */
        {"\xff\xfe\xc3", "???", "???"},
        {"Zo\xc3\xab", "Zo\xc3\xab", "Zo?"},
        {"\xd0\x96\xce\xa9", "\xd0\x96\xce\xa9", "??"},
    };
    char text[NILAI_DEMO_NAME_SIZE], line[NILAI_DEMO_ALERT_SIZE];
    for (size_t i = 0; i < NILAI_ARRAY_LEN(cases); i++) {
        size_t size = strlen(cases[i].id);
        uint32_t cells = nilai_demo_view_name(cases[i].id, size, true, text);
        CHECK_TEXT(text, cases[i].shown);
        CHECK_EQ(cells, visible_cells(text, false));
        nilai_demo_view_name(cases[i].id, size, false, text);
        CHECK_TEXT(text, cases[i].plain);
        struct nilai_effect alert = rise(cases[i].id, size);
        nilai_demo_view_alert(&alert, "USD", true, line);
        CHECK(strstr(line, cases[i].shown) != NULL);
        visible_cells(line, false);
    }
    CHECK_EQ(nilai_demo_view_name("a\0b", 3, true, text), 3);
    CHECK_TEXT(text, "a?b");
}

TEST(an_alert_is_one_line_of_english)
{
    char line[NILAI_DEMO_ALERT_SIZE];
    struct nilai_effect alert = rise("c0000000042", 11);
    nilai_demo_view_alert(&alert, "USD", false, line);
    CHECK_TEXT(line, "2025-06-14 HIGH RISK c0000000042: 73 %, was medium; USD 84.10 at risk; by time "
                     "alone. No purchase for 23.1 days; half of this customer's gaps are expected to "
                     "be under 7.2 days. Complained; this now weighs +0.60.");
    alert.change.is_band = false;
    alert.change.to.segment = NILAI_SEGMENT_VIP;
    alert.change.clv_365 = 132;
    alert.change.net_year = 455000;
    alert.change.purchase_days_year = 12;
    nilai_demo_view_alert(&alert, "USD", false, line);
    CHECK_TEXT(line, "2025-06-14 VIP c0000000042: was regular; USD 132.00 expected in the next year. "
                     "Bought on 12 days of the last year, which earned USD 45.50 after all costs.");
}

TEST(numbers_are_grouped)
{
    static const struct { uint64_t number; const char *text; } cases[] = {
        {0, "0"}, {999, "999"}, {1000, "1,000"}, {1234567, "1,234,567"},
        {UINT64_MAX, "18,446,744,073,709,551,615"},
    };
    char text[32];
    for (size_t i = 0; i < NILAI_ARRAY_LEN(cases); i++) {
        nilai_demo_view_number(cases[i].number, text);
        CHECK_TEXT(text, cases[i].text);
    }
}
