// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The last stage: a module in the LLVM dialect becomes a file. One object
// serves the JIT (a shared library in a private place) and the library or
// object a user asks for.
//
// The module holds, for each variant v = 0, 1, …:
//   i32  @tamis_compute_v(ptr run, ptr inputs, ptr outputs, ptr dims,
//                         ptr workspace, ptr weights)
//   i64  @tamis_workspace_v(ptr dims)
// and void @tamis_output_dims(ptr dims), the attribute `tamis.interface`
// (Interface.h) and `tamis.target` on the module or on functions. Later
// variants are preferred at load.
#ifndef TAMIS_EXECUTION_EMIT_H
#define TAMIS_EXECUTION_EMIT_H

#include "mlir/IR/BuiltinOps.h"
#include "tamis/Target/ParameterLayout.h"
#include <string>

namespace mlir::tamis {

struct EmitOptions {
  enum class Kind { SharedLibrary, Object, LLVMIR, Assembly, Bitcode };
  Kind kind = Kind::SharedLibrary;
  /// Prefix of the exported functions; empty: made from the output's name.
  std::string prefix;
  /// 1: compiles faster, 2: runs faster, 3: LLVM's whole standard pipeline.
  unsigned optLevel = 2;
  /// Also write `<output without extension>.h`.
  bool writeHeader = false;
};

/// Emits `module`, whose parameters were laid out as `parameters` (globals may
/// still be in the module or already erased), into the file `outputPath`. The
/// file appears complete or not at all; "-" writes text kinds to stdout.
/// `module` is only read.
LogicalResult emitArtifact(ModuleOp module, const ParameterLayout &parameters,
                           StringRef outputPath, const EmitOptions &options);

/// The version of this compiler, as artifacts carry it.
StringRef getVersion();

/// A C identifier made from the file name of `path`.
std::string makePrefix(StringRef path);

} // namespace mlir::tamis

#endif // TAMIS_EXECUTION_EMIT_H
