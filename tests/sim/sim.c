/*
 * sim - the whole service in one thread, under a seed.
 *
 *     sim [--seed N] [--runs N] [--seconds N] [--steps N] [--mutation NAME] [--verbose]
 *     sim --mutations [--runs N]
 *
 * Each run makes a small world of random shape (broker.h, process.h, input.h), lets it live for
 * a number of steps in which anything may happen at any moment, then lets everything come to rest
 * and compares what readers see with what one uninterrupted partition publishes (judge.h). A
 * failure names its seed, and that seed alone brings it back.
 *
 * With --mutations every rule of mutation.h is broken in turn, and each must be noticed within a
 * number of runs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "history.h"
#include "input.h"
#include "judge.h"
#include "nilai/base/log.h"
#include "nilai/base/mutation.h"
#include "nilai/run/lane.h"
#include "nilai/state/image.h"
#include "process.h"
#include "residue.h"
#include "state.h"

enum {
    PROCESSES = 2 * SIM_SLOTS, /* a frozen one may be replaced under its own name */
    STEPS_DEFAULT = 1500,
    REST_STEPS_MAX = 60000,
    REST_TIMEOUT_MS = 60000,
    WALL_START_S = 1700000000,
    SIZE_SLACK = 16384,
    MUTATION_RUNS = 5000, /* the rarest needs some 150 */
};

#define DAY_MS INT64_C(86400000)

struct world {
    uint64_t seed;
    struct sim_broker broker;
    struct nilai_config config, other_config;
    bool changing; /* from the first to the other, amid the run */
    bool changed;
    struct sim_faults faults;
    struct sim_input input;
    struct sim_process processes[PROCESSES];
    int64_t wall_offset_ms;
    double crash, freeze, thaw, stop, start, rebalance, jump, work, burst, retention; /* of steps */
    int idle_depth;
    uint64_t crashes, stops, freezes, doubles, deletions, turns, strangers;
};

static struct {
    uint64_t seed, runs, steps, seconds;
    const char *mutation; /* NULL: none */
    bool verbose;
} options;

static struct world world; /* large */

_Noreturn void sim_fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    printf("\nseed %" PRIu64 " failed at %" PRId64 " ms: ", world.seed, world.broker.now_ms);
    vprintf(format, list);
    printf(" (%s, %d topics, %d partitions)\nagain: sim --seed %" PRIu64
           " --runs 1 --steps %" PRIu64 " --verbose",
           world.config.delivery == NILAI_EXACTLY_ONCE ? "exactly once" : "at least once",
           world.broker.topic_count, world.broker.partition_count, world.seed, options.steps);
    printf(options.mutation != NULL ? " --mutation %s\n" : "\n", options.mutation);
    va_end(list);
    fflush(stdout);
    _Exit(1);
}

static void tell(const char *what, int who)
{
    if (options.verbose)
        printf("%8" PRId64 " %s %d\n", world.broker.now_ms, what, who);
}

/* --- Making a world ------------------------------------------------------------------------ */

static double share_up_to(double most)
{
    return sim_chance(&world.broker, 0.3) ? 0
                                          : most * nilai_random_uniform(&world.broker.random);
}

static void assign(const char *name, const char *value)
{
    struct nilai_error error;
    if (nilai_config_assign(&world.config, name, value, &error) != NILAI_OK)
        sim_fail("%s: %s", name, error.text);
}

static void configure(void)
{
    struct nilai_error error;
    static const char *const topics[] = {"purchases", "purchases,tickets",
                                         "purchases,tickets,surveys"};
    nilai_config_defaults(&world.config);
    assign("kafka.bootstrap.servers", "nobody:1");
    assign("input.format", "json");
    assign("input.topics", topics[world.broker.topic_count - 1]);
    assign("delivery", sim_chance(&world.broker, 0.65) ? "exactly-once" : "at-least-once");
    assign("model.signals.half_life_days", "10");
    if (nilai_config_finish(&world.config, &error) != NILAI_OK)
        sim_fail("%s", error.text);
    world.config.image_ratio = 0.01 * nilai_random_exp(8 * nilai_random_uniform(&world.broker.random));
    world.config.image_round_max_ms = 1000 + sim_below(&world.broker, 100000);
    world.config.commit_interval_ms = 10 + sim_below(&world.broker, 400);
    world.config.customers_feed = sim_chance(&world.broker, 0.3);
    world.config.follow_wall_clock = sim_chance(&world.broker, 0.8);
    world.config.erase_remember_ms = (1 + sim_below(&world.broker, 60)) * DAY_MS;
}

