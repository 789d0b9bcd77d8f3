/* ft.postgres: the Lua face of pgconn.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings.h"
#include "native.h"
#include "pgconn.h"
#include "secrets.h"

static const char CONNECTION[] = "ft.postgres.Connection";
static const char ROWS[] = "ft.postgres.Rows";
static const char GUARD[] = "ft.postgres.guard";

#define CONNECT_TIMEOUT_S 10.0
#define QUERY_TIMEOUT_S 60.0
#define QUERY_LIMIT ((size_t)64 << 20)

enum { MAX_PARAMS = 65535 };

/* User value 1 keeps the connection alive, 2 is the list of column names. */
struct rows {
  struct ft_pg_conn *conn; /* NULL: ended or closed */
  double timeout_s;
  bool closed;
};

/* To-be-closed on the stack of a call that may wait: takes back what a cancelled or raising call
 * began. */
struct guard {
  struct ft_pg_conn *conn;
  double timeout_s, deadline_s;
  size_t bytes; /* collected by query */
  lua_Integer n_rows, affected;
};

/* ---- suspending ---- */

static struct guard *push_guard(lua_State *L, struct ft_pg_conn *c) {
  struct guard *g = lua_newuserdatauv(L, sizeof *g, 0);
  *g = (struct guard){0};
  luaL_setmetatable(L, GUARD);
  lua_toclose(L, -1);
  g->conn = c;
  return g;
}

static int guard_close(lua_State *L) {
  struct guard *g = lua_touserdata(L, 1);
  struct ft_pg_conn *c = g->conn;
  g->conn = NULL;
  if (!c) return 0;
  ft_pg_await_stop(c);
  if (c->phase == PG_CONNECTING)
    ft_pg_drop(c);
  else
    ft_pg_abandon(c);
  return 0;
}

/* The call has its answer: nothing to take back. */
static void disarm(struct guard *g) {
  g->conn->task = NULL;
  g->conn = NULL;
}

static int suspend(lua_State *L, struct guard *g, lua_KFunction k) {
  struct ft_pg_conn *c = g->conn;
  ft_pg_await(c, ft_task_self(L), isnan(g->deadline_s) ? ft_now_s() + g->timeout_s : g->deadline_s);
  return ft_task_suspend(L, 0, k);
}

static int fail(lua_State *L, const struct ft_pg_fault *fault) {
  return ft_fail(L, fault->code, "%s", fault->message);
}

/* After PG_TAKEN_FAULT, with the guard disarmed. */
static int fail_statement(lua_State *L, struct ft_pg_conn *c, double timeout_s) {
  struct ft_pg_fault fault;
  ft_pg_fault(c, timeout_s, &fault);
  return fail(L, &fault);
}

/* ---- connecting ---- */

/* Stack: target, timeout_s, source, connection, guard. */
static int connected(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct ft_pg_conn *c = lua_touserdata(L, 4);
  struct guard *g = lua_touserdata(L, 5);
  struct ft_pg_fault fault;
  if (!ft_pg_started(c, lua_tostring(L, 3), g->timeout_s, &fault)) return fail(L, &fault);
  disarm(g);
  lua_settop(L, 4);
  return 1;
}

static double check_timeout(lua_State *L, int arg, double dflt) {
  double timeout_s = luaL_optnumber(L, arg, dflt);
  luaL_argcheck(L, timeout_s > 0, arg, "a timeout is a positive number of seconds");
  return timeout_s;
}

