#include "nilai/state/table.h"
#include "nilai/base/hash.h"
#include "services.h"
#include "test.h"

enum { POOL = 6000, STEPS = 300000, VALIDATE_EVERY = 20011 };

/* What the model remembers of one id. */
struct known {
    char id[NILAI_TEXT_MAX];
    uint32_t size;
    bool live, has_service;
    uint32_t number;
    struct nilai_customer customer;
    struct nilai_service service;
};

static struct known pool[POOL];

static struct nilai_table *create(uint64_t memory_max_bytes, uint64_t hash_seed)
{
    struct nilai_table_limits limits = {memory_max_bytes, hash_seed};
    struct nilai_table *table = nilai_table_create(&limits);
    CHECK(table != NULL);
    return table;
}

static struct nilai_text text_of(const struct known *known)
{
    return (struct nilai_text){known->id, known->size};
}

/* Lengths from 1 to 64, on both sides of what fits into a record; the bytes are anything. */
static void make_pool(uint64_t *seed)
{
    memset(pool, 0, sizeof pool);
    for (uint32_t i = 0; i < POOL; i++) {
        pool[i].size = i < 200 ? 1 + i % 2 : 4 + (uint32_t)(next_random(seed) % 61);
        for (uint32_t k = 0; k < pool[i].size; k++)
            pool[i].id[k] = (char)next_random(seed);
        if (i < 200) {
            pool[i].id[0] = (char)(i / 2);
            pool[i].id[1] = 0;
        } else {
            memcpy(pool[i].id, &i, sizeof i);
        }
    }
}

static void fill_randomly(void *bytes, size_t size, uint64_t *seed)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)next_random(seed);
}

static void insert(struct nilai_table *table, struct known *known)
{
    uint64_t hash = nilai_table_hash(table, text_of(known));

    CHECK_EQ(nilai_table_insert(table, hash, text_of(known), &known->number), NILAI_OK);
    memset(&known->customer, 0, sizeof known->customer);
    nilai_customer_init(&known->customer, nilai_hash(known->id, known->size));
    known->live = true;
    known->has_service = false;
}

static void add_service(struct nilai_table *table, struct known *known)
{
    CHECK_EQ(nilai_table_add_service(table, known->number), NILAI_OK);
    if (!known->has_service) {
        memset(&known->service, 0, sizeof known->service);
        nilai_service_init(&known->service);
    }
    known->has_service = true;
}

static void store(struct nilai_table *table, struct known *known, uint64_t *seed)
{
    bool with_service = known->has_service && next_random(seed) % 2 == 0;

    fill_randomly(&known->customer, sizeof known->customer, seed);
    if (with_service) {
        add_service(table, known);
        fill_randomly(&known->service, sizeof known->service, seed);
        if (next_random(seed) % 4 > 0)
            services_make_narrow(&known->service);
    }
    nilai_table_store(table, known->number, &known->customer, with_service ? &known->service : NULL);
}

static void check_reader(const struct nilai_table *table, const struct known *known)
{
    struct nilai_customer customer;
    struct nilai_service service;
    bool has_service;
    enum nilai_status status = nilai_table_read(table, text_of(known), &customer, &service,
                                                &has_service);

    CHECK_EQ(status, known->live ? NILAI_OK : NILAI_MISSING);
    if (!known->live)
        return;
    CHECK(memcmp(&customer, &known->customer, sizeof customer) == 0);
    CHECK_EQ(has_service, known->has_service);
    if (has_service)
        CHECK(memcmp(&service, &known->service, sizeof service) == 0);
}

static void check_writer(const struct nilai_table *table, const struct known *known)
{
    uint32_t number;
    enum nilai_status status = nilai_table_find(table, nilai_table_hash(table, text_of(known)),
                                                text_of(known), &number);

    CHECK_EQ(status, known->live ? NILAI_OK : NILAI_MISSING);
    if (!known->live)
        return;
    CHECK_EQ(number, known->number);
    CHECK(nilai_table_is_live(table, number));
    struct nilai_text id = nilai_table_id(table, number);
    CHECK(id.size == known->size && memcmp(id.data, known->id, id.size) == 0);
    CHECK(memcmp(nilai_table_customer(table, number), &known->customer, sizeof known->customer) == 0);
    struct nilai_service service;
    CHECK_EQ(nilai_table_service(table, number, &service), known->has_service);
    if (known->has_service)
        CHECK(memcmp(&service, &known->service, sizeof service) == 0);
}

