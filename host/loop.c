#include "loop.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

enum {
  MAX_POLL_MS = 60000,
  MAX_CONNECTIONS = 256, /* open at once, and kept for reuse; further transfers queue for one */
};

struct ft_loop {
  CURLM *multi;
  unsigned transfers; /* started and not stopped */
  struct ft_wait *waits;
  struct ft_wait *due; /* those that fire_due is about to fire */
  struct curl_waitfd *fds;
  unsigned fds_cap;
};

double ft_now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct ft_loop *ft_loop_new(void) {
  struct ft_loop *loop = calloc(1, sizeof *loop);
  if (!loop) return NULL;
  loop->multi = curl_multi_init();
  if (!loop->multi) {
    free(loop);
    return NULL;
  }
  curl_multi_setopt(loop->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)MAX_CONNECTIONS);
  curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, (long)MAX_CONNECTIONS);
  return loop;
}

void ft_loop_free(struct ft_loop *loop) {
  if (!loop) return;
  curl_multi_cleanup(loop->multi);
  free(loop->fds);
  free(loop);
}

/* ---- waits ---- */

static void link_wait(struct ft_wait **list, struct ft_wait *w) {
  w->next = *list;
  w->link = list;
  if (w->next) w->next->link = &w->next;
  *list = w;
}

static void unlink_wait(struct ft_wait *w) {
  *w->link = w->next;
  if (w->next) w->next->link = w->link;
}

void ft_wait_start(struct ft_loop *loop, struct ft_wait *w) {
  ft_wait_stop(w);
  w->loop = loop;
  w->polled = 0;
  link_wait(&loop->waits, w);
}

void ft_wait_stop(struct ft_wait *w) {
  if (!w->loop) return;
  unlink_wait(w);
  w->loop = NULL;
}

/* Fires the waits that are due, the oldest first. They move to a list of their own before the first
 * callback runs: a callback may start and stop any wait, and one that starts its own again must not
 * fire twice in a turn. */
static void fire_due(struct ft_loop *loop, double now) {
  for (struct ft_wait *w = loop->waits, *next; w; w = next) {
    next = w->next;
    w->revents = w->polled ? loop->fds[w->polled - 1].revents : 0;
    w->polled = 0;
    if (!w->revents && w->deadline_s > now) continue;
    unlink_wait(w);
    link_wait(&loop->due, w);
  }
  while (loop->due) {
    struct ft_wait *w = loop->due;
    ft_wait_stop(w);
    w->fire(w, w->revents);
  }
}

static int reserve_fds(struct ft_loop *loop, unsigned n) {
  if (n <= loop->fds_cap) return 0;
  struct curl_waitfd *fds = realloc(loop->fds, 2 * n * sizeof *fds);
  if (!fds) return -1;
  loop->fds = fds;
  loop->fds_cap = 2 * n;
  return 0;
}

int ft_transfer_start(struct ft_loop *loop, struct ft_transfer *t) {
  ft_transfer_stop(t);
  curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
  if (curl_multi_add_handle(loop->multi, t->easy)) return -1;
  t->loop = loop;
  loop->transfers++;
  return 0;
}

void ft_transfer_stop(struct ft_transfer *t) {
  if (!t->loop) return;
  curl_multi_remove_handle(t->loop->multi, t->easy);
  t->loop->transfers--;
  t->loop = NULL;
}

static void finish_transfers(struct ft_loop *loop) {
  int left;
  CURLMsg *msg;
  while ((msg = curl_multi_info_read(loop->multi, &left))) {
    if (msg->msg != CURLMSG_DONE) continue;
    struct ft_transfer *t = NULL;
    CURLcode code = msg->data.result; /* msg dies with the next multi call */
    curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    ft_transfer_stop(t);
    t->done(t, code);
  }
}

/* The only place that blocks. A transfer that a task has just added carries a timer of curl's that
 * has run out already, so that the poll returns at once and the perform below drives it. */
int ft_loop_poll(struct ft_loop *loop, bool hurry) {
  unsigned n = 0;
  double nearest = INFINITY;
  for (struct ft_wait *w = loop->waits; w; w = w->next) {
    if (w->deadline_s < nearest) nearest = w->deadline_s;
    if (w->fd < 0) continue;
    if (reserve_fds(loop, n + 1)) return -1;
    loop->fds[n] = (struct curl_waitfd){.fd = w->fd, .events = w->events};
    w->polled = ++n;
  }
  double wait_ms = ceil((nearest - ft_now_s()) * 1e3);
  if (hurry || wait_ms < 0) wait_ms = 0;
  if (wait_ms > MAX_POLL_MS) wait_ms = MAX_POLL_MS;
  if (curl_multi_poll(loop->multi, loop->fds, n, (int)wait_ms, NULL)) return -1;
  fire_due(loop, ft_now_s());
  int running;
  if (curl_multi_perform(loop->multi, &running)) return -1;
  finish_transfers(loop);
  return 0;
}

bool ft_loop_idle(const struct ft_loop *loop) {
  if (loop->transfers) return false;
  for (const struct ft_wait *w = loop->waits; w; w = w->next)
    if (!w->background) return false;
  return true;
}
