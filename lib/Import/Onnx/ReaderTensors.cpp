// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TensorProto in all its forms: raw, typed, packed, external, sparse. Nothing
// is copied that can be used where it lies, and no size is believed.
#include "Parser.h"

using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::wire;

/// Expansion of one sparse tensor.
static constexpr int64_t kMaxDenseBytes = int64_t(64) << 20;

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

ArrayRef<char>
Parser::externalBytes(Tensor &tensor, size_t needed,
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
    case 2:
      result.dtype = static_cast<DType>(reader.get_int32());
      break;
    case 3:
      fail("tensor segments are not supported");
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
    case 8:
      result.name = text(reader);
      break;
    case 9:
      raw = reader.get_view();
      hasRaw = true;
      break;
    case 13:
      entries.push_back(entry(reader.get_view()));
      break;
    case 14:
      isExternal = reader.get_int32() == 1;
      break;
    default:
      reader.skip();
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
    fail("tensor '" + result.name +
         "': " + llvm::toString(counted.takeError()));
  int64_t elements = *counted;

  if (payloads > 1)
    fail("tensor '" + result.name + "' has values in two fields");
  if (result.dtype == DType::String) {
    if (static_cast<int64_t>(result.strings.size()) != elements)
      fail("tensor '" + result.name + "' has " +
           llvm::Twine(result.strings.size()) +
           " strings, its shape asks for " + llvm::Twine(elements));
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
    case 1:
      values = tensor(reader.get_view());
      break;
    case 2:
      indices = tensor(reader.get_view());
      break;
    case 3:
      forEachVarint(reader, [&](uint64_t value) {
        if (result.dims.size() == 64)
          fail("sparse tensor with more than 64 dimensions");
        result.dims.push_back(value);
      });
      break;
    default:
      reader.skip();
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
