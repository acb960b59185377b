#include "nilai/event/fields.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "nilai/base/clock.h"
#include "nilai/base/money.h"
#include "nilai/event/utf8.h"

static_assert(NILAI_FIELDS <= 32, "a field is a bit of 32");
static_assert(NILAI_FIELDS <= 1 << NILAI_FIELD_SLOT_BITS, "every name has a slot of its own");

#define HANDLE_S_MAX 1e9

enum {
    ALL = (1 << NILAI_EVENT_TYPES) - 1,
    P = 1 << NILAI_PURCHASE,
    R = 1 << NILAI_REFUND,
    T = 1 << NILAI_TICKET,
    S = 1 << NILAI_SURVEY,
};

#define NAMES(names) .choices = (names), .choice_count = NILAI_ARRAY_LEN(names)

const struct nilai_field_row nilai_field_rows[NILAI_FIELDS] = {
    [NILAI_FIELD_ID] = {"id", ALL, ALL, NILAI_RULE_TEXT, NULL, 0},
    [NILAI_FIELD_TYPE] = {"type", ALL, ALL, NILAI_RULE_CHOICE, NAMES(nilai_event_type_names)},
    [NILAI_FIELD_CUSTOMER] = {"customer", ALL, ALL, NILAI_RULE_TEXT, NULL, 0},
    [NILAI_FIELD_TS] = {"ts", ALL, ALL, NILAI_RULE_TIME, NULL, 0},
    [NILAI_FIELD_AMOUNT] = {"amount", P | R, P | R, NILAI_RULE_MONEY, NULL, 0},
    [NILAI_FIELD_CURRENCY] = {"currency", P | R, 0, NILAI_RULE_CURRENCY, NULL, 0},
    [NILAI_FIELD_COST] = {"cost", P, 0, NILAI_RULE_MONEY, NULL, 0},
    [NILAI_FIELD_DISCOUNT] = {"discount", P, 0, NILAI_RULE_MONEY, NULL, 0},
    [NILAI_FIELD_ORDER] = {"order", P | R, 0, NILAI_RULE_LABEL, NULL, 0},
    [NILAI_FIELD_TICKET] = {"ticket", T, T, NILAI_RULE_TEXT, NULL, 0},
    [NILAI_FIELD_STATUS] = {"status", T, T, NILAI_RULE_CHOICE, NAMES(nilai_ticket_status_names)},
    [NILAI_FIELD_KIND] = {"kind", T, 0, NILAI_RULE_CHOICE, NAMES(nilai_ticket_kind_names)},
    [NILAI_FIELD_HANDLE_S] = {"handle_s", T, 0, NILAI_RULE_SECONDS, NULL, 0},
    [NILAI_FIELD_OPENED_TS] = {"opened_ts", T, 0, NILAI_RULE_TIME, NULL, 0},
    [NILAI_FIELD_CHANNEL] = {"channel", P | T, 0, NILAI_RULE_LABEL, NULL, 0},
    [NILAI_FIELD_CATEGORY] = {"category", P, 0, NILAI_RULE_LABEL, NULL, 0},
    [NILAI_FIELD_ITEMS] = {"items", P, 0, NILAI_RULE_MAPS, NULL, 0},
    [NILAI_FIELD_REFERRER] = {"referrer", P, 0, NILAI_RULE_TEXT, NULL, 0},
    [NILAI_FIELD_METRIC] = {"metric", S, S, NILAI_RULE_CHOICE, NAMES(nilai_metric_names)},
    [NILAI_FIELD_SCORE] = {"score", S, S, NILAI_RULE_SCORE, NULL, 0},
    [NILAI_FIELD_SCALE] = {"scale", S, 0, NILAI_RULE_SCALE, NULL, 0},
    [NILAI_FIELD_FACTOR] = {"factor", T | S, 0, NILAI_RULE_CHOICE, NAMES(nilai_factor_names)},
};

