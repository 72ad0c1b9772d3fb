// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The border between host and a device that knows only arrays and 32-bit
// words: signatures of kernels on one side, calls of the runtime on the other.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVAttributes.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"
#include "tamis/Conversion/Workspace.h"
#include "tamis/Gpu/Mapping.h"
#include "tamis/Gpu/Passes.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_FLATTENLAUNCHES
#include "tamis/Gpu/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// What one argument of a kernel is made of; equal on both sides.
struct Layout {
  explicit Layout(Type argument)
      : type(dyn_cast<MemRefType>(argument)), isWide(isWideScalar(argument)) {
    if (type) {
      auto [known, offset] = type.getStridesAndOffset();
      strides.assign(known.begin(), known.end());
    }
  }
  /// Words that follow the offsets of all buffers.
  int64_t getWords() const {
    return type     ? type.getNumDynamicDims() + llvm::count_if(strides, isOpen)
           : isWide ? 2
                    : 1;
  }
  static bool isWideScalar(Type type) {
    return type.isIntOrFloat() && type.getIntOrFloatBitWidth() > 32;
  }
  static bool isOpen(int64_t size) { return ShapedType::isDynamic(size); }

  MemRefType type; // null: a scalar
  bool isWide;     // of two words, the low one first
  SmallVector<int64_t> strides;
};

Type getStoredType(MemRefType type) {
  Type element = type.getElementType();
  if (element.isInteger(1))
    return IntegerType::get(type.getContext(), 8);
  // Not every device has a type for it.
  if (element.isBF16())
    return IntegerType::get(type.getContext(), 16);
  return element;
}

MemRefType getBufferType(int64_t size, Type element) {
  return MemRefType::get(
      {size}, element, MemRefLayoutAttrInterface(),
      spirv::StorageClassAttr::get(element.getContext(),
                                   spirv::StorageClass::StorageBuffer));
}

/// A pointer to the memory of a device that has pointers.
Type getPointerType(MLIRContext *context) {
  return LLVM::LLVMPointerType::get(
      context, static_cast<unsigned>(NVVM::NVVMMemorySpace::Global));
}

/// Rewrites the inside of one kernel.
class KernelFlattener {
public:
  KernelFlattener(gpu::GPUFuncOp function, bool pointers)
      : function(function),
        b(OpBuilder::atBlockBegin(&function.getBody().front())),
        loc(function.getLoc()), pointers(pointers) {}

  LogicalResult run() {
    Block &entry = function.getBody().front();
    SmallVector<Type> types(function.getFunctionType().getInputs());
    SmallVector<Layout> layouts;
    int64_t words = 0;
    for (Type type : types) {
      layouts.emplace_back(type);
      words += layouts.back().getWords() + (layouts.back().type ? 1 : 0);
    }
    // The new arguments stand behind the old ones until these are unused.
    SmallVector<Type> flat;
    for (const Layout &layout : layouts)
      if (layout.type)
        flat.push_back(pointers ? getPointerType(b.getContext())
                                : getBufferType(ShapedType::kDynamic,
                                                getStoredType(layout.type)));
    int64_t nextBuffer = 0, nextWord = flat.size();
    firstWord = types.size() + flat.size();
    if (pointers)
      flat.append(words, b.getI32Type());
    else
      flat.push_back(getBufferType(words, b.getI32Type()));
    for (auto [i, type] : llvm::enumerate(flat))
      entry.insertArgument(types.size() + i, type, loc);

    for (auto [i, layout] : llvm::enumerate(layouts)) {
      BlockArgument old = entry.getArgument(i);
      if (!layout.type) {
        Value scalar = layout.isWide
                           ? toWide(loadWord(nextWord), loadWord(nextWord + 1))
                           : loadWord(nextWord);
        nextWord += layout.getWords();
        old.replaceAllUsesWith(toScalar(scalar, old.getType()));
        continue;
      }
      View view;
      view.buffer = entry.getArgument(types.size() + nextBuffer);
      view.offset = toIndex(loadWord(nextBuffer++));
      view.element = getStoredType(layout.type);
      for (int64_t size : layout.type.getShape())
        view.sizes.push_back(Layout::isOpen(size)
                                 ? toIndex(loadWord(nextWord++))
                                 : constant(size));
      for (int64_t stride : layout.strides)
        view.strides.push_back(Layout::isOpen(stride)
                                   ? toIndex(loadWord(nextWord++))
                                   : constant(stride));
      for (Operation *user : llvm::make_early_inc_range(old.getUsers()))
        if (failed(rewrite(user, view)))
          return failure();
    }
    entry.eraseArguments(0, types.size());
    function.setFunctionType(b.getFunctionType(flat, {}));
    function.removeArgAttrsAttr();
    return success();
  }

private:
  struct View {
    Value buffer, offset;
    Type element;
    SmallVector<Value> sizes, strides;
  };

  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  Value loadWord(int64_t at) {
    Block &entry = function.getBody().front();
    if (pointers)
      return entry.getArgument(firstWord + at);
    return memref::LoadOp::create(b, loc, entry.getArgument(firstWord),
                                  constant(at));
  }
  Value toIndex(Value word) {
    return arith::IndexCastOp::create(b, loc, b.getIndexType(), word);
  }
  Value toWide(Value low, Value high) {
    Type i64 = b.getI64Type();
    Value shift = arith::ConstantIntOp::create(b, loc, i64, 32);
    high = arith::ShLIOp::create(
        b, loc, arith::ExtUIOp::create(b, loc, i64, high), shift);
    return arith::OrIOp::create(b, loc,
                                arith::ExtUIOp::create(b, loc, i64, low), high);
  }
  Value toScalar(Value word, Type type) {
    if (type.isIndex())
      return toIndex(word);
    unsigned bits = type.getIntOrFloatBitWidth();
    if (bits < 32)
      word = arith::TruncIOp::create(b, loc, b.getIntegerType(bits), word);
    return type.isFloat() ? arith::BitcastOp::create(b, loc, type, word) : word;
  }

