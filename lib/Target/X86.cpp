// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Instructions of x86-64: 8-bit dot products (vpmaddwd on widened pairs,
// vpdpbusd, AMX tiles), which are exact, vpmaddubsw, which is so within a bound
// that it states, and bfloat16 products, for those who allow them.
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;

static bool areBytes(Type lhs, Type rhs, Type accumulator) {
  return lhs.isInteger(8) && rhs.isInteger(8) && accumulator.isInteger(32);
}

static bool areBfloats(Type lhs, Type rhs, Type accumulator) {
  return lhs.isBF16() && rhs.isBF16() && accumulator.isF32();
}

/// The left operand of a dot product: `elements` (8 to 32 bits together) in
/// every 32-bit lane, or as they are where a depthwise contraction hands over a
/// whole vector.
static Value broadcastGroup(OpBuilder &b, Location loc, Value elements,
                            int64_t lanes) {
  auto type = cast<VectorType>(elements.getType());
  if (type.getNumElements() * type.getElementTypeBitWidth() == lanes * 32)
    return elements;
  auto one = VectorType::get(1, b.getI32Type());
  Value group = vector::BitCastOp::create(b, loc, one, elements);
  Value word = vector::ExtractOp::create(b, loc, group, ArrayRef<int64_t>{0});
  Value all = vector::BroadcastOp::create(
      b, loc, VectorType::get(lanes, b.getI32Type()), word);
  return vector::BitCastOp::create(
      b, loc,
      VectorType::get(lanes * type.getNumElements(), type.getElementType()),
      all);
}

/// Signed bytes by bytes of 0 to 15.
static bool areBytesAndNibbles(Type lhs, Type rhs, Type accumulator,
                               bool lhsUnsigned) {
  return lhs.isInteger(8) && !lhsUnsigned && rhs.isInteger(4) &&
         accumulator.isInteger(32);
}

static Value callIntrinsic(OpBuilder &b, Location loc, StringRef name,
                           Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, loc, result, b.getStringAttr(name),
                                       operands)
      .getResult(0);
}

/// The same of bytes for a multiplicand that is unsigned: s8 + 128 is u8 with
/// the top bit turned.
static Value broadcastUnsigned(OpBuilder &b, Location loc, Value elements,
                               bool isUnsigned, int64_t lanes) {
  if (!isUnsigned) {
    Value top = arith::ConstantOp::create(
        b, loc,
        DenseElementsAttr::get(cast<ShapedType>(elements.getType()),
                               APInt(8, 128)));
    elements = arith::XOrIOp::create(b, loc, elements, top);
  }
  return broadcastGroup(b, loc, elements, lanes);
}

//===-- vpmaddwd ----------------------------------------------------------===//

StringRef X86MaddAttr::getInstructionName() const {
  return getQuads() ? "x86_madd_quads" : "x86_madd";
}

SmallVector<StringRef> X86MaddAttr::getRequiredFeatures() const {
  return {getLanes() == 16 ? "avx512bw" : getLanes() == 8 ? "avx2" : "sse2"};
}

bool X86MaddAttr::accepts(Type lhs, Type rhs, Type accumulator, bool,
                          bool) const {
  return areBytes(lhs, rhs, accumulator);
}

int64_t X86MaddAttr::getReductionStep() const { return getQuads() ? 4 : 2; }

int64_t X86MaddAttr::getMaxAccumulators() const {
  // A product needs a register before it is added.
  return getLanes() == 16 ? 24 : 10;
}

int64_t X86MaddAttr::getLhsOffset(bool) const { return 0; }

bool X86MaddAttr::isTile() const { return false; }

double X86MaddAttr::getCycles() const { return getQuads() ? 1.5 : 0.75; }

Type X86MaddAttr::getPackedType(Type rhs) const {
  return IntegerType::get(rhs.getContext(), 8);
}

Type X86MaddAttr::getStagedType(Type lhs) const {
  return getQuads() ? Type() : IntegerType::get(lhs.getContext(), 16);
}

