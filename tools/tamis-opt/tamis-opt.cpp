// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `mlir-opt` with the Tamis dialects, passes and pipelines.
#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "tamis/InitAll.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllPasses();
  mlir::tamis::registerAllDialects(registry);
  mlir::tamis::registerAllPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Tamis optimizer driver\n", registry));
}
