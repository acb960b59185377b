/*
 * Members wait in a calendar queue (Brown 1988): an array of buckets of equal width, each a
 * list linked through the members themselves; bucket = (time >> shift) mod buckets. The clock
 * walks the buckets; of each it takes those of the present lap into `due`, sorted by (time,
 * number), and leaves the later laps where they are.
 *
 * Members and buckets are far more than a processor's cache holds, and each turn meets others of
 * them. So what is needed soon is fetched while the caller does something with the present fact:
 * the members of the next buckets, and the bucket into which who has just acted goes next time.
 *
 * Always true: a member is in at most one list; `waiting` counts those in any; everything in
 * `due` belongs to bucket `slot`, everything elsewhere to a later one; between two calls, who
 * acted last (`turned`) is in none.
 */
#include "nilai/run/population.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "nilai/base/clock.h"
#include "nilai/customer/model.h"
#include "nilai/run/random.h"

#define NEVER   INT64_MAX
#define HOUR_MS 3600000.0
#define DAY_MS  ((double)NILAI_DAY_MS)

enum {
    PILOT_CUSTOMERS = 8192, /* drawn to find the scale */
    FACTS_PER_BUCKET = 2,
    BUCKETS_MIN = 1024,
    BUCKETS_MAX = 16 * 1024 * 1024,
    PREFETCH_STRIDE = 4, /* buckets; each element of a list is fetched so much before the next */
    PREFETCH_DEPTH = 3,
    LAPS_MAX = 16, /* a fact later than so many spans never comes */
    GRIEVANCE_MIN = -2,
    GRIEVANCE_MAX = 8,
    FACTS_PER_MS_MAX = 64,
};

/* The model's parameters; the header explains them. */
static const double RHYTHM_R = 0.6371, RHYTHM_ALPHA = 51.17, LEAVE_A = 0.8075, LEAVE_B = 1.2284;
static const double SPEND_P = 6.2754, SPEND_Q = 3.6245, SPEND_GAMMA = 14.9837;
static const double TICKET_SHARE = 0.15, REFUND_SHARE = 0.05, PURCHASE_SURVEY_SHARE = 0.12;
static const double TICKET_SURVEY_SHARE = 0.40, PENDING_SHARE = 0.30, DIRECT_CLOSE_SHARE = 0.10;
static const double UNANSWERED_SHARE = 0.02, REOPEN_SHARE = 0.12, CLOSE_SHARE = 0.70;
static const double RESOLVE_SCALE_MS = 48 * HOUR_MS, RESOLVE_MAX_MS = 60 * DAY_MS;
static const double SLA_MS = 72 * HOUR_MS, PENDING_POINT = 0.4;

/* What the open ticket does next. */
enum step {
    STEP_NONE,
    STEP_OPEN,
    STEP_PEND,
    STEP_RESOLVE,
    STEP_CLOSE_DIRECT,
    STEP_GIVE_UP,
    STEP_REOPEN,
    STEP_RESOLVE_AGAIN,
    STEP_CLOSE
};

/* What follows a purchase or a ticket, later. */
enum after { AFTER_NONE, AFTER_REFUND, AFTER_PURCHASE_SURVEY, AFTER_TICKET_SURVEY, AFTER_ERASE };

struct member {
    int64_t purchase_ms; /* the next one; once they are gone: when they left */
    int64_t case_ms;     /* of `step` */
    int64_t after_ms;    /* of `after`; once erased: when */
    int64_t opened_ms;   /* of the ticket that is going on */
    float gap_ms;        /* mean time between purchases */
    float leave;         /* probability, as scaled, without grievance */
    float spend;         /* mean, major units */
    float paid;          /* the last purchase */
    uint32_t next;       /* in a list: number + 1, 0 ends it */
    uint32_t purchases;
    uint16_t tickets;
    int8_t grievance;
    uint8_t bad_tickets;
    uint8_t step;
    uint8_t after;
    uint8_t kind_and_factor;
    bool gone : 1, erased : 1;
};
static_assert(sizeof(struct member) == 64, "one cache line a customer");

