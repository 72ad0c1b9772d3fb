// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products of x86-64 by weights of which each four keep one or two. Weights
// stay as they are stored; each lane picks the elements of lhs that belong to
// its own. That is one shuffle for a product, where putting weights back to
// their place takes six instructions for a vector, and half of the products are
// not made.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;

/// Elements that both choose from.
static constexpr int64_t kGroup = 4;

static Value callIntrinsic(OpBuilder &b, Location loc, StringRef name,
                           Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, loc, result, b.getStringAttr(name),
                                       operands)
      .getResult(0);
}

/// Elements [from, from + count) of `vector`.
static Value slice(OpBuilder &b, Location loc, Value vector, int64_t from,
                   int64_t count) {
  SmallVector<int64_t> elements =
      llvm::to_vector(llvm::seq<int64_t>(from, from + count));
  return vector::ShuffleOp::create(b, loc, vector, vector, elements);
}

static Value concatenate(OpBuilder &b, Location loc, Value first,
                         Value second) {
  int64_t count = 2 * cast<VectorType>(first.getType()).getNumElements();
  SmallVector<int64_t> elements = llvm::to_vector(llvm::seq<int64_t>(0, count));
  return vector::ShuffleOp::create(b, loc, first, second, elements);
}

//===-- places ------------------------------------------------------------===//

// The places of a vector are one integer, `width` bits a lane, which every lane
// shifts by its own amount. In 64 bits even lanes find theirs in the lower half
// and odd ones in the upper: that is where a broadcast puts them.

static uint64_t placeBits(uint64_t bits, int64_t lane, int64_t lanes,
                          int64_t width) {
  bool halves = lanes * width == 64;
  return bits << (halves ? 32 * (lane % 2) + width * (lane / 2) : width * lane);
}

/// The places of each lane in the lowest bits of 32; others may stand above.
static Value spreadPlaces(OpBuilder &b, Location loc, Value places,
                          int64_t lanes, int64_t width) {
  bool halves = lanes * width == 64;
  auto words = VectorType::get(lanes, b.getI32Type());
  Value all;
  if (halves) {
    all = vector::BroadcastOp::create(
        b, loc, VectorType::get(lanes / 2, b.getI64Type()), places);
    all = vector::BitCastOp::create(b, loc, words, all);
  } else {
    if (places.getType() != b.getI32Type())
      places = arith::ExtUIOp::create(b, loc, b.getI32Type(), places);
    all = vector::BroadcastOp::create(b, loc, words, places);
  }
  SmallVector<int32_t> amounts;
  for (int64_t lane = 0; lane < lanes; ++lane)
    amounts.push_back(static_cast<int32_t>(width * (halves ? lane / 2 : lane)));
  Value by = arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(words, ArrayRef<int32_t>(amounts)));
  return arith::ShRUIOp::create(b, loc, all, by);
}

//===-- floats ------------------------------------------------------------===//

StringRef X86SelectFmaAttr::getInstructionName() const {
  return getKept() == 1 ? "x86_select_fma_one" : "x86_select_fma";
}

SmallVector<StringRef> X86SelectFmaAttr::getRequiredFeatures() const {
  if (getLanes() == 16)
    return {"avx512f"};
  return {"avx2", "fma"};
}

bool X86SelectFmaAttr::accepts(Type lhs, Type rhs, Type accumulator, bool,
                               bool) const {
  return lhs.isF32() && rhs.isF32() && accumulator.isF32();
}

int64_t X86SelectFmaAttr::getReductionStep() const { return kGroup; }

int64_t X86SelectFmaAttr::getMaxAccumulators() const {
  return getLanes() == 16 ? 16 : 8;
}

int64_t X86SelectFmaAttr::getLhsOffset(bool) const { return 0; }

bool X86SelectFmaAttr::isTile() const { return false; }

double X86SelectFmaAttr::getCycles() const {
  return getKept() == 1 ? 1.1 : 2.2;
}

Type X86SelectFmaAttr::getPackedType(Type rhs) const { return rhs; }

Value X86SelectFmaAttr::buildLhs(OpBuilder &b, Location loc, Value elements,
                                 bool) const {
  SmallVector<int64_t> repeated;
  for (int64_t lane = 0; lane < getLanes(); ++lane)
    repeated.push_back(lane % kGroup);
  return vector::ShuffleOp::create(b, loc, elements, elements, repeated);
}

Value X86SelectFmaAttr::buildRhs(OpBuilder &, Location, Value loaded) const {
  return loaded;
}

