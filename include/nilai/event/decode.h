/*
 * decode.h - bytes in, one checked event or one reason out.
 *
 * The two formats share everything but the reading of bytes: each reader notes, for every
 * known field of the top map, its kind, value and position (event/fields.h); one check then
 * finds the first fault in the documented order of precedence, or fills the event.
 *
 * A decoder belongs to one thread and never allocates after creation.
 */
#ifndef NILAI_EVENT_DECODE_H
#define NILAI_EVENT_DECODE_H

#include "nilai/event/event.h"
#include "nilai/event/reject.h"

enum nilai_format {
    NILAI_FORMAT_MSGPACK,
    NILAI_FORMAT_JSON,
    NILAI_FORMAT_AUTO, /* decided by the first byte of each event */
};

struct nilai_currency_rate {
    char code[4];
    double rate; /* base units per unit of `code`, > 0 */
};

/* What a decoder must know of the configuration. Copied by create. */
struct nilai_decode_rules {
    enum nilai_format format;
    char base_currency[4];
    double margin; /* value.margin: cost of a purchase that states none */
    const struct nilai_currency_rate *rates;
    size_t rate_count;
    int64_t max_future_ms; /* time.max_future */
};

struct nilai_decoder;

/* NULL when out of memory. */
struct nilai_decoder *nilai_decoder_create(const struct nilai_decode_rules *rules);
void nilai_decoder_destroy(struct nilai_decoder *decoder);

/* Decodes one event. True: `event` is filled (but for its origin), its texts borrow from
 * `bytes` or from the decoder until the next call. False: `reject` says why.
 * Covers the classes too-large to unknown-currency. `bytes` may be NULL (an empty value). */
NILAI_MUST_CHECK bool nilai_decode(struct nilai_decoder *decoder, const void *bytes, size_t size,
                                   struct nilai_event *event, struct nilai_reject *reject);

/* The class key-mismatch: the Kafka key must be the bytes of `customer`; `key` NULL means
 * that there was none, which is a mismatch. */
NILAI_MUST_CHECK bool nilai_decode_check_key(const struct nilai_event *event, const void *key,
                                             size_t key_size, struct nilai_reject *reject);

/* The class future-timestamp: ts later than `wall_ms` + time.max_future. */
NILAI_MUST_CHECK bool nilai_decode_check_time(const struct nilai_decoder *decoder,
                                              const struct nilai_event *event, int64_t wall_ms,
                                              struct nilai_reject *reject);

/* How many bytes the MessagePack value at the start of `bytes` takes, whatever is in it and
 * however deep. NILAI_AGAIN: it is not complete yet. NILAI_INVALID: not MessagePack.
 * This is how a file of concatenated values is cut into events. */
NILAI_MUST_CHECK enum nilai_status nilai_msgpack_span(const void *bytes, size_t size, size_t *span);

#endif
