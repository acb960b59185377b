#include "nilai/state/floors.h"

#include <stdlib.h>

#include "nilai/base/mutation.h"

enum { ROOM_FIRST = 64 };

void nilai_floors_init(struct nilai_floors *floors)
{
    *floors = (struct nilai_floors){0};
}

void nilai_floors_fini(struct nilai_floors *floors)
{
    free(floors->chunks);
    nilai_floors_init(floors);
}

static enum nilai_status make_room(struct nilai_floors *floors, uint32_t chunk)
{
    uint32_t room = floors->room > 0 ? floors->room : ROOM_FIRST;
    while (room <= chunk)
        room *= 2;
    if (room > floors->room) {
        uint64_t *chunks = reallocarray(floors->chunks, room, sizeof *chunks);
        if (chunks == NULL)
            return NILAI_NO_MEMORY;
        floors->chunks = chunks;
        floors->room = room;
    }
    while (floors->chunk_count <= chunk)
        floors->chunks[floors->chunk_count++] = UINT64_MAX;
    return NILAI_OK;
}

enum nilai_status nilai_floors_created(struct nilai_floors *floors, uint32_t chunk, uint64_t turn)
{
    NILAI_ASSERT(turn > 0);
    if (chunk >= floors->chunk_count && make_room(floors, chunk) != NILAI_OK)
        return NILAI_NO_MEMORY;
    if (turn - 1 < floors->chunks[chunk] && !NILAI_MUTATION(created_keeps_the_floor))
        floors->chunks[chunk] = turn - 1;
    return NILAI_OK;
}

enum nilai_status nilai_floors_imaged(struct nilai_floors *floors, uint32_t chunk, uint64_t turn)
{
    if (chunk >= floors->chunk_count && make_room(floors, chunk) != NILAI_OK)
        return NILAI_NO_MEMORY;
    floors->chunks[chunk] = turn + NILAI_MUTATION(image_floor_too_high);
    return NILAI_OK;
}

void nilai_floors_imaged_erasures(struct nilai_floors *floors, uint32_t bucket, uint64_t turn)
{
    NILAI_ASSERT(bucket < NILAI_ERASED_BUCKETS);
    floors->erasures[bucket] = turn;
}

uint64_t nilai_floors_lowest(const struct nilai_floors *floors)
{
    uint64_t lowest = UINT64_MAX;
    for (uint32_t chunk = 0; chunk < floors->chunk_count; chunk++)
        lowest = floors->chunks[chunk] < lowest ? floors->chunks[chunk] : lowest;
    for (uint32_t bucket = 0; bucket < NILAI_ERASED_BUCKETS; bucket++)
        lowest = floors->erasures[bucket] < lowest ? floors->erasures[bucket] : lowest;
    return lowest;
}
