/*
 * What goes along with a committed offset, which anybody in the group may have written. What is
 * taken for ours is, byte by byte, what we would have written.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nilai/io/kafka_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char first[] = "nilai 1 ";
    struct nilai_position position = {.clock_ms = 0};
    char text[NILAI_KAFKA_METADATA_SIZE], old[NILAI_KAFKA_METADATA_SIZE];
    if (!nilai_kafka_metadata_parse((const char *)data, size, &position))
        return 0;
    NILAI_ASSERT(position.clock_ms >= -1);
    nilai_kafka_metadata_format(&position, text);
    snprintf(old, sizeof old, "%s" "clock_ms=%" PRId64, first, position.clock_ms);
    NILAI_ASSERT((size == strlen(text) && memcmp(text, data, size) == 0)
                 || (size == strlen(old) && memcmp(old, data, size) == 0 && position.turn == 0
                     && position.writer == 0));
    return 0;
}
