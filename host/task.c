#include "task.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "input.h"
#include "log.h"
#include "native.h"
#include "signals.h"

enum task_state { TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_DONE, TASK_FAILED, TASK_CANCELLED };

/* A task is a full userdata. While it is not finished, registry[task] keeps it alive; user value 1
 * is its coroutine, later the table of its results (or { error }). The extra space of the coroutine
 * points back at it. */
struct ft_task {
  struct ft_tasks *all;
  lua_State *co;
  enum task_state state;
  int nargs;        /* arguments for the first resume */
  int failure_seen; /* somebody has joined the failed task */
  struct ft_task *next_ready;
  struct ft_task *joiners, *next_joiner; /* tasks suspended in join on this one */
};

/* The extra space of a state that runs no task points at `root`, which only knows the rest. */
struct ft_tasks {
  struct ft_task root;
  struct ft_loop *loop;
  lua_State *main;
  struct ft_task *ready_head, **ready_tail;
};

static const char TASK[] = "ft.Task";
static const char JOIN[] = "ft.Task.join";

static struct ft_task *of(lua_State *L) {
  return *(struct ft_task **)lua_getextraspace(L);
}

struct ft_loop *ft_loop_of(lua_State *L) {
  return of(L)->all->loop;
}

struct ft_tasks *ft_tasks_new(struct ft_loop *loop, lua_State *L) {
  struct ft_tasks *all = calloc(1, sizeof *all);
  if (!all) return NULL;
  *all = (struct ft_tasks){.root.all = all, .loop = loop, .main = L};
  all->ready_tail = &all->ready_head;
  *(struct ft_task **)lua_getextraspace(L) = &all->root;
  return all;
}

void ft_tasks_free(struct ft_tasks *all) {
  free(all);
}

struct ft_task *ft_task_self(lua_State *L) {
  struct ft_task *task = of(L);
  if (task->co != L) luaL_error(L, "this call waits, and works only inside a task");
  return task;
}

int ft_task_suspend(lua_State *L, lua_KContext ctx, lua_KFunction k) {
  if (ft_task_self(L)->state != TASK_RUNNING)
    return luaL_error(L, "a task that is being closed cannot wait");
  return lua_yieldk(L, 0, ctx, k);
}

void ft_task_wake(struct ft_task *task) {
  if (task->state != TASK_WAITING) return;
  task->state = TASK_READY;
  task->next_ready = NULL;
  *task->all->ready_tail = task;
  task->all->ready_tail = &task->next_ready;
}

struct ft_task *ft_task_spawn(lua_State *L, int nargs) {
  luaL_checkstack(L, 4, "task");
  struct ft_task *task = lua_newuserdatauv(L, sizeof *task, 1);
  *task = (struct ft_task){.all = of(L)->all, .state = TASK_DONE, .nargs = nargs};
  luaL_setmetatable(L, TASK);
  lua_State *co = lua_newthread(L);
  lua_setiuservalue(L, -2, 1);
  lua_insert(L, -(nargs + 2)); /* task fn args... */
  if (!lua_checkstack(co, nargs + 1)) luaL_error(L, "too many arguments for a task");
  lua_pushvalue(L, -(nargs + 2));
  lua_rawsetp(L, LUA_REGISTRYINDEX, task);
  lua_xmove(L, co, nargs + 1);
  *(struct ft_task **)lua_getextraspace(co) = task;
  task->co = co;
  task->state = TASK_WAITING;
  ft_task_wake(task);
  return task;
}

/* Wakes those who wait for the task, and lets the collector have it. The outcome is kept as user
 * value 1. */
static void finish(lua_State *L, struct ft_task *task, enum task_state state) {
  task->state = state;
  for (struct ft_task *j = task->joiners; j; j = j->next_joiner) {
    task->failure_seen = 1;
    ft_task_wake(j);
  }
  task->joiners = NULL;
  task->co = NULL;
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, task);
}

/* Packs the n values on top of co into a table that becomes the task's user value. Runs in a
 * protected call on the loop's state: (task, co, n). */
