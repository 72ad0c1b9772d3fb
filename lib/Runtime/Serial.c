/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Stands in for Parallel.c in models compiled for one thread, which thus carry
 * neither a pool nor a dependency on threads.
 */
#include "Internal.h"

int32_t tamis_rt_pool_reserve(int32_t threads) {
  (void)threads;
  return 1;
}

void tamis_rt_pool_release(tamis_run *run) { (void)run; }

void tamis_rt_parallel(tamis_run *run, void (*task)(void *args, int64_t index),
                       void *args, int64_t count) {
  if (count > 1 && run->host && run->host->parallel_for) {
    run->host->parallel_for(run->host->user, task, args, count);
    return;
  }
  for (int64_t index = 0; index < count; ++index)
    task(args, index);
}
