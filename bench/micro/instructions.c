/*
 * instructions.c - fixed pieces of work, one at a time, for counting instructions.
 *
 *     bench_instructions CASE        or without one: the names of all
 *
 * Everything is prepared first; then `counted` does the work, and only what it does is counted
 * (check.py runs this under callgrind and compares). Seeds are fixed and no time is read, so that
 * the same program executes the same instructions. Prints the number of operations after their
 * result was checked.
 */
#include "bench.h"
#include "nilai/customer/risk.h"
#include "nilai/event/decode.h"
#include "nilai/run/generator.h"
#include "nilai/run/message.h"
#include "nilai/state/image.h"
#include "nilai/state/index.h"
#include "nilai/state/timers.h"

#ifdef __clang__
#define COMPILER "clang"
#define ALONE    __attribute__((noinline, used))
#else
#define COMPILER "gcc"
#define ALONE    __attribute__((noipa, used))
#endif

enum {
    CUSTOMERS = 2000,
    HISTORY = 20000, /* events that have made the customers what they are */
    EVENTS = 4096,   /* those that are counted */
    TURN = 512,
    STEPS = 20000,
    CHANGES = 1024,
    VALUE_MAX = 4096,
    START_S = 1790000000,
};

/* An event with all its bytes. */
struct held {
    struct nilai_event event;
    char value[VALUE_MAX];
    size_t value_size;
    char texts[NILAI_EVENT_TEXTS_SIZE];
};

struct subject {
    struct nilai_customer customer;
    struct nilai_service service;
    bool has_service;
};

static struct nilai_model model;
static struct nilai_decoder *decoder;
static struct nilai_generator *generator;
static struct held held[EVENTS];
static const struct nilai_event *list[EVENTS];
static struct nilai_partition *partition;
static struct subject *subjects; /* by number in the partition's table */
static uint32_t subject_count, whom[EVENTS];
static struct nilai_effect changes[CHANGES];
static uint32_t change_count;
static uint64_t answer; /* of the work, whatever that means to its case */

/* --- What there is -------------------------------------------------------------------- */

static void open_generator(enum nilai_format format)
{
    const struct nilai_decode_rules rules = {format, "USD", 0.3, NULL, 0, 300000};
    struct nilai_generator_options options;
    struct nilai_error error;
    nilai_generator_defaults(&options);
    options.customers = CUSTOMERS;
    options.events = HISTORY + EVENTS;
    options.style.format = format;
    bench_must(nilai_generator_create(&options, &generator, &error) == NILAI_OK, "a generator");
    decoder = nilai_decoder_create(&rules);
    bench_must(decoder != NULL, "there is memory");
}

static void next_event(struct held *one)
{
    struct nilai_generated generated;
    struct nilai_reject reject;
    bench_must(nilai_generator_next(generator, &generated) == NILAI_OK, "there are events");
    bench_must(generated.value_size <= VALUE_MAX, "an event is small");
    memcpy(one->value, generated.value, generated.value_size);
    one->value_size = generated.value_size;
    bench_must(nilai_decode(decoder, one->value, one->value_size, &one->event, &reject),
               "it is good");
    nilai_event_keep_texts(&one->event, (struct nilai_text){one->value, (uint32_t)one->value_size},
                           one->texts);
}

static void next_events(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        next_event(&held[i]);
        list[i] = &held[i].event;
    }
}

static void keep_change(const struct nilai_effect *effect)
{
    if (!effect->erased && change_count < CHANGES)
        changes[change_count++] = *effect;
}

static void run_turn(const struct nilai_event *const *events, uint32_t count, bool keep)
{
    static struct nilai_effects effects;
    const struct nilai_turn turn = {.events = events, .count = count, .clock_ms = -1, .number = 2};
    bool done = false;
    nilai_partition_begin(partition, &turn);
    while (!done) {
        bench_must(nilai_partition_step(partition, &effects, &done) == NILAI_OK, "a step");
        for (uint32_t i = 0; i < effects.count && keep; i++)
            keep_change(&effects.list[i]);
        answer += effects.count;
    }
}

