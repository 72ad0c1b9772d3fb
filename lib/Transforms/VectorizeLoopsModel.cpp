// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From linalg.generic to Nest: linear addressing functions, loop extents,
// merging of loops, recognition of reductions.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Target/Target.h"
#include "tamis/Transforms/VectorizeNest.h"

using namespace mlir;
using namespace mlir::tamis;

Product Product::operator*(const Product &other) const {
  Product result{factor * other.factor, symbols};
  if (result.factor == 0)
    result.symbols.clear();
  else
    result.symbols.append(other.symbols.begin(), other.symbols.end());
  llvm::sort(result.symbols);
  return result;
}

VectorTarget VectorTarget::of(Operation *op) {
  VectorTarget result;
  result.strict = isStrict(op);
  bool found = false;
  for (Operation *parent = op; parent; parent = parent->getParentOp()) {
    Attribute attr = parent->getAttr("tamis.target");
    if (auto list = dyn_cast_or_null<ArrayAttr>(attr); list && !list.empty())
      attr = list[0];
    auto target = dyn_cast_or_null<TargetAttr>(attr);
    if (!target || found)
      continue;
    found = true;
    if (target.hasFeature("avx512f"))
      result.bits = 512;
    else if (target.hasFeature("avx2") || target.hasFeature("avx"))
      result.bits = 256;
    result.threads = target.getThreads();
    result.permutesBytes = target.hasFeature("avx512vbmi");
    result.masks =
        target.hasFeature("avx512bw") && target.hasFeature("avx512vl");
  }
  return result;
}

int64_t VectorTarget::tasksFor(std::optional<double> work) const {
  constexpr double kWorth = 200000; // vector operations
  if (threads <= 1 || (work && *work < kWorth))
    return 1;
  return threads;
}

/// Adds scale * expr to `coefficients` and `constant`; false if not linear.
static bool addLinear(AffineExpr expr, int64_t scale,
                      MutableArrayRef<int64_t> coefficients,
                      int64_t &constant) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    coefficients[dim.getPosition()] += scale;
    return true;
  }
  if (auto value = dyn_cast<AffineConstantExpr>(expr)) {
    constant += scale * value.getValue();
    return true;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return false;
  if (binary.getKind() == AffineExprKind::Add)
    return addLinear(binary.getLHS(), scale, coefficients, constant) &&
           addLinear(binary.getRHS(), scale, coefficients, constant);
  if (binary.getKind() == AffineExprKind::Mul) {
    AffineExpr lhs = binary.getLHS(), rhs = binary.getRHS();
    if (isa<AffineConstantExpr>(lhs))
      std::swap(lhs, rhs);
    if (auto value = dyn_cast<AffineConstantExpr>(rhs))
      return addLinear(lhs, scale * value.getValue(), coefficients, constant);
  }
  return false;
}

std::optional<StringRef> Nest::unsupported(linalg::GenericOp op) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (operand.get().getType().isIntOrIndexOrFloat())
      continue;
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    if (!type)
      return "an operand is no ranked memref";
    if (!type.isStrided())
      return "an operand has a layout that is not strided";
    Type element = type.getElementType();
    if (!element.isIntOrIndexOrFloat())
      return "an operand has elements that are no scalars";
    if (element.isInteger() && element.getIntOrFloatBitWidth() != 1 &&
        element.getIntOrFloatBitWidth() % 8 != 0)
      return "an operand has elements narrower than a byte";
    AffineMap map = op.getMatchingIndexingMap(&operand);
    SmallVector<int64_t> coefficients(map.getNumDims());
    int64_t constant = 0;
    for (AffineExpr expr : map.getResults())
      if (!addLinear(expr, 1, coefficients, constant))
        return "an indexing map is not linear";
  }
  auto iterators = op.getIteratorTypesArray();
  for (OpOperand &init : op.getDpsInitsMutable()) {
    AffineMap map = op.getMatchingIndexingMap(&init);
    llvm::SmallBitVector used(map.getNumDims());
    for (AffineExpr expr : map.getResults())
      expr.walk([&](AffineExpr e) {
        if (auto dim = dyn_cast<AffineDimExpr>(e))
          used.set(dim.getPosition());
      });
    for (auto [i, kind] : llvm::enumerate(iterators))
      if (used.test(i) != (kind == utils::IteratorType::parallel))
        return "an output is not indexed by exactly the parallel dimensions";
  }
  if (!isVectorizableBody(op.getRegion().front()))
    return "the body holds operations without a vector form";
  return std::nullopt;
}

unsigned Nest::symbol(Value value) {
  auto it = llvm::find(symbols, value);
  if (it != symbols.end())
    return it - symbols.begin();
  symbols.push_back(value);
  return symbols.size() - 1;
}

Product Nest::product(OpBuilder &b, OpFoldResult value) {
  if (std::optional<int64_t> constant = getConstantIntValue(value))
    return Product{*constant, {}};
  return Product{1, {symbol(cast<Value>(value))}};
}

