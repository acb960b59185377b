/*
 * bench_decode.c - what it costs to decode one MessagePack event: our cursor with the whole
 * check, and its reading alone, against msgpack_unpack_next of msgpack-c, which reads and
 * builds its tree, but finds no field and checks nothing.
 *
 * All are timed in every round, so that a change of the machine's speed meets all of them; the
 * ratio is that of the same round. Every answer is checked before anything is printed: same
 * events, same sums of timestamps. JSON is measured beside it.
 *
 *     bench_decode [--quick]
 */
#include <msgpack.h>
#include <yajl/yajl_version.h>

#include "bench.h"
#include "nilai/event/decode.h"
#include "nilai/event/encode.h"
#include "nilai/event/reader.h"

enum { EVENTS = 4096, ROUNDS = 101 };

enum contender { OURS, READING, THEIRS, OURS_JSON, CONTENDERS };

struct sample {
    const char *name;
    void (*write)(struct nilai_encoder *encoder, uint32_t i);
};

struct message {
    char *bytes;
    size_t size;
};

static void write_name(struct nilai_encoder *encoder, const char *key, const char *prefix,
                       uint32_t number)
{
    char text[64];
    int size = snprintf(text, sizeof text, "%s-%07" PRIu32, prefix, number);
    nilai_encode_text(encoder, key, text, (size_t)size);
}

static void write_head(struct nilai_encoder *encoder, const char *type, uint32_t entries,
                       uint32_t i)
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

/* A topic that carries every type, in no order that a processor could learn. */
static void write_mixed(struct nilai_encoder *encoder, uint32_t i)
{
    uint64_t seed = i;
    void (*const writers[])(struct nilai_encoder *, uint32_t) = {write_purchase, write_ticket,
                                                                 write_survey};
    writers[bench_random(&seed) % NILAI_ARRAY_LEN(writers)](encoder, i);
}

static const struct sample samples[] = {
    {"purchase", write_purchase},
    {"ticket", write_ticket},
    {"survey", write_survey},
    {"all three, mixed", write_mixed},
};

static size_t make(const struct sample *sample, enum nilai_format format,
                   struct message messages[EVENTS])
{
    struct nilai_encoder *encoder = nilai_encoder_create(format);
    bench_must(encoder != NULL, "there is memory");
    size_t total = 0;
    for (uint32_t i = 0; i < EVENTS; i++) {
        const char *data;
        nilai_encode_begin(encoder);
        sample->write(encoder, i);
        bench_must(nilai_encode_end(encoder, &data, &messages[i].size) == NILAI_OK,
                   "an event has room");
        messages[i].bytes = malloc(messages[i].size);
        bench_must(messages[i].bytes != NULL, "there is memory");
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
        bench_must(nilai_decode(decoder, messages[i].bytes, messages[i].size, &event, &reject),
                   "a good event is good");
        sum += event.ts_ms;
    }
    return sum;
}

static int64_t round_of_reading(const struct nilai_field_index *index,
                                const struct message messages[EVENTS])
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < EVENTS; i++) {
        static struct nilai_fields fields;
        struct nilai_reject reject;
        bench_must(nilai_read_msgpack(index, (const uint8_t *)messages[i].bytes, messages[i].size,
                                      &fields, &reject),
                   "a good event is well formed");
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
        bench_must(msgpack_unpack_next(&unpacked, messages[i].bytes, messages[i].size, &offset)
                       == MSGPACK_UNPACK_SUCCESS,
                   "msgpack-c reads an event");
        sum += unpacked.data.via.map.ptr[3].val.via.i64; /* ts is the fourth: no search at all */
    }
    msgpack_unpacked_destroy(&unpacked);
    return sum;
}

static double since(uint64_t start)
{
    return (double)(nilai_clock_thread_cpu_ns() - start) / EVENTS;
}

static void time_round(struct nilai_decoder *decoder, const struct nilai_field_index *index,
                       const struct message packed[EVENTS], const struct message json[EVENTS],
                       double ns[CONTENDERS])
{
    uint64_t start = nilai_clock_thread_cpu_ns();
    int64_t ours = round_of_ours(decoder, packed);
    ns[OURS] = since(start);
    start = nilai_clock_thread_cpu_ns();
    int64_t theirs = round_of_theirs(packed);
    ns[THEIRS] = since(start);
    start = nilai_clock_thread_cpu_ns();
    int64_t text = round_of_ours(decoder, json);
    ns[OURS_JSON] = since(start);
    start = nilai_clock_thread_cpu_ns();
    int64_t reading = round_of_reading(index, packed);
    ns[READING] = since(start);
    bench_must(ours == theirs && ours == text && ours == reading, "the decoders agree");
}

static void measure(const struct sample *sample, struct nilai_decoder *decoder,
                    const struct nilai_field_index *index, int rounds)
{
    static struct message packed[EVENTS], json[EVENTS];
    static double times[CONTENDERS][ROUNDS], ratios[2][ROUNDS];
    size_t packed_size = make(sample, NILAI_FORMAT_MSGPACK, packed);
    size_t json_size = make(sample, NILAI_FORMAT_JSON, json);

    for (int round = -1; round < rounds; round++) { /* -1 warms up */
        double ns[CONTENDERS];
        time_round(decoder, index, packed, json, ns);
        if (round < 0)
            continue;
        for (int i = 0; i < CONTENDERS; i++)
            times[i][round] = ns[i];
        ratios[0][round] = 100 * ns[OURS] / ns[THEIRS];
        ratios[1][round] = 100 * ns[READING] / ns[THEIRS];
    }
    printf("%s (MessagePack %zu bytes, JSON %zu bytes)\n", sample->name, packed_size / EVENTS,
           json_size / EVENTS);
    bench_report("nilai_decode, MessagePack", times[OURS], (size_t)rounds, "ns");
    bench_report("  of it nilai_read_msgpack", times[READING], (size_t)rounds, "ns");
    bench_report("msgpack_unpack_next", times[THEIRS], (size_t)rounds, "ns");
    bench_report("nilai_decode, JSON", times[OURS_JSON], (size_t)rounds, "ns");
    bench_report("nilai_decode to msgpack_unpack_next", ratios[0], (size_t)rounds, "% ");
    bench_report("  its reading alone", ratios[1], (size_t)rounds, "% ");
    unmake(packed);
    unmake(json);
}

int main(int argc, char **argv)
{
    struct nilai_decode_rules rules = {
        .format = NILAI_FORMAT_AUTO, .base_currency = "USD", .margin = 0.3};
    int rounds = bench_is_quick(argc, argv) ? 3 : ROUNDS;
    struct nilai_decoder *decoder = nilai_decoder_create(&rules);
    bench_must(decoder != NULL, "there is memory");
    static struct nilai_field_index index;
    nilai_field_index_init(&index);
    bench_print_machine();
    printf("msgpack-c %s, yajl %d.%d.%d; %d events, %d rounds\n", msgpack_version(), YAJL_MAJOR,
           YAJL_MINOR, YAJL_MICRO, EVENTS, rounds);
    for (size_t i = 0; i < NILAI_ARRAY_LEN(samples); i++)
        measure(&samples[i], decoder, &index, rounds);
    nilai_decoder_destroy(decoder);
    return NILAI_EXIT_OK;
}
