// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Applies schemes: activations by what calibration saw, weights by their
// values, biases in units of the sum they are added to.
#include "QuantizationFlow.h"
#include "QuantizeWeights.h"
#include "QuantizedConstants.h"
#include "tamis/Compress/Delta.h"
#include "tamis/Compress/Parameters.h"
#include "tamis/Compress/Passes.h"
#include "tamis/Compress/Ranges.h"
#include "tamis/Compress/Report.h"
#include "tamis/Compress/Statistics.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>

namespace mlir::tamis {
#define GEN_PASS_DEF_QUANTIZE
#include "tamis/Compress/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// A weight that has become integers.
struct DoneWeight {
  SchemeAttr scheme;
  QuantizedWeight integers;
  std::vector<float> before, after;
};

/// A contraction as it was before anything changed.
struct Site {
  ContractOp contract;
  std::optional<WeightUse> use;
  Source input, second;
};

struct Quantize : tamis::impl::QuantizeBase<Quantize> {
  using QuantizeBase::QuantizeBase;

  void runOnOperation() override;
  LogicalResult checkOptions();
  LogicalResult findParameters();
  void shareScales();
  LogicalResult quantizeWeights(MutableArrayRef<WeightMatrix> matrices);
  SmallVector<float> getLeastScales(ObserveOp weight, int64_t count);
  LogicalResult quantizeBias(Site &site);
  LogicalResult correctMeans(WeightMatrix &matrix, const DoneWeight &weight);
  void quantizeActivations();
  void quantizeActivation(ObserveOp observe, bool isInteger);
  bool isQuantized(Site &site);
  bool isComputedInIntegers(ObserveOp observe);

  RangeMethod rangeMethod = RangeMethod::MinMax;
  std::optional<RangeMethod> weightRange;
  std::optional<QuantizedConstants> constants;
  std::optional<Report> report;
  /// By observation: what an activation is quantized with.
  llvm::DenseMap<Operation *, QuantParameters> activations;
  std::vector<ObserveOp> order;
  std::vector<Site> sites;
  /// By observation: the uses that read integers, and the nodes they belong to.
  llvm::DenseMap<Operation *, llvm::SetVector<OpOperand *>> readers;
  llvm::DenseMap<Operation *, llvm::SetVector<StringAttr>> readerNames;
  llvm::DenseMap<Operation *, DoneWeight> weights;
};
} // namespace

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

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

/// What concatenated tensors and their concatenation are quantized with must be
/// one scale, or the concatenation computes.
void Quantize::shareScales() {
  llvm::EquivalenceClasses<Operation *> classes;
  for (ObserveOp observe : order) {
    Producer producer = getProducer(observe);
    if (producer.kind != ProducerKind::Concat)
      continue;
    for (OpOperand *operand : producer.operands)
      if (Source source = findSource(*operand);
          source.observe && source.observe.getScheme() == observe.getScheme())
        classes.unionSets(observe, source.observe);
  }
  for (const auto *leader : classes) {
    if (!leader->isLeader())
      continue;
    DictionaryAttr merged;
    for (Operation *member : classes.members(*leader))
      merged =
          mergeStatistics(merged, cast<ObserveOp>(member).getStatisticsAttr());
    for (Operation *member : classes.members(*leader)) {
      auto observe = cast<ObserveOp>(member);
      // Statistics of other kinds stay those of the tensor itself.
      NamedAttrList statistics(observe.getStatisticsAttr());
      if (merged)
        for (NamedAttribute entry : merged)
          statistics.set(entry.getName(), entry.getValue());
      observe.setStatisticsAttr(statistics.getDictionary(&getContext()));
      report->add("", observe.getTensor(), "shared scale",
                  "concatenated tensors have one scale");
    }
  }
}

