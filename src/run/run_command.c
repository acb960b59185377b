#include "nilai/run/run_command.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "nilai/base/log.h"
#include "nilai/run/options.h"
#include "nilai/run/server.h"

enum { LOOK_MS = 50, CONNECT_MIN_MS = 1000, CONNECT_MAX_MS = 3600 * 1000 };

static const struct nilai_option run_options[] = {
    {"exit-at-end", NULL, "stop once all input that is there at the start is processed"},
    {"connect-timeout", "DURATION", "how long to wait for the brokers at the start, default 30s"},
};

static const struct nilai_command run_command = {
    .name = "run",
    .configures = true,
    .summary = "events from Kafka in, changes to Kafka out",
    .description =
        "Reads the input topics as a member of the consumer group `group` and publishes each\n"
        "change of risk and value as it becomes true. Any number of processes may share the\n"
        "work; each needs an `instance` of its own.\n\n"
        "Delivery is exactly once: what an event causes and its offset become visible together,\n"
        "in a transaction; readers must read with isolation.level=read_committed. The setting\n"
        "`delivery` chooses at-least-once, which repeats some changes after a crash.\n"
        "State lives in memory and in a journal, the topic `state.topic`. A partition that starts, or\n"
        "moves here, loads images from it and takes the latest input again; what was published is\n"
        "not published again. The input must be kept for a few times `state.image_round_max`.\n\n"
        "With --exit-at-end the wall clock is not followed, no idle topic is passed over, and\n"
        "each process ends when the partitions that it was given are done.\n\n"
        "SIGTERM and SIGINT finish the work at hand, commit and leave; a second one ends at once.",
    .options = run_options,
    .option_count = NILAI_ARRAY_LEN(run_options),
};

static int exit_code_of(enum nilai_status status)
{
    switch (status) {
    case NILAI_OK: return NILAI_EXIT_OK;
    case NILAI_UNREACHABLE: return NILAI_EXIT_UNAVAILABLE;
    case NILAI_CONFIG:
    case NILAI_FULL: return NILAI_EXIT_CONFIG;
    default: return NILAI_EXIT_BUG;
    }
}

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    pthread_sigmask(SIG_BLOCK, set, NULL); /* threads started later inherit it */
    signal(SIGPIPE, SIG_IGN);
}

/* Waits until the server has ended, and tells it to when asked for. */
static void attend(struct nilai_server *server, const sigset_t *set)
{
    bool told = false;
    while (!nilai_server_has_ended(server)) {
        int signal_number =
            sigtimedwait(set, NULL, &(struct timespec){.tv_nsec = LOOK_MS * 1000000L});
        if (signal_number < 0)
            continue;
        if (told)
            _exit(128 + signal_number);
        told = true;
        nilai_log(NILAI_LOG_INFO, "stopping; a second signal ends at once");
        nilai_server_stop(server);
    }
}

static enum nilai_status serve(const struct nilai_server_options *options, const sigset_t *set,
                               struct nilai_error *error)
{
    struct nilai_server *server;
    enum nilai_status status = nilai_server_create(options, &server, error);
    if (status != NILAI_OK)
        return status;
    status = nilai_server_start(server, error);
    if (status == NILAI_OK)
        attend(server, set);
    struct nilai_error ending;
    enum nilai_status ended = nilai_server_destroy(server, &ending);
    if (status == NILAI_OK && ended != NILAI_OK) {
        status = ended;
        *error = ending;
    }
    return status;
}

int nilai_run_main(int argc, char **argv)
{
    struct nilai_options options;
    struct nilai_error error;
    int exit_code;
    int64_t connect_ms = NILAI_SERVER_CONNECT_MS;
    sigset_t set;

    if (!nilai_options_parse(&options, &run_command, argc, argv, &exit_code))
        return exit_code;
    struct nilai_config *config = calloc(1, sizeof *config);
    NILAI_ASSERT(config != NULL);
    if (nilai_options_duration(&options, "connect-timeout", CONNECT_MIN_MS, CONNECT_MAX_MS,
                               &connect_ms)
            != NILAI_OK
        || nilai_options_configure(&options, config) != NILAI_OK) {
        free(config);
        return nilai_options_fail(&options);
    }
    block_signals(&set);
    enum nilai_status status = serve(
        &(struct nilai_server_options){.config = config,
                                       .exit_at_end = nilai_options_has(&options, "exit-at-end"),
                                       .connect_timeout_ms = (int)connect_ms},
        &set, &error);
    if (status != NILAI_OK)
        nilai_log(NILAI_LOG_ERROR, "%s", error.text);
    free(config);
    return exit_code_of(status);
}
