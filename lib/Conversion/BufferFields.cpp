// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads descriptors of buffers, as rarely as possible.
#include "BufferFields.h"
#include "Counterparts.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace mlir::tamis;

Value mlir::tamis::castBehind(Value value, Type type) {
  OpBuilder b(value.getContext());
  b.setInsertionPointAfterValue(value);
  return UnrealizedConversionCastOp::create(b, value.getLoc(), type, value)
      .getResult(0);
}

static MemRefType getBufferType(Value buffer) {
  return cast<MemRefType>(buffer.getType());
}

/// The buffer that `buffer` is with another static type, or null.
static Value getCastSource(Value buffer) {
  auto cast = buffer.getDefiningOp<memref::CastOp>();
  return cast && isa<MemRefType>(cast.getSource().getType()) ? cast.getSource()
                                                             : Value();
}

static memref::ReinterpretCastOp getReinterpretation(Value buffer) {
  auto op = buffer.getDefiningOp<memref::ReinterpretCastOp>();
  return op && isa<MemRefType>(op.getSource().getType()) ? op : nullptr;
}

bool BufferFields::canAddress(Value buffer) {
  MemRefType type = getBufferType(buffer);
  SmallVector<int64_t> strides;
  int64_t offset;
  return !type.getMemorySpace() && isNumber(type.getElementType()) &&
         type.getElementTypeBitWidth() % 8 == 0 &&
         succeeded(type.getStridesAndOffset(strides, offset)) &&
         llvm::none_of(strides, ShapedType::isDynamic);
}

Value BufferFields::makeIndex(OpBuilder &b, Location loc, int64_t value) {
  return LLVM::ConstantOp::create(b, loc, types.getIndexType(),
                                  b.getIndexAttr(value));
}

Value BufferFields::toInteger(OpBuilder &b, Location loc, OpFoldResult value) {
  if (auto known = getConstantIntValue(value))
    return makeIndex(b, loc, *known);
  return getInteger(cast<Value>(value));
}

Value BufferFields::extract(Value buffer, ArrayRef<int64_t> position) {
  // Three fields before the arrays of sizes and strides.
  int64_t place = position[0];
  if (position.size() > 1)
    place += 3 + 2 * position[1];
  Value &field = fields[{buffer, place}];
  if (field)
    return field;
  Value &descriptor = descriptors[buffer];
  if (!descriptor)
    last[buffer] = descriptor =
        castBehind(buffer, types.convertType(buffer.getType()));
  OpBuilder b(buffer.getContext());
  b.setInsertionPointAfterValue(last[buffer]);
  return last[buffer] = field = LLVM::ExtractValueOp::create(
             b, buffer.getLoc(), descriptor, position);
}

Value BufferFields::getAligned(Value buffer) {
  if (Value source = getCastSource(buffer))
    return getAligned(source);
  if (auto op = getReinterpretation(buffer))
    return getAligned(op.getSource());
  if (auto op = buffer.getDefiningOp<memref::ExtractStridedMetadataOp>())
    return getAligned(op.getSource());
  return extract(buffer, {1});
}

Value BufferFields::getOffset(OpBuilder &b, Value buffer) {
  int64_t known = getBufferType(buffer).getStridesAndOffset().second;
  if (!ShapedType::isDynamic(known))
    return makeIndex(b, buffer.getLoc(), known);
  if (Value source = getCastSource(buffer))
    return getOffset(b, source);
  if (auto op = getReinterpretation(buffer))
    return toInteger(b, op.getLoc(), op.getMixedOffsets()[0]);
  return extract(buffer, {2});
}

Value BufferFields::getSize(OpBuilder &b, Value buffer, int64_t dim) {
  int64_t known = getBufferType(buffer).getDimSize(dim);
  if (!ShapedType::isDynamic(known))
    return makeIndex(b, buffer.getLoc(), known);
  if (Value source = getCastSource(buffer))
    return getSize(b, source, dim);
  if (auto op = getReinterpretation(buffer))
    return toInteger(b, op.getLoc(), op.getMixedSizes()[dim]);
  return extract(buffer, {3, dim});
}

Value BufferFields::getStride(OpBuilder &b, Value buffer, int64_t dim) {
  int64_t known = getBufferType(buffer).getStridesAndOffset().first[dim];
  if (!ShapedType::isDynamic(known))
    return makeIndex(b, buffer.getLoc(), known);
  if (Value source = getCastSource(buffer))
    return getStride(b, source, dim);
  if (auto op = getReinterpretation(buffer))
    return toInteger(b, op.getLoc(), op.getMixedStrides()[dim]);
  return extract(buffer, {4, dim});
}

Value BufferFields::getPointer(Value buffer) {
  if (Value source = getCastSource(buffer))
    return getPointer(source);
  if (Value known = pointers.lookup(buffer))
    return known;
  MemRefType type = getBufferType(buffer);
  Value aligned = getAligned(buffer);
  int64_t known = type.getStridesAndOffset().second;
  if (known == 0)
    return pointers[buffer] = aligned;
  // Behind what it is computed from.
  OpBuilder b(buffer.getContext());
  bool isExtracted = descriptors.contains(buffer);
  if (isExtracted && ShapedType::isDynamic(known))
    extract(buffer, {2});
  b.setInsertionPointAfterValue(isExtracted ? last[buffer] : buffer);
  Value pointer = LLVM::GEPOp::create(b, buffer.getLoc(), aligned.getType(),
                                      type.getElementType(), aligned,
                                      ValueRange(getOffset(b, buffer)));
  if (isExtracted)
    last[buffer] = pointer;
  return pointers[buffer] = pointer;
}

Value BufferFields::getAddress(OpBuilder &b, Location loc, Value buffer,
                               ValueRange indices, LLVM::GEPNoWrapFlags flags) {
  MemRefType type = getBufferType(buffer);
  LLVM::IntegerOverflowFlags overflow =
      bitEnumContainsAll(flags, LLVM::GEPNoWrapFlags::nuw)
          ? LLVM::IntegerOverflowFlags::nsw | LLVM::IntegerOverflowFlags::nuw
          : LLVM::IntegerOverflowFlags::none;
  SmallVector<int64_t> strides = type.getStridesAndOffset().first;
  Value place;
  for (auto [index, stride] : llvm::zip_equal(indices, strides)) {
    Value part = getInteger(index);
    if (stride != 1)
      part = LLVM::MulOp::create(b, loc, part, makeIndex(b, loc, stride),
                                 overflow);
    place = place ? LLVM::AddOp::create(b, loc, place, part, overflow) : part;
  }
  Value pointer = getPointer(buffer);
  return place ? LLVM::GEPOp::create(b, loc, pointer.getType(),
                                     type.getElementType(), pointer,
                                     ValueRange(place), flags)
               : pointer;
}