static int pg_connect(lua_State *L) {
  static const char *const keys[] = {"secret", "conninfo", "read_only", NULL};
  ft_check_keys(L, 1, keys);
  double timeout_s = check_timeout(L, 2, CONNECT_TIMEOUT_S);
  const char *secret = ft_opt_string(L, 1, "secret", NULL, NULL);
  const char *info = ft_opt_string(L, 1, "conninfo", NULL, NULL);
  bool read_only = ft_opt_boolean(L, 1, "read_only", false);
  luaL_argcheck(L, !secret != !info, 1, "expected one of 'secret' and 'conninfo'");
  ft_task_self(L);
  lua_settop(L, 2);
  lua_pushstring(L, secret ? secret : "the conninfo");
  struct ft_pg_conn *c = lua_newuserdatauv(L, sizeof *c, 0);
  *c = (struct ft_pg_conn){.read_only = read_only, .loop = ft_loop_of(L)};
  luaL_setmetatable(L, CONNECTION);
  struct guard *g = push_guard(L, c);
  g->timeout_s = timeout_s;
  if (info && ft_pg_has_password(info))
    return ft_fail(
        L, "bad_url",
        "a password has no place here; put the whole URL into a setting such as DATABASE_URL");
  if (secret) info = ft_secret(secret);
  if (!info)
    return ft_fail(
        L, "no_secret",
        "%s is not set; put a URL like postgresql://user:password@host:5432/database into it",
        secret);
  struct ft_pg_fault fault;
  if (!ft_pg_start(c, info, lua_tostring(L, 3), &fault)) return fail(L, &fault);
  g->deadline_s = ft_now_s() + timeout_s;
  return suspend(L, g, connected);
}

static int conn_close(lua_State *L) {
  struct ft_pg_conn *c = lua_touserdata(L, 1);
  ft_pg_abandon(c);
  c->lost = false;
  ft_pg_drop(c);
  return 0;
}

static int conn_method_close(lua_State *L) {
  luaL_checkudata(L, 1, CONNECTION);
  return conn_close(L);
}

/* ---- statements ---- */

/* The n parameters of the list at argument 3 as the server takes them, each NULL or a string;
 * pushes the array and a table that keeps the strings, as slots 5 and 6. *nul: one of them holds a
 * NUL byte. [-0, +2, v] */
static const char **push_params(lua_State *L, lua_Integer n, bool *nul) {
  size_t len;
  const char **values = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *values, 0);
  lua_createtable(L, (int)n, 0);
  *nul = false;
  for (int i = 0; i < n; i++) {
    char number[40];
    values[i] = NULL;
    switch (lua_rawgeti(L, 3, i + 1)) {
    case LUA_TNIL:
      break;
    case LUA_TBOOLEAN:
      values[i] = lua_toboolean(L, -1) ? "true" : "false";
      break;
    case LUA_TNUMBER:
      if (!lua_isinteger(L, -1)) { /* tostring would keep 14 digits */
        snprintf(number, sizeof number, "%.17g", lua_tonumber(L, -1));
        lua_pushstring(L, number);
        lua_replace(L, -2);
      }
      /* fall through */
    case LUA_TSTRING:
      values[i] = lua_tolstring(L, -1, &len);
      *nul = *nul || strlen(values[i]) != len;
      lua_pushvalue(L, -1);
      lua_rawseti(L, 6, i + 1);
      break;
    default:
      luaL_argerror(L, 3,
                    lua_pushfstring(L,
                                    "parameter %d: expected string, number, boolean or nil, got %s",
                                    i + 1, luaL_typename(L, -1)));
    }
    lua_settop(L, 6);
  }
  return values;
}

/* Lays the statement at arguments 2 to 4 out on the stack, which is then: connection, sql, params,
 * timeout_s, array of value pointers, table of the values, guard. NULL with the failure pushed. */
