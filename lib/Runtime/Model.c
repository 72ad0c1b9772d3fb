/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The public calls of a compiled model: <prefix>_X jumps to tamis_abi_X.
 * Nothing a caller passes may crash them except a pointer that is neither null
 * nor valid.
 */
#include "Internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text of a failed create, whose instance does not exist. */
static char create_text[TAMIS_TEXT_BYTES];

/* Where a check writes its explanation; may be null. */
typedef struct message {
  char *text;
} message;

#define FAIL(out, status, ...)                                                 \
  do {                                                                         \
    if ((out)->text)                                                           \
      snprintf((out)->text, TAMIS_TEXT_BYTES, __VA_ARGS__);                    \
    return status;                                                             \
  } while (0)

/* Picks the best variant whose features are all here; -1 without one. The
   answer never changes, so racing callers agree. */
static int32_t pick_variant(const message *out) {
  static atomic_int picked; /* 0: not yet asked, else the variant plus one */
  int known = atomic_load_explicit(&picked, memory_order_relaxed);
  if (known > 0)
    return known - 1;
  const char *missing = "";
  for (int32_t index = tamis_model_data.variant_count - 1; index >= 0;
       --index) {
    const tamis_variant *variant = &tamis_model_data.variants[index];
    int64_t feature = 0;
    while (feature < variant->feature_count &&
           tamis_rt_has_feature(&variant->features[feature]))
      ++feature;
    if (feature == variant->feature_count) {
      atomic_store(&picked, index + 1);
      return index;
    }
    missing = variant->features[feature].name;
  }
  FAIL(out, -1, "this processor lacks the feature '%s'", missing);
}

static void describe_expected(const tamis_dimension *dim, char *text,
                              size_t size) {
  if (dim->minimum == dim->maximum)
    snprintf(text, size, "%lld", (long long)dim->minimum);
  else if (dim->maximum == INT64_MAX)
    snprintf(text, size, "at least %lld", (long long)dim->minimum);
  else
    snprintf(text, size, "%lld to %lld", (long long)dim->minimum,
             (long long)dim->maximum);
}

/* Refuses tensors beyond 2^40 bytes: their offsets are not to be trusted. */
static int too_large(const tamis_tensor *tensor, const int64_t *dims) {
  int64_t bytes = tensor->element_bytes;
  for (int32_t axis = 0; axis < tensor->rank; ++axis) {
    if (dims[axis] == 0)
      return 0;
    if (__builtin_mul_overflow(bytes, dims[axis], &bytes))
      bytes = INT64_MAX;
  }
  return bytes > INT64_C(1) << 40;
}

static tamis_status check_dims(const int64_t *dims, const message *out) {
  if (!dims && tamis_model_data.input_dim_count)
    FAIL(out, TAMIS_ERROR_ARGUMENT, "the dimensions are a null pointer");
  int32_t first = 0;
  for (int32_t index = 0; index < tamis_model_data.input_count; ++index) {
    const tamis_tensor *tensor = &tamis_model_data.inputs[index];
    for (int32_t axis = 0; axis < tensor->rank; ++axis) {
      const tamis_dimension *dim = &tensor->dims[axis];
      int64_t got = dims[first + axis];
      if (got < dim->minimum || got > dim->maximum) {
        char expected[64];
        describe_expected(dim, expected, sizeof expected);
        FAIL(out, TAMIS_ERROR_SHAPE,
             "input '%s': dimension %d: expected %s, got %lld", tensor->name,
             axis, expected, (long long)got);
      }
      if (dim->same_as >= 0 && got != dims[dim->same_as])
        FAIL(out, TAMIS_ERROR_SHAPE,
             "input '%s': dimension %d: expected %lld as in the other inputs, "
             "got %lld",
             tensor->name, axis, (long long)dims[dim->same_as], (long long)got);
    }
    if (too_large(tensor, dims + first))
      FAIL(out, TAMIS_ERROR_SHAPE,
           "input '%s': expected at most 2^40 bytes, got more", tensor->name);
    first += tensor->rank;
  }
  return TAMIS_OK;
}

