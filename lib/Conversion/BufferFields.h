// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pointers, offsets, sizes and strides of buffers as LLVM values.
#ifndef TAMIS_LIB_CONVERSION_BUFFERFIELDS_H
#define TAMIS_LIB_CONVERSION_BUFFERFIELDS_H

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

namespace mlir::tamis {

/// `value` as one of `type`, by a cast behind its definition.
Value castBehind(Value value, Type type);

/// Each field is read once, where its buffer is made; those of casts and
/// reinterpretations are the operands that they were given.
class BufferFields {
public:
  /// `getInteger` gives the i64 in the place of an index.
  BufferFields(const LLVMTypeConverter &types,
               std::function<Value(Value)> getInteger)
      : types(types), getInteger(std::move(getInteger)) {}

  /// Known strides, elements of whole bytes, the usual address space.
  static bool canAddress(Value buffer);

  /// Where the elements of `buffer` begin.
  Value getPointer(Value buffer);

  /// Where the element at `indices` is.
  Value getAddress(OpBuilder &b, Location loc, Value buffer, ValueRange indices,
                   LLVM::GEPNoWrapFlags flags);

  Value getOffset(OpBuilder &b, Value buffer);
  Value getSize(OpBuilder &b, Value buffer, int64_t dim);
  Value getStride(OpBuilder &b, Value buffer, int64_t dim);

  Value makeIndex(OpBuilder &b, Location loc, int64_t value);

private:
  Value getAligned(Value buffer);
  Value toInteger(OpBuilder &b, Location loc, OpFoldResult value);
  /// The field at `position` of the descriptor of `buffer`.
  Value extract(Value buffer, ArrayRef<int64_t> position);

  const LLVMTypeConverter &types;
  std::function<Value(Value)> getInteger;
  /// The struct of a buffer, and the last value made behind it.
  DenseMap<Value, Value> descriptors, last;
  DenseMap<Value, Value> pointers;
  DenseMap<std::pair<Value, int64_t>, Value> fields;
};

} // namespace mlir::tamis

#endif // TAMIS_LIB_CONVERSION_BUFFERFIELDS_H