/// Bytes of 32-bit words as int16 in their order, first the even ones, then the
/// odd ones: two registers.
static Value splitPairs(OpBuilder &b, Location loc, Value bytes,
                        bool isUnsigned) {
  int64_t count = cast<VectorType>(bytes.getType()).getNumElements();
  auto halves = VectorType::get(count / 2, b.getI16Type());
  Value eight = arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(halves, b.getI16IntegerAttr(8)));
  Value both = vector::BitCastOp::create(b, loc, halves, bytes);
  Value low = arith::ShLIOp::create(b, loc, both, eight);
  auto widen = [&](Value high) -> Value {
    if (isUnsigned)
      return arith::ShRUIOp::create(b, loc, high, eight);
    return arith::ShRSIOp::create(b, loc, high, eight);
  };
  SmallVector<int64_t> inOrder = llvm::to_vector(llvm::seq<int64_t>(0, count));
  return vector::ShuffleOp::create(b, loc, widen(low), widen(both), inOrder);
}

Value X86MaddAttr::buildLhs(OpBuilder &b, Location loc, Value elements,
                            bool lhsUnsigned) const {
  if (getQuads())
    return splitPairs(b, loc, broadcastGroup(b, loc, elements, getLanes()),
                      lhsUnsigned);
  if (getElementTypeOrSelf(elements.getType()).isInteger(16))
    return broadcastGroup(b, loc, elements, getLanes());
  int64_t count = cast<VectorType>(elements.getType()).getNumElements();
  auto wide = VectorType::get(count, b.getI16Type());
  Value pair = lhsUnsigned
                   ? arith::ExtUIOp::create(b, loc, wide, elements).getResult()
                   : arith::ExtSIOp::create(b, loc, wide, elements).getResult();
  return broadcastGroup(b, loc, pair, getLanes());
}

Value X86MaddAttr::buildRhs(OpBuilder &b, Location loc, Value loaded) const {
  if (getQuads())
    return splitPairs(b, loc, loaded, /*isUnsigned=*/false);
  return arith::ExtSIOp::create(
      b, loc, VectorType::get(2 * getLanes(), b.getI16Type()), loaded);
}

Value X86MaddAttr::buildMultiplyAccumulate(OpBuilder &b, Location loc,
                                           Value lhs, Value rhs,
                                           Value acc) const {
  StringRef name = getLanes() == 16  ? "llvm.x86.avx512.pmaddw.d.512"
                   : getLanes() == 8 ? "llvm.x86.avx2.pmadd.wd"
                                     : "llvm.x86.sse2.pmadd.wd";
  auto multiply = [&](Value lhs, Value rhs) -> Value {
    return callIntrinsic(b, loc, name, acc.getType(), {lhs, rhs});
  };
  if (!getQuads())
    return arith::AddIOp::create(b, loc, acc, multiply(lhs, rhs));
  Value sum;
  for (int64_t half : {0, 1}) {
    SmallVector<int64_t> lanes = llvm::to_vector(
        llvm::seq<int64_t>(half * 2 * getLanes(), (half + 1) * 2 * getLanes()));
    auto halfOf = [&](Value both) -> Value {
      return vector::ShuffleOp::create(b, loc, both, both, lanes);
    };
    Value product = multiply(halfOf(lhs), halfOf(rhs));
    sum = half == 0 ? product
                    : arith::AddIOp::create(b, loc, sum, product).getResult();
  }
  return arith::AddIOp::create(b, loc, acc, sum);
}

//===-- vpmaddubsw --------------------------------------------------------===//

StringRef X86MaddubsAttr::getInstructionName() const { return "x86_maddubs"; }

SmallVector<StringRef> X86MaddubsAttr::getRequiredFeatures() const {
  return {getLanes() == 16 ? "avx512bw" : "avx2"};
}

bool X86MaddubsAttr::accepts(Type lhs, Type rhs, Type accumulator,
                             bool lhsUnsigned, bool) const {
  if (getSwapped())
    return areBytesAndNibbles(lhs, rhs, accumulator, lhsUnsigned);
  return areBytes(lhs, rhs, accumulator);
}

