#include "nilai/state/narrow.h"
#include "services.h"
#include "test.h"

static void fill(void *bytes, size_t size, uint64_t *seed)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)next_random(seed);
}

/* Goal: what was packed comes back bit by bit.
 * Method: random bytes with room for them, some of them a new record. */
TEST(narrow_gives_back_what_it_was_given)
{
    struct nilai_service service, back;
    struct nilai_narrow narrow;
    uint64_t seed = test_seed(1);
    for (int i = 0; i < 10000; i++) {
        fill(&service, sizeof service, &seed);
        services_make_narrow(&service);
        for (int code = 0; code < NILAI_SIGNALS_STORED; code++)
            if (next_random(&seed) % 2 == 0)
                service.signals[code] = 0;
        if (i % 100 == 0) {
            memset(&service, 0, sizeof service);
            nilai_service_init(&service);
        }
        fill(&narrow, sizeof narrow, &seed);
        fill(&back, sizeof back, &seed);
        CHECK(nilai_narrow_pack(&narrow, &service));
        nilai_narrow_unpack(&back, &narrow);
        CHECK(memcmp(&back, &service, sizeof back) == 0);
    }
}

/* Goal: one signal or one ticket too many is noticed, and nothing is half written.
 * Method: all sets of signals, with every number of tickets. */
TEST(narrow_refuses_what_it_has_no_room_for)
{
    for (uint32_t codes = 0; codes < 1 << NILAI_SIGNALS_STORED; codes++) {
        for (uint32_t tickets = 0; tickets <= NILAI_TICKETS_MAX; tickets++) {
            struct nilai_service service = {.ticket_count = tickets};
            struct nilai_narrow narrow = {.answers = 77};
            for (uint32_t code = 0; code < NILAI_SIGNALS_STORED; code++)
                service.signals[code] = codes >> code & 1 ? -0.0 : 0;
            bool fits = tickets <= 1 && __builtin_popcount(codes) <= NILAI_NARROW_SIGNALS;
            CHECK_EQ(nilai_narrow_pack(&narrow, &service), fits);
            CHECK_EQ(narrow.answers, fits ? 0 : 77);
        }
    }
}

/* Goal: a reader's torn copy does no harm.
 * Method: any bytes, unpacked between two guards; the sanitizers look on. */
TEST(narrow_unpacks_anything)
{
    struct {
        uint64_t before;
        struct nilai_service service;
        uint64_t after;
    } held = {.before = 1, .after = 2};
    struct nilai_narrow narrow;
    uint64_t seed = test_seed(2);
    for (int i = 0; i < 10000; i++) {
        fill(&narrow, sizeof narrow, &seed);
        nilai_narrow_unpack(&held.service, &narrow);
        CHECK(held.before == 1 && held.after == 2);
    }
}
