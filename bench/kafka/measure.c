#include "measure.h"

#include <dirent.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "nilai/base/clock.h"

enum { THREADS_MAX = 4096, LOOK_MS = 20, FIELDS_SIZE = 4096, PATIENCE_MS = 240000 };

#ifdef __clang__
#define COMPILER "clang"
#else
#define COMPILER "gcc"
#endif

enum role { BROKER, LIBRARY, WORK, REST, ROLES };

static const char *const role_names[ROLES] = {"broker", "library", "work", "rest"};

/* What was last seen of one thread. */
struct seen {
    int id;
    enum role role;
    uint64_t cpu_ns, before_ns; /* the mark */
};

static struct {
    pthread_t thread;
    bool main_works, watching;
    _Atomic int own_id;
    _Atomic bool stopping;
    pthread_mutex_t lock; /* of what follows */
    size_t count;
    struct seen seen[THREADS_MAX];
    uint64_t before_ns, own_before_ns; /* the mark: of the process, and of our own thread */
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

static char fields[FIELDS_SIZE];

void bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(NILAI_EXIT_BUG); /* without waiting for threads that may never end */
}

bool bench_begin(const struct nilai_command *command, int argc, char **argv,
                 struct nilai_options *options, struct nilai_config *config, int *exit_code)
{
    signal(SIGPIPE, SIG_IGN);
    if (!nilai_options_parse(options, command, argc, argv, exit_code))
        return false;
    if (nilai_options_configure(options, config) == NILAI_OK)
        return true;
    *exit_code = nilai_options_fail(options);
    return false;
}

void bench_find_input(const struct nilai_config *config, bool emulated,
                      const char *topics[NILAI_INPUT_TOPICS_MAX], struct nilai_kafka_layout *layout)
{
    struct nilai_error error;
    for (size_t topic = 0; topic < config->input_topic_count; topic++)
        topics[topic] = config->input_topics[topic];
    if (nilai_kafka_admin_prepare(
            &(struct nilai_kafka_admin_options){
                .kafka = config->kafka,
                .kafka_count = config->kafka_count,
                .inputs = topics,
                .input_count = (uint32_t)config->input_topic_count,
                .emulated = emulated,
                .timeout_ms = PATIENCE_MS,
            },
            layout, &error)
        != NILAI_OK)
        bench_fail("%s", error.text);
}

/* --- Threads ---------------------------------------------------------------------------- */

static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    bool read = file != NULL && fgets(line, (int)size, file) != NULL;
    if (file != NULL)
        fclose(file);
    return read;
}

/* librdkafka names its threads rdk:main, rdk:broker-1, ...; ours keep the program's name. */
static enum role role_of(int id)
{
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", id);
    (void)read_line(path, name, sizeof name);
    if (strncmp(name, "rdk:broker", 10) == 0)
        return BROKER;
    if (strncmp(name, "rdk:", 4) == 0)
        return LIBRARY;
    return id == getpid() && !watch.main_works ? REST : WORK;
}

static struct seen *find(int id)
{
    for (size_t i = 0; i < watch.count; i++)
        if (watch.seen[i].id == id)
            return &watch.seen[i];
    if (watch.count == THREADS_MAX)
        bench_fail("more than %d threads", THREADS_MAX);
    watch.seen[watch.count] = (struct seen){.id = id};
    return &watch.seen[watch.count++];
}

/* A thread gets its name only after it has begun, so the role is asked for every time. */
static void look_at(int id)
{
    char path[64], line[128];
    uint64_t cpu_ns;
    snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", id);
    if (id == watch.own_id || !read_line(path, line, sizeof line)
        || sscanf(line, "%" SCNu64, &cpu_ns) != 1)
        return;
    struct seen *seen = find(id);
    seen->role = role_of(id);
    seen->cpu_ns = cpu_ns;
}

/* Under the lock. */
static void look_at_all(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    while (tasks != NULL && (entry = readdir(tasks)) != NULL)
        if (entry->d_name[0] != '.')
            look_at(atoi(entry->d_name));
    if (tasks != NULL)
        closedir(tasks);
}

static void look(void)
{
    pthread_mutex_lock(&watch.lock);
    look_at_all();
    pthread_mutex_unlock(&watch.lock);
}

static void *run(void *context)
{
    (void)context;
    watch.own_id = (int)syscall(SYS_gettid);
    while (!atomic_load(&watch.stopping)) {
        look();
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
    }
    look();
    return (void *)(uintptr_t)nilai_clock_thread_cpu_ns();
}

void bench_watch(bool main_works)
{
    watch.main_works = main_works;
    if (pthread_create(&watch.thread, NULL, run, NULL) != 0)
        bench_fail("a thread cannot be started");
    watch.watching = true;
}

