#include "nilai/run/fact.h"

#include <assert.h>
#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/base/decimal.h"
#include "nilai/run/random.h"

enum {
    ID_SIZE = 17,       /* "e3fa9c-0000000001" */
    SERIAL_DIGITS = 10, /* hexadecimal */
    DEEP_LEVELS = NILAI_EVENT_DEPTH_MAX + 1,
};
static const int64_t HOUR_MS = 3600000, MONTH_MS = INT64_C(30) * 86400000;

/* clang-format off */
enum field {
    ELEMENT, /* of an array: no key */
    ID, TYPE, CUSTOMER, TS,
    AMOUNT, CURRENCY, COST, DISCOUNT, ORDER, CHANNEL, CATEGORY, ITEMS, SKU, QUANTITY, PRICE,
    REFERRER,
    TICKET, STATUS, KIND, HANDLE_S, OPENED_TS, FACTOR,
    METRIC, SCORE, SCALE, COMMENT, PADDING,
    FIELDS,
};
static const char *const field_names[FIELDS] = {
    [ID] = "id", [TYPE] = "type", [CUSTOMER] = "customer", [TS] = "ts",
    [AMOUNT] = "amount", [CURRENCY] = "currency", [COST] = "cost", [DISCOUNT] = "discount",
    [ORDER] = "order", [CHANNEL] = "channel", [CATEGORY] = "category", [ITEMS] = "items",
    [SKU] = "sku", [QUANTITY] = "quantity", [PRICE] = "price", [REFERRER] = "referrer",
    [TICKET] = "ticket", [STATUS] = "status", [KIND] = "kind", [HANDLE_S] = "handle_s",
    [OPENED_TS] = "opened_ts", [FACTOR] = "factor",
    [METRIC] = "metric", [SCORE] = "score", [SCALE] = "scale", [COMMENT] = "comment",
    [PADDING] = "padding",
};
/* clang-format on */
static_assert(NILAI_ARRAY_LEN(field_names) <= NILAI_STENCIL_FIELDS_MAX, "one stencil a field");

/* The fields that all events have, which most flaws pick one of. */
enum { HEADS = TS - ID + 1 };

struct writer {
    struct nilai_stencils *stencils; /* NULL: the encoder writes */
    struct nilai_encoder *encoder;
    const struct nilai_fact *fact;
    const struct nilai_fact_style *style;
    enum nilai_reject_class flaw;
    enum field flawed;
    uint64_t dice; /* used up from the low end, a few bits a decision */
    uint32_t dice_left;
};

static const char *const channels[] = {"web", "app", "store", "phone"};
static const char *const categories[] = {
    "books",  "music",  "games", "garden", "kitchen", "toys",   "shoes",  "clothing",
    "sports", "beauty", "pets",  "tools",  "food",    "travel", "office", "audio"};
static const char *const comments[] = {"fine", "très bien", "kurang memuaskan", "ありがとう"};

static const char LONG_TEXT[] =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef-too-long";

/* ---- small leaves ---- */

static uint32_t roll(struct writer *writer, uint32_t bits)
{
    if (writer->dice_left < bits) {
        writer->dice = nilai_random_mix(writer->dice ^ nilai_random_mix(~writer->fact->serial));
        writer->dice_left = 64;
    }
    uint32_t value = (uint32_t)(writer->dice & ((UINT64_C(1) << bits) - 1));
    writer->dice >>= bits;
    writer->dice_left -= bits;
    return value;
}

/* True in `of_16` of 16 cases. */
static bool happens(struct writer *writer, uint32_t of_16)
{
    return roll(writer, 4) < of_16;
}

/* Ids and customers are most of an event's digits. Eight at a time: value is cut in halves, each of
 * them in halves again, all in the lanes of one number, whose lowest is the first digit. */
