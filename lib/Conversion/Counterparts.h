// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operations that LLVM has too.
#ifndef TAMIS_LIB_CONVERSION_COUNTERPARTS_H
#define TAMIS_LIB_CONVERSION_COUNTERPARTS_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"

namespace mlir::tamis {

/// A signless integer or a float of the usual formats.
bool isNumber(Type type);

/// Types that LLVM has too (numbers, vectors of one dimension of them), and the
/// index, which becomes an i64.
bool isPlain(Type type);

/// Operations on plain types, and those of LLVM that mean the same of the same
/// operands where no flag is set.
class Counterparts {
public:
  explicit Counterparts(MLIRContext *context);

  /// That of `op`, or nullopt.
  std::optional<OperationName> find(Operation *op) const;

private:
  template <typename From, typename To>
  void add();

  MLIRContext *context;
  DenseMap<OperationName, OperationName> names;
};

} // namespace mlir::tamis

#endif // TAMIS_LIB_CONVERSION_COUNTERPARTS_H
