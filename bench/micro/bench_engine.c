/*
 * bench_engine.c - the whole engine in memory: bytes of an event in, bytes of changes out.
 *
 *     bench_engine [--quick]
 *
 * The generator's mix in MessagePack, in turns of 512 as in service: decode and check, the
 * partition (index, record, deadlines, apply, score, store), and each change written as JSON with
 * its headers' values. No broker, no journal. Customers start at none and get six events each; four
 * of these make them what they are, and the last two are measured, one in each of two states:
 *
 *   year    Ten million customers with a few events a year each: between two events of the stream
 *           lies half a second, for few customers a minute. Most customers' deadlines pass in
 *           between, so there is about one change an event, nearly all by the timer.
 *   live    The same customers, and the stream goes on as it did, but a thousand times denser from
 *           here on: hours instead of months. Hardly a deadline passes, and changes come from
 *           events: what a shop with a high rate looks like, or a backlog that is worked off.
 *
 * Measured for few customers and for many in turn within each round, so that the ratio says what
 * it costs that nothing is in the cache any more. Both sizes meet the same work a customer; events
 * are made beforehand, in batches, and their making is not counted.
 *
 * The longest turn and the longest step of the partition are noted while they grow from nothing,
 * and in each state, in CPU time of the thread, so that it is ours and not a neighbour's; a step
 * during which the kernel gave the processor to somebody else is counted apart. At midnight a 28th
 * of all customers is due in one second: that turn is as long as they are many; a step is not.
 *
 * The answer is checked: every event is applied, and every change is written.
 */
#include <sys/resource.h>

#include "bench.h"
#include "nilai/event/decode.h"
#include "nilai/run/generator.h"
#include "nilai/run/message.h"

enum {
    TURN = 512,
    BATCH_TURNS = 64,
    BATCH = TURN * BATCH_TURNS,
    ROUNDS = 7,
    SIZES = 2,
    EVENTS_PER_CUSTOMER = 6, /* one of them in each state */
    DENSER = 1000,           /* a live second holds so many seconds' events */
    ARENA_BYTES = 32 * 1024 * 1024,
};

enum state { YEAR, LIVE, STATES };

static const char *const state_names[STATES] = {"year", "live"};

struct longest {
    uint64_t turn_ns, step_ns;
    uint64_t interrupted; /* steps that are not in step_ns */
};

struct message {
    const char *bytes;
    size_t size;
};

struct engine {
    uint32_t customers;
    struct nilai_generator *generator;
    struct nilai_partition *partition;
    uint64_t events, changes, written_bytes;
    int64_t live_from_ms; /* INT64_MAX: not live yet */
    uint64_t growing_ns;
    struct longest growing, measured[STATES];
    double ns[STATES][ROUNDS];
    uint64_t changes_in[STATES];
};

static struct nilai_model model;
static struct nilai_decoder *decoder;
static struct nilai_encoder *encoder;
static struct message messages[BATCH];
static char arena[ARENA_BYTES];

/* ---- events ---- */

/* So many events as bytes; fewer at the end. */
static uint32_t make_batch(struct engine *engine, uint64_t wanted)
{
    struct nilai_generated made;
    size_t used = 0;
    uint32_t count = 0;
    while (count < BATCH && count < wanted
           && nilai_generator_next(engine->generator, &made) == NILAI_OK) {
        bench_must(used + made.value_size <= ARENA_BYTES, "a batch has room");
        memcpy(arena + used, made.value, made.value_size);
        messages[count++] = (struct message){arena + used, made.value_size};
        used += made.value_size;
    }
    return count;
}

/* ---- one turn ---- */

static int64_t denser(const struct engine *engine, int64_t ms)
{
    return ms <= engine->live_from_ms ? ms
                                      : engine->live_from_ms + (ms - engine->live_from_ms) / DENSER;
}

