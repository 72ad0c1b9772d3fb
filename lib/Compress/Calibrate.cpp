// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The instrumented model: what observations collect becomes the outputs of
// @main, and its own outputs go. It is compiled like any other model, so
// calibration runs at the speed of compiled code, and one run keeps nothing of
// the sample but its statistics.
#include "InputMoments.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "tamis/Compress/Passes.h"
#include "tamis/Compress/Statistics.h"
#include <limits>

namespace mlir::tamis {
#define GEN_PASS_DEF_CALIBRATE
#include "tamis/Compress/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {

/// Builds the statistics of one tensor.
class Measurement {
public:
  Measurement(ImplicitLocOpBuilder &b, ObserveOp op)
      : b(b), op(op), input(op.getInput()),
        type(cast<RankedTensorType>(input.getType())), f32(b.getF32Type()) {}

  /// The tensor of one kind, or a reported failure. Not for parameters.
  FailureOr<Value> build(StringRef kind) {
    using namespace statistics;
    if (kind == kMinMax)
      return buildMinMax();
    if (kind == kHistogram)
      return buildHistogram();
    if (kind == kChannelAbsMax || kind == kChannelMoments ||
        kind == kChannelMagnitudes) {
      if (!op.getAxis())
        return op.emitOpError("of tensor '")
               << op.getTensor() << "': '" << kind << "' needs an axis";
      if (type.isDynamicDim(*op.getAxis()))
        return op.emitOpError("of tensor '")
               << op.getTensor() << "': '" << kind
               << "' needs a known number of channels, axis " << *op.getAxis()
               << " is open";
      if (kind == kChannelAbsMax)
        return buildAbsMax();
      return kind == kChannelMoments ? buildMoments() : buildMagnitudes();
    }
    if (kind != kGram)
      return op.emitOpError("of tensor '")
             << op.getTensor() << "': unknown statistic '" << kind << "'";
    if (op.getAxis() && int64_t(*op.getAxis()) != type.getRank() - 1)
      moveLast(*op.getAxis());
    if (type.getRank() == 0 || type.isDynamicDim(type.getRank() - 1))
      return op.emitOpError("of tensor '")
             << op.getTensor()
             << "': 'gram' needs a known last dimension, the tensor is "
             << type;
    return buildGram(b, flatten(2));
  }

private:
  /// combine(accumulator, element as float32), one for each result.
  using Combine =
      llvm::function_ref<Value(ImplicitLocOpBuilder &, unsigned, Value, Value)>;

  Value constant(float value) {
    return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
  }

  Value size(int64_t dim) { return b.createOrFold<tensor::DimOp>(input, dim); }

  /// A tensor whose elements are all `value`.
  Value fill(ArrayRef<int64_t> shape, Value value) {
    Value empty = tensor::EmptyOp::create(b, shape, value.getType());
    return linalg::FillOp::create(b, value, empty).getResult(0);
  }

  /// Folds the tensor once over all dimensions but `kept`, into one result per
  /// initial value.
  SmallVector<Value> reduce(std::optional<int64_t> kept,
                            ArrayRef<float> initial, Combine combine) {
    int64_t rank = type.getRank();
    SmallVector<AffineExpr> exprs;
    SmallVector<int64_t> shape;
    SmallVector<utils::IteratorType> iterators(rank,
                                               utils::IteratorType::reduction);
    if (kept) {
      exprs.push_back(b.getAffineDimExpr(*kept));
      shape.push_back(type.getDimSize(*kept));
      iterators[*kept] = utils::IteratorType::parallel;
    }
    SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(rank)};
    SmallVector<Value> destinations;
    SmallVector<Type> types;
    for (float value : initial) {
      maps.push_back(AffineMap::get(rank, 0, exprs, b.getContext()));
      destinations.push_back(fill(shape, constant(value)));
      types.push_back(destinations.back().getType());
    }
    auto generic = linalg::GenericOp::create(
        b, types, input, destinations, maps, iterators,
        [&](OpBuilder &nested, Location loc, ValueRange arguments) {
          ImplicitLocOpBuilder inner(loc, nested);
          Value element = arguments.front();
          if (!element.getType().isF32())
            element = arith::ExtFOp::create(inner, f32, element);
          SmallVector<Value> results;
          for (auto [i, accumulator] : llvm::enumerate(arguments.drop_front()))
            results.push_back(combine(inner, i, accumulator, element));
          linalg::YieldOp::create(inner, results);
        });
    return SmallVector<Value>(generic.getResults());
  }

  /// NaN goes through minimumf and maximumf, so that the host can tell.
  Value buildMinMax() {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    SmallVector<Value> ends = reduce(
        std::nullopt, {infinity, -infinity},
        [](ImplicitLocOpBuilder &b, unsigned i, Value sum, Value x) -> Value {
          if (i == 0)
            return arith::MinimumFOp::create(b, sum, x);
          return arith::MaximumFOp::create(b, sum, x);
        });
    SmallVector<Value> elements;
    for (Value end : ends)
      elements.push_back(tensor::ExtractOp::create(b, end, ValueRange()));
    return tensor::FromElementsOp::create(b, elements);
  }

