#include "nilai/run/generator.h"

#include "nilai/customer/model.h"
#include "nilai/run/random.h"
#include "test.h"

enum { CLASSES_ALL = (1 << NILAI_REJECT_CLASSES) - 2, CLASSES_BUT_LARGE = CLASSES_ALL & ~(1 << NILAI_REJECT_TOO_LARGE) };
static const int64_t NOW_MS = INT64_C(1893456000000); /* 2030 */

static const struct nilai_currency_rate rates[] = {{"EUR", 1.25}, {"IDR", 0.00006}};

static struct nilai_generator_options defaults(enum nilai_format format)
{
    struct nilai_generator_options options;
    nilai_generator_defaults(&options);
    options.style.format = format;
    for (size_t i = 0; i < NILAI_ARRAY_LEN(rates); i++)
        options.style.currencies[options.style.currency_count++] = rates[i];
    return options;
}

/* Everything at once that can go wrong with an event. */
static struct nilai_generator_options sloppy(enum nilai_format format)
{
    struct nilai_generator_options options = defaults(format);
    options.customers = 2000;
    options.events = 40000;
    options.late = 0.06;
    options.duplicate = 0.03;
    options.bad = 0.05;
    options.erase = 0.002;
    options.style.now_ms = NOW_MS;
    options.bad_classes = CLASSES_BUT_LARGE;
    return options;
}

static struct nilai_generator *create(const struct nilai_generator_options *options)
{
    struct nilai_generator *generator = NULL;
    struct nilai_error error = {""};
    enum nilai_status status = nilai_generator_create(options, &generator, &error);
    if (status != NILAI_OK)
        fail_msg("%s", error.text);
    return generator;
}

static struct nilai_decoder *create_decoder(enum nilai_format format)
{
    const struct nilai_decode_rules rules = {
        .format = format,
        .base_currency = "USD",
        .margin = 0.3,
        .rates = rates,
        .rate_count = NILAI_ARRAY_LEN(rates),
        .max_future_ms = 300000,
    };
    struct nilai_decoder *decoder = nilai_decoder_create(&rules);
    CHECK(decoder != NULL);
    return decoder;
}

static uint64_t hash_of_all(const struct nilai_generator_options *options)
{
    struct nilai_generator *generator = create(options);
    struct nilai_generated event;
    uint64_t hash = 0;
    while (nilai_generator_next(generator, &event) == NILAI_OK) {
        for (size_t i = 0; i < event.value_size; i++)
            hash = nilai_random_mix(hash ^ (unsigned char)event.value[i]);
        for (size_t i = 0; i < sizeof event.key; i++)
            hash = nilai_random_mix(hash ^ (unsigned char)event.key[i]);
    }
    nilai_generator_destroy(generator);
    return hash;
}

/* Goal: a stream can be made again by its options, and by no other seed.
 * Method: hash all bytes of all values and keys. */
TEST(same_seed_same_bytes_other_seed_others)
{
    static const enum nilai_format formats[] = {NILAI_FORMAT_MSGPACK, NILAI_FORMAT_JSON};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(formats); i++) {
        struct nilai_generator_options options = sloppy(formats[i]);
        uint64_t once = hash_of_all(&options), again = hash_of_all(&options);
        CHECK(once == again);
        options.seed++;
        CHECK(hash_of_all(&options) != once);
    }
}

static void check_good(const struct nilai_generated *made, struct nilai_decoder *decoder)
{
    struct nilai_event event;
    struct nilai_reject reject;
    if (!nilai_decode(decoder, made->value, made->value_size, &event, &reject))
        fail_msg("a good event is refused: %s", reject.message);
    CHECK(nilai_decode_check_key(&event, made->key, sizeof made->key, &reject));
    CHECK(nilai_decode_check_time(decoder, &event, NOW_MS, &reject));
    CHECK_EQ(event.type, made->type);
    CHECK_EQ(event.ts_ms, made->ts_ms);
    if (event.type == NILAI_PURCHASE)
        CHECK(event.purchase.amount > 0 && event.purchase.cost < event.purchase.amount + 200);
}

