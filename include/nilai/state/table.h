/*
 * table.h - all customers of one state partition: slabs of records and an index.
 *
 * One thread writes (every function here but nilai_table_read); any number of threads may
 * read at any time, without locks and without stopping the writer. The writer works on its
 * own copy of a record and publishes it with nilai_table_store, under the record's sequence.
 * The argument why a reader sees a consistent record stands in table.c.
 *
 * A record is named by its number, which stays the same until it is erased. Numbers are
 * dense: 0 .. nilai_table_numbers(), with holes where customers were erased (reused later).
 */
#ifndef NILAI_STATE_TABLE_H
#define NILAI_STATE_TABLE_H

#include "nilai/customer/customer.h"

struct nilai_table;

struct nilai_table_limits {
    uint64_t memory_max_bytes; /* of slabs and index together; insert answers NILAI_FULL beyond */
    uint64_t hash_seed;        /* chosen at start, so that nobody can flood one chain */
};

struct nilai_table_stats {
    uint64_t customers;    /* live */
    uint64_t services;     /* live service records */
    uint64_t memory_bytes; /* mapped for slabs and index */
};

/* Names the record of one customer; also valid for prefetching before it exists. */
uint64_t nilai_table_hash(const struct nilai_table *table, struct nilai_text id);

/* NULL when out of memory. */
struct nilai_table *nilai_table_create(const struct nilai_table_limits *limits);
/* No reader may be inside. */
void nilai_table_destroy(struct nilai_table *table);

/* First the index line, later (when that has arrived) the record's lines, with the number that is
 * most likely theirs (ask nilai_table_is; false: there is none); later still the lines of the
 * service record, if it has one. Or the record of a number that is known. */
void nilai_table_prefetch_index(const struct nilai_table *table, uint64_t hash);
bool nilai_table_prefetch_record(const struct nilai_table *table, uint64_t hash, uint32_t *number);
void nilai_table_prefetch_number(const struct nilai_table *table, uint32_t number);
void nilai_table_prefetch_service(const struct nilai_table *table, uint32_t number);

/* Whether that number is this customer. */
bool nilai_table_is(const struct nilai_table *table, uint32_t number, struct nilai_text id);

/* NILAI_OK or NILAI_MISSING. */
NILAI_MUST_CHECK enum nilai_status nilai_table_find(const struct nilai_table *table, uint64_t hash,
                                                    struct nilai_text id, uint32_t *number);

/* Adds a customer that is not there (asserted), as nilai_customer_init made it
 * with XXH3_64bits(id). NILAI_FULL: memory_max is reached. NILAI_NO_MEMORY: the system's. */
NILAI_MUST_CHECK enum nilai_status nilai_table_insert(struct nilai_table *table, uint64_t hash,
                                                      struct nilai_text id, uint32_t *number);

/* Gives the record a service record, as nilai_service_init makes it, if it has none yet, and sees
 * to it that whatever is stored there next finds room: call it before every store that may bring
 * more signals or tickets. */
NILAI_MUST_CHECK enum nilai_status nilai_table_add_service(struct nilai_table *table,
                                                           uint32_t number);

/* The writer's view, to copy from, valid until the next store, erase or insert. The service record
 * is a copy already; false: it has none. */
const struct nilai_customer *nilai_table_customer(const struct nilai_table *table, uint32_t number);
bool nilai_table_service(const struct nilai_table *table, uint32_t number,
                         struct nilai_service *service);
struct nilai_text nilai_table_id(const struct nilai_table *table, uint32_t number);

/* Publishes new contents, in one step for readers. `service` NULL: leave it as it is. */
void nilai_table_store(struct nilai_table *table, uint32_t number,
                       const struct nilai_customer *customer, const struct nilai_service *service);

/* Forgets a customer: the bytes are overwritten with zeros before the number is reused. */
void nilai_table_erase(struct nilai_table *table, uint32_t number);

/* Filling the table from what was saved: puts a customer at exactly that number, which is free
 * (asserted), under an id that is not known (asserted), with these contents. Statuses as those of
 * insert, and then nothing has changed; a number beyond all memory is NILAI_FULL. `service` NULL:
 * it has none. In between everything works but insert (asserted); who is erased may be put anywhere
 * again. */
NILAI_MUST_CHECK enum nilai_status nilai_table_restore(struct nilai_table *table, uint32_t number,
                                                       uint64_t hash, struct nilai_text id,
                                                       const struct nilai_customer *customer,
                                                       const struct nilai_service *service);
/* Numbers that do not fit into all the memory there may be are at or beyond this one. */
uint32_t nilai_table_numbers_max(const struct nilai_table *table);
/* Ends it: the numbers left free are taken by insert again, the lowest first. Looks at every
 * number; does no harm where nothing was restored. */
void nilai_table_restored(struct nilai_table *table);

/* One past the largest number ever used; whether a number is a live customer. */
uint32_t nilai_table_numbers(const struct nilai_table *table);
bool nilai_table_is_live(const struct nilai_table *table, uint32_t number);

void nilai_table_stats(const struct nilai_table *table, struct nilai_table_stats *stats);

/* For any thread: copies one customer. NILAI_MISSING: not known. NILAI_BUSY: the writer
 * was faster too often; try again later. Unless the answer is NILAI_OK, and for `service`
 * unless `has_service`, what was written there means nothing. */
NILAI_MUST_CHECK enum nilai_status
nilai_table_read(const struct nilai_table *table, struct nilai_text id,
                 struct nilai_customer *customer, struct nilai_service *service, bool *has_service);

/* Asserts everything that is always true; tests call it after steps. */
void nilai_table_validate(const struct nilai_table *table);

#endif
