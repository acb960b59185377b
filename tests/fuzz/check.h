/*
 * check.h - what is always true of an event that a decoder has let through.
 */
#ifndef NILAI_FUZZ_CHECK_H
#define NILAI_FUZZ_CHECK_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/base/money.h"
#include "nilai/event/decode.h"
#include "nilai/event/utf8.h"

static inline struct nilai_decoder *check_decoder(enum nilai_format format)
{
    static const struct nilai_currency_rate rates[] = {{"EUR", 1.1}, {"BIG", 1e6}, {"IDR", 0.00006}};
    const struct nilai_decode_rules rules = {format, "USD", 0.3, rates, NILAI_ARRAY_LEN(rates), 300000};
    struct nilai_decoder *decoder = nilai_decoder_create(&rules);
    NILAI_ASSERT(decoder != NULL);
    return decoder;
}

static inline void check_text(struct nilai_text text)
{
    NILAI_ASSERT(text.size >= 1 && text.size <= NILAI_TEXT_MAX && nilai_utf8_valid(text.data, text.size));
}

static inline void check_money(int64_t units)
{
    NILAI_ASSERT(units >= 0 && units <= NILAI_MONEY_MAX);
}

static inline void check_time(int64_t ms)
{
    NILAI_ASSERT(ms >= 0 && ms <= NILAI_TIME_MAX_MS);
}

static inline void check_ticket(const struct nilai_event *event)
{
    check_text(event->ticket.ticket);
    NILAI_ASSERT((uint32_t)event->ticket.status < NILAI_TICKET_STATUSES);
    NILAI_ASSERT((uint32_t)event->ticket.kind < NILAI_TICKET_KINDS);
    NILAI_ASSERT(event->ticket.handle_s >= 0 && event->ticket.handle_s <= 1e9);
    if (event->ticket.has_opened)
        check_time(event->ticket.opened_ms);
}

static inline void check_event(const struct nilai_event *event)
{
    NILAI_ASSERT((uint32_t)event->type < NILAI_EVENT_TYPES && (uint32_t)event->factor < NILAI_FACTORS);
    check_text(event->id);
    check_text(event->customer);
    check_time(event->ts_ms);
    if (event->type == NILAI_PURCHASE) {
        check_money(event->purchase.amount);
        check_money(event->purchase.cost);
    } else if (event->type == NILAI_REFUND) {
        check_money(event->refund.amount);
    } else if (event->type == NILAI_TICKET) {
        check_ticket(event);
    } else if (event->type == NILAI_SURVEY) {
        NILAI_ASSERT((uint32_t)event->survey.metric < NILAI_METRICS);
        NILAI_ASSERT(event->survey.normalized >= 0 && event->survey.normalized <= 1);
    }
}

/* Decodes and checks what comes out, whatever it is; the class, NILAI_REJECT_NONE if good. */
static inline enum nilai_reject_class check_decode(struct nilai_decoder *decoder, const void *data, size_t size,
                                                   struct nilai_event *event)
{
    struct nilai_reject reject;
    memset(&reject, 0xa5, sizeof reject);
    if (nilai_decode(decoder, data, size, event, &reject)) {
        check_event(event);
        return NILAI_REJECT_NONE;
    }
    NILAI_ASSERT(reject.class > NILAI_REJECT_NONE && reject.class <= NILAI_REJECT_UNKNOWN_CURRENCY);
    size_t length = strnlen(reject.message, sizeof reject.message);
    NILAI_ASSERT(length > 0 && length < sizeof reject.message);
    NILAI_ASSERT(nilai_utf8_is_ascii(reject.message, length)); /* nothing of the event in it */
    return reject.class;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
