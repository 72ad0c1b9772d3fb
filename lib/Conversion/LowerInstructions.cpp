// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What kernels consist of, to the LLVM dialect in one walk: arithmetic with a
// counterpart of the same operands, accesses to memory, branches. Dialect
// conversion takes ten times as long for an operation, and reads the pointer
// of a buffer out of its descriptor anew for each access; it gets what is left.
#include "BufferFields.h"
#include "Counterparts.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Conversion/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERINSTRUCTIONS
#include "tamis/Conversion/Passes.h.inc"

namespace {

/// The lowering of one function.
class Lowering {
public:
  Lowering(func::FuncOp function, const Counterparts &counterparts)
      : function(function), counterparts(counterparts),
        types(function.getContext()),
        buffers(types, [this](Value index) { return get(index); }),
        b(function.getContext()) {}

  void run() {
    takeBranches = llvm::all_of(function.getBody(), [](Block &block) {
      return canTakeBranches(block);
    });
    if (takeBranches)
      for (Block &block : llvm::drop_begin(function.getBody()))
        changeArguments(block);
    for (Block &block : function.getBody())
      for (Operation &op : llvm::make_early_inc_range(block)) {
        b.setInsertionPoint(&op);
        lower(&op);
      }
    finish();
  }

private:
  static bool canTakeBranches(Block &block) {
    Operation *end = block.getTerminator();
    return (end->getNumSuccessors() == 0 ||
            isa<cf::BranchOp, cf::CondBranchOp>(end)) &&
           (block.isEntryBlock() ||
            llvm::all_of(block.getArgumentTypes(), [](Type type) {
              return isPlain(type) || LLVM::isCompatibleType(type);
            }));
  }

  /// Indices that reach a block become integers; a cast serves what stays.
  void changeArguments(Block &block) {
    b.setInsertionPointToStart(&block);
    for (BlockArgument argument : block.getArguments()) {
      if (!argument.getType().isIndex())
        continue;
      auto cast = UnrealizedConversionCastOp::create(
          b, argument.getLoc(), argument.getType(), ValueRange(argument));
      argument.replaceAllUsesExcept(cast.getResult(0), cast);
      argument.setType(types.getIndexType());
      lowered[cast.getResult(0)] = argument;
      replaced.push_back(cast);
    }
  }

  /// `value` as LLVM sees it.
  Value get(Value value) {
    if (!value.getType().isIndex())
      return value;
    Value known = lowered.lookup(value);
    if (!known)
      lowered[value] = known = castBehind(value, types.getIndexType());
    return known;
  }

  SmallVector<Value> get(ValueRange values) {
    return llvm::map_to_vector(values, [&](Value v) { return get(v); });
  }

  void replace(Operation *op, Value result) {
    if (op->getResult(0).getType().isIndex()) {
      lowered[op->getResult(0)] = result;
      replaced.push_back(op);
      return;
    }
    op->getResult(0).replaceAllUsesWith(result);
    op->erase();
  }

  /// Drops what has been replaced, with a cast for those who still read it.
  void finish() {
    for (Operation *op : replaced)
      if (!isa<UnrealizedConversionCastOp>(op))
        op->dropAllReferences();
    for (Operation *op : llvm::reverse(views))
      if (op->use_empty())
        op->erase();
    for (Operation *op : replaced) {
      Value result = op->getResult(0);
      if (isa<UnrealizedConversionCastOp>(op)) {
        if (result.use_empty())
          op->erase();
        continue;
      }
      if (!result.use_empty())
        result.replaceAllUsesWith(
            castBehind(lowered.lookup(result), result.getType()));
      op->erase();
    }
  }

