#include <stdlib.h>

#include "process.h"

static struct sim_process *of(struct nilai_state_log *base)
{
    return (struct sim_process *)((char *)base - offsetof(struct sim_process, state_log.base));
}

static struct sim_reading *reading_of(struct nilai_state_log *base, int32_t partition)
{
    return &of(base)->state_log.readings[partition];
}

static struct sim_log *log_of(struct nilai_state_log *base, int32_t partition)
{
    return &of(base)->broker->outputs[NILAI_OUTPUT_STATE][partition];
}

static enum nilai_status log_open(struct nilai_state_log *base, int32_t partition)
{
    struct sim_reading *reading = reading_of(base, partition);
    reading->reading = true;
    reading->told_end = false;
    reading->next = 0;
    reading->end = -1;
    return NILAI_OK;
}

static enum nilai_status log_take(struct nilai_state_log *base, int32_t partition,
                                  struct nilai_input *input)
{
    struct sim_process *process = of(base);
    struct sim_reading *reading = reading_of(base, partition);
    struct sim_log *log = log_of(base, partition);
    SIM_CHECK(reading->reading);
    if (reading->told_end || sim_chance(process->broker, process->faults->nothing_arrived))
        return NILAI_AGAIN;
    if (reading->end < 0)
        reading->end = log->count;
    const struct sim_record *record = sim_log_read(log, &reading->next);
    if (reading->next >= reading->end) {
        reading->told_end = true;
        input->offset = reading->end;
        return NILAI_MISSING;
    }
    if (record == NULL)
        return NILAI_AGAIN;
    struct sim_message *copy = malloc(sizeof *copy);
    SIM_CHECK(copy != NULL);
    *copy = sim_message_copy(&record->message);
    *input = (struct nilai_input){.handle = copy,
                                  .key = copy->key,
                                  .key_size = copy->key_size,
                                  .value = copy->value,
                                  .value_size = copy->value_size,
                                  .offset = reading->next++};
    process->state_log.outside++;
    return NILAI_OK;
}

static void log_give_back(struct nilai_state_log *base, struct nilai_input *input)
{
    SIM_CHECK(of(base)->state_log.outside > 0);
    of(base)->state_log.outside--;
    sim_message_free(input->handle);
    free(input->handle);
}

static int64_t log_end(struct nilai_state_log *base, int32_t partition)
{
    return reading_of(base, partition)->end;
}

static void log_stop(struct nilai_state_log *base, int32_t partition)
{
    reading_of(base, partition)->reading = false;
}

/* The high watermark is asked for at some moment between the call and the answer. */
static void log_mark(struct nilai_state_log *base, int32_t partition)
{
    struct sim_reading *reading = reading_of(base, partition);
    reading->asked = true;
    reading->mark = sim_chance(of(base)->broker, 0.3) ? log_of(base, partition)->count : -1;
}

static int64_t log_marked(struct nilai_state_log *base, int32_t partition)
{
    struct sim_reading *reading = reading_of(base, partition);
    if (!reading->asked || sim_chance(of(base)->broker, 0.7))
        return -1;
    if (reading->mark < 0)
        reading->mark = log_of(base, partition)->count;
    return reading->mark;
}

static void log_trim(struct nilai_state_log *base, int32_t partition, int64_t offset)
{
    struct sim_process *process = of(base);
    if (!process->dead)
        sim_log_trim(process->broker, log_of(base, partition), offset);
}

static enum nilai_status log_poll(struct nilai_state_log *base, struct nilai_error *error)
{
    (void)base, (void)error;
    return NILAI_OK;
}

static void log_close(struct nilai_state_log *base)
{
    SIM_CHECK(of(base)->state_log.outside == 0);
}

static const struct nilai_state_log_ops state_log_ops = {
    .open = log_open,
    .take = log_take,
    .give_back = log_give_back,
    .end = log_end,
    .stop = log_stop,
    .mark = log_mark,
    .marked = log_marked,
    .trim = log_trim,
    .poll = log_poll,
    .close = log_close,
};

void sim_state_log_init(struct sim_process *process)
{
    process->state_log = (struct sim_state_log){.base.ops = &state_log_ops};
}
