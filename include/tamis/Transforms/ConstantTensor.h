// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensors known at compile time, read and written as bytes. MLIR's attributes
// would make one object per element; weights have millions.
#ifndef TAMIS_TRANSFORMS_CONSTANTTENSOR_H
#define TAMIS_TRANSFORMS_CONSTANTTENSOR_H

#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/SymbolTable.h"
#include <optional>
#include <vector>

namespace mlir::tamis {

/// Bytes of one element in memory (i1 takes one), 0 for types without.
int64_t getElementBytes(Type type);

/// Bytes of a tensor in memory; nullopt if dynamic, overflowing or made of
/// elements without bytes.
std::optional<int64_t> getTensorBytes(RankedTensorType type);

/// A tensor known at compile time: its elements in row-major order, or one
/// element that all others equal.
struct ConstantTensor {
  RankedTensorType type;
  bool splat = false;
  /// All elements, or one if splat. Points into the attribute or `owned`.
  ArrayRef<char> bytes;
  std::vector<char> owned;
  /// The parameter it was loaded from, if any.
  ml_program::GlobalOp global;

  ConstantTensor() = default;
  ConstantTensor(ConstantTensor &&) = default;
  ConstantTensor &operator=(ConstantTensor &&) = default;

  /// Byte strides of the row-major order; zero for a splat.
  SmallVector<int64_t> getStrides() const;
};

/// The constant that `value` is (a constant, a parameter, a constant fill), or
/// nullopt. `symbols` finds parameters.
std::optional<ConstantTensor> getConstantTensor(Value value,
                                                SymbolTable &symbols);

/// The compile-time contents of an attribute of tensor type.
std::optional<ConstantTensor> readConstant(Attribute attr);

/// Copies `shape` elements of `elementBytes` between two strided buffers.
void copyStrided(char *to, ArrayRef<int64_t> toStrides, const char *from,
                 ArrayRef<int64_t> fromStrides, ArrayRef<int64_t> shape,
                 int64_t elementBytes);

/// Writes constants back to the module, small ones as `arith.constant`, others
/// as parameters.
class ConstantWriter {
public:
  ConstantWriter(ModuleOp module, SymbolTable &symbols)
      : module(module), symbols(symbols) {}

  /// Makes a constant of `bytes` (all elements, or one if `splat`). `like` is
  /// the parameter it derives from: it lends its name and attributes.
  Value write(OpBuilder &b, Location loc, RankedTensorType type,
              AsmResourceBlob bytes, bool splat, ml_program::GlobalOp like);

  /// Makes a constant of another shape over the same bytes.
  Value reshape(OpBuilder &b, Location loc, const ConstantTensor &source,
                RankedTensorType type);

  /// Removes the parameters that were made and never read, with their bytes.
  void eraseUnused();

private:
  Value load(OpBuilder &b, Location loc, ml_program::GlobalOp global);
  ml_program::GlobalOp makeGlobal(Location loc, RankedTensorType type,
                                  Attribute value, ml_program::GlobalOp like);

  ModuleOp module;
  SymbolTable &symbols;
  /// What was made here, with the loads of each.
  struct Made {
    ml_program::GlobalOp global;
    SmallVector<ml_program::GlobalLoadConstOp> loads;
    bool ownsBytes;
  };
  std::vector<Made> made;
};

} // namespace mlir::tamis

#endif // TAMIS_TRANSFORMS_CONSTANTTENSOR_H
