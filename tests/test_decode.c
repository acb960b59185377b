#include "nilai/base/clock.h"
#include "nilai/base/money.h"
#include "nilai/event/convert.h"
#include "nilai/event/cursor.h"
#include "nilai/event/fields.h"
#include "test.h"

static const struct nilai_currency_rate rates[] = {{"EUR", 1.1}, {"IDR", 0.00006}, {"BIG", 1e6}};

static struct nilai_decoder *decoder;     /* any format */
static struct nilai_converter *converter; /* JSON to MessagePack, to try both */
static struct nilai_event event;
static struct nilai_reject reject;

static void set_up_decoder(void)
{
    const struct nilai_decode_rules rules = {
        .format = NILAI_FORMAT_AUTO,
        .base_currency = "USD",
        .margin = 0.3,
        .rates = rates,
        .rate_count = NILAI_ARRAY_LEN(rates),
        .max_future_ms = 300000,
    };
    decoder = nilai_decoder_create(&rules);
}

__attribute__((constructor)) static void set_up(void)
{
    set_up_decoder();
    converter = nilai_converter_create();
}

__attribute__((destructor)) static void tear_down(void)
{
    nilai_decoder_destroy(decoder);
    nilai_converter_destroy(converter);
}

/* From a buffer of exactly that size, so that a sanitizer sees every byte read beyond it. The
 * texts of `event` are gone after it, but for its numbers. */
static enum nilai_reject_class class_of(const void *bytes, size_t size)
{
    char *exact = malloc(size > 0 ? size : 1);
    CHECK(exact != NULL);
    memcpy(exact, bytes, size);
    memset(&event, 0x5a, sizeof event);
    memset(&reject, 0, sizeof reject);
    bool good = nilai_decode(decoder, exact, size, &event, &reject);
    free(exact);
    CHECK(good == (reject.class == NILAI_REJECT_NONE));
    CHECK(good || reject.message[0] != 0);
    return reject.class;
}

/* The class of a JSON event, which has to be the same for the same event as MessagePack. */
static enum nilai_reject_class json_class(const char *text)
{
    const char *packed;
    size_t packed_size;
    struct nilai_error error;
    enum nilai_reject_class class = class_of(text, strlen(text));
    if (class == NILAI_REJECT_MALFORMED)
        return class;
    CHECK_EQ(nilai_convert_json_to_msgpack(converter, text, strlen(text), &packed, &packed_size, &error), NILAI_OK);
    if (class_of(packed, packed_size) != class)
        fail_msg("%s: as MessagePack it is \"%s\"", text, reject.message);
    return class;
}

#define EXPECT(class, text)                                                            \
    do {                                                                               \
        enum nilai_reject_class expect_c = json_class(text);                           \
        if (expect_c != (class))                                                       \
            fail_msg("%s:%d: %s: class %d, not %d: %s", __FILE__, __LINE__, text,      \
                     (int)expect_c, (int)(class), reject.message);                     \
    } while (0)
#define HEAD "{\"id\":\"e1\",\"customer\":\"c1\",\"ts\":1700000000000,\"type\":"
#define PURCHASE HEAD "\"purchase\","
#define REFUND HEAD "\"refund\","
#define TICKET HEAD "\"ticket\",\"ticket\":\"t1\",\"status\":\"opened\","
#define SURVEY HEAD "\"survey\","
#define HEX(digits) class_of_hex(digits)

static enum nilai_reject_class class_of_hex(const char *digits)
{
    static unsigned char bytes[4096];
    size_t size = 0;
    for (const char *at = digits; *at != 0;) {
        if (*at == ' ') {
            at++;
            continue;
        }
        unsigned int byte;
        CHECK_EQ(sscanf(at, "%2x", &byte), 1);
        CHECK(size < sizeof bytes);
        bytes[size++] = (unsigned char)byte;
        at += 2;
    }
    return class_of(bytes, size);
}

/* ---- events from the table ------------------------------------------------ */

/* The documented order of each type's fields, written down once more. */
static const char *const documented[NILAI_EVENT_TYPES][16] = {
    [NILAI_PURCHASE] = {"id", "type", "customer", "ts", "amount", "currency", "cost", "discount", "order",
                        "channel", "category", "items", "referrer"},
    [NILAI_REFUND] = {"id", "type", "customer", "ts", "amount", "currency", "order"},
    [NILAI_TICKET] = {"id", "type", "customer", "ts", "ticket", "status", "kind", "handle_s", "opened_ts",
                      "channel", "factor"},
    [NILAI_SURVEY] = {"id", "type", "customer", "ts", "metric", "score", "scale", "factor"},
    [NILAI_ERASE] = {"id", "type", "customer", "ts"},
};

static const char *const required_names =
    " id type customer ts amount ticket status metric score ";

struct sample {
    const char *name;
    const char *good;
    const char *out_of_range;  /* NULL: there is none */
    const char *unknown;       /* unknown-value or unknown-currency */
    const char *right_kinds;   /* of n(ull) b(ool) i(nteger) r(eal) s(tring) a(rray) m(ap) */
};

static const struct sample samples[] = {
    {"id", "\"e1\"", "\"\"", NULL, "s"},
    {"type", NULL, "\"\xff\"", "\"party\"", "s"},
    {"customer", "\"c1\"", "\"\xc0\xaf\"", NULL, "s"},
    {"ts", "1700000000000", "-1", NULL, "i"},
    {"amount", "12.5", "-0.01", NULL, "ir"},
    {"currency", "\"EUR\"", "\"EU\"", "\"XXX\"", "s"},
    {"cost", "\"3.25\"", "1e999", NULL, "ir"},
    {"discount", "0", "100000000001", NULL, "ir"},
    {"order", "\"o1\"", "\"12345678901234567890123456789012345678901234567890123456789012345\"", NULL, "s"},
    {"channel", "\"\"", "\"\xed\xa0\x80\"", NULL, "s"},
    {"category", "\"books\"", "\"\\ud800\"", NULL, "s"},
    {"items", "[{\"sku\":1},{}]", NULL, NULL, ""},
    {"referrer", "\"c2\"", "\"\"", NULL, "s"},
    {"ticket", "\"t1\"", "\"\"", NULL, "s"},
    {"status", "\"opened\"", "\"\xff\"", "\"Opened\"", "s"},
    {"kind", "\"question\"", "\"\x80\"", "\"\"", "s"},
    {"handle_s", "60.5", "1000000001", NULL, "ir"},
    {"opened_ts", "1699999999999", "253402300800000", NULL, "i"},
    {"metric", "\"nps\"", "\"\xff\"", "\"npss\"", "s"},
    {"score", "7", "1e999", NULL, "ir"},
    {"scale", "[0,10]", "[3,3]", NULL, ""},
    {"factor", "\"image\"", "\"\xff\"", "\"img\"", "s"},
};

static const struct sample *sample_of(const char *name)
{
    for (size_t i = 0; i < NILAI_ARRAY_LEN(samples); i++)
        if (strcmp(samples[i].name, name) == 0)
            return &samples[i];
    fail_msg("no sample of %s", name);
    return NULL;
}

static bool is_required(const char *name)
{
    char padded[32];
    snprintf(padded, sizeof padded, " %s ", name);
    return strstr(required_names, padded) != NULL;
}

/* Writes all fields of a type; `changed` has `value` instead of its own (NULL: it is left
 * out), and comes `times` times. */
