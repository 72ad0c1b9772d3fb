/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The worker pool: one per loaded library, shared by its instances. Workers
 * spin for 50 microseconds after a step, long enough to meet the next step of
 * the same run, then sleep. A second caller finds the pool held and works
 * alone, which costs less than queueing.
 *
 * Everything the pool knows lies in one mapping that the kernel empties in a
 * forked child (MADV_WIPEONFORK): the child, which has none of the threads,
 * sees a pool that never started and makes its own.
 */
#include "Internal.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORKERS 255
#define SPIN_NANOSECONDS 50000

/* Bits of `state` above the count of workers inside the current step. */
#define STEP_OPEN 0x80000000u
#define CALLER_SLEEPS 0x40000000u
#define INSIDE 0x3fffffffu

struct pool {
  atomic_int pid; /* of the process whose threads these are */
  atomic_flag held, starting;
  atomic_int workers, stop;
  pthread_t threads[MAX_WORKERS];
  _Alignas(64) atomic_uint epoch; /* changes with each step; a futex */
  atomic_uint sleepers;
  _Alignas(64) atomic_uint state; /* a futex */
  /* The step; readable by workers inside it. */
  void (*task)(void *args, int64_t index);
  void *args;
  int64_t count;
  atomic_uint limit; /* threads, the caller included */
  _Alignas(64) _Atomic int64_t next;
};

static _Atomic(struct pool *) the_pool;
static atomic_int wiped_on_fork;

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void futex_wait(atomic_uint *word, unsigned value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, int count) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* Spins while `word` holds `value`, at most for the spin time. */
static unsigned spin_while(atomic_uint *word, unsigned value) {
  unsigned found;
  int64_t end = 0;
  for (unsigned round = 1;; ++round) {
    found = atomic_load_explicit(word, memory_order_acquire);
    if (found != value)
      return found;
    relax();
    if (round % 64 == 0) {
      int64_t time = now();
      if (!end)
        end = time + SPIN_NANOSECONDS;
      else if (time > end)
        return found;
    }
  }
}

static void take_tasks(struct pool *pool) {
  for (;;) {
    int64_t index =
        atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
    if (index >= pool->count)
      return;
    pool->task(pool->args, index);
  }
}

/* Takes part in the open step, if there is one and it wants more threads. */
static void join_step(struct pool *pool) {
  unsigned state = atomic_load_explicit(&pool->state, memory_order_acquire);
  do {
    if (!(state & STEP_OPEN) ||
        (state & INSIDE) + 1 >= atomic_load(&pool->limit))
      return;
  } while (!atomic_compare_exchange_weak(&pool->state, &state, state + 1));
  take_tasks(pool);
  state = atomic_fetch_sub(&pool->state, 1);
  if ((state & CALLER_SLEEPS) && (state & INSIDE) == 1)
    futex_wake(&pool->state, 1);
}

static void *work(void *argument) {
  struct pool *pool = argument;
  unsigned seen = 0;
  for (;;) {
    unsigned epoch = spin_while(&pool->epoch, seen);
    while (epoch == seen) {
      atomic_fetch_add(&pool->sleepers, 1);
      futex_wait(&pool->epoch, seen);
      atomic_fetch_sub(&pool->sleepers, 1);
      epoch = atomic_load(&pool->epoch);
    }
    seen = epoch;
    if (atomic_load(&pool->stop))
      return NULL;
    join_step(pool);
  }
}

/* The pool of this process, made or emptied as needed; null without memory. */
static struct pool *get_pool(void) {
  struct pool *pool = atomic_load(&the_pool);
  if (!pool) {
    struct pool *fresh = mmap(NULL, sizeof *fresh, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED)
      return NULL;
    if (madvise(fresh, sizeof *fresh, MADV_WIPEONFORK) == 0)
      atomic_store(&wiped_on_fork, 1);
    if (atomic_compare_exchange_strong(&the_pool, &pool, fresh))
      pool = fresh;
    else
      munmap(fresh, sizeof *fresh);
  }
  if (!atomic_load_explicit(&wiped_on_fork, memory_order_relaxed)) {
    int pid = getpid();
    if (atomic_load(&pool->pid) != pid) {
      memset(pool, 0, sizeof *pool);
      atomic_store(&pool->pid, pid);
    }
  }
  return pool;
}