/* [worst, best] of a metric that states no scale. */
static const double default_scales[NILAI_METRICS][2] = {
    [NILAI_METRIC_NPS] = {0, 10},
    [NILAI_METRIC_CSAT] = {1, 5},
    [NILAI_METRIC_CES] = {1, 7},
    [NILAI_METRIC_RATING] = {1, 5},
};

/* What a person is told about a rule. */
static const struct {
    const char *needs;   /* wrong-type */
    const char *allowed; /* out-of-range */
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
    [NILAI_RULE_SCALE] = {"an array of two numbers", "must be two different numbers, their difference finite",
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

/* ---- values and names ---------------------------------------------------- */

/* True if each name has a slot of its own. */
static bool fill_slots(struct nilai_field_index *index)
{
    memset(index->slots, NILAI_FIELDS, sizeof index->slots);
    for (uint32_t field = 0; field < NILAI_FIELDS; field++) {
        uint8_t *slot = &index->slots[nilai_name_slot(index->multiplier, index->names[field].word)];
        if (*slot != NILAI_FIELDS)
            return false;
        *slot = (uint8_t)field;
    }
    return true;
}

/* The fields that count for a type; without one, those that all types have. */
static uint32_t mask_of(uint32_t type, bool required)
{
    uint32_t types = type == NILAI_EVENT_TYPES ? ALL : UINT32_C(1) << type;
    uint32_t mask = 0;
    for (uint32_t field = 0; field < NILAI_FIELDS; field++) {
        const struct nilai_field_row *row = &nilai_field_rows[field];
        if (((required ? row->required : row->types) & types) == types)
            mask |= UINT32_C(1) << field;
    }
    return mask;
}

void nilai_field_index_init(struct nilai_field_index *index)
{
    enum { TRIES_MAX = 1000000 }; /* about fifty are needed for 22 names in 64 slots */

    *index = (struct nilai_field_index){.multiplier = UINT64_C(0x9e3779b97f4a7c15)};
    for (uint32_t field = 0; field < NILAI_FIELDS; field++) {
        const struct nilai_field_row *row = &nilai_field_rows[field];
        NILAI_ASSERT(row->choice_count <= NILAI_CHOICES_MAX);
        index->names[field] = nilai_name_of(row->name);
        for (uint32_t choice = 0; choice < row->choice_count; choice++)
            index->choices[field][choice] = nilai_name_of(row->choices[choice]);
    }
    for (uint32_t type = 0; type <= NILAI_EVENT_TYPES; type++) {
        index->fields_of[type] = mask_of(type, false);
        index->required_of[type] = mask_of(type, true);
    }
    for (uint32_t field = 0; field < NILAI_FIELDS; field++)
        index->fields_under[nilai_field_rows[field].rule] |= UINT32_C(1) << field;
    uint32_t tries = 0;
    while (!fill_slots(index)) {
        NILAI_ASSERT(++tries < TRIES_MAX);
        index->multiplier = index->multiplier * UINT64_C(0x5851f42d4c957f2d) + 2;
    }
}

/* The number of the name among the field's choices, or `choice_count`. */
static uint32_t find_choice(const struct nilai_field_index *index, enum nilai_field field,
                            struct nilai_text text)
{
    uint64_t word = nilai_name_word(text.data, text.size);
    uint32_t choice = 0, count = nilai_field_rows[field].choice_count;
    while (choice < count && !nilai_name_is(&index->choices[field][choice], word, text.data, text.size))
        choice++;
    return choice;
}

/* ---- the check ----------------------------------------------------------- */

struct check {
    const struct nilai_fields *fields;
    const struct nilai_field_index *index;
    const struct nilai_decode_rules *rules;
    uint32_t mine; /* the fields that are there and are the type's */
    enum nilai_reject_class worst; /* NILAI_REJECT_CLASSES: no fault yet */
    enum nilai_field worst_field;
    double rate; /* base units per unit of the event's currency; 0 if it is not known */
    /* What the judged values mean: a count of ten-thousandths, ms, the number of a choice;
     * seconds, a normalised score. */
    union {
        int64_t integer;
        double real;
    } found[NILAI_FIELDS];
};

static bool has(const struct check *check, enum nilai_field field)
{
    return check->fields->present >> field & 1;
}

static enum nilai_reject_class judge_string(const struct nilai_value *value, uint32_t size_min)
{
    if (value->kind != NILAI_VALUE_TEXT)
        return NILAI_REJECT_WRONG_TYPE;
    if (value->text.size < size_min || value->text.size > NILAI_TEXT_MAX ||
        !nilai_utf8_valid(value->text.data, value->text.size))
        return NILAI_REJECT_OUT_OF_RANGE;
    return NILAI_REJECT_NONE;
}

static enum nilai_reject_class judge_text(struct check *check, enum nilai_field field)
{
    return judge_string(&check->fields->values[field], 1);
}

static enum nilai_reject_class judge_label(struct check *check, enum nilai_field field)
{
    return judge_string(&check->fields->values[field], 0);
}

static enum nilai_reject_class judge_choice(struct check *check, enum nilai_field field)
{
    const struct nilai_value *value = &check->fields->values[field];
    uint32_t count = nilai_field_rows[field].choice_count;
    check->found[field].integer = count; /* no choice */
    if (value->kind != NILAI_VALUE_TEXT)
        return NILAI_REJECT_WRONG_TYPE;
    uint32_t choice = find_choice(check->index, field, value->text);
    check->found[field].integer = choice;
    if (choice < count)
        return NILAI_REJECT_NONE;
    return nilai_utf8_valid(value->text.data, value->text.size) ? NILAI_REJECT_UNKNOWN_VALUE
                                                                : NILAI_REJECT_OUT_OF_RANGE;
}

static enum nilai_reject_class judge_time(struct check *check, enum nilai_field field)
{
    const struct nilai_value *value = &check->fields->values[field];
    if (value->kind == NILAI_VALUE_BIG_INTEGER)
        return NILAI_REJECT_OUT_OF_RANGE;
    if (value->kind != NILAI_VALUE_INTEGER && value->kind != NILAI_VALUE_TIME)
        return NILAI_REJECT_WRONG_TYPE;
    if (value->integer < 0 || value->integer > NILAI_TIME_MAX_MS)
        return NILAI_REJECT_OUT_OF_RANGE;
    check->found[field].integer = value->integer;
    return NILAI_REJECT_NONE;
}

static enum nilai_status money_of(const struct nilai_value *value, int64_t *units)
{
    if (value->kind == NILAI_VALUE_TEXT)
        return nilai_money_from_text(value->text, units);
    return nilai_money_from_number(nilai_value_number(value), units) == NILAI_OK ? NILAI_OK : NILAI_FULL;
}

static enum nilai_reject_class judge_money(struct check *check, enum nilai_field field)
{
    const struct nilai_value *value = &check->fields->values[field];
    int64_t units;
    if (value->kind != NILAI_VALUE_TEXT && !nilai_value_is_number(value))
        return NILAI_REJECT_WRONG_TYPE;
    enum nilai_status status = money_of(value, &units);
    if (status == NILAI_OK && check->rate != 1)
        status = nilai_money_convert(units, check->rate, &units);
    if (status != NILAI_OK)
        return status == NILAI_INVALID ? NILAI_REJECT_WRONG_TYPE : NILAI_REJECT_OUT_OF_RANGE;
    check->found[field].integer = units;
    return NILAI_REJECT_NONE;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_three_letters(struct nilai_text text)
{
    return text.size == 3 && is_letter(text.data[0]) && is_letter(text.data[1]) && is_letter(text.data[2]);
}

static enum nilai_reject_class judge_currency(struct check *check, enum nilai_field field)
{
    const struct nilai_value *value = &check->fields->values[field];
    if (value->kind != NILAI_VALUE_TEXT)
        return NILAI_REJECT_WRONG_TYPE;
    if (!is_three_letters(value->text))
        return NILAI_REJECT_OUT_OF_RANGE;
    return check->rate > 0 ? NILAI_REJECT_NONE : NILAI_REJECT_UNKNOWN_CURRENCY;
}

/* 1 without a currency; 0 if it is not known, or nothing that could be. */
static double find_rate(const struct check *check)
{
    const struct nilai_decode_rules *rules = check->rules;
    const struct nilai_value *value = &check->fields->values[NILAI_FIELD_CURRENCY];
    if (!has(check, NILAI_FIELD_CURRENCY))
        return 1;
    if (value->kind != NILAI_VALUE_TEXT || value->text.size != 3)
        return 0;
    if (memcmp(value->text.data, rules->base_currency, 3) == 0)
        return 1;
    for (size_t i = 0; i < rules->rate_count; i++)
        if (memcmp(value->text.data, rules->rates[i].code, 3) == 0)
            return rules->rates[i].rate;
    return 0;
}

static enum nilai_reject_class judge_seconds(struct check *check, enum nilai_field field)
{
    const struct nilai_value *value = &check->fields->values[field];
    if (!nilai_value_is_number(value))
        return NILAI_REJECT_WRONG_TYPE;
    double seconds = nilai_value_number(value);
    if (!(seconds >= 0 && seconds <= HANDLE_S_MAX))
        return NILAI_REJECT_OUT_OF_RANGE;
    check->found[field].real = seconds;
    return NILAI_REJECT_NONE;
}

static enum nilai_reject_class judge_scale(struct check *check, enum nilai_field field)
{
    const struct nilai_value *value = &check->fields->values[field];
    if (value->kind != NILAI_VALUE_ARRAY || value->count != 2 || !value->all_numbers)
        return NILAI_REJECT_WRONG_TYPE;
    double span = value->ends[1] - value->ends[0];
    return isfinite(span) && span != 0 ? NILAI_REJECT_NONE : NILAI_REJECT_OUT_OF_RANGE;
}

/* The event's own scale, or its metric's; NULL if that one has a fault of its own. */
static const double *find_scale(struct check *check)
{
    if (has(check, NILAI_FIELD_SCALE))
        return judge_scale(check, NILAI_FIELD_SCALE) == NILAI_REJECT_NONE
                   ? check->fields->values[NILAI_FIELD_SCALE].ends
                   : NULL;
    int64_t metric = check->found[NILAI_FIELD_METRIC].integer;
    return metric < NILAI_METRICS ? default_scales[metric] : NULL;
}

static enum nilai_reject_class judge_score(struct check *check, enum nilai_field field)
{
    const struct nilai_value *value = &check->fields->values[field];
    if (!nilai_value_is_number(value))
        return NILAI_REJECT_WRONG_TYPE;
    double score = nilai_value_number(value);
    if (!isfinite(score))
        return NILAI_REJECT_OUT_OF_RANGE;
    const double *scale = find_scale(check);
    if (scale == NULL)
        return NILAI_REJECT_NONE;
    double worst = scale[0], best = scale[1];
    if (score < fmin(worst, best) || score > fmax(worst, best))
        return NILAI_REJECT_OUT_OF_RANGE;
    check->found[field].real = (score - worst) / (best - worst) + 0.0; /* no -0 */
    return NILAI_REJECT_NONE;
}

static enum nilai_reject_class judge_maps(struct check *check, enum nilai_field field)
{
    const struct nilai_value *value = &check->fields->values[field];
    return value->kind == NILAI_VALUE_ARRAY && value->all_maps ? NILAI_REJECT_NONE
                                                               : NILAI_REJECT_WRONG_TYPE;
}

typedef enum nilai_reject_class judge_fn(struct check *check, enum nilai_field field);

/* Judges the fields of one rule. Inlined with its function: all of a rule at once, without
 * jumping from rule to rule, takes a fifth to a third less time. */
__attribute__((always_inline)) static inline void
judge_each(struct check *check, enum nilai_rule rule, judge_fn *judge)
{
    for (uint32_t left = check->mine & check->index->fields_under[rule]; left != 0; left &= left - 1) {
        enum nilai_field field = (enum nilai_field)__builtin_ctz(left);
        enum nilai_reject_class class = judge(check, field);
        if (NILAI_LIKELY(class == NILAI_REJECT_NONE))
            continue;
        if (class < check->worst || (class == check->worst && field < check->worst_field)) {
            check->worst = class;
            check->worst_field = field;
        }
    }
}

static void judge_all(struct check *check)
{
    check->rate = find_rate(check);
    check->worst = NILAI_REJECT_CLASSES;
    judge_each(check, NILAI_RULE_TEXT, judge_text);
    judge_each(check, NILAI_RULE_LABEL, judge_label);
    judge_each(check, NILAI_RULE_CHOICE, judge_choice);
    judge_each(check, NILAI_RULE_TIME, judge_time);
    judge_each(check, NILAI_RULE_MONEY, judge_money);
    judge_each(check, NILAI_RULE_CURRENCY, judge_currency);
    judge_each(check, NILAI_RULE_SECONDS, judge_seconds);
    judge_each(check, NILAI_RULE_SCORE, judge_score); /* after the choices: it needs the metric */
    judge_each(check, NILAI_RULE_SCALE, judge_scale);
    judge_each(check, NILAI_RULE_MAPS, judge_maps);
}

/* ---- telling what is wrong ----------------------------------------------- */

bool nilai_reject_malformed(struct nilai_reject *reject, const char *what, size_t position)
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

__attribute__((cold, noinline)) static bool
reject_value(struct nilai_reject *reject, enum nilai_reject_class class,
                         enum nilai_field field, const struct nilai_value *value)
{
    const struct nilai_field_row *row = &nilai_field_rows[field];
    char choices[96], text[128];
    switch (class) {
    case NILAI_REJECT_WRONG_TYPE:
        tell_wrong_type(row, value, text, sizeof text);
        break;
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
    default:
        snprintf(text, sizeof text, "is there more than once");
        break;
    }
    reject->class = class;
    snprintf(reject->message, sizeof reject->message, "field \"%s\": %s (byte %" PRIu32 ")", row->name,
             text, value->position);
    return false;
}

__attribute__((cold, noinline)) static bool
reject_missing(struct nilai_reject *reject, enum nilai_field field)
{
    reject->class = NILAI_REJECT_MISSING_FIELD;
    snprintf(reject->message, sizeof reject->message, "field \"%s\": is required but not there",
             nilai_field_rows[field].name);
    return false;
}

/* ---- filling the event --------------------------------------------------- */

static void fill_purchase(const struct check *check, struct nilai_event *event)
{
    int64_t amount = check->found[NILAI_FIELD_AMOUNT].integer;
    event->purchase.amount = amount;
    event->purchase.cost = has(check, NILAI_FIELD_COST)
                               ? check->found[NILAI_FIELD_COST].integer
                               : (int64_t)rint((double)amount * (1 - check->rules->margin));
}

static void fill_ticket(const struct check *check, struct nilai_event *event)
{
    event->ticket.ticket = check->fields->values[NILAI_FIELD_TICKET].text;
    event->ticket.status = (enum nilai_ticket_status)check->found[NILAI_FIELD_STATUS].integer;
    event->ticket.kind = NILAI_KIND_OTHER;
    if (has(check, NILAI_FIELD_KIND))
        event->ticket.kind = (enum nilai_ticket_kind)check->found[NILAI_FIELD_KIND].integer;
    event->ticket.handle_s = 0;
    if (has(check, NILAI_FIELD_HANDLE_S))
        event->ticket.handle_s = check->found[NILAI_FIELD_HANDLE_S].real;
    event->ticket.has_opened = has(check, NILAI_FIELD_OPENED_TS);
    event->ticket.opened_ms = 0;
    if (event->ticket.has_opened)
        event->ticket.opened_ms = check->found[NILAI_FIELD_OPENED_TS].integer;
}

static void fill_survey(const struct check *check, struct nilai_event *event)
{
    event->survey.metric = (enum nilai_metric)check->found[NILAI_FIELD_METRIC].integer;
    event->survey.normalized = check->found[NILAI_FIELD_SCORE].real;
    NILAI_ASSERT(event->survey.normalized >= 0 && event->survey.normalized <= 1);
}

static void fill(const struct check *check, enum nilai_event_type type, struct nilai_event *event)
{
    event->type = type;
    event->id = check->fields->values[NILAI_FIELD_ID].text;
    event->customer = check->fields->values[NILAI_FIELD_CUSTOMER].text;
    event->ts_ms = check->found[NILAI_FIELD_TS].integer;
    event->factor = NILAI_FACTOR_NONE;
    if ((nilai_field_rows[NILAI_FIELD_FACTOR].types >> type & 1) && has(check, NILAI_FIELD_FACTOR))
        event->factor = (enum nilai_factor)check->found[NILAI_FIELD_FACTOR].integer;

    if (type == NILAI_PURCHASE)
        fill_purchase(check, event);
    else if (type == NILAI_REFUND)
        event->refund.amount = check->found[NILAI_FIELD_AMOUNT].integer;
    else if (type == NILAI_TICKET)
        fill_ticket(check, event);
    else if (type == NILAI_SURVEY)
        fill_survey(check, event);
}

/* ---- all of it ----------------------------------------------------------- */

/* NILAI_EVENT_TYPES if there is none, or none that we know. */
static enum nilai_event_type find_type(const struct nilai_fields *fields,
                                       const struct nilai_field_index *index)
{
    const struct nilai_value *value = &fields->values[NILAI_FIELD_TYPE];
    if (!(fields->present >> NILAI_FIELD_TYPE & 1) || value->kind != NILAI_VALUE_TEXT)
        return NILAI_EVENT_TYPES;
    return find_choice(index, NILAI_FIELD_TYPE, value->text);
}

bool nilai_fields_check(const struct nilai_fields *fields, const struct nilai_field_index *index,
                        const struct nilai_decode_rules *rules, struct nilai_event *event,
                        struct nilai_reject *reject)
{
    enum nilai_event_type type = find_type(fields, index);
    uint32_t mine = index->fields_of[type];
    uint32_t twice = fields->twice & mine;
    if (NILAI_UNLIKELY(twice != 0)) {
        enum nilai_field field = (enum nilai_field)__builtin_ctz(twice);
        return reject_value(reject, NILAI_REJECT_DUPLICATE_FIELD, field, &fields->values[field]);
    }
    uint32_t missing = index->required_of[type] & ~fields->present;
    if (NILAI_UNLIKELY(missing != 0))
        return reject_missing(reject, (enum nilai_field)__builtin_ctz(missing));

    struct check check; /* not cleared: only what is judged is found, and read again */
    check.fields = fields;
    check.index = index;
    check.rules = rules;
    check.mine = fields->present & mine;
    if (type != NILAI_EVENT_TYPES) /* then it has been judged */
        check.mine &= ~(UINT32_C(1) << NILAI_FIELD_TYPE);
    judge_all(&check);
    if (NILAI_UNLIKELY(check.worst != NILAI_REJECT_CLASSES))
        return reject_value(reject, check.worst, check.worst_field, &fields->values[check.worst_field]);
    NILAI_ASSERT(type != NILAI_EVENT_TYPES);
    fill(&check, type, event);
    return true;
}
