// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tamis/Transforms/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_ASSIGNLAYOUTS
#include "tamis/Transforms/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
struct AssignLayouts : tamis::impl::AssignLayoutsBase<AssignLayouts> {
  void runOnOperation() override {}
};
} // namespace
