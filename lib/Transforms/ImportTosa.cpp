// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TOSA at the door, as TFLite and torch-mlir write it: upstream knows how to
// say it in linalg, arith and tensor.
#include "mlir/Conversion/TosaToArith/TosaToArith.h"
#include "mlir/Conversion/TosaToLinalg/TosaToLinalg.h"
#include "mlir/Conversion/TosaToSCF/TosaToSCF.h"
#include "mlir/Conversion/TosaToTensor/TosaToTensor.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tosa/IR/TosaOps.h"
#include "mlir/Dialect/Tosa/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_IMPORTTOSA
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;

namespace {
struct ImportTosa : mlir::tamis::impl::ImportTosaBase<ImportTosa> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    bool found = false;
    func.walk([&](Operation *op) {
      if (!isa_and_nonnull<tosa::TosaDialect>(op->getDialect()))
        return WalkResult::advance();
      found = true;
      return WalkResult::interrupt();
    });
    if (!found)
      return;
    OpPassManager passes(func::FuncOp::getOperationName());
    passes.addPass(tosa::createTosaInferShapesPass());
    passes.addPass(tosa::createTosaMakeBroadcastablePass());
    passes.addPass(tosa::createTosaToLinalgNamed());
    // Constants of padding and zero points are looked through.
    passes.addPass(createCanonicalizerPass());
    passes.addPass(tosa::createTosaLayerwiseConstantFoldPass());
    passes.addPass(tosa::createTosaToLinalg());
    passes.addPass(createTosaToTensorPass());
    passes.addPass(createTosaToSCFPass());
    TosaToArithPassOptions arithmetic;
    arithmetic.includeApplyRescale = true;
    passes.addPass(createTosaToArithPass(arithmetic));
    if (failed(runPipeline(passes, func)))
      return signalPassFailure();
    ++numFunctions;
    func.walk([&](Operation *op) {
      if (isa_and_nonnull<tosa::TosaDialect>(op->getDialect())) {
        op->emitError("has no lowering to linalg");
        signalPassFailure();
      }
    });
  }
};
} // namespace
