/*
 * Facts that are late wait in a heap by the time of their release. Always true: what has been
 * sent plus what is held is at most the wanted number of events, so that all of it comes out.
 */
#include "nilai/run/generator.h"

#include <stdlib.h>
#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/customer/model.h"
#include "nilai/run/random.h"

#define BAD_SERIALS (UINT64_C(1) << 39) /* ids of bad events are not those of facts */
#define WEEK_MS     (INT64_C(7) * NILAI_DAY_MS)
#define LATENESS_MS 7200000.0

enum { RECENT = 8, TOO_LARGE_RARITY = 16 };
static const double SHARES_MAX = 0.9;

struct held {
    int64_t release_ms;
    struct nilai_fact fact;
};

struct nilai_generator {
    struct nilai_generator_options options;
    struct nilai_population *population;
    struct nilai_encoder *encoder;
    struct nilai_stencils *stencils; /* for good events in MessagePack, or NULL */
    struct nilai_random random;
    struct nilai_generator_counts counts;
    double late_chance; /* of a fact, so that `late` of all events are */
    int64_t now_ms;     /* of the last fact that happened */
    int64_t newest_ms;  /* largest ts that has come out */
    uint64_t good;      /* facts that have come out; the last of them in `recent` */
    uint64_t bad_serial;
    struct nilai_fact recent[RECENT];
    struct nilai_fact sale; /* the last purchase or refund */
    bool has_sale, stopped;
    uint32_t class_count;
    enum nilai_reject_class classes[NILAI_REJECT_CLASSES];
    uint32_t held_count;
    struct held held[NILAI_GENERATOR_HELD_MAX];
    char scratch[NILAI_FACT_SCRATCH_SIZE];
};

/* ---- the held ---- */

static bool released_before(const struct held *a, const struct held *b)
{
    return a->release_ms != b->release_ms ? a->release_ms < b->release_ms
                                          : a->fact.serial < b->fact.serial;
}

