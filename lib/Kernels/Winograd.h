// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Winograd's transforms for windows of 3x3 as numbers and as code.
#ifndef TAMIS_LIB_KERNELS_WINOGRAD_H
#define TAMIS_LIB_KERNELS_WINOGRAD_H

#include "mlir/IR/PatternMatch.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/SourceView.h"

namespace mlir::tamis {

/// A square matrix, most of which is zero, as rows.
using WinogradFactor = ArrayRef<std::array<float, 6>>;

/// F(m, 3): with y of m results, d of m + 2 activations and g of 3 weights,
/// `y = At ((G g) * (Bt d))`. Bt and At are products of the factors, the first
/// one applied first, so that rows share what they have in common.
struct WinogradTransform {
  int64_t output;
  ArrayRef<WinogradFactor> input, inverse;
  ArrayRef<std::array<double, 3>> weights;

  int64_t getSize() const { return output + 2; }
};

/// The transform for tiles of 2 or 4 results.
const WinogradTransform &getWinogradTransform(int64_t output);

/// The result of `op` as row-major floats, of the constant it reads.
std::vector<float> transformWeights(kernel::WinogradWeightsOp op,
                                    const SourceView &view);

namespace kernel {
/// Generate the loops of the transforms on memrefs, in front of them.
void emitWinogradInput(WinogradInputOp op, RewriterBase &rewriter);
void emitWinogradOutput(WinogradOutputOp op, RewriterBase &rewriter);
} // namespace kernel

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_WINOGRAD_H
