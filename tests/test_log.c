#include "nilai/base/log.h"
#include "nilai/base/nearest.h"
#include "nilai/run/progress.h"
#include "test.h"

#include <pthread.h>
#include <unistd.h>

static char line[NILAI_LOG_SIZE_MAX];

static const char *formatted(enum nilai_log_format form, const char *message)
{
    size_t size = nilai_log_format_line(form, NILAI_LOG_WARNING, 1769860800123, message, line);
    CHECK(size > 0 && size < sizeof line && line[size - 1] == '\n');
    line[size - 1] = '\0';
    return line;
}

TEST(a_message_stays_on_its_line)
{
    CHECK_TEXT(formatted(NILAI_LOG_TEXT, "a\nb\033[2J \"q\" \\ \xc3\xa9 \xff\xc0\x80"),
               "2026-01-31T12:00:00.123Z warning a b [2J \"q\" \\ \xc3\xa9 ???");
    CHECK_TEXT(formatted(NILAI_LOG_JSON, "a\nb \"q\" \\ \xed\xa0\x80"),
               "{\"time\":\"2026-01-31T12:00:00.123Z\",\"level\":\"warning\",\"message\":"
               "\"a b \\\"q\\\" \\\\ ???\"}");
}

/* Goal: whatever the message, a JSON line is whole: quoted, escaped, closed, of whole characters.
 * Method: random messages of nasty bytes around the limit of a line, and a scanner. */
