// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Computations become functions, equal ones the same function: a network
// repeats its layers, and LLVM's time is most of compile time.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Transforms/RegionUtils.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Passes.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_OUTLINEKERNELS
#include "tamis/Conversion/Passes.h.inc"

namespace {

/// A computation on buffers that makes sense as one function.
bool isKernel(Operation *op) {
  if (isa<memref::CopyOp>(op))
    return true;
  if (op->hasAttr("tamis.kernel"))
    return true;
  auto destination = dyn_cast<DestinationStyleOpInterface>(op);
  return destination && destination.hasPureBufferSemantics();
}

/// A strided type whose static offset is forgotten, so that views at
/// different places of one buffer share a kernel.
MemRefType withoutOffset(MemRefType type) {
  auto [strides, offset] = type.getStridesAndOffset();
  if (type.getLayout().isIdentity() || ShapedType::isDynamic(offset))
    return type;
  return MemRefType::get(
      type.getShape(), type.getElementType(),
      StridedLayoutAttr::get(type.getContext(), ShapedType::kDynamic, strides),
      type.getMemorySpace());
}

/// The type of a list of entries whose length is forgotten. What has more
/// dimensions are panels, whose shape the layer alone decides.
MemRefType withoutLength(MemRefType type) {
  if (type.getRank() == 0 || type.getRank() > 2)
    return type;
  SmallVector<int64_t> shape(type.getShape());
  shape.front() = ShapedType::kDynamic;
  return MemRefType::get(shape, type.getElementType(), type.getLayout(),
                         type.getMemorySpace());
}

/// The storage of `op` as its kernel has to know it; null where that says how
/// much is stored.
StorageAttrInterface getSharedStorage(Operation *op) {
  auto contract = dyn_cast<kernel::ContractOp>(op);
  StorageAttrInterface storage =
      contract ? contract.getStorageAttr() : StorageAttrInterface();
  StorageAttrInterface shared = storage ? storage.withoutEntries() : storage;
  return shared == storage ? StorageAttrInterface() : shared;
}

/// True if `value` holds entries of the storage of `op`.
bool holdsEntries(kernel::ContractOp op, Value value) {
  return value == op.getRhs() || llvm::is_contained(op.getStream(), value);
}

struct OutlineKernels : impl::OutlineKernelsBase<OutlineKernels> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    SmallVector<Operation *> list;
    main.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (!isKernel(op))
        return WalkResult::advance();
      list.push_back(op);
      return WalkResult::skip();
    });
    llvm::StringMap<func::FuncOp> known;
    for (Operation *op : list)
      outline(module, main, op, known);
  }

  void outline(ModuleOp module, func::FuncOp main, Operation *op,
               llvm::StringMap<func::FuncOp> &known) {
    SetVector<Value> captured;
    captured.insert(op->operand_begin(), op->operand_end());
    getUsedValuesDefinedAbove(op->getRegions(), captured);

    // Constants go inside, so that the kernel knows them; the rest is passed.
    SmallVector<Operation *> constants;
    SmallVector<Value> operands;
    OpBuilder b(op);
    for (Value value : captured) {
      Operation *source = value.getDefiningOp();
      if (source && source->hasTrait<OpTrait::ConstantLike>() &&
          !isa<MemRefType>(value.getType())) {
        constants.push_back(source);
        continue;
      }
      operands.push_back(value);
    }
    StorageAttrInterface shared = getSharedStorage(op);
    SmallVector<Value> passed;
    for (Value value : operands) {
      if (auto type = dyn_cast<MemRefType>(value.getType())) {
        MemRefType known = withoutOffset(type);
        if (shared && holdsEntries(cast<kernel::ContractOp>(op), value))
          known = withoutLength(known);
        if (known != type)
          value = memref::CastOp::create(b, op->getLoc(), known, value);
      }
      passed.push_back(value);
    }

    auto function = func::FuncOp::create(
        op->getLoc(), "kernel",
        b.getFunctionType(ValueRange(passed).getTypes(), {}));
    function.setPrivate();
    Block *entry = function.addEntryBlock();
    OpBuilder inside = OpBuilder::atBlockEnd(entry);
    IRMapping mapping;
    for (Operation *constant : constants)
      inside.clone(*constant, mapping);
    for (auto [value, argument] : llvm::zip(operands, entry->getArguments()))
      mapping.map(value, argument);
    Operation *moved = inside.clone(*op, mapping);
    // Views inside follow the types of what they look at.
    moved->walk<WalkOrder::PreOrder>([](memref::SubViewOp view) {
      view.getResult().setType(memref::SubViewOp::inferRankReducedResultType(
          view.getType().getShape(), view.getSourceType(),
          view.getMixedOffsets(), view.getMixedSizes(),
          view.getMixedStrides()));
    });
    if (shared)
      cast<kernel::ContractOp>(moved).setStorageAttr(shared);
    // Where an operation came from, and what else it could have been, tells
    // layers apart that are otherwise equal.
    Attribute origin = moved->removeAttr("origin");
    moved->removeAttr(kChoiceAttrName);
    func::ReturnOp::create(inside, op->getLoc());

    std::string key;
    llvm::raw_string_ostream text(key);
    function.print(text, OpPrintingFlags().useLocalScope().skipRegions(false));
    auto [it, inserted] = known.try_emplace(key, function);
    if (inserted) {
      function.setSymName(("kernel_" + Twine(known.size() - 1)).str());
      module.insert(main, function);
      ++kernels;
    } else {
      function.erase();
    }
    auto call = func::CallOp::create(b, op->getLoc(), it->second, passed);
    if (origin)
      call->setAttr("tamis.origin", origin);
    op->erase();
    ++calls;
  }
};

} // namespace
} // namespace mlir::tamis
