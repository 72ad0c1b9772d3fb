// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Biases: corrected by what rounding the weights adds on average, and in units
// of the sum they are added to.
#include "Quantization.h"
#include "tamis/Compress/Delta.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

SmallVector<float> tamis::getLeastScales(Quantization &state, ObserveOp weight,
                                         int64_t count) {
  SmallVector<float> least(count, 0.0f);
  for (ContractionSite &site : state.sites) {
    if (!site.use || site.use->observe != weight || !site.input.observe)
      continue;
    auto x = state.activations.find(site.input.observe);
    ObserveOp bias = findBias(site.contract);
    if (x == state.activations.end() || !bias)
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

/// 1 if the site's bias became integers, 0 if it stays float.
static FailureOr<int64_t> quantizeBias(Quantization &state,
                                       ContractionSite &site) {
  auto done =
      site.use ? state.weights.find(site.use->observe) : state.weights.end();
  auto x = site.input.observe ? state.activations.find(site.input.observe)
                              : state.activations.end();
  if (done == state.weights.end() || x == state.activations.end() ||
      site.input.observe.getSchemeAttr().getBits() != 8 ||
      done->second.scheme.getBlock())
    return 0;
  linalg::GenericOp adder;
  ObserveOp bias = findOwnBias(site.contract, adder);
  if (!bias)
    return 0;
  RankedTensorType type = bias.getType();
  ArrayRef<QuantParameters> ws = done->second.integers.parameters;
  int64_t count = type.getNumElements();
  if (ws.size() != 1 && static_cast<int64_t>(ws.size()) != count)
    return 0;
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
    state.report.add(getNode(site.contract).name, bias.getTensor(), "float",
                     "the bias does not fit 31 bits in units of the sum");
    return 0;
  }
  bool perAxis = ws.size() != 1;
  OpBuilder b(bias.getContext());
  b.setInsertionPointAfter(bias);
  ArrayRef<char> bytes(reinterpret_cast<const char *>(integers.data()),
                       integers.size() * sizeof(int32_t));
  SmallVector<int64_t> scaleShape;
  if (perAxis)
    scaleShape.push_back(count);
  Value stored = state.constants.makeIntegers(
      b, bias.getLoc(), type.clone(b.getI32Type()), bytes, bias.getTensor());
  auto dequantize = DequantizeOp::create(
      b, bias.getLoc(), type, stored,
      state.constants.makeScales(b, bias.getLoc(), scales, scaleShape), Value(),
      UnitAttr(), perAxis ? b.getI64IntegerAttr(axis) : IntegerAttr(),
      IntegerAttr(), bias.getTensorAttr());
  bias.getResult().replaceAllUsesWith(dequantize);
  state.report.add(getNode(site.contract).name, bias.getTensor(), "int32",
                   "bias in units of the sum");
  return 1;
}

FailureOr<int64_t> tamis::quantizeBiases(Quantization &state) {
  int64_t count = 0;
  for (ContractionSite &site : state.sites) {
    FailureOr<int64_t> done = quantizeBias(state, site);
    if (failed(done))
      return failure();
    count += *done;
  }
  return count;
}
