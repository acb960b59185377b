#include "customers.h"
#include "nilai/base/clock.h"
#include "nilai/base/hash.h"
#include "nilai/state/partition.h"

enum { CUSTOMERS = 300, EVENTS = 6000, LOG_MAX = 200000 };

static struct nilai_model default_model(void)
{
    struct nilai_model model;
    nilai_model_defaults(&model);
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    return model;
}

static struct nilai_partition *open_partition(const struct nilai_model *model, bool feed)
{
    const struct nilai_partition_options options = {
        .model = model,
        .limits = {.memory_max_bytes = UINT64_C(1) << 30, .hash_seed = 7},
        .erase_remember_ms = 30 * (int64_t)NILAI_DAY_MS,
        .feed = feed,
    };
    struct nilai_partition *partition = nilai_partition_create(&options);
    CHECK(partition != NULL);
    return partition;
}

/* What a change says, without the place where it stood in the output. */
struct entry {
    int customer;
    uint32_t seq;
    int64_t at_ms;
    struct nilai_standing to;
    double eta, clv;
    bool by_event;
};

struct log {
    struct entry *entries;
    size_t count;
};

static void log_change(struct log *log, int customer, const struct nilai_change *change, bool by_event)
{
    CHECK(log->count < LOG_MAX);
    log->entries[log->count++] = (struct entry){
        customer, change->seq, change->at_ms, change->to, change->eta, change->clv_365, by_event};
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->customer != y->customer)
        return x->customer < y->customer ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void check_same_logs(struct log *a, struct log *b)
{
    qsort(a->entries, a->count, sizeof *a->entries, compare_entries);
    qsort(b->entries, b->count, sizeof *b->entries, compare_entries);
    CHECK_EQ(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct entry *x = &a->entries[i], *y = &b->entries[i];
        CHECK(x->customer == y->customer && x->seq == y->seq && x->at_ms == y->at_ms);
        CHECK(memcmp(&x->to, &y->to, sizeof x->to) == 0 && x->by_event == y->by_event);
        CHECK(x->eta == y->eta && x->clv == y->clv);
    }
}

/* "c12" -> 12; the text is not terminated. */
static int number_of(const char *name, size_t size)
{
    char text[NILAI_TEXT_MAX + 1] = {0};
    memcpy(text, name, size);
    return atoi(text + 1);
}

/* Works one turn off; every change goes to the log. Customers are named "c<number>". */
static void run_turn(struct nilai_partition *partition, const struct nilai_event *const *events,
                     size_t count, int64_t clock_ms, struct log *log)
{
    static struct nilai_effects effects;
    const struct nilai_turn turn = {.events = events, .count = count, .clock_ms = clock_ms};
    bool done = false;
    nilai_partition_begin(partition, &turn);
    while (!done) {
        CHECK_EQ(nilai_partition_step(partition, &effects, &done), NILAI_OK);
        for (uint32_t i = 0; i < effects.count && log != NULL; i++)
            log_change(log, number_of(effects.list[i].customer, effects.list[i].customer_size),
                       &effects.list[i].change, effects.list[i].by_event);
    }
}

/* A stream of events over many customers, some late, some repeated. */
struct stream {
    struct nilai_event events[EVENTS];
    char customers[CUSTOMERS][16];
    char ids[EVENTS][16];
    char tickets[EVENTS][32];
};

