// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Protocol buffer wire format to the structs of Model.h. protozero reports
// malformed bytes by exceptions, so this one file is compiled with them; they
// end at `parse` at its bottom.
#include "Files.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/Path.h"

// A wire type that contradicts the field is malformed input, not a bug here.
#include <stdexcept>
#define protozero_assert(condition)                                            \
  ((condition) ? void() : throw std::runtime_error("unexpected wire type"))
#include <protozero/pbf_reader.hpp>

using namespace mlir::tamis::onnx;
using protozero::data_view;
using protozero::pbf_reader;
using protozero::pbf_wire_type;

namespace {

/// Model files hold at most this many nodes, attributes, tensors and names;
/// more is an attack on memory, since an empty one takes two bytes of file.
constexpr int64_t kMaxObjects = 1'000'000;
/// Messages within messages, as protobuf's own parsers.
constexpr int kMaxDepth = 100;
/// Expansion of one sparse tensor.
constexpr int64_t kMaxDenseBytes = int64_t(64) << 20;

[[noreturn]] void fail(const llvm::Twine &text) {
  throw std::runtime_error(text.str());
}

/// A `bytes` field.
StringRef bytesOf(pbf_reader &reader) {
  data_view view = reader.get_view();
  return {view.data(), view.size()};
}

/// A `string` field: names end up in diagnostics and attributes, which
/// Python and terminals read as UTF-8.
StringRef text(pbf_reader &reader) {
  StringRef result = bytesOf(reader);
  const auto *begin = reinterpret_cast<const llvm::UTF8 *>(result.data());
  if (!llvm::isLegalUTF8String(&begin, begin + result.size()))
    fail("not an ONNX model: a name is not valid UTF-8");
  return result;
}

StringRef normalizeDomain(StringRef domain) {
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
  ArrayRef<char> externalBytes(
      Tensor &tensor, size_t needed,
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

} // namespace

std::pair<StringRef, StringRef> Parser::entry(data_view message) {
  Level level(*this);
  std::pair<StringRef, StringRef> result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1: result.first = text(reader); break;
    case 2: result.second = text(reader); break;
    default: reader.skip();
    }
  });
  return result;
}

OperatorSet Parser::operatorSet(data_view message) {
  Level level(*this);
  OperatorSet result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1: result.domain = normalizeDomain(text(reader)); break;
    case 2: result.version = reader.get_int64(); break;
    default: reader.skip();
    }
  });
  return result;
}

void Parser::shape(data_view message, ValueType &type) {
  type.hasShape = true;
  forEachField(message, [&](pbf_reader &reader) {
    if (reader.tag() != 1)
      return reader.skip();
    Level level(*this);
    Dimension dimension;
    forEachField(reader.get_view(), [&](pbf_reader &reader) {
      switch (reader.tag()) {
      case 1: dimension.value = reader.get_int64(); break;
      case 2: dimension.symbol = text(reader); break;
      default: reader.skip();
      }
    });
    // Some exporters write -1 for "open".
    if (dimension.value && *dimension.value < 0)
      dimension.value.reset();
    if (!dimension.symbol.empty())
      dimension.value.reset();
    type.dims.push_back(dimension);
  });
}

ValueType Parser::type(data_view message) {
  Level level(*this);
  ValueType result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1:
      result.kind = ValueType::Kind::Tensor;
      forEachField(reader.get_view(), [&](pbf_reader &reader) {
        switch (reader.tag()) {
        case 1: result.dtype = static_cast<DType>(reader.get_int32()); break;
        case 2: shape(reader.get_view(), result); break;
        default: reader.skip();
        }
      });
      break;
    case 4:
    case 9:
      result.kind = reader.tag() == 4 ? ValueType::Kind::Sequence
                                      : ValueType::Kind::Optional;
      forEachField(reader.get_view(), [&](pbf_reader &reader) {
        if (reader.tag() == 1)
          result.element = std::make_shared<ValueType>(type(reader.get_view()));
        else
          reader.skip();
      });
      break;
    case 5:
    case 7:
    case 8:
      result.kind = ValueType::Kind::Unsupported;
      reader.skip();
      break;
    default:
      reader.skip();
    }
  });
  return result;
}

