/*
 * Three wheels of slots, each slot a list of records:
 *
 *     wheel       slots   width of a slot     reach
 *     seconds      1024   1 s                 17 minutes
 *     quarters    65536   1024 s              2.1 years
 *     years        4096   2^26 s              beyond the year 9999
 *
 * A timer goes into the finest wheel that reaches it. When now enters a slot, its list becomes the
 * due list of that wheel, whole and at once; from there the timers are taken one by one, and those
 * whose second has not come move to a finer wheel. Now goes no further before the due lists are
 * empty. The middle wheel is wide on purpose: ten million timers spread over three months are some
 * 1300 to a slot. But seconds are not all alike: the slot of a midnight holds a good part of all
 * customers, which is why moving is work that can be left off and gone on with.
 *
 * Arming later than before leaves the timer where it is, and writes only the new time: the
 * old slot, when its time comes, sends the timer on. Nearly every event arms later, and this
 * way it touches one line of memory instead of three or four.
 *
 * Always true, of a timer on a wheel: its slot begins after now, less than a wheel's length
 * away, and at or before the timer's second. Those in the due lists wait to be popped or moved.
 */
#include "nilai/state/timers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/base/prefetch.h"

#define SECOND_MAX INT64_C(253402300799) /* the last of the year 9999 */

enum {
    SECONDS_LOG2 = 10,
    QUARTERS_LOG2 = 16,
    YEARS_LOG2 = 12,
    SLOTS_MAX = 1 << QUARTERS_LOG2,
    WHEELS = 3,
    CHUNK_LOG2 = 13,
    CHUNK_NUMBERS = 1 << CHUNK_LOG2,
    WORD_BITS = 64,
    MOVES_MAX = 32, /* timers moved in one popping */
    WORDS_MAX = SLOTS_MAX / WORD_BITS,
    SUMMARY_MAX = WORDS_MAX / WORD_BITS,
};

static_assert(SECOND_MAX >> (SECONDS_LOG2 + QUARTERS_LOG2) < 1 << YEARS_LOG2,
              "the years reach to the last second");

/* Where a list begins: one for each slot of the wheels, in a row, and a due list for each wheel, of
 * which the first also takes what is armed when it is due already. */
enum {
    HEADS_SECONDS = 0,
    HEADS_QUARTERS = HEADS_SECONDS + (1 << SECONDS_LOG2),
    HEADS_YEARS = HEADS_QUARTERS + (1 << QUARTERS_LOG2),
    HEADS_DUE = HEADS_YEARS + (1 << YEARS_LOG2),
    HEADS = HEADS_DUE + WHEELS,
};

/* A record's place in its list: 13 bytes, as there is one for every customer. Numbers and
 * seconds are kept + 1, so that memory of zeros says "none". */
struct __attribute__((packed)) link {
    uint32_t next;
    uint32_t previous; /* with FROM_HEAD: the head that leads here */
    uint32_t second_low;
    uint8_t second_high;
};

static_assert(sizeof(struct link) == 13, "as small as drawn");

#define FROM_HEAD (UINT32_C(1) << 31)

struct wheel {
    uint32_t first_head;
    uint32_t slots_log2;
    uint32_t shift;                /* log2 of the width of a slot in seconds */
    uint64_t summary[SUMMARY_MAX]; /* bit w: words[w] is not 0 */
    uint64_t words[WORDS_MAX];     /* bit s: the list of slot s is not empty */
};

struct nilai_timers {
    int64_t now_s;
    uint32_t numbers; /* there is room for those below */
    uint32_t chunk_count, chunk_room;
    struct link **chunks;
    struct wheel wheels[WHEELS]; /* finest first */
    uint32_t heads[HEADS];       /* number + 1 */
};

/* ---- links ---- */

static struct link *link_of(const struct nilai_timers *timers, uint32_t number)
{
    return &timers->chunks[number >> CHUNK_LOG2][number % CHUNK_NUMBERS];
}

static bool is_armed(const struct link *link)
{
    return (link->second_low | link->second_high) != 0;
}

static int64_t second_of(const struct link *link)
{
    return ((int64_t)link->second_high << 32 | link->second_low) - 1;
}

static void set_second(struct link *link, int64_t second)
{
    NILAI_ASSERT(second >= 0 && second <= SECOND_MAX);
    link->second_low = (uint32_t)(second + 1);
    link->second_high = (uint8_t)((second + 1) >> 32);
}

/* ---- which slots are not empty ---- */