static struct stream *make_stream(uint64_t seed)
{
    struct stream *stream = calloc(1, sizeof *stream);
    int64_t now_ms = TEST_START_MS;
    struct random_customer source = {0};
    for (int i = 0; i < CUSTOMERS; i++)
        snprintf(stream->customers[i], sizeof stream->customers[i], "c%d", i);
    for (int i = 0; i < EVENTS; i++) {
        now_ms += (int64_t)(next_uniform(&seed) * 0.4 * NILAI_DAY_MS);
        bool late = next_random(&seed) % 10 == 0;
        int64_t ts_ms = late ? now_ms - (int64_t)(next_uniform(&seed) * 40 * NILAI_DAY_MS) : now_ms;
        struct nilai_event *event = &stream->events[i];
        *event = random_event(&source, &seed, ts_ms);
        /* An id seen lately by the same customer now and then. */
        int id = i > 20 && next_random(&seed) % 20 == 0 ? i - 1 - (int)(next_random(&seed) % 20) : i;
        snprintf(stream->ids[i], sizeof stream->ids[i], "e%d", id);
        event->id = (struct nilai_text){stream->ids[i], (uint32_t)strlen(stream->ids[i])};
        int customer = (int)(next_random(&seed) % CUSTOMERS);
        if (id != i)
            customer = atoi(stream->events[id].customer.data + 1);
        event->customer = (struct nilai_text){stream->customers[customer],
                                              (uint32_t)strlen(stream->customers[customer])};
        if (event->type == NILAI_TICKET) {
            memcpy(stream->tickets[i], event->ticket.ticket.data, event->ticket.ticket.size);
            event->ticket.ticket.data = stream->tickets[i];
        }
    }
    return stream;
}

static struct log run_in_turns(const struct nilai_model *model, const struct stream *stream,
                               size_t turn_size, int64_t until_ms)
{
    struct log log = {calloc(LOG_MAX, sizeof(struct entry)), 0};
    const struct nilai_event *batch[EVENTS];
    struct nilai_partition *partition = open_partition(model, false);
    for (size_t from = 0; from < EVENTS; from += turn_size) {
        size_t count = from + turn_size < EVENTS ? turn_size : EVENTS - from;
        for (size_t i = 0; i < count; i++)
            batch[i] = &stream->events[from + i];
        run_turn(partition, batch, count, -1, &log);
    }
    run_turn(partition, NULL, 0, until_ms, &log);
    nilai_table_validate(nilai_partition_table(partition));
    nilai_partition_destroy(partition);
    return log;
}

/* The plain model: every customer by themselves, no table, no timers, no turns. */
static struct log run_plainly(const struct nilai_model *model, const struct stream *stream,
                              int64_t until_ms)
{
    static struct random_customer customers[CUSTOMERS];
    static bool known[CUSTOMERS];
    struct log log = {calloc(LOG_MAX, sizeof(struct entry)), 0};
    struct nilai_change changes[512];
    int64_t clock_ms = -1;
    memset(known, 0, sizeof known);
    for (int i = 0; i <= EVENTS; i++) {
        const struct nilai_event *event = &stream->events[i < EVENTS ? i : 0];
        int from = i < EVENTS ? atoi(event->customer.data + 1) : 0;
        int to = i < EVENTS ? from + 1 : CUSTOMERS;
        for (int c = from; c < to; c++) {
            struct random_customer *customer = &customers[c];
            size_t count = 0, fired;
            uint64_t id = nilai_hash(event->id.data, event->id.size);
            if (i < EVENTS && known[c] && nilai_customer_has_seen(&customer->customer, id))
                continue;
            if (!known[c] && i < EVENTS) {
                nilai_customer_init(&customer->customer,
                                    nilai_hash(event->customer.data, event->customer.size));
                nilai_service_init(&customer->service);
                customer->has_service = false;
                known[c] = true;
            }
            if (!known[c])
                continue;
            int64_t time_ms = i < EVENTS ? event->ts_ms : until_ms;
            clock_ms = time_ms > clock_ms ? time_ms : clock_ms;
            random_customer_fire(model, customer, clock_ms, changes, 512, &count);
            fired = count;
            customer->events = id; /* what random_customer_apply passes as the hash of the id */
            if (i < EVENTS)
                random_customer_apply(model, customer, event, changes, 512, &count);
            for (size_t k = 0; k < count; k++)
                log_change(&log, c, &changes[k], k >= fired);
        }
    }
    return log;
}

/* Goal: a partition publishes what each customer alone would, whatever the size of its turns.
 * Method: turns of 1, 7 and 1000 against a plain loop over customers. */