static void put_decimal_8(char *text, uint32_t value)
{
    NILAI_ASSERT(value < 100000000);
    uint64_t x = value / 10000 | (uint64_t)(value % 10000) << 32;
    uint64_t hundreds = ((x * 10486) >> 20) & UINT64_C(0x0000007f0000007f);
    x = hundreds + ((x - 100 * hundreds) << 16);
    uint64_t tens = ((x * 103) >> 10) & UINT64_C(0x000f000f000f000f);
    x = tens + ((x - 10 * tens) << 8);
    x = htole64(x | UINT64_C(0x3030303030303030));
    memcpy(text, &x, sizeof x);
}

static void put_decimal_10(char *text, uint32_t value)
{
    nilai_decimal_digits(value / 100000000, 2, text);
    put_decimal_8(text + 2, value % 100000000);
}

static void put_hex(char *text, uint32_t digits, uint64_t value)
{
    for (uint32_t i = digits; i > 0; i--, value >>= 4)
        text[i - 1] = "0123456789abcdef"[value & 15];
}

/* Likewise; the highest lane is the first digit. */
static void put_hex_8(char *text, uint32_t value)
{
    uint64_t x = value;
    x = (x & UINT64_C(0xffff0000)) << 16 | (x & UINT64_C(0xffff));
    x = (x & UINT64_C(0x0000ff000000ff00)) << 8 | (x & UINT64_C(0x000000ff000000ff));
    x = (x & UINT64_C(0x00f000f000f000f0)) << 4 | (x & UINT64_C(0x000f000f000f000f));
    uint64_t letters = ((x + UINT64_C(0x0606060606060606)) >> 4) & UINT64_C(0x0101010101010101);
    x = htobe64(x + UINT64_C(0x3030303030303030) + letters * ('a' - '0' - 10));
    memcpy(text, &x, sizeof x);
}

static void put_serial(char text[static SERIAL_DIGITS], uint64_t value)
{
    put_hex(text, SERIAL_DIGITS - 8, value >> 32);
    put_hex_8(text + SERIAL_DIGITS - 8, (uint32_t)value);
}

void nilai_fact_customer(uint32_t customer, char text[static NILAI_FACT_CUSTOMER_SIZE])
{
    static_assert(NILAI_FACT_CUSTOMER_DIGITS == 10, "all that 32 bits need");
    text[0] = 'c';
    put_decimal_10(text + 1, customer);
}

static bool is_flaw(const struct writer *writer, enum nilai_reject_class flaw, enum field head)
{
    return NILAI_UNLIKELY(writer->flaw == flaw) && writer->flawed == head;
}

/* ---- entries, by stencil or by the encoder ---- */

struct nilai_stencils *nilai_fact_stencils_create(void)
{
    return nilai_stencils_create(field_names);
}

static void open_map(struct writer *writer, uint32_t entries)
{
    if (writer->stencils != NULL)
        nilai_stencil_map(writer->stencils, entries);
    else
        nilai_encode_open_map(writer->encoder, NULL, entries);
}

static void close_map(struct writer *writer)
{
    if (writer->stencils == NULL)
        nilai_encode_close_map(writer->encoder);
}

static void open_array(struct writer *writer, enum field field, uint32_t entries)
{
    if (writer->stencils != NULL)
        nilai_stencil_array(writer->stencils, field, entries);
    else
        nilai_encode_open_array(writer->encoder, field_names[field], entries);
}

static void close_array(struct writer *writer)
{
    if (writer->stencils == NULL)
        nilai_encode_close_array(writer->encoder);
}

static inline void write_text(struct writer *writer, enum field field, const char *text,
                              size_t size)
{
    if (writer->stencils != NULL)
        nilai_stencil_text(writer->stencils, field, text, size);
    else
        nilai_encode_text(writer->encoder, field_names[field], text, size);
}

/* A word of few. */
static void write_choice(struct writer *writer, enum field field, const char *const *words,
                         uint32_t choice)
{
    if (writer->stencils != NULL)
        nilai_stencil_choice(writer->stencils, field, choice, words[choice]);
    else
        nilai_encode_text(writer->encoder, field_names[field], words[choice],
                          strlen(words[choice]));
}

/* A word that stands in no good event. */
static void write_odd_word(struct writer *writer, enum field field, const char *word)
{
    nilai_encode_text(writer->encoder, field_names[field], word, strlen(word));
}