static void mark(struct wheel *wheel, uint32_t slot)
{
    uint32_t word = slot / WORD_BITS;
    wheel->words[word] |= UINT64_C(1) << slot % WORD_BITS;
    wheel->summary[word / WORD_BITS] |= UINT64_C(1) << word % WORD_BITS;
}

static void unmark(struct wheel *wheel, uint32_t slot)
{
    uint32_t word = slot / WORD_BITS;
    wheel->words[word] &= ~(UINT64_C(1) << slot % WORD_BITS);
    if (wheel->words[word] == 0)
        wheel->summary[word / WORD_BITS] &= ~(UINT64_C(1) << word % WORD_BITS);
}

/* The first bit at or after `from` in `bits`, or `count`. */
static uint32_t first_bit(const uint64_t *bits, uint32_t count, uint32_t from)
{
    while (from < count) {
        uint64_t rest = bits[from / WORD_BITS] >> from % WORD_BITS;
        if (rest != 0)
            return from + (uint32_t)__builtin_ctzll(rest);
        from = (from / WORD_BITS + 1) * WORD_BITS;
    }
    return count;
}

/* The first marked slot at or after `from`, or the number of slots. */
static uint32_t first_slot(const struct wheel *wheel, uint32_t from)
{
    uint32_t slots = UINT32_C(1) << wheel->slots_log2, word = from / WORD_BITS;

    if (from >= slots)
        return slots;
    uint64_t rest = wheel->words[word] >> from % WORD_BITS;
    if (rest != 0)
        return from + (uint32_t)__builtin_ctzll(rest);
    word = first_bit(wheel->summary, slots / WORD_BITS, word + 1);
    if (word == slots / WORD_BITS)
        return slots;
    return word * WORD_BITS + (uint32_t)__builtin_ctzll(wheel->words[word]);
}

/* The second at which the first marked slot after now begins; INT64_MAX: none is marked. */
static int64_t first_start(const struct wheel *wheel, int64_t now_s)
{
    uint32_t slots = UINT32_C(1) << wheel->slots_log2;
    int64_t position = now_s >> wheel->shift;
    uint32_t here = (uint32_t)(position % slots);
    uint32_t slot = first_slot(wheel, here + 1);

    if (slot == slots) {
        slot = first_slot(wheel, 0); /* around the end */
        if (slot == slots)
            return INT64_MAX;
    }
    NILAI_ASSERT(slot != here);
    return (position + (slot - here) % slots) << wheel->shift;
}

/* ---- lists ---- */

static struct wheel *wheel_of_head(struct nilai_timers *timers, uint32_t head)
{
    return &timers->wheels[(head >= HEADS_QUARTERS) + (head >= HEADS_YEARS)];
}

static void push(struct nilai_timers *timers, uint32_t head, uint32_t number)
{
    struct link *link = link_of(timers, number);
    uint32_t next = timers->heads[head];

    link->next = next;
    link->previous = FROM_HEAD | head;
    if (next != 0) {
        link_of(timers, next - 1)->previous = number + 1;
    } else if (head < HEADS_DUE) {
        struct wheel *wheel = wheel_of_head(timers, head);
        mark(wheel, head - wheel->first_head);
    }
    timers->heads[head] = number + 1;
}

static void unlink_number(struct nilai_timers *timers, uint32_t number)
{
    struct link *link = link_of(timers, number);

    if (link->next != 0)
        link_of(timers, link->next - 1)->previous = link->previous;
    if ((link->previous & FROM_HEAD) == 0) {
        link_of(timers, link->previous - 1)->next = link->next;
        return;
    }
    uint32_t head = link->previous & ~FROM_HEAD;
    NILAI_ASSERT(timers->heads[head] == number + 1);
    timers->heads[head] = link->next;
    if (link->next == 0 && head < HEADS_DUE) {
        struct wheel *wheel = wheel_of_head(timers, head);
        unmark(wheel, head - wheel->first_head);
    }
}

static uint32_t slot_of(const struct wheel *wheel, int64_t second)
{
    return (uint32_t)((second >> wheel->shift) % (INT64_C(1) << wheel->slots_log2));
}

static bool reaches(const struct wheel *wheel, int64_t now_s, int64_t second)
{
    int64_t slots = INT64_C(1) << wheel->slots_log2;
    return (second >> wheel->shift) - (now_s >> wheel->shift) < slots;
}

/* The head of the list in which a timer for `second` belongs. */
static uint32_t choose_head(const struct nilai_timers *timers, int64_t second)
{
    if (second <= timers->now_s)
        return HEADS_DUE;
    const struct wheel *wheel = timers->wheels;
    while (!reaches(wheel, timers->now_s, second)) {
        wheel++;
        NILAI_ASSERT(wheel < timers->wheels + WHEELS);
    }
    return wheel->first_head + slot_of(wheel, second);
}

