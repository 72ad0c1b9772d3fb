// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reading and writing tensors known at compile time.
#include "tamis/Transforms/ConstantTensor.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>

using namespace mlir;
using namespace mlir::tamis;

/// Up to this many elements a constant is written in place, as the importer
/// does.
static constexpr int64_t kInlineElements = 64;

int64_t tamis::getElementBytes(Type type) {
  if (type.isIndex())
    return 8;
  if (!type.isIntOrFloat())
    return 0;
  unsigned bits = type.getIntOrFloatBitWidth();
  if (bits == 1)
    return 1;
  return bits % 8 == 0 && bits <= 64 ? bits / 8 : 0;
}

std::optional<int64_t> tamis::getTensorBytes(RankedTensorType type) {
  int64_t bytes = getElementBytes(type.getElementType());
  if (!bytes || !type.hasStaticShape())
    return std::nullopt;
  for (int64_t size : type.getShape())
    if (llvm::MulOverflow(bytes, size, bytes))
      return std::nullopt;
  return bytes;
}

/// Row-major byte strides of `shape`.
static SmallVector<int64_t> getRowMajorStrides(ArrayRef<int64_t> shape,
                                               int64_t elementBytes) {
  SmallVector<int64_t> strides(shape.size());
  for (int64_t i = shape.size() - 1, stride = elementBytes; i >= 0; --i) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

SmallVector<int64_t> ConstantTensor::getStrides() const {
  if (splat)
    return SmallVector<int64_t>(type.getRank(), 0);
  return getRowMajorStrides(type.getShape(),
                            getElementBytes(type.getElementType()));
}

std::optional<ConstantTensor> tamis::readConstant(Attribute attr) {
  auto elements = dyn_cast_if_present<ElementsAttr>(attr);
  if (!elements)
    return std::nullopt;
  auto type = dyn_cast<RankedTensorType>(elements.getShapedType());
  if (!type)
    return std::nullopt;
  std::optional<int64_t> bytes = getTensorBytes(type);
  if (!bytes)
    return std::nullopt;
  ConstantTensor constant;
  constant.type = type;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || static_cast<int64_t>(blob->getData().size()) != *bytes)
      return std::nullopt;
    constant.bytes = blob->getData();
    return constant;
  }
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  if (!dense)
    return std::nullopt;
  constant.splat = dense.isSplat();
  if (type.getElementType().isInteger(1)) {
    if (constant.splat)
      constant.owned.push_back(dense.getSplatValue<bool>());
    else
      for (bool bit : dense.getValues<bool>())
        constant.owned.push_back(bit);
    constant.bytes = constant.owned;
  } else {
    constant.bytes = dense.getRawData();
  }
  return constant;
}

std::optional<ConstantTensor> tamis::getConstantTensor(Value value,
                                                       SymbolTable &symbols) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  Attribute attr;
  if (matchPattern(op, m_Constant(&attr)))
    return readConstant(attr);
  if (auto load = dyn_cast<ml_program::GlobalLoadConstOp>(op)) {
    auto global = symbols.lookup<ml_program::GlobalOp>(
        load.getGlobal().getLeafReference());
    if (!global || global.getIsMutable())
      return std::nullopt;
    auto constant = readConstant(global.getValueAttr());
    if (constant && constant->type != value.getType())
      return std::nullopt;
    if (constant)
      constant->global = global;
    return constant;
  }
  if (auto fill = dyn_cast<linalg::FillOp>(op)) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || !type.hasStaticShape() ||
        !matchPattern(fill.getInputs()[0], m_Constant(&attr)) ||
        cast<TypedAttr>(attr).getType() != type.getElementType())
      return std::nullopt;
    return readConstant(DenseElementsAttr::get(type, attr));
  }
  return std::nullopt;
}

//===-- bytes -------------------------------------------------------------===//

/// The innermost loop, with the element size known to the compiler.
template <typename T>
static void copyRow(char *to, int64_t toStride, const char *from,
                    int64_t fromStride, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(to + i * toStride, from + i * fromStride, sizeof(T));
}

