/*
 * Makes the corpus of fuzz_restore: journals as scribes write them, small.
 *
 *     make_journal_corpus DIRECTORY
 *
 * Built by hand, when the format changes: `ninja make_journal_corpus`.
 */
#include "journals.h"

#include "nilai/base/clock.h"

enum { EVENTS = 60 };

static struct nilai_model model;

static void put_16(FILE *file, size_t value)
{
    fputc((int)(value & 0xff), file);
    fputc((int)(value >> 8), file);
}

/* Buckets without an erasure are all alike: a few are enough. */
static bool is_dull(enum nilai_journal_kind kind, struct nilai_wire body)
{
    struct nilai_image image;
    if (kind != NILAI_JOURNAL_ERASURES)
        return false;
    CHECK_EQ(nilai_image_open_erasures(&image, body), NILAI_OK);
    return image.left == 0 && image.part > 2;
}

static void write_seed(const char *directory, const char *name, uint8_t bits,
                       const struct journal *journal)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    fputc(bits, file);
    for (int64_t at = journal->first; at < journal->count; at++) {
        struct nilai_journal_head head;
        struct nilai_wire body;
        CHECK_EQ(nilai_journal_open(journal->records[at].data, journal->records[at].size, &head,
                                    &body, NULL),
                 NILAI_OK);
        if (is_dull(head.kind, body))
            continue;
        put_16(file, journal->records[at].size);
        fwrite(journal->records[at].data, 1, journal->records[at].size, file);
    }
    CHECK_EQ(fclose(file), 0);
}

static struct nilai_partition *fresh(void)
{
    const struct nilai_partition_options options = journal_state(&model);
    return nilai_partition_create(&options);
}

/* Some turns and commits; with time for images, rounds. */
static void work(struct desk *desk, int turns, int64_t from_ms, int64_t step_ms)
{
    for (int turn = 0; turn < turns; turn++) {
        desk_turn(desk, turn % 4 == 3 ? 0 : 5, turn % 4 == 3 ? desk->reached.clock_ms + 86400000 : -1);
        desk_put_commit(desk, from_ms + turn * step_ms);
        nilai_scribe_commit_held(desk->scribe);
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    struct journal journal;
    struct desk desk, other;
    if (argc != 2)
        return NILAI_EXIT_USAGE;
    nilai_model_defaults(&model);
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    struct history *history = make_history(3);

    journal_init(&journal); /* turns alone */
    journal.answers = false;
    desk_open(&desk, &journal, history, fresh(), NULL, 1000, &seed);
    work(&desk, 6, 0, 0);
    write_seed(argv[1], "turns", 1, &journal);
    write_seed(argv[1], "turns-of-other-settings", 5, &journal);

    /* somebody follows, and the first one writes on */
    const struct nilai_restored result = {.found = true,
                                          .turn = nilai_scribe_last_turn(desk.scribe),
                                          .writer = 1000,
                                          .base.clock_ms = -1,
                                          .end = desk.reached};
    struct nilai_partition *state = fresh();
    nilai_partition_loaded(state, desk.reached.clock_ms); /* nobody is in it: no matter here */
    desk_open(&other, &journal, history, state, &result, 1001, &seed);
    work(&desk, 1, 0, 0);
    work(&other, 2, 0, 0);
    work(&desk, 2, 0, 0);
    write_seed(argv[1], "two-writers", 2, &journal);
    desk_close(&other);
    desk_close(&desk);
    journal_fini(&journal);

    journal_init(&journal); /* a round */
    desk_open(&desk, &journal, history, fresh(), NULL, 1000, &seed);
    work(&desk, 3, 0, 300);
    write_seed(argv[1], "half-a-round", 1, &journal);
    work(&desk, 8, 900, 400);
    write_seed(argv[1], "rounds", 1, &journal);
    desk_close(&desk);
    journal_fini(&journal);
    free(history);
    return NILAI_EXIT_OK;
}
