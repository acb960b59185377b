/*
 * Damage to a record, judged, then lived on with.
 *
 * The input says how long somebody lived, what is then done to the bytes of their record, and what
 * happens next:
 *
 *     0   1   seed of the life       1   1   number of its events, modulo 32
 *     2   1   number of damages, modulo 16; each
 *                 2   place, modulo the bytes of both records; its upper bit set: a whole word there
 *                 1   xor of one byte, or 8 bytes of the word
 *     then to the end, each
 *     0   1   what: an event's type, or nothing but time
 *     1   2   details      3   1   how long after, or how late
 *
 * Whatever was judged sound must bear it, and stay sound.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/customer/explain.h"
#include "nilai/customer/sound.h"
#include "nilai/customer/tickets.h"

enum { EVENTS_MAX = 32, DAMAGES_MAX = 16, STEPS_MAX = 64, FIRED_MAX = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Customer and service record in a row, as one stretch of bytes to damage. */
struct person {
    struct nilai_customer customer;
    struct nilai_service service;
};

struct input {
    const uint8_t *data;
    size_t size;
};

static struct nilai_model model;

/* The next bytes; zeros when the input ends before. */
static uint64_t take(struct input *input, size_t width)
{
    uint64_t value = 0;
    size_t count = input->size < width ? input->size : width;
    if (count > 0)
        memcpy(&value, input->data, count);
    input->data += count;
    input->size -= count;
    return value;
}

static void explain(const struct nilai_change *change)
{
    const struct nilai_explain_facts facts = {change->silence_days, change->gap_days,
                                              change->repeat_days + 1, change->span_days};
    char text[NILAI_EXPLAIN_SIZE];
    NILAI_ASSERT(change->reason_count <= NILAI_REASONS_MAX);
    for (uint32_t i = 0; i < change->reason_count; i++)
        nilai_explain_reason(&change->reasons[i], &facts, text);
}

static void fire(struct person *who, int64_t clock_ms)
{
    struct nilai_change changes[NILAI_CHANGES_PER_STEP];
    uint32_t fired, total = 0;
    while ((fired = nilai_customer_fire(&model, &who->customer, &who->service, clock_ms, changes)) > 0) {
        total += fired;
        NILAI_ASSERT(total < FIRED_MAX);
        for (uint32_t i = 0; i < fired; i++)
            explain(&changes[i]);
    }
}

static struct nilai_event make_event(uint8_t what, uint16_t details, int64_t ts_ms)
{
    static const char *const tickets[] = {"a", "b", "c", "d", "e", "f"};
    struct nilai_event event = {.type = what % NILAI_ERASE, .ts_ms = ts_ms};
    switch (event.type) {
    case NILAI_PURCHASE:
        event.purchase.amount = (int64_t)details * 10000;
        event.purchase.cost = (int64_t)what * 100000;
        break;
    case NILAI_REFUND:
        event.refund.amount = (int64_t)details * 10000;
        break;
    case NILAI_TICKET:
        event.ticket.ticket = (struct nilai_text){tickets[details % NILAI_ARRAY_LEN(tickets)], 1};
        event.ticket.status = details / 8 % NILAI_TICKET_STATUSES;
        event.ticket.kind = details / 64 % NILAI_TICKET_KINDS;
        event.ticket.has_opened = details / 256 % 2;
        event.ticket.opened_ms = ts_ms / 2;
        event.ticket.handle_s = details;
        break;
    default:
        event.survey.metric = details % NILAI_METRICS;
        event.survey.normalized = (details >> 8) / 255.0;
    }
    return event;
}

/* One event at `ts_ms`, after the deadlines up to it; or only those. */
static void happens(struct person *who, uint8_t what, uint16_t details, int64_t ts_ms)
{
    struct nilai_change changes[NILAI_CHANGES_PER_STEP];
    uint32_t notes;
    int64_t now_ms = who->customer.current_ms;
    fire(who, ts_ms > now_ms ? ts_ms : now_ms);
    if (what % 5 == 4)
        return;
    struct nilai_event event = make_event(what, details, ts_ms);
    uint32_t count = nilai_customer_apply(&model, &who->customer, &who->service, &event, details,
                                          &notes, changes);
    for (uint32_t i = 0; i < count; i++)
        explain(&changes[i]);
}

/* From minutes to decades after the current time, or before it. */
static int64_t when(const struct person *who, uint8_t distance)
{
    int64_t now_ms = who->customer.current_ms > 0 ? who->customer.current_ms : 0;
    int64_t step_ms = (int64_t)exp2(distance % 64 * 0.4 + 15);
    int64_t ts_ms = distance >= 192 ? now_ms - step_ms : now_ms + step_ms;
    return ts_ms < 0 ? 0 : ts_ms > NILAI_TIME_MAX_MS ? NILAI_TIME_MAX_MS : ts_ms;
}

static bool is_sound(const struct person *who)
{
    return nilai_customer_is_sound(&model, &who->customer, &who->service);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void live(struct person *who, uint32_t seed, uint32_t events)
{
    memset(who, 0, sizeof *who);
    nilai_customer_init(&who->customer, seed);
    nilai_service_init(&who->service);
    for (uint32_t i = 0; i < events; i++) {
        uint8_t what = (uint8_t)(next_random(&seed) % 5), distance = (uint8_t)(next_random(&seed) % 256);
        happens(who, what, (uint16_t)next_random(&seed), when(who, distance));
        NILAI_ASSERT(is_sound(who));
    }
}

static void damage(struct person *who, struct input *input)
{
    unsigned char *bytes = (unsigned char *)who;
    for (uint64_t count = take(input, 1) % DAMAGES_MAX; count > 0; count--) {
        uint16_t place = (uint16_t)take(input, 2);
        size_t at = (place & 0x7fff) % sizeof *who;
        if (place < 0x8000) {
            bytes[at] ^= (unsigned char)take(input, 1);
        } else {
            uint64_t word = take(input, sizeof word);
            memcpy(bytes + at / sizeof word * sizeof word, &word, sizeof word);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct person who;
    if (model.name[0] == '\0') {
        nilai_model_defaults(&model);
        NILAI_ASSERT(nilai_model_prepare(&model, NULL) == NILAI_OK);
    }
    uint32_t seed = (uint32_t)take(&input, 1);
    live(&who, seed, (uint32_t)take(&input, 1) % EVENTS_MAX);
    damage(&who, &input);
    if (!is_sound(&who))
        return 0;
    for (int i = 0; i < STEPS_MAX && input.size > 0; i++) {
        int64_t now_s = who.customer.current_ms / 1000;
        NILAI_ASSERT(nilai_customer_next_deadline_s(&model, &who.customer, &who.service) > now_s);
        uint8_t what = (uint8_t)take(&input, 1);
        uint16_t details = (uint16_t)take(&input, 2);
        happens(&who, what, details, when(&who, (uint8_t)take(&input, 1)));
        NILAI_ASSERT(is_sound(&who));
    }
    fire(&who, NILAI_TIME_MAX_MS);
    NILAI_ASSERT(is_sound(&who));
    return 0;
}
