#include "process.h"

#include <stdlib.h>
#include <string.h>

void sim_process_start(struct sim_process *process)
{
    SIM_CHECK(!process->running && process->worker == NULL);
    process->running = true;
    process->dead = process->frozen = process->busy = false;
    memset(&process->counters, 0, sizeof process->counters);
    process->budget = (struct nilai_budget){.max_bytes = UINT64_C(1) << 32};
    process->hash_seed = nilai_random_next(&process->broker->random);
    sim_source_init(process);
    sim_sink_init(process);
    sim_state_log_init(process);
}

static void open_worker(struct sim_process *process)
{
    process->member = sim_join(process->broker, process->slot);
    process->worker = nilai_worker_create(&(struct nilai_worker_options){
        .config = process->config,
        .source = &process->source.base,
        .sink = &process->sink.base,
        .state_log = &process->state_log.base,
        .counters = &process->counters,
        .budget = &process->budget,
        .hash_seed = process->hash_seed,
    });
    SIM_CHECK(process->worker != NULL);
}

static void close_worker(struct sim_process *process)
{
    nilai_source_leave(&process->source.base);
    nilai_worker_destroy(process->worker);
    process->worker = NULL;
    SIM_CHECK(process->budget.used_bytes == 0);
    SIM_CHECK(process->source.outside == 0 && process->state_log.outside == 0);
}

/* Being told that one has been replaced is no fault; whatever else ends a worker is one. */
static void end_failed(struct sim_process *process, const struct nilai_error *error)
{
    bool fenced = strncmp(error->text, "fenced:", 7) == 0;
    if (!fenced)
        sim_fail("process %d ended: %s", process->slot, error->text);
    close_worker(process);
    sim_sink_fini(process);
    process->running = false;
}

void sim_process_work(struct sim_process *process, int64_t wall_ms)
{
    struct nilai_error error;
    int64_t wake_ms;
    if (!process->running || process->frozen || process->busy)
        return;
    if (process->worker == NULL) {
        if (sim_sink_is_ready(process))
            open_worker(process);
        return;
    }
    process->busy = true;
    enum nilai_status status
        = nilai_worker_work(process->worker, process->broker->now_ms,
                            wall_ms + process->skew_ms, &wake_ms, &error);
    if (status != NILAI_OK)
        end_failed(process, &error);
    if (nilai_counter_read(&process->counters, NILAI_COUNTER_DIFFERENCES) > 0)
        sim_fail("process %d: a replay differs from what was published", process->slot);
    process->busy = false;
}

void sim_process_stop(struct sim_process *process, bool forget)
{
    if (!process->running || process->frozen || process->busy)
        return;
    process->busy = true;
    if (process->worker != NULL) {
        struct nilai_error error;
        close_worker(process);
        (void)error;
        if (forget && sim_is_member(process->broker, process->slot, process->member))
            sim_leave(process->broker, process->slot);
        else if (sim_is_member(process->broker, process->slot, process->member))
            process->broker->group.members[process->slot].beating = false;
    }
    sim_sink_fini(process);
    process->busy = process->running = false;
}

void sim_process_crash(struct sim_process *process)
{
    if (!process->running || process->busy)
        return;
    process->dead = true;
    if (process->worker != NULL)
        close_worker(process);
    if (sim_is_member(process->broker, process->slot, process->member))
        process->broker->group.members[process->slot].beating = false;
    sim_sink_fini(process);
    process->running = false;
}

void sim_process_freeze(struct sim_process *process, bool frozen)
{
    if (!process->running || process->busy || process->worker == NULL)
        return;
    process->frozen = frozen;
    if (sim_is_member(process->broker, process->slot, process->member))
        process->broker->group.members[process->slot].beating = !frozen;
}
