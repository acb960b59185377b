#include "nilai/event/convert.h"
#include "nilai/event/decode.h"
#include "nilai/event/fields.h"
#include "test.h"

static struct nilai_converter *converter;
static struct nilai_error error;

__attribute__((constructor)) static void set_up(void)
{
    converter = nilai_converter_create();
}

__attribute__((destructor)) static void tear_down(void)
{
    nilai_converter_destroy(converter);
}

static const char *hex_of(const char *json)
{
    static char text[4096];
    const char *data;
    size_t size;
    if (nilai_convert_json_to_msgpack(converter, json, strlen(json), &data, &size, &error) != NILAI_OK)
        return error.text;
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, sizeof text - 2 * i, "%02x", (unsigned char)data[i]);
    return text;
}

static enum nilai_status to_json(const void *bytes, size_t size, char text[static 4096])
{
    const char *data;
    size_t text_size;
    enum nilai_status status = nilai_convert_msgpack_to_json(converter, bytes, size, &data, &text_size, &error);
    if (status != NILAI_OK)
        return status;
    CHECK(text_size < 4096);
    memcpy(text, data, text_size);
    text[text_size] = 0;
    return status;
}

#define JSON_OF(bytes) json_of(bytes, sizeof(bytes) - 1)

static const char *json_of(const char *bytes, size_t size)
{
    static char text[4096];
    return to_json(bytes, size, text) == NILAI_OK ? text : error.text;
}