/* ---- creating ---- */

struct nilai_timers *nilai_timers_create(void)
{
    static const uint32_t first_heads[WHEELS] = {HEADS_SECONDS, HEADS_QUARTERS, HEADS_YEARS};
    static const uint32_t slots_log2[WHEELS] = {SECONDS_LOG2, QUARTERS_LOG2, YEARS_LOG2};
    struct nilai_timers *timers = calloc(1, sizeof *timers);
    uint32_t shift = 0;

    if (timers == NULL)
        return NULL;
    for (int i = 0; i < WHEELS; i++) {
        timers->wheels[i].first_head = first_heads[i];
        timers->wheels[i].slots_log2 = slots_log2[i];
        timers->wheels[i].shift = shift;
        shift += slots_log2[i];
    }
    return timers;
}

void nilai_timers_destroy(struct nilai_timers *timers)
{
    if (timers == NULL)
        return;
    for (uint32_t i = 0; i < timers->chunk_count; i++)
        free(timers->chunks[i]);
    free(timers->chunks);
    free(timers);
}

/* The list of chunks is copied when it grows: eight bytes for 8192 numbers. */
static enum nilai_status add_chunk(struct nilai_timers *timers)
{
    if (timers->chunk_count == timers->chunk_room) {
        uint32_t room = timers->chunk_room == 0 ? 16 : timers->chunk_room * 2;
        struct link **chunks = realloc(timers->chunks, room * sizeof *chunks);
        if (chunks == NULL)
            return NILAI_NO_MEMORY;
        timers->chunks = chunks;
        timers->chunk_room = room;
    }
    struct link *chunk = calloc(CHUNK_NUMBERS, sizeof *chunk);
    if (chunk == NULL)
        return NILAI_NO_MEMORY;
    timers->chunks[timers->chunk_count++] = chunk;
    timers->numbers += CHUNK_NUMBERS;
    return NILAI_OK;
}

enum nilai_status nilai_timers_reserve(struct nilai_timers *timers, uint32_t numbers)
{
    NILAI_ASSERT(numbers <= FROM_HEAD - CHUNK_NUMBERS);

    while (timers->numbers < numbers) {
        enum nilai_status status = add_chunk(timers);
        if (status != NILAI_OK)
            return status;
    }
    return NILAI_OK;
}

/* ---- arming ---- */

void nilai_timers_arm(struct nilai_timers *timers, uint32_t number, int64_t second)
{
    NILAI_ASSERT(number < timers->numbers);

    struct link *link = link_of(timers, number);
    bool stays = is_armed(link) && second >= second_of(link);
    if (stays) {
        set_second(link, second);
        return;
    }
    if (is_armed(link))
        unlink_number(timers, number);
    set_second(link, second < 0 ? 0 : second);
    push(timers, choose_head(timers, second), number);
}

static void disarm(struct nilai_timers *timers, uint32_t number)
{
    unlink_number(timers, number);
    *link_of(timers, number) = (struct link){0};
}

void nilai_timers_cancel(struct nilai_timers *timers, uint32_t number)
{
    NILAI_ASSERT(number < timers->numbers);

    if (is_armed(link_of(timers, number)))
        disarm(timers, number);
}

void nilai_timers_prefetch(const struct nilai_timers *timers, uint32_t number)
{
    nilai_prefetch(link_of(timers, number), sizeof(struct link));
}

int64_t nilai_timers_armed_at(const struct nilai_timers *timers, uint32_t number)
{
    NILAI_ASSERT(number < timers->numbers);

    const struct link *link = link_of(timers, number);
    return is_armed(link) ? second_of(link) : INT64_MAX;
}

/* ---- expiring ---- */

/* The head of a due list that is not empty, or HEADS. */
static uint32_t due_head(const struct nilai_timers *timers)
{
    uint32_t head = HEADS_DUE;
    while (head < HEADS && timers->heads[head] == 0)
        head++;
    return head;
}

/* NILAI_MISSING: all due lists are empty. */
static enum nilai_status pop_lists(struct nilai_timers *timers, uint32_t *number)
{
    uint32_t head;
    for (int moves = 0; (head = due_head(timers)) < HEADS; moves++) {
        if (moves == MOVES_MAX)
            return NILAI_BUSY;
        *number = timers->heads[head] - 1;
        int64_t second = second_of(link_of(timers, *number));
        if (second <= timers->now_s) {
            disarm(timers, *number);
            return NILAI_OK;
        }
        unlink_number(timers, *number);
        push(timers, choose_head(timers, second), *number);
    }
    return NILAI_MISSING;
}

