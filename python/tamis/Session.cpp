// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arrays cross this border as (dtype, shape, bytes), since numpy knows element
// types this module does not; python/tamis/compression/session.py makes arrays
// of them. A method that fails returns None and leaves its messages behind.
#include "tamis/Compress/Session.h"
#include "Arguments.h"
#include "Session.h"
#include "tamis/Compress/Sparsity.h"
#include "llvm/Support/JSON.h"
#include <malloc.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace mlir;
using namespace mlir::tamis;

namespace {

nb::str makeString(llvm::StringRef text) {
  std::string valid = llvm::json::fixUTF8(text);
  return nb::str(valid.data(), valid.size());
}

nb::object makeShape(llvm::ArrayRef<int64_t> shape) {
  nb::list list;
  for (int64_t size : shape)
    list.append(ShapedType::isDynamic(size) ? -1 : size);
  return nb::tuple(list);
}

nb::object makeArray(const DeltaArray &array) {
  return nb::make_tuple(array.dtype, makeShape(array.shape),
                        nb::bytes(array.bytes.data(), array.bytes.size()));
}

nb::object makeOptional(std::optional<int64_t> value) {
  return value ? nb::cast(*value) : nb::none();
}

nb::dict makeParameters(const DeltaParameters &parameters) {
  nb::dict result;
  result["dtype"] = parameters.dtype;
  result["scale"] = makeArray(parameters.scale);
  result["zero_point"] = parameters.zeroPoint ? makeArray(*parameters.zeroPoint)
                                              : nb::object(nb::none());
  result["offset"] = parameters.offset ? makeArray(*parameters.offset)
                                       : nb::object(nb::none());
  result["axis"] = makeOptional(parameters.axis);
  result["block"] = makeOptional(parameters.block);
  result["readers"] = nb::none();
  if (parameters.readers) {
    nb::list names;
    for (const std::string &name : *parameters.readers)
      names.append(nb::str(name.c_str()));
    result["readers"] = names;
  }
  result["factor"] = parameters.factor ? makeArray(*parameters.factor)
                                       : nb::object(nb::none());
  return result;
}

/// An attribute of a report as plain Python.
nb::object makeObject(Attribute attribute) {
  if (auto text = dyn_cast<StringAttr>(attribute))
    return makeString(text.getValue());
  if (auto flag = dyn_cast<BoolAttr>(attribute))
    return nb::cast(flag.getValue());
  if (auto number = dyn_cast<IntegerAttr>(attribute))
    return nb::cast(number.getValue().getSExtValue());
  if (auto number = dyn_cast<FloatAttr>(attribute))
    return nb::cast(number.getValueAsDouble());
  if (isa<UnitAttr>(attribute))
    return nb::cast(true);
  if (auto array = dyn_cast<DenseI64ArrayAttr>(attribute)) {
    nb::list list;
    for (int64_t element : array.asArrayRef())
      list.append(element);
    return list;
  }
  if (auto array = dyn_cast<DenseF64ArrayAttr>(attribute)) {
    nb::list list;
    for (double element : array.asArrayRef())
      list.append(element);
    return list;
  }
  if (auto array = dyn_cast<ArrayAttr>(attribute)) {
    nb::list list;
    for (Attribute element : array)
      list.append(makeObject(element));
    return list;
  }
  if (auto dictionary = dyn_cast<DictionaryAttr>(attribute)) {
    nb::dict dict;
    for (NamedAttribute entry : dictionary)
      dict[makeString(entry.getName())] = makeObject(entry.getValue());
    return dict;
  }
  std::string text;
  llvm::raw_string_ostream(text) << attribute;
  return makeString(text);
}

class PySession {
public:
  PySession(std::optional<std::string> path, std::optional<nb::bytes> given,
            const nb::dict &fields)
      : data(std::move(given)),
        session(readImportOptions(fields),
                [this](Diagnostic &d) { appendMessage(d, found); }) {
    loaded = call([&] {
      return path ? session.load(llvm::StringRef(*path))
                  : session.load(
                        llvm::ArrayRef<char>(data->c_str(), data->size()));
    });
  }

