#include "kafka_report.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/base/hash.h"

/* More texts than that within the time push each other out, and are logged more often. */
enum { TEXTS_MAX = 64 };

struct said {
    uint64_t text; /* its hash; what differs does not meet in practice, and nothing hangs on it */
    bool used;
    int64_t at_ms;
    uint64_t left_out;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct said all[TEXTS_MAX];

size_t nilai_kafka_report_useful(const char *text)
{
    static const char *const ends[] = {": broker certificate could not be verified", " (after "};
    size_t size = strlen(text);
    for (size_t index = 0; index < NILAI_ARRAY_LEN(ends); index++) {
        const char *at = strstr(text, ends[index]);
        if (at != NULL && (size_t)(at - text) < size)
            size = (size_t)(at - text);
    }
    return size;
}

/* Its place, or that of whoever has been silent for longest. */
static struct said *find(uint64_t text)
{
    struct said *oldest = &all[0];
    for (size_t index = 0; index < TEXTS_MAX; index++) {
        struct said *said = &all[index];
        if (said->used && said->text == text)
            return said;
        if (oldest->used && (!said->used || said->at_ms < oldest->at_ms))
            oldest = said;
    }
    *oldest = (struct said){.text = text};
    return oldest;
}

bool nilai_kafka_report_is_due(const char *who, const char *text, int64_t now_ms,
                               uint64_t *left_out)
{
    uint64_t hash =
        nilai_hash_seeded(text, nilai_kafka_report_useful(text), nilai_hash(who, strlen(who)));
    pthread_mutex_lock(&lock);
    struct said *said = find(hash);
    bool due = !said->used || now_ms - said->at_ms >= NILAI_KAFKA_REPORT_EVERY_MS;
    *left_out = said->left_out;
    if (due)
        *said = (struct said){.text = hash, .used = true, .at_ms = now_ms};
    else
        said->left_out++;
    pthread_mutex_unlock(&lock);
    return due;
}

void nilai_kafka_report(enum nilai_log_level level, const char *who, const char *text)
{
    uint64_t left_out = 0;
    int64_t now_ms = nilai_clock_monotonic_ms();
    if (level != NILAI_LOG_DEBUG && !nilai_kafka_report_is_due(who, text, now_ms, &left_out))
        return;
    if (left_out == 0)
        nilai_log(level, "kafka: %s: %s", who, text);
    else
        nilai_log(level, "kafka: %s: %s; and %" PRIu64 " times in between", who, text, left_out);
}
