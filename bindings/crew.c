#include "crew.h"

#include <signal.h>

static void *run(void *arg) {
  struct ft_crew_member *self = arg;
  struct ft_crew *crew = self->crew;
  unsigned long done = 0;
  pthread_mutex_lock(&crew->lock);
  for (;;) {
    while (!crew->leaving && crew->jobs == done) pthread_cond_wait(&crew->begun, &crew->lock);
    if (crew->jobs == done) break;
    done = crew->jobs;
    pthread_mutex_unlock(&crew->lock);
    crew->work(crew->job, self->number);
    pthread_mutex_lock(&crew->lock);
    if (--crew->working == 0) pthread_cond_signal(&crew->ended);
  }
  pthread_mutex_unlock(&crew->lock);
  return NULL;
}

void ft_crew_open(struct ft_crew *crew, int size) {
  sigset_t all, before; /* signals are for the thread that runs the loop */
  *crew = (struct ft_crew){0};
  pthread_mutex_init(&crew->lock, NULL);
  pthread_cond_init(&crew->begun, NULL);
  pthread_cond_init(&crew->ended, NULL);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (; crew->size < size && crew->size < FT_CREW_MAX; crew->size++) {
    struct ft_crew_member *m = &crew->members[crew->size];
    m->crew = crew;
    m->number = crew->size + 1;
    if (pthread_create(&m->thread, NULL, run, m)) break;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void ft_crew_begin(struct ft_crew *crew, void (*work)(void *job, int member), void *job) {
  pthread_mutex_lock(&crew->lock);
  crew->work = work;
  crew->job = job;
  crew->working = crew->size;
  crew->jobs++;
  pthread_cond_broadcast(&crew->begun);
  pthread_mutex_unlock(&crew->lock);
}

void ft_crew_wait(struct ft_crew *crew) {
  pthread_mutex_lock(&crew->lock);
  while (crew->working) pthread_cond_wait(&crew->ended, &crew->lock);
  pthread_mutex_unlock(&crew->lock);
}

void ft_crew_close(struct ft_crew *crew) {
  if (crew->size == 0) return;
  pthread_mutex_lock(&crew->lock);
  crew->leaving = true;
  pthread_cond_broadcast(&crew->begun);
  pthread_mutex_unlock(&crew->lock);
  for (int i = 0; i < crew->size; i++) pthread_join(crew->members[i].thread, NULL);
  crew->size = 0;
}