static void check_bad(const struct nilai_generated *made, struct nilai_decoder *decoder)
{
    struct nilai_event event;
    struct nilai_reject reject = {0};
    bool accepted = nilai_decode(decoder, made->value, made->value_size, &event, &reject)
                    && nilai_decode_check_key(&event, made->key, sizeof made->key, &reject)
                    && nilai_decode_check_time(decoder, &event, NOW_MS, &reject);
    if (accepted || reject.class != made->flaw)
        fail_msg("meant to be %s, but %s: %s", nilai_reject_names[made->flaw],
                 accepted ? "accepted" : nilai_reject_names[reject.class],
                 accepted ? "" : reject.message);
}

static void check_events(struct nilai_generator_options options)
{
    struct nilai_generator *generator = create(&options);
    struct nilai_decoder *decoder = create_decoder(options.style.format);
    struct nilai_generated made;
    uint64_t events = 0, by_class[NILAI_REJECT_CLASSES] = {0};
    for (; nilai_generator_next(generator, &made) == NILAI_OK; events++) {
        (made.flaw == NILAI_REJECT_NONE ? check_good : check_bad)(&made, decoder);
        by_class[made.flaw]++;
    }
    CHECK_EQ(events, options.events);
    for (uint32_t class = 0; class < NILAI_REJECT_CLASSES; class++) {
        bool wanted = class == 0 || (options.bad > 0 && (options.bad_classes >> class & 1) != 0);
        CHECK(wanted == (by_class[class] > 0));
    }
    nilai_decoder_destroy(decoder);
    nilai_generator_destroy(generator);
}

/* Goal: what is meant to be good is good, and what is meant to be bad is bad in that way.
 * Method: the decoders of the service decide, in all four ways of writing events down. */
TEST(the_decoder_agrees_about_every_event)
{
    static const enum nilai_format formats[] = {NILAI_FORMAT_MSGPACK, NILAI_FORMAT_JSON};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(formats); i++) {
        struct nilai_generator_options options = sloppy(formats[i]);
        options.bad = 0.4;
        check_events(options);
        options.style.keyed = false;
        options.bad_classes &= ~(1u << NILAI_REJECT_KEY_MISMATCH);
        check_events(options);
        options.events = 400;
        options.bad_classes = 1u << NILAI_REJECT_TOO_LARGE;
        check_events(options);
    }
}

/* Goal: a stream of MessagePack values with bad ones in it can still be cut into events.
 * Method: the span of each value that can be told apart is its size. */
TEST(values_without_frames_can_be_told_apart)
{
    struct nilai_generator_options options = sloppy(NILAI_FORMAT_MSGPACK);
    options.style.keyed = false;
    options.bad = 0.5;
    options.bad_classes &= ~(1u << NILAI_REJECT_KEY_MISMATCH);
    struct nilai_generator *generator = create(&options);
    struct nilai_generated made;
    while (nilai_generator_next(generator, &made) == NILAI_OK) {
        size_t span = 0;
        CHECK_EQ(nilai_msgpack_span(made.value, made.value_size, &span), NILAI_OK);
        CHECK_EQ(span, made.value_size);
    }
    nilai_generator_destroy(generator);
}

static void check_share(uint64_t found, uint64_t events, double share)
{
    CHECK_NEAR((double)found, share * (double)events,
               5 * sqrt(share * (1 - share) * (double)events) + 2);
}

/* Goal: the shares are those that were asked for.
 * Method: counts within five standard deviations of the binomial. */
