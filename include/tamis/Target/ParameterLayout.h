// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where each parameter lies in the weight section of an artifact. Codegen asks
// for offsets, emission writes the bytes; both derive them from the same
// globals, so the layout is never stored in the IR. It refers to attributes,
// which live as long as the context: the globals may be erased afterwards.
#ifndef TAMIS_TARGET_PARAMETERLAYOUT_H
#define TAMIS_TARGET_PARAMETERLAYOUT_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::tamis {

/// The byte offsets of the parameters (`ml_program.global`) of a module, in
/// module order, each aligned to 64 bytes.
class ParameterLayout {
public:
  static constexpr int64_t alignment = 64;

  struct Parameter {
    StringRef name;
    ElementsAttr value;
    int64_t offset;
    int64_t bytes;
  };

  /// Lays out the globals of `module`. Emits an error at a global without an
  /// initial value or with an element type that has no byte representation.
  static FailureOr<ParameterLayout> get(ModuleOp module);

  /// The offset of parameter `name`, if there is one.
  std::optional<int64_t> getOffset(StringRef name) const;

  ArrayRef<Parameter> getParameters() const { return parameters; }

  /// The size of the whole section.
  int64_t getTotalBytes() const { return totalBytes; }

  /// Hands the section to `sink` piece by piece, padding included, without
  /// ever holding more than a small part of it. Fails where `sink` fails or
  /// a blob was freed.
  LogicalResult write(function_ref<LogicalResult(ArrayRef<char>)> sink) const;

  /// The bytes one element of `type` takes in memory (i1 takes one); 0 if it
  /// has no byte representation.
  static int64_t getElementBytes(Type type);

private:
  SmallVector<Parameter> parameters;
  llvm::StringMap<int64_t> offsets;
  int64_t totalBytes = 0;
};

} // namespace mlir::tamis

#endif // TAMIS_TARGET_PARAMETERLAYOUT_H
