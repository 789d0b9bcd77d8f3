/* The socket that the server listens on. */
#ifndef FT_LISTEN_H
#define FT_LISTEN_H

#include <lua.h>
#include <stdbool.h>

/* A listening socket on an IP address ("localhost" too), of the loopback unless `any` says
 * otherwise; port 0: any free one. Or -1, with nil, message and code pushed. [-0, +(0|3), m] */
int ft_listen_socket(lua_State *L, const char *host, int port, bool any);

/* The port that it has; 0 when it has none. */
int ft_listen_port(int fd);

#endif