  Value buildAbsMax() {
    return reduce(op.getAxis(), {0.0f},
                  [](ImplicitLocOpBuilder &b, unsigned, Value sum,
                     Value x) -> Value {
                    return arith::MaximumFOp::create(
                        b, sum, math::AbsFOp::create(b, x));
                  })
        .front();
  }

  Value buildMoments() {
    return buildSums(
        {0.0f, 0.0f},
        [](ImplicitLocOpBuilder &b, unsigned i, Value sum, Value x) -> Value {
          if (i == 1)
            x = arith::MulFOp::create(b, x, x);
          return arith::AddFOp::create(b, sum, x);
        });
  }

  Value buildMagnitudes() {
    return buildSums(
        {0.0f},
        [](ImplicitLocOpBuilder &b, unsigned, Value sum, Value x) -> Value {
          return arith::AddFOp::create(b, sum, math::AbsFOp::create(b, x));
        });
  }

  /// Rows per channel: the number of elements, then one for each sum.
  Value buildSums(ArrayRef<float> initial, Combine combine) {
    int64_t axis = *op.getAxis(), channels = type.getDimSize(axis);
    SmallVector<Value> sums = reduce(axis, initial, combine);
    Value count = arith::ConstantIndexOp::create(b, 1);
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (i != axis)
        count = b.createOrFold<arith::MulIOp>(count, size(i));
    count = arith::IndexCastOp::create(b, b.getI64Type(), count);
    count = arith::SIToFPOp::create(b, f32, count);
    sums.insert(sums.begin(), fill({channels}, count));
    Value result =
        tensor::EmptyOp::create(b, {int64_t(sums.size()), channels}, f32);
    for (auto [row, part] : llvm::enumerate(sums)) {
      SmallVector<OpFoldResult> offsets{b.getIndexAttr(row), b.getIndexAttr(0)};
      SmallVector<OpFoldResult> sizes{b.getIndexAttr(1),
                                      b.getIndexAttr(channels)};
      SmallVector<OpFoldResult> strides(2, b.getIndexAttr(1));
      result = tensor::InsertSliceOp::create(b, part, result, offsets, sizes,
                                             strides);
    }
    return result;
  }

  /// The tensor with its leading dimensions merged so that `rank` are left.
  Value flatten(int64_t rank) {
    int64_t from = type.getRank();
    if (from == rank)
      return input;
    if (from < rank) {
      SmallVector<int64_t> ones(rank - from, 1);
      llvm::append_range(ones, type.getShape());
      SmallVector<ReassociationIndices> groups(from);
      for (int64_t i = 0; i < rank; ++i)
        if (from)
          groups[std::max<int64_t>(0, i - (rank - from))].push_back(i);
      SmallVector<OpFoldResult> sizes;
      for (int64_t i = 0; i < rank; ++i)
        sizes.push_back(i < rank - from
                            ? OpFoldResult(b.getIndexAttr(1))
                            : tensor::getMixedSize(b, b.getLoc(), input,
                                                   i - (rank - from)));
      return tensor::ExpandShapeOp::create(
          b, RankedTensorType::get(ones, type.getElementType()), input, groups,
          sizes);
    }
    SmallVector<ReassociationIndices> groups(rank);
    for (int64_t i = 0; i < from; ++i)
      groups[std::max<int64_t>(0, i - (from - rank))].push_back(i);
    return tensor::CollapseShapeOp::create(b, input, groups);
  }

  /// Which bin an element falls into is known from its bits alone.
  Value buildHistogram() {
    Value flat = flatten(1);
    Type i64 = b.getI64Type(), i32 = b.getI32Type();
    Value zero = arith::ConstantIndexOp::create(b, 0);
    Value one = arith::ConstantIndexOp::create(b, 1);
    Value unit = arith::ConstantOp::create(b, b.getI64IntegerAttr(1));
    Value shift = arith::ConstantOp::create(
        b, b.getI32IntegerAttr(statistics::kHistogramShift));
    Value counts = fill({statistics::kHistogramBins},
                        arith::ConstantOp::create(b, b.getIntegerAttr(i64, 0)));
    Value count = b.createOrFold<tensor::DimOp>(flat, int64_t(0));
    auto loop = scf::ForOp::create(
        b, zero, count, one, counts,
        [&](OpBuilder &nested, Location loc, Value i, ValueRange carried) {
          ImplicitLocOpBuilder inner(loc, nested);
          Value x = tensor::ExtractOp::create(inner, flat, i);
          if (!x.getType().isF32())
            x = arith::ExtFOp::create(inner, f32, x);
          Value bits = arith::BitcastOp::create(inner, i32, x);
          bits = arith::ShRUIOp::create(inner, bits, shift);
          Value bin =
              arith::IndexCastUIOp::create(inner, inner.getIndexType(), bits);
          Value sum = tensor::ExtractOp::create(inner, carried[0], bin);
          sum = arith::AddIOp::create(inner, sum, unit);
          Value next = tensor::InsertOp::create(inner, sum, carried[0], bin);
          scf::YieldOp::create(inner, next);
        });
    return loop.getResult(0);
  }

