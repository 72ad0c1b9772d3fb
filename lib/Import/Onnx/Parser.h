// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The state of reading one model. protozero reports malformed bytes by
// exceptions, so the files that include this are compiled with them; they end
// at `readModel`.
#ifndef TAMIS_LIB_IMPORT_ONNX_PARSER_H
#define TAMIS_LIB_IMPORT_ONNX_PARSER_H

#include "Files.h"
#include "llvm/Support/ConvertUTF.h"

// A wire type that contradicts the field is malformed input, not a bug here.
#include <stdexcept>
#define protozero_assert(condition)                                            \
  ((condition) ? void() : throw std::runtime_error("unexpected wire type"))
#include <protozero/pbf_reader.hpp>

namespace mlir::tamis::onnx::wire {

using protozero::data_view;
using protozero::pbf_reader;
using protozero::pbf_wire_type;

/// Model files hold at most this many nodes, attributes, tensors and names;
/// more is an attack on memory, since an empty one takes two bytes of file.
inline constexpr int64_t kMaxObjects = 1'000'000;
/// Messages within messages, as protobuf's own parsers.
inline constexpr int kMaxDepth = 100;

[[noreturn]] inline void fail(const llvm::Twine &text) {
  throw std::runtime_error(text.str());
}

/// A `bytes` field.
inline StringRef bytesOf(pbf_reader &reader) {
  data_view view = reader.get_view();
  return {view.data(), view.size()};
}

/// A `string` field: names end up in diagnostics and attributes, which
/// Python and terminals read as UTF-8.
inline StringRef text(pbf_reader &reader) {
  StringRef result = bytesOf(reader);
  const auto *begin = reinterpret_cast<const llvm::UTF8 *>(result.data());
  if (!llvm::isLegalUTF8String(&begin, begin + result.size()))
    fail("not an ONNX model: a name is not valid UTF-8");
  return result;
}

inline StringRef normalizeDomain(StringRef domain) {
  return domain == "ai.onnx" ? StringRef() : domain;
}

template <typename T>
std::shared_ptr<std::vector<T>> makeBuffer(size_t count) {
  return std::make_shared<std::vector<T>>(count);
}

/// Reads a message field by field; `body` skips what it does not know.
template <typename Body>
void forEachField(data_view message, Body body) {
  pbf_reader reader(message);
  while (reader.next())
    body(reader);
}

class Parser {
public:
  Parser(ArrayRef<char> bytes, std::shared_ptr<const void> owner,
         const ReadOptions &options)
      : bytes(bytes), owner(std::move(owner)), external(options) {}

  std::unique_ptr<Model> model();

private:
  /// Counts one object and one level of nesting.
  struct Level {
    explicit Level(Parser &parser) : parser(parser) {
      if (++parser.depth > kMaxDepth)
        fail("messages are nested more than " + llvm::Twine(kMaxDepth) +
             " levels deep");
      parser.count(1);
    }
    ~Level() { --parser.depth; }
    Parser &parser;
  };
  void count(int64_t more) {
    if ((objects += more) > kMaxObjects)
      fail("more than " + llvm::Twine(kMaxObjects) + " objects in the model");
  }

  std::pair<StringRef, StringRef> entry(data_view message);
  OperatorSet operatorSet(data_view message);
  Graph graph(data_view message);
  Node node(data_view message);
  Attribute attribute(data_view message);
  Function function(data_view message);
  ValueInfo valueInfo(data_view message);
  ValueType type(data_view message);
  void shape(data_view message, ValueType &type);

  Tensor tensor(data_view message);
  Tensor sparseTensor(data_view message);
  void readRaw(Tensor &tensor, int64_t elements, ArrayRef<char> raw);
  ArrayRef<char>
  externalBytes(Tensor &tensor, size_t needed,
                ArrayRef<std::pair<StringRef, StringRef>> entries);
  template <typename Wire, typename Element>
  void readTyped(Tensor &tensor, size_t count, data_view message,
                 uint32_t field);
  void unpack(Tensor &tensor, int64_t elements, ArrayRef<uint8_t> packed,
              unsigned bits);

  ArrayRef<char> bytes;
  std::shared_ptr<const void> owner;
  ExternalFiles external;
  int64_t objects = 0;
  int depth = 0;
};

/// Repeated scalars, packed or one by one.
template <typename Sink>
void forEachVarint(pbf_reader &reader, Sink sink) {
  if (reader.wire_type() == pbf_wire_type::length_delimited) {
    for (uint64_t value : reader.get_packed_uint64())
      sink(value);
    return;
  }
  sink(reader.get_uint64());
}

template <typename Sink>
void forEachFloat(pbf_reader &reader, Sink sink) {
  if (reader.wire_type() == pbf_wire_type::length_delimited) {
    for (float value : reader.get_packed_float())
      sink(value);
    return;
  }
  sink(reader.get_float());
}

template <typename Sink>
void forEachDouble(pbf_reader &reader, Sink sink) {
  if (reader.wire_type() == pbf_wire_type::length_delimited) {
    for (double value : reader.get_packed_double())
      sink(value);
    return;
  }
  sink(reader.get_double());
}

} // namespace mlir::tamis::onnx::wire

#endif // TAMIS_LIB_IMPORT_ONNX_PARSER_H
