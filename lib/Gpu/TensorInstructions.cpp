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

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;
using kernel::IndexBuilder;

/// `first` lanes share a channel: (lane / 4 + a, (lane % 4) * b + c).
static FragmentPlace placeOf(OpBuilder &builder, Location loc, Value lane,
                             int64_t a, int64_t b, int64_t c) {
  IndexBuilder index(loc, builder);
  OpFoldResult group = index.add(index.divide(lane, 4), index.constant(a));
  OpFoldResult inGroup =
      index.add(index.multiply(index.remainder(lane, 4), index.constant(b)),
                index.constant(c));
  return {index.value(group), index.value(inGroup)};
}

//===-- lane_fma ----------------------------------------------------------===//

/// One product of each lane: eight channels and four rows.
static FragmentShape getLaneShape() { return {8, 4, 1, 1, 1, 1, 1}; }

/// (lane / 4, 0) or (lane % 4, 0).
static FragmentPlace placeOfLane(OpBuilder &b, Location loc, Value lane,
                                 bool isRow) {
  FragmentPlace place = placeOf(b, loc, lane, 0, 1, 0);
  return {isRow ? place.second : place.first,
          arith::ConstantIndexOp::create(b, loc, 0)};
}

StringRef LaneFmaAttr::getInstructionName() const { return "lane_fma"; }

bool LaneFmaAttr::accepts(Type lhs, Type rhs, Type accumulator, bool,
                          bool) const {
  return lhs.isF32() && rhs.isF32() && accumulator.isF32();
}

FragmentShape LaneFmaAttr::getShape() const { return getLaneShape(); }

FragmentPlace LaneFmaAttr::buildWeightPlace(OpBuilder &b, Location loc,
                                            Value lane, int64_t) const {
  return placeOfLane(b, loc, lane, /*isRow=*/false);
}

FragmentPlace LaneFmaAttr::buildRowPlace(OpBuilder &b, Location loc, Value lane,
                                         int64_t) const {
  return placeOfLane(b, loc, lane, /*isRow=*/true);
}

FragmentPlace LaneFmaAttr::buildSumPlace(OpBuilder &b, Location loc, Value lane,
                                         int64_t) const {
  return placeOf(b, loc, lane, 0, 1, 0);
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

FragmentPlace LaneDotAttr::buildWeightPlace(OpBuilder &b, Location loc,
                                            Value lane, int64_t) const {
  return placeOfLane(b, loc, lane, /*isRow=*/false);
}

FragmentPlace LaneDotAttr::buildRowPlace(OpBuilder &b, Location loc, Value lane,
                                         int64_t) const {
  return placeOfLane(b, loc, lane, /*isRow=*/true);
}

FragmentPlace LaneDotAttr::buildSumPlace(OpBuilder &b, Location loc, Value lane,
                                         int64_t) const {
  return placeOf(b, loc, lane, 0, 1, 0);
}

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

StringRef MmaAttr::getInstructionName() const {
  return getElement().isInteger(8) ? "mma_s8"
         : getElement().isBF16()   ? "mma_bf16"
                                   : "mma_f16";
}

bool MmaAttr::accepts(Type lhs, Type rhs, Type accumulator, bool, bool) const {
  if (getElement().isInteger(8))
    return isByteProduct(lhs, rhs, accumulator);
  return lhs == getElement() && rhs == getElement() && accumulator.isF32();
}

FragmentShape MmaAttr::getShape() const { return {16, 8, 8, 8, 4, 2, 4}; }

int64_t MmaAttr::getExchangeWords() const {
  return getEmulated() ? countExchangeWords(*this) : 0;
}

FragmentPlace MmaAttr::buildWeightPlace(OpBuilder &b, Location loc, Value lane,
                                        int64_t index) const {
  return placeOf(b, loc, lane, 8 * (index % 2), 1, 4 * (index / 2));
}

FragmentPlace MmaAttr::buildRowPlace(OpBuilder &b, Location loc, Value lane,
                                     int64_t index) const {
  return placeOf(b, loc, lane, 0, 1, 4 * index);
}

FragmentPlace MmaAttr::buildSumPlace(OpBuilder &b, Location loc, Value lane,
                                     int64_t index) const {
  return placeOf(b, loc, lane, 8 * (index / 2), 2, index % 2);
}

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

FragmentPlace MmaSparseAttr::buildWeightPlace(OpBuilder &b, Location loc,
                                              Value lane, int64_t index) const {
  return placeOf(b, loc, lane, 8 * (index % 2), 1, 4 * (index / 2));
}

FragmentPlace MmaSparseAttr::buildRowPlace(OpBuilder &b, Location loc,
                                           Value lane, int64_t index) const {
  return placeOf(b, loc, lane, 0, 1, 4 * index);
}

FragmentPlace MmaSparseAttr::buildSumPlace(OpBuilder &b, Location loc,
                                           Value lane, int64_t index) const {
  return placeOf(b, loc, lane, 8 * (index / 2), 2, index % 2);
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

bool device::multipliesHalf(TargetAttr target) {
  if (getDevice(target) == DeviceKind::None)
    return false;
  Type f16 = Float16Type::get(target.getContext());
  Type f32 = Float32Type::get(target.getContext());
  return llvm::any_of(
      getFragments(target), [&](FragmentAttrInterface instruction) {
        return instruction.accepts(f16, f16, f32, false, false);
      });
}
