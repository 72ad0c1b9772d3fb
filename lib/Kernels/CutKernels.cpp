// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Takes a contraction out of its model: weights come along, activations become
// arguments.
#include "tamis/Kernels/CutKernels.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/RegionUtils.h"
#include "tamis/Kernels/Candidates.h"
#include "tamis/Target/Target.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::tamis;

/// True if `value` is known before the model runs: a constant, or made of such
/// by packing and views.
static bool isKnown(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || op->getNumRegions() != 0)
    return false;
  bool isLoad = isa<ml_program::GlobalLoadConstOp>(op);
  bool isPack = isa<kernel::PackOp, kernel::PackStreamOp>(op);
  return (isLoad || isPack || isMemoryEffectFree(op)) &&
         llvm::all_of(op->getOperands(), isKnown);
}

namespace {
/// Copies one contraction into @main of a new module.
class Cutter {
public:
  explicit Cutter(kernel::ContractOp op)
      : op(op), parent(op->getParentOfType<ModuleOp>()),
        module(ModuleOp::create(op.getLoc())), b(module->getBodyRegion()) {}

  OwningOpRef<ModuleOp> cut() {
    for (StringRef name : {kTargetAttrName, kProfileAttrName, kPolicyAttrName})
      if (Attribute attribute = parent->getAttr(name))
        (*module)->setAttr(name, attribute);
    auto main =
        func::FuncOp::create(b, op.getLoc(), "main", b.getFunctionType({}, {}));
    block = main.addEntryBlock();
    b.setInsertionPointToEnd(block);
    SetVector<Value> captured;
    getUsedValuesDefinedAbove(op->getRegions(), captured);
    for (Value operand : op->getOperands())
      if (operand != op.getInit())
        take(operand);
    for (Value value : captured)
      take(value);
    Value init = makeInit();
    if (!init)
      return nullptr;
    mapping.map(op.getInit(), init);
    Operation *copy = b.clone(*op, mapping);
    copy->removeAttr(kChoiceAttrName);
    func::ReturnOp::create(b, op.getLoc(), copy->getResults());
    main.setFunctionType(
        b.getFunctionType(block->getArgumentTypes(), copy->getResultTypes()));
    return std::move(module);
  }

private:
  void take(Value value) {
    if (mapping.contains(value))
      return;
    if (isKnown(value)) {
      Operation *def = value.getDefiningOp();
      for (Value operand : def->getOperands())
        take(operand);
      if (auto load = dyn_cast<ml_program::GlobalLoadConstOp>(def))
        takeParameter(load);
      b.clone(*def, mapping);
    } else if (isa<ShapedType>(value.getType())) {
      mapping.map(value, block->addArgument(value.getType(), op.getLoc()));
    } else {
      // A number that the model computes: any will do.
      mapping.map(value, arith::ConstantOp::create(
                             b, op.getLoc(), b.getZeroAttr(value.getType())));
    }
  }

  void takeParameter(ml_program::GlobalLoadConstOp load) {
    Operation *global = SymbolTable::lookupSymbolIn(parent, load.getGlobal());
    if (SymbolTable::lookupSymbolIn(*module, load.getGlobal()))
      return;
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module->getBody());
    b.clone(*global);
  }

  /// A destination; null if no argument has one of its open dimensions.
  Value makeInit() {
    auto type = cast<RankedTensorType>(op.getInit().getType());
    SmallVector<Value> sizes;
    for (auto [i, expr] : llvm::enumerate(op.getOutMap().getResults())) {
      if (!type.isDynamicDim(i))
        continue;
      Value size = findSize(op.getLhs(), op.getLhsMap(), expr);
      for (auto [j, extra] : llvm::enumerate(op.getExtras()))
        if (!size && isa<ShapedType>(extra.getType()))
          size = findSize(extra, op.getExtraMap(j), expr);
      if (!size)
        return {};
      sizes.push_back(size);
    }
    return tensor::EmptyOp::create(b, op.getLoc(), type.getShape(),
                                   type.getElementType(), sizes);
  }

  Value findSize(Value operand, AffineMap map, AffineExpr expr) {
    for (auto [i, result] : llvm::enumerate(map.getResults()))
      if (result == expr)
        return tensor::DimOp::create(b, op.getLoc(), mapping.lookup(operand),
                                     i);
    return {};
  }

  kernel::ContractOp op;
  ModuleOp parent;
  OwningOpRef<ModuleOp> module;
  OpBuilder b;
  Block *block = nullptr;
  IRMapping mapping;
};
} // namespace

std::vector<CutKernel> mlir::tamis::cutKernels(ModuleOp module) {
  std::vector<CutKernel> kernels;
  llvm::StringSet<> seen;
  module.walk([&](kernel::ContractOp op) {
    std::optional<KernelChoice> choice = getChoice(op);
    if (!choice || !seen.insert(choice->key + "\n" + choice->chosen).second)
      return;
    CutKernel &kernel = kernels.emplace_back();
    kernel.key = choice->key;
    kernel.candidate = choice->chosen;
    for (const KernelCandidate &candidate : choice->candidates)
      kernel.candidates.push_back(candidate.name);
    kernel.module = Cutter(op).cut();
  });
  return kernels;
}
