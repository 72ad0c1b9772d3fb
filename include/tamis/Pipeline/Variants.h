// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One artifact for several machines: the module is compiled once per target
// from `plan` on, and the results become one module again.
#ifndef TAMIS_PIPELINE_VARIANTS_H
#define TAMIS_PIPELINE_VARIANTS_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"

namespace mlir::tamis {

/// Gives all variants the same parameters in the same order, so that they
/// agree on the layout of the weights section. Equal parameters are shared.
void unifyParameters(llvm::ArrayRef<ModuleOp> variants);

/// Moves everything of the later variants into the first. Private symbols are
/// renamed; functions carry their machine in `tamis.target`.
void mergeVariants(llvm::ArrayRef<ModuleOp> variants);

} // namespace mlir::tamis

#endif // TAMIS_PIPELINE_VARIANTS_H
