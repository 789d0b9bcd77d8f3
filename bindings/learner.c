/* Linear classifiers on hashed features of words, learnt by minibatch AdaGrad. All classifiers
 * ("heads", told apart by a number) share one table of weights. What is classified, and what the
 * classes mean, Lua decides.
 *
 * Methods that learn add to a gradient and change no weight; update() changes the weights, so that
 * losses are those before the step. */
#include "learner.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bindings.h"
#include "features.h"
#include "native.h"

static const char MODEL[] = "ft.learner.Model";

enum { CLASSES = 256, MIN_BITS = 8, MAX_BITS = 24 };
/* -ln 1e-6: what an answer costs that was held for impossible. */
static const float LOSS_LIMIT = 13.815511f;
static const float NEGLIGIBLE = 1e-4f; /* gradients below are not worth their memory traffic */

struct model {
  unsigned bits;
  float *weight;         /* 2^bits; NULL when closed */
  float *square, *slope; /* sums of squared gradients, gradient of this batch; NULL in a model that
                            only answers */
  unsigned char *marked; /* slope entries in use... */
  uint32_t *touched;     /* ...and their numbers */
  size_t touches;
  struct ft_feature *feature; /* scratch */
  size_t room;
};

static int model_close(lua_State *L) {
  struct model *m = luaL_checkudata(L, 1, MODEL);
  free(m->weight), free(m->square), free(m->slope), free(m->marked), free(m->touched),
      free(m->feature);
  memset(m, 0, sizeof *m);
  return 0;
}

static struct model *push_model(lua_State *L, unsigned bits, bool learns) {
  struct model *m = lua_newuserdatauv(L, sizeof *m, 0);
  memset(m, 0, sizeof *m);
  luaL_setmetatable(L, MODEL);
  size_t n = (size_t)1 << bits;
  m->bits = bits;
  m->weight = calloc(n, sizeof *m->weight);
  if (learns) {
    m->square = calloc(n, sizeof *m->square);
    m->slope = calloc(n, sizeof *m->slope);
    m->marked = calloc(n, 1);
    m->touched = malloc(n * sizeof *m->touched);
  }
  if (!m->weight || (learns && (!m->square || !m->slope || !m->marked || !m->touched)))
    luaL_error(L, "not enough memory");
  return m;
}

static int model_new(lua_State *L) {
  lua_Integer bits = luaL_checkinteger(L, 1);
  luaL_argcheck(L, bits >= MIN_BITS && bits <= MAX_BITS, 1, "expected 8 to 24 bits");
  push_model(L, (unsigned)bits, true);
  return 1;
}

static struct model *check_model(lua_State *L) {
  struct model *m = luaL_checkudata(L, 1, MODEL);
  luaL_argcheck(L, m->weight, 1, "the model is closed");
  return m;
}

static void check_learn(lua_State *L, const struct model *m, int arg) {
  luaL_argcheck(L, m->square || !lua_toboolean(L, arg), arg, "this model only answers");
}

static uint32_t check_head(lua_State *L, int arg) {
  lua_Integer head = luaL_checkinteger(L, arg);
  luaL_argcheck(L, head >= 0 && head < 1 << 20, arg, "no such head");
  return (uint32_t)head * 0x9E3779B1u + 0x3C6EF372u;
}

static unsigned check_classes(lua_State *L, int arg) {
  lua_Integer n = luaL_checkinteger(L, arg);
  luaL_argcheck(L, n >= 2 && n <= CLASSES, arg, "expected 2 to 256 classes");
  return (unsigned)n;
}

static struct ft_feature *features(lua_State *L, struct model *m, size_t room) {
  if (room <= m->room) return m->feature;
  struct ft_feature *more = realloc(m->feature, room * sizeof *more);
  if (!more) luaL_error(L, "not enough memory");
  m->feature = more;
  m->room = room;
  return more;
}

static size_t slot(const struct model *m, uint32_t head, uint32_t hash) {
  uint32_t h = (hash ^ head) * 0x85EBCA6Bu;
  h ^= h >> 13;
  h *= 0xC2B2AE35u;
  return (h ^ h >> 16) & (((size_t)1 << m->bits) - 1);
}

/* Probabilities of the classes for the features. Class 0 of two has no weights: the other one's say
 * it all. */
static void predict(const struct model *m, uint32_t head, unsigned classes,
                    const struct ft_feature *f, size_t n, float *p) {
  float top = 0, sum = 0;
  memset(p, 0, classes * sizeof *p);
  for (size_t i = 0; i < n; i++) {
    size_t s = slot(m, head, f[i].hash);
    if (classes == 2)
      p[1] += f[i].value * m->weight[s];
    else
      for (unsigned c = 0; c < classes; c++) p[c] += f[i].value * m->weight[s ^ c];
  }
  for (unsigned c = 0; c < classes; c++)
    if (c == 0 || p[c] > top) top = p[c];
  for (unsigned c = 0; c < classes; c++) sum += p[c] = expf(p[c] - top);
  for (unsigned c = 0; c < classes; c++) p[c] /= sum;
}