static const char *event_with(uint32_t type, const char *changed, const char *value, int times)
{
    static char text[4096];
    size_t at = 0;
    for (size_t i = 0; documented[type][i] != NULL; i++) {
        const char *name = documented[type][i];
        char own[32];
        snprintf(own, sizeof own, "\"%s\"", nilai_event_type_names[type]);
        const char *content = strcmp(name, "type") == 0 ? own : sample_of(name)->good;
        int count = 1;
        if (changed != NULL && strcmp(name, changed) == 0) {
            content = value;
            count = value == NULL ? 0 : times;
        }
        for (int c = 0; c < count; c++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%c\"%s\":%s", at == 0 ? '{' : ',', name, content);
    }
    snprintf(text + at, sizeof text - at, "}");
    return text;
}

static bool names_field(const char *name)
{
    char start[40];
    snprintf(start, sizeof start, "field \"%s\": ", name);
    return strncmp(reject.message, start, strlen(start)) == 0;
}

#define EXPECT_FIELD(class, text, name)                                                \
    do {                                                                               \
        EXPECT(class, text);                                                           \
        if (!names_field(name))                                                        \
            fail_msg("%s: not about %s: %s", text, name, reject.message);              \
    } while (0)

/* Goal: the table is the documented one. Method: against the second writing of it above. */
TEST(the_table_is_the_documented_one)
{
    for (uint32_t type = 0; type < NILAI_EVENT_TYPES; type++) {
        size_t nth = 0;
        for (uint32_t field = 0; field < NILAI_FIELDS; field++) {
            const struct nilai_field_row *row = &nilai_field_rows[field];
            if (!(row->types >> type & 1)) {
                CHECK(!(row->required >> type & 1));
                continue;
            }
            CHECK(documented[type][nth] != NULL);
            CHECK_TEXT(row->name, documented[type][nth]);
            CHECK((row->required >> type & 1) == is_required(row->name));
            nth++;
        }
        CHECK(documented[type][nth] == NULL);
    }
}

/* Goal: names are found, and nothing else is. Method: each name, and each with one byte
 * changed, lost or added. */
TEST(field_names_are_found_and_nothing_else)
{
    static struct nilai_field_index index;
    nilai_field_index_init(&index);
    CHECK_EQ(nilai_field_find(&index, "", 0), NILAI_FIELDS);
    for (int byte = 0; byte < 256; byte++)
        CHECK_EQ(nilai_field_find(&index, (char[]){(char)byte}, 1), NILAI_FIELDS);
    for (uint32_t field = 0; field < NILAI_FIELDS; field++) {
        char name[32] = "";
        strcpy(name, nilai_field_rows[field].name);
        size_t size = strlen(name);
        CHECK_EQ(nilai_field_find(&index, name, size), field);
        CHECK_EQ(nilai_field_find(&index, name, size + 1), NILAI_FIELDS);
        CHECK(nilai_field_find(&index, name, size - 1) != field);
        for (size_t i = 0; i < size; i++)
            for (int flip = 1; flip < 256; flip++) {
                name[i] = (char)(name[i] ^ flip);
                CHECK(nilai_field_find(&index, name, size) != field);
                name[i] = (char)(name[i] ^ flip);
            }
    }
}

TEST(whole_events_are_good_and_required_fields_must_be_there)
{
    for (uint32_t type = 0; type < NILAI_EVENT_TYPES; type++) {
        EXPECT(NILAI_REJECT_NONE, event_with(type, NULL, NULL, 1));
        CHECK_EQ(event.type, type);
        for (size_t i = 0; documented[type][i] != NULL; i++) {
            const char *name = documented[type][i];
            const char *text = event_with(type, name, NULL, 0);
            if (is_required(name))
                EXPECT_FIELD(NILAI_REJECT_MISSING_FIELD, text, name);
            else
                EXPECT(NILAI_REJECT_NONE, text);
        }
    }
}

TEST(no_field_of_the_type_may_come_twice)
{
    for (uint32_t type = 0; type < NILAI_EVENT_TYPES; type++)
        for (size_t i = 0; documented[type][i] != NULL; i++) {
            const char *name = documented[type][i];
            char own[32];
            snprintf(own, sizeof own, "\"%s\"", nilai_event_type_names[type]);
            const char *value = strcmp(name, "type") == 0 ? own : sample_of(name)->good;
            EXPECT_FIELD(NILAI_REJECT_DUPLICATE_FIELD, event_with(type, name, value, 2), name);
        }
}

/* Goal: every kind in every field is taken or refused as its meaning says. */
TEST(each_field_takes_its_own_kinds_only)
{
    static const struct {
        char kind;
        const char *value;
    } kinds[] = {{'n', "null"}, {'b', "true"}, {'b', "false"}, {'i', "5"}, {'r', "5.5"}, {'r', "5e0"},
                 {'s', "\"abc\""}, {'a', "[]"}, {'a', "[1]"}, {'a', "[[]]"}, {'m', "{}"}};
    for (uint32_t type = 0; type < NILAI_EVENT_TYPES; type++)
        for (size_t i = 0; documented[type][i] != NULL; i++)
            for (size_t k = 0; k < NILAI_ARRAY_LEN(kinds); k++) {
                const char *name = documented[type][i];
                if (strcmp(name, "items") == 0 && strcmp(kinds[k].value, "[]") == 0)
                    continue; /* no maps at all are maps */
                const char *text = event_with(type, name, kinds[k].value, 1);
                if (strchr(sample_of(name)->right_kinds, kinds[k].kind) == NULL)
                    EXPECT_FIELD(NILAI_REJECT_WRONG_TYPE, text, name);
                else
                    CHECK(json_class(text) != NILAI_REJECT_WRONG_TYPE);
            }
}

/* Goal: a field of another type is nothing to this one. Method: each, of no sensible kind,
 * and twice. */
TEST(fields_of_other_types_are_ignored)
{
    for (uint32_t type = 0; type < NILAI_EVENT_TYPES; type++)
        for (uint32_t field = 0; field < NILAI_FIELDS; field++) {
            const struct nilai_field_row *row = &nilai_field_rows[field];
            if (row->types >> type & 1)
                continue;
            char text[4096];
            const char *whole = event_with(type, NULL, NULL, 1);
            snprintf(text, sizeof text, "{\"%s\":null,\"%s\":[[]],%s", row->name, row->name, whole + 1);
            EXPECT(NILAI_REJECT_NONE, text);
        }
    EXPECT(NILAI_REJECT_NONE, HEAD "\"erase\",\"amount\":\"x\",\"\":1,\"\":2,\"ID\":0,\"nothing\":{\"id\":[]}}");
}

/* ---- precedence ----------------------------------------------------------- */

struct fault {
    enum nilai_reject_class class;
    size_t place;
};

/* Goal: of several faults, the first class counts, and within it the first field. Method:
 * random faults in a random event, fields in random order, against a list of them. */
