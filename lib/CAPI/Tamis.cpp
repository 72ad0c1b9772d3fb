// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C API: a thin shell around compileModel and CompiledModel.
#include "tamis-c/Tamis.h"
#include "tamis/Execution/Emit.h"
#include "tamis/Execution/Load.h"
#include "tamis/Pipeline/Compile.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// Where messages go.
struct Reporter {
  TamisDiagnosticCallback callback;
  void *user;

  void report(TamisSeverity severity, const std::string &text) const {
    if (callback)
      callback(severity, text.c_str(), user);
  }

  int32_t fail(const std::string &text) const {
    report(TamisSeverityError, text);
    return 1;
  }

  int32_t check(llvm::Error error) const {
    return error ? fail(llvm::toString(std::move(error))) : 0;
  }
};
} // namespace

static TamisSeverity convert(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Note:
    return TamisSeverityNote;
  case DiagnosticSeverity::Remark:
    return TamisSeverityRemark;
  case DiagnosticSeverity::Warning:
    return TamisSeverityWarning;
  case DiagnosticSeverity::Error:
    return TamisSeverityError;
  }
  llvm_unreachable("unknown severity");
}

/// Applies one "key=value"; returns what is wrong with it.
static std::string applyOption(StringRef option, CompileOptions &options) {
  auto [key, value] = option.split('=');
  std::string expected;
  if (key == "target") {
    options.target = value.str();
  } else if (key == "threads") {
    if (value.getAsInteger(10, options.threads) || options.threads < 1)
      expected = "a number above 0";
  } else if (key == "input-dim") {
    auto [name, text] = value.rsplit('=');
    DimBinding binding;
    if (name.empty() || !parseDimBinding(text, binding))
      expected = "NAME=N or NAME=MIN:MAX";
    else
      options.import.inputDims.emplace_back(name.str(), binding);
  } else if (key == "allow-external") {
    options.import.allowExternal.push_back(value.str());
  } else if (key == "folder") {
    options.import.folder = value.str();
  } else if (key == "O") {
    if (value.getAsInteger(10, options.optLevel) || options.optLevel < 1 ||
        options.optLevel > 3)
      expected = "1, 2 or 3";
  } else if (key == "emit") {
    auto kind = llvm::StringSwitch<std::optional<EmitKind>>(value)
                    .Case("so", EmitKind::SharedLibrary)
                    .Case("obj", EmitKind::Object)
                    .Case("llvm", EmitKind::LLVMIR)
                    .Case("asm", EmitKind::Assembly)
                    .Case("ptx", EmitKind::Ptx)
                    .Case("mlir", EmitKind::MLIR)
                    .Default(std::nullopt);
    if (kind)
      options.emit = *kind;
    else
      expected = "so, obj, llvm, asm, ptx or mlir";
  } else if (key == "strict") {
    options.strict = value == "true";
    if (value != "true" && value != "false")
      expected = "true or false";
  } else if (key == "allow") {
    options.allowBf16 = value == "bf16";
    if (!options.allowBf16)
      expected = "bf16";
  } else if (key == "optimize-for") {
    options.optimizeForSize = value == "size";
    if (value != "speed" && value != "size")
      expected = "speed or size";
  } else if (key == "prefix") {
    options.prefix = value.str();
  } else if (key == "profile") {
    options.profile = value.str();
  } else if (key == "ptxas") {
    options.ptxas = value.str();
  } else if (key == "dump-stages") {
    options.dumpStages = value.str();
  } else {
    return ("unknown option '" + key + "'").str();
  }
  if (expected.empty())
    return "";
  return ("option '" + key + "': expected " + expected + ", got '" + value +
          "'")
      .str();
}

/// Reads the options and calls `compile` with them.
static int32_t compileWith(
    const char *const *texts, size_t count, const Reporter &reporter,
    llvm::function_ref<LogicalResult(const CompileOptions &, DiagnosticSink)>
        compile) {
  if (count && !texts)
    return reporter.fail("the options are a null pointer");
  CompileOptions options;
  for (size_t index = 0; index < count; ++index) {
    if (!texts[index])
      return reporter.fail("an option is a null pointer");
    std::string wrong = applyOption(texts[index], options);
    if (!wrong.empty())
      return reporter.fail(wrong);
  }
  LogicalResult compiled =
      compile(options, [&reporter](Diagnostic &diagnostic) {
        reporter.report(convert(diagnostic.getSeverity()),
                        getDiagnosticText(diagnostic));
        for (const Diagnostic &note : diagnostic.getNotes())
          reporter.report(TamisSeverityNote, getDiagnosticText(note));
      });
  return failed(compiled);
}

int32_t tamisGetApiVersion(void) { return TAMIS_API_VERSION; }

const char *tamisGetVersion(void) { return getVersion().data(); }