TEST(json_becomes_the_shortest_msgpack)
{
    CHECK_TEXT(hex_of("{}"), "80");
    CHECK_TEXT(hex_of(" [ ] "), "90");
    CHECK_TEXT(hex_of("{\"a\":[null,true,false,{\"b\":\"\"}]}"), "81a16194c0c3c281a162a0");
    CHECK_TEXT(hex_of("[0,-0,127,128,-32,-33,65536,4294967296]"), "9800007fcc80e0d0dfce00010000cf0000000100000000");
    CHECK_TEXT(hex_of("[9223372036854775807,9223372036854775808,18446744073709551615,-9223372036854775808]"),
               "94cf7fffffffffffffffcf8000000000000000cfffffffffffffffffd38000000000000000");
    CHECK_TEXT(hex_of("[18446744073709551616,-9223372036854775809]"), "92cb43f0000000000000cbc3e0000000000000");
    CHECK_TEXT(hex_of("[1.0,1e999,-0.0]"), "93cb3ff0000000000000cb7ff0000000000000cb8000000000000000");
    CHECK_TEXT(hex_of("{\"a\":1,\"a\":2}"), "82a16101a16102");
    CHECK_TEXT(hex_of("5"), "05");
    CHECK_TEXT(hex_of("\"\\ud800\""), "a6ffffffffffff");
    CHECK_TEXT(hex_of("\"\\ud83d\\ude00\\u0000\""), "a5f09f988000");
    /* 15 and 16 entries: the header grows to three bytes. */
    CHECK_TEXT(hex_of("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), "9f010101010101010101010101010101");
    CHECK_TEXT(hex_of("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), "dc001001010101010101010101010101010101");
}

TEST(what_is_not_json_is_refused_with_its_place)
{
    static const char *const bad[] = {"", "{", "[1,]", "{} {}", "{} \"", "5 \"a", "{\"a\":1\f}", "nul", "[01]", "//"};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(bad); i++) {
        const char *data;
        size_t size;
        CHECK_EQ(nilai_convert_json_to_msgpack(converter, bad[i], strlen(bad[i]), &data, &size, &error), NILAI_INVALID);
        CHECK(strstr(error.text, "(byte ") != NULL);
    }
    char deep[256];
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    deep[130] = 0;
    CHECK(strstr(hex_of(deep), "nested deeper") != NULL);
    memset(deep, '[', 64);
    memset(deep + 64, ']', 64);
    deep[128] = 0;
    CHECK_EQ(strncmp(hex_of(deep), "91919191", 8), 0);
}

TEST(msgpack_becomes_json)
{
    CHECK_TEXT(JSON_OF("\x80"), "{}");
    CHECK_TEXT(JSON_OF("\x82\xa1" "a\x93\xc0\xc3\xc2\xa1" "a\x81\xa0\x90"), "{\"a\":[null,true,false],\"a\":{\"\":[]}}");
    CHECK_TEXT(JSON_OF("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615");
    CHECK_TEXT(JSON_OF("\xcb\x3f\xf0\0\0\0\0\0\0"), "1.0");
    CHECK_TEXT(JSON_OF("\xca\x3e\x80\0\0"), "0.25");
    CHECK_TEXT(JSON_OF("\xd6\xff\0\0\0\x01"), "1000");
    CHECK_TEXT(JSON_OF("\xc7\x0c\xff\x3b\x9a\xc9\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "-1");
    CHECK_TEXT(JSON_OF("\xa2\x01\""), "\"\\u0001\\\"\"");
    CHECK_TEXT(JSON_OF("\xa1\xff"), "\"\xff\"");
}

TEST(what_json_cannot_say_is_refused)
{
    char text[4096];
#define REFUSED(bytes) CHECK_EQ(to_json(bytes, sizeof(bytes) - 1, text), NILAI_INVALID)
    REFUSED("");
    REFUSED("\xcb\x7f\xf8\0\0\0\0\0\0");
    REFUSED("\xca\x7f\x80\0\0");
    REFUSED("\xc4\x01" "a");
    REFUSED("\xd4\x01" "a");
    REFUSED("\xd4\xff" "a");
    REFUSED("\xd7\xff\xee\x6b\x28\0\0\0\0\x01");
    REFUSED("\xc7\x0c\xff\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    REFUSED("\x81\x01\x01");
    REFUSED("\x81\x90\x01");
    REFUSED("\xc1");
    REFUSED("\x91");
    REFUSED("\x01\x01");
    REFUSED("\xdd\xff\xff\xff\xff\x01");
    char deep[66];
    memset(deep, '\x91', 65);
    deep[65] = 1;
    CHECK_EQ(to_json(deep, 66, text), NILAI_INVALID);
    deep[0] = '\x01';
    CHECK_EQ(to_json(deep + 1, 65, text), NILAI_OK);
}

/* Goal: large values pass up to the limit, in both directions, and fail cleanly beyond. */
TEST(size_has_a_limit)
{
    enum { SIZE = 16 * 1024 * 1024 };
    char *text = malloc(SIZE + 1);
    CHECK(text != NULL);
    memset(text, '1', SIZE);
    text[0] = '[';
    for (size_t i = 2; i < SIZE - 1; i += 2)
        text[i] = ',';
    text[SIZE - 2] = '1';
    text[SIZE - 3] = ' ';
    text[SIZE - 1] = ']';
    text[SIZE - 4] = ',';
    const char *data;
    size_t size;
    CHECK_EQ(nilai_convert_json_to_msgpack(converter, text, SIZE, &data, &size, &error), NILAI_OK);
    CHECK(size > SIZE / 2 - 4 && size < SIZE / 2 + 5);
    CHECK_EQ(nilai_convert_json_to_msgpack(converter, text, SIZE + 1, &data, &size, &error), NILAI_FULL);

    memset(text, '\xd0', SIZE); /* -48: two bytes become four */
    memcpy(text, "\xdd\0\x7f\xff\xfd", 5);
    CHECK_EQ(nilai_convert_msgpack_to_json(converter, text, 5 + 2 * 0x7ffffd, &data, &size, &error), NILAI_FULL);
    CHECK_EQ(nilai_convert_msgpack_to_json(converter, "\x01", 1, &data, &size, &error), NILAI_OK);
    CHECK_EQ(size, 1);
    free(text);
}

/* ---- both decoders agree --------------------------------------------------- */

static const char *const values[] = {
    "null", "true", "0", "-0", "1", "-1", "5", "10", "11", "1.5", "1e3", "-2.5e-3", "1e999", "-1e999",
    "253402300799999", "253402300800000", "1700000000000", "100000000000", "100000000001", "9223372036854775807",
    "18446744073709551615", "1000000000", "\"\"", "\"1\"", "\"12.50\"", "\"0.00005\"", "\"100000000000.00006\"",
    "\"1e3\"", "\"purchase\"", "\"refund\"", "\"ticket\"", "\"survey\"", "\"erase\"", "\"other\"", "\"opened\"",
    "\"resolved\"", "\"nps\"", "\"csat\"", "\"product\"", "\"USD\"", "\"EUR\"", "\"eur\"", "\"E\\u0055R\"",
    "\"\\ud800\"", "\"\\ud83d\\ude00\"", "\"\xff\"", "\"\xc3\xa9\"", "\"a\\u0000\"", "[]", "[0,10]", "[5,1]", "[1,1]",
    "[0,1e999]", "[1,\"2\"]", "[{}]", "[{\"id\":1},{\"a\":[]}]", "[1]", "{}", "{\"id\":\"x\"}", "[[[[[[[1]]]]]]]",
    "[[[[[[[[1]]]]]]]]", "\"0123456789012345678901234567890123456789012345678901234567890123\"",
    "\"01234567890123456789012345678901234567890123456789012345678901234\"",
};

static const char *const good_values[NILAI_FIELDS] = {
    [NILAI_FIELD_ID] = "\"e\"", [NILAI_FIELD_CUSTOMER] = "\"c\"", [NILAI_FIELD_TS] = "1",
    [NILAI_FIELD_AMOUNT] = "\"1.25\"", [NILAI_FIELD_TICKET] = "\"t\"", [NILAI_FIELD_STATUS] = "\"closed\"",
    [NILAI_FIELD_METRIC] = "\"nps\"", [NILAI_FIELD_SCORE] = "7", [NILAI_FIELD_CURRENCY] = "\"EUR\"",
    [NILAI_FIELD_COST] = "1.5", [NILAI_FIELD_DISCOUNT] = "0.5", [NILAI_FIELD_ORDER] = "\"o\"",
    [NILAI_FIELD_KIND] = "\"request\"", [NILAI_FIELD_HANDLE_S] = "12.5", [NILAI_FIELD_OPENED_TS] = "0",
    [NILAI_FIELD_CHANNEL] = "\"\"", [NILAI_FIELD_CATEGORY] = "\"x\"", [NILAI_FIELD_ITEMS] = "[{\"a\":1}]",
    [NILAI_FIELD_REFERRER] = "\"r\"", [NILAI_FIELD_SCALE] = "[0,10]", [NILAI_FIELD_FACTOR] = "\"time\"",
};

static void add_pair(char *text, size_t size, const char *name, const char *value)
{
    size_t at = strlen(text);
    snprintf(text + at, size - at, "%s\"%s\":%s", at == 1 ? "" : ",", name, value);
}

/* A good event of a random type, of which some fields are changed, repeated or left out. */
static void random_event(uint64_t *seed, char *text, size_t size)
{
    static const char *const strangers[] = {"x", "", "Id", "\\u0069d", "\\ud800", "items2", "\xff"};
    uint32_t type = (uint32_t)(next_random(seed) % NILAI_EVENT_TYPES);
    uint64_t wildness = next_random(seed) % 8;
    strcpy(text, "{");
    for (uint32_t k = 0, start = (uint32_t)(next_random(seed) % NILAI_FIELDS); k < NILAI_FIELDS; k++) {
        uint32_t field = (start + k) % NILAI_FIELDS;
        const struct nilai_field_row *row = &nilai_field_rows[field];
        char own[32];
        snprintf(own, sizeof own, "\"%s\"", nilai_event_type_names[type]);
        const char *value = field == NILAI_FIELD_TYPE ? own : good_values[field];
        bool wild = next_random(seed) % 48 < wildness;
        if (wild)
            value = field == NILAI_FIELD_CURRENCY && next_random(seed) % 2 == 0
                        ? "\"XXX\""
                        : values[next_random(seed) % NILAI_ARRAY_LEN(values)];
        bool needed = row->required >> type & 1;
        if (needed ? next_random(seed) % 64 != 0 : next_random(seed) % 4 == 0)
            add_pair(text, size, row->name, value);
        if (wild && next_random(seed) % 16 == 0)
            add_pair(text, size, row->name, value);
        if (next_random(seed) % 16 == 0)
            add_pair(text, size, strangers[next_random(seed) % NILAI_ARRAY_LEN(strangers)],
                     values[next_random(seed) % NILAI_ARRAY_LEN(values)]);
    }
    strcat(text, "}");
}

static bool same_text(struct nilai_text a, struct nilai_text b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static bool same_event(const struct nilai_event *a, const struct nilai_event *b)
{
    if (a->type != b->type || a->factor != b->factor || a->ts_ms != b->ts_ms ||
        !same_text(a->id, b->id) || !same_text(a->customer, b->customer))
        return false;
    switch (a->type) {
    case NILAI_PURCHASE: return a->purchase.amount == b->purchase.amount && a->purchase.cost == b->purchase.cost;
    case NILAI_REFUND: return a->refund.amount == b->refund.amount;
    case NILAI_TICKET:
        return same_text(a->ticket.ticket, b->ticket.ticket) && a->ticket.status == b->ticket.status &&
               a->ticket.kind == b->ticket.kind && a->ticket.has_opened == b->ticket.has_opened &&
               a->ticket.opened_ms == b->ticket.opened_ms && a->ticket.handle_s == b->ticket.handle_s;
    case NILAI_SURVEY:
        return a->survey.metric == b->survey.metric && a->survey.normalized == b->survey.normalized;
    default: return true;
    }
}

/* A message without its position, which differs between the formats. */
static bool same_message(const char *a, const char *b)
{
    size_t size = strcspn(a, "(");
    return size == strcspn(b, "(") && strncmp(a, b, size) == 0;
}

/* Goal: the format decides nothing. Method: random events, good and bad, as JSON, as
 * MessagePack, and as JSON again; the same event, or the same fault of the same field. */
TEST(both_decoders_agree)
{
    const struct nilai_currency_rate rates[] = {{"EUR", 1.1}};
    const struct nilai_decode_rules rules = {NILAI_FORMAT_AUTO, "USD", 0.3, rates, 1, 300000};
    struct nilai_decoder *first = nilai_decoder_create(&rules), *second = nilai_decoder_create(&rules);
    uint64_t seed = test_seed(21);
    int seen[NILAI_REJECT_CLASSES] = {0};
    for (int round = 0; round < 60000; round++) {
        char text[8192];
        random_event(&seed, text, sizeof text);
        struct nilai_event a, b;
        struct nilai_reject why_a = {0}, why_b = {0};
        bool good = nilai_decode(first, text, strlen(text), &a, &why_a);
        seen[why_a.class]++;

        const char *data;
        size_t size;
        CHECK_EQ(nilai_convert_json_to_msgpack(converter, text, strlen(text), &data, &size, &error), NILAI_OK);
        size_t span;
        CHECK_EQ(nilai_msgpack_span(data, size, &span), NILAI_OK);
        CHECK_EQ(span, size);
        if (nilai_decode(second, data, size, &b, &why_b) != good || why_a.class != why_b.class)
            fail_msg("%s: JSON \"%s\", MessagePack \"%s\"", text, why_a.message, why_b.message);
        CHECK(good ? same_event(&a, &b) : same_message(why_a.message, why_b.message));

        char *packed = malloc(size);
        CHECK(packed != NULL);
        memcpy(packed, data, size);
        if (nilai_convert_msgpack_to_json(converter, packed, size, &data, &size, &error) == NILAI_OK) {
            why_b = (struct nilai_reject){0};
            CHECK(nilai_decode(second, data, size, &b, &why_b) == good);
            CHECK(good ? same_event(&a, &b) : why_a.class == why_b.class && same_message(why_a.message, why_b.message));
        } else {
            CHECK(strstr(text, "1e999") != NULL); /* infinity, which JSON cannot say */
        }
        free(packed);
    }
    for (int class = NILAI_REJECT_NONE; class <= NILAI_REJECT_UNKNOWN_CURRENCY; class++)
        if (seen[class] < 20 && class != NILAI_REJECT_TOO_LARGE)
            fail_msg("class %d was there %d times only", class, seen[class]);
    nilai_decoder_destroy(first);
    nilai_decoder_destroy(second);
}
