// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Applies schemes: the order of the steps, and weights as constants of
// integers.
#include "InputMoments.h"
#include "Quantization.h"
#include "tamis/Compress/Delta.h"
#include "tamis/Compress/Passes.h"
#include <cmath>

namespace mlir::tamis {
#define GEN_PASS_DEF_QUANTIZE
#include "tamis/Compress/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

Quantization::Quantization(ModuleOp module)
    : module(module), constants(module), report(module, "quantize") {
  module.walk([&](Operation *op) {
    if (auto contract = dyn_cast<ContractOp>(op)) {
      if (!isa<RankedTensorType>(contract.getLhs().getType()))
        return;
      sites.push_back({contract, findWeight(contract),
                       findSource(contract.getLhsMutable()),
                       findSource(contract.getRhsMutable())});
    }
    auto observe = dyn_cast<ObserveOp>(op);
    if (observe && observe.getScheme() && !observe.getParameter() &&
        llvm::none_of(observe->getUsers(), llvm::IsaPred<QuantizeOp>))
      order.push_back(observe);
  });
}

bool Quantization::isQuantized(const ContractionSite &site) const {
  bool second = site.use ? weights.contains(site.use->observe)
                         : site.second.observe &&
                               activations.contains(site.second.observe);
  return second && site.input.observe &&
         activations.contains(site.input.observe);
}

namespace {
struct Quantize : tamis::impl::QuantizeBase<Quantize> {
  using QuantizeBase::QuantizeBase;

  void runOnOperation() override;
  LogicalResult checkOptions();
  LogicalResult quantizeAll(Quantization &state);
  LogicalResult quantizeWeights(Quantization &state,
                                MutableArrayRef<WeightMatrix> matrices);
  std::string quantizeToIntegers(Quantization &state, ObserveOp observe,
                                 WeightMatrix *matrix,
                                 QuantizedParameter &done);