/* True if the result `index` has elements, so that it needs memory. */
static int has_elements(const int64_t *dims, int32_t index) {
  dims += tamis_model_data.input_dim_count;
  for (int32_t before = 0; before < index; ++before)
    dims += tamis_model_data.outputs[before].rank;
  for (int32_t axis = 0; axis < tamis_model_data.outputs[index].rank; ++axis)
    if (dims[axis] == 0)
      return 0;
  return 1;
}

static tamis_status check_pointers(const void *const *inputs, void **outputs,
                                   int64_t *dims, const message *out) {
  if (!inputs && tamis_model_data.input_count)
    FAIL(out, TAMIS_ERROR_ARGUMENT, "the inputs are a null pointer");
  if (!outputs && tamis_model_data.output_count)
    FAIL(out, TAMIS_ERROR_ARGUMENT, "the outputs are a null pointer");
  int32_t first = 0;
  for (int32_t index = 0; index < tamis_model_data.input_count; ++index) {
    const tamis_tensor *tensor = &tamis_model_data.inputs[index];
    int64_t elements = 1;
    for (int32_t axis = 0; axis < tensor->rank; ++axis)
      elements *= dims[first + axis] != 0;
    if (elements && !inputs[index])
      FAIL(out, TAMIS_ERROR_ARGUMENT, "input '%s' is a null pointer",
           tensor->name);
    first += tensor->rank;
  }
  /* Those of unbounded outputs are written again by the computation. */
  tamis_model_data.output_dims(dims);
  for (int32_t index = 0; index < tamis_model_data.output_count; ++index) {
    const tamis_tensor *tensor = &tamis_model_data.outputs[index];
    if (tensor->unbounded)
      outputs[index] = NULL;
    else if (!outputs[index] && has_elements(dims, index))
      FAIL(out, TAMIS_ERROR_ARGUMENT, "output '%s' is a null pointer",
           tensor->name);
  }
  return TAMIS_OK;
}

static tamis_status status_of_faults(uint32_t faults, const message *out) {
  if (!faults)
    return TAMIS_OK;
  if (faults & TAMIS_FAULT_DEVICE_MEMORY)
    return TAMIS_ERROR_MEMORY;
  if (faults & TAMIS_FAULT_DEVICE)
    return TAMIS_ERROR_DEVICE;
  if (faults & TAMIS_FAULT_MEMORY)
    FAIL(out, TAMIS_ERROR_MEMORY, "an allocation failed");
  if (faults & TAMIS_FAULT_CAPACITY)
    FAIL(out, TAMIS_ERROR_SHAPE,
         "a cache has no room for the entries appended to it");
  if (faults & TAMIS_FAULT_SHAPE)
    FAIL(out, TAMIS_ERROR_SHAPE,
         "shapes computed from the data do not fit together");
  if (faults & TAMIS_FAULT_INDEX)
    FAIL(out, TAMIS_ERROR_INDEX, "an index in the data is out of range");
  if (faults & TAMIS_FAULT_DIVISION)
    FAIL(out, TAMIS_ERROR_DIVISION, "an integer is divided by zero");
  FAIL(out, TAMIS_ERROR_ARGUMENT, "unknown fault %u", faults);
}

static tamis_status compute(int32_t variant, const tamis_host *host,
                            int32_t threads, struct tamis_device *device,
                            const void *const *inputs, void **outputs,
                            int64_t *dims, void *workspace,
                            const message *out) {
  tamis_run run = {
      .host = host, .outputs = outputs, .threads = threads, .device = device};
  uint32_t faults = device ? tamis_rt_device_compute(&run, variant, inputs,
                                                     outputs, dims, out->text)
                           : tamis_model_data.variants[variant].compute(
                                 &run, inputs, outputs, dims, workspace,
                                 tamis_model_data.weights);
  tamis_rt_pool_release(&run);
  tamis_rt_release_blocks(&run);
  faults |= atomic_load(&run.faults);
  if (faults)
    for (int32_t index = 0; index < tamis_model_data.output_count; ++index)
      if (tamis_model_data.outputs[index].unbounded) {
        tamis_rt_host_release(host, outputs[index]);
        outputs[index] = NULL;
      }
  return status_of_faults(faults, out);
}