/* Where the first slot begins that is not empty, on any wheel. */
static int64_t next_start(const struct nilai_timers *timers)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < WHEELS; i++) {
        int64_t start = first_start(&timers->wheels[i], timers->now_s);
        if (start < next)
            next = start;
    }
    return next;
}

/* Gives a slot's list to the due list of its wheel, which is empty. */
static void make_due(struct nilai_timers *timers, uint32_t from, uint32_t to)
{
    uint32_t first = timers->heads[from];
    NILAI_ASSERT(timers->heads[to] == 0);
    if (first == 0)
        return;
    struct wheel *wheel = wheel_of_head(timers, from);
    unmark(wheel, from - wheel->first_head);
    timers->heads[from] = 0;
    timers->heads[to] = first;
    link_of(timers, first - 1)->previous = FROM_HEAD | to;
}

/* What moves from a due list goes into slots after now, so the order does not matter. */
static void enter(struct nilai_timers *timers, int64_t second)
{
    NILAI_ASSERT(second > timers->now_s);

    timers->now_s = second;
    for (int i = 0; i < WHEELS; i++) {
        const struct wheel *wheel = &timers->wheels[i];
        if (second % (INT64_C(1) << wheel->shift) == 0)
            make_due(timers, wheel->first_head + slot_of(wheel, second), HEADS_DUE + (uint32_t)i);
    }
}

enum nilai_status nilai_timers_pop_due(struct nilai_timers *timers, int64_t now_s, uint32_t *number)
{
    enum nilai_status status;
    NILAI_ASSERT(now_s >= timers->now_s && now_s <= SECOND_MAX);

    while ((status = pop_lists(timers, number)) == NILAI_MISSING) {
        int64_t next = next_start(timers);
        if (next > now_s) {
            timers->now_s = now_s;
            break;
        }
        enter(timers, next);
    }
    return status;
}

int64_t nilai_timers_next_s(const struct nilai_timers *timers)
{
    return due_head(timers) < HEADS ? timers->now_s : next_start(timers);
}

uint64_t nilai_timers_memory_bytes(const struct nilai_timers *timers)
{
    return sizeof *timers + timers->chunk_room * sizeof *timers->chunks
           + (uint64_t)timers->chunk_count * CHUNK_NUMBERS * sizeof(struct link);
}

/* ---- what is always true ---- */

/* Walks one list; returns its length. */
static uint64_t validate_list(const struct nilai_timers *timers, uint32_t head, int64_t start)
{
    uint32_t previous = FROM_HEAD | head;
    uint64_t count = 0;

    for (uint32_t next = timers->heads[head]; next != 0;) {
        NILAI_ASSERT(next - 1 < timers->numbers);
        const struct link *link = link_of(timers, next - 1);
        NILAI_ASSERT(link->previous == previous);
        NILAI_ASSERT(is_armed(link) && second_of(link) >= start);
        previous = next;
        next = link->next;
        count++;
    }
    return count;
}

static uint64_t validate_wheel(const struct nilai_timers *timers, const struct wheel *wheel)
{
    int64_t slots = INT64_C(1) << wheel->slots_log2;
    int64_t here = timers->now_s >> wheel->shift;
    uint64_t count = 0;

    for (int64_t ahead = 0; ahead < slots; ahead++) {
        uint32_t slot = (uint32_t)((here + ahead) % slots);
        uint32_t head = wheel->first_head + slot;
        bool marked = wheel->words[slot / WORD_BITS] >> slot % WORD_BITS & 1;
        NILAI_ASSERT(marked == (timers->heads[head] != 0));
        NILAI_ASSERT(!marked || ahead > 0);
        count += validate_list(timers, head, (here + ahead) << wheel->shift);
    }
    for (uint32_t word = 0; word < WORDS_MAX; word++) {
        bool marked = wheel->summary[word / WORD_BITS] >> word % WORD_BITS & 1;
        NILAI_ASSERT(marked == (wheel->words[word] != 0));
    }
    return count;
}

void nilai_timers_validate(const struct nilai_timers *timers)
{
    uint64_t listed = 0, armed = 0;

    for (uint32_t head = HEADS_DUE; head < HEADS; head++)
        listed += validate_list(timers, head, 0);
    for (int i = 0; i < WHEELS; i++)
        listed += validate_wheel(timers, &timers->wheels[i]);
    for (uint32_t number = 0; number < timers->numbers; number++)
        armed += is_armed(link_of(timers, number));
    NILAI_ASSERT(listed == armed);
}