static void check_all(const struct nilai_table *table)
{
    struct nilai_table_stats stats;
    uint64_t live = 0, services = 0;

    for (uint32_t i = 0; i < POOL; i++) {
        check_writer(table, &pool[i]);
        check_reader(table, &pool[i]);
        live += pool[i].live;
        services += pool[i].live && pool[i].has_service;
    }
    nilai_table_stats(table, &stats);
    CHECK_EQ(stats.customers, live);
    CHECK_EQ(stats.services, services);
    nilai_table_validate(table);
}

static void step(struct nilai_table *table, struct known *known, bool shrinking, uint64_t *seed)
{
    uint64_t dice = next_random(seed) % 8;

    if (!known->live) {
        if (dice >= (shrinking ? 7 : 1))
            insert(table, known);
    } else if (dice < (shrinking ? 5 : 1)) {
        nilai_table_erase(table, known->number);
        known->live = false;
    } else if (dice == 5) {
        add_service(table, known);
    } else {
        store(table, known, seed);
    }
    check_writer(table, known);
    check_reader(table, known);
}

/* Goal: the table never disagrees with an array that remembers everything.
 * Method: random insertions, changes and erasures, in phases of growing and shrinking. */
TEST(table_matches_the_plain_model)
{
    uint64_t seed = test_seed(7);
    struct nilai_table *table = create(UINT64_C(1) << 30, next_random(&seed));

    make_pool(&seed);
    for (int i = 0; i < STEPS; i++) {
        step(table, &pool[next_random(&seed) % POOL], i / (STEPS / 6) % 2 == 1, &seed);
        if (i % VALIDATE_EVERY == 0)
            check_all(table);
    }
    check_all(table);
    CHECK(nilai_table_numbers(table) <= POOL); /* numbers are reused */
    nilai_table_destroy(table);
}

static struct nilai_text counted_id(char text[static NILAI_TEXT_MAX], uint32_t i, bool is_long)
{
    int size = snprintf(text, NILAI_TEXT_MAX, is_long ? "customer-with-a-long-name-%u" : "c%u", i);
    return (struct nilai_text){text, (uint32_t)size};
}

/* Goal: the limit of memory has a name, is kept, and leaves a table that still works.
 * Method: insert, of both kinds of ids, until it says full; then erase and insert again. */
TEST(table_says_full_at_its_limit_and_goes_on)
{
    enum { LIMIT = 24 << 20 };
    struct nilai_table *table = create(LIMIT, 1);
    struct nilai_table_stats stats;
    enum nilai_status status = NILAI_OK;
    char text[NILAI_TEXT_MAX];
    uint32_t count = 0, number;

    while (status == NILAI_OK) {
        struct nilai_text id = counted_id(text, count, count % 3 == 0);
        status = nilai_table_insert(table, nilai_table_hash(table, id), id, &number);
        count += status == NILAI_OK;
    }
    CHECK_EQ(status, NILAI_FULL);
    nilai_table_stats(table, &stats);
    CHECK_EQ(stats.customers, count);
    CHECK(stats.memory_bytes <= LIMIT);
    CHECK(count > 32768);
    nilai_table_validate(table);

    CHECK_EQ(nilai_table_add_service(table, 0), NILAI_FULL);
    struct nilai_service service;
    CHECK(!nilai_table_service(table, 0, &service));
    for (uint32_t i = 0; i < count; i++) {
        struct nilai_text id = counted_id(text, i, i % 3 == 0);
        CHECK_EQ(nilai_table_find(table, nilai_table_hash(table, id), id, &number), NILAI_OK);
        nilai_table_erase(table, number);
        id = counted_id(text, i + count, i % 3 == 0);
        CHECK_EQ(nilai_table_insert(table, nilai_table_hash(table, id), id, &number), NILAI_OK);
    }
    nilai_table_validate(table);
    nilai_table_destroy(table);
}

