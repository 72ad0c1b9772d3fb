// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What quantized tensors flow through: which operations take over their
// operand's parameters, and which compute on integers between contractions.
// --tamis-select-quantization decides by it, --tamis-quantize finds the same
// readers again.
#ifndef TAMIS_LIB_COMPRESS_QUANTIZATIONFLOW_H
#define TAMIS_LIB_COMPRESS_QUANTIZATIONFLOW_H

#include "tamis/IR/Tamis.h"
#include "llvm/ADT/SmallVector.h"

namespace mlir::tamis {

/// The observation nearest to where a tensor is computed, the use of its
/// result that leads to the reader, and the next observation on that way, if
/// there is one.
struct Source {
  ObserveOp observe;
  OpOperand *use = nullptr;
  ObserveOp next;
};

/// Follows `reader` up through movement, padding with zero and maxima to the
/// observation behind which only a computation is; `observe` is null if a
/// computation comes first.
Source findSource(OpOperand &reader);

enum class ProducerKind {
  Argument,    // a value of the graph's interface
  Contraction, // with bias, scale and shift per channel, relu, clip
  Addition,    // of two activations, with relu or clip
  Concat,
  Average, // over windows or dimensions
  Integer, // relu or clip of a tensor that has a scheme itself
  Other,
};

struct Producer {
  ProducerKind kind = ProducerKind::Other;
  /// The contraction, or null.
  ContractOp contract;
  /// What an addition, concatenation or average reads.
  SmallVector<OpOperand *> operands;
};

/// How the tensor that `observe` marks is computed.
Producer getProducer(ObserveOp observe);

/// True if what computes a tensor can write its integers at once: a contraction
/// that `isInteger`, or an operation between contractions all of whose operands
/// `isQuantized`.
bool isComputedInIntegers(ObserveOp observe,
                          llvm::function_ref<bool(ContractOp)> isInteger,
                          llvm::function_ref<bool(ObserveOp)> isQuantized);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_QUANTIZATIONFLOW_H