struct nilai_population {
    struct nilai_population_options options;
    struct nilai_random random;
    double scale, join_window_ms;
    int64_t last_ms; /* what comes later does not come */
    double grievance_odds[GRIEVANCE_MAX - GRIEVANCE_MIN + 1];
    uint64_t serial;
    struct member *members;
    uint32_t admitted; /* members that exist; the last one waits for the first purchase */
    uint32_t joined;
    uint32_t waiting;
    uint32_t *buckets;
    uint64_t bucket_mask;
    uint32_t shift;
    uint64_t slot; /* the bucket number that `due` holds */
    uint32_t due;
    uint32_t turned; /* number + 1 */
    bool ended;
};

/* ---- the queue ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Whatever the plans, all are read: a choice is cheaper than a jump that nobody can foresee. */
static int64_t wake_of(const struct member *member)
{
    int64_t purchase = member->gone ? NEVER : member->purchase_ms;
    int64_t next = member->step != STEP_NONE ? member->case_ms : NEVER;
    int64_t after = member->after != AFTER_NONE ? member->after_ms : NEVER;
    return earlier(purchase, earlier(next, after));
}

static uint64_t slot_of(const struct nilai_population *population, int64_t ms)
{
    NILAI_ASSERT(ms >= population->options.from_ms);
    return (uint64_t)(ms - population->options.from_ms) >> population->shift;
}

static bool precedes(const struct nilai_population *population, uint32_t a, uint32_t b)
{
    int64_t wake_a = wake_of(&population->members[a]), wake_b = wake_of(&population->members[b]);
    return wake_a != wake_b ? wake_a < wake_b : a < b;
}

/* Lists within a bucket are a handful long, so that a walk is cheaper than a heap. */
static void insert_due(struct nilai_population *population, uint32_t number)
{
    uint32_t *link = &population->due;
    while (*link != 0 && precedes(population, *link - 1, number))
        link = &population->members[*link - 1].next;
    population->members[number].next = *link;
    *link = number + 1;
}

static void enqueue(struct nilai_population *population, uint32_t number)
{
    struct member *member = &population->members[number];
    int64_t wake = wake_of(member);
    if (wake > population->last_ms)
        return;

    population->waiting++;
    uint64_t slot = slot_of(population, wake);
    NILAI_ASSERT(slot >= population->slot);
    if (slot == population->slot) {
        insert_due(population, number);
    } else {
        uint32_t *head = &population->buckets[slot & population->bucket_mask];
        member->next = *head;
        *head = number + 1;
    }
}

/* The second of a list can be fetched when the first is there, because that knows its number. */
static void prefetch_ahead(const struct nilai_population *population)
{
    for (uint32_t depth = 0; depth < PREFETCH_DEPTH; depth++) {
        uint64_t slot = population->slot + (PREFETCH_DEPTH - depth) * PREFETCH_STRIDE;
        uint32_t link = population->buckets[slot & population->bucket_mask];
        for (uint32_t step = 0; step < depth && link != 0; step++)
            link = population->members[link - 1].next;
        if (link != 0)
            __builtin_prefetch(&population->members[link - 1], 1);
    }
}

static void open_next_bucket(struct nilai_population *population)
{
    NILAI_ASSERT(population->due == 0);
    population->slot++;
    prefetch_ahead(population);
    uint32_t *link = &population->buckets[population->slot & population->bucket_mask];
    while (*link != 0) {
        uint32_t number = *link - 1;
        struct member *member = &population->members[number];
        if (slot_of(population, wake_of(member)) == population->slot) {
            *link = member->next;
            insert_due(population, number);
        } else {
            link = &member->next;
        }
    }
}

/* Who has acted waits again; not before the next turn, so that the bucket is at hand. */
static void turn(struct nilai_population *population, uint32_t number)
{
    int64_t wake = wake_of(&population->members[number]);
    population->turned = number + 1;
    if (wake <= population->last_ms)
        __builtin_prefetch(
            &population->buckets[slot_of(population, wake) & population->bucket_mask], 1);
}

static void enqueue_turned(struct nilai_population *population)
{
    if (population->turned != 0)
        enqueue(population, population->turned - 1);
    population->turned = 0;
}

static bool dequeue(struct nilai_population *population, uint32_t *number)
{
    if (population->waiting == 0)
        return false;
    while (population->due == 0)
        open_next_bucket(population);
    *number = population->due - 1;
    population->due = population->members[*number].next;
    population->waiting--;
    return true;
}

/* ---- customers ---- */

static int64_t joins_at(const struct nilai_population *population, uint32_t number)
{
    uint64_t hash = nilai_random_mix(population->options.seed ^ ((uint64_t)number << 20 | 0x7a));
    double place = (number + (double)(hash >> 11) * 0x1p-53) / population->options.customers;
    return population->options.from_ms + (int64_t)(place * population->join_window_ms);
}

