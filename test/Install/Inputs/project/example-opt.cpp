// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The smallest tool: parse a file, look at it, run a Tamis pass, print.
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/IR/Tamis.h"
#include "tamis/InitAll.h"

int main(int, char **argv) {
  mlir::DialectRegistry registry;
  mlir::tamis::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(argv[1], &context);
  if (!module)
    return 1;
  module->walk([](mlir::tamis::ContractOp op) {
    llvm::outs() << "// " << op->getName() << " of " << op.getAccumulator() << "\n";
  });
  mlir::PassManager pm(&context);
  pm.addPass(mlir::tamis::createTamisToLinalg());
  if (failed(pm.run(*module)))
    return 1;
  module->print(llvm::outs());
}
