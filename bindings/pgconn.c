#include "pgconn.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "secrets.h"

#define CANCEL_WAIT_S 0.5 /* the longest that a dead server can hold up the loop */
#define TURN_S 0.02 /* a stream that is always ready lets the others have their turn this often */

enum { MAX_KEYWORDS = 80, AHEAD_BYTES = 2 << 20 };

/* SELECT fixes the snapshot, after which PostgreSQL refuses to make the transaction writable. */
static const char BEGIN_READ_ONLY[] =
    "ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1";

static void clear(struct ft_pg_conn *c) {
  PQclear(c->result);
  c->result = NULL;
  c->unread = false;
}

/* ---- results that came before they were asked for ---- */

static PGresult *take_ahead(struct ft_pg_conn *c) {
  PGresult *r = c->ahead.results[c->ahead.first];
  c->ahead.first = (c->ahead.first + 1) % FT_PG_AHEAD;
  c->ahead.count--;
  c->ahead.bytes -= PQresultMemorySize(r);
  return r;
}

static void forget_ahead(struct ft_pg_conn *c) {
  while (c->ahead.count) PQclear(take_ahead(c));
}

/* Takes what the server has sent off the socket while the caller is at work on a row: else the
 * server stands still most of the time, as a socket holds a few rows only. Large rows are taken one
 * by one. */
static void read_ahead(struct ft_pg_conn *c) {
  size_t row = PQresultMemorySize(c->result);
  while (!c->broken && c->ahead.count < FT_PG_AHEAD && c->ahead.bytes + row < AHEAD_BYTES) {
    if (PQisBusy(c->pg)) {
      if (!PQconsumeInput(c->pg)) c->broken = true;
      if (PQisBusy(c->pg)) return;
    }
    PGresult *r = PQgetResult(c->pg);
    if (!r) return;
    c->ahead.results[(c->ahead.first + c->ahead.count++) % FT_PG_AHEAD] = r;
    c->ahead.bytes += PQresultMemorySize(r);
    if (PQresultStatus(r) != PGRES_SINGLE_TUPLE) return;
  }
}

/* Ends the connection; whoever waits on it learns that. */
void ft_pg_drop(struct ft_pg_conn *c) {
  ft_wait_stop(&c->wait);
  clear(c);
  forget_ahead(c);
  PQfinish(c->pg);
  c->pg = NULL;
  c->phase = PG_IDLE;
  if (c->task) ft_task_wake(c->task);
}

/* ---- cancelling ---- */

static void *send_cancel(void *handle) {
  char error[256];
  PQcancel(handle, error, sizeof error);
  PQfreeCancel(handle);
  return NULL;
}

/* Asks the server to stop what runs. PQcancel blocks, for minutes when the server's machine is
 * gone: a thread of its own does it. False when it did not end in time; it may then hit a later
 * statement, so the connection has to go. */
static bool cancel_statement(struct ft_pg_conn *c) {
  PGcancel *handle = PQgetCancel(c->pg);
  pthread_t thread;
  if (!handle) return false;
  if (pthread_create(&thread, NULL, send_cancel, handle)) {
    PQfreeCancel(handle);
    return false;
  }
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += (long)(CANCEL_WAIT_S * 1e9);
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  if (pthread_timedjoin_np(thread, NULL, &until) == 0) return true;
  pthread_detach(thread);
  return false;
}

/* Gives up the statement in flight; the connection stays usable when the server answers. */
void ft_pg_abandon(struct ft_pg_conn *c) {
  clear(c);
  forget_ahead(c);
  if (c->stream) *c->stream = NULL;
  c->stream = NULL;
  c->sql = NULL;
  if (!c->pg || (c->phase != PG_RUNNING && c->phase != PG_BEGINNING)) return;
  c->phase = PG_STALE;
  if (!c->broken && cancel_statement(c)) return;
  c->lost = true;
  ft_pg_drop(c);
}

/* ---- a statement's way through the connection; C only ---- */

static bool send_next(struct ft_pg_conn *c) {
  int sent;
  if (c->read_only && PQtransactionStatus(c->pg) != PQTRANS_INTRANS) {
    c->phase = PG_BEGINNING;
    sent = PQsendQuery(c->pg, BEGIN_READ_ONLY);
  } else {
    c->phase = PG_RUNNING;
    sent = PQsendQueryParams(c->pg, c->sql, c->n_values, NULL, c->values, NULL, NULL, 0) &&
           PQsetSingleRowMode(c->pg);
  }
  return sent && PQflush(c->pg) >= 0;
}