/* Purchases per day at scale 1. */
static double draw_rate(struct nilai_random *random, double skew)
{
    double mean = RHYTHM_R / RHYTHM_ALPHA;
    if (skew <= 0)
        return mean;
    double shape = RHYTHM_R / (skew * skew);
    return fmax(mean * nilai_random_gamma(random, shape) / shape, 1e-9);
}

static void admit(struct nilai_population *population)
{
    if (population->admitted == population->options.customers)
        return;
    uint32_t number = population->admitted++;
    struct member *member = &population->members[number];
    struct nilai_random *random = &population->random;

    double rate = draw_rate(random, population->options.skew) * population->scale;
    double leave = nilai_random_beta(random, LEAVE_A, LEAVE_B) / fmax(1, population->scale);
    double spend = SPEND_P * SPEND_GAMMA / fmax(nilai_random_gamma(random, SPEND_Q), 1e-3);
    *member = (struct member){
        .purchase_ms = joins_at(population, number),
        .gap_ms = (float)(DAY_MS / rate),
        .leave = (float)leave,
        .spend = (float)spend,
    };
    enqueue(population, number);
}

static int64_t after_mean(struct nilai_population *population, int64_t now_ms, double mean_ms)
{
    /* Beyond any calendar it does not matter by how much, but it must not overflow. */
    double wait = nilai_random_exponential(&population->random) * mean_ms;
    return now_ms + 1 + (int64_t)fmin(wait, 1e15);
}

static int64_t resolved_at(struct nilai_population *population, int64_t now_ms)
{
    double wait = RESOLVE_SCALE_MS * (1 / sqrt(nilai_random_uniform(&population->random)) - 1);
    return now_ms + 1 + (int64_t)fmin(wait, RESOLVE_MAX_MS);
}

/* The probability of leaving at the present grievance. */
static double leave_probability(const struct nilai_population *population,
                                const struct member *member)
{
    double factor = population->grievance_odds[member->grievance - GRIEVANCE_MIN];
    double weighted = member->leave * factor;
    return weighted / (1 - member->leave + weighted);
}

static void leave(struct member *member, int64_t now_ms)
{
    member->gone = true;
    member->purchase_ms = now_ms;
}

static void grieve(struct member *member, int change)
{
    int level = member->grievance + change;
    member->grievance = (int8_t)(level < GRIEVANCE_MIN   ? GRIEVANCE_MIN
                                 : level > GRIEVANCE_MAX ? GRIEVANCE_MAX
                                                         : level);
}

static void end_badly(struct nilai_population *population, struct member *member, int64_t now_ms)
{
    if (member->bad_tickets < UINT8_MAX)
        member->bad_tickets++;
    grieve(member, +2);
    double excess = leave_probability(population, member) - (double)member->leave;
    if (!member->gone && nilai_random_chance(&population->random, excess))
        leave(member, now_ms);
}

static void plan_after(struct nilai_population *population, struct member *member, enum after after,
                       int64_t now_ms, double mean_ms)
{
    if (member->after != AFTER_NONE)
        return;
    member->after = (uint8_t)after;
    member->after_ms = after_mean(population, now_ms, mean_ms);
}

static void plan_step(struct member *member, enum step step, int64_t at_ms)
{
    member->step = (uint8_t)step;
    member->case_ms = at_ms;
}

/* ---- what happens, one fact at a time ---- */

static void buy(struct nilai_population *population, struct member *member, struct nilai_fact *fact)
{
    struct nilai_random *random = &population->random;
    int64_t now_ms = fact->ts_ms;

    fact->type = NILAI_PURCHASE;
    fact->amount = member->spend * nilai_random_gamma(random, SPEND_P) / SPEND_P;
    member->paid = (float)fact->amount;
    member->purchases++;

    if (nilai_random_chance(random, leave_probability(population, member))) {
        leave(member, now_ms);
    } else {
        member->grievance = (int8_t)(member->grievance / 2);
        member->purchase_ms = after_mean(population, now_ms, member->gap_ms);
    }
    if (member->step == STEP_NONE && nilai_random_chance(random, TICKET_SHARE))
        plan_step(member, STEP_OPEN, after_mean(population, now_ms, 2 * DAY_MS));
    double choice = nilai_random_uniform(random);
    if (choice < REFUND_SHARE)
        plan_after(population, member, AFTER_REFUND, now_ms, 5 * DAY_MS);
    else if (choice < REFUND_SHARE + PURCHASE_SURVEY_SHARE)
        plan_after(population, member, AFTER_PURCHASE_SURVEY, now_ms, DAY_MS);
}

