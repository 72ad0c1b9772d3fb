// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Copies between strided views become loops. The LLVM lowering would call a
// library function for them, which compiled models do not have.
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "tamis/Conversion/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERCOPIES
#include "tamis/Conversion/Passes.h.inc"

namespace {

struct LowerCopies : impl::LowerCopiesBase<LowerCopies> {
  void runOnOperation() override {
    SmallVector<memref::CopyOp> copies;
    getOperation()->walk([&](memref::CopyOp copy) {
      auto source = dyn_cast<MemRefType>(copy.getSource().getType());
      auto target = dyn_cast<MemRefType>(copy.getTarget().getType());
      // One run of bytes: a call of memcpy.
      if (source && target &&
          !(source.getLayout().isIdentity() && target.getLayout().isIdentity()))
        copies.push_back(copy);
    });
    for (memref::CopyOp copy : copies) {
      OpBuilder b(copy);
      linalg::makeMemRefCopyOp(b, copy.getLoc(), copy.getSource(),
                               copy.getTarget());
      copy.erase();
    }
  }
};

} // namespace
} // namespace mlir::tamis