/* True when a result can be taken without blocking. */
static bool ready(struct ft_pg_conn *c) {
  while (!c->broken && (c->phase == PG_STALE || c->phase == PG_BEGINNING)) {
    if (PQisBusy(c->pg)) return false;
    PGresult *r = PQgetResult(c->pg);
    if (r) {
      bool failed = c->phase == PG_BEGINNING && PQresultStatus(r) == PGRES_FATAL_ERROR;
      PQclear(failed ? c->result : r);
      if (failed) c->result = r;
    } else if (c->result) {
      c->phase = PG_IDLE;
      c->begin_failed = true;
      return true;
    } else {
      c->broken = !send_next(c);
    }
  }
  return c->broken || !PQisBusy(c->pg);
}

static void arm(struct ft_pg_conn *c) {
  c->wait.fd = PQsocket(c->pg);
  c->wait.events = (short)(CURL_WAIT_POLLIN | (PQflush(c->pg) > 0 ? CURL_WAIT_POLLOUT : 0));
  if (c->wait.fd < 0) c->wait.deadline_s = 0; /* gone: nothing to wait for */
  ft_wait_start(c->loop, &c->wait);
}

static void on_data(struct ft_wait *w, short revents) {
  struct ft_pg_conn *c = (struct ft_pg_conn *)((char *)w - offsetof(struct ft_pg_conn, wait));
  c->turn_s = ft_now_s();
  if (w->fd < 0) {
    c->broken = c->broken || !c->pause;
  } else if (!revents) {
    c->timed_out = true;
  } else {
    if ((revents & CURL_WAIT_POLLIN) && !PQconsumeInput(c->pg)) c->broken = true;
    if (PQflush(c->pg) < 0) c->broken = true;
    if (!ready(c)) {
      arm(c);
      return;
    }
  }
  c->pause = false;
  ft_task_wake(c->task);
}

void ft_pg_send(struct ft_pg_conn *c, const char *sql, const char *const *values, int n_values) {
  c->sql = sql;
  c->values = values;
  c->n_values = n_values;
  c->broken = c->timed_out = c->complete = c->begin_failed = c->pause = false;
  c->turn_s = ft_now_s();
  if (c->phase == PG_IDLE) c->broken = !send_next(c);
}

enum ft_pg_taken ft_pg_take(struct ft_pg_conn *c) {
  if (c->unread) return PG_TAKEN_ROW;
  if (!c->pg || c->timed_out) return PG_TAKEN_FAULT;
  c->pause = ft_now_s() - c->turn_s > TURN_S;
  if (c->pause || (!c->ahead.count && !ready(c))) return PG_TAKEN_WAIT;
  if (c->begin_failed) return PG_TAKEN_FAULT;
  clear(c);
  c->result = c->ahead.count ? take_ahead(c) : PQgetResult(c->pg);
  if (!c->result && c->complete) {
    c->phase = PG_IDLE;
    c->sql = NULL;
    return PG_TAKEN_END;
  }
  switch (PQresultStatus(c->result)) {
  case PGRES_SINGLE_TUPLE:
    c->unread = true;
    c->sql = NULL; /* what fails from here on has no place in the text */
    read_ahead(c);
    return PG_TAKEN_ROW;
  case PGRES_TUPLES_OK:
  case PGRES_COMMAND_OK:
    c->complete = true;
    c->sql = NULL;
    return PG_TAKEN_DONE;
  default:
    return PG_TAKEN_FAULT;
  }
}

