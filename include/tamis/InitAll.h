// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Registration in one place, so that tools stay a few lines long.
#ifndef TAMIS_INITALL_H
#define TAMIS_INITALL_H

namespace mlir {
class DialectRegistry;
namespace tamis {

/// Registers the dialects a Tamis pipeline can meet, with their external
/// models (bufferization, tiling, translation to LLVM IR).
void registerAllDialects(DialectRegistry &registry);

/// Registers Tamis passes and pipelines with the pass registry.
void registerAllPasses();

} // namespace tamis
} // namespace mlir

#endif // TAMIS_INITALL_H
