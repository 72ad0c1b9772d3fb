// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fragment instructions: which word each register of each lane holds, and how
// the product is built. The tables of tensor cores are those of the PTX ISA,
// "Matrix fragments for mma.m16n8k16/k32" and "... sparse mma.m16n8k64": with
// four lanes for each channel and words of 32 bits along the reduction, they
// are one table for all element types.
#include "TensorEmulation.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "tamis/Gpu/Tensor.h"
#include "tamis/Kernels/IndexBuilder.h"
#include "tamis/Target/Target.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;
using kernel::IndexBuilder;

FragmentPlace LanePlace::build(OpBuilder &builder, Location loc,
                               Value lane) const {
  IndexBuilder b(loc, builder);
  OpFoldResult group = b.divide(lane, 4), inGroup = b.remainder(lane, 4);
  OpFoldResult outer = b.add(inner ? inGroup : group, b.constant(first));
  OpFoldResult word =
      b.add(b.multiply(inGroup, b.constant(step)), b.constant(second));
  return {b.value(outer), b.value(word)};
}

//===-- lane_fma ----------------------------------------------------------===//

/// One product of each lane: eight channels and four rows.
static FragmentShape getLaneShape() { return {8, 4, 1, 1, 1, 1, 1}; }

/// The one word of channel lane / 4, of row lane % 4, and their sum.
static constexpr LanePlace kLaneWeight{0, 0, 0}, kLaneRow{0, 0, 0, true},
    kLaneSum{0, 1, 0};

StringRef LaneFmaAttr::getInstructionName() const { return "lane_fma"; }

bool LaneFmaAttr::accepts(Type lhs, Type rhs, Type accumulator, bool,
                          bool) const {
  return lhs.isF32() && (rhs.isF32() || rhs.isInteger(8)) &&
         accumulator.isF32();
}

FragmentShape LaneFmaAttr::getShape() const { return getLaneShape(); }

LanePlace LaneFmaAttr::getWeightPlace(int64_t) const { return kLaneWeight; }

LanePlace LaneFmaAttr::getRowPlace(int64_t) const { return kLaneRow; }

LanePlace LaneFmaAttr::getSumPlace(int64_t) const { return kLaneSum; }

Value LaneFmaAttr::buildDecode(OpBuilder &b, Location loc, Value codes,
                               int64_t low) const {
  // A code in the lowest bits of 2^23 is as much more than 2^23.
  constexpr float kBase = 0x1p23f;
  auto bits = b.getI32IntegerAttr(llvm::bit_cast<int32_t>(kBase));
  Value biased = arith::OrIOp::create(b, loc, codes,
                                      arith::ConstantOp::create(b, loc, bits));
  Value base =
      arith::ConstantOp::create(b, loc, b.getF32FloatAttr(kBase - low));
  return arith::SubFOp::create(
      b, loc, arith::BitcastOp::create(b, loc, b.getF32Type(), biased), base);
}

SmallVector<Value>
LaneFmaAttr::buildMultiply(OpBuilder &b, Location loc,
                           const FragmentOperands &operands) const {
  return {math::FmaOp::create(b, loc, operands.weights[0], operands.rows[0],
                              operands.sums[0])};
}

//===-- lane_dot ----------------------------------------------------------===//

StringRef LaneDotAttr::getInstructionName() const {
  return getNative() ? "dp4a" : "lane_dot";
}

static bool isByteProduct(Type lhs, Type rhs, Type accumulator) {
  return lhs.isInteger(8) && rhs.isInteger(8) && accumulator.isInteger(32);
}

bool LaneDotAttr::accepts(Type lhs, Type rhs, Type accumulator, bool,
                          bool) const {
  return isByteProduct(lhs, rhs, accumulator);
}

FragmentShape LaneDotAttr::getShape() const { return getLaneShape(); }

LanePlace LaneDotAttr::getWeightPlace(int64_t) const { return kLaneWeight; }

LanePlace LaneDotAttr::getRowPlace(int64_t) const { return kLaneRow; }

LanePlace LaneDotAttr::getSumPlace(int64_t) const { return kLaneSum; }

SmallVector<Value>
LaneDotAttr::buildMultiply(OpBuilder &b, Location loc,
                           const FragmentOperands &operands) const {
  if (!getNative())
    return {buildWordProduct(b, loc, b.getI8Type(), operands.weights[0],
                             operands.rows[0], operands.sums[0],
                             operands.weightsUnsigned, operands.rowsUnsigned)};
  auto signedness = [](bool isUnsigned) {
    return isUnsigned ? NVVM::DotAccumulateType::UNSIGNED
                      : NVVM::DotAccumulateType::SIGNED;
  };
  auto bytes = [&](Value word) -> Value {
    return LLVM::BitcastOp::create(b, loc, VectorType::get(4, b.getI8Type()),
                                   word);
  };
  return {NVVM::DotAccumulate4WayOp::create(
      b, loc, b.getI32Type(), bytes(operands.weights[0]),
      signedness(operands.weightsUnsigned), bytes(operands.rows[0]),
      signedness(operands.rowsUnsigned), operands.sums[0])};
}

