/*
 * message.h - what is published, as bytes: changes, the customers feed, their headers.
 *
 * Thread: whoever owns the encoder.
 */
#ifndef NILAI_RUN_MESSAGE_H
#define NILAI_RUN_MESSAGE_H

#include "nilai/event/encode.h"
#include "nilai/state/partition.h"

enum { NILAI_MESSAGE_ID_SIZE = 192 };

/* CloudEvents attributes of one message, terminated strings. */
struct nilai_message_headers {
    char id[NILAI_MESSAGE_ID_SIZE]; /* <customer>:<at>:<seq> */
    uint32_t id_size;               /* the customer id may hold NUL bytes */
    const char *type;               /* "nilai.churn-risk.v1", ... */
    char time[32];                  /* ce_time */
};

/* Writes the value of a change into `encoder` (which the caller began), as an entry `key` of an
 * open map, or by itself (NULL). `topic_names` are the configured input topics, for the cause;
 * not used for events of a file. */
void nilai_message_encode_change(struct nilai_encoder *encoder, const char *key,
                                 const struct nilai_model *model, const struct nilai_effect *effect,
                                 const char *const *topic_names);
void nilai_message_change_headers(const struct nilai_effect *effect,
                                  struct nilai_message_headers *headers);

/* The latest state of one customer, evaluated at `at_ms` (the partition's clock). */
void nilai_message_encode_customer(struct nilai_encoder *encoder, const struct nilai_model *model,
                                   struct nilai_text id, int64_t at_ms,
                                   const struct nilai_customer *customer,
                                   const struct nilai_service *service);
void nilai_message_customer_headers(struct nilai_text id, int64_t at_ms,
                                    const struct nilai_customer *customer,
                                    struct nilai_message_headers *headers);

#endif
