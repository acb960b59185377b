/*
 * bench_table - what the table of customers and the timers cost at a million and at ten.
 *
 *     bench_table [--quick]
 *
 * Customers have ids of 16 bytes; every fourth has a service record; all have a timer. What is
 * timed: adding them one by one, with the longest single addition; finding, copying, changing
 * and storing random ones, without prefetch and with it in batches; reading random ones as
 * another thread would; moving timers, and running through three months of them.
 * Every run checks what it found. Numbers are the median of the rounds, with the spread, in
 * CPU time of the thread, so that a neighbour on the machine counts little; the longest single
 * steps are in wall time.
 */
#include <sys/resource.h>

#include "bench.h"
#include "nilai/state/table.h"
#include "nilai/state/timers.h"

enum {
    ID_BYTES = 16,
    ROUNDS = 5,
    BATCH_MAX = 32,
    SLOW_NS = 100 * 1000,
    DAY_S = 86400,
    START_S = 1790000000,
    SPAN_S = 90 * DAY_S,
};

struct bench {
    struct nilai_table *table;
    struct nilai_timers *timers;
    uint32_t customers, steps;
    uint32_t *order;   /* whom each step is about */
    uint64_t *changes; /* how often each was changed */
};

static struct nilai_text id_of(char text[static ID_BYTES + 1], uint32_t i)
{
    for (int k = ID_BYTES - 1; k >= 0; k--, i /= 10)
        text[k] = (char)('0' + i % 10);
    return (struct nilai_text){text, ID_BYTES};
}

/* ---- reporting ---- */

/* Single steps that took long. When the system gave the processor to somebody else in the
 * middle, that is counted apart: it is no pause of ours. */
struct pauses {
    uint64_t longest_ns, slow, interrupted;
    long switches;
};

