// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An ONNX model as plain structs. Strings and tensor bytes point into the
// mapped file, so reading a model of gigabytes costs its graph, not its
// weights. Everything here has passed the reader's checks: payloads have the
// size their shape asks for, graphs are sorted, functions do not recurse.
#ifndef TAMIS_IMPORT_ONNX_MODEL_H
#define TAMIS_IMPORT_ONNX_MODEL_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mlir::tamis::onnx {

using llvm::ArrayRef;
using llvm::StringRef;

/// TensorProto.DataType.
enum class DType : int32_t {
  Undefined = 0,
  Float = 1,
  UInt8 = 2,
  Int8 = 3,
  UInt16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Double = 11,
  UInt32 = 12,
  UInt64 = 13,
  Complex64 = 14,
  Complex128 = 15,
  BFloat16 = 16,
  Float8E4M3FN = 17,
  Float8E4M3FNUZ = 18,
  Float8E5M2 = 19,
  Float8E5M2FNUZ = 20,
  UInt4 = 21,
  Int4 = 22,
  Float4E2M1 = 23,
  Float8E8M0 = 24,
  UInt2 = 25,
  Int2 = 26,
};

/// The numpy-like name ("float32"), used in attributes and diagnostics.
StringRef dtypeName(DType dtype);
/// Bytes of one element as `Tensor::data` holds it (4- and 2-bit integers are
/// unpacked to one byte), 0 for types that have no such form.
unsigned dtypeBytes(DType dtype);
/// True for the unsigned integers and bool.
bool isUnsigned(DType dtype);
/// True for signed and unsigned integers of any width, without bool.
bool isInteger(DType dtype);
/// True for the IEEE-like floats of 16 bits and more.
bool isFloat(DType dtype);

struct Tensor {
  StringRef name;
  DType dtype = DType::Undefined;
  std::vector<int64_t> dims;
  /// Row-major little-endian elements, `elementCount() * dtypeBytes(dtype)`
  /// bytes, not aligned. Bool is one byte; 4- and 2-bit integers one byte each.
  ArrayRef<char> data;
  /// Elements of a string tensor.
  std::vector<StringRef> strings;
  /// What keeps `data` alive: the mapped file, or a converted buffer.
  std::shared_ptr<const void> owner;

  int64_t elementCount() const;
  /// The element as an integer (bool 0/1); the dtype must be integer or bool.
  int64_t getInt(int64_t index) const;
  /// The element as a double; any integer, bool or float dtype.
  double getFloat(int64_t index) const;
};

struct Graph;
struct ValueType;

/// AttributeProto.AttributeType.
enum class AttrType : int32_t {
  Undefined = 0,
  Float = 1,
  Int = 2,
  String = 3,
  Tensor = 4,
  Graph = 5,
  Floats = 6,
  Ints = 7,
  Strings = 8,
  Tensors = 9,
  Graphs = 10,
  SparseTensor = 11,
  SparseTensors = 12,
  TypeProto = 13,
  TypeProtos = 14,
};

struct Attribute {
  StringRef name;
  /// In a function body: the attribute of the call that this one stands for.
  StringRef refName;
  AttrType type = AttrType::Undefined;
  float f = 0;
  int64_t i = 0;
  StringRef s;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<StringRef> strings;
  /// One element for `Tensor` and (densified) `SparseTensor`.
  std::vector<std::shared_ptr<const Tensor>> tensors;
  std::vector<std::shared_ptr<Graph>> graphs;
  std::shared_ptr<const ValueType> typeProto;
};

struct Node {
  StringRef name;
  StringRef opType;
  StringRef domain; // "" also for "ai.onnx"
  StringRef overload;
  std::vector<StringRef> inputs;  // "" where an optional input is absent
  std::vector<StringRef> outputs; // "" where an output is not wanted
  std::vector<Attribute> attributes;

  /// The attribute of that name, or null.
  const Attribute *find(StringRef attribute) const;
};

struct Dimension {
  std::optional<int64_t> value; // absent: open
  StringRef symbol;             // may be empty: open and without a name
};

struct ValueType {
  enum class Kind { None, Tensor, Sequence, Optional, Unsupported };
  Kind kind = Kind::None;
  DType dtype = DType::Undefined;
  bool hasShape = false;
  std::vector<Dimension> dims;
  std::shared_ptr<const ValueType> element; // of a sequence or optional
};

struct ValueInfo {
  StringRef name;
  ValueType type;
};

struct Graph {
  StringRef name;
  std::vector<Node> nodes; // sorted: every name is defined before its use
  std::vector<Tensor> initializers;
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  std::vector<ValueInfo> valueInfo;
};

struct OperatorSet {
  StringRef domain; // "" also for "ai.onnx"
  int64_t version = 0;
};

struct Function {
  StringRef name;
  StringRef domain;
  StringRef overload;
  std::vector<StringRef> inputs;
  std::vector<StringRef> outputs;
  std::vector<StringRef> attributes; // without a default
  std::vector<Attribute> defaults;   // with one
  std::vector<OperatorSet> operatorSets;
  Graph body; // nodes only
};

struct Model {
  int64_t irVersion = 0;
  std::vector<OperatorSet> operatorSets;
  StringRef producerName;
  StringRef producerVersion;
  std::vector<std::pair<StringRef, StringRef>> metadata;
  Graph graph;
  std::vector<Function> functions;
  /// What keeps the strings alive.
  std::shared_ptr<const void> owner;
};

struct ReadOptions {
  /// Folder that external data is resolved in. Empty for a model read from
  /// bytes: external data is an error then. Set from the path otherwise.
  std::string folder;
  /// Further folders external data may really lie in (links into a cache).
  std::vector<std::string> allowExternal;
};

/// Maps and reads the file at `path`.
llvm::Expected<std::unique_ptr<Model>> readModel(StringRef path,
                                                 ReadOptions options);
/// Reads a model from `bytes`, which `owner` keeps alive.
llvm::Expected<std::unique_ptr<Model>>
readModel(ArrayRef<char> bytes, std::shared_ptr<const void> owner,
          const ReadOptions &options);

/// dims as a checked product: an error text for negative dimensions and for
/// more than 2^62 elements or 2^40 bytes.
llvm::Expected<int64_t> checkedElementCount(ArrayRef<int64_t> dims,
                                            unsigned elementBytes);

} // namespace mlir::tamis::onnx

#endif // TAMIS_IMPORT_ONNX_MODEL_H