/* Whether the result ends the connection too. */
static bool is_last_word(const PGresult *r) {
  const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

static void describe_loss(struct ft_pg_conn *c, struct ft_pg_fault *fault) {
  const char *why = c->result ? PQresultErrorField(c->result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
  if (!why) why = c->result ? PQresultErrorMessage(c->result) : PQerrorMessage(c->pg);
  ft_pg_fault_set(fault, "lost", "the connection to %s was lost%s%.*s", c->where, *why ? ": " : "",
                  (int)strcspn(why, "\n"), why);
}

void ft_pg_fault(struct ft_pg_conn *c, double timeout_s, struct ft_pg_fault *fault) {
  bool ends = false;
  if (!c->pg) {
    ft_pg_fault_set(fault, "lost", "the connection to %s was closed while the query ran", c->where);
  } else if (c->timed_out) {
    ft_pg_fault_set(fault, "timeout", "%s did not answer within %g s; the query was cancelled",
                    c->where, timeout_s);
    ft_pg_abandon(c);
  } else if (c->broken || !c->result || PQstatus(c->pg) == CONNECTION_BAD ||
             is_last_word(c->result)) {
    describe_loss(c, fault);
    ends = true;
  } else {
    switch (PQresultStatus(c->result)) {
    case PGRES_FATAL_ERROR:
      ft_pg_statement_fault(c->result, c->sql, fault);
      break;
    case PGRES_EMPTY_QUERY:
      ft_pg_fault_set(fault, "42601", "the query is empty (42601)");
      break;
    default: /* COPY: its data would have to be read in another way */
      ft_pg_fault_set(fault, "0A000", "COPY cannot be used here; write a SELECT (0A000)");
      ends = true;
    }
    if (!c->begin_failed) c->phase = PG_STALE;
  }
  c->begin_failed = false;
  if (ends) {
    c->lost = true;
    ft_pg_drop(c);
  }
  c->phase = c->phase == PG_RUNNING ? PG_STALE : c->phase;
  ft_pg_abandon(c);
}

/* ---- connecting ---- */

static void quiet(void *arg, const char *message) {
  (void)arg;
  ft_log(FT_LOG_DEBUG, "postgres: %.*s", (int)strcspn(message, "\n"), message);
}

static void on_connect(struct ft_wait *w, short revents) {
  struct ft_pg_conn *c = (struct ft_pg_conn *)((char *)w - offsetof(struct ft_pg_conn, wait));
  c->timed_out = !revents;
  if (revents) {
    PostgresPollingStatusType state = PQconnectPoll(c->pg);
    w->fd = PQsocket(c->pg); /* the next address to try has a socket of its own */
    w->events = state == PGRES_POLLING_READING ? CURL_WAIT_POLLIN : CURL_WAIT_POLLOUT;
    if (w->fd >= 0 && (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING)) {
      ft_wait_start(c->loop, w);
      return;
    }
  }
  ft_task_wake(c->task);
}

bool ft_pg_start(struct ft_pg_conn *c, const char *info, const char *source,
                 struct ft_pg_fault *fault) {
  const char *keys[MAX_KEYWORDS + 1] = {0}, *values[MAX_KEYWORDS + 1] = {0};
  char *why = NULL;
  PQconninfoOption *options = PQconninfoParse(info, &why);
  if (!options) {
    ft_pg_url_fault(why, source, fault);
    PQfreemem(why);
    return false;
  }
  size_t n = 0;
  for (PQconninfoOption *o = options; o->keyword && n < MAX_KEYWORDS - 2; o++) {
    if (!o->val || strcmp(o->keyword, "client_encoding") == 0) continue;
    if (strstr(o->keyword, "password")) ft_secrets_hide(o->val, strlen(o->val));
    keys[n] = o->keyword;
    values[n++] = o->val;
  }
  keys[n] = "client_encoding";
  values[n++] = "UTF8";
  keys[n] = "fallback_application_name";
  values[n++] = "ftrun";
  c->pg = PQconnectStartParams(keys, values, 0);
  PQconninfoFree(options);
  if (!c->pg) {
    ft_pg_fault_set(fault, "io", "not enough memory to connect");
    return false;
  }
  c->phase = PG_CONNECTING;
  PQsetNoticeProcessor(c->pg, quiet, NULL);
  PQsetErrorVerbosity(c->pg, PQERRORS_VERBOSE);
  if (PQstatus(c->pg) != CONNECTION_BAD && PQsocket(c->pg) >= 0) return true;
  ft_pg_connect_fault(c->pg, source, fault);
  return false;
}

bool ft_pg_has_password(const char *info) {
  PQconninfoOption *options = PQconninfoParse(info, NULL);
  bool found = false;
  for (PQconninfoOption *o = options; o && o->keyword; o++)
    found = found || (o->val && strcmp(o->keyword, "password") == 0);
  PQconninfoFree(options);
  return found;
}

bool ft_pg_started(struct ft_pg_conn *c, const char *source, double timeout_s,
                   struct ft_pg_fault *fault) {
  ft_pg_describe(c->pg, c->where, sizeof c->where);
  if (c->timed_out) {
    ft_pg_fault_set(fault, "timeout",
                    "cannot connect to %s: no answer within %g s; correct host and port in %s, or "
                    "see whether a firewall is between",
                    c->where, timeout_s, source);
    return false;
  }
  if (PQstatus(c->pg) != CONNECTION_OK) {
    ft_pg_connect_fault(c->pg, source, fault);
    return false;
  }
  c->phase = PG_IDLE;
  PQsetnonblocking(c->pg, 1);
  return true;
}

/* ---- waiting ---- */

void ft_pg_await(struct ft_pg_conn *c, struct ft_task *task, double deadline_s) {
  c->task = task;
  c->wait.deadline_s = deadline_s;
  if (c->phase == PG_CONNECTING) { /* PQconnectPoll is to be called as if it had asked for this */
    c->wait.fire = on_connect;
    c->wait.fd = PQsocket(c->pg);
    c->wait.events = CURL_WAIT_POLLOUT;
    ft_wait_start(c->loop, &c->wait);
    return;
  }
  c->wait.fire = on_data;
  if (!c->pause) {
    arm(c);
    return;
  }
  c->wait.fd = -1;
  c->wait.deadline_s = 0;
  ft_wait_start(c->loop, &c->wait);
}

void ft_pg_await_stop(struct ft_pg_conn *c) {
  ft_wait_stop(&c->wait);
  c->task = NULL;
}

void ft_pg_expire(struct ft_pg_conn *c) {
  c->timed_out = true;
}
