/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What the runtimes of all devices share: how an instance's device begins,
 * arrays that grow, inputs and outputs on their way to the device and back.
 */
#ifndef TAMIS_LIB_RUNTIME_DEVICE_H
#define TAMIS_LIB_RUNTIME_DEVICE_H

#include "Internal.h"

/* Of each kind of device: the size of its structure, and what opens it.
   `device` is zero and keeps `host` and `text`; what a failure leaves,
   destroying it closes. */
extern const int64_t tamis_rt_device_bytes;
tamis_status tamis_rt_device_open(struct tamis_device *device,
                                  const tamis_host *host, char *text);

/* Room for `count` elements of `size` bytes in the array at `array`; 0 without
   memory. New elements are zero. */
int tamis_rt_grow(const tamis_host *host, void *array, int64_t *capacity,
                  int64_t count, int64_t size);

/* Goes over inputs, then outputs, each with its place in a transfer buffer that
   begins at `base`; returns the size of that. COPY_IN sets `pointers` and
   copies inputs there, COPY_OUT copies outputs back. */
enum tamis_transfer { TAMIS_MEASURE, TAMIS_COPY_IN, TAMIS_COPY_OUT };
int64_t tamis_rt_transfer(enum tamis_transfer what, char *base, void **pointers,
                          const int64_t *dims, const void *const *inputs,
                          void **outputs);

/* How often a copy is repeated to be timed. */
#define TAMIS_DEVICE_COPIES 8

#endif /* TAMIS_LIB_RUNTIME_DEVICE_H */