TEST(the_first_class_and_then_the_first_field_counts)
{
    uint64_t seed = test_seed(11);
    for (int round = 0; round < 20000; round++) {
        uint32_t type = (uint32_t)(next_random(&seed) % NILAI_EVENT_TYPES);
        char parts[16][128];
        size_t count = 0;
        struct fault first = {NILAI_REJECT_NONE, 0};
        uint64_t density = next_random(&seed) % 4;
        for (size_t i = 0; documented[type][i] != NULL; i++) {
            const char *name = documented[type][i];
            const struct sample *sample = sample_of(name);
            char own[32];
            snprintf(own, sizeof own, "\"%s\"", nilai_event_type_names[type]);
            const char *value = strcmp(name, "type") == 0 ? own : sample->good;
            enum nilai_reject_class class = NILAI_REJECT_NONE;
            /* A bad type would make the rest unknown: the tests below see to that. */
            if (strcmp(name, "type") != 0 && next_random(&seed) % 4 < density)
                switch (next_random(&seed) % 5) {
                case 0:
                    class = NILAI_REJECT_DUPLICATE_FIELD;
                    break;
                case 1:
                    value = NULL;
                    class = is_required(name) ? NILAI_REJECT_MISSING_FIELD : NILAI_REJECT_NONE;
                    break;
                case 2:
                    value = "null";
                    class = NILAI_REJECT_WRONG_TYPE;
                    break;
                case 3:
                    if (sample->out_of_range != NULL) {
                        value = sample->out_of_range;
                        class = NILAI_REJECT_OUT_OF_RANGE;
                    }
                    break;
                default:
                    if (sample->unknown != NULL) {
                        value = sample->unknown;
                        class = strcmp(name, "currency") == 0 ? NILAI_REJECT_UNKNOWN_CURRENCY
                                                              : NILAI_REJECT_UNKNOWN_VALUE;
                    }
                }
            for (int times = class == NILAI_REJECT_DUPLICATE_FIELD ? 2 : 1; value != NULL && times > 0; times--)
                if (count < NILAI_ARRAY_LEN(parts))
                    snprintf(parts[count++], sizeof parts[0], "\"%s\":%s", name, value);
                else if (times == 1)
                    class = NILAI_REJECT_NONE;
            if (class != NILAI_REJECT_NONE && (first.class == NILAI_REJECT_NONE || class < first.class))
                first = (struct fault){class, i};
        }
        if (count == NILAI_ARRAY_LEN(parts))
            continue; /* too many duplicates for the table */
        char text[4096] = "{";
        for (size_t left = count; left > 0; left--) {
            size_t pick = next_random(&seed) % left;
            strcat(text, parts[pick]);
            memmove(parts[pick], parts[left - 1], sizeof parts[0]);
            strcat(text, left > 1 ? "," : "}");
        }
        if (first.class == NILAI_REJECT_NONE)
            EXPECT(NILAI_REJECT_NONE, text);
        else
            EXPECT_FIELD(first.class, text, documented[type][first.place]);
    }
}

TEST(without_a_known_type_only_the_common_fields_count)
{
    EXPECT_FIELD(NILAI_REJECT_UNKNOWN_VALUE, HEAD "\"party\",\"amount\":null,\"amount\":1}", "type");
    EXPECT_FIELD(NILAI_REJECT_WRONG_TYPE, HEAD "1,\"amount\":1,\"amount\":1}", "type");
    EXPECT_FIELD(NILAI_REJECT_MISSING_FIELD, "{\"id\":\"e\",\"customer\":\"c\",\"ts\":1,\"amount\":{}}", "type");
    EXPECT_FIELD(NILAI_REJECT_MISSING_FIELD, "{\"customer\":\"c\",\"ts\":1,\"type\":\"party\"}", "id");
    EXPECT_FIELD(NILAI_REJECT_OUT_OF_RANGE, "{\"id\":\"\",\"customer\":\"c\",\"ts\":1,\"type\":\"party\"}", "id");
    EXPECT_FIELD(NILAI_REJECT_OUT_OF_RANGE, HEAD "\"\\udc00\",\"amount\":null}", "type");
    EXPECT_FIELD(NILAI_REJECT_DUPLICATE_FIELD, HEAD "\"purchase\",\"type\":\"erase\"}", "type");
    EXPECT_FIELD(NILAI_REJECT_UNKNOWN_VALUE, HEAD "\"\"}", "type");
    EXPECT_FIELD(NILAI_REJECT_UNKNOWN_VALUE, HEAD "\"purchase\\u0000\"}", "type");
    EXPECT(NILAI_REJECT_NONE, "{\"amount\":1,\"customer\":\"c\",\"ts\":1,\"id\":\"e\",\"type\":\"purchase\"}");
}

/* ---- boundaries ----------------------------------------------------------- */

TEST(times_reach_from_1970_to_9999)
{
#define AT(ts) "{\"id\":\"e\",\"customer\":\"c\",\"type\":\"erase\",\"ts\":" ts "}"
    EXPECT(NILAI_REJECT_NONE, AT("0"));
    EXPECT(NILAI_REJECT_NONE, AT("-0"));
    CHECK_EQ(event.ts_ms, 0);
    EXPECT(NILAI_REJECT_NONE, AT("253402300799999"));
    CHECK_EQ(event.ts_ms, NILAI_TIME_MAX_MS);
    EXPECT(NILAI_REJECT_OUT_OF_RANGE, AT("253402300800000"));
    EXPECT(NILAI_REJECT_OUT_OF_RANGE, AT("-1"));
    EXPECT(NILAI_REJECT_OUT_OF_RANGE, AT("9223372036854775807"));
    EXPECT(NILAI_REJECT_OUT_OF_RANGE, AT("18446744073709551615"));
    EXPECT(NILAI_REJECT_WRONG_TYPE, AT("1.0"));
    EXPECT(NILAI_REJECT_WRONG_TYPE, AT("1e3"));
    EXPECT(NILAI_REJECT_WRONG_TYPE, AT("\"1\""));
    /* Beyond 64 bits, only JSON can say it: an integer still. */
    CHECK_EQ(class_of(AT("18446744073709551616"), strlen(AT("18446744073709551616"))), NILAI_REJECT_OUT_OF_RANGE);
    char digits[3000];
    memset(digits, '9', sizeof digits);
    char text[4096];
    snprintf(text, sizeof text, AT("%.*s"), 2900, digits);
    CHECK_EQ(class_of(text, strlen(text)), NILAI_REJECT_OUT_OF_RANGE);
}

TEST(texts_have_1_to_64_bytes_and_labels_may_be_empty)
{
    static const struct {
        const char *name;
        const char *head;
        size_t size_min;
    } texts[] = {
        {"id", "{\"customer\":\"c\",\"ts\":1,\"type\":\"erase\",", 1},
        {"customer", "{\"id\":\"c\",\"ts\":1,\"type\":\"erase\",", 1},
        {"order", REFUND "\"amount\":1,", 0},
        {"order", PURCHASE "\"amount\":1,", 0},
        {"channel", PURCHASE "\"amount\":1,", 0},
        {"category", PURCHASE "\"amount\":1,", 0},
        {"referrer", PURCHASE "\"amount\":1,", 1},
        {"ticket", HEAD "\"ticket\",\"status\":\"opened\",", 1},
        {"channel", HEAD "\"ticket\",\"status\":\"opened\",\"ticket\":\"t\",", 0},
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(texts); i++)
        for (size_t size = 0; size <= 66; size++) {
            char text[512];
            char content[128] = "";
            memset(content, 'x', size);
            if (size >= 2 && size % 2 == 0)
                memcpy(content + size - 2, "\xc3\xa9", 2);
            snprintf(text, sizeof text, "%s\"%s\":\"%s\"}", texts[i].head, texts[i].name, content);
            if (size < texts[i].size_min || size > 64)
                EXPECT_FIELD(NILAI_REJECT_OUT_OF_RANGE, text, texts[i].name);
            else
                EXPECT(NILAI_REJECT_NONE, text);
            if (size == 0)
                continue;
            content[size - 1] = '\xe9'; /* the first of three bytes, which do not come */
            snprintf(text, sizeof text, "%s\"%s\":\"%s\"}", texts[i].head, texts[i].name, content);
            EXPECT_FIELD(NILAI_REJECT_OUT_OF_RANGE, text, texts[i].name);
        }
}

static int64_t amount_of(const char *rest)
{
    char text[256];
    snprintf(text, sizeof text, PURCHASE "\"amount\":%s}", rest);
    EXPECT(NILAI_REJECT_NONE, text);
    return event.purchase.amount;
}

