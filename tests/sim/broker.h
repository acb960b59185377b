/*
 * broker.h - a simulated Kafka: logs, transactions, one consumer group, virtual time.
 *
 * As the real one where it matters to exactly-once: control records take offsets; readers see
 * committed records below the last stable offset; markers of one transaction reach its partitions
 * at different times; offsets of a transaction that is not decided hold up whoever asks for them;
 * a second producer under an id fences the first; a transaction that is open for too long is
 * aborted and its producer fenced; commits are checked for member and generation; requests of a
 * process that died may still arrive.
 *
 * Everything happens within sim_broker_advance or the call at hand, decided by one stream of
 * random numbers: the same seed gives the same run.
 */
#ifndef NILAI_SIM_BROKER_H
#define NILAI_SIM_BROKER_H

#include "nilai/io/record.h"
#include "nilai/run/random.h"

enum {
    SIM_TOPICS_MAX = 3,     /* of input */
    SIM_PARTITIONS_MAX = 3,
    SIM_SLOTS = 3,          /* names of instances: one member and one transactional id each */
    SIM_INPUT_IDS = 2,      /* transactional ids of those who write events */
    SIM_IDS = SIM_SLOTS + SIM_INPUT_IDS,
    SIM_LOGS_MAX = (SIM_TOPICS_MAX + NILAI_OUTPUT_TOPICS) * SIM_PARTITIONS_MAX,
};

#define SIM_NO_ID (-1)

/* Ends the program, saying what is wrong; set by the driver, which knows the seed. */
_Noreturn void sim_fail(const char *format, ...) NILAI_PRINTF(1, 2);

#define SIM_CHECK(claim) \
    ((claim) ? (void)0 : sim_fail("%s:%d: %s", __FILE__, __LINE__, #claim))

struct sim_message {
    char *key, *value, *headers; /* terminated copies; value NULL: a null payload; headers "a=b\n" */
    size_t key_size, value_size;
};

struct sim_message sim_message_copy(const struct sim_message *message);
struct sim_message sim_message_of(const struct nilai_output *output);
void sim_message_free(struct sim_message *message);

enum sim_state { SIM_OPEN, SIM_COMMITTED, SIM_ABORTED, SIM_CONTROL };

struct sim_record {
    struct sim_message message;
    enum sim_state state;
    int id; /* transactional id; SIM_NO_ID */
};

/* What retention deleted stays in memory, so that a judge can read everything. */
struct sim_log {
    struct sim_record *records;
    int64_t count, room; /* count: the high watermark */
    int64_t low, stable; /* stable: the last stable offset */
    int64_t trim_to, trim_at_ms; /* a deletion on its way; -1 */
};

/* A transaction that is being ended reaches each place by itself. */
struct sim_touched {
    struct sim_log *log;
    int64_t due_ms;
    bool done;
};

enum sim_transaction_state { SIM_NO_TRANSACTION, SIM_TRANSACTION_OPEN, SIM_TRANSACTION_ENDING };

struct sim_id {
    uint32_t epoch;
    enum sim_transaction_state state;
    bool commit; /* how it ends */
    int64_t begun_ms, timeout_ms;
    struct sim_touched touched[SIM_LOGS_MAX];
    size_t touched_count;
    struct nilai_position positions[SIM_PARTITIONS_MAX];
    size_t position_count;
    int64_t positions_due_ms;
};

struct sim_member {
    bool present;
    uint64_t id;
    bool joined;      /* the rebalance at hand */
    bool beating;     /* its heartbeats arrive */
    int64_t heard_ms;
};

struct sim_group {
    bool preparing;
    int64_t prepare_until_ms;
    int64_t session_ms, rebalance_ms; /* time-outs */
    int generation;
    uint64_t last_member_id;
    struct sim_member members[SIM_SLOTS];
    int owners[SIM_PARTITIONS_MAX]; /* slot; -1: nobody */
    struct nilai_position committed[SIM_PARTITIONS_MAX];
};

/* What a dead process had sent. */
struct sim_ghost {
    struct sim_log *log;
    struct sim_message message;
    int id;
    uint32_t epoch;
    int64_t due_ms;
};

struct sim_broker {
    struct nilai_random random;
    int64_t now_ms;
    int topic_count, partition_count;
    struct sim_log inputs[SIM_TOPICS_MAX][SIM_PARTITIONS_MAX];
    struct sim_log outputs[NILAI_OUTPUT_TOPICS][SIM_PARTITIONS_MAX];
    struct sim_id ids[SIM_IDS];
    struct sim_group group;
    struct sim_ghost *ghosts;
    size_t ghost_count, ghost_room;
    uint64_t commits, aborts, timeouts, rebalances, kicked; /* what happened, to be printed */
    /* Lets time pass while somebody waits; others may work meanwhile. */
    void (*idle)(void *context, int64_t ms);
    void *idle_context;
};

enum sim_answer {
    SIM_OK,
    SIM_WAIT,    /* the transaction before is not over yet: ask again */
    SIM_FENCED,
    SIM_REFUSED, /* not a member, or of another generation */
};

void sim_broker_init(struct sim_broker *broker, uint64_t seed, int topics, int partitions);
void sim_broker_fini(struct sim_broker *broker);
void sim_broker_advance(struct sim_broker *broker, int64_t ms);
/* Nothing is on its way any more: no open or ending transaction, no ghost. */
bool sim_broker_is_settled(const struct sim_broker *broker);

bool sim_chance(struct sim_broker *broker, double share);
/* In [0, bound). */
int64_t sim_below(struct sim_broker *broker, int64_t bound);

/* --- Logs --- */

struct sim_log *sim_output_log(struct sim_broker *broker, const struct nilai_output *output);
/* The first committed record at or after *offset and below the last stable offset; NULL: none,
 * and *offset is where to go on. */
const struct sim_record *sim_log_read(struct sim_log *log, int64_t *offset);
int64_t sim_log_stable(struct sim_log *log);
void sim_log_trim(struct sim_broker *broker, struct sim_log *log, int64_t offset);

/* --- Transactions --- */

/* Displaces whoever has the id; its transaction is aborted unless it is decided. */
uint32_t sim_fence(struct sim_broker *broker, int id);
/* Takes over the message, unless the answer is SIM_WAIT. */
enum sim_answer sim_produce(struct sim_broker *broker, int id, uint32_t epoch, struct sim_log *log,
                            struct sim_message *message);
enum sim_answer sim_add_offsets(struct sim_broker *broker, int id, uint32_t epoch, int slot,
                                uint64_t member, int generation,
                                const struct nilai_position *list, size_t count);
enum sim_answer sim_end(struct sim_broker *broker, int id, uint32_t epoch, bool commit);
/* What was sent and not answered when its sender died; takes over the message. */
void sim_haunt(struct sim_broker *broker, int id, uint32_t epoch, struct sim_log *log,
               struct sim_message *message, int64_t delay_ms);

/* --- The group --- */

/* The member id; whoever was it before is fenced. */
uint64_t sim_join(struct sim_broker *broker, int slot);
void sim_leave(struct sim_broker *broker, int slot);
void sim_rebalance(struct sim_broker *broker);
bool sim_is_member(const struct sim_broker *broker, int slot, uint64_t member);
/* Whether a transaction that is not decided has offsets of this partition. */
bool sim_is_unstable(const struct sim_broker *broker, int32_t partition);
enum sim_answer sim_commit_offsets(struct sim_broker *broker, int slot, uint64_t member,
                                   int generation, const struct nilai_position *list,
                                   size_t count);

#endif
