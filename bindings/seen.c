#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../host/native.h"
#include "dataset.h"

static const char SEEN[] = "ft.dataset.Seen";

/* The hashes are spread over many small tables, so that growing one needs little memory at once. */
enum { PARTS = 64, FIRST_CAP = 64, MAX_SLOTS = (16 << 20) / 8 };

struct part {
  uint64_t *slots; /* 0: empty */
  size_t cap, used;
};

struct seen {
  struct part parts[PARTS];
  size_t slots; /* of all parts */
  bool full;    /* a text was not remembered */
};

static int seen_close(lua_State *L) {
  struct seen *s = luaL_checkudata(L, 1, SEEN);
  for (int i = 0; i < PARTS; i++) {
    free(s->parts[i].slots);
    s->parts[i] = (struct part){0};
  }
  return 0;
}

static uint64_t mix(uint64_t a, uint64_t b) {
  __extension__ unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Never 0. Two sums that do not wait for each other. */
static uint64_t hash(const char *s, size_t len) {
  const uint64_t b = UINT64_C(0x9E3779B97F4A7C15);
  uint64_t sums[2] = {UINT64_C(0xD6E8FEB86659FD93) ^ len, UINT64_C(0xE7037ED1A0B428DB)};
  uint64_t words[4];
  for (;; s += sizeof words, len -= sizeof words) {
    bool last = len < sizeof words;
    if (last) memset(words, 0, sizeof words);
    memcpy(words, s, last ? len : sizeof words);
    sums[0] = mix(sums[0] ^ words[0], b ^ words[1]);
    sums[1] = mix(sums[1] ^ words[2], b ^ words[3]);
    if (last) break;
  }
  uint64_t a = mix(sums[0] ^ b, sums[1] ^ UINT64_C(0xA0761D6478BD642F));
  return a ? a : 1;
}

/* The slot of h, or the empty one where it belongs. */
static uint64_t *find(uint64_t *slots, size_t cap, uint64_t h) {
  size_t i = h & (cap - 1);
  while (slots[i] && slots[i] != h) i = (i + 1) & (cap - 1);
  return &slots[i];
}

/* Twice the room; false when there is none. */
static bool grow(struct seen *s, struct part *p) {
  size_t cap = p->cap ? 2 * p->cap : FIRST_CAP;
  uint64_t *slots = s->slots + cap - p->cap <= MAX_SLOTS ? calloc(cap, sizeof *slots) : NULL;
  if (!slots) return false;
  for (size_t i = 0; i < p->cap; i++)
    if (p->slots[i]) *find(slots, cap, p->slots[i]) = p->slots[i];
  free(p->slots);
  s->slots += cap - p->cap;
  p->slots = slots;
  p->cap = cap;
  return true;
}

static bool add(struct seen *s, uint64_t h) {
  struct part *p = &s->parts[h >> 58];
  uint64_t *slot = p->cap ? find(p->slots, p->cap, h) : NULL;
  if (slot && *slot) return true;
  if (p->used + p->used / 3 + 1 > p->cap && !grow(s, p)) {
    s->full = true;
    return false;
  }
  *find(p->slots, p->cap, h) = h;
  p->used++;
  return false;
}

static int seen_add(lua_State *L) {
  struct seen *s = luaL_checkudata(L, 1, SEEN);
  size_t len;
  const char *text = luaL_checklstring(L, 2, &len);
  lua_pushboolean(L, add(s, hash(text, len)));
  return 1;
}

static int seen_complete(lua_State *L) {
  const struct seen *s = luaL_checkudata(L, 1, SEEN);
  lua_pushboolean(L, !s->full);
  return 1;
}

int ft_dataset_seen(lua_State *L) {
  struct seen *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (struct seen){0};
  luaL_setmetatable(L, SEEN);
  return 1;
}

void ft_dataset_seen_types(lua_State *L) {
  static const luaL_Reg methods[] = {{"add", seen_add}, {"complete", seen_complete}, {NULL, NULL}};
  ft_new_type(L, SEEN, methods, seen_close);
}
