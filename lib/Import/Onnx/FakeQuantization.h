// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What importers of fake quantization share: parameters in any shape that
// broadcasts, and the ways to say it in IR.
#ifndef TAMIS_LIB_IMPORT_ONNX_FAKEQUANTIZATION_H
#define TAMIS_LIB_IMPORT_ONNX_FAKEQUANTIZATION_H

#include "Arithmetic.h"

namespace mlir::tamis::onnx::fakequant {

using LevelFn = llvm::function_ref<Value(ImplicitLocOpBuilder &, Value x,
                                         Value scale, Value zero)>;

/// One parameter against the dimensions of the input it broadcasts to.
struct Parameter {
  ImportedValue source;
  std::optional<SmallVector<double>> known;
  std::optional<int64_t> axis; // none: one element
  bool wide = false;           // several axes
};

/// Reads an input of floats, all finite where they are known.
FailureOr<Parameter> readParameter(Importer &im, const Node &node, size_t index,
                                   int64_t rank, const llvm::Twine &what);
/// A parameter of one known element, zero.
Parameter makeZero(Importer &im);
/// Float32 or half precision.
LogicalResult requireFloatInput(Importer &im, const Node &node);

/// Scale and zero point in the form of the tamis operations.
struct Form {
  std::optional<int64_t> axis;
  Value scale;               // float32, of rank 0 or 1
  SmallVector<double> zeros; // one, or one for each scale
  IntegerAttr axisAttr(Importer &im) const {
    return axis ? im.b.getI64IntegerAttr(*axis) : IntegerAttr();
  }
};

bool areWhole(ArrayRef<double> values);
/// The form of known scales and zero points, either of which may have one
/// element; nothing if they follow different axes.
std::optional<Form> knownForm(Importer &im, const Parameter &scale,
                              ArrayRef<double> scales, const Parameter &zero,
                              ArrayRef<double> zeros);
/// The form of a scale that may be computed and known zero points.
std::optional<Form> readForm(Importer &im, const Parameter &scale,
                             const Parameter &zero);
/// True if levels of the form may be integers: whole zero points inside
/// [low, high], which 16 bits hold.
bool fitsLevels(const std::optional<Form> &form, int64_t low, int64_t high);

/// A remark at the node.
void leftInFloat(Importer &im, const llvm::Twine &why);
/// `tamis.fake_quant`: rounding half to even onto [low, high].
LogicalResult emitFakeQuant(Importer &im, const Node &node, Value x,
                            const Form &form, int64_t low, int64_t high);
/// Levels in [low, high] as `level` computes them in float32 from `levelScale`,
/// then a dequantize with `form`; see fitsLevels.
LogicalResult emitLevels(Importer &im, const Node &node, Value x,
                         const Form &form, int64_t low, int64_t high,
                         Value levelScale, LevelFn level);
/// body(x, operands...) in float32 over the broadcast shape, as the type of x.
LogicalResult emitFloat(Importer &im, const Node &node,
                        ArrayRef<ImportedValue> operands,
                        Importer::BodyFn body);

} // namespace mlir::tamis::onnx::fakequant

#endif // TAMIS_LIB_IMPORT_ONNX_FAKEQUANTIZATION_H