uint32_t tamis_abi_abi_version(void) { return TAMIS_ABI_VERSION; }

const char *tamis_abi_describe(void) { return tamis_model_data.describe; }

int64_t tamis_abi_workspace_size(const int64_t *dims) {
  message out = {NULL};
  int32_t variant = pick_variant(&out);
  if (variant < 0 || check_dims(dims, &out) != TAMIS_OK)
    return -1;
  /* A device's memory belongs to the instance. */
  if (tamis_model_data.kernels)
    return 0;
  return tamis_model_data.variants[variant].workspace_size(dims);
}

int32_t tamis_abi_output_dims(int64_t *dims) {
  message out = {NULL};
  if (!dims)
    return TAMIS_ERROR_ARGUMENT;
  tamis_status status = check_dims(dims, &out);
  if (status == TAMIS_OK)
    tamis_model_data.output_dims(dims);
  return status;
}

int32_t tamis_abi_create(const tamis_host *host, tamis_instance **result) {
  message out = {create_text};
  if (!result)
    FAIL(&out, TAMIS_ERROR_ARGUMENT, "the instance is a null pointer");
  *result = NULL;
  if (host && !host->allocate != !host->release)
    FAIL(&out, TAMIS_ERROR_ARGUMENT,
         "expected both of allocate and release, or neither");
  int32_t variant = pick_variant(&out);
  if (variant < 0)
    return TAMIS_ERROR_FEATURE;
  tamis_instance *instance = tamis_rt_host_allocate(host, sizeof *instance);
  if (!instance)
    FAIL(&out, TAMIS_ERROR_MEMORY, "an allocation failed");
  memset(instance, 0, sizeof *instance);
  if (host)
    instance->host = *host;
  instance->variant = variant;
  instance->threads = 1;
  if (tamis_model_data.threads > 1) {
    int32_t threads = tamis_model_data.threads;
    if (instance->host.threads > 0 && instance->host.threads < threads)
      threads = instance->host.threads;
    if (!instance->host.parallel_for)
      threads = tamis_rt_pool_reserve(threads);
    instance->threads = threads;
  }
  if (tamis_model_data.kernels) {
    tamis_status status =
        tamis_rt_device_create(&instance->host, &instance->device, create_text);
    if (status != TAMIS_OK) {
      tamis_rt_host_release(host, instance);
      return status;
    }
  }
  *result = instance;
  return TAMIS_OK;
}

/* The workspace of `instance`, or memory for this call alone if another call
   uses that; null without memory. */
static void *borrow_workspace(tamis_instance *instance, int64_t bytes,
                              int *borrowed) {
  *borrowed = !atomic_flag_test_and_set(&instance->workspace_taken);
  if (!*borrowed)
    return tamis_rt_host_allocate(&instance->host, bytes);
  if (!instance->workspace || instance->workspace_bytes < bytes) {
    tamis_rt_host_release(&instance->host, instance->workspace);
    instance->workspace = tamis_rt_host_allocate(&instance->host, bytes);
    instance->workspace_bytes = instance->workspace ? bytes : 0;
  }
  return instance->workspace;
}