TEST(a_json_line_is_whole_at_any_length)
{
    static const char *const pieces[] = {"\"", "\\", "a", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xff", "\n"};
    uint64_t seed = test_seed(7);
    char message[3000];
    for (int round = 0; round < 3000; round++) {
        size_t want = next_random(&seed) % 2200, used = 0;
        while (used < want)
            used += (size_t)sprintf(message + used, "%s",
                                    pieces[next_random(&seed) % NILAI_ARRAY_LEN(pieces)]);
        message[used] = '\0';
        formatted(NILAI_LOG_JSON, message);
        const char *next = strstr(line, "\"message\":\"");
        CHECK(next != NULL);
        for (next += 11; *next != '"'; next++) {
            CHECK(*next != '\0');
            if (*next == '\\')
                next++;
            int more = (unsigned char)*next >= 0xf0 ? 3 : (unsigned char)*next >= 0xc3 ? 1 : 0;
            for (; more > 0; more--)
                CHECK(((unsigned char)*++next & 0xc0) == 0x80);
        }
        CHECK_TEXT(next, "\"}");
    }
}

/* Sends standard error into a file while `run` does its work; returns what came. */
static char *captured(void (*run)(void))
{
    static char text[400000];
    FILE *file = tmpfile();
    CHECK(file != NULL);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    run();
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

static void say_below_the_level(void)
{
    nilai_log_configure(NILAI_LOG_WARNING, NILAI_LOG_TEXT);
    nilai_log(NILAI_LOG_INFO, "quiet %d", 1);
    nilai_log(NILAI_LOG_WARNING, "loud %d", 2);
    nilai_log_configure(NILAI_LOG_INFO, NILAI_LOG_TEXT);
}

TEST(what_is_below_the_level_is_not_said)
{
    char *text = captured(say_below_the_level);
    CHECK(strstr(text, "quiet") == NULL);
    CHECK(strstr(text, " warning loud 2\n") != NULL);
}

static void say_above_a_status(void)
{
    nilai_log_status("");
    nilai_log_status("50 %");
    nilai_log(NILAI_LOG_INFO, "hello");
    nilai_log_status("");
    nilai_log(NILAI_LOG_INFO, "end");
}

TEST(the_status_line_stays_below_messages)
{
    char *text = captured(say_above_a_status);
    CHECK(strstr(text, "\r\033[K50 %\r\033[K") == text);
    CHECK(strstr(text, "info hello\n50 %\r\033[K") != NULL);
    CHECK(strstr(text, "Z info end\n") != NULL);
}

enum { TALKERS = 4, LINES = 500 };

static void *talk(void *argument)
{
    char name = *(const char *)argument, word[41];
    memset(word, name, 40);
    word[40] = '\0';
    for (int i = 0; i < LINES; i++)
        nilai_log(NILAI_LOG_INFO, "%s", word);
    return NULL;
}

static void talk_all_at_once(void)
{
    pthread_t threads[TALKERS];
    static const char names[TALKERS] = {'a', 'b', 'c', 'd'};
    for (int i = 0; i < TALKERS; i++)
        CHECK(pthread_create(&threads[i], NULL, talk, (void *)(uintptr_t)&names[i]) == 0);
    for (int i = 0; i < TALKERS; i++)
        pthread_join(threads[i], NULL);
}

/* Goal: lines of several threads are whole and none is lost.
 * Method: each thread writes lines of one letter; count the whole ones. */
TEST(threads_do_not_mix_their_lines)
{
    int whole = 0;
    char *rest = captured(talk_all_at_once);
    for (char *next = strsep(&rest, "\n"); next != NULL && *next != '\0'; next = strsep(&rest, "\n")) {
        const char *word = strstr(next, "info ") + 5;
        CHECK_EQ(strlen(word), 40);
        char same[2] = {word[0], '\0'};
        CHECK_EQ(strspn(word, same), 40);
        whole++;
    }
    CHECK_EQ(whole, TALKERS * LINES);
}

TEST(progress_says_how_much_how_fast_and_how_long)
{
    char text[NILAI_PROGRESS_TEXT_SIZE];
    struct nilai_progress progress;
    nilai_progress_init(&progress, "replay", "events", 50000000, 1000);
    nilai_progress_format(&progress, 12400000, 1000 + UINT64_C(10000000000), text);
    CHECK_TEXT(text, "replay  12,400,000 of 50,000,000 events (24.8 %)  1,240,000/s  30 s left");
    progress.last_ns = 1000 + UINT64_C(9000000000);
    progress.last_done = 12000000;
    nilai_progress_format(&progress, 12400000, 1000 + UINT64_C(10000000000), text);
    CHECK(strstr(text, "  400,000/s  ") != NULL);

    nilai_progress_init(&progress, "loadgen", "events", 0, 0);
    nilai_progress_format(&progress, 999, UINT64_C(1000000000), text);
    CHECK_TEXT(text, "loadgen  999 events  999/s");
    nilai_progress_format(&progress, 0, 0, text);
    CHECK_TEXT(text, "loadgen  0 events");

    nilai_progress_init(&progress, "x", "events", UINT64_MAX, 0);
    nilai_progress_format(&progress, 1, UINT64_C(1000000000), text);
    CHECK(strstr(text, "100000 h 00 min left") != NULL);
}

static void progress_without_a_terminal(void)
{
    struct nilai_progress progress;
    nilai_progress_init(&progress, "replay", "events", 10, 0);
    nilai_progress_update(&progress, 5, UINT64_C(60000000000));
    nilai_progress_finish(&progress);
}

static void progress_on_a_terminal(void)
{
    struct nilai_progress progress;
    nilai_progress_init(&progress, "replay", "events", 10, 0);
    progress.visible = true;
    nilai_progress_update(&progress, 1, 100000000); /* too early */
    nilai_progress_update(&progress, 5, UINT64_C(1000000000));
    nilai_progress_update(&progress, 6, UINT64_C(1100000000)); /* too soon after */
    nilai_progress_finish(&progress);
    nilai_progress_finish(&progress);
}

TEST(progress_is_for_terminals)
{
    CHECK_TEXT(captured(progress_without_a_terminal), "");
    CHECK_TEXT(captured(progress_on_a_terminal),
               "\r\033[Kreplay  5 of 10 events (50.0 %)  5/s  1 s left\r\033[K");
}

TEST(the_nearest_word_is_near)
{
    static const char *const words[] = {"alerts.medium.up", "alerts.medium.down", "workers", "group"};
    static const char *const pairs[][2] = {
        {"worker", " (did you mean workers?)"},   {"alerts.medium.upp", " (did you mean alerts.medium.up?)"},
        {"groups", " (did you mean group?)"},     {"zebra", ""},
        {"", ""},                                 {"workers", " (did you mean workers?)"},
    };
    char text[NILAI_NEAREST_TEXT_SIZE], longest[400];
    for (size_t i = 0; i < NILAI_ARRAY_LEN(pairs); i++) {
        struct nilai_nearest nearest;
        nilai_nearest_init(&nearest, pairs[i][0]);
        for (size_t j = 0; j < NILAI_ARRAY_LEN(words); j++)
            nilai_nearest_consider(&nearest, words[j]);
        CHECK_TEXT(nilai_nearest_text(&nearest, text), pairs[i][1]);
    }
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    struct nilai_nearest nearest;
    nilai_nearest_init(&nearest, longest);
    nilai_nearest_consider(&nearest, "xxx");
    CHECK(nearest.best == NULL);
}
