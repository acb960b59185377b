/*
 * fields.h - the fields of an event: one table, what a reader notes of them, one check.
 *
 * A reader (MessagePack or JSON) notes kind, value and position of every known field of the
 * top map, also of those that the event's type does not have: `type` may come last. It
 * judges nothing but whether the whole is well formed. The check then finds the first fault
 * in the order of precedence (reject.h; within a class the order of the table), or fills
 * the event.
 */
#ifndef NILAI_EVENT_FIELDS_H
#define NILAI_EVENT_FIELDS_H

#include "nilai/event/decode.h"
#include "nilai/event/name.h"

/* In the order in which faults are looked for. It is the documented order of the fields of
 * each of the types at once: `channel` comes after a purchase's `order` and after a ticket's
 * `opened_ts`. */
enum nilai_field {
    NILAI_FIELD_ID,
    NILAI_FIELD_TYPE,
    NILAI_FIELD_CUSTOMER,
    NILAI_FIELD_TS,
    NILAI_FIELD_AMOUNT,
    NILAI_FIELD_CURRENCY,
    NILAI_FIELD_COST,
    NILAI_FIELD_DISCOUNT,
    NILAI_FIELD_ORDER,
    NILAI_FIELD_TICKET,
    NILAI_FIELD_STATUS,
    NILAI_FIELD_KIND,
    NILAI_FIELD_HANDLE_S,
    NILAI_FIELD_OPENED_TS,
    NILAI_FIELD_CHANNEL,
    NILAI_FIELD_CATEGORY,
    NILAI_FIELD_ITEMS,
    NILAI_FIELD_REFERRER,
    NILAI_FIELD_METRIC,
    NILAI_FIELD_SCORE,
    NILAI_FIELD_SCALE,
    NILAI_FIELD_FACTOR,
    NILAI_FIELDS, /* also: no known field */
};

/* What a value must be. */
enum nilai_rule {
    NILAI_RULE_TEXT,   /* 1 to 64 bytes of UTF-8 */
    NILAI_RULE_LABEL,  /* 0 to 64 bytes of UTF-8 */
    NILAI_RULE_CHOICE, /* one of the row's names */
    NILAI_RULE_TIME,   /* integer ms or a timestamp */
    NILAI_RULE_MONEY,  /* number or decimal string */
    NILAI_RULE_CURRENCY,
    NILAI_RULE_SECONDS, /* number, 0 to 1e9 */
    NILAI_RULE_SCORE,   /* number within the scale */
    NILAI_RULE_SCALE,   /* array of two numbers */
    NILAI_RULE_MAPS,    /* array of maps */
    NILAI_RULES,
};

struct nilai_field_row {
    const char *name;
    uint32_t types;    /* bit t: events of type t have this field */
    uint32_t required; /* bit t: and must have it */
    enum nilai_rule rule;
    const char *const *choices; /* NILAI_RULE_CHOICE: names, [0] may be NULL (no name) */
    uint32_t choice_count;
};

enum { NILAI_CHOICES_MAX = 8 }; /* of one field */

extern const struct nilai_field_row nilai_field_rows[NILAI_FIELDS];

/* Integers, reals and so on stand together: see nilai_value_is_number. */
enum nilai_value_kind {
    NILAI_VALUE_NULL,
    NILAI_VALUE_BOOL,
    NILAI_VALUE_INTEGER,     /* within int64 */
    NILAI_VALUE_BIG_INTEGER, /* an integer beyond int64 */
    NILAI_VALUE_REAL,
    NILAI_VALUE_TEXT,
    NILAI_VALUE_BINARY,
    NILAI_VALUE_ARRAY,
    NILAI_VALUE_MAP,
    NILAI_VALUE_TIME, /* a timestamp: `integer` is ms, NILAI_TIME_BAD if it is none */
    NILAI_VALUE_EXTENSION,
    NILAI_VALUE_KINDS,
};

#define NILAI_TIME_BAD INT64_C(-1) /* before 1970, or more than 999999999 nanoseconds */

struct nilai_value {
    uint8_t kind;      /* enum nilai_value_kind */
    int8_t extension;  /* EXTENSION: its type */
    bool all_maps;     /* ARRAY: every element is a map */
    bool all_numbers;  /* ARRAY: every element is a number */
    uint32_t position; /* of the value's first byte */
    uint32_t count;    /* ARRAY: elements, MAP: pairs */
    union {
        int64_t integer; /* BOOL (0, 1), INTEGER, TIME */
        struct {
            double real;      /* REAL, BIG_INTEGER */
            uint64_t natural; /* BIG_INTEGER of MessagePack */
        };
        struct nilai_text text; /* TEXT, BINARY, EXTENSION */
        double ends[2];         /* ARRAY with all_numbers: the first two */
    };
};