Product Nest::sum(OpBuilder &b, const Product &a, const Product &c) {
  if (a.isZero())
    return c;
  if (c.isZero())
    return a;
  if (a.symbols == c.symbols) {
    Product result{a.factor + c.factor, a.symbols};
    if (result.factor == 0)
      result.symbols.clear();
    return result;
  }
  Value value = b.createOrFold<arith::AddIOp>(op.getLoc(), materialize(b, a),
                                              materialize(b, c));
  return Product{1, {symbol(value)}};
}

Value Nest::materialize(OpBuilder &b, const Product &product) const {
  Location loc = const_cast<linalg::GenericOp &>(op).getLoc();
  Value result = arith::ConstantIndexOp::create(b, loc, product.factor);
  if (product.factor != 0)
    for (unsigned s : product.symbols)
      result = b.createOrFold<arith::MulIOp>(loc, symbols[s], result);
  return result;
}

Nest::Nest(OpBuilder &b, linalg::GenericOp generic) : op(generic) {
  Location loc = op.getLoc();
  unsigned dims = op.getNumLoops();
  // Extents: a plain dimension of some operand, static if any of them is.
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  auto iterators = op.getIteratorTypesArray();
  loops.resize(dims);
  for (unsigned d = 0; d < dims; ++d) {
    loops[d].dim = d;
    loops[d].reduction = iterators[d] == utils::IteratorType::reduction;
    loops[d].extent = Product{ranges[d], {}};
  }
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [i, expr] : llvm::enumerate(map.getResults())) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      if (!dim ||
          !ShapedType::isDynamic(loops[dim.getPosition()].extent.factor))
        continue;
      Value size = memref::DimOp::create(b, loc, operand.get(), i);
      loops[dim.getPosition()].extent = Product{1, {symbol(size)}};
    }
  }

  for (OpOperand &operand : op->getOpOperands()) {
    Access access;
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    if (!type) {
      access.element = operand.get().getType();
      access.scalar = operand.get();
      access.strides.resize(dims);
      accesses.push_back(access);
      continue;
    }
    access.element = type.getElementType();
    access.strides.resize(dims);
    access.written = op.isDpsInit(&operand);
    access.read = !op.getMatchingBlockArgument(&operand).use_empty();
    if (!access.read && !access.written) {
      accesses.push_back(access);
      continue;
    }
    AffineMap map = op.getMatchingIndexingMap(&operand);
    int64_t rank = type.getRank();
    auto [strides, offset] = type.getStridesAndOffset();

    // Strides as products. A dense layout of unknown shape is described by
    // the loop extents, so that equal shapes compare equal.
    SmallVector<Product> dimStrides(rank);
    Value offsetValue;
    if (type.getLayout().isIdentity()) {
      Product running{1, {}};
      for (int64_t i = rank - 1; i >= 0; --i) {
        dimStrides[i] = running;
        Product size{type.getDimSize(i), {}};
        if (type.isDynamicDim(i)) {
          if (auto dim = dyn_cast<AffineDimExpr>(map.getResult(i)))
            size = loops[dim.getPosition()].extent;
          else
            size = Product{
                1, {symbol(memref::DimOp::create(b, loc, operand.get(), i))}};
        }
        running = running * size;
      }
    } else {
      memref::ExtractStridedMetadataOp metadata;
      if (ShapedType::isDynamic(offset) ||
          llvm::any_of(strides, ShapedType::isDynamic))
        metadata =
            memref::ExtractStridedMetadataOp::create(b, loc, operand.get());
      for (int64_t i = 0; i < rank; ++i)
        dimStrides[i] = ShapedType::isDynamic(strides[i])
                            ? Product{1, {symbol(metadata.getStrides()[i])}}
                            : Product{strides[i], {}};
      if (ShapedType::isDynamic(offset))
        offsetValue = metadata.getOffset();
    }

    Product base{0, {}};
    for (auto [i, expr] : llvm::enumerate(map.getResults())) {
      SmallVector<int64_t> coefficients(dims);
      int64_t constant = 0;
      addLinear(expr, 1, coefficients, constant);
      base = sum(b, base, dimStrides[i] * Product{constant, {}});
      for (unsigned d = 0; d < dims; ++d)
        access.strides[d] = sum(b, access.strides[d],
                                dimStrides[i] * Product{coefficients[d], {}});
    }
    access.base = materialize(b, base);

    // The flat view. Its size only types the view: accesses stay inside the
    // operand because the loop extents come from the operands.
    OpFoldResult viewOffset =
        b.getIndexAttr(ShapedType::isDynamic(offset) ? 0 : offset);
    if (offsetValue)
      viewOffset = offsetValue;
    OpFoldResult size = b.getIndexAttr(1);
    if (rank > 0 && type.hasStaticShape() && type.getLayout().isIdentity())
      size = b.getIndexAttr(type.getNumElements());
    else if (rank > 0) {
      Product reach = dimStrides[0];
      if (type.isDynamicDim(0))
        size = b.createOrFold<arith::MulIOp>(
            loc, memref::DimOp::create(b, loc, operand.get(), 0),
            materialize(b, reach));
      else
        size = materialize(b, reach * Product{type.getDimSize(0), {}});
      if (std::optional<int64_t> known = getConstantIntValue(size))
        size = b.getIndexAttr(std::max<int64_t>(*known, 1));
    }
    Value view = operand.get();
    if (rank != 1 || !type.getLayout().isIdentity()) {
      auto layout = StridedLayoutAttr::get(
          b.getContext(), offsetValue ? ShapedType::kDynamic : offset, {1});
      auto dim = getConstantIntValue(size).value_or(ShapedType::kDynamic);
      auto viewType = MemRefType::get({dim}, type.getElementType(), layout,
                                      type.getMemorySpace());
      view = memref::ReinterpretCastOp::create(
          b, loc, viewType, operand.get(), viewOffset,
          ArrayRef<OpFoldResult>{size},
          ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
    }
    if (access.element.isInteger(1)) {
      // A vector of i1 in memory would be packed bits; tensors hold bytes.
      auto bits = cast<MemRefType>(view.getType());
      auto bytes = MemRefType::get(bits.getShape(), b.getI8Type(),
                                   bits.getLayout(), bits.getMemorySpace());
      view = UnrealizedConversionCastOp::create(b, loc, TypeRange{bytes}, view)
                 .getResult(0);
    }
    access.buffer = view;
    accesses.push_back(access);
  }
}