/* Other thresholds, as of a new release of the model. */
static void configure_other(void)
{
    struct nilai_error error;
    world.other_config = world.config;
    if (nilai_config_assign(&world.other_config, "alerts.medium.up", "0.30", &error) != NILAI_OK
        || nilai_config_assign(&world.other_config, "alerts.medium.down", "0.20", &error)
               != NILAI_OK
        || nilai_config_assign(&world.other_config, "value.cuts.a", "60", &error) != NILAI_OK
        || nilai_config_finish(&world.other_config, &error) != NILAI_OK)
        sim_fail("%s", error.text);
    world.changing
        = world.config.delivery == NILAI_EXACTLY_ONCE && sim_chance(&world.broker, 0.15);
}

static void choose_faults(void)
{
    bool calm = sim_chance(&world.broker, 0.1);
    world.faults = (struct sim_faults){.slow = share_up_to(0.6)};
    world.input.orderly = sim_chance(&world.broker, 0.3);
    world.faults.nothing_arrived = world.input.orderly ? 0 : share_up_to(0.5);
    world.work = 0.2 + 0.7 * nilai_random_uniform(&world.broker.random);
    world.burst = 0.02 + share_up_to(0.3);
    world.jump = share_up_to(0.02);
    world.start = 0.05;
    world.thaw = 0.01 + share_up_to(0.05);
    world.retention = share_up_to(0.02);
    if (calm)
        return;
    world.faults.commit_aborted = share_up_to(0.2);
    world.faults.answer_lost = share_up_to(0.2);
    world.faults.commit_refused = share_up_to(0.3);
    world.faults.broken = share_up_to(0.01);
    world.crash = share_up_to(0.03);
    world.freeze = share_up_to(0.02);
    world.stop = share_up_to(0.01);
    world.rebalance = share_up_to(0.02);
}

static void idle(void *context, int64_t ms);

static void make_world(uint64_t seed)
{
    memset(&world, 0, sizeof world);
    world.seed = seed;
    struct nilai_random shape;
    nilai_random_init(&shape, seed, 1);
    sim_broker_init(&world.broker, seed, 1 + (int)nilai_random_below(&shape, SIM_TOPICS_MAX),
                    1 + (int)nilai_random_below(&shape, SIM_PARTITIONS_MAX));
    world.broker.idle = idle;
    world.wall_offset_ms = INT64_C(1000) * WALL_START_S;
    world.input = (struct sim_input){.broker = &world.broker, .last_customer = -1};
    configure();
    configure_other();
    choose_faults();
    world.input.customers = 1 + (int)sim_below(&world.broker, 1 + sim_below(&world.broker, 400));
    if (sim_chance(&world.broker, 0.2)) /* of several chunks */
        world.input.customers *= 6;
    world.input.erase_share = world.changing ? 0 : share_up_to(0.1);
    for (int index = 0; index < PROCESSES; index++)
        world.processes[index] = (struct sim_process){
            .broker = &world.broker,
            .config = &world.config,
            .faults = &world.faults,
            .slot = index % SIM_SLOTS,
            .skew_ms = sim_below(&world.broker, SIM_SKEW_MAX_MS),
        };
}

static void end_world(void)
{
    sim_broker_fini(&world.broker);
}

/* --- Steps ----------------------------------------------------------------------------------- */

static int64_t wall_ms(void)
{
    return world.broker.now_ms + world.wall_offset_ms;
}

static void work_some(double share)
{
    int first = (int)sim_below(&world.broker, PROCESSES);
    for (int index = 0; index < PROCESSES; index++) {
        if (sim_chance(&world.broker, share))
            sim_process_work(&world.processes[(first + index) % PROCESSES], wall_ms());
    }
}

