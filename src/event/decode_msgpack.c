/*
 * Where a value stands is its offset, which is known to fit and which a fault's text wants; where
 * the next one stands is what every step returns. No value ends at 0: that is a fault, which
 * `reject` tells then.
 */
#include "nilai/event/cursor.h"
#include "nilai/event/fault.h"
#include "nilai/event/reader.h"

/* The bytes of one event; what does not change while it is read. */
struct reading {
    const uint8_t *bytes;
    size_t size;
    const struct nilai_field_index *index;
    struct nilai_fields *fields;
    struct nilai_reject *reject;
};

__attribute__((cold, noinline)) static size_t fail(const struct reading *reading, size_t at,
                                                   const char *what)
{
    (void)nilai_fault_malformed(reading->reject, what, at);
    return 0;
}

__attribute__((cold, noinline)) static size_t fail_value(const struct reading *reading, size_t at)
{
    const uint8_t *bytes = reading->bytes;
    return fail(reading, at,
                nilai_msgpack_fault(bytes + at, bytes + reading->size) == NILAI_INVALID
                    ? "not MessagePack: no value starts so"
                    : "a value is cut short, or declares more than remains");
}

/* One value, or the header of a container. */
static inline size_t take(const struct reading *reading, size_t at, struct nilai_value *value)
{
    const uint8_t *bytes = reading->bytes;
    const uint8_t *next = nilai_msgpack_take(bytes + at, bytes + reading->size, value);
    return NILAI_LIKELY(next != NULL) ? (size_t)(next - bytes) : fail_value(reading, at);
}

/* Skips `left` values that stand in a container of depth `top`, with all that is in them.
 * `outer` keeps, for each level around, the values still to come there. */
static size_t skip(const struct reading *reading, size_t at, uint64_t left, uint32_t top)
{
    const uint8_t *bytes = reading->bytes;
    size_t end = reading->size;
    uint64_t outer[NILAI_EVENT_DEPTH_MAX + 1];
    uint32_t level = top;

    for (;;) {
        size_t size = 0;
        for (; left > 0; left--, at += size) {
            size = NILAI_LIKELY(at < end) ? nilai_msgpack_sizes[bytes[at]] : 0;
            if (size == 0 || NILAI_UNLIKELY(size > end - at))
                break;
        }
        if (left == 0) {
            if (level == top)
                return at;
            left = outer[--level];
            continue;
        }
        struct nilai_value value;
        size_t next = take(reading, at, &value);
        if (NILAI_UNLIKELY(next == 0))
            return 0;
        left--;
        if (nilai_value_is_container(&value)) {
            if (NILAI_UNLIKELY(level == NILAI_EVENT_DEPTH_MAX))
                return fail(reading, at, "nested deeper than 8");
            outer[level++] = left;
            left = nilai_msgpack_children(&value);
        }
        at = next;
    }
}

/* The elements of an array that stands in the top map; it is told of each. */
static size_t take_elements(const struct reading *reading, size_t at, struct nilai_value *array)
{
    enum { DEPTH = 3 }; /* of what is in an element */
    for (uint32_t nth = 0; nth < array->count; nth++) {
        struct nilai_value element;
        at = take(reading, at, &element);
        if (NILAI_UNLIKELY(at == 0))
            return 0;
        nilai_value_note_element(array, nth, &element);
        if (nilai_value_is_container(&element))
            at = skip(reading, at, nilai_msgpack_children(&element), DEPTH);
        if (NILAI_UNLIKELY(at == 0))
            return 0;
    }
    return at;
}

