// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pass around the decision of PruneSelection.h.
#include "PruneSelection.h"
#include "tamis/Compress/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_SELECTPRUNING
#include "tamis/Compress/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
struct SelectPruning
    : ConfiguredPass<tamis::impl::SelectPruningBase<SelectPruning>> {
  using ConfiguredPass::ConfiguredPass;

  void runOnOperation() override {
    Report report(getOperation(), getArgument());
    if (failed(selectPruning(getOperation(), readConfig(), report)))
      return signalPassFailure();
    getOperation().walk(
        [&](ObserveOp op) { numSelected += op->hasAttr(kPruningAttr); });
  }
};
} // namespace
