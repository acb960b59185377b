#include "input.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 32, VALUE_SIZE = 320, FUTURE_MS = 300000 };

#define DAY_MS INT64_C(86400000)

static struct sim_message message_of(const char *key, const char *value)
{
    return sim_message_copy(&(struct sim_message){.key = (char *)key,
                                                  .value = (char *)value,
                                                  .headers = (char *)"",
                                                  .key_size = strlen(key),
                                                  .value_size = value == NULL ? 0 : strlen(value)});
}

static int64_t choose_ts(struct sim_input *input, int64_t wall_ms)
{
    struct sim_broker *broker = input->broker;
    int64_t least_ms = wall_ms + SIM_SKEW_MAX_MS;
    if (input->orderly) {
        int64_t after_ms = input->last_ts_ms > least_ms ? input->last_ts_ms : least_ms;
        /* Many events in a short time would run away from the clock, and be refused. */
        bool ahead = after_ms > wall_ms + FUTURE_MS / 2;
        return input->last_ts_ms = after_ms + 1 + (ahead ? 0 : sim_below(broker, 50));
    }
    switch (sim_below(broker, 16)) {
    case 0:
        return wall_ms - sim_below(broker, 100) * DAY_MS;
    case 1:
        return wall_ms - sim_below(broker, DAY_MS);
    case 2: /* right where the future begins */
        return wall_ms + FUTURE_MS - 2000 + sim_below(broker, 4000);
    case 3:
        return wall_ms + sim_below(broker, FUTURE_MS);
    default:
        return wall_ms - sim_below(broker, 2000);
    }
}

/* What follows the common fields; returns the type. */
static const char *choose_rest(struct sim_input *input, char *rest, size_t size)
{
    static const char *const statuses[] = {"opened", "pending", "resolved", "reopened", "closed"};
    static const char *const kinds[] = {"complaint", "question", "other"};
    struct sim_broker *broker = input->broker;
    if (sim_chance(broker, input->erase_share)) {
        rest[0] = '\0';
        return "erase";
    }
    switch (sim_below(broker, 10)) {
    case 0:
        snprintf(rest, size, ",\"amount\":%" PRId64, 1 + sim_below(broker, 30));
        return "refund";
    case 1:
    case 2:
        snprintf(rest, size, ",\"ticket\":\"t%" PRId64 "\",\"status\":\"%s\",\"kind\":\"%s\"",
                 sim_below(broker, 6), statuses[sim_below(broker, 5)],
                 kinds[sim_below(broker, 3)]);
        return "ticket";
    case 3:
        snprintf(rest, size, ",\"metric\":\"nps\",\"score\":%" PRId64, sim_below(broker, 11));
        return "survey";
    default:
        snprintf(rest, size, ",\"amount\":%" PRId64 ".50", sim_below(broker, 300));
        return "purchase";
    }
}

/* --- Appending ---------------------------------------------------------------------------- */

/* Through a transaction, or plainly. */
static void append(struct sim_input *input, struct sim_log *log, struct sim_message *message)
{
    struct sim_broker *broker = input->broker;
    input->appended++;
    int id = SIM_SLOTS + (int)sim_below(broker, SIM_INPUT_IDS);
    if (!input->orderly && sim_chance(broker, 0.2)
        && sim_produce(broker, id, broker->ids[id].epoch, log, message) == SIM_OK)
        return;
    SIM_CHECK(sim_produce(broker, SIM_NO_ID, 0, log, message) == SIM_OK);
}

/* What is left of an aborted transaction: offsets that nobody sees. */
static void append_gap(struct sim_input *input, struct sim_log *log)
{
    struct sim_message message = message_of("x", "{\"seen\":\"by nobody\"}");
    int id = SIM_SLOTS;
    if (!input->orderly || input->broker->ids[id].state != SIM_NO_TRANSACTION) {
        sim_message_free(&message);
        return;
    }
    SIM_CHECK(sim_produce(input->broker, id, input->broker->ids[id].epoch, log, &message)
              == SIM_OK);
    /* At once, so that nothing behind it is held up. */
    log->records[log->count - 1].state = SIM_ABORTED;
    SIM_CHECK(sim_end(input->broker, id, input->broker->ids[id].epoch, false) == SIM_OK);
}

