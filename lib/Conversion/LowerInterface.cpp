// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Entry points with plain pointers around @main; see Workspace.h and
// include/tamis/Runtime/Runtime.h for the other side.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/Conversion/Workspace.h"
#include "tamis/Execution/Interface.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Runtime/Runtime.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_LOWERINTERFACE
#include "tamis/Conversion/Passes.h.inc"

namespace {

/// Small helpers that write LLVM-dialect pointer code.
struct PointerBuilder {
  OpBuilder b;
  Location loc;
  Type ptr, i64, i32;

  PointerBuilder(OpBuilder builder, Location loc)
      : b(builder), loc(loc), ptr(LLVM::LLVMPointerType::get(b.getContext())),
        i64(b.getI64Type()), i32(b.getI32Type()) {}

  Value constant(int64_t value) {
    return LLVM::ConstantOp::create(b, loc, i64, b.getI64IntegerAttr(value));
  }
  Value at(Value base, int64_t bytes) {
    return LLVM::GEPOp::create(b, loc, ptr, b.getI8Type(), base,
                               ArrayRef<LLVM::GEPArg>{int32_t(bytes)});
  }
  Value load(Type type, Value base, int64_t bytes) {
    return LLVM::LoadOp::create(b, loc, type, at(base, bytes));
  }
  void store(Value value, Value base, int64_t bytes) {
    LLVM::StoreOp::create(b, loc, value, at(base, bytes));
  }
  Value toIndex(Value value) {
    return arith::IndexCastOp::create(b, loc, b.getIndexType(), value);
  }
  Value fromIndex(Value value) {
    return arith::IndexCastOp::create(b, loc, i64, value);
  }
  /// The product, or -1 (which no allocator grants) where it overflows.
  Value multiplySizes(Value x, Value y) {
    Type both =
        LLVM::LLVMStructType::getLiteral(b.getContext(), {i64, b.getI1Type()});
    Value result = LLVM::UMulWithOverflowOp::create(b, loc, both, x, y);
    Value overflows = LLVM::ExtractValueOp::create(b, loc, result, 1);
    return LLVM::SelectOp::create(
        b, loc, overflows, constant(-1),
        LLVM::ExtractValueOp::create(b, loc, result, 0));
  }

