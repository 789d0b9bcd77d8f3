/* ft.tokenizer: encodings for Lua. Rows are counted by all cores at once: the threads of a job read
 * strings that the job keeps alive and Lua never moves, and never touch Lua. */
#include <lauxlib.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../host/native.h"
#include "bindings.h"
#include "bpe.h"
#include "crew.h"
#include "tokenshape.h"

static const char ENCODING[] = "ft.tokenizer.Encoding";
static const char JOB[] = "ft.tokenizer.Job";

enum { THREADS_MAX = FT_CREW_MAX + 1, WORTH_A_THREAD = 1 << 16, STRING_MAX = 1 << 30 };
enum { CACHES_BYTES = 8 << 20 }; /* of all threads */

struct encoding {
  const char *name; /* NULL: closed */
  int threads;
  struct job *job;                         /* under way */
  struct ft_counter counters[THREADS_MAX]; /* of each thread; bpe NULL: not needed so far */
  struct ft_crew crew;                     /* size 0: not needed so far */
};

struct job;
static void give_up(struct job *job);

static const char *const names[] = {"o200k_base", "cl100k_base", NULL};

/* ---- encodings ---- */

static int cores(void) {
  cpu_set_t set;
  int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
  return n < THREADS_MAX ? n : THREADS_MAX;
}

static int tokenizer_open(lua_State *L) {
  int which = luaL_checkoption(L, 1, NULL, names);
  lua_Integer threads = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, threads >= 0, 2, "a number of threads");
  struct encoding *e = lua_newuserdatauv(L, sizeof *e, 0);
  memset(e, 0, sizeof *e);
  luaL_setmetatable(L, ENCODING);
  e->name = names[which];
  e->threads = threads == 0 ? cores() : threads < THREADS_MAX ? (int)threads : THREADS_MAX;
  return 1;
}

static int encoding_close(lua_State *L) {
  struct encoding *e = luaL_checkudata(L, 1, ENCODING);
  if (e->job) give_up(e->job);
  ft_crew_close(&e->crew);
  for (int i = 0; i < THREADS_MAX && e->name; i++) {
    if (!e->counters[i].bpe) continue;
    ft_bpe_free(e->counters[i].bpe);
    ft_json_free(&e->counters[i].json);
    ft_buf_free(&e->counters[i].text);
    ft_counter_forget(&e->counters[i]);
  }
  e->name = NULL;
  return 0;
}

static struct encoding *check_open(lua_State *L) {
  struct encoding *e = luaL_checkudata(L, 1, ENCODING);
  luaL_argcheck(L, e->name, 1, "the encoding is closed");
  return e;
}

static struct ft_counter *counter(struct encoding *e, int i) {
  struct ft_counter *c = &e->counters[i];
  if (c->bpe) return c;
  c->bpe = ft_bpe_new(e->name, CACHES_BYTES / (size_t)e->threads);
  if (!c->bpe) return NULL;
  ft_json_init(&c->json);
  ft_buf_init(&c->text, STRING_MAX);
  return c;
}

static int no_memory(lua_State *L) {
  return luaL_error(L, "not enough memory");
}

/* The text at 2 as valid UTF-8; what had to be mended is pushed. [-0, +(0|1), m] */
static const char *valid_text(lua_State *L, size_t *len) {
  const char *text = luaL_checklstring(L, 2, len);
  if (ft_bpe_valid(text, *len) == *len) return text;
  char *clean = lua_newuserdatauv(L, 3 * *len, 0);
  *len = ft_bpe_clean(clean, text, *len);
  return clean;
}

static int encoding_count(lua_State *L) {
  struct encoding *e = check_open(L);
  size_t len;
  const char *text = valid_text(L, &len);
  struct ft_counter *c = counter(e, 0);
  int64_t n = c ? ft_bpe_count(c->bpe, text, len) : -1;
  if (n < 0) return no_memory(L);
  lua_pushinteger(L, n);
  return 1;
}

