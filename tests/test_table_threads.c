#include <pthread.h>

#include "nilai/state/table.h"
#include "nilai/base/hash.h"
#include "services.h"
#include "test.h"

enum {
    READERS = 3,
    STEADY = 2000, /* customers that stay, once they are there */
    GUESTS = 4000, /* customers that come and go, and take over each other's records */
    STEPS = 400000,
    RESTORE_STEPS = 200000,
    CUSTOMER_WORDS = sizeof(struct nilai_customer) / sizeof(uint64_t),
    SERVICE_WORDS = sizeof(struct nilai_service) / sizeof(uint64_t),
};

/* What the writer has done so far, for the readers. */
struct scene {
    struct nilai_table *table;
    uint32_t steady;           /* so many are there, and stay */
    bool over;
    uint64_t stored[STEADY];   /* number of the last store that was finished */
};

struct reader {
    struct scene *scene;
    pthread_t thread;
    uint64_t seed, found, missing, busy;
};

/* Every third id is a long one. */
static struct nilai_text id_of(char text[static NILAI_TEXT_MAX], char kind, uint32_t i)
{
    int size = snprintf(text, NILAI_TEXT_MAX, i % 3 == 0 ? "%c-customer-with-a-long-name-%u" : "%c%u",
                        kind, i);
    return (struct nilai_text){text, (uint32_t)size};
}

/* Every word of a record follows from whose it is and from the number of the store; the first
 * word is that number. */
static uint64_t pattern(struct nilai_text id, uint64_t store, uint64_t word)
{
    uint64_t seed = nilai_hash(id.data, id.size) + store * 1000 + word;
    return word == 0 ? store : next_random(&seed);
}

static void fill(void *record, struct nilai_text id, uint64_t store, uint64_t words)
{
    for (uint64_t i = 0; i < words; i++) {
        uint64_t value = pattern(id, store, i);
        memcpy((char *)record + i * sizeof value, &value, sizeof value);
    }
}

static bool holds(const struct nilai_customer *record, struct nilai_text id, uint64_t store)
{
    struct nilai_customer expected;
    fill(&expected, id, store, CUSTOMER_WORDS);
    return memcmp(record, &expected, sizeof expected) == 0;
}

/* A record is narrow for some time and becomes wide once. */
static void fill_service(struct nilai_service *service, struct nilai_text id, uint64_t store)
{
    fill(service, id, store, SERVICE_WORDS);
    if (store % 64 != 0)
        services_make_narrow(service);
}

static bool holds_service(const struct nilai_service *record, struct nilai_text id, uint64_t store)
{
    struct nilai_service expected;
    fill_service(&expected, id, store);
    return memcmp(record, &expected, sizeof expected) == 0;
}

/* Asserts that a copy is one that was published; returns the number of its store, 0 for a
 * customer that is new. */
static uint64_t judge(struct nilai_text id, const struct nilai_customer *customer,
                      const struct nilai_service *service)
{
    struct nilai_customer new_customer;
    struct nilai_service new_service;
    uint64_t store;

    memset(&new_customer, 0, sizeof new_customer);
    nilai_customer_init(&new_customer, nilai_hash(id.data, id.size));
    memset(&new_service, 0, sizeof new_service);
    nilai_service_init(&new_service);
    memcpy(&store, customer, sizeof store);

    if (memcmp(customer, &new_customer, sizeof new_customer) == 0)
        store = 0;
    else
        NILAI_ASSERT(holds(customer, id, store));
    if (service != NULL && memcmp(service, &new_service, sizeof new_service) != 0)
        NILAI_ASSERT(holds_service(service, id, store));
    return store;
}

static enum nilai_status look(struct reader *reader, struct nilai_text id, uint64_t *store)
{
    struct nilai_customer customer;
    struct nilai_service service;
    bool has_service;
    enum nilai_status status = nilai_table_read(reader->scene->table, id, &customer, &service,
                                                &has_service);