static void open_partition(void)
{
    const struct nilai_partition_options options = {
        .model = &model,
        .limits = {.memory_max_bytes = UINT64_C(1) << 40, .hash_seed = 1},
        .erase_remember_ms = 1000,
        .journaled = true,
    };
    partition = nilai_partition_create(&options);
    bench_must(partition != NULL, "there is memory");
    open_generator(NILAI_FORMAT_MSGPACK);
    for (uint32_t done = 0; done < HISTORY; done += TURN) {
        next_events(TURN);
        run_turn(list, TURN, true);
    }
    answer = 0;
    next_events(EVENTS - TURN); /* HISTORY is no multiple of TURN */
}

static void open_subjects(void)
{
    open_partition();
    const struct nilai_table *table = nilai_partition_table(partition);
    subject_count = nilai_table_numbers(table);
    subjects = calloc(subject_count, sizeof *subjects);
    bench_must(subjects != NULL, "there is memory");
    for (uint32_t number = 0; number < subject_count; number++) {
        subjects[number].customer = *nilai_table_customer(table, number);
        nilai_service_init(&subjects[number].service);
        subjects[number].has_service =
            nilai_table_service(table, number, &subjects[number].service);
    }
    for (uint32_t i = 0; i < EVENTS - TURN; i++)
        if (nilai_table_find(table, nilai_table_hash(table, list[i]->customer), list[i]->customer,
                             &whom[i])
            != NILAI_OK)
            whom[i] = 0; /* one who is new meanwhile: any will do */
}

static const struct nilai_service *service_of(const struct subject *subject)
{
    return subject->has_service ? &subject->service : NULL;
}

/* --- Decoding ------------------------------------------------------------------------- */

static void open_msgpack(void)
{
    open_generator(NILAI_FORMAT_MSGPACK);
    next_events(EVENTS);
}

static void open_json(void)
{
    open_generator(NILAI_FORMAT_JSON);
    next_events(EVENTS);
}

static uint32_t decode(void)
{
    struct nilai_event event;
    struct nilai_reject reject;
    for (uint32_t i = 0; i < EVENTS; i++)
        answer += nilai_decode(decoder, held[i].value, held[i].value_size, &event, &reject);
    return EVENTS;
}

static bool all_decoded(void)
{
    return answer == EVENTS;
}

/* --- Index and table ------------------------------------------------------------------ */

static struct nilai_memory memory = {.max_bytes = UINT64_C(1) << 40};
static struct nilai_index *customer_index;
static struct nilai_table *table;
static char ids[CUSTOMERS][17];

static uint64_t hash_at(uint64_t i)
{
    return bench_random(&i);
}

static void open_index(void)
{
    customer_index = nilai_index_create(&memory);
    bench_must(customer_index != NULL, "there is memory");
}

static uint32_t fill_and_ask_index(void)
{
    struct nilai_index_cursor cursor;
    uint32_t number;
    for (uint32_t i = 0; i < STEPS; i++) {
        if (nilai_index_make_room(customer_index, hash_at(i)) == NILAI_OK)
            nilai_index_insert(customer_index, hash_at(i), i);
    }
    for (uint32_t i = 0; i < STEPS; i++) {
        nilai_index_seek(customer_index, hash_at(i), &cursor);
        answer += nilai_index_next(&cursor, &number) && number == i;
    }
    return 2 * STEPS;
}

/* A tag of 32 bits may be that of another, who comes first. */
static bool all_found(void)
{
    return answer >= STEPS - 2;
}

static void open_table(void)
{
    const struct nilai_table_limits limits = {UINT64_C(1) << 40, 1};
    uint32_t number;
    table = nilai_table_create(&limits);
    bench_must(table != NULL, "there is memory");
    for (uint32_t i = 0; i < CUSTOMERS; i++) {
        snprintf(ids[i], sizeof ids[i], "customer%08" PRIx32, i);
        const struct nilai_text id = {ids[i], 16};
        bench_must(nilai_table_insert(table, nilai_table_hash(table, id), id, &number) == NILAI_OK,
                   "a customer is added");
    }
}

static uint32_t change_customers(void)
{
    for (uint32_t i = 0; i < STEPS; i++) {
        const struct nilai_text id = {ids[hash_at(i) % CUSTOMERS], 16};
        uint32_t number;
        if (nilai_table_find(table, nilai_table_hash(table, id), id, &number) != NILAI_OK)
            continue;
        struct nilai_customer customer = *nilai_table_customer(table, number);
        customer.amounts++;
        nilai_table_store(table, number, &customer, NULL);
    }
    return STEPS;
}

