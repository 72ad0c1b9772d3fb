// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the arithmetic families (contractions, norms, quantized and recurrent
// operators) share beyond the importer's own blocks: contractions by affine
// expressions, generics over explicit maps, scalar functions for their bodies.
#ifndef TAMIS_LIB_IMPORT_ONNX_BUILDING_H
#define TAMIS_LIB_IMPORT_ONNX_BUILDING_H

#include "Importer.h"
#include "mlir/IR/AffineMap.h"

namespace mlir::tamis::onnx {

using Sizes = SmallVector<OpFoldResult>;

inline RankedTensorType tensorTypeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}
inline int64_t rankOf(Value value) { return tensorTypeOf(value).getRank(); }
inline Type elementOf(Value value) {
  return tensorTypeOf(value).getElementType();
}

//===-- scalars -------------------------------------------------------------===//

/// float64 for itself, float32 for every other type: what norms, activations
/// and sums are computed in.
Type computeType(Type element);
/// A scalar as `to`: between float types, between integer types, and from
/// integer to float. `isUnsigned` speaks of the source.
Value castScalar(ImplicitLocOpBuilder &b, Value value, Type to,
                 bool isUnsigned = false);
Value sigmoid(ImplicitLocOpBuilder &b, Value x);
/// x / 2 * (1 + erf(x / sqrt 2)).
Value geluErf(ImplicitLocOpBuilder &b, Value x);
/// x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).
Value geluTanh(ImplicitLocOpBuilder &b, Value x);

/// A named activation with its parameters, as recurrent operators and fused
/// convolutions have them; null for a name that is none.
struct Activation {
  std::string name; // lower case
  double alpha = 0;
  double beta = 0;
  Value apply(ImplicitLocOpBuilder &b, Value x) const;
};
/// `name` in any case with its default parameters; nothing if it is unknown.
std::optional<Activation> findActivation(StringRef name);
/// How many of alpha and beta the activation reads.
int activationParameters(const Activation &activation);

//===-- generics ------------------------------------------------------------===//

/// An elementwise generic: operand i is read through `maps[i]` over the
/// dimensions of the result. Constants that the body uses from outside are
/// copied into it.
Value generic(Importer &im, ArrayRef<Value> inputs, ArrayRef<AffineMap> maps,
              ArrayRef<OpFoldResult> sizes, Type element,
              Importer::BodyFn body);
/// body(x, vectors...) with the rank-1 `vectors` along dimension `dim` of `x`.
Value alongDim(Importer &im, Value x, ArrayRef<Value> vectors, int64_t dim,
               Type element, Importer::BodyFn body);
/// body(x) for each element.
Value unary(Importer &im, Value x, Type element, Importer::BodyFn body);
/// `x` with elements of another float or wider integer type; itself if equal.
Value convert(Importer &im, Value x, Type element, bool isUnsigned = false);
/// The number of elements in `axes` of `x` as a scalar of the float `type`.
Value count(Importer &im, Value x, ArrayRef<int64_t> axes, Type type);
/// The mean over `axes`, dimensions kept, in computeType.
Value mean(Importer &im, Value x, ArrayRef<int64_t> axes);
/// The sum over `axes`, dimensions kept, in computeType.
Value sum(Importer &im, Value x, ArrayRef<int64_t> axes, bool keepDims = true);
/// The largest element over `axes`, dimensions kept, in computeType.
Value maximum(Importer &im, Value x, ArrayRef<int64_t> axes);
/// exp(x - max) / sum over `axes`, of x's element type.
Value softmax(Importer &im, const Node &node, Value x, ArrayRef<int64_t> axes);
/// A small constant tensor.
Value constantInts(Importer &im, ArrayRef<int64_t> values, Type element);
Value constantTensorOf(Importer &im, ArrayRef<int64_t> shape,
                       ArrayRef<float> values);
/// `input[index, ...]` without dimension 0.
Value takeFirst(Importer &im, Value input, OpFoldResult index);
/// A tensor of rank 0 holding `scalar`.
Value rankZero(Importer &im, Value scalar);
/// Axes [first, rank).
SmallVector<int64_t> axesFrom(int64_t first, int64_t rank);

//===-- contractions --------------------------------------------------------===//

/// An operand of a contraction: its tensor and how its integers are read.
struct Factor {
  Value value;
  Value zero; // scalar or null
  bool isUnsigned = false;
};

struct Contraction {
  Factor lhs, rhs;
  unsigned dims = 0;
  SmallVector<AffineExpr> lhsExprs, rhsExprs, outExprs;
  SmallVector<int64_t> pad; // empty: none
  Type accumulator;         // null: by the operands
};

/// What products of `element` are summed in.
Type accumulatorType(Type element);
/// The contraction with a result of `sizes`.
Value contract(Importer &im, const Node &node, const Contraction &c,
               ArrayRef<OpFoldResult> sizes);

/// `x` and its zero point as a factor. A zero point per element of `dim` is
/// subtracted in a wider type beforehand, unless all of them are equal.
FailureOr<Factor> factor(Importer &im, const Node &node,
                         const ImportedValue &x, const ImportedValue &zero,
                         int64_t dim);

/// numpy.matmul in the accumulator type; `transposeLhs` swaps its last two
/// dimensions.
FailureOr<Value> matmul(Importer &im, const Node &node, Factor lhs, Factor rhs,
                        bool transposeLhs = false, bool transposeRhs = false);

/// Convolution by the attributes of `node` in the accumulator type.
FailureOr<Value> convolution(Importer &im, const Node &node, Factor x,
                             Factor weights);

//===-- quantization --------------------------------------------------------===//

/// The parameters of one quantized tensor: scalars, or vectors per channel.
struct Quantizer {
  Value scale; // scalar, or rank-1 tensor
  Value zero;  // scalar, rank-1 tensor or null
  bool perChannel() const { return scale && isa<TensorType>(scale.getType()); }
};

/// Reads scale and zero point of a per-tensor quantization.
FailureOr<Quantizer> perTensor(Importer &im, const Node &node,
                               const ImportedValue &scale,
                               const ImportedValue &zero);

/// saturate(round_half_even(acc * multiplier) + zero) as `dtype`; `multiplier`
/// is a scalar or a vector along `dim`. The bias (int32 along `dim`) is added
/// to the accumulator before.
Value requantize(Importer &im, Value acc, Value bias, Value multiplier,
                 Value zero, int64_t dim, DType dtype);
/// (a * b) / y in this order, the scale contract of quantized operators.
/// Scalars or vectors; a vector if any of the three is one.
Value multiplier(Importer &im, Value a, Value b, Value y);
/// A one-element tensor as a scalar, else the tensor as a vector.
FailureOr<Value> scalarOrVector(Importer &im, const Node &node,
                                const ImportedValue &value,
                                const llvm::Twine &what);

struct DynamicQuantized {
  Value value;     // uint8
  Value scale;     // f32 scalar
  Value zeroPoint; // i8 scalar (unsigned)
};
/// DynamicQuantizeLinear: uint8 over the range of `x` widened to hold zero.
DynamicQuantized dynamicQuantize(Importer &im, const Node &node, Value x);

} // namespace mlir::tamis::onnx

#endif // TAMIS_LIB_IMPORT_ONNX_BUILDING_H
