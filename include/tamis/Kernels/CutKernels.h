// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contractions of a planned module as models of their own, to be timed.
#ifndef TAMIS_KERNELS_CUTKERNELS_H
#define TAMIS_KERNELS_CUTKERNELS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <string>
#include <vector>

namespace mlir::tamis {

/// A contraction with the candidate it was given.
struct CutKernel {
  /// What its times are filed under (see `#tamis.profile`).
  std::string key, candidate;
  /// Everything that is in question for it.
  std::vector<std::string> candidates;
  /// Its weights and itself in @main; what other code computes is an argument.
  /// Null where only that code knows a size of the result.
  OwningOpRef<ModuleOp> module;
};

/// One for each key and candidate among the contractions of `module`, which has
/// passed stage `plan`. The new modules share its constants.
std::vector<CutKernel> cutKernels(ModuleOp module);

} // namespace mlir::tamis

#endif // TAMIS_KERNELS_CUTKERNELS_H
