/*
 * How many events a second the generator makes in memory, in one thread.
 *
 * Each round makes a population and draws all its events; the median of the rounds and their
 * spread are printed, in CPU time. Before a number is printed the answer is checked: the right
 * number of events, all of them accepted by the decoder (in a round that is not counted).
 *
 *   bench_generator [--quick]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "nilai/base/clock.h"
#include "nilai/run/generator.h"

enum { ROUNDS_MAX = 9 };

struct scene {
    const char *name;
    uint32_t customers;
    uint64_t events;
    enum nilai_format format;
};

static void fail(const char *what)
{
    fprintf(stderr, "bench_generator: %s\n", what);
    exit(1);
}

static struct nilai_generator *make(const struct scene *scene)
{
    struct nilai_generator_options options;
    struct nilai_generator *generator;
    struct nilai_error error;

    nilai_generator_defaults(&options);
    options.customers = scene->customers;
    options.events = scene->events;
    options.style.format = scene->format;
    if (nilai_generator_create(&options, &generator, &error) != NILAI_OK)
        fail(error.text);
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

    if (decoder == NULL)
        fail("out of memory");
    for (; nilai_generator_next(generator, &made) == NILAI_OK; events++)
        if (!nilai_decode(decoder, made.value, made.value_size, &event, &reject))
            fail(reject.message);
    if (events != scene->events)
        fail("the number of events is wrong");
    nilai_generator_destroy(generator);
    nilai_decoder_destroy(decoder);
}

/* Events per second of CPU. */
static double run(const struct scene *scene, double *bytes_per_event)
{
    struct nilai_generated made;
    uint64_t start_ns = nilai_clock_thread_cpu_ns(), events = 0;
    struct nilai_generator *generator = make(scene);

    while (nilai_generator_next(generator, &made) == NILAI_OK)
        events++;
    double seconds = (double)(nilai_clock_thread_cpu_ns() - start_ns) * 1e-9;
    *bytes_per_event = (double)nilai_generator_counts(generator)->bytes / (double)events;
    nilai_generator_destroy(generator);
    return (double)events / seconds;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static const struct scene scenes[] = {
        {"msgpack, 100 k customers", 100000, 2000000, NILAI_FORMAT_MSGPACK},
        {"msgpack, 10 M customers", 10000000, 20000000, NILAI_FORMAT_MSGPACK},
        {"json, 100 k customers", 100000, 500000, NILAI_FORMAT_JSON},
    };
    bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0;
    struct utsname machine;

    if (argc > 1 && !quick)
        fail("usage: bench_generator [--quick]");
    if (uname(&machine) == 0)
        printf("%s %s, %s, compiler %s\n", machine.sysname, machine.machine, machine.release, __VERSION__);
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
        qsort(rates, rounds, sizeof rates[0], by_size);
        printf("%-28s %6.3f M events/s of CPU (%.3f .. %.3f), %.0f bytes an event\n", scene.name,
               rates[rounds / 2] * 1e-6, rates[0] * 1e-6, rates[rounds - 1] * 1e-6, bytes);
    }
    return 0;
}
