/* A few threads that share one job after another, and live as long as their crew: to make threads
 * for each of hundreds of short jobs costs more than it gains. Knows no Lua. */
#ifndef FT_CREW_H
#define FT_CREW_H

#include <pthread.h>
#include <stdbool.h>

enum { FT_CREW_MAX = 7 };

struct ft_crew {
  int size; /* threads; the caller's alone, as is the next */
  struct ft_crew_member {
    struct ft_crew *crew;
    int number; /* from 1 */
    pthread_t thread;
  } members[FT_CREW_MAX];

  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t begun, ended;
  unsigned long jobs; /* that were begun */
  int working;        /* threads that have not ended the last one */
  bool leaving;
  void (*work)(void *job, int member);
  void *job;
};

/* Starts `size` threads, at most FT_CREW_MAX, or as many as the system gives. The crew must stay
 * where it is. */
void ft_crew_open(struct ft_crew *crew, int size);

/* Each thread calls work(job, its number from 1). The job before must have ended. */
void ft_crew_begin(struct ft_crew *crew, void (*work)(void *job, int member), void *job);

/* Waits until all threads have ended the job. */
void ft_crew_wait(struct ft_crew *crew);

/* Waits for the job, then ends the threads. Does nothing to zeroed memory. */
void ft_crew_close(struct ft_crew *crew);

#endif