static int keep_outcome(lua_State *L) {
  lua_State *co = lua_touserdata(L, 2);
  int n = (int)lua_tointeger(L, 3);
  luaL_checkstack(L, n + 3, "task results");
  lua_createtable(L, n, 1);
  int t = lua_gettop(L);
  lua_xmove(co, L, n);
  for (int i = n; i >= 1; i--) lua_rawseti(L, t, i);
  lua_pushinteger(L, n);
  lua_setfield(L, t, "n");
  lua_rawgetp(L, LUA_REGISTRYINDEX, lua_touserdata(L, 1));
  lua_pushvalue(L, t);
  lua_setiuservalue(L, -2, 1);
  return 0;
}

static int add_traceback(lua_State *L) {
  lua_State *co = lua_touserdata(L, 1);
  if (lua_type(co, -1) == LUA_TSTRING) {
    luaL_traceback(L, co, lua_tostring(co, -1), 0);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static void resume(struct ft_task *task) {
  lua_State *L = task->all->main;
  lua_State *co = task->co;
  int n = 0;
  task->state = TASK_RUNNING;
  int nargs = task->nargs;
  task->nargs = 0;
  int status = lua_resume(co, L, nargs, &n);
  if (status == LUA_YIELD) {
    lua_pop(co, n);
    if (task->state == TASK_RUNNING) task->state = TASK_WAITING;
    return;
  }
  if (status != LUA_OK) {
    n = 1;
    lua_pushcfunction(L, add_traceback);
    lua_pushlightuserdata(L, co);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_isstring(L, -1)) {
      lua_pop(co, 1);
      lua_xmove(L, co, 1);
    } else {
      lua_pop(L, 1);
    }
    /* keep the error value on co's stack while the pending <close> variables run */
    lua_xmove(co, L, 1);
    task->state = TASK_FAILED; /* they cannot wait */
    lua_resetthread(co);
    lua_settop(co, 0);
    lua_xmove(L, co, 1);
  }
  lua_pushcfunction(L, keep_outcome);
  lua_pushlightuserdata(L, task);
  lua_pushlightuserdata(L, co);
  lua_pushinteger(L, n);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
    status = LUA_ERRMEM; /* the results are lost: user value 1 is still the coroutine */
  }
  finish(L, task, status == LUA_OK ? TASK_DONE : TASK_FAILED);
}

static void cancel(lua_State *L, struct ft_task *task) {
  if (task->state == TASK_READY) { /* unlink from the queue */
    struct ft_task **at = &task->all->ready_head;
    while (*at != task) at = &(*at)->next_ready;
    *at = task->next_ready;
    if (!*at) task->all->ready_tail = at;
  }
  lua_State *co = task->co;
  lua_rawgetp(L, LUA_REGISTRYINDEX, task); /* alive until the end of this function */
  task->state = TASK_CANCELLED;
  if (lua_resetthread(co) != LUA_OK)
    ft_log(FT_LOG_DEBUG, "error while closing a cancelled task: %s",
           lua_isstring(co, -1) ? lua_tostring(co, -1) : "(not a string)");
  lua_settop(co, 0);
  finish(L, task, TASK_CANCELLED);
  lua_pop(L, 1);
}

void ft_task_cancel(lua_State *L, struct ft_task *task) {
  if (task->state == TASK_READY || task->state == TASK_WAITING) cancel(L, task);
}

static struct ft_task *check_task(lua_State *L) {
  return luaL_checkudata(L, 1, TASK);
}

bool ft_task_finished(const struct ft_task *task) {
  return task->state >= TASK_DONE;
}

/* A suspended join, so that one that is cancelled leaves the list of those who wait. */
struct join_op {
  struct ft_task *on, *self;
};

static int join_close(lua_State *L) {
  struct join_op *op = lua_touserdata(L, 1);
  if (!op->on) return 0;
  struct ft_task **at = &op->on->joiners;
  while (*at && *at != op->self) at = &(*at)->next_joiner;
  if (*at) *at = op->self->next_joiner;
  op->on = NULL;
  return 0;
}

/* Stack: task, op. */
static int join_result(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct ft_task *task = check_task(L);
  if (task->state == TASK_CANCELLED) return luaL_error(L, "cancelled");
  task->failure_seen = 1;
  if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) return luaL_error(L, "not enough memory");
  if (task->state == TASK_FAILED) {
    lua_rawgeti(L, 3, 1);
    return lua_error(L);
  }
  lua_getfield(L, 3, "n");
  int n = (int)lua_tointeger(L, -1);
  luaL_checkstack(L, n, "task results");
  for (int i = 1; i <= n; i++) lua_rawgeti(L, 3, i);
  return n;
}