TEST(shares_are_as_asked_for)
{
    struct nilai_generator_options options = sloppy(NILAI_FORMAT_MSGPACK);
    options.events = 200000;
    options.seed = test_seed(5);
    struct nilai_generator *generator = create(&options);
    struct nilai_generated made;
    uint64_t late = 0, duplicates = 0, bad = 0, erasures = 0;
    while (nilai_generator_next(generator, &made) == NILAI_OK) {
        late += made.late;
        duplicates += made.duplicate;
        bad += made.flaw != NILAI_REJECT_NONE;
        erasures += made.type == NILAI_ERASE && !made.duplicate && made.flaw == NILAI_REJECT_NONE;
    }
    const struct nilai_generator_counts *counts = nilai_generator_counts(generator);
    CHECK_EQ(counts->events, options.events);
    CHECK_EQ(counts->late, late);
    CHECK_EQ(counts->duplicates, duplicates);
    check_share(late, options.events, options.late);
    check_share(duplicates, options.events, options.duplicate);
    check_share(bad, options.events, options.bad);
    check_share(erasures, options.events, options.erase * (1 - options.bad - options.duplicate));
    for (uint32_t class = NILAI_REJECT_MALFORMED; class < NILAI_REJECT_CLASSES; class++)
        check_share(counts->bad[class], options.events, options.bad / (NILAI_REJECT_CLASSES - 2));
    nilai_generator_destroy(generator);
}

struct sent {
    char value[1024];
    size_t size;
};

/* Goal: only events that are marked late are out of order; a duplicate repeats, byte for byte,
 * one of the eight good events before it; nobody else repeats an id.
 * Method: remember the last eight and all serial numbers. */
TEST(order_and_repetition_are_as_marked)
{
    struct nilai_generator_options options = sloppy(NILAI_FORMAT_JSON);
    struct nilai_generator *generator = create(&options);
    struct nilai_generated made;
    static struct sent recent[8];
    static bool seen[100000];
    uint64_t good = 0;
    int64_t newest_ms = 0;

    memset(seen, 0, sizeof seen);
    while (nilai_generator_next(generator, &made) == NILAI_OK) {
        if (made.flaw != NILAI_REJECT_NONE)
            continue;
        if (made.duplicate) {
            bool known = false;
            for (uint64_t i = 0; i < 8 && i < good; i++)
                known |= recent[i].size == made.value_size
                         && memcmp(recent[i].value, made.value, made.value_size) == 0;
            CHECK(known);
            continue;
        }
        CHECK(made.late == (made.ts_ms < newest_ms));
        if (!made.late)
            newest_ms = made.ts_ms;
        unsigned long long serial;
        CHECK_EQ(sscanf(made.value, "{\"id\":\"e%*5[0-9a-f]-%llx\"", &serial), 1);
        CHECK(serial < 100000 && !seen[serial]);
        seen[serial] = true;
        struct sent *slot = &recent[good++ % 8];
        CHECK(made.value_size <= sizeof slot->value);
        memcpy(slot->value, made.value, made.value_size);
        slot->size = made.value_size;
    }
    for (uint64_t i = 0; i < good; i++) /* late or not, all came out */
        CHECK(seen[i]);
    nilai_generator_destroy(generator);
}

struct life {
    uint32_t purchases, tickets;
    int64_t first_ms, last_ms, last_event_ms;
};

/* Goal: the truth is the truth about the events.
 * Method: follow every customer through the stream, and compare. */
