#include "nilai/event/reject.h"

const char *const nilai_reject_names[NILAI_REJECT_CLASSES] = {
    [NILAI_REJECT_NONE] = NULL,
    [NILAI_REJECT_TOO_LARGE] = "too-large",
    [NILAI_REJECT_MALFORMED] = "malformed",
    [NILAI_REJECT_DUPLICATE_FIELD] = "duplicate-field",
    [NILAI_REJECT_MISSING_FIELD] = "missing-field",
    [NILAI_REJECT_WRONG_TYPE] = "wrong-type",
    [NILAI_REJECT_OUT_OF_RANGE] = "out-of-range",
    [NILAI_REJECT_UNKNOWN_VALUE] = "unknown-value",
    [NILAI_REJECT_UNKNOWN_CURRENCY] = "unknown-currency",
    [NILAI_REJECT_KEY_MISMATCH] = "key-mismatch",
    [NILAI_REJECT_FUTURE_TIMESTAMP] = "future-timestamp",
};
