// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Builds the loop of Loop and Scan. The body is imported until the types of
// what it carries stand: first every size is taken to be the same in each
// iteration, and a size that proves to change becomes open in the next try.
#ifndef TAMIS_LIB_IMPORT_ONNX_LOOPBUILDER_H
#define TAMIS_LIB_IMPORT_ONNX_LOOPBUILDER_H

#include "Structured.h"
#include <functional>

namespace mlir::tamis::onnx {

/// One value the loop carries from iteration to iteration.
struct LoopState {
  ImportedValue initial;
  bool isRead = true;       // the body looks at it
  bool isInvariant = false; // the body hands it on as it is

  // Found out by the builder.
  bool isPlaceholder = false; // of another type than what follows it
  bool asIndices = false;     // small integers, carried as index values
  SmallVector<bool> varies;   // which sizes change
  Value tensor;               // the initial tensor
};

class LoopBuilder {
public:
  LoopBuilder(Importer &im, const Node &node, const Graph &body)
      : im(im), node(node), body(body) {}

  std::optional<OpFoldResult> trips; // nothing: until the condition ends it
  Value condition;                   // to enter at all; null: true
  bool hasCondition = false;         // the first output of the body is one
  SmallVector<LoopState> states;
  int64_t scanOutputs = 0;
  SmallVector<int64_t> scanAxes, scanReversed; // empty: 0 and forward
  /// The inputs of the body in iteration `step`.
  std::function<SmallVector<ImportedValue>(OpFoldResult,
                                           ArrayRef<ImportedValue>)>
      makeInputs;

  LogicalResult run();

private:
  /// A scan output: rows gathered in a buffer. Or the last value of a state
  /// that begins with a placeholder.
  struct Scan {
    std::optional<size_t> lastOf;
    DType dtype = DType::Undefined;
    Value row;
    SmallVector<AffineExpr> forms;
    bool grows = false; // row sizes or trip count are unknown outside
  };

  LogicalResult prepareStates();
  /// Imports the body into a fresh region; true if the types have changed.
  FailureOr<bool> attempt();
  ImportedValue argumentOf(LoopState &state, Block *block);
  FailureOr<bool> stateResult(size_t index, const ImportedValue &result);
  LogicalResult addScan(const ImportedValue &row, std::optional<size_t> lastOf);
  LogicalResult build();
  Value scanBuffer(Scan &scan);
  Value storeRow(Scan &scan, Value buffer, Value step);

  Importer &im;
  const Node &node;
  const Graph &body;
  std::unique_ptr<Region> region;
  Value goesOn;              // i1 in the region; null: always
  SmallVector<Value> yields; // flat, in the order of the states
  SmallVector<Scan> scans;
};

} // namespace mlir::tamis::onnx

#endif // TAMIS_LIB_IMPORT_ONNX_LOOPBUILDER_H
