#include "nilai/event/name.h"

#include <assert.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a word holds its first byte lowest");

enum { SLOTS = 1 << NILAI_NAME_SLOT_BITS };

struct nilai_name nilai_name_of(const char *text, uint32_t number)
{
    size_t size = strlen(text);
    NILAI_ASSERT(size > 0 && size <= NILAI_NAME_SIZE_MAX && number < NILAI_NAME_NONE);
    return (struct nilai_name){
        .word = nilai_name_word(text, size),
        .tail = size > sizeof(uint64_t) ? nilai_name_tail(text, size) : 0,
        .size = (uint32_t)size,
        .number = number,
    };
}

static void clear(struct nilai_names *names)
{
    for (uint32_t i = 0; i < SLOTS; i++)
        names->slots[i] = (struct nilai_name){.size = UINT32_MAX, .number = NILAI_NAME_NONE};
}

void nilai_names_init(struct nilai_names *names)
{
    names->multiplier = UINT64_C(0x9e3779b97f4a7c15);
    clear(names);
}

static bool is_empty(const struct nilai_name *slot)
{
    return slot->size == UINT32_MAX;
}

/* True if each name found a slot of its own. */
static bool place_all(struct nilai_names *names, const struct nilai_name *list, uint32_t count)
{
    clear(names);
    for (uint32_t i = 0; i < count; i++) {
        struct nilai_name *slot = &names->slots[nilai_names_slot(names->multiplier, list[i].word)];
        if (!is_empty(slot))
            return false;
        *slot = list[i];
    }
    return true;
}

/* Two names whose first eight bytes are the same never find two slots: that is a bug of ours,
 * as are too many names. */
void nilai_names_add(struct nilai_names *names, struct nilai_name name)
{
    enum { TRIES_MAX = 1000000 }; /* a hundred are needed for 25 names in 64 slots */
    struct nilai_name list[SLOTS];
    uint32_t count = 0, tries = 0;
    for (uint32_t i = 0; i < SLOTS; i++)
        if (!is_empty(&names->slots[i]))
            list[count++] = names->slots[i];
    NILAI_ASSERT(count < SLOTS);
    list[count++] = name;
    while (!place_all(names, list, count)) {
        NILAI_ASSERT(++tries < TRIES_MAX);
        names->multiplier = names->multiplier * UINT64_C(0x5851f42d4c957f2d) + 2;
    }
}
