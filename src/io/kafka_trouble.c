#include "kafka_trouble.h"

#include <stdio.h>

#include "kafka_report.h"

static bool is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL
           || code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
}

void nilai_kafka_trouble_note(struct nilai_kafka_trouble *trouble, rd_kafka_resp_err_t code,
                              const char *text)
{
    bool known = trouble->code != RD_KAFKA_RESP_ERR_NO_ERROR;
    if ((known && code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        || (is_refusal(trouble->code) && !is_refusal(code)))
        return;
    trouble->code = code;
    snprintf(trouble->text, sizeof trouble->text, "%.*s", (int)nilai_kafka_report_useful(text),
             text);
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
