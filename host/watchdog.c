#include "watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Written while nothing is armed, read by the handler when something is. */
static lua_State *guarded;
static lua_Hook guard_hook;
static pthread_t owner;
static struct timespec soft_end, hard_end, paused;
static char last_words[256];
static size_t last_words_len;
static struct itimerval timer;
static volatile sig_atomic_t armed, expired, ticking;

static struct timespec after(struct timespec t, double seconds) {
  time_t whole = (time_t)seconds;
  t.tv_sec += whole;
  t.tv_nsec += (long)((seconds - (double)whole) * 1e9);
  if (t.tv_nsec >= 1000000000L) {
    t.tv_sec++;
    t.tv_nsec -= 1000000000L;
  }
  return t;
}

static int reached(struct timespec end) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec);
}

/* Looks at the clock itself: a signal may be late, and belong to a guard that has ended. The timer
 * outlives its guard, because rows are guarded thousands of times a second; the first signal that
 * finds nothing to guard stops it. */
static void on_alarm(int sig) {
  int saved = errno;
  if (!pthread_equal(pthread_self(), owner)) {
    pthread_kill(owner,
                 sig); /* lua_sethook is safe in a handler of the thread that runs Lua only */
  } else if (!armed) {
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    ticking = 0;
  } else if (reached(hard_end)) {
    ssize_t ignored = write(STDERR_FILENO, last_words, last_words_len);
    (void)ignored;
    _exit(FT_WATCHDOG_EXIT);
  } else if (!expired && reached(soft_end)) {
    expired = 1;
    lua_sethook(guarded, guard_hook, LUA_MASKCOUNT, 1);
  }
  errno = saved;
}

static struct timeval to_timeval(double seconds) {
  struct timeval t = {.tv_sec = (time_t)seconds};
  t.tv_usec = (suseconds_t)((seconds - (double)t.tv_sec) * 1e6);
  if (t.tv_sec == 0 && t.tv_usec < 1000) t.tv_usec = 1000;
  return t;
}

/* Blocked signals are inherited from a parent. */
static int claim_signal(void) {
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  sigset_t set;
  sigemptyset(&action.sa_mask);
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  return sigaction(SIGALRM, &action, NULL) || pthread_sigmask(SIG_UNBLOCK, &set, NULL) ? -1 : 0;
}

/* From here on the handler looks at the guard. The timer is started unless it runs: after the flag
 * is set, so that no signal stops it again. */
static int set_armed(void) {
  atomic_signal_fence(memory_order_seq_cst); /* the flag is not seen before what it stands for */
  armed = 1;
  if (ticking) return 0;
  ticking = 1;
  if (claim_signal() == 0 && setitimer(ITIMER_REAL, &timer, NULL) == 0) return 0;
  ticking = armed = 0;
  return -1;
}

static void prepare_last_words(const char *who, double seconds) {
  int n = snprintf(last_words, sizeof last_words,
                   "ftrun: %.120s: stopped after %.4g s in a call that nothing can interrupt (a "
                   "text pattern that "
                   "backtracks?)\n",
                   who, seconds);
  last_words_len = n < 0 ? 0 : (size_t)n < sizeof last_words ? (size_t)n : sizeof last_words - 1;
  for (size_t i = 0; i + 1 < last_words_len; i++)
    if ((unsigned char)last_words[i] < ' ' || last_words[i] == 127) last_words[i] = '?';
}

int ft_watchdog_arm(lua_State *L, double seconds, lua_Hook hook, const char *who) {
  static char last_who[128];
  static double last_seconds;
  double grace = seconds / 4;
  guarded = L;
  guard_hook = hook;
  owner = pthread_self();
  if (seconds != last_seconds || strncmp(who, last_who, sizeof last_who - 1) != 0) {
    snprintf(last_who, sizeof last_who, "%s", who);
    last_seconds = seconds;
    prepare_last_words(who, seconds + grace);
    ticking =
        0; /* in another rhythm: in steps, as what is left of the time is not always the same */
    timer.it_value = timer.it_interval = to_timeval(grace / 4);
  }
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  soft_end = after(now, seconds);
  hard_end = after(soft_end, grace);
  expired = 0;
  return set_armed();
}

void ft_watchdog_disarm(void) {
  armed = 0;
  atomic_signal_fence(memory_order_seq_cst);
}

void ft_watchdog_pause(void) {
  ft_watchdog_disarm();
  clock_gettime(CLOCK_MONOTONIC, &paused);
}

void ft_watchdog_resume(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  double pause =
      (double)(now.tv_sec - paused.tv_sec) + (double)(now.tv_nsec - paused.tv_nsec) / 1e9;
  soft_end = after(soft_end, pause);
  hard_end = after(hard_end, pause);
  set_armed();
}

int ft_watchdog_expired(void) {
  return expired;
}
