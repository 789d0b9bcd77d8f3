/* A request of ft.http while it runs, shared by the three files that set it up, run it and tell its
 * result. */
#ifndef FT_HTTP_OP_H
#define FT_HTTP_OP_H

#include <curl/curl.h>
#include <lua.h>
#include <stdbool.h>

#include "buf.h"
#include "http_slice.h"
#include "task.h"

enum { FT_HTTP_MAX_HOST_BYTES = 300 };

/* Stack of a waiting request. */
enum {
  FT_HTTP_METHOD = 1,
  FT_HTTP_URL,
  FT_HTTP_OPTIONS,
  FT_HTTP_OP,
  FT_HTTP_BODY, /* curl does not copy it */
  FT_HTTP_PROGRESS,
  FT_HTTP_DATA,
};

struct ft_http_op {
  struct ft_transfer transfer;
  struct ft_task *task;
  struct ft_loop *loop;
  bool waiting; /* suspended here, and not inside on_progress */
  bool done;
  CURLcode code;
  struct curl_slist *headers;
  curl_mime *mime;
  struct ft_http_slice *file; /* the body, when it is a file */
  struct ft_buf head, body;
  char error[CURL_ERROR_SIZE];
  char host[FT_HTTP_MAX_HOST_BYTES]; /* host:port, for messages */
  double started_s, timeout_s, stall_s;
  struct ft_wait stall; /* from the moment that the connection stands */
  double moved_s;       /* when the last byte moved */
  bool stalled;
  curl_off_t received, max_bytes;
  bool too_large;
  bool tls;
  bool retries_safe; /* repeating the request changes nothing on the server */
  int tries;
  char *output, *temporary; /* paths; temporary exists while set */
  int fd;                   /* of temporary */
  int file_errno;
  curl_off_t sent_now, sent_total, received_now; /* progress, as curl counts */
  double next_progress_s;
  bool wants_progress, news;
  bool wants_data; /* body holds what on_data has not seen yet */
};

/* Raises unless all arguments are right; makes the options a table when absent. [-0, +0, v] */
void ft_http_check(lua_State *L);

/* Sets the easy handle up from the checked arguments. 0, or the count of pushed results of a
 * failure. */
int ft_http_set_up(lua_State *L, struct ft_http_op *op);

/* Pushes the results of http.request once the op is done; returns their count. [-0, +n, v] */
int ft_http_push_result(lua_State *L, struct ft_http_op *op);

/* curl's callbacks, in http.c. */
size_t ft_http_on_header(char *data, size_t size, size_t n, void *user);
size_t ft_http_on_body(char *data, size_t size, size_t n, void *user);
int ft_http_on_progress(void *user, curl_off_t total_down, curl_off_t down, curl_off_t total_up,
                        curl_off_t up);
int ft_http_on_request(void *user, char *ip, char *local_ip, int port, int local_port);

long ft_http_status(const struct ft_http_op *op);

/* True when the body belongs into the output file. */
bool ft_http_to_file(const struct ft_http_op *op);

/* True when pieces of the body go to on_data. */
bool ft_http_to_function(const struct ft_http_op *op);

#endif
