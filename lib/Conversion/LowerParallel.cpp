// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Parallel loops of kernels become calls of the runtime's pool.
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/Conversion/Workspace.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERPARALLEL
#include "tamis/Conversion/Passes.h.inc"

namespace {

Value cast(OpBuilder &b, Location loc, Type type, Value value) {
  if (value.getType() == type)
    return value;
  return UnrealizedConversionCastOp::create(b, loc, type, value).getResult(0);
}

struct LowerParallel : impl::LowerParallelBase<LowerParallel> {
  using LowerParallelBase::LowerParallelBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    LLVMTypeConverter converter(&getContext());
    types = &converter;
    for (auto function :
         llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
      SmallVector<scf::ForallOp> loops;
      function.walk<WalkOrder::PreOrder>([&](scf::ForallOp loop) {
        loops.push_back(loop);
        return WalkResult::skip();
      });
      if (loops.empty())
        continue;
      bool parallel = threads > 1 && function.getSymName() != "main";
      Value memory = parallel ? passWorkspace(module, function) : Value();
      for (auto [i, loop] : llvm::enumerate(loops))
        if (parallel && loop.getRank() == 1 && loop.isNormalized())
          outline(module, function, loop, i, memory);
    }
    IRRewriter rewriter(&getContext());
    SmallVector<scf::ForallOp> serial;
    module.walk([&](scf::ForallOp loop) { serial.push_back(loop); });
    for (scf::ForallOp loop : serial) {
      rewriter.setInsertionPoint(loop);
      if (failed(scf::forallToForLoop(rewriter, loop)))
        return signalPassFailure();
    }
  }

  void outline(ModuleOp module, func::FuncOp function, scf::ForallOp loop,
               unsigned number, Value memory) {
    Location loc = loop.getLoc();
    OpBuilder b(loop);
    Type ptr = LLVM::LLVMPointerType::get(&getContext());
    Type i64 = b.getI64Type();

    SetVector<Value> captured;
    getUsedValuesDefinedAbove(loop.getRegion(), captured);
    SmallVector<Operation *> constants;
    SmallVector<Value> fields;
    SmallVector<Type> fieldTypes;
    for (Value value : captured) {
      Operation *source = value.getDefiningOp();
      if (source && source->hasTrait<OpTrait::ConstantLike>()) {
        constants.push_back(source);
        continue;
      }
      fields.push_back(value);
      fieldTypes.push_back(types->convertType(value.getType()));
    }
    auto record = LLVM::LLVMStructType::getLiteral(&getContext(), fieldTypes);

    // The task.
    OpBuilder m(function);
    auto task = func::FuncOp::create(
        m, loc, (function.getSymName() + "_task_" + Twine(number)).str(),
        m.getFunctionType({ptr, i64}, {}));
    task.setPrivate();
    Block *entry = task.addEntryBlock();
    OpBuilder t = OpBuilder::atBlockEnd(entry);
    IRMapping mapping;
    for (Operation *constant : constants)
      t.clone(*constant, mapping);
    for (auto [i, field] : llvm::enumerate(fields)) {
      Value at = LLVM::GEPOp::create(t, loc, ptr, record, entry->getArgument(0),
                                     ArrayRef<LLVM::GEPArg>{0, int32_t(i)});
      Value loaded = LLVM::LoadOp::create(t, loc, fieldTypes[i], at);
      mapping.map(field, cast(t, loc, field.getType(), loaded));
    }
    Value index = arith::IndexCastOp::create(t, loc, t.getIndexType(),
                                             entry->getArgument(1));
    mapping.map(loop.getInductionVars()[0], index);
    for (Operation &op : loop.getBody()->without_terminator())
      t.clone(op, mapping);
    func::ReturnOp::create(t, loc);
    ++tasks;

    // The call.
    OpBuilder top(&function.getBody().front(),
                  function.getBody().front().begin());
    Value one =
        LLVM::ConstantOp::create(top, loc, i64, top.getI64IntegerAttr(1));
    Value args = LLVM::AllocaOp::create(top, loc, ptr, record, one);
    for (auto [i, field] : llvm::enumerate(fields)) {
      Value at = LLVM::GEPOp::create(b, loc, ptr, record, args,
                                     ArrayRef<LLVM::GEPArg>{0, int32_t(i)});
      LLVM::StoreOp::create(b, loc, cast(b, loc, fieldTypes[i], field), at);
    }
    Value context = loadContext(b, loc, memory);
    Value callee =
        cast(b, loc, ptr,
             func::ConstantOp::create(b, loc, Type(task.getFunctionType()),
                                      FlatSymbolRefAttr::get(task)));
    OpFoldResult upper = loop.getMixedUpperBound()[0];
    Value count = arith::IndexCastOp::create(
        b, loc, i64, getValueOrCreateConstantIndexOp(b, loc, upper));
    auto run =
        declareRuntime(module, "tamis_rt_parallel", {ptr, ptr, ptr, i64}, {});
    func::CallOp::create(b, loc, run, ValueRange{context, callee, args, count});
    loop.erase();
  }

  LLVMTypeConverter *types = nullptr;
};

} // namespace
} // namespace mlir::tamis
