// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Expansions of bitmasks on x86-64. AVX-512 has them as instructions. AVX2
// looks the places of a mask's units up in a table of 256 rows of 8 or 16 bytes
// and shuffles; indices made by pdep are slower (6 against 10.7 billion floats
// a second on Zen 3).
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;

//===-- shuffles ----------------------------------------------------------===//

static constexpr int64_t kShuffled = 8;
/// Bytes of a row: an index of 8 bits for each unit, or for each of its bytes.
static int64_t getRowBytes(int64_t unitBytes) {
  return unitBytes == 2 ? 16 : 8;
}

SmallVector<StringRef> X86ShuffleAttr::getRequiredFeatures() const {
  return {"avx2"};
}

int64_t X86ShuffleAttr::getUnits() const { return kShuffled; }

int64_t X86ShuffleAttr::getUnitBytes() const { return getBytes(); }

double X86ShuffleAttr::getCycles() const { return getBytes() == 2 ? 1.1 : 1.6; }

/// The table of the module around; made on first use. Units that are not there
/// have the top bit, which makes vpshufb write zero.
static Value getTable(OpBuilder &b, Location loc, int64_t unitBytes) {
  constexpr int64_t masks = 1 << kShuffled;
  int64_t row = getRowBytes(unitBytes), perUnit = row / kShuffled;
  auto type = MemRefType::get({masks * row}, b.getI8Type());
  std::string name = "tamis_shuffle" + std::to_string(unitBytes);
  Operation *at = b.getInsertionBlock()->getParentOp();
  auto module = at->getParentOfType<ModuleOp>();
  if (!module.lookupSymbol(name)) {
    SmallVector<int8_t> table;
    for (int64_t mask = 0; mask < masks; ++mask) {
      int64_t next = 0;
      for (int64_t unit = 0; unit < kShuffled; ++unit) {
        bool present = mask >> unit & 1;
        for (int64_t byte = 0; byte < perUnit; ++byte)
          table.push_back(present ? static_cast<int8_t>(next * perUnit + byte)
                                  : int8_t(-128));
        next += present;
      }
    }
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    memref::GlobalOp::create(
        b, loc, name, b.getStringAttr("private"), type,
        DenseElementsAttr::get(
            RankedTensorType::get(type.getShape(), b.getI8Type()),
            ArrayRef<int8_t>(table)),
        /*constant=*/true, b.getI64IntegerAttr(64));
  }
  return memref::GetGlobalOp::create(b, loc, type, name);
}

Value X86ShuffleAttr::buildExpand(OpBuilder &b, Location loc, Value values,
                                  Value position, Value mask,
                                  VectorType type) const {
  int64_t row = getRowBytes(getBytes());
  Value bytes = arith::ConstantOp::create(b, loc, b.getIndexAttr(row));
  Value at = arith::MulIOp::create(
      b, loc, arith::IndexCastUIOp::create(b, loc, b.getIndexType(), mask),
      bytes);
  Value indices =
      vector::LoadOp::create(b, loc, VectorType::get(row, b.getI8Type()),
                             getTable(b, loc, getBytes()), at);
  Value loaded = vector::LoadOp::create(b, loc, type, values, position);
  auto call = [&](StringRef name, VectorType of, ValueRange operands) -> Value {
    return LLVM::CallIntrinsicOp::create(b, loc, of, b.getStringAttr(name),
                                         operands)
        .getResult(0);
  };
  auto as = [&](VectorType to, Value value) -> Value {
    return value.getType() == to
               ? value
               : vector::BitCastOp::create(b, loc, to, value).getResult();
  };
  if (getBytes() == 2) {
    auto places = VectorType::get(16, b.getI8Type());
    return as(type, call("llvm.x86.ssse3.pshuf.b.128", places,
                         {as(places, loaded), indices}));
  }
  auto words = VectorType::get(kShuffled, b.getI32Type());
  auto floats = VectorType::get(kShuffled, b.getF32Type());
  Value wide = arith::ExtSIOp::create(b, loc, words, indices);
  Value shuffled =
      call("llvm.x86.avx2.permps", floats, {as(floats, loaded), wide});
  // By the sign: LLVM makes four instructions of a comparison.
  Value none = arith::ConstantOp::create(b, loc, b.getZeroAttr(floats));
  return as(type, call("llvm.x86.avx.blendv.ps.256", floats,
                       {shuffled, none, as(floats, wide)}));
}

//===-- expanding instructions --------------------------------------------===//

SmallVector<StringRef> X86ExpandAttr::getRequiredFeatures() const {
  return {getBytes() == 1 ? "avx512vbmi2" : "avx512f"};
}

int64_t X86ExpandAttr::getUnits() const { return 64 / getBytes(); }

int64_t X86ExpandAttr::getUnitBytes() const { return getBytes(); }

double X86ExpandAttr::getCycles() const { return 2; }

Value X86ExpandAttr::buildExpand(OpBuilder &b, Location loc, Value values,
                                 Value position, Value mask,
                                 VectorType type) const {
  auto bits = VectorType::get(getUnits(), b.getI1Type());
  Value present = vector::BitCastOp::create(
      b, loc, bits,
      vector::FromElementsOp::create(b, loc, VectorType::get(1, mask.getType()),
                                     ValueRange{mask}));
  Value units = vector::LoadOp::create(b, loc, type, values, position);
  // A unit is one lane of the instruction.
  auto lanes = VectorType::get(
      getUnits(),
      type.getNumElements() == getUnits()
          ? type.getElementType()
          : b.getIntegerType(static_cast<unsigned>(8 * getBytes())));
  if (lanes != type)
    units = vector::BitCastOp::create(b, loc, lanes, units);
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(lanes));
  Value expanded =
      LLVM::CallIntrinsicOp::create(
          b, loc, lanes, b.getStringAttr("llvm.x86.avx512.mask.expand"),
          ValueRange{units, zero, present})
          .getResult(0);
  return lanes == type ? expanded
                       : vector::BitCastOp::create(b, loc, type, expanded);
}

//===-- table -------------------------------------------------------------===//

void mlir::tamis::appendX86Expansions(
    TargetAttr target, SmallVectorImpl<ExpansionAttrInterface> &table) {
  if (!target.getArch().starts_with("x86"))
    return;
  MLIRContext *context = target.getContext();
  auto add = [&](ExpansionAttrInterface expansion) {
    if (llvm::all_of(expansion.getRequiredFeatures(),
                     [&](StringRef f) { return target.hasFeature(f); }))
      table.push_back(expansion);
  };
  add(X86ExpandAttr::get(context, 1));
  add(X86ExpandAttr::get(context, 4));
  add(X86ShuffleAttr::get(context, 2));
  add(X86ShuffleAttr::get(context, 4));
}
