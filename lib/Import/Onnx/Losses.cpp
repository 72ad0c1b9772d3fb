// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: the logarithm of the
// target's probability, weighted by class and reduced.
#include "Arithmetic.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::tamis::onnx {

namespace {

/// The class of each sample, and which class does not count.
struct Target {
  Value value;
  std::optional<int64_t> ignored;
  OpFoldResult classes;

  /// The i1 "this sample counts".
  Value counts(ImplicitLocOpBuilder &b, Value element) const {
    if (!ignored)
      return Importer::constantInt(b, b.getI1Type(), 1);
    return arith::CmpIOp::create(
        b, arith::CmpIPredicate::ne, element,
        Importer::constantInt(b, element.getType(), *ignored));
  }
};

/// A run-time check that every class that counts lies in [0, classes).
void checkTarget(Importer &im, const Target &target) {
  Value limit = im.shape.value(target.classes);
  Value fine = im.reduce(
      target.value, axesFrom(0, rankOf(target.value)), /*keepDims=*/false,
      Importer::constantInt(im.b, im.b.getI1Type(), 1),
      [&](ImplicitLocOpBuilder &b, Value acc, Value element) -> Value {
        Value at = arith::IndexCastOp::create(b, b.getIndexType(), element);
        // Unsigned: a negative class is out of range, not counted from the end.
        Value inside =
            arith::CmpIOp::create(b, arith::CmpIPredicate::ult, at, limit);
        Value never =
            arith::XOrIOp::create(b, target.counts(b, element),
                                  Importer::constantInt(b, b.getI1Type(), 1));
        return arith::AndIOp::create(b, acc,
                                     arith::OrIOp::create(b, inside, never));
      });
  im.check(tensor::ExtractOp::create(im.b, fine, ValueRange()),
           TAMIS_FAULT_INDEX);
}

/// The loss from logarithms of probabilities.
LogicalResult buildLoss(Importer &im, const Node &node, Value logs) {
  ImportedValue input = im.in(node, 0), labels = im.in(node, 1);
  StringRef reduction = im.getString(node, "reduction", "mean");
  if (reduction != "mean" && reduction != "sum" && reduction != "none")
    return im.error(node) << "expected the reduction 'mean', 'sum' or 'none', "
                             "got '"
                          << reduction << "'";
  if (labels.dtype != DType::Int32 && labels.dtype != DType::Int64)
    return im.error(node) << "expected int32 or int64 classes, got "
                          << dtypeName(labels.dtype);
  Target target{im.tensor(labels), std::nullopt, im.dim(logs, 1)};
  if (im.attr(node, "ignore_index"))
    target.ignored = im.getInt(node, "ignore_index", -1);
  int64_t rank = rankOf(target.value);
  if (failed(im.requireRank(node, logs, rank + 1, "the scores")))
    return failure();
  for (int64_t i = 0; i < rank; ++i)
    if (failed(im.requireEqual(node, im.dim(target.value, i),
                               im.dim(logs, i == 0 ? 0 : i + 1),
                               "dimension " + Twine(i) + " of the classes")))
      return failure();
  Value weights;
  if (im.has(node, 2)) {
    if (im.in(node, 2).dtype != input.dtype)
      return im.error(node)
             << "expected weights of type " << dtypeName(input.dtype)
             << ", got " << dtypeName(im.in(node, 2).dtype);
    weights = im.tensor(node, 2);
    if (failed(im.requireRank(node, weights, 1, "the weights")) ||
        failed(im.requireEqual(node, im.dim(weights, 0), target.classes,
                               "the number of weights")))
      return failure();
  }
  checkTarget(im, target);

  Type element = elementOf(logs), type = computeType(element);
  Sizes sizes = im.dims(target.value);
  Value limit = im.shape.value(target.classes);
  AffineMap identity = im.b.getMultiDimIdentityMap(rank);
  /// body(class, position) where the sample counts, zero elsewhere.
  auto perSample =
      [&](llvm::function_ref<Value(ImplicitLocOpBuilder &, Value)> body) {
        return generic(
            im, target.value, identity, sizes, type,
            [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
              Value at =
                  arith::IndexCastOp::create(b, b.getIndexType(), args[0]);
              Value result = body(b, Importer::clampIndex(b, at, limit));
              return arith::SelectOp::create(b, target.counts(b, args[0]),
                                             result,
                                             Importer::constant(b, type, 0));
            });
      };
  auto weightOf = [&](ImplicitLocOpBuilder &b, Value at) {
    return castScalar(b, tensor::ExtractOp::create(b, weights, at), type);
  };
  Value loss = perSample([&](ImplicitLocOpBuilder &b, Value at) -> Value {
    SmallVector<Value> position;
    for (int64_t i = 0; i < rank; ++i)
      position.push_back(linalg::IndexOp::create(b, i));
    position.insert(position.begin() + 1, at);
    Value log =
        castScalar(b, tensor::ExtractOp::create(b, logs, position), type);
    Value negative = arith::NegFOp::create(b, log);
    if (!weights)
      return negative;
    return arith::MulFOp::create(b, negative, weightOf(b, at));
  });
  if (reduction == "none")
    return im.out(node, 0, convert(im, loss, element), input.dtype);
  SmallVector<int64_t> all = axesFrom(0, rank);
  Value total = sum(im, loss, all, /*keepDims=*/false);
  if (reduction == "mean") {
    Value shares = perSample([&](ImplicitLocOpBuilder &b, Value at) {
      return weights ? weightOf(b, at) : Importer::constant(b, type, 1);
    });
    Value divisor = sum(im, shares, all, /*keepDims=*/false);
    total =
        im.elementwise(node, ArrayRef<Value>{total, divisor}, type,
                       [](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                         return arith::DivFOp::create(b, args[0], args[1]);
                       });
  }
  return im.out(node, 0, convert(im, total, element), input.dtype);
}

/// The scores: floats, samples by classes by anything.
FailureOr<Value> readScores(Importer &im, const Node &node) {
  ImportedValue input = im.in(node, 0);
  if (!isFloat(input.dtype))
    return im.error(node) << "expected a float tensor, got "
                          << dtypeName(input.dtype);
  Value scores = im.tensor(input);
  if (scores && rankOf(scores) < 2)
    return im.error(node) << "expected scores of rank 2 or more, got rank "
                          << rankOf(scores);
  return scores;
}

LogicalResult importLikelihood(Importer &im, const Node &node) {
  FailureOr<Value> logs = readScores(im, node);
  return failed(logs) || !*logs ? failure() : buildLoss(im, node, *logs);
}

LogicalResult importCrossEntropy(Importer &im, const Node &node) {
  FailureOr<Value> scores = readScores(im, node);
  if (failed(scores) || !*scores)
    return failure();
  Value logs = logSoftmax(im, node, *scores, {1});
  if (!logs || failed(im.out(node, 1, logs, im.in(node, 0).dtype)))
    return failure();
  return buildLoss(im, node, logs);
}

} // namespace

void registerLosses(OpTable &table) {
  table.add({"", "NegativeLogLikelihoodLoss", 12, {2, 3}, importLikelihood});
  table.add({"", "SoftmaxCrossEntropyLoss", 12, {2, 3}, importCrossEntropy});
}

} // namespace mlir::tamis::onnx