static void open_ticket(struct nilai_population *population, struct member *member,
                        struct nilai_fact *fact)
{
    static const double kind_ends[] = {0.35, 0.70, 0.90, 1};
    struct nilai_random *random = &population->random;
    int64_t now_ms = fact->ts_ms;

    double choice = nilai_random_uniform(random);
    uint32_t kind = 0;
    while (choice >= kind_ends[kind])
        kind++;
    uint32_t factor = nilai_random_below(random, NILAI_FACTORS); /* one in eight has none */
    member->kind_and_factor = (uint8_t)(kind | factor << 4);
    member->opened_ms = now_ms;
    member->tickets++;

    int64_t end_ms = resolved_at(population, now_ms);
    choice = nilai_random_uniform(random);
    if (choice < UNANSWERED_SHARE)
        plan_step(member, STEP_GIVE_UP, now_ms + (int64_t)SLA_MS);
    else if (choice < UNANSWERED_SHARE + DIRECT_CLOSE_SHARE)
        plan_step(member, STEP_CLOSE_DIRECT, end_ms);
    else if (choice < UNANSWERED_SHARE + DIRECT_CLOSE_SHARE + PENDING_SHARE)
        plan_step(member, STEP_PEND,
                  now_ms + 1 + (int64_t)((double)(end_ms - now_ms) * PENDING_POINT));
    else
        plan_step(member, STEP_RESOLVE, end_ms);
    fact->status = NILAI_TICKET_OPENED;
}

/* A ticket is answered: well or badly; perhaps they are asked what they think of it. */
static void settle(struct nilai_population *population, struct member *member, int64_t now_ms)
{
    bool complaint = (member->kind_and_factor & 15) == NILAI_KIND_COMPLAINT;
    if ((double)(now_ms - member->opened_ms) > SLA_MS)
        end_badly(population, member, now_ms);
    else if (complaint)
        grieve(member, -1);
    if (nilai_random_chance(&population->random, TICKET_SURVEY_SHARE))
        plan_after(population, member, AFTER_TICKET_SURVEY, now_ms, 6 * HOUR_MS);
}

static void plan_end(struct nilai_population *population, struct member *member, int64_t now_ms)
{
    if (nilai_random_chance(&population->random, CLOSE_SHARE))
        plan_step(member, STEP_CLOSE, after_mean(population, now_ms, DAY_MS));
    else
        member->step = STEP_NONE;
}

static void resolve(struct nilai_population *population, struct member *member,
                    struct nilai_fact *fact)
{
    struct nilai_random *random = &population->random;
    bool again = member->step == STEP_RESOLVE_AGAIN;

    fact->status = NILAI_TICKET_RESOLVED;
    if (!again && nilai_random_chance(random, 0.5))
        fact->opened_ms = member->opened_ms;
    settle(population, member, fact->ts_ms);
    if (!again && nilai_random_chance(random, REOPEN_SHARE))
        plan_step(member, STEP_REOPEN, after_mean(population, fact->ts_ms, 36 * HOUR_MS));
    else
        plan_end(population, member, fact->ts_ms);
}

static void reopen(struct nilai_population *population, struct member *member,
                   struct nilai_fact *fact)
{
    fact->status = NILAI_TICKET_REOPENED;
    end_badly(population, member, fact->ts_ms);
    member->opened_ms = fact->ts_ms;
    plan_step(member, STEP_RESOLVE_AGAIN, resolved_at(population, fact->ts_ms));
}

/* False: the step leaves no fact behind. */
static bool do_step(struct nilai_population *population, struct member *member,
                    struct nilai_fact *fact)
{
    int64_t now_ms = fact->ts_ms;

