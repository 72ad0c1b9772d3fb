// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes that decide, pack and generate the code of contractions.
#ifndef TAMIS_KERNELS_PASSES_H
#define TAMIS_KERNELS_PASSES_H

#include "mlir/Pass/Pass.h"
#include "tamis/IR/Tamis.h"

namespace mlir {
class DialectRegistry;
namespace tamis {

#define GEN_PASS_DECL
#include "tamis/Kernels/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "tamis/Kernels/Passes.h.inc"

/// On a contraction that no instruction takes: why, as text.
inline constexpr llvm::StringLiteral kReasonAttrName = "tamis.reason";

/// On a contraction with a decision: its candidates and why it is this one, for
/// the report. No pass decides by it, and equal kernels may differ in it.
inline constexpr llvm::StringLiteral kChoiceAttrName = "tamis.choice";

/// Lets one-shot bufferization take the operations of `tamis_kernel`.
void registerKernelExternalModels(DialectRegistry &registry);

} // namespace tamis
} // namespace mlir

#endif // TAMIS_KERNELS_PASSES_H
