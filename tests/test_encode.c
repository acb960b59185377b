#include "nilai/event/encode.h"
#include "nilai/event/utf8.h"
#include "test.h"

#include <msgpack.h>

static const char *finish(struct nilai_encoder *encoder)
{
    static char text[8192];
    const char *data;
    size_t size;
    CHECK_EQ(nilai_encode_end(encoder, &data, &size), NILAI_OK);
    CHECK(size < sizeof text);
    memcpy(text, data, size);
    text[size] = 0;
    return text;
}

static void write_one_of_each(struct nilai_encoder *encoder)
{
    nilai_encode_begin(encoder);
    nilai_encode_open_map(encoder, NULL, 9);
    nilai_encode_null(encoder, "null");
    nilai_encode_bool(encoder, "yes", true);
    nilai_encode_int(encoder, "int", INT64_MIN);
    nilai_encode_real(encoder, "real", 0.1);
    nilai_encode_fixed(encoder, "fixed", 0.73);
    nilai_encode_text(encoder, "text", "a\"\\\n\x01/\xc3\xa9", 8);
    nilai_encode_money(encoder, "money", -5);
    nilai_encode_open_array(encoder, "array", 3);
    nilai_encode_int(encoder, NULL, 1);
    nilai_encode_open_map(encoder, NULL, 0);
    nilai_encode_close_map(encoder);
    nilai_encode_bool(encoder, NULL, false);
    nilai_encode_close_array(encoder);
    nilai_encode_open_array(encoder, "none", 0);
    nilai_encode_close_array(encoder);
    nilai_encode_close_map(encoder);
}

/* Goal: the JSON is exactly what a reader expects. Method: every kind once, twice with the
 * same writer, so that nothing of the first value leaks into the second. */
TEST(json_has_every_kind_and_a_writer_is_reusable)
{
    struct nilai_encoder *encoder = nilai_encoder_create(NILAI_FORMAT_JSON);
    for (int round = 0; round < 2; round++) {
        write_one_of_each(encoder);
        CHECK_TEXT(finish(encoder),
                   "{\"null\":null,\"yes\":true,\"int\":-9223372036854775808,\"real\":0.1,"
                   "\"fixed\":0.7300,\"text\":\"a\\\"\\\\\\n\\u0001/\xc3\xa9\",\"money\":\"-0.0005\","
                   "\"array\":[1,{},false],\"none\":[]}");
    }
    nilai_encoder_destroy(encoder);
}

/* Goal: the MessagePack says the same. Method: read back with msgpack-c and print. */
TEST(msgpack_has_the_same_content)
{
    struct nilai_encoder *encoder = nilai_encoder_create(NILAI_FORMAT_MSGPACK);
    write_one_of_each(encoder);
    const char *data;
    size_t size, offset = 0;
    CHECK_EQ(nilai_encode_end(encoder, &data, &size), NILAI_OK);

    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    CHECK_EQ(msgpack_unpack_next(&unpacked, data, size, &offset), MSGPACK_UNPACK_SUCCESS);
    CHECK_EQ(offset, size);
    CHECK_EQ(unpacked.data.type, MSGPACK_OBJECT_MAP);
    CHECK_EQ(unpacked.data.via.map.size, 9);
    const msgpack_object_kv *entries = unpacked.data.via.map.ptr;
    CHECK_EQ(entries[0].val.type, MSGPACK_OBJECT_NIL);
    CHECK_EQ(entries[1].val.type, MSGPACK_OBJECT_BOOLEAN);
    CHECK(entries[1].val.via.boolean);
    CHECK_EQ(entries[2].val.via.i64, INT64_MIN);
    CHECK_EQ(entries[3].val.type, MSGPACK_OBJECT_FLOAT64);
    CHECK(entries[3].val.via.f64 == 0.1);
    CHECK_EQ(entries[4].val.type, MSGPACK_OBJECT_FLOAT64);
    CHECK(entries[4].val.via.f64 == 0.73);
    CHECK_EQ(entries[5].val.type, MSGPACK_OBJECT_STR);
    CHECK_EQ(entries[5].val.via.str.size, 8);
    CHECK_EQ(memcmp(entries[5].val.via.str.ptr, "a\"\\\n\x01/\xc3\xa9", 8), 0);
    CHECK_EQ(entries[6].val.via.str.size, 7);
    CHECK_EQ(memcmp(entries[6].val.via.str.ptr, "-0.0005", 7), 0);
    CHECK_EQ(entries[7].val.type, MSGPACK_OBJECT_ARRAY);
    CHECK_EQ(entries[7].val.via.array.size, 3);
    CHECK_EQ(entries[7].val.via.array.ptr[1].type, MSGPACK_OBJECT_MAP);
    CHECK_EQ(entries[8].val.via.array.size, 0);
    CHECK_EQ(entries[8].key.via.str.size, 4);
    msgpack_unpacked_destroy(&unpacked);
    nilai_encoder_destroy(encoder);
}

