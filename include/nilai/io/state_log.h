/*
 * state_log.h - the journals of all state partitions, as somebody who reads and trims them.
 *
 * Each state partition has a log of its own: partition p of the topic `state.topic`. It is written
 * by the sink (NILAI_OUTPUT_STATE), together with what it accounts for; here it is read, when a
 * partition begins, and its head is deleted when it is not needed any more. Kafka's is one
 * (kafka_state_log.h), an in-memory log in a test another.
 *
 * Nothing here blocks but `close`. A log belongs to one thread.
 */
#ifndef NILAI_IO_STATE_LOG_H
#define NILAI_IO_STATE_LOG_H

#include "nilai/io/record.h"

struct nilai_state_log;

struct nilai_state_log_ops {
    /* Begins to read one partition from its oldest record; what was being read of it is begun
     * anew. It is read to the end that the log has after this call: transactions that are
     * open there are waited for, aborted ones are left out. */
    enum nilai_status (*open)(struct nilai_state_log *log, int32_t partition);
    /* The next record. NILAI_AGAIN: none has arrived. NILAI_MISSING: all were read, up to the
     * offset input->offset. NILAI_FAILED: the next poll says why. */
    enum nilai_status (*take)(struct nilai_state_log *log, int32_t partition,
                              struct nilai_input *input);
    void (*give_back)(struct nilai_state_log *log, struct nilai_input *input);
    /* How much there is to read: the offset of the end; -1: not known yet. */
    int64_t (*end)(struct nilai_state_log *log, int32_t partition);
    /* Ends reading; no effect if nothing is read. */
    void (*stop)(struct nilai_state_log *log, int32_t partition);

    /* Asks where the log ends. `marked` answers later: an offset at or before everything that is
     * put into the sink after the answer was seen; -1: not known yet, or nobody asked. A second
     * `mark` forgets the answer to the first. */
    void (*mark)(struct nilai_state_log *log, int32_t partition);
    int64_t (*marked)(struct nilai_state_log *log, int32_t partition);
    /* Deletes everything before `offset`, some time; a failure is logged and not fatal. */
    void (*trim)(struct nilai_state_log *log, int32_t partition, int64_t offset);

    /* Any status but OK ends the worker; the error says why. */
    enum nilai_status (*poll)(struct nilai_state_log *log, struct nilai_error *error);
    /* All records were given back. */
    void (*close)(struct nilai_state_log *log);
};

/* Embedded first in every log. */
struct nilai_state_log {
    const struct nilai_state_log_ops *ops;
};

#endif
