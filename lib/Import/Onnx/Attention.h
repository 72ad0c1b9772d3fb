// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the attention operators of all domains share: heads, masks, the two
// contractions around a softmax, rotation by position.
#ifndef TAMIS_LIB_IMPORT_ONNX_ATTENTION_H
#define TAMIS_LIB_IMPORT_ONNX_ATTENTION_H

#include "Arithmetic.h"

namespace mlir::tamis::onnx::attention {

/// The operands of one attention, all (batch, heads, sequence, head size).
struct Heads {
  Value q, k, v;
  int64_t qHeads = 0, kvHeads = 0;
  bool merged = false; // inputs had rank 3
};

/// What decides which keys a query sees.
struct Masking {
  Value mask;    // bool or float, at most rank 4; or null
  Value lengths; // integers per batch entry, or null
  Value past;    // index: position of the first query
  bool causal = false;
  int64_t left = -1, right = -1;
  bool isOpen() const {
    return !mask && !lengths && !causal && left < 0 && right < 0;
  }
};

/// What lies between the two contractions, with the queries of all heads that
/// share keys as rows: (batch, kv heads, groups * queries, keys).
struct Scores {
  Value raw, capped, biased, weights;
};

/// (batch, heads, sequence, head size) from either layout.
FailureOr<Value> splitHeads(Importer &im, const Node &node, Value x,
                            int64_t heads, StringRef name);
/// (batch, sequence, heads * head size) again.
FailureOr<Value> mergeHeads(Importer &im, const Node &node, Value y,
                            int64_t heads);
/// softmax(cap(q · k * scale) + mask) · v with elements of `element`, as
/// (batch, heads, sequence, head size). `cap` 0 is none.
FailureOr<Value> attend(Importer &im, const Node &node, const Heads &heads,
                        const Masking &masking, double scale, double cap,
                        Type element, Scores &scores);
/// Such rows of the heads `h` by themselves: (batch, heads, queries, ...).
Value splitRows(Importer &im, const Heads &h, Value x);
/// Pairs of the first `rotated` elements of each head of `x` turned by the
/// angle of its place: cos and sin at (position, pair), or with null positions
/// at (batch, sequence, pair).
Value rotate(Importer &im, Value x, Value cos, Value sin, Value positions,
             int64_t rotated, bool interleaved);

} // namespace mlir::tamis::onnx::attention

#endif // TAMIS_LIB_IMPORT_ONNX_ATTENTION_H
