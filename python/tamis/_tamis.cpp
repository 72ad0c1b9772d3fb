// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The native half of the Python package. It converts and calls; whatever can
// be decided in Python is decided there.
#include "Arguments.h"
#include "Limits.h"
#include "NativeModel.h"
#include "Session.h"
#include "tamis/Compress/Sparsity.h"
#include "tamis/InitAll.h"
#include "tamis/Pipeline/CompileKernels.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>
#include <optional>

namespace nb = nanobind;
using namespace mlir;
using namespace mlir::tamis;

namespace {

/// Compiles the model at `path`, or the bytes `data`, into `output`. Returns
/// (severity, text, node, op, file) per diagnostic; an error is among them if
/// it failed.
std::vector<MessageTuple> compile(std::optional<std::string> path,
                                  std::optional<nb::bytes> data,
                                  const std::string &output,
                                  const nb::dict &fields) {
  CompileOptions options = readOptions(fields);
  std::vector<Message> messages;
  auto sink = [&](Diagnostic &diagnostic) {
    appendMessage(diagnostic, messages);
  };
  bool failed;
  {
    nb::gil_scoped_release release;
    if (path) {
      failed = llvm::failed(
          compileModel(llvm::StringRef(*path), output, options, sink));
    } else {
      llvm::ArrayRef<char> bytes(data->c_str(), data->size());
      // The folder the caller names is where a model without a path may have
      // its external data.
      if (!options.import.allowExternal.empty())
        options.import.folder = options.import.allowExternal.front();
      failed = llvm::failed(compileModel(bytes, output, options, sink));
    }
  }
  return takeMessages(messages, failed);
}

/// (key, candidate, all candidates, path of a library or "") of a contraction.
using KernelTuple =
    std::tuple<std::string, std::string, std::vector<std::string>, std::string>;

/// Compiles the contractions of a model one by one into `folder`, but those
/// whose (key, candidate) is among `known`; with the messages of `compile`.
std::tuple<std::vector<KernelTuple>, std::vector<MessageTuple>>
compileAlone(std::optional<std::string> path, std::optional<nb::bytes> data,
             const std::string &folder, const nb::dict &fields,
             const std::vector<std::tuple<std::string, std::string>> &known) {
  CompileOptions options = readOptions(fields);
  ModelInput model;
  if (path) {
    model.path = *path;
  } else {
    model.bytes = llvm::ArrayRef<char>(data->c_str(), data->size());
    if (!options.import.allowExternal.empty())
      options.import.folder = options.import.allowExternal.front();
  }
  std::vector<Message> messages;
  auto sink = [&](Diagnostic &diagnostic) {
    appendMessage(diagnostic, messages);
  };
  auto isKnown = [&](llvm::StringRef key, llvm::StringRef candidate) {
    return llvm::is_contained(known, std::tuple(key.str(), candidate.str()));
  };
  FailureOr<std::vector<CompiledKernel>> kernels = failure();
  {
    nb::gil_scoped_release release;
    kernels = compileKernels(model, folder, options, isKnown, sink);
  }
  std::vector<KernelTuple> result;
  if (succeeded(kernels))
    for (CompiledKernel &kernel : *kernels)
      result.emplace_back(kernel.key, kernel.candidate, kernel.candidates,
                          kernel.path);
  return {result, takeMessages(messages, failed(kernels))};
}

/// The profile of the options as the text of a file, and messages.
std::tuple<std::string, std::vector<MessageTuple>>
profileText(const nb::dict &fields) {
  std::vector<Message> messages;
  FailureOr<std::string> text =
      getProfileText(readOptions(fields), [&](Diagnostic &diagnostic) {
        appendMessage(diagnostic, messages);
      });
  return {succeeded(text) ? *text : "", takeMessages(messages, failed(text))};
}

/// The shared library that holds the compiler, for the cache key.
std::string libraryPath() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void *>(&mlir::tamis::registerAllPasses), &info))
    return info.dli_fname;
  return "";
}

/// The features of this processor, sorted and split by commas.
std::string hostFeatures() {
  std::vector<std::string> names;
  for (const auto &entry : llvm::sys::getHostCPUFeatures())
    if (entry.second)
      names.push_back(entry.first().str());
  std::sort(names.begin(), names.end());
  std::string joined;
  for (const std::string &name : names)
    joined += (joined.empty() ? "" : ",") + name;
  return joined;
}

/// (pattern, number of zeros) of a matrix given as its float32 bytes.
std::tuple<std::string, int64_t> findPattern(nb::bytes matrix, int64_t rows,
                                             int64_t columns) {
  // The product is compared by division: it may overflow.
  int64_t count = matrix.size() / sizeof(float);
  if (rows <= 0 || columns < 0 || count / rows != columns || count % rows)
    throw nb::value_error("the matrix has another size");
  std::vector<float> values(count);
  std::memcpy(values.data(), matrix.c_str(), count * sizeof(float));
  nb::gil_scoped_release release;
  SparsityInfo info = mlir::tamis::recognizeSparsity(values, rows, columns);
  return {info.pattern, info.zeros};
}

} // namespace

NB_MODULE(_tamis, m) {
  m.attr("version") = TAMIS_VERSION;
  m.def("compile", &compile, nb::arg("path").none(), nb::arg("data").none(),
        nb::arg("output"), nb::arg("options"));
  m.def("compile_kernels", &compileAlone, nb::arg("path").none(),
        nb::arg("data").none(), nb::arg("folder"), nb::arg("options"),
        nb::arg("known"));
  m.def("profile_text", &profileText, nb::arg("options"));
  nb::class_<BoundCall>(m, "BoundCall").def("__call__", &BoundCall::call);
  nb::class_<NativeModel>(m, "Model")
      .def(nb::init<const std::string &, int>(), nb::arg("path"),
           nb::arg("threads"))
      .def_prop_ro("inputs", &NativeModel::getInputs)
      .def_prop_ro("outputs", &NativeModel::getOutputs)
      .def_prop_ro("metadata", &NativeModel::getMetadata)
      .def_prop_ro("producer", &NativeModel::getProducer)
      .def_prop_ro("report", &NativeModel::getReport)
      .def("device_seconds", &NativeModel::getDeviceSeconds)
      .def("device_copy", &NativeModel::measureDeviceCopy, nb::arg("bytes"),
           nb::call_guard<nb::gil_scoped_release>())
      .def("output_dims", &NativeModel::getOutputDims)
      .def("run", &NativeModel::run)
      .def("bind", &NativeModel::bind);
  bindSession(m);
  m.def("read_report", &NativeModel::readReport, nb::arg("path"),
        nb::call_guard<nb::gil_scoped_release>());
  m.def("recognize_sparsity", &findPattern, nb::arg("matrix"), nb::arg("rows"),
        nb::arg("columns"));
  m.def("library_path", &libraryPath);
  m.def("host_features", &hostFeatures);
  m.def("limit_loops", &limitLoops);
  m.def("measure_limit", &measureLimit, nb::arg("name"), nb::arg("seconds"),
        nb::call_guard<nb::gil_scoped_release>());
}
