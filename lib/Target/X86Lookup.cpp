// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tables of 16 elements on x86-64. Bytes are one vpshufb. Floats fill one
// register of AVX-512; of AVX2 two, which are looked up both and blended by the
// upper bit of the code.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;

SmallVector<StringRef> X86LookupAttr::getRequiredFeatures() const {
  if (getBytes() * getElements() < 64)
    return {"avx2"};
  return {getBytes() == 1 ? "avx512bw" : "avx512f"};
}

int64_t X86LookupAttr::getElementBytes() const { return getBytes(); }

double X86LookupAttr::getCycles() const {
  if (getBytes() == 1)
    return 0.8;
  return getElements() == 8 ? 2.2 : 1;
}

static Value callIntrinsic(OpBuilder &b, Location loc, StringRef name,
                           Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, loc, result, b.getStringAttr(name),
                                       operands)
      .getResult(0);
}

/// `value` in all elements of `type`.
static Value splat(OpBuilder &b, Location loc, VectorType type, int64_t value) {
  return arith::ConstantOp::create(
      b, loc,
      DenseElementsAttr::get(type,
                             b.getIntegerAttr(type.getElementType(), value)));
}

static Value lookUpBytes(OpBuilder &b, Location loc, Value table, Value codes,
                         bool upper) {
  auto type = cast<VectorType>(codes.getType());
  int64_t count = type.getNumElements();
  Value half =
      upper ? arith::ShRUIOp::create(b, loc, codes, splat(b, loc, type, 4))
                  .getResult()
            : arith::AndIOp::create(b, loc, codes, splat(b, loc, type, 15));
  // Shuffles of wide vectors stay within 16 bytes.
  SmallVector<int64_t> repeated;
  for (int64_t i = 0; i < count; ++i)
    repeated.push_back(i % CodebookAttr::kCodes);
  table = vector::ShuffleOp::create(b, loc, table, table, repeated);
  StringRef name = count == 64   ? "llvm.x86.avx512.pshuf.b.512"
                   : count == 32 ? "llvm.x86.avx2.pshuf.b"
                                 : "llvm.x86.ssse3.pshuf.b.128";
  return callIntrinsic(b, loc, name, type, {table, half});
}

Value X86LookupAttr::buildLookup(OpBuilder &b, Location loc, Value table,
                                 Value codes, bool upper) const {
  if (getBytes() == 1)
    return lookUpBytes(b, loc, table, codes, upper);
  // Indices are read from the lowest bits alone.
  auto words = VectorType::get(getElements(), b.getI32Type());
  Value indices = arith::ExtUIOp::create(b, loc, words, codes);
  if (upper)
    indices = arith::ShRUIOp::create(b, loc, indices, splat(b, loc, words, 4));
  Type element = cast<VectorType>(table.getType()).getElementType();
  auto type = VectorType::get(getElements(), element);
  if (getElements() == CodebookAttr::kCodes)
    return callIntrinsic(b, loc, "llvm.x86.avx512.permvar.sf.512", type,
                         {table, indices});
  auto half = [&](int64_t from) -> Value {
    SmallVector<int64_t> elements =
        llvm::to_vector(llvm::seq<int64_t>(from, from + getElements()));
    return callIntrinsic(
        b, loc, "llvm.x86.avx2.permps", type,
        {vector::ShuffleOp::create(b, loc, table, table, elements), indices});
  };
  // The fourth bit becomes the sign, which vblendvps goes by.
  Value sign = vector::BitCastOp::create(
      b, loc, type,
      arith::ShLIOp::create(b, loc, indices, splat(b, loc, words, 28)));
  return callIntrinsic(b, loc, "llvm.x86.avx.blendv.ps.256", type,
                       {half(0), half(getElements()), sign});
}

void mlir::tamis::appendX86Lookups(
    TargetAttr target, SmallVectorImpl<LookupAttrInterface> &table) {
  if (!target.getArch().starts_with("x86"))
    return;
  auto add = [&](int64_t bytes, int64_t elements) {
    auto lookup = X86LookupAttr::get(target.getContext(), bytes, elements);
    if (llvm::all_of(lookup.getRequiredFeatures(),
                     [&](StringRef f) { return target.hasFeature(f); }))
      table.push_back(lookup);
  };
  for (int64_t elements : {16, 8})
    add(4, elements);
  for (int64_t elements : {64, 32, 16})
    add(1, elements);
}
