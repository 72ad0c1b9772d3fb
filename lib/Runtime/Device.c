/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What the runtimes of all devices share.
 */
#include "Device.h"

#include <stdio.h>
#include <string.h>

tamis_status tamis_rt_device_create(const tamis_host *host,
                                    struct tamis_device **result, char *text) {
  struct tamis_device *device =
      tamis_rt_host_allocate(host, tamis_rt_device_bytes);
  if (!device) {
    snprintf(text, TAMIS_TEXT_BYTES, "an allocation failed");
    return TAMIS_ERROR_MEMORY;
  }
  memset(device, 0, (size_t)tamis_rt_device_bytes);
  tamis_status status = tamis_rt_device_open(device, host, text);
  if (status == TAMIS_OK)
    *result = device;
  else
    tamis_rt_device_destroy(device);
  return status;
}

int tamis_rt_grow(const tamis_host *host, void *array, int64_t *capacity,
                  int64_t count, int64_t size) {
  void **place = array;
  if (count <= *capacity)
    return 1;
  int64_t wanted = count < 2 * *capacity ? 2 * *capacity : count;
  char *fresh = tamis_rt_host_allocate(host, wanted * size);
  if (!fresh)
    return 0;
  memcpy(fresh, *place ? *place : fresh, *capacity * size);
  memset(fresh + *capacity * size, 0, (wanted - *capacity) * size);
  tamis_rt_host_release(host, *place);
  *place = fresh;
  *capacity = wanted;
  return 1;
}

static int64_t tensor_bytes(const tamis_tensor *tensor, const int64_t *dims) {
  int64_t bytes = tensor->element_bytes;
  for (int32_t axis = 0; axis < tensor->rank; ++axis)
    bytes *= dims[axis];
  return bytes;
}

int64_t tamis_rt_transfer(enum tamis_transfer what, char *base, void **pointers,
                          const int64_t *dims, const void *const *inputs,
                          void **outputs) {
  int64_t offset = 0;
  int32_t count = tamis_model_data.input_count;
  for (int32_t index = 0; index < count + tamis_model_data.output_count;
       ++index) {
    int is_input = index < count;
    const tamis_tensor *tensor = is_input
                                     ? &tamis_model_data.inputs[index]
                                     : &tamis_model_data.outputs[index - count];
    int64_t bytes = tensor->unbounded ? 0 : tensor_bytes(tensor, dims);
    dims += tensor->rank;
    if (what == TAMIS_COPY_IN)
      pointers[index] = base + offset;
    if (bytes > 0 && what == TAMIS_COPY_IN && is_input)
      memcpy(pointers[index], inputs[index], (size_t)bytes);
    if (bytes > 0 && what == TAMIS_COPY_OUT && !is_input)
      memcpy(outputs[index - count], pointers[index], (size_t)bytes);
    offset += (bytes + TAMIS_ALIGNMENT - 1) & -(int64_t)TAMIS_ALIGNMENT;
  }
  return offset + TAMIS_ALIGNMENT;
}
