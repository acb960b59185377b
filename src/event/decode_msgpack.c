#include "nilai/event/cursor.h"
#include "nilai/event/reader.h"

static bool fail(const struct nilai_cursor *cursor, enum nilai_status status, struct nilai_reject *reject)
{
    size_t position = (size_t)(cursor->at - cursor->start);
    if (status == NILAI_AGAIN)
        return nilai_reject_malformed(reject, "it is cut short, or declares more than remains", position);
    return nilai_reject_malformed(reject, "not MessagePack", position);
}

static uint64_t children(const struct nilai_value *container)
{
    return container->kind == NILAI_VALUE_MAP ? 2 * (uint64_t)container->count : container->count;
}

/* Walks over all that is in `container`, which stands in the top map; an array is told of its
 * elements. `left` counts, for each level, the values still to come. */
static bool walk(struct nilai_cursor *cursor, struct nilai_value *container, struct nilai_reject *reject)
{
    enum { LEVEL_FIRST = 2 };
    uint64_t left[NILAI_EVENT_DEPTH_MAX + 1];
    uint32_t level = LEVEL_FIRST, nth = 0;

    left[level] = children(container);
    while (level >= LEVEL_FIRST) {
        if (left[level] == 0) {
            level--;
            continue;
        }
        left[level]--;
        struct nilai_value value;
        enum nilai_status status = nilai_cursor_take(cursor, &value);
        if (status != NILAI_OK)
            return fail(cursor, status, reject);
        if (level == LEVEL_FIRST && container->kind == NILAI_VALUE_ARRAY)
            nilai_value_note_element(container, nth++, &value);
        if (nilai_value_is_container(&value)) {
            if (level == NILAI_EVENT_DEPTH_MAX)
                return nilai_reject_malformed(reject, "nested deeper than 8", value.position);
            left[++level] = children(&value);
        }
    }
    return true;
}

/* A value of the top map, whole. */
static bool take_value(struct nilai_cursor *cursor, struct nilai_value *value, struct nilai_reject *reject)
{
    enum nilai_status status = nilai_cursor_take(cursor, value);
    if (NILAI_UNLIKELY(status != NILAI_OK))
        return fail(cursor, status, reject);
    if (nilai_value_is_container(value))
        return walk(cursor, value, reject);
    if (NILAI_UNLIKELY(value->kind == NILAI_VALUE_EXTENSION)) {
        bool bad;
        if (!nilai_cursor_read_time(value, &bad) && bad) {
            value->kind = NILAI_VALUE_TIME;
            value->integer = NILAI_TIME_BAD;
        }
    }
    return true;
}

/* Keys may be of any kind; those that are no string name no field of ours. */
static bool take_pair(struct nilai_cursor *cursor, const struct nilai_field_index *index,
                      struct nilai_fields *fields, struct nilai_reject *reject)
{
    struct nilai_value key, ignored;
    if (!take_value(cursor, &key, reject))
        return false;
    enum nilai_field field = NILAI_FIELDS;
    if (NILAI_LIKELY(key.kind == NILAI_VALUE_TEXT))
        field = nilai_field_find(index, key.text.data, key.text.size);
    if (field == NILAI_FIELDS)
        return take_value(cursor, &ignored, reject);

    uint32_t bit = UINT32_C(1) << field;
    fields->twice |= fields->present & bit;
    fields->present |= bit;
    return take_value(cursor, &fields->values[field], reject);
}

bool nilai_read_msgpack(const struct nilai_field_index *index, const uint8_t *bytes, size_t size,
                        struct nilai_fields *fields, struct nilai_reject *reject)
{
    NILAI_ASSERT(size <= NILAI_EVENT_SIZE_MAX);
    struct nilai_cursor cursor = {.start = bytes, .at = bytes, .end = bytes + size};
    struct nilai_value top;
    fields->present = 0;
    fields->twice = 0;

    enum nilai_status status = nilai_cursor_take(&cursor, &top);
    if (status != NILAI_OK)
        return fail(&cursor, status, reject);
    if (top.kind != NILAI_VALUE_MAP)
        return nilai_reject_malformed(reject, "not a map", 0);
    for (uint32_t pair = 0; pair < top.count; pair++)
        if (!take_pair(&cursor, index, fields, reject))
            return false;
    if (cursor.at != cursor.end)
        return nilai_reject_malformed(reject, "more than one value", (size_t)(cursor.at - bytes));
    return true;
}

enum nilai_status nilai_msgpack_span(const void *bytes, size_t size, size_t *span)
{
    struct nilai_cursor cursor = {.start = bytes, .at = bytes, .end = (const uint8_t *)bytes + size};
    uint64_t left = 1;
    while (left > 0) {
        /* Each value takes a byte at least, which also keeps the counter far from its end. */
        if (left > nilai_cursor_left(&cursor))
            return NILAI_AGAIN;
        struct nilai_value value;
        enum nilai_status status = nilai_cursor_take(&cursor, &value);
        if (status != NILAI_OK)
            return status;
        left--;
        if (nilai_value_is_container(&value))
            left += children(&value);
    }
    *span = (size_t)(cursor.at - cursor.start);
    return NILAI_OK;
}
