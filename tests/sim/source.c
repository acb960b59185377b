#include <stdlib.h>
#include <string.h>

#include "process.h"

static struct sim_process *of(struct nilai_source *base)
{
    return (struct sim_process *)((char *)base - offsetof(struct sim_process, source.base));
}

static void forget_reading(struct sim_source *source)
{
    memset(source->next, -1, sizeof source->next);
    memset(source->low, -1, sizeof source->low);
    memset(source->told_end, 0, sizeof source->told_end);
    source->assigned = false;
}

static void give_up(struct sim_process *process, bool lost)
{
    struct nilai_source *base = &process->source.base;
    if (process->source.assigned)
        base->listener.revoked(base->listener.context, lost);
    SIM_CHECK(process->source.outside == 0);
    forget_reading(&process->source);
    process->generation = -1;
    process->assignment++;
}

/* --- Assignments ------------------------------------------------------------------------ */

static size_t owned_by(struct sim_process *process, struct nilai_assigned *list)
{
    size_t count = 0;
    for (int32_t partition = 0; partition < process->broker->partition_count; partition++) {
        if (process->broker->group.owners[partition] == process->slot)
            list[count++] = (struct nilai_assigned){
                .committed = process->broker->group.committed[partition]};
    }
    return count;
}

static void read_from(struct sim_process *process, const struct nilai_assigned *list,
                      size_t count)
{
    struct sim_source *source = &process->source;
    forget_reading(source);
    for (size_t index = 0; index < count; index++) {
        int32_t partition = list[index].committed.partition;
        for (int topic = 0; topic < process->broker->topic_count && !list[index].skip; topic++) {
            int64_t start = list[index].start[topic];
            SIM_CHECK(start >= 0 || start == NILAI_OFFSET_BEGINNING);
            source->next[topic][partition]
                = start >= 0 ? start : process->broker->inputs[topic][partition].low;
        }
    }
    source->assigned = true;
}

/* False: offsets are not stable yet. */
static bool take_up(struct sim_process *process)
{
    struct nilai_assigned list[SIM_PARTITIONS_MAX];
    struct nilai_source *base = &process->source.base;
    size_t count = owned_by(process, list);
    for (size_t index = 0; index < count; index++) {
        if (sim_is_unstable(process->broker, list[index].committed.partition))
            return false;
    }
    process->generation = process->broker->group.generation;
    process->assignments++;
    process->assignment++;
    base->listener.assigned(base->listener.context, list, count);
    read_from(process, list, count);
    return true;
}

static bool must_give_up(const struct sim_process *process)
{
    return process->broker->group.preparing
           && !process->broker->group.members[process->slot].joined;
}

static enum nilai_status be_lost(struct sim_process *process, struct nilai_error *error)
{
    give_up(process, true);
    if (process->broker->group.members[process->slot].present) {
        process->source.failed = true;
        return nilai_error_set(error, NILAI_CONFIG, "fenced: another process is our instance");
    }
    process->member = sim_join(process->broker, process->slot);
    return NILAI_OK;
}

static void leave_generation(struct sim_process *process)
{
    give_up(process, false);
    /* It may have taken too long over its last commit. */
    if (sim_is_member(process->broker, process->slot, process->member))
        process->broker->group.members[process->slot].joined = true;
}

static enum nilai_status source_poll(struct nilai_source *base, struct nilai_error *error)
{
    struct sim_process *process = of(base);
    const struct sim_group *group = &process->broker->group;
    if (sim_chance(process->broker, 0.3))
        return NILAI_OK; /* the news has not come yet */
    if (!sim_is_member(process->broker, process->slot, process->member))
        return be_lost(process, error);
    if (must_give_up(process))
        leave_generation(process);
    else if (!group->preparing && process->generation != group->generation) {
        if (process->source.assigned) /* a whole rebalance was slept through, as a joined one */
            give_up(process, true);
        (void)take_up(process);
    }
    return NILAI_OK;
}

