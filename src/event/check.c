/*
 * A good event is judged and filled field by field, straight on, by what its type is made of.
 * Only when something is wrong, all its fields are judged again, in the table's order, to find
 * the fault that comes first. Both use the same judgements, so that they cannot differ.
 */
#include <assert.h>
#include <math.h>

#include "nilai/base/clock.h"
#include "nilai/base/money.h"
#include "nilai/event/fault.h"
#include "nilai/event/utf8.h"

static_assert(NILAI_REJECT_NONE == 0, "classes are joined by bits: none of them is no bit");

#define HANDLE_S_MAX 1e9

/* [worst, best] of a metric that states no scale. */
static const double default_scales[NILAI_METRICS][2] = {
    [NILAI_METRIC_NPS] = {0, 10},
    [NILAI_METRIC_CSAT] = {1, 5},
    [NILAI_METRIC_CES] = {1, 7},
    [NILAI_METRIC_RATING] = {1, 5},
};

struct check {
    const struct nilai_value *values; /* by field */
    const struct nilai_field_index *index;
    const struct nilai_decode_rules *rules;
    uint32_t mine; /* the fields that are there and are the type's */
};

static inline bool has(const struct check *check, enum nilai_field field)
{
    return check->mine >> field & 1;
}

/* ---- judging one value --------------------------------------------------- */

static inline enum nilai_reject_class judge_text(const struct nilai_value *value, uint32_t size_min)
{
    if (NILAI_UNLIKELY(value->kind != NILAI_VALUE_TEXT))
        return NILAI_REJECT_WRONG_TYPE;
    if (NILAI_UNLIKELY(value->text.size < size_min || value->text.size > NILAI_TEXT_MAX
                       || !nilai_utf8_valid(value->text.data, value->text.size)))
        return NILAI_REJECT_OUT_OF_RANGE;
    return NILAI_REJECT_NONE;
}

__attribute__((cold, noinline)) static enum nilai_reject_class
judge_no_choice(const struct nilai_value *value)
{
    if (value->kind != NILAI_VALUE_TEXT)
        return NILAI_REJECT_WRONG_TYPE;
    return nilai_utf8_valid(value->text.data, value->text.size) ? NILAI_REJECT_UNKNOWN_VALUE
                                                                : NILAI_REJECT_OUT_OF_RANGE;
}

/* Inlined: the field is a constant then, and a survey's whole decoding takes 6 % less. */
__attribute__((always_inline)) static inline enum nilai_reject_class
judge_choice(const struct check *check, enum nilai_field field, uint32_t *choice)
{
    const struct nilai_value *value = &check->values[field];
    uint32_t found = NILAI_CHOICES_MAX;
    if (NILAI_LIKELY(value->kind == NILAI_VALUE_TEXT))
        found = nilai_field_find_choice(check->index, field, value->text);
    if (NILAI_UNLIKELY(found == NILAI_CHOICES_MAX))
        return judge_no_choice(value);
    *choice = found;
    return NILAI_REJECT_NONE;
}

static inline enum nilai_reject_class judge_time(const struct nilai_value *value, int64_t *ms)
{
    if (value->kind == NILAI_VALUE_BIG_INTEGER)
        return NILAI_REJECT_OUT_OF_RANGE;
    if (value->kind != NILAI_VALUE_INTEGER && value->kind != NILAI_VALUE_TIME)
        return NILAI_REJECT_WRONG_TYPE;
    if (value->integer < 0 || value->integer > NILAI_TIME_MAX_MS)
        return NILAI_REJECT_OUT_OF_RANGE;
    *ms = value->integer;
    return NILAI_REJECT_NONE;
}

static enum nilai_status money_of(const struct nilai_value *value, int64_t *units)
{
    if (value->kind == NILAI_VALUE_TEXT)
        return nilai_money_from_text(value->text, units);
    return nilai_money_from_number(nilai_value_number(value), units) == NILAI_OK ? NILAI_OK
                                                                                 : NILAI_FULL;
}

