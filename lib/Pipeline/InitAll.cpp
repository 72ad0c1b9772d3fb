// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a Tamis pipeline needs registered.
#include "tamis/InitAll.h"
#include "tamis/IR/Tamis.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"

using namespace mlir;

void mlir::tamis::registerAllDialects(DialectRegistry &registry) {
  registry.insert<TamisDialect, kernel::TamisKernelDialect>();
}

void mlir::tamis::registerAllPasses() {}
