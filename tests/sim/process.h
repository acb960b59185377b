/*
 * process.h - one simulated process: a real worker between simulated source, sinks and journal.
 *
 * The three behave as kafka_source.c, kafka_transaction_sink.c, kafka_sink.c and
 * kafka_state_log.c promise in their headers, at random speed and with random faults. A process
 * can be frozen (it does nothing, its heartbeats stop, what it had sent stays on its way) and go
 * on later; it can crash, and then whatever it had not sent is gone.
 */
#ifndef NILAI_SIM_PROCESS_H
#define NILAI_SIM_PROCESS_H

#include "broker.h"
#include "nilai/io/sink.h"
#include "nilai/io/source.h"
#include "nilai/io/state_log.h"
#include "nilai/run/worker.h"

enum { SIM_FLIGHTS_MAX = 400, SIM_OUTBOX_MAX = 60, SIM_HELD_MAX = 4000 };

/* What goes wrong in one run, and how often. */
struct sim_faults {
    double commit_aborted;  /* of commits */
    double answer_lost;     /* of commits */
    double commit_refused;  /* of plain commits */
    double broken;          /* of polls of a transactional sink: a message cannot be written */
    double nothing_arrived; /* of takes */
    double slow;            /* of polls that bring nothing further */
};

struct sim_flight {
    struct sim_log *log;
    struct sim_message message;
    unsigned epoch; /* of the plain sink */
    bool arrived;
};

enum sim_stage {
    SIM_STAGE_OPEN,
    SIM_STAGE_FLUSH,
    SIM_STAGE_STATE,   /* plain: the journal, after all other output */
    SIM_STAGE_OFFSETS,
    SIM_STAGE_END,
    SIM_STAGE_ABORT,
    SIM_STAGE_INIT,
};

struct sim_sink {
    struct nilai_sink base;
    struct sim_flight flights[SIM_FLIGHTS_MAX];
    size_t flight_count;
    struct sim_flight held[SIM_HELD_MAX]; /* the outbox, or the journal of the plain sink */
    size_t held_count, held_max;
    enum sim_stage stage;
    unsigned epoch;       /* of the plain sink: of what is put now; of a transactional one: ours */
    bool commit_asked, abort_asked;
    bool fenced_once;     /* in INIT: the id is ours, what it had open is being ended */
    bool open;            /* something was put since the last transaction */
    int64_t opened_ms;
    struct nilai_position positions[SIM_PARTITIONS_MAX];
    size_t position_count;
    int generation;       /* of the group, when the commit was asked for */
    uint64_t member;
    uint64_t assignment;  /* likewise; and, of the plain sink, when the journal was put */
    uint64_t held_assignment;
    bool failed;
};

struct sim_source {
    struct nilai_source base;
    int64_t next[SIM_TOPICS_MAX][SIM_PARTITIONS_MAX]; /* -1: not read */
    int64_t low[SIM_TOPICS_MAX][SIM_PARTITIONS_MAX];  /* as last heard */
    bool told_end[SIM_TOPICS_MAX][SIM_PARTITIONS_MAX];
    bool assigned, failed;
    size_t outside;
};

struct sim_reading {
    bool reading, told_end;
    int64_t next, end; /* end -1: not known yet */
    bool asked;        /* for a mark */
    int64_t mark;      /* -1: not known yet */
};

struct sim_state_log {
    struct nilai_state_log base;
    struct sim_reading readings[SIM_PARTITIONS_MAX];
    size_t outside;
};

struct sim_process {
    struct sim_broker *broker;
    const struct nilai_config *config;
    const struct sim_faults *faults;
    int slot;
    int64_t skew_ms; /* of its wall clock */
    bool running, frozen, dead; /* dead: nothing of it reaches anybody any more */
    bool busy;       /* it is within a call and must not be called again */
    uint64_t member;
    int generation;
    uint64_t assignment; /* counts what was given and taken away */
    struct sim_source source;
    struct sim_sink sink;
    struct sim_state_log state_log;
    struct nilai_worker *worker; /* NULL until the sink is ready */
    struct nilai_counters counters;
    struct nilai_budget budget;
    uint64_t hash_seed;
    uint64_t aborted, refused, lost_answers, assignments;
};

/* Begins to start; the worker is there some calls of sim_process_work later. */
void sim_process_start(struct sim_process *process);
/* One round. Whatever ends the worker but a fencing is a failure of the run. */
void sim_process_work(struct sim_process *process, int64_t wall_ms);
/* In order: what is put is committed if the brokers let it. `forget`: leaves the group. */
void sim_process_stop(struct sim_process *process, bool forget);
void sim_process_crash(struct sim_process *process);
void sim_process_freeze(struct sim_process *process, bool frozen);

/* sink.c, source.c and state_log.c of the simulation */
void sim_sink_init(struct sim_process *process);
void sim_sink_fini(struct sim_process *process);
bool sim_sink_is_ready(struct sim_process *process);
void sim_source_init(struct sim_process *process);
void sim_state_log_init(struct sim_process *process);

#endif
