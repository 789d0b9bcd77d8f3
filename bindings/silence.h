/* Connections of the server that ask nothing at the moment: new ones, and such that have had their
 * answer. They have to ask within a time, and at once when there are too many. (MHD's own timeout
 * begins anew with each byte, and sees no end of one that never ends its request's head.) */
#ifndef FT_SILENCE_H
#define FT_SILENCE_H

#include <microhttpd.h>
#include <stdbool.h>

enum { FT_MAX_CONNECTIONS = 900 };

struct ft_silent;

struct ft_silence {
  struct ft_silent *first; /* all connections, also those with a request under way */
  int count;
  double first_until_s; /* none has to ask before; INFINITY at the start */
};

/* A connection is there, or is gone; `slot` is its socket context. */
void ft_silence_add(struct ft_silence *s, struct MHD_Connection *c, void **slot, double within_s);
void ft_silence_remove(struct ft_silence *s, void **slot);

/* It has asked; it has had its answer, and must ask again within a time (0: any). */
void ft_silence_broken(struct MHD_Connection *c);
void ft_silence_begins(struct ft_silence *s, struct MHD_Connection *c, double within_s);

/* Whether there are so many connections that those which ask nothing have to go. */
bool ft_silence_crowded(const struct ft_silence *s);

/* Shuts down those that have asked nothing for too long: MHD sees that, and closes them. */
void ft_silence_end(struct ft_silence *s);

#endif
