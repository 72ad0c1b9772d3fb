// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the arithmetic families (contractions, norms, quantized and recurrent
// operators) share beyond the importer's own blocks: contractions by affine
// expressions, generics over explicit maps, scalar functions for their bodies.
#ifndef TAMIS_LIB_IMPORT_ONNX_ARITHMETIC_H
#define TAMIS_LIB_IMPORT_ONNX_ARITHMETIC_H

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

//===-- scalars
//-------------------------------------------------------------===//

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

//===-- generics
//------------------------------------------------------------===//

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
/// Its logarithm, by x - max - log(sum).
Value logSoftmax(Importer &im, const Node &node, Value x,
                 ArrayRef<int64_t> axes);
/// A float32 constant.
Value constantTensorOf(Importer &im, ArrayRef<int64_t> shape,
                       ArrayRef<float> values);
/// `input[index, ...]` without dimension 0.
Value takeFirst(Importer &im, Value input, OpFoldResult index);
/// A tensor of rank 0 holding `scalar`.
Value rankZero(Importer &im, Value scalar);
/// Axes [first, rank).
SmallVector<int64_t> axesFrom(int64_t first, int64_t rank);

//===-- norms -----------------------------------------------------------===//

/// x against the mean and variance over some axes, all in computeType.
struct Standardized {
  Value mean, variance;
  Value centred; // x - mean
  Value inverse; // 1 / sqrt(variance + epsilon)
};
Standardized standardize(Importer &im, const Node &node, Value x,
                         ArrayRef<int64_t> axes, double epsilon);
/// x * factor * scale + shift by broadcasting; scale and shift may be null.
Value scaleAndShift(Importer &im, const Node &node, Value x, Value factor,
                    Value scale, Value shift, Type element);
/// The mean of squares over `axes`, dimensions kept.
Value meanSquare(Importer &im, Value x, ArrayRef<int64_t> axes);
/// x / sqrt(mean of squares + epsilon) * scale.
Value rmsNormalize(Importer &im, const Node &node, Value x,
                   ArrayRef<int64_t> axes, double epsilon, Value scale);

//===-- contractions
//--------------------------------------------------------===//

/// An operand of a contraction: its tensor and how its integers are read.
struct Factor {
  Value value;
  Value zero = {}; // scalar or null
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
FailureOr<Factor> factor(Importer &im, const Node &node, const ImportedValue &x,
                         const ImportedValue &zero, int64_t dim);

/// Brings a factor that was widened beside one that was not to one width.
void matchWidths(Importer &im, Factor &lhs, Factor &rhs);

/// numpy.matmul in the accumulator type; `transposeLhs` swaps its last two
/// dimensions.
FailureOr<Value> matmul(Importer &im, const Node &node, Factor lhs, Factor rhs,
                        bool transposeLhs = false, bool transposeRhs = false);

/// Convolution by the attributes of `node` in the accumulator type.
FailureOr<Value> convolution(Importer &im, const Node &node, Factor x,
                             Factor weights);

/// Strides, dilations and padding of a window operator.
struct Window {
  int64_t rank = 0;
  SmallVector<int64_t> kernel, strides, dilations;
  Sizes low, high, out;
  int64_t extent(int64_t i) const { return (kernel[i] - 1) * dilations[i] + 1; }
};
/// Reads kernel (from kernel_shape if `kernel` is empty), strides and
/// dilations for `rank` spatial dimensions.
FailureOr<Window> readWindow(Importer &im, const Node &node, int64_t rank,
                             ArrayRef<int64_t> kernel);
/// The attribute pads, non-negative; zeros without one.
FailureOr<SmallVector<int64_t>> readPads(Importer &im, const Node &node,
                                         int64_t rank);
/// Fills padding and output sizes for an input of spatial sizes `in`.
LogicalResult placeWindow(Importer &im, const Node &node, Window &w,
                          ArrayRef<OpFoldResult> in);
/// The known spatial sizes of weights (o, c, spatial...).
FailureOr<SmallVector<int64_t>> kernelOf(Importer &im, const Node &node,
                                         Value weights);
FailureOr<int64_t> readGroup(Importer &im, const Node &node);
/// x + bias per channel, cast to the type of `x`, the operator's input.
FailureOr<Value> addChannelBias(Importer &im, const Node &node, Value acc,
                                const ImportedValue &x, size_t biasInput,
                                const Activation *activation = nullptr);
/// Operands of one float type.
LogicalResult requireFloats(Importer &im, const Node &node,
                            const ImportedValue &x, const ImportedValue &w);

//===-- quantization
//--------------------------------------------------------===//

/// Refuses a scale known to be NaN, infinite or negative; zero too, unless it
/// is one of several and only multiplied with (an all-zero channel has it).
/// Those of blocks that are only multiplied with may be negative.
LogicalResult requireScale(Importer &im, const Node &node,
                           const ImportedValue &value, const llvm::Twine &what,
                           bool multiplied = false);
/// A one-element tensor as a scalar, else the tensor (of rank 1) as a vector;
/// floats become float32.
FailureOr<Value> scalarOrVector(Importer &im, const Node &node,
                                const ImportedValue &value,
                                const llvm::Twine &what);
/// The one element of the input, float32 for floats; null if it is absent.
FailureOr<Value> oneScalar(Importer &im, const Node &node, size_t index,
                           const llvm::Twine &what);
/// (a * b) / y in this order, the scale contract of quantized operators.
/// Scalars or vectors; a vector if any of the three is one.
Value multiplier(Importer &im, Value a, Value b, Value y);
/// saturate(round_half_even((acc + bias) * multiplier) + zero) as `dtype`.
/// `multiplier` is a scalar or a vector along `dim`, `bias` null or a vector
/// along it, `zero` null or a scalar.
Value requantize(Importer &im, Value acc, Value bias, Value multiplier,
                 Value zero, int64_t dim, DType dtype);
/// The real number an integer scalar stands for: (q - zero) * scale.
Value dequantizeScalar(ImplicitLocOpBuilder &b, Value q, Value scale,
                       Value zero, bool isUnsigned);

/// saturate(round_half_even(scaled) + zero) as `dtype`.
Value roundTo(Importer &im, Value scaled, Value zero, DType dtype);
/// acc * scale in float32; `scale` is a scalar or a vector along `dim`.
Value scaleAccumulator(Importer &im, Value acc, Value scale, int64_t dim);

struct DynamicQuantized {
  Value value;     // uint8, of x's shape
  Value scale;     // float32, rank 0
  Value zeroPoint; // uint8, rank 0
};
/// DynamicQuantizeLinear: uint8 over the range of `x` widened to hold zero.
FailureOr<DynamicQuantized> dynamicQuantize(Importer &im, const Node &node,
                                            Value x);

} // namespace mlir::tamis::onnx

#endif // TAMIS_LIB_IMPORT_ONNX_ARITHMETIC_H
