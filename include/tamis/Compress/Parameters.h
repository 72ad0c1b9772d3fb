// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The weights of contractions as the model names them: which parameter a
// contraction reads, which of its axes are output channels, its values, and
// new values for it. Pruning and quantization share it.
#ifndef TAMIS_COMPRESS_PARAMETERS_H
#define TAMIS_COMPRESS_PARAMETERS_H

#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "tamis/IR/Tamis.h"
#include <optional>
#include <vector>

namespace mlir::tamis {

/// A contraction whose second operand is a parameter, seen through transposes,
/// reshapes and observations of what those made.
struct WeightUse {
  ContractOp contract;
  /// The observation of the parameter.
  ObserveOp observe;
  /// Where its bytes are; null if it is a constant operation.
  ml_program::GlobalOp global;
  /// The axes of the parameter that index the contraction's result (output
  /// channels and groups) and those that are summed over, ascending. An axis
  /// of extent one that a reshape merged into its neighbour is in neither; so
  /// is an axis that a reshape mixed of both.
  SmallVector<int64_t> outputAxes, reductionAxes;
};

/// The parameter that the second operand of `op` is, or nullopt.
std::optional<WeightUse> findWeight(ContractOp op);

/// The observation that feeds the first operand of `op` through movement,
/// padding, quantize and dequantize; null if a computation is between.
ObserveOp findInput(ContractOp op);

/// True if the first operand of `op` is a parameter and the second one is none.
/// Nothing changes such weights: kLeftWeight says so.
bool hasLeftWeight(ContractOp op);
inline constexpr StringLiteral kLeftWeight =
    "its weights are on the left of the product: only weights on the right are "
    "supported";

/// The observation that `value` is, seen through the same; null if none.
ObserveOp findObserved(Value value);

/// True if one operation alone reads `value`, also through movement.
bool isReadOnce(Value value);

/// The observation of a vector that is added to the result of `op` (also
/// behind the reshape that merges groups), and whose every element belongs to
/// one output channel; null if there is none.
ObserveOp findBias(ContractOp op);

/// The operation that reads whole rows of a tensor (its first axis) at
/// positions it computes, as Gather does; null if `use` is something else.
Operation *getRowReader(OpOperand &use);

/// The values of a float32 parameter, row-major. Emits an error and fails if
/// they are not known at compile time.
FailureOr<std::vector<float>> readParameter(ObserveOp observe);

/// Gives a parameter new values (as many as it has elements). A global gets new
/// bytes, a constant operation a new one; both the global and the observation
/// get the unit attribute `tamis.changed`.
void writeParameter(ObserveOp observe, ArrayRef<float> values);

/// Records a statistic (see Statistics.h) of a tensor. A large one is a
/// resource, whose bytes are freed when another one takes its place: an
/// attribute would stay as long as the context does.
void writeStatistic(ObserveOp observe, StringRef kind, RankedTensorType type,
                    ArrayRef<char> bytes);

/// The unit attribute that says a parameter has other values than the model's.
inline constexpr llvm::StringLiteral kChangedAttr = "tamis.changed";

} // namespace mlir::tamis

#endif // TAMIS_COMPRESS_PARAMETERS_H