ValueInfo Parser::valueInfo(data_view message) {
  Level level(*this);
  ValueInfo result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1: result.name = text(reader); break;
    case 2: result.type = type(reader.get_view()); break;
    default: reader.skip();
    }
  });
  return result;
}

Attribute Parser::attribute(data_view message) {
  Level level(*this);
  Attribute result;
  bool typed = false;
  AttrType guess = AttrType::Undefined;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1: result.name = text(reader); break;
    case 2: result.f = reader.get_float(); guess = AttrType::Float; break;
    case 3: result.i = reader.get_int64(); guess = AttrType::Int; break;
    case 4: result.s = bytesOf(reader); guess = AttrType::String; break;
    case 5:
    case 10:
      guess = reader.tag() == 5 ? AttrType::Tensor : AttrType::Tensors;
      result.tensors.push_back(
          std::make_shared<Tensor>(tensor(reader.get_view())));
      break;
    case 22:
    case 23:
      guess = reader.tag() == 22 ? AttrType::SparseTensor
                                 : AttrType::SparseTensors;
      result.tensors.push_back(
          std::make_shared<Tensor>(sparseTensor(reader.get_view())));
      break;
    case 6:
    case 11:
      guess = reader.tag() == 6 ? AttrType::Graph : AttrType::Graphs;
      result.graphs.push_back(
          std::make_shared<Graph>(graph(reader.get_view())));
      break;
    case 7:
      guess = AttrType::Floats;
      forEachFloat(reader, [&](float value) { result.floats.push_back(value); });
      break;
    case 8:
      guess = AttrType::Ints;
      forEachVarint(reader,
                    [&](uint64_t value) { result.ints.push_back(value); });
      break;
    case 9:
      guess = AttrType::Strings;
      count(1);
      result.strings.push_back(bytesOf(reader));
      break;
    case 14:
      guess = AttrType::TypeProto;
      result.typeProto = std::make_shared<ValueType>(type(reader.get_view()));
      break;
    case 20:
      typed = true;
      result.type = static_cast<AttrType>(reader.get_int32());
      break;
    case 21: result.refName = text(reader); break;
    default: reader.skip();
    }
  });
  // Files older than IR version 2 have no type field.
  if (!typed || result.type == AttrType::Undefined)
    result.type = guess;
  bool missing = false;
  switch (result.type) {
  case AttrType::Tensor:
  case AttrType::SparseTensor:
    missing = result.tensors.size() != 1;
    break;
  case AttrType::Graph:
    missing = result.graphs.size() != 1;
    break;
  default:
    break;
  }
  if (missing && result.refName.empty())
    fail("attribute '" + result.name + "' does not hold the value its type asks for");
  return result;
}

Node Parser::node(data_view message) {
  Level level(*this);
  Node result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1: count(1); result.inputs.push_back(text(reader)); break;
    case 2: count(1); result.outputs.push_back(text(reader)); break;
    case 3: result.name = text(reader); break;
    case 4: result.opType = text(reader); break;
    case 5: result.attributes.push_back(attribute(reader.get_view())); break;
    case 7: result.domain = normalizeDomain(text(reader)); break;
    case 8: result.overload = text(reader); break;
    default: reader.skip();
    }
  });
  return result;
}

