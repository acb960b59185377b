/*
 * bench_decode.c - what it costs to decode one MessagePack event: our cursor with the whole
 * check, and its reading alone, against msgpack_unpack_next of msgpack-c, which reads and
 * builds its tree, but finds no field and checks nothing.
 *
 * Rounds of the two alternate, so that a change of the machine's speed meets both. CPU time
 * of the thread; the median of the rounds and their spread (first to last decile). Every
 * answer is checked before anything is printed: same number of events, sums of amounts.
 * JSON is measured beside it.
 */
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_version.h>

#include "nilai/base/clock.h"
#include "nilai/event/decode.h"
#include "nilai/event/encode.h"
#include "nilai/event/reader.h"

enum { EVENTS = 4096, ROUNDS = 101, CONTENDERS = 4 };

struct sample {
    const char *name;
    void (*write)(struct nilai_encoder *encoder, uint32_t i);
};

struct message {
    char *bytes;
    size_t size;
};

static void write_name(struct nilai_encoder *encoder, const char *key, const char *prefix, uint32_t number)
{
    char text[64];
    int size = snprintf(text, sizeof text, "%s-%07" PRIu32, prefix, number);
    nilai_encode_text(encoder, key, text, (size_t)size);
}

static void write_head(struct nilai_encoder *encoder, const char *type, uint32_t entries, uint32_t i)
{
    nilai_encode_open_map(encoder, NULL, entries);
    write_name(encoder, "id", "e", i * 2654435761u);
    nilai_encode_text(encoder, "type", type, strlen(type));
    write_name(encoder, "customer", "customer", i % 1000);
    nilai_encode_int(encoder, "ts", INT64_C(1700000000000) + i * INT64_C(977));
}

static void write_item(struct nilai_encoder *encoder, uint32_t i)
{
    nilai_encode_open_map(encoder, NULL, 3);
    write_name(encoder, "sku", "sku", i % 50000);
    nilai_encode_int(encoder, "quantity", 1 + i % 3);
    nilai_encode_real(encoder, "price", 1.25 * (1 + i % 40));
    nilai_encode_close_map(encoder);
}

static void write_purchase(struct nilai_encoder *encoder, uint32_t i)
{
    write_head(encoder, "purchase", 11, i);
    nilai_encode_real(encoder, "amount", 0.25 * (i % 400));
    nilai_encode_text(encoder, "currency", "USD", 3);
    nilai_encode_real(encoder, "cost", 0.125 * (i % 400));
    write_name(encoder, "order", "o", i);
    nilai_encode_text(encoder, "channel", "web", 3);
    nilai_encode_text(encoder, "category", "books", 5);
    nilai_encode_open_array(encoder, "items", 2);
    write_item(encoder, i);
    write_item(encoder, i + 7);
    nilai_encode_close_array(encoder);
    nilai_encode_close_map(encoder);
}

static void write_ticket(struct nilai_encoder *encoder, uint32_t i)
{
    write_head(encoder, "ticket", 9, i);
    write_name(encoder, "ticket", "t", i);
    nilai_encode_text(encoder, "status", "resolved", 8);
    nilai_encode_text(encoder, "kind", "complaint", 9);
    nilai_encode_int(encoder, "handle_s", 60 + i % 600);
    nilai_encode_text(encoder, "channel", "mail", 4);
    nilai_encode_close_map(encoder);
}

static void write_survey(struct nilai_encoder *encoder, uint32_t i)
{
    write_head(encoder, "survey", 7, i);
    nilai_encode_text(encoder, "metric", "nps", 3);
    nilai_encode_int(encoder, "score", i % 11);
    nilai_encode_text(encoder, "factor", "service", 7);
    nilai_encode_close_map(encoder);
}

static const struct sample samples[] = {
    {"purchase", write_purchase},
    {"ticket", write_ticket},
    {"survey", write_survey},
};

static void must(bool claim, const char *what)
{
    if (!claim) {
        fprintf(stderr, "bench_decode: %s\n", what);
        exit(1);
    }
}

static size_t make(const struct sample *sample, enum nilai_format format, struct message messages[EVENTS])
{
    struct nilai_encoder *encoder = nilai_encoder_create(format);
    must(encoder != NULL, "out of memory");
    size_t total = 0;
    for (uint32_t i = 0; i < EVENTS; i++) {
        const char *data;
        nilai_encode_begin(encoder);
        sample->write(encoder, i);
        must(nilai_encode_end(encoder, &data, &messages[i].size) == NILAI_OK, "an event is too large");
        messages[i].bytes = malloc(messages[i].size);
        must(messages[i].bytes != NULL, "out of memory");
        memcpy(messages[i].bytes, data, messages[i].size);
        total += messages[i].size;
    }
    nilai_encoder_destroy(encoder);
    return total;
}

static void unmake(struct message messages[EVENTS])
{
    for (uint32_t i = 0; i < EVENTS; i++)
        free(messages[i].bytes);
}