static int task_join(lua_State *L) {
  struct ft_task *task = check_task(L);
  lua_settop(L, 1);
  struct join_op *op = lua_newuserdatauv(L, sizeof *op, 0);
  *op = (struct join_op){0};
  luaL_setmetatable(L, JOIN);
  if (ft_task_finished(task)) return join_result(L, LUA_OK, 0);
  struct ft_task *self = ft_task_self(L);
  luaL_argcheck(L, self != task, 1, "a task cannot wait for itself");
  lua_toclose(L, 2);
  op->on = task;
  op->self = self;
  self->next_joiner = task->joiners;
  task->joiners = self;
  return ft_task_suspend(L, 0, join_result);
}

static int task_cancel(lua_State *L) {
  struct ft_task *task = check_task(L);
  luaL_argcheck(L, task->state != TASK_RUNNING, 1, "a task cannot cancel itself");
  ft_task_cancel(L, task);
  return 0;
}

static int task_status(lua_State *L) {
  static const char *const names[] = {"running", "running", "running",
                                      "done",    "failed",  "cancelled"};
  lua_pushstring(L, names[check_task(L)->state]);
  return 1;
}

static int task_gc(lua_State *L) {
  struct ft_task *task = lua_touserdata(L, 1);
  if (task->state != TASK_FAILED || task->failure_seen) return 0;
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) lua_rawgeti(L, -1, 1);
  ft_log(FT_LOG_ERROR, "a background task failed: %s",
         lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "(error object)");
  return 0;
}

static int task_spawn(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  ft_task_spawn(L, lua_gettop(L) - 1);
  return 1;
}

/* Runs the tasks that are ready now; those that they make ready wait for the next turn, after a
 * poll. */
static void run_ready(struct ft_tasks *all) {
  struct ft_task *batch_end = NULL;
  for (struct ft_task *t = all->ready_head; t; t = t->next_ready) batch_end = t;
  while (all->ready_head && batch_end) {
    struct ft_task *task = all->ready_head;
    if (task == batch_end) batch_end = NULL;
    all->ready_head = task->next_ready;
    if (!all->ready_head) all->ready_tail = &all->ready_head;
    resume(task);
  }
}

static void cancel_all(lua_State *L) {
  for (;;) {
    struct ft_task *task = NULL;
    lua_pushnil(L);
    while (!task && lua_next(L, LUA_REGISTRYINDEX)) {
      task = luaL_testudata(L, -1, TASK);
      lua_pop(L, task ? 2 : 1);
    }
    if (!task) return;
    cancel(L, task);
  }
}

int ft_tasks_main(lua_State *L, int nargs) {
  struct ft_task *task = ft_task_spawn(L, nargs);
  struct ft_tasks *all = task->all;
  bool broken = false;
  while (!broken) {
    run_ready(all);
    if (ft_task_finished(task)) break;
    broken = (!all->ready_head && ft_loop_idle(all->loop)) ||
             ft_loop_poll(all->loop, all->ready_head != NULL) != 0;
  }
  if (broken) {
    cancel_all(L);
    lua_pop(L, 1);
    lua_pushliteral(L, "the event loop has nothing left to wait for");
    return LUA_ERRRUN;
  }
  cancel_all(L);
  task->failure_seen = 1;
  if (lua_getiuservalue(L, -1, 1) == LUA_TTABLE)
    lua_rawgeti(L, -1, 1);
  else
    lua_pushliteral(L, "not enough memory");
  lua_replace(L, -3);
  lua_settop(L, -2);
  return task->state == TASK_DONE ? LUA_OK : LUA_ERRRUN;
}

static const luaL_Reg functions[] = {
    {"spawn", task_spawn}, {"signal", ft_signal_wait}, {"read_line", ft_input_line}, {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"join", task_join}, {"cancel", task_cancel}, {"status", task_status}, {NULL, NULL}};

int luaopen_ft_task(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  ft_new_type(L, TASK, methods, task_gc);
  ft_new_type(L, JOIN, none, join_close);
  ft_signals_open(L);
  ft_input_open(L);
  luaL_newlib(L, functions);
  return 1;
}