static void write_int(struct writer *writer, enum field field, int64_t value)
{
    if (writer->stencils != NULL)
        nilai_stencil_number(writer->stencils, field, value);
    else
        nilai_encode_int(writer->encoder, field_names[field], value);
}

static void write_real(struct writer *writer, enum field field, double value)
{
    if (writer->stencils != NULL)
        nilai_stencil_real(writer->stencils, field, value);
    else
        nilai_encode_real(writer->encoder, field_names[field], value);
}

/* ---- kinds of text ---- */

static void write_customer(struct writer *writer, enum field field, uint32_t customer)
{
    char text[NILAI_FACT_CUSTOMER_SIZE];
    nilai_fact_customer(customer, text);
    write_text(writer, field, text, sizeof text);
}

static void write_id(struct writer *writer)
{
    char text[ID_SIZE];
    text[0] = 'e';
    put_hex(text + 1, 5, nilai_random_mix(writer->style->seed));
    text[6] = '-';
    put_serial(text + 7, writer->fact->serial);
    write_text(writer, ID, text, sizeof text);
}

/* "o<hex>", "s<hex>": a letter and a number. */
static void write_numbered(struct writer *writer, enum field field, char letter, uint64_t number)
{
    char text[1 + SERIAL_DIGITS];
    text[0] = letter;
    put_serial(text + 1, number);
    write_text(writer, field, text, sizeof text);
}

/* ---- money ---- */

/* Seven of eight customers pay in the base currency. */
static const struct nilai_currency_rate *currency_of(const struct writer *writer)
{
    const struct nilai_fact_style *style = writer->style;
    uint64_t hash = nilai_random_mix(writer->fact->customer + UINT64_C(0x9e3779b97f4a7c15));
    if (style->currency_count == 1 || (hash & 7) != 0)
        return &style->currencies[0];
    return &style->currencies[1 + (hash >> 3) % (style->currency_count - 1)];
}

/* Cents of the customer's currency. */
static uint64_t cents_of(double amount, const struct nilai_currency_rate *currency)
{
    return (uint64_t)rint(fmin(amount / currency->rate, 1e10) * 100);
}

static void write_money(struct writer *writer, enum field field, uint64_t cents, bool as_text)
{
    if (!as_text) {
        write_real(writer, field, (double)cents / 100);
        return;
    }
    char text[NILAI_DECIMAL_INTEGER_SIZE];
    write_text(writer, field, text, nilai_decimal_scaled((int64_t)cents, 2, text));
}

static void write_amount(struct writer *writer, uint64_t cents, bool as_text)
{
    if (is_flaw(writer, NILAI_REJECT_OUT_OF_RANGE, TYPE))
        write_int(writer, AMOUNT, -1);
    else
        write_money(writer, AMOUNT, cents, as_text);
}

static void write_currency(struct writer *writer, const struct nilai_currency_rate *currency)
{
    if (writer->flaw == NILAI_REJECT_UNKNOWN_CURRENCY)
        write_odd_word(writer, CURRENCY, "zzz");
    else
        write_text(writer, CURRENCY, currency->code, 3);
}

/* ---- the fields of all events ---- */

static void write_type(struct writer *writer)
{
    if (is_flaw(writer, NILAI_REJECT_UNKNOWN_VALUE, TYPE))
        write_odd_word(writer, TYPE, "gift");
    else
        write_choice(writer, TYPE, nilai_event_type_names, writer->fact->type);
}

static void write_ts(struct writer *writer)
{
    int64_t ts_ms = writer->fact->ts_ms;
    if (is_flaw(writer, NILAI_REJECT_OUT_OF_RANGE, TS))
        ts_ms = roll(writer, 1) != 0 ? -1 : NILAI_TIME_MAX_MS + 1;
    else if (writer->flaw == NILAI_REJECT_FUTURE_TIMESTAMP)
        ts_ms = writer->style->now_ms + HOUR_MS + (int64_t)(writer->dice % (uint64_t)MONTH_MS);
    write_int(writer, TS, ts_ms);
}

