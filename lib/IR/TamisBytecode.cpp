// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Versions of the `tamis` dialect in bytecode. Every file carries the version
// that wrote it; an older one is upgraded after reading, a newer one refused.
// The log of versions is in TamisDialect.td, one golden file per version in
// test/Bytecode.
#include "tamis/IR/Tamis.h"
#include "mlir/Bytecode/BytecodeImplementation.h"

using namespace mlir;
using namespace mlir::tamis;

namespace {

struct TamisVersion : DialectVersion {
  explicit TamisVersion(uint64_t number) : number(number) {}
  uint64_t number;
};

/// Attributes keep their textual form: they are few and small.
struct TamisBytecodeInterface : BytecodeDialectInterface {
  TamisBytecodeInterface(Dialect *dialect) : BytecodeDialectInterface(dialect) {}

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

  LogicalResult upgradeFromVersion(Operation *top,
                                   const DialectVersion &version) const override {
    // Version 1 is the first; steps from 1 to 2 and so on go here, in order.
    return success(static_cast<const TamisVersion &>(version).number ==
                   TamisDialect::kBytecodeVersion);
  }
};

} // namespace

void TamisDialect::addBytecodeInterface() {
  addInterfaces<TamisBytecodeInterface>();
}
