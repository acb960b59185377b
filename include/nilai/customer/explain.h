/*
 * explain.h - reasons in English, with the customer's own numbers in them.
 */
#ifndef NILAI_CUSTOMER_EXPLAIN_H
#define NILAI_CUSTOMER_EXPLAIN_H

#include "nilai/customer/customer.h"

/* Codes 0 .. NILAI_SIGNALS - 1 are those of enum nilai_signal. */
enum nilai_reason_code {
    NILAI_REASON_SILENCE = NILAI_SIGNALS,
    NILAI_REASON_BUYS_RARELY,
    NILAI_REASON_BUYS_OFTEN,
    NILAI_REASON_CODES,
};

/* "silence", "buys-rarely", "complaint", ... */
const char *nilai_reason_name(uint8_t code);

/* The customer's numbers that the sentences use. */
struct nilai_explain_facts {
    double silence_days, gap_days;
    uint32_t purchase_days;
    int32_t span_days; /* from the first purchase day to the last */
};

enum { NILAI_EXPLAIN_SIZE = 192 };

/* One short sentence, terminated; returns its length. */
size_t nilai_explain_reason(const struct nilai_reason *reason,
                            const struct nilai_explain_facts *facts,
                            char text[static NILAI_EXPLAIN_SIZE]);

#endif
