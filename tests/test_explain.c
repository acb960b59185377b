#include "nilai/customer/explain.h"
#include "test.h"

static void check(struct nilai_reason reason, struct nilai_explain_facts facts, const char *expected)
{
    char text[NILAI_EXPLAIN_SIZE];
    CHECK_EQ(nilai_explain_reason(&reason, &facts, text), strlen(expected));
    CHECK_TEXT(text, expected);
}

/* Goal: every kind of reason is a sentence with the customer's own numbers. */
TEST(reasons_are_sentences)
{
    const struct nilai_explain_facts facts = {45.26, 12.34, 7, 99};
    check((struct nilai_reason){.code = NILAI_REASON_SILENCE}, facts,
          "No purchase for 45.3 days; half of this customer's gaps are expected to be under 12.3 days.");
    check((struct nilai_reason){.code = NILAI_REASON_BUYS_OFTEN}, facts,
          "Buys often: bought on 7 days within 100 days.");
    check((struct nilai_reason){.code = NILAI_REASON_BUYS_RARELY},
          (struct nilai_explain_facts){.purchase_days = 1},
          "Buys rarely: bought on one day only so far.");
    check((struct nilai_reason){.code = NILAI_SIGNAL_CSAT_HIGH, .points = -0.2}, facts,
          "Was fully satisfied (CSAT); this now weighs -0.20.");
    check((struct nilai_reason){.code = NILAI_SIGNAL_REOPENED, .points = 0.005}, facts,
          "Had a ticket reopened; this now weighs +0.01.");
    check((struct nilai_reason){.code = NILAI_SIGNAL_REOPENED, .points = -0.0049}, facts,
          "Had a ticket reopened; this is nearly forgotten.");
}

/* Goal: numbers from nowhere do not make a sentence longer than its room. */
TEST(what_does_not_fit_is_cut_off)
{
    char text[NILAI_EXPLAIN_SIZE];
    const struct nilai_explain_facts facts = {1e300, 1e300, 1, 0};
    const struct nilai_reason reason = {.code = NILAI_REASON_SILENCE};
    CHECK_EQ(nilai_explain_reason(&reason, &facts, text), NILAI_EXPLAIN_SIZE - 1);
    CHECK_EQ(strlen(text), NILAI_EXPLAIN_SIZE - 1);
}