TEST(truth_agrees_with_the_events)
{
    enum { CUSTOMERS = 2000 };
    static struct life lives[CUSTOMERS];
    struct nilai_generator_options options = sloppy(NILAI_FORMAT_MSGPACK);
    struct nilai_decoder *decoder = create_decoder(options.style.format);
    struct nilai_generated made;
    struct nilai_event event;
    struct nilai_reject reject;
    uint32_t left = 0, erased = 0;

    options.customers = CUSTOMERS;
    struct nilai_generator *generator = create(&options);
    memset(lives, 0, sizeof lives);
    while (nilai_generator_next(generator, &made) == NILAI_OK) {
        if (made.flaw != NILAI_REJECT_NONE || made.duplicate)
            continue;
        struct life *life = &lives[made.customer];
        CHECK(nilai_decode(decoder, made.value, made.value_size, &event, &reject));
        if (made.type == NILAI_PURCHASE) {
            if (life->purchases++ == 0 || made.ts_ms < life->first_ms)
                life->first_ms = made.ts_ms;
            life->last_ms = made.ts_ms > life->last_ms ? made.ts_ms : life->last_ms;
        }
        life->tickets += made.type == NILAI_TICKET && event.ticket.status == NILAI_TICKET_OPENED;
        life->last_event_ms = made.ts_ms > life->last_event_ms ? made.ts_ms : life->last_event_ms;
    }
    const struct nilai_population *population = nilai_generator_population(generator);
    CHECK_EQ(nilai_population_joined(population), CUSTOMERS);
    for (uint32_t i = 0; i < CUSTOMERS; i++) {
        struct nilai_truth truth;
        nilai_population_truth(population, i, &truth);
        CHECK_EQ(lives[i].purchases, truth.purchases);
        CHECK_EQ(lives[i].tickets, truth.tickets);
        CHECK_EQ(lives[i].first_ms, truth.joined_ms);
        if (truth.left_ms >= 0)
            CHECK(lives[i].last_ms <= truth.left_ms);
        if (truth.erased_ms >= 0)
            CHECK_EQ(lives[i].last_event_ms, truth.erased_ms);
        left += truth.left_ms >= 0;
        erased += truth.erased_ms >= 0;
    }
    CHECK(left > CUSTOMERS / 10 && left < CUSTOMERS);
    CHECK(erased > 10);
    nilai_decoder_destroy(decoder);
    nilai_generator_destroy(generator);
}

/* Goal: the wanted number of events comes out exactly, and at about the end of the span.
 * Method: few and many events a customer, in short and long spans. */
TEST(it_ends_when_it_should)
{
    static const struct {
        uint32_t customers;
        uint64_t events;
        int span_days;
        double skew;
    } cases[] = {
        {1, 1, 1, 1}, {20, 1000, 365, 0}, {100, 100000, 30, 0}, {500, 50000, 365, 1},
        {20000, 60000, 730, 1}, {20000, 100000, 365, 3}, {100000, 20000, 100, 1},
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(cases); i++) {
        struct nilai_generator_options options = sloppy(NILAI_FORMAT_MSGPACK);
        options.customers = cases[i].customers;
        options.events = cases[i].events;
        options.span_ms = cases[i].span_days * (int64_t)NILAI_DAY_MS;
        options.skew = cases[i].skew;
        options.erase = 0;
        struct nilai_generator *generator = create(&options);
        struct nilai_generated made;
        uint64_t events = 0;
        int64_t newest_ms = 0;
        for (; nilai_generator_next(generator, &made) == NILAI_OK; events++)
            newest_ms = made.late || made.duplicate ? newest_ms : made.ts_ms;
        CHECK_EQ(events, options.events);
        if (cases[i].customers >= 500)
            CHECK_NEAR((double)(newest_ms - options.from_ms) / (double)options.span_ms, 1, 0.15);
        nilai_generator_destroy(generator);
    }
}

/* Goal: when it ends before the wanted number, then because nobody is left.
 * Method: one customer, who (with this seed) leaves before. */
TEST(it_ends_early_only_when_all_have_left)
{
    struct nilai_generator_options options = defaults(NILAI_FORMAT_MSGPACK);
    options.customers = 1;
    options.events = 1000;
    options.seed = 7;
    struct nilai_generator *generator = create(&options);
    struct nilai_generated made;
    struct nilai_truth truth;
    while (nilai_generator_next(generator, &made) == NILAI_OK)
        continue;
    CHECK(nilai_generator_counts(generator)->events < options.events);
    nilai_population_truth(nilai_generator_population(generator), 0, &truth);
    CHECK(truth.left_ms > 0);
    CHECK_EQ(nilai_generator_next(generator, &made), NILAI_MISSING);
    nilai_generator_destroy(generator);
}