static void write_head_field(struct writer *writer, enum field head)
{
    if (is_flaw(writer, NILAI_REJECT_WRONG_TYPE, head)) {
        if (roll(writer, 1) != 0)
            nilai_encode_null(writer->encoder, field_names[head]);
        else
            nilai_encode_bool(writer->encoder, field_names[head], true);
    } else if ((head == ID || head == CUSTOMER)
               && is_flaw(writer, NILAI_REJECT_OUT_OF_RANGE, head)) {
        nilai_encode_text(writer->encoder, field_names[head], LONG_TEXT,
                          roll(writer, 1) != 0 ? 0 : sizeof LONG_TEXT - 1);
    } else if (head == ID) {
        write_id(writer);
    } else if (head == TYPE) {
        write_type(writer);
    } else if (head == CUSTOMER) {
        write_customer(writer, CUSTOMER, writer->fact->customer);
    } else {
        write_ts(writer);
    }
}

static void write_head(struct writer *writer)
{
    for (enum field head = ID; head <= TS; head++)
        if (!is_flaw(writer, NILAI_REJECT_MISSING_FIELD, head))
            write_head_field(writer, head);
}

/* Opens the event: what every event has, and room for `entries` more. */
static void open_event(struct writer *writer, uint32_t entries)
{
    entries += HEADS;
    entries -= writer->flaw == NILAI_REJECT_MISSING_FIELD;
    entries +=
        writer->flaw == NILAI_REJECT_DUPLICATE_FIELD || writer->flaw == NILAI_REJECT_TOO_LARGE;
    open_map(writer, entries);
    write_head(writer);
}

/* ---- the types ---- */

static void write_items(struct writer *writer, uint64_t cents)
{
    uint32_t count = 1 + roll(writer, 1);
    open_array(writer, ITEMS, count);
    for (uint32_t i = 0; i < count; i++) {
        open_map(writer, 3);
        write_numbered(writer, SKU, 's', roll(writer, 12));
        write_int(writer, QUANTITY, 1 + roll(writer, 2));
        write_money(writer, PRICE, cents / count, false);
        close_map(writer);
    }
    close_array(writer);
}

static void write_purchase(struct writer *writer)
{
    const struct nilai_currency_rate *currency = currency_of(writer);
    uint64_t cents = cents_of(writer->fact->amount, currency);
    bool flawed = writer->flaw == NILAI_REJECT_UNKNOWN_CURRENCY;
    bool has_currency = currency != writer->style->currencies || flawed || happens(writer, 8);
    bool as_text = happens(writer, 2), has_cost = happens(writer, 11),
         has_discount = happens(writer, 3);
    bool has_channel = happens(writer, 13), has_category = happens(writer, 13);
    bool has_items = happens(writer, 4), has_referrer = happens(writer, 1);

    open_event(writer, 2u + has_currency + has_cost + has_discount + has_channel + has_category
                           + has_items + has_referrer);
    write_amount(writer, cents, as_text);
    if (has_currency)
        write_currency(writer, currency);
    if (has_cost) /* 56 to 87 % of the amount */
        write_money(writer, COST, cents * (72 + roll(writer, 5) + roll(writer, 3)) / 128, as_text);
    if (has_discount)
        write_money(writer, DISCOUNT, cents * (1 + roll(writer, 2)) / 16, as_text);
    write_numbered(writer, ORDER, 'o', writer->fact->serial);
    if (has_channel)
        write_choice(writer, CHANNEL, channels, roll(writer, 2));
    if (has_category)
        write_choice(writer, CATEGORY, categories, roll(writer, 4));
    if (has_items)
        write_items(writer, cents);
    if (has_referrer)
        write_customer(writer, REFERRER,
                       (writer->fact->customer + roll(writer, 8)) % writer->style->customers);
}

