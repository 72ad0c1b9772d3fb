// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Offsets and bytes of the weight section.
#include "tamis/Target/ParameterLayout.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

int64_t ParameterLayout::getElementBytes(Type type) {
  if (auto complex = dyn_cast<ComplexType>(type))
    return 2 * getElementBytes(complex.getElementType());
  if (type.isIndex())
    return 8;
  if (!type.isIntOrFloat())
    return 0;
  unsigned bits = type.getIntOrFloatBitWidth();
  if (bits == 1)
    return 1;
  return bits % 8 == 0 ? bits / 8 : 0;
}

FailureOr<ParameterLayout> ParameterLayout::get(ModuleOp module) {
  ParameterLayout layout;
  for (auto global : module.getOps<ml_program::GlobalOp>()) {
    auto value = dyn_cast_if_present<ElementsAttr>(global.getValueAttr());
    if (!value)
      return global.emitError("parameter '")
             << global.getSymName() << "': expected an initial value";
    int64_t elementBytes = getElementBytes(value.getElementType());
    int64_t bytes = elementBytes;
    bool overflow = false;
    for (int64_t size : value.getShapedType().getShape())
      overflow |= llvm::MulOverflow(bytes, size, bytes);
    if (!elementBytes || overflow || bytes > int64_t(1) << 46)
      return global.emitError("parameter '")
             << global.getSymName()
             << "': expected byte-sized elements and at most 2^46 bytes, got "
             << value.getType();
    // The bytes of a resource must be what the type says before anything
    // reads them.
    if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
      AsmResourceBlob *blob = resource.getRawHandle().getBlob();
      int64_t found = blob ? blob->getData().size() : 0;
      if (found != bytes)
        return global.emitError("parameter '")
               << global.getSymName() << "': expected " << bytes
               << " bytes, got " << found;
    } else if (!isa<DenseElementsAttr>(value)) {
      return global.emitError("parameter '")
             << global.getSymName()
             << "': expected dense or dense_resource elements";
    }
    layout.totalBytes = llvm::alignTo(layout.totalBytes, alignment);
    layout.offsets[global.getSymName()] = layout.totalBytes;
    layout.parameters.push_back(
        {global.getSymNameAttr().getValue(), value, layout.totalBytes, bytes});
    layout.totalBytes += bytes;
  }
  return layout;
}

std::optional<int64_t> ParameterLayout::getOffset(StringRef name) const {
  auto found = offsets.find(name);
  if (found == offsets.end())
    return std::nullopt;
  return found->second;
}

/// Writes `element` `count` times in pieces of at most 64 KiB.
static LogicalResult
writeRepeated(ArrayRef<char> element, int64_t count,
              function_ref<LogicalResult(ArrayRef<char>)> sink) {
  int64_t perPiece =
      std::min<int64_t>(count, std::max<size_t>(1, 65536 / element.size()));
  SmallVector<char> piece;
  for (int64_t index = 0; index < perPiece; ++index)
    piece.append(element.begin(), element.end());
  while (count > 0) {
    int64_t now = std::min(count, perPiece);
    if (failed(sink(ArrayRef(piece).take_front(now * element.size()))))
      return failure();
    count -= now;
  }
  return success();
}

static LogicalResult
writeElements(const ParameterLayout::Parameter &parameter,
              function_ref<LogicalResult(ArrayRef<char>)> sink) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(parameter.value)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || int64_t(blob->getData().size()) != parameter.bytes)
      return failure();
    return sink(blob->getData());
  }
  auto dense = cast<DenseElementsAttr>(parameter.value);
  if (dense.getElementType().isInteger(1)) {
    if (dense.isSplat())
      return writeRepeated(char(dense.getSplatValue<bool>()), parameter.bytes,
                           sink);
    SmallVector<char> bytes(dense.getValues<bool>());
    return sink(bytes);
  }
  ArrayRef<char> raw = dense.getRawData();
  if (dense.isSplat())
    return writeRepeated(raw, dense.getNumElements(), sink);
  return sink(raw);
}

LogicalResult
ParameterLayout::write(function_ref<LogicalResult(ArrayRef<char>)> sink) const {
  static constexpr char zeros[alignment] = {};
  int64_t position = 0;
  for (const Parameter &parameter : parameters) {
    ArrayRef<char> padding(zeros, parameter.offset - position);
    if (!padding.empty() && failed(sink(padding)))
      return failure();
    if (parameter.bytes && failed(writeElements(parameter, sink)))
      return failure();
    position = parameter.offset + parameter.bytes;
  }
  return success();
}
