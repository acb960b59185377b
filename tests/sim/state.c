#include "state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_OF(record, first, last)                                       \
    (const char *)(record) + offsetof(__typeof__(*(record)), first),        \
        offsetof(__typeof__(*(record)), last) - offsetof(__typeof__(*(record)), first)

static bool same_bytes(const char *a, size_t size, const char *b, size_t b_size)
{
    return size == b_size && memcmp(a, b, size) == 0;
}

/* Everything but padding and wake_s, a lower bound that depends on when one looked. */
static bool same_customer(const struct nilai_customer *a, const struct nilai_customer *b)
{
    return a->last_event_ms == b->last_event_ms && a->current_ms == b->current_ms
           && same_bytes(BYTES_OF(a, amounts, rhythm.bought), BYTES_OF(b, amounts, rhythm.bought))
           && a->rhythm.bought == b->rhythm.bought
           && same_bytes(BYTES_OF(a, ring, recent_ids), BYTES_OF(b, ring, recent_ids))
           && memcmp(a->recent_ids, b->recent_ids, sizeof a->recent_ids) == 0 && a->seq == b->seq
           && a->recent_next == b->recent_next && a->recent_count == b->recent_count
           && memcmp(&a->standing, &b->standing, sizeof a->standing) == 0;
}

static bool same_ticket(const struct nilai_followed *a, const struct nilai_followed *b)
{
    return a->id_hash == b->id_hash && a->since_ms == b->since_ms && a->kind == b->kind
           && a->open == b->open && a->counted == b->counted;
}

static bool same_service(const struct nilai_service *a, const struct nilai_service *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    bool same = same_bytes(BYTES_OF(a, signals, tickets), BYTES_OF(b, signals, tickets))
                && memcmp(&a->answers_sum, &b->answers_sum, sizeof a->answers_sum) == 0
                && memcmp(&a->drift, &b->drift, sizeof a->drift) == 0 && a->answers == b->answers
                && a->ticket_count == b->ticket_count;
    for (uint32_t index = 0; same && index < a->ticket_count; index++)
        same = same_ticket(&a->tickets[index], &b->tickets[index]);
    return same;
}

static void compare_customer(const struct nilai_table *actual, uint32_t number,
                             const struct nilai_table *expected, const char *what)
{
    struct nilai_text id = nilai_table_id(actual, number);
    uint32_t other;
    if (nilai_table_find(expected, nilai_table_hash(expected, id), id, &other) != NILAI_OK)
        sim_fail("%s: %.*s ought not to be known", what, (int)id.size, id.data);
    const struct nilai_customer *a = nilai_table_customer(actual, number);
    const struct nilai_customer *b = nilai_table_customer(expected, other);
    struct nilai_service one, two;
    bool first = nilai_table_service(actual, number, &one);
    bool second = nilai_table_service(expected, other, &two);
    if (!same_customer(a, b) || !same_service(first ? &one : NULL, second ? &two : NULL))
        sim_fail("%s: %.*s is not what it was: seq %u, not %u; last event %" PRId64
                 ", not %" PRId64 "; amounts %" PRId64 ", not %" PRId64,
                 what, (int)id.size, id.data, a->seq, b->seq, a->last_event_ms, b->last_event_ms,
                 a->amounts, b->amounts);
}

static uint64_t compare_tables(const struct nilai_table *actual, const struct nilai_table *expected,
                               const char *what)
{
    uint64_t count = 0;
    for (uint32_t number = 0; number < nilai_table_numbers(actual); number++) {
        if (!nilai_table_is_live(actual, number))
            continue;
        compare_customer(actual, number, expected, what);
        count++;
    }
    return count;
}

/* --- Erasures ------------------------------------------------------------------------------ */

struct erasure {
    struct nilai_hash_wide hash;
    int64_t ts_ms, clock_ms;
};

struct erasures {
    struct erasure *list;
    size_t count, room;
};

static void keep_erasure(void *context, struct nilai_hash_wide hash, int64_t ts_ms,
                         int64_t clock_ms)
{
    struct erasures *erasures = context;
    if (erasures->count == erasures->room) {
        erasures->room = 2 * erasures->room + 16;
        erasures->list = reallocarray(erasures->list, erasures->room, sizeof *erasures->list);
        SIM_CHECK(erasures->list != NULL);
    }
    erasures->list[erasures->count++] = (struct erasure){hash, ts_ms, clock_ms};
}

static int by_hash(const void *left, const void *right)
{
    const struct erasure *a = left, *b = right;
    if (a->hash.high != b->hash.high)
        return a->hash.high < b->hash.high ? -1 : 1;
    return (a->hash.low > b->hash.low) - (a->hash.low < b->hash.low);
}

static struct erasures read_erasures(const struct nilai_partition *partition, int64_t clock_ms)
{
    struct erasures erasures = {0};
    for (uint32_t bucket = 0; bucket < NILAI_ERASED_BUCKETS; bucket++)
        nilai_erased_visit(nilai_partition_erased(partition), clock_ms, bucket, keep_erasure,
                           &erasures);
    if (erasures.count > 0)
        qsort(erasures.list, erasures.count, sizeof *erasures.list, by_hash);
    return erasures;
}

static void compare_erasures(const struct nilai_partition *actual,
                             const struct nilai_partition *expected, const char *what)
{
    int64_t clock_ms = nilai_partition_clock_ms(expected);
    struct erasures a = read_erasures(actual, clock_ms), b = read_erasures(expected, clock_ms);
    if (a.count != b.count)
        sim_fail("%s: %zu erasures are remembered, not %zu", what, a.count, b.count);
    for (size_t index = 0; index < a.count; index++) {
        if (by_hash(&a.list[index], &b.list[index]) != 0
            || a.list[index].ts_ms != b.list[index].ts_ms
            || a.list[index].clock_ms != b.list[index].clock_ms)
            sim_fail("%s: an erasure is remembered otherwise", what);
    }
    free(a.list);
    free(b.list);
}

void sim_compare_states(const struct nilai_partition *actual,
                        const struct nilai_partition *expected, const char *what)
{
    struct nilai_table_stats stats;
    nilai_table_stats(nilai_partition_table(expected), &stats);
    uint64_t count = compare_tables(nilai_partition_table(actual), nilai_partition_table(expected),
                                    what);
    if (count != stats.customers)
        sim_fail("%s: %" PRIu64 " customers, not %" PRIu64, what, count, stats.customers);
    compare_erasures(actual, expected, what);
}