/* Somebody waits within a call; the others go on. */
static void idle(void *context, int64_t ms)
{
    (void)context;
    sim_broker_advance(&world.broker, 1 + sim_below(&world.broker, ms));
    if (world.idle_depth >= SIM_SLOTS)
        return;
    world.idle_depth++;
    work_some(0.1);
    world.idle_depth--;
}

/* The other process that may have the same name. */
static struct sim_process *twin_of(int index)
{
    return &world.processes[(index + SIM_SLOTS) % PROCESSES];
}

static void maybe_start(int index)
{
    struct sim_process *process = &world.processes[index], *twin = twin_of(index);
    if (process->running || !sim_chance(&world.broker, world.start))
        return;
    if (twin->running && !(twin->frozen && sim_chance(&world.broker, 0.1)))
        return;
    world.doubles += twin->running;
    tell(twin->running ? "double" : "start", index);
    process->config = world.changed ? &world.other_config : &world.config;
    sim_process_start(process);
}

static void disturb(int index)
{
    struct sim_process *process = &world.processes[index];
    if (!process->running)
        return;
    if (process->frozen) {
        if (sim_chance(&world.broker, world.thaw)) {
            tell("thaw", index);
            sim_process_freeze(process, false);
        }
    } else if (sim_chance(&world.broker, world.freeze)) {
        tell("freeze", index);
        world.freezes++;
        sim_process_freeze(process, true);
    } else if (sim_chance(&world.broker, world.stop)) {
        tell("stop", index);
        world.stops++;
        sim_process_stop(process, sim_chance(&world.broker, 0.5));
    }
    if (sim_chance(&world.broker, world.crash)) {
        tell("crash", index);
        world.crashes++;
        sim_process_crash(process);
    }
}

/* --- Retention ------------------------------------------------------------------------------- */

/* Somebody who rebuilds state reads from a floor that may not be the last one any more. */
static bool is_anybody_rebuilding(void)
{
    for (int index = 0; index < PROCESSES; index++) {
        struct nilai_worker *worker = world.processes[index].worker;
        struct nilai_lane *lane;
        for (size_t which = 0; worker != NULL && (lane = nilai_worker_lane(worker, which)) != NULL;
             which++) {
            if (nilai_lane_phase(lane) < NILAI_LANE_LIVE)
                return true;
        }
    }
    return false;
}

static int64_t lower_to_unread(struct sim_process *process, int32_t partition, int topic,
                               int64_t offset)
{
    int64_t start[NILAI_INPUT_TOPICS_MAX];
    struct nilai_lane *lane;
    for (size_t which = 0;
         process->worker != NULL && (lane = nilai_worker_lane(process->worker, which)) != NULL;
         which++) {
        if (nilai_lane_partition(lane) != partition)
            continue;
        nilai_lane_start(lane, start);
        if (start[topic] < offset)
            offset = start[topic] > 0 ? start[topic] : 0;
    }
    return offset;
}

/* The turn up to which nobody needs input who restores from the journal as it is now. Where no
 * transaction fences who was replaced, he may write images after his heir has read; the heir goes
 * on from those of the committed position, at least. */
static uint64_t superfluous(const struct sim_history *history)
{
    return world.config.delivery == NILAI_EXACTLY_ONCE ? history->floor : history->held_floor;
}

/* Up to where input may be deleted. Who was frozen and replaced has not read it, perhaps, and where
 * no transaction fences him he publishes what comes of the rest: something else than the others,
 * which is right only where nothing is promised about what he publishes. */
static int64_t deletable(const struct sim_history *history, int32_t partition, int topic)
{
    int64_t offset = sim_history_point(history, superfluous(history))->offsets[topic];
    bool strict = world.input.orderly && world.config.delivery != NILAI_EXACTLY_ONCE;
    for (int index = 0; index < PROCESSES && strict; index++)
        offset = lower_to_unread(&world.processes[index], partition, topic, offset);
    return offset;
}