  void lower(Operation *op) {
    Location loc = op->getLoc();
    if (takeBranches) {
      if (auto branch = dyn_cast<cf::BranchOp>(op)) {
        LLVM::BrOp::create(b, loc, get(branch.getDestOperands()),
                           branch.getDest());
        return op->erase();
      }
      if (auto branch = dyn_cast<cf::CondBranchOp>(op)) {
        LLVM::CondBrOp::create(
            b, loc, branch.getCondition(), get(branch.getTrueDestOperands()),
            get(branch.getFalseDestOperands()), branch.getBranchWeightsAttr(),
            branch.getTrueDest(), branch.getFalseDest());
        return op->erase();
      }
    }
    llvm::TypeSwitch<Operation *>(op)
        .Case<memref::LoadOp>([&](memref::LoadOp load) {
          lowerLoad(load, load.getMemref(), kInside,
                    load.getAlignment().value_or(0));
        })
        .Case<memref::StoreOp>([&](memref::StoreOp store) {
          lowerStore(store, store.getValue(), store.getMemref(), kInside,
                     store.getAlignment().value_or(0));
        })
        .Case<vector::LoadOp>([&](vector::LoadOp load) {
          lowerLoad(load, load.getBase(), LLVM::GEPNoWrapFlags::none,
                    getAlignment(load));
        })
        .Case<vector::StoreOp>([&](vector::StoreOp store) {
          lowerStore(store, store.getValueToStore(), store.getBase(),
                     LLVM::GEPNoWrapFlags::none, getAlignment(store));
        })
        .Case<memref::DimOp, memref::CastOp, memref::ReinterpretCastOp,
              memref::ExtractStridedMetadataOp>([&](auto) { lowerView(op); })
        .Default([&](Operation *) {
          if (llvm::all_of(op->getOperandTypes(), isPlain) &&
              llvm::all_of(op->getResultTypes(), isPlain))
            lowerArithmetic(op);
        });
  }

  void lowerArithmetic(Operation *op) {
    Location loc = op->getLoc();
    if (std::optional<OperationName> name = counterparts.find(op)) {
      OperationState state(loc, *name);
      state.addOperands(get(op->getOperands()));
      state.addTypes(convert(op->getResult(0).getType()));
      return replace(op, b.create(state)->getResult(0));
    }
    llvm::TypeSwitch<Operation *>(op)
        .Case<arith::ConstantOp>([&](arith::ConstantOp constant) {
          replace(op,
                  LLVM::ConstantOp::create(b, loc, convert(constant.getType()),
                                           constant.getValue()));
        })
        .Case<arith::IndexCastOp>([&](arith::IndexCastOp widen) {
          replace(op,
                  resize(loc, get(widen.getIn()), convert(widen.getType())));
        })
        .Case<arith::CmpIOp>([&](arith::CmpIOp compare) {
          replace(op,
                  LLVM::ICmpOp::create(
                      b, loc, op->getResult(0).getType(),
                      static_cast<LLVM::ICmpPredicate>(compare.getPredicate()),
                      get(compare.getLhs()), get(compare.getRhs())));
        })
        .Case<arith::CmpFOp>([&](arith::CmpFOp compare) {
          if (compare.getFastmath() == arith::FastMathFlags::none)
            replace(op,
                    LLVM::FCmpOp::create(b, loc, op->getResult(0).getType(),
                                         static_cast<LLVM::FCmpPredicate>(
                                             compare.getPredicate()),
                                         compare.getLhs(), compare.getRhs()));
        })
        .Case<vector::BroadcastOp>([&](vector::BroadcastOp broadcast) {
          if (isNumber(broadcast.getSource().getType()))
            replace(op, splat(loc, broadcast.getType(), broadcast.getSource()));
        })
        .Case<vector::ShuffleOp>([&](vector::ShuffleOp shuffle) {
          if (shuffle.getV1().getType() == shuffle.getV2().getType())
            replace(op, LLVM::ShuffleVectorOp::create(
                            b, loc, shuffle.getV1(), shuffle.getV2(),
                            llvm::to_vector_of<int32_t>(shuffle.getMask())));
        })
        .Case<vector::ExtractOp>([&](vector::ExtractOp extract) {
          if (extract.getNumIndices() == 1 && !extract.hasDynamicPosition())
            replace(op, LLVM::ExtractElementOp::create(
                            b, loc, extract.getSource(),
                            buffers.makeIndex(b, loc,
                                              extract.getStaticPosition()[0])));
        });
  }

  Value resize(Location loc, Value value, Type type) {
    unsigned from = value.getType().getIntOrFloatBitWidth();
    unsigned to = type.getIntOrFloatBitWidth();
    if (from == to)
      return value;
    if (from > to)
      return LLVM::TruncOp::create(b, loc, type, value);
    return LLVM::SExtOp::create(b, loc, type, value);
  }