Graph Parser::graph(data_view message) {
  Level level(*this);
  Graph result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1: result.nodes.push_back(node(reader.get_view())); break;
    case 2: result.name = text(reader); break;
    case 5: result.initializers.push_back(tensor(reader.get_view())); break;
    case 11: result.inputs.push_back(valueInfo(reader.get_view())); break;
    case 12: result.outputs.push_back(valueInfo(reader.get_view())); break;
    case 13: result.valueInfo.push_back(valueInfo(reader.get_view())); break;
    case 15:
      result.initializers.push_back(sparseTensor(reader.get_view()));
      break;
    default: reader.skip();
    }
  });
  return result;
}

Function Parser::function(data_view message) {
  Level level(*this);
  Function result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1: result.name = text(reader); break;
    case 4: count(1); result.inputs.push_back(text(reader)); break;
    case 5: count(1); result.outputs.push_back(text(reader)); break;
    case 6: count(1); result.attributes.push_back(text(reader)); break;
    case 7: result.body.nodes.push_back(node(reader.get_view())); break;
    case 9: result.operatorSets.push_back(operatorSet(reader.get_view())); break;
    case 10: result.domain = normalizeDomain(text(reader)); break;
    case 11: result.defaults.push_back(attribute(reader.get_view())); break;
    case 13: result.overload = text(reader); break;
    default: reader.skip();
    }
  });
  return result;
}

std::unique_ptr<Model> Parser::model() {
  auto result = std::make_unique<Model>();
  bool hasGraph = false;
  forEachField({bytes.data(), bytes.size()}, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1: result->irVersion = reader.get_int64(); break;
    case 2: result->producerName = text(reader); break;
    case 3: result->producerVersion = text(reader); break;
    case 7:
      if (hasGraph)
        fail("two graphs in the model");
      hasGraph = true;
      result->graph = graph(reader.get_view());
      break;
    case 8:
      result->operatorSets.push_back(operatorSet(reader.get_view()));
      break;
    case 14: result->metadata.push_back(entry(reader.get_view())); break;
    case 25: result->functions.push_back(function(reader.get_view())); break;
    default: reader.skip();
    }
  });
  if (!hasGraph)
    fail("not an ONNX model: it holds no graph");
  if (result->operatorSets.empty())
    fail("not an ONNX model: it imports no operator set");
  result->owner = owner;
  return result;
}

//===-- tensors -----------------------------------------------------------===//

/// Bits of one stored element, where that is less than a byte.
static unsigned packedBits(DType dtype) {
  switch (dtype) {
  case DType::Int4:
  case DType::UInt4:
  case DType::Float4E2M1:
    return 4;
  case DType::Int2:
  case DType::UInt2:
    return 2;
  default:
    return 0;
  }
}

void Parser::unpack(Tensor &tensor, int64_t elements, ArrayRef<uint8_t> packed,
                    unsigned bits) {
  auto buffer = makeBuffer<char>(elements);
  unsigned perByte = 8 / bits;
  uint8_t mask = (1u << bits) - 1;
  bool isSigned = tensor.dtype == DType::Int4 || tensor.dtype == DType::Int2;
  for (int64_t i = 0; i < elements; ++i) {
    uint8_t value = (packed[i / perByte] >> (i % perByte * bits)) & mask;
    if (isSigned && (value >> (bits - 1)))
      value |= ~mask;
    (*buffer)[i] = static_cast<char>(value);
  }
  tensor.data = *buffer;
  tensor.owner = buffer;
}

void Parser::readRaw(Tensor &tensor, int64_t elements, ArrayRef<char> raw) {
  unsigned bits = packedBits(tensor.dtype);
  if (!bits) {
    tensor.data = raw;
    return;
  }
  unpack(tensor, elements,
         {reinterpret_cast<const uint8_t *>(raw.data()), raw.size()}, bits);
}