LogicalResult Quantize::findParameters() {
  for (ObserveOp observe : order) {
    SchemeAttr scheme = observe.getSchemeAttr();
    // A smoothed tensor's histogram is gone, and with it its outliers.
    bool isSmoothed = observe->hasAttr(kFactorAttrName);
    auto range = chooseRange(observe.getStatisticsAttr(),
                             isSmoothed ? RangeMethod::MinMax : rangeMethod,
                             percentile, scheme);
    if (!range)
      return observe.emitError("tensor '")
             << observe.getTensor()
             << "': " << llvm::toString(range.takeError());
    QuantParameters parameters = getParameters(*range, scheme);
    activations[observe] = parameters;
    report->add("", observe.getTensor(), "quantized",
                "range by " + (isSmoothed ? "minmax" : method.getValue()),
                {report->number("low", range->low),
                 report->number("high", range->high),
                 report->number("scale", double(parameters.scale)),
                 report->number("zero_point", int64_t(parameters.zeroPoint))});
  }
  return success();
}

//===-- weights -----------------------------------------------------------===//

/// The least scale of each weight's scale that leaves its bias room: beside a
/// bias so much larger, the weights of a dying channel need no precision.
SmallVector<float> Quantize::getLeastScales(ObserveOp weight, int64_t count) {
  SmallVector<float> least(count, 0.0f);
  for (Site &site : sites) {
    if (!site.use || site.use->observe != weight || !site.input.observe)
      continue;
    auto x = activations.find(site.input.observe);
    ObserveOp bias = findBias(site.contract);
    if (x == activations.end() || !bias)
      continue;
    FailureOr<std::vector<float>> values = readParameter(bias);
    if (failed(values) ||
        (count != 1 && static_cast<int64_t>(values->size()) != count))
      continue;
    for (auto [i, value] : llvm::enumerate(*values)) {
      float &at = least[count == 1 ? 0 : i];
      double bound = std::fabs(double(value)) / x->second.scale * 0x1p-28;
      at = std::max(at, static_cast<float>(bound));
    }
  }
  return least;
}