  /// A dense row-major memref at `base`; `sizes` are i64 values.
  Value makeMemref(MemRefType type, Value base, ArrayRef<Value> sizes) {
    MLIRContext *context = b.getContext();
    int64_t rank = type.getRank();
    SmallVector<Type> fields{ptr, ptr, i64};
    if (rank > 0)
      fields.append(2, LLVM::LLVMArrayType::get(i64, rank));
    Value d = LLVM::UndefOp::create(
        b, loc, LLVM::LLVMStructType::getLiteral(context, fields));
    auto set = [&](Value value, ArrayRef<int64_t> position) {
      d = LLVM::InsertValueOp::create(b, loc, d, value, position);
    };
    set(base, {0});
    set(base, {1});
    set(constant(0), {2});
    Value stride = constant(1);
    for (int64_t i = rank - 1; i >= 0; --i) {
      set(sizes[i], {3, i});
      set(stride, {4, i});
      if (i > 0)
        stride = LLVM::MulOp::create(b, loc, stride, sizes[i]);
    }
    return UnrealizedConversionCastOp::create(b, loc, type, d).getResult(0);
  }
};

/// Ends the run where the runtime has no memory.
void leaveIfNull(PointerBuilder &p, Value pointer, Value word) {
  Value isNull =
      LLVM::ICmpOp::create(p.b, p.loc, LLVM::ICmpPredicate::eq, pointer,
                           LLVM::ZeroOp::create(p.b, p.loc, p.ptr));
  Value code = arith::ConstantIntOp::create(p.b, p.loc, TAMIS_FAULT_MEMORY, 32);
  Value none = arith::ConstantIntOp::create(p.b, p.loc, 0, 32);
  Value bits = arith::SelectOp::create(p.b, p.loc, isNull, code, none);
  Value old = memref::LoadOp::create(p.b, p.loc, word, ValueRange{});
  Value now = arith::OrIOp::create(p.b, p.loc, old, bits);
  auto store = memref::StoreOp::create(p.b, p.loc, now, word, ValueRange{});
  store->setAttr(kLeaveOnErrorName, p.b.getUnitAttr());
}

/// A copy from a buffer with gaps, which LLVM's conversion would leave to a
/// function of MLIR's runner.
void copyElements(OpBuilder &b, Location loc, Value source, Value target) {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  SmallVector<Value> sizes;
  int64_t rank = cast<MemRefType>(source.getType()).getRank();
  for (int64_t d = 0; d < rank; ++d)
    sizes.push_back(memref::DimOp::create(b, loc, source, d));
  scf::buildLoopNest(
      b, loc, SmallVector<Value>(rank, zero), sizes,
      SmallVector<Value>(rank, one),
      [&](OpBuilder &nested, Location loc, ValueRange at) {
        Value element = memref::LoadOp::create(nested, loc, source, at);
        memref::StoreOp::create(nested, loc, element, target, at);
      });
}

struct LowerInterface : impl::LowerInterfaceBase<LowerInterface> {
  using LowerInterfaceBase::LowerInterfaceBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main) {
      module.emitError("expected a function @main");
      return signalPassFailure();
    }
    FailureOr<ModelInterface> described = ModelInterface::get(module);
    if (failed(described))
      return signalPassFailure();
    interface = *described;
    lowerRunTimeAllocations(module, main);
    buildCompute(module, main);
    buildWorkspace(module);
    if (variant == 0)
      buildOutputDims(module);
    main.setPrivate();
  }

  std::string suffixed(StringRef name) {
    return (name + "_" + Twine(variant.getValue())).str();
  }

  /// A function of pointers, public, empty.
  func::FuncOp declare(ModuleOp module, StringRef name, unsigned pointers,
                       TypeRange results) {
    OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
    Type ptr = LLVM::LLVMPointerType::get(b.getContext());
    auto function = func::FuncOp::create(
        b, module.getLoc(), name,
        b.getFunctionType(SmallVector<Type>(pointers, ptr), results));
    function.addEntryBlock();
    return function;
  }

  void buildCompute(ModuleOp module, func::FuncOp main) {
    auto function = declare(module, suffixed("tamis_compute"), 6,
                            IntegerType::get(&getContext(), 32));
    Block &entry = function.getBody().front();
    PointerBuilder p(OpBuilder::atBlockEnd(&entry), module.getLoc());
    Value ctx = entry.getArgument(0), inputs = entry.getArgument(1),
          outputs = entry.getArgument(2), dims = entry.getArgument(3),
          workspaceBase = entry.getArgument(4), weights = entry.getArgument(5);
    Value zero =
        LLVM::ConstantOp::create(p.b, p.loc, p.i32, p.b.getI32IntegerAttr(0));
    p.store(zero, workspaceBase, workspace::kError);
    p.store(ctx, workspaceBase, workspace::kContext);
    p.store(dims, workspaceBase, workspace::kDims);

    SmallVector<Value> operands;
    int64_t dim = 0, input = 0;
    unsigned count = main.getNumArguments();
    for (unsigned i = 0; i + 2 < count; ++i) {
      auto type = cast<MemRefType>(main.getArgument(i).getType());
      auto output = main.getArgAttrOfType<IntegerAttr>(i, "tamis.output");
      int64_t at = output ? getOutputDim(output.getInt()) : dim;
      SmallVector<Value> sizes;
      for (auto [d, size] : llvm::enumerate(type.getShape()))
        sizes.push_back(ShapedType::isDynamic(size)
                            ? p.load(p.i64, dims, 8 * (at + d))
                            : p.constant(size));
      Value base = output ? p.load(p.ptr, outputs, 8 * output.getInt())
                          : p.load(p.ptr, inputs, 8 * input);
      operands.push_back(p.makeMemref(type, base, sizes));
      if (!output) {
        dim += type.getRank();
        ++input;
      }
    }
    Value unknown = p.constant(INT64_MAX);
    auto bytes = cast<MemRefType>(main.getArgument(count - 1).getType());
    operands.push_back(p.makeMemref(bytes, workspaceBase, unknown));
    operands.push_back(p.makeMemref(bytes, weights, unknown));
    func::CallOp::create(p.b, p.loc, main, operands);
    Value status = p.load(p.i32, workspaceBase, workspace::kError);
    func::ReturnOp::create(p.b, p.loc, status);
  }

  /// Position of output `index`'s first dimension in dims[]: after those of
  /// all inputs and of the outputs before it.
  int64_t getOutputDim(int64_t index) const {
    int64_t at = 0;
    for (const InterfaceTensor &tensor : interface.inputs)
      at += tensor.dims.size();
    for (int64_t i = 0; i < index; ++i)
      at += interface.outputs[i].dims.size();
    return at;
  }

  void buildWorkspace(ModuleOp module) {
    auto size = module->getAttrOfType<IntegerAttr>("tamis.workspace");
    auto function = declare(module, suffixed("tamis_workspace"), 1,
                            IntegerType::get(&getContext(), 64));
    PointerBuilder p(OpBuilder::atBlockEnd(&function.getBody().front()),
                     module.getLoc());
    Value bytes = p.constant(size ? size.getInt() : workspace::kHeader);
    func::ReturnOp::create(p.b, p.loc, bytes);
  }

  void buildOutputDims(ModuleOp module) {
    auto rule = module.lookupSymbol<func::FuncOp>("output_dims");
    auto function = declare(module, "tamis_output_dims", 1, {});
    PointerBuilder p(OpBuilder::atBlockEnd(&function.getBody().front()),
                     module.getLoc());
    Value dims = function.getArgument(0);
    if (rule) {
      SmallVector<Value> inputs;
      for (unsigned i = 0; i < rule.getNumArguments(); ++i)
        inputs.push_back(p.toIndex(p.load(p.i64, dims, 8 * i)));
      auto call = func::CallOp::create(p.b, p.loc, rule, inputs);
      for (auto [i, result] : llvm::enumerate(call.getResults()))
        p.store(p.fromIndex(result), dims, 8 * (inputs.size() + i));
    }
    func::ReturnOp::create(p.b, p.loc);
  }

  /// Allocations without a bound, and results whose shape the data decides,
  /// ask the runtime.
  void lowerRunTimeAllocations(ModuleOp module, func::FuncOp main) {
    SmallVector<Operation *> list;
    main.walk([&](Operation *op) {
      if (isa<kernel::StoreOutputOp>(op) || op->hasAttr("tamis.at_run_time"))
        list.push_back(op);
    });
    if (list.empty())
      return;
    Block &entry = main.getBody().front();
    Value memory = entry.getArgument(entry.getNumArguments() - 2);
    PointerBuilder p(OpBuilder(&entry, entry.begin()), main.getLoc());
    Value aligned =
        memref::ExtractAlignedPointerAsIndexOp::create(p.b, p.loc, memory);
    Value base =
        LLVM::IntToPtrOp::create(p.b, p.loc, p.ptr, p.fromIndex(aligned));
    Value ctx = p.load(p.ptr, base, workspace::kContext);
    Value dims = p.load(p.ptr, base, workspace::kDims);
    Value word = memref::ViewOp::create(
        p.b, p.loc, MemRefType::get({}, p.i32), memory,
        arith::ConstantIndexOp::create(p.b, p.loc, workspace::kError),
        ValueRange{});
    auto allocate =
        declareRuntime(module, "tamis_rt_alloc", {p.ptr, p.i64}, {p.ptr});
    auto output = declareRuntime(module, "tamis_rt_alloc_output",
                                 {p.ptr, p.i64, p.i64}, {p.ptr});
    for (Operation *op : list) {
      p.b.setInsertionPoint(op);
      p.loc = op->getLoc();
      auto store = dyn_cast<kernel::StoreOutputOp>(op);
      Value source = store ? Value(store.getSource()) : Value(op->getResult(0));
      if (auto cast = source.getDefiningOp<memref::CastOp>(); store && cast)
        source = cast.getSource();
      auto type = cast<MemRefType>(source.getType());
      SmallVector<Value> sizes;
      unsigned next = 0;
      for (auto [d, size] : llvm::enumerate(type.getShape())) {
        if (!ShapedType::isDynamic(size))
          sizes.push_back(p.constant(size));
        else if (store)
          sizes.push_back(
              p.fromIndex(memref::DimOp::create(p.b, p.loc, source, d)));
        else
          sizes.push_back(p.fromIndex(op->getOperand(next++)));
      }
      Type element = type.getElementType();
      Value bytes = p.constant(
          isa<IndexType>(element)
              ? 8
              : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8));
      for (Value size : sizes)
        bytes = p.multiplySizes(bytes, size);
      auto dense = MemRefType::get(type.getShape(), element);
      if (store) {
        Value index = p.constant(store.getIndex());
        int64_t at = getOutputDim(store.getIndex());
        for (auto [d, size] : llvm::enumerate(sizes))
          p.store(size, dims, 8 * (at + d));
        Value pointer = func::CallOp::create(p.b, p.loc, output,
                                             ValueRange{ctx, index, bytes})
                            .getResult(0);
        leaveIfNull(p, pointer, word);
        // A cast may call a strided slice contiguous.
        while (auto cast = source.getDefiningOp<memref::CastOp>())
          source = cast.getSource();
        if (!cast<MemRefType>(source.getType()).getLayout().isIdentity()) {
          copyElements(p.b, p.loc, source, p.makeMemref(dense, pointer, sizes));
        } else {
          // Not memref.copy, which a later fold of casts makes a strided one.
          Value base = memref::ExtractAlignedPointerAsIndexOp::create(
              p.b, p.loc, source);
          LLVM::MemcpyOp::create(
              p.b, p.loc, pointer,
              LLVM::IntToPtrOp::create(p.b, p.loc, p.ptr, p.fromIndex(base)),
              bytes, /*isVolatile=*/false);
        }
      } else {
        Value pointer =
            func::CallOp::create(p.b, p.loc, allocate, ValueRange{ctx, bytes})
                .getResult(0);
        leaveIfNull(p, pointer, word);
        op->getResult(0).replaceAllUsesWith(
            p.makeMemref(dense, pointer, sizes));
      }
      op->erase();
    }
  }

  ModelInterface interface;
};

} // namespace
} // namespace mlir::tamis