/// Fills `tensor` from the typed repeated field: `count` values of `Wire`,
/// each stored as `Element`.
template <typename Wire, typename Element>
void Parser::readTyped(Tensor &tensor, size_t count, data_view message,
                       uint32_t field) {
  auto buffer = makeBuffer<Element>(0);
  // Never reserve more than the file can fill: a varint takes a byte.
  buffer->reserve(std::min<size_t>(count, message.size()));
  auto add = [&](auto value) {
    if (buffer->size() == count)
      fail("tensor '" + tensor.name + "' has more values than its shape (" +
           llvm::Twine(count) + ")");
    buffer->push_back(static_cast<Element>(value));
  };
  forEachField(message, [&](pbf_reader &reader) {
    if (reader.tag() != field)
      return reader.skip();
    if constexpr (std::is_same_v<Wire, float>)
      forEachFloat(reader, add);
    else if constexpr (std::is_same_v<Wire, double>)
      forEachDouble(reader, add);
    else
      forEachVarint(reader, add);
  });
  if (buffer->size() != count)
    fail("tensor '" + tensor.name + "' has " + llvm::Twine(buffer->size()) +
         " values, its shape asks for " + llvm::Twine(count));
  if (unsigned bits = packedBits(tensor.dtype)) {
    auto *packed = reinterpret_cast<const uint8_t *>(buffer->data());
    return unpack(tensor, tensor.elementCount(), {packed, buffer->size()},
                  bits);
  }
  tensor.data = {reinterpret_cast<const char *>(buffer->data()),
                 buffer->size() * sizeof(Element)};
  tensor.owner = buffer;
}

ArrayRef<char> Parser::externalBytes(
    Tensor &tensor, size_t needed,
    ArrayRef<std::pair<StringRef, StringRef>> entries) {
  StringRef location;
  uint64_t offset = 0, length = needed;
  auto number = [&](StringRef key, StringRef value) {
    uint64_t result;
    if (value.getAsInteger(10, result) || result > uint64_t(INT64_MAX))
      fail("tensor '" + tensor.name + "': external " + key + " '" +
           value.take_front(40) + "' is not a 63-bit number");
    return result;
  };
  for (auto [key, value] : entries) {
    if (key == "location")
      location = value;
    else if (key == "offset")
      offset = number(key, value);
    else if (key == "length")
      length = number(key, value);
  }
  if (length != needed)
    fail("tensor '" + tensor.name + "': external length is " +
         llvm::Twine(length) + " bytes, its shape asks for " +
         llvm::Twine(needed));
  auto file = external.open(location);
  if (!file)
    fail("tensor '" + tensor.name + "': " + llvm::toString(file.takeError()));
  ArrayRef<char> data = (*file)->bytes();
  if (offset > data.size() || needed > data.size() - offset)
    fail("tensor '" + tensor.name + "': external data ends at byte " +
         llvm::Twine(data.size()) + ", needed up to " +
         llvm::Twine(offset + needed));
  tensor.owner = *file;
  return data.slice(offset, needed);
}

