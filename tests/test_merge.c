#include "nilai/run/merge.h"
#include "test.h"

#define MINUTE_MS INT64_C(60000)

/* What a test keeps beside the merge. */
struct desk {
    struct nilai_merge *merge;
    struct nilai_decoder *decoder;
    struct nilai_batch batch;
    int64_t now_ms;
    size_t outside; /* inputs pushed and not given back */
};

static void desk_open(struct desk *desk, uint32_t topics, uint32_t capacity, int64_t max_idle_ms)
{
    struct nilai_decode_rules rules = {.format = NILAI_FORMAT_MSGPACK,
                                       .base_currency = "USD",
                                       .max_future_ms = 5 * MINUTE_MS};
    *desk = (struct desk){.now_ms = 1000};
    desk->decoder = nilai_decoder_create(&rules);
    desk->merge = nilai_merge_create(&(struct nilai_merge_options){.topic_count = topics,
                                                                   .capacity = capacity,
                                                                   .max_idle_ms = max_idle_ms,
                                                                   .first_wait_ms = 10000},
                                     desk->now_ms);
    CHECK(desk->decoder != NULL && desk->merge != NULL);
}

static void count_back(void *context, struct nilai_input *input)
{
    struct desk *desk = context;
    CHECK(desk->outside > 0);
    CHECK(input->handle == desk);
    desk->outside--;
}

static void desk_close(struct desk *desk)
{
    nilai_merge_clear(desk->merge, count_back, desk, desk->now_ms);
    CHECK_EQ(desk->outside, 0);
    nilai_merge_destroy(desk->merge);
    nilai_decoder_destroy(desk->decoder);
}

static bool push(struct desk *desk, uint32_t topic, int64_t offset, int64_t ts_ms, bool bad)
{
    struct nilai_arrival *arrival = nilai_merge_room(desk->merge, topic);
    if (arrival == NULL)
        return false;
    *arrival = (struct nilai_arrival){.input = {.handle = desk, .offset = offset}, .bad = bad};
    arrival->event.ts_ms = ts_ms;
    arrival->event.origin = (struct nilai_origin){.topic = (int32_t)topic, .offset = offset};
    if (bad)
        arrival->reject.class = NILAI_REJECT_MALFORMED;
    nilai_merge_push(desk->merge, topic);
    desk->outside++;
    return true;
}

static void form(struct desk *desk, int64_t wall_ms)
{
    nilai_merge_form(desk->merge, desk->decoder, desk->now_ms, wall_ms, &desk->batch);
}

static void release(struct desk *desk)
{
    nilai_merge_release(desk->merge, count_back, desk);
}

/* Goal: the order is the plain definition's, whatever the sizes of queues and batches.
 * Method: random topics, some late, some bad, pushed as room allows, against a model that
 * always takes the earliest head over the whole lists. */
TEST(order_is_that_of_the_plain_definition)
{
    enum { TOPICS = 4, EVENTS = 3000 };
    static int64_t times[TOPICS][EVENTS];
    static bool bad[TOPICS][EVENTS];
    uint64_t seed = test_seed(11);
    struct desk desk;
    desk_open(&desk, TOPICS, 64, NILAI_WAIT_FOREVER);
    for (int topic = 0; topic < TOPICS; topic++) {
        int64_t ts = 0;
        for (int event = 0; event < EVENTS; event++) {
            ts += (int64_t)(next_random(&seed) % 20);
            times[topic][event] = next_random(&seed) % 10 == 0 ? ts / 2 : ts;
            bad[topic][event] = next_random(&seed) % 50 == 0;
        }
    }
    int pushed[TOPICS] = {0}, taken[TOPICS] = {0};
    size_t bad_taken = 0, bad_expected = 0;
    bool more = true;
    while (more) {
        for (uint32_t topic = 0; topic < TOPICS; topic++) {
            int burst = (int)(next_random(&seed) % 80);
            while (burst-- > 0 && pushed[topic] < EVENTS
                   && push(&desk, topic, pushed[topic], times[topic][pushed[topic]],
                           bad[topic][pushed[topic]]))
                pushed[topic]++;
            if (pushed[topic] == EVENTS)
                nilai_merge_end(desk.merge, topic, EVENTS);
        }
        form(&desk, INT64_C(1) << 40);
        bad_taken += desk.batch.bad_count;
        for (size_t index = 0; index < desk.batch.count; index++) {
            int best = -1;
            for (int topic = 0; topic < TOPICS; topic++) {
                while (taken[topic] < EVENTS && bad[topic][taken[topic]])
                    taken[topic]++, bad_expected++;
                if (taken[topic] < EVENTS
                    && (best < 0 || times[topic][taken[topic]] < times[best][taken[best]]))
                    best = topic;
            }
            CHECK_EQ(desk.batch.events[index]->origin.topic, best);
            CHECK_EQ(desk.batch.events[index]->origin.offset, taken[best]);
            taken[best]++;
        }
        release(&desk);
        more = !nilai_merge_is_at_end(desk.merge);
    }
    for (int topic = 0; topic < TOPICS; topic++) {
        for (; taken[topic] < EVENTS; taken[topic]++) {
            CHECK(bad[topic][taken[topic]]);
            bad_expected++;
        }
        CHECK_EQ(nilai_merge_offset(desk.merge, (uint32_t)topic), EVENTS);
    }
    CHECK_EQ(bad_taken, bad_expected);
    desk_close(&desk);
}