static void write_refund(struct writer *writer)
{
    const struct nilai_currency_rate *currency = currency_of(writer);
    uint64_t cents = cents_of(writer->fact->amount, currency);
    bool flawed = writer->flaw == NILAI_REJECT_UNKNOWN_CURRENCY;
    bool has_currency = currency != writer->style->currencies || flawed || happens(writer, 8);
    bool as_text = happens(writer, 2), has_order = happens(writer, 8);

    open_event(writer, 1u + has_currency + has_order);
    write_amount(writer, cents, as_text);
    if (has_currency)
        write_currency(writer, currency);
    if (has_order)
        write_numbered(writer, ORDER, 'o', roll(writer, 20));
}

static void write_ticket_id(struct writer *writer)
{
    char text[1 + NILAI_FACT_CUSTOMER_DIGITS + 1 + 5];
    text[0] = 't';
    put_decimal_10(text + 1, writer->fact->customer);
    text[1 + NILAI_FACT_CUSTOMER_DIGITS] = '-';
    nilai_decimal_digits(writer->fact->ticket, 5, text + 2 + NILAI_FACT_CUSTOMER_DIGITS);
    write_text(writer, TICKET, text, sizeof text);
}

static void write_ticket(struct writer *writer)
{
    const struct nilai_fact *fact = writer->fact;
    bool below = is_flaw(writer, NILAI_REJECT_OUT_OF_RANGE, TYPE);
    bool unknown = writer->flaw == NILAI_REJECT_UNKNOWN_VALUE && writer->flawed != TYPE;
    bool has_kind = fact->kind != NILAI_KIND_OTHER || happens(writer, 8);
    bool has_handle = fact->handle_s > 0 || below, has_opened = fact->opened_ms >= 0;
    bool has_channel = happens(writer, 8), has_factor = fact->factor != NILAI_FACTOR_NONE;

    open_event(writer, 2u + has_kind + has_handle + has_opened + has_channel + has_factor);
    write_ticket_id(writer);
    if (unknown)
        write_odd_word(writer, STATUS, "lost");
    else
        write_choice(writer, STATUS, nilai_ticket_status_names, fact->status);
    if (has_kind)
        write_choice(writer, KIND, nilai_ticket_kind_names, fact->kind);
    if (has_handle)
        write_int(writer, HANDLE_S, below ? -5 : (int64_t)fact->handle_s);
    if (has_opened)
        write_int(writer, OPENED_TS, fact->opened_ms);
    if (has_channel)
        write_choice(writer, CHANNEL, channels, roll(writer, 2));
    if (has_factor)
        write_choice(writer, FACTOR, nilai_factor_names, fact->factor);
}

static void write_scale(struct writer *writer, const int scale[2])
{
    open_array(writer, SCALE, 2);
    write_int(writer, ELEMENT, scale[0]);
    write_int(writer, ELEMENT, scale[1]);
    close_array(writer);
}

/* On the scale's whole steps. */
static void write_score(struct writer *writer, const int scale[2])
{
    int64_t score =
        scale[0] + (int64_t)rint((double)writer->fact->satisfaction * (scale[1] - scale[0]));
    if (is_flaw(writer, NILAI_REJECT_OUT_OF_RANGE, TYPE))
        score = 1000;
    write_int(writer, SCORE, score);
}

static void write_survey(struct writer *writer)
{
    static const int usual[NILAI_METRICS][2] = {
        [NILAI_METRIC_NPS] = {0, 10},
        [NILAI_METRIC_CSAT] = {1, 5},
        [NILAI_METRIC_CES] = {1, 7},
        [NILAI_METRIC_RATING] = {1, 5},
    };
    static const int others[4][2] = {{5, 1}, {1, 10}, {0, 100}, {7, 1}};
    const struct nilai_fact *fact = writer->fact;
    bool unknown = writer->flaw == NILAI_REJECT_UNKNOWN_VALUE && writer->flawed != TYPE;
    bool has_scale = happens(writer, 4), has_factor = fact->factor != NILAI_FACTOR_NONE;
    bool has_comment = happens(writer, 3);
    const int *scale =
        has_scale && happens(writer, 12) ? others[roll(writer, 2)] : usual[fact->metric];

    open_event(writer, 2u + has_scale + has_factor + has_comment);
    if (unknown)
        write_odd_word(writer, METRIC, "mood");
    else
        write_choice(writer, METRIC, nilai_metric_names, fact->metric);
    write_score(writer, scale);
    if (has_scale)
        write_scale(writer, scale);
    if (has_factor)
        write_choice(writer, FACTOR, nilai_factor_names, fact->factor);
    if (has_comment) /* a field that nobody asked for */
        write_choice(writer, COMMENT, comments, roll(writer, 2));
}