Tensor Parser::tensor(data_view message) {
  Level level(*this);
  Tensor result;
  result.owner = owner;
  data_view raw;
  bool hasRaw = false, isExternal = false;
  uint32_t typedField = 0;
  data_view firstTyped;
  int typedSegments = 0, payloads = 0;
  std::vector<std::pair<StringRef, StringRef>> entries;
  forEachField(message, [&](pbf_reader &reader) {
    switch (uint32_t tag = reader.tag()) {
    case 1:
      forEachVarint(reader, [&](uint64_t value) {
        if (result.dims.size() == 64)
          fail("tensor '" + result.name + "' has more than 64 dimensions");
        result.dims.push_back(value);
      });
      break;
    case 2: result.dtype = static_cast<DType>(reader.get_int32()); break;
    case 3: fail("tensor segments are not supported");
    case 4:
    case 5:
    case 7:
    case 10:
    case 11:
      if (typedField != tag) {
        typedField = tag;
        ++payloads;
      }
      ++typedSegments;
      if (reader.wire_type() == pbf_wire_type::length_delimited)
        firstTyped = reader.get_view();
      else
        reader.skip();
      break;
    case 6:
      if (result.strings.empty())
        ++payloads;
      count(1);
      result.strings.push_back(bytesOf(reader));
      break;
    case 8: result.name = text(reader); break;
    case 9:
      raw = reader.get_view();
      hasRaw = true;
      break;
    case 13: entries.push_back(entry(reader.get_view())); break;
    case 14: isExternal = reader.get_int32() == 1; break;
    default: reader.skip();
    }
  });
  payloads += hasRaw + isExternal;

  unsigned bytesPerElement = dtypeBytes(result.dtype);
  if (result.dtype != DType::String && bytesPerElement == 0)
    fail("tensor '" + result.name + "' has unknown element type " +
         llvm::Twine(static_cast<int32_t>(result.dtype)));
  auto counted =
      checkedElementCount(result.dims, std::max(1u, bytesPerElement));
  if (!counted)
    fail("tensor '" + result.name + "': " + llvm::toString(counted.takeError()));
  int64_t elements = *counted;

  if (payloads > 1)
    fail("tensor '" + result.name + "' has values in two fields");
  if (result.dtype == DType::String) {
    if (static_cast<int64_t>(result.strings.size()) != elements)
      fail("tensor '" + result.name + "' has " +
           llvm::Twine(result.strings.size()) + " strings, its shape asks for " +
           llvm::Twine(elements));
    return result;
  }
  if (!result.strings.empty())
    fail("tensor '" + result.name + "' has strings but type " +
         dtypeName(result.dtype));

  unsigned bits = packedBits(result.dtype);
  size_t storedBytes =
      bits ? (size_t(elements) * bits + 7) / 8 : elements * bytesPerElement;
  if (isExternal) {
    readRaw(result, elements, externalBytes(result, storedBytes, entries));
    return result;
  }
  if (hasRaw || (payloads == 0 && elements == 0)) {
    if (raw.size() != storedBytes)
      fail("tensor '" + result.name + "' holds " + llvm::Twine(raw.size()) +
           " bytes, its shape asks for " + llvm::Twine(storedBytes));
    readRaw(result, elements, {raw.data(), raw.size()});
    return result;
  }
  // Packed floats are little-endian already: no copy.
  auto direct = [&](size_t wanted) {
    if (typedSegments != 1 || firstTyped.size() != wanted)
      return false;
    result.data = {firstTyped.data(), wanted};
    return true;
  };
  switch (result.dtype) {
  case DType::Float:
  case DType::Complex64:
    if (typedField == 4) {
      if (!direct(storedBytes))
        readTyped<float, float>(result, storedBytes / 4, message, 4);
      return result;
    }
    break;
  case DType::Double:
  case DType::Complex128:
    if (typedField == 10) {
      if (!direct(storedBytes))
        readTyped<double, double>(result, storedBytes / 8, message, 10);
      return result;
    }
    break;
  case DType::Int64:
    if (typedField == 7)
      return readTyped<uint64_t, int64_t>(result, elements, message, 7), result;
    break;
  case DType::UInt64:
    if (typedField == 11)
      return readTyped<uint64_t, uint64_t>(result, elements, message, 11),
             result;
    break;
  case DType::UInt32:
    if (typedField == 11)
      return readTyped<uint64_t, uint32_t>(result, elements, message, 11),
             result;
    break;
  default:
    if (typedField != 5)
      break;
    if (bytesPerElement == 4)
      readTyped<uint64_t, int32_t>(result, elements, message, 5);
    else if (bytesPerElement == 2)
      readTyped<uint64_t, int16_t>(result, elements, message, 5);
    else
      readTyped<uint64_t, uint8_t>(result, storedBytes, message, 5);
    return result;
  }
  if (payloads == 0)
    fail("tensor '" + result.name + "' has no values, its shape asks for " +
         llvm::Twine(elements));
  fail("tensor '" + result.name + "' of type " + dtypeName(result.dtype) +
       " has its values in the wrong field");
}

