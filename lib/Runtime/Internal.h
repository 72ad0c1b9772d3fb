/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What the runtime's files share. Everything is hidden: a model's public
 * functions, named after its prefix, are jumps to the tamis_abi_* functions.
 */
#ifndef TAMIS_LIB_RUNTIME_INTERNAL_H
#define TAMIS_LIB_RUNTIME_INTERNAL_H

#include "tamis/Runtime/Runtime.h"

#include <stdatomic.h>

/* The one constant that differs from model to model. */
extern const tamis_model tamis_model_data;

#define TAMIS_TEXT_BYTES 512

typedef struct tamis_instance {
  tamis_host host;
  int32_t variant;
  int32_t threads;
  struct tamis_device *device; /* null: the model runs on the CPU */
  void *workspace; /* used by callers that bring none, one at a time */
  int64_t workspace_bytes;
  atomic_flag workspace_taken;
  atomic_flag text_taken;
  char text[TAMIS_TEXT_BYTES];
} tamis_instance;

struct tamis_block;
struct tamis_device;

/* One call of run; lives on its stack. */
struct tamis_run {
  const tamis_host *host; /* null: libc */
  void **outputs;
  _Atomic(struct tamis_block *) blocks;
  atomic_uint faults;
  int32_t threads;
  struct tamis_device *device;
  /* Whether this run holds the worker pool. */
  enum { POOL_UNASKED, POOL_HELD, POOL_REFUSED } pool;
};

/* Memory.c */
void *tamis_rt_host_allocate(const tamis_host *host, int64_t bytes);
void tamis_rt_host_release(const tamis_host *host, void *pointer);
void tamis_rt_release_blocks(tamis_run *run);

/* Cpus.c: how many CPUs this process may really use. */
int32_t tamis_rt_usable_cpus(void);

/* Parallel.c or Serial.c: starts workers up to `threads`, the caller included;
   returns how many threads there will be. */
int32_t tamis_rt_pool_reserve(int32_t threads);
void tamis_rt_pool_release(tamis_run *run);

/* Vulkan.c, Cuda.c, or NoDevice.c in models for the CPU. */

/* Opens a device and brings weights and kernels there. `host` stays valid as
   long as the device; a failure explains itself in `text`. */
tamis_status tamis_rt_device_create(const tamis_host *host,
                                    struct tamis_device **result, char *text);
void tamis_rt_device_destroy(struct tamis_device *device);
/* Memory until the end of the run. */
void *tamis_rt_device_alloc(tamis_run *run, int64_t bytes);
/* The compute function of `variant` on the device of `run`: returns faults,
   those of the device explained in `text`. */
uint32_t tamis_rt_device_compute(tamis_run *run, int32_t variant,
                                 const void *const *inputs, void **outputs,
                                 int64_t *dims, char *text);
/* Seconds that the last call's launches took by the device's own clock, once
   this has been asked for the first time; below 0 before, and where there is no
   such clock. */
double tamis_rt_device_seconds(struct tamis_device *device);
/* Bytes a second, read and written, of copies of so many bytes in the memory
   that models use; below 0 where that fails or there is no clock. */
double tamis_rt_device_copy(struct tamis_device *device, int64_t bytes);

#endif /* TAMIS_LIB_RUNTIME_INTERNAL_H */
