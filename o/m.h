/* A compiled model: m.

   inputs[0] Input3: float32 [1, 1, 28, 28], dims[0..3]
   outputs[0] Plus214_Output_0: float32 [1, 10], dims[4..5]

   Tensors are dense and row-major. dims holds the dimensions of
   all inputs, then of all outputs, in this order. */
#ifndef M_H
#define M_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

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

#define M_ABI_VERSION 1
#define M_INPUTS 1
#define M_OUTPUTS 1
#define M_DIMS 6
#define M_WORKSPACE_BYTES 35584

/** Version of this interface; equals M_ABI_VERSION. */
uint32_t m_abi_version(void);

/** The model's inputs, outputs and metadata as JSON. */
const char *m_describe(void);

/** Bytes of workspace a run with these input dimensions needs, or -1 if the
    model does not take them. */
int64_t m_workspace_size(const int64_t *dims);

/** Fills the output part of dims from its input part; -1 where only the data
    decides. Returns a tamis_status. */
int32_t m_output_dims(int64_t *dims);

typedef struct m_instance m_instance;

/** Makes an instance. host may be null. Returns a tamis_status. */
int32_t m_create(const tamis_host *host, m_instance **instance);

/** Runs the model: reads inputs[i], writes outputs[i] and the output part of
    dims. An output whose size only the data decides is allocated by the run,
    which stores its address in outputs[i]: release it with host->release, or
    with free() without a host. workspace is aligned to 64 bytes; null uses
    the instance's own. An output that continues an input may have its
    address: what is in it is then changed where it is, and nothing is copied.
    No other output may overlap an input. Calls may run at the same time on one
    instance.
    Returns a tamis_status. */
int32_t m_run(m_instance *instance, const void *const *inputs,
    void **outputs, int64_t *dims, void *workspace);

/** The text of the instance's last failure, or, with a null instance, of the
    last failed create. */
const char *m_last_error(const m_instance *instance);

/** Releases the instance; null is allowed. */
void m_destroy(m_instance *instance);

/** As m_run, without an instance: allocates nothing. workspace is aligned
    to 64 bytes. */
int32_t m_run_static(const void *const *inputs, void **outputs,
                       void *workspace);

#ifdef __cplusplus
}
#endif

#endif