TEST(money_is_a_number_or_a_decimal_string)
{
    CHECK_EQ(amount_of("12.5"), 125000);
    CHECK_EQ(amount_of("\"12.50\""), 125000);
    CHECK_EQ(amount_of("0"), 0);
    CHECK_EQ(amount_of("-0"), 0);
    CHECK_EQ(amount_of("-0.0"), 0);
    CHECK_EQ(amount_of("1e2"), 1000000);
    CHECK_EQ(amount_of("100000000000"), NILAI_MONEY_MAX);
    CHECK_EQ(amount_of("1e11"), NILAI_MONEY_MAX);
    CHECK_EQ(amount_of("\"100000000000.0000\""), NILAI_MONEY_MAX);
    CHECK_EQ(amount_of("\"0.00005\""), 0);
    CHECK_EQ(amount_of("\"0.00015\""), 2);
    CHECK_EQ(amount_of("\"\\u0031.5\""), 15000);
    EXPECT(NILAI_REJECT_OUT_OF_RANGE, PURCHASE "\"amount\":100000000000.1}");
    EXPECT(NILAI_REJECT_OUT_OF_RANGE, PURCHASE "\"amount\":\"100000000000.00001\"}");
    EXPECT(NILAI_REJECT_OUT_OF_RANGE, PURCHASE "\"amount\":-1e-300}");
    EXPECT(NILAI_REJECT_OUT_OF_RANGE, PURCHASE "\"amount\":99999999999999999999999}");
    EXPECT(NILAI_REJECT_OUT_OF_RANGE, PURCHASE "\"amount\":1e999}");
    EXPECT(NILAI_REJECT_OUT_OF_RANGE, PURCHASE "\"amount\":-1e999}");
    static const char *const wrong[] = {"\"\"", "\"-1\"", "\"+1\"", "\"1.\"", "\".5\"", "\"1e3\"", "\" 1\"",
                                        "\"1 \"", "\"1,5\"", "\"1.5.5\"", "\"\xd9\xa1\"", "\"\xff\"", "true"};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(wrong); i++) {
        char text[256];
        snprintf(text, sizeof text, PURCHASE "\"amount\":%s}", wrong[i]);
        EXPECT_FIELD(NILAI_REJECT_WRONG_TYPE, text, "amount");
    }
}

TEST(other_currencies_are_converted_and_checked_again)
{
    EXPECT(NILAI_REJECT_NONE, PURCHASE "\"amount\":10,\"currency\":\"EUR\",\"cost\":\"1.00005\"}");
    CHECK_EQ(event.purchase.amount, 110000);
    CHECK_EQ(event.purchase.cost, 11000); /* half to even first, then the rate */
    EXPECT(NILAI_REJECT_NONE, PURCHASE "\"currency\":\"USD\",\"amount\":10}");
    CHECK_EQ(event.purchase.amount, 100000);
    EXPECT(NILAI_REJECT_NONE, REFUND "\"currency\":\"IDR\",\"amount\":150000}");
    CHECK_EQ(event.refund.amount, 90000);
    EXPECT(NILAI_REJECT_NONE, PURCHASE "\"currency\":\"BIG\",\"amount\":100000}");
    CHECK_EQ(event.purchase.amount, NILAI_MONEY_MAX);
    EXPECT_FIELD(NILAI_REJECT_OUT_OF_RANGE, PURCHASE "\"currency\":\"BIG\",\"amount\":100000.0001}", "amount");
    EXPECT_FIELD(NILAI_REJECT_OUT_OF_RANGE, PURCHASE "\"currency\":\"BIG\",\"amount\":1,\"discount\":200000}", "discount");
    EXPECT_FIELD(NILAI_REJECT_OUT_OF_RANGE, PURCHASE "\"currency\":\"XXX\",\"amount\":1e12}", "amount");
    EXPECT(NILAI_REJECT_UNKNOWN_CURRENCY, PURCHASE "\"currency\":\"usd\",\"amount\":1}");
    EXPECT(NILAI_REJECT_UNKNOWN_CURRENCY, PURCHASE "\"currency\":\"Eur\",\"amount\":1}");
    static const char *const bad[] = {"", "U", "US", "USDD", "U D", "US1", "\xc3\x89U", "US\\u0000", "US["};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(bad); i++) {
        char text[256];
        snprintf(text, sizeof text, PURCHASE "\"amount\":1,\"currency\":\"%s\"}", bad[i]);
        EXPECT_FIELD(NILAI_REJECT_OUT_OF_RANGE, text, "currency");
    }
}

TEST(a_purchase_without_cost_has_the_usual_margin)
{
    EXPECT(NILAI_REJECT_NONE, PURCHASE "\"amount\":\"0.0005\"}");
    CHECK_EQ(event.purchase.cost, 4); /* rint(5 x 0.7 = 3.5) */
    EXPECT(NILAI_REJECT_NONE, PURCHASE "\"amount\":10,\"currency\":\"EUR\"}");
    CHECK_EQ(event.purchase.cost, 77000);
    EXPECT(NILAI_REJECT_NONE, PURCHASE "\"amount\":10,\"cost\":0}");
    CHECK_EQ(event.purchase.cost, 0);
}

TEST(tickets_are_filled)
{
    EXPECT(NILAI_REJECT_NONE, HEAD "\"ticket\",\"ticket\":\"t\",\"status\":\"closed\"}");
    CHECK_EQ(event.ticket.status, NILAI_TICKET_CLOSED);
    CHECK_EQ(event.ticket.kind, NILAI_KIND_OTHER);
    CHECK(!event.ticket.has_opened);
    CHECK(event.ticket.handle_s == 0);
    CHECK_EQ(event.factor, NILAI_FACTOR_NONE);
    EXPECT(NILAI_REJECT_NONE, TICKET "\"kind\":\"complaint\",\"handle_s\":1e9,\"opened_ts\":0,\"factor\":\"functional\"}");
    CHECK_EQ(event.ticket.kind, NILAI_KIND_COMPLAINT);
    CHECK(event.ticket.has_opened);
    CHECK_EQ(event.ticket.opened_ms, 0);
    CHECK(event.ticket.handle_s == 1e9);
    CHECK_EQ(event.factor, NILAI_FACTOR_FUNCTIONAL);
    EXPECT_FIELD(NILAI_REJECT_OUT_OF_RANGE, TICKET "\"handle_s\":1000000000.1}", "handle_s");
    EXPECT_FIELD(NILAI_REJECT_OUT_OF_RANGE, TICKET "\"handle_s\":-1}", "handle_s");
}

static double score_of(const char *rest)
{
    char text[256];
    snprintf(text, sizeof text, SURVEY "%s}", rest);
    EXPECT(NILAI_REJECT_NONE, text);
    return event.survey.normalized;
}

#define EXPECT_SURVEY(class, rest, name) EXPECT_FIELD(class, SURVEY rest "}", name)

