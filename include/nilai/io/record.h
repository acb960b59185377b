/*
 * record.h - what comes out of a source and goes into a sink.
 *
 * Both sides of the service speak of input topics by their index in the configuration, of
 * output topics by what they are for, and of bytes that somebody else owns.
 */
#ifndef NILAI_IO_RECORD_H
#define NILAI_IO_RECORD_H

#include "nilai/base/base.h"

enum {
    NILAI_INPUT_TOPICS_MAX = 16,
    NILAI_TOPIC_NAME_SIZE = 256,
};

/* One message read. Valid until it is given back to its source. */
struct nilai_input {
    void *handle; /* the source's own */
    const void *key;
    size_t key_size;
    const void *value; /* NULL: a null payload */
    size_t value_size;
    int64_t offset;
};

struct nilai_header {
    const char *name;
    const void *value; /* NULL: a null header */
    size_t size;
};

enum nilai_output_topic {
    NILAI_OUTPUT_CHURN_RISK,
    NILAI_OUTPUT_VALUE_SEGMENT,
    NILAI_OUTPUT_CUSTOMERS,
    NILAI_OUTPUT_DEAD_LETTER,
    NILAI_OUTPUT_STATE, /* the journal */
    NILAI_OUTPUT_TOPICS,
};

/* One message to write; the sink copies what it takes. */
struct nilai_output {
    enum nilai_output_topic topic;
    int32_t partition; /* of NILAI_OUTPUT_STATE; the others go where their key says */
    const void *key;   /* NULL: none */
    size_t key_size;
    const void *value; /* NULL: a null payload (a tombstone) */
    size_t value_size;
    const struct nilai_header *headers;
    size_t header_count;
};

/* How far one state partition is: the next offset to read of each input topic, and the
 * clock that goes with them. -1 is "not known". With a journal, also its last turn and who wrote
 * it (0: none). */
struct nilai_position {
    int32_t partition;
    int64_t offsets[NILAI_INPUT_TOPICS_MAX];
    int64_t clock_ms;
    uint64_t turn, writer;
};

#endif