int64_t X86MaddubsAttr::getReductionStep() const { return 4; }

int64_t X86MaddubsAttr::getMaxAccumulators() const {
  return getLanes() == 16 ? 24 : 10;
}

int64_t X86MaddubsAttr::getLhsOffset(bool lhsUnsigned) const {
  return lhsUnsigned || getSwapped() ? 0 : 128;
}

bool X86MaddubsAttr::isTile() const { return false; }

double X86MaddubsAttr::getCycles() const { return getSwapped() ? 1.25 : 1.1; }

int64_t X86MaddubsAttr::getPairBound() const {
  // 255 * 128 is less than 2^15, and so is 2 * 15 * 128.
  return getSwapped() ? 0 : 128;
}

Type X86MaddubsAttr::getPackedType(Type rhs) const {
  return IntegerType::get(rhs.getContext(), 8);
}

Value X86MaddubsAttr::buildLhs(OpBuilder &b, Location loc, Value elements,
                               bool lhsUnsigned) const {
  return broadcastUnsigned(b, loc, elements, lhsUnsigned || getSwapped(),
                           getLanes());
}

Value X86MaddubsAttr::buildRhs(OpBuilder &, Location, Value loaded) const {
  return loaded;
}

Value X86MaddubsAttr::buildMultiplyAccumulate(OpBuilder &b, Location loc,
                                              Value lhs, Value rhs,
                                              Value acc) const {
  return buildWiden(b, loc, buildNarrowProduct(b, loc, lhs, rhs, Value()), acc);
}

int64_t X86MaddubsAttr::getNarrowSteps() const {
  // 8 * 2 * 15 * 128 is less than 2^15.
  return getSwapped() ? 8 : 0;
}

Value X86MaddubsAttr::buildNarrowProduct(OpBuilder &b, Location loc, Value lhs,
                                         Value rhs, Value sum) const {
  if (getSwapped())
    std::swap(lhs, rhs);
  StringRef name = getLanes() == 16 ? "llvm.x86.avx512.pmaddubs.w.512"
                                    : "llvm.x86.avx2.pmadd.ub.sw";
  Value pairs = callIntrinsic(b, loc, name,
                              VectorType::get(2 * getLanes(), b.getI16Type()),
                              {lhs, rhs});
  return sum ? arith::AddIOp::create(b, loc, sum, pairs).getResult() : pairs;
}

Value X86MaddubsAttr::buildWiden(OpBuilder &b, Location loc, Value sum,
                                 Value acc) const {
  Value ones = arith::ConstantOp::create(
      b, loc,
      DenseElementsAttr::get(cast<ShapedType>(sum.getType()),
                             b.getI16IntegerAttr(1)));
  StringRef name = getLanes() == 16 ? "llvm.x86.avx512.pmaddw.d.512"
                                    : "llvm.x86.avx2.pmadd.wd";
  Value wide = callIntrinsic(b, loc, name, acc.getType(), {sum, ones});
  return arith::AddIOp::create(b, loc, acc, wide);
}

//===-- vpdpbusd ----------------------------------------------------------===//

StringRef X86VnniAttr::getInstructionName() const { return "x86_vnni"; }

SmallVector<StringRef> X86VnniAttr::getRequiredFeatures() const {
  if (getLanes() == 16)
    return {"avx512f", "avx512vnni"};
  return {"avxvnni"};
}

bool X86VnniAttr::accepts(Type lhs, Type rhs, Type accumulator,
                          bool lhsUnsigned, bool) const {
  if (getSwapped() && areBytesAndNibbles(lhs, rhs, accumulator, lhsUnsigned))
    return true;
  return areBytes(lhs, rhs, accumulator) && !(getSwapped() && lhsUnsigned);
}

int64_t X86VnniAttr::getReductionStep() const { return 4; }

int64_t X86VnniAttr::getMaxAccumulators() const {
  return getLanes() == 16 ? 28 : 12;
}

