// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What compression has changed, in terms of the source model's own tensors:
// enough to change the source file without decompiling IR.
#ifndef TAMIS_COMPRESS_DELTA_H
#define TAMIS_COMPRESS_DELTA_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mlir::tamis {

struct ConstantTensor;

/// Discardable attribute of a quantize or dequantize whose elements have fewer
/// bits than they take in memory.
inline constexpr llvm::StringLiteral kBitsAttrName = "tamis.bits";
/// Discardable attribute of a quantize that not every reader of its tensor
/// reads: the nodes that do, by name, or by their first result's where they
/// have none.
inline constexpr llvm::StringLiteral kReadersAttrName = "tamis.readers";
/// Discardable attribute of an observation and of the quantize of its tensor:
/// the tensor is multiplied with this vector along the observation's axis
/// before it is quantized (SmoothQuant).
inline constexpr llvm::StringLiteral kFactorAttrName = "tamis.factor";
/// The module's list of decisions: one dictionary per layer and pass.
inline constexpr llvm::StringLiteral kReportAttrName = "tamis.compression";

/// The module's attribute of removed channels: {parameters = {name = [{axis,
/// kept}]}, tensors = {name = [{axis, size}]}}.
inline constexpr llvm::StringLiteral kRemovedAttrName = "tamis.removed";

/// The bytes of a tensor with the type a user knows it by ("int4" is one byte
/// an element, as in the IR).
struct DeltaArray {
  std::string dtype;
  SmallVector<int64_t> shape;
  std::vector<char> bytes;
};

/// Scale and zero point or real offset, per tensor, along an axis, or of blocks
/// of it.
struct DeltaParameters {
  std::string dtype;
  DeltaArray scale;
  std::optional<DeltaArray> zeroPoint, offset;
  std::optional<int64_t> axis, block;
  /// The nodes that read the integers, if not all do.
  std::optional<std::vector<std::string>> readers;
  /// What the tensor is multiplied with before it is quantized, of its rank.
  std::optional<DeltaArray> factor;
};

/// Integers or other codes, and what they stand for: `dtype` is theirs.
struct DeltaWeight {
  DeltaArray values;
  DeltaParameters parameters;
  /// The values that unsigned codes are indices of, if any.
  std::optional<DeltaArray> codebook;
};

/// An axis that has lost channels: which indices of a parameter are kept, or
/// how many of another tensor.
struct DeltaRemoval {
  int64_t axis;
  SmallVector<int64_t> kept;
  int64_t size;
};

struct Delta {
  /// Parameters that are still floats, with their new contents.
  std::map<std::string, DeltaArray> parameters;
  /// Parameters that are integers or other codes now.
  std::map<std::string, DeltaWeight> weights;
  /// Activations that are integers now.
  std::map<std::string, DeltaParameters> tensors;
  /// Parameters and activations that have lost channels. The parameters'
  /// contents have their old shape.
  std::map<std::string, std::vector<DeltaRemoval>> removedParameters,
      removedTensors;
  /// Attribute `tamis.compression` of the module, may be null.
  ArrayAttr report;
};

/// A constant as an array of floats or signed integers.
DeltaArray readConstantArray(const ConstantTensor &tensor);

/// Reads the delta off the module. A quantization whose parameters nobody
/// knows at compile time is an error.
FailureOr<Delta> collectDelta(ModuleOp module);

} // namespace mlir::tamis

#endif // TAMIS_COMPRESS_DELTA_H