    switch ((enum step)member->step) {
    case STEP_OPEN: open_ticket(population, member, fact); break;
    case STEP_PEND: /* the rest of the way to the end that was drawn at the opening */
        fact->status = NILAI_TICKET_PENDING;
        plan_step(member, STEP_RESOLVE,
                  now_ms + 1
                      + (int64_t)((double)(now_ms - member->opened_ms) * (1 - PENDING_POINT)
                                  / PENDING_POINT));
        break;
    case STEP_RESOLVE:
    case STEP_RESOLVE_AGAIN: resolve(population, member, fact); break;
    case STEP_CLOSE_DIRECT:
        fact->status = NILAI_TICKET_CLOSED;
        settle(population, member, now_ms);
        member->step = STEP_NONE;
        break;
    case STEP_REOPEN: reopen(population, member, fact); break;
    case STEP_CLOSE:
        fact->status = NILAI_TICKET_CLOSED;
        member->step = STEP_NONE;
        break;
    case STEP_GIVE_UP:
        end_badly(population, member, now_ms);
        member->step = STEP_NONE;
        return false;
    case STEP_NONE: NILAI_ASSERT(false);
    }
    fact->type = NILAI_TICKET;
    fact->ticket = member->tickets;
    fact->kind = member->kind_and_factor & 15;
    fact->factor = member->kind_and_factor >> 4;
    if (fact->status != NILAI_TICKET_OPENED && fact->status != NILAI_TICKET_REOPENED)
        fact->handle_s = 30 + (uint32_t)(600 * nilai_random_exponential(&population->random));
    return true;
}

static void answer(struct nilai_population *population, struct member *member,
                   struct nilai_fact *fact, const uint8_t metrics[2])
{
    struct nilai_random *random = &population->random;
    double satisfaction = 0.80 - 0.12 * member->grievance + 0.18 * nilai_random_normal(random);

    fact->type = NILAI_SURVEY;
    fact->metric = metrics[nilai_random_below(random, 2)];
    fact->factor = (uint8_t)nilai_random_below(random, NILAI_FACTORS);
    fact->satisfaction = (float)fmin(fmax(satisfaction, 0), 1);
}

static void do_after(struct nilai_population *population, struct member *member,
                     struct nilai_fact *fact)
{
    static const uint8_t purchase_metrics[2] = {NILAI_METRIC_NPS, NILAI_METRIC_RATING};
    static const uint8_t ticket_metrics[2] = {NILAI_METRIC_CSAT, NILAI_METRIC_CES};
    struct nilai_random *random = &population->random;
    enum after after = (enum after)member->after;

    member->after = AFTER_NONE;
    if (after == AFTER_REFUND) {
        fact->type = NILAI_REFUND;
        fact->amount = member->paid;
        if (nilai_random_chance(random, 0.5))
            fact->amount *= nilai_random_uniform(random);
    } else if (after == AFTER_PURCHASE_SURVEY) {
        answer(population, member, fact, purchase_metrics);
    } else if (after == AFTER_TICKET_SURVEY) {
        answer(population, member, fact, ticket_metrics);
    } else {
        NILAI_ASSERT(after == AFTER_ERASE);
        fact->type = NILAI_ERASE;
        NILAI_ASSERT(member->gone && member->step == STEP_NONE); /* nothing wakes them */
        member->erased = true;
    }
}

static void ask_for_erasure(struct nilai_population *population, struct member *member,
                            int64_t now_ms)
{
    if (!member->gone)
        leave(member, now_ms);
    member->step = STEP_NONE;
    member->after = AFTER_ERASE;
    member->after_ms = after_mean(population, now_ms, DAY_MS);
}

/* One customer's earliest plan comes true. False: silently. */
static bool act(struct nilai_population *population, uint32_t number, struct nilai_fact *fact)
{
    struct member *member = &population->members[number];
    bool told = true;

    if (!member->gone && member->purchase_ms == fact->ts_ms) {
        if (member->purchases == 0) {
            population->joined = number + 1;
            admit(population);
        }
        buy(population, member, fact);
    } else if (member->step != STEP_NONE && member->case_ms == fact->ts_ms) {
        told = do_step(population, member, fact);
    } else {
        do_after(population, member, fact);
    }
    if (told && fact->type != NILAI_ERASE && population->options.erase > 0
        && member->after != AFTER_ERASE
        && nilai_random_chance(&population->random, population->options.erase))
        ask_for_erasure(population, member, fact->ts_ms);
    return told;
}

/* No two facts of one customer at one instant: the others wait a millisecond. */
static void keep_apart(struct member *member, int64_t now_ms)
{
    if (!member->gone && member->purchase_ms <= now_ms)
        member->purchase_ms = now_ms + 1;
    if (member->step != STEP_NONE && member->case_ms <= now_ms)
        member->case_ms = now_ms + 1;
    if (member->after != AFTER_NONE && member->after_ms <= now_ms)
        member->after_ms = now_ms + 1;
}

