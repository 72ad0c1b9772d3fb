// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernels that call the runtime reach its context through the workspace.
#include "tamis/Conversion/Workspace.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

Value mlir::tamis::passWorkspace(ModuleOp module, func::FuncOp function) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  Block &top = main.getBody().front();
  Value memory = top.getArgument(top.getNumArguments() - 2);
  Block &entry = function.getBody().front();
  Value argument = entry.addArgument(memory.getType(), function.getLoc());
  function.setFunctionType(
      FunctionType::get(module.getContext(), entry.getArgumentTypes(), {}));
  main.walk([&](func::CallOp call) {
    if (call.getCallee() == function.getSymName())
      call->insertOperands(call->getNumOperands(), memory);
  });
  return argument;
}

Value mlir::tamis::loadContext(OpBuilder &b, Location loc, Value memory) {
  Type ptr = LLVM::LLVMPointerType::get(b.getContext());
  Value aligned =
      memref::ExtractAlignedPointerAsIndexOp::create(b, loc, memory);
  Value address = arith::IndexCastOp::create(b, loc, b.getI64Type(), aligned);
  Value base = LLVM::IntToPtrOp::create(b, loc, ptr, address);
  Value at =
      LLVM::GEPOp::create(b, loc, ptr, b.getI8Type(), base,
                          ArrayRef<LLVM::GEPArg>{int32_t(workspace::kContext)});
  return LLVM::LoadOp::create(b, loc, ptr, at);
}

func::FuncOp mlir::tamis::declareRuntime(ModuleOp module, StringRef name,
                                         TypeRange inputs, TypeRange results) {
  if (auto known = module.lookupSymbol<func::FuncOp>(name))
    return known;
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  auto function = func::FuncOp::create(b, module.getLoc(), name,
                                       b.getFunctionType(inputs, results));
  function.setPrivate();
  return function;
}
