#include "nilai/run/event_file.h"
#include "test.h"

#include <unistd.h>

/* A file of these bytes, removed once it is open. */
static struct nilai_event_file *open_bytes(const char *bytes, size_t size)
{
    char path[] = "/tmp/nilai-test-XXXXXX";
    struct nilai_event_file *file;
    struct nilai_error error;
    int descriptor = mkstemp(path);
    CHECK(descriptor >= 0);
    CHECK_EQ(write(descriptor, bytes, size), size);
    close(descriptor);
    CHECK_EQ(nilai_event_file_open(path, NILAI_FORMAT_AUTO, &file, &error), NILAI_OK);
    unlink(path);
    CHECK_EQ(nilai_event_file_size(file), size);
    return file;
}

static void check_record(struct nilai_event_file *file, const char *expected, int64_t number)
{
    struct nilai_record record;
    struct nilai_error error;
    CHECK_EQ(nilai_event_file_next(file, &record, &error), NILAI_OK);
    CHECK_EQ(record.size, strlen(expected));
    CHECK(memcmp(record.data, expected, record.size) == 0);
    CHECK_EQ(record.number, number);
}

static void check_end(struct nilai_event_file *file)
{
    struct nilai_record record;
    struct nilai_error error;
    CHECK_EQ(nilai_event_file_next(file, &record, &error), NILAI_MISSING);
    CHECK_EQ(nilai_event_file_next(file, &record, &error), NILAI_MISSING);
    nilai_event_file_close(file);
}

/* Goal: lines are numbered as an editor would, from 0; blank ones count but do not come. */
TEST(blank_lines_are_counted_and_skipped)
{
    const char *text = "\n {\"a\":1}\r\n \t\r\n\nx\n{}";
    struct nilai_event_file *file = open_bytes(text, strlen(text));
    check_record(file, " {\"a\":1}\r", 1);
    CHECK_EQ(nilai_event_file_format(file), NILAI_FORMAT_JSON);
    check_record(file, "x", 4);
    check_record(file, "{}", 5); /* no newline at the end */
    check_end(file);
}

/* Goal: a text that was saved with a byte order mark reads like one without. */
TEST(a_byte_order_mark_belongs_to_no_line)
{
    const char *text = "\xef\xbb\xbf{\"a\":1}\n\xef\xbb\xbf{}\n";
    struct nilai_event_file *file = open_bytes(text, strlen(text));
    check_record(file, "{\"a\":1}", 0);
    CHECK_EQ(nilai_event_file_format(file), NILAI_FORMAT_JSON);
    check_record(file, "\xef\xbb\xbf{}", 1); /* only the file has one */
    check_end(file);
    check_end(open_bytes("\xef\xbb\xbf", 3));
}

TEST(an_empty_file_has_no_records)
{
    check_end(open_bytes("", 0));
    check_end(open_bytes(" \n\t\n", 4));
}

/* Goal: records come whole wherever the reads cut them. Method: lines of all lengths around the
 * size of the buffer, and MessagePack strings likewise. */
TEST(records_are_whole_across_reads)
{
    enum { LINES = 40 };
    static char bytes[LINES * 140000];
    size_t sizes[LINES], used = 0;
    uint64_t seed = test_seed(1);
    for (int i = 0; i < LINES; i++) {
        sizes[i] = 1 + next_random(&seed) % 130000;
        memset(bytes + used, 'a' + i % 26, sizes[i]);
        bytes[used + sizes[i]] = '\n';
        used += sizes[i] + 1;
    }
    struct nilai_event_file *file = open_bytes(bytes, used);
    struct nilai_record record;
    struct nilai_error error;
    for (int i = 0; i < LINES; i++) {
        CHECK_EQ(nilai_event_file_next(file, &record, &error), NILAI_OK);
        CHECK_EQ(record.size, sizes[i]);
        CHECK(record.data[0] == 'a' + i % 26 && record.data[record.size - 1] == 'a' + i % 26);
    }
    check_end(file);
}

/* Goal: MessagePack is told by the first byte and cut by its own lengths. */
TEST(messagepack_values_are_cut_by_their_lengths)
{
    static const char bytes[] = "\x81\xa1" "a\x01" "\x80" "\x82\xa1" "b\x93\x01\x02\x03\xa1" "c\xc0";
    struct nilai_event_file *file = open_bytes(bytes, sizeof bytes - 1);
    check_record(file, "\x81\xa1" "a\x01", 0);
    CHECK_EQ(nilai_event_file_format(file), NILAI_FORMAT_MSGPACK);
    check_record(file, "\x80", 1);
    check_record(file, "\x82\xa1" "b\x93\x01\x02\x03\xa1" "c\xc0", 2);
    check_end(file);
}

/* Goal: where MessagePack breaks off, the rest comes with an error that says where. */
TEST(broken_messagepack_ends_with_its_place)
{
    static const char cut[] = "\x80\x81\xa5" "ab", bad[] = "\x80\xc1\x80";
    struct nilai_record record;
    struct nilai_error error;
    struct nilai_event_file *file = open_bytes(cut, sizeof cut - 1);
    check_record(file, "\x80", 0);
    CHECK_EQ(nilai_event_file_next(file, &record, &error), NILAI_INVALID);
    CHECK_EQ(record.size, 4);
    CHECK(strstr(error.text, "the value at byte 1 is cut off") != NULL);
    check_end(file);

    file = open_bytes(bad, sizeof bad - 1);
    check_record(file, "\x80", 0);
    CHECK_EQ(nilai_event_file_next(file, &record, &error), NILAI_INVALID);
    CHECK(strstr(error.text, "the value at byte 1 is not MessagePack") != NULL);
    check_end(file);
}

TEST(a_missing_file_is_named)
{
    struct nilai_event_file *file;
    struct nilai_error error;
    CHECK_EQ(nilai_event_file_open("/nonexistent/x", NILAI_FORMAT_AUTO, &file, &error), NILAI_FAILED);
    CHECK(strstr(error.text, "/nonexistent/x: No such file") != NULL);
}

/* Goal: a directory opens but cannot be read: an error, no loop. */
TEST(a_directory_is_an_error)
{
    struct nilai_event_file *file;
    struct nilai_record record;
    struct nilai_error error;
    CHECK_EQ(nilai_event_file_open("/tmp", NILAI_FORMAT_AUTO, &file, &error), NILAI_OK);
    CHECK_EQ(nilai_event_file_next(file, &record, &error), NILAI_FAILED);
    nilai_event_file_close(file);
}
