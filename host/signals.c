#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "native.h"
#include "task.h"

enum { EXIT_SECOND_INTERRUPT = 130 };

static const char SIGNAL[] = "ft.Task.signal";

/* Signals belong to the process, and so does this: a handler writes a byte, the loop reads it. */
static int pipe_fds[2] = {-1, -1};
static volatile sig_atomic_t interrupts;
static struct ft_loop *the_loop;
static struct ft_wait wait_pipe;
static struct ft_task *waiter; /* the task that waits in task.signal */
static char pending;           /* 'I', 'T', or 0: arrived and not yet asked for */

static void on_signal(int sig) {
  int saved = errno;
  if (sig == SIGINT && interrupts++ > 0) _exit(EXIT_SECOND_INTERRUPT);
  char c = sig == SIGINT ? 'I' : 'T';
  ssize_t ignored = write(pipe_fds[1], &c, 1);
  (void)ignored;
  errno = saved;
}

static void arrived(struct ft_wait *w, short revents) {
  (void)revents;
  char c;
  while (read(pipe_fds[0], &c, 1) == 1) pending = c;
  if (waiter) ft_task_wake(waiter);
  ft_wait_start(the_loop, w);
}

int ft_signals_start(struct ft_loop *loop) {
  if (pipe(pipe_fds)) return -1;
  for (int i = 0; i < 2; i++) {
    fcntl(pipe_fds[i], F_SETFD, FD_CLOEXEC);
    fcntl(pipe_fds[i], F_SETFL, O_NONBLOCK);
  }
  the_loop = loop;
  wait_pipe = (struct ft_wait){.fd = pipe_fds[0],
                               .events = CURL_WAIT_POLLIN,
                               .deadline_s = INFINITY,
                               .background = true,
                               .fire = arrived};
  ft_wait_start(loop, &wait_pipe);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); /* the write fails, and what was begun can be taken away */
  return 0;
}

int ft_signals_fd(void) {
  return the_loop ? pipe_fds[0] : -1;
}

void ft_signals_stop(void) {
  if (!the_loop) return;
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  ft_wait_stop(&wait_pipe);
  for (int i = 0; i < 2; i++) close(pipe_fds[i]);
  the_loop = NULL;
  waiter = NULL;
}

/* The op of a task in task.signal: a cancelled one must not be woken. */
static int close_op(lua_State *L) {
  struct ft_task **op = lua_touserdata(L, 1);
  if (*op == waiter) waiter = NULL;
  wait_pipe.background = waiter == NULL;
  *op = NULL;
  return 0;
}

static int result(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  lua_pushstring(L, pending == 'T' ? "TERM" : "INT");
  pending = 0;
  interrupts = 0;
  return 1;
}

int ft_signal_wait(lua_State *L) {
  struct ft_task *self = ft_task_self(L);
  if (pending) return result(L, LUA_OK, 0);
  if (waiter) return luaL_error(L, "another task already waits for signals");
  lua_settop(L, 0);
  struct ft_task **op = lua_newuserdatauv(L, sizeof *op, 0);
  *op = NULL;
  luaL_setmetatable(L, SIGNAL);
  lua_toclose(L, 1);
  *op = waiter = self;
  wait_pipe.background = false;
  return ft_task_suspend(L, 0, result);
}

void ft_signals_open(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  ft_new_type(L, SIGNAL, none, close_op);
}
