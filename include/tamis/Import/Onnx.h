// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ONNX file or bytes to an MLIR module in upstream dialects and `tamis`.
#ifndef TAMIS_IMPORT_ONNX_H
#define TAMIS_IMPORT_ONNX_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mlir::tamis {

/// What an open dimension is bound to: one value, or every value of a range
/// (the dimension stays `?` then).
struct DimBinding {
  int64_t min = 0;
  int64_t max = 0;
  bool isFixed() const { return min == max; }
};

struct ImportOptions {
  /// Name to binding. A name is a symbolic dimension of the model ("batch") or
  /// an input and an axis ("input:0"), which is also what an open dimension
  /// without a name is called in `tamis.dims`.
  std::vector<std::pair<std::string, DimBinding>> inputDims;
  /// Folders outside the model's own that external data may really lie in.
  std::vector<std::string> allowExternal;
  /// For a model from bytes: the folder of its external data.
  std::string folder;
  /// Marks every float tensor and parameter of the main graph with
  /// `tamis.observe`, for compression.
  bool observe = false;
};

/// Parses "4" or "1:512" into a binding; false if it is neither.
bool parseDimBinding(llvm::StringRef text, DimBinding &binding);

/// Imports the model at `path`. Errors are diagnostics of `context`; the result
/// is null then. Parameters point into the mapped file, which lives as long as
/// their resource blobs.
OwningOpRef<ModuleOp> importOnnx(MLIRContext &context, llvm::StringRef path,
                                 const ImportOptions &options);

/// Imports a model from memory; `owner` keeps `bytes` alive.
OwningOpRef<ModuleOp> importOnnx(MLIRContext &context,
                                 llvm::ArrayRef<char> bytes,
                                 std::shared_ptr<const void> owner,
                                 const ImportOptions &options);

} // namespace mlir::tamis

#endif // TAMIS_IMPORT_ONNX_H
