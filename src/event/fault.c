#include "nilai/event/fault.h"

#include <inttypes.h>
#include <stdio.h>

/* What a person is told about a rule. */
static const struct {
    const char *needs;          /* wrong-type */
    const char *allowed;        /* out-of-range */
    enum nilai_value_kind kind; /* a value of this kind may be wrong in itself: then the text
                                   does not say "not a string" of a string */
} rule_texts[NILAI_RULES] = {
    [NILAI_RULE_TEXT] = {"a string", "must be 1 to 64 bytes of UTF-8", NILAI_VALUE_TEXT},
    [NILAI_RULE_LABEL] = {"a string", "must be at most 64 bytes of UTF-8", NILAI_VALUE_TEXT},
    [NILAI_RULE_CHOICE] = {"a string", "must be UTF-8", NILAI_VALUE_TEXT},
    [NILAI_RULE_TIME] = {"an integer (ms since 1970) or a timestamp",
                         "must be 0 to 253402300799999 ms since 1970", NILAI_VALUE_EXTENSION},
    [NILAI_RULE_MONEY] = {"a number or a decimal string like 12.50",
                          "must be 0 to 1e11, in the base currency too", NILAI_VALUE_TEXT},
    [NILAI_RULE_CURRENCY] = {"a string", "must be three letters", NILAI_VALUE_TEXT},
    [NILAI_RULE_SECONDS] = {"a number", "must be 0 to 1e9 seconds", NILAI_VALUE_REAL},
    [NILAI_RULE_SCORE] = {"a number", "must be a finite number within its scale", NILAI_VALUE_REAL},
    [NILAI_RULE_SCALE] = {"an array of two numbers",
                          "must be two different numbers, their difference finite",
                          NILAI_VALUE_ARRAY},
    [NILAI_RULE_MAPS] = {"an array of maps", NULL, NILAI_VALUE_ARRAY},
};

static const char *const kind_texts[NILAI_VALUE_KINDS] = {
    [NILAI_VALUE_NULL] = "null",
    [NILAI_VALUE_BOOL] = "a boolean",
    [NILAI_VALUE_INTEGER] = "an integer",
    [NILAI_VALUE_BIG_INTEGER] = "an integer",
    [NILAI_VALUE_REAL] = "a number with a fraction or an exponent",
    [NILAI_VALUE_TEXT] = "a string",
    [NILAI_VALUE_BINARY] = "binary data",
    [NILAI_VALUE_ARRAY] = "an array",
    [NILAI_VALUE_MAP] = "a map",
    [NILAI_VALUE_TIME] = "a timestamp",
    [NILAI_VALUE_EXTENSION] = "an extension type",
};

__attribute__((cold)) bool nilai_fault_malformed(struct nilai_reject *reject, const char *what,
                                                 size_t position)
{
    reject->class = NILAI_REJECT_MALFORMED;
    snprintf(reject->message, sizeof reject->message, "%s (byte %zu)", what, position);
    return false;
}

static void list_choices(const struct nilai_field_row *row, char *text, size_t size)
{
    const char *separator = "";
    size_t at = 0;
    for (uint32_t i = 0; i < row->choice_count; i++) {
        if (row->choices[i] == NULL)
            continue;
        int more = snprintf(text + at, size - at, "%s%s", separator, row->choices[i]);
        at += (size_t)more;
        NILAI_ASSERT(more > 0 && at < size);
        separator = ", ";
    }
}

static void tell_wrong_type(const struct nilai_field_row *row, const struct nilai_value *value,
                            char *text, size_t size)
{
    const char *needs = rule_texts[row->rule].needs;
    if (value->kind == rule_texts[row->rule].kind)
        snprintf(text, size, "%s is needed", needs);
    else
        snprintf(text, size, "%s is needed, not %s", needs, kind_texts[value->kind]);
}

__attribute__((cold)) bool nilai_fault_field(struct nilai_reject *reject,
                                             enum nilai_reject_class class, enum nilai_field field,
                                             const struct nilai_value *value)
{
    const struct nilai_field_row *row = &nilai_field_rows[field];
    char choices[96], text[128];
    switch (class) {
    case NILAI_REJECT_WRONG_TYPE: tell_wrong_type(row, value, text, sizeof text); break;
    case NILAI_REJECT_OUT_OF_RANGE:
        snprintf(text, sizeof text, "%s", rule_texts[row->rule].allowed);
        break;
    case NILAI_REJECT_UNKNOWN_VALUE:
        list_choices(row, choices, sizeof choices);
        snprintf(text, sizeof text, "must be one of %s", choices);
        break;
    case NILAI_REJECT_UNKNOWN_CURRENCY:
        snprintf(text, sizeof text, "no rate is configured for this currency");
        break;
    default: snprintf(text, sizeof text, "is there more than once"); break;
    }
    reject->class = class;
    snprintf(reject->message, sizeof reject->message, "field \"%s\": %s (byte %" PRIu32 ")",
             row->name, text, value->position);
    return false;
}

__attribute__((cold)) bool nilai_fault_missing(struct nilai_reject *reject, enum nilai_field field)
{
    reject->class = NILAI_REJECT_MISSING_FIELD;
    snprintf(reject->message, sizeof reject->message, "field \"%s\": is required but not there",
             nilai_field_rows[field].name);
    return false;
}