TEST(changes_do_not_depend_on_the_size_of_a_turn)
{
    static const size_t sizes[] = {1, 7, 1000};
    struct nilai_model model = default_model();
    struct stream *stream = make_stream(test_seed(11));
    int64_t until_ms = stream->events[EVENTS - 1].ts_ms + 400 * (int64_t)NILAI_DAY_MS;
    struct log plain = run_plainly(&model, stream, until_ms);
    CHECK(plain.count > EVENTS / 10);
    for (size_t i = 0; i < NILAI_ARRAY_LEN(sizes); i++) {
        struct log log = run_in_turns(&model, stream, sizes[i], until_ms);
        check_same_logs(&log, &plain);
        free(log.entries);
    }
    free(plain.entries);
    free(stream);
}

static struct nilai_event purchase_of(const char *customer, const char *id, int64_t ts_ms)
{
    struct nilai_event event = {.type = NILAI_PURCHASE, .ts_ms = ts_ms};
    event.id = (struct nilai_text){id, (uint32_t)strlen(id)};
    event.customer = (struct nilai_text){customer, (uint32_t)strlen(customer)};
    event.purchase.amount = 500000, event.purchase.cost = 200000;
    return event;
}

static void run_one(struct nilai_partition *partition, struct nilai_event event, struct log *log)
{
    const struct nilai_event *list[] = {&event};
    run_turn(partition, list, 1, -1, log);
}

/* Goal: a turn that brings more changes than fit is worked off in steps, each change once.
 * Method: thousands of customers whose deadlines the clock passes in one jump. */
TEST(a_storm_of_timers_comes_in_bounded_steps)
{
    enum { MANY = 5000 };
    struct nilai_model model = default_model();
    struct nilai_partition *partition = open_partition(&model, false);
    struct log log = {calloc(LOG_MAX, sizeof(struct entry)), 0};
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        run_one(partition, purchase_of(name, "first", TEST_START_MS + i), NULL);
    }
    run_turn(partition, NULL, 0, TEST_START_MS + 500 * (int64_t)NILAI_DAY_MS, &log);
    CHECK(log.count >= 3 * MANY); /* no longer new, at risk, lapsed */
    qsort(log.entries, log.count, sizeof *log.entries, compare_entries);
    for (size_t i = 1; i < log.count; i++)
        if (log.entries[i].customer == log.entries[i - 1].customer)
            CHECK_EQ(log.entries[i].seq, log.entries[i - 1].seq + 1);
    free(log.entries);
    nilai_partition_destroy(partition);
}

/* Goal: a step is short also when the clock meets many timers that bring nothing.
 * Method: customers whose tickets become overdue, which weighs next to nothing; timers looked at
 * in each step. */
TEST(timers_that_bring_nothing_come_in_bounded_steps)
{
    enum { MANY = 2000, WAKES_MOST = 128 };
    static struct nilai_effects effects;
    struct nilai_model model = default_model();
    struct nilai_partition *partition = open_partition(&model, false);
    struct nilai_partition_counts before, after;
    uint64_t most = 0;
    model.weights[NILAI_SIGNAL_TICKET] = model.weights[NILAI_SIGNAL_TICKET_OVERDUE] = 1e-6;
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        run_one(partition, purchase_of(name, "first", TEST_START_MS), NULL);
        struct nilai_event ticket = purchase_of(name, "t", TEST_START_MS);
        ticket.type = NILAI_TICKET;
        memset(&ticket.ticket, 0, sizeof ticket.ticket);
        ticket.ticket.ticket = ticket.id;
        ticket.ticket.status = NILAI_TICKET_OPENED;
        run_one(partition, ticket, NULL);
    }
    nilai_partition_begin(partition,
                          &(struct nilai_turn){.clock_ms = TEST_START_MS + 4 * (int64_t)NILAI_DAY_MS});
    for (bool done = false; !done;) {
        nilai_partition_read_counts(partition, &before);
        CHECK_EQ(nilai_partition_step(partition, &effects, &done), NILAI_OK);
        nilai_partition_read_counts(partition, &after);
        most = after.wakes - before.wakes > most ? after.wakes - before.wakes : most;
    }
    CHECK_EQ(most, WAKES_MOST);
    nilai_partition_read_counts(partition, &after);
    CHECK(after.wakes >= MANY);
    nilai_partition_destroy(partition);
}

/* Goal: the end of time is a time like any other. Method: customers whose periods, tickets and
 * bounds all reach beyond the last second of the year 9999, and a clock that goes there. */
