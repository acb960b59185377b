#include "nilai/run/fact.h"

#include "nilai/customer/model.h"
#include "nilai/run/population.h"
#include "test.h"

static const struct nilai_fact_style style = {
    .seed = 9,
    .customers = 300,
    .now_ms = -1,
    .keyed = true,
    .format = NILAI_FORMAT_MSGPACK,
    .currency_count = 3,
    .currencies = {{"USD", 1}, {"EUR", 1.25}, {"IDR", 0.00006}},
};

struct pens {
    struct nilai_encoder *encoder;
    struct nilai_stencils *stencils;
};

static void check_both_ways(const struct pens *pens, const struct nilai_fact *fact)
{
    const char *encoded, *traced;
    size_t encoded_size, traced_size;
    CHECK_EQ(nilai_fact_encode(fact, &style, pens->encoder, &encoded, &encoded_size), NILAI_OK);
    nilai_fact_trace(fact, &style, pens->stencils, &traced, &traced_size);
    CHECK_EQ(traced_size, encoded_size);
    CHECK(memcmp(traced, encoded, encoded_size) == 0);
}

static void check_population(const struct pens *pens, uint64_t seed, int64_t from_ms, int64_t span_ms)
{
    const struct nilai_population_options options = {
        .seed = seed,
        .customers = style.customers,
        .events = 30000,
        .from_ms = from_ms,
        .span_ms = span_ms,
        .skew = 1,
        .grievance = 1.5,
        .erase = 0.001,
    };
    struct nilai_population *population;
    struct nilai_error error;
    struct nilai_fact fact;
    CHECK_EQ(nilai_population_create(&options, &population, &error), NILAI_OK);
    for (int i = 0; i < 30000 && nilai_population_next(population, &fact) == NILAI_OK; i++)
        check_both_ways(pens, &fact);
    nilai_population_destroy(population);
}

/* Goal: by stencil come the very bytes that the encoder writes.
 * Method: all facts of populations at times of every width, both ways; amounts and numbers of every
 * length besides. */
TEST(stencils_write_what_the_encoder_writes)
{
    const struct pens pens = {nilai_encoder_create(NILAI_FORMAT_MSGPACK), nilai_fact_stencils_create()};
    uint64_t seed = test_seed(6);
    CHECK(pens.encoder != NULL && pens.stencils != NULL);
    check_population(&pens, seed, 0, NILAI_DAY_MS);
    check_population(&pens, seed, INT64_C(4294967296) - NILAI_DAY_MS, 2 * NILAI_DAY_MS);
    check_population(&pens, seed, INT64_C(1735689600000), 365 * (int64_t)NILAI_DAY_MS);
    for (uint64_t serial = 0; serial < 30000; serial++) {
        const struct nilai_fact fact = {
            .serial = serial << (serial % 26),
            .ts_ms = (int64_t)(next_random(&seed) >> (16 + serial % 48)),
            .opened_ms = (int64_t)(next_random(&seed) >> (16 + serial % 48)),
            .amount = exp(30 * next_uniform(&seed) - 5),
            .satisfaction = (float)next_uniform(&seed),
            .customer = (uint32_t)(serial % style.customers),
            .handle_s = (uint32_t)(next_random(&seed) >> (32 + serial % 32)),
            .ticket = (uint16_t)next_random(&seed),
            .type = (uint8_t)(serial % NILAI_EVENT_TYPES),
            .status = (uint8_t)(next_random(&seed) % NILAI_TICKET_STATUSES),
            .kind = (uint8_t)(next_random(&seed) % NILAI_TICKET_KINDS),
            .factor = (uint8_t)(next_random(&seed) % NILAI_FACTORS),
            .metric = (uint8_t)(next_random(&seed) % NILAI_METRICS),
        };
        check_both_ways(&pens, &fact);
    }
    nilai_encoder_destroy(pens.encoder);
    nilai_stencils_destroy(pens.stencils);
}

/* Goal: an event says whose it is and which one, to the last digit.
 * Method: numbers of every length, against printf. */
TEST(numbers_are_written_as_printf_does)
{
    const struct pens pens = {nilai_encoder_create(NILAI_FORMAT_MSGPACK), nilai_fact_stencils_create()};
    uint64_t seed = test_seed(7);
    CHECK(pens.encoder != NULL && pens.stencils != NULL);
    for (int i = 0; i < 100000; i++) {
        const struct nilai_fact fact = {
            .type = NILAI_PURCHASE,
            .serial = next_random(&seed) >> (24 + i % 40),
            .customer = (uint32_t)(next_random(&seed) >> (32 + i % 32)),
        };
        char customer[16], order[16], key[NILAI_FACT_CUSTOMER_SIZE];
        const char *data;
        size_t size;
        snprintf(customer, sizeof customer, "c%010u", fact.customer);
        snprintf(order, sizeof order, "o%010llx", (unsigned long long)fact.serial);
        nilai_fact_customer(fact.customer, key);
        nilai_fact_trace(&fact, &style, pens.stencils, &data, &size);
        CHECK(memcmp(key, customer, sizeof key) == 0);
        CHECK(memmem(data, size, customer, strlen(customer)) != NULL);
        CHECK(memmem(data, size, order, strlen(order)) != NULL);
    }
    nilai_encoder_destroy(pens.encoder);
    nilai_stencils_destroy(pens.stencils);
}