enum { NILAI_ORDERS = 16 };

/* The order in which known fields came in the last event of so many pairs; such events are mostly
 * of one type. Only a guess: zeros at first, and kept from event to event. */
struct nilai_order {
    uint32_t pairs;
    uint8_t next[NILAI_FIELDS + 1]; /* the field that came after each, [NILAI_FIELDS]: first */
};

struct nilai_fields {
    uint32_t present; /* bit f: field f is there */
    uint32_t twice;   /* bit f: more than once; the value is the last one's */
    struct nilai_value values[NILAI_FIELDS]; /* means something where `present` has the bit */
    struct nilai_order orders[NILAI_ORDERS]; /* by pairs % NILAI_ORDERS */
    uint32_t order;                          /* of the event before */
};

static inline bool nilai_value_is_number(const struct nilai_value *value)
{
    return value->kind >= NILAI_VALUE_INTEGER && value->kind <= NILAI_VALUE_REAL;
}

static inline bool nilai_value_is_container(const struct nilai_value *value)
{
    return value->kind == NILAI_VALUE_ARRAY || value->kind == NILAI_VALUE_MAP;
}

static inline double nilai_value_number(const struct nilai_value *value)
{
    return value->kind == NILAI_VALUE_INTEGER ? (double)value->integer : value->real;
}

/* An array is told of its elements in their order, `nth` from 0. */
static inline void nilai_value_note_element(struct nilai_value *array, uint32_t nth,
                                            const struct nilai_value *element)
{
    if (element->kind != NILAI_VALUE_MAP)
        array->all_maps = false;
    if (!nilai_value_is_number(element))
        array->all_numbers = false;
    else if (nth < NILAI_ARRAY_LEN(array->ends))
        array->ends[nth] = nilai_value_number(element);
}

/* The name of a field as a key of MessagePack: a byte with its length, then its bytes. */
struct nilai_field_key {
    uint64_t head; /* the first eight bytes; zeros after the end */
    uint64_t mask; /* of eight bytes: the bits that are the key's */
    uint64_t tail; /* the last eight, if there are more than eight */
    uint32_t bit;  /* of the field */
    uint8_t size;
    uint8_t reach; /* bytes that are looked at to compare eight and all the key */
};

/* What follows from the table, made once. */
struct nilai_field_index {
    struct nilai_names fields;
    struct nilai_field_key keys[NILAI_FIELDS]; /* by field */
    struct nilai_names choices;                /* of all fields: see nilai_field_choice */
    /* By type, bit f: field f. [NILAI_EVENT_TYPES], the type that we do not know, has only
     * the fields of all types. */
    uint32_t fields_of[NILAI_EVENT_TYPES + 1];
    uint32_t required_of[NILAI_EVENT_TYPES + 1];
};

void nilai_field_index_init(struct nilai_field_index *index);

/* NILAI_FIELDS if there is no field of that name. */
static inline enum nilai_field nilai_field_find(const struct nilai_field_index *index,
                                                const char *name, size_t size)
{
    uint32_t number = nilai_names_find(&index->fields, name, size);
    return number == NILAI_NAME_NONE ? NILAI_FIELDS : (enum nilai_field)number;
}

/* No two fields have a choice of the same name, so that one search answers for all. */
static inline uint32_t nilai_field_choice(enum nilai_field field, uint32_t choice)
{
    return (uint32_t)field * NILAI_CHOICES_MAX + choice;
}

/* The number of the name among the field's choices; NILAI_CHOICES_MAX if it is none of them. */
static inline uint32_t nilai_field_find_choice(const struct nilai_field_index *index,
                                               enum nilai_field field, struct nilai_text name)
{
    uint32_t choice =
        nilai_names_find(&index->choices, name.data, name.size) - nilai_field_choice(field, 0);
    return choice < NILAI_CHOICES_MAX ? choice : NILAI_CHOICES_MAX;
}

/* The classes duplicate-field to unknown-currency. True: `event` is filled. */
NILAI_MUST_CHECK bool nilai_fields_check(const struct nilai_fields *fields,
                                         const struct nilai_field_index *index,
                                         const struct nilai_decode_rules *rules,
                                         struct nilai_event *event, struct nilai_reject *reject);

#endif