TEST(events_of_the_last_second_are_applied)
{
    static struct nilai_model model;
    model = default_model();
    struct nilai_partition *partition = open_partition(&model, false);
    for (int64_t back_ms = 200 * (int64_t)NILAI_DAY_MS; back_ms > 0; back_ms /= 3) {
        char id[32];
        snprintf(id, sizeof id, "t%" PRId64, back_ms);
        struct nilai_event ticket = purchase_of("0", id, NILAI_TIME_MAX_MS - back_ms);
        run_one(partition, purchase_of("0", id + 1, ticket.ts_ms), NULL);
        ticket.type = NILAI_TICKET;
        ticket.ticket.ticket = ticket.id;
        ticket.ticket.status = NILAI_TICKET_OPENED;
        ticket.ticket.kind = NILAI_KIND_COMPLAINT;
        ticket.ticket.has_opened = false;
        ticket.ticket.handle_s = 0;
        run_one(partition, ticket, NULL);
    }
    run_one(partition, purchase_of("1", "last", NILAI_TIME_MAX_MS), NULL);
    CHECK_EQ(nilai_partition_clock_ms(partition), NILAI_TIME_MAX_MS);
    CHECK_EQ(nilai_partition_next_ms(partition), INT64_MAX);
    nilai_partition_destroy(partition);
}

/* Goal: a duplicate changes nothing, not even the clock. */
TEST(a_duplicate_does_not_move_the_clock)
{
    struct nilai_model model = default_model();
    struct nilai_partition *partition = open_partition(&model, false);
    struct nilai_partition_counts counts;
    run_one(partition, purchase_of("c1", "a", TEST_START_MS), NULL);
    run_one(partition, purchase_of("c1", "a", TEST_START_MS + 1000), NULL);
    CHECK_EQ(nilai_partition_clock_ms(partition), TEST_START_MS);
    nilai_partition_read_counts(partition, &counts);
    CHECK_EQ(counts.duplicates, 1);
    CHECK_EQ(counts.events[NILAI_PURCHASE], 1);
    nilai_partition_destroy(partition);
}

static struct nilai_event erasure_of(const char *customer, const char *id, int64_t ts_ms)
{
    struct nilai_event event = purchase_of(customer, id, ts_ms);
    event.type = NILAI_ERASE;
    return event;
}

static uint64_t customers_in(const struct nilai_partition *partition)
{
    struct nilai_table_stats stats;
    nilai_table_stats(nilai_partition_table(partition), &stats);
    return stats.customers;
}

/* Goal: stragglers do not bring an erased customer back, later events do, and after
 * erase.remember so does anything. */
TEST(an_erased_customer_stays_erased_for_a_while)
{
    struct nilai_model model = default_model();
    struct nilai_partition *partition = open_partition(&model, false);
    struct nilai_partition_counts counts;
    const int64_t erased_ms = TEST_START_MS + 1000, remember_ms = 30 * (int64_t)NILAI_DAY_MS;

    run_one(partition, purchase_of("c1", "a", TEST_START_MS), NULL);
    run_one(partition, erasure_of("c1", "b", erased_ms), NULL);
    CHECK_EQ(customers_in(partition), 0);
    run_one(partition, purchase_of("c1", "c", erased_ms), NULL);
    CHECK_EQ(customers_in(partition), 0);
    run_one(partition, purchase_of("c1", "d", erased_ms + 1), NULL);
    CHECK_EQ(customers_in(partition), 1);
    run_one(partition, purchase_of("c1", "e", erased_ms), NULL); /* still from before */
    nilai_partition_read_counts(partition, &counts);
    CHECK_EQ(counts.erased_ignored, 2);

    /* One who was never known is remembered, too; until exactly erase.remember later. */
    run_one(partition, erasure_of("c2", "f", erased_ms + 1), NULL);
    run_turn(partition, NULL, 0, erased_ms + 1 + remember_ms - 1, NULL);
    run_one(partition, purchase_of("c2", "g", TEST_START_MS), NULL);
    CHECK_EQ(customers_in(partition), 1);
    run_turn(partition, NULL, 0, erased_ms + 1 + remember_ms, NULL);
    run_one(partition, purchase_of("c2", "h", TEST_START_MS), NULL);
    CHECK_EQ(customers_in(partition), 2);
    nilai_partition_destroy(partition);
}

