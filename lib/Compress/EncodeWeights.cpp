// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights as codes of a number system that is not integers, and their IR.
#include "Quantization.h"
#include "ValueSet.h"
#include "tamis/Compress/Delta.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::tamis;

FailureOr<EncodedParameter> tamis::encodeParameter(Quantization &state,
                                                   ObserveOp observe,
                                                   ArrayRef<float> values,
                                                   uint64_t seed) {
  SchemeAttr scheme = observe.getSchemeAttr();
  RankedTensorType type = observe.getType();
  std::unique_ptr<ValueSet> set = makeValueSet(scheme, seed);
  ScaleMap map(type.getShape(), scheme);
  std::vector<std::vector<float>> groups(map.getCount());
  for (auto [i, value] : llvm::enumerate(values))
    groups[map(i)].push_back(value);
  SmallVector<float> scales;
  for (const std::vector<float> &group : groups)
    scales.push_back(llvm::all_of(group, [](float x) { return x == 0; })
                         ? 1.0f
                         : set->chooseScale(group));
  groups.clear();
  std::vector<float> units(values.size()), importance(values.size());
  for (auto [i, value] : llvm::enumerate(values)) {
    float scale = scales[map(i)];
    units[i] = value / scale;
    importance[i] = scale * scale;
  }
  set->fit(units, importance);

  EncodedParameter result;
  Type codeType = set->getCodeType(type.getContext());
  int64_t bytes = codeType.getIntOrFloatBitWidth() / 8;
  std::vector<char> codes(values.size() * bytes);
  result.after.resize(values.size());
  for (auto [i, unit] : llvm::enumerate(units)) {
    uint16_t code = set->toCode(unit);
    // Little-endian, as all bytes of the IR.
    std::memcpy(&codes[i * bytes], &code, bytes);
    result.after[i] = set->toValue(code) * scales[map(i)];
    if (!std::isfinite(result.after[i]))
      return observe.emitError("weight '")
             << observe.getTensor() << "' holds " << values[i]
             << ", which is beyond " << getName(scheme);
  }

  OpBuilder b(type.getContext());
  b.setInsertionPointAfter(observe);
  Location loc = observe.getLoc();
  Value stored = state.constants.makeIntegers(b, loc, type.clone(codeType),
                                              codes, observe.getTensor());
  Value codebook, scale;
  ArrayRef<float> listed = set->getCodebook();
  SmallVector<float> scaled(listed);
  bool hasFormat = !set->getFormat().empty();
  // One scale for all is in the values; a format has them fixed.
  bool hasScale = !listed.empty() && (hasFormat || !scheme.isPerTensor());
  if (!listed.empty() && !hasScale)
    for (float &value : scaled)
      value *= scales.front();
  if (!listed.empty())
    codebook = state.constants.makeScales(
        b, loc, scaled, {static_cast<int64_t>(scaled.size())});
  if (hasScale)
    scale = state.constants.makeScales(b, loc, scales, map.shape);
  bool hasAxis = hasScale && !scheme.isPerTensor();
  auto decode = DecodeOp::create(
      b, loc, type, stored, codebook, scale,
      hasAxis ? b.getI64IntegerAttr(scheme.getAxis()) : IntegerAttr(),
      hasAxis && scheme.getBlock() ? b.getI64IntegerAttr(scheme.getBlock())
                                   : IntegerAttr(),
      hasFormat ? b.getStringAttr(set->getFormat()) : StringAttr(),
      observe.getTensorAttr());
  if (scheme.getBits() < 8)
    decode->setAttr(kBitsAttrName, b.getI64IntegerAttr(scheme.getBits()));
  result.value = decode;
  return result;
}