/* Goal: with no number wanted, the rates are the natural ones and the span is the end. */
TEST(without_a_number_the_span_ends_it)
{
    struct nilai_generator_options options = sloppy(NILAI_FORMAT_MSGPACK);
    options.events = 0;
    struct nilai_generator *generator = create(&options);
    struct nilai_generated made;
    int64_t newest_ms = 0;
    while (nilai_generator_next(generator, &made) == NILAI_OK)
        newest_ms = made.ts_ms > newest_ms ? made.ts_ms : newest_ms;
    CHECK(newest_ms < options.from_ms + options.span_ms);
    CHECK(newest_ms > options.from_ms + options.span_ms - 5 * (int64_t)NILAI_DAY_MS);
    CHECK(nilai_population_scale(nilai_generator_population(generator)) == 1);
    nilai_generator_destroy(generator);
}

/* Goal: after a stop nothing new happens, and all that happened comes out. */
TEST(a_stop_lets_out_what_was_held_back)
{
    struct nilai_generator_options options = sloppy(NILAI_FORMAT_MSGPACK);
    options.late = 0.5;
    struct nilai_generator *generator = create(&options);
    struct nilai_generated made;
    for (int i = 0; i < 5000; i++)
        CHECK_EQ(nilai_generator_next(generator, &made), NILAI_OK);
    nilai_generator_stop(generator);
    uint64_t rest = 0, purchases = 0;
    for (; nilai_generator_next(generator, &made) == NILAI_OK; rest++)
        CHECK(made.flaw == NILAI_REJECT_NONE && !made.duplicate);
    CHECK(rest > 0 && rest <= NILAI_GENERATOR_HELD_MAX);
    const struct nilai_population *population = nilai_generator_population(generator);
    for (uint32_t i = 0; i < nilai_population_joined(population); i++) {
        struct nilai_truth truth;
        nilai_population_truth(population, i, &truth);
        purchases += truth.purchases;
    }
    CHECK_EQ(purchases, nilai_generator_counts(generator)->good[NILAI_PURCHASE]);
    nilai_generator_destroy(generator);
}

static struct nilai_population *live(uint32_t customers, double skew, double grievance, uint64_t seed)
{
    const struct nilai_population_options options = {
        .seed = seed,
        .customers = customers,
        .from_ms = INT64_C(1600000000000),
        .span_ms = 3 * INT64_C(365) * NILAI_DAY_MS,
        .skew = skew,
        .grievance = grievance,
    };
    struct nilai_population *population = NULL;
    struct nilai_error error;
    struct nilai_fact fact;
    CHECK_EQ(nilai_population_create(&options, &population, &error), NILAI_OK);
    while (nilai_population_next(population, &fact) == NILAI_OK)
        CHECK(fact.ts_ms < options.from_ms + options.span_ms);
    CHECK_EQ(nilai_population_joined(population), customers);
    return population;
}

/* Expected purchases of one who buys at `rate` and leaves after each purchase with `p`. */
static double expected_purchases(double rate, double p, double days)
{
    return 1 + (1 - p) * -expm1(-rate * p * days) / p;
}

/* Goal: purchases follow MBG/NBD, spend the Gamma-Gamma model, with the documented parameters.
 * Method: the drawn parameters against the moments of their distributions; the purchases of
 * all against the expectation given each one's parameters, within five standard errors. */
