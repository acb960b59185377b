#include "kafka_trouble.h"

#include <stdio.h>
#include <string.h>

static bool is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL
           || code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
}

/* What follows is of no use to a person: less advice than ours, how long it took, how often. */
static size_t useful_size(const char *text)
{
    static const char *const ends[] = {": broker certificate could not be verified", " (after "};
    size_t size = strlen(text);
    for (size_t index = 0; index < NILAI_ARRAY_LEN(ends); index++) {
        const char *at = strstr(text, ends[index]);
        if (at != NULL && (size_t)(at - text) < size)
            size = (size_t)(at - text);
    }
    return size;
}

void nilai_kafka_trouble_note(struct nilai_kafka_trouble *trouble, rd_kafka_resp_err_t code,
                              const char *text)
{
    bool known = trouble->code != RD_KAFKA_RESP_ERR_NO_ERROR;
    if ((known && code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        || (is_refusal(trouble->code) && !is_refusal(code)))
        return;
    trouble->code = code;
    snprintf(trouble->text, sizeof trouble->text, "%.*s", (int)useful_size(text), text);
}

bool nilai_kafka_trouble_is_refusal(const struct nilai_kafka_trouble *trouble)
{
    return is_refusal(trouble->code);
}

enum nilai_status nilai_kafka_trouble_tell(const struct nilai_kafka_trouble *trouble,
                                           rd_kafka_resp_err_t code, const char *what,
                                           struct nilai_error *error)
{
    bool known = trouble->code != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (is_refusal(trouble->code))
        return nilai_error_set(error, NILAI_CONFIG, "kafka: %s%s", trouble->text,
                               nilai_kafka_client_advice(NILAI_KAFKA_ADMIN, trouble->code));
    return nilai_error_set(error, nilai_kafka_client_status(code), "kafka: %.160s: %s", what,
                           known ? trouble->text : rd_kafka_err2str(code));
}