__attribute__((noinline)) static size_t take_other_value(const struct reading *reading, size_t at,
                                                         struct nilai_value *value)
{
    at = take(reading, at, value);
    if (NILAI_UNLIKELY(at == 0))
        return 0;
    if (value->kind == NILAI_VALUE_ARRAY)
        return take_elements(reading, at, value);
    if (value->kind == NILAI_VALUE_MAP)
        return skip(reading, at, nilai_msgpack_children(value), 2);
    if (value->kind == NILAI_VALUE_EXTENSION) {
        bool bad;
        if (!nilai_msgpack_read_time(value, &bad) && bad) {
            value->kind = NILAI_VALUE_TIME;
            value->integer = NILAI_TIME_BAD;
        }
    }
    return at;
}

/* The values that events are made of: short strings, small integers, doubles, and unsigned
 * integers, as timestamps are. 0: another one, or one too near the end. */
static inline size_t take_common_value(const uint8_t *bytes, size_t size, size_t at,
                                       struct nilai_value *value)
{
    if (NILAI_UNLIKELY(at == size))
        return 0;
    uint32_t first = bytes[at++];
    uint32_t length = first - 0xa0;
    if (length < 0x20) {
        value->kind = NILAI_VALUE_TEXT;
        value->text = (struct nilai_text){(const char *)bytes + at, length};
        return NILAI_LIKELY(at + length <= size) ? at + length : 0;
    }
    if (first <= 0x7f) {
        value->kind = NILAI_VALUE_INTEGER;
        value->integer = first;
        return at;
    }
    if (at + sizeof(uint64_t) > size)
        return 0;
    uint64_t bits = nilai_msgpack_load(bytes + at, sizeof bits);
    if (first == 0xcb) {
        value->kind = NILAI_VALUE_REAL;
        memcpy(&value->real, &bits, sizeof bits);
        return at + sizeof bits;
    }
    if (first == 0xcf && NILAI_LIKELY(bits <= INT64_MAX)) {
        value->kind = NILAI_VALUE_INTEGER;
        value->integer = (int64_t)bits;
        return at + sizeof bits;
    }
    uint32_t exponent = first - 0xcc;
    if (exponent < 3) {
        uint32_t width = UINT32_C(1) << exponent;
        value->kind = NILAI_VALUE_INTEGER;
        value->integer = (int64_t)(bits >> (64 - 8 * width));
        return at + width;
    }
    return 0;
}

/* A value of the top map, whole. `bytes` and `size` are the reading's, in registers. */
static inline size_t take_value(const struct reading *reading, const uint8_t *bytes, size_t size,
                                size_t at, struct nilai_value *value)
{
    value->position = (uint32_t)at;
    size_t next = take_common_value(bytes, size, at, value);
    return NILAI_LIKELY(next != 0) ? next : take_other_value(reading, at, value);
}

struct found {
    enum nilai_field field;
    size_t at; /* its value; after it, if the field is not known: NILAI_FIELDS */
};

/* A key that was not guessed; if it names a field, that is what will be guessed after `last`.
 * Keys may be of any kind; those that are no string name no field of ours. */
__attribute__((noinline)) static struct found
find_key(const struct reading *reading, size_t at, struct nilai_order *order, enum nilai_field last)
{
    struct nilai_value key;
    enum nilai_field field = NILAI_FIELDS;
    at = take_value(reading, reading->bytes, reading->size, at, &key);
    if (at != 0 && key.kind == NILAI_VALUE_TEXT)
        field = nilai_field_find(reading->index, key.text.data, key.text.size);
    if (field != NILAI_FIELDS)
        order->next[last] = (uint8_t)field;
    else if (at != 0)
        at = skip(reading, at, 1, 1);
    return (struct found){field, at};
}

/* `bytes` reach as far as the key does. */
static inline bool is_key(const struct nilai_field_key *key, const uint8_t *bytes)
{
    uint64_t head, tail;
    memcpy(&head, bytes, sizeof head);
    if (((head ^ key->head) & key->mask) != 0)
        return false;
    if (key->size <= sizeof head)
        return true;
    memcpy(&tail, bytes + key->size - sizeof tail, sizeof tail);
    return tail == key->tail;
}

