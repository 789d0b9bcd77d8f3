/* One request of the server: MHD's connection on one side, the handler's task on the other. Each
 * holds a reference, and each may be gone before the other. */
#ifndef FT_SERVER_REQUEST_H
#define FT_SERVER_REQUEST_H

#include <lua.h>
#include <microhttpd.h>
#include <stdbool.h>

#include "server_body.h"

struct ft_request {
  unsigned refs;
  struct MHD_Connection *connection; /* NULL: the client is gone or the answer sent */
  const char *method, *path;         /* MHD's; valid while connection is */
  struct ft_body body;
  struct MHD_Response *response; /* what the handler answered */
  unsigned status;
  bool suspended, dispatched, queued;
  bool started; /* a task has been made for it; it may have ended */
  bool cut;     /* end the connection without an answer */

  size_t step_bytes; /* of the body, since until_s was set */
  double until_s;    /* by then the body's next step must have come */

  struct ft_buf out; /* of an answer in chunks: what MHD has not taken yet */
  bool streaming, out_end, out_broken;
  bool draining; /* the task waits until out is empty */

  struct ft_task *task; /* the handler's, while it is not finished */
  void *server;
  void (*on_resume)(void *server);
  struct ft_request *next, **link; /* all of the server's connections */
  struct ft_request *next_queued;
};

/* A request with one reference, or NULL. */
struct ft_request *ft_request_new(struct MHD_Connection *c, const struct ft_body_limits *limits);
void ft_request_ref(struct ft_request *r);
void ft_request_unref(struct ft_request *r);

/* True when the client asks whether to send a body that is too large: then it need not come. */
bool ft_request_hopeless(struct ft_request *r);

void ft_request_suspend(struct ft_request *r);

/* Ends the connection without an answer, at MHD's next turn. */
void ft_request_cut(struct ft_request *r);

/* Answers 500. */
void ft_request_fail(struct ft_request *r);

/* Pushes a userdata that holds a reference; closing it ends the connection if it has no answer.
 * [-0, +1, m] */
void ft_request_box(lua_State *L, struct ft_request *r);

/* Pushes the table that the handler gets. [-0, +1, m] */
void ft_request_push(lua_State *L, struct ft_request *r);

/* The handler's task: (handler, box, request table). */
int ft_request_run(lua_State *L);

void ft_request_register(lua_State *L);

#endif