  bool isLoaded() const { return loaded; }

  bool run(const std::string &pipeline) {
    return call([&] { return session.run(pipeline); });
  }

  bool instrument(const std::string &output, const nb::dict &fields) {
    CompileOptions options = readOptions(fields);
    return call([&] { return session.instrument(output, options); });
  }

  nb::list getObserved() {
    nb::list result;
    for (ObserveOp op : session.getObservations()) {
      nb::dict entry;
      auto type = cast<RankedTensorType>(op.getType());
      entry["tensor"] = makeString(op.getTensor());
      entry["parameter"] = op.getParameter();
      entry["shape"] = makeShape(type.getShape());
      std::string element;
      llvm::raw_string_ostream(element) << type.getElementType();
      entry["element"] = element;
      nb::list collect;
      if (op.getCollect())
        for (Attribute kind : op.getCollectAttr())
          collect.append(makeString(cast<StringAttr>(kind).getValue()));
      entry["collect"] = collect;
      entry["axis"] = makeOptional(op.getAxis());
      nb::list statistics;
      if (op.getStatistics())
        for (NamedAttribute kind : op.getStatisticsAttr())
          statistics.append(makeString(kind.getName()));
      entry["has_statistics"] = nb::len(statistics) > 0;
      entry["statistics"] = statistics;
      entry["scheme"] = nb::none();
      if (SchemeAttr scheme = op.getSchemeAttr()) {
        std::string text;
        llvm::raw_string_ostream(text) << scheme;
        entry["scheme"] = text;
      }
      result.append(entry);
    }
    return result;
  }

  bool setStatistic(const std::string &tensor, const std::string &kind,
                    const std::string &dtype, const std::vector<int64_t> &shape,
                    nb::bytes bytes) {
    return call([&] {
      return session.setStatistic(
          tensor, kind, shape, dtype,
          llvm::ArrayRef<char>(bytes.c_str(), bytes.size()));
    });
  }

  bool setCollect(const std::string &tensor,
                  const std::vector<std::string> &kinds,
                  std::optional<int64_t> axis) {
    llvm::SmallVector<llvm::StringRef> views(kinds.begin(), kinds.end());
    return call([&] { return session.setCollect(tensor, views, axis); });
  }

  nb::object getStatistics(const std::string &tensor) {
    FailureOr<std::map<std::string, DeltaArray>> statistics = failure();
    if (!call([&]() -> LogicalResult {
          statistics = session.getStatistics(tensor);
          return statistics;
        }))
      return nb::none();
    nb::dict result;
    for (const auto &[kind, array] : *statistics)
      result[makeString(kind)] = makeArray(array);
    return result;
  }

  nb::object getParameter(const std::string &tensor) {
    FailureOr<DeltaArray> array = failure();
    if (!call([&]() -> LogicalResult {
          array = session.getParameter(tensor);
          return array;
        }))
      return nb::none();
    return makeArray(*array);
  }

  nb::list getSparsity() {
    nb::list list;
    for (const SparsityInfo &info : analyzeSparsity(session.getModule())) {
      nb::dict entry;
      entry["layer"] = makeString(info.layer);
      entry["tensor"] = makeString(info.tensor);
      entry["rows"] = info.rows;
      entry["columns"] = info.columns;
      entry["zeros"] = info.zeros;
      entry["zero_rows"] = info.zeroRows;
      entry["zero_columns"] = info.zeroColumns;
      entry["pattern"] = makeString(info.pattern);
      list.append(entry);
    }
    return list;
  }

