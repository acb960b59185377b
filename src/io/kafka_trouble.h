/*
 * kafka_trouble.h - what keeps a client from its brokers while it connects.
 *
 * The library reports the same trouble again and again, and "all brokers are down" after each.
 * What is kept is the report that says most: that somebody was refused (a password, a
 * certificate), else the last one. It is told with what a person can do about it.
 *
 * Private to src/io. Thread: whoever serves the client's callbacks.
 */
#ifndef NILAI_IO_KAFKA_TROUBLE_H
#define NILAI_IO_KAFKA_TROUBLE_H

#include "kafka_client.h"

enum { NILAI_KAFKA_TROUBLE_SIZE = 256 };

struct nilai_kafka_trouble {
    rd_kafka_resp_err_t code; /* RD_KAFKA_RESP_ERR_NO_ERROR: none was reported */
    char text[NILAI_KAFKA_TROUBLE_SIZE];
};

/* From the error callback of a client. */
void nilai_kafka_trouble_note(struct nilai_kafka_trouble *trouble, rd_kafka_resp_err_t code,
                              const char *text);

/* Whether to wait would not help: the brokers do not take us for who we are, or we do not
 * them. */
bool nilai_kafka_trouble_is_refusal(const struct nilai_kafka_trouble *trouble);

/* Sets the error: what was waited for in vain (`what`), the report, and what to do. Of a refusal,
 * which names the broker, only that; without a report `code` is what is told. */
NILAI_MUST_CHECK enum nilai_status
nilai_kafka_trouble_tell(const struct nilai_kafka_trouble *trouble, rd_kafka_resp_err_t code,
                         const char *what, struct nilai_error *error);

#endif