//===-- mma ---------------------------------------------------------------===//

// Tensor cores' registers, of all types, dense or not.
static LanePlace placeWeight(int64_t index) {
  return {8 * (index % 2), 1, 4 * (index / 2)};
}

static LanePlace placeRow(int64_t index) { return {0, 1, 4 * index}; }

static LanePlace placeSum(int64_t index) {
  return {8 * (index / 2), 2, index % 2};
}

StringRef MmaAttr::getInstructionName() const {
  return getElement().isInteger(8) ? "mma_s8"
         : getElement().isBF16()   ? "mma_bf16"
                                   : "mma_f16";
}

bool MmaAttr::accepts(Type lhs, Type rhs, Type accumulator, bool, bool) const {
  if (getElement().isInteger(8))
    return isByteProduct(lhs, rhs, accumulator);
  // A code of 8 bits fits in the mantissa of float16.
  bool isCode = getElement().isF16() && rhs.isInteger(8);
  return lhs == getElement() && (rhs == getElement() || isCode) &&
         accumulator.isF32();
}

FragmentShape MmaAttr::getShape() const { return {16, 8, 8, 8, 4, 2, 4}; }

int64_t MmaAttr::getExchangeWords() const {
  return getEmulated() ? countExchangeWords(*this) : 0;
}

LanePlace MmaAttr::getWeightPlace(int64_t index) const {
  return placeWeight(index);
}

LanePlace MmaAttr::getRowPlace(int64_t index) const { return placeRow(index); }

LanePlace MmaAttr::getSumPlace(int64_t index) const { return placeSum(index); }

static NVVM::MMATypes getByteType(bool isUnsigned) {
  return isUnsigned ? NVVM::MMATypes::u8 : NVVM::MMATypes::s8;
}

/// The registers of the struct an nvvm product returns.
static SmallVector<Value> unpack(OpBuilder &b, Location loc, Value result) {
  SmallVector<Value> sums;
  for (int64_t i = 0; i < 4; ++i)
    sums.push_back(LLVM::ExtractValueOp::create(b, loc, result, i));
  return sums;
}

static Type getSumStruct(Type sum) {
  return LLVM::LLVMStructType::getLiteral(sum.getContext(),
                                          SmallVector<Type>(4, sum));
}

Value MmaAttr::buildDecode(OpBuilder &b, Location loc, Value codes,
                           int64_t low) const {
  // A code in the lowest bits of 1024, a float16, is as much more than 1024.
  constexpr int32_t kBases = 0x64006400;
  Value biased = arith::OrIOp::create(
      b, loc, codes,
      arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(kBases)));
  double base = 1024 - low;
  if (getEmulated())
    return buildHalvesDifference(b, loc, biased, base);
  auto pair = VectorType::get(2, getElement());
  Value bases = arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(pair, b.getF16FloatAttr(base).getValue()));
  Value difference = arith::SubFOp::create(
      b, loc, LLVM::BitcastOp::create(b, loc, pair, biased), bases);
  return LLVM::BitcastOp::create(b, loc, b.getI32Type(), difference);
}

SmallVector<Value>
MmaAttr::buildMultiply(OpBuilder &b, Location loc,
                       const FragmentOperands &operands) const {
  if (getEmulated())
    return buildEmulatedProduct(b, loc, *this, getElement(), operands);
  SmallVector<Value> weights(operands.weights), rows(operands.rows);
  std::array<NVVM::MMATypes, 2> types{getByteType(operands.weightsUnsigned),
                                      getByteType(operands.rowsUnsigned)};
  std::optional<NVVM::MMAIntOverflow> overflow = NVVM::MMAIntOverflow::wrapped;
  int64_t depth = 32;
  if (!getElement().isInteger(8)) {
    depth = 16;
    overflow = std::nullopt;
    types.fill(getElement().isBF16() ? NVVM::MMATypes::bf16
                                     : NVVM::MMATypes::f16);
    // nvvm takes pairs of float16, but bfloat16 as words.
    if (getElement().isF16())
      for (SmallVector<Value> *words : {&weights, &rows})
        for (Value &word : *words)
          word = LLVM::BitcastOp::create(
              b, loc, VectorType::get(2, getElement()), word);
  }
  Value result = NVVM::MmaOp::create(
      b, loc, getSumStruct(operands.sums[0].getType()), weights, rows,
      operands.sums, ArrayRef<int64_t>{16, 8, depth}, std::nullopt, overflow,
      types,
      std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row,
                                     NVVM::MMALayout::col});
  return unpack(b, loc, result);
}

