// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Versions of the `tamis` dialect in bytecode. Every file carries the version
// that wrote it; an older one is upgraded after reading, a newer one refused.
// The log of versions is in TamisDialect.td, one golden file per version in
// test/Bytecode.
#include "mlir/Bytecode/BytecodeImplementation.h"
#include "tamis/IR/Tamis.h"

using namespace mlir;
using namespace mlir::tamis;

namespace {

struct TamisVersion : DialectVersion {
  explicit TamisVersion(uint64_t number) : number(number) {}
  uint64_t number;
};

/// Attributes keep their textual form: they are few and small.
struct TamisBytecodeInterface : BytecodeDialectInterface {
  TamisBytecodeInterface(Dialect *dialect)
      : BytecodeDialectInterface(dialect) {}

  void writeVersion(DialectBytecodeWriter &writer) const override {
    writer.writeVarInt(TamisDialect::kBytecodeVersion);
  }

  std::unique_ptr<DialectVersion>
  readVersion(DialectBytecodeReader &reader) const override {
    uint64_t number;
    if (failed(reader.readVarInt(number)))
      return nullptr;
    if (number == 0 || number > TamisDialect::kBytecodeVersion) {
      reader.emitError() << "bytecode of the tamis dialect has version "
                         << number << ", expected at most "
                         << TamisDialect::kBytecodeVersion;
      return nullptr;
    }
    return std::make_unique<TamisVersion>(number);
  }

  LogicalResult
  upgradeFromVersion(Operation *top,
                     const DialectVersion &version) const override {
    uint64_t number = static_cast<const TamisVersion &>(version).number;
    // Version 2 has offsets; before, a third operand was the zero point.
    if (number < 2)
      top->walk([](DequantizeOp op) {
        op.getProperties().operandSegmentSizes = {
            1, 1, static_cast<int32_t>(op->getNumOperands()) - 2, 0};
      });
    return success();
  }
};

} // namespace

LogicalResult DequantizeOp::readProperties(DialectBytecodeReader &reader,
                                           OperationState &state) {
  auto &properties = state.getOrAddProperties<Properties>();
  if (failed(reader.readOptionalAttribute(properties.axis)) ||
      failed(reader.readOptionalAttribute(properties.block_size)) ||
      failed(reader.readOptionalAttribute(properties.is_unsigned)) ||
      failed(reader.readOptionalAttribute(properties.origin)))
    return failure();
  auto version = reader.getDialectVersion<TamisDialect>();
  if (succeeded(version) &&
      static_cast<const TamisVersion *>(*version)->number < 2)
    return success(); // upgradeFromVersion sets the segments
  return reader.readSparseArray(
      MutableArrayRef<int32_t>(properties.operandSegmentSizes));
}

void DequantizeOp::writeProperties(DialectBytecodeWriter &writer) {
  auto &properties = getProperties();
  writer.writeOptionalAttribute(properties.axis);
  writer.writeOptionalAttribute(properties.block_size);
  writer.writeOptionalAttribute(properties.is_unsigned);
  writer.writeOptionalAttribute(properties.origin);
  writer.writeSparseArray(ArrayRef<int32_t>(properties.operandSegmentSizes));
}

void TamisDialect::addBytecodeInterface() {
  addInterfaces<TamisBytecodeInterface>();
}
