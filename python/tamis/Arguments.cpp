// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arguments.h"
#include "llvm/Support/JSON.h"
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

namespace nb = nanobind;
using namespace mlir;
using namespace mlir::tamis;

static EmitKind readEmit(const std::string &name) {
  if (name == "obj")
    return EmitKind::Object;
  if (name == "llvm")
    return EmitKind::LLVMIR;
  if (name == "asm")
    return EmitKind::Assembly;
  if (name == "ptx")
    return EmitKind::Ptx;
  if (name == "mlir")
    return EmitKind::MLIR;
  return EmitKind::SharedLibrary;
}

CompileOptions mlir::tamis::readOptions(const nb::dict &fields) {
  CompileOptions options;
  options.target = nb::cast<std::string>(fields["target"]);
  options.threads = nb::cast<int64_t>(fields["threads"]);
  options.profile = nb::cast<std::string>(fields["profile"]);
  options.ptxas = nb::cast<std::string>(fields["ptxas"]);
  options.strict = nb::cast<bool>(fields["strict"]);
  options.optimizeForSize =
      nb::cast<std::string>(fields["optimize_for"]) == "size";
  options.optLevel = nb::cast<int>(fields["opt_level"]);
  options.oracle = nb::cast<bool>(fields["oracle"]);
  options.emit = readEmit(nb::cast<std::string>(fields["emit"]));
  options.dumpStages = nb::cast<std::string>(fields["dump_stages"]);
  for (nb::handle name : fields["allow"])
    options.allowBf16 |= nb::cast<std::string>(name) == "bf16";
  for (nb::handle entry : fields["input_dims"]) {
    auto [name, text] = nb::cast<std::tuple<std::string, std::string>>(entry);
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

std::vector<MessageTuple>
mlir::tamis::takeMessages(std::vector<Message> &messages, bool failed) {
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
  messages.clear();
  return result;
}
