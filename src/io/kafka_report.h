/*
 * kafka_report.h - what the library's clients say, into our log, without its repetitions.
 *
 * While brokers are away each client tells of the same trouble many times a second. The same
 * text of the same client is logged once in NILAI_KAFKA_REPORT_EVERY_MS; the next time it is,
 * with how often it was left out. Texts that differ only in how long something took, or how
 * often it happened, are the same.
 *
 * Private to src/io. Thread: any.
 */
#ifndef NILAI_IO_KAFKA_REPORT_H
#define NILAI_IO_KAFKA_REPORT_H

#include "nilai/base/log.h"

enum { NILAI_KAFKA_REPORT_EVERY_MS = 10000 };

/* "kafka: <who>: <text>". Of the level debug nothing is left out. */
void nilai_kafka_report(enum nilai_log_level level, const char *who, const char *text);

/* What of a text says something to a person, as a number of bytes from its beginning: without how
 * long it took and how often, and without an advice of the library's that is shorter than ours. */
size_t nilai_kafka_report_useful(const char *text);

/* Whether a text is to be logged now; `*left_out`: how often it was not, since it last was. What
 * nilai_kafka_report asks, with its time given. */
NILAI_MUST_CHECK bool nilai_kafka_report_is_due(const char *who, const char *text, int64_t now_ms,
                                                uint64_t *left_out);

#endif