TEST(the_population_is_the_documented_model)
{
    enum { CUSTOMERS = 50000 };
    struct nilai_population *population = live(CUSTOMERS, 1, 1, test_seed(11));
    double rate = 0, rate_squares = 0, leave = 0, spend = 0, surprise = 0, surprise_squares = 0;
    int64_t end_ms = INT64_C(1600000000000) + 3 * INT64_C(365) * NILAI_DAY_MS;

    for (uint32_t i = 0; i < CUSTOMERS; i++) {
        struct nilai_truth truth;
        nilai_population_truth(population, i, &truth);
        rate += truth.purchases_per_day / CUSTOMERS;
        rate_squares += truth.purchases_per_day * truth.purchases_per_day / CUSTOMERS;
        leave += truth.leave_probability / CUSTOMERS;
        spend += truth.mean_spend / CUSTOMERS;
        double difference = truth.purchases
                            - expected_purchases(truth.purchases_per_day, truth.leave_probability,
                                                 (double)(end_ms - truth.joined_ms) / NILAI_DAY_MS);
        surprise += difference / CUSTOMERS;
        surprise_squares += difference * difference / CUSTOMERS;
    }
    double mean = 0.6371 / 51.17, variance = 0.6371 / (51.17 * 51.17);
    CHECK_NEAR(rate, mean, 5 * sqrt(variance / CUSTOMERS));
    CHECK_NEAR(rate_squares - rate * rate, variance, 0.08 * variance);
    CHECK_NEAR(leave, 0.8075 / 2.0359, 5 * 0.28 / sqrt(CUSTOMERS));
    CHECK_NEAR(spend, 6.2754 * 14.9837 / 2.6245, 1);
    CHECK_NEAR(surprise, 0, 5 * sqrt(surprise_squares / CUSTOMERS));
    nilai_population_destroy(population);
}

static int descending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

/* Share of the purchases that the busiest tenth makes. */
static double upper_tenth(double skew)
{
    enum { CUSTOMERS = 20000 };
    static uint32_t purchases[CUSTOMERS];
    struct nilai_population *population = live(CUSTOMERS, skew, 1.5, 3);
    double all = 0, upper = 0;
    for (uint32_t i = 0; i < CUSTOMERS; i++) {
        struct nilai_truth truth;
        nilai_population_truth(population, i, &truth);
        purchases[i] = truth.purchases;
    }
    qsort(purchases, CUSTOMERS, sizeof purchases[0], descending);
    for (uint32_t i = 0; i < CUSTOMERS; i++) {
        all += purchases[i];
        upper += i < CUSTOMERS / 10 ? purchases[i] : 0;
    }
    nilai_population_destroy(population);
    return upper / all;
}

/* Goal: the larger the skew, the fewer customers make most of the purchases; 0: equal rates. */
TEST(skew_makes_customers_unequal)
{
    double even = upper_tenth(0), usual = upper_tenth(1), steep = upper_tenth(3);
    printf("upper tenth: %.3f, %.3f, %.3f\n", even, usual, steep);
    CHECK(even < usual - 0.05 && usual < steep - 0.05);
    struct nilai_population *population = live(1000, 0, 1.5, 3);
    for (uint32_t i = 0; i < 1000; i++) {
        struct nilai_truth truth;
        nilai_population_truth(population, i, &truth);
        CHECK_NEAR(truth.purchases_per_day, 0.6371 / 51.17, 1e-8);
    }
    nilai_population_destroy(population);
}

struct group {
    double customers, left;
};

static void divide(double grievance, uint64_t seed, struct group groups[2])
{
    enum { CUSTOMERS = 60000 };
    struct nilai_population *population = live(CUSTOMERS, 1, grievance, seed);
    memset(groups, 0, 2 * sizeof groups[0]);
    for (uint32_t i = 0; i < CUSTOMERS; i++) {
        struct nilai_truth truth;
        nilai_population_truth(population, i, &truth);
        if (truth.tickets > 0 && truth.bad_tickets == 0)
            continue; /* well handled tickets bind a little */
        struct group *group = &groups[truth.bad_tickets > 0];
        group->customers++;
        group->left += truth.left_ms >= 0;
    }
    nilai_population_destroy(population);
}

static double difference_in_errors(const struct group *a, const struct group *b)
{
    double share_a = a->left / a->customers, share_b = b->left / b->customers;
    double variance = share_a * (1 - share_a) / a->customers + share_b * (1 - share_b) / b->customers;
    return (share_b - share_a) / sqrt(variance);
}