TEST(scores_are_normalised_by_their_scale)
{
    CHECK_NEAR(score_of("\"metric\":\"nps\",\"score\":6"), 0.6, 1e-15);
    CHECK_NEAR(score_of("\"metric\":\"csat\",\"score\":2"), 0.25, 1e-15);
    CHECK_NEAR(score_of("\"metric\":\"ces\",\"score\":7"), 1, 0);
    CHECK_NEAR(score_of("\"metric\":\"rating\",\"score\":4.5"), 0.875, 1e-15);
    CHECK_NEAR(score_of("\"metric\":\"csat\",\"score\":5,\"scale\":[5,1]"), 0, 0);
    CHECK(!signbit(score_of("\"metric\":\"csat\",\"score\":5,\"scale\":[5,1]")));
    CHECK_NEAR(score_of("\"metric\":\"csat\",\"score\":-1,\"scale\":[-3.5,1.5]"), 0.5, 1e-15);
    CHECK_NEAR(score_of("\"metric\":\"nps\",\"score\":1e300,\"scale\":[-1e300,1e300]"), 1, 0);
    EXPECT_SURVEY(NILAI_REJECT_OUT_OF_RANGE, "\"metric\":\"nps\",\"score\":10.0000001", "score");
    EXPECT_SURVEY(NILAI_REJECT_OUT_OF_RANGE, "\"metric\":\"csat\",\"score\":0", "score");
    EXPECT_SURVEY(NILAI_REJECT_OUT_OF_RANGE, "\"metric\":\"csat\",\"score\":7,\"scale\":[5,1]", "score");
    EXPECT_SURVEY(NILAI_REJECT_OUT_OF_RANGE, "\"metric\":\"xxx\",\"score\":7,\"scale\":[5,1]", "score");
    EXPECT_SURVEY(NILAI_REJECT_UNKNOWN_VALUE, "\"metric\":\"xxx\",\"score\":700", "metric");
    EXPECT_SURVEY(NILAI_REJECT_OUT_OF_RANGE, "\"metric\":\"nps\",\"score\":3,\"scale\":[3,3]", "scale");
    EXPECT_SURVEY(NILAI_REJECT_OUT_OF_RANGE, "\"metric\":\"nps\",\"score\":3,\"scale\":[-1e308,1e308]", "scale");
    EXPECT_SURVEY(NILAI_REJECT_OUT_OF_RANGE, "\"metric\":\"nps\",\"score\":3,\"scale\":[0,1e999]", "scale");
    EXPECT_SURVEY(NILAI_REJECT_OUT_OF_RANGE, "\"metric\":\"nps\",\"score\":1e999,\"scale\":[0,1e999]", "score");
    static const char *const wrong[] = {"[]", "[1]", "[1,2,3]", "[1,\"2\"]", "[1,null]", "[[1,2]]", "[true,2]",
                                        "{\"worst\":1,\"best\":2}", "\"1,2\""};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(wrong); i++) {
        char text[256];
        snprintf(text, sizeof text, SURVEY "\"metric\":\"nps\",\"score\":700,\"scale\":%s}", wrong[i]);
        EXPECT_FIELD(NILAI_REJECT_WRONG_TYPE, text, "scale");
    }
}

TEST(items_are_an_array_of_maps)
{
    EXPECT(NILAI_REJECT_NONE, PURCHASE "\"amount\":1,\"items\":[]}");
    EXPECT(NILAI_REJECT_NONE, PURCHASE "\"amount\":1,\"items\":[{},{\"a\":[1,[2]],\"b\":{\"c\":null}}]}");
    EXPECT_FIELD(NILAI_REJECT_WRONG_TYPE, PURCHASE "\"amount\":1,\"items\":[{},1]}", "items");
    EXPECT_FIELD(NILAI_REJECT_WRONG_TYPE, PURCHASE "\"amount\":1,\"items\":[{\"a\":1},[{}]]}", "items");
    EXPECT_FIELD(NILAI_REJECT_WRONG_TYPE, PURCHASE "\"amount\":1,\"items\":{\"a\":{}}}", "items");
}

/* ---- what is well formed -------------------------------------------------- */

TEST(nesting_ends_at_eight)
{
    EXPECT(NILAI_REJECT_NONE, HEAD "\"erase\",\"x\":[[[[[[[]]]]]]]}");
    EXPECT(NILAI_REJECT_MALFORMED, HEAD "\"erase\",\"x\":[[[[[[[[]]]]]]]]}");
    EXPECT(NILAI_REJECT_NONE, HEAD "\"erase\",\"x\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}");
    EXPECT(NILAI_REJECT_MALFORMED, HEAD "\"erase\",\"x\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}");
    CHECK_EQ(HEX("81 a178 91 91 91 91 91 91 90"), NILAI_REJECT_MISSING_FIELD);
    CHECK_EQ(HEX("81 a178 91 91 91 91 91 91 91 90"), NILAI_REJECT_MALFORMED);
    CHECK_EQ(HEX("81 a178 91 91 91 91 91 91 91 01"), NILAI_REJECT_MISSING_FIELD);
    CHECK_EQ(HEX("81 91 91 91 91 91 91 91 90 a178"), NILAI_REJECT_MALFORMED); /* in a key, too */
}

TEST(json_is_taken_strictly)
{
    static const char *const bad[] = {
        "", " ", "{", "}", "[]", "1", "\"a\"", "null", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\":[1,]}",
        "{\"a\":1}}", "{\"a\":1}{}", "{\"a\":1} {}", "{\"a\":1}x", "{\"a\":1}\"", "{\"a\":1} \"b", "{\"a\":1} tru",
        "{\"a\":1} 1", "{\"a\":1},", "{a:1}", "{'a':1}", "{1:1}", "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}",
        "{\"a\":+1}", "{\"a\":-}", "{\"a\":1e}", "{\"a\":1e+}", "{\"a\":0x1}", "{\"a\":NaN}", "{\"a\":Infinity}",
        "{\"a\":-Infinity}", "{\"a\":nul}", "{\"a\":nullx}", "{\"a\":True}", "{\"a\":\"\x01\"}", "{\"a\":\"\t\"}",
        "{\"a\":\"\n\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"b}",
        "{\"a\":\"b\\\"}", "/**/{\"a\":1}", "{\"a\":1}//", "{\"a\"/**/:1}", "\xef\xbb\xbf{\"a\":1}",
        "{\"a\":1\f}", "\v{\"a\":1}", "{\"a\":1}\f", "{\"a\" 1}", "{\"a\"::1}", "{\"a\":1 \"b\":2}", "{\"a\":1;}",
        "{\"a\":[1 2]}", "{\"a\":[}", "{\"a\":{]}", "{\"a\":\xff}", "{\xff\"a\":1}", "{\"a\":\"\\ud83d\\ude0\"}",
        "{\"a\":\\ud800}", "{\"a\":1}\x01", "{\"a\":- 1}", "{\"a\":1 .5}",
    };
    static const char *const good[] = {
        "{}", " \t\r\n{ \"a\" : 1 } \n", "{\"a\":-0}", "{\"a\":1E+5}", "{\"a\":-1.5e-5}", "{\"a\":\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"}",
        "{\"a\":\"\x7f\"}", "{\"\":\"\"}", "{\"a\":\"\xff\xc0\xed\xa0\x80\"}", "{\"\\ud800\":\"\\udc00\\ud800\"}",
        "{\"a\":\"\\ud83d\\ude00\\u0000\"}", "{\"a\":true,\"a\":false,\"a\":null}", "{\"a\":\"\\\\ud800\"}",
        "{\"a\":1e999,\"b\":-1e999,\"c\":123456789012345678901234567890}", "{\"a\":\"//\"}",
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(bad); i++)
        if (class_of(bad[i], strlen(bad[i])) != NILAI_REJECT_MALFORMED)
            fail_msg("taken: %s (%s)", bad[i], reject.message);
    for (size_t i = 0; i < NILAI_ARRAY_LEN(good); i++)
        if (class_of(good[i], strlen(good[i])) != NILAI_REJECT_MISSING_FIELD)
            fail_msg("refused: %s (%s)", good[i], reject.message);
    CHECK_EQ(class_of("{}\0", 3), NILAI_REJECT_MALFORMED);
}

static bool customer_is(const char *written, const char *bytes, size_t size)
{
    char text[256];
    snprintf(text, sizeof text, "{\"id\":\"e\",\"type\":\"erase\",\"ts\":1,\"customer\":\"%s\"}", written);
    return nilai_decode(decoder, text, strlen(text), &event, &reject) && event.customer.size == size &&
           memcmp(event.customer.data, bytes, size) == 0;
}

