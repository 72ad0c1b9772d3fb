/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What a program and a compiled model tell each other. Stands in every
 * generated header too (the build takes its text from here), which is why the
 * names carry no model prefix and sit behind a guard.
 */
#include <stddef.h>
#include <stdint.h>

#ifndef TAMIS_HOST_DEFINED
#define TAMIS_HOST_DEFINED
/** What every call of a compiled model returns. */
typedef enum tamis_status {
  TAMIS_OK = 0,
  TAMIS_ERROR_ARGUMENT = 1, /* a null or misaligned pointer */
  TAMIS_ERROR_SHAPE = 2,    /* dimensions the model does not take */
  TAMIS_ERROR_FEATURE = 3,  /* this processor lacks an instruction set */
  TAMIS_ERROR_MEMORY = 4,   /* an allocation failed */
  TAMIS_ERROR_INDEX = 5,    /* an index in the data is out of range */
  TAMIS_ERROR_DIVISION = 6, /* an integer division by zero in the data */
  TAMIS_ERROR_DEVICE = 7    /* no device the model can run on, or it failed */
} tamis_status;

/** What a program may offer the model; every field may be zero. */
typedef struct tamis_host {
  void *user; /* handed to each hook */
  void *(*allocate)(void *user, size_t bytes, size_t alignment);
  void (*release)(void *user, void *pointer);
  /* calls task(args, i) for every i below count, in any order, and returns
     when all are done */
  void (*parallel_for)(void *user, void (*task)(void *args, int64_t index),
                       void *args, int64_t count);
  int32_t threads; /* 0: as many as the model was compiled for */
} tamis_host;
#endif