static void write_erase(struct writer *writer)
{
    open_event(writer, 0);
}

static void (*const fields_of[NILAI_EVENT_TYPES])(struct writer *writer) = {
    [NILAI_PURCHASE] = write_purchase, [NILAI_REFUND] = write_refund, [NILAI_TICKET] = write_ticket,
    [NILAI_SURVEY] = write_survey,     [NILAI_ERASE] = write_erase,
};

static void write_padding(struct writer *writer)
{
    char *padding = malloc(NILAI_EVENT_SIZE_MAX);
    if (padding == NULL) { /* as good a too-large event, in many small words */
        nilai_encode_open_array(writer->encoder, field_names[PADDING], NILAI_EVENT_SIZE_MAX);
        for (uint32_t i = 0; i < NILAI_EVENT_SIZE_MAX; i++)
            nilai_encode_int(writer->encoder, NULL, 0);
        nilai_encode_close_array(writer->encoder);
        return;
    }
    memset(padding, 'x', NILAI_EVENT_SIZE_MAX);
    nilai_encode_text(writer->encoder, field_names[PADDING], padding, NILAI_EVENT_SIZE_MAX);
    free(padding);
}

static enum nilai_status write_event(struct writer *writer, const char **data, size_t *size)
{
    nilai_encode_begin(writer->encoder);
    fields_of[writer->fact->type](writer);
    if (writer->flaw == NILAI_REJECT_DUPLICATE_FIELD)
        write_head_field(writer, writer->flawed);
    else if (writer->flaw == NILAI_REJECT_TOO_LARGE)
        write_padding(writer);
    close_map(writer);
    return nilai_encode_end(writer->encoder, data, size);
}

static struct writer writer_of(const struct nilai_fact *fact, const struct nilai_fact_style *style)
{
    return (struct writer){
        .fact = fact,
        .style = style,
        .dice = nilai_random_mix(nilai_random_mix(style->seed) ^ (fact->serial + 1)),
        .dice_left = 64,
    };
}

enum nilai_status nilai_fact_encode(const struct nilai_fact *fact,
                                    const struct nilai_fact_style *style,
                                    struct nilai_encoder *encoder, const char **data, size_t *size)
{
    struct writer writer = writer_of(fact, style);
    writer.encoder = encoder;
    return write_event(&writer, data, size);
}

void nilai_fact_trace(const struct nilai_fact *fact, const struct nilai_fact_style *style,
                      struct nilai_stencils *stencils, const char **data, size_t *size)
{
    struct writer writer = writer_of(fact, style);
    writer.stencils = stencils;
    nilai_stencils_begin(stencils);
    fields_of[fact->type](&writer);
    nilai_stencils_end(stencils, data, size);
}

/* ---- what is no event at all ---- */

static void write_array(struct nilai_encoder *encoder)
{
    nilai_encode_open_array(encoder, NULL, 2);
    nilai_encode_int(encoder, NULL, 1);
    nilai_encode_null(encoder, NULL);
    nilai_encode_close_array(encoder);
}

static void write_too_deep(struct nilai_encoder *encoder)
{
    nilai_encode_open_map(encoder, NULL, 1);
    for (int i = 1; i < DEEP_LEVELS; i++)
        nilai_encode_open_array(encoder, i == 1 ? "id" : NULL, i + 1 < DEEP_LEVELS);
    for (int i = 1; i < DEEP_LEVELS; i++)
        nilai_encode_close_array(encoder);
    nilai_encode_close_map(encoder);
}