TEST(json_escapes_are_undone)
{
    CHECK(customer_is("plain", "plain", 5));
    CHECK(customer_is("\\u0041\\u00e9\\u20ac\\ud83d\\ude00", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10));
    CHECK(customer_is("\\uDBFF\\uDFFF", "\xf4\x8f\xbf\xbf", 4));
    CHECK(customer_is("a\\u0000b", "a\0b", 3));
    CHECK(customer_is("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8));
    CHECK(customer_is("\\\\ud800", "\\ud800", 6));
    CHECK(!customer_is("\\ud800", "?", 1));
    CHECK_EQ(reject.class, NILAI_REJECT_OUT_OF_RANGE);
    CHECK(!customer_is("\\ud800\\u0041", "", 0));
    CHECK_EQ(reject.class, NILAI_REJECT_OUT_OF_RANGE);
    CHECK(!customer_is("\\ud83d\\ud83d\\ude00", "", 0));
    CHECK_EQ(reject.class, NILAI_REJECT_OUT_OF_RANGE);
    CHECK(!customer_is("\\\\\\udc00", "", 0));
    CHECK_EQ(reject.class, NILAI_REJECT_OUT_OF_RANGE);
    EXPECT(NILAI_REJECT_NONE, "{\"\\u0069d\":\"e\",\"typ\\u0065\":\"erase\",\"customer\":\"c\",\"ts\":1}");
    EXPECT(NILAI_REJECT_DUPLICATE_FIELD, HEAD "\"erase\",\"\\u0069\\u0064\":\"e\"}");
}

/* Goal: texts with escapes stay whole beside each other. Method: many in one event. */
TEST(escaped_texts_do_not_overwrite_each_other)
{
    const char *text = "{\"id\":\"\\u0041\",\"type\":\"tick\\u0065t\",\"customer\":\"\\u0042\\u0042\",\"ts\":1,"
                       "\"ticket\":\"\\u0043\",\"status\":\"open\\u0065d\",\"kind\":\"\\u0071uestion\",\"factor\":\"im\\u0061ge\"}";
    CHECK(nilai_decode(decoder, text, strlen(text), &event, &reject));
    CHECK(event.id.size == 1 && event.id.data[0] == 'A');
    CHECK(event.customer.size == 2 && memcmp(event.customer.data, "BB", 2) == 0);
    CHECK(event.ticket.ticket.size == 1 && event.ticket.ticket.data[0] == 'C');
    CHECK_EQ(event.ticket.kind, NILAI_KIND_QUESTION);
    CHECK_EQ(event.factor, NILAI_FACTOR_IMAGE);
}

/* Goal: the largest events pass, whatever fills them. Method: 1 MiB of one token. */
TEST(the_largest_event_is_taken_and_a_larger_one_is_not)
{
    static char text[NILAI_EVENT_SIZE_MAX + 2];
    static const char *const fillings[] = {"x", "\\n", "\\u00e9", "\\ud800", "\xff"};
    const char *head = HEAD "\"erase\",\"x\":\"";
    for (size_t i = 0; i < NILAI_ARRAY_LEN(fillings); i++) {
        size_t at = strlen(head), step = strlen(fillings[i]);
        memcpy(text, head, at);
        while (at + step + 2 <= NILAI_EVENT_SIZE_MAX) {
            memcpy(text + at, fillings[i], step);
            at += step;
        }
        memcpy(text + at, "\"}", 3);
        CHECK_EQ(class_of(text, at + 2), NILAI_REJECT_NONE);
        CHECK_EQ(class_of(text, at + 1), NILAI_REJECT_MALFORMED); /* open map */
        CHECK_EQ(class_of(text, at), NILAI_REJECT_MALFORMED);     /* open string: kept by yajl to its end */
        memset(text + at + 2, ' ', sizeof text - at - 2);
        CHECK_EQ(class_of(text, NILAI_EVENT_SIZE_MAX), NILAI_REJECT_NONE);
        CHECK_EQ(class_of(text, NILAI_EVENT_SIZE_MAX + 1), NILAI_REJECT_TOO_LARGE);
    }
    /* A decimal string of a megabyte, and a customer of as much. */
    int size = snprintf(text, sizeof text, PURCHASE "\"amount\":\"%0*d\\u0031\"}", 1000000, 0);
    CHECK_EQ(class_of(text, (size_t)size), NILAI_REJECT_NONE);
    CHECK_EQ(event.purchase.amount, 10000);
    size = snprintf(text, sizeof text, PURCHASE "\"amount\":1%0*d.5}", 1000000, 0);
    CHECK_EQ(class_of(text, (size_t)size), NILAI_REJECT_OUT_OF_RANGE);
}

TEST(an_empty_value_is_malformed)
{
    CHECK(!nilai_decode(decoder, NULL, 0, &event, &reject));
    CHECK_EQ(reject.class, NILAI_REJECT_MALFORMED);
    CHECK_EQ(class_of("", 0), NILAI_REJECT_MALFORMED);
}

/* id e, customer c, type erase; then ts. */
#define PACKED "84 a26964 a165 a8637573746f6d6572 a163 a474797065 a56572617365 a27473 "

TEST(msgpack_timestamps_are_cut_to_ms)
{
    CHECK_EQ(HEX(PACKED "d6ff 00000001"), NILAI_REJECT_NONE);
    CHECK_EQ(event.ts_ms, 1000);
    CHECK_EQ(HEX(PACKED "d6ff ffffffff"), NILAI_REJECT_NONE);
    CHECK_EQ(event.ts_ms, INT64_C(4294967295000));
    CHECK_EQ(HEX(PACKED "d7ff ee6b27fc 00000001"), NILAI_REJECT_NONE); /* 999,999,999 ns */
    CHECK_EQ(event.ts_ms, 1999);
    CHECK_EQ(HEX(PACKED "d7ff ee6b2800 00000001"), NILAI_REJECT_OUT_OF_RANGE);
    CHECK_EQ(HEX(PACKED "c70cff 3b9ac9ff 0000000000000001"), NILAI_REJECT_NONE);
    CHECK_EQ(event.ts_ms, 1999);
    CHECK_EQ(HEX(PACKED "c80004ff 00000001"), NILAI_REJECT_NONE); /* the length counts, not its form */
    CHECK_EQ(HEX(PACKED "c70cff 3b9aca00 0000000000000001"), NILAI_REJECT_OUT_OF_RANGE);
    CHECK_EQ(HEX(PACKED "c70cff 00000000 ffffffffffffffff"), NILAI_REJECT_OUT_OF_RANGE);
    CHECK_EQ(HEX(PACKED "c70cff 3b9ac9ff ffffffffffffffff"), NILAI_REJECT_OUT_OF_RANGE);
    CHECK_EQ(HEX(PACKED "c70cff 00000000 7fffffffffffffff"), NILAI_REJECT_OUT_OF_RANGE);
    CHECK_EQ(HEX(PACKED "c70cff 3b9ac9ff 0000003afff4417f"), NILAI_REJECT_NONE);
    CHECK_EQ(event.ts_ms, NILAI_TIME_MAX_MS);
    CHECK_EQ(HEX(PACKED "c70cff 00000000 0000003afff44180"), NILAI_REJECT_OUT_OF_RANGE);
    CHECK_EQ(HEX(PACKED "d4ff 01"), NILAI_REJECT_WRONG_TYPE);
    CHECK_EQ(HEX(PACKED "d8ff 00000000000000000000000000000001"), NILAI_REJECT_WRONG_TYPE);
    CHECK_EQ(HEX(PACKED "c700ff"), NILAI_REJECT_WRONG_TYPE);
    CHECK_EQ(HEX(PACKED "d601 00000001"), NILAI_REJECT_WRONG_TYPE);
}

TEST(msgpack_numbers_of_every_width_are_the_same)
{
    static const char *const ones[] = {"01", "cc01", "cd0001", "ce00000001", "cf0000000000000001",
                                       "d001", "d10001", "d200000001", "d30000000000000001"};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(ones); i++) {
        char text[256];
        snprintf(text, sizeof text, PACKED "%s", ones[i]);
        CHECK_EQ(HEX(text), NILAI_REJECT_NONE);
        CHECK_EQ(event.ts_ms, 1);
    }
    static const char *const negative[] = {"ff", "d0ff", "d1ffff", "d2ffffffff", "d3ffffffffffffffff", "cfffffffffffffffff"};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(negative); i++) {
        char text[256];
        snprintf(text, sizeof text, PACKED "%s", negative[i]);
        CHECK_EQ(HEX(text), NILAI_REJECT_OUT_OF_RANGE);
    }
    CHECK_EQ(HEX(PACKED "ca3f800000"), NILAI_REJECT_WRONG_TYPE);
    CHECK_EQ(HEX(PACKED "cb3ff0000000000000"), NILAI_REJECT_WRONG_TYPE);
    CHECK_EQ(HEX(PACKED "c0"), NILAI_REJECT_WRONG_TYPE);
    CHECK_EQ(HEX(PACKED "c3"), NILAI_REJECT_WRONG_TYPE);
    /* amount: NaN, infinity, a single */
#define PAID "85 a26964 a165 a8637573746f6d6572 a163 a474797065 a87075726368617365 a27473 01 a6616d6f756e74 "
    CHECK_EQ(HEX(PAID "cb7ff8000000000000"), NILAI_REJECT_OUT_OF_RANGE);
    CHECK_EQ(HEX(PAID "ca7f800000"), NILAI_REJECT_OUT_OF_RANGE);
    CHECK_EQ(HEX(PAID "ca3f000000"), NILAI_REJECT_NONE);
    CHECK_EQ(event.purchase.amount, 5000);
    CHECK_EQ(HEX(PAID "cfffffffffffffffff"), NILAI_REJECT_OUT_OF_RANGE);
    CHECK_EQ(HEX(PAID "c40131"), NILAI_REJECT_WRONG_TYPE);
    CHECK_EQ(HEX(PAID "d90131"), NILAI_REJECT_NONE);
}

