#include "nilai/run/message.h"

#include <assert.h>
#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/base/decimal.h"
#include "nilai/customer/explain.h"
#include "nilai/customer/ring.h"
#include "nilai/customer/risk.h"
#include "nilai/customer/tickets.h"
#include "nilai/customer/value.h"

enum {
    MESSAGE_VERSION = 1,
    BAND_ENTRIES = 15,
    VALUE_ENTRIES = 12,
    CAUSE_ENTRIES = 5,
    REASON_ENTRIES = 3,
    STANDING_ENTRIES = 3,
    CUSTOMER_ENTRIES = 24,
    SATISFACTION_ENTRIES = 2,
    DATE_SIZE = 11,
};

static inline void encode_name(struct nilai_encoder *encoder, const char *key, const char *name)
{
    if (name == NULL)
        nilai_encode_null(encoder, key);
    else
        nilai_encode_text(encoder, key, name, strlen(name));
}

static void encode_cause(struct nilai_encoder *encoder, const struct nilai_effect *effect,
                         const char *const *topic_names)
{
    if (!effect->by_event) {
        nilai_encode_open_map(encoder, "cause", 1);
        encode_name(encoder, "type", "timer");
        nilai_encode_close_map(encoder);
        return;
    }
    int32_t topic = effect->origin.topic;
    nilai_encode_open_map(encoder, "cause", CAUSE_ENTRIES);
    encode_name(encoder, "type", "event");
    nilai_encode_text(encoder, "id", effect->cause, effect->cause_size);
    encode_name(encoder, "topic", topic < 0 ? NULL : topic_names[topic]);
    nilai_encode_int(encoder, "partition", effect->origin.partition);
    nilai_encode_int(encoder, "offset", effect->origin.offset);
    nilai_encode_close_map(encoder);
}

static void encode_reasons(struct nilai_encoder *encoder, const struct nilai_reason *reasons,
                           uint32_t count, const struct nilai_explain_facts *facts)
{
    char text[NILAI_EXPLAIN_SIZE];
    nilai_encode_open_array(encoder, "reasons", count);
    for (uint32_t i = 0; i < count; i++) {
        size_t size = nilai_explain_reason(&reasons[i], facts, text);
        nilai_encode_open_map(encoder, NULL, REASON_ENTRIES);
        encode_name(encoder, "code", nilai_reason_name(reasons[i].code));
        nilai_encode_fixed(encoder, "points", reasons[i].points);
        nilai_encode_text(encoder, "text", text, size);
        nilai_encode_close_map(encoder);
    }
    nilai_encode_close_array(encoder);
}

static void encode_standing(struct nilai_encoder *encoder, const char *key,
                            const struct nilai_standing *standing)
{
    nilai_encode_open_map(encoder, key, STANDING_ENTRIES);
    encode_name(encoder, "segment", nilai_segment_names[standing->segment]);
    encode_name(encoder, "tier", nilai_tier_names[standing->tier]);
    nilai_encode_bool(encoder, "unprofitable", standing->unprofitable);
    nilai_encode_close_map(encoder);
}

static void encode_head(struct nilai_encoder *encoder, const struct nilai_effect *effect,
                        const char *const *topic_names)
{
    nilai_encode_int(encoder, "v", MESSAGE_VERSION);
    nilai_encode_text(encoder, "customer", effect->customer, effect->customer_size);
    nilai_encode_int(encoder, "seq", effect->change.seq);
    nilai_encode_int(encoder, "at", effect->change.at_ms);
    encode_cause(encoder, effect, topic_names);
}

static void encode_band(struct nilai_encoder *encoder, const char *key,
                        const struct nilai_model *model, const struct nilai_effect *effect,
                        const char *const *topic_names)
{
    const struct nilai_change *change = &effect->change;
    const struct nilai_explain_facts facts = {
        .silence_days = change->silence_days,
        .gap_days = change->gap_days,
        .purchase_days = change->repeat_days + 1,
        .span_days = change->span_days,
    };
    nilai_encode_open_map(encoder, key, BAND_ENTRIES);
    encode_head(encoder, effect, topic_names);
    encode_name(encoder, "from", nilai_band_names[change->from.band]);
    encode_name(encoder, "to", nilai_band_names[change->to.band]);
    nilai_encode_fixed(encoder, "risk", change->risk);
    nilai_encode_fixed(encoder, "eta", change->eta);
    encode_reasons(encoder, change->reasons, change->reason_count, &facts);
    nilai_encode_fixed(encoder, "silence_days", change->silence_days);
    nilai_encode_int(encoder, "repeat_days", change->repeat_days);
    nilai_encode_decimal(encoder, "value_at_risk", change->value_at_risk);
    encode_name(encoder, "currency", model->currency);
    encode_name(encoder, "model", model->name);
    nilai_encode_close_map(encoder);
}

