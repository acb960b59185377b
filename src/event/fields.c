#include "nilai/event/fields.h"

#include <assert.h>

static_assert(NILAI_FIELDS <= 32, "a field is a bit of 32");
static_assert(NILAI_FIELDS * NILAI_CHOICES_MAX <= NILAI_NAME_NONE,
              "every choice has a number of its own");

enum {
    ALL = (1 << NILAI_EVENT_TYPES) - 1,
    P = 1 << NILAI_PURCHASE,
    R = 1 << NILAI_REFUND,
    T = 1 << NILAI_TICKET,
    S = 1 << NILAI_SURVEY,
};

#define NAMES(names) .choices = (names), .choice_count = NILAI_ARRAY_LEN(names)

const struct nilai_field_row nilai_field_rows[NILAI_FIELDS] = {
    [NILAI_FIELD_ID] = {"id", ALL, ALL, NILAI_RULE_TEXT, NULL, 0},
    [NILAI_FIELD_TYPE] = {"type", ALL, ALL, NILAI_RULE_CHOICE, NAMES(nilai_event_type_names)},
    [NILAI_FIELD_CUSTOMER] = {"customer", ALL, ALL, NILAI_RULE_TEXT, NULL, 0},
    [NILAI_FIELD_TS] = {"ts", ALL, ALL, NILAI_RULE_TIME, NULL, 0},
    [NILAI_FIELD_AMOUNT] = {"amount", P | R, P | R, NILAI_RULE_MONEY, NULL, 0},
    [NILAI_FIELD_CURRENCY] = {"currency", P | R, 0, NILAI_RULE_CURRENCY, NULL, 0},
    [NILAI_FIELD_COST] = {"cost", P, 0, NILAI_RULE_MONEY, NULL, 0},
    [NILAI_FIELD_DISCOUNT] = {"discount", P, 0, NILAI_RULE_MONEY, NULL, 0},
    [NILAI_FIELD_ORDER] = {"order", P | R, 0, NILAI_RULE_LABEL, NULL, 0},
    [NILAI_FIELD_TICKET] = {"ticket", T, T, NILAI_RULE_TEXT, NULL, 0},
    [NILAI_FIELD_STATUS] = {"status", T, T, NILAI_RULE_CHOICE, NAMES(nilai_ticket_status_names)},
    [NILAI_FIELD_KIND] = {"kind", T, 0, NILAI_RULE_CHOICE, NAMES(nilai_ticket_kind_names)},
    [NILAI_FIELD_HANDLE_S] = {"handle_s", T, 0, NILAI_RULE_SECONDS, NULL, 0},
    [NILAI_FIELD_OPENED_TS] = {"opened_ts", T, 0, NILAI_RULE_TIME, NULL, 0},
    [NILAI_FIELD_CHANNEL] = {"channel", P | T, 0, NILAI_RULE_LABEL, NULL, 0},
    [NILAI_FIELD_CATEGORY] = {"category", P, 0, NILAI_RULE_LABEL, NULL, 0},
    [NILAI_FIELD_ITEMS] = {"items", P, 0, NILAI_RULE_MAPS, NULL, 0},
    [NILAI_FIELD_REFERRER] = {"referrer", P, 0, NILAI_RULE_TEXT, NULL, 0},
    [NILAI_FIELD_METRIC] = {"metric", S, S, NILAI_RULE_CHOICE, NAMES(nilai_metric_names)},
    [NILAI_FIELD_SCORE] = {"score", S, S, NILAI_RULE_SCORE, NULL, 0},
    [NILAI_FIELD_SCALE] = {"scale", S, 0, NILAI_RULE_SCALE, NULL, 0},
    [NILAI_FIELD_FACTOR] = {"factor", T | S, 0, NILAI_RULE_CHOICE, NAMES(nilai_factor_names)},
};

/* The fields that count for a type; without one, those that all types have. */
static uint32_t mask_of(uint32_t type, bool required)
{
    uint32_t types = type == NILAI_EVENT_TYPES ? ALL : UINT32_C(1) << type;
    uint32_t mask = 0;
    for (uint32_t field = 0; field < NILAI_FIELDS; field++) {
        const struct nilai_field_row *row = &nilai_field_rows[field];
        if (((required ? row->required : row->types) & types) == types)
            mask |= UINT32_C(1) << field;
    }
    return mask;
}

/* Its first and its last eight bytes are all of it. */
static struct nilai_field_key key_of(enum nilai_field field)
{
    enum { WORD = sizeof(uint64_t) };
    char key[2 * WORD];
    size_t size = 1 + strlen(nilai_field_rows[field].name);
    NILAI_ASSERT(size > 1 && size <= sizeof key);
    key[0] = (char)(0xa0 | (size - 1));
    memcpy(key + 1, nilai_field_rows[field].name, size - 1);
    return (struct nilai_field_key){
        .head = nilai_name_word(key, size),
        .mask = size < WORD ? (UINT64_C(1) << 8 * size) - 1 : UINT64_MAX,
        .tail = size > WORD ? nilai_name_tail(key, size) : 0,
        .bit = UINT32_C(1) << field,
        .size = (uint8_t)size,
        .reach = (uint8_t)(size < WORD ? WORD : size),
    };
}

static void add_names(struct nilai_field_index *index, enum nilai_field field)
{
    const struct nilai_field_row *row = &nilai_field_rows[field];
    NILAI_ASSERT(row->choice_count <= NILAI_CHOICES_MAX);
    index->keys[field] = key_of(field);
    nilai_names_add(&index->fields, nilai_name_of(row->name, field));
    for (uint32_t choice = 0; choice < row->choice_count; choice++)
        if (row->choices[choice] != NULL)
            nilai_names_add(&index->choices,
                            nilai_name_of(row->choices[choice], nilai_field_choice(field, choice)));
}

void nilai_field_index_init(struct nilai_field_index *index)
{
    nilai_names_init(&index->fields);
    nilai_names_init(&index->choices);
    for (uint32_t field = 0; field < NILAI_FIELDS; field++)
        add_names(index, (enum nilai_field)field);
    for (uint32_t type = 0; type <= NILAI_EVENT_TYPES; type++) {
        index->fields_of[type] = mask_of(type, false);
        index->required_of[type] = mask_of(type, true);
    }
}
