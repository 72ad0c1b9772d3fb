// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Constants of scalars and of vectors alike.
#ifndef TAMIS_LIB_CONVERSION_SPLATCONSTANT_H
#define TAMIS_LIB_CONVERSION_SPLATCONSTANT_H

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Matchers.h"

namespace mlir::tamis {

/// The constant that `value`, or each of its lanes, is; null if there is none
/// of this kind.
template <typename AttrT>
AttrT getSplatConstant(Value value) {
  if (auto broadcast = value.getDefiningOp<vector::BroadcastOp>())
    value = broadcast.getSource();
  Attribute constant;
  if (!matchPattern(value, m_Constant(&constant)))
    return {};
  if (auto dense = dyn_cast<DenseElementsAttr>(constant))
    constant = dense.isSplat() ? dense.getSplatValue<Attribute>() : Attribute();
  return dyn_cast_or_null<AttrT>(constant);
}

} // namespace mlir::tamis

#endif // TAMIS_LIB_CONVERSION_SPLATCONSTANT_H