LogicalResult
Quantize::quantizeWeights(MutableArrayRef<WeightMatrix> matrices) {
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
    auto type = typeOf(observe);
    RangeMethod range = weightRange.value_or(
        scheme.getBits() <= 4 ? RangeMethod::MSE : RangeMethod::MinMax);
    DoneWeight done;
    done.scheme = scheme;
    ScaleMap map(type.getShape(), scheme);
    SmallVector<float> least;
    if (!scheme.getBlock())
      least = getLeastScales(observe, map.getCount());
    done.integers =
        quantizeWeight(*values, type.getShape(), scheme, range, least);
    WeightMatrix *matrix = byObserve.lookup(observe);
    std::string how = "rounded to nearest";
    if (gptq && matrix) {
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
    report->add(matrix ? StringRef(matrix->layer) : "", observe.getTensor(),
                "integers", how,
                {report->number("bits", scheme.getBits()),
                 report->number("snr", signal > 0 ? snr : 200.0),
                 report->number("scales", int64_t(map.getCount()))});
    done.before = std::move(*values);
    // While the way from the contraction to the parameter is still there.
    if (correctBias && matrix && failed(correctMeans(*matrix, done)))
      return failure();

    OpBuilder b(&getContext());
    b.setInsertionPointAfter(observe);
    Location loc = observe.getLoc();
    SmallVector<float> scales;
    for (QuantParameters p : done.integers.parameters)
      scales.push_back(p.scale);
    ArrayRef<char> bytes(
        reinterpret_cast<const char *>(done.integers.values.data()),
        done.integers.values.size());
    Value integers = constants->makeIntegers(b, loc, type.clone(b.getI8Type()),
                                             bytes, observe.getTensor());
    auto dequantize = DequantizeOp::create(
        b, loc, type, integers,
        constants->makeScales(b, loc, scales, map.shape),
        constants->makeZeroPoints(b, loc, done.integers.parameters, map.shape,
                                  b.getI8Type()),
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
    weights[observe] = std::move(done);
    ++numWeights;
  }
  return success();
}

//===-- biases ------------------------------------------------------------===//

/// The vector that a contraction's own node adds to it, with the generic.
static ObserveOp findOwnBias(ContractOp op, linalg::GenericOp &adder) {
  ObserveOp bias = findBias(op);
  if (!bias || !bias->hasOneUse())
    return nullptr;
  Value result = op.getResult();
  while (result.hasOneUse()) {
    Operation *user = *result.getUsers().begin();
    if (isa<ObserveOp>(user))
      return nullptr;
    adder = dyn_cast<linalg::GenericOp>(user);
    if (adder)
      return *bias->getUsers().begin() == adder ? bias : nullptr;
    result = user->getResult(0);
  }
  return nullptr;
}

/// b -= E[(w' - w) x]: the mean that rounding the weights adds to each output
/// channel (Nagel et al., ICCV 2019).
LogicalResult Quantize::correctMeans(WeightMatrix &matrix,
                                     const DoneWeight &weight) {
  ObserveOp bias = findBias(matrix.use.contract);
  auto refuse = [&](const Twine &reason) {
    report->add(matrix.layer, matrix.use.observe.getTensor(),
                "bias not corrected", reason);
    return success();
  };
  if (!bias || !bias->hasOneUse())
    return refuse("it has no bias of its own");
  if (!matrix.input)
    return refuse("its input channels are not an axis of an observed tensor");
  auto moments =
      readFloats(matrix.input.getStatisticsAttr(), statistics::kChannelMoments);
  if (!moments)
    return matrix.input.emitError("tensor '")
           << matrix.input.getTensor()
           << "': " << llvm::toString(moments.takeError());
  int64_t channels = moments->size() / 3;
  if (channels != matrix.rows / matrix.rowsPerGroup * matrix.channels)
    return refuse("its statistics are of another number of channels");
  FailureOr<std::vector<float>> values = readParameter(bias);
  if (failed(values))
    return failure();
  if (static_cast<int64_t>(values->size()) != matrix.rows)
    return refuse("its bias has another number of elements");
  std::vector<int32_t> offsets = matrix.getOffsets();
  double change = 0;
  for (int64_t row = 0; row < matrix.rows; ++row) {
    double shift = 0;
    for (int64_t column = 0; column < matrix.columns; ++column) {
      int32_t at = offsets[row * matrix.columns + column];
      int64_t channel = matrix.getInputChannel(row, column);
      double count = (*moments)[channel];
      if (count > 0)
        shift += (double(weight.after[at]) - weight.before[at]) *
                 ((*moments)[channels + channel] / count);
    }
    (*values)[row] -= static_cast<float>(shift);
    change = std::max(change, std::fabs(shift));
  }
  writeParameter(bias, *values);
  report->add(matrix.layer, bias.getTensor(), "bias corrected",
              "mean error of the rounded weights",
              {report->number("largest", change)});
  return success();
}

LogicalResult Quantize::quantizeBias(Site &site) {
  auto done = site.use ? weights.find(site.use->observe) : weights.end();
  auto x = site.input.observe ? activations.find(site.input.observe)
                              : activations.end();
  if (done == weights.end() || x == activations.end() ||
      site.input.observe.getSchemeAttr().getBits() != 8 ||
      done->second.scheme.getBlock())
    return success();
  linalg::GenericOp adder;
  ObserveOp bias = findOwnBias(site.contract, adder);
  if (!bias)
    return success();
  auto type = typeOf(bias);
  ArrayRef<QuantParameters> ws = done->second.integers.parameters;
  int64_t count = type.getNumElements();
  if (ws.size() != 1 && static_cast<int64_t>(ws.size()) != count)
    return success();
  FailureOr<std::vector<float>> values = readParameter(bias);
  if (failed(values))
    return failure();
  int64_t axis = 0;
  for (auto [i, size] : llvm::enumerate(type.getShape()))
    if (size != 1)
      axis = i;
  SmallVector<float> scales;
  std::vector<int32_t> integers;
  bool fits = true;
  for (auto [i, value] : llvm::enumerate(*values)) {
    float scale = x->second.scale * ws[ws.size() == 1 ? 0 : i].scale;
    double units = std::nearbyint(double(value) / scale);
    if (!std::isfinite(value))
      return bias.emitError("bias '")
             << bias.getTensor() << "' holds a NaN or an infinity";
    // Room for the sum it is added to.
    fits &= scale >= 0x1p-100f && std::fabs(units) < 0x1p30;
    if (!fits)
      break;
    if (i == 0 || ws.size() != 1)
      scales.push_back(scale);
    integers.push_back(static_cast<int32_t>(units));
  }
  if (!fits) {
    report->add(getNode(site.contract).name, bias.getTensor(), "float",
                "the bias does not fit 31 bits in units of the sum");
    return success();
  }
  bool perAxis = ws.size() != 1;
  OpBuilder b(&getContext());
  b.setInsertionPointAfter(bias);
  ArrayRef<char> bytes(reinterpret_cast<const char *>(integers.data()),
                       integers.size() * sizeof(int32_t));
  SmallVector<int64_t> scaleShape;
  if (perAxis)
    scaleShape.push_back(count);
  Value stored = constants->makeIntegers(
      b, bias.getLoc(), type.clone(b.getI32Type()), bytes, bias.getTensor());
  auto dequantize = DequantizeOp::create(
      b, bias.getLoc(), type, stored,
      constants->makeScales(b, bias.getLoc(), scales, scaleShape), Value(),
      UnitAttr(), perAxis ? b.getI64IntegerAttr(axis) : IntegerAttr(),
      IntegerAttr(), bias.getTensorAttr());
  bias.getResult().replaceAllUsesWith(dequantize);
  report->add(getNode(site.contract).name, bias.getTensor(), "int32",
              "bias in units of the sum");
  ++numBiases;
  return success();
}

//===-- activations -------------------------------------------------------===//

bool Quantize::isQuantized(Site &site) {
  return (site.use ? weights.contains(site.use->observe)
                   : site.second.observe &&
                         activations.contains(site.second.observe)) &&
         site.input.observe && activations.contains(site.input.observe);
}

/// True if what computes a tensor can write its integers at once.
bool Quantize::isComputedInIntegers(ObserveOp observe) {
  Producer producer = getProducer(observe);
  switch (producer.kind) {
  case ProducerKind::Contraction: {
    auto site = llvm::find_if(
        sites, [&](Site &site) { return site.contract == producer.contract; });
    return site != sites.end() && isQuantized(*site);
  }
  case ProducerKind::Addition:
  case ProducerKind::Concat:
  case ProducerKind::Average:
    return llvm::all_of(producer.operands, [&](OpOperand *operand) {
      Source source = findSource(*operand);
      return source.observe && activations.contains(source.observe);
    });
  case ProducerKind::Integer:
    return true;
  case ProducerKind::Argument:
  case ProducerKind::Other:
    return false;
  }
  return false;
}

void Quantize::quantizeActivation(ObserveOp observe, bool isInteger) {
  auto &uses = readers[observe];
  SmallVector<OpOperand *> all, floats;
  for (OpOperand &use : observe->getUses()) {
    if (use.getOwner()->hasTrait<OpTrait::IsTerminator>() ||
        isa<tensor::DimOp>(use.getOwner()))
      continue;
    all.push_back(&use);
    if (!uses.contains(&use))
      floats.push_back(&use);
  }
  // A function computed in float costs its float readers nothing, and they
  // need not see it rounded. Integers would have to be computed twice.
  bool partly = floatReaders && !floats.empty() && !isInteger;
  if (all.empty() || uses.empty()) {
    report->add("", observe.getTensor(), "float", "nothing reads integers");
    return;
  }
  QuantParameters p = activations[observe];
  SchemeAttr scheme = observe.getSchemeAttr();
  OpBuilder b(&getContext());
  b.setInsertionPointAfter(observe);
  Location loc = observe.getLoc();
  IntegerType type = scheme.getBits() > 8 ? b.getI16Type() : b.getI8Type();
  Value scale = constants->makeScales(b, loc, {p.scale}, {});
  Value zero = constants->makeZeroPoints(b, loc, {p}, {}, type);
  UnitAttr isUnsigned = scheme.getIsUnsigned() ? b.getUnitAttr() : UnitAttr();
  StringAttr origin = observe.getTensorAttr();
  IntegerAttr bits;
  if (scheme.getBits() != 8 && scheme.getBits() != 16)
    bits = b.getI64IntegerAttr(scheme.getBits());
  auto factors = observe->getAttrOfType<DenseElementsAttr>(kFactorAttrName);
  Value input = factors ? scaleChannels(b, observe, factors) : observe;
  auto quantize = QuantizeOp::create(
      b, loc, typeOf(observe).clone(type), input, scale, zero, isUnsigned,
      /*axis=*/IntegerAttr(), /*block_size=*/IntegerAttr(), bits, origin);
  auto dequantize = DequantizeOp::create(
      b, loc, observe.getType(), quantize, scale, zero, isUnsigned,
      /*axis=*/IntegerAttr(), /*block_size=*/IntegerAttr(), origin);
  if (partly) {
    SmallVector<Attribute> names(readerNames[observe].begin(),
                                 readerNames[observe].end());
    quantize->setAttr(kReadersAttrName, b.getArrayAttr(names));
  }
  if (factors) {
    // In the shape in which it broadcasts.
    SmallVector<int64_t> shape(typeOf(observe).getRank(), 1);
    shape[*observe.getAxis()] = factors.getNumElements();
    quantize->setAttr(kFactorAttrName, factors.reshape(RankedTensorType::get(
                                           shape, factors.getElementType())));
  }
  for (OpOperand *use : partly ? uses.getArrayRef() : ArrayRef(all))
    use->set(dequantize);
  ++numTensors;
}

void Quantize::quantizeActivations() {
  auto mark = [&](Source source, Operation *reader) {
    if (!source.observe || !activations.contains(source.observe))
      return;
    readers[source.observe].insert(source.use);
    if (source.next)
      reader = source.next;
    readerNames[source.observe].insert(
        StringAttr::get(&getContext(), getNode(reader).name));
  };
  for (Site &site : sites)
    if (isQuantized(site)) {
      mark(site.input, site.contract);
      if (!site.use)
        mark(site.second, site.contract);
    }
  for (ObserveOp observe : order) {
    Producer producer = getProducer(observe);
    if (!producer.operands.empty() && isComputedInIntegers(observe))
      for (OpOperand *operand : producer.operands)
        mark(findSource(*operand), operand->getOwner());
  }
  // Asked before anything changes what stands between observations.
  SmallVector<bool> integers;
  for (ObserveOp observe : order)
    integers.push_back(isComputedInIntegers(observe));
  for (auto [observe, isInteger] : llvm::zip_equal(order, integers))
    quantizeActivation(observe, isInteger);
}

void Quantize::runOnOperation() {
  ModuleOp module = getOperation();
  if (failed(checkOptions()))
    return signalPassFailure();
  constants.emplace(module);
  report.emplace(module, "quantize");
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
  shareScales();
  std::vector<WeightMatrix> matrices = collectWeights(module);
  LogicalResult done = success();
  if (failed(findParameters()) || failed(quantizeWeights(matrices)))
    done = failure();
  for (Site &site : sites)
    if (succeeded(done))
      done = quantizeBias(site);
  if (succeeded(done))
    quantizeActivations();
  report.reset();
  constants.reset();
  if (failed(done))
    signalPassFailure();
}