/* Goal: an empty topic stops the others until it was idle for long enough, and no longer.
 * Method: one event, and the clock moved by hand. */
TEST(an_empty_topic_is_waited_for_up_to_the_idle_time)
{
    struct desk desk;
    desk_open(&desk, 2, 8, 500);
    CHECK(push(&desk, 0, 0, 100, false));
    CHECK(push(&desk, 1, 0, 50, false));
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.count, 1); /* topic 1 is empty now, and may bring an earlier one */
    CHECK_EQ(desk.batch.events[0]->origin.topic, 1);
    CHECK_EQ(desk.batch.wake_ms, 1500);
    release(&desk);

    desk.now_ms = 1499;
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.count, 0);
    CHECK_EQ(desk.batch.wake_ms, 1500);
    desk.now_ms = 1500;
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.count, 1);
    release(&desk);
    desk_close(&desk);
}

/* Goal: a topic of which nothing was heard yet is given more time than an idle one.
 * Method: as above, with the other topic silent from the start. */
TEST(a_topic_never_heard_of_is_waited_for_longer)
{
    struct desk desk;
    desk_open(&desk, 2, 8, 500);
    CHECK(push(&desk, 0, 0, 100, false));
    desk.now_ms = 10999;
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.count, 0);
    CHECK_EQ(desk.batch.wake_ms, 11000);
    desk.now_ms = 11000;
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.count, 1);
    release(&desk);
    desk_close(&desk);
}

/* Goal: a topic at its end stops nobody; once something has arrived since, it does again.
 * Method: an end, then an event and the same look. */
TEST(a_topic_at_its_end_is_not_waited_for)
{
    struct desk desk;
    desk_open(&desk, 2, 8, NILAI_WAIT_FOREVER);
    nilai_merge_end(desk.merge, 1, 7);
    CHECK_EQ(nilai_merge_offset(desk.merge, 1), 7);
    CHECK(push(&desk, 0, 0, 100, false));
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.count, 1);
    release(&desk);

    CHECK(push(&desk, 1, 7, 10, false));
    CHECK(push(&desk, 0, 1, 200, false));
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.count, 1); /* topic 1's; then its end is not known any more */
    CHECK_EQ(desk.batch.events[0]->origin.topic, 1);
    release(&desk);
    CHECK(!nilai_merge_is_at_end(desk.merge));
    desk_close(&desk);
}

/* Goal: bad events wait for nobody; one from the future is only bad by the wall clock.
 * Method: a bad head and one just beyond the limit while another topic is silent. */
TEST(bad_heads_are_taken_at_once)
{
    struct desk desk;
    desk_open(&desk, 2, 8, NILAI_WAIT_FOREVER);
    CHECK(push(&desk, 0, 0, 0, true));
    CHECK(push(&desk, 0, 1, 6 * MINUTE_MS + 1, false));
    CHECK(push(&desk, 0, 2, 6 * MINUTE_MS, false));
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.count, 0);
    CHECK_EQ(desk.batch.bad_count, 2);
    CHECK_EQ(desk.batch.bad[0]->reject.class, NILAI_REJECT_MALFORMED);
    CHECK_EQ(desk.batch.bad[1]->reject.class, NILAI_REJECT_FUTURE_TIMESTAMP);
    CHECK_EQ(desk.batch.bad_topics[1], 0);
    release(&desk);
    CHECK_EQ(nilai_merge_offset(desk.merge, 0), 2);
    desk_close(&desk);
}

