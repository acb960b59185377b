#include "nilai/event/decode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/event/fault.h"
#include "nilai/event/reader.h"

struct nilai_decoder {
    struct nilai_decode_rules rules; /* rules.rates is `rates` */
    struct nilai_currency_rate *rates;
    struct nilai_json_reader *json; /* NULL if the format is MessagePack */
    struct nilai_field_index index;
    struct nilai_fields fields;
};

static bool copy_rates(struct nilai_decoder *decoder)
{
    const struct nilai_decode_rules *rules = &decoder->rules;
    if (rules->rate_count == 0)
        return true;
    decoder->rates = calloc(rules->rate_count, sizeof *decoder->rates);
    if (decoder->rates == NULL)
        return false;
    memcpy(decoder->rates, rules->rates, rules->rate_count * sizeof *decoder->rates);
    for (size_t i = 0; i < rules->rate_count; i++) {
        NILAI_ASSERT(strnlen(decoder->rates[i].code, sizeof decoder->rates[i].code) == 3);
        NILAI_ASSERT(decoder->rates[i].rate > 0 && isfinite(decoder->rates[i].rate));
    }
    decoder->rules.rates = decoder->rates;
    return true;
}

struct nilai_decoder *nilai_decoder_create(const struct nilai_decode_rules *rules)
{
    NILAI_ASSERT(rules->format <= NILAI_FORMAT_AUTO);
    NILAI_ASSERT(strnlen(rules->base_currency, sizeof rules->base_currency) == 3);
    NILAI_ASSERT(rules->margin >= 0 && rules->margin <= 1); /* else a default cost has no range */
    NILAI_ASSERT(rules->max_future_ms >= 0);

    struct nilai_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL)
        return NULL;
    decoder->rules = *rules;
    nilai_field_index_init(&decoder->index);
    if (!copy_rates(decoder))
        goto fail;
    if (rules->format != NILAI_FORMAT_MSGPACK) {
        decoder->json = nilai_json_reader_create();
        if (decoder->json == NULL)
            goto fail;
    }
    return decoder;

fail:
    nilai_decoder_destroy(decoder);
    return NULL;
}

void nilai_decoder_destroy(struct nilai_decoder *decoder)
{
    if (decoder == NULL)
        return;
    nilai_json_reader_destroy(decoder->json);
    free(decoder->rates);
    free(decoder);
}

/* A map of MessagePack starts with 80 to 8f, de or df: no JSON text can. */
static bool is_json(enum nilai_format format, uint8_t first)
{
    return format == NILAI_FORMAT_JSON || (format == NILAI_FORMAT_AUTO && first < 0x80);
}

static bool read_fields(struct nilai_decoder *decoder, const uint8_t *bytes, size_t size,
                        struct nilai_reject *reject)
{
    if (is_json(decoder->rules.format, bytes[0]))
        return nilai_read_json(decoder->json, &decoder->index, bytes, size, &decoder->fields,
                               reject);
    return nilai_read_msgpack(&decoder->index, bytes, size, &decoder->fields, reject);
}

static bool reject_size(size_t size, struct nilai_reject *reject)
{
    reject->class = NILAI_REJECT_TOO_LARGE;
    snprintf(reject->message, sizeof reject->message, "%zu bytes are more than %d", size,
             NILAI_EVENT_SIZE_MAX);
    return false;
}

bool nilai_decode(struct nilai_decoder *decoder, const void *bytes, size_t size,
                  struct nilai_event *event, struct nilai_reject *reject)
{
    if (size > NILAI_EVENT_SIZE_MAX)
        return reject_size(size, reject);
    if (bytes == NULL || size == 0)
        return nilai_fault_malformed(reject, "the value is empty", 0);
    return read_fields(decoder, bytes, size, reject)
           && nilai_fields_check(&decoder->fields, &decoder->index, &decoder->rules, event, reject);
}

bool nilai_decode_check_key(const struct nilai_event *event, const void *key, size_t key_size,
                            struct nilai_reject *reject)
{
    if (key != NULL && key_size == event->customer.size
        && memcmp(key, event->customer.data, key_size) == 0)
        return true;
    reject->class = NILAI_REJECT_KEY_MISMATCH;
    snprintf(reject->message, sizeof reject->message, "%s",
             key == NULL ? "the message has no key; it must be the bytes of field \"customer\""
                         : "the message's key is not the bytes of field \"customer\"");
    return false;
}

bool nilai_decode_check_time(const struct nilai_decoder *decoder, const struct nilai_event *event,
                             int64_t wall_ms, struct nilai_reject *reject)
{
    int64_t latest;
    if (__builtin_add_overflow(wall_ms, decoder->rules.max_future_ms, &latest)
        || event->ts_ms <= latest)
        return true;
    reject->class = NILAI_REJECT_FUTURE_TIMESTAMP;
    snprintf(reject->message, sizeof reject->message,
             "field \"ts\": %lld ms after the wall clock, %lld are allowed",
             (long long)(event->ts_ms - wall_ms), (long long)decoder->rules.max_future_ms);
    return false;
}
