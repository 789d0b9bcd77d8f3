/* SIGINT and SIGTERM as things that a task waits for. */
#ifndef FT_SIGNALS_H
#define FT_SIGNALS_H

#include <lua.h>

struct ft_loop;

/* Takes over SIGINT and SIGTERM, ignores SIGPIPE. A second SIGINT that nobody has asked for ends
 * the process with status 130. 0, or -1: no descriptors. */
int ft_signals_start(struct ft_loop *loop);

/* Can be read while a signal waits for the loop's next turn: for calls that block outside of the
 * loop. -1: none. */
int ft_signals_fd(void);

/* Gives the signals back. Idempotent. */
void ft_signals_stop(void);

/* task.signal of Lua. */
int ft_signal_wait(lua_State *L);

/* Registers the type behind it. [-0, +0, m] */
void ft_signals_open(lua_State *L);

#endif