/// The stored elements of each lane's first weights, then of its second ones,
/// then the places of both.
Value X86SelectFmaAttr::buildSelected(OpBuilder &b, Location loc, Value values,
                                      Value places) const {
  constexpr int64_t width = 2;
  Value first = spreadPlaces(b, loc, places, getLanes(), getKept() * width);
  Value all = first;
  if (getKept() == 2) {
    Value by = arith::ConstantOp::create(
        b, loc,
        DenseElementsAttr::get(cast<ShapedType>(first.getType()),
                               b.getI32IntegerAttr(width)));
    all = concatenate(b, loc, first, arith::ShRUIOp::create(b, loc, first, by));
  }
  all = vector::BitCastOp::create(b, loc, values.getType(), all);
  return concatenate(b, loc, values, all);
}

Value X86SelectFmaAttr::buildMultiplyAccumulate(OpBuilder &b, Location loc,
                                                Value lhs, Value rhs,
                                                Value acc) const {
  StringRef name = getLanes() == 16 ? "llvm.x86.avx512.vpermilvar.ps.512"
                                    : "llvm.x86.avx.vpermilvar.ps.256";
  auto words = VectorType::get(getLanes(), b.getI32Type());
  for (int64_t i = 0; i < getKept(); ++i) {
    Value weights = slice(b, loc, rhs, i * getLanes(), getLanes());
    Value places = vector::BitCastOp::create(
        b, loc, words,
        slice(b, loc, rhs, (getKept() + i) * getLanes(), getLanes()));
    Value picked = callIntrinsic(b, loc, name, lhs.getType(), {lhs, places});
    acc = vector::FMAOp::create(b, loc, picked, weights, acc);
  }
  return acc;
}

int64_t X86SelectFmaAttr::getPlaceBits() const {
  return 2 * getKept() * getLanes();
}

uint64_t X86SelectFmaAttr::encodePlaces(int64_t lane,
                                        ArrayRef<int64_t> steps) const {
  uint64_t bits = 0;
  for (auto [i, step] : llvm::enumerate(steps))
    bits |= static_cast<uint64_t>(step) << 2 * i;
  return placeBits(bits, lane, getLanes(), 2 * getKept());
}

int64_t X86SelectFmaAttr::getSlot(int64_t lane, int64_t element) const {
  return element * getLanes() + lane;
}

double X86SelectFmaAttr::getPlaceCycles() const { return 1; }

//===-- bytes -------------------------------------------------------------===//

StringRef X86SelectMaddAttr::getInstructionName() const {
  return "x86_select_madd";
}

SmallVector<StringRef> X86SelectMaddAttr::getRequiredFeatures() const {
  return {getLanes() == 16 ? "avx512bw" : "avx2"};
}

bool X86SelectMaddAttr::accepts(Type lhs, Type rhs, Type accumulator, bool,
                                bool) const {
  return lhs.isInteger(8) && rhs.isInteger(8) && accumulator.isInteger(32);
}

int64_t X86SelectMaddAttr::getReductionStep() const { return kGroup; }

int64_t X86SelectMaddAttr::getMaxAccumulators() const {
  return getLanes() == 16 ? 16 : 8;
}

int64_t X86SelectMaddAttr::getLhsOffset(bool) const { return 0; }

bool X86SelectMaddAttr::isTile() const { return false; }

double X86SelectMaddAttr::getCycles() const { return 1.4; }

Type X86SelectMaddAttr::getPackedType(Type rhs) const {
  return IntegerType::get(rhs.getContext(), 8);
}

Type X86SelectMaddAttr::getStagedType(Type lhs) const {
  return IntegerType::get(lhs.getContext(), 16);
}

int64_t X86SelectMaddAttr::getKept() const { return 2; }

Value X86SelectMaddAttr::buildLhs(OpBuilder &b, Location loc, Value elements,
                                  bool lhsUnsigned) const {
  auto four = VectorType::get(kGroup, b.getI16Type());
  if (elements.getType() != four)
    elements = lhsUnsigned
                   ? arith::ExtUIOp::create(b, loc, four, elements).getResult()
                   : arith::ExtSIOp::create(b, loc, four, elements).getResult();
  Value one = vector::ExtractOp::create(
      b, loc,
      vector::BitCastOp::create(b, loc, VectorType::get(1, b.getI64Type()),
                                elements),
      ArrayRef<int64_t>{0});
  Value all = vector::BroadcastOp::create(
      b, loc, VectorType::get(getLanes() / 2, b.getI64Type()), one);
  return vector::BitCastOp::create(
      b, loc, VectorType::get(2 * getLanes(), b.getI16Type()), all);
}