static struct guard *begin(lua_State *L) {
  struct ft_pg_conn *c = luaL_checkudata(L, 1, CONNECTION);
  size_t len;
  const char *sql = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, strlen(sql) == len, 2, "a query cannot hold a NUL byte");
  lua_settop(L, 4);
  lua_Integer n = 0;
  if (!lua_isnil(L, 3)) {
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_pushliteral(L, "n");
    lua_rawget(L, 3);
    n = lua_isnil(L, -1) ? (lua_Integer)lua_rawlen(L, 3) : luaL_checkinteger(L, -1);
    luaL_argcheck(L, n >= 0 && n <= MAX_PARAMS, 3, "too many parameters");
  }
  double timeout_s = check_timeout(L, 4, QUERY_TIMEOUT_S);
  ft_task_self(L);
  lua_settop(L, 4);
  bool nul;
  const char **values = push_params(L, n, &nul);
  if (c->task || c->stream)
    luaL_error(L, "the connection is busy; end its query or close its rows first");
  if (!c->pg && !c->lost) luaL_error(L, "the connection is closed");
  if (!c->pg) {
    ft_fail(L, "lost", "the connection to %s was lost before; connect again", c->where);
    return NULL;
  }
  if (nul) { /* what the server would say, if the protocol let the byte through */
    ft_fail(L, "22021",
            "a parameter holds a NUL byte, which PostgreSQL cannot store as text (22021)");
    return NULL;
  }
  struct guard *g = push_guard(L, c);
  g->timeout_s = timeout_s;
  ft_pg_send(c, sql, values, (int)n);
  return g;
}

/* Pushes the list of column names, or nil, message, code when two are the same: one would hide the
 * other. */
static bool push_columns(lua_State *L, struct ft_pg_conn *c) {
  int n = PQnfields(c->result);
  lua_createtable(L, n, 0);
  lua_newtable(L);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, PQfname(c->result, i));
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
      ft_pg_abandon(c);
      ft_fail(L, "42701",
              "two columns of the query are called '%s'; name them apart with AS (42701)",
              lua_tostring(L, -2));
      return false;
    }
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -4, i + 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
  }
  lua_pop(L, 1);
  return true;
}

/* Pushes the row as a table; returns its size. */
static size_t push_row(lua_State *L, struct ft_pg_conn *c, int names) {
  int n = PQnfields(c->result);
  size_t bytes = 0;
  lua_createtable(L, 0, n);
  for (int i = 0; i < n; i++) {
    if (PQgetisnull(c->result, 0, i)) continue;
    size_t len = (size_t)PQgetlength(c->result, 0, i);
    lua_rawgeti(L, names, i + 1);
    lua_pushlstring(L, PQgetvalue(c->result, 0, i), len);
    lua_rawset(L, -3);
    bytes += len;
  }
  c->unread = false;
  return bytes;
}

/* Stack: what begin left, then the rows, and the column names once they are known. */
static int collect(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct guard *g = lua_touserdata(L, 7);
  struct ft_pg_conn *c = g->conn;
  for (;;) {
    if (ft_now_s() > g->deadline_s) ft_pg_expire(c); /* also when rows come all the time */
    enum ft_pg_taken taken = ft_pg_take(c);
    if (taken == PG_TAKEN_WAIT) return suspend(L, g, collect);
    if (taken == PG_TAKEN_END) break;
    if (taken == PG_TAKEN_FAULT) {
      disarm(g);
      return fail_statement(L, c, g->timeout_s);
    }
    if (lua_gettop(L) == 8 && !push_columns(L, c)) {
      disarm(g);
      return 3;
    }
    if (taken == PG_TAKEN_DONE) {
      const char *affected = PQcmdTuples(c->result);
      g->affected = *affected ? strtoll(affected, NULL, 10) : -1;
      continue;
    }
    g->bytes += push_row(L, c, 9);
    lua_rawseti(L, 8, ++g->n_rows);
    if (g->bytes <= QUERY_LIMIT) continue;
    disarm(g);
    ft_pg_abandon(c);
    return ft_fail(L, "too_large", "the query's rows are more than 64 MiB; read them one by one");
  }
  disarm(g);
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, 8);
  lua_setfield(L, -2, "rows");
  lua_pushvalue(L, 9);
  lua_setfield(L, -2, "columns");
  if (g->affected >= 0) {
    lua_pushinteger(L, g->affected);
    lua_setfield(L, -2, "affected");
  }
  return 1;
}

static int conn_query(lua_State *L) {
  struct guard *g = begin(L);
  if (!g) return 3;
  g->deadline_s = ft_now_s() + g->timeout_s;
  lua_newtable(L);
  return collect(L, LUA_OK, 0);
}