    if (status == NILAI_OK)
        *store = judge(id, &customer, has_service ? &service : NULL);
    reader->found += status == NILAI_OK;
    reader->missing += status == NILAI_MISSING;
    reader->busy += status == NILAI_BUSY;
    return status;
}

static void look_at_steady(struct reader *reader)
{
    uint32_t steady = __atomic_load_n(&reader->scene->steady, __ATOMIC_ACQUIRE);
    if (steady == 0)
        return;
    uint32_t i = (uint32_t)(next_random(&reader->seed) % steady);
    uint64_t before = __atomic_load_n(&reader->scene->stored[i], __ATOMIC_ACQUIRE), store;
    char text[NILAI_TEXT_MAX];
    enum nilai_status status = look(reader, id_of(text, 's', i), &store);

    NILAI_ASSERT(status != NILAI_MISSING);
    if (status == NILAI_OK)
        NILAI_ASSERT(store >= before);
}

static void *read_all_the_time(void *argument)
{
    struct reader *reader = argument;
    char text[NILAI_TEXT_MAX];
    uint64_t store;

    while (!__atomic_load_n(&reader->scene->over, __ATOMIC_ACQUIRE)) {
        look_at_steady(reader);
        look_at_steady(reader);
        (void)!look(reader, id_of(text, 'g', (uint32_t)(next_random(&reader->seed) % GUESTS)), &store);
        NILAI_ASSERT(look(reader, id_of(text, 'n', (uint32_t)reader->seed), &store) != NILAI_OK);
    }
    return NULL;
}

/* ---- the writer ---- */

static void publish(struct nilai_table *table, uint32_t number, uint64_t store)
{
    struct nilai_text id = nilai_table_id(table, number);
    struct nilai_customer customer;
    struct nilai_service service;
    bool has_service = nilai_table_service(table, number, &service);

    fill(&customer, id, store, CUSTOMER_WORDS);
    fill_service(&service, id, store);
    if (has_service)
        CHECK_EQ(nilai_table_add_service(table, number), NILAI_OK);
    nilai_table_store(table, number, &customer, has_service ? &service : NULL);
}

static uint32_t add(struct nilai_table *table, char kind, uint32_t i)
{
    char text[NILAI_TEXT_MAX];
    struct nilai_text id = id_of(text, kind, i);
    uint32_t number;

    CHECK_EQ(nilai_table_insert(table, nilai_table_hash(table, id), id, &number), NILAI_OK);
    return number;
}

static void change_steady(struct scene *scene, uint32_t numbers[STEADY], uint64_t store, uint64_t *seed)
{
    uint32_t i = (uint32_t)(next_random(seed) % scene->steady);

    if (next_random(seed) % 16 == 0)
        CHECK_EQ(nilai_table_add_service(scene->table, numbers[i]), NILAI_OK);
    publish(scene->table, numbers[i], store);
    __atomic_store_n(&scene->stored[i], store, __ATOMIC_RELEASE);
}

/* Everybody is put where they are told to be, as when a table is filled from what was saved: guests
 * come, go, and take over each other's records; the steady come and stay. */
static void restore_all(struct scene *scene, uint64_t *seed)
{
    struct nilai_service service;
    struct nilai_customer customer;
    char text[NILAI_TEXT_MAX];
    uint32_t number;

    for (uint64_t store = 1; store <= RESTORE_STEPS; store++) {
        bool is_steady = scene->steady < STEADY && store % 16 == 0;
        uint32_t i = is_steady ? scene->steady : (uint32_t)(next_random(seed) % GUESTS);
        struct nilai_text id = id_of(text, is_steady ? 's' : 'g', i);
        uint64_t hash = nilai_table_hash(scene->table, id);
        if (nilai_table_find(scene->table, hash, id, &number) == NILAI_OK) {
            nilai_table_erase(scene->table, number);
            continue;
        }
        number = is_steady ? i : STEADY + i / 2; /* two guests share one record */
        if (nilai_table_is_live(scene->table, number))
            nilai_table_erase(scene->table, number);
        fill(&customer, id, store, CUSTOMER_WORDS);
        fill_service(&service, id, store);
        CHECK_EQ(nilai_table_restore(scene->table, number, hash, id, &customer,
                                     next_random(seed) % 2 ? &service : NULL), NILAI_OK);
        if (is_steady) {
            __atomic_store_n(&scene->stored[i], store, __ATOMIC_RELEASE);
            __atomic_store_n(&scene->steady, i + 1, __ATOMIC_RELEASE);
        }
    }
    nilai_table_restored(scene->table);
}