  Value linearize(OpBuilder &at, const View &view, ValueRange indices) {
    Value sum = view.offset;
    for (auto [index, stride] : llvm::zip(indices, view.strides)) {
      Value step = at.createOrFold<arith::MulIOp>(loc, index, stride);
      sum = at.createOrFold<arith::AddIOp>(loc, sum, step);
    }
    return sum;
  }

  Value getAddress(OpBuilder &at, const View &view, Value index) {
    Value wide = arith::IndexCastOp::create(at, loc, at.getI64Type(), index);
    return LLVM::GEPOp::create(at, loc, view.buffer.getType(), view.element,
                               view.buffer, ArrayRef<LLVM::GEPArg>{wide});
  }

  Value loadElement(OpBuilder &at, const View &view, Value index) {
    if (!pointers)
      return memref::LoadOp::create(at, loc, view.buffer, index);
    return LLVM::LoadOp::create(at, loc, view.element,
                                getAddress(at, view, index));
  }

  void storeElement(OpBuilder &at, const View &view, Value index,
                    Value element) {
    if (!pointers)
      memref::StoreOp::create(at, loc, element, view.buffer, index);
    else
      LLVM::StoreOp::create(at, loc, element, getAddress(at, view, index));
  }

  LogicalResult rewrite(Operation *user, const View &view) {
    OpBuilder at(user);
    if (auto load = dyn_cast<memref::LoadOp>(user)) {
      Value index = linearize(at, view, load.getIndices());
      Value element = loadElement(at, view, index);
      if (load.getType().isInteger(1))
        element = arith::CmpIOp::create(
            at, loc, arith::CmpIPredicate::ne, element,
            arith::ConstantIntOp::create(at, loc, element.getType(), 0));
      if (load.getType().isBF16())
        element = arith::BitcastOp::create(at, loc, load.getType(), element);
      load.replaceAllUsesWith(element);
    } else if (auto store = dyn_cast<memref::StoreOp>(user)) {
      Value element = store.getValueToStore();
      if (element.getType().isInteger(1))
        element = arith::ExtUIOp::create(at, loc, at.getI8Type(), element);
      if (element.getType().isBF16())
        element = arith::BitcastOp::create(at, loc, at.getI16Type(), element);
      storeElement(at, view, linearize(at, view, store.getIndices()), element);
    } else if (auto pointer =
                   dyn_cast<memref::ExtractAlignedPointerAsIndexOp>(user);
               pointer && pointers) {
      // Of a buffer without gaps, whose first element the runtime passes.
      Value address = LLVM::PtrToIntOp::create(
          at, loc, at.getI64Type(), getAddress(at, view, view.offset));
      pointer.replaceAllUsesWith(
          arith::IndexCastOp::create(at, loc, at.getIndexType(), address)
              .getResult());
    } else if (auto atomic = dyn_cast<memref::AtomicRMWOp>(user);
               atomic && !pointers) {
      Value result = memref::AtomicRMWOp::create(
          at, loc, atomic.getKind(), atomic.getValue(), view.buffer,
          linearize(at, view, atomic.getIndices()));
      atomic.replaceAllUsesWith(result);
    } else if (auto dim = dyn_cast<memref::DimOp>(user);
               dim && dim.getConstantIndex()) {
      dim.replaceAllUsesWith(view.sizes[*dim.getConstantIndex()]);
    } else {
      return user->emitOpError("uses a buffer in a way that has no flat form");
    }
    user->erase();
    return success();
  }