  RangeMethod rangeMethod = RangeMethod::MinMax;
  std::optional<RangeMethod> weightRange;
};
} // namespace

LogicalResult Quantize::checkOptions() {
  auto method = parseRangeMethod(this->method);
  if (!method)
    return getOperation().emitError("tamis-quantize: unknown method '")
           << this->method
           << "', expected minmax, moving_average, percentile, entropy or mse";
  rangeMethod = *method;
  if (!(percentile > 50 && percentile <= 100))
    return getOperation().emitError(
               "tamis-quantize: percentile expected above 50 and at most 100, "
               "got ")
           << percentile;
  if (weightMethod == "minmax" || weightMethod == "mse")
    weightRange = parseRangeMethod(weightMethod);
  else if (weightMethod != "auto")
    return getOperation().emitError("tamis-quantize: unknown weight-method '")
           << weightMethod << "', expected auto, minmax or mse";
  return success();
}

/// Takes the mean error of the rounded weights off the bias.
static void correctMean(Report &report, const WeightMatrix &matrix,
                        const QuantizedParameter &weight) {
  std::vector<float> before, after;
  for (int32_t offset : matrix.getOffsets()) {
    before.push_back(weight.before[offset]);
    after.push_back(weight.after[offset]);
  }
  auto change = correctBias(matrix, before, after);
  if (change)
    return report.add(matrix.layer, findBias(matrix.use.contract).getTensor(),
                      "bias corrected", "mean error of the rounded weights",
                      {report.number("largest", *change)});
  report.add(matrix.layer, matrix.use.observe.getTensor(), "bias not corrected",
             llvm::toString(change.takeError()));
}

/// Chooses the integers of `done`, whose values before are given; returns how.
std::string Quantize::quantizeToIntegers(Quantization &state, ObserveOp observe,
                                         WeightMatrix *matrix,
                                         QuantizedParameter &done) {
  SchemeAttr scheme = done.scheme;
  ArrayRef<int64_t> shape = observe.getType().getShape();
  RangeMethod range = weightRange.value_or(
      scheme.getBits() <= 4 ? RangeMethod::MSE : RangeMethod::MinMax);
  ScaleMap map(shape, scheme);
  SmallVector<float> least;
  if (!scheme.getBlock() && !scheme.getExact())
    least = getLeastScales(state, observe, map.getCount());
  auto roundToNearest = [&](RangeMethod range) {
    done.integers = quantizeWeight(done.before, shape, scheme, range, least);
  };
  std::string how = scheme.getExact() ? "exact" : "rounded to nearest";
  if (gptq && matrix && !scheme.getExact()) {
    // GPTQ searches the scales of blocks itself.
    roundToNearest(scheme.getBlock() ? RangeMethod::MinMax : range);
    auto reason = scheme.getBits() > 8
                      ? "it has more than 8 bits"
                      : quantizeByMoments(*matrix, done.before, scheme, range,
                                          correctBias && findOwnBias(*matrix),
                                          state.lastInputs, done.integers);
    how = reason ? "rounded to nearest; no GPTQ: " + *reason : "GPTQ";
    if (reason && scheme.getBlock())
      roundToNearest(range);
  } else {
    roundToNearest(range);
  }
  done.after = done.integers.dequantize(map, scheme);
  if (scheme.getFraction()) {
    float reach = std::ldexp(static_cast<float>(scheme.getMax()),
                             static_cast<int>(-*scheme.getFraction()));
    int64_t beyond = llvm::count_if(
        done.before, [&](float value) { return std::fabs(value) > reach; });
    if (beyond)
      how += "; " + std::to_string(beyond) + " of " +
             std::to_string(done.before.size()) + " weights saturate";
  }
  return how;
}

/// The integers as a constant behind `tamis.dequantize`.
static Value writeIntegers(Quantization &state, ObserveOp observe,
                           const QuantizedParameter &done) {
  SchemeAttr scheme = done.scheme;
  OpBuilder b(observe.getContext());
  b.setInsertionPointAfter(observe);
  Location loc = observe.getLoc();
  IntegerType element = scheme.getBits() > 8 ? b.getI16Type() : b.getI8Type();
  std::vector<char> bytes;
  for (int16_t value : done.integers.values)
    for (unsigned i = 0; i < element.getWidth() / 8; ++i)
      bytes.push_back(static_cast<char>(value >> (8 * i)));
  Value integers = state.constants.makeIntegers(
      b, loc, observe.getType().clone(element), bytes, observe.getTensor());
  SmallVector<float> scales, offsets;
  for (QuantParameters p : done.integers.parameters) {
    scales.push_back(p.scale);
    offsets.push_back(p.offset);
  }
  ArrayRef<int64_t> shape = done.integers.scaleShape;
  auto dequantize = DequantizeOp::create(
      b, loc, observe.getType(), integers,
      state.constants.makeScales(b, loc, scales, shape),
      state.constants.makeZeroPoints(b, loc, done.integers.parameters, shape,
                                     element),
      scheme.getOffset() ? state.constants.makeScales(b, loc, offsets, shape)
                         : Value(),
      scheme.getIsUnsigned() ? b.getUnitAttr() : UnitAttr(),
      scheme.isPerTensor() ? IntegerAttr()
                           : b.getI64IntegerAttr(scheme.getAxis()),
      scheme.getBlock() ? b.getI64IntegerAttr(scheme.getBlock())
                        : IntegerAttr(),
      observe.getTensorAttr());
  // One bit has three levels once a weight is zero.
  if (scheme.getBits() < element.getWidth())
    dequantize->setAttr(kBitsAttrName, b.getI64IntegerAttr(std::max<int64_t>(
                                           scheme.getBits(), 2)));
  return dequantize;
}

/// In dB, at most 200.
static double getSignalToNoise(const QuantizedParameter &done) {
  double signal = 0, noise = 0;
  for (auto [x, y] : llvm::zip_equal(done.before, done.after)) {
    signal += double(x) * x;
    noise += (double(x) - y) * (double(x) - y);
  }
  return noise > 0 && signal > 0 ? 10 * std::log10(signal / noise) : 200.0;
}

/// What is left of the values that an earlier clustering or quantization made;
/// empty where a weight has many.
static std::string describeDistinct(const QuantizedParameter &done) {
  auto count = [](ArrayRef<float> values) {
    constexpr size_t kMany = 256;
    llvm::DenseSet<uint32_t> seen;
    for (float value : values) {
      seen.insert(llvm::bit_cast<uint32_t>(value == 0 ? 0.0f : value));
      if (seen.size() > kMany)
        break;
    }
    return seen.size() > kMany ? 0 : seen.size();
  };
  size_t before = count(done.before);
  if (before == 0 || before * 4 > done.before.size())
    return "";
  return (Twine("; its ") + Twine(before) + " distinct values become " +
          Twine(count(done.after)))
      .str();
}

LogicalResult
Quantize::quantizeWeights(Quantization &state,
                          MutableArrayRef<WeightMatrix> matrices) {
  llvm::DenseMap<Operation *, WeightMatrix *> byObserve;
  for (WeightMatrix &matrix : matrices)
    byObserve[matrix.use.observe] = &matrix;
  SmallVector<ObserveOp> parameters;
  getOperation().walk([&](ObserveOp op) {
    if (op.getParameter() && op.getScheme() && !op.use_empty())
      parameters.push_back(op);
  });
  for (ObserveOp observe : parameters) {
    FailureOr<std::vector<float>> values = readParameter(observe);
    if (failed(values))
      return failure();
    for (float value : *values)
      if (!std::isfinite(value))
        return observe.emitError("weight '")
               << observe.getTensor() << "' holds a NaN or an infinity";
    SchemeAttr scheme = observe.getSchemeAttr();
    WeightMatrix *matrix = byObserve.lookup(observe);
    QuantizedParameter done;
    done.scheme = scheme;
    done.before = std::move(*values);
    Value value;
    std::string how;
    if (scheme.hasIntegers()) {
      how = quantizeToIntegers(state, observe, matrix, done);
      value = writeIntegers(state, observe, done);
    } else {
      auto encoded = encodeParameter(state, observe, done.before, seed);
      if (failed(encoded))
        return failure();
      done.after = std::move(encoded->after);
      value = encoded->value;
      how = "nearest of its values";
    }
    state.report.add(
        matrix ? StringRef(matrix->layer) : "", observe.getTensor(),
        scheme.hasIntegers() ? "integers" : tamis::getName(scheme),
        how + describeDistinct(done),
        {state.report.number("bits", scheme.getBits()),
         state.report.number("snr", getSignalToNoise(done)),
         state.report.number(
             "scales",
             ScaleMap(observe.getType().getShape(), scheme).getCount())});
    // While the way from the contraction to the parameter is still there.
    if (correctBias && matrix)
      correctMean(state.report, *matrix, done);
    observe.getResult().replaceAllUsesWith(value);
    if (scheme.hasIntegers()) {
      // Later steps only read scheme and scales.
      done.before = done.after = std::vector<float>();
      done.integers.values.clear();
      done.integers.values.shrink_to_fit();
      state.weights[observe] = std::move(done);
    }
    ++numWeights;
  }
  return success();
}

LogicalResult Quantize::quantizeAll(Quantization &state) {
  // While the ways between contractions and observations are all there.
  std::vector<WeightMatrix> matrices = collectWeights(getOperation());
  if (failed(
          chooseActivationParameters(state, rangeMethod, method, percentile)) ||
      failed(quantizeWeights(state, matrices)))
    return failure();
  FailureOr<int64_t> biases = quantizeBiases(state);
  if (failed(biases))
    return failure();
  numBiases += *biases;
  numTensors += quantizeActivations(state, floatReaders);
  return success();
}

void Quantize::runOnOperation() {
  if (failed(checkOptions()))
    return signalPassFailure();
  Quantization state(getOperation());
  if (failed(quantizeAll(state)))
    signalPassFailure();
}
