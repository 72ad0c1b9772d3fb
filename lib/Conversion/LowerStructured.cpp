// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Structured operations on buffers to loops. The upstream pass of this kind
// also rewrites everything around them until nothing changes; the cleanup that
// follows does the same once.
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tamis/Conversion/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERSTRUCTURED
#include "tamis/Conversion/Passes.h.inc"

namespace {

struct LowerStructured : impl::LowerStructuredBase<LowerStructured> {
  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> ops;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (op.hasPureBufferSemantics())
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : ops) {
      rewriter.setInsertionPoint(op);
      if (succeeded(linalg::linalgOpToLoops(rewriter, op)))
        rewriter.eraseOp(op);
    }
  }
};

} // namespace
} // namespace mlir::tamis