static void hold(struct nilai_generator *generator, const struct nilai_fact *fact,
                 int64_t release_ms)
{
    NILAI_ASSERT(generator->held_count < NILAI_GENERATOR_HELD_MAX);
    struct held *heap = generator->held, added = {.release_ms = release_ms, .fact = *fact};
    uint32_t at = generator->held_count++;
    while (at > 0 && released_before(&added, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = added;
}

static void release(struct nilai_generator *generator, struct nilai_fact *fact)
{
    NILAI_ASSERT(generator->held_count > 0);
    struct held *heap = generator->held;
    *fact = heap[0].fact;
    struct held last = heap[--generator->held_count];
    uint32_t at = 0, count = generator->held_count;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < count && released_before(&heap[child + 1], &heap[child]))
            child++;
        if (child >= count || !released_before(&heap[child], &last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
}

static int64_t release_time(struct nilai_generator *generator, const struct nilai_fact *fact)
{
    int64_t next_ms = nilai_population_due_ms(generator->population, fact->customer);
    double wait_ms = LATENESS_MS * nilai_random_exponential(&generator->random);
    if (nilai_random_chance(&generator->random, 0.5) && next_ms < fact->ts_ms + WEEK_MS)
        return next_ms + 1;
    return fact->ts_ms + 1 + (int64_t)wait_ms;
}

/* ---- choosing what comes out ---- */

static uint64_t room(const struct nilai_generator *generator)
{
    uint64_t wanted = generator->options.events > 0 ? generator->options.events : UINT64_MAX;
    NILAI_ASSERT(generator->counts.events + generator->held_count <= wanted);
    return generator->stopped ? 0 : wanted - generator->counts.events - generator->held_count;
}

/* The next fact that comes out, in order or late. */
static enum nilai_status choose_fact(struct nilai_generator *generator, struct nilai_fact *fact)
{
    for (;;) {
        bool any_held = generator->held_count > 0;
        bool held_is_due = any_held && generator->held[0].release_ms <= generator->now_ms;
        bool no_place = generator->held_count == NILAI_GENERATOR_HELD_MAX;
        if (held_is_due || no_place || (any_held && room(generator) == 0)) {
            release(generator, fact);
            return NILAI_OK;
        }
        if (room(generator) == 0
            || nilai_population_next(generator->population, fact) != NILAI_OK) {
            generator->stopped = true;
            if (!any_held)
                return NILAI_MISSING;
            continue;
        }
        generator->now_ms = fact->ts_ms;
        if (generator->late_chance <= 0
            || !nilai_random_chance(&generator->random, generator->late_chance))
            return NILAI_OK;
        hold(generator, fact, release_time(generator, fact));
    }
}

static enum nilai_status encode(struct nilai_generator *generator, const struct nilai_fact *fact,
                                struct nilai_generated *event)
{
    nilai_fact_customer(fact->customer, event->key);
    event->ts_ms = fact->ts_ms;
    event->customer = fact->customer;
    event->type = (enum nilai_event_type)fact->type;
    if (NILAI_LIKELY(event->flaw == NILAI_REJECT_NONE && generator->stencils != NULL)) {
        nilai_fact_trace(fact, &generator->options.style, generator->stencils, &event->value,
                         &event->value_size);
        return NILAI_OK;
    }
    if (event->flaw == NILAI_REJECT_NONE)
        return nilai_fact_encode(fact, &generator->options.style, generator->encoder, &event->value,
                                 &event->value_size);
    return nilai_fact_encode_flawed(fact, &generator->options.style, event->flaw,
                                    generator->encoder, generator->scratch, event->key,
                                    &event->value, &event->value_size);
}

static enum nilai_status emit_good(struct nilai_generator *generator, struct nilai_generated *event)
{
    struct nilai_fact fact;
    enum nilai_status status = choose_fact(generator, &fact);
    if (status != NILAI_OK)
        return status;
    generator->recent[generator->good++ % RECENT] = fact;
    if (fact.type == NILAI_PURCHASE || fact.type == NILAI_REFUND) {
        generator->sale = fact;
        generator->has_sale = true;
    }
    event->late = fact.ts_ms < generator->newest_ms;
    if (!event->late)
        generator->newest_ms = fact.ts_ms;
    generator->counts.late += event->late;
    generator->counts.good[fact.type]++;
    return encode(generator, &fact, event);
}

static enum nilai_status emit_duplicate(struct nilai_generator *generator,
                                        struct nilai_generated *event)
{
    uint32_t known = generator->good < RECENT ? (uint32_t)generator->good : RECENT;
    uint64_t which = generator->good - 1 - nilai_random_below(&generator->random, known);
    event->duplicate = true;
    generator->counts.duplicates++;
    return encode(generator, &generator->recent[which % RECENT], event);
}

static enum nilai_reject_class choose_class(struct nilai_generator *generator)
{
    for (;;) {
        uint32_t choice = nilai_random_below(&generator->random, generator->class_count);
        enum nilai_reject_class class = generator->classes[choice];
        if (class != NILAI_REJECT_TOO_LARGE || generator->class_count == 1
            || nilai_random_below(&generator->random, TOO_LARGE_RARITY) == 0)
            return class;
    }
}

static enum nilai_status emit_bad(struct nilai_generator *generator, struct nilai_generated *event)
{
    event->flaw = choose_class(generator);
    struct nilai_fact fact = event->flaw == NILAI_REJECT_UNKNOWN_CURRENCY
                                 ? generator->sale
                                 : generator->recent[(generator->good - 1) % RECENT];
    fact.ts_ms = generator->newest_ms;
    fact.serial = BAD_SERIALS | generator->bad_serial++;
    generator->counts.bad[event->flaw]++;
    return encode(generator, &fact, event);
}

enum nilai_status nilai_generator_next(struct nilai_generator *generator,
                                       struct nilai_generated *event)
{
    const struct nilai_generator_options *options = &generator->options;
    enum nilai_status status;

    *event = (struct nilai_generated){0};
    bool sloppy =
        options->bad + options->duplicate > 0 && generator->has_sale && room(generator) > 0;
    double choice = sloppy ? nilai_random_uniform(&generator->random) : 1;
    if (choice < options->bad)
        status = emit_bad(generator, event);
    else if (choice < options->bad + options->duplicate)
        status = emit_duplicate(generator, event);
    else
        status = emit_good(generator, event);
    if (status != NILAI_OK)
        return status;
    generator->counts.events++;
    generator->counts.bytes += event->value_size;
    return NILAI_OK;
}

void nilai_generator_stop(struct nilai_generator *generator)
{
    generator->stopped = true;
}

/* ---- making one ---- */

void nilai_generator_defaults(struct nilai_generator_options *options)
{
    *options = (struct nilai_generator_options){
        .seed = 1,
        .customers = 10000,
        .events = 100000,
        .from_ms = INT64_C(1735689600000), /* 2025-01-01 */
        .span_ms = INT64_C(365) * NILAI_DAY_MS,
        .skew = 1,
        .grievance = 1.5,
        .bad_classes = ~((1u << NILAI_REJECT_NONE) | (1u << NILAI_REJECT_TOO_LARGE)
                         | (1u << NILAI_REJECT_FUTURE_TIMESTAMP))
                       & ((1u << NILAI_REJECT_CLASSES) - 1),
        .style =
            {
                .now_ms = -1,
                .keyed = true,
                .format = NILAI_FORMAT_MSGPACK,
                .currency_count = 1,
                .currencies = {{.code = "USD", .rate = 1}},
            },
    };
}

static enum nilai_status check(const struct nilai_generator_options *options,
                               struct nilai_error *error)
{
    NILAI_ASSERT(options->late >= 0 && options->duplicate >= 0 && options->bad >= 0);
    NILAI_ASSERT(options->style.currency_count >= 1
                 && options->style.currency_count <= NILAI_FACT_CURRENCIES_MAX);
    if (options->late + options->duplicate + options->bad > SHARES_MAX)
        return nilai_error_set(error, NILAI_INVALID,
                               "late, duplicate and bad events together must be at most %g of all",
                               SHARES_MAX);
    if (options->customers > NILAI_GENERATOR_CUSTOMERS_MAX)
        return nilai_error_set(error, NILAI_INVALID, "at most %d customers",
                               NILAI_GENERATOR_CUSTOMERS_MAX);
    if (options->bad > 0 && options->bad_classes == 0)
        return nilai_error_set(error, NILAI_INVALID, "bad events of which class?");
    if (options->style.now_ms > NILAI_TIME_MAX_MS - 60 * (int64_t)NILAI_DAY_MS)
        return nilai_error_set(error, NILAI_INVALID, "no room for a future after the given time");
    for (uint32_t class = 0; class < 32; class++)
        if ((options->bad_classes >> class & 1) != 0
            && (class >= NILAI_REJECT_CLASSES
                || !nilai_fact_can_flaw(&options->style, (enum nilai_reject_class) class)))
            return nilai_error_set(
                error, NILAI_INVALID, "bad events of class %s cannot be made: %s",
                class<NILAI_REJECT_CLASSES &&class> 0 ? nilai_reject_names[class] : "none",
                class == NILAI_REJECT_KEY_MISMATCH       ? "there are no keys"
                : class == NILAI_REJECT_FUTURE_TIMESTAMP ? "the time is not given"
                                                         : "no such class");
    return NILAI_OK;
}

static struct nilai_population_options
population_options(const struct nilai_generator_options *options)
{
    double facts = (double)options->events * (1 - options->bad - options->duplicate);
    return (struct nilai_population_options){
        .seed = options->seed,
        .customers = options->customers,
        .events = options->events == 0 ? 0
                  : facts < 1          ? 1
                                       : (uint64_t)facts,
        .from_ms = options->from_ms,
        .span_ms = options->span_ms,
        .skew = options->skew,
        .grievance = options->grievance,
        .erase = options->erase,
    };
}

static void list_classes(struct nilai_generator *generator)
{
    for (uint32_t class = 1; class < NILAI_REJECT_CLASSES; class++)
        if ((generator->options.bad_classes >> class & 1) != 0)
            generator->classes[generator->class_count++] = (enum nilai_reject_class) class;
}

enum nilai_status nilai_generator_create(const struct nilai_generator_options *options,
                                         struct nilai_generator **result, struct nilai_error *error)
{
    enum nilai_status status = check(options, error);
    if (status != NILAI_OK)
        return status;
    struct nilai_generator *generator = calloc(1, sizeof *generator);
    if (generator == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    generator->options = *options;
    generator->options.style.seed = options->seed;
    generator->options.style.customers = options->customers;
    generator->late_chance = options->late / (1 - options->bad - options->duplicate);
    generator->now_ms = generator->newest_ms = options->from_ms;
    nilai_random_init(&generator->random, options->seed, 3);
    list_classes(generator);

    struct nilai_population_options inner = population_options(options);
    status = nilai_population_create(&inner, &generator->population, error);
    if (status == NILAI_OK) {
        bool has_stencils = options->style.format == NILAI_FORMAT_MSGPACK;
        generator->encoder = nilai_encoder_create(options->style.format);
        generator->stencils = has_stencils ? nilai_fact_stencils_create() : NULL;
        if (generator->encoder == NULL || (has_stencils && generator->stencils == NULL))
            status = nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    }
    if (status != NILAI_OK) {
        nilai_generator_destroy(generator);
        return status;
    }
    *result = generator;
    return NILAI_OK;
}

void nilai_generator_destroy(struct nilai_generator *generator)
{
    if (generator == NULL)
        return;
    nilai_stencils_destroy(generator->stencils);
    nilai_encoder_destroy(generator->encoder);
    nilai_population_destroy(generator->population);
    free(generator);
}

const struct nilai_generator_counts *nilai_generator_counts(const struct nilai_generator *generator)
{
    return &generator->counts;
}

const struct nilai_population *nilai_generator_population(const struct nilai_generator *generator)
{
    return generator->population;
}
