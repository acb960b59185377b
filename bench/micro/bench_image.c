/*
 * bench_image.c - images of chunks: what they cost to write and to read, and how small they are.
 *
 * The generator's customers after three quarters of a year: purchases, refunds, tickets, answers, a
 * few erasures. Every chunk is written as a record and read back, each a customer that is judged by
 * nilai_customer_is_sound, as a restore does (without the table that it fills).
 *
 * The answer is checked: as many customers are read as the partition has, each with its own bytes.
 */
#include "bench.h"
#include "nilai/event/decode.h"
#include "nilai/run/generator.h"
#include "nilai/state/image.h"

enum { TURN = 512, ROUNDS = 7, INPUTS = 1, WRITER = 2, VALUE_MAX = 4096 };

static struct nilai_model model;

/* ---- customers ---- */

struct feed {
    struct nilai_generator *generator;
    struct nilai_decoder *decoder;
    struct nilai_event events[TURN];
    const struct nilai_event *list[TURN];
    char values[TURN][VALUE_MAX];
    char texts[TURN][NILAI_EVENT_TEXTS_SIZE];
};

static bool next_event(struct feed *feed, size_t at)
{
    struct nilai_generated generated;
    struct nilai_reject reject;
    if (nilai_generator_next(feed->generator, &generated) != NILAI_OK)
        return false;
    bench_must(generated.value_size <= VALUE_MAX, "an event is small");
    memcpy(feed->values[at], generated.value, generated.value_size);
    bench_must(nilai_decode(feed->decoder, feed->values[at], generated.value_size,
                            &feed->events[at], &reject),
               "the generator's events are good");
    nilai_event_keep_texts(&feed->events[at],
                           (struct nilai_text){feed->values[at], (uint32_t)generated.value_size},
                           feed->texts[at]);
    feed->list[at] = &feed->events[at];
    return true;
}

static void run_turn(struct nilai_partition *partition, struct feed *feed, size_t count)
{
    static struct nilai_effects effects;
    const struct nilai_turn turn = {
        .events = feed->list, .count = count, .clock_ms = -1, .number = 2};
    bool done = false;
    nilai_partition_begin(partition, &turn);
    while (!done)
        bench_must(nilai_partition_step(partition, &effects, &done) == NILAI_OK, "a step");
}

static struct nilai_partition *fill(uint32_t customers)
{
    static struct feed feed;
    struct nilai_error error;
    struct nilai_generator_options options;
    nilai_generator_defaults(&options);
    options.customers = customers;
    options.events = (uint64_t)customers * 10;
    options.span_ms = 270 * (int64_t)NILAI_DAY_MS;
    options.erase = 0.001;
    bench_must(nilai_generator_create(&options, &feed.generator, &error) == NILAI_OK,
               "a generator");
    const struct nilai_decode_rules rules = {NILAI_FORMAT_MSGPACK, "USD", 0.3, NULL, 0, 300000};
    feed.decoder = nilai_decoder_create(&rules);
    const struct nilai_partition_options state = {
        .model = &model,
        .limits = {.memory_max_bytes = UINT64_C(1) << 40, .hash_seed = 1},
        .erase_remember_ms = 30 * (int64_t)NILAI_DAY_MS,
        .journaled = true,
    };
    struct nilai_partition *partition = nilai_partition_create(&state);
    bench_must(feed.decoder != NULL && partition != NULL, "there is memory");
    size_t count = TURN;
    while (count == TURN) {
        for (count = 0; count < TURN && next_event(&feed, count); count++)
            continue;
        run_turn(partition, &feed, count);
    }
    nilai_generator_destroy(feed.generator);
    nilai_decoder_destroy(feed.decoder);
    return partition;
}

/* ---- images ---- */

struct album {
    struct nilai_buffer *records;
    uint32_t chunks;
    uint64_t memory_bytes, written_bytes; /* as they lie in memory, and as records */
};

static void write_all(const struct nilai_partition *partition, struct album *album)
{
    album->written_bytes = 0;
    for (uint32_t chunk = 0; chunk < album->chunks; chunk++) {
        struct nilai_buffer *record = &album->records[chunk];
        nilai_image_write_customers(partition, chunk, 2, INPUTS, WRITER, record);
        bench_must(record->status == NILAI_OK, "an image is written");
        album->written_bytes += record->size;
    }
}

