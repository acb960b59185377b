#include "nilai/state/wire.h"
#include "test.h"

enum { ITEMS = 4000, WORDS = 8 };

/* A number of any magnitude. */
static uint64_t random_number(uint64_t *seed)
{
    uint64_t value = next_random(seed);
    return value >> next_random(seed) % 64;
}

struct item {
    int kind; /* 0: 8 bits, 1: 64, 2: unsigned, 3: signed, 4: text, 5: words */
    uint64_t value, words[WORDS];
    char text[256];
    struct nilai_text view;
};

static void put(struct nilai_buffer *buffer, struct item *item, uint64_t *seed)
{
    item->kind = (int)(next_random(seed) % 6);
    item->value = random_number(seed);
    switch (item->kind) {
    case 0:
        nilai_wire_put_8(buffer, (uint8_t)item->value);
        break;
    case 1:
        nilai_wire_put_64(buffer, item->value);
        break;
    case 2:
        nilai_wire_put_unsigned(buffer, item->value);
        break;
    case 3:
        item->value = next_random(seed) % 2 ? ~item->value : item->value;
        nilai_wire_put_signed(buffer, (int64_t)item->value);
        break;
    case 5:
        for (int at = 0; at < WORDS; at++)
            item->words[at] = next_random(seed) % 3 ? random_number(seed) : 0;
        nilai_wire_put_words(buffer, item->words, WORDS);
        break;
    default:
        item->view = (struct nilai_text){item->text, (uint32_t)(next_random(seed) % 256)};
        for (uint32_t at = 0; at < item->view.size; at++)
            item->text[at] = (char)next_random(seed);
        nilai_wire_put_text(buffer, item->view);
    }
}

static bool take_same(struct nilai_wire *wire, const struct item *item)
{
    struct nilai_text text;
    uint64_t words[WORDS];
    switch (item->kind) {
    case 0:
        return nilai_wire_take_8(wire) == (uint8_t)item->value;
    case 1:
        return nilai_wire_take_64(wire) == item->value;
    case 2:
        return nilai_wire_take_unsigned(wire) == item->value;
    case 3:
        return nilai_wire_take_signed(wire) == (int64_t)item->value;
    case 5:
        nilai_wire_take_words(wire, words, WORDS);
        return memcmp(words, item->words, sizeof words) == 0;
    default:
        text = nilai_wire_take_text(wire);
        return text.size == item->view.size && memcmp(text.data, item->text, text.size) == 0;
    }
}

/* Goal: what was put is taken, and nothing is left. Method: random items of all kinds. */
TEST(what_was_put_is_taken)
{
    static struct item items[ITEMS];
    struct nilai_buffer buffer;
    uint64_t seed = test_seed(1);
    nilai_buffer_init(&buffer, 4 << 20);
    for (int at = 0; at < ITEMS; at++)
        put(&buffer, &items[at], &seed);
    CHECK_EQ(buffer.status, NILAI_OK);
    struct nilai_wire wire = nilai_wire_of(buffer.data, buffer.size);
    for (int at = 0; at < ITEMS; at++) {
        CHECK(!nilai_wire_is_done(&wire));
        CHECK(take_same(&wire, &items[at]));
    }
    CHECK(nilai_wire_is_done(&wire));
    nilai_buffer_fini(&buffer);
}

static void check_bytes(const struct nilai_buffer *buffer, const char *bytes, size_t size)
{
    CHECK_EQ(buffer->size, size);
    CHECK(memcmp(buffer->data, bytes, size) == 0);
}

/* Goal: the bytes are those that the header tells of. Method: some, by hand. */
TEST(numbers_have_the_bytes_that_are_drawn)
{
    struct nilai_buffer buffer;
    nilai_buffer_init(&buffer, 1000);
    nilai_wire_put_64(&buffer, UINT64_C(0x0102030405060708));
    check_bytes(&buffer, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
    nilai_buffer_clear(&buffer);
    nilai_wire_put_unsigned(&buffer, 300);
    nilai_wire_put_unsigned(&buffer, 127);
    nilai_wire_put_unsigned(&buffer, UINT64_MAX);
    check_bytes(&buffer, "\xac\x02\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13);
    nilai_buffer_clear(&buffer);
    nilai_wire_put_signed(&buffer, 0);
    nilai_wire_put_signed(&buffer, -1);
    nilai_wire_put_signed(&buffer, 1);
    nilai_wire_put_signed(&buffer, INT64_MIN);
    check_bytes(&buffer, "\x00\x01\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13);
    nilai_buffer_clear(&buffer);
    nilai_wire_put_text(&buffer, (struct nilai_text){"abc", 3});
    check_bytes(&buffer, "\x03" "abc", 4);
    nilai_buffer_clear(&buffer);
    nilai_wire_put_words(&buffer, (uint64_t[]){0, 1, 0x300, UINT64_MAX}, 4);
    check_bytes(&buffer, "\x10\x82\x01\x00\x03\xff\xff\xff\xff\xff\xff\xff\xff", 13);
    nilai_buffer_fini(&buffer);
}

static bool fails(const char *bytes, size_t size, int kind)
{
    struct nilai_wire wire = nilai_wire_of(bytes, size);
    const struct item nothing = {.kind = kind};
    bool zero = take_same(&wire, &nothing); /* what is taken is zero */
    uint8_t after = nilai_wire_take_8(&wire); /* and stays so */
    return zero && after == 0 && wire.failed && !nilai_wire_is_done(&wire);
}

/* Goal: what is too short or too long for a number fails, yields zero, and stays failed. */
TEST(a_failure_sticks)
{
    CHECK(fails("", 0, 0));
    CHECK(fails("\1\1\1\1\1\1\1", 7, 1));
    CHECK(fails("", 0, 2));
    CHECK(fails("\x81\x82", 2, 2));
    CHECK(fails("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, 2)); /* 65 bits */
    CHECK(fails("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, 2));
    CHECK(fails("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, 3));
    CHECK(fails("\3ab", 3, 4));
    CHECK(fails("\1\0\0", 3, 5)); /* of sizes there are four bytes */
    CHECK(fails("\x21\0\0\0\1\2", 6, 5));
    CHECK(fails("\0\0\0\x09" "123456789", 13, 5)); /* nine bytes */
    CHECK(fails("\x90\0\0\0" "123456789", 13, 5));
    struct nilai_wire wire = nilai_wire_of("abc", 3);
    CHECK(nilai_wire_take(&wire, SIZE_MAX) == NULL && wire.failed);
    CHECK(nilai_wire_take(&wire, 0) == NULL);
    wire = nilai_wire_of(NULL, 0);
    CHECK(nilai_wire_is_done(&wire));
}
