/*
 * How many events a second the generator makes in memory, in one thread.
 *
 * Each round makes a population and draws all its events; the median of the rounds and their
 * spread are printed, in CPU time. Before a number is printed the answer is checked: the right
 * number of events, all of them accepted by the decoder (in a round that is not counted).
 *
 *   bench_generator [--quick]
 */
#include "bench.h"
#include "nilai/run/generator.h"

enum { ROUNDS_MAX = 9 };

struct scene {
    const char *name;
    uint32_t customers;
    uint64_t events;
    enum nilai_format format;
};

static struct nilai_generator *make(const struct scene *scene)
{
    struct nilai_generator_options options;
    struct nilai_generator *generator;
    struct nilai_error error;

    nilai_generator_defaults(&options);
    options.customers = scene->customers;
    options.events = scene->events;
    options.style.format = scene->format;
    bench_must(nilai_generator_create(&options, &generator, &error) == NILAI_OK,
               "there is a generator");
    return generator;
}

static void check(const struct scene *scene)
{
    struct nilai_decode_rules rules = {
        .format = scene->format, .base_currency = "USD", .margin = 0.3, .max_future_ms = 1};
    struct nilai_decoder *decoder = nilai_decoder_create(&rules);
    struct nilai_generator *generator = make(scene);
    struct nilai_generated made;
    struct nilai_event event;
    struct nilai_reject reject;
    uint64_t events = 0;

    bench_must(decoder != NULL, "there is memory");
    for (; nilai_generator_next(generator, &made) == NILAI_OK; events++)
        bench_must(nilai_decode(decoder, made.value, made.value_size, &event, &reject),
                   "a good event");
    bench_must(events == scene->events, "the number of events");
    nilai_generator_destroy(generator);
    nilai_decoder_destroy(decoder);
}

/* Events a millisecond of CPU. */
static double run(const struct scene *scene, double *bytes_per_event)
{
    struct nilai_generated made;
    uint64_t start_ns = nilai_clock_thread_cpu_ns(), events = 0;
    struct nilai_generator *generator = make(scene);

    while (nilai_generator_next(generator, &made) == NILAI_OK)
        events++;
    double ms = (double)(nilai_clock_thread_cpu_ns() - start_ns) * 1e-6;
    *bytes_per_event = (double)nilai_generator_counts(generator)->bytes / (double)events;
    nilai_generator_destroy(generator);
    return (double)events / ms;
}

int main(int argc, char **argv)
{
    static const struct scene scenes[] = {
        {"msgpack, 100 k customers", 100000, 2000000, NILAI_FORMAT_MSGPACK},
        {"msgpack, 10 M customers", 10000000, 20000000, NILAI_FORMAT_MSGPACK},
        {"json, 100 k customers", 100000, 500000, NILAI_FORMAT_JSON},
    };
    bool quick = bench_is_quick(argc, argv);
    bench_print_machine();
    for (size_t i = 0; i < NILAI_ARRAY_LEN(scenes); i++) {
        struct scene scene = scenes[i];
        if (quick) {
            scene.customers /= 100;
            scene.events /= 100;
        }
        uint32_t rounds = quick || scene.events > 5000000 ? 3 : ROUNDS_MAX;
        double rates[ROUNDS_MAX], bytes = 0;
        check(&scene);
        for (uint32_t round = 0; round < rounds; round++)
            rates[round] = run(&scene, &bytes);
        char what[64];
        snprintf(what, sizeof what, "%s, %.0f bytes an event", scene.name, bytes);
        bench_report(what, rates, rounds, "events a ms");
    }
    return NILAI_EXIT_OK;
}
