// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a compiled model tells its users: inputs, outputs, metadata. Lowering
// erases the tensor types of @main, so the facts move to one module attribute
// before it:
//
//   tamis.interface = {
//     inputs  = [{name = "x", dtype = "float32", dims = [1, 3, "h", "w"]}],
//     outputs = [{name = "y", dtype = "int64", dims = [1, "?"]},
//                {name = "h", dtype = "float32", dims = [8], state = "h0"}],
//     ranges = {h = array<i64: 1, 512>},
//     metadata = {author = "…"}, producer = "…", threads = 1 : i64
//   }
//
// A dimension is an integer or a symbol; equal symbols of inputs are equal at
// run time. An output dimension "?" is known only after the run: the run
// allocates such an output.
#ifndef TAMIS_EXECUTION_INTERFACE_H
#define TAMIS_EXECUTION_INTERFACE_H

#include "mlir/IR/BuiltinOps.h"
#include <map>
#include <string>
#include <vector>

namespace mlir::tamis {

/// One dimension: an integer, or -1 and a symbol.
struct InterfaceDim {
  int64_t size = -1;
  std::string symbol;

  bool isStatic() const { return size >= 0; }
  std::string str() const { return isStatic() ? std::to_string(size) : symbol; }
};

struct InterfaceTensor {
  std::string name;
  std::string dtype; // spelled as numpy does
  std::vector<InterfaceDim> dims;
  /// Of an output: the input it continues, if one. Both have the same
  /// dimensions, and a caller may give both the same memory, which the run then
  /// changes where it is; empty where the two must not overlap.
  std::string state;

  /// True if only the data decides the size.
  bool isUnbounded() const;
};

struct ModelInterface {
  std::vector<InterfaceTensor> inputs, outputs;
  /// The inclusive bounds of symbols that have any.
  std::map<std::string, std::pair<int64_t, int64_t>> ranges;
  std::map<std::string, std::string> metadata;
  std::string producer;
  /// Upper bound of the task split.
  int64_t threads = 1;
  /// What was decided for each layer: dictionaries of strings, integers and
  /// lists of integers, written by `--tamis-report-decisions`; may be null.
  ArrayAttr layers;

  /// True if every dimension of every input and output is known.
  bool isStatic() const;

  /// Reads `tamis.interface`; emits an error if it is missing or malformed.
  static FailureOr<ModelInterface> get(ModuleOp module);

  /// Reads the argument and result attributes `tamis.name`, `tamis.dtype`,
  /// `tamis.dims` and the types of @main, and the module attributes
  /// `tamis.metadata`, `tamis.producer`. Without `tamis.dims` an output
  /// dimension that the type leaves open is "?".
  static FailureOr<ModelInterface> fromMain(ModuleOp module);

  /// Writes `tamis.interface`.
  void attach(ModuleOp module) const;
};

/// The bytes of one element of `dtype`; 0 if there is no such dtype.
int64_t getDtypeBytes(StringRef dtype);

} // namespace mlir::tamis

#endif // TAMIS_EXECUTION_INTERFACE_H
