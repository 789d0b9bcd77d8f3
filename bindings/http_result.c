#include "http_op.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "native.h"
#include "secrets.h"

static void push_headers(lua_State *L, struct ft_http_op *op) {
  lua_newtable(L);
  char *line = op->head.data;
  while (line && *line) {
    char *end = strchr(line, '\n');
    if (!end) break;
    char *next = end + 1;
    while (end > line && isspace((unsigned char)end[-1])) end--;
    char *colon = memchr(line, ':', (size_t)(end - line));
    if (colon) {
      for (char *c = line; c < colon; c++) *c = (char)tolower((unsigned char)*c);
      lua_pushlstring(L, line, (size_t)(colon - line));
      do colon++;
      while (colon < end && (*colon == ' ' || *colon == '\t'));
      lua_pushvalue(L, -1);
      if (lua_rawget(L, -3) == LUA_TSTRING)
        lua_pushliteral(L, ", ");
      else {
        lua_pop(L, 1);
        lua_pushliteral(L, "");
        lua_pushliteral(L, "");
      }
      lua_pushlstring(L, colon, (size_t)(end - colon));
      lua_concat(L, 3);
      lua_rawset(L, -3);
    }
    line = next;
  }
}

/* 0, or an errno: the temporary file takes the place of the output. */
static int commit_file(struct ft_http_op *op) {
  if (fsync(op->fd)) return errno;
  if (rename(op->temporary, op->output)) return errno;
  free(op->temporary);
  op->temporary = NULL;
  char *slash = strrchr(op->output, '/'); /* the new name must survive a crash too */
  if (slash) slash[slash == op->output] = '\0';
  int dir = open(slash ? op->output : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    fsync(dir);
    close(dir);
  }
  return 0;
}

static int push_response(lua_State *L, struct ft_http_op *op) {
  int to_file = ft_http_to_file(op);
  int error = to_file ? commit_file(op) : 0;
  if (error) {
    ft_fail(L, "io", "%s: %s", op->output, strerror(error));
    lua_pushboolean(L, 1);
    return 4;
  }
  curl_off_t took_us = 0;
  curl_easy_getinfo(op->transfer.easy, CURLINFO_TOTAL_TIME_T, &took_us);
  lua_createtable(L, 0, 5);
  lua_pushinteger(L, ft_http_status(op));
  lua_setfield(L, -2, "status");
  push_headers(L, op);
  lua_setfield(L, -2, "headers");
  lua_pushlstring(L, op->body.data ? op->body.data : "", op->body.len);
  lua_setfield(L, -2, "body");
  lua_pushinteger(L, op->received);
  lua_setfield(L, -2, "bytes");
  lua_pushnumber(L, (double)took_us / 1e6);
  lua_setfield(L, -2, "seconds");
  return 1;
}

struct failure {
  const char *code, *reason;
};

static struct failure why_timeout(struct ft_http_op *op, char *text, size_t size) {
  double elapsed = ft_now_s() - op->started_s;
  if (op->stalled) {
    snprintf(text, size, "stalled: nothing moved for %g s", op->stall_s);
    return (struct failure){"stalled", text};
  }
  if (!op->tries)
    snprintf(text, size, "no connection within %.3g s", elapsed);
  else
    snprintf(text, size, "no complete answer within %g s", op->timeout_s);
  return (struct failure){"timeout", text};
}

/* curl's message of a failed connection names the machine: when it is not ours, it is a proxy. */
static bool names_host(const struct ft_http_op *op) {
  char host[sizeof op->host];
  const char *from = op->host + (*op->host == '[');
  size_t len = strcspn(from, *op->host == '[' ? "]" : ":");
  memcpy(host, from, len);
  host[len] = '\0';
  return strstr(op->error, host) != NULL;
}

/* The connection ended in the middle of the handshake: nobody has said a word about trust. */
static bool handshake_broke(const struct ft_http_op *op) {
  long error = 0;
  curl_easy_getinfo(op->transfer.easy, CURLINFO_OS_ERRNO, &error);
  return error == ECONNRESET || error == EPIPE || strstr(op->error, "SSL_ERROR_SYSCALL") ||
         strstr(op->error, "unexpected eof");
}

