/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Runs a model's launches on an NVIDIA device through the CUDA driver, opened
 * at run time, so that the artifact loads where there is none. Memory is
 * managed: host and device see it at one address, what stays on the host needs
 * no copies. Launches are one stream; the host waits for it where it must.
 */
#include "Device.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The driver's interface, which has no header on most machines. */
typedef int cu_result; /* 0: success */
typedef struct cu_object *cu_handle;
#define CU_OUT_OF_MEMORY 2
#define CU_NO_BINARY_FOR_GPU 209
#define CU_CAPABILITY_MAJOR 75
#define CU_CAPABILITY_MINOR 76
#define CU_ATTACH_GLOBAL 1u

/* Name in the library, name here, arguments. */
#define TAMIS_CUDA(X)                                                          \
  X(cuInit, init, (unsigned flags))                                            \
  X(cuDeviceGetCount, count, (int *count))                                     \
  X(cuDeviceGet, get, (int *device, int ordinal))                              \
  X(cuDeviceGetName, name, (char *name, int bytes, int device))                \
  X(cuDeviceGetAttribute, attribute, (int *value, int attribute, int device))  \
  X(cuDevicePrimaryCtxRetain, retain, (cu_handle * context, int device))       \
  X(cuDevicePrimaryCtxRelease_v2, release, (int device))                       \
  X(cuCtxPushCurrent_v2, push, (cu_handle context))                            \
  X(cuCtxPopCurrent_v2, pop, (cu_handle * context))                            \
  X(cuStreamCreate, stream_create, (cu_handle * stream, unsigned flags))       \
  X(cuStreamDestroy_v2, stream_destroy, (cu_handle stream))                    \
  X(cuStreamSynchronize, stream_synchronize, (cu_handle stream))               \
  X(cuMemAllocManaged, allocate,                                               \
    (unsigned long long *address, size_t bytes, unsigned flags))               \
  X(cuMemFree_v2, free, (unsigned long long address))                          \
  X(cuMemcpyDtoDAsync_v2, copy,                                                \
    (unsigned long long to, unsigned long long from, size_t bytes,             \
     cu_handle stream))                                                        \
  X(cuEventCreate, event_create, (cu_handle * event, unsigned flags))          \
  X(cuEventDestroy_v2, event_destroy, (cu_handle event))                       \
  X(cuEventRecord, event_record, (cu_handle event, cu_handle stream))          \
  X(cuEventElapsedTime, event_elapsed,                                         \
    (float *milliseconds, cu_handle from, cu_handle to))                       \
  X(cuModuleLoadData, module_load, (cu_handle * module, const void *image))    \
  X(cuModuleUnload, module_unload, (cu_handle module))                         \
  X(cuModuleGetFunction, function,                                             \
    (cu_handle * function, cu_handle module, const char *name))                \
  X(cuLaunchKernel, launch,                                                    \
    (cu_handle function, unsigned x, unsigned y, unsigned z, unsigned threads, \
     unsigned threads_y, unsigned threads_z, unsigned shared,                  \
     cu_handle stream, void **arguments, void **extra))                        \
  X(cuGetErrorString, error_text, (cu_result error, const char **text))

/* Memory that both sides see; null: none. */
typedef struct cu_buffer {
  char *base;
  int64_t bytes;
} cu_buffer;

struct tamis_device {
  const tamis_host *host;
  char *text; /* of the last failure, TAMIS_TEXT_BYTES */
#define X(symbol, member, arguments) cu_result(*member) arguments;
  TAMIS_CUDA(X)
#undef X
  int device, has_context;
  char device_name[128];
  cu_handle context, stream, module;
  cu_handle *functions;
  /* Around what is timed; null until somebody asks. */
  cu_handle from, to;
  double seconds; /* of the last call */
  cu_buffer weights, workspace, transfer;
  /* Allocations of a run, kept for the next; `temporary_next` is the first
     one this run does not use. */
  cu_buffer *temporaries;
  int64_t temporary_capacity, temporary_next;
  void **pointers; /* of inputs and outputs in `transfer` */
  atomic_flag taken;
};

#define FAIL(device, status, ...)                                              \
  do {                                                                         \
    snprintf((device)->text, TAMIS_TEXT_BYTES, __VA_ARGS__);                   \
    return status;                                                             \
  } while (0)

static tamis_status fail(struct tamis_device *device, cu_result result,
                         const char *what) {
  const char *reason = NULL;
  device->error_text(result, &reason);
  if (result == CU_OUT_OF_MEMORY)
    FAIL(device, TAMIS_ERROR_MEMORY,
         "the NVIDIA device '%s' is out of memory (%s)", device->device_name,
         what);
  FAIL(device, TAMIS_ERROR_DEVICE, "the NVIDIA device '%s': %s failed: %s",
       device->device_name, what, reason ? reason : "unknown error");
}

