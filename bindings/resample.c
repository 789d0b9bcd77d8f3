/* ft.resample: sums over rows that are drawn again and again, with replacement: the work of a
 * bootstrap. What the sums mean is Lua's affair. */
#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bindings.h"
#include "native.h"

static const char PAIRS[] = "ft.resample.Pairs";

/* Rows of two sides in one: the numbers of the second stand behind those of the first. Most of a
 * wide row is 0 (a confusion matrix): only the rest is kept. */
struct pairs {
  uint64_t random; /* state of the generator */
  uint32_t rows, width;
  size_t *first; /* rows + 1: where a row's amounts begin */
  uint32_t *place;
  double *amount;
  double *sum; /* 2 * width: scratch */
};

static int pairs_close(lua_State *L) {
  struct pairs *p = luaL_checkudata(L, 1, PAIRS);
  free(p->first);
  free(p->place);
  free(p->amount);
  free(p->sum);
  p->first = NULL;
  p->place = NULL;
  p->amount = NULL;
  p->sum = NULL;
  return 0;
}

/* Numbers that are not 0 in the rows of the table at arg; raises unless each row has `width`
 * numbers. */
static size_t check_rows(lua_State *L, int arg, uint32_t rows, uint32_t width) {
  size_t kept = 0;
  for (uint32_t i = 1; i <= rows; i++) {
    luaL_argcheck(L, lua_rawgeti(L, arg, i) == LUA_TTABLE, arg, "expected a list of lists");
    luaL_argcheck(L, lua_rawlen(L, -1) == width, arg, "expected as many numbers in each row");
    for (uint32_t k = 1; k <= width; k++) {
      luaL_argcheck(L, lua_rawgeti(L, -1, k) == LUA_TNUMBER, arg, "expected lists of numbers");
      kept += lua_tonumber(L, -1) != 0;
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  return kept;
}

static size_t fill_row(lua_State *L, struct pairs *p, int arg, uint32_t row, uint32_t offset,
                       size_t at) {
  lua_rawgeti(L, arg, row + 1);
  for (uint32_t k = 0; k < p->width; k++) {
    lua_rawgeti(L, -1, k + 1);
    double amount = lua_tonumber(L, -1);
    lua_pop(L, 1);
    if (amount == 0) continue;
    p->place[at] = offset + k;
    p->amount[at++] = amount;
  }
  lua_pop(L, 1);
  return at;
}

static int resample_pairs(lua_State *L) {
  lua_Integer width = luaL_checkinteger(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_Integer seed = luaL_checkinteger(L, 4);
  size_t rows = lua_rawlen(L, 2);
  luaL_argcheck(L, width > 0 && width <= INT32_MAX, 1, "from 1 to 2^31 - 1");
  luaL_argcheck(L, rows > 0 && rows <= INT32_MAX, 2, "expected a list of rows");
  luaL_argcheck(L, lua_rawlen(L, 3) == rows, 3, "expected as many rows on both sides");
  lua_settop(L, 4);
  size_t kept = check_rows(L, 2, (uint32_t)rows, (uint32_t)width) +
                check_rows(L, 3, (uint32_t)rows, (uint32_t)width);
  struct pairs *p = lua_newuserdatauv(L, sizeof *p, 0);
  *p = (struct pairs){.rows = (uint32_t)rows, .width = (uint32_t)width};
  luaL_setmetatable(L, PAIRS);
  p->random = ((uint64_t)seed * 2 + 1) * 0x9E3779B97F4A7C15;
  p->first = calloc(rows + 1, sizeof *p->first);
  p->place = calloc(kept + 1, sizeof *p->place);
  p->amount = calloc(kept + 1, sizeof *p->amount);
  p->sum = calloc((size_t)width * 2, sizeof *p->sum);
  if (!p->first || !p->place || !p->amount || !p->sum) return luaL_error(L, "not enough memory");
  size_t at = 0;
  for (uint32_t i = 0; i < p->rows; i++) {
    at = fill_row(L, p, 2, i, 0, at);
    p->first[i + 1] = at = fill_row(L, p, 3, i, p->width, at);
  }
  return 1;
}

/* xorshift64*: S. Vigna, An experimental exploration of Marsaglia's xorshift generators, scrambled,
 * 2016. */
static uint32_t draw_row(struct pairs *p) {
  p->random ^= p->random >> 12;
  p->random ^= p->random << 25;
  p->random ^= p->random >> 27;
  /* rows are far fewer than 2^31: the remainder's bias is small too */
  return (uint32_t)((p->random * 0x2545F4914F6CDD1D) >> 33) % p->rows;
}

static int pairs_draw(lua_State *L) {
  struct pairs *p = luaL_checkudata(L, 1, PAIRS);
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_argcheck(L, p->sum != NULL, 1, "closed");
  lua_settop(L, 3);
  memset(p->sum, 0, 2 * (size_t)p->width * sizeof *p->sum);
  for (uint32_t n = 0; n < p->rows; n++) {
    uint32_t row = draw_row(p);
    for (size_t i = p->first[row]; i < p->first[row + 1]; i++) p->sum[p->place[i]] += p->amount[i];
  }
  for (uint32_t k = 0; k < p->width; k++) {
    lua_pushnumber(L, p->sum[k]);
    lua_rawseti(L, 2, k + 1);
    lua_pushnumber(L, p->sum[p->width + k]);
    lua_rawseti(L, 3, k + 1);
  }
  return 0;
}

static const luaL_Reg methods[] = {{"draw", pairs_draw}, {"close", pairs_close}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"pairs", resample_pairs}, {NULL, NULL}};

int luaopen_ft_resample(lua_State *L) {
  ft_new_type(L, PAIRS, methods, pairs_close);
  luaL_newlib(L, functions);
  return 1;
}
