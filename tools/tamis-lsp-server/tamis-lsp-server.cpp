// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The language server for .mlir files that hold Tamis operations: errors,
// definitions and hover texts in any editor that speaks LSP.
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"
#include "tamis/InitAll.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::tamis::registerAllDialects(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