/* All pairs of the top map.
 *
 * Producers write their fields in one order: the next one is guessed, and comparing it is
 * much less than searching it. More than that, where the value starts then follows from the
 * name, which the processor knows long before it has loaded the key's own length.
 * What has been seen is in registers: in memory, each pair would wait for the one before. */
static size_t take_pairs(const struct reading *reading, size_t at, uint32_t pairs,
                         struct nilai_order *order)
{
    const struct nilai_field_key *keys = reading->index->keys;
    const uint8_t *bytes = reading->bytes;
    const size_t size = reading->size;
    struct nilai_fields *fields = reading->fields;
    uint32_t present = 0;
    enum nilai_field last = NILAI_FIELDS; /* that is known */
    fields->twice = 0;
    for (; pairs > 0; pairs--) {
        enum nilai_field field = order->next[last];
        if (NILAI_LIKELY(at + keys[field].reach <= size && is_key(&keys[field], bytes + at))) {
            at += keys[field].size;
        } else {
            struct found found = find_key(reading, at, order, last);
            if (NILAI_UNLIKELY(found.at == 0))
                return 0;
            field = found.field;
            at = found.at;
            if (field == NILAI_FIELDS)
                continue;
        }
        if (NILAI_UNLIKELY((present & keys[field].bit) != 0))
            fields->twice |= keys[field].bit;
        present |= keys[field].bit;
        at = take_value(reading, bytes, size, at, &fields->values[field]);
        if (NILAI_UNLIKELY(at == 0))
            return 0;
        last = field;
    }
    fields->present = present;
    return at;
}

/* Most events have as many pairs as the one before. That is asked first, so that the processor
 * goes on with that order before it has loaded how many there are. */
static struct nilai_order *choose_order(struct nilai_fields *fields, uint32_t pairs)
{
    struct nilai_order *order = &fields->orders[fields->order];
    if (order->pairs != pairs) {
        fields->order = pairs % NILAI_ORDERS;
        order = &fields->orders[fields->order];
        order->pairs = pairs;
    }
    return order;
}

/* The header of the top map. */
static inline size_t take_top(const struct reading *reading, uint32_t *pairs)
{
    struct nilai_value top;
    size_t at = take(reading, 0, &top);
    if (NILAI_UNLIKELY(at == 0))
        return 0;
    if (NILAI_UNLIKELY(top.kind != NILAI_VALUE_MAP))
        return fail(reading, 0, "not a map");
    *pairs = top.count;
    return at;
}

bool nilai_read_msgpack(const struct nilai_field_index *index, const uint8_t *bytes, size_t size,
                        struct nilai_fields *fields, struct nilai_reject *reject)
{
    NILAI_ASSERT(size <= NILAI_EVENT_SIZE_MAX);
    const struct reading reading = {bytes, size, index, fields, reject};
    uint32_t pairs = 0;
    size_t at = take_top(&reading, &pairs);
    if (NILAI_LIKELY(at != 0))
        at = take_pairs(&reading, at, pairs, choose_order(fields, pairs));
    if (NILAI_UNLIKELY(at == 0))
        return false;
    if (NILAI_UNLIKELY(at != size))
        return nilai_fault_malformed(reject, "more than one value", at);
    return true;
}

enum nilai_status nilai_msgpack_span(const void *bytes, size_t size, size_t *span)
{
    const uint8_t *at = bytes, *end = at + size;
    uint64_t left = 1;
    while (left > 0) {
        /* Each value takes a byte at least, which also keeps the counter far from its end. */
        if (left > (size_t)(end - at))
            return NILAI_AGAIN;
        struct nilai_value value;
        const uint8_t *next = nilai_msgpack_take(at, end, &value);
        if (next == NULL)
            return nilai_msgpack_fault(at, end);
        left--;
        if (nilai_value_is_container(&value))
            left += nilai_msgpack_children(&value);
        at = next;
    }
    *span = (size_t)(at - (const uint8_t *)bytes);
    return NILAI_OK;
}
