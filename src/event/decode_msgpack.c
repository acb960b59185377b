#include "nilai/event/cursor.h"
#include "nilai/event/reader.h"

/* The bytes of one event; what does not change while it is read. */
struct reading {
    const uint8_t *start;
    const uint8_t *end;
    const struct nilai_field_index *index;
    struct nilai_fields *fields;
    struct nilai_reject *reject;
};

__attribute__((cold, noinline)) static const uint8_t *
fail(const struct reading *reading, const uint8_t *at, const char *what)
{
    (void)nilai_reject_malformed(reading->reject, what, (size_t)(at - reading->start));
    return NULL;
}

__attribute__((cold, noinline)) static const uint8_t *
fail_value(const struct reading *reading, const uint8_t *at)
{
    return fail(reading, at, nilai_msgpack_fault(at, reading->end) == NILAI_INVALID
                                 ? "not MessagePack: no value starts so"
                                 : "a value is cut short, or declares more than remains");
}

/* Walks over all that is in `container`, which stands in the top map; an array is told of its
 * elements. `outer` keeps, for each level around, the values still to come there. */
static const uint8_t *walk(const struct reading *reading, const uint8_t *at, struct nilai_value *container)
{
    enum { LEVEL_FIRST = 2 };
    uint64_t outer[NILAI_EVENT_DEPTH_MAX + 1];
    uint64_t left = nilai_msgpack_children(container);
    uint32_t level = LEVEL_FIRST, nth = 0;
    bool is_array = container->kind == NILAI_VALUE_ARRAY;

    for (;;) {
        if (left == 0) {
            if (level == LEVEL_FIRST)
                return at;
            left = outer[--level];
            continue;
        }
        left--;
        bool noted = is_array && level == LEVEL_FIRST;
        if (NILAI_UNLIKELY(at == reading->end))
            return fail_value(reading, at);
        size_t size = nilai_msgpack_sizes[*at];
        if (!noted && size != 0 && size <= (size_t)(reading->end - at)) {
            at += size;
            continue;
        }
        struct nilai_value value;
        const uint8_t *next = nilai_msgpack_take(at, reading->end, &value);
        if (NILAI_UNLIKELY(next == NULL))
            return fail_value(reading, at);
        if (noted)
            nilai_value_note_element(container, nth++, &value);
        if (nilai_value_is_container(&value)) {
            if (NILAI_UNLIKELY(level == NILAI_EVENT_DEPTH_MAX))
                return fail(reading, at, "nested deeper than 8");
            outer[level++] = left;
            left = nilai_msgpack_children(&value);
        }
        at = next;
    }
}

/* A value of the top map, whole. */
static inline const uint8_t *take_value(const struct reading *reading, const uint8_t *at,
                                        struct nilai_value *value)
{
    const uint8_t *next = nilai_msgpack_take(at, reading->end, value);
    if (NILAI_UNLIKELY(next == NULL))
        return fail_value(reading, at);
    value->position = (uint32_t)(at - reading->start);
    if (nilai_value_is_container(value))
        return walk(reading, next, value);
    if (NILAI_UNLIKELY(value->kind == NILAI_VALUE_EXTENSION)) {
        bool bad;
        if (!nilai_msgpack_read_time(value, &bad) && bad) {
            value->kind = NILAI_VALUE_TIME;
            value->integer = NILAI_TIME_BAD;
        }
    }
    return next;
}

/* Keys may be of any kind; those that are no string name no field of ours. */
__attribute__((noinline)) static const uint8_t *
take_other_key(const struct reading *reading, const uint8_t *at, enum nilai_field *field)
{
    struct nilai_value key;
    *field = NILAI_FIELDS;
    at = take_value(reading, at, &key);
    if (at != NULL && key.kind == NILAI_VALUE_TEXT)
        *field = nilai_field_find(reading->index, key.text.data, key.text.size);
    return at;
}

/* All our names are short: their first byte is a0 and the length. */
static inline const uint8_t *take_key(const struct reading *reading, const uint8_t *at,
                                      enum nilai_field *field)
{
    if (NILAI_LIKELY(at < reading->end && (*at & 0xe0) == 0xa0)) {
        size_t size = *at & 0x1f;
        if (NILAI_LIKELY(size < (size_t)(reading->end - at))) {
            *field = nilai_field_find(reading->index, (const char *)at + 1, size);
            return at + 1 + size;
        }
    }
    return take_other_key(reading, at, field);
}

__attribute__((noinline)) static const uint8_t *
skip_value(const struct reading *reading, const uint8_t *at)
{
    struct nilai_value ignored;
    return take_value(reading, at, &ignored);
}

static inline const uint8_t *take_pair(const struct reading *reading, const uint8_t *at)
{
    enum nilai_field field;
    at = take_key(reading, at, &field);
    if (NILAI_UNLIKELY(at == NULL))
        return NULL;
    if (field == NILAI_FIELDS)
        return skip_value(reading, at);
    struct nilai_fields *fields = reading->fields;
    uint32_t bit = UINT32_C(1) << field;
    fields->twice |= fields->present & bit;
    fields->present |= bit;
    return take_value(reading, at, &fields->values[field]);
}

bool nilai_read_msgpack(const struct nilai_field_index *index, const uint8_t *bytes, size_t size,
                        struct nilai_fields *fields, struct nilai_reject *reject)
{
    NILAI_ASSERT(size <= NILAI_EVENT_SIZE_MAX);
    const struct reading reading = {bytes, bytes + size, index, fields, reject};
    struct nilai_value top;
    fields->present = 0;
    fields->twice = 0;

    const uint8_t *at = nilai_msgpack_take(bytes, reading.end, &top);
    if (at == NULL)
        return fail_value(&reading, bytes);
    if (top.kind != NILAI_VALUE_MAP)
        return nilai_reject_malformed(reject, "not a map", 0);
    for (uint32_t pair = 0; pair < top.count; pair++) {
        at = take_pair(&reading, at);
        if (NILAI_UNLIKELY(at == NULL))
            return false;
    }
    if (at != reading.end)
        return nilai_reject_malformed(reject, "more than one value", (size_t)(at - bytes));
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