static uint64_t cpu_of(clockid_t clock)
{
    struct timespec used;
    if (clock_gettime(clock, &used) != 0)
        bench_fail("a thread's CPU time cannot be read");
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

void bench_mark(void)
{
    clockid_t own;
    NILAI_ASSERT(watch.watching);
    if (pthread_getcpuclockid(watch.thread, &own) != 0)
        bench_fail("a thread's CPU time cannot be read");
    pthread_mutex_lock(&watch.lock);
    look_at_all();
    for (size_t i = 0; i < watch.count; i++)
        watch.seen[i].before_ns = watch.seen[i].cpu_ns;
    watch.before_ns = cpu_of(CLOCK_PROCESS_CPUTIME_ID);
    watch.own_before_ns = cpu_of(own);
    pthread_mutex_unlock(&watch.lock);
}

/* --- The report ------------------------------------------------------------------------- */

static void add_field(const char *name, const char *value)
{
    size_t used = strlen(fields);
    int size = snprintf(fields + used, sizeof fields - used, ",\"%s\":%s", name, value);
    if (size < 0 || used + (size_t)size >= sizeof fields)
        bench_fail("a report has no more than %d bytes", FIELDS_SIZE);
}

void bench_report_count(const char *name, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    add_field(name, text);
}

void bench_report_real(const char *name, double value)
{
    char text[400];
    snprintf(text, sizeof text, "%.6f", value);
    add_field(name, text);
}

void bench_report_text(const char *name, const char *value)
{
    char text[400];
    if (snprintf(text, sizeof text, "\"%s\"", value) >= (int)sizeof text)
        bench_fail("a text is too long");
    add_field(name, text);
}

static void report_cpu(void)
{
    uint64_t all_ns = cpu_of(CLOCK_PROCESS_CPUTIME_ID), known_ns = 0, by_role[ROLES] = {0};
    void *own = NULL;
    atomic_store(&watch.stopping, true);
    pthread_join(watch.thread, &own);
    all_ns -= watch.before_ns;
    uint64_t own_ns = (uint64_t)(uintptr_t)own - watch.own_before_ns;
    all_ns -= own_ns < all_ns ? own_ns : all_ns;
    for (size_t i = 0; i < watch.count; i++) {
        uint64_t cpu_ns = watch.seen[i].cpu_ns - watch.seen[i].before_ns;
        by_role[watch.seen[i].role] += cpu_ns;
        known_ns += cpu_ns;
    }
    for (int role = 0; role < ROLES; role++) {
        char name[32];
        snprintf(name, sizeof name, "cpu_%s_ns", role_names[role]);
        bench_report_count(name, by_role[role]);
    }
    bench_report_count("cpu_ended_ns", all_ns > known_ns ? all_ns - known_ns : 0);
    bench_report_count("cpu_ns", all_ns > known_ns ? all_ns : known_ns);
}

/* Resident now, and at most; kB in the file. */
static void report_memory(void)
{
    char line[256];
    uint64_t kbytes;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmRSS: %" SCNu64, &kbytes) == 1)
            bench_report_count("rss_bytes", kbytes * 1024);
        else if (sscanf(line, "VmHWM: %" SCNu64, &kbytes) == 1)
            bench_report_count("rss_max_bytes", kbytes * 1024);
    }
    if (file != NULL)
        fclose(file);
}

void bench_report_end(void)
{
    report_memory();
    bench_report_text("nilai", NILAI_VERSION);
    bench_report_text("librdkafka", rd_kafka_version_str());
    bench_report_text("compiler", COMPILER " " __VERSION__);
    if (watch.watching)
        report_cpu();
    printf("{%s}\n", fields[0] == ',' ? fields + 1 : fields);
    if (fflush(stdout) != 0)
        bench_fail("standard output is closed");
    fields[0] = '\0';
}

/* --- Waiting ---------------------------------------------------------------------------- */

/* `rung` keeps all but the first of many rings away from the kernel. It is taken back before the
 * waiter looks for work, so a ring that comes later is never lost. */
struct bench_bell {
    _Atomic bool rung;
    int event;
};

struct bench_bell *bench_bell_create(void)
{
    struct bench_bell *bell = calloc(1, sizeof *bell);
    if (bell == NULL || (bell->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        bench_fail("no event");
    return bell;
}

void bench_bell_ring(void *context)
{
    struct bench_bell *bell = context;
    if (!atomic_exchange(&bell->rung, true) && eventfd_write(bell->event, 1) != 0)
        bench_fail("the event is broken");
}

void bench_bell_wait(struct bench_bell *bell, int timeout_ms)
{
    struct pollfd waiting = {.fd = bell->event, .events = POLLIN};
    eventfd_t count;
    if (poll(&waiting, 1, timeout_ms) > 0)
        (void)eventfd_read(bell->event, &count);
    atomic_store(&bell->rung, false);
}
