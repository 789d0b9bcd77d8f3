/* One PostgreSQL connection in the event loop: C only, no Lua. It does one thing at a time, for one
 * task. Rows come in single-row mode, so that memory stays flat. Results that nobody wants any more
 * (a closed stream, a timeout, a cancelled task) are cancelled on the server and thrown away before
 * the next statement. */
#ifndef FT_PGCONN_H
#define FT_PGCONN_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "task.h"
#include "pgtext.h"

enum ft_pg_phase {
  PG_IDLE,       /* nothing in flight */
  PG_CONNECTING, /* PQconnectPoll decides */
  PG_STALE,      /* results to throw away are in flight */
  PG_BEGINNING,  /* the read-only transaction is being begun */
  PG_RUNNING     /* the caller's statement is in flight */
};

enum { FT_PG_AHEAD = 256 };

/* Zero-initialise, set loop and read_only, start. */
struct ft_pg_conn {
  struct ft_loop *loop;
  bool read_only; /* every statement runs in a read-only transaction */
  PGconn *pg;     /* NULL: closed, or lost */
  bool lost;
  enum ft_pg_phase phase;
  PGresult *result;           /* what was taken last */
  bool unread;                /* it is a row that nobody has yet: whoever copied it clears this */
  struct ft_task *task;       /* suspended on this connection */
  struct ft_pg_conn **stream; /* where an open stream points here; set to NULL with its end */
  char where[300];            /* "database 'x' at host:port as user 'u'" */
  /* private from here */
  struct ft_wait wait;
  bool broken;       /* the socket's end was seen: what is left can be taken without blocking */
  bool timed_out;    /* the deadline passed */
  bool complete;     /* the statement's own end was seen */
  bool begin_failed; /* result says why the transaction could not be begun */
  bool pause;        /* wait for nothing but the loop's next turn */
  double turn_s;     /* when the loop last had its turn */
  struct {
    PGresult *results[FT_PG_AHEAD]; /* a ring */
    unsigned first, count;
    size_t bytes;
  } ahead;         /* results that came before they were asked for */
  const char *sql; /* the statement; NULL once its text is gone */
  const char *const *values;
  int n_values;
};

enum ft_pg_taken {
  PG_TAKEN_WAIT, /* nothing yet: ft_pg_await */
  PG_TAKEN_ROW,  /* result is one row */
  PG_TAKEN_DONE, /* result is the statement's end: columns, rows affected */
  PG_TAKEN_END,  /* the connection is ready for the next statement */
  PG_TAKEN_FAULT /* ft_pg_fault tells */
};

/* Whether a URL or conninfo holds a password. */
bool ft_pg_has_password(const char *info);

/* Starts connecting to a URL or conninfo; then await. `source` names the setting, for messages.
 * False with the fault set when it has failed already. Passwords are masked in all output from here
 * on. */
bool ft_pg_start(struct ft_pg_conn *c, const char *info, const char *source,
                 struct ft_pg_fault *fault);

/* After the wait for the connection: whether it stands; else sets the fault. */
bool ft_pg_started(struct ft_pg_conn *c, const char *source, double timeout_s,
                   struct ft_pg_fault *fault);

/* Sends a statement with text parameters (NULL: NULL). The texts must live until the first result
 * is taken. */
void ft_pg_send(struct ft_pg_conn *c, const char *sql, const char *const *values, int n_values);

/* The next result, without blocking. */
enum ft_pg_taken ft_pg_take(struct ft_pg_conn *c);

/* Wakes the task when the connection has news, or when the deadline (ft_now_s scale) has passed. */
void ft_pg_await(struct ft_pg_conn *c, struct ft_task *task, double deadline_s);
void ft_pg_await_stop(struct ft_pg_conn *c); /* idempotent */

/* Lets the statement fail as timed out, without waiting for the deadline. */
void ft_pg_expire(struct ft_pg_conn *c);

/* After PG_TAKEN_FAULT: tells why, and settles the connection: usable again, or lost. */
void ft_pg_fault(struct ft_pg_conn *c, double timeout_s, struct ft_pg_fault *fault);

/* Gives up the statement in flight; the connection stays usable when the server answers. May block
 * for half a second when the server's machine is gone. */
void ft_pg_abandon(struct ft_pg_conn *c);

/* Ends the connection; a task that waits on it learns that. Idempotent. */
void ft_pg_drop(struct ft_pg_conn *c);

#endif
