// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights of fixed stride (see #tamis.n_of_m and #tamis.codebook): the loops
// are those of dense panels. Of N:M, offsets of weights count vectors, as their
// places lie.
#include "Reduction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::kernel;

Value Reduction::selectWeights(Offset rhs, int64_t j) {
  int64_t elements = e.nOfM.getVectorElements();
  Type element = cast<MemRefType>(e.rhs.flat.getType()).getElementType();
  Value at =
      index(rhs, e.vectorOffset(columns, j, b.constant(1), e.acrossPanels.rhs));
  Value values =
      vector::LoadOp::create(b, VectorType::get(elements, element), e.rhs.flat,
                             b.value(b.multiply(at, b.constant(elements))));
  Value places = memref::LoadOp::create(b, e.keys.flat, at);
  return e.nOfM.getSelection().buildSelected(b, b.getLoc(), values, places);
}

Value Reduction::loadTable() {
  Type element = cast<MemRefType>(e.keys.flat.getType()).getElementType();
  return vector::LoadOp::create(b,
                                VectorType::get(CodebookAttr::kCodes, element),
                                e.keys.flat, b.value(b.constant(0)));
}

Value Reduction::lookUp(Value codes, bool upper) {
  return e.codebook.getLookup().buildLookup(b, b.getLoc(), table, codes, upper);
}
