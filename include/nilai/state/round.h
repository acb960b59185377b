/*
 * round.h - which image is written next, and when.
 *
 * Images go round: every chunk of customers, then every bucket of erasures, then from the first
 * again. How fast is a matter of two promises: for each byte of input `ratio` bytes of image are
 * owed, and a round in which something changed ends within `max_ms`.
 *
 * A round begins where the log is known to end (`mark`), so that, when it is complete, nothing
 * before that place is needed. While nothing changes no round begins.
 *
 * Pure: time comes in as an argument. Thread: the partition's writer.
 */
#ifndef NILAI_STATE_ROUND_H
#define NILAI_STATE_ROUND_H

#include "nilai/state/floors.h"

/* A build for tests may take the last chunk first: what comes back in a restore fills the first
 * holes, and so is imaged late. */
#ifndef NILAI_ROUND_BACKWARDS
#define NILAI_ROUND_BACKWARDS 0
#endif

enum { NILAI_ROUND_DEBT_MAX = 8 * 1024 * 1024 }; /* bytes owed; more is forgiven */

struct nilai_round {
    double ratio;
    int64_t max_ms;
    bool running;
    bool changed; /* something happened that no complete round covers */
    int64_t mark; /* where the log ended before the round began */
    int64_t started_ms;
    uint64_t next; /* image of the round: chunks first */
    double debt_bytes;
};

void nilai_round_init(struct nilai_round *round, double ratio, int64_t max_ms);

/* So many bytes of input were applied; 0: time alone has changed somebody. */
void nilai_round_owe(struct nilai_round *round, uint64_t input_bytes);
/* Whether a round ought to begin. */
bool nilai_round_wants_mark(const struct nilai_round *round);
void nilai_round_begin(struct nilai_round *round, int64_t mark, int64_t now_ms);

/* Whether an image is due now, and which. */
bool nilai_round_is_due(const struct nilai_round *round, const struct nilai_floors *floors,
                        int64_t now_ms);
struct nilai_round_image {
    bool customers; /* else erasures */
    uint32_t part;  /* chunk or bucket */
};
struct nilai_round_image nilai_round_image(const struct nilai_round *round,
                                           const struct nilai_floors *floors);
/* It was written with so many bytes. True: the round is complete, and has ended. */
bool nilai_round_wrote(struct nilai_round *round, const struct nilai_floors *floors,
                       uint64_t bytes);

#endif