static enum nilai_reject_class judge_money(const struct nilai_value *value, double rate,
                                           int64_t *units)
{
    if (value->kind != NILAI_VALUE_TEXT && !nilai_value_is_number(value))
        return NILAI_REJECT_WRONG_TYPE;
    enum nilai_status status = money_of(value, units);
    if (status == NILAI_OK && rate != 1)
        status = nilai_money_convert(*units, rate, units);
    if (NILAI_LIKELY(status == NILAI_OK))
        return NILAI_REJECT_NONE;
    return status == NILAI_INVALID ? NILAI_REJECT_WRONG_TYPE : NILAI_REJECT_OUT_OF_RANGE;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_three_letters(struct nilai_text text)
{
    return text.size == 3 && is_letter(text.data[0]) && is_letter(text.data[1])
           && is_letter(text.data[2]);
}

/* Base units per unit; 0 if it is not known, or nothing that could be. */
static double rate_of(const struct nilai_decode_rules *rules, const struct nilai_value *currency)
{
    if (currency->kind != NILAI_VALUE_TEXT || currency->text.size != 3)
        return 0;
    if (memcmp(currency->text.data, rules->base_currency, 3) == 0)
        return 1;
    for (size_t i = 0; i < rules->rate_count; i++)
        if (memcmp(currency->text.data, rules->rates[i].code, 3) == 0)
            return rules->rates[i].rate;
    return 0;
}

static inline enum nilai_reject_class judge_currency(const struct nilai_value *value, double rate)
{
    if (rate > 0)
        return NILAI_REJECT_NONE;
    if (value->kind != NILAI_VALUE_TEXT)
        return NILAI_REJECT_WRONG_TYPE;
    return is_three_letters(value->text) ? NILAI_REJECT_UNKNOWN_CURRENCY
                                         : NILAI_REJECT_OUT_OF_RANGE;
}

static inline enum nilai_reject_class judge_seconds(const struct nilai_value *value,
                                                    double *seconds)
{
    if (!nilai_value_is_number(value))
        return NILAI_REJECT_WRONG_TYPE;
    *seconds = nilai_value_number(value);
    return *seconds >= 0 && *seconds <= HANDLE_S_MAX ? NILAI_REJECT_NONE
                                                     : NILAI_REJECT_OUT_OF_RANGE;
}

static inline enum nilai_reject_class judge_scale(const struct nilai_value *value)
{
    if (value->kind != NILAI_VALUE_ARRAY || value->count != 2 || !value->all_numbers)
        return NILAI_REJECT_WRONG_TYPE;
    double span = value->ends[1] - value->ends[0];
    return isfinite(span) && span != 0 ? NILAI_REJECT_NONE : NILAI_REJECT_OUT_OF_RANGE;
}

/* `scale` is NULL when it has a fault of its own. */
static inline enum nilai_reject_class judge_score(const struct nilai_value *value,
                                                  const double *scale, double *normalized)
{
    if (!nilai_value_is_number(value))
        return NILAI_REJECT_WRONG_TYPE;
    double score = nilai_value_number(value);
    if (scale == NULL)
        return isfinite(score) ? NILAI_REJECT_NONE : NILAI_REJECT_OUT_OF_RANGE;
    double worst = scale[0], best = scale[1];
    bool within = worst < best ? score >= worst && score <= best : score >= best && score <= worst;
    if (!within) /* NaN, too */
        return NILAI_REJECT_OUT_OF_RANGE;
    *normalized = (score - worst) / (best - worst) + 0.0; /* no -0 */
    return NILAI_REJECT_NONE;
}

static inline enum nilai_reject_class judge_maps(const struct nilai_value *value)
{
    return value->kind == NILAI_VALUE_ARRAY && value->all_maps ? NILAI_REJECT_NONE
                                                               : NILAI_REJECT_WRONG_TYPE;
}

/* ---- what the values of several fields need ------------------------------ */

static double find_rate(const struct check *check)
{
    return has(check, NILAI_FIELD_CURRENCY)
               ? rate_of(check->rules, &check->values[NILAI_FIELD_CURRENCY])
               : 1;
}

/* The event's own scale, or its metric's; NULL if that one has a fault of its own. */
static const double *find_scale(const struct check *check)
{
    const struct nilai_value *scale = &check->values[NILAI_FIELD_SCALE];
    uint32_t metric = 0;
    if (has(check, NILAI_FIELD_SCALE))
        return judge_scale(scale) == NILAI_REJECT_NONE ? scale->ends : NULL;
    return judge_choice(check, NILAI_FIELD_METRIC, &metric) == NILAI_REJECT_NONE
               ? default_scales[metric]
               : NULL;
}

/* ---- a good event -------------------------------------------------------- */

/* A string that may be absent: under the rule TEXT (`size_min` is 1) or LABEL (0). */
static inline uint32_t judge_text_if_any(const struct check *check, enum nilai_field field,
                                         uint32_t size_min)
{
    return has(check, field) ? judge_text(&check->values[field], size_min) : NILAI_REJECT_NONE;
}

static inline uint32_t fill_factor(const struct check *check, struct nilai_event *event)
{
    uint32_t faults = 0, factor = NILAI_FACTOR_NONE;
    if (has(check, NILAI_FIELD_FACTOR))
        faults = judge_choice(check, NILAI_FIELD_FACTOR, &factor);
    event->factor = (enum nilai_factor)factor;
    return faults;
}

static uint32_t fill_purchase(const struct check *check, struct nilai_event *event)
{
    const struct nilai_value *values = check->values;
    double rate = find_rate(check);
    int64_t amount = 0, cost = 0, discount;
    uint32_t faults = judge_money(&values[NILAI_FIELD_AMOUNT], rate, &amount);
    if (has(check, NILAI_FIELD_CURRENCY))
        faults |= judge_currency(&values[NILAI_FIELD_CURRENCY], rate);
    if (has(check, NILAI_FIELD_COST))
        faults |= judge_money(&values[NILAI_FIELD_COST], rate, &cost);
    else
        cost = llrint((double)amount * (1 - check->rules->margin));
    if (has(check, NILAI_FIELD_DISCOUNT))
        faults |= judge_money(&values[NILAI_FIELD_DISCOUNT], rate, &discount);
    faults |= judge_text_if_any(check, NILAI_FIELD_ORDER, 0);
    faults |= judge_text_if_any(check, NILAI_FIELD_CHANNEL, 0);
    faults |= judge_text_if_any(check, NILAI_FIELD_CATEGORY, 0);
    if (has(check, NILAI_FIELD_ITEMS))
        faults |= judge_maps(&values[NILAI_FIELD_ITEMS]);
    faults |= judge_text_if_any(check, NILAI_FIELD_REFERRER, 1);
    event->purchase.amount = amount;
    event->purchase.cost = cost;
    return faults;
}

static uint32_t fill_refund(const struct check *check, struct nilai_event *event)
{
    double rate = find_rate(check);
    uint32_t faults = judge_money(&check->values[NILAI_FIELD_AMOUNT], rate, &event->refund.amount);
    if (has(check, NILAI_FIELD_CURRENCY))
        faults |= judge_currency(&check->values[NILAI_FIELD_CURRENCY], rate);
    return faults | judge_text_if_any(check, NILAI_FIELD_ORDER, 0);
}

static uint32_t fill_ticket(const struct check *check, struct nilai_event *event)
{
    const struct nilai_value *values = check->values;
    uint32_t status = NILAI_TICKET_OPENED, kind = NILAI_KIND_OTHER;
    uint32_t faults = judge_text(&values[NILAI_FIELD_TICKET], 1);
    faults |= judge_choice(check, NILAI_FIELD_STATUS, &status);
    if (has(check, NILAI_FIELD_KIND))
        faults |= judge_choice(check, NILAI_FIELD_KIND, &kind);
    event->ticket.ticket = values[NILAI_FIELD_TICKET].text;
    event->ticket.status = (enum nilai_ticket_status)status;
    event->ticket.kind = (enum nilai_ticket_kind)kind;
    event->ticket.handle_s = 0;
    if (has(check, NILAI_FIELD_HANDLE_S))
        faults |= judge_seconds(&values[NILAI_FIELD_HANDLE_S], &event->ticket.handle_s);
    event->ticket.opened_ms = 0;
    event->ticket.has_opened = has(check, NILAI_FIELD_OPENED_TS);
    if (event->ticket.has_opened)
        faults |= judge_time(&values[NILAI_FIELD_OPENED_TS], &event->ticket.opened_ms);
    faults |= judge_text_if_any(check, NILAI_FIELD_CHANNEL, 0);
    return faults | fill_factor(check, event);
}

static uint32_t fill_survey(const struct check *check, struct nilai_event *event)
{
    const struct nilai_value *values = check->values;
    uint32_t metric = NILAI_METRIC_NPS;
    uint32_t faults = judge_choice(check, NILAI_FIELD_METRIC, &metric);
    const double *scale = default_scales[metric];
    if (has(check, NILAI_FIELD_SCALE)) {
        faults |= judge_scale(&values[NILAI_FIELD_SCALE]);
        scale = values[NILAI_FIELD_SCALE].ends;
    }
    if (faults != 0)
        return faults;
    event->survey.metric = (enum nilai_metric)metric;
    faults = judge_score(&values[NILAI_FIELD_SCORE], scale, &event->survey.normalized);
    NILAI_ASSERT(faults != 0 || (event->survey.normalized >= 0 && event->survey.normalized <= 1));
    return faults | fill_factor(check, event);
}

/* True if all is good. */
static bool fill(const struct check *check, enum nilai_event_type type, struct nilai_event *event)
{
    const struct nilai_value *values = check->values;
    uint32_t faults = judge_text(&values[NILAI_FIELD_ID], 1)
                      | judge_text(&values[NILAI_FIELD_CUSTOMER], 1)
                      | judge_time(&values[NILAI_FIELD_TS], &event->ts_ms);
    event->type = type;
    event->id = values[NILAI_FIELD_ID].text;
    event->customer = values[NILAI_FIELD_CUSTOMER].text;
    event->factor = NILAI_FACTOR_NONE;
    if (type == NILAI_PURCHASE)
        faults |= fill_purchase(check, event);
    else if (type == NILAI_TICKET)
        faults |= fill_ticket(check, event);
    else if (type == NILAI_SURVEY)
        faults |= fill_survey(check, event);
    else if (type == NILAI_REFUND)
        faults |= fill_refund(check, event);
    return faults == 0;
}

/* ---- a bad event --------------------------------------------------------- */

static enum nilai_reject_class judge(const struct check *check, enum nilai_field field)
{
    const struct nilai_value *value = &check->values[field];
    int64_t units, ms;
    uint32_t choice;
    double number;
    switch (nilai_field_rows[field].rule) {
    case NILAI_RULE_TEXT: return judge_text(value, 1);
    case NILAI_RULE_LABEL: return judge_text(value, 0);
    case NILAI_RULE_CHOICE: return judge_choice(check, field, &choice);
    case NILAI_RULE_TIME: return judge_time(value, &ms);
    case NILAI_RULE_MONEY: return judge_money(value, find_rate(check), &units);
    case NILAI_RULE_CURRENCY: return judge_currency(value, find_rate(check));
    case NILAI_RULE_SECONDS: return judge_seconds(value, &number);
    case NILAI_RULE_SCORE: return judge_score(value, find_scale(check), &number);
    case NILAI_RULE_SCALE: return judge_scale(value);
    default: return judge_maps(value);
    }
}

/* The first fault: of the first class, and there of the first field. */
__attribute__((cold, noinline)) static bool reject_worst(const struct check *check,
                                                         struct nilai_reject *reject)
{
    enum nilai_reject_class worst = NILAI_REJECT_CLASSES;
    enum nilai_field worst_field = NILAI_FIELDS;
    for (uint32_t left = check->mine; left != 0; left &= left - 1) {
        enum nilai_field field = (enum nilai_field)__builtin_ctz(left);
        enum nilai_reject_class class = judge(check, field);
        if (class != NILAI_REJECT_NONE && class < worst) {
            worst = class;
            worst_field = field;
        }
    }
    NILAI_ASSERT(worst != NILAI_REJECT_CLASSES);
    return nilai_fault_field(reject, worst, worst_field, &check->values[worst_field]);
}

/* ---- all of it ----------------------------------------------------------- */

/* NILAI_EVENT_TYPES if there is none, or none that we know. */
static enum nilai_event_type find_type(const struct nilai_fields *fields,
                                       const struct nilai_field_index *index)
{
    const struct nilai_value *value = &fields->values[NILAI_FIELD_TYPE];
    if (!(fields->present >> NILAI_FIELD_TYPE & 1) || value->kind != NILAI_VALUE_TEXT)
        return NILAI_EVENT_TYPES;
    uint32_t type = nilai_field_find_choice(index, NILAI_FIELD_TYPE, value->text);
    return type < NILAI_EVENT_TYPES ? (enum nilai_event_type)type : NILAI_EVENT_TYPES;
}

bool nilai_fields_check(const struct nilai_fields *fields, const struct nilai_field_index *index,
                        const struct nilai_decode_rules *rules, struct nilai_event *event,
                        struct nilai_reject *reject)
{
    enum nilai_event_type type = find_type(fields, index);
    uint32_t twice = fields->twice & index->fields_of[type];
    if (NILAI_UNLIKELY(twice != 0)) {
        enum nilai_field field = (enum nilai_field)__builtin_ctz(twice);
        return nilai_fault_field(reject, NILAI_REJECT_DUPLICATE_FIELD, field,
                                 &fields->values[field]);
    }
    uint32_t missing = index->required_of[type] & ~fields->present;
    if (NILAI_UNLIKELY(missing != 0))
        return nilai_fault_missing(reject, (enum nilai_field)__builtin_ctz(missing));

    const struct check check = {fields->values, index, rules,
                                fields->present & index->fields_of[type]};
    if (NILAI_LIKELY(type != NILAI_EVENT_TYPES && fill(&check, type, event)))
        return true;
    return reject_worst(&check, reject);
}
