/*
 * reject.h - the classes of a bad event, in their order of precedence.
 */
#ifndef NILAI_EVENT_REJECT_H
#define NILAI_EVENT_REJECT_H

#include "nilai/base/base.h"

enum nilai_reject_class {
    NILAI_REJECT_NONE,
    NILAI_REJECT_TOO_LARGE,
    NILAI_REJECT_MALFORMED,
    NILAI_REJECT_DUPLICATE_FIELD,
    NILAI_REJECT_MISSING_FIELD,
    NILAI_REJECT_WRONG_TYPE,
    NILAI_REJECT_OUT_OF_RANGE,
    NILAI_REJECT_UNKNOWN_VALUE,
    NILAI_REJECT_UNKNOWN_CURRENCY,
    NILAI_REJECT_KEY_MISMATCH,
    NILAI_REJECT_FUTURE_TIMESTAMP,
    NILAI_REJECT_CLASSES,
};

/* "too-large", "malformed", ...; NILAI_REJECT_NONE has no name (NULL). */
extern const char *const nilai_reject_names[NILAI_REJECT_CLASSES];

/* Why an event is bad, and where. `message` has the byte position in it where there is one
 * and never holds the event's own content (it may be logged). */
struct nilai_reject {
    enum nilai_reject_class class;
    char message[160];
};

#endif
