#include "broker.h"

#include <stdlib.h>
#include <string.h>

enum {
    MARKER_DELAY_MS = 40,
    SLOW_MARKER_DELAY_MS = 3000,
    TRIM_DELAY_MS = 500,
};

bool sim_chance(struct sim_broker *broker, double share)
{
    return nilai_random_chance(&broker->random, share);
}

int64_t sim_below(struct sim_broker *broker, int64_t bound)
{
    return nilai_random_below(&broker->random, (uint32_t)bound);
}

static void *checked(void *memory)
{
    if (memory == NULL)
        sim_fail("out of memory");
    return memory;
}

/* --- Messages --------------------------------------------------------------------------- */

static char *copy_bytes(const void *data, size_t size)
{
    char *copy = checked(malloc(size + 1));
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

struct sim_message sim_message_copy(const struct sim_message *message)
{
    return (struct sim_message){
        .key = copy_bytes(message->key, message->key_size),
        .value = message->value == NULL ? NULL : copy_bytes(message->value, message->value_size),
        .headers = copy_bytes(message->headers, strlen(message->headers)),
        .key_size = message->key_size,
        .value_size = message->value_size,
    };
}

struct sim_message sim_message_of(const struct nilai_output *output)
{
    size_t size = 1, used = 0;
    for (size_t index = 0; index < output->header_count; index++)
        size += strlen(output->headers[index].name) + output->headers[index].size + 2;
    char *headers = checked(calloc(size, 1));
    for (size_t index = 0; index < output->header_count; index++) {
        const struct nilai_header *header = &output->headers[index];
        size_t name_size = strlen(header->name);
        memcpy(headers + used, header->name, name_size);
        headers[used + name_size] = '=';
        memcpy(headers + used + name_size + 1, header->value, header->size);
        used += name_size + header->size + 2;
        headers[used - 1] = '\n';
    }
    return (struct sim_message){
        .key = copy_bytes(output->key, output->key_size),
        .value = output->value == NULL ? NULL : copy_bytes(output->value, output->value_size),
        .headers = headers,
        .key_size = output->key_size,
        .value_size = output->value_size,
    };
}

void sim_message_free(struct sim_message *message)
{
    free(message->key);
    free(message->value);
    free(message->headers);
    *message = (struct sim_message){0};
}

/* --- Logs ------------------------------------------------------------------------------- */

static void log_append(struct sim_log *log, const struct sim_record *record)
{
    if (log->count == log->room) {
        log->room = log->room == 0 ? 64 : 2 * log->room;
        log->records = checked(reallocarray(log->records, (size_t)log->room, sizeof *record));
    }
    log->records[log->count++] = *record;
}

static void log_free(struct sim_log *log)
{
    for (int64_t offset = 0; offset < log->count; offset++)
        sim_message_free(&log->records[offset].message);
    free(log->records);
}

int64_t sim_log_stable(struct sim_log *log)
{
    while (log->stable < log->count && log->records[log->stable].state != SIM_OPEN)
        log->stable++;
    return log->stable;
}

const struct sim_record *sim_log_read(struct sim_log *log, int64_t *offset)
{
    int64_t stable = sim_log_stable(log);
    if (*offset < log->low)
        *offset = log->low;
    for (; *offset < stable; (*offset)++) {
        if (log->records[*offset].state == SIM_COMMITTED)
            return &log->records[*offset];
    }
    return NULL;
}

void sim_log_trim(struct sim_broker *broker, struct sim_log *log, int64_t offset)
{
    if (offset > log->trim_to)
        log->trim_to = offset < log->count ? offset : log->count; /* there is no more */
    if (log->trim_at_ms < 0)
        log->trim_at_ms = broker->now_ms + sim_below(broker, TRIM_DELAY_MS);
}

static void trim_if_due(struct sim_broker *broker, struct sim_log *log)
{
    if (log->trim_at_ms < 0 || log->trim_at_ms > broker->now_ms)
        return;
    SIM_CHECK(log->trim_to <= log->count);
    if (log->trim_to > log->low)
        log->low = log->trim_to;
    log->trim_at_ms = -1;
}

static uint32_t hash_of(const struct nilai_output *output)
{
    uint32_t hash = 5381;
    for (size_t index = 0; index < output->key_size; index++)
        hash = hash * 33 + (unsigned char)((const char *)output->key)[index];
    return hash;
}

struct sim_log *sim_output_log(struct sim_broker *broker, const struct nilai_output *output)
{
    int32_t partition = output->topic == NILAI_OUTPUT_STATE
                            ? output->partition
                            : (int32_t)(hash_of(output) % (uint32_t)broker->partition_count);
    SIM_CHECK(partition >= 0 && partition < broker->partition_count);
    return &broker->outputs[output->topic][partition];
}

/* --- Transactions ----------------------------------------------------------------------- */

static int64_t marker_delay(struct sim_broker *broker)
{
    return sim_below(broker, sim_chance(broker, 0.03) ? SLOW_MARKER_DELAY_MS : MARKER_DELAY_MS);
}

static void begin_end(struct sim_broker *broker, struct sim_id *id, bool commit)
{
    SIM_CHECK(id->state == SIM_TRANSACTION_OPEN);
    id->state = SIM_TRANSACTION_ENDING;
    id->commit = commit;
    for (size_t index = 0; index < id->touched_count; index++)
        id->touched[index].due_ms = broker->now_ms + marker_delay(broker);
    id->positions_due_ms = broker->now_ms + marker_delay(broker);
    broker->commits += commit;
    broker->aborts += !commit;
}

static void write_marker(struct sim_broker *broker, int number, struct sim_log *log)
{
    bool commit = broker->ids[number].commit;
    for (int64_t offset = sim_log_stable(log); offset < log->count; offset++) {
        struct sim_record *record = &log->records[offset];
        if (record->id == number && record->state == SIM_OPEN)
            record->state = commit ? SIM_COMMITTED : SIM_ABORTED;
    }
    log_append(log, &(struct sim_record){.state = SIM_CONTROL, .id = number});
}

static void apply_positions(struct sim_broker *broker, const struct nilai_position *list,
                            size_t count)
{
    for (size_t index = 0; index < count; index++) {
        struct nilai_position *known = &broker->group.committed[list[index].partition];
        struct nilai_position position = list[index];
        for (int topic = 0; topic < NILAI_INPUT_TOPICS_MAX; topic++) {
            if (position.offsets[topic] < 0)
                position.offsets[topic] = known->offsets[topic];
        }
        *known = position;
    }
}

static void end_if_due(struct sim_broker *broker, int number)
{
    struct sim_id *id = &broker->ids[number];
    bool complete = true;
    for (size_t index = 0; index < id->touched_count; index++) {
        struct sim_touched *touched = &id->touched[index];
        if (!touched->done && touched->due_ms <= broker->now_ms) {
            write_marker(broker, number, touched->log);
            touched->done = true;
        }
        complete &= touched->done;
    }
    if (id->position_count > 0 && id->positions_due_ms <= broker->now_ms) {
        if (id->commit)
            apply_positions(broker, id->positions, id->position_count);
        id->position_count = 0;
    }
    if (!complete || id->position_count > 0)
        return;
    id->state = SIM_NO_TRANSACTION;
    id->touched_count = 0;
}

static void time_out(struct sim_broker *broker, struct sim_id *id)
{
    id->epoch++;
    broker->timeouts++;
    begin_end(broker, id, false);
}

static void advance_id(struct sim_broker *broker, int number)
{
    struct sim_id *id = &broker->ids[number];
    if (id->state == SIM_TRANSACTION_OPEN && broker->now_ms - id->begun_ms >= id->timeout_ms)
        time_out(broker, id);
    if (id->state == SIM_TRANSACTION_ENDING)
        end_if_due(broker, number);
}

uint32_t sim_fence(struct sim_broker *broker, int number)
{
    struct sim_id *id = &broker->ids[number];
    id->epoch++;
    if (id->state == SIM_TRANSACTION_OPEN)
        begin_end(broker, id, false);
    return id->epoch;
}

static enum sim_answer need_transaction(struct sim_broker *broker, struct sim_id *id,
                                        uint32_t epoch)
{
    if (epoch != id->epoch)
        return SIM_FENCED;
    if (id->state == SIM_TRANSACTION_ENDING)
        return SIM_WAIT;
    if (id->state == SIM_NO_TRANSACTION) {
        id->state = SIM_TRANSACTION_OPEN;
        id->begun_ms = broker->now_ms;
    }
    return SIM_OK;
}

static void touch(struct sim_id *id, struct sim_log *log)
{
    for (size_t index = 0; index < id->touched_count; index++) {
        if (id->touched[index].log == log)
            return;
    }
    SIM_CHECK(id->touched_count < SIM_LOGS_MAX);
    id->touched[id->touched_count++] = (struct sim_touched){.log = log};
}

enum sim_answer sim_produce(struct sim_broker *broker, int number, uint32_t epoch,
                            struct sim_log *log, struct sim_message *message)
{
    struct sim_record record = {.message = *message, .state = SIM_COMMITTED, .id = number};
    if (number != SIM_NO_ID) {
        enum sim_answer answer = need_transaction(broker, &broker->ids[number], epoch);
        if (answer == SIM_FENCED)
            sim_message_free(message);
        if (answer != SIM_OK)
            return answer;
        touch(&broker->ids[number], log);
        record.state = SIM_OPEN;
    }
    *message = (struct sim_message){0};
    log_append(log, &record);
    return SIM_OK;
}

enum sim_answer sim_end(struct sim_broker *broker, int number, uint32_t epoch, bool commit)
{
    struct sim_id *id = &broker->ids[number];
    if (epoch != id->epoch)
        return SIM_FENCED;
    if (id->state == SIM_TRANSACTION_OPEN)
        begin_end(broker, id, commit);
    return SIM_OK;
}

void sim_haunt(struct sim_broker *broker, int id, uint32_t epoch, struct sim_log *log,
               struct sim_message *message, int64_t delay_ms)
{
    if (broker->ghost_count == broker->ghost_room) {
        broker->ghost_room = broker->ghost_room == 0 ? 64 : 2 * broker->ghost_room;
        broker->ghosts
            = checked(reallocarray(broker->ghosts, broker->ghost_room, sizeof *broker->ghosts));
    }
    broker->ghosts[broker->ghost_count++] = (struct sim_ghost){
        log, *message, id, epoch, broker->now_ms + delay_ms};
    *message = (struct sim_message){0};
}

/* A broker takes nothing into a transaction that its sender had not announced. */
static void appear(struct sim_broker *broker, struct sim_ghost *ghost)
{
    bool welcome = ghost->id == SIM_NO_ID
                   || (broker->ids[ghost->id].state == SIM_TRANSACTION_OPEN
                       && broker->ids[ghost->id].epoch == ghost->epoch);
    if (welcome)
        SIM_CHECK(sim_produce(broker, ghost->id, ghost->epoch, ghost->log, &ghost->message)
                  == SIM_OK);
    sim_message_free(&ghost->message);
}

static void advance_ghosts(struct sim_broker *broker)
{
    size_t left = 0;
    for (size_t index = 0; index < broker->ghost_count; index++) {
        if (broker->ghosts[index].due_ms <= broker->now_ms)
            appear(broker, &broker->ghosts[index]);
        else
            broker->ghosts[left++] = broker->ghosts[index];
    }
    broker->ghost_count = left;
}

/* --- The group -------------------------------------------------------------------------- */

bool sim_is_member(const struct sim_broker *broker, int slot, uint64_t member)
{
    return broker->group.members[slot].present && broker->group.members[slot].id == member;
}

static enum sim_answer check_member(const struct sim_broker *broker, int slot, uint64_t member,
                                    int generation)
{
    return sim_is_member(broker, slot, member) && generation == broker->group.generation
               ? SIM_OK
               : SIM_REFUSED;
}

enum sim_answer sim_commit_offsets(struct sim_broker *broker, int slot, uint64_t member,
                                   int generation, const struct nilai_position *list,
                                   size_t count)
{
    enum sim_answer answer = check_member(broker, slot, member, generation);
    if (answer == SIM_OK)
        apply_positions(broker, list, count);
    return answer;
}

enum sim_answer sim_add_offsets(struct sim_broker *broker, int number, uint32_t epoch, int slot,
                                uint64_t member, int generation,
                                const struct nilai_position *list, size_t count)
{
    struct sim_id *id = &broker->ids[number];
    enum sim_answer answer = need_transaction(broker, id, epoch);
    if (answer == SIM_OK)
        answer = check_member(broker, slot, member, generation);
    if (answer != SIM_OK)
        return answer;
    SIM_CHECK(count <= SIM_PARTITIONS_MAX);
    memcpy(id->positions, list, count * sizeof *list);
    id->position_count = count;
    return SIM_OK;
}

bool sim_is_unstable(const struct sim_broker *broker, int32_t partition)
{
    for (int number = 0; number < SIM_IDS; number++) {
        const struct sim_id *id = &broker->ids[number];
        for (size_t index = 0; index < id->position_count; index++) {
            if (id->positions[index].partition == partition)
                return true;
        }
    }
    return false;
}

void sim_rebalance(struct sim_broker *broker)
{
    struct sim_group *group = &broker->group;
    if (group->preparing)
        return;
    group->preparing = true;
    group->prepare_until_ms = broker->now_ms + group->rebalance_ms;
    for (int slot = 0; slot < SIM_SLOTS; slot++)
        group->members[slot].joined = false;
    broker->rebalances++;
}

uint64_t sim_join(struct sim_broker *broker, int slot)
{
    struct sim_member *member = &broker->group.members[slot];
    /* A known instance that comes back takes its partitions over without a rebalance. */
    if (!member->present)
        sim_rebalance(broker);
    *member = (struct sim_member){.present = true,
                                  .id = ++broker->group.last_member_id,
                                  .joined = true,
                                  .beating = true,
                                  .heard_ms = broker->now_ms};
    return member->id;
}

void sim_leave(struct sim_broker *broker, int slot)
{
    broker->group.members[slot].present = false;
    sim_rebalance(broker);
}

static int some_member(struct sim_broker *broker)
{
    int slots[SIM_SLOTS], count = 0;
    for (int slot = 0; slot < SIM_SLOTS; slot++) {
        if (broker->group.members[slot].present)
            slots[count++] = slot;
    }
    return count == 0 ? -1 : slots[sim_below(broker, count)];
}

/* Often everybody keeps what they had. */
static void assign(struct sim_broker *broker)
{
    struct sim_group *group = &broker->group;
    bool keep = sim_chance(broker, 0.5);
    for (int partition = 0; partition < broker->partition_count; partition++) {
        int owner = group->owners[partition];
        if (!keep || owner < 0 || !group->members[owner].present)
            group->owners[partition] = some_member(broker);
    }
}

static void finish_rebalance(struct sim_broker *broker)
{
    struct sim_group *group = &broker->group;
    for (int slot = 0; slot < SIM_SLOTS; slot++) {
        broker->kicked += group->members[slot].present && !group->members[slot].joined;
        group->members[slot].present &= group->members[slot].joined;
    }
    group->preparing = false;
    group->generation++;
    assign(broker);
}

static void advance_group(struct sim_broker *broker)
{
    struct sim_group *group = &broker->group;
    bool all = true;
    for (int slot = 0; slot < SIM_SLOTS; slot++) {
        struct sim_member *member = &group->members[slot];
        if (!member->present)
            continue;
        if (member->beating)
            member->heard_ms = broker->now_ms;
        if (broker->now_ms - member->heard_ms >= group->session_ms) {
            broker->kicked++;
            sim_leave(broker, slot);
        }
        all &= !member->present || member->joined;
    }
    if (group->preparing && (all || broker->now_ms >= group->prepare_until_ms))
        finish_rebalance(broker);
}

/* --- The whole -------------------------------------------------------------------------- */

void sim_broker_advance(struct sim_broker *broker, int64_t ms)
{
    broker->now_ms += ms;
    advance_ghosts(broker);
    for (int number = 0; number < SIM_IDS; number++)
        advance_id(broker, number);
    advance_group(broker);
    for (int partition = 0; partition < broker->partition_count; partition++)
        trim_if_due(broker, &broker->outputs[NILAI_OUTPUT_STATE][partition]);
}

bool sim_broker_is_settled(const struct sim_broker *broker)
{
    for (int number = 0; number < SIM_IDS; number++) {
        if (broker->ids[number].state != SIM_NO_TRANSACTION)
            return false;
    }
    return broker->ghost_count == 0;
}

static void init_partition(struct sim_broker *broker, int partition)
{
    struct nilai_position *committed = &broker->group.committed[partition];
    *committed = (struct nilai_position){.partition = partition, .clock_ms = -1};
    for (int topic = 0; topic < NILAI_INPUT_TOPICS_MAX; topic++)
        committed->offsets[topic] = -1;
    for (int topic = 0; topic < NILAI_OUTPUT_TOPICS; topic++)
        broker->outputs[topic][partition].trim_at_ms = -1;
    broker->group.owners[partition] = -1;
}

void sim_broker_init(struct sim_broker *broker, uint64_t seed, int topics, int partitions)
{
    SIM_CHECK(topics <= SIM_TOPICS_MAX && partitions <= SIM_PARTITIONS_MAX);
    *broker = (struct sim_broker){
        .now_ms = 1000, .topic_count = topics, .partition_count = partitions};
    nilai_random_init(&broker->random, seed, 0);
    broker->group.session_ms = 2000 + sim_below(broker, 8000);
    broker->group.rebalance_ms = 1000 + sim_below(broker, 60000);
    for (int id = 0; id < SIM_IDS; id++)
        broker->ids[id].timeout_ms
            = id < SIM_SLOTS ? broker->group.session_ms : 200 + sim_below(broker, 2000);
    for (int partition = 0; partition < partitions; partition++)
        init_partition(broker, partition);
}

void sim_broker_fini(struct sim_broker *broker)
{
    for (int partition = 0; partition < broker->partition_count; partition++) {
        for (int topic = 0; topic < broker->topic_count; topic++)
            log_free(&broker->inputs[topic][partition]);
        for (int topic = 0; topic < NILAI_OUTPUT_TOPICS; topic++)
            log_free(&broker->outputs[topic][partition]);
    }
    for (size_t index = 0; index < broker->ghost_count; index++)
        sim_message_free(&broker->ghosts[index].message);
    free(broker->ghosts);
}
