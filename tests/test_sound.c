#include "nilai/customer/sound.h"

#include "customers.h"
#include "nilai/base/clock.h"
#include "nilai/customer/explain.h"
#include "nilai/customer/tickets.h"

enum { FIRED_MAX = 1000 };

static bool is_sound(const struct nilai_model *model, const struct random_customer *who)
{
    return nilai_customer_is_sound(model, &who->customer, random_customer_service(who));
}

static void explain_all(const struct nilai_change *change)
{
    const struct nilai_explain_facts facts = {change->silence_days, change->gap_days,
                                              change->repeat_days + 1, change->span_days};
    char text[NILAI_EXPLAIN_SIZE];
    for (uint32_t i = 0; i < change->reason_count; i++) {
        nilai_explain_reason(&change->reasons[i], &facts, text);
        CHECK(strlen(text) > 0);
    }
}

/* Everything that may fire up to the clock; there is an end to it. */
static void fire(const struct nilai_model *model, struct random_customer *who, int64_t clock_ms)
{
    struct nilai_change changes[NILAI_CHANGES_PER_STEP];
    uint32_t fired, total = 0;
    while ((fired = nilai_customer_fire(model, &who->customer, random_customer_service(who), clock_ms,
                                        changes)) > 0) {
        total += fired;
        CHECK(total < FIRED_MAX);
        for (uint32_t i = 0; i < fired; i++)
            explain_all(&changes[i]);
    }
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* One event at `ts_ms`, after the deadlines up to it and to `clock_ms`. */
static void happens(const struct nilai_model *model, struct random_customer *who, int64_t ts_ms,
                    int64_t clock_ms, uint64_t *seed)
{
    struct nilai_change changes[NILAI_CHANGES_PER_STEP];
    size_t count = 0;
    struct nilai_event event = random_event(who, seed, ts_ms);
    fire(model, who, later(ts_ms, clock_ms));
    random_customer_apply(model, who, &event, changes, NILAI_CHANGES_PER_STEP, &count);
    for (size_t i = 0; i < count; i++)
        explain_all(&changes[i]);
}

/* Some of a life: events, a few late, at all distances. */
static struct random_customer live(const struct nilai_model *model, uint64_t *seed, int64_t *clock_ms)
{
    struct random_customer who;
    random_customer_init(&who, seed);
    *clock_ms = next_random(seed) % 8 == 0 ? 0 : TEST_START_MS;
    for (uint64_t events = next_random(seed) % 40; events > 0; events--) {
        *clock_ms += (int64_t)(random_gap_days(seed) * NILAI_DAY_MS);
        int64_t late_ms = next_random(seed) % 4 == 0
                              ? (int64_t)(random_gap_days(seed) * NILAI_DAY_MS) : 0;
        happens(model, &who, later(*clock_ms - late_ms, 0), *clock_ms, seed);
        CHECK(is_sound(model, &who));
    }
    return who;
}

/* Goal: what the program makes is never refused.
 * Method: random lives under random models, judged after every event and after long silence. */
TEST(every_record_that_was_lived_is_sound)
{
    uint64_t seed = test_seed(11);
    struct nilai_model model;
    for (int i = 0; i < 4000; i++) {
        int64_t clock_ms;
        if (i % 50 == 0)
            model = random_model(&seed);
        struct random_customer who = live(&model, &seed, &clock_ms);
        CHECK(is_sound(&model, &who));
        for (int k = 0; k < 3; k++) {
            clock_ms += (int64_t)(random_gap_days(&seed) * NILAI_DAY_MS);
            fire(&model, &who, clock_ms);
            CHECK(is_sound(&model, &who));
        }
    }
}

static void damage_byte(unsigned char *bytes, size_t size, uint64_t *seed)
{
    size_t at = next_random(seed) % size;
    if (next_random(seed) % 2)
        bytes[at] ^= (unsigned char)(1 << next_random(seed) % 8);
    else
        bytes[at] = (unsigned char)next_random(seed);
}

/* A word that means something somewhere: small, negative, a time, a number at an end. */
static void damage_word(unsigned char *bytes, size_t size, uint64_t *seed)
{
    static const int64_t values[] = {0, 1, -1, INT64_MAX, INT64_MIN, UINT32_MAX, INT32_MAX,
                                     NILAI_TIME_MAX_MS, NILAI_TIME_MAX_MS / 1000, TEST_START_MS,
                                     0x43b0000000000000, 0x7fefffffffffffff, 0x7ff8000000000000};
    int64_t value = values[next_random(seed) % NILAI_ARRAY_LEN(values)];
    size_t width = (size_t)1 << next_random(seed) % 4;
    memcpy(bytes + next_random(seed) % (size / width) * width, &value, width);
}

static void damage(struct random_customer *who, uint64_t *seed)
{
    for (uint64_t count = 1 + next_random(seed) % 3; count > 0; count--) {
        bool service = who->has_service && next_random(seed) % 2;
        unsigned char *bytes = service ? (unsigned char *)&who->service : (unsigned char *)&who->customer;
        size_t size = service ? sizeof who->service : sizeof who->customer;
        (next_random(seed) % 2 ? damage_byte : damage_word)(bytes, size, seed);
    }
}

/* What a partition does with a record: whatever comes, its time never goes back. */
static void live_on(const struct nilai_model *model, struct random_customer *who, uint64_t *seed)
{
    int64_t clock_ms = later(who->customer.current_ms, 0);
    for (int i = 0; i < 8; i++) {
        int64_t next_s = nilai_customer_next_deadline_s(model, &who->customer, random_customer_service(who));
        CHECK(next_s > who->customer.current_ms / 1000);
        clock_ms += (int64_t)(random_gap_days(seed) * NILAI_DAY_MS);
        if (clock_ms > NILAI_TIME_MAX_MS)
            clock_ms = NILAI_TIME_MAX_MS;
        int64_t late_ms = next_random(seed) % 4 == 0
                              ? (int64_t)(random_gap_days(seed) * NILAI_DAY_MS) : 0;
        happens(model, who, later(clock_ms - late_ms, 0), clock_ms, seed);
        CHECK(is_sound(model, who));
    }
    fire(model, who, NILAI_TIME_MAX_MS);
    CHECK(is_sound(model, who));
}

/* Goal: whatever is judged sound can be lived on with, and stays sound.
 * Method: damage to lived records; the program's own assertions and the sanitizers watch. */
TEST(what_is_sound_after_damage_can_be_lived_on_with)
{
    uint64_t seed = test_seed(12);
    struct nilai_model model;
    uint32_t sound = 0, unsound = 0;
    for (int i = 0; i < 30000; i++) {
        int64_t clock_ms;
        if (i % 100 == 0)
            model = random_model(&seed);
        struct random_customer who = live(&model, &seed, &clock_ms);
        damage(&who, &seed);
        if (is_sound(&model, &who)) {
            live_on(&model, &who, &seed);
            sound++;
        } else {
            unsound++;
        }
    }
    printf("sound %u, unsound %u\n", sound, unsound);
    CHECK(sound > 3000 && unsound > 3000);
}

/* Goal: noise is not taken for a record. */
TEST(random_bytes_are_not_sound)
{
    uint64_t seed = test_seed(13);
    struct nilai_model model = random_model(&seed);
    struct random_customer who = {.has_service = true};
    for (int i = 0; i < 100000; i++) {
        for (size_t k = 0; k < sizeof who.customer; k++)
            ((unsigned char *)&who.customer)[k] = (unsigned char)next_random(&seed);
        CHECK(!is_sound(&model, &who));
    }
}

/* ---- one thing wrong at a time ---- */

/* Bought on two days, 100 days apart, with an open ticket and an answer. */
static struct random_customer example(const struct nilai_model *model)
{
    struct random_customer who;
    uint64_t seed = 1;
    random_customer_init(&who, &seed);
    const int64_t ts_ms[] = {TEST_START_MS, TEST_START_MS + 100 * (int64_t)NILAI_DAY_MS};
    struct nilai_event events[] = {
        {.type = NILAI_PURCHASE, .ts_ms = ts_ms[0], .purchase = {.amount = 500000}},
        {.type = NILAI_TICKET, .ts_ms = ts_ms[0], .ticket = {.ticket = {"t", 1}}},
        {.type = NILAI_SURVEY, .ts_ms = ts_ms[0], .survey = {.normalized = 1}},
        {.type = NILAI_PURCHASE, .ts_ms = ts_ms[1], .purchase = {.amount = 500000}},
    };
    struct nilai_change changes[NILAI_CHANGES_PER_STEP];
    for (size_t i = 0; i < NILAI_ARRAY_LEN(events); i++) {
        size_t count = 0;
        who.events++;
        fire(model, &who, events[i].ts_ms);
        random_customer_apply(model, &who, &events[i], changes, NILAI_CHANGES_PER_STEP, &count);
    }
    CHECK(is_sound(model, &who));
    return who;
}

/* Goal: each rule is there. Method: a sound record, one thing of it changed at a time; both ends
 * of a range where it has two. */
#define SPOILED(change)                                                                     \
    do {                                                                                    \
        struct random_customer who = sound;                                                 \
        struct nilai_customer *c = &who.customer;                                           \
        struct nilai_service *s = &who.service;                                             \
        (void)c, (void)s;                                                                   \
        change;                                                                             \
        if (is_sound(&model, &who))                                                         \
            fail_msg("sound although %s", #change);                                         \
    } while (0)

TEST(every_field_out_of_its_range_is_found)
{
    struct nilai_model model;
    nilai_model_defaults(&model);
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    const struct random_customer sound = example(&model);

    SPOILED(c->last_event_ms = -2);
    SPOILED(c->last_event_ms = -1);
    SPOILED(c->last_event_ms = c->current_ms + 1);
    SPOILED(c->current_ms = c->last_event_ms - 1);
    SPOILED(c->current_ms = NILAI_TIME_MAX_MS + 1);
    SPOILED(c->wake_s = c->current_ms / 1000);
    SPOILED(c->wake_s = NILAI_TIME_MAX_MS / 1000 + 1);
    SPOILED(memset(&c->rhythm.bought, 2, 1));
    SPOILED(c->rhythm.bought = false);
    SPOILED(c->rhythm.first_day = -1);
    SPOILED(c->rhythm.first_day = c->rhythm.last_day + 1);
    SPOILED(c->rhythm.first_day = c->rhythm.last_day);
    SPOILED(c->rhythm.first_day = c->rhythm.last_day - 63);
    SPOILED(c->rhythm.last_day++);
    SPOILED(c->rhythm.seen_days = 0);
    SPOILED(c->rhythm.seen_days = 2);
    SPOILED(c->rhythm.seen_days = 3);
    SPOILED(c->rhythm.repeat_days = 0);
    SPOILED(c->ring.phase = 28);
    SPOILED(c->ring.newest++);
    SPOILED(c->ring.newest--);
    SPOILED(c->recent_next = NILAI_RECENT_IDS);
    SPOILED(c->recent_next++);
    SPOILED(c->recent_count = NILAI_RECENT_IDS + 1);
    SPOILED(c->recent_count = 0; c->recent_next = 0);
    SPOILED(c->standing.band = NILAI_BAND_NONE);
    SPOILED(c->standing.band = NILAI_BANDS);
    SPOILED(c->standing.segment = NILAI_SEGMENT_NONE);
    SPOILED(c->standing.segment = NILAI_SEGMENTS);
    SPOILED(c->standing.tier = NILAI_TIER_NONE);
    SPOILED(c->standing.tier = NILAI_TIERS);
    SPOILED(c->standing.unprofitable = 2);
    SPOILED(s->signals[NILAI_SIGNALS_STORED - 1] = NAN);
    SPOILED(s->signals[0] = 1e300);
    SPOILED(s->signals[0] = -1e300);
    SPOILED(s->signals_ms = -1);
    SPOILED(s->signals_ms = c->last_event_ms + 1);
    SPOILED(s->ticket_count = NILAI_TICKETS_MAX + 1);
    SPOILED(s->tickets[0].since_ms = -1);
    SPOILED(s->tickets[0].since_ms = c->last_event_ms + 1);
    SPOILED(s->tickets[0].kind = NILAI_TICKET_KINDS);
    SPOILED(memset(&s->tickets[0].open, 2, 1));
    SPOILED(memset(&s->tickets[0].counted, 255, 1));
    SPOILED(s->answers_sum = -1);
    SPOILED(s->answers_sum = INFINITY);
    SPOILED(s->drift = -1);
    SPOILED(s->drift = NAN);
}

/* Goal: the same before the first purchase, where nothing may be said yet. */
TEST(who_has_not_bought_stands_nowhere_and_never_wakes)
{
    struct nilai_model model;
    nilai_model_defaults(&model);
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    struct random_customer sound;
    uint64_t seed = 2;
    random_customer_init(&sound, &seed);
    CHECK(is_sound(&model, &sound));
    SPOILED(c->ring.newest++);
    SPOILED(c->wake_s = 1);

    struct nilai_event event = {.type = NILAI_SURVEY, .ts_ms = TEST_START_MS};
    struct nilai_change changes[NILAI_CHANGES_PER_STEP];
    size_t count = 0;
    random_customer_apply(&model, &sound, &event, changes, NILAI_CHANGES_PER_STEP, &count);
    CHECK(is_sound(&model, &sound));
    SPOILED(c->current_ms++);
    SPOILED(c->wake_s = NILAI_TIME_MAX_MS / 1000);
    SPOILED(c->standing.band = NILAI_BAND_LOW);
    SPOILED(c->standing.segment = NILAI_SEGMENT_NEW);
    SPOILED(c->standing.tier = NILAI_TIER_D);
    SPOILED(c->standing.unprofitable = 1);
    SPOILED(c->seq = 1);
}

/* Goal: nobody bought before the first event, not even on a day that has begun before 1970.
 * Method: a record that is well but for that. */
TEST(who_bought_has_had_an_event)
{
    struct nilai_model model;
    nilai_model_defaults(&model);
    model.day_offset_s = 3600;
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    struct random_customer who;
    uint64_t seed = 3;
    random_customer_init(&who, &seed);
    who.customer.rhythm = (struct nilai_rhythm){.seen_days = 1, .bought = true};
    who.customer.standing = (struct nilai_standing){NILAI_BAND_LOW, NILAI_SEGMENT_NEW, NILAI_TIER_D, 0};
    CHECK(!is_sound(&model, &who));

    who.customer.last_event_ms = who.customer.current_ms = 0;
    who.customer.recent_next = who.customer.recent_count = 1;
    who.customer.ring.newest = who.customer.ring.phase == 0 ? 0 : -1;
    CHECK(is_sound(&model, &who));
}

/* Goal: who bought without being judged is sound, and is judged at the next event.
 * Method: lived records that stand nowhere, lived on with. */
TEST(who_bought_may_stand_nowhere_until_the_next_event)
{
    uint64_t seed = test_seed(14);
    struct nilai_model model;
    nilai_model_defaults(&model);
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    for (int i = 0; i < 300; i++) {
        int64_t clock_ms;
        struct random_customer sound = live(&model, &seed, &clock_ms);
        sound.customer.standing = (struct nilai_standing){0};
        sound.customer.seq = 0;
        sound.customer.wake_s = NILAI_NEVER_S;
        CHECK(is_sound(&model, &sound));
        SPOILED(c->standing.band = NILAI_BAND_LOW);
        SPOILED(c->standing.tier = NILAI_TIER_D);
        SPOILED(c->standing.unprofitable = 1);
        SPOILED(c->seq = 1);
        SPOILED(c->wake_s = NILAI_TIME_MAX_MS / 1000);
        live_on(&model, &sound, &seed);
        CHECK(!sound.customer.rhythm.bought || sound.customer.seq > 0);
    }
}
