// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The compiler as one call: a model in, an artifact out. The tools, Python and
// the C API are thin around this.
#ifndef TAMIS_PIPELINE_COMPILE_H
#define TAMIS_PIPELINE_COMPILE_H

#include "mlir/IR/Diagnostics.h"
#include "tamis/Import/Onnx.h"
#include "tamis/Target/Device.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/LogicalResult.h"
#include <functional>
#include <string>
#include <vector>

namespace mlir {
class MLIRContext;
class ModuleOp;
namespace tamis {

/// What kind of file `compileModel` writes.
enum class EmitKind { SharedLibrary, Object, LLVMIR, Assembly, Ptx, MLIR };

struct CompileOptions {
  /// "native", an x86-64 level, a feature list, or several of these split by
  /// commas and resolved when the artifact is loaded, or "vulkan" (see
  /// Target.h).
  std::string target = "native";
  /// File of what cost models know of the target (docs/Profile.md); empty: the
  /// built-in numbers.
  std::string profile;
  /// NVIDIA's assembler, for targets nvptx; empty: the one on PATH, if any.
  std::string ptxas;
  /// Upper bound of the task split.
  int64_t threads = 1;
  /// Bindings of open dimensions, folders of external data.
  ImportOptions import;
  /// As EmitOptions::optLevel.
  int optLevel = 2;
  EmitKind emit = EmitKind::SharedLibrary;
  bool strict = false;
  /// The smallest storage of each weight instead of the fastest.
  bool optimizeForSize = false;
  bool allowBf16 = false;
  /// Stages to start after and to stop after; empty: all.
  std::string from, to;
  /// Folder that receives the module after each stage; empty: none.
  std::string dumpStages;
  /// Prefix of exported symbols; empty: derived from the output's file name.
  std::string prefix;
  /// Number of the machine being compiled for, where there are several; set by
  /// compileModel.
  int64_t variant = 0;
  /// Where its kernels run; set by compileModel.
  DeviceKind device = DeviceKind::None;
  /// Every contraction through the oracle instead of generated kernels.
  bool oracle = false;
  /// Print pass timing and statistics to stderr.
  bool timing = false, statistics = false;
};

using DiagnosticSink = std::function<void(Diagnostic &)>;

/// A diagnostic as text, the node or the place in a file in front. Names come
/// from models: what could steer a terminal or reorder the line is escaped.
std::string getDiagnosticText(const Diagnostic &diagnostic);

/// Compiles the model at `input` (.onnx, .mlir or .mlirbc) into `output`.
/// Diagnostics go to `sink`, or to stderr if it is null. On failure nothing is
/// left at `output`.
llvm::LogicalResult compileModel(llvm::StringRef input, llvm::StringRef output,
                                 const CompileOptions &options,
                                 DiagnosticSink sink = nullptr);

/// The same for a model in memory (ONNX bytes or MLIR text).
llvm::LogicalResult compileModel(llvm::ArrayRef<char> bytes,
                                 llvm::StringRef output,
                                 const CompileOptions &options,
                                 DiagnosticSink sink = nullptr);

} // namespace tamis
} // namespace mlir

#endif // TAMIS_PIPELINE_COMPILE_H