static uint64_t read_all(const struct nilai_table *table, struct album *album, bool compare)
{
    uint64_t customers = 0;
    for (uint32_t chunk = 0; chunk < album->chunks; chunk++) {
        struct nilai_journal_head head;
        struct nilai_wire body;
        struct nilai_image image;
        struct nilai_image_customer customer;
        bench_must(nilai_journal_open(album->records[chunk].data, album->records[chunk].size, &head,
                                      &body, NULL)
                           == NILAI_OK
                       && nilai_image_open_customers(&image, body) == NILAI_OK,
                   "an image is read");
        for (; nilai_image_next_customer(&image, &model, &customer) == NILAI_OK; customers++)
            bench_must(!compare
                           || memcmp(&customer.customer,
                                     nilai_table_customer(table, customer.number),
                                     sizeof customer.customer)
                                  == 0,
                       "a customer is the same");
        bench_must(nilai_wire_is_done(&image.rest), "an image is read to its end");
    }
    return customers;
}

static void report(const struct album *album, uint64_t customers, double *writing, double *reading)
{
    double mib = (double)album->memory_bytes / (1 << 20);
    printf("  %" PRIu64 " customers: %.1f bytes each, written %.1f (%.2f of it)\n", customers,
           (double)album->memory_bytes / (double)customers,
           (double)album->written_bytes / (double)customers,
           (double)album->written_bytes / (double)album->memory_bytes);
    double write_ns = bench_report("write, a customer", writing, ROUNDS, "ns");
    double read_ns = bench_report("read and judge, a customer", reading, ROUNDS, "ns");
    printf("  %.0f MiB/s written, %.0f MiB/s read, as they lie in memory\n",
           mib / (write_ns * (double)customers * 1e-9), mib / (read_ns * (double)customers * 1e-9));
}

int main(int argc, char **argv)
{
    uint32_t customers = bench_is_quick(argc, argv) ? 2000 : 100000;
    double writing[ROUNDS], reading[ROUNDS];
    struct nilai_table_stats stats;
    nilai_model_defaults(&model);
    bench_must(nilai_model_prepare(&model, NULL) == NILAI_OK, "the model");
    bench_print_machine();
    struct nilai_partition *partition = fill(customers);
    const struct nilai_table *table = nilai_partition_table(partition);
    nilai_table_stats(table, &stats);
    struct album album = {.chunks = (nilai_table_numbers(table) + NILAI_CHUNK_CUSTOMERS - 1)
                                    / NILAI_CHUNK_CUSTOMERS};
    album.records = calloc(album.chunks, sizeof *album.records);
    bench_must(album.records != NULL, "there is memory");
    for (uint32_t chunk = 0; chunk < album.chunks; chunk++)
        nilai_buffer_init(&album.records[chunk], NILAI_JOURNAL_SIZE_MAX);
    write_all(partition, &album);
    album.memory_bytes = (uint64_t)stats.customers * sizeof(struct nilai_customer)
                         + (uint64_t)stats.services * sizeof(struct nilai_service);
    bench_must(read_all(table, &album, true) == stats.customers, "everybody is read");
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start_ns = nilai_clock_thread_cpu_ns();
        write_all(partition, &album);
        uint64_t written_ns = nilai_clock_thread_cpu_ns();
        bench_must(read_all(table, &album, false) == stats.customers, "everybody is read");
        writing[round] = (double)(written_ns - start_ns) / (double)stats.customers;
        reading[round] =
            (double)(nilai_clock_thread_cpu_ns() - written_ns) / (double)stats.customers;
    }
    report(&album, stats.customers, writing, reading);
    printf("  %.0f %% of them have a service record\n",
           100 * (double)stats.services / (double)stats.customers);
    for (uint32_t chunk = 0; chunk < album.chunks; chunk++)
        nilai_buffer_fini(&album.records[chunk]);
    free(album.records);
    nilai_partition_destroy(partition);
    return NILAI_EXIT_OK;
}