static bool all_changed(void)
{
    int64_t sum = 0;
    for (uint32_t number = 0; number < CUSTOMERS; number++)
        sum += nilai_table_customer(table, number)->amounts;
    return sum == STEPS;
}

/* --- Customers ------------------------------------------------------------------------ */

static uint32_t apply(void)
{
    static struct nilai_change made[NILAI_CHANGES_PER_STEP];
    for (uint32_t i = 0; i < EVENTS - TURN; i++) {
        struct subject *subject = &subjects[whom[i]];
        const struct nilai_event *event = list[i];
        uint32_t notes;
        if (event->type == NILAI_ERASE)
            continue;
        subject->has_service |= nilai_customer_needs_service(event);
        struct nilai_service *service = subject->has_service ? &subject->service : NULL;
        while (nilai_customer_fire(&model, &subject->customer, service, event->ts_ms, made) > 0)
            answer++;
        answer += nilai_customer_apply(&model, &subject->customer, service, event, hash_at(i),
                                       &notes, made);
    }
    return EVENTS - TURN;
}

static uint32_t score(void)
{
    for (uint32_t number = 0; number < subject_count; number++) {
        const struct subject *subject = &subjects[number];
        if (!subject->customer.rhythm.bought)
            continue;
        struct nilai_curve curve =
            nilai_risk_curve(&model, &subject->customer, service_of(subject));
        struct nilai_terms terms =
            nilai_risk_terms(&curve, subject->customer.current_ms + NILAI_DAY_MS);
        answer += nilai_risk_of_eta(terms.eta) < 1
                  && nilai_risk_band(&curve, NILAI_BAND_LOW, &terms) != NILAI_BAND_NONE;
    }
    return subject_count;
}

static uint32_t find_deadlines(void)
{
    for (uint32_t number = 0; number < subject_count; number++)
        answer += nilai_customer_next_deadline_s(&model, &subjects[number].customer,
                                                 service_of(&subjects[number]))
                  >= subjects[number].customer.wake_s;
    return subject_count;
}

static bool something_changed(void)
{
    return answer > 0;
}

static bool nearly_all(void)
{
    return answer > subject_count * UINT64_C(9) / 10 && answer <= subject_count;
}

/* --- Timers --------------------------------------------------------------------------- */

static struct nilai_timers *timers;

/* One due timer, however many have to be moved before. */
static bool take_due(struct nilai_timers *in, int64_t second, uint32_t *number)
{
    enum nilai_status status;
    do
        status = nilai_timers_pop_due(in, second, number);
    while (status == NILAI_BUSY);
    return status == NILAI_OK;
}

static void open_timers(void)
{
    timers = nilai_timers_create();
    bench_must(timers != NULL && nilai_timers_reserve(timers, STEPS) == NILAI_OK,
               "there is memory");
    uint32_t number;
    bench_must(!take_due(timers, START_S, &number), "nothing is due");
}

static uint32_t arm_and_pop(void)
{
    uint32_t number;
    for (uint32_t i = 0; i < STEPS; i++)
        nilai_timers_arm(timers, i, START_S + 1 + (int64_t)(hash_at(i) % (90 * 86400)));
    for (int64_t second = START_S; second <= START_S + 90 * 86400; second += 600)
        while (take_due(timers, second, &number))
            answer++;
    return STEPS;
}

static bool all_popped(void)
{
    return answer == STEPS;
}

/* --- The whole state step, and what becomes of it ------------------------------------- */

static uint32_t turns(void)
{
    for (uint32_t done = 0; done + TURN <= EVENTS - TURN; done += TURN)
        run_turn(list + done, TURN, false);
    return EVENTS - TURN;
}

static struct nilai_encoder *encoder;

static void open_changes(void)
{
    open_partition();
    encoder = nilai_encoder_create(NILAI_FORMAT_JSON);
    bench_must(encoder != NULL && change_count == CHANGES, "there are changes");
}

