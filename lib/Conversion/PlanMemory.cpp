// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One arena for all buffers of a call.
#include "tamis/Conversion/Passes.h"
#include "tamis/Conversion/Workspace.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/Transforms/BufferViewFlowAnalysis.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_PLANMEMORY
#include "tamis/Conversion/Passes.h.inc"

namespace {

/// Upper bounds of index arithmetic over input dimensions with known ranges.
class UpperBounds {
public:
  std::optional<int64_t> get(Value value) {
    if (auto constant = getConstantIntValue(value))
      return constant;
    auto [it, inserted] = known.try_emplace(value, std::nullopt);
    if (!inserted)
      return it->second;
    std::optional<int64_t> bound = compute(value);
    known[value] = bound;
    return bound;
  }

private:
  std::optional<int64_t> compute(Value value) {
    Operation *op = value.getDefiningOp();
    if (!op)
      return std::nullopt;
    if (auto dim = dyn_cast<memref::DimOp>(op))
      return fromArgument(dim);
    if (auto apply = dyn_cast<affine::AffineApplyOp>(op))
      return fromMap(apply.getAffineMap().getResult(0),
                     apply.getAffineMap().getNumDims(), apply.getMapOperands());
    if (auto max = dyn_cast<affine::AffineMaxOp>(op)) {
      std::optional<int64_t> bound;
      for (AffineExpr expr : max.getMap().getResults()) {
        auto one = fromMap(expr, max.getMap().getNumDims(), max.getOperands());
        if (!one)
          return std::nullopt;
        bound = bound ? std::max(*bound, *one) : *one;
      }
      return bound;
    }
    if (auto min = dyn_cast<affine::AffineMinOp>(op)) {
      std::optional<int64_t> bound;
      for (AffineExpr expr : min.getMap().getResults())
        if (auto one =
                fromMap(expr, min.getMap().getNumDims(), min.getOperands()))
          bound = bound ? std::min(*bound, *one) : *one;
      return bound;
    }
    if (isa<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp,
            arith::ExtUIOp, arith::TruncIOp>(op))
      return get(op->getOperand(0));
    if (isa<arith::SelectOp>(op)) {
      auto a = get(op->getOperand(1)), b = get(op->getOperand(2));
      return a && b ? std::optional(std::max(*a, *b)) : std::nullopt;
    }
    if (op->getNumOperands() != 2)
      return std::nullopt;
    auto a = get(op->getOperand(0)), b = get(op->getOperand(1));
    if (isa<arith::MinSIOp, arith::MinUIOp>(op))
      return a && b ? std::min(*a, *b) : (a ? a : b);
    if (!a)
      return std::nullopt;
    // Sizes are not negative, so subtracting and dividing only lowers them.
    if (isa<arith::SubIOp>(op)) {
      auto constant = getConstantIntValue(op->getOperand(1));
      return constant ? *a - *constant : *a;
    }
    auto divisor = getConstantIntValue(op->getOperand(1));
    if (isa<arith::DivSIOp, arith::DivUIOp, arith::FloorDivSIOp>(op))
      return divisor && *divisor > 0 ? *a / *divisor : *a;
    if (isa<arith::CeilDivSIOp, arith::CeilDivUIOp>(op))
      return divisor && *divisor > 0 ? llvm::divideCeil(*a, *divisor) : *a;
    if (!b)
      return std::nullopt;
    if (isa<arith::AddIOp>(op))
      return *a + *b;
    if (isa<arith::MaxSIOp, arith::MaxUIOp>(op))
      return std::max(*a, *b);
    int64_t product;
    if (isa<arith::MulIOp>(op) && !llvm::MulOverflow(*a, *b, product))
      return product;
    return std::nullopt;
  }

  std::optional<int64_t> fromArgument(memref::DimOp dim) {
    Value source = dim.getSource();
    auto argument = dyn_cast<BlockArgument>(source);
    auto position = dim.getConstantIndex();
    if (!argument || !position)
      return std::nullopt;
    auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
    if (!function)
      return std::nullopt;
    auto ranges = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                       "tamis.dim_ranges");
    if (!ranges || *position >= static_cast<int64_t>(ranges.size()))
      return std::nullopt;
    auto range = dyn_cast<DenseI64ArrayAttr>(ranges[*position]);
    if (!range || range.size() != 2)
      return std::nullopt;
    return range[1];
  }

  /// Bound of an affine expression, each operand at its largest. Negative
  /// coefficients of an operand count it as its smallest, zero.
  std::optional<int64_t> fromMap(AffineExpr expr, unsigned dims,
                                 ValueRange operands) {
    if (auto constant = dyn_cast<AffineConstantExpr>(expr))
      return constant.getValue();
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      return get(operands[dim.getPosition()]);
    if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
      return get(operands[dims + symbol.getPosition()]);
    auto binary = cast<AffineBinaryOpExpr>(expr);
    auto constant = dyn_cast<AffineConstantExpr>(binary.getRHS());
    if (binary.getKind() == AffineExprKind::Mul && constant &&
        constant.getValue() < 0)
      return 0;
    auto a = fromMap(binary.getLHS(), dims, operands);
    auto b = fromMap(binary.getRHS(), dims, operands);
    if (!a || !b)
      return std::nullopt;
    switch (binary.getKind()) {
    case AffineExprKind::Add:
      return *a + *b;
    case AffineExprKind::Mul:
      return *a * *b;
    case AffineExprKind::FloorDiv:
      return *b > 0 ? llvm::divideFloorSigned(*a, *b) : *a;
    case AffineExprKind::CeilDiv:
      return *b > 0 ? llvm::divideCeilSigned(*a, *b) : *a;
    case AffineExprKind::Mod:
      return *b - 1;
    default:
      return std::nullopt;
    }
  }

  DenseMap<Value, std::optional<int64_t>> known;
};

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
    if (!main)
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
    int64_t bytes =
        isa<IndexType>(element)
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
        at = std::max<int64_t>(
            at, llvm::alignTo(other->offset + other->bytes, 64));
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