struct visits {
    int live, gone;
};

static bool visit(void *context, struct nilai_text id, const struct nilai_customer *customer,
                  const struct nilai_service *service)
{
    struct visits *visits = context;
    (void)id, (void)service;
    visits->live += customer != NULL;
    visits->gone += customer == NULL;
    return true;
}

static bool visit_few(void *context, struct nilai_text id, const struct nilai_customer *customer,
                      const struct nilai_service *service)
{
    struct visits *visits = context;
    return visits->live + visits->gone < 3 && visit(context, id, customer, service);
}

static struct visits take(struct nilai_partition *partition)
{
    struct visits visits = {0};
    nilai_partition_take_touched(partition, visit, &visits);
    return visits;
}

/* Goal: the feed sees each touched customer once, and each that is gone. */
TEST(touched_customers_are_told_once)
{
    struct nilai_model model = default_model();
    struct nilai_partition *partition = open_partition(&model, true);
    run_one(partition, purchase_of("c1", "a", TEST_START_MS), NULL);
    run_one(partition, purchase_of("c1", "b", TEST_START_MS + 1), NULL);
    run_one(partition, purchase_of("c2", "c", TEST_START_MS + 2), NULL);
    struct visits first = take(partition);
    CHECK_EQ(first.live, 2);
    CHECK_EQ(first.gone, 0);
    CHECK_EQ(take(partition).live, 0);

    run_one(partition, erasure_of("c1", "d", TEST_START_MS + 3), NULL);
    run_one(partition, erasure_of("c2", "e", TEST_START_MS + 4), NULL);
    run_one(partition, purchase_of("c2", "f", TEST_START_MS + 5), NULL); /* came back */
    struct visits second = take(partition);
    CHECK_EQ(second.live, 1);
    CHECK_EQ(second.gone, 1);
    nilai_partition_destroy(partition);
}

/* Goal: a feed that is full for now is told of the rest later, and of nobody twice.
 * Method: customers who came and who were erased, three a call. */
TEST(touched_customers_wait_until_they_are_taken)
{
    enum { MANY = 200 };
    struct nilai_model model = default_model();
    struct nilai_partition *partition = open_partition(&model, true);
    int live = 0, gone = 0;
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        run_one(partition, purchase_of(name, "a", TEST_START_MS), NULL);
        if (i % 4 == 0)
            run_one(partition, erasure_of(name, "b", TEST_START_MS), NULL);
    }
    for (int calls = 0; calls < (MANY + 2) / 3; calls++) {
        struct visits visits = {0};
        nilai_partition_take_touched(partition, visit_few, &visits);
        CHECK(visits.live + visits.gone <= 3);
        live += visits.live, gone += visits.gone;
    }
    CHECK_EQ(live, MANY - MANY / 4);
    CHECK_EQ(gone, MANY / 4);
    CHECK_EQ(take(partition).live, 0);
    nilai_partition_destroy(partition);
}

/* Goal: the memory limit is an answer, not a crash. */
TEST(the_memory_limit_is_reached_with_a_status)
{
    struct nilai_model model = default_model();
    const struct nilai_partition_options options = {
        .model = &model, .limits = {.memory_max_bytes = 8 << 20}, .erase_remember_ms = 1000};
    struct nilai_partition *partition = nilai_partition_create(&options);
    static struct nilai_effects effects;
    enum nilai_status status = NILAI_OK;
    for (int i = 0; i < 100000 && status == NILAI_OK; i++) {
        char name[16];
        bool done;
        snprintf(name, sizeof name, "c%d", i);
        struct nilai_event event = purchase_of(name, "a", TEST_START_MS);
        const struct nilai_event *list[] = {&event};
        const struct nilai_turn turn = {.events = list, .count = 1, .clock_ms = -1};
        nilai_partition_begin(partition, &turn);
        status = nilai_partition_step(partition, &effects, &done);
    }
    CHECK_EQ(status, NILAI_FULL);
    nilai_partition_destroy(partition);
}
