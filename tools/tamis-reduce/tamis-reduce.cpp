// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `mlir-reduce` with the Tamis dialects and passes: shrinks a module while a
// script still finds it interesting.
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"
#include "tamis/InitAll.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllPasses();
  mlir::tamis::registerAllDialects(registry);
  mlir::tamis::registerAllPasses();
  mlir::MLIRContext context(registry);
  return mlir::failed(mlir::mlirReduceMain(argc, argv, context));
}