Tensor Parser::sparseTensor(data_view message) {
  Level level(*this);
  Tensor values, indices, result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1: values = tensor(reader.get_view()); break;
    case 2: indices = tensor(reader.get_view()); break;
    case 3:
      forEachVarint(reader, [&](uint64_t value) {
        if (result.dims.size() == 64)
          fail("sparse tensor with more than 64 dimensions");
        result.dims.push_back(value);
      });
      break;
    default: reader.skip();
    }
  });
  result.name = values.name;
  result.dtype = values.dtype;
  unsigned bytesPerElement = dtypeBytes(values.dtype);
  auto counted =
      checkedElementCount(result.dims, std::max(1u, bytesPerElement));
  if (!counted)
    fail("sparse tensor '" + result.name +
         "': " + llvm::toString(counted.takeError()));
  size_t rank = result.dims.size();
  bool linear = indices.dims.size() == 1;
  if (bytesPerElement == 0 || values.dims.size() != 1 ||
      indices.dtype != DType::Int64 ||
      (!linear && (indices.dims.size() != 2 ||
                   indices.dims[1] != static_cast<int64_t>(rank))) ||
      indices.dims[0] != values.dims[0])
    fail("sparse tensor '" + result.name +
         "' needs values [n] and int64 indices [n] or [n, rank]");
  if (*counted * bytesPerElement > kMaxDenseBytes)
    fail("sparse tensor '" + result.name + "' is larger than " +
         llvm::Twine(kMaxDenseBytes) + " bytes when dense");
  auto buffer = makeBuffer<char>(*counted * bytesPerElement);
  for (int64_t i = 0; i < values.dims[0]; ++i) {
    int64_t at = 0;
    bool inside = true;
    if (linear) {
      at = indices.getInt(i);
      inside = at >= 0 && at < *counted;
    } else {
      for (size_t d = 0; d < rank && inside; ++d) {
        int64_t index = indices.getInt(i * rank + d);
        inside = index >= 0 && index < result.dims[d];
        at = at * result.dims[d] + index;
      }
    }
    if (!inside)
      fail("sparse tensor '" + result.name + "' has an index out of range");
    std::memcpy(buffer->data() + at * bytesPerElement,
                values.data.data() + i * bytesPerElement, bytesPerElement);
  }
  result.data = *buffer;
  result.owner = buffer;
  return result;
}

//===-- entry points ------------------------------------------------------===//

static llvm::Expected<std::unique_ptr<Model>>
parse(ArrayRef<char> bytes, std::shared_ptr<const void> owner,
      const ReadOptions &options) {
  // An llvm::Error must not be built while an exception is in flight.
  std::string text;
  try {
    return Parser(bytes, std::move(owner), options).model();
  } catch (const protozero::exception &) {
    text = "not an ONNX model: malformed protocol buffer";
  } catch (const std::bad_alloc &) {
    text = "out of memory while reading the model";
  } catch (const std::exception &exception) {
    text = exception.what();
  }
  return makeError(text);
}

llvm::Expected<std::unique_ptr<Model>>
mlir::tamis::onnx::readModel(ArrayRef<char> bytes,
                             std::shared_ptr<const void> owner,
                             const ReadOptions &options) {
  if (bytes.empty())
    return makeError("not an ONNX model: empty");
  llvm::Expected<std::unique_ptr<Model>> model =
      parse(bytes, std::move(owner), options);
  if (!model)
    return model;
  if (llvm::Error error = validateModel(**model))
    return std::move(error);
  return model;
}

llvm::Expected<std::unique_ptr<Model>>
mlir::tamis::onnx::readModel(StringRef path, ReadOptions options) {
  auto file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  if (options.folder.empty()) {
    options.folder = llvm::sys::path::parent_path(path).str();
    if (options.folder.empty())
      options.folder = ".";
  }
  return readModel((*file)->bytes(), *file, options);
}
