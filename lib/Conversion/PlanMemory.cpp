// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One arena for all buffers of a call.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/Transforms/BufferViewFlowAnalysis.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/Conversion/UpperBounds.h"
#include "tamis/Conversion/Workspace.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_PLANMEMORY
#include "tamis/Conversion/Passes.h.inc"

namespace {

struct Buffer {
  memref::AllocOp alloc;
  int64_t bytes;
  int64_t first, last; // positions in the entry block, inclusive
  int64_t offset = 0;
};

struct PlanMemory : impl::PlanMemoryBase<PlanMemory> {
  using PlanMemoryBase::PlanMemoryBase;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal())
      return;
    main.walk([](memref::DeallocOp op) { op.erase(); });
    SmallVector<Buffer> planned;
    SmallVector<memref::AllocOp> atRunTime;
    collect(main, planned, atRunTime);
    int64_t size = place(planned);
    if (size > limit) {
      main.emitError("needs a workspace of ")
          << size << " bytes, more than the limit of " << limit.getValue();
      return signalPassFailure();
    }
    Block &entry = main.getBody().front();
    Value arena = entry.getArgument(entry.getNumArguments() - 2);
    for (Buffer &buffer : planned) {
      OpBuilder b(buffer.alloc);
      Location loc = buffer.alloc.getLoc();
      Value at = arith::ConstantIndexOp::create(b, loc, buffer.offset);
      Value view = memref::ViewOp::create(b, loc, buffer.alloc.getType(), arena,
                                          at, buffer.alloc.getDynamicSizes());
      buffer.alloc.replaceAllUsesWith(view);
      buffer.alloc.erase();
    }
    // What stays is allocated by the host during the call.
    for (memref::AllocOp alloc : atRunTime)
      alloc->setAttr("tamis.at_run_time", UnitAttr::get(&getContext()));
    buffers += planned.size();
    unbounded += atRunTime.size();
    getOperation()->setAttr("tamis.workspace",
                            Builder(&getContext()).getI64IntegerAttr(size));
  }

  void collect(func::FuncOp main, SmallVectorImpl<Buffer> &planned,
               SmallVectorImpl<memref::AllocOp> &atRunTime) {
    Block &entry = main.getBody().front();
    DenseMap<Operation *, int64_t> position;
    for (auto [i, op] : llvm::enumerate(entry))
      position[&op] = i;
    BufferViewFlowAnalysis aliases(main);
    UpperBounds bounds;
    main.walk([&](memref::AllocOp alloc) {
      auto bytes = getBytes(alloc, bounds);
      Operation *top = entry.findAncestorOpInBlock(*alloc);
      Buffer buffer{alloc, bytes.value_or(0), position[top], position[top]};
      bool escapesLoop = false;
      Operation *loop = alloc->getParentOfType<LoopLikeOpInterface>();
      for (Value alias : aliases.resolve(alloc.getResult())) {
        if (loop && leaves(alias, loop))
          escapesLoop = true;
        for (Operation *user : alias.getUsers())
          if (Operation *at = entry.findAncestorOpInBlock(*user))
            buffer.last = std::max(buffer.last, position[at]);
      }
      if (!bytes || escapesLoop)
        atRunTime.push_back(alloc);
      else
        planned.push_back(buffer);
    });
  }

  /// True if `alias` is carried to the next iteration of `loop` or out of it:
  /// then one iteration's buffer lives beside the next one's.
  static bool leaves(Value alias, Operation *loop) {
    if (alias.getDefiningOp() == loop)
      return true;
    auto argument = dyn_cast<BlockArgument>(alias);
    return argument && argument.getOwner()->getParentOp() == loop;
  }

  static std::optional<int64_t> getBytes(memref::AllocOp alloc,
                                         UpperBounds &bounds) {
    MemRefType type = alloc.getType();
    Type element = type.getElementType();
    int64_t bytes = isa<IndexType>(element)
                        ? 8
                        : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
    unsigned next = 0;
    for (int64_t size : type.getShape()) {
      if (ShapedType::isDynamic(size)) {
        auto bound = bounds.get(alloc.getDynamicSizes()[next++]);
        if (!bound)
          return std::nullopt;
        size = std::max<int64_t>(*bound, 0);
      }
      if (llvm::MulOverflow(bytes, size, bytes))
        return std::nullopt;
    }
    return bytes;
  }

  /// First fit, largest first. Returns the size of the workspace.
  static int64_t place(SmallVectorImpl<Buffer> &list) {
    llvm::stable_sort(list, [](const Buffer &a, const Buffer &b) {
      return a.bytes > b.bytes;
    });
    int64_t size = workspace::kHeader;
    SmallVector<Buffer *> placed; // by offset
    for (Buffer &buffer : list) {
      int64_t at = workspace::kHeader;
      for (Buffer *other : placed) {
        if (other->last < buffer.first || buffer.last < other->first)
          continue;
        if (at + buffer.bytes <= other->offset)
          break;
        at = std::max<int64_t>(at,
                               llvm::alignTo(other->offset + other->bytes, 64));
      }
      buffer.offset = at;
      auto it = llvm::upper_bound(placed, &buffer, [](Buffer *a, Buffer *b) {
        return a->offset < b->offset;
      });
      placed.insert(it, &buffer);
      size = std::max(size, at + buffer.bytes);
    }
    return llvm::alignTo(size, 64);
  }
};

} // namespace
} // namespace mlir::tamis
