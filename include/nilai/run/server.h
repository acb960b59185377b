/*
 * server.h - the service as a library: topics checked, workers started, watched and stopped.
 *
 *     nilai_server_create(&options, &server, &error);  checks the topics
 *     nilai_server_start(server, &error);             joins the group
 *     ... nilai_server_has_ended(server), nilai_server_read(server, counter) ...
 *     nilai_server_stop(server);                       returns at once
 *     nilai_server_destroy(server, &error);            waits; says how it ended
 *
 * Delivery is as `delivery` says (kafka_transaction_sink.h, kafka_sink.h); mock brokers know
 * at-least-once only, and no journal. For what a start does see lane.h.
 *
 * A thread of its own watches the workers: one that fails takes the others down in order (they
 * commit what they have); one whose loop stands still for so long ends the process with exit
 * code 70, because nobody can stop it in order, and a process that is gone is restarted.
 *
 * Thread: one; read, has_ended and stop any.
 */
#ifndef NILAI_RUN_SERVER_H
#define NILAI_RUN_SERVER_H

#include "nilai/run/worker.h"

enum {
    NILAI_SERVER_STALL_MS = 60000,   /* default patience with a worker that stands still */
    NILAI_SERVER_REPORT_MS = 10000,  /* a log line with the counts */
    NILAI_SERVER_CONNECT_MS = 30000, /* default patience with brokers that do not answer */
};

struct nilai_server_options {
    const struct nilai_config *config; /* finished; outlives the server */
    bool exit_at_end; /* end by itself at the ends that the topics have at create */
    bool emulated;    /* the brokers are librdkafka's mock cluster, as in the demo */
    int connect_timeout_ms;
    int stall_ms;            /* 0: the default */
    nilai_change_fn observe; /* of every published change, in a worker's thread; or NULL */
    void *observe_context;
};

struct nilai_server;

NILAI_MUST_CHECK enum nilai_status nilai_server_create(const struct nilai_server_options *options,
                                                       struct nilai_server **server,
                                                       struct nilai_error *error);
NILAI_MUST_CHECK enum nilai_status nilai_server_start(struct nilai_server *server,
                                                      struct nilai_error *error);
void nilai_server_stop(struct nilai_server *server);
/* All workers have ended: stopped, failed, or at their ends. */
bool nilai_server_has_ended(const struct nilai_server *server);
/* The sum over all workers. */
uint64_t nilai_server_read(const struct nilai_server *server, enum nilai_counter counter);
/* Stops it if need be, waits, frees. The first failure of a worker, or NILAI_OK. */
NILAI_MUST_CHECK enum nilai_status nilai_server_destroy(struct nilai_server *server,
                                                        struct nilai_error *error);

#endif