  /// Continues with the tensor transposed, so that `axis` is the last.
  void moveLast(int64_t axis) {
    SmallVector<int64_t> permutation, shape;
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (i != axis)
        permutation.push_back(i);
    permutation.push_back(axis);
    SmallVector<OpFoldResult> sizes;
    for (int64_t from : permutation) {
      sizes.push_back(tensor::getMixedSize(b, b.getLoc(), input, from));
      shape.push_back(type.getDimSize(from));
    }
    type = RankedTensorType::get(shape, type.getElementType());
    Value init =
        tensor::EmptyOp::create(b, b.getLoc(), sizes, type.getElementType());
    input = linalg::TransposeOp::create(b, b.getLoc(), input, init, permutation)
                ->getResult(0);
  }

  ImplicitLocOpBuilder &b;
  ObserveOp op;
  Value input;
  RankedTensorType type;
  Type f32;
};

struct Calibrate : tamis::impl::CalibrateBase<Calibrate> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main) {
      getOperation().emitError("expected a function @main");
      return signalPassFailure();
    }
    SmallVector<ObserveOp> observations;
    getOperation().walk([&](ObserveOp op) { observations.push_back(op); });
    for (WeightMatrix &matrix : collectWeights(getOperation()))
      weights.try_emplace(matrix.use.observe, std::move(matrix));
    for (ObserveOp op : observations)
      if (op.getCollect() && failed(measure(main, op)))
        return signalPassFailure();
    if (results.empty()) {
      main.emitError("no observation has anything to collect");
      return signalPassFailure();
    }
    for (ObserveOp op : observations) {
      op.replaceAllUsesWith(op.getInput());
      op.erase();
    }
    Operation *end = main.getBody().front().getTerminator();
    OpBuilder b(end);
    func::ReturnOp::create(b, end->getLoc(), results);
    end->erase();
    main.setFunctionType(b.getFunctionType(main.getArgumentTypes(),
                                           ValueRange(results).getTypes()));
    main.setAllResultAttrs(attributes);
  }

  LogicalResult measure(func::FuncOp main, ObserveOp op) {
    if (op->getBlock() != &main.getBody().front())
      return op.emitOpError("of tensor '")
             << op.getTensor() << "' is in a region and cannot be collected";
    ImplicitLocOpBuilder b(op.getLoc(), op);
    for (Attribute kind : op.getCollectAttr()) {
      StringRef name = cast<StringAttr>(kind).getValue();
      FailureOr<Value> value = op.getParameter()
                                   ? measureParameter(op, name)
                                   : Measurement(b, op).build(name);
      if (failed(value))
        return failure();
      auto type = cast<RankedTensorType>((*value).getType());
      SmallVector<std::string> sizes;
      for (int64_t size : type.getShape())
        sizes.push_back(std::to_string(size));
      SmallVector<StringRef> dims(sizes.begin(), sizes.end());
      StringRef dtype = type.getElementType().isF32() ? "float32" : "int64";
      results.push_back(*value);
      attributes.push_back(b.getDictionaryAttr(
          {b.getNamedAttr("tamis.name",
                          b.getStringAttr(op.getTensor() + "//" + name)),
           b.getNamedAttr("tamis.dtype", b.getStringAttr(dtype)),
           b.getNamedAttr("tamis.dims", b.getStrArrayAttr(dims))}));
      ++numCollected;
    }
    return success();
  }

  /// What the contraction that reads a parameter multiplies it with.
  FailureOr<Value> measureParameter(ObserveOp op, StringRef kind) {
    auto found = weights.find(op);
    if (kind != statistics::kGram || found == weights.end())
      return op.emitOpError("of parameter '")
             << op.getTensor() << "': expected 'gram' of a parameter that a "
             << "contraction multiplies with, got '" << kind << "'";
    auto place = findMomentsPlace(found->second);
    if (!place)
      return op.emitOpError("of parameter '")
             << op.getTensor() << "': " << llvm::toString(place.takeError());
    ContractOp contract = found->second.use.contract;
    ImplicitLocOpBuilder b(contract.getLoc(), contract);
    return buildWindowGram(b, found->second);
  }

  llvm::DenseMap<Operation *, WeightMatrix> weights;
  SmallVector<Value> results;
  SmallVector<DictionaryAttr> attributes;
};
} // namespace
