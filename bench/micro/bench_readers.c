/*
 * bench_readers.c - what it costs the writer of a table that another thread looks customers up.
 *
 *     bench_readers [--quick]
 *
 * The writer finds, copies, changes and stores random customers of a million, fetched ahead in
 * batches, as a partition does. A reader looks up random ones, a million a second in portions of a
 * millisecond, in every other half of a round. Writer's CPU time, and the ratio of the two halves
 * of a round.
 *
 * The answer is checked: the writer keeps two numbers of each customer equal, and the reader never
 * sees them differ; nobody is missing. How fast the reader was is printed: on a full
 * machine it is not as fast as it should be.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "bench.h"
#include "nilai/state/table.h"

enum {
    ID_BYTES = 16,
    ROUNDS = 15,
    BATCH = 32,
    LOOKUPS_PER_MS = 1000,
    MS_NS = 1000000,
};

static struct nilai_table *table;
static uint32_t customers;

static struct {
    _Atomic bool reading, stopping;
    _Atomic uint64_t found, busy, wrong;
} reader;

static struct nilai_text id_of(char text[static ID_BYTES + 1], uint32_t i)
{
    snprintf(text, ID_BYTES + 1, "customer%08" PRIx32, i);
    return (struct nilai_text){text, ID_BYTES};
}

/* ---- the reader ---- */

static void look_up(uint32_t whom)
{
    char text[ID_BYTES + 1];
    struct nilai_customer customer;
    struct nilai_service service;
    bool has_service;
    enum nilai_status status =
        nilai_table_read(table, id_of(text, whom), &customer, &service, &has_service);
    reader.found += status == NILAI_OK;
    reader.busy += status == NILAI_BUSY;
    reader.wrong += (status != NILAI_OK && status != NILAI_BUSY)
                    || (status == NILAI_OK && customer.amounts != customer.costs);
}

static void pause_until(uint64_t due_ns)
{
    uint64_t now_ns = nilai_clock_monotonic_ns();
    if (now_ns < due_ns)
        nanosleep(&(struct timespec){.tv_nsec = (long)(due_ns - now_ns)}, NULL);
}

/* What could not be looked up in time is not made up for: that would be another load. */
static void *read_along(void *context)
{
    (void)context;
    uint64_t seed = 7;
    while (!reader.stopping) {
        uint64_t start_ns = nilai_clock_monotonic_ns();
        for (int i = 0; i < LOOKUPS_PER_MS && reader.reading; i++)
            look_up((uint32_t)(bench_random(&seed) % customers));
        pause_until(start_ns + MS_NS);
    }
    return NULL;
}

/* ---- the writer ---- */

static void change(struct nilai_text id, uint64_t hash)
{
    uint32_t number;
    bench_must(nilai_table_find(table, hash, id, &number) == NILAI_OK, "a customer is found");
    struct nilai_customer customer = *nilai_table_customer(table, number);
    customer.amounts++;
    customer.costs = customer.amounts;
    nilai_table_store(table, number, &customer, NULL);
}

static void change_batch(uint64_t *seed)
{
    static char texts[BATCH][ID_BYTES + 1];
    struct nilai_text ids[BATCH];
    uint64_t hashes[BATCH];
    uint32_t number;
    for (uint32_t i = 0; i < BATCH; i++) {
        ids[i] = id_of(texts[i], (uint32_t)(bench_random(seed) % customers));
        hashes[i] = nilai_table_hash(table, ids[i]);
        nilai_table_prefetch_index(table, hashes[i]);
    }
    for (uint32_t i = 0; i < BATCH; i++)
        (void)nilai_table_prefetch_record(table, hashes[i], &number);
    for (uint32_t i = 0; i < BATCH; i++)
        change(ids[i], hashes[i]);
}

/* CPU time of one change, for so long a time. */
static double write_for(uint64_t wall_ns, uint64_t *seed)
{
    uint64_t start_ns = nilai_clock_thread_cpu_ns(), steps = 0;
    uint64_t end_ns = nilai_clock_monotonic_ns() + wall_ns;
    while (nilai_clock_monotonic_ns() < end_ns) {
        change_batch(seed);
        steps += BATCH;
    }
    return (double)(nilai_clock_thread_cpu_ns() - start_ns) / (double)steps;
}

/* ---- everything ---- */

static void fill(void)
{
    const struct nilai_table_limits limits = {UINT64_C(1) << 40, 1};
    char text[ID_BYTES + 1];
    uint32_t number;
    table = nilai_table_create(&limits);
    bench_must(table != NULL, "there is memory");
    for (uint32_t i = 0; i < customers; i++) {
        struct nilai_text id = id_of(text, i);
        bench_must(nilai_table_insert(table, nilai_table_hash(table, id), id, &number) == NILAI_OK,
                   "a customer is added");
    }
}

int main(int argc, char **argv)
{
    bool quick = bench_is_quick(argc, argv);
    const uint64_t half_ns = (quick ? 20 : 500) * (uint64_t)MS_NS;
    double alone[ROUNDS], beside[ROUNDS], ratios[ROUNDS];
    uint64_t seed = 1;
    pthread_t thread;
    customers = quick ? 20000 : 1000000;
    bench_print_machine();
    fill();
    bench_must(pthread_create(&thread, NULL, read_along, NULL) == 0, "a thread");
    for (int round = 0; round < ROUNDS; round++) {
        reader.reading = false;
        alone[round] = write_for(half_ns, &seed);
        reader.reading = true;
        beside[round] = write_for(half_ns, &seed);
        ratios[round] = 100 * (beside[round] / alone[round] - 1);
    }
    reader.stopping = true;
    pthread_join(thread, NULL);
    bench_must(reader.wrong == 0, "a reader sees whole customers, and all of them");
    bench_must(reader.found > 0, "the reader has read");
    bench_report("one change, alone", alone, ROUNDS, "ns");
    bench_report("one change, beside a reader", beside, ROUNDS, "ns");
    bench_report("slower by", ratios, ROUNDS, "% ");
    printf("  %.0f look-ups a second, %" PRIu64 " of %" PRIu64 " had to be given up\n",
           (double)(reader.found + reader.busy) / ((double)half_ns * 1e-9 * ROUNDS),
           (uint64_t)reader.busy, (uint64_t)(reader.found + reader.busy));
    nilai_table_destroy(table);
    return NILAI_EXIT_OK;
}