static void append_bad(struct sim_input *input, struct sim_log *log)
{
    static const char *const values[] = {
        "{\"id\":}",
        "{\"id\":\"1\",\"type\":\"erase\",\"customer\":\"other\",\"ts\":1}",
        "{\"id\":\"2\",\"type\":\"erase\",\"customer\":\"x\",\"ts\":253402300799999}",
        "{\"id\":\"3\",\"type\":\"bought\",\"customer\":\"x\",\"ts\":1}",
        NULL,
    };
    struct sim_message message
        = message_of("x", values[sim_below(input->broker, NILAI_ARRAY_LEN(values))]);
    append(input, log, &message);
}

static void append_again(struct sim_input *input, struct sim_log *log)
{
    int64_t back = input->orderly ? 1 : 1 + sim_below(input->broker, 8);
    if (log->count < back || log->records[log->count - back].state != SIM_COMMITTED)
        return;
    struct sim_message message = sim_message_copy(&log->records[log->count - back].message);
    append(input, log, &message);
}

/* An event of the customer of the one before, under that one's id, though it is another one, and
 * later: only who still knows the id can tell that it is to be left out. */
static bool reuses_id(const struct sim_input *input)
{
    return !input->orderly && input->last_customer >= 0 && sim_chance(input->broker, 0.05);
}

static void append_event(struct sim_input *input, int partition, int64_t wall_ms)
{
    struct sim_broker *broker = input->broker;
    char key[KEY_SIZE], value[VALUE_SIZE], rest[128];
    /* Some are seen often, some hardly ever. */
    int64_t number = sim_below(broker, 1 + sim_below(broker, input->customers));
    int topic = (int)(input->orderly ? number % broker->topic_count
                                     : sim_below(broker, broker->topic_count));
    const char *type = choose_rest(input, rest, sizeof rest);
    int64_t ts_ms = choose_ts(input, wall_ms);
    if (reuses_id(input)) {
        number = input->last_customer;
        partition = input->last_partition;
        ts_ms = wall_ms + sim_below(broker, FUTURE_MS);
    } else {
        input->last_event++;
        input->last_customer = number;
        input->last_partition = partition;
    }
    /* An escape now and then, so that a text lies in the decoder's buffer. */
    const char *first = sim_chance(broker, 0.2) ? "\\u0063" : "c";
    snprintf(key, sizeof key, "c%d-%" PRId64 "-customer", partition, number);
    snprintf(value, sizeof value,
             "{\"id\":\"e%" PRIu64 "\",\"type\":\"%s\",\"customer\":\"%s%s\",\"ts\":%" PRId64
             "%s}",
             input->last_event, type, first, key + 1, ts_ms > 0 ? ts_ms : 0, rest);
    struct sim_message message = message_of(key, value);
    append(input, &broker->inputs[topic][partition], &message);
}

static void end_transactions(struct sim_input *input, double share)
{
    struct sim_broker *broker = input->broker;
    for (int id = SIM_SLOTS; id < SIM_IDS; id++) {
        if (broker->ids[id].state == SIM_TRANSACTION_OPEN && sim_chance(broker, share))
            (void)sim_end(broker, id, broker->ids[id].epoch, sim_chance(broker, 0.7));
    }
}

void sim_input_step(struct sim_input *input, int64_t wall_ms, int64_t count)
{
    struct sim_broker *broker = input->broker;
    for (; count > 0; count--) {
        int partition = (int)sim_below(broker, broker->partition_count);
        struct sim_log *log
            = &broker->inputs[sim_below(broker, broker->topic_count)][partition];
        switch (sim_below(broker, 40)) {
        case 0:
            append_bad(input, log);
            break;
        case 1:
            append_again(input, log);
            break;
        case 2:
            append_gap(input, log);
            break;
        default:
            append_event(input, partition, wall_ms);
        }
        end_transactions(input, 0.1);
    }
}

void sim_input_trickle(struct sim_input *input, int64_t wall_ms)
{
    for (int partition = 0; partition < input->broker->partition_count; partition++) {
        char value[VALUE_SIZE];
        snprintf(value, sizeof value,
                 "{\"id\":\"e%" PRIu64 "\",\"type\":\"purchase\",\"customer\":\"constant\","
                 "\"ts\":%" PRId64 ",\"amount\":1}",
                 ++input->last_event, wall_ms);
        input->last_customer = -1;
        struct sim_message message = message_of("constant", value);
        append(input, &input->broker->inputs[0][partition], &message);
    }
}

void sim_input_finish(struct sim_input *input)
{
    end_transactions(input, 1.1);
}
