// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every linalg operation on memrefs becomes loops over explicit vectors: what
// Nest can model by the emitters, the rest by upstream's scalar loops, with a
// remark that says why. LLVM's loop vectorizer has no part in it.
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "tamis/Transforms/Passes.h"
#include "tamis/Transforms/VectorizeNest.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_VECTORIZELOOPS
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// The linalg.fill that gave `init` its content, if nothing else touches
/// `init` between it and `op`.
static linalg::FillOp findFill(linalg::GenericOp op, Value init) {
  Block *block = op->getBlock();
  linalg::FillOp fill;
  SmallVector<Operation *> between;
  for (Operation *user : init.getUsers()) {
    Operation *ancestor = block->findAncestorOpInBlock(*user);
    if (isa<ViewLikeOpInterface>(user))
      return nullptr;
    if (!ancestor || ancestor == op || !ancestor->isBeforeInBlock(op))
      continue;
    auto candidate = dyn_cast<linalg::FillOp>(ancestor);
    if (candidate && candidate.getOutputs()[0] == init &&
        (!fill || fill->isBeforeInBlock(candidate)))
      fill = candidate;
    between.push_back(ancestor);
  }
  if (!fill || !fill->getResultTypes().empty())
    return nullptr;
  for (Operation *ancestor : between)
    if (ancestor != fill && fill->isBeforeInBlock(ancestor))
      return nullptr;
  return fill;
}

static bool isContiguous(MemRefType type) {
  return type.getLayout().isIdentity() ||
         memref::isStaticShapeAndContiguousRowMajor(type);
}

namespace {
struct VectorizeLoops : public tamis::impl::VectorizeLoopsBase<VectorizeLoops> {
  using VectorizeLoopsBase::VectorizeLoopsBase;

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    // One pass object visits many functions, and addresses come again.
    fills.clear();
    // The brackets that held a kernel together have done their work.
    SmallVector<scf::ExecuteRegionOp> brackets;
    getOperation()->walk([&](scf::ExecuteRegionOp op) {
      if (op->hasAttr("tamis.kernel") && op.getRegion().hasOneBlock() &&
          op->getNumResults() == 0)
        brackets.push_back(op);
    });
    for (scf::ExecuteRegionOp op : brackets) {
      Block &block = op.getRegion().front();
      rewriter.eraseOp(block.getTerminator());
      rewriter.inlineBlockBefore(&block, op);
      rewriter.eraseOp(op);
    }
    generalize(rewriter);
    SmallVector<linalg::GenericOp> generics;
    getOperation()->walk([&](linalg::GenericOp op) {
      if (op.hasPureBufferSemantics())
        generics.push_back(op);
    });
    for (linalg::GenericOp op : generics) {
      rewriter.setInsertionPoint(op);
      if (std::optional<StringRef> reason = Nest::unsupported(op)) {
        op.emitRemark("scalar loops: ") << *reason;
        ++numScalar;
        if (failed(linalg::linalgOpToLoops(rewriter, op))) {
          op.emitOpError("has no loop form");
          return signalPassFailure();
        }
        rewriter.eraseOp(op);
        continue;
      }
      if (linalg::GenericOp fill =
              tabulate(rewriter, op, VectorTarget::of(op))) {
        rewriter.setInsertionPoint(fill);
        vectorize(rewriter, fill);
        rewriter.setInsertionPoint(op);
        ++numTables;
      }
      vectorize(rewriter, op);
      ++numVectorized;
    }
  }

  /// Named operations and strided copies become generics; dense copies stay
  /// what LLVM calls memcpy.
  void generalize(IRRewriter &rewriter) {
    SmallVector<Operation *> named;
    getOperation()->walk([&](Operation *op) {
      auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
      if (linalgOp && linalgOp.hasPureBufferSemantics() &&
          !isa<linalg::GenericOp, linalg::FillOp>(op))
        named.push_back(op);
      if (isa<memref::CopyOp>(op))
        named.push_back(op);
    });
    for (Operation *op : named) {
      rewriter.setInsertionPoint(op);
      if (auto copy = dyn_cast<memref::CopyOp>(op)) {
        auto source = dyn_cast<MemRefType>(copy.getSource().getType());
        auto target = dyn_cast<MemRefType>(copy.getTarget().getType());
        if (!source || !target ||
            (isContiguous(source) && isContiguous(target)))
          continue;
        linalg::makeMemRefCopyOp(rewriter, op->getLoc(), copy.getSource(),
                                 copy.getTarget());
        rewriter.eraseOp(op);
        continue;
      }
      (void)linalg::generalizeNamedOp(rewriter, cast<linalg::LinalgOp>(op));
    }
    // Fills last: a generic that starts from one reads its value instead.
    getOperation()->walk([&](linalg::GenericOp op) {
      if (!op.hasPureBufferSemantics() || Nest::unsupported(op))
        return;
      for (OpOperand &init : op.getDpsInitsMutable())
        if (linalg::FillOp fill = findFill(op, init.get()))
          fills.insert({&init, fill});
    });
    SmallVector<linalg::FillOp> left;
    llvm::SmallPtrSet<Operation *, 8> absorbed;
    for (auto &[operand, fill] : fills)
      absorbed.insert(fill);
    getOperation()->walk([&](linalg::FillOp op) {
      if (op.hasPureBufferSemantics() && !absorbed.contains(op))
        left.push_back(op);
    });
    for (linalg::FillOp op : left) {
      rewriter.setInsertionPoint(op);
      (void)linalg::generalizeNamedOp(rewriter, op);
    }
  }

  void vectorize(IRRewriter &rewriter, linalg::GenericOp op) {
    Nest nest(rewriter, op);
    SmallVector<linalg::FillOp> used;
    for (OpOperand &init : op.getDpsInitsMutable()) {
      auto it = fills.find(&init);
      if (it == fills.end())
        continue;
      nest.accesses[init.getOperandNumber()].init = it->second.getInputs()[0];
      used.push_back(it->second);
      fills.erase(it);
    }
    nest.simplify();
    emitNest(rewriter, nest, VectorTarget::of(op));
    rewriter.eraseOp(op);
    for (linalg::FillOp fill : used)
      rewriter.eraseOp(fill);
  }

  llvm::MapVector<OpOperand *, linalg::FillOp> fills;
};
} // namespace