static long involuntary_switches(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

static void pauses_note(struct pauses *pauses, uint64_t ns)
{
    if (ns >= SLOW_NS) {
        long switches = involuntary_switches();
        if (switches != pauses->switches) {
            pauses->switches = switches;
            pauses->interrupted++;
            return;
        }
        pauses->slow++;
    }
    if (ns > pauses->longest_ns)
        pauses->longest_ns = ns;
}

static void pauses_report(const struct pauses *pauses, const char *what)
{
    printf("  %-46s %9.1f us  (%" PRIu64 " of 100 us or more; %" PRIu64 " interrupted)\n", what,
           (double)pauses->longest_ns / 1e3, pauses->slow, pauses->interrupted);
}

/* ---- adding ---- */

static void add_one(struct bench *bench, uint32_t i)
{
    char text[ID_BYTES + 1];
    struct nilai_text id = id_of(text, i);
    uint32_t number;

    bench_must(nilai_table_insert(bench->table, nilai_table_hash(bench->table, id), id, &number)
                   == NILAI_OK,
               "a customer is added");
    bench_must(nilai_timers_reserve(bench->timers, number + 1) == NILAI_OK,
               "there is room for a timer");
    nilai_timers_arm(bench->timers, number, START_S + (int64_t)(i * UINT64_C(2654435761) % SPAN_S));
    if (i % 4 == 0)
        bench_must(nilai_table_add_service(bench->table, number) == NILAI_OK,
                   "a service record is added");
}

static void bench_add(struct bench *bench)
{
    struct pauses pauses = {.switches = involuntary_switches()};
    uint64_t start_ns = nilai_clock_thread_cpu_ns(), last_ns = nilai_clock_monotonic_ns();
    struct nilai_table_stats stats;
    uint64_t worst_bytes = 0;

    for (uint32_t i = 0; i < bench->customers; i++) {
        add_one(bench, i);
        uint64_t now_ns = nilai_clock_monotonic_ns();
        pauses_note(&pauses, now_ns - last_ns);
        last_ns = now_ns;
        if (i % 1024 == 0) { /* the more often, the fewer pauses are blamed on the system */
            pauses.switches = involuntary_switches();
            last_ns = nilai_clock_monotonic_ns();
        }
        if (i >= bench->customers / 10 && i % 65536 == 0) {
            nilai_table_stats(bench->table, &stats);
            uint64_t bytes =
                (stats.memory_bytes + nilai_timers_memory_bytes(bench->timers)) / (i + 1);
            worst_bytes = bytes > worst_bytes ? bytes : worst_bytes;
        }
    }
    printf("  %-46s %9.1f ns\n", "add customer, service (1 of 4), timer",
           (double)(nilai_clock_thread_cpu_ns() - start_ns) / bench->customers);
    pauses_report(&pauses, "longest of them");
    nilai_table_stats(bench->table, &stats);
    bench_must(stats.customers == bench->customers, "all customers are there");
    printf("  %-46s %9.1f     (worst on the way from a tenth: %" PRIu64 ")\n",
           "bytes a customer, table and timers",
           (double)(stats.memory_bytes + nilai_timers_memory_bytes(bench->timers))
               / bench->customers,
           worst_bytes);
}

/* ---- changing ---- */

static void change(struct bench *bench, uint32_t whom, struct nilai_text id, uint64_t hash)
{
    struct nilai_customer customer;
    uint32_t number;

    bench_must(nilai_table_find(bench->table, hash, id, &number) == NILAI_OK,
               "a customer is found");
    customer = *nilai_table_customer(bench->table, number);
    bench_must((uint64_t)customer.amounts == bench->changes[whom],
               "a customer has all their changes");
    customer.amounts++;
    customer.last_event_ms += 1000;
    customer.recent_ids[customer.recent_next] = hash;
    customer.recent_next = (uint8_t)((customer.recent_next + 1) % NILAI_RECENT_IDS);
    nilai_table_store(bench->table, number, &customer, NULL);
    bench->changes[whom]++;
}

/* Every stage of a batch asks for memory that the next one needs. */
static void change_batch(struct bench *bench, const uint32_t *whom, uint32_t count, bool prefetch)
{
    static char texts[BATCH_MAX][ID_BYTES + 1];
    struct nilai_text ids[BATCH_MAX];
    uint64_t hashes[BATCH_MAX];
    uint32_t number;

    for (uint32_t i = 0; i < count; i++) {
        ids[i] = id_of(texts[i], whom[i]);
        hashes[i] = nilai_table_hash(bench->table, ids[i]);
        if (prefetch)
            nilai_table_prefetch_index(bench->table, hashes[i]);
        __builtin_prefetch(&bench->changes[whom[i]]); /* the bench's own book must not count */
    }
    for (uint32_t i = 0; prefetch && i < count; i++)
        (void)nilai_table_prefetch_record(bench->table, hashes[i], &number);
    for (uint32_t i = 0; i < count; i++)
        change(bench, whom[i], ids[i], hashes[i]);
}

static void bench_change(struct bench *bench, uint32_t batch, bool prefetch, const char *what)
{
    double ns[ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start_ns = nilai_clock_thread_cpu_ns();
        for (uint32_t i = 0; i + batch <= bench->steps; i += batch)
            change_batch(bench, &bench->order[i], batch, prefetch);
        ns[round] = (double)(nilai_clock_thread_cpu_ns() - start_ns) / bench->steps;
    }
    bench_report(what, ns, ROUNDS, "ns");
}

static void bench_read(struct bench *bench)
{
    double ns[ROUNDS];
    struct nilai_customer customer;
    struct nilai_service service;
    char text[ID_BYTES + 1];
    bool has_service;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start_ns = nilai_clock_thread_cpu_ns();
        for (uint32_t i = 0; i < bench->steps; i++) {
            uint32_t whom = bench->order[i];
            enum nilai_status status = nilai_table_read(bench->table, id_of(text, whom), &customer,
                                                        &service, &has_service);
            bench_must(status == NILAI_OK && (uint64_t)customer.amounts == bench->changes[whom],
                       "a reader sees all changes");
            bench_must(has_service == (whom % 4 == 0), "and the service record");
        }
        ns[round] = (double)(nilai_clock_thread_cpu_ns() - start_ns) / bench->steps;
    }
    bench_report("read (as another thread)", ns, ROUNDS, "ns");
}

/* ---- timers ---- */