int64_t X86VnniAttr::getLhsOffset(bool lhsUnsigned) const {
  return lhsUnsigned || getSwapped() ? 0 : 128;
}

int64_t X86VnniAttr::getRhsOffset(bool rhsUnsigned) const {
  int64_t toSigned = rhsUnsigned ? -128 : 0;
  return getSwapped() ? toSigned + 128 : toSigned;
}

bool X86VnniAttr::isTile() const { return false; }

Type X86VnniAttr::getPackedType(Type rhs) const {
  return IntegerType::get(rhs.getContext(), 8);
}

Value X86VnniAttr::buildLhs(OpBuilder &b, Location loc, Value elements,
                            bool lhsUnsigned) const {
  return broadcastUnsigned(b, loc, elements, lhsUnsigned || getSwapped(),
                           getLanes());
}

Value X86VnniAttr::buildRhs(OpBuilder &, Location, Value loaded) const {
  return loaded;
}

Value X86VnniAttr::buildMultiplyAccumulate(OpBuilder &b, Location loc,
                                           Value lhs, Value rhs,
                                           Value acc) const {
  StringRef name = getLanes() == 16 ? "llvm.x86.avx512.vpdpbusd.512"
                                    : "llvm.x86.avx512.vpdpbusd.256";
  if (getSwapped())
    std::swap(lhs, rhs);
  return callIntrinsic(b, loc, name, acc.getType(), {acc, lhs, rhs});
}

//===-- vdpbf16ps ---------------------------------------------------------===//

StringRef X86DotBf16Attr::getInstructionName() const { return "x86_dot_bf16"; }

SmallVector<StringRef> X86DotBf16Attr::getRequiredFeatures() const {
  return {"avx512f", "avx512bw", "avx512bf16"};
}

bool X86DotBf16Attr::accepts(Type lhs, Type rhs, Type accumulator, bool,
                             bool) const {
  return areBfloats(lhs, rhs, accumulator);
}

int64_t X86DotBf16Attr::getReductionStep() const { return 2; }

int64_t X86DotBf16Attr::getLanes() const { return 16; }

int64_t X86DotBf16Attr::getMaxAccumulators() const { return 28; }

int64_t X86DotBf16Attr::getLhsOffset(bool) const { return 0; }

bool X86DotBf16Attr::isTile() const { return false; }

Type X86DotBf16Attr::getPackedType(Type rhs) const { return rhs; }

Value X86DotBf16Attr::buildLhs(OpBuilder &b, Location loc, Value elements,
                               bool) const {
  return broadcastGroup(b, loc, elements, getLanes());
}

Value X86DotBf16Attr::buildRhs(OpBuilder &, Location, Value loaded) const {
  return loaded;
}

Value X86DotBf16Attr::buildMultiplyAccumulate(OpBuilder &b, Location loc,
                                              Value lhs, Value rhs,
                                              Value acc) const {
  return callIntrinsic(b, loc, "llvm.x86.avx512bf16.dpbf16ps.512",
                       acc.getType(), {acc, lhs, rhs});
}

//===-- AMX ---------------------------------------------------------------===//

/// A tile product is 16 rows of 16 vectors.
static constexpr double kTileCycles = 16.0 / (16 * 16);

static Value buildAmxZero(OpBuilder &b, Location loc, int64_t rows,
                          int64_t columns, Type element) {
  return amx::TileZeroOp::create(b, loc,
                                 amx::TileType::get({rows, columns}, element));
}