/* Deletes input, at most what may be. */
static void delete_input(int32_t partition)
{
    struct sim_history history;
    struct sim_log *journal = &world.broker.outputs[NILAI_OUTPUT_STATE][partition];
    if (sim_log_stable(journal) < journal->count)
        return; /* what was committed last cannot be read yet */
    sim_history_read(&history, &world.broker, partition);
    for (int topic = 0; topic < world.broker.topic_count && superfluous(&history) > 0; topic++) {
        struct sim_log *log = &world.broker.inputs[topic][partition];
        int64_t least = deletable(&history, partition, topic);
        int64_t low = sim_chance(&world.broker, 0.7) ? least : sim_below(&world.broker, least + 1);
        if (low > log->low) {
            log->low = low;
            world.deletions++;
        }
    }
    sim_history_free(&history);
}

static void maybe_delete_input(void)
{
    if (sim_chance(&world.broker, world.retention) && !is_anybody_rebuilding())
        delete_input((int32_t)sim_below(&world.broker, world.broker.partition_count));
}

static void let_time_pass(void)
{
    int64_t ms = 1 + sim_below(&world.broker, 30);
    if (sim_chance(&world.broker, 0.02))
        ms = sim_below(&world.broker, 6000);
    sim_broker_advance(&world.broker, ms);
    if (sim_chance(&world.broker, world.jump))
        world.wall_offset_ms += sim_below(&world.broker, 20 * 24) * DAY_MS / 24;
    /* Somebody sets a clock, perhaps back. */
    if (!world.input.orderly && sim_chance(&world.broker, 0.02))
        world.processes[sim_below(&world.broker, PROCESSES)].skew_ms
            = sim_below(&world.broker, SIM_SKEW_MAX_MS);
}

static void step(void)
{
    let_time_pass();
    if (sim_chance(&world.broker, world.burst))
        sim_input_step(&world.input, wall_ms(), 1 + sim_below(&world.broker, 60));
    else if (sim_chance(&world.broker, 0.3))
        sim_input_step(&world.input, wall_ms(), 1 + sim_below(&world.broker, 4));
    if (sim_chance(&world.broker, world.rebalance))
        sim_rebalance(&world.broker);
    maybe_delete_input();
    for (int index = 0; index < PROCESSES; index++) {
        maybe_start(index);
        disturb(index);
    }
    work_some(world.work);
}

/* --- Coming to rest -------------------------------------------------------------------------- */

static bool is_read(void)
{
    for (int partition = 0; partition < world.broker.partition_count; partition++) {
        const struct nilai_position *committed = &world.broker.group.committed[partition];
        for (int topic = 0; topic < world.broker.topic_count; topic++) {
            struct sim_log *log = &world.broker.inputs[topic][partition];
            int64_t offset = committed->offsets[topic] > 0 ? committed->offsets[topic] : 0;
            if (log->stable != log->count || sim_log_read(log, &offset) != NULL)
                return false;
        }
    }
    return sim_broker_is_settled(&world.broker);
}

static bool has_work_left(void)
{
    for (int partition = 0; partition < world.broker.partition_count; partition++) {
        for (int topic = 0; topic < world.broker.topic_count; topic++)
            (void)sim_log_stable(&world.broker.inputs[topic][partition]);
    }
    return !is_read();
}

static bool is_anybody_there(void)
{
    for (int index = 0; index < PROCESSES; index++) {
        if (world.processes[index].running)
            return true;
    }
    return false;
}

static void stop_all(void)
{
    for (int index = 0; index < PROCESSES; index++) {
        sim_process_freeze(&world.processes[index], false);
        sim_process_stop(&world.processes[index], sim_chance(&world.broker, 0.5));
    }
    SIM_CHECK(!is_anybody_there());
}

static void come_to_rest(void)
{
    world.faults = (struct sim_faults){0};
    /* What a leap of time brings need not go into a short transaction, however often it is
     * tried. */
    for (int slot = 0; slot < SIM_SLOTS; slot++)
        world.broker.ids[slot].timeout_ms = REST_TIMEOUT_MS;
    sim_input_finish(&world.input);
    for (int index = 0; index < PROCESSES; index++)
        sim_process_freeze(&world.processes[index], false);
    int steps = 0;
    do {
        if (steps++ >= REST_STEPS_MAX)
            sim_fail("it does not come to rest");
        sim_broker_advance(&world.broker, 1 + sim_below(&world.broker, 30));
        for (int index = 0; index < PROCESSES; index++)
            maybe_start(index);
        work_some(0.8);
    } while (has_work_left() || !is_anybody_there());
    stop_all();
    for (steps = 0; !sim_broker_is_settled(&world.broker); steps++) {
        SIM_CHECK(steps < REST_STEPS_MAX);
        sim_broker_advance(&world.broker, 100);
    }
}

