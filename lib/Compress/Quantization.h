// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What --tamis-quantize knows between its steps, and the steps: parameters of
// activations, weights, biases, activations. Steps that can fail have reported
// why.
#ifndef TAMIS_LIB_COMPRESS_QUANTIZATION_H
#define TAMIS_LIB_COMPRESS_QUANTIZATION_H

#include "QuantizationFlow.h"
#include "QuantizeWeights.h"
#include "QuantizedConstants.h"
#include "tamis/Compress/Report.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::tamis {

/// A weight that has become integers.
struct QuantizedParameter {
  SchemeAttr scheme;
  QuantizedWeight integers;
  /// The values before and what the integers stand for.
  std::vector<float> before, after;
};

/// A contraction as it was before anything changed.
struct ContractionSite {
  ContractOp contract;
  std::optional<WeightUse> use;
  Source input, second;
};

/// A weight that has become codes: what they stand for, and that as a value.
struct EncodedParameter {
  std::vector<float> after;
  Value value;
};

struct Quantization {
  /// Collects the contractions and the activations with a scheme.
  explicit Quantization(ModuleOp module);

  /// Whether both operands of a contraction are integers.
  bool isQuantized(const ContractionSite &site) const;

  ModuleOp module;
  QuantizedConstants constants;
  Report report;
  std::vector<ContractionSite> sites;
  /// Activations to quantize, in the order of the program.
  std::vector<ObserveOp> order;
  /// By observation.
  llvm::DenseMap<Operation *, QuantParameters> activations;
  llvm::DenseMap<Operation *, QuantizedParameter> weights;
  LastInputs lastInputs;
};

/// Gives every activation scale and zero point from what calibration saw;
/// concatenated tensors share theirs. `name` is the method's, for the report.
LogicalResult chooseActivationParameters(Quantization &state,
                                         RangeMethod method, StringRef name,
                                         double percentile);

/// The codes of a weight whose scheme has no integers, and their
/// `tamis.decode` behind the observation; `seed` is that of k-means. Fails
/// where a value is beyond the number system.
FailureOr<EncodedParameter> encodeParameter(Quantization &state,
                                            ObserveOp observe,
                                            ArrayRef<float> values,
                                            uint64_t seed);

/// The least scale of each weight's scale that leaves its bias room: beside a
/// bias so much larger, the weights of a dying channel need no precision.
SmallVector<float> getLeastScales(Quantization &state, ObserveOp weight,
                                  int64_t count);

/// Makes the biases of integer contractions int32 in units of their sums.
/// Returns how many.
FailureOr<int64_t> quantizeBiases(Quantization &state);

/// Puts quantize and dequantize behind activations that integer readers have;
/// `floatReaders`: float operations go on reading the float. Returns how many.
int64_t quantizeActivations(Quantization &state, bool floatReaders);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_QUANTIZATION_H