/* Buffers of text are scratch for reasons that are made here. */
static struct failure why(struct ft_http_op *op, char *text, size_t size) {
  long error = 0, tunnel = 0;
  curl_easy_getinfo(op->transfer.easy, CURLINFO_HTTP_CONNECTCODE, &tunnel);
  if (!op->tries && tunnel && tunnel / 100 != 2) {
    snprintf(text, size, "the proxy refuses to connect (status %ld)", tunnel);
    return (struct failure){"proxy", text};
  }
  switch (op->code) {
  case CURLE_UNSUPPORTED_PROTOCOL: /* the URL's was looked at: this is about the answer */
    return (struct failure){"reset", "the answer is no HTTP"};
  case CURLE_URL_MALFORMAT:
    return (struct failure){"bad_url", "not a usable URL"};
  case CURLE_COULDNT_RESOLVE_HOST:
    return (struct failure){"dns", "the host name does not resolve"};
  case CURLE_COULDNT_RESOLVE_PROXY:
    return (struct failure){"proxy", "the name of the proxy does not resolve"};
  case CURLE_PROXY:
    return (struct failure){"proxy", op->error};
  case CURLE_COULDNT_CONNECT:
    if (!names_host(op)) {
      snprintf(text, size, "cannot connect to the proxy: %s", op->error);
      return (struct failure){"proxy", text};
    }
    curl_easy_getinfo(op->transfer.easy, CURLINFO_OS_ERRNO, &error);
    snprintf(text, size, "cannot connect: %s", error ? strerror((int)error) : op->error);
    return (struct failure){"refused", text};
  case CURLE_OPERATION_TIMEDOUT:
    return why_timeout(op, text, size);
  case CURLE_SSL_CONNECT_ERROR:
    if (handshake_broke(op))
      return (struct failure){
          "reset", "the connection broke while TLS was set up (does the server speak HTTPS?)"};
    /* fall through */
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_INVALIDCERTSTATUS:
    snprintf(text, size, "no trusted TLS connection: %s", op->error);
    return (struct failure){"tls", text};
  case CURLE_WRITE_ERROR:
    if (op->too_large) {
      snprintf(text, size, "the answer is larger than %lld bytes", (long long)op->max_bytes);
      return (struct failure){"too_large", text};
    }
    if (op->file_errno) {
      snprintf(text, size, "cannot write the answer to %s: %s", op->output,
               strerror(op->file_errno));
      return (struct failure){"io", text};
    }
    return (struct failure){"too_large", "the answer's headers are too large"};
  case CURLE_READ_ERROR:
    return (struct failure){"io", "a file of the request cannot be read"};
  case CURLE_GOT_NOTHING:
  case CURLE_PARTIAL_FILE:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
  case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM:
  case CURLE_ABORTED_BY_CALLBACK: /* ft_http_on_request kept it from going out again */
    return (struct failure){"reset", "the connection broke before the answer was complete"};
  default:
    snprintf(text, size, "%s", *op->error ? op->error : curl_easy_strerror(op->code));
    return (struct failure){"reset", text};
  }
}

/* False only when surely no byte of the request left; what opened a tunnel does not count. */
static bool was_sent(const struct ft_http_op *op) {
  long request_bytes = 0;
  curl_easy_getinfo(op->transfer.easy, CURLINFO_REQUEST_SIZE, &request_bytes);
  return op->tries > 1 || (op->tries == 1 && request_bytes > 0);
}

static int push_failure(lua_State *L, struct ft_http_op *op) {
  if (op->code == CURLE_OUT_OF_MEMORY) return luaL_error(L, "not enough memory");
  char text[CURL_ERROR_SIZE + 128];
  ft_secrets_mask(op->error, strlen(op->error));
  struct failure f = why(op, text, sizeof text);
  if (op->code == CURLE_WRITE_ERROR && op->body.failed && !op->too_large)
    return luaL_error(L, "not enough memory");
  ft_fail(L, f.code, "%s: %s", op->host, f.reason);
  lua_pushboolean(L, was_sent(op));
  return 4;
}

int ft_http_push_result(lua_State *L, struct ft_http_op *op) {
  return op->code == CURLE_OK ? push_response(L, op) : push_failure(L, op);
}
