/* The two parts of ftrun that share memory between threads, a crew and a spool, at work. Built with
 * ThreadSanitizer, which fails it for a race. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../bindings/crew.h"
#include "../bindings/spool.h"

enum { MEMBERS = 3, JOBS = 2000, PARTS = 7, LONGEST = 3 << 19 };

static void must(int condition, const char *what) {
  if (condition) return;
  printf("not ok threads: %s\n", what);
  exit(1);
}

/* ---- crew ---- */

struct job {
  atomic_int next;
  int done[PARTS]; /* not atomic: who has waited may read what others wrote */
};

static void work(void *arg, int member) {
  struct job *job = arg;
  for (int i; (i = atomic_fetch_add(&job->next, 1)) < PARTS;) job->done[i] = member + 1;
}

static void test_crew(void) {
  struct ft_crew crew = {0};
  ft_crew_close(&crew);
  for (int round = 0; round < 3; round++) {
    ft_crew_open(&crew, MEMBERS);
    must(crew.size == MEMBERS, "a crew has the threads that it was asked for");
    for (int n = 0; n < JOBS; n++) {
      struct job job = {0};
      ft_crew_begin(&crew, work, &job);
      if (n % 2) work(&job, 0);
      ft_crew_wait(&crew);
      for (int i = 0; i < PARTS; i++) must(job.done[i] > 0, "each part of a job is done");
    }
    if (round == 1) { /* a job under way is ended before the crew is */
      struct job job = {0};
      ft_crew_begin(&crew, work, &job);
      ft_crew_close(&crew);
      for (int i = 0; i < PARTS; i++) must(job.done[i] > 0, "a crew that is closed ends its job");
    }
    ft_crew_close(&crew);
    ft_crew_close(&crew);
  }
}

/* ---- spool ---- */

static int open_file(void) {
  char path[] = "/tmp/ftrun-threads-XXXXXX";
  int fd = mkstemp(path);
  must(fd >= 0, "there is a temporary file");
  unlink(path);
  return fd;
}

static size_t next_size(unsigned *seed, size_t most) {
  *seed = *seed * 1664525 + 1013904223;
  return 1 + (*seed >> 8) % most;
}

/* Writes `pieces` pieces of at most `most` bytes, and compares what is in the file. */
static void test_spool(int pieces, size_t most) {
  static char bytes[LONGEST], back[1 << 16];
  unsigned char digest[EVP_MAX_MD_SIZE], expected[EVP_MAX_MD_SIZE];
  unsigned len = 0, expected_len = 0, seed = (unsigned)most;
  struct ft_spool spool;
  int fd = open_file();
  EVP_MD_CTX *hash = EVP_MD_CTX_new(), *file = EVP_MD_CTX_new();
  must(hash && file && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) &&
           EVP_DigestInit_ex(file, EVP_sha256(), NULL),
       "there is a hash");
  must(ft_spool_open(&spool, fd) == 0, "a spool opens");
  for (int i = 0; i < pieces; i++) {
    size_t n = next_size(&seed, most);
    memset(bytes, 'a' + i % 26, n);
    EVP_DigestUpdate(hash, bytes, n);
    must(ft_spool_add(&spool, bytes, n) == 0, "a spool takes bytes");
  }
  must(ft_spool_end(&spool, digest, &len) == 0, "a spool ends");
  ft_spool_close(&spool);
  ft_spool_close(&spool);
  lseek(fd, 0, SEEK_SET);
  for (ssize_t n; (n = read(fd, back, sizeof back)) > 0;) EVP_DigestUpdate(file, back, (size_t)n);
  EVP_DigestFinal_ex(hash, expected, &expected_len);
  must(len == expected_len && memcmp(digest, expected, len) == 0,
       "the digest is that of all bytes");
  EVP_DigestFinal_ex(file, expected, &expected_len);
  must(memcmp(digest, expected, len) == 0, "the file has all bytes in their order");
  EVP_MD_CTX_free(hash);
  EVP_MD_CTX_free(file);
  close(fd);
}

/* Closed in the middle, and with a file that takes nothing. */
static void test_spool_trouble(void) {
  static const char bytes[700000];
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned len;
  struct ft_spool spool = {0};
  ft_spool_close(&spool);
  for (int n = 0; n < 12; n++) {
    int fd = open_file();
    must(ft_spool_open(&spool, fd) == 0, "a spool opens");
    for (int i = 0; i < n; i++)
      must(ft_spool_add(&spool, bytes, sizeof bytes) == 0, "a spool takes bytes");
    ft_spool_close(&spool);
    close(fd);
  }
  int full = open("/dev/full", O_WRONLY | O_CLOEXEC), failed = 0;
  must(full >= 0 && ft_spool_open(&spool, full) == 0, "a spool opens");
  for (int i = 0; i < 10 && !failed; i++) failed = ft_spool_add(&spool, bytes, sizeof bytes);
  must(failed == ENOSPC, "a full disk is told before the spool's blocks are used up");
  must(ft_spool_add(&spool, bytes, 1 << 18) == ENOSPC, "and told again");
  must(ft_spool_end(&spool, digest, &len) == ENOSPC, "and at the end");
  ft_spool_close(&spool);
  close(full);
}

int main(void) {
  test_crew();
  test_spool(0, 1);
  test_spool(10, 1000);
  test_spool(20000, 1000);
  test_spool(300, LONGEST / 16);
  test_spool(40, LONGEST);
  test_spool_trouble();
  puts("ok threads: crews do their jobs, spools write their files");
  return 0;
}