static void change_guest(struct nilai_table *table, uint32_t i, uint64_t store, uint64_t *seed)
{
    char text[NILAI_TEXT_MAX];
    struct nilai_text id = id_of(text, 'g', i);
    uint32_t number;

    if (nilai_table_find(table, nilai_table_hash(table, id), id, &number) == NILAI_MISSING)
        number = add(table, 'g', i);
    else if (next_random(seed) % 2 == 0)
        nilai_table_erase(table, number);
    else if (next_random(seed) % 2 == 0)
        CHECK_EQ(nilai_table_add_service(table, number), NILAI_OK);
    else
        publish(table, number, store);
}

/* Everything a writer does, with a crowd that grows all the time, so that segments are split. */
static void write_all(struct scene *scene, uint64_t *seed)
{
    static uint32_t numbers[STEADY];
    uint32_t crowd = 0;

    for (uint64_t store = 1; store <= STEPS; store++) {
        uint64_t dice = next_random(seed) % 8;
        if (scene->steady < STEADY && store % 16 == 0) {
            numbers[scene->steady] = add(scene->table, 's', scene->steady);
            __atomic_store_n(&scene->steady, scene->steady + 1, __ATOMIC_RELEASE);
        } else if (dice < 3 && scene->steady > 0) {
            change_steady(scene, numbers, store, seed);
        } else if (dice < 6) {
            change_guest(scene->table, (uint32_t)(next_random(seed) % GUESTS), store, seed);
        } else {
            add(scene->table, 'c', crowd++);
        }
    }
}

static void watch(void (*write)(struct scene *scene, uint64_t *seed))
{
    static struct scene scene;
    struct nilai_table_limits limits = {.memory_max_bytes = UINT64_C(1) << 30, .hash_seed = 9};
    struct reader readers[READERS];
    uint64_t seed = test_seed(17), found = 0, busy = 0, missing = 0;

    memset(&scene, 0, sizeof scene);
    scene.table = nilai_table_create(&limits);
    CHECK(scene.table != NULL);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.scene = &scene, .seed = next_random(&seed)};
        CHECK_EQ(pthread_create(&readers[i].thread, NULL, read_all_the_time, &readers[i]), 0);
    }
    write(&scene, &seed);
    __atomic_store_n(&scene.over, true, __ATOMIC_RELEASE);
    for (int i = 0; i < READERS; i++) {
        CHECK_EQ(pthread_join(readers[i].thread, NULL), 0);
        found += readers[i].found;
        missing += readers[i].missing;
        busy += readers[i].busy;
    }
    printf("found %" PRIu64 ", missing %" PRIu64 ", busy %" PRIu64 "\n", found, missing, busy);
    CHECK(found > 1000 && missing > 1000);
    CHECK(busy < found);
    nilai_table_validate(scene.table);
    nilai_table_destroy(scene.table);
}

/* Goal: a reader never sees a record that was not published as it is, never misses a customer
 * who is there, never sees one go back in time, and never sees one in another's record.
 * Method: records whose every word follows from one number; readers that check as fast as
 * they can, while the writer inserts, changes, erases, reuses records and splits segments. */
TEST(readers_see_only_what_was_published)
{
    watch(write_all);
}

/* Goal: the same while the table is filled from what was saved. */
TEST(readers_see_only_what_was_restored)
{
    watch(restore_all);
}
