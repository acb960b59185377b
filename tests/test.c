#include "test.h"

struct CMUnitTest test_list[TESTS_MAX];
size_t test_count;

uint64_t test_seed(uint64_t fallback)
{
    const char *text = getenv("NILAI_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : fallback;
    printf("seed %" PRIu64 "\n", seed);
    return seed;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests(argv[0], test_list, test_count, NULL, NULL);
}