static void pull(struct model *m, size_t s, float slope) {
  if (!m->marked[s]) {
    m->marked[s] = 1;
    m->touched[m->touches++] = (uint32_t)s;
  }
  m->slope[s] += slope;
}

static unsigned best_of(const float *p, unsigned classes) {
  unsigned best = 0;
  for (unsigned c = 1; c < classes; c++)
    if (p[c] > p[best]) best = c;
  return best;
}

struct tally {
  double loss;
  lua_Integer right, count;
};

/* One decision whose right class is known (classes and more: none of them). */
static void decide(struct model *m, uint32_t head, unsigned classes, const struct ft_feature *f,
                   size_t n, unsigned gold, bool learn, struct tally *t) {
  float p[CLASSES];
  predict(m, head, classes, f, n, p);
  float loss = gold < classes ? -logf(p[gold]) : LOSS_LIMIT;
  t->loss += loss < LOSS_LIMIT ? loss : LOSS_LIMIT;
  t->right += best_of(p, classes) == gold;
  t->count++;
  if (!learn || gold >= classes) return;
  for (unsigned c = classes == 2; c < classes; c++) {
    float slope = p[c] - (c == gold);
    if (fabsf(slope) < NEGLIGIBLE) continue;
    for (size_t i = 0; i < n; i++)
      pull(m, slot(m, head, f[i].hash) ^ (classes == 2 ? 0 : c), slope * f[i].value);
  }
}

static int push_tally(lua_State *L, const struct tally *t) {
  lua_pushnumber(L, t->loss);
  lua_pushinteger(L, t->right);
  lua_pushinteger(L, t->count);
  return 3;
}

/* model:tag(text, head, shapes, gold, learn) */
static int model_tag(lua_State *L) {
  struct model *m = check_model(L);
  const struct ft_words *w = ft_check_text(L, 2);
  uint32_t head = check_head(L, 3);
  const unsigned char *shapes = ft_check_shapes(L, 4);
  luaL_checktype(L, 5, LUA_TTABLE);
  check_learn(L, m, 6);
  lua_settop(L, 6);
  struct ft_feature *f = features(L, m, FT_FEATURES);
  struct tally t = {0, 0, 0};
  lua_Integer next = 1;
  lua_rawgeti(L, 5, next);
  lua_Integer gold = lua_tointeger(L, -1); /* 0 after the last */
  for (uint32_t i = 0; i < w->count; i++) {
    bool is = gold == (lua_Integer)i + 1;
    uint32_t s = ft_shape_of(w, i);
    if (shapes[s / 8] >> (s % 8) & 1)
      decide(m, head, 2, f, ft_features_word(w, i, f), is, lua_toboolean(L, 6), &t);
    else if (is) /* a shape that no example had: missed for certain */
      t.loss += LOSS_LIMIT, t.count++;
    if (!is) continue;
    lua_pop(L, 1);
    lua_rawgeti(L, 5, ++next);
    gold = lua_tointeger(L, -1);
  }
  return push_tally(L, &t);
}

/* model:tags(text, head, shapes, least) */
static int model_tags(lua_State *L) {
  struct model *m = check_model(L);
  const struct ft_words *w = ft_check_text(L, 2);
  uint32_t head = check_head(L, 3);
  const unsigned char *shapes = ft_check_shapes(L, 4);
  lua_Number least = luaL_checknumber(L, 5);
  lua_settop(L, 5);
  struct ft_feature *f = features(L, m, FT_FEATURES);
  lua_newtable(L);
  lua_newtable(L);
  lua_Integer found = 0;
  for (uint32_t i = 0; i < w->count; i++) {
    uint32_t s = ft_shape_of(w, i);
    if (!(shapes[s / 8] >> (s % 8) & 1)) continue;
    float p[2];
    predict(m, head, 2, f, ft_features_word(w, i, f), p);
    if (p[1] < least) continue;
    lua_pushinteger(L, (lua_Integer)i + 1);
    lua_rawseti(L, 6, ++found);
    lua_pushnumber(L, p[1]);
    lua_rawseti(L, 7, found);
  }
  return 2;
}

/* What seek and seeks have in common: (model, text, head, first, last, from, to). `to` is cut at
 * the text's end. */