enum nilai_status nilai_population_next(struct nilai_population *population,
                                        struct nilai_fact *fact)
{
    uint32_t number;
    bool told = false;

    while (!told) {
        enqueue_turned(population);
        if (population->ended || !dequeue(population, &number))
            return NILAI_MISSING;
        int64_t now_ms = wake_of(&population->members[number]);
        if (population->options.events == 0
            && now_ms - population->options.from_ms >= population->options.span_ms) {
            population->ended = true;
            return NILAI_MISSING;
        }
        *fact = (struct nilai_fact){.ts_ms = now_ms, .customer = number, .opened_ms = -1};
        told = act(population, number, fact);
        keep_apart(&population->members[number], now_ms);
        turn(population, number);
    }
    fact->serial = population->serial++;
    return NILAI_OK;
}

/* ---- making the population ---- */

/* Facts that a customer makes within `days`, about: MBG/NBD's expectation, and what hangs on
 * each purchase; while one ticket or survey is under way, another purchase makes none. */
static double expected_facts(double rate, double leave_p, double days)
{
    double decay = rate * leave_p * days;
    double repeats = decay < 1e-6 ? rate * days : (1 - nilai_random_exp(-decay)) / leave_p;
    double purchases = 1 + (1 - leave_p) * repeats;
    double tickets = TICKET_SHARE / (1 + TICKET_SHARE * rate * 5);
    double surveys = (REFUND_SHARE + PURCHASE_SURVEY_SHARE + TICKET_SURVEY_SHARE * tickets)
                     / (1 + PURCHASE_SURVEY_SHARE * rate + REFUND_SHARE * rate * 5);
    return purchases * (1 + tickets * 3.1 + surveys);
}

/* A sample of customers, to find out beforehand how much the whole will buy. */
struct pilot {
    double days;
    struct {
        double rate, leave;
    } customers[PILOT_CUSTOMERS];
};

static void draw_pilot(struct pilot *pilot, const struct nilai_population_options *options)
{
    struct nilai_random random;
    nilai_random_init(&random, options->seed, 2);
    pilot->days = (double)options->span_ms / DAY_MS;
    for (int i = 0; i < PILOT_CUSTOMERS; i++) {
        pilot->customers[i].rate = draw_rate(&random, options->skew);
        pilot->customers[i].leave = nilai_random_beta(&random, LEAVE_A, LEAVE_B);
    }
}

static double mean_facts(const struct pilot *pilot, double scale)
{
    double sum = 0;
    for (int i = 0; i < PILOT_CUSTOMERS; i++)
        sum += expected_facts(pilot->customers[i].rate * scale,
                              pilot->customers[i].leave / fmax(1, scale),
                              pilot->days * (1 - 0.5 * (i + 0.5) / PILOT_CUSTOMERS));
    return sum / PILOT_CUSTOMERS;
}

/* Multiplies the rates until the span holds the wanted number of facts; if it holds too many
 * even with next to no repeats, customers join more slowly. */
static void find_scale(struct nilai_population *population, const struct pilot *pilot)
{
    const struct nilai_population_options *options = &population->options;
    double wanted = (double)options->events / options->customers;

    population->scale = 1;
    population->join_window_ms = 0.5 * (double)options->span_ms;
    if (options->events == 0)
        return;
    double low = 0x1p-20, high = 0x1p30, least = mean_facts(pilot, low);
    if (wanted <= least) {
        population->scale = low;
        population->join_window_ms = (double)options->span_ms * least / wanted;
        return;
    }
    while (high / low > 1.001) {
        double middle = sqrt(low * high);
        *(mean_facts(pilot, middle) < wanted ? &low : &high) = middle;
    }
    population->scale = low;
}

/* Buckets so wide that each holds a few facts, and so many that they hold the span or the
 * maximum is reached. */
static void size_queue(struct nilai_population *population, const struct pilot *pilot)
{
    const struct nilai_population_options *options = &population->options;
    double facts =
        options->events > 0 ? (double)options->events : mean_facts(pilot, 1) * options->customers;
    double width_ms = (double)options->span_ms * FACTS_PER_BUCKET / facts;
    uint64_t buckets = BUCKETS_MIN;

    while (population->shift < 40 && (double)(UINT64_C(2) << population->shift) <= width_ms)
        population->shift++;
    while (buckets < BUCKETS_MAX && buckets << population->shift < (uint64_t)options->span_ms)
        buckets *= 2;
    population->bucket_mask = buckets - 1;
}