static void decode_turn(const struct engine *engine, const struct message *from, uint32_t count,
                        const struct nilai_event **list)
{
    static struct nilai_event events[TURN];
    static char texts[TURN][NILAI_EVENT_TEXTS_SIZE];
    struct nilai_reject reject;
    for (uint32_t i = 0; i < count; i++) {
        bench_must(nilai_decode(decoder, from[i].bytes, from[i].size, &events[i], &reject),
                   "the generator's events are good");
        nilai_event_keep_texts(
            &events[i], (struct nilai_text){from[i].bytes, (uint32_t)from[i].size}, texts[i]);
        events[i].origin = (struct nilai_origin){.offset = i};
        events[i].ts_ms = denser(engine, events[i].ts_ms);
        if (events[i].type == NILAI_TICKET)
            events[i].ticket.opened_ms = denser(engine, events[i].ticket.opened_ms);
        list[i] = &events[i];
    }
}

static void write_changes(struct engine *engine, const struct nilai_effects *effects)
{
    static const char *const topics[] = {"purchases"};
    struct nilai_message_headers headers;
    const char *data;
    size_t size;
    for (uint32_t i = 0; i < effects->count; i++) {
        nilai_encode_begin(encoder);
        nilai_message_encode_change(encoder, NULL, &model, &effects->list[i], topics);
        bench_must(nilai_encode_end(encoder, &data, &size) == NILAI_OK, "a change is written");
        nilai_message_change_headers(&effects->list[i], &headers);
        engine->written_bytes += size + headers.id_size;
    }
    engine->changes += effects->count;
}

static void at_least(uint64_t *longest_ns, uint64_t ns)
{
    *longest_ns = ns > *longest_ns ? ns : *longest_ns;
}

