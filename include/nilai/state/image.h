/*
 * image.h - chunks of a partition as bytes: records of its journal.
 *
 * A customers' image holds every customer whose number lies in one chunk, as they were after a
 * turn, under their own numbers; an erasures' image every remembered erasure of one bucket. A
 * record is written word for word as it lies in memory, so an image belongs to one layout of the
 * records: NILAI_IMAGE_LAYOUT changes with it.
 *
 * What is read may be anything: sizes are checked, and every customer by
 * nilai_customer_is_sound. Thread: the partition's writer.
 */
#ifndef NILAI_STATE_IMAGE_H
#define NILAI_STATE_IMAGE_H

#include "nilai/state/journal.h"

enum {
    NILAI_IMAGE_LAYOUT = 2,
    NILAI_IMAGE_ERASURES = 16384,      /* in one record; a bucket may need several */
    NILAI_IMAGE_SCRATCH = 1024 * 1024, /* bytes that a scratch buffer may need */
};

/* Makes a whole record of the journal in `buffer`; the buffer's status says how it went. */
void nilai_image_write_customers(const struct nilai_partition *partition, uint32_t chunk,
                                 uint64_t turn, uint64_t inputs, uint64_t writer,
                                 struct nilai_buffer *buffer);
/* The erasures of a bucket but for the first `skip`, as many as one record holds; true: there are
 * more, for the next record of the same turn. `scratch` is for its own use. */
bool nilai_image_write_erasures(const struct nilai_partition *partition, uint32_t bucket,
                                uint64_t skip, uint64_t turn, uint64_t inputs, uint64_t writer,
                                struct nilai_buffer *scratch, struct nilai_buffer *buffer);

/* An image being read. */
struct nilai_image {
    uint32_t part; /* chunk or bucket */
    uint64_t turn;
    uint64_t left; /* customers or erasures */
    bool more;     /* the bucket goes on in the next record */
    struct nilai_wire rest;
};

struct nilai_image_customer {
    uint32_t number;
    struct nilai_text id; /* borrowed from the record */
    bool has_service;
    struct nilai_customer customer;
    struct nilai_service service;
};

struct nilai_image_erasure {
    struct nilai_hash_wide hash;
    int64_t ts_ms, clock_ms;
};

/* The bodies of the two kinds of record. NILAI_INVALID: damaged; NILAI_CONFIG: of another
 * layout. */
NILAI_MUST_CHECK enum nilai_status nilai_image_open_customers(struct nilai_image *image,
                                                              struct nilai_wire body);
NILAI_MUST_CHECK enum nilai_status nilai_image_open_erasures(struct nilai_image *image,
                                                             struct nilai_wire body);
/* NILAI_MISSING: no more. NILAI_INVALID: damaged, or a record that cannot be under this model's day
 * offset. */
NILAI_MUST_CHECK enum nilai_status nilai_image_next_customer(struct nilai_image *image,
                                                             const struct nilai_model *model,
                                                             struct nilai_image_customer *customer);
NILAI_MUST_CHECK enum nilai_status nilai_image_next_erasure(struct nilai_image *image,
                                                            struct nilai_image_erasure *erasure);

#endif
