// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A compiled model from C++: what Python, the C API and the tools run. A
// shared library is code; it is loaded only from a path the caller names, and
// only after the note in the file says that this process can execute it.
#ifndef TAMIS_EXECUTION_LOAD_H
#define TAMIS_EXECUTION_LOAD_H

#include "tamis/Execution/Interface.h"
#include "tamis/Runtime/Runtime.h"
#include "llvm/Support/Error.h"

#include <memory>

namespace mlir::tamis {

struct LoadOptions {
  /// At most so many threads; 0: as many as the model was compiled for.
  int32_t threads = 0;
};

/// What the note of an artifact says; readable without executing it.
struct ArtifactNote {
  int64_t abiVersion = 0;
  std::string version, arch, prefix, hash;
  /// The features each variant requires.
  std::vector<std::vector<std::string>> variants;
};

/// Reads the note of the shared library at `path`. Fails for a file that is
/// not a complete x86-64 ELF library or has no note.
llvm::Expected<ArtifactNote> readNote(StringRef path);

/// The first of `features` this machine cannot execute; empty if it can.
std::string findMissingFeature(ArrayRef<std::string> features);

/// A loaded model with one instance. All calls may be made from any thread at
/// the same time.
class CompiledModel {
public:
  /// An output of a run that allocated it.
  struct Output {
    struct Release {
      void operator()(void *pointer) const { free(pointer); }
    };
    std::unique_ptr<void, Release> data;
    std::vector<int64_t> dims;
    int64_t bytes = 0;
  };

  static llvm::Expected<std::unique_ptr<CompiledModel>>
  load(StringRef path, const LoadOptions &options = {});
  /// The JSON text of the `describe` of the library at `path`, for which this
  /// machine need not have the processor or the device.
  static llvm::Expected<std::string> readDescription(StringRef path);
  ~CompiledModel();
  CompiledModel(const CompiledModel &) = delete;
  CompiledModel &operator=(const CompiledModel &) = delete;

  const ModelInterface &getInterface() const { return interface; }
  const ArtifactNote &getNote() const { return note; }
  /// The JSON text of the model's `describe`.
  StringRef getDescription() const { return describe(); }
  /// The number of dimensions of all inputs, and of all outputs.
  int64_t getInputDimCount() const { return inputDimCount; }
  int64_t getOutputDimCount() const { return outputDimCount; }

  /// Bytes of workspace for these input dimensions (of all inputs,
  /// concatenated).
  llvm::Expected<int64_t> getWorkspaceSize(ArrayRef<int64_t> dims) const;

  /// Fills the output part of `dims` (inputs, then outputs) from its input
  /// part; -1 where only the data decides.
  llvm::Error getOutputDims(MutableArrayRef<int64_t> dims) const;

  /// The model's own run: `outputs` are the caller's buffers, except that
  /// unbounded outputs are stored there and are to be released with free().
  /// Allocates nothing of its own. A null workspace uses the instance's.
  llvm::Error run(const void *const *inputs, void **outputs, int64_t *dims,
                  void *workspace = nullptr) const;

  /// Runs with freshly allocated outputs.
  llvm::Expected<std::vector<Output>> run(ArrayRef<const void *> inputs,
                                          ArrayRef<int64_t> inputDims) const;

  /// Seconds of the last run by the device's clock, once asked before it, and
  /// bytes a second of copies on the device; below 0 where there is none.
  double getDeviceSeconds() const;
  double measureDeviceCopy(int64_t bytes) const;

private:
  struct Instance;

  CompiledModel() = default;
  llvm::Error open(StringRef path);
  llvm::Error bind(StringRef path, const LoadOptions &options);
  llvm::Error bindSymbol(StringRef path, StringRef symbol, auto &function);
  llvm::Error checkDims(ArrayRef<int64_t> dims, int64_t expected) const;

  ModelInterface interface;
  ArtifactNote note;
  int64_t inputDimCount = 0, outputDimCount = 0;
  void *library = nullptr;
  Instance *instance = nullptr;
  uint32_t (*abiVersion)() = nullptr;
  const char *(*describe)() = nullptr;
  int64_t (*workspaceSize)(const int64_t *) = nullptr;
  int32_t (*outputDims)(int64_t *) = nullptr;
  int32_t (*create)(const tamis_host *, Instance **) = nullptr;
  int32_t (*runInstance)(Instance *, const void *const *, void **, int64_t *,
                         void *) = nullptr;
  const char *(*lastError)(const Instance *) = nullptr;
  void (*destroy)(Instance *) = nullptr;
  /// Null in models for the CPU.
  double (*deviceSeconds)(Instance *) = nullptr;
  double (*deviceCopy)(Instance *, int64_t) = nullptr;
};

} // namespace mlir::tamis

#endif // TAMIS_EXECUTION_LOAD_H