/* In a stream of MessagePack values a cut or doubled one would spoil its neighbours or be no
 * fault at all; in a stream of lines an empty one is none. */
enum wreck { WRECK_ARRAY, WRECK_DEEP, WRECK_CUT, WRECK_TWICE, WRECK_GARBAGE, WRECK_EMPTY, WRECKS };

static enum wreck choose_wreck(const struct writer *writer)
{
    uint32_t choices = writer->style->keyed                         ? WRECKS
                       : writer->style->format == NILAI_FORMAT_JSON ? WRECK_EMPTY
                                                                    : WRECK_CUT;
    return (enum wreck)(writer->dice % choices);
}

static enum nilai_status write_wreck(struct writer *writer,
                                     char scratch[static NILAI_FACT_SCRATCH_SIZE],
                                     const char **data, size_t *size)
{
    enum wreck wreck = choose_wreck(writer);
    if (wreck == WRECK_ARRAY || wreck == WRECK_DEEP) {
        nilai_encode_begin(writer->encoder);
        (wreck == WRECK_ARRAY ? write_array : write_too_deep)(writer->encoder);
        return nilai_encode_end(writer->encoder, data, size);
    }
    writer->flaw = NILAI_REJECT_NONE;
    enum nilai_status status = write_event(writer, data, size);
    if (status != NILAI_OK)
        return status;
    NILAI_ASSERT(2 * *size <= NILAI_FACT_SCRATCH_SIZE);
    memcpy(scratch, *data, *size);
    *data = scratch;
    if (wreck == WRECK_CUT) {
        *size = 1 + (size_t)(nilai_random_mix(writer->fact->serial) % (*size - 1));
    } else if (wreck == WRECK_TWICE) {
        memcpy(scratch + *size, scratch, *size);
        *size *= 2;
    } else if (wreck == WRECK_GARBAGE) {
        memset(scratch, 0xc1, *size); /* in both formats a byte that never begins anything */
    } else {
        *data = NULL;
        *size = 0;
    }
    return NILAI_OK;
}

bool nilai_fact_can_flaw(const struct nilai_fact_style *style, enum nilai_reject_class flaw)
{
    if (flaw == NILAI_REJECT_KEY_MISMATCH)
        return style->keyed;
    if (flaw == NILAI_REJECT_FUTURE_TIMESTAMP)
        return style->now_ms >= 0;
    return flaw > NILAI_REJECT_NONE && flaw < NILAI_REJECT_CLASSES;
}

enum nilai_status
nilai_fact_encode_flawed(const struct nilai_fact *fact, const struct nilai_fact_style *style,
                         enum nilai_reject_class flaw, struct nilai_encoder *encoder,
                         char scratch[static NILAI_FACT_SCRATCH_SIZE],
                         char key[static NILAI_FACT_CUSTOMER_SIZE], const char **data, size_t *size)
{
    NILAI_ASSERT(nilai_fact_can_flaw(style, flaw));
    NILAI_ASSERT(flaw != NILAI_REJECT_UNKNOWN_CURRENCY || fact->type == NILAI_PURCHASE
                 || fact->type == NILAI_REFUND);
    struct writer writer = writer_of(fact, style);
    writer.encoder = encoder;
    writer.flaw = flaw;
    writer.flawed = (enum field)(ID + roll(&writer, 2));
    /* An erasure has no number but its time; only tickets and answers have words of their own. */
    if (flaw == NILAI_REJECT_OUT_OF_RANGE && fact->type == NILAI_ERASE && writer.flawed == TYPE)
        writer.flawed = TS;
    if (flaw == NILAI_REJECT_UNKNOWN_VALUE && fact->type != NILAI_TICKET
        && fact->type != NILAI_SURVEY)
        writer.flawed = TYPE;

    if (flaw == NILAI_REJECT_MALFORMED)
        return write_wreck(&writer, scratch, data, size);
    if (flaw == NILAI_REJECT_KEY_MISMATCH)
        nilai_fact_customer(fact->customer + 1, key);
    return write_event(&writer, data, size);
}
