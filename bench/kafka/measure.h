/*
 * measure.h - what the programs of the Kafka benches share: a command line, CPU time by what a
 * thread does, memory, and one JSON object on standard output.
 *
 * CPU time is that of the whole process, from its start to the report, so that nothing can hide in
 * a preparation; or, where a bench says so by bench_mark, from when everything has begun and is
 * known. A thread of our own looks at the others 50 times a second, because one that has ended
 * tells nothing any more; what it misses of them is shown as "ended". Its own time is left out.
 *
 *   broker   librdkafka's threads that talk to brokers
 *   library  its other threads
 *   work     what the program itself does
 *   rest     the program's main thread where it only waits for the others
 *   ended    of threads that ended between two looks
 */
#ifndef NILAI_BENCH_MEASURE_H
#define NILAI_BENCH_MEASURE_H

#include "nilai/io/kafka_admin.h"
#include "nilai/run/config.h"
#include "nilai/run/options.h"

/* Reads the command line and the settings. False: end with *exit_code. */
NILAI_MUST_CHECK bool bench_begin(const struct nilai_command *command, int argc, char **argv,
                                  struct nilai_options *options, struct nilai_config *config,
                                  int *exit_code);

/* The names of the input topics, and how the brokers have them; the caller frees layout->ends. Ends
 * where they do not answer or a topic is missing. */
void bench_find_input(const struct nilai_config *config, bool emulated,
                      const char *topics[NILAI_INPUT_TOPICS_MAX],
                      struct nilai_kafka_layout *layout);

/* Starts the thread that looks. `main_works`: the main thread does the work itself. */
void bench_watch(bool main_works);

/* CPU time counts from here on. Once, by any thread; bench_watch came before. */
void bench_mark(void);

/* Ends with what is wrong, and prints no figure. */
_Noreturn void bench_fail(const char *format, ...) NILAI_PRINTF(1, 2);

/* One field of the object; `bench_report_end` adds CPU times, memory and versions, and prints
 * it. */
void bench_report_count(const char *name, uint64_t value);
void bench_report_real(const char *name, double value);
void bench_report_text(const char *name, const char *value); /* needs no escapes */
void bench_report_end(void);

/* Threads of others say that there is something to do; one thread waits for that. */
struct bench_bell;
struct bench_bell *bench_bell_create(void);
void bench_bell_ring(void *bell);
/* Returns once it has rung since the last call, or after `timeout_ms`. */
void bench_bell_wait(struct bench_bell *bell, int timeout_ms);

#endif