//===-- mma_sparse --------------------------------------------------------===//

StringRef MmaSparseAttr::getInstructionName() const { return "mma_sp_s8"; }

bool MmaSparseAttr::accepts(Type lhs, Type rhs, Type accumulator, bool,
                            bool) const {
  return isByteProduct(lhs, rhs, accumulator);
}

bool MmaSparseAttr::isSparse() const { return true; }

FragmentShape MmaSparseAttr::getShape() const {
  return {16, 8, 16, 8, 4, 4, 4};
}

int64_t MmaSparseAttr::getExchangeWords() const {
  return getEmulated() ? countExchangeWords(*this) : 0;
}

LanePlace MmaSparseAttr::getWeightPlace(int64_t index) const {
  return placeWeight(index);
}

LanePlace MmaSparseAttr::getRowPlace(int64_t index) const {
  return placeRow(index);
}

LanePlace MmaSparseAttr::getSumPlace(int64_t index) const {
  return placeSum(index);
}

SmallVector<Value>
MmaSparseAttr::buildMultiply(OpBuilder &b, Location loc,
                             const FragmentOperands &operands) const {
  if (getEmulated())
    return buildEmulatedProduct(b, loc, *this, b.getI8Type(), operands);
  // All four lanes of a channel give metadata, so the selector is zero.
  Value selector =
      LLVM::ConstantOp::create(b, loc, b.getI32Type(), b.getI32IntegerAttr(0));
  auto product = NVVM::MmaSpOp::create(
      b, loc, getSumStruct(b.getI32Type()), operands.weights, operands.rows,
      operands.sums, operands.metadata, selector, ArrayRef<int64_t>{16, 8, 64},
      NVVM::MMAIntOverflow::wrapped,
      std::array<NVVM::MMATypes, 2>{getByteType(operands.weightsUnsigned),
                                    getByteType(operands.rowsUnsigned)});
  product.setOrderedMetadata(true);
  return unpack(b, loc, product);
}

MetadataPlace device::getMetadataPlace(int64_t channel, int64_t chunk) {
  return {channel % 8 * 4 + channel / 8 + 2 * (chunk / 8), chunk % 8 * 4};
}

//===-- codes -------------------------------------------------------------===//

CodeLayout::CodeLayout(FragmentAttrInterface instruction, CodesAttr codes,
                       int64_t slots)
    : bits(codes.getBits()), slots(slots), registers(32 / (bits * slots)) {
  FragmentShape shape = instruction.getShape();
  steps = std::max<int64_t>(1, registers / shape.weightRegisters);
  words = steps * shape.weightRegisters / registers;
  lanes = instruction.getWeightPlace(0).step == 0 ? kLanes / 4 : kLanes;
}

uint32_t CodeLayout::getMask() const {
  uint32_t mask = 0;
  for (int64_t slot = 0; slot < slots; ++slot)
    mask |= ((uint32_t(1) << bits) - 1) << (32 / slots * slot);
  return mask;
}

//===-- table -------------------------------------------------------------===//

SmallVector<FragmentAttrInterface> device::getFragments(TargetAttr target) {
  MLIRContext *context = target.getContext();
  bool native = getDevice(target) == DeviceKind::Nvptx;
  SmallVector<FragmentAttrInterface> table;
  if (target.hasFeature("mma-sp"))
    table.push_back(MmaSparseAttr::get(context, !native));
  if (target.hasFeature("mma"))
    for (Type element :
         {Type(IntegerType::get(context, 8)), Type(Float16Type::get(context)),
          Type(BFloat16Type::get(context))})
      table.push_back(MmaAttr::get(context, element, !native));
  table.push_back(LaneDotAttr::get(context, native));
  table.push_back(LaneFmaAttr::get(context));
  return table;
}

/// True if a fragment of `target` multiplies `lhs` by `rhs` into float32.
static bool multiplies(TargetAttr target, Type lhs, Type rhs) {
  if (getDevice(target) == DeviceKind::None)
    return false;
  Type f32 = Float32Type::get(target.getContext());
  return llvm::any_of(getFragments(target),
                      [&](FragmentAttrInterface instruction) {
                        return instruction.accepts(lhs, rhs, f32, false, false);
                      });
}

bool device::multipliesHalf(TargetAttr target) {
  if (!target)
    return false;
  Type f16 = Float16Type::get(target.getContext());
  return multiplies(target, f16, f16);
}

bool device::multipliesCodes(TargetAttr target, Type lhs) {
  return multiplies(target, lhs, IntegerType::get(lhs.getContext(), 8));
}
