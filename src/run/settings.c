#include "nilai/run/setting.h"

#include "nilai/run/config.h"

#include <assert.h>

/* The table. Order is the order of the sample file: settings of one section stand together. */

#define AT(field) offsetof(struct nilai_config, field)
#define ROW(name, type, field, ...) \
    {.path = name, .kind = NILAI_SETTING_##type, .offset = AT(field), __VA_ARGS__}
#define TEXT(name, field, value, ...) \
    ROW(name, TEXT, field, .size = NILAI_CONFIG_TEXT_SIZE, .fallback = value, __VA_ARGS__)
#define TOPIC(name, field, value, ...) ROW(name, TOPIC, field, .fallback = value, __VA_ARGS__)
#define CHOICE(name, field, list, value, ...) \
    ROW(name, CHOICE, field, .choices = list, .fallback = value, __VA_ARGS__)
#define BOOL(name, field, value, ...) ROW(name, BOOL, field, .fallback = value, __VA_ARGS__)
#define RANGE(name, type, field, least, most, ...) \
    ROW(name, type, field, .min = least, .max = most, __VA_ARGS__)
/* The default of these is the model's. */
#define NUMBER(name, field, least, most, text) \
    RANGE(name, NUMBER, model.field, least, most, .help = text)
#define BETWEEN(name, field, least, most, text) \
    RANGE(name, NUMBER, model.field, least, most, .open = true, .help = text)
#define WEIGHT(name, signal, text) NUMBER("model.signals." name, weights[signal], -10, 10, text)

#define SECOND_MS 1e3
#define MINUTE_MS 60e3
#define HOUR_MS 3600e3
#define DAY_MS 86400e3
#define CENTURY_MS (36500 * DAY_MS)

/* By the values of the enums. */
static const char *const input_formats[] = {"msgpack", "json", "auto", NULL};
static const char *const output_formats[] = {"msgpack", "json", NULL};
static const char *const deliveries[] = {"exactly-once", "at-least-once", NULL};
static const char *const log_levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static_assert(NILAI_FORMAT_MSGPACK == 0 && NILAI_FORMAT_JSON == 1 && NILAI_FORMAT_AUTO == 2,
              "the order of input_formats");
static_assert(NILAI_EXACTLY_ONCE == 0 && NILAI_AT_LEAST_ONCE == 1, "the order of deliveries");
static_assert(NILAI_LOG_DEBUG == 0 && NILAI_LOG_ERROR == 3, "the order of log_levels");
static_assert(NILAI_LOG_TEXT == 0 && NILAI_LOG_JSON == 1, "the order of log_formats");
static_assert(sizeof(enum nilai_format) == sizeof(int), "choices are read and written as int");

const struct nilai_setting nilai_settings[] = {
    TEXT("group", group, "nilai",
         .help = "The consumer group. Processes of one group share the partitions; it is also how "
                 "transactional ids begin."),
    TEXT("instance", instance, "", .automatic = "the host name",
         .help = "What this process is called within the group. It must stay the same over "
                 "restarts, so that a restart moves no partitions, and differ between processes."),
    RANGE("workers", COUNT, workers, 1, NILAI_CONFIG_WORKERS_MAX, .fallback = "auto",
          .automatic = "the number of processors", .help = "Threads that process partitions."),

    ROW("input.topics", TOPICS, input_topics, .fallback = "purchases,support-tickets,surveys",
        .help = "What is read. Every topic may carry every type of event; all must have the same "
                "number of partitions and the same partitioner. Of events of one time, that of the "
                "topic named first comes first."),
    CHOICE("input.format", input_format, input_formats, "msgpack",
           .help = "How events are written; auto looks at the first byte of each."),

    TOPIC("output.topics.churn_risk", churn_risk_topic, "nilai.churn-risk",
          .help = "Changes of a customer's risk band."),
    TOPIC("output.topics.value_segment", value_segment_topic, "nilai.value-segment",
          .help = "Changes of a customer's segment, tier or of being unprofitable."),
    TOPIC("output.topics.customers", customers_topic, "nilai.customers",
          .help = "The latest state of each customer, for a compacted topic."),
    TOPIC("output.topics.dead_letter", dead_letter_topic, "nilai.dead-letter",
          .help = "Events that cannot be used, unchanged, with the reason."),
    BOOL("output.customers", customers_feed, "false",
         .help = "Whether output.topics.customers is written."),
    CHOICE("output.format", output_format, output_formats, "json",
           .help = "How published values are written."),
    TEXT("output.source", output_source, "nilai",
         .help = "The CloudEvents attribute ce_source of published messages."),

    RANGE("state.memory_max", SIZE, memory_max_bytes, 0x1p20, 0x1p46, .fallback = "auto",
          .automatic = "half of the machine's memory",
          .help = "The most memory that the customers of this process may take."),
    TOPIC("state.topic", state_topic, "nilai.state",
          .help = "The journal, from which partitions are restored. It needs as many partitions as "
                  "the input topics, cleanup.policy=delete, and no retention: the program deletes "
                  "what it does not need any more."),
    RANGE("state.image_ratio", NUMBER, image_ratio, 0.01, 100, .fallback = "0.5",
          .help = "Bytes of customers' images that the journal gets per byte of input: more makes "
                  "it shorter and a restart faster, and costs writing."),
    RANGE("state.image_round_max", DURATION, image_round_max_ms, SECOND_MS, 30 * DAY_MS,
          .fallback = "10m",
          .help = "Time within which every customer is written to the journal once when anything "
                  "changed, even with little input."),

    CHOICE("delivery", delivery, deliveries, "exactly-once",
           .help = "exactly-once publishes in transactions, for readers with read_committed; "
                   "at-least-once does without, and may repeat changes after a crash."),
    RANGE("commit.interval", DURATION, commit_interval_ms, 1, 10 * SECOND_MS, .fallback = "100ms",
          .help = "Time between two commits: with exactly-once the delay of what is published, "
                  "against the cost of committing."),

    BOOL("topics.create", topics_create, "false",
         .help = "Whether missing topics are created at the start; otherwise they are an error."),
    RANGE("topics.replication", COUNT, topics_replication, 1, 100, .fallback = "3",
          .help = "Copies of each topic that is created."),

    RANGE("merge.max_idle", DURATION, merge_max_idle_ms, 0, HOUR_MS, .fallback = "500ms",
          .help = "How long the next event of a topic that has more to come is waited for before "
                  "those of the other topics go first."),

    RANGE("time.day_offset", INTEGER, model.day_offset_s, -86400, 86400,
          .help = "Seconds from UTC: when the business's day begins. 25200 is Jakarta's (UTC+7)."),
    RANGE("time.max_future", DURATION, max_future_ms, 0, CENTURY_MS, .fallback = "5m",
          .help = "An event later than the wall clock by more than this is bad."),
    BOOL("time.follow_wall_clock", follow_wall_clock, "true",
         .help = "Whether deadlines fire by the wall clock once all input is read to its end; "
                 "otherwise only events move time."),

    RANGE("erase.remember", DURATION, erase_remember_ms, 0, CENTURY_MS, .fallback = "30d",
          .help = "How long a hash of an erased customer's id is kept, so that late events do "
                  "not bring them back."),

    ROW("currency.base", CURRENCY, model.currency,
        .help = "The currency of all results. Currencies without a rate are bad events."),

    RANGE("value.margin", NUMBER, model.margin, 0, 1,
          .help = "The margin of purchases that state no cost, and of customers without sales."),
    BETWEEN("value.scale", value_scale, 0, 1e9,
            "Units of the base currency that buy what one US dollar did in the data the "
            "defaults were fitted to."),
    NUMBER("value.cost_per_hour", cost_per_hour, 0, 1e9, "Cost of an hour spent on a ticket."),
    NUMBER("value.cuts.a", cut_a, 0, 1e12, "Least expected yearly value of tier A, and of vip."),
    NUMBER("value.cuts.b", cut_b, 0, 1e12, "Least expected yearly value of tier B."),
    NUMBER("value.cuts.c", cut_c, 0, 1e12, "Least expected yearly value of tier C; D is below."),

    RANGE("alerts.one_time_high", BOOL, model.one_time_high, 0, 0,
          .help = "Whether customers with a single purchase day can be at high risk."),
    BETWEEN("alerts.medium.up", medium_up, 0, 1, "Risk from which a customer becomes medium."),
    BETWEEN("alerts.medium.down", medium_down, 0, 1, "Risk below which a customer is low again."),
    BETWEEN("alerts.high.up", high_up, 0, 1, "Risk from which a customer becomes high."),
    BETWEEN("alerts.high.down", high_down, 0, 1, "Risk below which a customer is no longer high."),
    NUMBER("alerts.cause_min", cause_min, 0, 100,
           "Log odds of service signals that count as a present cause for high."),

    ROW("model.name", TEXT, model.name, .size = sizeof((struct nilai_model *)0)->name,
        .help = "The model's name in published messages."),
    NUMBER("model.rhythm.r", rhythm.r, 0.01, 1e6,
           "Purchase rates: shape of their gamma distribution."),
    NUMBER("model.rhythm.alpha", rhythm.alpha, 0.01, 1e6, "Purchase rates: scale, in days."),
    BETWEEN("model.rhythm.a", rhythm.a, 0, 1e6, "Leaving: first parameter of its beta distribution."),
    BETWEEN("model.rhythm.b", rhythm.b, 0, 1e6, "Leaving: second parameter."),
    NUMBER("model.horizon_days", horizon_days, 0.01, 36500,
           "Risk is that of no purchase within so many days."),
    BETWEEN("model.spend.p", spend_p, 0, 1e6, "Spend per purchase day, Gamma-Gamma: p."),
    BETWEEN("model.spend.q", spend_q, 0, 1e6, "Spend per purchase day: q."),
    RANGE("model.spend.gamma", NUMBER, model.spend_gamma, 0, 1e12, .open = true,
          .automatic = "14.9837 x value.scale", .help = "Spend per purchase day: gamma."),
    NUMBER("model.risk.b0", risk_b0, -100, 100, "Log odds added to everybody's risk."),
    NUMBER("model.risk.bz", risk_bz, 0, 100, "Weight of the log odds of silence."),
    NUMBER("model.risk.bx", risk_bx, -100, 100, "Weight of ln(1 + repeat purchase days)."),
    BETWEEN("model.signals.half_life_days", half_life_days, 0, 36500,
            "Days in which a signal fades by half."),
    WEIGHT("complaint", NILAI_SIGNAL_COMPLAINT, "A complaint is opened."),
    WEIGHT("ticket", NILAI_SIGNAL_TICKET, "Another ticket is opened."),
    WEIGHT("resolved_late", NILAI_SIGNAL_RESOLVED_LATE, "A ticket is resolved after the sla."),
    WEIGHT("reopened", NILAI_SIGNAL_REOPENED, "A ticket is opened again."),
    WEIGHT("refund", NILAI_SIGNAL_REFUND, "A refund."),
    WEIGHT("nps_detractor", NILAI_SIGNAL_NPS_DETRACTOR, "NPS in the lower six tenths."),
    WEIGHT("nps_promoter", NILAI_SIGNAL_NPS_PROMOTER, "NPS in the upper tenth."),
    WEIGHT("csat_low", NILAI_SIGNAL_CSAT_LOW, "CSAT in the lower quarter."),
    WEIGHT("csat_high", NILAI_SIGNAL_CSAT_HIGH, "CSAT at its best."),
    WEIGHT("ces_hard", NILAI_SIGNAL_CES_HARD, "CES in the lower third."),
    WEIGHT("rating_low", NILAI_SIGNAL_RATING_LOW, "A rating in the lower quarter."),
    WEIGHT("rating_high", NILAI_SIGNAL_RATING_HIGH, "A rating at its best."),
    WEIGHT("perception_drift", NILAI_SIGNAL_PERCEPTION_DRIFT, "Answers drifted downwards."),
    WEIGHT("ticket_overdue", NILAI_SIGNAL_TICKET_OVERDUE, "A ticket is open for the sla or longer."),
    NUMBER("model.signals.recovery", recovery, 0, 10,
           "Share of a ticket's opening weight that resolving it in time takes back."),
    NUMBER("model.signals.forgive", forgive, 0, 1,
           "Share of the support signals that is left after a purchase."),
    RANGE("model.signals.sla", DURATION, model.sla_ms, SECOND_MS, CENTURY_MS,
          .help = "Time within which a ticket should be resolved."),
    RANGE("model.signals.overdue_max", DURATION, model.overdue_max_ms, SECOND_MS, CENTURY_MS,
          .help = "Age from which an open ticket's weight fades: its end may have got lost."),
    NUMBER("model.signals.cap_support", cap_support, 0, 100, "Most that support signals weigh."),
    NUMBER("model.signals.cap_survey", cap_survey, 0, 100, "Most that survey signals weigh."),

    CHOICE("log.level", log_level, log_levels, "info", .help = "The least that is logged."),
    CHOICE("log.format", log_format, log_formats, "text",
           .help = "Lines for people, or JSON lines for machines."),
};

const size_t nilai_setting_count = NILAI_ARRAY_LEN(nilai_settings);