  Value splat(Location loc, VectorType type, Value scalar) {
    Value &nothing = poisons[type];
    OpBuilder start = OpBuilder::atBlockBegin(&function.getBody().front());
    if (!nothing)
      nothing = LLVM::PoisonOp::create(start, loc, type);
    if (!zero)
      zero = LLVM::ConstantOp::create(start, loc, start.getI32IntegerAttr(0));
    Value first = LLVM::InsertElementOp::create(b, loc, nothing, scalar, zero);
    SmallVector<int32_t> lanes(type.getDimSize(0), 0);
    return LLVM::ShuffleVectorOp::create(b, loc, first, nothing, lanes);
  }

  Type convert(Type type) {
    return type.isIndex() ? types.getIndexType() : type;
  }

  //===------------------------------------------------------------------===//
  // Memory
  //===------------------------------------------------------------------===//

  /// Indices of a single element lie inside the buffer.
  static constexpr LLVM::GEPNoWrapFlags kInside =
      LLVM::GEPNoWrapFlags::inbounds | LLVM::GEPNoWrapFlags::nuw;

  /// A vector is aligned as an element of its buffer.
  static unsigned getAlignment(auto op) {
    return op.getAlignment().value_or(
        llvm::divideCeil(op.getMemRefType().getElementTypeBitWidth(), 8));
  }

  void lowerLoad(auto op, Value buffer, LLVM::GEPNoWrapFlags flags,
                 unsigned alignment) {
    Type type = op.getResult().getType();
    if (!BufferFields::canAddress(buffer) || !isPlain(type) || type.isIndex())
      return;
    Value address =
        buffers.getAddress(b, op.getLoc(), buffer, op.getIndices(), flags);
    replace(op,
            LLVM::LoadOp::create(b, op.getLoc(), type, address, alignment,
                                 /*isVolatile=*/false, op.getNontemporal()));
  }

  void lowerStore(auto op, Value value, Value buffer,
                  LLVM::GEPNoWrapFlags flags, unsigned alignment) {
    if (!BufferFields::canAddress(buffer) || !isPlain(value.getType()) ||
        value.getType().isIndex())
      return;
    Value address =
        buffers.getAddress(b, op.getLoc(), buffer, op.getIndices(), flags);
    LLVM::StoreOp::create(b, op.getLoc(), value, address, alignment,
                          /*isVolatile=*/false, op.getNontemporal());
    op->erase();
  }

  /// Where a view begins and how large it is are the operands of those who ask.
  void lowerView(Operation *op) {
    if (auto dim = dyn_cast<memref::DimOp>(op)) {
      std::optional<int64_t> index = dim.getConstantIndex();
      auto type = dyn_cast<MemRefType>(dim.getSource().getType());
      if (index && type && *index < type.getRank())
        replace(op, buffers.getSize(b, dim.getSource(), *index));
      return;
    }
    views.push_back(op);
    auto metadata = dyn_cast<memref::ExtractStridedMetadataOp>(op);
    if (!metadata)
      return;
    Value buffer = metadata.getSource();
    if (!metadata.getOffset().use_empty())
      lowered[metadata.getOffset()] = buffers.getOffset(b, buffer);
    for (auto [i, size] : llvm::enumerate(metadata.getSizes()))
      if (!size.use_empty())
        lowered[size] = buffers.getSize(b, buffer, i);
    for (auto [i, stride] : llvm::enumerate(metadata.getStrides()))
      if (!stride.use_empty())
        lowered[stride] = buffers.getStride(b, buffer, i);
  }

  func::FuncOp function;
  const Counterparts &counterparts;
  LLVMTypeConverter types;
  BufferFields buffers;
  OpBuilder b;
  bool takeBranches = false;
  /// Integers in the place of indices.
  DenseMap<Value, Value> lowered;
  DenseMap<Type, Value> poisons;
  Value zero;
  /// Operations with an index as result, kept for those who read it.
  SmallVector<Operation *> replaced;
  /// Views of buffers, which nobody reads if all that was read is known.
  SmallVector<Operation *> views;
};

struct LowerInstructions : impl::LowerInstructionsBase<LowerInstructions> {
  LogicalResult initialize(MLIRContext *context) override {
    counterparts = std::make_shared<Counterparts>(context);
    return success();
  }
  void runOnOperation() override {
    if (!getOperation().isExternal())
      Lowering(getOperation(), *counterparts).run();
  }

private:
  std::shared_ptr<const Counterparts> counterparts;
};

} // namespace
} // namespace mlir::tamis