void Nest::simplify() {
  llvm::SmallDenseSet<unsigned> indexed;
  body().walk([&](linalg::IndexOp index) { indexed.insert(index.getDim()); });
  auto erase = [&](unsigned i) {
    loops.erase(loops.begin() + i);
    for (Access &access : accesses)
      access.strides.erase(access.strides.begin() + i);
  };
  for (int i = loops.size() - 1; i >= 0; --i)
    if (loops[i].extent.isOne())
      erase(i);

  auto canMerge = [&](unsigned outer, unsigned inner) {
    if (loops[outer].reduction != loops[inner].reduction ||
        indexed.contains(loops[outer].dim) ||
        indexed.contains(loops[inner].dim))
      return false;
    for (unsigned i = outer + 1; i < inner && loops[outer].reduction; ++i)
      if (loops[i].reduction)
        return false; // would reorder the sum
    if (inner < outer && loops[outer].reduction)
      return false;
    return llvm::all_of(accesses, [&](const Access &access) {
      if (!access.buffer)
        return true;
      return access.strides[outer] ==
             access.strides[inner] * loops[inner].extent;
    });
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (unsigned outer = 0; outer < loops.size() && !changed; ++outer)
      for (unsigned inner = 0; inner < loops.size() && !changed; ++inner)
        if (outer != inner && canMerge(outer, inner)) {
          loops[inner].extent = loops[outer].extent * loops[inner].extent;
          erase(outer);
          changed = true;
        }
  }
}

bool Nest::hasReductionLoops() const {
  return llvm::any_of(loops, [](const NestLoop &l) { return l.reduction; });
}

std::optional<Reduction> Nest::getReduction(unsigned i) const {
  Value yielded = body().getTerminator()->getOperand(i);
  BlockArgument accumulator = body().getArgument(numInputs() + i);
  Operation *combiner = yielded.getDefiningOp();
  if (!combiner || combiner->getBlock() != &body() ||
      combiner->getNumOperands() != 2 || !accumulator.hasOneUse() ||
      *accumulator.user_begin() != combiner || !yielded.hasOneUse())
    return std::nullopt;
  using Kind = vector::CombiningKind;
  std::optional<Kind> kind =
      llvm::TypeSwitch<Operation *, std::optional<Kind>>(combiner)
          .Case<arith::AddFOp, arith::AddIOp>([](auto) { return Kind::ADD; })
          .Case<arith::MulFOp, arith::MulIOp>([](auto) { return Kind::MUL; })
          .Case([](arith::MaximumFOp) { return Kind::MAXIMUMF; })
          .Case([](arith::MinimumFOp) { return Kind::MINIMUMF; })
          .Case([](arith::MaxNumFOp) { return Kind::MAXNUMF; })
          .Case([](arith::MinNumFOp) { return Kind::MINNUMF; })
          .Case([](arith::MaxSIOp) { return Kind::MAXSI; })
          .Case([](arith::MinSIOp) { return Kind::MINSI; })
          .Case([](arith::MaxUIOp) { return Kind::MAXUI; })
          .Case([](arith::MinUIOp) { return Kind::MINUI; })
          .Case([](arith::AndIOp) { return Kind::AND; })
          .Case([](arith::OrIOp) { return Kind::OR; })
          .Case([](arith::XOrIOp) { return Kind::XOR; })
          .Default(std::nullopt);
  std::optional<TypedAttr> neutral =
      kind ? arith::getNeutralElement(combiner) : std::nullopt;
  if (!neutral)
    return std::nullopt;
  return Reduction{combiner, *kind, *neutral,
                   !isa<arith::AddFOp, arith::MulFOp>(combiner)};
}
