/*
 * customers.h - random customers for tests: events of all kinds, some late, at all distances.
 */
#ifndef NILAI_TEST_CUSTOMERS_H
#define NILAI_TEST_CUSTOMERS_H

#include "nilai/customer/customer.h"
#include "test.h"

#define TEST_START_MS (INT64_C(1700000000) * 1000)

struct random_customer {
    struct nilai_customer customer;
    struct nilai_service service;
    bool has_service;
    uint64_t events; /* so far; the id of the next */
    char texts[2][32];
};

static inline void random_customer_init(struct random_customer *random, uint64_t *seed)
{
    *random = (struct random_customer){0};
    nilai_customer_init(&random->customer, next_random(seed));
    nilai_service_init(&random->service);
}

static inline const struct nilai_service *random_customer_service(const struct random_customer *random)
{
    return random->has_service ? &random->service : NULL;
}

/* An event `ts_ms` of a random type; texts live in `random` until the next. */
static inline struct nilai_event random_event(struct random_customer *random, uint64_t *seed,
                                              int64_t ts_ms)
{
    static const double scores[] = {0, 0.1, 0.25, 0.3, 1.0 / 3, 0.5, 0.6, 0.75, 0.9, 1};
    struct nilai_event event = {.ts_ms = ts_ms, .origin = {.topic = -1}};
    unsigned dice = (unsigned)(next_random(seed) % 100);
    if (dice < 50) {
        event.type = NILAI_PURCHASE;
        event.purchase.amount = (int64_t)(next_random(seed) % 2000000);
        event.purchase.cost = (int64_t)((double)event.purchase.amount * 1.2 * next_uniform(seed));
    } else if (dice < 60) {
        event.type = NILAI_REFUND;
        event.refund.amount = (int64_t)(next_random(seed) % 500000);
    } else if (dice < 85) {
        event.type = NILAI_TICKET;
        snprintf(random->texts[0], sizeof random->texts[0], "t%u", (unsigned)(next_random(seed) % 7));
        event.ticket.ticket =
            (struct nilai_text){random->texts[0], (uint32_t)strlen(random->texts[0])};
        event.ticket.status = (enum nilai_ticket_status)(next_random(seed) % NILAI_TICKET_STATUSES);
        event.ticket.kind = (enum nilai_ticket_kind)(next_random(seed) % NILAI_TICKET_KINDS);
        event.ticket.has_opened = next_random(seed) % 2;
        event.ticket.opened_ms = ts_ms - (int64_t)(next_uniform(seed) * 6 * NILAI_DAY_MS);
        event.ticket.handle_s = next_uniform(seed) * 7200;
    } else {
        event.type = NILAI_SURVEY;
        event.survey.metric = (enum nilai_metric)(next_random(seed) % NILAI_METRICS);
        event.survey.normalized = scores[next_random(seed) % NILAI_ARRAY_LEN(scores)];
    }
    snprintf(random->texts[1], sizeof random->texts[1], "e%" PRIu64, random->events++);
    event.id = (struct nilai_text){random->texts[1], (uint32_t)strlen(random->texts[1])};
    return event;
}

/* Fires what is due up to `clock_ms`; `out` (of `max`) gets the changes, *count their number. */
static inline void random_customer_fire(const struct nilai_model *model,
                                        struct random_customer *random, int64_t clock_ms,
                                        struct nilai_change *out, size_t max, size_t *count)
{
    struct nilai_change changes[NILAI_CHANGES_PER_STEP];
    uint32_t fired;
    while ((fired = nilai_customer_fire(model, &random->customer, random_customer_service(random),
                                        clock_ms, changes)) > 0) {
        CHECK(*count + fired <= max);
        memcpy(out + *count, changes, fired * sizeof changes[0]);
        *count += fired;
    }
}

static inline void random_customer_apply(const struct nilai_model *model,
                                         struct random_customer *random,
                                         const struct nilai_event *event, struct nilai_change *out,
                                         size_t max, size_t *count)
{
    struct nilai_change changes[NILAI_CHANGES_PER_STEP];
    uint32_t notes;
    random->has_service |= nilai_customer_needs_service(event);
    uint32_t made =
        nilai_customer_apply(model, &random->customer, random->has_service ? &random->service : NULL,
                             event, random->events, &notes, changes);
    CHECK(*count + made <= max);
    memcpy(out + *count, changes, made * sizeof changes[0]);
    *count += made;
}

/* Days to the next event: mostly short, sometimes very long, sometimes none. */
static inline double random_gap_days(uint64_t *seed)
{
    return next_random(seed) % 8 == 0 ? 0 : exp(9 * next_uniform(seed) - 3.5);
}

/* Parameters that a configuration may hold, near and far from the defaults. */
static inline struct nilai_model random_model(uint64_t *seed)
{
    struct nilai_model model;
    nilai_model_defaults(&model);
    if (next_random(seed) % 2) {
        model.rhythm.r = exp(3 * next_uniform(seed) - 1.5);
        model.rhythm.alpha = exp(4 * next_uniform(seed) + 1);
        model.rhythm.a = exp(3 * next_uniform(seed) - 1.5);
        model.rhythm.b = exp(3 * next_uniform(seed) - 0.5);
        model.horizon_days = exp(4 * next_uniform(seed) + 1);
        model.risk_b0 = 4 * next_uniform(seed) - 3;
        model.risk_bz = next_random(seed) % 8 == 0 ? 0 : 2 * next_uniform(seed);
        model.risk_bx = next_uniform(seed) - 0.5;
        model.half_life_days = exp(5 * next_uniform(seed));
        model.weights[NILAI_SIGNAL_TICKET_OVERDUE] = 3 * next_uniform(seed) - 0.7;
        model.weights[NILAI_SIGNAL_COMPLAINT] = 3 * next_uniform(seed) - 0.5;
        model.cause_min = 0.6 * next_uniform(seed) - 0.1;
        model.overdue_max_ms = (int64_t)(next_uniform(seed) * 60 * NILAI_DAY_MS);
        model.one_time_high = next_random(seed) % 2;
        model.day_offset_s = (int64_t)(next_random(seed) % 86400) - 43200;
    }
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    return model;
}

#endif
