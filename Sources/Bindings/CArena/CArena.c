#include "CArena.h"

#include <stdlib.h>

struct florin_arena_chunk {
  struct florin_arena_chunk *previous;
  // Keeps what follows 16-byte aligned.
  size_t padding;
};

enum { SMALLEST_CHUNK = 16 * 1024, LARGEST_CHUNK = 1024 * 1024 };

static void *allocate(void *arena, size_t size) { return florin_arena_alloc(arena, size); }

// One at a time is never freed: florin_arena_destroy frees all.
static void release(void *arena, void *pointer) {
  (void)arena;
  (void)pointer;
}

void florin_arena_init(florin_arena *arena, void *first, size_t size, size_t limit) {
  *arena = (florin_arena){
      .next = first,
      .end = first == NULL ? NULL : (char *)first + size,
      .limit = limit,
      .chunk_size = SMALLEST_CHUNK,
      .allocator = {.alloc = allocate, .free = release, .allocator_data = arena},
  };
}

void *florin_arena_alloc(florin_arena *arena, size_t size) {
  // Compared before rounding, so that no size can wrap around.
  if (size > arena->limit - arena->used) {
    arena->exhausted = true;
    return NULL;
  }
  size_t rounded = size == 0 ? 16 : (size + 15) & ~(size_t)15;
  if ((size_t)(arena->end - arena->next) < rounded) {
    size_t capacity = rounded > arena->chunk_size ? rounded : arena->chunk_size;
    struct florin_arena_chunk *chunk = malloc(sizeof(*chunk) + capacity);
    if (chunk == NULL) {
      arena->exhausted = true;
      return NULL;
    }
    chunk->previous = arena->chunks;
    arena->chunks = chunk;
    arena->next = (char *)(chunk + 1);
    arena->end = arena->next + capacity;
    if (arena->chunk_size < LARGEST_CHUNK) arena->chunk_size *= 2;
  }
  void *pointer = arena->next;
  arena->next += rounded;
  // Rounding may pass the limit by 15 bytes; then nothing more is given.
  size_t left = arena->limit - arena->used;
  arena->used += rounded < left ? rounded : left;
  return pointer;
}

void florin_arena_destroy(florin_arena *arena) {
  struct florin_arena_chunk *chunk = arena->chunks;
  while (chunk != NULL) {
    struct florin_arena_chunk *previous = chunk->previous;
    free(chunk);
    chunk = previous;
  }
  arena->chunks = NULL;
  arena->next = arena->end = NULL;
}

// Reads a varint of at most 10 bytes. False if there is none.
static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
  uint64_t result = 0;
  for (unsigned shift = 0; shift < 70 && *at < end; shift += 7) {
    uint8_t byte = *(*at)++;
    if (shift < 64) result |= (uint64_t)(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      *value = result;
      return true;
    }
  }
  return false;
}

bool florin_nesting_exceeds(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t count, int32_t limit) {
  const uint8_t *at = bytes;
  const uint8_t *end = bytes + count;
  while (at < end) {
    uint64_t key, length;
    if (!read_varint(&at, end, &key)) return false;
    switch (key & 7) {
      case 0:
        if (!read_varint(&at, end, &length)) return false;
        break;
      case 1:
        if (end - at < 8) return false;
        at += 8;
        break;
      case 5:
        if (end - at < 4) return false;
        at += 4;
        break;
      case 2: {
        if (!read_varint(&at, end, &length) || length > (uint64_t)(end - at)) return false;
        const ProtobufCFieldDescriptor *field =
            key >> 3 > UINT32_MAX ? NULL : protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(key >> 3));
        if (field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE) {
          // Recursion here is bounded by the limit itself.
          if (limit == 0 || florin_nesting_exceeds(field->descriptor, at, (size_t)length, limit - 1)) return true;
        }
        at += length;
        break;
      }
      default:
        return false;
    }
  }
  return false;
}