static void encode_value(struct nilai_encoder *encoder, const char *key,
                         const struct nilai_model *model, const struct nilai_effect *effect,
                         const char *const *topic_names)
{
    const struct nilai_change *change = &effect->change;
    nilai_encode_open_map(encoder, key, VALUE_ENTRIES);
    encode_head(encoder, effect, topic_names);
    if (change->first)
        nilai_encode_null(encoder, "from");
    else
        encode_standing(encoder, "from", &change->from);
    encode_standing(encoder, "to", &change->to);
    nilai_encode_money(encoder, "net_year", change->net_year);
    nilai_encode_decimal(encoder, "clv_365", change->clv_365);
    nilai_encode_int(encoder, "purchase_days_year", change->purchase_days_year);
    encode_name(encoder, "currency", model->currency);
    encode_name(encoder, "model", model->name);
    nilai_encode_close_map(encoder);
}

void nilai_message_encode_change(struct nilai_encoder *encoder, const char *key,
                                 const struct nilai_model *model, const struct nilai_effect *effect,
                                 const char *const *topic_names)
{
    if (effect->change.is_band)
        encode_band(encoder, key, model, effect, topic_names);
    else
        encode_value(encoder, key, model, effect, topic_names);
}

static void fill_headers(struct nilai_text id, int64_t at_ms, uint32_t seq, const char *type,
                         struct nilai_message_headers *headers)
{
    NILAI_ASSERT(id.size <= NILAI_TEXT_MAX);
    static_assert(NILAI_MESSAGE_ID_SIZE >= NILAI_TEXT_MAX + 2 + 2 * NILAI_DECIMAL_INTEGER_SIZE,
                  "customer, colons and two numbers");
    char *at = mempcpy(headers->id, id.data, id.size);
    *at++ = ':';
    at += nilai_decimal_integer(at_ms, at);
    *at++ = ':';
    at += nilai_decimal_integer(seq, at);
    headers->id_size = (uint32_t)(at - headers->id);
    headers->type = type;
    nilai_clock_format(at_ms, headers->time);
}

void nilai_message_change_headers(const struct nilai_effect *effect,
                                  struct nilai_message_headers *headers)
{
    struct nilai_text id = {effect->customer, effect->customer_size};
    fill_headers(id, effect->change.at_ms, effect->change.seq,
                 effect->change.is_band ? "nilai.churn-risk.v1" : "nilai.value-segment.v1",
                 headers);
}

/* ---- the customers feed ---- */

static void encode_date(struct nilai_encoder *encoder, const char *key, int32_t day)
{
    char text[NILAI_CLOCK_TEXT_SIZE];
    /* A day of an offset calendar is named by its own date; day -1 is 1969-12-31. */
    if (day < 0) {
        encode_name(encoder, key, "1969-12-31");
        return;
    }
    nilai_clock_format(day * (int64_t)NILAI_DAY_MS, text);
    nilai_encode_text(encoder, key, text, DATE_SIZE - 1);
}

static void encode_nulls(struct nilai_encoder *encoder, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        nilai_encode_null(encoder, keys[i]);
}

/* The part that only customers have who have bought. */
static void encode_buyer(struct nilai_encoder *encoder, const struct nilai_model *model,
                         int64_t at_ms, const struct nilai_customer *customer,
                         const struct nilai_service *service)
{
    struct nilai_curve curve = nilai_risk_curve(model, customer, service);
    struct nilai_terms terms = nilai_risk_terms(&curve, at_ms);
    struct nilai_worth worth = nilai_value_worth(model, customer, at_ms);
    struct nilai_reason reasons[NILAI_REASONS_ALL];
    uint32_t count = nilai_risk_reasons(&curve, &terms, reasons);
    const struct nilai_rhythm *rhythm = &customer->rhythm;
    const struct nilai_explain_facts facts = {
        .silence_days = terms.silence.days,
        .gap_days = curve.gap_days,
        .purchase_days = rhythm->repeat_days + 1,
        .span_days = rhythm->last_day - rhythm->first_day,
    };

    encode_name(encoder, "band", nilai_band_names[customer->standing.band]);
    nilai_encode_fixed(encoder, "risk", nilai_risk_of_eta(terms.eta));
    nilai_encode_fixed(encoder, "eta", terms.eta);
    encode_reasons(encoder, reasons, count, &facts);
    nilai_encode_fixed(encoder, "silence_days", terms.silence.days);
    nilai_encode_int(encoder, "repeat_days", rhythm->repeat_days);
    encode_name(encoder, "segment", nilai_segment_names[customer->standing.segment]);
    encode_name(encoder, "tier", nilai_tier_names[customer->standing.tier]);
    nilai_encode_bool(encoder, "unprofitable", customer->standing.unprofitable);
    nilai_encode_money(encoder, "net_year", worth.net_year);
    nilai_encode_decimal(encoder, "clv_365", worth.clv_365);
    nilai_encode_decimal(encoder, "value_at_risk", worth.clv_365 * nilai_risk_of_eta(terms.eta));
    nilai_encode_int(encoder, "purchase_days_year", worth.purchase_days_year);
    encode_date(encoder, "first_purchase_day", rhythm->first_day);
    encode_date(encoder, "last_purchase_day", rhythm->last_day);
    nilai_encode_fixed(encoder, "expected_gap_days", curve.gap_days);
}