TEST(msgpack_strings_have_four_forms_and_binary_is_none)
{
    static const char *const forms[] = {"a163", "d90163", "da000163", "db0000000163"};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(forms); i++) {
        char text[256];
        snprintf(text, sizeof text, "84 a26964 a165 d908637573746f6d6572 %s a474797065 a56572617365 da00027473 01", forms[i]);
        CHECK_EQ(HEX(text), NILAI_REJECT_NONE);
    }
    CHECK_EQ(HEX("84 a26964 a165 a8637573746f6d6572 c40163 a474797065 a56572617365 a27473 01"), NILAI_REJECT_WRONG_TYPE);
}

TEST(msgpack_keys_of_any_kind_are_unknown_fields)
{
    CHECK_EQ(HEX("8c a26964 a165 a8637573746f6d6572 a163 a474797065 a56572617365 a27473 01"
                 " c001 c301 0501 cb000000000000000001 c4026964c0 91a16401 81a26964c001 c702ffaabbc0"),
             NILAI_REJECT_NONE);
}

TEST(msgpack_is_whole_or_malformed)
{
    CHECK_EQ(HEX(PACKED "01 00"), NILAI_REJECT_MALFORMED);
    CHECK_EQ(HEX(PACKED "c1"), NILAI_REJECT_MALFORMED);
    CHECK_EQ(HEX("c1"), NILAI_REJECT_MALFORMED);
    CHECK_EQ(HEX("90"), NILAI_REJECT_MALFORMED);
    CHECK_EQ(HEX("dfffffffff"), NILAI_REJECT_MALFORMED);
    CHECK_EQ(HEX("81a178ddffffffff"), NILAI_REJECT_MALFORMED);
    CHECK_EQ(HEX("81a178dbffffffff41"), NILAI_REJECT_MALFORMED);
    CHECK_EQ(HEX("81a178c9ffffffff0141"), NILAI_REJECT_MALFORMED);
    CHECK_EQ(HEX("80"), NILAI_REJECT_MISSING_FIELD);
    CHECK_EQ(HEX("de0000"), NILAI_REJECT_MISSING_FIELD);
    CHECK_EQ(HEX("df00000000"), NILAI_REJECT_MISSING_FIELD);
}

/* An event of a random type: mostly in the documented order, at times in none. */
static void make_shuffled(uint64_t *seed, char *text, size_t size)
{
    const char *names[24] = {"idd", "opened_t"}; /* of no type */
    uint32_t count = 2, type = (uint32_t)(next_random(seed) % NILAI_EVENT_TYPES);
    for (size_t i = 0; documented[type][i] != NULL; i++)
        if (next_random(seed) % (is_required(documented[type][i]) ? 50 : 3) != 0)
            names[count++] = documented[type][i];
    for (uint64_t swaps = next_random(seed) % 8; swaps > 0; swaps--) {
        uint64_t a = next_random(seed) % count, b = next_random(seed) % count;
        const char *moved = names[a];
        names[a] = names[b];
        names[b] = moved;
    }
    if (next_random(seed) % 10 == 0)
        names[count++] = names[next_random(seed) % 3];
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        char own[32];
        snprintf(own, sizeof own, "\"%s\"", nilai_event_type_names[type]);
        bool known = strcmp(names[i], "idd") != 0 && strcmp(names[i], "opened_t") != 0;
        const char *content = !known ? "[{},5]" : strcmp(names[i], "type") == 0 ? own : sample_of(names[i])->good;
        at += (size_t)snprintf(text + at, size - at, "%c\"%s\":%s", i == 0 ? '{' : ',', names[i], content);
    }
    snprintf(text + at, size - at, "}");
}

/* Goal: that the order of an event's fields is guessed from the event before changes nothing.
 * Method: whole events of all types with their fields, and unknown ones, in random order, some
 * twice, some left out: the decoder that has seen all of them against one that has seen none;
 * and every prefix of some, for a guess must not read beyond the end. */
TEST(what_came_before_does_not_matter)
{
    enum { STEPS = 3000, PREFIXES = 60 };
    uint64_t seed = test_seed(20);
    for (int step = 0; step < STEPS; step++) {
        char text[2048];
        const char *packed;
        size_t packed_size;
        struct nilai_error error;
        make_shuffled(&seed, text, sizeof text);
        CHECK_EQ(nilai_convert_json_to_msgpack(converter, text, strlen(text), &packed, &packed_size, &error), NILAI_OK);
        struct nilai_decoder *experienced = decoder;
        enum nilai_reject_class class = class_of(packed, packed_size);
        struct nilai_reject told = reject;
        int64_t ts_ms = event.ts_ms;
        set_up_decoder();
        enum nilai_reject_class fresh_class = class_of(packed, packed_size);
        nilai_decoder_destroy(decoder);
        decoder = experienced;
        CHECK_EQ(class, fresh_class);
        CHECK(strcmp(told.message, reject.message) == 0);
        CHECK_EQ(ts_ms, event.ts_ms);
        for (size_t prefix = 0; step < PREFIXES && prefix < packed_size; prefix++)
            CHECK_EQ(class_of(packed, prefix), NILAI_REJECT_MALFORMED);
    }
}

/* Goal: no prefix of an event is taken for one, and its span is known at its end only.
 * Method: every prefix of events that hold every first byte. */
