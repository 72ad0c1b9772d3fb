// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The frame of recurrent operators: operands, directions, the loop over steps.
// A cell only says how one step makes new states from old ones.
#ifndef TAMIS_LIB_IMPORT_ONNX_RECURRENT_H
#define TAMIS_LIB_IMPORT_ONNX_RECURRENT_H

#include "Arithmetic.h"

namespace mlir::tamis::onnx {

/// Where a recurrent operator keeps its inputs.
struct RecurrentInputs {
  size_t lengths = 4, initialH = 5, initialC = 6;
};

class Recurrence {
public:
  Recurrence(Importer &im, const Node &node, int64_t gates, int64_t states,
             RecurrentInputs inputs = {})
      : im(im), node(node), gates(gates), states(states), inputs(inputs) {}

  /// Reads X, attributes, activations and initial states; `hidden` is the size
  /// of the state.
  LogicalResult read(int64_t hidden, int64_t directionsOfWeights,
                     ArrayRef<StringRef> defaults);

  /// One step: from the projected input (batch, gates * hidden) and the old
  /// states to the new ones (same number).
  using StepFn = llvm::function_ref<LogicalResult(
      Value projected, ArrayRef<Value> old, SmallVectorImpl<Value> &fresh)>;
  /// Runs direction `d` over `projected` (steps, batch, gates * hidden).
  LogicalResult loop(int64_t d, Value projected, StepFn step);
  /// Defines the node's outputs after all directions have run.
  LogicalResult finish();

  /// Columns [gate * hidden, (gate + count) * hidden) of a (batch, n) tensor.
  Value gate(Value x, int64_t gate, int64_t count = 1);
  /// Slice `d` of dimension 0, without it, in the compute type.
  Value direction(Value x, int64_t d);
  /// The activation `index` of direction `d`.
  const Activation &activation(int64_t d, int64_t index) const {
    return activations[d * perDirection + index];
  }
  /// Limits a gate's argument to [-clip, clip].
  Value clipped(ImplicitLocOpBuilder &b, Value x) const;

  Importer &im;
  const Node &node;
  int64_t gates, states;
  RecurrentInputs inputs;
  int64_t hidden = 0, directions = 1;
  Value x; // (steps, batch, input) in the compute type
  OpFoldResult steps, batch;
  Type type;    // what is computed in
  Type element; // what X and Y hold
  DType dtype = DType::Undefined;

private:
  LogicalResult readActivations(ArrayRef<StringRef> defaults);
  /// Initial state `index` for direction `d`, of `stateType`.
  FailureOr<Value> initial(int64_t index, int64_t d);
  /// `y` with (batch, steps, ...) in front for layout 1.
  Value toLayout(Value y, ArrayRef<int64_t> permutation);
  bool isReverse(int64_t d) const { return reverseOnly || d == 1; }

  SmallVector<Activation, 6> activations;
  int64_t perDirection = 1;
  double clip = 0;
  bool reverseOnly = false, batchFirst = false;
  Value lengths; // i32 per batch entry, or null
  RankedTensorType stateType;
  Value y; // (steps, directions, batch, hidden), or null
  SmallVector<SmallVector<Value>, 2> last; // per state, per direction
};

} // namespace mlir::tamis::onnx

#endif // TAMIS_LIB_IMPORT_ONNX_RECURRENT_H
