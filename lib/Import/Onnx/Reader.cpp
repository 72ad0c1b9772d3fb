// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Protocol buffer wire format to the structs of Model.h, all but tensors.
#include "Parser.h"
#include "llvm/Support/Path.h"

using namespace mlir::tamis::onnx;
using namespace mlir::tamis::onnx::wire;

std::pair<StringRef, StringRef> Parser::entry(data_view message) {
  Level level(*this);
  std::pair<StringRef, StringRef> result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1:
      result.first = text(reader);
      break;
    case 2:
      result.second = text(reader);
      break;
    default:
      reader.skip();
    }
  });
  return result;
}

OperatorSet Parser::operatorSet(data_view message) {
  Level level(*this);
  OperatorSet result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1:
      result.domain = normalizeDomain(text(reader));
      break;
    case 2:
      result.version = reader.get_int64();
      break;
    default:
      reader.skip();
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
      case 1:
        dimension.value = reader.get_int64();
        break;
      case 2:
        dimension.symbol = text(reader);
        break;
      default:
        reader.skip();
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
        case 1:
          result.dtype = static_cast<DType>(reader.get_int32());
          break;
        case 2:
          shape(reader.get_view(), result);
          break;
        default:
          reader.skip();
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
    case 1:
      result.name = text(reader);
      break;
    case 2:
      result.type = type(reader.get_view());
      break;
    default:
      reader.skip();
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
    case 1:
      result.name = text(reader);
      break;
    case 2:
      result.f = reader.get_float();
      guess = AttrType::Float;
      break;
    case 3:
      result.i = reader.get_int64();
      guess = AttrType::Int;
      break;
    case 4:
      result.s = bytesOf(reader);
      guess = AttrType::String;
      break;
    case 5:
    case 10:
      guess = reader.tag() == 5 ? AttrType::Tensor : AttrType::Tensors;
      result.tensors.push_back(
          std::make_shared<Tensor>(tensor(reader.get_view())));
      break;
    case 22:
    case 23:
      guess =
          reader.tag() == 22 ? AttrType::SparseTensor : AttrType::SparseTensors;
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
      forEachFloat(reader,
                   [&](float value) { result.floats.push_back(value); });
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
    case 21:
      result.refName = text(reader);
      break;
    default:
      reader.skip();
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
    fail("attribute '" + result.name +
         "' does not hold the value its type asks for");
  return result;
}

Node Parser::node(data_view message) {
  Level level(*this);
  Node result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1:
      count(1);
      result.inputs.push_back(text(reader));
      break;
    case 2:
      count(1);
      result.outputs.push_back(text(reader));
      break;
    case 3:
      result.name = text(reader);
      break;
    case 4:
      result.opType = text(reader);
      break;
    case 5:
      result.attributes.push_back(attribute(reader.get_view()));
      break;
    case 7:
      result.domain = normalizeDomain(text(reader));
      break;
    case 8:
      result.overload = text(reader);
      break;
    default:
      reader.skip();
    }
  });
  return result;
}

Graph Parser::graph(data_view message) {
  Level level(*this);
  Graph result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1:
      result.nodes.push_back(node(reader.get_view()));
      break;
    case 2:
      result.name = text(reader);
      break;
    case 5:
      result.initializers.push_back(tensor(reader.get_view()));
      break;
    case 11:
      result.inputs.push_back(valueInfo(reader.get_view()));
      break;
    case 12:
      result.outputs.push_back(valueInfo(reader.get_view()));
      break;
    case 13:
      result.valueInfo.push_back(valueInfo(reader.get_view()));
      break;
    case 15:
      result.initializers.push_back(sparseTensor(reader.get_view()));
      break;
    default:
      reader.skip();
    }
  });
  return result;
}

Function Parser::function(data_view message) {
  Level level(*this);
  Function result;
  forEachField(message, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1:
      result.name = text(reader);
      break;
    case 4:
      count(1);
      result.inputs.push_back(text(reader));
      break;
    case 5:
      count(1);
      result.outputs.push_back(text(reader));
      break;
    case 6:
      count(1);
      result.attributes.push_back(text(reader));
      break;
    case 7:
      result.body.nodes.push_back(node(reader.get_view()));
      break;
    case 9:
      result.operatorSets.push_back(operatorSet(reader.get_view()));
      break;
    case 10:
      result.domain = normalizeDomain(text(reader));
      break;
    case 11:
      result.defaults.push_back(attribute(reader.get_view()));
      break;
    case 13:
      result.overload = text(reader);
      break;
    default:
      reader.skip();
    }
  });
  return result;
}

std::unique_ptr<Model> Parser::model() {
  auto result = std::make_unique<Model>();
  bool hasGraph = false;
  forEachField({bytes.data(), bytes.size()}, [&](pbf_reader &reader) {
    switch (reader.tag()) {
    case 1:
      result->irVersion = reader.get_int64();
      break;
    case 2:
      result->producerName = text(reader);
      break;
    case 3:
      result->producerVersion = text(reader);
      break;
    case 7:
      if (hasGraph)
        fail("two graphs in the model");
      hasGraph = true;
      result->graph = graph(reader.get_view());
      break;
    case 8:
      result->operatorSets.push_back(operatorSet(reader.get_view()));
      break;
    case 14:
      result->metadata.push_back(entry(reader.get_view()));
      break;
    case 25:
      result->functions.push_back(function(reader.get_view()));
      break;
    default:
      reader.skip();
    }
  });
  if (!hasGraph)
    fail("not an ONNX model: it holds no graph");
  if (result->operatorSets.empty())
    fail("not an ONNX model: it imports no operator set");
  result->owner = owner;
  return result;
}

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