Value X86SelectMaddAttr::buildRhs(OpBuilder &, Location, Value loaded) const {
  return loaded;
}

/// Where vpshufb finds two of four 16-bit elements, by the mask that says
/// which; the lower three bits tell all masks of two apart.
static Value makeShuffles(OpBuilder &b, Location loc, int64_t lanes) {
  SmallVector<int32_t> shuffles(lanes, 0);
  for (int32_t first = 0; first < kGroup; ++first)
    for (int32_t second = first + 1; second < kGroup; ++second)
      shuffles[(1 << first | 1 << second) % lanes] =
          2 * first | (2 * first + 1) << 8 | 2 * second << 16 |
          (2 * second + 1) << 24;
  return arith::ConstantOp::create(
      b, loc,
      DenseElementsAttr::get(VectorType::get(lanes, b.getI32Type()),
                             ArrayRef<int32_t>(shuffles)));
}

/// The stored elements as int16, then the shuffle of each lane.
Value X86SelectMaddAttr::buildSelected(OpBuilder &b, Location loc, Value values,
                                       Value places) const {
  StringRef name = getLanes() == 16 ? "llvm.x86.avx512.permvar.si.512"
                                    : "llvm.x86.avx2.permd";
  Value masks = spreadPlaces(b, loc, places, getLanes(), kGroup);
  Value shuffles = callIntrinsic(b, loc, name, masks.getType(),
                                 {makeShuffles(b, loc, getLanes()), masks});
  auto pairs = VectorType::get(2 * getLanes(), b.getI16Type());
  return concatenate(b, loc, arith::ExtSIOp::create(b, loc, pairs, values),
                     vector::BitCastOp::create(b, loc, pairs, shuffles));
}

Value X86SelectMaddAttr::buildMultiplyAccumulate(OpBuilder &b, Location loc,
                                                 Value lhs, Value rhs,
                                                 Value acc) const {
  bool isWide = getLanes() == 16;
  int64_t count = 2 * getLanes();
  auto bytes = VectorType::get(2 * count, b.getI8Type());
  auto asBytes = [&](Value value) -> Value {
    return vector::BitCastOp::create(b, loc, bytes, value);
  };
  Value picked = callIntrinsic(
      b, loc, isWide ? "llvm.x86.avx512.pshuf.b.512" : "llvm.x86.avx2.pshuf.b",
      bytes, {asBytes(lhs), asBytes(slice(b, loc, rhs, count, count))});
  Value sums = callIntrinsic(
      b, loc,
      isWide ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd",
      acc.getType(),
      {vector::BitCastOp::create(b, loc, lhs.getType(), picked),
       slice(b, loc, rhs, 0, count)});
  return arith::AddIOp::create(b, loc, acc, sums);
}

int64_t X86SelectMaddAttr::getPlaceBits() const { return kGroup * getLanes(); }

uint64_t X86SelectMaddAttr::encodePlaces(int64_t lane,
                                         ArrayRef<int64_t> steps) const {
  uint64_t mask = 0;
  for (int64_t step : steps)
    mask |= uint64_t(1) << step;
  return placeBits(mask, lane, getLanes(), kGroup);
}

int64_t X86SelectMaddAttr::getSlot(int64_t lane, int64_t element) const {
  return 2 * lane + element;
}

double X86SelectMaddAttr::getPlaceCycles() const { return 1.5; }

//===-- table -------------------------------------------------------------===//

void mlir::tamis::appendX86Selections(
    TargetAttr target, SmallVectorImpl<InstructionAttrInterface> &table) {
  if (!target.getArch().starts_with("x86"))
    return;
  MLIRContext *context = target.getContext();
  auto add = [&](InstructionAttrInterface instruction) {
    if (llvm::all_of(instruction.getRequiredFeatures(),
                     [&](StringRef f) { return target.hasFeature(f); }))
      table.push_back(instruction);
  };
  int64_t lanes = target.hasFeature("avx512f") ? 16 : 8;
  add(X86SelectFmaAttr::get(context, lanes, /*kept=*/1));
  add(X86SelectFmaAttr::get(context, lanes, /*kept=*/2));
  add(X86SelectMaddAttr::get(context, target.hasFeature("avx512bw") ? 16 : 8));
}