/* --- Judging ----------------------------------------------------------------------------------- */

static struct sim_reference *merged_reference(int32_t partition)
{
    struct sim_reference *reference
        = sim_reference_create(&world.broker, &world.config, partition);
    struct nilai_position to = {.partition = partition};
    for (int topic = 0; topic < world.broker.topic_count; topic++)
        to.offsets[topic] = world.broker.inputs[topic][partition].count;
    to.clock_ms = world.broker.group.committed[partition].clock_ms;
    sim_reference_apply(reference, &to, wall_ms() + SIM_SKEW_MAX_MS);
    return reference;
}

static void judge(struct sim_reference *const *references, enum sim_rule loose,
                  struct sim_verdict *verdict)
{
    *verdict = (struct sim_verdict){0};
    sim_judge_outputs(&world.broker, references,
                      world.config.delivery == NILAI_EXACTLY_ONCE ? SIM_SAME : loose, verdict);
}

/* Nothing depends on how things arrived: what comes out is that of `nilai replay`. */
static void judge_merged(struct sim_verdict *verdict)
{
    struct sim_reference *references[SIM_PARTITIONS_MAX];
    for (int partition = 0; partition < world.broker.partition_count; partition++)
        references[partition] = merged_reference(partition);
    judge(references, SIM_REPEAT, verdict);
    for (int partition = 0; partition < world.broker.partition_count; partition++)
        sim_reference_destroy(references[partition]);
}

/* The turns as the journal has them, applied by one who was never interrupted. */
static struct sim_reference *followed_reference(int32_t partition)
{
    struct sim_history history;
    struct sim_reference *reference
        = sim_reference_create(&world.broker, &world.config, partition);
    sim_history_read(&history, &world.broker, partition);
    sim_reference_follow(reference, &history);
    if (world.config.delivery == NILAI_EXACTLY_ONCE && history.strangers > 0)
        sim_fail("partition %d: %" PRIu64 " turns of somebody who had no right to them", partition,
                 history.strangers);
    world.turns += history.count;
    world.strangers += history.strangers;
    sim_history_free(&history);
    return reference;
}

/* --- Those who go on from the journal ------------------------------------------------------------ */

static bool is_live(struct sim_process *process)
{
    struct nilai_lane *lane;
    size_t which = 0;
    for (; process->worker != NULL && (lane = nilai_worker_lane(process->worker, which)) != NULL;
         which++) {
        if (nilai_lane_phase(lane) < NILAI_LANE_LIVE)
            return false;
    }
    return which == (size_t)world.broker.partition_count;
}

/* One process has everything, restored from the journal. It does not follow the wall clock: who is
 * live before the others would go on. */
static void restore_all(void)
{
    world.config.follow_wall_clock = false;
    world.broker.group.session_ms = 500;
    sim_process_start(&world.processes[0]);
    for (int steps = 0; !is_live(&world.processes[0]); steps++) {
        if (steps >= REST_STEPS_MAX)
            sim_fail("it does not come to life again");
        sim_broker_advance(&world.broker, 1 + sim_below(&world.broker, 30));
        sim_process_work(&world.processes[0], wall_ms());
    }
}

static void compare_restored(struct sim_reference *const *references)
{
    struct nilai_lane *lane;
    for (size_t which = 0; (lane = nilai_worker_lane(world.processes[0].worker, which)) != NULL;
         which++) {
        const struct sim_reference *reference = references[nilai_lane_partition(lane)];
        sim_compare_states(nilai_lane_state(lane),
                           sim_reference_state((struct sim_reference *)reference), "restored");
    }
}

/* --- What is left in the journal ------------------------------------------------------------------ */

