// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The exact sum of a contraction of dequantized operands, as contractions of
// bytes.
#ifndef TAMIS_LIB_TRANSFORMS_QUANTIZEDPRODUCT_H
#define TAMIS_LIB_TRANSFORMS_QUANTIZEDPRODUCT_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/SymbolTable.h"
#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// Integers of 8 or 16 bits and their one zero point: a tensor of rank 0, or
/// null.
struct QuantizedOperand {
  Value value, zeroPoint;
  bool isUnsigned;
};

/// True if so many rows are known to share the weights that products by codes
/// do not pay: widening them costs more than reading floats.
bool hasManyRows(ContractOp op);

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

/// `value`, the integers of `op` or a reshape of them, minus its constant zero
/// points, one or several: null unless every difference fits in a signed byte.
/// `map` gives the zero point of an element of `value`.
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

/// The loops of the sums of blocks, and how to add the sums up.
struct BlockLoops {
  ProductLoops loops;
  int64_t lhsAxis, rhsAxis, size, block;
  /// Of the addition: sums, scales and result over result, then what is summed.
  AffineMap sumMap, scaleMap, outMap;
  /// Loops of the contraction that are added up, the blocks among them.
  SmallVector<AffineExpr> summed;

  /// The loop of the addition that `loop` of the contraction, whose result has
  /// the map `out`, is there; null for the elements of a block.
  AffineExpr getPlace(AffineMap out, AffineExpr loop) const;
};

/// The loops of `op` where each element of w's scales has a sum of its own: the
/// summed dimensions of the weights become dimensions of the result, but for
/// the elements of a block. `lhsAxis` is the dimension of lhs that they walk.
BlockLoops makeBlockLoops(OpBuilder &b, ContractOp op, DequantizeOp w,
                          int64_t lhsAxis);

/// The dimension of lhs that `loop` walks alone and without padding.
std::optional<int64_t> findLhsAxis(ContractOp op, unsigned loop);

/// Dimension `axis` of `value`, of `size` elements, as blocks of `block`. A
/// last one that is shorter is filled up with `filler`: a scalar tensor, null
/// for 0.
Value splitAxis(OpBuilder &b, Location loc, Value value, int64_t axis,
                int64_t size, int64_t block, Value filler);

/// `map` with result `at` taken in two, block and element of it.
AffineMap splitResult(AffineMap map, int64_t at, unsigned numDims,
                      AffineExpr block);

/// Replaces `op` by the float32 total of its blocks: `add` gets the elements of
/// `inputs` of a block and, last, the total of those before it, to which it
/// adds. The maps are over the loops of the addition.
void addBlocksUp(OpBuilder &b, ContractOp op, const BlockLoops &blocks,
                 ValueRange inputs, ArrayRef<AffineMap> inputMaps,
                 function_ref<Value(OpBuilder &, Location, ValueRange)> add);

/// Replaces a contraction by constant weights with scales in blocks by a
/// product of their codes, if its first operand, float where `x` is null, has
/// no zero point. False where it does not apply.
bool lowerCodes(ContractOp op, DequantizeOp x, DequantizeOp w, int64_t lhsAxis,
                SymbolTable &symbols);

/// The same for one scale per column and a float first operand.
bool lowerColumnCodes(ContractOp op, DequantizeOp w, SymbolTable &symbols);

/// Replaces a contraction whose right operand has scales in blocks by the
/// exact sum of each block, scaled and added up in float32 (contract_n3), or
/// returns why it stays float. `x` is null where the first operand is float.
std::optional<StringRef> lowerBlocks(ContractOp op, DequantizeOp x,
                                     DequantizeOp w, SymbolTable &symbols);

} // namespace mlir::tamis

#endif // TAMIS_LIB_TRANSFORMS_QUANTIZEDPRODUCT_H