static void bench_rearm(struct bench *bench, bool later, const char *what)
{
    double ns[ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start_ns = nilai_clock_thread_cpu_ns();
        for (uint32_t i = 0; i < bench->steps; i++) {
            uint32_t number = bench->order[i];
            int64_t second = nilai_timers_armed_at(bench->timers, number);
            nilai_timers_arm(bench->timers, number, later ? second + DAY_S : second - DAY_S);
        }
        ns[round] = (double)(nilai_clock_thread_cpu_ns() - start_ns) / bench->steps;
    }
    bench_report(what, ns, ROUNDS, "ns");
}

/* One due timer, however many have to be moved before. */
static bool take_due(struct nilai_timers *timers, int64_t second, uint32_t *number)
{
    enum nilai_status status;
    do
        status = nilai_timers_pop_due(timers, second, number);
    while (status == NILAI_BUSY);
    return status == NILAI_OK;
}

/* The clock goes on second by second, as it does in service; most of them expire nothing when
 * there are few customers, so the seconds are what is counted. */
static void bench_expire(struct bench *bench)
{
    struct pauses pauses = {.switches = involuntary_switches()};
    const int64_t first_s = START_S - 60 * DAY_S, last_s = START_S + SPAN_S + 60 * DAY_S;
    uint64_t start_ns = nilai_clock_thread_cpu_ns(), expired = 0;
    uint32_t number;

    for (int64_t now_s = first_s; now_s <= last_s; now_s++) {
        uint64_t before_ns = nilai_clock_monotonic_ns();
        while (take_due(bench->timers, now_s, &number))
            expired++;
        pauses_note(&pauses, nilai_clock_monotonic_ns() - before_ns);
        if (now_s % 1024 == 0)
            pauses.switches = involuntary_switches();
    }
    bench_must(expired == bench->customers, "all timers expire");
    printf("  %-46s %9.1f ns  (%.2f timers)\n", "a second of the clock, with what expires",
           (double)(nilai_clock_thread_cpu_ns() - start_ns) / (double)(last_s - first_s),
           (double)expired / (double)(last_s - first_s));
    pauses_report(&pauses, "longest of them");
}

/* ---- everything ---- */

static void run(uint32_t customers, uint32_t steps)
{
    struct nilai_table_limits limits = {.memory_max_bytes = UINT64_C(1) << 40, .hash_seed = 1};
    struct bench bench = {.customers = customers, .steps = steps};
    uint64_t seed = 1;
    uint32_t number;

    bench.table = nilai_table_create(&limits);
    bench.timers = nilai_timers_create();
    bench.order = malloc(steps * sizeof *bench.order);
    bench.changes = calloc(customers, sizeof *bench.changes);
    bench_must(bench.table && bench.timers && bench.order && bench.changes, "there is memory");
    /* The wheels stand at a time near the timers', as they do in service. */
    bench_must(!take_due(bench.timers, START_S - 60 * DAY_S, &number), "nothing is due");
    for (uint32_t i = 0; i < steps; i++)
        bench.order[i] = (uint32_t)(bench_random(&seed) % customers);

    printf("%" PRIu32 " customers, rounds of %" PRIu32 " random steps\n", customers, steps);
    bench_add(&bench);
    bench_change(&bench, 32, false, "find, copy, change, store; no prefetch");
    bench_change(&bench, 16, true, "the same, prefetched in batches of 16");
    bench_change(&bench, 32, true, "the same, prefetched in batches of 32");
    bench_read(&bench);
    bench_rearm(&bench, true, "arm a timer a day later");
    bench_rearm(&bench, false, "arm a timer a day earlier");
    bench_expire(&bench);
    nilai_timers_destroy(bench.timers);
    nilai_table_destroy(bench.table);
    free(bench.order);
    free(bench.changes);
}

int main(int argc, char **argv)
{
    bool quick = bench_is_quick(argc, argv);
    bench_print_machine();
    if (quick) {
        run(100000, 100000);
        return NILAI_EXIT_OK;
    }
    run(1000000, 1000000);
    run(10000000, 1000000);
    return NILAI_EXIT_OK;
}