  gpu::GPUFuncOp function;
  OpBuilder b;
  Location loc;
  bool pointers;
  /// The argument that is, or begins, the words.
  int64_t firstWord = 0;
};

/// Writes the calls of the runtime.
class HostLowering {
public:
  explicit HostLowering(ModuleOp module)
      : module(module), ptr(LLVM::LLVMPointerType::get(module.getContext())),
        i32(IntegerType::get(module.getContext(), 32)),
        i64(IntegerType::get(module.getContext(), 64)) {}

  void lower(gpu::LaunchFuncOp launch, int64_t kernel) {
    OpBuilder b(launch);
    Location loc = launch.getLoc();
    auto run =
        declareRuntime(module, "tamis_rt_launch", {ptr, i64, ptr, ptr}, {});
    // tamis_launch: the grid, then pointer and bytes of each buffer.
    SmallVector<Value> record, offsets, rest;
    gpu::KernelDim3 grid = launch.getGridSizeOperandValues();
    for (Value size : {grid.x, grid.y, grid.z})
      record.push_back(toWide(b, loc, size));
    Value zero = LLVM::ConstantOp::create(b, loc, i32, 0);
    for (Value operand : launch.getKernelOperands()) {
      Layout layout(operand.getType());
      if (!layout.type) {
        if (layout.isWide)
          rest.append(toTwoWords(b, loc, operand));
        else
          rest.push_back(toWord(b, loc, operand));
        continue;
      }
      offsets.push_back(zero); // the runtime knows
      auto facts = memref::ExtractStridedMetadataOp::create(b, loc, operand);
      auto constant = [&](int64_t value) -> Value {
        return arith::ConstantIndexOp::create(b, loc, value);
      };
      Value size =
          constant(llvm::divideCeil(layout.type.getElementTypeBitWidth(), 8));
      Value aligned =
          memref::ExtractAlignedPointerAsIndexOp::create(b, loc, operand);
      Value skipped =
          b.createOrFold<arith::MulIOp>(loc, facts.getOffset(), size);
      record.push_back(
          toWide(b, loc, b.createOrFold<arith::AddIOp>(loc, aligned, skipped)));
      // From the first element to the end of the last.
      Value extent = constant(1);
      for (auto [count, stride] :
           llvm::zip(facts.getSizes(), facts.getStrides())) {
        Value steps = b.createOrFold<arith::SubIOp>(loc, count, constant(1));
        steps = b.createOrFold<arith::MulIOp>(loc, steps, stride);
        extent = b.createOrFold<arith::AddIOp>(loc, extent, steps);
      }
      record.push_back(
          toWide(b, loc, b.createOrFold<arith::MulIOp>(loc, extent, size)));
      for (auto [known, count] :
           llvm::zip(layout.type.getShape(), facts.getSizes()))
        if (Layout::isOpen(known))
          rest.push_back(toWord(b, loc, count));
      for (auto [known, stride] : llvm::zip(layout.strides, facts.getStrides()))
        if (Layout::isOpen(known))
          rest.push_back(toWord(b, loc, stride));
    }
    llvm::append_range(offsets, rest);
    func::CallOp::create(
        b, loc, run,
        ValueRange{getContext(b, launch),
                   LLVM::ConstantOp::create(b, loc, i64, kernel),
                   store(b, launch, record, i64),
                   store(b, launch, offsets, i32)});
    launch.erase();
  }

  void lower(func::CallOp wait) {
    OpBuilder b(wait);
    auto run = declareRuntime(module, "tamis_rt_synchronize", {ptr}, {});
    func::CallOp::create(b, wait.getLoc(), run, getContext(b, wait));
    wait.erase();
  }

private:
  Value toWide(OpBuilder &b, Location loc, Value index) {
    return arith::IndexCastOp::create(b, loc, i64, index);
  }

