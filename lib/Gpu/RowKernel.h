// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The generator of kernels in which lanes share rows (MapRows.cpp says how),
// for rows in the device's memory and those of attention, which are in
// workgroup memory (AttentionKernel.cpp).
#ifndef TAMIS_LIB_GPU_ROWKERNEL_H
#define TAMIS_LIB_GPU_ROWKERNEL_H

#include "LinalgBody.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <optional>

namespace mlir::tamis::device {

/// Invocations of one workgroup: every Vulkan device has as many. A row takes
/// all of them, or so few that several rows share the workgroup.
inline constexpr int64_t kRowThreads = 128;

/// Loops over rows around the operations of one row.
struct RowNest {
  SmallVector<scf::ForOp> loops;
  /// The blocks of `loops`, or of the one row there is.
  SmallVector<Block *> blocks;

  auto getOperations() const {
    return blocks.back()->getOps<linalg::LinalgOp>();
  }
};

/// The rows that `op` is a kernel of, if it is one.
std::optional<RowNest> findRows(Operation *op);

/// The buffer that a view of a row looks at.
Value getRowSource(Value memref);

class RowKernel {
public:
  RowKernel(OpBuilder &b, Location loc, RowNest nest);
  virtual ~RowKernel() = default;
  /// Emits the launch.
  void build();

protected:
  /// Rows that the lanes of a workgroup have at once.
  int64_t countRows() const { return kRowThreads / lanes; }
  /// Types of the workgroup memory that reductions go through.
  SmallVector<Type> getMemory();
  /// Begins the body: this invocation and the memory of `getMemory`.
  void enter(Value invocation, ArrayRef<BlockArgument> memory);
  /// The work of one row of those at once, whose loops have the indices
  /// `indices`. Where it does not exist, `exists` is false, and its lanes take
  /// part in nothing but waiting.
  void emitRow(ValueRange indices, Value exists);
  virtual Value loadElement(Value memref, ValueRange indices);
  virtual void storeElement(Value value, Value memref, ValueRange indices);

  Value constant(int64_t value);
  Value add(Value x, Value y);

  OpBuilder &b;
  Location loc;
  RowNest nest;
  int64_t lanes;
  /// This invocation, and which of the rows at once is its own.
  Value thread, rowOfThread;

private:
  Value toValue(OpFoldResult size);
  SmallVector<Type> getExchanged();
  Value resolve(Value memref, SmallVectorImpl<Value> &indices);
  Value getSize(Value memref, int64_t axis);
  Value getExtent(linalg::LinalgOp op, unsigned dim);
  Value load(linalg::LinalgOp op, OpOperand *operand, ArrayRef<Value> dims);
  void store(linalg::LinalgOp op, OpOperand *init, ArrayRef<Value> dims,
             Value value);
  void storeScalars();
  SmallVector<Value> inlineBody(linalg::LinalgOp op, ArrayRef<Value> dims,
                                ValueRange accumulators = {});
  void emit(linalg::LinalgOp op);
  Value combine(Operation *combiner, Value x, Value y);
  Value exchangeAll(Operation *combiner, Value value);

  IRMapping mapping;
  /// Its lane, lane 0 of its row, whether there is that row.
  Value lane, first, inside;
  llvm::SmallDenseMap<Type, Value> exchange;
  /// Of views of one element that the row has written: what they hold.
  llvm::MapVector<Value, Value> scalars;
};

} // namespace mlir::tamis::device

#endif // TAMIS_LIB_GPU_ROWKERNEL_H
