#include "silence.h"

#include <math.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "loop.h"

enum { CROWD = FT_MAX_CONNECTIONS * 3 / 4 };

static const double CROWDED_S = 1;

struct ft_silent {
  int fd;
  double since_s, until_s; /* INFINITY while a request is under way */
  struct ft_silent *next, **link;
};

static void expect(struct ft_silence *s, struct ft_silent *c, double within_s) {
  c->since_s = ft_now_s();
  c->until_s = within_s > 0 ? c->since_s + within_s : INFINITY;
  s->first_until_s = fmin(s->first_until_s, c->until_s);
}

void ft_silence_add(struct ft_silence *s, struct MHD_Connection *c, void **slot, double within_s) {
  struct ft_silent *made = *slot = calloc(1, sizeof *made);
  if (!made) return; /* then MHD's own timeout has to do */
  made->fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
  made->next = s->first;
  made->link = &s->first;
  if (made->next) made->next->link = &made->next;
  s->first = made;
  s->count++;
  expect(s, made, within_s);
}

void ft_silence_remove(struct ft_silence *s, void **slot) {
  struct ft_silent *gone = *slot;
  if (!gone) return;
  *gone->link = gone->next;
  if (gone->next) gone->next->link = gone->link;
  s->count--;
  free(gone);
  *slot = NULL;
}

static struct ft_silent *silent_of(struct MHD_Connection *c) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info ? info->socket_context : NULL;
}

void ft_silence_broken(struct MHD_Connection *c) {
  struct ft_silent *silent = silent_of(c);
  if (silent) silent->until_s = INFINITY;
}

void ft_silence_begins(struct ft_silence *s, struct MHD_Connection *c, double within_s) {
  struct ft_silent *silent = silent_of(c);
  if (silent) expect(s, silent, within_s);
}

bool ft_silence_crowded(const struct ft_silence *s) {
  return s->count >= CROWD;
}

void ft_silence_end(struct ft_silence *s) {
  double now = ft_now_s();
  if (now < s->first_until_s && !ft_silence_crowded(s)) return;
  s->first_until_s = INFINITY;
  for (struct ft_silent *c = s->first; c; c = c->next) {
    if (c->until_s == INFINITY) continue;
    if (ft_silence_crowded(s)) c->until_s = fmin(c->until_s, c->since_s + CROWDED_S);
    if (now < c->until_s) {
      s->first_until_s = fmin(s->first_until_s, c->until_s);
    } else {
      shutdown(c->fd, SHUT_RDWR);
      c->until_s = INFINITY;
    }
  }
}