void tamis::copyStrided(char *to, ArrayRef<int64_t> toStrides, const char *from,
                        ArrayRef<int64_t> fromStrides, ArrayRef<int64_t> shape,
                        int64_t elementBytes) {
  if (llvm::is_contained(shape, 0))
    return;
  int64_t rank = shape.size();
  // Trailing dimensions that are contiguous on both sides are one piece.
  int64_t piece = elementBytes;
  while (rank > 0 && toStrides[rank - 1] == piece &&
         fromStrides[rank - 1] == piece)
    piece *= shape[--rank];
  if (rank == 0) {
    std::memcpy(to, from, piece);
    return;
  }
  if (rank > 1) {
    for (int64_t i = 0; i < shape[0]; ++i)
      copyStrided(to + i * toStrides[0], toStrides.drop_front(),
                  from + i * fromStrides[0], fromStrides.drop_front(),
                  shape.drop_front(), elementBytes);
    return;
  }
  switch (piece) {
  case 1:
    return copyRow<uint8_t>(to, toStrides[0], from, fromStrides[0], shape[0]);
  case 2:
    return copyRow<uint16_t>(to, toStrides[0], from, fromStrides[0], shape[0]);
  case 4:
    return copyRow<uint32_t>(to, toStrides[0], from, fromStrides[0], shape[0]);
  case 8:
    return copyRow<uint64_t>(to, toStrides[0], from, fromStrides[0], shape[0]);
  default:
    for (int64_t i = 0; i < shape[0]; ++i)
      std::memcpy(to + i * toStrides[0], from + i * fromStrides[0], piece);
  }
}

//===-- writing -----------------------------------------------------------===//

Value ConstantWriter::load(OpBuilder &b, Location loc,
                           ml_program::GlobalOp global) {
  auto load = ml_program::GlobalLoadConstOp::create(
      b, loc, global.getType(),
      SymbolRefAttr::get(b.getContext(), global.getSymName()));
  for (Made &entry : made)
    if (entry.global == global)
      entry.loads.push_back(load);
  return load;
}

ml_program::GlobalOp ConstantWriter::makeGlobal(Location loc,
                                                RankedTensorType type,
                                                Attribute value,
                                                ml_program::GlobalOp like) {
  OpBuilder b(module.getContext());
  StringRef name = like ? like.getSymName() : "constant";
  auto global =
      ml_program::GlobalOp::create(b, loc, name, type, /*is_mutable=*/false,
                                   value, b.getStringAttr("private"));
  if (like)
    global->setDiscardableAttrs(
        llvm::to_vector(like->getDiscardableAttrDictionary()));
  // Behind the parameter it replaces, so that the order of weights stays.
  if (like)
    symbols.insert(global, std::next(Block::iterator(like)));
  else
    symbols.insert(global, module.getBody()->begin());
  return global;
}

Value ConstantWriter::write(OpBuilder &b, Location loc, RankedTensorType type,
                            AsmResourceBlob bytes, bool splat,
                            ml_program::GlobalOp like) {
  if (splat || type.getNumElements() <= kInlineElements) {
    Attribute value;
    if (type.getElementType().isInteger(1)) {
      SmallVector<bool> bits(bytes.getData().begin(), bytes.getData().end());
      value = DenseElementsAttr::get(type, ArrayRef<bool>(bits));
    } else {
      value = DenseElementsAttr::getFromRawBuffer(type, bytes.getData());
    }
    return arith::ConstantOp::create(b, loc, type, cast<TypedAttr>(value));
  }
  StringRef name = like ? like.getSymName() : "constant";
  auto value = DenseResourceElementsAttr::get(type, name, std::move(bytes));
  auto global = makeGlobal(loc, type, value, like);
  made.push_back({global, {}, /*ownsBytes=*/true});
  return load(b, loc, global);
}

Value ConstantWriter::reshape(OpBuilder &b, Location loc,
                              const ConstantTensor &source,
                              RankedTensorType type) {
  ml_program::GlobalOp global = source.global;
  DenseResourceElementsAttr resource;
  if (global)
    resource = dyn_cast<DenseResourceElementsAttr>(global.getValueAttr());
  if (!resource)
    return write(b, loc, type,
                 HeapAsmResourceBlob::allocateAndCopyWithAlign(
                     source.bytes, 64, /*dataIsMutable=*/false),
                 source.splat, global);
  auto value = DenseResourceElementsAttr::get(type, resource.getRawHandle());
  auto view = makeGlobal(loc, type, value, global);
  made.push_back({view, {}, /*ownsBytes=*/false});
  return load(b, loc, view);
}

void ConstantWriter::eraseUnused() {
  auto getHandle = [](ml_program::GlobalOp global) {
    return cast<DenseResourceElementsAttr>(global.getValueAttr())
        .getRawHandle();
  };
  // Later ones derive from earlier ones, so the last reader of bytes comes
  // first.
  llvm::DenseSet<void *> kept;
  for (Made &entry : llvm::reverse(made)) {
    if (llvm::any_of(entry.loads, [](ml_program::GlobalLoadConstOp load) {
          return !load->use_empty();
        })) {
      kept.insert(getHandle(entry.global).getResource());
      continue;
    }
    for (ml_program::GlobalLoadConstOp load : entry.loads)
      load.erase();
    auto handle = getHandle(entry.global);
    symbols.erase(entry.global);
    if (entry.ownsBytes && !kept.contains(handle.getResource()))
      handle.getResource()->setBlob({});
  }
  made.clear();
}