static Value buildAmxLoad(OpBuilder &b, Location loc, Value flat, Value offset,
                          Value stride, int64_t rows, int64_t columns,
                          Type element, bool streamed) {
  auto type = amx::TileType::get({rows, columns}, element);
  if (!streamed)
    return amx::TileLoadOp::create(b, loc, type, flat, offset, stride);
  // The dialect has no tileloaddt1.
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  Value size = arith::ConstantIndexOp::create(b, loc, bytes);
  auto toBytes = [&](Value elements) -> Value {
    return arith::MulIOp::create(b, loc, elements, size);
  };
  auto asInteger = [&](Value index) -> Value {
    return arith::IndexCastOp::create(b, loc, b.getI64Type(), index);
  };
  auto asShape = [&](int64_t extent) -> Value {
    return arith::ConstantOp::create(
        b, loc, b.getI16IntegerAttr(static_cast<int16_t>(extent)));
  };
  auto view = memref::ExtractStridedMetadataOp::create(b, loc, flat);
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, flat);
  Value from = arith::AddIOp::create(b, loc, view.getOffset(), offset);
  Value address = arith::AddIOp::create(b, loc, base, toBytes(from));
  Value pointer = LLVM::IntToPtrOp::create(
      b, loc, LLVM::LLVMPointerType::get(b.getContext()), asInteger(address));
  Value tile = callIntrinsic(b, loc, "llvm.x86.tileloaddt164.internal",
                             LLVM::LLVMX86AMXType::get(b.getContext()),
                             {asShape(rows), asShape(columns * bytes), pointer,
                              asInteger(toBytes(stride))});
  return UnrealizedConversionCastOp::create(b, loc, TypeRange{type}, tile)
      .getResult(0);
}

StringRef X86AmxInt8Attr::getInstructionName() const { return "x86_amx_int8"; }

SmallVector<StringRef> X86AmxInt8Attr::getRequiredFeatures() const {
  SmallVector<StringRef> features =
      getRemainderInstruction().getRequiredFeatures();
  features.append({"amx-tile", "amx-int8"});
  return features;
}

bool X86AmxInt8Attr::accepts(Type lhs, Type rhs, Type accumulator,
                             bool lhsUnsigned, bool) const {
  if (getNibbles())
    return areBytesAndNibbles(lhs, rhs, accumulator, lhsUnsigned);
  return areBytes(lhs, rhs, accumulator);
}

int64_t X86AmxInt8Attr::getReductionStep() const { return 4; }

double X86AmxInt8Attr::getCycles() const { return kTileCycles; }

Type X86AmxInt8Attr::getPackedType(Type rhs) const {
  return IntegerType::get(rhs.getContext(), 8);
}

InstructionAttrInterface X86AmxInt8Attr::getRemainderInstruction() const {
  if (getQuads())
    return X86MaddAttr::get(getContext(), 16, /*quads=*/true);
  return X86VnniAttr::get(getContext(), 16, /*swapped=*/getNibbles());
}

Value X86AmxInt8Attr::buildTileZero(OpBuilder &b, Location loc, int64_t rows,
                                    int64_t columns) const {
  return buildAmxZero(b, loc, rows, columns, b.getI32Type());
}

Value X86AmxInt8Attr::buildTileLoad(OpBuilder &b, Location loc, Value flat,
                                    Value offset, Value stride, int64_t rows,
                                    int64_t columns, bool streamed) const {
  return buildAmxLoad(b, loc, flat, offset, stride, rows, columns,
                      b.getI8Type(), streamed);
}

Value X86AmxInt8Attr::buildTileMultiply(OpBuilder &b, Location loc, Value lhs,
                                        Value rhs, Value acc, bool lhsUnsigned,
                                        bool rhsUnsigned) const {
  return amx::TileMulIOp::create(b, loc, acc.getType(), lhs, rhs, acc,
                                 lhsUnsigned, rhsUnsigned);
}

void X86AmxInt8Attr::buildTileStore(OpBuilder &b, Location loc, Value tile,
                                    Value scratch, Value offset,
                                    Value stride) const {
  amx::TileStoreOp::create(b, loc, scratch, offset, tile, stride);
}

StringRef X86AmxBf16Attr::getInstructionName() const { return "x86_amx_bf16"; }

SmallVector<StringRef> X86AmxBf16Attr::getRequiredFeatures() const {
  return {"amx-tile", "amx-bf16", "avx512f", "avx512bw", "avx512bf16"};
}

