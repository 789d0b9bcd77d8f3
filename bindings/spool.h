/* Writes a file and its SHA-256 behind the caller's back: bytes are collected in blocks, which a
 * thread hashes and writes while the caller makes the next ones. A caller who is faster lends a
 * hand instead of waiting. Knows no Lua. A short file starts no thread. */
#ifndef FT_SPOOL_H
#define FT_SPOOL_H

#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum { FT_SPOOL_BLOCKS = 8, FT_SPOOL_BLOCK = 1 << 18 };

struct ft_spool {
  /* the caller's alone */
  char *blocks; /* NULL: closed */
  size_t used;  /* of the block that is being filled */
  bool threaded;
  pthread_t thread;

  /* under the lock; whoever sets `busy` may hash and write */
  pthread_mutex_t lock;
  pthread_cond_t change;
  size_t filled, written; /* blocks so far; the difference is what waits */
  bool busy, ending;
  int errnum; /* of the first failure; from then on nothing is written */

  int fd;
  EVP_MD_CTX *hash;
};

/* Begins; the descriptor stays the caller's and open until the end. 0, or ENOMEM. */
int ft_spool_open(struct ft_spool *s, int fd);

/* 0, or the errno of a write that failed, of these bytes or of earlier ones. */
int ft_spool_add(struct ft_spool *s, const void *bytes, size_t len);

/* Waits until all is written, and gives the digest of all bytes. 0, or an errno. Only close may
 * follow. */
int ft_spool_end(struct ft_spool *s, unsigned char digest[EVP_MAX_MD_SIZE], unsigned *len);

/* Gives up what is not written yet, and all memory. Idempotent, also on zeroed memory. */
void ft_spool_close(struct ft_spool *s);

#endif
