#include "nilai/run/message.h"
#include "test.h"

static struct nilai_model model(void)
{
    struct nilai_model made;
    nilai_model_defaults(&made);
    CHECK_EQ(nilai_model_prepare(&made, NULL), NILAI_OK);
    return made;
}

static struct nilai_effect effect_of(struct nilai_change change, const char *cause)
{
    struct nilai_effect effect = {.change = change, .by_event = cause != NULL};
    effect.customer_size = 2;
    memcpy(effect.customer, "c1", 2);
    if (cause != NULL) {
        effect.cause_size = (uint8_t)strlen(cause);
        memcpy(effect.cause, cause, effect.cause_size);
        effect.origin = (struct nilai_origin){.topic = 1, .partition = 7, .offset = 12345678901};
    }
    return effect;
}

static void check_json(const struct nilai_effect *effect, const char *expected)
{
    static const char *const topics[] = {"purchases", "support-tickets"};
    static struct nilai_model made;
    const char *data;
    size_t size;
    made = model();
    struct nilai_encoder *encoder = nilai_encoder_create(NILAI_FORMAT_JSON);
    nilai_encode_begin(encoder);
    nilai_message_encode_change(encoder, NULL, &made, effect, topics);
    CHECK_EQ(nilai_encode_end(encoder, &data, &size), NILAI_OK);
    CHECK_EQ(size, strlen(expected));
    CHECK(memcmp(data, expected, size) == 0);
    nilai_encoder_destroy(encoder);
}

/* Goal: a change of band is written as documented, byte by byte. */
TEST(a_change_of_band_is_written_as_documented)
{
    struct nilai_change change = {
        .is_band = true, .seq = 3, .at_ms = 1767571200000, .eta = -0.00001, .risk = 0.7,
        .from = {.band = NILAI_BAND_MEDIUM}, .to = {.band = NILAI_BAND_HIGH}, .silence_days = 45.25,
        .gap_days = 12.3, .repeat_days = 6, .span_days = 100, .value_at_risk = 61.302,
        .reason_count = 1, .reasons = {{.code = NILAI_SIGNAL_COMPLAINT, .points = 0.41}}};
    struct nilai_effect effect = effect_of(change, NULL);
    check_json(&effect,
               "{\"v\":1,\"customer\":\"c1\",\"seq\":3,\"at\":1767571200000,\"cause\":{\"type\":\"timer\"},"
               "\"from\":\"medium\",\"to\":\"high\",\"risk\":0.7000,\"eta\":0.0000,\"reasons\":[{\"code\":"
               "\"complaint\",\"points\":0.4100,\"text\":\"Complained; this now weighs +0.41.\"}],"
               "\"silence_days\":45.2500,\"repeat_days\":6,\"value_at_risk\":\"61.3020\","
               "\"currency\":\"USD\",\"model\":\"default\"}");
}

/* Goal: a change of value likewise, with its cause; the first has no `from`. */
TEST(a_change_of_value_is_written_as_documented)
{
    struct nilai_change change = {
        .first = true, .seq = 1, .at_ms = 0, .to = {.segment = NILAI_SEGMENT_NEW, .tier = NILAI_TIER_D},
        .net_year = -12345, .clv_365 = 12.99094, .purchase_days_year = 1};
    struct nilai_effect effect = effect_of(change, "e\"1");
    check_json(&effect,
               "{\"v\":1,\"customer\":\"c1\",\"seq\":1,\"at\":0,\"cause\":{\"type\":\"event\",\"id\":"
               "\"e\\\"1\",\"topic\":\"support-tickets\",\"partition\":7,\"offset\":12345678901},\"from\":null,"
               "\"to\":{\"segment\":\"new\",\"tier\":\"D\",\"unprofitable\":false},\"net_year\":\"-1.2345\","
               "\"clv_365\":\"12.9909\",\"purchase_days_year\":1,\"currency\":\"USD\",\"model\":\"default\"}");
}

/* Goal: CloudEvents headers name the change the same way whenever it is computed. */
TEST(headers_name_the_change)
{
    struct nilai_change change = {.is_band = true, .seq = 4294967295, .at_ms = 253402300799999};
    struct nilai_effect effect = effect_of(change, NULL);
    struct nilai_message_headers headers;
    nilai_message_change_headers(&effect, &headers);
    CHECK_EQ(headers.id_size, strlen("c1:253402300799999:4294967295"));
    CHECK(memcmp(headers.id, "c1:253402300799999:4294967295", headers.id_size) == 0);
    CHECK_TEXT(headers.type, "nilai.churn-risk.v1");
    CHECK_TEXT(headers.time, "9999-12-31T23:59:59.999Z");
}

static const char *encode_customer(struct nilai_encoder *encoder, const struct nilai_customer *customer,
                                   const struct nilai_service *service)
{
    static struct nilai_model made;
    static char text[4096];
    const char *data;
    size_t size;
    made = model();
    nilai_encode_begin(encoder);
    nilai_message_encode_customer(encoder, &made, (struct nilai_text){"c1", 2}, 1000000, customer, service);
    CHECK_EQ(nilai_encode_end(encoder, &data, &size), NILAI_OK);
    CHECK(size < sizeof text);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* Goal: the feed tells a customer who never bought by nulls, and one who did by numbers. */
TEST(the_feed_tells_what_is_known)
{
    static struct nilai_model made;
    struct nilai_encoder *encoder = nilai_encoder_create(NILAI_FORMAT_JSON);
    struct nilai_change changes[NILAI_CHANGES_PER_STEP];
    struct nilai_customer customer;
    uint32_t notes;
    made = model();
    nilai_customer_init(&customer, 0);
    customer.current_ms = customer.last_event_ms = 0;
    CHECK_TEXT(encode_customer(encoder, &customer, NULL),
               "{\"v\":1,\"customer\":\"c1\",\"at\":1000000,\"band\":null,\"risk\":null,\"eta\":null,"
               "\"reasons\":[],\"silence_days\":null,\"repeat_days\":null,\"segment\":null,\"tier\":null,"
               "\"unprofitable\":false,\"net_year\":\"0.0000\",\"clv_365\":null,\"value_at_risk\":null,"
               "\"purchase_days_year\":0,\"first_purchase_day\":null,\"last_purchase_day\":null,"
               "\"expected_gap_days\":null,\"open_tickets\":0,\"satisfaction\":{\"answers\":0,\"mean\":null},"
               "\"seq\":0,\"next_deadline\":null,\"model\":\"default\"}");

    struct nilai_event event = {.type = NILAI_PURCHASE, .ts_ms = 1000};
    event.purchase.amount = 120000;
    nilai_customer_apply(&made, &customer, NULL, &event, 1, &notes, changes);
    const char *text = encode_customer(encoder, &customer, NULL);
    CHECK(strstr(text, "\"band\":\"") != NULL && strstr(text, "\"segment\":\"new\"") != NULL);
    CHECK(strstr(text, "\"net_year\":\"12.0000\"") != NULL);
    CHECK(strstr(text, "\"first_purchase_day\":\"1970-01-01\"") != NULL);
    CHECK(strstr(text, "\"next_deadline\":null") == NULL);
    nilai_encoder_destroy(encoder);
}
