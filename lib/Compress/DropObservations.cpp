// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The end of compression: observations have said what they had to say.
#include "tamis/Compress/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_DROPOBSERVATIONS
#include "tamis/Compress/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
struct DropObservations : tamis::impl::DropObservationsBase<DropObservations> {
  void runOnOperation() override {
    getOperation()->walk([&](ObserveOp op) {
      op.replaceAllUsesWith(op.getInput());
      op.erase();
      ++numDropped;
    });
  }
};
} // namespace