/* Goal: more bad events than a batch holds do not let another topic overtake the good one
 * behind them.
 * Method: a full batch of bad ones in front of an early event, a later one elsewhere. */
TEST(a_flood_of_bad_events_lets_nobody_overtake)
{
    struct desk desk;
    desk_open(&desk, 2, 1024, NILAI_WAIT_FOREVER);
    for (int64_t offset = 0; offset < NILAI_BATCH_MAX; offset++)
        CHECK(push(&desk, 0, offset, 0, true));
    CHECK(push(&desk, 0, NILAI_BATCH_MAX, 10, false));
    CHECK(push(&desk, 1, 0, 20, false));
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.bad_count, NILAI_BATCH_MAX);
    CHECK_EQ(desk.batch.count, 0);
    CHECK(desk.batch.wake_ms <= desk.now_ms);
    release(&desk);
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.events[0]->origin.topic, 0);
    release(&desk);
    desk_close(&desk);
}

/* Goal: nothing at or beyond a hold is taken, a topic at its hold is not waited for, and gaps
 * in the offsets do not hide that it is reached.
 * Method: a hold in a gap; a hold that only the end of the log (control records) reaches. */
TEST(a_hold_is_not_crossed_and_gaps_do_not_hide_it)
{
    struct desk desk;
    desk_open(&desk, 2, 8, NILAI_WAIT_FOREVER);
    nilai_merge_hold(desk.merge, 0, 5);
    nilai_merge_hold(desk.merge, 1, 3);
    CHECK(push(&desk, 0, 3, 10, false));
    CHECK(push(&desk, 0, 8, 5, true)); /* beyond: not even bad ones */
    CHECK(push(&desk, 1, 1, 20, false));
    nilai_merge_end(desk.merge, 1, 3); /* offset 2 was a control record */
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.count, 2);
    CHECK_EQ(desk.batch.bad_count, 0);
    CHECK_EQ(desk.batch.events[0]->origin.topic, 0);
    CHECK_EQ(desk.batch.events[1]->origin.topic, 1);
    CHECK(!nilai_merge_is_held(desk.merge));
    release(&desk);
    CHECK(nilai_merge_is_held(desk.merge));
    CHECK_EQ(nilai_merge_offset(desk.merge, 1), 3);

    nilai_merge_hold(desk.merge, 0, NILAI_HOLD_NONE);
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.bad_count, 1);
    release(&desk);
    desk_close(&desk);
}

/* Goal: a cleared merge goes on where it was, and waits for its topics as a new one does.
 * Method: take one of two, clear, push the second again. */
TEST(clearing_keeps_the_position)
{
    struct desk desk;
    desk_open(&desk, 1, 8, NILAI_WAIT_FOREVER);
    CHECK_EQ(nilai_merge_offset(desk.merge, 0), -1);
    CHECK(push(&desk, 0, 4, 10, false));
    CHECK_EQ(nilai_merge_offset(desk.merge, 0), 4);
    form(&desk, MINUTE_MS);
    release(&desk);
    CHECK(push(&desk, 0, 5, 11, false));
    nilai_merge_clear(desk.merge, count_back, &desk, 2000);
    CHECK_EQ(desk.outside, 0);
    CHECK_EQ(nilai_merge_offset(desk.merge, 0), 5);
    CHECK(push(&desk, 0, 5, 11, false));
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.count, 1);
    release(&desk);
    desk_close(&desk);
}

/* Goal: a full queue says so instead of growing.
 * Method: one more than its capacity. */
TEST(a_full_queue_has_no_room)
{
    struct desk desk;
    desk_open(&desk, 1, 8, NILAI_WAIT_FOREVER);
    for (int64_t offset = 0; offset < 8; offset++)
        CHECK(push(&desk, 0, offset, offset, false));
    CHECK(!push(&desk, 0, 8, 8, false));
    form(&desk, MINUTE_MS);
    CHECK_EQ(desk.batch.count, 8);
    CHECK(!push(&desk, 0, 8, 8, false)); /* what is taken stays in place until released */
    release(&desk);
    CHECK(push(&desk, 0, 8, 8, false));
    desk_close(&desk);
}
