/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What a compiled model consists of, seen from C. The compiler writes one
 * constant `tamis_model_data` per model and the functions it points to; the
 * runtime (lib/Runtime, linked into every model) implements the public calls on
 * top of it.
 */
#ifndef TAMIS_RUNTIME_RUNTIME_H
#define TAMIS_RUNTIME_RUNTIME_H

#include "tamis/Runtime/Host.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Version of everything in this file. A loader refuses any other. */
#define TAMIS_ABI_VERSION 1

/** Weights, workspaces and run-time allocations are aligned to this. */
#define TAMIS_ALIGNMENT 64

/* One CPU feature and where cpuid reports it. */
typedef struct tamis_feature {
  const char *name;
  uint32_t leaf, subleaf;
  uint8_t reg; /* 0 eax, 1 ebx, 2 ecx, 3 edx */
  uint8_t bit;
  uint8_t state; /* what the system must save: a tamis_feature_state */
  uint8_t reserved;
} tamis_feature;

enum tamis_feature_state {
  TAMIS_STATE_NONE = 0,
  TAMIS_STATE_AVX = 1,
  TAMIS_STATE_AVX512 = 2,
  TAMIS_STATE_AMX = 3
};

/* A dimension lies in [minimum, maximum]; static ones have both equal.
   `same_as` is the index (over all input dimensions, concatenated) of the
   first dimension of the same symbol, or -1. */
typedef struct tamis_dimension {
  int64_t minimum, maximum, same_as;
} tamis_dimension;

typedef struct tamis_tensor {
  const char *name;
  const tamis_dimension *dims;
  int32_t rank;
  int32_t element_bytes;
  /* 1: only the data decides the size; the run allocates the result. */
  int32_t unbounded;
  int32_t reserved;
} tamis_tensor;

/* Bits of the word a compute function returns. */
enum tamis_fault {
  TAMIS_FAULT_INDEX = 1,
  TAMIS_FAULT_SHAPE = 2,
  TAMIS_FAULT_MEMORY = 4,
  TAMIS_FAULT_DIVISION = 8,
  TAMIS_FAULT_DEVICE = 16, /* with a text of its own, as the next */
  TAMIS_FAULT_DEVICE_MEMORY = 32,
  TAMIS_FAULT_CAPACITY = 64 /* more is appended than a cache has room for */
};

typedef struct tamis_run tamis_run;

/* The model compiled for one feature list. Later variants are better. */
typedef struct tamis_variant {
  uint32_t (*compute)(tamis_run *run, const void *const *inputs, void **outputs,
                      int64_t *dims, void *workspace, const void *weights);
  int64_t (*workspace_size)(const int64_t *dims);
  const tamis_feature *features;
  int64_t feature_count;
} tamis_variant;

/* What a kernel needs of a device. */
enum tamis_device_feature {
  TAMIS_DEVICE_INT8 = 1,
  TAMIS_DEVICE_INT16 = 2,
  TAMIS_DEVICE_INT64 = 4,
  TAMIS_DEVICE_FLOAT16 = 8,
  TAMIS_DEVICE_STORAGE8 = 16, /* 8-bit elements in buffers */
  TAMIS_DEVICE_STORAGE16 = 32
};

/* Device code. It reads and writes `buffer_count` buffers, bound from 0 on, and
   reads one more of `word_count` 32-bit words; the first of these say at which
   element of its buffer each operand begins. */
typedef struct tamis_kernel {
  const char *name; /* of its entry point */
  const uint32_t *code;
  int64_t code_bytes;
  const void *binary; /* the same for one chip, tried first; null: none */
  const int32_t *element_bytes; /* one for each buffer */
  int32_t buffer_count, word_count;
  int32_t features; /* tamis_device_feature, or-ed */
  int32_t threads;  /* of a workgroup, where the code does not say */
} tamis_kernel;

/* One launch: workgroups along each axis, and for each buffer the first byte
   the kernel uses and how many from there. */
typedef struct tamis_launch {
  int64_t groups[3];
  struct {
    void *first;
    int64_t bytes;
  } buffers[];
} tamis_launch;

typedef struct tamis_model {
  const char *describe; /* JSON */
  const tamis_tensor *inputs, *outputs;
  const tamis_variant *variants;
  void (*output_dims)(int64_t *dims);
  const void *weights;
  int64_t weight_bytes;
  const tamis_kernel *kernels; /* null: a model for the CPU */
  int32_t abi_version, input_count, output_count, variant_count;
  int32_t input_dim_count, output_dim_count;
  int32_t threads; /* the task split was made for so many */
  int32_t kernel_count;
} tamis_model;

/* Called by generated code. */
void tamis_rt_parallel(tamis_run *run, void (*task)(void *args, int64_t index),
                       void *args, int64_t count);
void *tamis_rt_alloc(tamis_run *run, int64_t bytes);
void *tamis_rt_alloc_output(tamis_run *run, int64_t index, int64_t bytes);
/* Runs kernel `kernel` after all launches before it. Words that say where
   operands begin are the runtime's to fill in. */
void tamis_rt_launch(tamis_run *run, int64_t kernel, const tamis_launch *launch,
                     const uint32_t *words);
/* Returns when all launches are done. */
void tamis_rt_synchronize(tamis_run *run);

/* True if this processor and system can execute `feature`; asks the kernel
   for the permission that tiles need. Also linked into the compiler. */
int tamis_rt_has_feature(const tamis_feature *feature);

#ifdef __cplusplus
}
#endif

#endif /* TAMIS_RUNTIME_RUNTIME_H */