/* ---- streams ---- */

/* Stack: what begin left, then the rows object. Waits for the first result, so that a wrong query
 * fails here. */
static int first_result(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct guard *g = lua_touserdata(L, 7);
  struct rows *rows = lua_touserdata(L, 8);
  struct ft_pg_conn *c = g->conn;
  enum ft_pg_taken taken = ft_pg_take(c);
  if (taken == PG_TAKEN_WAIT) return suspend(L, g, first_result);
  if (taken == PG_TAKEN_FAULT) {
    disarm(g);
    return fail_statement(L, c, g->timeout_s);
  }
  if (!push_columns(L, c)) {
    disarm(g);
    return 3;
  }
  lua_setiuservalue(L, 8, 2);
  rows->conn = c;
  c->stream = &rows->conn;
  disarm(g);
  return 1;
}

static int conn_rows(lua_State *L) {
  struct guard *g = begin(L);
  if (!g) return 3;
  g->deadline_s = NAN;
  struct rows *rows = lua_newuserdatauv(L, sizeof *rows, 2);
  *rows = (struct rows){.timeout_s = g->timeout_s};
  luaL_setmetatable(L, ROWS);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 8, 1);
  return first_result(L, LUA_OK, 0);
}

/* Stack: rows, column names, and a guard once the call has waited. */
static int next_row(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct rows *rows = lua_touserdata(L, 1);
  struct guard *g = lua_touserdata(L, 3);
  struct ft_pg_conn *c = g ? g->conn : rows->conn;
  enum ft_pg_taken taken;
  do taken = ft_pg_take(c);
  while (taken == PG_TAKEN_DONE);
  if (taken == PG_TAKEN_WAIT) {
    if (!g) {
      g = push_guard(L, c);
      g->timeout_s = rows->timeout_s;
      g->deadline_s = NAN;
    }
    return suspend(L, g, next_row);
  }
  if (taken == PG_TAKEN_ROW) push_row(L, c, 2);
  if (g) disarm(g);
  if (taken == PG_TAKEN_ROW) return 1;
  c->stream = NULL;
  rows->conn = NULL;
  if (taken == PG_TAKEN_FAULT) return fail_statement(L, c, rows->timeout_s);
  luaL_pushfail(L);
  return 1;
}

static int rows_next(lua_State *L) {
  struct rows *rows = luaL_checkudata(L, 1, ROWS);
  luaL_argcheck(L, !rows->closed, 1, "the rows are closed");
  lua_settop(L, 1);
  if (!rows->conn) {
    luaL_pushfail(L);
    return 1;
  }
  if (rows->conn->task) return luaL_error(L, "another task waits for these rows");
  ft_task_self(L);
  lua_getiuservalue(L, 1, 2);
  return next_row(L, LUA_OK, 0);
}

static int rows_columns(lua_State *L) {
  luaL_checkudata(L, 1, ROWS);
  lua_getiuservalue(L, 1, 2);
  return 1;
}

static int rows_close(lua_State *L) {
  struct rows *rows = lua_touserdata(L, 1);
  rows->closed = true;
  if (rows->conn) ft_pg_abandon(rows->conn);
  return 0;
}

static int rows_method_close(lua_State *L) {
  luaL_checkudata(L, 1, ROWS);
  return rows_close(L);
}

static const luaL_Reg functions[] = {{"connect", pg_connect}, {NULL, NULL}};

static const luaL_Reg connection_methods[] = {
    {"query", conn_query}, {"rows", conn_rows}, {"close", conn_method_close}, {NULL, NULL}};

static const luaL_Reg rows_methods[] = {
    {"next", rows_next}, {"columns", rows_columns}, {"close", rows_method_close}, {NULL, NULL}};

int luaopen_ft_postgres(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  ft_new_type(L, CONNECTION, connection_methods, conn_close);
  ft_new_type(L, ROWS, rows_methods, rows_close);
  ft_new_type(L, GUARD, none, guard_close);
  luaL_newlib(L, functions);
  return 1;
}
