/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Stands in for Vulkan.c and Cuda.c in models for the CPU: they never ask for a
 * device.
 */
#include "Internal.h"

tamis_status tamis_rt_device_create(const tamis_host *host,
                                    struct tamis_device **result, char *text) {
  (void)host, (void)result, (void)text;
  return TAMIS_OK;
}

void tamis_rt_device_destroy(struct tamis_device *device) { (void)device; }

void *tamis_rt_device_alloc(tamis_run *run, int64_t bytes) {
  (void)run, (void)bytes;
  return NULL;
}

uint32_t tamis_rt_device_compute(tamis_run *run, int32_t variant,
                                 const void *const *inputs, void **outputs,
                                 int64_t *dims, char *text) {
  (void)run, (void)variant, (void)inputs, (void)outputs, (void)dims, (void)text;
  return 0;
}

double tamis_rt_device_seconds(struct tamis_device *device) {
  (void)device;
  return -1;
}

double tamis_rt_device_copy(struct tamis_device *device, int64_t bytes) {
  (void)device, (void)bytes;
  return -1;
}
