// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The exact sum of a contraction of dequantized operands, as contractions of
// bytes.
#ifndef TAMIS_LIB_TRANSFORMS_QUANTIZEDPRODUCT_H
#define TAMIS_LIB_TRANSFORMS_QUANTIZEDPRODUCT_H

#include "mlir/IR/SymbolTable.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// Integers of 8 or 16 bits and their one zero point: a tensor of rank 0, or
/// null.
struct QuantizedOperand {
  Value value, zeroPoint;
  bool isUnsigned;
};

/// The loops of a contraction and the sizes of its result.
struct ProductLoops {
  ArrayAttr maps, iterators;
  DenseI64ArrayAttr pad;
  SmallVector<OpFoldResult> sizes;
};

/// The sum is `Σ sums[i] · 2^shifts[i]`, each of them i32.
struct ExactSum {
  SmallVector<Value> sums;
  SmallVector<unsigned> shifts;
};

/// The most products of two bytes with zero points that 32 bits hold.
constexpr int64_t kMostByteProducts = 0x7fffffff / (255 * 255);

/// `value`, of type `type` with parameters shared along `axis`, or in blocks
/// of it, minus its several constant zero points: null unless every difference
/// fits in a signed byte. `map` gives the zero point of an element of `value`.
Value subtractZeroPoints(OpBuilder &b, DequantizeOp op, Value value,
                         AffineMap map, SymbolTable &symbols);

/// The zero point that all elements of a constant equal, as a tensor of rank
/// 0; itself if it is one; nothing if they differ or are not known.
std::optional<Value> getCommonZeroPoint(OpBuilder &b, Value zeroPoint,
                                        SymbolTable &symbols);

/// Contractions of the bytes of `lhs` and `rhs` in place of `op`.
ExactSum buildExactSum(OpBuilder &b, ContractOp op, QuantizedOperand lhs,
                       QuantizedOperand rhs, const ProductLoops &loops);

/// The float nearest to a sum and its bias: elements of `sum.sums` and an i32
/// or null. Of several sums the total is exact in float64 before it is rounded.
Value buildTotal(OpBuilder &b, Location loc, const ExactSum &sum,
                 ValueRange sums, Value bias);

/// x_scale * w_scale, and divided by y_scale if given, in that order
/// (requantize_n1). All of them rank 0 but w_scale.
Value combineScales(OpBuilder &b, Location loc, Value x, Value w, Value y);

/// Replaces a contraction whose right operand has scales in blocks by the
/// exact sum of each block, scaled and added up in float32 (contract_n3), or
/// returns why it stays float.
std::optional<StringRef> lowerBlocks(ContractOp op, DequantizeOp x,
                                     DequantizeOp w, SymbolTable &symbols);

} // namespace mlir::tamis

#endif // TAMIS_LIB_TRANSFORMS_QUANTIZEDPRODUCT_H
