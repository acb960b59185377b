/*
 * bench_customer.c - apply, score and the next deadline for one customer, all in cache; and what
 * the exact search costs that most events are spared.
 *
 * A few customers take purchases, tickets and answers in turn. The answer is checked: the
 * deadline that the cheap bound promises is never after the one that the search finds.
 */
#include "bench.h"
#include "nilai/base/hash.h"
#include "nilai/customer/customer.h"

enum { CUSTOMERS = 64, ROUNDS = 31 };

#define START_MS (INT64_C(1750000000) * 1000)

struct subject {
    struct nilai_customer customer;
    struct nilai_service service;
};

static struct subject subjects[CUSTOMERS];
static struct nilai_model model;
static struct nilai_change changes[NILAI_CHANGES_PER_STEP];

static struct nilai_event purchase(uint64_t *seed)
{
    struct nilai_event event = {.type = NILAI_PURCHASE};
    event.purchase.amount = 100000 + (int64_t)(bench_random(seed) % 500000);
    event.purchase.cost = event.purchase.amount * 7 / 10;
    return event;
}

static struct nilai_event ticket(uint64_t *seed)
{
    static const char *const ids[] = {"T-1", "T-2", "T-3"};
    struct nilai_event event = {.type = NILAI_TICKET};
    event.ticket.ticket = (struct nilai_text){ids[bench_random(seed) % 3], 3};
    event.ticket.status = (enum nilai_ticket_status)(bench_random(seed) % NILAI_TICKET_STATUSES);
    event.ticket.kind = NILAI_KIND_COMPLAINT;
    return event;
}

static struct nilai_event survey(uint64_t *seed)
{
    struct nilai_event event = {.type = NILAI_SURVEY};
    event.survey.metric = NILAI_METRIC_NPS;
    event.survey.normalized = (double)(bench_random(seed) % 11) / 10;
    return event;
}

static const struct kind {
    const char *name;
    struct nilai_event (*make)(uint64_t *seed);
    int64_t gap_ms; /* from one event of a customer to the next */
} kinds[] = {
    {"ticket", ticket, 3600000},
    {"survey", survey, 3600000},
    {"purchase", purchase, 20 * (int64_t)NILAI_DAY_MS},
};

/* Everything a customer goes through when an event comes. */
static double time_events(const struct kind *kind, uint32_t steps, uint64_t *seed, uint64_t *fired,
                          uint64_t *made)
{
    static int64_t now_ms = START_MS;
    double ns = 0;
    for (uint32_t i = 0; i < steps; i++) {
        struct subject *subject = &subjects[i % CUSTOMERS];
        struct nilai_event event = kind->make(seed);
        uint32_t notes, count;
        now_ms += kind->gap_ms / CUSTOMERS;
        event.ts_ms = now_ms;
        uint64_t start_ns = nilai_clock_thread_cpu_ns();
        while ((count = nilai_customer_fire(&model, &subject->customer, &subject->service, now_ms,
                                            changes))
               > 0)
            *fired += count;
        *made += nilai_customer_apply(&model, &subject->customer, &subject->service, &event,
                                      bench_random(seed), &notes, changes);
        ns += (double)(nilai_clock_thread_cpu_ns() - start_ns);
    }
    return ns / steps;
}

static double time_searches(void)
{
    uint64_t start_ns = nilai_clock_thread_cpu_ns();
    for (uint32_t i = 0; i < CUSTOMERS; i++) {
        const struct subject *subject = &subjects[i];
        int64_t deadline_s =
            nilai_customer_next_deadline_s(&model, &subject->customer, &subject->service);
        bench_must(subject->customer.wake_s <= deadline_s && deadline_s != NILAI_NEVER_S,
                   "there is a deadline, and the bound is not after it");
    }
    return (double)(nilai_clock_thread_cpu_ns() - start_ns) / CUSTOMERS;
}

static double time_nothing(void)
{
    enum { CALLS = 100000 };
    uint64_t start_ns = nilai_clock_thread_cpu_ns();
    for (int i = 0; i < CALLS; i++)
        (void)nilai_clock_thread_cpu_ns();
    return (double)(nilai_clock_thread_cpu_ns() - start_ns) / CALLS;
}

static void begin(uint64_t *seed)
{
    for (uint32_t i = 0; i < CUSTOMERS; i++) {
        nilai_customer_init(&subjects[i].customer, nilai_hash(&i, sizeof i));
        nilai_service_init(&subjects[i].service);
    }
    uint64_t fired = 0, made = 0;
    time_events(&kinds[2], 4 * CUSTOMERS, seed, &fired, &made);
}

int main(int argc, char **argv)
{
    uint32_t steps = bench_is_quick(argc, argv) ? 5 * CUSTOMERS : 200 * CUSTOMERS;
    double ns[NILAI_ARRAY_LEN(kinds)][ROUNDS], search_ns[ROUNDS];
    uint64_t seed = 1, fired = 0, made = 0;
    nilai_model_defaults(&model);
    bench_must(nilai_model_prepare(&model, NULL) == NILAI_OK, "the model");
    bench_print_machine();
    begin(&seed);
    double clock_ns = time_nothing();
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t kind = 0; kind < NILAI_ARRAY_LEN(kinds); kind++)
            ns[kind][round] = time_events(&kinds[kind], steps, &seed, &fired, &made) - clock_ns;
        search_ns[round] = time_searches();
    }
    bench_must(fired > 0 && made > 0, "customers change");
    for (size_t kind = 0; kind < NILAI_ARRAY_LEN(kinds); kind++) {
        char what[64];
        snprintf(what, sizeof what, "fire, apply, score, bound: %s", kinds[kind].name);
        bench_report(what, ns[kind], ROUNDS, "ns");
    }
    bench_report("exact search of the next deadline", search_ns, ROUNDS, "ns");
    return NILAI_EXIT_OK;
}
