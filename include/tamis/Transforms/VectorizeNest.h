// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The model behind --tamis-vectorize-loops: a linalg.generic on memrefs as a
// loop nest whose operands are flat buffers, each addressed by one linear
// function of the loop counters. Merging loops, choosing the vector loop and
// emitting code then need no knowledge of ranks, layouts or maps.
#ifndef TAMIS_TRANSFORMS_VECTORIZENEST_H
#define TAMIS_TRANSFORMS_VECTORIZENEST_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"
#include <optional>

namespace mlir::tamis {

/// An integer times run-time values (indices into Nest::symbols, sorted).
struct Product {
  int64_t factor = 0;
  SmallVector<unsigned, 2> symbols;

  bool isStatic() const { return factor == 0 || symbols.empty(); }
  bool isZero() const { return factor == 0; }
  bool isOne() const { return factor == 1 && symbols.empty(); }
  bool operator==(const Product &other) const {
    return factor == other.factor && (factor == 0 || symbols == other.symbols);
  }
  Product operator*(const Product &other) const;
};

/// How one operand is addressed.
struct Access {
  Value buffer;                 ///< one-dimensional view of unit stride
  Value base;                   ///< index of the element of iteration zero
  Type element;                 ///< as the body sees it (i1 is stored as i8)
  SmallVector<Product> strides; ///< one per loop
  Value scalar;                 ///< the operand itself if it is no memref
  Value init;                   ///< written operands: known earlier content
  bool read = false;
  bool written = false;
};

struct NestLoop {
  Product extent;
  bool reduction = false;
  unsigned dim = 0; ///< dimension of the generic that linalg.index names
};

/// What the machine and the policy allow.
struct VectorTarget {
  unsigned bits = 128;
  bool masks = false; ///< masked loads and stores of every element width
  bool permutesBytes = false; ///< 64 bytes out of 128 in one instruction
  int64_t threads = 1;        ///< upper bound of the task split
  bool strict = false;        ///< float sums keep their scalar order

  /// Tasks worth making of so many loop iterations of the given cost; the
  /// threads are woken for no less than about 50 microseconds of work.
  int64_t tasksFor(std::optional<double> work) const;

  /// Reads `tamis.target` and `tamis.policy` of the operations around `op`.
  static VectorTarget of(Operation *op);
};

/// A reduction result: `yield combiner(accumulator, contribution)`.
struct Reduction {
  Operation *combiner = nullptr;
  vector::CombiningKind kind = vector::CombiningKind::ADD;
  TypedAttr neutral;
  bool reassociable = false;
};

/// A linalg.generic seen as a nest of loops over flat buffers.
struct Nest {
  linalg::GenericOp op;
  SmallVector<Value> symbols;
  SmallVector<NestLoop> loops;
  SmallVector<Access> accesses; ///< one per operand, in order

  /// Why `op` cannot be modelled, or nullopt if it can.
  static std::optional<StringRef> unsupported(linalg::GenericOp op);

  /// Builds the model; emits views and sizes at `b`.
  Nest(OpBuilder &b, linalg::GenericOp op);

  /// Drops unit loops and merges those that every operand walks as one.
  void simplify();

  Value materialize(OpBuilder &b, const Product &product) const;
  unsigned numInputs() const {
    return const_cast<linalg::GenericOp &>(op).getNumDpsInputs();
  }
  Block &body() const {
    return const_cast<linalg::GenericOp &>(op).getRegion().front();
  }
  /// The reduction of output `i`, or nullopt if its form is another.
  std::optional<Reduction> getReduction(unsigned i) const;
  bool hasReductionLoops() const;

  Product product(OpBuilder &b, OpFoldResult value);

private:
  unsigned symbol(Value value);
  Product sum(OpBuilder &b, const Product &a, const Product &c);
};

/// Emits vector loops for `nest` at `b`.
void emitNest(OpBuilder &b, Nest &nest, const VectorTarget &target);

/// If `op` is a costly function of one byte, a table of its 256 values pays:
/// fills one ahead of `op`, makes `op` look its values up, and returns the
/// operation that fills the table.
linalg::GenericOp tabulate(OpBuilder &b, linalg::GenericOp op,
                           const VectorTarget &target);

/// Widest element the body computes with, in bits.
unsigned getWidestBits(Block &body);

/// True if emitNest can turn every operation of `body` into lanes.
bool isVectorizableBody(Block &body);

} // namespace mlir::tamis

#endif // TAMIS_TRANSFORMS_VECTORIZENEST_H
