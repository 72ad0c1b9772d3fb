/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Compiling and running models from C, through libTamis. A program that only
 * runs compiled models needs none of this: it includes the header generated
 * beside the model.
 *
 * Functions that can fail return 0 for success and report why through the
 * callback they are given, once per message. Nothing here aborts on bad input.
 * Different models may be used from different threads, and one model from
 * several at the same time.
 */
#ifndef TAMIS_C_TAMIS_H
#define TAMIS_C_TAMIS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Version of this interface; grows with every incompatible change. */
#define TAMIS_API_VERSION 1
int32_t tamisGetApiVersion(void);

/** The version of the library as text, "0.1.0". */
const char *tamisGetVersion(void);

typedef enum TamisSeverity {
  TamisSeverityNote = 0,
  TamisSeverityRemark = 1,
  TamisSeverityWarning = 2,
  TamisSeverityError = 3
} TamisSeverity;

/** Receives a message; `text` is valid during the call only. */
typedef void (*TamisDiagnosticCallback)(TamisSeverity severity,
                                        const char *text, void *user);

/** Compiles the model in the file `input` (.onnx, .mlir, .mlirbc) into the
 * file `output`. `options` are `optionCount` texts "key=value", spelled as the
 * command line spells them without the dashes: target=native, threads=2,
 * input-dim=batch=1, input-dim=seq=1:512, emit=so|obj|llvm|asm|mlir, O=2,
 * strict=true, allow=bf16, allow-external=DIR, prefix=NAME, dump-stages=DIR,
 * profile=FILE, ptxas=FILE, optimize-for=speed|size.
 * `diagnostics` may be null. On failure no output file exists. */
int32_t tamisCompileFile(const char *input, const char *output,
                         const char *const *options, size_t optionCount,
                         TamisDiagnosticCallback diagnostics, void *user);

/** The same for a model in memory; the option folder=DIR names the folder of
 * its external data. */
int32_t tamisCompileBytes(const void *bytes, size_t size, const char *output,
                          const char *const *options, size_t optionCount,
                          TamisDiagnosticCallback diagnostics, void *user);

/** A loaded model. */
typedef struct TamisModel TamisModel;

/** Loads the compiled model at `path`, which is code: load only what you
 * trust. At most `threads` threads; 0 means as many as it was compiled for.
 * Returns null on failure. */
TamisModel *tamisModelLoad(const char *path, int32_t threads,
                           TamisDiagnosticCallback diagnostics, void *user);

/** Releases the model; null is allowed. */
void tamisModelDestroy(TamisModel *model);

/** Inputs, outputs and metadata as JSON. */
const char *tamisModelDescribe(const TamisModel *model);

size_t tamisModelGetInputCount(const TamisModel *model);
size_t tamisModelGetOutputCount(const TamisModel *model);

/** The number of dimensions of all inputs, and of all outputs. */
size_t tamisModelGetInputDimCount(const TamisModel *model);
size_t tamisModelGetOutputDimCount(const TamisModel *model);

/** Name and dtype (as numpy spells it) of one input or output; null if there
 * is none of this index. */
const char *tamisModelGetInputName(const TamisModel *model, size_t index);
const char *tamisModelGetInputType(const TamisModel *model, size_t index);
const char *tamisModelGetOutputName(const TamisModel *model, size_t index);
const char *tamisModelGetOutputType(const TamisModel *model, size_t index);

/** The rank of one input or output; 0 if there is none of this index. */
size_t tamisModelGetInputRank(const TamisModel *model, size_t index);
size_t tamisModelGetOutputRank(const TamisModel *model, size_t index);

/** Fills the output part of `dims` (the dimensions of all inputs, then of all
 * outputs) from its input part; -1 where only the data decides. */
int32_t tamisModelGetOutputDims(const TamisModel *model, int64_t *dims,
                                TamisDiagnosticCallback diagnostics,
                                void *user);

/** Runs the model: reads inputs[i], writes outputs[i] and the output part of
 * `dims`. Outputs whose size only the data decides are allocated by the run:
 * release them with free(). */
int32_t tamisModelRun(const TamisModel *model, const void *const *inputs,
                      void **outputs, int64_t *dims,
                      TamisDiagnosticCallback diagnostics, void *user);

#ifdef __cplusplus
}
#endif

#endif /* TAMIS_C_TAMIS_H */