/* The same fields of a customer who has not bought: no risk, no standing, but they may have
 * cost something. */
static void encode_no_buyer(struct nilai_encoder *encoder, const struct nilai_model *model,
                            int64_t at_ms, const struct nilai_customer *customer)
{
    static const char *const before[] = {"band", "risk", "eta"};
    static const char *const between[] = {"silence_days", "repeat_days", "segment", "tier"};
    static const char *const after[] = {"first_purchase_day", "last_purchase_day",
                                        "expected_gap_days"};
    int32_t period = nilai_ring_period(&customer->ring, nilai_model_day(model, at_ms));
    struct nilai_ring_sums sums = nilai_ring_sums(&customer->ring, period);
    int64_t net_year = nilai_ring_net(&sums);

    encode_nulls(encoder, before, NILAI_ARRAY_LEN(before));
    nilai_encode_open_array(encoder, "reasons", 0);
    nilai_encode_close_array(encoder);
    encode_nulls(encoder, between, NILAI_ARRAY_LEN(between));
    nilai_encode_bool(encoder, "unprofitable", net_year < 0);
    nilai_encode_money(encoder, "net_year", net_year);
    nilai_encode_null(encoder, "clv_365");
    nilai_encode_null(encoder, "value_at_risk");
    nilai_encode_int(encoder, "purchase_days_year", 0);
    encode_nulls(encoder, after, NILAI_ARRAY_LEN(after));
}

static void encode_satisfaction(struct nilai_encoder *encoder, const struct nilai_service *service)
{
    uint32_t answers = service != NULL ? service->answers : 0;
    nilai_encode_open_map(encoder, "satisfaction", SATISFACTION_ENTRIES);
    nilai_encode_int(encoder, "answers", answers);
    if (answers > 0)
        nilai_encode_fixed(encoder, "mean", service->answers_sum / answers);
    else
        nilai_encode_null(encoder, "mean");
    nilai_encode_close_map(encoder);
}

void nilai_message_encode_customer(struct nilai_encoder *encoder, const struct nilai_model *model,
                                   struct nilai_text id, int64_t at_ms,
                                   const struct nilai_customer *customer,
                                   const struct nilai_service *service)
{
    NILAI_ASSERT(at_ms >= customer->current_ms);
    int64_t deadline_s = nilai_customer_next_deadline_s(model, customer, service);
    nilai_encode_open_map(encoder, NULL, CUSTOMER_ENTRIES);
    nilai_encode_int(encoder, "v", MESSAGE_VERSION);
    nilai_encode_text(encoder, "customer", id.data, id.size);
    nilai_encode_int(encoder, "at", at_ms);
    if (customer->rhythm.bought)
        encode_buyer(encoder, model, at_ms, customer, service);
    else
        encode_no_buyer(encoder, model, at_ms, customer);
    nilai_encode_int(encoder, "open_tickets", service != NULL ? nilai_tickets_open(service) : 0);
    encode_satisfaction(encoder, service);
    nilai_encode_int(encoder, "seq", customer->seq);
    if (deadline_s == NILAI_NEVER_S)
        nilai_encode_null(encoder, "next_deadline");
    else
        nilai_encode_int(encoder, "next_deadline", deadline_s * 1000);
    encode_name(encoder, "model", model->name);
    nilai_encode_close_map(encoder);
}

void nilai_message_customer_headers(struct nilai_text id, int64_t at_ms,
                                    const struct nilai_customer *customer,
                                    struct nilai_message_headers *headers)
{
    fill_headers(id, at_ms, customer->seq, "nilai.customer.v1", headers);
}