static tamis_status run_instance(tamis_instance *instance,
                                 const void *const *inputs, void **outputs,
                                 int64_t *dims, void *workspace,
                                 const message *out) {
  if (!dims)
    FAIL(out, TAMIS_ERROR_ARGUMENT, "the dimensions are a null pointer");
  tamis_status status = check_dims(dims, out);
  if (status == TAMIS_OK)
    status = check_pointers(inputs, outputs, dims, out);
  if (status != TAMIS_OK)
    return status;
  if ((uintptr_t)workspace % TAMIS_ALIGNMENT)
    FAIL(out, TAMIS_ERROR_ARGUMENT,
         "expected a workspace aligned to %d bytes, got %p", TAMIS_ALIGNMENT,
         workspace);
  if (workspace || instance->device)
    return compute(instance->variant, &instance->host, instance->threads,
                   instance->device, inputs, outputs, dims, workspace, out);
  int64_t bytes =
      tamis_model_data.variants[instance->variant].workspace_size(dims);
  int borrowed;
  workspace = borrow_workspace(instance, bytes, &borrowed);
  if (workspace)
    status = compute(instance->variant, &instance->host, instance->threads,
                     NULL, inputs, outputs, dims, workspace, out);
  if (borrowed)
    atomic_flag_clear(&instance->workspace_taken);
  else
    tamis_rt_host_release(&instance->host, workspace);
  if (!workspace)
    FAIL(out, TAMIS_ERROR_MEMORY,
         "a workspace of %lld bytes could not be allocated", (long long)bytes);
  return status;
}

int32_t tamis_abi_run(tamis_instance *instance, const void *const *inputs,
                      void **outputs, int64_t *dims, void *workspace) {
  if (!instance)
    return TAMIS_ERROR_ARGUMENT;
  char text[TAMIS_TEXT_BYTES];
  text[0] = 0;
  message out = {text};
  tamis_status status =
      run_instance(instance, inputs, outputs, dims, workspace, &out);
  /* Of failures at the same time one text is kept, whole. */
  if (status != TAMIS_OK && !atomic_flag_test_and_set(&instance->text_taken)) {
    memcpy(instance->text, text, sizeof text);
    atomic_flag_clear(&instance->text_taken);
  }
  return status;
}

const char *tamis_abi_last_error(const tamis_instance *instance) {
  return instance ? instance->text : create_text;
}

void tamis_abi_destroy(tamis_instance *instance) {
  if (!instance)
    return;
  tamis_host host = instance->host;
  tamis_rt_device_destroy(instance->device);
  tamis_rt_host_release(&host, instance->workspace);
  tamis_rt_host_release(&host, instance);
}

/* These two are exported only by models for a device. */
double tamis_abi_device_seconds(tamis_instance *instance) {
  return instance ? tamis_rt_device_seconds(instance->device) : -1;
}

double tamis_abi_device_copy(tamis_instance *instance, int64_t bytes) {
  return instance && bytes > 0 ? tamis_rt_device_copy(instance->device, bytes)
                               : -1;
}

/* Exported only by models of fixed shape on one thread. */
int32_t tamis_abi_run_static(const void *const *inputs, void **outputs,
                             void *workspace) {
  message out = {NULL};
  int32_t variant = pick_variant(&out);
  if (variant < 0)
    return TAMIS_ERROR_FEATURE;
  int64_t dims[tamis_model_data.input_dim_count +
               tamis_model_data.output_dim_count + 1];
  int32_t at = 0;
  for (int32_t index = 0; index < tamis_model_data.input_count; ++index)
    for (int32_t axis = 0; axis < tamis_model_data.inputs[index].rank; ++axis)
      dims[at++] = tamis_model_data.inputs[index].dims[axis].minimum;
  tamis_status status = check_pointers(inputs, outputs, dims, &out);
  if (status != TAMIS_OK)
    return status;
  if ((uintptr_t)workspace % TAMIS_ALIGNMENT ||
      (!workspace &&
       tamis_model_data.variants[variant].workspace_size(dims) > 0))
    return TAMIS_ERROR_ARGUMENT;
  return compute(variant, NULL, 1, NULL, inputs, outputs, dims, workspace,
                 &out);
}
