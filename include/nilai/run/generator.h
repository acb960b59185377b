/*
 * generator.h - a stream of encoded events with known truth: options and a seed in, bytes out.
 *
 * The population (population.h has the model of the customers) tells what happens; the
 * generator is the world's sloppiness in between:
 *
 *   late        The share of the events that come out after later ones. Each is held back by
 *               Exp(2 h) of event time, or, half of them, until just after the same customer's
 *               next fact, if that is due within a week.
 *   duplicate   The share that repeats one of the eight good events before it, byte for byte.
 *   bad         The share that must be refused, in equal parts by class (too-large, if asked
 *               for, a sixteenth of a part). They are made from copies of good events with ids
 *               of their own: nothing that is true is lost.
 *
 * All other events come out in order of event time. Same options, same bytes, on any machine;
 * none of the three shares changes what happens to the customers, only how much of it fits
 * into the number of events. Every fact comes out once, unless the caller stops asking early.
 *
 * No clock, no I/O. Memory: that of the population, and NILAI_GENERATOR_HELD_MAX events that
 * are held back (when they are too many the first is let go early). Thread: one.
 */
#ifndef NILAI_RUN_GENERATOR_H
#define NILAI_RUN_GENERATOR_H

#include "nilai/event/reject.h"
#include "nilai/run/population.h"

enum { NILAI_GENERATOR_HELD_MAX = 16384, NILAI_GENERATOR_CUSTOMERS_MAX = 1000000000 };

struct nilai_generator_options {
    uint64_t seed;
    uint32_t customers;
    uint64_t events; /* exactly so many, unless all customers leave before; 0: those of the span */
    int64_t from_ms, span_ms;
    double skew, grievance;
    double late, duplicate, bad;   /* shares; together at most 0.9 */
    double erase;                  /* share of the facts after which a customer asks for it */
    uint32_t bad_classes;          /* set of 1 << enum nilai_reject_class */
    struct nilai_fact_style style; /* seed and customers are filled in by create */
};

/* 10,000 customers, 100,000 events, the year 2025, skew 1, grievance 1.5, MessagePack with
 * keys in USD alone; no sloppiness; all classes that need nothing special. */
void nilai_generator_defaults(struct nilai_generator_options *options);

/* One event, borrowed until the next call. */
struct nilai_generated {
    const char *value; /* NULL: an empty value, which is a malformed event */
    size_t value_size;
    char key[NILAI_FACT_CUSTOMER_SIZE];
    int64_t ts_ms; /* of the fact; what a bad event says may differ */
    uint32_t customer;
    enum nilai_event_type type;
    enum nilai_reject_class flaw; /* NILAI_REJECT_NONE: a good event */
    bool late, duplicate;
};

struct nilai_generator_counts {
    uint64_t events;
    uint64_t good[NILAI_EVENT_TYPES]; /* without duplicates */
    uint64_t late;
    uint64_t duplicates;
    uint64_t bad[NILAI_REJECT_CLASSES];
    uint64_t bytes;
};

struct nilai_generator;

/* NILAI_INVALID with the reason when the options contradict each other; NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status
nilai_generator_create(const struct nilai_generator_options *options,
                       struct nilai_generator **generator, struct nilai_error *error);
void nilai_generator_destroy(struct nilai_generator *generator);

/* The next event. NILAI_MISSING: that was all. NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status nilai_generator_next(struct nilai_generator *generator,
                                                        struct nilai_generated *event);

/* Nothing new happens; the events that were held back still come out. */
void nilai_generator_stop(struct nilai_generator *generator);

const struct nilai_generator_counts *
nilai_generator_counts(const struct nilai_generator *generator);

/* For the truth and the scale. Its facts are ahead by those that are held back. */
const struct nilai_population *nilai_generator_population(const struct nilai_generator *generator);

#endif