/* Goal: a limit too small for anything is refused at once.
 * Method: create with limits of a few bytes. */
TEST(table_is_not_created_without_room_for_its_index)
{
    struct nilai_table_limits limits = {.memory_max_bytes = 4096};
    CHECK(nilai_table_create(&limits) == NULL);
    limits.memory_max_bytes = 0;
    CHECK(nilai_table_create(&limits) == NULL);
}

/* How often a word occurs in the memory of this program, but for its stack and what a sanitizer has
 * put aside for itself. */
__attribute__((no_sanitize_address, no_sanitize_thread)) static uint32_t
occurrences(uint64_t complement)
{
    enum { LARGEST = 256 << 20 };
    char line[512], access[8];
    unsigned long from, to;
    uint32_t count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");

    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &from, &to, access) != 3 || strncmp(access, "rw-p", 4) != 0
            || to - from > LARGEST || strchr(line, '[') != NULL)
            continue;
        for (const volatile uint64_t *word = (void *)from; word < (uint64_t *)(void *)to; word++)
            count += ~*word == complement;
    }
    fclose(maps);
    return count;
}

/* Goal: nothing of an erased customer stays in memory.
 * Method: the record and its long id, looked at through pointers kept; of the service record,
 * narrow or wide, or become wide, a word that is searched for in all memory. */
TEST(table_overwrites_what_it_erases)
{
    enum { NARROW, WIDE, BECOME_WIDE, CASES };
    static const char zeros[sizeof(struct nilai_customer)];
    uint64_t seed = test_seed(3);

    for (int what = NARROW; what < CASES; what++) {
        struct nilai_table *table = create(UINT64_C(1) << 30, 2);
        struct nilai_customer customer;
        struct nilai_service service;
        uint32_t number, again;
        char text[NILAI_TEXT_MAX];
        struct nilai_text id = counted_id(text, 12, true);

        CHECK_EQ(nilai_table_insert(table, nilai_table_hash(table, id), id, &number), NILAI_OK);
        CHECK_EQ(nilai_table_add_service(table, number), NILAI_OK);
        fill_randomly(&customer, sizeof customer, &seed);
        fill_randomly(&service, sizeof service, &seed);
        uint64_t complement = ~service.tickets[0].id_hash;
        if (what != WIDE)
            services_make_narrow(&service);
        nilai_table_store(table, number, &customer, &service);
        if (what == BECOME_WIDE) {
            fill_randomly(service.signals, sizeof service.signals, &seed);
            nilai_table_store(table, number, &customer, &service);
        }
        memset(&service, 0, sizeof service);
        const char *customer_bytes = (const char *)nilai_table_customer(table, number);
        struct nilai_text kept = nilai_table_id(table, number);
        CHECK(memcmp(customer_bytes, &customer, sizeof customer) == 0);
        uint32_t before = occurrences(complement);

        nilai_table_erase(table, number);
        CHECK_EQ(occurrences(complement), before - 1);
        CHECK(memcmp(customer_bytes, zeros, sizeof customer) == 0);
        CHECK(memcmp(kept.data + sizeof(uint32_t), zeros, kept.size - sizeof(uint32_t)) == 0);
        CHECK_EQ(nilai_table_insert(table, nilai_table_hash(table, id), id, &again), NILAI_OK);
        CHECK_EQ(again, number);
        CHECK(!nilai_table_service(table, again, &service));
        nilai_table_destroy(table);
    }
}

/* The table's image of the pool: everybody who lives, at their number, in a random order; some put
 * wrongly first and erased again, as by an older image. */