static enum nilai_status check(const struct nilai_population_options *options,
                               struct nilai_error *error)
{
    NILAI_ASSERT(options->from_ms >= 0 && options->from_ms <= NILAI_TIME_MAX_MS);
    NILAI_ASSERT(options->grievance >= 1 && options->skew >= 0);
    NILAI_ASSERT(options->erase >= 0 && options->erase < 1);
    if (options->customers == 0)
        return nilai_error_set(error, NILAI_INVALID, "at least one customer is needed");
    if (options->span_ms <= 0 || options->span_ms > NILAI_TIME_MAX_MS - options->from_ms)
        return nilai_error_set(error, NILAI_INVALID,
                               "the span must be above 0 and end before the year 10000");
    if (options->events / FACTS_PER_MS_MAX > (uint64_t)options->span_ms
        || options->customers / FACTS_PER_MS_MAX > (uint64_t)options->span_ms)
        return nilai_error_set(error, NILAI_INVALID,
                               "the span is too short: more than %d events a millisecond",
                               FACTS_PER_MS_MAX);
    return NILAI_OK;
}

static int64_t last_instant(const struct nilai_population_options *options)
{
    int64_t room_ms = NILAI_TIME_MAX_MS - options->from_ms;
    return options->span_ms > room_ms / LAPS_MAX ? NILAI_TIME_MAX_MS
                                                 : options->from_ms + options->span_ms * LAPS_MAX;
}

enum nilai_status nilai_population_create(const struct nilai_population_options *options,
                                          struct nilai_population **result,
                                          struct nilai_error *error)
{
    enum nilai_status status = check(options, error);
    if (status != NILAI_OK)
        return status;
    struct nilai_population *population = calloc(1, sizeof *population);
    if (population == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");

    population->options = *options;
    population->last_ms = last_instant(options);
    nilai_random_init(&population->random, options->seed, 1);
    for (int level = GRIEVANCE_MIN; level <= GRIEVANCE_MAX; level++)
        population->grievance_odds[level - GRIEVANCE_MIN] =
            nilai_random_exp(nilai_random_ln(options->grievance) * level);
    struct pilot *pilot = malloc(sizeof *pilot);
    if (pilot == NULL) {
        nilai_population_destroy(population);
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    }
    draw_pilot(pilot, options);
    find_scale(population, pilot);
    size_queue(population, pilot);
    free(pilot);
    /* calloc of this size is lazy: a customer takes memory when they join. */
    population->members = calloc(options->customers, sizeof *population->members);
    population->buckets = calloc(population->bucket_mask + 1, sizeof *population->buckets);
    if (population->members == NULL || population->buckets == NULL) {
        nilai_population_destroy(population);
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory for %u customers",
                               options->customers);
    }
    admit(population);
    *result = population;
    return NILAI_OK;
}

void nilai_population_destroy(struct nilai_population *population)
{
    if (population == NULL)
        return;
    free(population->buckets);
    free(population->members);
    free(population);
}

int64_t nilai_population_due_ms(const struct nilai_population *population, uint32_t customer)
{
    NILAI_ASSERT(customer < population->admitted);
    return wake_of(&population->members[customer]);
}

double nilai_population_scale(const struct nilai_population *population)
{
    return population->scale;
}

uint32_t nilai_population_joined(const struct nilai_population *population)
{
    return population->joined;
}

void nilai_population_truth(const struct nilai_population *population, uint32_t customer,
                            struct nilai_truth *truth)
{
    NILAI_ASSERT(customer < population->joined);
    const struct member *member = &population->members[customer];
    *truth = (struct nilai_truth){
        .customer = customer,
        .joined_ms = joins_at(population, customer),
        .left_ms = member->gone ? member->purchase_ms : -1,
        .erased_ms = member->erased ? member->after_ms : -1,
        .purchases_per_day = DAY_MS / (double)member->gap_ms,
        .leave_probability = member->leave,
        .mean_spend = member->spend,
        .purchases = member->purchases,
        .tickets = member->tickets,
        .bad_tickets = member->bad_tickets,
    };
}
