// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Applies schemes: the order of the steps, and weights as constants of
// integers.
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
    RankedTensorType type = observe.getType();
    RangeMethod range = weightRange.value_or(
        scheme.getBits() <= 4 ? RangeMethod::MSE : RangeMethod::MinMax);
    QuantizedParameter done;
    done.scheme = scheme;
    ScaleMap map(type.getShape(), scheme);
    SmallVector<float> least;
    if (!scheme.getBlock() && !scheme.getExact())
      least = getLeastScales(state, observe, map.getCount());
    done.integers =
        quantizeWeight(*values, type.getShape(), scheme, range, least);
    WeightMatrix *matrix = byObserve.lookup(observe);
    std::string how = scheme.getExact() ? "exact" : "rounded to nearest";
    if (gptq && matrix && !scheme.getExact()) {
      auto reason =
          quantizeByMoments(*matrix, *values, scheme, range, done.integers);
      how = reason ? "rounded to nearest; no GPTQ: " + *reason : "GPTQ";
    }
    done.after = done.integers.dequantize(map, scheme);
    double signal = 0, noise = 0;
    for (auto [x, y] : llvm::zip_equal(*values, done.after)) {
      signal += double(x) * x;
      noise += (double(x) - y) * (double(x) - y);
    }
    double snr = noise > 0 ? 10 * std::log10(signal / noise) : 200.0;
    state.report.add(matrix ? StringRef(matrix->layer) : "",
                     observe.getTensor(), "integers", how,
                     {state.report.number("bits", scheme.getBits()),
                      state.report.number("snr", signal > 0 ? snr : 200.0),
                      state.report.number("scales", int64_t(map.getCount()))});
    done.before = std::move(*values);
    // While the way from the contraction to the parameter is still there.
    if (correctBias && matrix &&
        failed(tamis::correctBias(state, *matrix, done)))
      return failure();

    OpBuilder b(&getContext());
    b.setInsertionPointAfter(observe);
    Location loc = observe.getLoc();
    SmallVector<float> scales, offsets;
    for (QuantParameters p : done.integers.parameters) {
      scales.push_back(p.scale);
      offsets.push_back(p.offset);
    }
    ArrayRef<char> bytes(
        reinterpret_cast<const char *>(done.integers.values.data()),
        done.integers.values.size());
    Value integers = state.constants.makeIntegers(
        b, loc, type.clone(b.getI8Type()), bytes, observe.getTensor());
    auto dequantize = DequantizeOp::create(
        b, loc, type, integers,
        state.constants.makeScales(b, loc, scales, map.shape),
        state.constants.makeZeroPoints(b, loc, done.integers.parameters,
                                       map.shape, b.getI8Type()),
        scheme.getOffset()
            ? state.constants.makeScales(b, loc, offsets, map.shape)
            : Value(),
        scheme.getIsUnsigned() ? b.getUnitAttr() : UnitAttr(),
        scheme.isPerTensor() ? IntegerAttr()
                             : b.getI64IntegerAttr(scheme.getAxis()),
        scheme.getBlock() ? b.getI64IntegerAttr(scheme.getBlock())
                          : IntegerAttr(),
        observe.getTensorAttr());
    // One bit has three levels once a weight is zero.
    if (scheme.getBits() < 8)
      dequantize->setAttr(kBitsAttrName, b.getI64IntegerAttr(std::max<int64_t>(
                                             scheme.getBits(), 2)));
    observe.getResult().replaceAllUsesWith(dequantize);
    state.weights[observe] = std::move(done);
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
