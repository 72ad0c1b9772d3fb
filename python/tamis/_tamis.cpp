// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The native half of the Python package. It converts and calls; whatever can
// be decided in Python is decided there.
#include "Diagnostics.h"
#include "Limits.h"
#include "NativeModel.h"
#include "tamis/InitAll.h"
#include "tamis/Pipeline/Compile.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/JSON.h"
#include "llvm/TargetParser/Host.h"
#include <algorithm>
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

using MessageTuple = std::tuple<std::string, std::string, std::string,
                                std::string, std::string>;

EmitKind readEmit(const std::string &name) {
  if (name == "obj")
    return EmitKind::Object;
  if (name == "llvm")
    return EmitKind::LLVMIR;
  if (name == "asm")
    return EmitKind::Assembly;
  if (name == "mlir")
    return EmitKind::MLIR;
  return EmitKind::SharedLibrary;
}

/// The fields of the Python class Options.
CompileOptions readOptions(const nb::dict &fields) {
  CompileOptions options;
  options.target = nb::cast<std::string>(fields["target"]);
  options.threads = nb::cast<int64_t>(fields["threads"]);
  options.strict = nb::cast<bool>(fields["strict"]);
  options.oracle = nb::cast<bool>(fields["oracle"]);
  options.emit = readEmit(nb::cast<std::string>(fields["emit"]));
  options.dumpStages = nb::cast<std::string>(fields["dump_stages"]);
  for (nb::handle name : fields["allow"])
    options.allowBf16 |= nb::cast<std::string>(name) == "bf16";
  for (nb::handle entry : fields["input_dims"]) {
    auto [name, text] =
        nb::cast<std::tuple<std::string, std::string>>(entry);
    DimBinding binding;
    if (!parseDimBinding(text, binding))
      throw nb::value_error(("input dimension " + name + "=" + text).c_str());
    options.import.inputDims.emplace_back(name, binding);
  }
  std::string folder = nb::cast<std::string>(fields["allow_external"]);
  if (!folder.empty())
    options.import.allowExternal.push_back(folder);
  return options;
}

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
      failed = llvm::failed(compileModel(llvm::StringRef(*path), output, options, sink));
    } else {
      llvm::ArrayRef<char> bytes(data->c_str(), data->size());
      // The folder the caller names is where a model without a path may have
      // its external data.
      if (!options.import.allowExternal.empty())
        options.import.folder = options.import.allowExternal.front();
      failed = llvm::failed(compileModel(bytes, output, options, sink));
    }
  }
  bool said = false;
  std::vector<MessageTuple> result;
  for (const Message &m : messages) {
    said |= m.severity == "error";
    // Names come from the model's bytes and need not be UTF-8.
    result.emplace_back(m.severity, llvm::json::fixUTF8(m.text),
                        llvm::json::fixUTF8(m.node), llvm::json::fixUTF8(m.op),
                        m.file);
  }
  if (failed && !said)
    result.emplace_back("error", "compilation failed without a message", "", "",
                        "");
  return result;
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

} // namespace

NB_MODULE(_tamis, m) {
  m.attr("version") = TAMIS_VERSION;
  m.def("compile", &compile, nb::arg("path").none(), nb::arg("data").none(),
        nb::arg("output"), nb::arg("options"));
  nb::class_<BoundCall>(m, "BoundCall").def("__call__", &BoundCall::call);
  nb::class_<NativeModel>(m, "Model")
      .def(nb::init<const std::string &, int>(), nb::arg("path"),
           nb::arg("threads"))
      .def_prop_ro("inputs", &NativeModel::getInputs)
      .def_prop_ro("outputs", &NativeModel::getOutputs)
      .def_prop_ro("metadata", &NativeModel::getMetadata)
      .def_prop_ro("producer", &NativeModel::getProducer)
      .def_prop_ro("report", &NativeModel::getReport)
      .def("output_dims", &NativeModel::getOutputDims)
      .def("run", &NativeModel::run)
      .def("bind", &NativeModel::bind);
  m.def("library_path", &libraryPath);
  m.def("host_features", &hostFeatures);
  m.def("limit_loops", &limitLoops);
  m.def("measure_limit", &measureLimit, nb::arg("name"), nb::arg("seconds"),
        nb::call_guard<nb::gil_scoped_release>());
}
