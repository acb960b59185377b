#include "nilai/customer/explain.h"

#include <math.h>
#include <string.h>

#include "nilai/base/decimal.h"
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

/* A sentence that grows; what does not fit is cut off. */
struct sentence {
    char *at, *end; /* the end is for the NUL */
};

static void say(struct sentence *sentence, const char *text, size_t size)
{
    size_t room = (size_t)(sentence->end - sentence->at);
    sentence->at = mempcpy(sentence->at, text, size < room ? size : room);
}

static void say_text(struct sentence *sentence, const char *text)
{
    say(sentence, text, strlen(text));
}

static void say_integer(struct sentence *sentence, int64_t value)
{
    char text[NILAI_DECIMAL_INTEGER_SIZE];
    say(sentence, text, nilai_decimal_integer(value, text));
}

static void say_number(struct sentence *sentence, double value, int places)
{
    char text[NILAI_DECIMAL_FIXED_SIZE];
    say(sentence, text, nilai_decimal_fixed(value, places, text));
}

static void explain_silence(struct sentence *sentence, const struct nilai_explain_facts *facts)
{
    say_text(sentence, "No purchase for ");
    say_number(sentence, facts->silence_days, 1);
    say_text(sentence, " days; half of this customer's gaps are expected to be under ");
    say_number(sentence, facts->gap_days, 1);
    say_text(sentence, " days.");
}

static void explain_habit(struct sentence *sentence, const struct nilai_explain_facts *facts)
{
    if (facts->purchase_days == 1) {
        say_text(sentence, ": bought on one day only so far.");
        return;
    }
    say_text(sentence, ": bought on ");
    say_integer(sentence, facts->purchase_days);
    say_text(sentence, " days within ");
    say_integer(sentence, (int64_t)facts->span_days + 1);
    say_text(sentence, " days.");
}

static void explain_signal(struct sentence *sentence, const struct nilai_reason *reason)
{
    NILAI_ASSERT(reason->code < NILAI_SIGNALS);
    say_text(sentence, happened[reason->code]);
    if (fabs(reason->points) < 0.005) {
        say_text(sentence, "; this is nearly forgotten.");
        return;
    }
    say_text(sentence, reason->points > 0 ? "; this now weighs +" : "; this now weighs ");
    say_number(sentence, reason->points, 2);
    say_text(sentence, ".");
}

size_t nilai_explain_reason(const struct nilai_reason *reason,
                            const struct nilai_explain_facts *facts,
                            char text[static NILAI_EXPLAIN_SIZE])
{
    struct sentence sentence = {text, text + NILAI_EXPLAIN_SIZE - 1};
    switch (reason->code) {
    case NILAI_REASON_SILENCE: explain_silence(&sentence, facts); break;
    case NILAI_REASON_BUYS_RARELY:
        say_text(&sentence, "Buys rarely");
        explain_habit(&sentence, facts);
        break;
    case NILAI_REASON_BUYS_OFTEN:
        say_text(&sentence, "Buys often");
        explain_habit(&sentence, facts);
        break;
    default: explain_signal(&sentence, reason);
    }
    *sentence.at = '\0';
    return (size_t)(sentence.at - text);
}