static void check_seek(lua_State *L, const struct ft_words *w, uint32_t *first, uint32_t *last,
                       uint32_t *from, uint32_t *to) {
  *first = ft_check_word(L, 4, w);
  *last = ft_check_word(L, 5, w);
  lua_Integer a = luaL_checkinteger(L, 6), b = luaL_checkinteger(L, 7);
  luaL_argcheck(L, *first <= *last, 5, "ends before it begins");
  luaL_argcheck(L, a > (lua_Integer)*first, 6, "lies before the span");
  *from = a > (lua_Integer)w->count ? w->count : (uint32_t)(a - 1);
  *to = b > (lua_Integer)w->count ? w->count : b < 0 ? 0 : (uint32_t)b;
}

/* model:seek(text, head, first, last, from, to, gold, learn) */
static int model_seek(lua_State *L) {
  struct model *m = check_model(L);
  const struct ft_words *w = ft_check_text(L, 2);
  uint32_t head = check_head(L, 3), first, last, from, to;
  check_seek(L, w, &first, &last, &from, &to);
  lua_Integer gold = luaL_optinteger(L, 8, 0);
  bool learn = lua_toboolean(L, 9);
  check_learn(L, m, 9);
  struct ft_feature *f = features(L, m, FT_FEATURES);
  struct tally t = {0, 0, 0};
  for (uint32_t i = from; i < to; i++) {
    bool is = gold == (lua_Integer)i + 1;
    decide(m, head, 2, f, ft_features_step(w, i, first, last, f), is, learn, &t);
    if (is) break;
  }
  return push_tally(L, &t);
}

/* model:seeks(text, head, first, last, from, to) */
static int model_seeks(lua_State *L) {
  struct model *m = check_model(L);
  const struct ft_words *w = ft_check_text(L, 2);
  uint32_t head = check_head(L, 3), first, last, from, to;
  check_seek(L, w, &first, &last, &from, &to);
  struct ft_feature *f = features(L, m, FT_FEATURES);
  uint32_t best = to;
  float top = 0;
  for (uint32_t i = from; i < to && top < 0.5f; i++) {
    float p[2];
    predict(m, head, 2, f, ft_features_step(w, i, first, last, f), p);
    if (p[1] > top) top = p[1], best = i;
  }
  if (from >= to) return 0;
  lua_pushinteger(L, (lua_Integer)best + 1);
  lua_pushnumber(L, top);
  return 2;
}

/* With a gold class (arg gold): a tally. Without: the best class and the probabilities of all. */
static int classify(lua_State *L, struct model *m, uint32_t head, unsigned classes,
                    const struct ft_feature *f, size_t n, int gold) {
  if (lua_isnoneornil(L, gold)) {
    float p[CLASSES];
    predict(m, head, classes, f, n, p);
    lua_pushinteger(L, (lua_Integer)best_of(p, classes) + 1);
    lua_createtable(L, (int)classes, 0);
    for (unsigned c = 0; c < classes; c++) {
      lua_pushnumber(L, p[c]);
      lua_rawseti(L, -2, (lua_Integer)c + 1);
    }
    return 2;
  }
  struct tally t = {0, 0, 0};
  lua_Integer g = lua_tointeger(L, gold);
  unsigned class = g >= 1 && g <= (lua_Integer)classes ? (unsigned)(g - 1) : CLASSES;
  decide(m, head, classes, f, n, class, lua_toboolean(L, gold + 1), &t);
  return push_tally(L, &t);
}

/* model:span(text, head, classes, first, last, gold?, learn?) */
static int model_span(lua_State *L) {
  struct model *m = check_model(L);
  const struct ft_words *w = ft_check_text(L, 2);
  uint32_t head = check_head(L, 3);
  unsigned classes = check_classes(L, 4);
  uint32_t first = ft_check_word(L, 5, w), last = ft_check_word(L, 6, w);
  luaL_argcheck(L, first <= last, 6, "ends before it begins");
  check_learn(L, m, 8);
  lua_settop(L, 8);
  struct ft_feature *f = features(L, m, FT_FEATURES);
  return classify(L, m, head, classes, f, ft_features_span(w, first, last, f), 7);
}

/* model:text(text, head, classes, counts, scale, gold?, learn?) */
static int model_text(lua_State *L) {
  struct model *m = check_model(L);
  const struct ft_words *w = ft_check_text(L, 2);
  uint32_t head = check_head(L, 3), count[16];
  unsigned classes = check_classes(L, 4);
  luaL_checktype(L, 5, LUA_TTABLE);
  size_t counts = lua_rawlen(L, 5);
  if (counts > 16) counts = 16;
  float scale = (float)luaL_checknumber(L, 6);
  check_learn(L, m, 8);
  lua_settop(L, 8);
  for (size_t i = 0; i < counts; i++) {
    lua_rawgeti(L, 5, (lua_Integer)i + 1);
    lua_Integer c = lua_tointeger(L, -1);
    count[i] = c < 0 ? 0 : c > 1000000 ? 1000000 : (uint32_t)c;
    lua_pop(L, 1);
  }
  struct ft_feature *f = features(L, m, ft_features_text_room(w, counts));
  return classify(L, m, head, classes, f, ft_features_text(w, count, counts, scale, f), 7);
}

