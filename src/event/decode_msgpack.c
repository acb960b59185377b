#include "nilai/event/cursor.h"
#include "nilai/event/fault.h"
#include "nilai/event/reader.h"

/* The bytes of one event; what does not change while it is read. */
struct reading {
    const uint8_t *start;
    const uint8_t *end;
    const struct nilai_field_index *index;
    struct nilai_fields *fields;
    struct nilai_reject *reject;
};

__attribute__((cold, noinline)) static const uint8_t *fail(const struct reading *reading,
                                                           const uint8_t *at, const char *what)
{
    (void)nilai_fault_malformed(reading->reject, what, (size_t)(at - reading->start));
    return NULL;
}

__attribute__((cold, noinline)) static const uint8_t *fail_value(const struct reading *reading,
                                                                 const uint8_t *at)
{
    return fail(reading, at,
                nilai_msgpack_fault(at, reading->end) == NILAI_INVALID
                    ? "not MessagePack: no value starts so"
                    : "a value is cut short, or declares more than remains");
}

/* Skips `left` values that stand in a container of depth `top`, with all that is in them.
 * `outer` keeps, for each level around, the values still to come there. */
static const uint8_t *skip(const struct reading *reading, const uint8_t *at, uint64_t left,
                           uint32_t top)
{
    const uint8_t *end = reading->end;
    uint64_t outer[NILAI_EVENT_DEPTH_MAX + 1];
    uint32_t level = top;

    for (;;) {
        size_t size = 0;
        for (; left > 0; left--, at += size) {
            size = NILAI_LIKELY(at < end) ? nilai_msgpack_sizes[*at] : 0;
            if (size == 0 || NILAI_UNLIKELY(size > (size_t)(end - at)))
                break;
        }
        if (left == 0) {
            if (level == top)
                return at;
            left = outer[--level];
            continue;
        }
        struct nilai_value value;
        const uint8_t *next = nilai_msgpack_take(at, end, &value);
        if (NILAI_UNLIKELY(next == NULL))
            return fail_value(reading, at);
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
static const uint8_t *take_elements(const struct reading *reading, const uint8_t *at,
                                    struct nilai_value *array)
{
    enum { DEPTH = 3 }; /* of what is in an element */
    for (uint32_t nth = 0; nth < array->count; nth++) {
        struct nilai_value element;
        const uint8_t *next = nilai_msgpack_take(at, reading->end, &element);
        if (NILAI_UNLIKELY(next == NULL))
            return fail_value(reading, at);
        nilai_value_note_element(array, nth, &element);
        at = next;
        if (nilai_value_is_container(&element))
            at = skip(reading, at, nilai_msgpack_children(&element), DEPTH);
        if (NILAI_UNLIKELY(at == NULL))
            return NULL;
    }
    return at;
}

static const uint8_t *take_other_value(const struct reading *reading, const uint8_t *at,
                                       struct nilai_value *value)
{
    const uint8_t *next = nilai_msgpack_take(at, reading->end, value);
    if (NILAI_UNLIKELY(next == NULL))
        return fail_value(reading, at);
    if (value->kind == NILAI_VALUE_ARRAY)
        return take_elements(reading, next, value);
    if (value->kind == NILAI_VALUE_MAP)
        return skip(reading, next, nilai_msgpack_children(value), 2);
    if (value->kind == NILAI_VALUE_EXTENSION) {
        bool bad;
        if (!nilai_msgpack_read_time(value, &bad) && bad) {
            value->kind = NILAI_VALUE_TIME;
            value->integer = NILAI_TIME_BAD;
        }
    }
    return next;
}

/* A value of the top map, whole. */
static inline const uint8_t *take_value(const struct reading *reading, const uint8_t *at,
                                        struct nilai_value *value)
{
    value->position = (uint32_t)(at - reading->start);
    const uint8_t *next = nilai_msgpack_take_common(at, reading->end, value);
    return next != NULL ? next : take_other_value(reading, at, value);
}

/* Keys may be of any kind; those that are no string name no field of ours. */
__attribute__((noinline)) static const uint8_t *
take_any_key(const struct reading *reading, const uint8_t *at, enum nilai_field *field)
{
    struct nilai_value key;
    at = take_value(reading, at, &key);
    *field = NILAI_FIELDS;
    if (at != NULL && key.kind == NILAI_VALUE_TEXT)
        *field = nilai_field_find(reading->index, key.text.data, key.text.size);
    return at;
}

/* NULL if the key is not that name, or if it stands too near the end for comparing words. */
static inline const uint8_t *take_guessed_key(const struct reading *reading, const uint8_t *at,
                                              const struct nilai_name *name)
{
    const char *text = (const char *)at + 1;
    uint64_t word;
    if (NILAI_UNLIKELY(reading->end - at <= name->reach))
        return NULL;
    memcpy(&word, text, sizeof word);
    if (*at != (0xa0 | name->size) || (word & name->mask) != name->word
        || !nilai_name_has_rest(name, text, name->size))
        return NULL;
    return at + 1 + name->size;
}

/* All pairs of the top map.
 *
 * Producers write their fields in one order: the next one is guessed, and comparing it is
 * much less than searching it. More than that, where the value starts then follows from the
 * name, which the processor knows long before it has loaded the key's own length.
 * What has been seen is in registers: in memory, each pair would wait for the one before. */
static const uint8_t *take_pairs(const struct reading *reading, const uint8_t *at, uint32_t count)
{
    struct nilai_fields *fields = reading->fields;
    uint32_t present = 0, twice = 0;
    enum nilai_field last = NILAI_FIELDS;
    for (; count > 0; count--) {
        enum nilai_field field = fields->next[last];
        const uint8_t *value = take_guessed_key(reading, at, &reading->index->names[field]);
        if (NILAI_UNLIKELY(value == NULL)) {
            value = take_any_key(reading, at, &field);
            if (NILAI_UNLIKELY(value == NULL))
                return NULL;
            if (field != NILAI_FIELDS)
                fields->next[last] = (uint8_t)field;
        }
        if (NILAI_UNLIKELY(field == NILAI_FIELDS)) {
            at = skip(reading, value, 1, 1);
        } else {
            twice |= present & UINT32_C(1) << field;
            present |= UINT32_C(1) << field;
            at = take_value(reading, value, &fields->values[field]);
        }
        if (NILAI_UNLIKELY(at == NULL))
            return NULL;
        last = field;
    }
    fields->present = present;
    fields->twice = twice;
    return at;
}

bool nilai_read_msgpack(const struct nilai_field_index *index, const uint8_t *bytes, size_t size,
                        struct nilai_fields *fields, struct nilai_reject *reject)
{
    NILAI_ASSERT(size <= NILAI_EVENT_SIZE_MAX);
    const struct reading reading = {bytes, bytes + size, index, fields, reject};
    struct nilai_value top;

    const uint8_t *at = nilai_msgpack_take(bytes, reading.end, &top);
    if (at == NULL)
        return fail_value(&reading, bytes);
    if (top.kind != NILAI_VALUE_MAP)
        return nilai_fault_malformed(reject, "not a map", 0);
    at = take_pairs(&reading, at, top.count);
    if (NILAI_UNLIKELY(at == NULL))
        return false;
    if (at != reading.end)
        return nilai_fault_malformed(reject, "more than one value", (size_t)(at - bytes));
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
