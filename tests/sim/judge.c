#include "judge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One message in the order of its kind. */
struct entry {
    const struct sim_message *message;
    enum nilai_output_topic topic;
    size_t place;
};

struct list {
    struct entry *entries;
    size_t count, room;
};

static void add(struct list *list, enum nilai_output_topic topic,
                const struct sim_message *message)
{
    if (list->count == list->room) {
        list->room = 2 * list->room + 256;
        list->entries = reallocarray(list->entries, list->room, sizeof *list->entries);
        SIM_CHECK(list->entries != NULL);
    }
    list->entries[list->count] = (struct entry){message, topic, list->count};
    list->count++;
}

static int compare_bytes(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t size = a_size < b_size ? a_size : b_size;
    int order = a == NULL || b == NULL ? (a != NULL) - (b != NULL) : memcmp(a, b, size);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* Without the text that says how far in the future an event lies, as seen at the time. */
static size_t headers_size(const struct sim_message *message)
{
    const char *text = strstr(message->headers, "__connect.errors.exception.message");
    return text == NULL ? strlen(message->headers) : (size_t)(text - message->headers);
}

static int compare_content(const struct sim_message *a, const struct sim_message *b)
{
    int order = compare_bytes(a->value, a->value_size, b->value, b->value_size);
    return order != 0 ? order
                      : compare_bytes(a->headers, headers_size(a), b->headers, headers_size(b));
}

/* Changes of a customer stay in their order; dead letters have none. */
static int by_customer(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->topic != b->topic)
        return a->topic < b->topic ? -1 : 1;
    int order = compare_bytes(a->message->key, a->message->key_size, b->message->key,
                              b->message->key_size);
    if (order == 0 && a->topic == NILAI_OUTPUT_DEAD_LETTER)
        order = compare_content(a->message, b->message);
    return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

static void sort(struct list *list)
{
    if (list->count > 0)
        qsort(list->entries, list->count, sizeof *list->entries, by_customer);
}

static bool is_judged(enum nilai_output_topic topic)
{
    return topic == NILAI_OUTPUT_CHURN_RISK || topic == NILAI_OUTPUT_VALUE_SEGMENT
           || topic == NILAI_OUTPUT_DEAD_LETTER;
}

static void read_outputs(struct sim_broker *broker, struct list *list)
{
    for (int topic = 0; topic < NILAI_OUTPUT_TOPICS; topic++) {
        for (int partition = 0; partition < broker->partition_count && is_judged(topic);
             partition++) {
            const struct sim_record *record;
            struct sim_log *log = &broker->outputs[topic][partition];
            for (int64_t offset = 0; (record = sim_log_read(log, &offset)) != NULL; offset++)
                add(list, topic, &record->message);
        }
    }
}

static void read_references(struct sim_broker *broker, struct sim_reference *const *references,
                            struct list *list)
{
    for (int partition = 0; partition < broker->partition_count; partition++) {
        for (size_t index = 0; index < sim_reference_count(references[partition]); index++) {
            const struct sim_expected *expected
                = sim_reference_message(references[partition], index);
            add(list, expected->topic, &expected->message);
        }
    }
}

static bool same_kind(const struct entry *a, const struct entry *b)
{
    return a->topic == b->topic
           && compare_bytes(a->message->key, a->message->key_size, b->message->key,
                            b->message->key_size)
                  == 0;
}

static bool same(const struct entry *a, const struct entry *b)
{
    return same_kind(a, b) && compare_content(a->message, b->message) == 0;
}

static const char *value_of(const struct entry *entry)
{
    return entry == NULL ? "(nothing)" : entry->message->value;
}

static const char *headers_of(const struct entry *entry)
{
    return entry == NULL ? "" : entry->message->headers;
}

static _Noreturn void tell_difference(const struct list *seen, size_t at,
                                      const struct list *expected, size_t wanted)
{
    const struct entry *a = at < seen->count ? &seen->entries[at] : NULL;
    const struct entry *b = wanted < expected->count ? &expected->entries[wanted] : NULL;
    const struct entry *before = at > 0 ? &seen->entries[at - 1] : NULL;
    sim_fail("published: %s\n%s expected: %s\n%s   before: %s\n%s", value_of(a), headers_of(a),
             value_of(b), headers_of(b), value_of(before), headers_of(before));
}

/* Whether an entry that is not the next expected one may be there: it repeats an earlier one of
 * the same customer, or nobody accounted for it. */
static bool may_be_extra(const struct list *seen, size_t at, enum sim_rule rule)
{
    if (rule != SIM_REPEAT)
        return rule == SIM_WITHIN;
    for (size_t before = at; before-- > 0 && same_kind(&seen->entries[before], &seen->entries[at]);) {
        if (same(&seen->entries[before], &seen->entries[at]))
            return true;
    }
    return false;
}

static void compare(const struct list *seen, const struct list *expected, enum sim_rule rule,
                    struct sim_verdict *verdict)
{
    size_t wanted = 0;
    for (size_t at = 0; at < seen->count; at++) {
        if (wanted < expected->count && same(&seen->entries[at], &expected->entries[wanted])) {
            wanted++;
            continue;
        }
        if (!may_be_extra(seen, at, rule))
            tell_difference(seen, at, expected, wanted);
        verdict->repeated++;
    }
    if (wanted < expected->count)
        tell_difference(seen, seen->count, expected, wanted);
}

void sim_judge_outputs(struct sim_broker *broker, struct sim_reference *const *references,
                       enum sim_rule rule, struct sim_verdict *verdict)
{
    struct list seen = {0}, expected = {0};
    read_outputs(broker, &seen);
    read_references(broker, references, &expected);
    sort(&seen);
    sort(&expected);
    compare(&seen, &expected, rule, verdict);
    for (size_t index = 0; index < expected.count; index++) {
        verdict->dead_letters += expected.entries[index].topic == NILAI_OUTPUT_DEAD_LETTER;
        verdict->changes += expected.entries[index].topic != NILAI_OUTPUT_DEAD_LETTER;
    }
    free(seen.entries);
    free(expected.entries);
}

/* --- Chains --------------------------------------------------------------------------------- */

static uint64_t seq_of(const struct entry *entry)
{
    const char *text = strstr(entry->message->value, "\"seq\":");
    SIM_CHECK(text != NULL);
    return strtoull(text + strlen("\"seq\":"), NULL, 10);
}

/* By customer, then as they were counted; the place is the count here. */
static int by_seq(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    int order = compare_bytes(a->message->key, a->message->key_size, b->message->key,
                              b->message->key_size);
    return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

static struct nilai_text between(const struct entry *entry, const char *from, const char *to)
{
    const char *begin = strstr(entry->message->value, from);
    const char *end = begin != NULL ? strstr(begin, to) : NULL;
    SIM_CHECK(end != NULL);
    begin += strlen(from);
    return (struct nilai_text){begin, (uint32_t)(end - begin)};
}

static struct nilai_text from_of(const struct entry *entry)
{
    return between(entry, "\"from\":", ",\"to\":");
}

static struct nilai_text to_of(const struct entry *entry)
{
    return between(entry, ",\"to\":",
                   entry->topic == NILAI_OUTPUT_CHURN_RISK ? ",\"risk\":" : ",\"net_year\":");
}

static void check_link(const struct entry *before, const struct entry *entry)
{
    struct nilai_text to = to_of(before), from = from_of(entry);
    if (compare_bytes(to.data, to.size, from.data, from.size) != 0)
        sim_fail("a change does not begin where the one before has ended: %s\n%s",
                 value_of(before), value_of(entry));
}

/* Of one customer, in the order of seq. */
static void check_chain(const struct entry *entries, size_t count)
{
    const struct entry *last[NILAI_OUTPUT_TOPICS] = {0};
    for (size_t index = 0; index < count; index++) {
        const struct entry *entry = &entries[index];
        if (entry->place != index + 1)
            sim_fail("%s: after seq %zu comes %zu: %s", entry->message->key, index, entry->place,
                     value_of(entry));
        if (last[entry->topic] != NULL)
            check_link(last[entry->topic], entry);
        last[entry->topic] = entry;
    }
}

void sim_judge_chains(struct sim_broker *broker, struct sim_verdict *verdict)
{
    struct list seen = {0};
    size_t count = 0, next;
    read_outputs(broker, &seen);
    for (size_t index = 0; index < seen.count; index++) {
        if (seen.entries[index].topic == NILAI_OUTPUT_DEAD_LETTER)
            continue;
        seen.entries[count] = seen.entries[index];
        seen.entries[count].place = seq_of(&seen.entries[index]);
        count++;
    }
    if (count > 0)
        qsort(seen.entries, count, sizeof *seen.entries, by_seq);
    for (size_t first = 0; first < count; first = next) {
        for (next = first + 1; next < count; next++) {
            const struct sim_message *a = seen.entries[first].message;
            const struct sim_message *b = seen.entries[next].message;
            if (compare_bytes(a->key, a->key_size, b->key, b->key_size) != 0)
                break;
        }
        check_chain(&seen.entries[first], next - first);
    }
    verdict->changes = count;
    free(seen.entries);
}
