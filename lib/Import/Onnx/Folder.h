// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Folds one node of shape arithmetic.
#ifndef TAMIS_LIB_IMPORT_ONNX_FOLDER_H
#define TAMIS_LIB_IMPORT_ONNX_FOLDER_H

#include "Importer.h"

namespace mlir::tamis::onnx::shapes {

using Elements = SmallVector<OpFoldResult>;
using Dims = SmallVector<int64_t, 4>;

inline int64_t product(ArrayRef<int64_t> dims) {
  int64_t result = 1;
  for (int64_t dim : dims)
    result *= dim;
  return result;
}

class Folder {
public:
  Folder(Importer &im, const Node &node) : im(im), node(node) {}

  /// True if the node is folded, false if it must be imported as any other.
  FailureOr<bool> run();

private:
  using Fold = bool (Folder::*)();
  static Fold find(StringRef opType);

  bool isFloatValue(const OpFoldResult &element) {
    if (auto attribute = dyn_cast<mlir::Attribute>(element))
      return isa<FloatAttr>(attribute);
    return !cast<Value>(element).getType().isIndex();
  }
  const Shadow &in(size_t index) { return *shadows[index]; }
  bool hasInput(size_t index) {
    return index < shadows.size() && shadows[index];
  }
  /// An input that must be known completely.
  std::optional<SmallVector<int64_t>> known(size_t index);
  bool result(DType dtype, ArrayRef<int64_t> dims, Elements elements,
              size_t index = 0);

  /// Applies `apply` over the broadcast inputs; it may refuse by a null result.
  bool
  broadcast(DType dtype,
            llvm::function_ref<OpFoldResult(ArrayRef<OpFoldResult>)> apply);
  OpFoldResult number(Type type, double value) {
    return im.b.getFloatAttr(type, value);
  }
  static std::optional<double> floatOf(OpFoldResult element);
  OpFoldResult arithmetic(OpFoldResult lhs, OpFoldResult rhs);
  OpFoldResult convert(OpFoldResult element, DType to);

  bool foldBinary();
  bool foldVariadic();
  bool foldUnary();
  bool foldCompare();
  bool foldLogical();
  bool foldWhere();
  bool foldCast();
  bool foldGather();
  bool foldSlice();
  bool foldConcat();
  bool foldReshape();
  bool foldTranspose();
  bool foldExpand();
  bool foldTile();
  bool foldConstantOfShape();
  bool foldRange();
  bool foldReduce();
  bool foldSplit();
  bool foldIdentity();
  bool foldNonZero();

  /// Picks elements: `positions` index the flat elements of input 0.
  bool pick(ArrayRef<int64_t> dims, ArrayRef<int64_t> positions,
            size_t output = 0);

  Importer &im;
  const Node &node;
  SmallVector<std::shared_ptr<const Shadow>> shadows;
  SmallVector<DType> dtypes;
};

} // namespace mlir::tamis::onnx::shapes

#endif // TAMIS_LIB_IMPORT_ONNX_FOLDER_H
