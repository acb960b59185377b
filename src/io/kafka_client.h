/*
 * kafka_client.h - what the clients of this program have in common: how the library's
 * messages reach our log, and how its errors become ours.
 *
 * Private to src/io. Thread: any.
 */
#ifndef NILAI_IO_KAFKA_CLIENT_H
#define NILAI_IO_KAFKA_CLIENT_H

#include "nilai/io/kafka_config.h"

#include <librdkafka/rdkafka.h>

/* Sets the callback for logs; call before rd_kafka_new. */
void nilai_kafka_client_log(rd_kafka_conf_t *config);

/* Creates a client. The configuration is taken, also on failure. */
NILAI_MUST_CHECK enum nilai_status nilai_kafka_client_create(rd_kafka_type_t type,
                                                             rd_kafka_conf_t *config,
                                                             rd_kafka_t **client,
                                                             struct nilai_error *error);

/* What a permanent error means to us: whose fault it is. */
enum nilai_status nilai_kafka_client_status(rd_kafka_resp_err_t code);

/* What a person can do about it, as the end of a text ("; ..."); "" where there is nothing to say.
 * The role is that of the client whose request failed. */
const char *nilai_kafka_client_advice(enum nilai_kafka_role role, rd_kafka_resp_err_t code);

/* Whether the user gave a property, so that our own preference does not count. */
bool nilai_kafka_client_is_given(const struct nilai_kafka_property *given, size_t count,
                                 const char *name);

#endif
