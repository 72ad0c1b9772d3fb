// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which channels of which tensors are one number whatever the input: those that
// a contraction makes with weights of zero, and what biases, activation
// functions and further contractions make of such a number.
#ifndef TAMIS_LIB_COMPRESS_CONSTANTCHANNELS_H
#define TAMIS_LIB_COMPRESS_CONSTANTCHANNELS_H

#include "WeightMatrix.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/DenseMap.h"
#include <vector>

namespace mlir::tamis {

/// The numbers that the channels of a value are, along one axis; NaN where a
/// channel depends on the input.
struct Channels {
  int64_t axis = -1;
  std::vector<float> values;
};

/// True if every place of a contraction's window lies inside of its input, so
/// that a constant channel adds the same everywhere.
bool isUnpadded(ContractOp op);

/// Follows constant channels through a module.
class ConstantChannels {
public:
  explicit ConstantChannels(ModuleOp module);

  /// Null if no channel of `value` is known.
  const Channels *lookup(Value value) const {
    auto entry = known.find(value);
    return entry == known.end() ? nullptr : &entry->second;
  }
  const WeightMatrix *getMatrix(ContractOp op) const {
    auto entry = matrices.find(op);
    return entry == matrices.end() ? nullptr : &entry->second;
  }

private:
  void visit(Operation *op);
  Channels visitContract(ContractOp op);
  Channels visitObserve(ObserveOp op);
  Channels visitPad(tensor::PadOp op);
  Channels visitReshape(Operation *op);
  Channels visitStructured(linalg::LinalgOp op);
  float reduce(linalg::LinalgOp op, unsigned dim, int64_t index);
  /// The value of channel `index` along `dim`, or unknown. `accumulator` is
  /// what the destination holds before.
  float evaluate(linalg::LinalgOp op, unsigned dim, int64_t index,
                 float accumulator);

  llvm::DenseMap<Operation *, WeightMatrix> matrices;
  llvm::DenseMap<Value, Channels> known;
};

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_CONSTANTCHANNELS_H
