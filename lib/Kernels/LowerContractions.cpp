// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pass that turns tamis_kernel operations on memrefs into loops.
#include "Emitter.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Kernels/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERCONTRACTIONS
#include "tamis/Kernels/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
struct LowerContractions
    : tamis::impl::LowerContractionsBase<LowerContractions> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      auto destination = dyn_cast<DestinationStyleOpInterface>(op);
      if (isa<kernel::ContractOp, kernel::PackOp>(op) &&
          destination.hasPureBufferSemantics())
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (Operation *op : ops) {
      if (auto pack = dyn_cast<kernel::PackOp>(op))
        kernel::emitPack(pack, rewriter);
      else if (failed(kernel::Emitter(cast<kernel::ContractOp>(op), rewriter)
                          .emit()))
        return signalPassFailure();
      rewriter.eraseOp(op);
    }
  }
};
} // namespace