/* Each round returns the sum of the timestamps that it saw. */
static int64_t round_of_ours(struct nilai_decoder *decoder, const struct message messages[EVENTS])
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < EVENTS; i++) {
        struct nilai_event event;
        struct nilai_reject reject;
        must(nilai_decode(decoder, messages[i].bytes, messages[i].size, &event, &reject), "a good event is bad");
        sum += event.ts_ms;
    }
    return sum;
}

static int64_t round_of_reading(const struct nilai_field_index *index, const struct message messages[EVENTS])
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < EVENTS; i++) {
        static struct nilai_fields fields;
        struct nilai_reject reject;
        must(nilai_read_msgpack(index, (const uint8_t *)messages[i].bytes, messages[i].size, &fields, &reject),
             "a good event is malformed");
        sum += fields.values[NILAI_FIELD_TS].integer;
    }
    return sum;
}

static int64_t round_of_theirs(const struct message messages[EVENTS])
{
    int64_t sum = 0;
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    for (uint32_t i = 0; i < EVENTS; i++) {
        size_t offset = 0;
        must(msgpack_unpack_next(&unpacked, messages[i].bytes, messages[i].size, &offset) ==
                 MSGPACK_UNPACK_SUCCESS, "msgpack-c refuses an event");
        sum += unpacked.data.via.map.ptr[3].val.via.i64; /* ts is the fourth: no search at all */
    }
    msgpack_unpacked_destroy(&unpacked);
    return sum;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double print_row(const char *format, double times[ROUNDS])
{
    qsort(times, ROUNDS, sizeof *times, compare);
    printf("  %-26s %7.1f ns/event  (%.1f to %.1f)\n", format, times[ROUNDS / 2], times[ROUNDS / 10],
           times[ROUNDS - 1 - ROUNDS / 10]);
    return times[ROUNDS / 2];
}

static double since(uint64_t start)
{
    return (double)(nilai_clock_thread_cpu_ns() - start) / EVENTS;
}

static void measure(const struct sample *sample, struct nilai_decoder *decoder,
                    const struct nilai_field_index *index)
{
    static struct message packed[EVENTS], json[EVENTS];
    static double times[CONTENDERS][ROUNDS];
    size_t packed_size = make(sample, NILAI_FORMAT_MSGPACK, packed);
    size_t json_size = make(sample, NILAI_FORMAT_JSON, json);

    for (int round = -1; round < ROUNDS; round++) { /* -1 warms up */
        int at = round < 0 ? 0 : round;
        uint64_t start = nilai_clock_thread_cpu_ns();
        int64_t ours = round_of_ours(decoder, packed);
        times[0][at] = since(start);
        start = nilai_clock_thread_cpu_ns();
        int64_t theirs = round_of_theirs(packed);
        times[1][at] = since(start);
        start = nilai_clock_thread_cpu_ns();
        int64_t text = round_of_ours(decoder, json);
        times[2][at] = since(start);
        start = nilai_clock_thread_cpu_ns();
        int64_t reading = round_of_reading(index, packed);
        times[3][at] = since(start);
        must(ours == theirs && ours == text && ours == reading, "the decoders disagree");
    }
    printf("%s (MessagePack %zu bytes, JSON %zu bytes)\n", sample->name, packed_size / EVENTS, json_size / EVENTS);
    double ours = print_row("nilai_decode, MessagePack", times[0]);
    double reading = print_row("  of it nilai_read_msgpack", times[3]);
    double theirs = print_row("msgpack_unpack_next", times[1]);
    print_row("nilai_decode, JSON", times[2]);
    printf("  to msgpack_unpack_next: decoding %.3f, its reading alone %.3f\n", ours / theirs, reading / theirs);
    unmake(packed);
    unmake(json);
}

static void print_machine(void)
{
    char line[256] = "", model[256] = "unknown processor";
    FILE *info = fopen("/proc/cpuinfo", "r");
    while (info != NULL && fgets(line, sizeof line, info) != NULL)
        if (sscanf(line, "model name : %255[^\n]", model) == 1)
            break;
    if (info != NULL)
        fclose(info);
    printf("%s; glibc %s, msgpack-c %s, yajl %d.%d.%d, %s; %d events, %d rounds, CPU time\n", model,
           gnu_get_libc_version(), msgpack_version(), YAJL_MAJOR, YAJL_MINOR, YAJL_MICRO, __VERSION__,
           EVENTS, ROUNDS);
}

int main(void)
{
    struct nilai_decode_rules rules = {.format = NILAI_FORMAT_AUTO, .base_currency = "USD", .margin = 0.3};
    struct nilai_decoder *decoder = nilai_decoder_create(&rules);
    must(decoder != NULL, "out of memory");
    static struct nilai_field_index index;
    nilai_field_index_init(&index);
    print_machine();
    for (size_t i = 0; i < NILAI_ARRAY_LEN(samples); i++)
        measure(&samples[i], decoder, &index);
    nilai_decoder_destroy(decoder);
    return 0;
}