  Value toWord(OpBuilder &b, Location loc, Value scalar) {
    Type type = scalar.getType();
    if (type.isIndex())
      return arith::IndexCastOp::create(b, loc, i32, scalar);
    unsigned bits = type.getIntOrFloatBitWidth();
    if (type.isFloat())
      scalar = arith::BitcastOp::create(b, loc, b.getIntegerType(bits), scalar);
    return bits < 32 ? arith::ExtUIOp::create(b, loc, i32, scalar) : scalar;
  }

  SmallVector<Value> toTwoWords(OpBuilder &b, Location loc, Value scalar) {
    if (scalar.getType().isFloat())
      scalar = arith::BitcastOp::create(b, loc, i64, scalar);
    Value shift = arith::ConstantIntOp::create(b, loc, i64, 32);
    Value high = arith::ShRUIOp::create(b, loc, scalar, shift);
    return {arith::TruncIOp::create(b, loc, i32, scalar),
            arith::TruncIOp::create(b, loc, i32, high)};
  }

  /// The values one after the other on the stack.
  Value store(OpBuilder &b, Operation *at, ArrayRef<Value> values, Type type) {
    Location loc = at->getLoc();
    auto function = at->getParentOfType<func::FuncOp>();
    OpBuilder top = OpBuilder::atBlockBegin(&function.getBody().front());
    Value count = LLVM::ConstantOp::create(top, loc, i64, values.size());
    Value base = LLVM::AllocaOp::create(top, loc, ptr, type, count);
    for (auto [i, value] : llvm::enumerate(values))
      LLVM::StoreOp::create(
          b, loc, value,
          LLVM::GEPOp::create(b, loc, ptr, type, base,
                              ArrayRef<LLVM::GEPArg>{int32_t(i)}));
    return base;
  }

  Value getContext(OpBuilder &b, Operation *at) {
    auto function = at->getParentOfType<func::FuncOp>();
    Value &memory = workspaces[function];
    if (!memory)
      memory = function.getSymName() == "main"
                   ? Value(function.getArguments().end()[-2])
                   : passWorkspace(module, function);
    return loadContext(b, at->getLoc(), memory);
  }

  ModuleOp module;
  Type ptr, i32, i64;
  DenseMap<Operation *, Value> workspaces;
};

struct FlattenLaunches
    : public tamis::impl::FlattenLaunchesBase<FlattenLaunches> {
  using FlattenLaunchesBase::FlattenLaunchesBase;

  static bool isFlat(gpu::GPUFuncOp function) {
    return llvm::all_of(function.getArgumentTypes(), [](Type type) {
      if (auto memref = dyn_cast<MemRefType>(type))
        return isa_and_present<spirv::StorageClassAttr>(
            memref.getMemorySpace());
      return isa<LLVM::LLVMPointerType>(type) || type.isInteger(32);
    });
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::MapVector<SymbolRefAttr, gpu::GPUFuncOp> kernels;
    for (auto device : module.getOps<gpu::GPUModuleOp>())
      for (auto function : device.getOps<gpu::GPUFuncOp>())
        kernels[SymbolRefAttr::get(device.getSymNameAttr(),
                                   {SymbolRefAttr::get(function)})] = function;
    SmallVector<Operation *> list;
    module.walk([&](Operation *op) {
      auto call = dyn_cast<func::CallOp>(op);
      if (isa<gpu::LaunchFuncOp>(op) || (call && call.getCallee() == kWaitName))
        list.push_back(op);
    });
    HostLowering host(module);
    for (Operation *op : list) {
      if (auto wait = dyn_cast<func::CallOp>(op)) {
        host.lower(wait);
        continue;
      }
      auto launch = cast<gpu::LaunchFuncOp>(op);
      auto found = kernels.find(launch.getKernel());
      if (found == kernels.end()) {
        launch.emitOpError("expected a kernel of this module, got ")
            << launch.getKernel();
        return signalPassFailure();
      }
      for (Value operand : launch.getKernelOperands())
        if (!isa<MemRefType, IndexType>(operand.getType()) &&
            (!operand.getType().isIntOrFloat() ||
             operand.getType().getIntOrFloatBitWidth() > 64)) {
          launch.emitOpError("expected scalars of at most 64 bits, got ")
              << operand.getType();
          return signalPassFailure();
        }
      host.lower(launch, found - kernels.begin());
    }
    if (auto wait = module.lookupSymbol<func::FuncOp>(kWaitName))
      wait.erase();
    for (auto &[name, function] : kernels)
      if (!isFlat(function) &&
          failed(KernelFlattener(function, pointers).run()))
        return signalPassFailure();
  }
};
} // namespace
