/*
 * kafka_config.h - librdkafka's properties: which may be set, which mean anything to whom.
 *
 * Whatever the user writes under `kafka` is passed through, but for the properties that
 * would break a promise of the program: those are refused with the reason and, where there is
 * one, with the setting to use instead. Which properties exist, and which are for consumers or
 * producers only, is read from the library itself, so that a newer library brings its own.
 *
 * Thread: any.
 */
#ifndef NILAI_IO_KAFKA_CONFIG_H
#define NILAI_IO_KAFKA_CONFIG_H

#include "nilai/base/base.h"

enum {
    NILAI_KAFKA_NAME_SIZE = 96,
    NILAI_KAFKA_VALUE_SIZE = 8192, /* room for a key or a few certificates as PEM */
};

/* One property as the user gave it. */
struct nilai_kafka_property {
    char name[NILAI_KAFKA_NAME_SIZE];
    char value[NILAI_KAFKA_VALUE_SIZE];
};

/* One property that the program sets itself, over what the user gave. */
struct nilai_kafka_fixed {
    const char *name;
    const char *value;
};

enum nilai_kafka_role {
    NILAI_KAFKA_CONSUMER,
    NILAI_KAFKA_PRODUCER,
    NILAI_KAFKA_TRANSACTIONS, /* a producer that does nothing outside of them */
    NILAI_KAFKA_FEEDER,       /* a producer that only fills topics, as fast as it can */
    NILAI_KAFKA_ADMIN,        /* neither reads nor writes messages */
};

/* NILAI_CONFIG, with the name of the property, if it is unknown, refused, or if the value is
 * not one that the library takes. */
NILAI_MUST_CHECK enum nilai_status nilai_kafka_property_check(const char *name, const char *value,
                                                              struct nilai_error *error);

/* Whether the value must never be shown, logged or written on a command line. */
bool nilai_kafka_property_is_secret(const char *name);

/* The property whose name, in capitals and with underscores for dots, is `name`
 * (BOOTSTRAP_SERVERS -> bootstrap.servers); NULL if there is none. */
const char *nilai_kafka_property_by_environment(const char *name);

/* Why a property may not be set, or may have only one value. */
struct nilai_kafka_refusal {
    const char *name;
    const char *allowed; /* the one value that may be written all the same, or NULL */
    const char *reason;
};
const struct nilai_kafka_refusal *nilai_kafka_refusals(size_t *count);

/* A number that the library takes, but that breaks a promise beyond a bound. */
struct nilai_kafka_bound {
    const char *name;
    long min, max;
    const char *reason;
};
const struct nilai_kafka_bound *nilai_kafka_bounds(size_t *count);

struct rd_kafka_conf_s; /* librdkafka's rd_kafka_conf_t */

/* The library's configuration of one client. Later wins: what the program prefers for the role,
 * `given` in its order (properties of the other role are left out), what the role demands,
 * `fixed`.
 *
 * A consumer: read_committed, range assignment, offsets neither stored nor committed by
 * the library, from the earliest offset, with an event at the end of a partition. A producer:
 * idempotent, acks from all, murmur2_random as the partitioner (that of the Java client, so
 * that one key falls into the same partition of every topic). All: no topics created unasked.
 *
 * NILAI_CONFIG without bootstrap.servers, unless `fixed` asks for the library's own mock
 * cluster (test.mock.num.brokers). The result belongs to the caller: pass it to rd_kafka_new,
 * which takes it, or to nilai_kafka_config_destroy. */
NILAI_MUST_CHECK enum nilai_status
nilai_kafka_config_create(enum nilai_kafka_role role, const struct nilai_kafka_property *given,
                          size_t given_count, const struct nilai_kafka_fixed *fixed,
                          size_t fixed_count, struct rd_kafka_conf_s **config,
                          struct nilai_error *error);
void nilai_kafka_config_destroy(struct rd_kafka_conf_s *config);

/* The value of one property as the library holds it, cut to fit; false if there is none. */
bool nilai_kafka_config_get(const struct rd_kafka_conf_s *config, const char *name, char *value,
                            size_t size);

#endif