static const char *as_text(struct nilai_encoder *encoder, const char *data, size_t size)
{
    nilai_encode_begin(encoder);
    nilai_encode_text(encoder, NULL, data, size);
    return finish(encoder);
}

#define REPAIRED(bytes) as_text(encoder, bytes, sizeof(bytes) - 1)

/* Goal: output is UTF-8 whatever comes in. Method: the cases of the Unicode Standard,
 * Table 3-8 ff: overlong, surrogates, beyond the last plane, cut short. */
TEST(each_maximal_ill_formed_part_becomes_one_replacement_character)
{
    struct nilai_encoder *encoder = nilai_encoder_create(NILAI_FORMAT_JSON);
    CHECK_TEXT(REPAIRED("\xe2\x82\xac\xf0\x9f\x98\x80"), "\"\xe2\x82\xac\xf0\x9f\x98\x80\"");
    CHECK_TEXT(REPAIRED("a\xff" "b"), "\"a\xef\xbf\xbd" "b\"");
    CHECK_TEXT(REPAIRED("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_TEXT(REPAIRED("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_TEXT(REPAIRED("\xf4\x91\x92\x93"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_TEXT(REPAIRED("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf" "A"),
               "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "A\"");
    nilai_encoder_destroy(encoder);
}

/* Goal: exactly the Unicode scalar values are valid. Method: every code point up to 0x1fffff,
 * encoded in every length it fits, against the definition. */
TEST(utf8_is_the_shortest_form_of_a_scalar_value)
{
    for (uint32_t point = 0; point < 0x200000; point++) {
        uint32_t shortest = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        for (uint32_t length = shortest; length <= 4; length++) {
            char text[12] = "........";
            for (uint32_t i = length - 1; i > 0; i--)
                text[i] = (char)(0x80 | (point >> (6 * (length - 1 - i)) & 0x3f));
            static const uint32_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
            text[0] = (char)(marks[length] | point >> (6 * (length - 1)));
            bool scalar = point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff);
            bool valid;
            size_t step = nilai_utf8_step(text, length, &valid);
            CHECK(valid == (scalar && length == shortest));
            CHECK(!valid || step == length);
            CHECK(nilai_utf8_valid(text, 12) == valid);
            CHECK(length == 1 || !nilai_utf8_valid(text, length - 1));
        }
    }
}

static const char *as_real(struct nilai_encoder *encoder, double value)
{
    nilai_encode_begin(encoder);
    nilai_encode_real(encoder, NULL, value);
    return finish(encoder);
}

static const char *as_fixed(struct nilai_encoder *encoder, double value)
{
    nilai_encode_begin(encoder);
    nilai_encode_fixed(encoder, NULL, value);
    return finish(encoder);
}

/* Goal: no double is changed by writing it. Method: random bit patterns, read back. */
TEST(reals_read_back_as_the_same_double)
{
    struct nilai_encoder *encoder = nilai_encoder_create(NILAI_FORMAT_JSON);
    CHECK_TEXT(as_real(encoder, 5), "5.0");
    CHECK_TEXT(as_real(encoder, -0.0), "-0.0");
    CHECK_TEXT(as_real(encoder, 1e300), "1e+300");
    uint64_t seed = test_seed(7);
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = next_random(&seed);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        const char *text = as_real(encoder, value);
        CHECK(strtod(text, NULL) == value);
        CHECK(strpbrk(text, ".e") != NULL);
    }
    nilai_encoder_destroy(encoder);
}

TEST(fixed_has_four_decimals_and_no_negative_zero)
{
    struct nilai_encoder *encoder = nilai_encoder_create(NILAI_FORMAT_JSON);
    CHECK_TEXT(as_fixed(encoder, 12.5), "12.5000");
    CHECK_TEXT(as_fixed(encoder, -0.00004), "0.0000");
    CHECK_TEXT(as_fixed(encoder, -0.00006), "-0.0001");
    CHECK(strlen(as_fixed(encoder, -1.7976931348623157e308)) == 1 + 309 + 5);
    nilai_encoder_destroy(encoder);
}

/* Goal: only what needs it is escaped, wherever it stands. Method: every byte at every place of
 * texts of every short length, against the definition; and what is written for each reads as JSON
 * has it. */
TEST(plain_texts_are_told_from_others)
{
    char text[21];
    for (size_t size = 0; size < sizeof text; size++) {
        memset(text, 'x', sizeof text);
        CHECK(nilai_utf8_is_plain(text, size));
        for (size_t at = 0; at < size; at++) {
            for (int byte = 0; byte < 256; byte++) {
                text[at] = (char)byte;
                bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                CHECK_EQ(nilai_utf8_is_plain(text, size), plain);
            }
            text[at] = 'x';
        }
    }
    struct nilai_encoder *encoder = nilai_encoder_create(NILAI_FORMAT_JSON);
    nilai_encode_begin(encoder);
    nilai_encode_open_array(encoder, NULL, 3);
    nilai_encode_text(encoder, NULL, "a\"b", 3);
    nilai_encode_text(encoder, NULL, "\x1f", 1);
    nilai_encode_decimal(encoder, NULL, -0.00001);
    nilai_encode_close_array(encoder);
    CHECK_TEXT(finish(encoder), "[\"a\\\"b\",\"\\u001F\",\"0.0000\"]");
    nilai_encoder_destroy(encoder);
}

/* Goal: a value beyond the limit fails at its end, and the writer works again after it. */
TEST(failure_sticks_until_the_next_begin)
{
    enum { SIZE = 1024 * 1024 };
    static const enum nilai_format formats[] = {NILAI_FORMAT_JSON, NILAI_FORMAT_MSGPACK};
    char *text = calloc(1, SIZE);
    CHECK(text != NULL);
    memset(text, 'x', SIZE);
    for (size_t f = 0; f < NILAI_ARRAY_LEN(formats); f++) {
        struct nilai_encoder *encoder = nilai_encoder_create(formats[f]);
        nilai_encode_begin(encoder);
        nilai_encode_open_array(encoder, NULL, 17);
        for (int i = 0; i < 16; i++)
            nilai_encode_text(encoder, NULL, text, SIZE);
        nilai_encode_int(encoder, NULL, 1);
        nilai_encode_close_array(encoder);
        const char *data;
        size_t size;
        CHECK_EQ(nilai_encode_end(encoder, &data, &size), NILAI_FULL);
        nilai_encode_begin(encoder);
        nilai_encode_int(encoder, NULL, 1);
        CHECK_EQ(nilai_encode_end(encoder, &data, &size), NILAI_OK);
        CHECK_EQ(size, 1);
        nilai_encoder_destroy(encoder);
    }
    free(text);
}