static enum nilai_status source_restart(struct nilai_source *base, struct nilai_error *error)
{
    struct sim_process *process = of(base);
    (void)error;
    struct nilai_assigned list[SIM_PARTITIONS_MAX];
    size_t count = owned_by(process, list);
    if (must_give_up(process) || process->generation != process->broker->group.generation
        || !sim_is_member(process->broker, process->slot, process->member))
        return NILAI_AGAIN;
    for (size_t index = 0; index < count; index++) {
        if (sim_is_unstable(process->broker, list[index].committed.partition))
            return NILAI_AGAIN;
    }
    give_up(process, true);
    (void)take_up(process); /* else the next poll does */
    return NILAI_OK;
}

static enum nilai_status source_read(struct nilai_source *base, const struct nilai_assigned *list,
                                     size_t count, struct nilai_error *error)
{
    struct sim_process *process = of(base);
    (void)error;
    SIM_CHECK(process->source.assigned);
    if (must_give_up(process) || sim_chance(process->broker, 0.2))
        return NILAI_AGAIN;
    read_from(process, list, count);
    return NILAI_OK;
}

/* --- Messages --------------------------------------------------------------------------- */

static enum nilai_status tell_end(struct sim_source *source, uint32_t topic, int32_t partition,
                                  struct nilai_input *input)
{
    if (source->told_end[topic][partition])
        return NILAI_AGAIN;
    source->told_end[topic][partition] = true;
    input->offset = source->next[topic][partition];
    return NILAI_MISSING;
}

static enum nilai_status source_take(struct nilai_source *base, uint32_t topic, int32_t partition,
                                     struct nilai_input *input)
{
    struct sim_process *process = of(base);
    struct sim_source *source = &process->source;
    struct sim_log *log = &process->broker->inputs[topic][partition];
    if (source->next[topic][partition] < 0
        || sim_chance(process->broker, process->faults->nothing_arrived))
        return NILAI_AGAIN;
    const struct sim_record *record = sim_log_read(log, &source->next[topic][partition]);
    source->low[topic][partition] = log->low;
    if (record == NULL)
        return tell_end(source, topic, partition, input);
    /* A copy, so that a sanitizer sees who uses it after it was given back. */
    struct sim_message *copy = malloc(sizeof *copy);
    SIM_CHECK(copy != NULL);
    *copy = sim_message_copy(&record->message);
    *input = (struct nilai_input){.handle = copy,
                                  .key = copy->key,
                                  .key_size = copy->key_size,
                                  .value = copy->value,
                                  .value_size = copy->value_size,
                                  .offset = source->next[topic][partition]++};
    source->told_end[topic][partition] = false;
    source->outside++;
    return NILAI_OK;
}

static void source_give_back(struct nilai_source *base, struct nilai_input *input)
{
    struct sim_source *source = &of(base)->source;
    SIM_CHECK(source->outside > 0);
    source->outside--;
    sim_message_free(input->handle);
    free(input->handle);
}

static void source_headers(struct nilai_source *base, const struct nilai_input *input,
                           nilai_header_fn visit, void *context)
{
    (void)base, (void)input;
    visit(context, &(struct nilai_header){"trace", "7", 1});
}

static int64_t source_high(struct nilai_source *base, uint32_t topic, int32_t partition)
{
    return of(base)->broker->inputs[topic][partition].count;
}

static int64_t source_low(struct nilai_source *base, uint32_t topic, int32_t partition)
{
    return of(base)->source.low[topic][partition];
}

static void source_leave(struct nilai_source *base)
{
    struct sim_process *process = of(base);
    give_up(process, process->dead || process->source.failed
                         || !sim_is_member(process->broker, process->slot, process->member));
}

static void source_close(struct nilai_source *base)
{
    (void)base;
}

static const struct nilai_source_ops source_ops = {
    .poll = source_poll,
    .take = source_take,
    .give_back = source_give_back,
    .headers = source_headers,
    .high = source_high,
    .low = source_low,
    .read = source_read,
    .restart = source_restart,
    .leave = source_leave,
    .close = source_close,
};

void sim_source_init(struct sim_process *process)
{
    process->source = (struct sim_source){.base.ops = &source_ops};
    forget_reading(&process->source);
    process->generation = -1;
}
