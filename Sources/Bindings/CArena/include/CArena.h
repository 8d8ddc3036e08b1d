// A bounded arena that doubles as a ProtobufCAllocator, and the nesting check that protobuf-c lacks.
//
// Unpacking a message makes many small allocations that all end together: an arena hands them out by moving a
// pointer and frees them at once. Its limit is a hard cap on what one message may cost, whatever it claims to hold.
#pragma once
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct florin_arena_chunk;

typedef struct florin_arena {
  char *next;
  char *end;
  struct florin_arena_chunk *chunks;
  // Bytes handed out, and how many may be.
  size_t used;
  size_t limit;
  // Size of the next chunk asked of malloc.
  size_t chunk_size;
  // An allocation was refused, so that a failure to unpack means "too large" and not "malformed".
  bool exhausted;
  // Messages being encoded one inside the other, counted by the encoder.
  int32_t depth;
  ProtobufCAllocator allocator;
} florin_arena;

// `first` (of `size` bytes, 16-byte aligned, owned by the caller, who keeps it until florin_arena_destroy) is used before any malloc.
void florin_arena_init(florin_arena *arena, void *first, size_t size, size_t limit);

// 16-byte aligned, not zeroed. NULL, with `exhausted` set, beyond the limit or without memory.
void *florin_arena_alloc(florin_arena *arena, size_t size);

// Frees everything that was handed out.
void florin_arena_destroy(florin_arena *arena);

// Whether messages stand more than `limit` deep inside the encoded one, by its schema. Says false for bytes that are not
// well-formed: unpacking will refuse those. protobuf-c itself recurses without a limit.
bool florin_nesting_exceeds(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t count, int32_t limit);