int32_t tamisCompileFile(const char *input, const char *output,
                         const char *const *options, size_t optionCount,
                         TamisDiagnosticCallback diagnostics, void *user) {
  Reporter reporter{diagnostics, user};
  if (!input || !output)
    return reporter.fail("the name of a file is a null pointer");
  return compileWith(options, optionCount, reporter,
                     [&](const CompileOptions &read, DiagnosticSink sink) {
                       return compileModel(StringRef(input), output, read,
                                           std::move(sink));
                     });
}

int32_t tamisCompileBytes(const void *bytes, size_t size, const char *output,
                          const char *const *options, size_t optionCount,
                          TamisDiagnosticCallback diagnostics, void *user) {
  Reporter reporter{diagnostics, user};
  if (!bytes || !output)
    return reporter.fail("the model or the name of a file is a null pointer");
  return compileWith(
      options, optionCount, reporter,
      [&](const CompileOptions &read, DiagnosticSink sink) {
        return compileModel(
            ArrayRef<char>(static_cast<const char *>(bytes), size), output,
            read, std::move(sink));
      });
}

static CompiledModel *unwrap(TamisModel *model) {
  return reinterpret_cast<CompiledModel *>(model);
}

static const CompiledModel *unwrap(const TamisModel *model) {
  return reinterpret_cast<const CompiledModel *>(model);
}

TamisModel *tamisModelLoad(const char *path, int32_t threads,
                           TamisDiagnosticCallback diagnostics, void *user) {
  Reporter reporter{diagnostics, user};
  if (!path) {
    reporter.fail("the name of a file is a null pointer");
    return nullptr;
  }
  LoadOptions options;
  options.threads = threads;
  auto model = CompiledModel::load(path, options);
  if (!model) {
    reporter.check(model.takeError());
    return nullptr;
  }
  return reinterpret_cast<TamisModel *>(model->release());
}

void tamisModelDestroy(TamisModel *model) { delete unwrap(model); }

const char *tamisModelDescribe(const TamisModel *model) {
  return unwrap(model)->getDescription().data();
}

size_t tamisModelGetInputCount(const TamisModel *model) {
  return unwrap(model)->getInterface().inputs.size();
}

size_t tamisModelGetOutputCount(const TamisModel *model) {
  return unwrap(model)->getInterface().outputs.size();
}

size_t tamisModelGetInputDimCount(const TamisModel *model) {
  return unwrap(model)->getInputDimCount();
}

size_t tamisModelGetOutputDimCount(const TamisModel *model) {
  return unwrap(model)->getOutputDimCount();
}

static const InterfaceTensor *getInput(const TamisModel *model, size_t index) {
  const auto &inputs = unwrap(model)->getInterface().inputs;
  return index < inputs.size() ? &inputs[index] : nullptr;
}

static const InterfaceTensor *getOutput(const TamisModel *model, size_t index) {
  const auto &outputs = unwrap(model)->getInterface().outputs;
  return index < outputs.size() ? &outputs[index] : nullptr;
}

const char *tamisModelGetInputName(const TamisModel *model, size_t index) {
  const InterfaceTensor *tensor = getInput(model, index);
  return tensor ? tensor->name.c_str() : nullptr;
}

const char *tamisModelGetInputType(const TamisModel *model, size_t index) {
  const InterfaceTensor *tensor = getInput(model, index);
  return tensor ? tensor->dtype.c_str() : nullptr;
}

const char *tamisModelGetOutputName(const TamisModel *model, size_t index) {
  const InterfaceTensor *tensor = getOutput(model, index);
  return tensor ? tensor->name.c_str() : nullptr;
}

const char *tamisModelGetOutputType(const TamisModel *model, size_t index) {
  const InterfaceTensor *tensor = getOutput(model, index);
  return tensor ? tensor->dtype.c_str() : nullptr;
}

size_t tamisModelGetInputRank(const TamisModel *model, size_t index) {
  const InterfaceTensor *tensor = getInput(model, index);
  return tensor ? tensor->dims.size() : 0;
}

size_t tamisModelGetOutputRank(const TamisModel *model, size_t index) {
  const InterfaceTensor *tensor = getOutput(model, index);
  return tensor ? tensor->dims.size() : 0;
}

int32_t tamisModelGetOutputDims(const TamisModel *model, int64_t *dims,
                                TamisDiagnosticCallback diagnostics,
                                void *user) {
  Reporter reporter{diagnostics, user};
  if (!dims)
    return reporter.fail("the dimensions are a null pointer");
  const CompiledModel *compiled = unwrap(model);
  return reporter.check(compiled->getOutputDims(MutableArrayRef<int64_t>(
      dims, compiled->getInputDimCount() + compiled->getOutputDimCount())));
}

int32_t tamisModelRun(const TamisModel *model, const void *const *inputs,
                      void **outputs, int64_t *dims,
                      TamisDiagnosticCallback diagnostics, void *user) {
  Reporter reporter{diagnostics, user};
  return reporter.check(unwrap(model)->run(inputs, outputs, dims));
}