TEST(every_prefix_is_cut_short)
{
    unsigned char bytes[1024] = {0xde, 0, 0};
    size_t size = 3;
    uint32_t pairs = 0;
    static const struct {
        const char *start;
        size_t start_size, rest;
    } values[] = {
        {"\xc0", 1, 0}, {"\xc2", 1, 0}, {"\xc3", 1, 0}, {"\xc4\x03", 2, 3}, {"\xc5\x00\x03", 3, 3},
        {"\xc6\x00\x00\x00\x03", 5, 3}, {"\xc7\x03\x01", 3, 3}, {"\xc8\x00\x03\x01", 4, 3},
        {"\xc9\x00\x00\x00\x03\x01", 6, 3}, {"\xca", 1, 4}, {"\xcb", 1, 8}, {"\xcc", 1, 1}, {"\xcd", 1, 2},
        {"\xce", 1, 4}, {"\xcf", 1, 8}, {"\xd0", 1, 1}, {"\xd1", 1, 2}, {"\xd2", 1, 4}, {"\xd3", 1, 8},
        {"\xd4", 1, 2}, {"\xd5", 1, 3}, {"\xd6", 1, 5}, {"\xd7", 1, 9}, {"\xd8", 1, 17}, {"\xd9\x03", 2, 3},
        {"\xda\x00\x03", 3, 3}, {"\xdb\x00\x00\x00\x03", 5, 3}, {"\xdc\x00\x03", 3, 3},
        {"\xdd\x00\x00\x00\x03", 5, 3}, {"\xde\x00\x03", 3, 6}, {"\xdf\x00\x00\x00\x03", 5, 6},
        {"\xe0", 1, 0}, {"\xff", 1, 0}, {"\x7f", 1, 0}, {"\x80", 1, 0}, {"\x90", 1, 0}, {"\x93", 1, 3},
        {"\x83", 1, 6}, {"\xa0", 1, 0}, {"\xbf", 1, 31},
    };
    for (int nested = 0; nested < 2; nested++) /* in the top map, and in an array: skipped there */
        for (size_t i = 0; i < NILAI_ARRAY_LEN(values); i++) {
            bytes[size++] = 0xa1;
            bytes[size++] = 'x';
            if (nested) {
                bytes[size++] = 0x91;
                bytes[size++] = 0x91;
            }
            memcpy(bytes + size, values[i].start, values[i].start_size);
            size += values[i].start_size;
            memset(bytes + size, 1, values[i].rest);
            size += values[i].rest;
            pairs++;
        }
    bytes[2] = (unsigned char)pairs;
    CHECK_EQ(class_of(bytes, size), NILAI_REJECT_MISSING_FIELD);
    for (size_t prefix = 0; prefix <= size; prefix++) {
        char *exact = malloc(prefix + 1);
        CHECK(exact != NULL);
        char *start = exact + 1; /* the end of the block is the end of the bytes */
        memcpy(start, bytes, prefix);
        size_t span = 0;
        enum nilai_status status = nilai_msgpack_span(start, prefix, &span);
        CHECK_EQ(status, prefix == size ? NILAI_OK : NILAI_AGAIN);
        CHECK_EQ(span, prefix == size ? size : 0);
        free(exact);
        if (prefix < size)
            CHECK_EQ(class_of(bytes, prefix), NILAI_REJECT_MALFORMED);
    }
    size_t span;
    CHECK_EQ(nilai_msgpack_span("\x05\x06", 2, &span), NILAI_OK);
    CHECK_EQ(span, 1);
    CHECK_EQ(nilai_msgpack_span("\x92\x05\xc1", 3, &span), NILAI_INVALID);
}

/* Goal: what is skipped without looking is skipped as it is read. Method: every first byte. */
TEST(sizes_by_first_byte_are_the_spans)
{
    for (int first = 0; first < 256; first++) {
        const uint8_t bytes[300] = {(uint8_t)first};
        struct nilai_value value;
        const uint8_t *next = nilai_msgpack_take(bytes, bytes + sizeof bytes, &value);
        size_t size = nilai_msgpack_sizes[first];
        if (size != 0)
            CHECK(next == bytes + size && !nilai_value_is_container(&value));
        else /* a length decides, or a container, or the byte that is never used */
            CHECK(next == NULL || nilai_value_is_container(&value) || (first >= 0xc4 && first <= 0xdb));
    }
    for (int first = 0; first < 0xc4; first++)
        CHECK((nilai_msgpack_sizes[first] != 0) == (first < 0x80 || (first >= 0xa0 && first != 0xc1)));
}

/* Goal: depth costs no stack and no limit of the cutter. */
TEST(a_span_may_be_deep)
{
    enum { DEEP = 1000000 };
    char *bytes = malloc(DEEP + 1);
    CHECK(bytes != NULL);
    memset(bytes, 0x91, DEEP);
    bytes[DEEP] = 5;
    size_t span;
    CHECK_EQ(nilai_msgpack_span(bytes, DEEP, &span), NILAI_AGAIN);
    CHECK_EQ(nilai_msgpack_span(bytes, DEEP + 1, &span), NILAI_OK);
    CHECK_EQ(span, DEEP + 1);
    free(bytes);
}

TEST(positions_are_those_of_the_values)
{
    const char *text = " {\"id\" : \"e\",\"type\":\"erase\",\"customer\":\"c\",\"ts\" :\n \"\\u0041\"}";
    CHECK_EQ(class_of(text, strlen(text)), NILAI_REJECT_WRONG_TYPE);
    char expected[32];
    snprintf(expected, sizeof expected, "(byte %d)", (int)(strstr(text, "\"\\u0041") - text));
    CHECK(strstr(reject.message, expected) != NULL);
    CHECK_EQ(HEX(PACKED "c0"), NILAI_REJECT_WRONG_TYPE);
    CHECK_TEXT(reject.message, "field \"ts\": an integer (ms since 1970) or a timestamp is needed, not null (byte 31)");
}

TEST(messages_do_not_hold_what_the_event_holds)
{
    static const char *const texts[] = {
        "{\"secret\":\"secret\" \"secret\"}", PURCHASE "\"amount\":\"secret\"}", HEAD "\"secret\"}",
        PURCHASE "\"amount\":1,\"currency\":\"secret\"}", "secret", "{\"a\":secret}",
        HEAD "\"survey\",\"metric\":\"secret\",\"score\":\"secret\"}",
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(texts); i++) {
        CHECK(class_of(texts[i], strlen(texts[i])) != NILAI_REJECT_NONE);
        CHECK(strstr(reject.message, "secret") == NULL);
    }
}

TEST(the_key_is_the_customer)
{
    const char *text = HEAD "\"erase\"}";
    CHECK(nilai_decode(decoder, text, strlen(text), &event, &reject));
    CHECK(nilai_decode_check_key(&event, "c1", 2, &reject));
    CHECK(!nilai_decode_check_key(&event, "c2", 2, &reject));
    CHECK_EQ(reject.class, NILAI_REJECT_KEY_MISMATCH);
    CHECK(!nilai_decode_check_key(&event, "c1 ", 3, &reject));
    CHECK(!nilai_decode_check_key(&event, "c", 1, &reject));
    CHECK(!nilai_decode_check_key(&event, NULL, 0, &reject));
    CHECK_EQ(reject.class, NILAI_REJECT_KEY_MISMATCH);
}

TEST(the_future_begins_after_max_future)
{
    const char *text = HEAD "\"erase\"}";
    CHECK(nilai_decode(decoder, text, strlen(text), &event, &reject));
    CHECK(nilai_decode_check_time(decoder, &event, INT64_C(1700000000000) - 300000, &reject));
    CHECK(!nilai_decode_check_time(decoder, &event, INT64_C(1700000000000) - 300001, &reject));
    CHECK_EQ(reject.class, NILAI_REJECT_FUTURE_TIMESTAMP);
    CHECK(nilai_decode_check_time(decoder, &event, INT64_MAX, &reject));
}

TEST(every_class_has_a_name)
{
    CHECK(nilai_reject_names[NILAI_REJECT_NONE] == NULL);
    for (int class = NILAI_REJECT_TOO_LARGE; class < NILAI_REJECT_CLASSES; class++)
        CHECK(nilai_reject_names[class] != NULL);
}
