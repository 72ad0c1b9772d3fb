// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Activations: scale and zero point by what calibration saw, and the quantize
// and dequantize that integer readers read.
#include "Quantization.h"
#include "ScaleGroups.h"
#include "tamis/Compress/Statistics.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::tamis;

/// What concatenated tensors and their concatenation are quantized with must be
/// one scale, or the concatenation computes.
static void shareScales(Quantization &state) {
  llvm::EquivalenceClasses<Operation *> classes;
  for (ObserveOp observe : state.order) {
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
      observe.setStatisticsAttr(
          statistics.getDictionary(state.module.getContext()));
      state.report.add("", observe.getTensor(), "shared scale",
                       "concatenated tensors have one scale");
    }
  }
}

LogicalResult tamis::chooseActivationParameters(Quantization &state,
                                                RangeMethod method,
                                                StringRef name,
                                                double percentile) {
  shareScales(state);
  for (ObserveOp observe : state.order) {
    SchemeAttr scheme = observe.getSchemeAttr();
    // A smoothed tensor's histogram is gone, and with it its outliers.
    bool isSmoothed = observe->hasAttr(kFactorAttrName) ||
                      observe->hasAttr(kEqualizedAttrName);
    auto range = chooseRange(observe.getStatisticsAttr(),
                             isSmoothed ? RangeMethod::MinMax : method,
                             percentile, scheme);
    if (!range)
      return observe.emitError("tensor '")
             << observe.getTensor()
             << "': " << llvm::toString(range.takeError());
    QuantParameters parameters = getParameters(*range, scheme);
    state.activations[observe] = parameters;
    state.report.add(
        "", observe.getTensor(), "quantized",
        "range by " + (isSmoothed ? "minmax" : name.str()),
        {state.report.number("low", range->low),
         state.report.number("high", range->high),
         state.report.number("scale", double(parameters.scale)),
         state.report.number("zero_point", int64_t(parameters.zeroPoint))});
  }
  return success();
}

namespace {
/// The uses of an observation that read integers, and the nodes they belong to.
struct IntegerReaders {
  llvm::SetVector<OpOperand *> uses;
  llvm::SetVector<StringAttr> names;
};
} // namespace

static bool isInteger(const Quantization &state, ObserveOp observe) {
  return isComputedInIntegers(
      observe,
      [&](ContractOp op) {
        auto site = llvm::find_if(state.sites, [&](const ContractionSite &at) {
          return at.contract == op;
        });
        return site != state.sites.end() && state.isQuantized(*site);
      },
      [&](ObserveOp source) { return state.activations.contains(source); });
}

/// Whether it had integer readers.
static bool quantizeActivation(Quantization &state, ObserveOp observe,
                               const IntegerReaders &readers, bool isInteger,
                               bool floatReaders) {
  const auto &uses = readers.uses;
  SmallVector<OpOperand *> all, floats;
  for (OpOperand &use : observe->getUses()) {
    if (use.getOwner()->hasTrait<OpTrait::IsTerminator>() ||
        isa<tensor::DimOp>(use.getOwner()))
      continue;
    all.push_back(&use);
    if (!uses.contains(&use))
      floats.push_back(&use);
  }
  if (all.empty() || uses.empty()) {
    state.report.add("", observe.getTensor(), "float",
                     "nothing reads integers");
    return false;
  }
  QuantParameters p = state.activations[observe];
  SchemeAttr scheme = observe.getSchemeAttr();
  OpBuilder b(observe.getContext());
  b.setInsertionPointAfter(observe);
  Location loc = observe.getLoc();
  IntegerType type = scheme.getBits() > 8 ? b.getI16Type() : b.getI8Type();
  Value scale = state.constants.makeScales(b, loc, {p.scale}, {});
  Value zero = state.constants.makeZeroPoints(b, loc, {p}, {}, type);
  UnitAttr isUnsigned = scheme.getIsUnsigned() ? b.getUnitAttr() : UnitAttr();
  StringAttr origin = observe.getTensorAttr();
  IntegerAttr bits;
  if (scheme.getBits() != 8 && scheme.getBits() != 16)
    bits = b.getI64IntegerAttr(scheme.getBits());
  auto factors = observe->getAttrOfType<DenseElementsAttr>(kFactorAttrName);
  // A function computed in float costs its float readers nothing, and they
  // need not see it rounded. Integers would have to be computed twice. Scaled
  // channels are for those alone whose weights make up for it.
  bool partly = !floats.empty() && (factors || (floatReaders && !isInteger));
  Value input = factors ? scaleChannels(b, observe, factors) : observe;
  auto quantize = QuantizeOp::create(
      b, loc, observe.getType().clone(type), input, scale, zero, isUnsigned,
      /*axis=*/IntegerAttr(), /*block_size=*/IntegerAttr(), bits, origin);
  auto dequantize = DequantizeOp::create(
      b, loc, observe.getType(), quantize, scale, zero, isUnsigned,
      /*axis=*/IntegerAttr(), /*block_size=*/IntegerAttr(), origin);
  if (partly) {
    SmallVector<Attribute> names(readers.names.begin(), readers.names.end());
    quantize->setAttr(kReadersAttrName, b.getArrayAttr(names));
  }
  if (factors) {
    // In the shape in which it broadcasts.
    SmallVector<int64_t> shape(observe.getType().getRank(), 1);
    shape[*observe.getAxis()] = factors.getNumElements();
    quantize->setAttr(kFactorAttrName, factors.reshape(RankedTensorType::get(
                                           shape, factors.getElementType())));
  }
  for (OpOperand *use : partly ? uses.getArrayRef() : ArrayRef(all))
    use->set(dequantize);
  return true;
}

int64_t tamis::quantizeActivations(Quantization &state, bool floatReaders) {
  llvm::DenseMap<Operation *, IntegerReaders> readers;
  auto mark = [&](Source source, Operation *reader) {
    if (!source.observe || !state.activations.contains(source.observe))
      return;
    IntegerReaders &known = readers[source.observe];
    known.uses.insert(source.use);
    if (source.next)
      reader = source.next;
    known.names.insert(
        StringAttr::get(state.module.getContext(), getNode(reader).name));
  };
  for (ContractionSite &site : state.sites)
    if (state.isQuantized(site)) {
      mark(site.input, site.contract);
      if (!site.use)
        mark(site.second, site.contract);
    }
  for (ObserveOp observe : state.order) {
    Producer producer = getProducer(observe);
    if (!producer.operands.empty() && isInteger(state, observe))
      for (OpOperand *operand : producer.operands)
        mark(findSource(*operand), operand->getOwner());
  }
  // Asked before anything changes what stands between observations.
  SmallVector<bool> integers;
  for (ObserveOp observe : state.order)
    integers.push_back(isInteger(state, observe));
  int64_t count = 0;
  for (auto [observe, isInteger] : llvm::zip_equal(state.order, integers))
    count += quantizeActivation(state, observe, readers[observe], isInteger,
                                floatReaders);
  return count;
}