static long involuntary_switches(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

static void run_step(struct engine *engine, struct nilai_effects *effects, bool *done,
                     struct longest *longest)
{
    long switches = involuntary_switches();
    uint64_t start_ns = nilai_clock_thread_cpu_ns();
    bench_must(nilai_partition_step(engine->partition, effects, done) == NILAI_OK, "a step");
    uint64_t ns = nilai_clock_thread_cpu_ns() - start_ns;
    if (involuntary_switches() != switches)
        longest->interrupted++;
    else
        at_least(&longest->step_ns, ns);
}

static uint64_t run_turn(struct engine *engine, const struct message *from, uint32_t count,
                         struct longest *longest)
{
    static struct nilai_effects effects;
    static const struct nilai_event *list[TURN];
    const struct nilai_turn turn = {.events = list, .count = count, .clock_ms = -1};
    bool done = false;
    uint64_t start_ns = nilai_clock_thread_cpu_ns();
    decode_turn(engine, from, count, list);
    nilai_partition_begin(engine->partition, &turn);
    while (!done) {
        run_step(engine, &effects, &done, longest);
        write_changes(engine, &effects);
    }
    engine->events += count;
    uint64_t ns = nilai_clock_thread_cpu_ns() - start_ns;
    at_least(&longest->turn_ns, ns);
    return ns;
}

/* CPU time of so many events. */
static uint64_t run_events(struct engine *engine, uint64_t wanted, struct longest *longest)
{
    uint64_t ns = 0;
    while (wanted > 0) {
        uint32_t made = make_batch(engine, wanted);
        bench_must(made > 0, "there are events");
        for (uint32_t done = 0; done < made; done += TURN) {
            uint32_t count = made - done < TURN ? made - done : TURN;
            ns += run_turn(engine, messages + done, count, longest);
        }
        wanted -= made;
    }
    return ns;
}

/* ---- sizes and rounds ---- */

static uint64_t events_of(const struct engine *engine)
{
    return (uint64_t)engine->customers * EVENTS_PER_CUSTOMER;
}

static void begin(struct engine *engine)
{
    struct nilai_generator_options options;
    struct nilai_error error;
    const struct nilai_partition_options state = {
        .model = &model,
        .limits = {.memory_max_bytes = UINT64_C(1) << 40, .hash_seed = 1},
        .erase_remember_ms = 1000,
    };
    nilai_generator_defaults(&options);
    options.customers = engine->customers;
    options.events = events_of(engine);
    bench_must(nilai_generator_create(&options, &engine->generator, &error) == NILAI_OK,
               "a generator");
    engine->partition = nilai_partition_create(&state);
    bench_must(engine->partition != NULL, "there is memory");
    engine->live_from_ms = INT64_MAX;
    uint64_t growing = events_of(engine) - STATES * (uint64_t)engine->customers;
    engine->growing_ns = run_events(engine, growing, &engine->growing) / growing;
}

static void run_round(struct engine *engine, enum state state, int round)
{
    uint64_t wanted = engine->customers / ROUNDS, before = engine->changes;
    if (state == LIVE && round == 0)
        engine->live_from_ms = nilai_partition_clock_ms(engine->partition);
    engine->ns[state][round] =
        (double)run_events(engine, wanted, &engine->measured[state]) / (double)wanted;
    engine->changes_in[state] += engine->changes - before;
}

static void check(const struct engine *engine)
{
    struct nilai_partition_counts counts;
    uint64_t applied = 0;
    nilai_partition_read_counts(engine->partition, &counts);
    for (int type = 0; type < NILAI_EVENT_TYPES; type++)
        applied += counts.events[type];
    bench_must(applied == engine->events && counts.duplicates == 0, "every event is applied");
    bench_must(counts.changes_band + counts.changes_value == engine->changes,
               "every change is written");
}

static void report_longest(const char *when, const struct longest *longest)
{
    printf("    %s: longest turn of %d events %.2f ms, longest step %.2f ms (%" PRIu64
           " interrupted)\n",
           when, TURN, (double)longest->turn_ns * 1e-6, (double)longest->step_ns * 1e-6,
           longest->interrupted);
}

static void report(struct engine *engine, double medians[STATES])
{
    char what[80];
    struct nilai_table_stats stats;
    nilai_table_stats(nilai_partition_table(engine->partition), &stats);
    printf("%" PRIu64 " customers, %" PRIu64 " events, %.0f bytes a change\n", stats.customers,
           engine->events, (double)engine->written_bytes / (double)engine->changes);
    for (int state = 0; state < STATES; state++) {
        snprintf(what, sizeof what, "one event, %s, %" PRIu32 " customers", state_names[state],
                 engine->customers);
        medians[state] = bench_report(what, engine->ns[state], ROUNDS, "ns");
        printf("    %.2f changes an event\n",
               (double)engine->changes_in[state] / (double)(engine->customers / ROUNDS * ROUNDS));
        report_longest(state_names[state], &engine->measured[state]);
    }
    printf("  while they grew: %" PRIu64 " ns an event\n", engine->growing_ns);
    report_longest("growing", &engine->growing);
    printf("  memory of a customer: %.0f bytes (%.0f %% have a service record)\n",
           (double)nilai_partition_memory_bytes(engine->partition) / (double)stats.customers,
           100 * (double)stats.services / (double)stats.customers);
}

int main(int argc, char **argv)
{
    bool quick = bench_is_quick(argc, argv);
    const struct nilai_decode_rules rules = {NILAI_FORMAT_MSGPACK, "USD", 0.3, NULL, 0, 300000};
    struct engine engines[SIZES] = {{.customers = quick ? 2000 : 100000},
                                    {.customers = quick ? 20000 : 10000000}};
    double medians[SIZES][STATES];
    nilai_model_defaults(&model);
    bench_must(nilai_model_prepare(&model, NULL) == NILAI_OK, "the model");
    decoder = nilai_decoder_create(&rules);
    encoder = nilai_encoder_create(NILAI_FORMAT_JSON);
    bench_must(decoder != NULL && encoder != NULL, "there is memory");
    bench_print_machine();
    for (int i = 0; i < SIZES; i++)
        begin(&engines[i]);
    for (int state = 0; state < STATES; state++)
        for (int round = 0; round < ROUNDS; round++)
            for (int i = 0; i < SIZES; i++)
                run_round(&engines[i], (enum state)state, round);
    for (int i = 0; i < SIZES; i++) {
        check(&engines[i]);
        report(&engines[i], medians[i]);
        nilai_generator_destroy(engines[i].generator);
        nilai_partition_destroy(engines[i].partition);
    }
    for (int state = 0; state < STATES; state++)
        printf("  ratio, %s: %.3f\n", state_names[state], medians[1][state] / medians[0][state]);
    nilai_decoder_destroy(decoder);
    nilai_encoder_destroy(encoder);
    return NILAI_EXIT_OK;
}