static int encoding_encode(lua_State *L) {
  struct encoding *e = check_open(L);
  size_t len;
  const char *text = valid_text(L, &len);
  uint32_t *ids = lua_newuserdatauv(L, len * sizeof *ids, 0);
  struct ft_counter *c = counter(e, 0);
  int64_t n = c ? ft_bpe_encode(c->bpe, text, len, ids) : -1;
  if (n < 0) return no_memory(L);
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_pushinteger(L, ids[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* ---- rows ---- */

struct row {
  const char *text;
  size_t len;
  int64_t tokens;
};

/* Rows that are being counted. User value 1 is the encoding, 2 the list of rows, 3 the shape. */
struct job {
  struct encoding *e; /* whose job it is; NULL: ended */
  const struct ft_shape *shape;
  bool sound;  /* the rows were found valid before */
  bool shared; /* the crew is at work on it */
  size_t count;
  atomic_size_t next;
  struct row rows[];
};

/* Member 0 is the thread that waits. */
static void work(void *arg, int member) {
  struct job *job = arg;
  struct ft_counter *c = &job->e->counters[member];
  if (!c->bpe) return; /* there was no memory for it: the others do its part */
  for (size_t i; (i = atomic_fetch_add(&job->next, 1)) < job->count;) {
    struct row *row = &job->rows[i];
    row->tokens = ft_shape_count(job->shape, c, row->text, row->len, job->sound);
  }
}

/* Begins, with the crew if it is worth it. */
static void start(struct encoding *e, struct job *job, size_t bytes) {
  job->e = e;
  e->job = job;
  if (e->threads == 1 || job->count == 1 || bytes < WORTH_A_THREAD) return;
  if (e->crew.size == 0) {
    for (int i = 1; i < e->threads; i++) counter(e, i);
    ft_crew_open(&e->crew, e->threads - 1);
  }
  job->shared = e->crew.size > 0;
  if (job->shared) ft_crew_begin(&e->crew, work, job);
}

/* Waits for the crew. */
static void end(struct job *job) {
  if (job->shared) ft_crew_wait(&job->e->crew);
  job->shared = false;
  job->e->job = NULL;
  job->e = NULL;
}

static void give_up(struct job *job) {
  if (!job->e) return;
  atomic_store(&job->next, job->count);
  end(job);
}

static int job_close(lua_State *L) {
  give_up(luaL_checkudata(L, 1, JOB));
  return 0;
}

/* Arguments: encoding, list of rows, shape, whether they are sound. Pushes the job. */
static int encoding_start(lua_State *L) {
  struct encoding *e = check_open(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  const struct ft_shape *shape = luaL_checkudata(L, 3, FT_TOKENIZER_SHAPE);
  bool sound = lua_toboolean(L, 4);
  if (e->job) return luaL_error(L, "the encoding counts other rows; finish those first");
  lua_settop(L, 3);
  size_t count = lua_rawlen(L, 2), bytes = 0;
  struct job *job = lua_newuserdatauv(L, sizeof *job + count * sizeof *job->rows, 3);
  memset(job, 0, sizeof *job);
  job->count = count;
  job->shape = shape;
  job->sound = sound;
  luaL_setmetatable(L, JOB);
  /* a list of our own: the caller's may change */
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    if (lua_rawgeti(L, 2, (lua_Integer)i + 1) != LUA_TSTRING)
      return luaL_argerror(L, 2, "a list of strings");
    job->rows[i].text = lua_tolstring(L, -1, &job->rows[i].len);
    bytes += job->rows[i].len;
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setiuservalue(L, -2, 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, 3);
  start(e, job, bytes);
  return 1;
}

/* Counts what is left together with the threads. */
static int job_finish(lua_State *L) {
  struct job *job = luaL_checkudata(L, 1, JOB);
  luaL_argcheck(L, job->e, 1, "the rows were counted, or given up");
  if (!counter(job->e, 0)) {
    give_up(job);
    return no_memory(L);
  }
  work(job, 0);
  end(job);
  lua_createtable(L, (int)job->count, 0);
  for (size_t i = 0; i < job->count; i++) {
    int64_t tokens = job->rows[i].tokens;
    if (tokens == FT_ROW_MEMORY) return no_memory(L);
    if (tokens < 0)
      lua_pushboolean(L, 0);
    else
      lua_pushinteger(L, tokens);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_pushnil(L);
  lua_setiuservalue(L, 1, 2); /* the rows may go before the job does */
  return 1;
}

static int encoding_rows(lua_State *L) {
  encoding_start(L);
  lua_replace(L, 1);
  lua_settop(L, 1);
  return job_finish(L);
}

static const luaL_Reg methods[] = {
    {"count", encoding_count}, {"encode", encoding_encode}, {"rows", encoding_rows},
    {"start", encoding_start}, {"close", encoding_close},   {NULL, NULL},
};

static const luaL_Reg job_methods[] = {{"finish", job_finish}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"open", tokenizer_open},
    {"shape", ft_tokenizer_shape},
    {NULL, NULL},
};

int luaopen_ft_tokenizer(lua_State *L) {
  ft_new_type(L, ENCODING, methods, encoding_close);
  ft_new_type(L, JOB, job_methods, job_close);
  ft_tokenizer_shape_type(L);
  luaL_newlib(L, functions);
  return 1;
}
