#include "nilai/run/config.h"
#include "nilai/run/options.h"
#include "test.h"

#include <unistd.h>

static const struct nilai_option rows[] = {
    {"until", "TS", "move the clock there"}, {"strict", NULL, "stop at the first bad line"},
    {"rate", "N", "events a second"},        {"share", "X", "a part of one"},
    {"span", "DURATION", "how long"},        {"format", "FORMAT", "json or msgpack"},
};
static const struct nilai_command command = {
    .name = "sail", .operands = "FILE [FILE]", .operands_min = 1, .operands_max = 2,
    .configures = true, .summary = "cross the sea", .options = rows,
    .option_count = NILAI_ARRAY_LEN(rows),
};

static struct nilai_options options;
static int exit_code;

/* Parses words that end with NULL; what is printed goes to a file that nobody reads. */
static bool parse(const char *const *words)
{
    char *argv[16];
    int argc = 0;
    for (; words[argc] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    fflush(stdout);
    fflush(stderr);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    CHECK(freopen("/dev/null", "w", stdout) != NULL && freopen("/dev/null", "w", stderr) != NULL);
    bool go_on = nilai_options_parse(&options, &command, argc, argv, &exit_code);
    fflush(stdout);
    fflush(stderr);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    return go_on;
}
#define PARSE(...) parse((const char *const[]){"sail", __VA_ARGS__, NULL})

static void check_says(const char *part)
{
    if (strstr(options.error.text, part) == NULL)
        fail_msg("`%s` does not say `%s`", options.error.text, part);
}

TEST(options_and_operands_are_told_apart)
{
    CHECK(PARSE("--until", "5", "a", "--strict", "--rate=7", "-", "-cx.yaml", "--set", "a=1",
                "--set=b=2"));
    CHECK_TEXT(nilai_options_text(&options, "until"), "5");
    CHECK_TEXT(nilai_options_text(&options, "rate"), "7");
    CHECK(nilai_options_has(&options, "strict"));
    CHECK(!nilai_options_has(&options, "span"));
    CHECK(nilai_options_text(&options, "span") == NULL);
    CHECK_TEXT(options.config_file, "x.yaml");
    CHECK_EQ(options.set_count, 2);
    CHECK_TEXT(options.sets[0], "a=1");
    CHECK_TEXT(options.sets[1], "b=2");
    CHECK_EQ(options.operand_count, 2);
    CHECK_TEXT(options.operands[0], "a");
    CHECK_TEXT(options.operands[1], "-");

    CHECK(PARSE("-c", "y.yaml", "--", "--until"));
    CHECK_TEXT(options.config_file, "y.yaml");
    CHECK_TEXT(options.operands[0], "--until");
    CHECK(PARSE("--config", "z.yaml", "--until=", "a"));
    CHECK_TEXT(options.config_file, "z.yaml");
    CHECK_TEXT(nilai_options_text(&options, "until"), "");
}

TEST(misuse_is_named_and_ends_with_64)
{
    static const struct {
        const char *words[6];
        const char *says;
    } faults[] = {
        {{"sail", "a", "--untl", "5"}, "there is no option --untl (did you mean --until?)"},
        {{"sail", "a", "--hepl"}, "there is no option --hepl (did you mean --help?)"},
        {{"sail", "a", "-x"}, "there is no option -x"},
        {{"sail", "a", "--until"}, "--until needs a value: TS"},
        {{"sail", "a", "-c"}, "-c needs a value: FILE"},
        {{"sail", "a", "--strict=1"}, "--strict takes no value"},
        {{"sail", "a", "--rate=1", "--rate=2"}, "--rate is given twice"},
        {{"sail", "a", "-cx", "--config=y"}, "--config is given twice"},
        {{"sail", "a", "b", "c"}, "`c` is one argument too many"},
        {{"sail", "--strict"}, "an argument is missing: FILE [FILE]"},
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(faults); i++) {
        CHECK(!parse(faults[i].words));
        CHECK_EQ(exit_code, 64);
        check_says(faults[i].says);
    }
}

TEST(help_and_version_are_answered_in_any_company)
{
    CHECK(!PARSE("--nonsense", "--help"));
    CHECK_EQ(exit_code, 0);
    CHECK(!PARSE("--version", "--rate"));
    CHECK_EQ(exit_code, 0);
    CHECK(PARSE("--", "--help"));
}

TEST(a_set_too_many_is_refused)
{
    char *argv[300] = {(char *)(uintptr_t)"sail", (char *)(uintptr_t)"a"};
    for (int i = 2; i < 300; i++)
        argv[i] = (char *)(uintptr_t)(i % 2 == 0 ? "--set" : "a=1");
    CHECK(!nilai_options_parse(&options, &command, 300, argv, &exit_code));
    CHECK_EQ(exit_code, 64);
    check_says("--set is given more than");
}

TEST(values_are_read_within_their_range)
{
    uint64_t rate = 1;
    double share = 0.5;
    int64_t until = -1, span = -1;
    int format = -1;
    static const char *const formats[] = {"json", "msgpack", NULL};

    CHECK(PARSE("a"));
    CHECK_EQ(nilai_options_count(&options, "rate", 1, 9, &rate), NILAI_OK);
    CHECK_EQ(nilai_options_number(&options, "share", 0, 1, &share), NILAI_OK);
    CHECK_EQ(nilai_options_time(&options, "until", &until), NILAI_OK);
    CHECK_EQ(nilai_options_duration(&options, "span", 0, 9, &span), NILAI_OK);
    CHECK_EQ(nilai_options_choice(&options, "format", formats, &format), NILAI_OK);
    CHECK(rate == 1 && share == 0.5 && until == -1 && span == -1 && format == -1);

    CHECK(PARSE("a", "--rate=9", "--share=0.25", "--until=2026-01-31", "--span=2d",
                "--format=msgpack"));
    CHECK_EQ(nilai_options_count(&options, "rate", 1, 9, &rate), NILAI_OK);
    CHECK_EQ(nilai_options_number(&options, "share", 0, 1, &share), NILAI_OK);
    CHECK_EQ(nilai_options_time(&options, "until", &until), NILAI_OK);
    CHECK_EQ(nilai_options_duration(&options, "span", 0, 172800000, &span), NILAI_OK);
    CHECK_EQ(nilai_options_choice(&options, "format", formats, &format), NILAI_OK);
    CHECK_EQ(rate, 9);
    CHECK_NEAR(share, 0.25, 0);
    CHECK_EQ(until, INT64_C(1769817600000));
    CHECK_EQ(span, 172800000);
    CHECK_EQ(format, 1);

    CHECK_EQ(nilai_options_count(&options, "rate", 1, 8, &rate), NILAI_INVALID);
    check_says("--rate: `9` is not a whole number within 1 .. 8");
    CHECK_EQ(nilai_options_number(&options, "share", 0.5, 1, &share), NILAI_INVALID);
    check_says("--share: `0.25` is not a number within 0.5 .. 1");
    CHECK_EQ(nilai_options_duration(&options, "span", 0, 86400000, &span), NILAI_INVALID);
    check_says("--span: `2d` is not within 0ms .. 1d");
    CHECK_EQ(options.exit_code, 64);

    CHECK(PARSE("a", "--rate=-1", "--share=nan", "--until=soon", "--span=5", "--format=xml"));
    CHECK_EQ(nilai_options_count(&options, "rate", 0, 9, &rate), NILAI_INVALID);
    CHECK_EQ(nilai_options_number(&options, "share", 0, 1, &share), NILAI_INVALID);
    CHECK_EQ(nilai_options_time(&options, "until", &until), NILAI_INVALID);
    check_says("--until: `soon` is not a time");
    CHECK_EQ(nilai_options_duration(&options, "span", 0, 9, &span), NILAI_INVALID);
    check_says("--span: `5` is not a duration");
    CHECK_EQ(nilai_options_choice(&options, "format", formats, &format), NILAI_INVALID);
    check_says("--format: `xml` is not one of json | msgpack");
    CHECK(PARSE("a", "--rate=18446744073709551616"));
    CHECK_EQ(nilai_options_count(&options, "rate", 0, UINT64_MAX, &rate), NILAI_INVALID);
    CHECK(rate == 9 && share == 0.25 && span == 172800000 && format == 1);
}

/* Goal: file, environment and --set come together in their order; a fault in any ends with 78. */
TEST(a_command_is_configured_from_all_sources)
{
    static struct nilai_config config;
    char path[] = "/tmp/nilai-options-XXXXXX";
    static const char yaml[] = "{workers: 2, value.margin: 0.1, group: file}\n";
    int descriptor = mkstemp(path);
    CHECK(descriptor >= 0);
    CHECK_EQ(write(descriptor, yaml, sizeof yaml - 1), sizeof yaml - 1);
    close(descriptor);
    CHECK(setenv("NILAI_WORKERS", "3", 1) == 0 && setenv("NILAI_GROUP", "env", 1) == 0);

    CHECK(PARSE("a", "-c", path, "--set", "workers=4"));
    CHECK_EQ(nilai_options_configure(&options, &config), NILAI_OK);
    CHECK_EQ(config.workers, 4);
    CHECK_TEXT(config.group, "env");
    CHECK_NEAR(config.model.margin, 0.1, 0);

    CHECK(PARSE("a", "--set", "workers=many"));
    CHECK_EQ(nilai_options_configure(&options, &config), NILAI_CONFIG);
    check_says("--set: workers: `many` is not a whole number");
    CHECK_EQ(options.exit_code, 78);
    CHECK(setenv("NILAI_WORKERS", "no", 1) == 0);
    CHECK(PARSE("a"));
    CHECK_EQ(nilai_options_configure(&options, &config), NILAI_CONFIG);
    check_says("NILAI_WORKERS: workers: `no`");
    CHECK(unsetenv("NILAI_WORKERS") == 0 && unsetenv("NILAI_GROUP") == 0);
    CHECK(PARSE("a", "--set", "value.cuts.c=50"));
    CHECK_EQ(nilai_options_configure(&options, &config), NILAI_CONFIG);
    check_says("value.cuts");
    unlink(path);
    CHECK(PARSE("a", "-c", path));
    CHECK_EQ(nilai_options_configure(&options, &config), NILAI_CONFIG);
    check_says(path);
}
