#include "nilai/io/outbox.h"
#include "test.h"

enum { MODEL_MAX = 512, SIZE = 8192 };

/* What went in, from a number: any mix of missing, empty and filled parts. */
struct sample {
    char key[24], value[400], texts[3][40], names[3][12];
    struct nilai_header headers[3];
    struct nilai_output output;
};

static void make(struct sample *sample, uint64_t number)
{
    uint64_t seed = number * 2654435761U + 1;
    size_t value_size = next_random(&seed) % sizeof sample->value;
    *sample = (struct sample){.output = {.topic = number % NILAI_OUTPUT_TOPICS}};
    snprintf(sample->key, sizeof sample->key, "key-%llu", (unsigned long long)number);
    memset(sample->value, 'a' + (int)(number % 26), value_size);
    if (next_random(&seed) % 4 != 0)
        sample->output.key = sample->key, sample->output.key_size = strlen(sample->key);
    if (next_random(&seed) % 4 != 0)
        sample->output.value = sample->value, sample->output.value_size = value_size;
    sample->output.headers = sample->headers;
    sample->output.header_count = next_random(&seed) % 4;
    for (size_t index = 0; index < sample->output.header_count; index++) {
        snprintf(sample->names[index], sizeof sample->names[index], "h%zu", index);
        sample->headers[index].name = sample->names[index];
        if (next_random(&seed) % 4 == 0)
            continue;
        sample->headers[index].value = sample->texts[index];
        sample->headers[index].size = next_random(&seed) % sizeof sample->texts[index];
        memset(sample->texts[index], 'A' + (int)(seed % 26), sample->headers[index].size);
    }
}

static void check_bytes(const void *actual, size_t actual_size, const void *expected,
                        size_t expected_size)
{
    CHECK_EQ(actual == NULL, expected == NULL);
    CHECK_EQ(actual_size, expected_size);
    if (actual_size > 0)
        CHECK_EQ(memcmp(actual, expected, actual_size), 0);
}

static void check_same(const struct nilai_output *actual, const struct nilai_output *expected)
{
    CHECK(actual != NULL);
    CHECK_EQ(actual->topic, expected->topic);
    check_bytes(actual->key, actual->key_size, expected->key, expected->key_size);
    check_bytes(actual->value, actual->value_size, expected->value, expected->value_size);
    CHECK_EQ(actual->header_count, expected->header_count);
    for (size_t index = 0; index < actual->header_count; index++) {
        const struct nilai_header *one = &actual->headers[index], *other = &expected->headers[index];
        CHECK_TEXT(one->name, other->name);
        check_bytes(one->value, one->size, other->value, other->size);
    }
}

/* Goal: what comes out is what went in, in order, and a full box takes nothing.
 * Method: random pushes, pops and clears against a list of numbers. */
TEST(outbox_is_a_queue_of_whole_messages)
{
    uint64_t seed = test_seed(21), model[MODEL_MAX], number = 0, full = 0;
    size_t first = 0, last = 0;
    static struct sample sample;
    struct nilai_outbox *outbox = nilai_outbox_create(SIZE);
    CHECK(outbox != NULL);
    for (int step = 0; step < 20000; step++) {
        CHECK_EQ(nilai_outbox_is_empty(outbox), first == last);
        uint64_t choice = next_random(&seed) % 100;
        if (choice < 55) {
            make(&sample, number);
            enum nilai_status status = nilai_outbox_push(outbox, &sample.output);
            CHECK(status == NILAI_OK || (status == NILAI_AGAIN && first != last));
            full += status == NILAI_AGAIN;
            if (status == NILAI_OK)
                model[last++ % MODEL_MAX] = number++;
        } else if (choice == 99) {
            nilai_outbox_clear(outbox);
            first = last;
        } else if (first != last) {
            make(&sample, model[first++ % MODEL_MAX]);
            check_same(nilai_outbox_first(outbox), &sample.output);
            nilai_outbox_pop(outbox);
        } else {
            CHECK(nilai_outbox_first(outbox) == NULL);
        }
        CHECK(last - first < MODEL_MAX);
    }
    CHECK(full > 100);
    nilai_outbox_destroy(outbox);
}

/* Goal: a message larger than the box is refused also when nothing waits, and harms nothing. */
TEST(a_message_larger_than_the_box_never_fits)
{
    static char value[SIZE];
    struct nilai_output output = {.value = value, .value_size = sizeof value};
    struct nilai_outbox *outbox = nilai_outbox_create(SIZE);
    CHECK(outbox != NULL);
    CHECK_EQ(nilai_outbox_push(outbox, &output), NILAI_AGAIN);
    CHECK(nilai_outbox_is_empty(outbox));
    output.value_size = SIZE / 2;
    CHECK_EQ(nilai_outbox_push(outbox, &output), NILAI_OK);
    CHECK_EQ(nilai_outbox_first(outbox)->value_size, SIZE / 2);
    nilai_outbox_destroy(outbox);
}
