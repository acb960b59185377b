/*
 * kafka_rival.h - tells another process under our name from our own former self.
 *
 * Who joins a group, or writes transactions, under a name displaces whoever had it before, and
 * the brokers call that fencing. After an outage they may take us for a newcomer who displaces
 * ourselves: a request that was answered to nobody was sent again, say. That costs nothing but a
 * new start, and happens about once each time that the broker dies which keeps our group or our
 * transactions, so that brokers restarted one after the other may well fence us every half minute.
 * So who is fenced begins anew, and displaces in turn. Two processes of one name do that to each
 * other without end, several times a second where transactions are written and with each heartbeat
 * of the group; nothing wrong comes of it while it lasts. Nobody does it to themselves so often.
 *
 * Private to src/io. Thread: its owner's.
 */
#ifndef NILAI_IO_KAFKA_RIVAL_H
#define NILAI_IO_KAFKA_RIVAL_H

#include "nilai/base/base.h"

enum {
    NILAI_KAFKA_RIVAL_TIMES = 8,
    NILAI_KAFKA_RIVAL_TIMEOUTS = 3, /* the window: room for as many heartbeats, three a session, */
    NILAI_KAFKA_RIVAL_WINDOW_MS = 60000, /* but no less than this */
};

struct nilai_kafka_rival {
    int64_t window_ms;
    int64_t at_ms[NILAI_KAFKA_RIVAL_TIMES]; /* the last ones, oldest first; -1: none yet */
};

/* `timeout_ms`: after which the brokers give up somebody of whom they do not hear. */
void nilai_kafka_rival_init(struct nilai_kafka_rival *rival, int64_t timeout_ms);

/* We were fenced. true: NILAI_KAFKA_RIVAL_TIMES times within the window, so there is somebody
 * else. */
NILAI_MUST_CHECK bool nilai_kafka_rival_note(struct nilai_kafka_rival *rival, int64_t now_ms);

#endif
