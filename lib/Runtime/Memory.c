/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Memory a run asks for while it runs: temporaries, freed when it ends, and
 * results whose size only the data decides, handed to the caller. Tasks may
 * allocate concurrently, so the list of temporaries only grows until the end.
 */
#include "Internal.h"

#include <stdlib.h>

/* Precedes each temporary; as large as the alignment, so that it keeps it. */
struct tamis_block {
  _Alignas(TAMIS_ALIGNMENT) struct tamis_block *next;
};

void *tamis_rt_host_allocate(const tamis_host *host, int64_t bytes) {
  /* Beyond 2^46 bytes a size is an overflow, not a wish. */
  if (bytes < 0 || bytes > INT64_C(1) << 46)
    return NULL;
  size_t rounded =
      ((size_t)bytes + TAMIS_ALIGNMENT - 1) & ~(size_t)(TAMIS_ALIGNMENT - 1);
  if (!rounded)
    rounded = TAMIS_ALIGNMENT;
  if (host && host->allocate)
    return host->allocate(host->user, rounded, TAMIS_ALIGNMENT);
  return aligned_alloc(TAMIS_ALIGNMENT, rounded);
}

void tamis_rt_host_release(const tamis_host *host, void *pointer) {
  if (!pointer)
    return;
  if (host && host->allocate) {
    if (host->release)
      host->release(host->user, pointer);
    return;
  }
  free(pointer);
}

void *tamis_rt_alloc(tamis_run *run, int64_t bytes) {
  if (run->device)
    return tamis_rt_device_alloc(run, bytes);
  struct tamis_block *block = NULL;
  if (bytes >= 0 && bytes <= INT64_C(1) << 46)
    block = tamis_rt_host_allocate(run->host,
                                   bytes + (int64_t)sizeof(struct tamis_block));
  if (!block) {
    atomic_fetch_or(&run->faults, TAMIS_FAULT_MEMORY);
    return NULL;
  }
  struct tamis_block *head = atomic_load(&run->blocks);
  do
    block->next = head;
  while (!atomic_compare_exchange_weak(&run->blocks, &head, block));
  return block + 1;
}

void *tamis_rt_alloc_output(tamis_run *run, int64_t index, int64_t bytes) {
  void *pointer = tamis_rt_host_allocate(run->host, bytes);
  if (!pointer)
    atomic_fetch_or(&run->faults, TAMIS_FAULT_MEMORY);
  /* A loop body may produce the same result again. */
  tamis_rt_host_release(run->host, run->outputs[index]);
  run->outputs[index] = pointer;
  return pointer;
}

void tamis_rt_release_blocks(tamis_run *run) {
  struct tamis_block *block = atomic_load(&run->blocks);
  while (block) {
    struct tamis_block *next = block->next;
    tamis_rt_host_release(run->host, block);
    block = next;
  }
}
