/* sandbox_watchdog NAME...: recipes that hang inside a C function end the process, in time, with
 * one line and status 3. Each runs in a child process, the last things of which are looked at. */
#include <curl/curl.h>
#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"
#include "state.h"
#include "watchdog.h"

static void *idle(void *unused) {
  for (;;) pause();
  return unused;
}

/* The alarm may reach any thread: with a second one, and the signal blocked in the first at the
 * start. */
static void make_it_hard(void) {
  pthread_t thread;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  if (pthread_create(&thread, NULL, idle, NULL)) exit(9);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int check(char *name) {
  int out[2], status;
  char text[4096];
  size_t len = 0;
  if (pipe(out)) return 1;
  double start = ft_now_s();
  pid_t pid = fork();
  if (pid == 0) {
    dup2(out[1], STDERR_FILENO);
    close(out[0]);
    close(out[1]);
    make_it_hard();
    exit(ft_run("sandbox_hang", 1, &name));
  }
  close(out[1]);
  for (ssize_t n;
       len < sizeof text - 1 && (n = read(out[0], text + len, sizeof text - 1 - len)) > 0;)
    len += (size_t)n;
  text[len] = '\0';
  close(out[0]);
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return 1;
  double took = ft_now_s() - start;
  int ok = WIFEXITED(status) && WEXITSTATUS(status) == FT_WATCHDOG_EXIT && took < 5 &&
           strstr(text, "ftrun: recipes/hang.lua: stopped after 0.25 s") == text &&
           strchr(text, '\n') == text + len - 1;
  printf("%s %s: status %#x after %.2f s: %s", ok ? "ok" : "not ok", name, (unsigned)status, took,
         text);
  return !ok;
}

static void nothing(lua_State *L, lua_Debug *ar) {
  (void)L;
  (void)ar;
}

static void spin_until(double end) {
  while (ft_now_s() < end) {
  }
}

/* The timer stops in a pause that is long enough: it must not count from the beginning then. */
static int check_pause(void) {
  lua_State *L = luaL_newstate();
  if (!L || ft_watchdog_arm(L, 1, nothing, "pause")) return 1;
  spin_until(ft_now_s() + 0.9);
  ft_watchdog_pause();
  spin_until(ft_now_s() + 0.3);
  int early = ft_watchdog_expired();
  ft_watchdog_resume();
  double start = ft_now_s();
  while (!ft_watchdog_expired() && ft_now_s() < start + 2) {
  }
  double took = ft_now_s() - start;
  ft_watchdog_disarm();
  lua_close(L);
  int ok = !early && took < 0.6;
  printf("%s pause: expired %.2f s behind it\n", ok ? "ok" : "not ok", took);
  return !ok;
}

int main(int argc, char **argv) {
  int failed = argc < 2;
  setvbuf(stdout, NULL, _IONBF, 0);
  for (int i = 1; i < argc; i++) failed |= check(argv[i]);
  return failed | check_pause();
}