static void live_on(int64_t ms, bool trickles)
{
    int64_t until_ms = world.broker.now_ms + ms;
    for (int64_t trickle_ms = 0; world.broker.now_ms < until_ms;) {
        int64_t pause_ms = 1 + sim_below(&world.broker, 200);
        sim_broker_advance(&world.broker, pause_ms);
        trickle_ms -= pause_ms;
        if (trickles && trickle_ms <= 0) {
            sim_input_trickle(&world.input, wall_ms());
            trickle_ms = world.config.image_round_max_ms / 20;
        }
        for (int calls = 0; calls < 5; calls++)
            sim_process_work(&world.processes[0], wall_ms());
    }
}

static void check_size(int32_t partition)
{
    struct sim_residue residue
        = sim_measure_residue(&world.broker.outputs[NILAI_OUTPUT_STATE][partition]);
    uint64_t most = residue.newest_bytes * 22 / 10 + SIZE_SLACK;
    if (residue.image_bytes > most)
        sim_fail("partition %d: the images in the journal are %" PRIu64 " bytes, of which %" PRIu64
                 " are the newest ones", partition, residue.image_bytes, residue.newest_bytes);
}

/* Two rounds after the last erasure nobody who was erased is in the journal; when nothing happens
 * any more, it comes to rest with one round in it. */
static void judge_residue(void)
{
    struct nilai_lane *lane;
    live_on(5 * world.config.image_round_max_ms / 2 + 5000, true);
    live_on(3 * world.config.image_round_max_ms / 2 + 5000, false);
    for (size_t which = 0; (lane = nilai_worker_lane(world.processes[0].worker, which)) != NULL;
         which++) {
        int32_t partition = nilai_lane_partition(lane);
        sim_check_residue(&world.broker.outputs[NILAI_OUTPUT_STATE][partition],
                          nilai_lane_state(lane));
        check_size(partition);
    }
}

static void judge_followed(struct sim_verdict *verdict)
{
    struct sim_reference *references[SIM_PARTITIONS_MAX];
    for (int partition = 0; partition < world.broker.partition_count; partition++)
        references[partition] = followed_reference(partition);
    judge(references, world.input.orderly ? SIM_REPEAT : SIM_WITHIN, verdict);
    restore_all();
    compare_restored(references);
    for (int partition = 0; partition < world.broker.partition_count; partition++)
        sim_reference_destroy(references[partition]);
    judge_residue();
    stop_all();
}

static void print_run(const struct sim_verdict *verdict)
{
    uint64_t aborted = 0, refused = 0, lost = 0;
    for (int index = 0; index < PROCESSES; index++) {
        aborted += world.processes[index].aborted;
        refused += world.processes[index].refused;
        lost += world.processes[index].lost_answers;
    }
    printf("seed %" PRIu64 ": %s, %s, %d topics, %d partitions, %d customers: %" PRIu64
           " events, %" PRIu64 " changes, %" PRIu64 " dead letters, %" PRIu64 " repeated; %" PRIu64
           " crashes, %" PRIu64 " stops, %" PRIu64 " freezes, %" PRIu64 " doubles, %" PRIu64
           " rebalances, %" PRIu64 " kicked, %" PRIu64 " time-outs, %" PRIu64 " taken back, %" PRIu64
           " refused, %" PRIu64 " answers lost, %" PRIu64 " deletions; %" PRIu64 " turns, %" PRIu64
           " of strangers\n",
           world.seed,
           world.config.delivery == NILAI_EXACTLY_ONCE ? "exactly once" : "at least once",
           world.changing ? "settings change" : world.input.orderly ? "in order" : "out of order", world.broker.topic_count,
           world.broker.partition_count, world.input.customers, world.input.appended, verdict->changes, verdict->dead_letters, verdict->repeated,
           world.crashes, world.stops, world.freezes, world.doubles, world.broker.rebalances,
           world.broker.kicked, world.broker.timeouts, aborted, refused, lost,
           world.deletions, world.turns, world.strangers);
}

