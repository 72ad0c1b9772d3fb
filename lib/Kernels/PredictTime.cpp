// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lets the selections decide about a layer that stands alone in a module, and
// asks what they expect: whatever they learn to take is known here.
#include "tamis/Kernels/PredictTime.h"
#include "Decision.h"
#include "StorageOptions.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;

/// `layer` as the only operation of a function in `module`; its weights are a
/// parameter without a value.
static ContractOp build(ModuleOp module, const Layer &layer) {
  MLIRContext *context = module.getContext();
  ImplicitLocOpBuilder b(module.getLoc(), context);
  b.setInsertionPointToEnd(module.getBody());
  auto weights = ml_program::GlobalOp::create(
      b, "weights", layer.rhs, /*is_mutable=*/false,
      ml_program::ExternAttr::get(context, layer.rhs),
      b.getStringAttr("private"));
  auto function = func::FuncOp::create(
      b, "layer", b.getFunctionType({layer.lhs, layer.out}, {}));
  Block *body = function.addEntryBlock();
  b.setInsertionPointToStart(body);
  Value rhs = ml_program::GlobalLoadConstOp::create(
      b, layer.rhs, SymbolRefAttr::get(weights));
  return ContractOp::create(b, layer.out, body->getArgument(0), rhs, Value(),
                            Value(), ValueRange(), body->getArgument(1),
                            b.getAffineMapArrayAttr(layer.maps),
                            layer.iterators, b.getDenseI64ArrayAttr(layer.pad),
                            TypeAttr::get(layer.out.getElementType()),
                            UnitAttr(), UnitAttr(), StringAttr());
}

std::optional<double> mlir::tamis::predictTime(TargetAttr target,
                                               const Layer &layer,
                                               ArrayRef<char> weights,
                                               double modelBytes) {
  MLIRContext *context = target.getContext();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(context));
  module.get()->setAttr(kTargetAttrName, target);
  ContractOp op = build(*module, layer);
  SymbolTable symbols(*module);
  IRRewriter rewriter(context);
  std::string reason;
  FailureOr<kernel::ContractOp> contract =
      selectKernel(rewriter, op, modelBytes, symbols, reason);
  if (failed(contract))
    return std::nullopt;
  StorageSelection selection;
  StorageProblem &problem = selection.problem;
  problem.op = *contract;
  problem.target = target;
  problem.profile = getDefaultProfile(target);
  problem.modelBytes = modelBytes;
  SourceView view;
  view.bytes = weights;
  view.element = layer.rhs.getElementType();
  view.shape.assign(layer.rhs.getShape().begin(), layer.rhs.getShape().end());
  view.strides = computeStrides(view.shape);
  selectStorage(selection, view);
  const KernelChoice &choice = selection.choice;
  auto chosen = llvm::find_if(choice.candidates, [&](auto &candidate) {
    return candidate.name == choice.chosen;
  });
  return chosen->predicted;
}
