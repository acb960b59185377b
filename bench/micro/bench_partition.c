/*
 * bench_partition.c - the state step: one event through a partition of many customers.
 *
 * Purchases of customers drawn uniformly, in turns of 512, decoded beforehand: hashing, index,
 * record, deadlines, apply, score, the next deadline, store. The interest is in the ratio
 * between many customers and few: what a miss of every cache costs when it is fetched ahead.
 * Both sizes run in turn within each round. The purchases are free of charge and the clock hardly
 * moves, so that both sizes meet the same work: no changes, no timers.
 *
 * The answer is checked: every event is applied, first purchases are the only changes.
 */
#include "bench.h"
#include "nilai/state/partition.h"

enum { TURN = 512, ROUNDS = 7, SIZES = 2, ID_BYTES = 16 };

#define START_MS (INT64_C(1750000000) * 1000)

struct subject {
    struct nilai_partition *partition;
    uint32_t customers;
    uint64_t seed, applied;
    int64_t now_ms, price;
    double ns[ROUNDS];
    uint64_t memory_bytes;
};

static struct nilai_event events[TURN];
static const struct nilai_event *list[TURN];
static char customer_ids[TURN][ID_BYTES + 1], event_ids[TURN][ID_BYTES + 1];
static struct nilai_effects effects;

static void make_event(struct subject *subject, uint32_t at, uint32_t customer)
{
    subject->now_ms++;
    snprintf(customer_ids[at], sizeof customer_ids[at], "customer%08" PRIx32, customer);
    snprintf(event_ids[at], sizeof event_ids[at], "%016" PRIx64, subject->applied + at);
    events[at] = (struct nilai_event){
        .type = NILAI_PURCHASE,
        .id = {event_ids[at], ID_BYTES},
        .customer = {customer_ids[at], ID_BYTES},
        .ts_ms = subject->now_ms,
    };
    events[at].purchase.amount = subject->price;
    list[at] = &events[at];
}

static double run_turn(struct subject *subject)
{
    const struct nilai_turn turn = {.events = list, .count = TURN, .clock_ms = -1};
    bool done = false;
    uint64_t start_ns = nilai_clock_thread_cpu_ns();
    nilai_partition_begin(subject->partition, &turn);
    while (!done)
        bench_must(nilai_partition_step(subject->partition, &effects, &done) == NILAI_OK, "a step");
    subject->applied += TURN;
    return (double)(nilai_clock_thread_cpu_ns() - start_ns);
}

static void fill(struct subject *subject, const struct nilai_model *model)
{
    const struct nilai_partition_options options = {
        .model = model,
        .limits = {.memory_max_bytes = UINT64_C(1) << 40, .hash_seed = 1},
        .erase_remember_ms = 1000,
    };
    subject->partition = nilai_partition_create(&options);
    bench_must(subject->partition != NULL, "there is memory");
    subject->seed = 42;
    subject->now_ms = START_MS;
    subject->price = 500000;
    for (uint32_t next = 0; next < subject->customers;) {
        for (uint32_t i = 0; i < TURN; i++)
            make_event(subject, i, next++);
        run_turn(subject);
    }
    subject->price = 0;
    struct nilai_table_stats stats;
    nilai_table_stats(nilai_partition_table(subject->partition), &stats);
    subject->memory_bytes = nilai_partition_memory_bytes(subject->partition) / stats.customers;
}

static void run_round(struct subject *subject, uint32_t steps, int round)
{
    double ns = 0;
    uint32_t done = 0;
    for (; done < steps; done += TURN) {
        for (uint32_t i = 0; i < TURN; i++)
            make_event(subject, i, (uint32_t)(bench_random(&subject->seed) % subject->customers));
        ns += run_turn(subject);
    }
    subject->ns[round] = ns / done;
}

static void check(struct subject *subject)
{
    struct nilai_partition_counts counts;
    nilai_partition_read_counts(subject->partition, &counts);
    bench_must(counts.events[NILAI_PURCHASE] == subject->applied, "every event is applied");
    bench_must(counts.changes_band + counts.changes_value == subject->customers,
               "first purchases change, free ones do not");
    printf("  %" PRIu32 " customers: %" PRIu64 " bytes each, none with a service record\n",
           subject->customers, subject->memory_bytes);
}

int main(int argc, char **argv)
{
    bool quick = bench_is_quick(argc, argv);
    uint32_t steps = quick ? 20 * TURN : 2000 * TURN;
    struct subject subjects[SIZES] = {{.customers = quick ? 10 * TURN : 2000 * TURN},
                                      {.customers = quick ? 40 * TURN : 20000 * TURN}};
    struct nilai_model model;
    double medians[SIZES];
    nilai_model_defaults(&model);
    bench_must(nilai_model_prepare(&model, NULL) == NILAI_OK, "the model");
    bench_print_machine();
    for (int i = 0; i < SIZES; i++)
        fill(&subjects[i], &model);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < SIZES; i++)
            run_round(&subjects[i], steps, round);
    for (int i = 0; i < SIZES; i++) {
        char what[64];
        check(&subjects[i]);
        snprintf(what, sizeof what, "one event, %" PRIu32 " customers", subjects[i].customers);
        medians[i] = bench_report(what, subjects[i].ns, ROUNDS, "ns");
        nilai_partition_destroy(subjects[i].partition);
    }
    printf("  ratio %.3f\n", medians[1] / medians[0]);
    return NILAI_EXIT_OK;
}