static void run(uint64_t seed)
{
    struct sim_verdict verdict = {0};
    make_world(seed);
    for (uint64_t left = options.steps; left > 0; left--) {
        world.changed = world.changing && left < options.steps / 2;
        step();
    }
    come_to_rest();
    if (world.changing) {
        sim_judge_chains(&world.broker, &verdict);
    } else {
        if (world.input.orderly)
            judge_merged(&verdict);
        judge_followed(&verdict);
    }
    if (options.verbose)
        print_run(&verdict);
    end_world();
}

/* --- The command line --------------------------------------------------------------------------- */

static const char *text_after(int argc, char **argv, const char *name)
{
    for (int index = 1; index + 1 < argc; index++) {
        if (strcmp(argv[index], name) == 0)
            return argv[index + 1];
    }
    return NULL;
}

static uint64_t number_after(int argc, char **argv, const char *name, uint64_t fallback)
{
    const char *text = text_after(argc, argv, name);
    return text != NULL ? strtoull(text, NULL, 0) : fallback;
}

static bool is_given(int argc, char **argv, const char *name)
{
    for (int index = 1; index < argc; index++) {
        if (strcmp(argv[index], name) == 0)
            return true;
    }
    return false;
}

static void run_all(void)
{
    time_t began = time(NULL);
    uint64_t count = 0;
    printf("sim: from seed %" PRIu64 " on, %" PRIu64 " steps each\n", options.seed, options.steps);
    while (options.seconds > 0 ? time(NULL) - began < (time_t)options.seconds
                               : count < options.runs)
        run(options.seed + count++);
    printf("sim: %" PRIu64 " runs, nothing wrong\n", count);
}

/* --- Mutations -------------------------------------------------------------------------------------- */

bool nilai_mutation_is(const char *name)
{
    return options.mutation != NULL && strcmp(options.mutation, name) == 0;
}

static const char *const mutations[] = {
    "created_keeps_the_floor",
    "image_floor_too_high",
    "anybody_follows",
    "older_image_wins",
    "erasures_are_not_loaded",
    "erasures_are_not_noted",
    "first_turn_is_left_out",
    "held_turns_are_applied_again",
    "exceptions_move_the_clock",
    "marks_are_not_adopted",
    "skipped_erasures_are_forgotten",
    "floor_is_the_last_turn",
    "trim_goes_too_far",
    "trim_before_the_floor_is_told",
    "aborted_lanes_go_on",
    "lost_is_not_taken_back",
    "holes_are_taken",
    "future_is_judged_by_now",
    "positions_are_not_read_back",
};

/* In a process of its own, because it will die; true: it did. */
static bool is_noticed(const char *mutation)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    SIM_CHECK(child >= 0);
    if (child == 0) {
        options.mutation = mutation;
        if (!options.verbose && freopen("/dev/null", "w", stdout) == NULL)
            _Exit(2);
        if (!options.verbose && freopen("/dev/null", "w", stderr) == NULL)
            _Exit(2);
        run_all();
        _Exit(0);
    }
    SIM_CHECK(waitpid(child, &status, 0) == child);
    return !WIFEXITED(status) || WEXITSTATUS(status) == 1;
}

static int run_mutations(void)
{
    int missed = 0;
    for (size_t index = 0; index < NILAI_ARRAY_LEN(mutations); index++) {
        bool noticed = is_noticed(mutations[index]);
        printf("%s: %s\n", mutations[index], noticed ? "noticed" : "NOT NOTICED");
        missed += !noticed;
    }
    return missed;
}

int main(int argc, char **argv)
{
    bool all = is_given(argc, argv, "--mutations");
    options.seed = number_after(argc, argv, "--seed", (uint64_t)time(NULL));
    options.runs = number_after(argc, argv, "--runs", all ? MUTATION_RUNS : 100);
    options.steps = number_after(argc, argv, "--steps", STEPS_DEFAULT);
    options.seconds = number_after(argc, argv, "--seconds", 0);
    options.mutation = text_after(argc, argv, "--mutation");
    options.verbose = is_given(argc, argv, "--verbose");
    nilai_log_configure(NILAI_LOG_ERROR, NILAI_LOG_TEXT);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (all)
        return run_mutations() > 0;
    run_all();
    return 0;
}