  nb::object getDelta() {
    FailureOr<Delta> delta = failure();
    if (!call([&]() -> LogicalResult {
          delta = session.getDelta();
          return delta;
        }))
      return nb::none();
    nb::dict parameters, weights, tensors;
    for (const auto &[name, array] : delta->parameters)
      parameters[makeString(name)] = makeArray(array);
    for (const auto &[name, weight] : delta->weights) {
      nb::dict entry = makeParameters(weight.parameters);
      entry["values"] = makeArray(weight.values);
      entry["codebook"] = weight.codebook ? makeArray(*weight.codebook)
                                          : nb::object(nb::none());
      weights[makeString(name)] = entry;
    }
    for (const auto &[name, entry] : delta->tensors)
      tensors[makeString(name)] = makeParameters(entry);
    nb::dict cutParameters, cutTensors;
    for (const auto &[name, entries] : delta->removedParameters) {
      nb::list axes;
      for (const DeltaRemoval &entry : entries) {
        nb::list kept;
        for (int64_t index : entry.kept)
          kept.append(index);
        axes.append(nb::make_tuple(entry.axis, kept));
      }
      cutParameters[makeString(name)] = axes;
    }
    for (const auto &[name, entries] : delta->removedTensors) {
      nb::list axes;
      for (const DeltaRemoval &entry : entries)
        axes.append(nb::make_tuple(entry.axis, entry.size));
      cutTensors[makeString(name)] = axes;
    }
    nb::dict removed;
    removed["parameters"] = cutParameters;
    removed["tensors"] = cutTensors;
    nb::dict result;
    result["removed"] = removed;
    result["parameters"] = parameters;
    result["weights"] = weights;
    result["tensors"] = tensors;
    result["report"] =
        delta->report ? makeObject(delta->report) : nb::object(nb::list());
    return result;
  }

  nb::object getText() {
    std::string text;
    llvm::raw_string_ostream stream(text);
    OpPrintingFlags flags;
    flags.elideLargeElementsAttrs(64).elideLargeResourceString(64);
    session.getModule().print(stream, flags);
    return makeString(text);
  }

  std::vector<MessageTuple> getMessages() {
    return takeMessages(found, !succeeded);
  }

private:
  /// The folder the caller names is where a model without a path may have its
  /// external data.
  static CompileOptions readImportOptions(const nb::dict &fields) {
    CompileOptions options = readOptions(fields);
    if (!options.import.allowExternal.empty())
      options.import.folder = options.import.allowExternal.front();
    return options;
  }

  bool call(llvm::function_ref<LogicalResult()> function) {
    nb::gil_scoped_release release;
    succeeded = llvm::succeeded(function());
    // A pass frees what it used in small pieces, which the C library keeps.
    malloc_trim(0);
    return succeeded;
  }

  // Before the session, whose parameters point into it.
  std::optional<nb::bytes> data;
  std::vector<Message> found;
  bool succeeded = true, loaded = false;
  Session session;
};

} // namespace

void mlir::tamis::bindSession(nb::module_ &m) {
  nb::class_<PySession>(m, "Session")
      .def(nb::init<std::optional<std::string>, std::optional<nb::bytes>,
                    const nb::dict &>(),
           nb::arg("path").none(), nb::arg("data").none(), nb::arg("options"))
      .def_prop_ro("loaded", &PySession::isLoaded)
      .def("run", &PySession::run, nb::arg("pipeline"))
      .def("instrument", &PySession::instrument, nb::arg("output"),
           nb::arg("options"))
      .def("observed", &PySession::getObserved)
      .def("set_statistic", &PySession::setStatistic)
      .def("set_collect", &PySession::setCollect, nb::arg("tensor"),
           nb::arg("kinds"), nb::arg("axis").none())
      .def("statistics", &PySession::getStatistics, nb::arg("tensor"))
      .def("parameter", &PySession::getParameter, nb::arg("tensor"))
      .def("delta", &PySession::getDelta)
      .def("sparsity", &PySession::getSparsity)
      .def("text", &PySession::getText)
      .def("take_messages", &PySession::getMessages);
}