int32_t tamis_rt_pool_reserve(int32_t threads) {
  int32_t usable = threads > 1 ? tamis_rt_usable_cpus() : 1;
  if (threads > usable)
    threads = usable;
  if (threads > MAX_WORKERS + 1)
    threads = MAX_WORKERS + 1;
  struct pool *pool = threads > 1 ? get_pool() : NULL;
  if (!pool)
    return 1;
  while (atomic_flag_test_and_set(&pool->starting))
    sched_yield();
  int workers = atomic_load(&pool->workers);
  /* The program's signal handlers expect the program's threads. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (workers < threads - 1 &&
         pthread_create(&pool->threads[workers], NULL, work, pool) == 0)
    atomic_store(&pool->workers, ++workers);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  atomic_flag_clear(&pool->starting);
  return workers + 1 < threads ? workers + 1 : threads;
}

static int hold_pool(tamis_run *run) {
  if (run->pool == POOL_UNASKED) {
    run->pool = POOL_REFUSED;
    struct pool *pool = get_pool();
    /* No workers: a forked child that uses its parent's instance. */
    if (pool &&
        (atomic_load(&pool->workers) > 0 ||
         tamis_rt_pool_reserve(run->threads) > 1) &&
        !atomic_flag_test_and_set(&pool->held))
      run->pool = POOL_HELD;
  }
  return run->pool == POOL_HELD;
}

void tamis_rt_pool_release(tamis_run *run) {
  if (run->pool == POOL_HELD)
    atomic_flag_clear(&atomic_load(&the_pool)->held);
}

void tamis_rt_parallel(tamis_run *run, void (*task)(void *args, int64_t index),
                       void *args, int64_t count) {
  if (count > 1 && run->host && run->host->parallel_for) {
    run->host->parallel_for(run->host->user, task, args, count);
    return;
  }
  if (count < 2 || run->threads < 2 || !hold_pool(run)) {
    for (int64_t index = 0; index < count; ++index)
      task(args, index);
    return;
  }
  struct pool *pool = atomic_load(&the_pool);
  run->pool = POOL_REFUSED; /* a task that asks again works alone */
  pool->task = task;
  pool->args = args;
  pool->count = count;
  atomic_store(&pool->limit, (unsigned)run->threads);
  atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
  atomic_store(&pool->state, STEP_OPEN);
  atomic_fetch_add(&pool->epoch, 1);
  if (atomic_load(&pool->sleepers))
    futex_wake(&pool->epoch,
               (int)(count < run->threads ? count : run->threads) - 1);
  take_tasks(pool);
  /* Close the step: late workers stay out, those inside finish. */
  unsigned state = atomic_fetch_and(&pool->state, ~STEP_OPEN) & ~STEP_OPEN;
  while (state & INSIDE) {
    unsigned found = spin_while(&pool->state, state);
    if (found == state && (found & INSIDE)) {
      found = atomic_fetch_or(&pool->state, CALLER_SLEEPS) | CALLER_SLEEPS;
      if (found & INSIDE)
        futex_wait(&pool->state, found);
      found = atomic_load(&pool->state);
    }
    state = found;
  }
  run->pool = POOL_HELD;
}

/* Before the library's code disappears, its threads must have left it. */
__attribute__((destructor)) static void stop_workers(void) {
  struct pool *pool = atomic_load(&the_pool);
  if (!pool)
    return;
  atomic_store(&pool->stop, 1);
  atomic_fetch_add(&pool->epoch, 1);
  futex_wake(&pool->epoch, INT_MAX);
  int workers = atomic_load(&pool->workers);
  for (int index = 0; index < workers; ++index)
    pthread_join(pool->threads[index], NULL);
  atomic_store(&pool->workers, 0);
}