/* Goal: badly handled tickets drive customers away, and nothing else differs.
 * Method: an experiment: the same population with and without grievance. Of those who had bad
 * tickets more have left; of those who never had a ticket no more have. */
TEST(bad_tickets_drive_customers_away)
{
    uint64_t seed = test_seed(13);
    struct group calm[2], angry[2];
    divide(1, seed, calm);
    divide(1.5, seed, angry);
    printf("left: no tickets %.3f, %.3f; bad tickets %.3f, %.3f\n", calm[0].left / calm[0].customers,
           angry[0].left / angry[0].customers, calm[1].left / calm[1].customers,
           angry[1].left / angry[1].customers);
    CHECK(fabs(difference_in_errors(&calm[0], &angry[0])) < 5);
    CHECK(difference_in_errors(&calm[1], &angry[1]) > 6);
}

/* Goal: answers follow experience.
 * Method: the answers of those whose ticket was reopened since their last purchase are worse. */
TEST(answers_follow_experience)
{
    enum { CUSTOMERS = 10000 };
    static bool annoyed[CUSTOMERS];
    struct nilai_generator_options options = defaults(NILAI_FORMAT_MSGPACK);
    struct nilai_decoder *decoder = create_decoder(options.style.format);
    struct nilai_generated made;
    struct nilai_event event;
    struct nilai_reject reject;
    double sums[2] = {0}, counts[2] = {0};

    options.customers = CUSTOMERS;
    struct nilai_generator *generator = create(&options);
    memset(annoyed, 0, sizeof annoyed);
    while (nilai_generator_next(generator, &made) == NILAI_OK) {
        CHECK(nilai_decode(decoder, made.value, made.value_size, &event, &reject));
        if (event.type == NILAI_PURCHASE)
            annoyed[made.customer] = false;
        else if (event.type == NILAI_TICKET && event.ticket.status == NILAI_TICKET_REOPENED)
            annoyed[made.customer] = true;
        else if (event.type == NILAI_SURVEY) {
            sums[annoyed[made.customer]] += event.survey.normalized;
            counts[annoyed[made.customer]]++;
        }
    }
    CHECK(counts[1] > 100);
    CHECK(sums[1] / counts[1] < sums[0] / counts[0] - 0.1);
    nilai_decoder_destroy(decoder);
    nilai_generator_destroy(generator);
}

/* Goal: options that contradict each other are refused with a reason. */
TEST(impossible_options_are_refused)
{
    struct nilai_generator *generator = NULL;
    struct nilai_error error;
    struct nilai_generator_options options = defaults(NILAI_FORMAT_JSON);

    options.bad = 0.5;
    options.late = 0.5;
    CHECK_EQ(nilai_generator_create(&options, &generator, &error), NILAI_INVALID);
    options = defaults(NILAI_FORMAT_JSON);
    options.span_ms = 1;
    CHECK_EQ(nilai_generator_create(&options, &generator, &error), NILAI_INVALID);
    options = defaults(NILAI_FORMAT_JSON);
    options.customers = 0;
    CHECK_EQ(nilai_generator_create(&options, &generator, &error), NILAI_INVALID);
    options = defaults(NILAI_FORMAT_JSON);
    options.bad_classes = 1u << NILAI_REJECT_FUTURE_TIMESTAMP;
    CHECK_EQ(nilai_generator_create(&options, &generator, &error), NILAI_INVALID);
    CHECK(strstr(error.text, "future-timestamp") != NULL);
    options.style.now_ms = NOW_MS;
    options.style.keyed = false;
    options.bad_classes = 1u << NILAI_REJECT_KEY_MISMATCH;
    CHECK_EQ(nilai_generator_create(&options, &generator, &error), NILAI_INVALID);
    CHECK(strstr(error.text, "key-mismatch") != NULL);
    CHECK(generator == NULL);
}