static uint32_t write_changes(void)
{
    static const char *const topics[] = {"purchases"};
    const char *data;
    size_t size;
    for (uint32_t i = 0; i < CHANGES; i++) {
        nilai_encode_begin(encoder);
        nilai_message_encode_change(encoder, NULL, &model, &changes[i], topics);
        answer += nilai_encode_end(encoder, &data, &size) == NILAI_OK;
    }
    return CHANGES;
}

static bool all_written(void)
{
    return answer == CHANGES;
}

static struct nilai_buffer records[CUSTOMERS / NILAI_CHUNK_CUSTOMERS + 1];
static uint32_t chunk_count;

static void open_images(void)
{
    open_subjects();
    chunk_count = (subject_count + NILAI_CHUNK_CUSTOMERS - 1) / NILAI_CHUNK_CUSTOMERS;
    bench_must(chunk_count <= NILAI_ARRAY_LEN(records), "there is room");
    for (uint32_t chunk = 0; chunk < chunk_count; chunk++)
        nilai_buffer_init(&records[chunk], NILAI_JOURNAL_SIZE_MAX);
}

static uint32_t write_images(void)
{
    for (uint32_t chunk = 0; chunk < chunk_count; chunk++) {
        nilai_image_write_customers(partition, chunk, 2, 1, 2, &records[chunk]);
        answer += records[chunk].status == NILAI_OK;
    }
    return subject_count;
}

static bool all_imaged(void)
{
    return answer == chunk_count;
}

static void open_written_images(void)
{
    open_images();
    (void)write_images();
    answer = 0;
}

static uint32_t read_images(void)
{
    for (uint32_t chunk = 0; chunk < chunk_count; chunk++) {
        struct nilai_journal_head head;
        struct nilai_wire body;
        struct nilai_image image;
        struct nilai_image_customer customer;
        if (nilai_journal_open(records[chunk].data, records[chunk].size, &head, &body, NULL)
                != NILAI_OK
            || nilai_image_open_customers(&image, body) != NILAI_OK)
            return 0;
        while (nilai_image_next_customer(&image, &model, &customer) == NILAI_OK)
            answer++;
    }
    return subject_count;
}

static bool all_read(void)
{
    return answer == subject_count;
}

/* --- The cases ------------------------------------------------------------------------ */

static const struct work {
    const char *name;
    void (*prepare)(void);
    uint32_t (*run)(void); /* the number of operations */
    bool (*is_right)(void);
} works[] = {
    {"decode", open_msgpack, decode, all_decoded},
    {"decode-json", open_json, decode, all_decoded},
    {"index", open_index, fill_and_ask_index, all_found},
    {"table", open_table, change_customers, all_changed},
    {"apply", open_subjects, apply, something_changed},
    {"score", open_subjects, score, nearly_all},
    {"deadline", open_subjects, find_deadlines, nearly_all},
    {"timers", open_timers, arm_and_pop, all_popped},
    {"partition", open_partition, turns, something_changed},
    {"change", open_changes, write_changes, all_written},
    {"image-write", open_images, write_images, all_imaged},
    {"image-read", open_written_images, read_images, all_read},
};

/* Known to callgrind by its name, so it must stay one function. */
ALONE uint32_t counted(const struct work *work);
uint32_t counted(const struct work *work)
{
    return work->run();
}

static const struct work *find(const char *name)
{
    for (size_t i = 0; i < NILAI_ARRAY_LEN(works); i++)
        if (strcmp(works[i].name, name) == 0)
            return &works[i];
    fprintf(stderr, "bench_instructions: there is no %s\n", name);
    exit(NILAI_EXIT_USAGE);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        for (size_t i = 0; i < NILAI_ARRAY_LEN(works); i++)
            puts(works[i].name);
        return argc == 1 ? NILAI_EXIT_OK : NILAI_EXIT_USAGE;
    }
    const struct work *work = find(argv[1]);
    nilai_model_defaults(&model);
    bench_must(nilai_model_prepare(&model, NULL) == NILAI_OK, "the model");
    work->prepare();
    uint32_t operations = counted(work);
    bench_must(work->is_right(), work->name);
    printf("%" PRIu32 " operations, " COMPILER " %s\n", operations, __VERSION__);
    return NILAI_EXIT_OK;
}