static int model_update(lua_State *L) {
  struct model *m = check_model(L);
  float rate = (float)luaL_checknumber(L, 2);
  luaL_argcheck(L, rate > 0 && rate < 1000, 2, "not a learning rate");
  luaL_argcheck(L, m->square, 1, "this model only answers");
  for (size_t i = 0; i < m->touches; i++) {
    uint32_t s = m->touched[i];
    float g = m->slope[s];
    m->square[s] += g * g;
    if (m->square[s] > 0) m->weight[s] -= rate * g / sqrtf(m->square[s]);
    m->slope[s] = 0;
    m->marked[s] = 0;
  }
  m->touches = 0;
  return 0;
}

/* As bytes: "FTLM", version, bits, a bitmap of the weights in use, those weights, their squares. */

static const char MAGIC[] = {'F', 'T', 'L', 'M', 1};

static int model_dump(lua_State *L) {
  const struct model *m = check_model(L);
  luaL_argcheck(L, m->square && m->touches == 0, 1, "update the model first");
  size_t n = (size_t)1 << m->bits, used = 0;
  for (size_t i = 0; i < n; i++) used += m->square[i] > 0;
  size_t head = sizeof MAGIC + 1, size = head + n / 8 + used * 2 * sizeof(float);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, size);
  memcpy(out, MAGIC, sizeof MAGIC);
  out[sizeof MAGIC] = (char)m->bits;
  unsigned char *map = (unsigned char *)out + head;
  char *weight = out + head + n / 8, *square = weight + used * sizeof(float);
  memset(map, 0, n / 8);
  for (size_t i = 0; i < n; i++) {
    if (!(m->square[i] > 0)) continue;
    map[i / 8] |= (unsigned char)(1u << (i % 8));
    memcpy(weight, &m->weight[i], sizeof(float)), weight += sizeof(float);
    memcpy(square, &m->square[i], sizeof(float)), square += sizeof(float);
  }
  luaL_pushresultsize(&b, size);
  return 1;
}

static int model_load(lua_State *L) {
  size_t len, head = sizeof MAGIC + 1;
  const char *in = luaL_checklstring(L, 1, &len);
  bool learns = lua_toboolean(L, 2);
  if (len < head || memcmp(in, MAGIC, sizeof MAGIC) != 0)
    return ft_fail(L, "damaged", "not the weights of a model");
  unsigned bits = (unsigned char)in[sizeof MAGIC];
  if (bits < MIN_BITS || bits > MAX_BITS || len < head + ((size_t)1 << bits) / 8)
    return ft_fail(L, "damaged", "the weights of the model are cut off");
  size_t n = (size_t)1 << bits, used = 0;
  const unsigned char *map = (const unsigned char *)in + head;
  for (size_t i = 0; i < n; i++) used += map[i / 8] >> (i % 8) & 1;
  const char *weight = in + head + n / 8, *square = weight + used * sizeof(float);
  if (len != head + n / 8 + used * 2 * sizeof(float))
    return ft_fail(L, "damaged", "the weights of the model have a wrong length");
  struct model *m = push_model(L, bits, learns);
  for (size_t i = 0; i < n; i++) {
    if (!(map[i / 8] >> (i % 8) & 1)) continue;
    memcpy(&m->weight[i], weight, sizeof(float)), weight += sizeof(float);
    if (learns) memcpy(&m->square[i], square, sizeof(float)), square += sizeof(float);
    if (!isfinite(m->weight[i]) || (learns && !(m->square[i] > 0 && isfinite(m->square[i]))))
      return ft_fail(L, "damaged", "a weight of the model is no number");
  }
  return 1;
}

static const luaL_Reg model_methods[] = {
    {"close", model_close},   {"dump", model_dump}, {"seek", model_seek}, {"seeks", model_seeks},
    {"span", model_span},     {"tag", model_tag},   {"tags", model_tags}, {"text", model_text},
    {"update", model_update}, {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"load", model_load},
    {"model", model_new},
    {NULL, NULL},
};

int luaopen_ft_learner(lua_State *L) {
  ft_new_type(L, MODEL, model_methods, model_close);
  luaL_newlib(L, functions);
  ft_open_text(L);
  return 1;
}
