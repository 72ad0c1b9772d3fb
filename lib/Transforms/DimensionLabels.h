// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which dimensions of which values are channels: the analysis behind
// --tamis-assign-layouts.
#ifndef TAMIS_LIB_TRANSFORMS_DIMENSIONLABELS_H
#define TAMIS_LIB_TRANSFORMS_DIMENSIONLABELS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/IR/Tamis.h"
#include "llvm/ADT/EquivalenceClasses.h"

namespace mlir::tamis {

/// Dimensions of values and of loops that operations tie together form
/// classes; convolutions say which classes are channels and which are not.
/// The layout of a value is then a matter of its own dimensions: channels
/// last, else the order they have.
class DimensionLabels {
public:
  explicit DimensionLabels(func::FuncOp func);

  /// True if no convolution gave any label.
  bool empty() const { return channels.empty(); }

  /// The order of `value`'s dimensions: entry i is the dimension that becomes
  /// the i-th.
  SmallVector<int64_t> getLayout(Value value);

  /// The order of a tensor whose dimensions follow loops of `op` through
  /// `map`; results that are no plain dimension count as no channel.
  SmallVector<int64_t> getLayout(Operation *op, AffineMap map);

  /// A value that is cheaper to make again than to move: it takes whatever
  /// layout its reader wants and ties nothing together.
  static bool isFree(Value value);

  /// A contraction one of whose lhs coordinates is a sum.
  static bool isConvolution(ContractOp op);

private:
  using Node = unsigned;
  Node getNode(Value value, int64_t dim);
  Node getLoop(Operation *op, unsigned loop);
  void unite(Node a, Node b) { classes.unionSets(a, b); }
  /// Ties the dimensions of `value` to the loops that `map` reads it by.
  void tie(Operation *op, Value value, AffineMap map);
  void tieAll(Value a, Value b);
  void visit(Operation *op);
  void label(ContractOp op);
  /// Ties the dimensions that a reshape merges, once labels say they are of
  /// one kind; true if anything changed.
  bool visitMerge(Operation *op);
  bool isChannel(Node node);
  SmallVector<int64_t> sort(ArrayRef<bool> isChannel);

  llvm::EquivalenceClasses<Node> classes;
  llvm::DenseMap<Value, Node> values;
  llvm::DenseMap<Operation *, Node> loops;
  Node next = 0;
  SmallVector<Node> channels, others;
  llvm::DenseSet<Node> channelLeaders, otherLeaders;
  void resolve();
};

} // namespace mlir::tamis

#endif // TAMIS_LIB_TRANSFORMS_DIMENSIONLABELS_H
