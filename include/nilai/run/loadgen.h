/*
 * loadgen.h - the command `nilai loadgen`: synthetic customers into Kafka or a file.
 *
 * Into Kafka, purchases and refunds go to the first of the configured input topics, tickets
 * and erasures to the second, surveys to the third (with fewer topics: to the last there is).
 * The key is the customer; the timestamp of the message is the time at which it was due.
 *
 * With a rate the load is open: every event has its due time, and a receiver that is slow
 * changes none of them. What could not be sent in time is sent as soon as possible, and how
 * far behind the schedule that was is reported.
 */
#ifndef NILAI_RUN_LOADGEN_H
#define NILAI_RUN_LOADGEN_H

/* Returns the exit code. */
int nilai_loadgen_main(int argc, char **argv);

#endif