static void restore_pool(struct nilai_table *table, uint64_t *seed)
{
    static struct nilai_customer other;
    static uint32_t order[POOL];
    for (uint32_t i = 0; i < POOL; i++) {
        uint32_t at = (uint32_t)(next_random(seed) % (i + 1));
        order[i] = order[at];
        order[at] = i;
    }
    for (uint32_t i = 0; i < POOL; i++) {
        const struct known *known = &pool[order[i]];
        uint64_t hash = nilai_table_hash(table, text_of(known));
        if (!known->live)
            continue;
        if (next_random(seed) % 4 == 0) {
            const struct nilai_service *service = next_random(seed) % 2 ? &known->service : NULL;
            CHECK_EQ(nilai_table_restore(table, known->number, hash, text_of(known), &other, service),
                     NILAI_OK);
            nilai_table_erase(table, known->number);
        }
        CHECK_EQ(nilai_table_restore(table, known->number, hash, text_of(known), &known->customer,
                                     known->has_service ? &known->service : NULL),
                 NILAI_OK);
        check_writer(table, known);
        check_reader(table, known);
        if (i % 1999 == 0)
            nilai_table_validate(table);
    }
}

/* Goal: a table filled from what another held is that table, and goes on like it.
 * Method: random steps in one table, its contents into a second, checked; then more steps. */
TEST(table_is_restored_at_the_same_numbers)
{
    uint64_t seed = test_seed(8);
    make_pool(&seed);
    struct nilai_table *table = create(UINT64_C(1) << 30, next_random(&seed));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < STEPS / 6; i++)
            step(table, &pool[next_random(&seed) % POOL], i > STEPS / 12, &seed);
        uint32_t numbers = nilai_table_numbers(table), lowest = 0;
        struct nilai_table *saved = table;
        table = create(UINT64_C(1) << 30, next_random(&seed));
        restore_pool(table, &seed);
        nilai_table_restored(table);
        check_all(table);
        CHECK(nilai_table_numbers(table) <= numbers);
        nilai_table_destroy(saved);

        while (nilai_table_is_live(table, lowest))
            lowest++;
        CHECK(lowest < nilai_table_numbers(table)); /* there were holes */
        uint32_t who = 0;
        while (pool[who].live)
            who++;
        insert(table, &pool[who]);
        CHECK_EQ(pool[who].number, lowest);
    }
    check_all(table);
    nilai_table_destroy(table);
}

/* Goal: a restoring that fails changes nothing.
 * Method: numbers beyond all memory; then a limit that leaves no room for one of the parts. */
TEST(table_that_cannot_restore_stays_as_it_was)
{
    enum { LIMIT = 24 << 20 };
    struct nilai_table *table = create(LIMIT, 1);
    struct nilai_table_stats before, after;
    struct nilai_customer customer = {0};
    struct nilai_service service = {0};
    char text[NILAI_TEXT_MAX];
    struct nilai_text id = counted_id(text, 7, true);
    uint64_t hash = nilai_table_hash(table, id);
    uint32_t number = 0, found;

    nilai_table_stats(table, &before);
    CHECK_EQ(nilai_table_restore(table, 1 << 20, hash, id, &customer, NULL), NILAI_FULL);
    CHECK_EQ(nilai_table_restore(table, UINT32_MAX, hash, id, &customer, &service), NILAI_FULL);
    CHECK_EQ(nilai_table_find(table, hash, id, &found), NILAI_MISSING);
    nilai_table_stats(table, &after);
    CHECK_EQ(after.customers, before.customers);
    CHECK_EQ(after.services, 0);
    nilai_table_validate(table);
    enum nilai_status status = NILAI_OK;
    while (status == NILAI_OK) { /* until there is no room for records, or for parts of them */
        id = counted_id(text, number, number % 3 == 0);
        hash = nilai_table_hash(table, id);
        nilai_table_stats(table, &before);
        status = nilai_table_restore(table, number, hash, id, &customer, number % 2 ? &service : NULL);
        number += status == NILAI_OK;
    }
    CHECK_EQ(status, NILAI_FULL);
    CHECK(number > 8192);
    nilai_table_stats(table, &after);
    CHECK_EQ(after.customers, before.customers);
    CHECK_EQ(after.services, before.services);
    CHECK_EQ(nilai_table_find(table, hash, id, &found), NILAI_MISSING);
    nilai_table_restored(table);
    nilai_table_validate(table);
    nilai_table_destroy(table);
}
