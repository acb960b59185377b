#include "nilai/customer/explain.h"

#include <math.h>
#include <stdio.h>

#include "nilai/customer/signals.h"

const char *nilai_reason_name(uint8_t code)
{
    static const char *const names[] = {"silence", "buys-rarely", "buys-often"};
    NILAI_ASSERT(code < NILAI_REASON_CODES);
    return code < NILAI_SIGNALS ? nilai_signal_codes[code] : names[code - NILAI_SIGNALS];
}

/* What happened, for each signal; the sentence adds what it still weighs. */
static const char *const happened[NILAI_SIGNALS] = {
    [NILAI_SIGNAL_COMPLAINT] = "Complained",
    [NILAI_SIGNAL_TICKET] = "Needed support",
    [NILAI_SIGNAL_RESOLVED_IN_TIME] = "Had a ticket resolved in time",
    [NILAI_SIGNAL_RESOLVED_LATE] = "Had a ticket resolved late",
    [NILAI_SIGNAL_REOPENED] = "Had a ticket reopened",
    [NILAI_SIGNAL_REFUND] = "Was refunded",
    [NILAI_SIGNAL_NPS_DETRACTOR] = "Would not recommend us (NPS)",
    [NILAI_SIGNAL_NPS_PROMOTER] = "Would recommend us (NPS)",
    [NILAI_SIGNAL_CSAT_LOW] = "Was dissatisfied (CSAT)",
    [NILAI_SIGNAL_CSAT_HIGH] = "Was fully satisfied (CSAT)",
    [NILAI_SIGNAL_CES_HARD] = "Found it hard to get something done (CES)",
    [NILAI_SIGNAL_RATING_LOW] = "Gave a low rating",
    [NILAI_SIGNAL_RATING_HIGH] = "Gave the best rating",
    [NILAI_SIGNAL_PERCEPTION_DRIFT] = "Answers worse than before",
    [NILAI_SIGNAL_TICKET_OVERDUE] = "Waits for a ticket that is open for too long",
};

static void explain_silence(const struct nilai_explain_facts *facts, char *text)
{
    snprintf(text, NILAI_EXPLAIN_SIZE,
             "No purchase for %.1f days; half of this customer's gaps are expected to be under "
             "%.1f days.",
             facts->silence_days, facts->gap_days);
}

static void explain_habit(const struct nilai_explain_facts *facts, const char *habit, char *text)
{
    if (facts->purchase_days == 1)
        snprintf(text, NILAI_EXPLAIN_SIZE, "%s: bought on one day only so far.", habit);
    else
        snprintf(text, NILAI_EXPLAIN_SIZE, "%s: bought on %u days within %d days.", habit,
                 facts->purchase_days, facts->span_days + 1);
}

static void explain_signal(const struct nilai_reason *reason, char *text)
{
    NILAI_ASSERT(reason->code < NILAI_SIGNALS);
    if (fabs(reason->points) < 0.005)
        snprintf(text, NILAI_EXPLAIN_SIZE, "%s; this is nearly forgotten.", happened[reason->code]);
    else
        snprintf(text, NILAI_EXPLAIN_SIZE, "%s; this now weighs %+.2f.", happened[reason->code],
                 reason->points);
}

void nilai_explain_reason(const struct nilai_reason *reason, const struct nilai_explain_facts *facts,
                          char text[static NILAI_EXPLAIN_SIZE])
{
    switch (reason->code) {
    case NILAI_REASON_SILENCE:
        explain_silence(facts, text);
        break;
    case NILAI_REASON_BUYS_RARELY:
        explain_habit(facts, "Buys rarely", text);
        break;
    case NILAI_REASON_BUYS_OFTEN:
        explain_habit(facts, "Buys often", text);
        break;
    default:
        explain_signal(reason, text);
    }
}