#define CHECK(call, what)                                                      \
  do {                                                                         \
    cu_result result_ = (call);                                                \
    if (result_)                                                               \
      return fail(device, result_, what);                                      \
  } while (0)

/* Makes `buffer` hold at least `bytes`; its content is lost if it grows. */
static tamis_status reserve(struct tamis_device *device, cu_buffer *buffer,
                            int64_t bytes) {
  if (buffer->base && buffer->bytes >= bytes)
    return TAMIS_OK;
  if (buffer->base)
    device->free((unsigned long long)(uintptr_t)buffer->base);
  memset(buffer, 0, sizeof *buffer);
  unsigned long long address = 0;
  char what[64];
  snprintf(what, sizeof what, "a buffer of %lld bytes", (long long)bytes);
  CHECK(device->allocate(&address, (size_t)(bytes > 0 ? bytes : 1),
                         CU_ATTACH_GLOBAL),
        what);
  buffer->base = (char *)(uintptr_t)address;
  buffer->bytes = bytes;
  return TAMIS_OK;
}

static tamis_status open_driver(struct tamis_device *device) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    FAIL(device, TAMIS_ERROR_DEVICE,
         "this model runs on an NVIDIA device, and there is no CUDA driver: %s",
         dlerror());
#define X(symbol, member, arguments)                                           \
  *(void **)&device->member = dlsym(library, #symbol);                         \
  if (!device->member)                                                         \
    FAIL(device, TAMIS_ERROR_DEVICE, "the CUDA driver lacks " #symbol);
  TAMIS_CUDA(X)
#undef X
  int count = 0;
  if (device->init(0) || device->count(&count) || count == 0)
    FAIL(device, TAMIS_ERROR_DEVICE, "no NVIDIA device on this machine");
  const char *wish = getenv("TAMIS_CUDA_DEVICE");
  char *end = NULL;
  long number = wish && *wish ? strtol(wish, &end, 10) : 0;
  if ((end && *end) || number < 0 || number >= count)
    FAIL(device, TAMIS_ERROR_DEVICE,
         "TAMIS_CUDA_DEVICE='%.64s': expected a number below %d", wish, count);
  CHECK(device->get(&device->device, (int)number), "opening it");
  device->name(device->device_name, (int)sizeof device->device_name,
               device->device);
  return TAMIS_OK;
}

static tamis_status open_device(struct tamis_device *device) {
  CHECK(device->retain(&device->context, device->device), "a context");
  device->has_context = 1;
  CHECK(device->push(device->context), "a context");
  CHECK(device->stream_create(&device->stream, 0), "a stream");
  /* All kernels are one text, and one binary of it for one chip. */
  const tamis_kernel *first = &tamis_model_data.kernels[0];
  cu_result result = CU_NO_BINARY_FOR_GPU;
  if (first->binary)
    result = device->module_load(&device->module, first->binary);
  if (result && result != CU_OUT_OF_MEMORY)
    result = device->module_load(&device->module, first->code);
  if (result == CU_NO_BINARY_FOR_GPU) {
    int major = 0, minor = 0;
    device->attribute(&major, CU_CAPABILITY_MAJOR, device->device);
    device->attribute(&minor, CU_CAPABILITY_MINOR, device->device);
    FAIL(device, TAMIS_ERROR_DEVICE,
         "the NVIDIA device '%s' is sm_%d%d, for which this model's kernels "
         "were not made",
         device->device_name, major, minor);
  }
  CHECK(result, "loading kernels");
  int64_t capacity = 0;
  if (!tamis_rt_grow(device->host, &device->functions, &capacity,
                     tamis_model_data.kernel_count, sizeof(cu_handle)))
    FAIL(device, TAMIS_ERROR_MEMORY, "an allocation failed");
  for (int32_t index = 0; index < tamis_model_data.kernel_count; ++index) {
    const char *name = tamis_model_data.kernels[index].name;
    CHECK(device->function(&device->functions[index], device->module, name),
          name);
  }
  capacity = 0;
  if (!tamis_rt_grow(device->host, &device->pointers, &capacity,
                     tamis_model_data.input_count +
                         tamis_model_data.output_count + 1,
                     sizeof(void *)))
    FAIL(device, TAMIS_ERROR_MEMORY, "an allocation failed");
  int64_t bytes = tamis_model_data.weight_bytes;
  tamis_status status = reserve(device, &device->weights, bytes);
  if (status == TAMIS_OK)
    memcpy(device->weights.base, tamis_model_data.weights, (size_t)bytes);
  return status;
}

const int64_t tamis_rt_device_bytes = sizeof(struct tamis_device);

tamis_status tamis_rt_device_open(struct tamis_device *device,
                                  const tamis_host *host, char *text) {
  device->host = host;
  device->text = text;
  tamis_status status = open_driver(device);
  if (status == TAMIS_OK)
    status = open_device(device);
  if (device->context)
    device->pop(&(cu_handle){NULL});
  return status;
}

static void close_device(struct tamis_device *device) {
  device->push(device->context);
  cu_buffer *list[] = {&device->weights, &device->workspace, &device->transfer};
  for (int index = 0; index < 3; ++index)
    if (list[index]->base)
      device->free((unsigned long long)(uintptr_t)list[index]->base);
  for (int64_t index = 0; index < device->temporary_capacity; ++index)
    if (device->temporaries[index].base)
      device->free(
          (unsigned long long)(uintptr_t)device->temporaries[index].base);
  if (device->from)
    device->event_destroy(device->from);
  if (device->to)
    device->event_destroy(device->to);
  if (device->module)
    device->module_unload(device->module);
  if (device->stream)
    device->stream_destroy(device->stream);
  device->pop(&(cu_handle){NULL});
  device->release(device->device);
}

void tamis_rt_device_destroy(struct tamis_device *device) {
  if (!device)
    return;
  if (device->has_context)
    close_device(device);
  tamis_rt_host_release(device->host, device->functions);
  tamis_rt_host_release(device->host, device->pointers);
  tamis_rt_host_release(device->host, device->temporaries);
  tamis_rt_host_release(device->host, device);
}

/*===-- running
 * ------------------------------------------------------------===*/

static void fault(tamis_run *run, tamis_status status) {
  atomic_fetch_or(&run->faults, status == TAMIS_ERROR_MEMORY
                                    ? TAMIS_FAULT_DEVICE_MEMORY
                                    : TAMIS_FAULT_DEVICE);
}

void tamis_rt_launch(tamis_run *run, int64_t index, const tamis_launch *launch,
                     const uint32_t *words) {
  struct tamis_device *device = run->device;
  const tamis_kernel *kernel = &tamis_model_data.kernels[index];
  if (atomic_load(&run->faults))
    return;
  if (!launch->groups[0] || !launch->groups[1] || !launch->groups[2])
    return;
  /* Pointers, then words: operands begin where the pointers point. */
  void *arguments[kernel->buffer_count + kernel->word_count + 1];
  void *pointers[kernel->buffer_count + 1];
  for (int32_t buffer = 0; buffer < kernel->buffer_count; ++buffer) {
    pointers[buffer] = launch->buffers[buffer].first;
    arguments[buffer] = &pointers[buffer];
  }
  for (int32_t word = 0; word < kernel->word_count; ++word)
    arguments[kernel->buffer_count + word] = (void *)(uintptr_t)&words[word];
  cu_result result = device->launch(
      device->functions[index], (unsigned)launch->groups[0],
      (unsigned)launch->groups[1], (unsigned)launch->groups[2],
      (unsigned)kernel->threads, 1, 1, 0, device->stream, arguments, NULL);
  if (result)
    fault(run, fail(device, result, kernel->name));
}

void tamis_rt_synchronize(tamis_run *run) {
  struct tamis_device *device = run->device;
  cu_result result = device->stream_synchronize(device->stream);
  if (result && !atomic_load(&run->faults))
    fault(run, fail(device, result, "a run"));
}

void *tamis_rt_device_alloc(tamis_run *run, int64_t bytes) {
  struct tamis_device *device = run->device;
  int64_t index = device->temporary_next;
  if (bytes < 0 || bytes > INT64_C(1) << 46 ||
      !tamis_rt_grow(device->host, &device->temporaries,
                     &device->temporary_capacity, index + 1,
                     sizeof(cu_buffer))) {
    atomic_fetch_or(&run->faults, TAMIS_FAULT_MEMORY);
    return NULL;
  }
  cu_buffer *buffer = &device->temporaries[index];
  tamis_status status = reserve(device, buffer, bytes);
  if (status != TAMIS_OK) {
    fault(run, status);
    return NULL;
  }
  ++device->temporary_next;
  return buffer->base;
}

/* Between the two events, which have happened. */
static double get_seconds(struct tamis_device *device) {
  float milliseconds = -1;
  if (device->event_elapsed(&milliseconds, device->from, device->to))
    return -1;
  return milliseconds * 1e-3;
}

static uint32_t compute(tamis_run *run, const tamis_variant *code,
                        const void *const *inputs, void **outputs,
                        int64_t *dims) {
  struct tamis_device *device = run->device;
  tamis_status status = reserve(
      device, &device->transfer,
      tamis_rt_transfer(TAMIS_MEASURE, NULL, NULL, dims, inputs, outputs));
  if (status == TAMIS_OK)
    status = reserve(device, &device->workspace, code->workspace_size(dims));
  if (status != TAMIS_OK) {
    fault(run, status);
    return 0;
  }
  tamis_rt_transfer(TAMIS_COPY_IN, device->transfer.base, device->pointers,
                    dims, inputs, outputs);
  if (device->to)
    device->event_record(device->from, device->stream);
  uint32_t faults =
      code->compute(run, (const void *const *)device->pointers,
                    device->pointers + tamis_model_data.input_count, dims,
                    device->workspace.base, device->weights.base);
  if (device->to)
    device->event_record(device->to, device->stream);
  tamis_rt_synchronize(run);
  faults |= atomic_load(&run->faults);
  device->seconds = device->to && !faults ? get_seconds(device) : -1;
  if (!faults)
    tamis_rt_transfer(TAMIS_COPY_OUT, device->transfer.base, device->pointers,
                      dims, inputs, outputs);
  return faults;
}

/* One call at a time: the memory on the device belongs to the instance. */
static void take(struct tamis_device *device) {
  while (atomic_flag_test_and_set(&device->taken))
    sched_yield();
}

uint32_t tamis_rt_device_compute(tamis_run *run, int32_t variant,
                                 const void *const *inputs, void **outputs,
                                 int64_t *dims, char *text) {
  struct tamis_device *device = run->device;
  take(device);
  device->text = text;
  device->temporary_next = 0;
  uint32_t faults = 0;
  cu_result result = device->push(device->context);
  if (result) {
    fault(run, fail(device, result, "a context"));
  } else {
    faults = compute(run, &tamis_model_data.variants[variant], inputs, outputs,
                     dims);
    device->pop(&(cu_handle){NULL});
  }
  device->text = NULL;
  atomic_flag_clear(&device->taken);
  return faults;
}

/*===-- measuring
 * ----------------------------------------------------------===*/

/* Begins to time calls, if it can. */
static void start_clock(struct tamis_device *device) {
  device->seconds = -1;
  if (device->event_create(&device->from, 0) ||
      device->event_create(&device->to, 0))
    device->to = NULL;
}

double tamis_rt_device_seconds(struct tamis_device *device) {
  take(device);
  if (!device->to && !device->push(device->context)) {
    start_clock(device);
    device->pop(&(cu_handle){NULL});
  }
  double seconds = device->seconds;
  atomic_flag_clear(&device->taken);
  return seconds;
}

static double copy(struct tamis_device *device, int64_t bytes) {
  cu_buffer buffers[2] = {{0}};
  double seconds = -1;
  if (!device->to)
    start_clock(device);
  if (device->to && reserve(device, &buffers[0], bytes) == TAMIS_OK &&
      reserve(device, &buffers[1], bytes) == TAMIS_OK) {
    unsigned long long to = (unsigned long long)(uintptr_t)buffers[0].base;
    unsigned long long from = (unsigned long long)(uintptr_t)buffers[1].base;
    /* The first copy brings the pages to the device. */
    cu_result result = device->copy(to, from, (size_t)bytes, device->stream);
    device->event_record(device->from, device->stream);
    for (int round = 0; round < TAMIS_DEVICE_COPIES && !result; ++round)
      result = device->copy(to, from, (size_t)bytes, device->stream);
    device->event_record(device->to, device->stream);
    if (!device->stream_synchronize(device->stream) && !result)
      seconds = get_seconds(device);
  }
  for (int index = 0; index < 2; ++index)
    if (buffers[index].base)
      device->free((unsigned long long)(uintptr_t)buffers[index].base);
  return seconds > 0 ? 2.0 * TAMIS_DEVICE_COPIES * (double)bytes / seconds : -1;
}

double tamis_rt_device_copy(struct tamis_device *device, int64_t bytes) {
  char text[TAMIS_TEXT_BYTES];
  double rate = -1;
  take(device);
  device->text = text;
  if (!device->push(device->context)) {
    rate = copy(device, bytes);
    device->pop(&(cu_handle){NULL});
  }
  device->text = NULL;
  atomic_flag_clear(&device->taken);
  return rate;
}