bool X86AmxBf16Attr::accepts(Type lhs, Type rhs, Type accumulator, bool,
                             bool) const {
  return areBfloats(lhs, rhs, accumulator);
}

int64_t X86AmxBf16Attr::getReductionStep() const { return 2; }

double X86AmxBf16Attr::getCycles() const { return kTileCycles; }

Type X86AmxBf16Attr::getPackedType(Type rhs) const { return rhs; }

InstructionAttrInterface X86AmxBf16Attr::getRemainderInstruction() const {
  return X86DotBf16Attr::get(getContext());
}

Value X86AmxBf16Attr::buildTileZero(OpBuilder &b, Location loc, int64_t rows,
                                    int64_t columns) const {
  return buildAmxZero(b, loc, rows, columns, b.getF32Type());
}

Value X86AmxBf16Attr::buildTileLoad(OpBuilder &b, Location loc, Value flat,
                                    Value offset, Value stride, int64_t rows,
                                    int64_t columns, bool streamed) const {
  return buildAmxLoad(b, loc, flat, offset, stride, rows, columns,
                      b.getBF16Type(), streamed);
}

Value X86AmxBf16Attr::buildTileMultiply(OpBuilder &b, Location loc, Value lhs,
                                        Value rhs, Value acc, bool,
                                        bool) const {
  return amx::TileMulFOp::create(b, loc, acc.getType(), lhs, rhs, acc);
}

void X86AmxBf16Attr::buildTileStore(OpBuilder &b, Location loc, Value tile,
                                    Value scratch, Value offset,
                                    Value stride) const {
  amx::TileStoreOp::create(b, loc, scratch, offset, tile, stride);
}

//===-- table -------------------------------------------------------------===//

static void addAvailable(TargetAttr target,
                         ArrayRef<InstructionAttrInterface> instructions,
                         SmallVectorImpl<InstructionAttrInterface> &table) {
  for (InstructionAttrInterface instruction : instructions)
    if (target.getArch().starts_with("x86") &&
        llvm::all_of(instruction.getRequiredFeatures(),
                     [&](StringRef f) { return target.hasFeature(f); }))
      table.push_back(instruction);
}

void mlir::tamis::appendX86Instructions(
    TargetAttr target, bool allowBf16,
    SmallVectorImpl<InstructionAttrInterface> &table) {
  MLIRContext *context = target.getContext();
  auto add = [&](InstructionAttrInterface instruction) {
    addAvailable(target, instruction, table);
  };
  add(X86AmxInt8Attr::get(context, /*nibbles=*/false, /*quads=*/false));
  if (allowBf16) {
    add(X86AmxBf16Attr::get(context));
    add(X86DotBf16Attr::get(context));
  }
  add(X86VnniAttr::get(context, 16, /*swapped=*/false));
  add(X86VnniAttr::get(context, 8, /*swapped=*/false));
  add(X86MaddubsAttr::get(context, 16, /*swapped=*/false));
  add(X86MaddubsAttr::get(context, 8, /*swapped=*/false));
  add(X86MaddAttr::get(context, 16, /*quads=*/false));
  add(X86MaddAttr::get(context, 8, /*quads=*/false));
  add(X86MaddAttr::get(context, 4, /*quads=*/false));
  // Of bitmasks only: panels are read as fast by the one above.
  add(X86MaddAttr::get(context, 8, /*quads=*/true));
}

void mlir::tamis::appendX86BlockInstructions(
    TargetAttr target, SmallVectorImpl<InstructionAttrInterface> &table) {
  MLIRContext *context = target.getContext();
  addAvailable(target,
               {X86AmxInt8Attr::get(context, /*nibbles=*/true, /*quads=*/false),
                X86AmxInt8Attr::get(context, /*nibbles=*/false, /*quads=*/true),
                X86VnniAttr::get(context, 16, /*swapped=*/true),
                X86VnniAttr::get(context, 8, /*swapped=*/true),
                X86MaddubsAttr::get(context, 16, /*swapped=*/true),
                X86MaddubsAttr::get(context, 8, /*swapped=*/true)},
               table);
}
