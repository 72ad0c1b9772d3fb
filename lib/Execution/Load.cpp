// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loads and calls compiled models.
#include "tamis/Execution/Load.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"

#include <dlfcn.h>
#include <map>
#include <mutex>

using namespace mlir;
using namespace mlir::tamis;
using llvm::createStringError;

/// A name for the file at `path` that the dynamic loader has not seen with
/// another file behind it: it takes a name it knows for the library it knows,
/// though a compiler has replaced the file since.
static llvm::Expected<std::string> makeLoadName(StringRef path) {
  SmallString<256> real;
  llvm::sys::fs::UniqueID id;
  std::error_code error = llvm::sys::fs::real_path(path, real);
  if (!error)
    error = llvm::sys::fs::getUniqueID(real, id);
  if (error)
    return createStringError("'" + path + "': " + error.message());
  static std::mutex mutex;
  static std::map<std::string, std::vector<llvm::sys::fs::UniqueID>> seen;
  std::lock_guard<std::mutex> guard(mutex);
  std::vector<llvm::sys::fs::UniqueID> &ids = seen[real.str().str()];
  auto found = llvm::find(ids, id);
  size_t generation = found - ids.begin();
  if (found == ids.end())
    ids.push_back(id);
  // Another spelling of the same file for each generation: its bits, as "./"
  // and "/" in front of the name.
  std::string name = llvm::sys::path::parent_path(real).str() + "/";
  for (; generation; generation /= 2)
    name += generation % 2 ? "./" : "/";
  return name + llvm::sys::path::filename(real).str();
}

static std::vector<InterfaceTensor>
parseTensors(const llvm::json::Object &object, StringRef field) {
  std::vector<InterfaceTensor> tensors;
  if (const llvm::json::Array *list = object.getArray(field))
    for (const llvm::json::Value &entry : *list) {
      const llvm::json::Object *fields = entry.getAsObject();
      if (!fields)
        continue;
      InterfaceTensor tensor;
      tensor.name = fields->getString("name").value_or("").str();
      tensor.dtype = fields->getString("dtype").value_or("").str();
      if (const llvm::json::Array *shape = fields->getArray("shape"))
        for (const llvm::json::Value &dim : *shape) {
          if (auto size = dim.getAsInteger())
            tensor.dims.push_back({*size, ""});
          else
            tensor.dims.push_back({-1, dim.getAsString().value_or("?").str()});
        }
      tensors.push_back(std::move(tensor));
    }
  return tensors;
}

static llvm::Expected<ModelInterface> parseInterface(StringRef text) {
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(text);
  if (!value)
    return value.takeError();
  const llvm::json::Object *object = value->getAsObject();
  if (!object)
    return createStringError("expected a JSON object as description");
  ModelInterface interface;
  interface.inputs = parseTensors(*object, "inputs");
  interface.outputs = parseTensors(*object, "outputs");
  if (const llvm::json::Object *ranges = object->getObject("ranges"))
    for (const auto &[symbol, range] : *ranges)
      if (const llvm::json::Array *bounds = range.getAsArray();
          bounds && bounds->size() == 2)
        interface.ranges[symbol.str()] = {
            (*bounds)[0].getAsInteger().value_or(0),
            (*bounds)[1].getAsInteger().value_or(INT64_MAX)};
  if (const llvm::json::Object *metadata = object->getObject("metadata"))
    for (const auto &[key, text] : *metadata)
      interface.metadata[key.str()] = text.getAsString().value_or("").str();
  interface.producer = object->getString("producer").value_or("").str();
  interface.threads = object->getInteger("threads").value_or(1);
  return interface;
}

/// Refuses what this process cannot execute, naming the reason.
static llvm::Error checkFeatures(StringRef path, const ArtifactNote &note) {
  std::string missing;
  for (const std::vector<std::string> &features : note.variants) {
    std::string lacking = findMissingFeature(features);
    if (lacking.empty())
      return llvm::Error::success();
    if (missing.empty())
      missing = lacking;
  }
  return createStringError("'" + path +
                           "': this processor lacks the feature '" + missing +
                           "' the model was compiled for");
}

llvm::Error CompiledModel::bindSymbol(StringRef path, StringRef symbol,
                                      auto &function) {
  std::string full = note.prefix + "_" + symbol.str();
  function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
      dlsym(library, full.c_str()));
  if (function)
    return llvm::Error::success();
  return createStringError("'" + path + "': expected a function '" + full +
                           "'");
}

llvm::Error CompiledModel::open(StringRef path) {
  llvm::Expected<ArtifactNote> found = readNote(path);
  if (!found)
    return found.takeError();
  note = std::move(*found);
  if (note.abiVersion != TAMIS_ABI_VERSION)
    return createStringError(
        "'" + path + "': expected ABI version " + Twine(TAMIS_ABI_VERSION) +
        ", got " + Twine(note.abiVersion) + "; compile the model again");
  llvm::Expected<std::string> name = makeLoadName(path);
  if (!name)
    return name.takeError();
  library = dlopen(name->c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return createStringError(Twine("'") + path + "': " + dlerror());
  return bindSymbol(path, "describe", describe);
}

llvm::Error CompiledModel::bind(StringRef path, const LoadOptions &options) {
  if (llvm::Error error = open(path))
    return error;
  if (llvm::Error error = checkFeatures(path, note))
    return error;
  if (llvm::Error error = bindSymbol(path, "abi_version", abiVersion))
    return error;
  if (llvm::Error error = bindSymbol(path, "workspace_size", workspaceSize))
    return error;
  if (llvm::Error error = bindSymbol(path, "output_dims", outputDims))
    return error;
  if (llvm::Error error = bindSymbol(path, "create", create))
    return error;
  if (llvm::Error error = bindSymbol(path, "run", runInstance))
    return error;
  if (llvm::Error error = bindSymbol(path, "last_error", lastError))
    return error;
  if (llvm::Error error = bindSymbol(path, "destroy", destroy))
    return error;
  // Only models for a device have these.
  llvm::consumeError(bindSymbol(path, "device_seconds", deviceSeconds));
  llvm::consumeError(bindSymbol(path, "device_copy", deviceCopy));
  llvm::Expected<ModelInterface> described = parseInterface(describe());
  if (!described)
    return createStringError("'" + path +
                             "': " + llvm::toString(described.takeError()));
  interface = std::move(*described);
  for (const InterfaceTensor &tensor : interface.inputs)
    inputDimCount += tensor.dims.size();
  for (const InterfaceTensor &tensor : interface.outputs)
    outputDimCount += tensor.dims.size();
  tamis_host host = {};
  host.threads = options.threads;
  if (create(&host, &instance) != TAMIS_OK)
    return createStringError("'" + path + "': " + lastError(nullptr));
  return llvm::Error::success();
}

llvm::Expected<std::string> CompiledModel::readDescription(StringRef path) {
  CompiledModel model;
  if (llvm::Error error = model.open(path))
    return std::move(error);
  return std::string(model.describe());
}

llvm::Expected<std::unique_ptr<CompiledModel>>
CompiledModel::load(StringRef path, const LoadOptions &options) {
  std::unique_ptr<CompiledModel> model(new CompiledModel);
  if (llvm::Error error = model->bind(path, options))
    return std::move(error);
  return model;
}

double CompiledModel::getDeviceSeconds() const {
  return deviceSeconds ? deviceSeconds(instance) : -1;
}

double CompiledModel::measureDeviceCopy(int64_t bytes) const {
  return deviceCopy ? deviceCopy(instance, bytes) : -1;
}

CompiledModel::~CompiledModel() {
  if (instance)
    destroy(instance);
  if (library)
    dlclose(library);
}

llvm::Error CompiledModel::checkDims(ArrayRef<int64_t> dims,
                                     int64_t expected) const {
  if (int64_t(dims.size()) == expected)
    return llvm::Error::success();
  return createStringError("expected " + Twine(expected) +
                           " dimensions in all, got " + Twine(dims.size()));
}

llvm::Expected<int64_t>
CompiledModel::getWorkspaceSize(ArrayRef<int64_t> dims) const {
  if (llvm::Error error = checkDims(dims, inputDimCount))
    return std::move(error);
  int64_t bytes = workspaceSize(dims.data());
  if (bytes < 0)
    return createStringError("the model does not take these dimensions");
  return bytes;
}

llvm::Error CompiledModel::getOutputDims(MutableArrayRef<int64_t> dims) const {
  if (llvm::Error error = checkDims(dims, inputDimCount + outputDimCount))
    return error;
  if (dims.empty() || outputDims(dims.data()) == TAMIS_OK)
    return llvm::Error::success();
  return createStringError("the model does not take these dimensions");
}

llvm::Error CompiledModel::run(const void *const *inputs, void **outputs,
                               int64_t *dims, void *workspace) const {
  if (runInstance(instance, inputs, outputs, dims, workspace) == TAMIS_OK)
    return llvm::Error::success();
  return createStringError(lastError(instance));
}

llvm::Expected<std::vector<CompiledModel::Output>>
CompiledModel::run(ArrayRef<const void *> inputs,
                   ArrayRef<int64_t> inputDims) const {
  if (inputs.size() != interface.inputs.size())
    return createStringError("expected " + Twine(interface.inputs.size()) +
                             " inputs, got " + Twine(inputs.size()));
  if (llvm::Error error = checkDims(inputDims, inputDimCount))
    return std::move(error);
  // One more than needed, so that the pointer is never null.
  std::vector<int64_t> dims(inputDimCount + outputDimCount + 1, -1);
  llvm::copy(inputDims, dims.begin());
  // Refused dimensions are reported by run, with the input's name.
  bool known = outputDims(dims.data()) == TAMIS_OK;

  std::vector<Output> outputs(interface.outputs.size());
  std::vector<void *> pointers(outputs.size() + 1);
  auto sizeOf = [&](size_t index, const int64_t *first) -> int64_t {
    const InterfaceTensor &tensor = interface.outputs[index];
    ArrayRef<int64_t> shape(first, tensor.dims.size());
    int64_t bytes = getDtypeBytes(tensor.dtype);
    // Strides take an empty dimension for one.
    for (int64_t size : shape)
      if (size < 0 ||
          llvm::MulOverflow(bytes, std::max<int64_t>(size, 1), bytes))
        return -1;
    return llvm::is_contained(shape, 0) ? 0 : bytes;
  };
  const int64_t *first = dims.data() + inputDimCount;
  for (size_t index = 0; index < outputs.size() && known; ++index) {
    const InterfaceTensor &tensor = interface.outputs[index];
    if (!tensor.isUnbounded()) {
      int64_t bytes = sizeOf(index, first);
      if (bytes < 0 || bytes > int64_t(1) << 46)
        return createStringError("output '" + tensor.name +
                                 "': its size is out of range");
      outputs[index].data.reset(aligned_alloc(
          TAMIS_ALIGNMENT,
          llvm::alignTo(std::max<int64_t>(bytes, 1), TAMIS_ALIGNMENT)));
      if (!outputs[index].data)
        return createStringError("output '" + tensor.name +
                                 "': " + Twine(bytes) +
                                 " bytes could not be allocated");
      pointers[index] = outputs[index].data.get();
    }
    first += tensor.dims.size();
  }
  if (llvm::Error error = run(inputs.data(), pointers.data(), dims.data()))
    return std::move(error);
  first = dims.data() + inputDimCount;
  for (size_t index = 0; index < outputs.size(); ++index) {
    const InterfaceTensor &tensor = interface.outputs[index];
    if (tensor.isUnbounded())
      outputs[index].data.reset(pointers[index]);
    outputs[index].dims.assign(first, first + tensor.dims.size());
    outputs[index].bytes = sizeOf(index, first);
    first += tensor.dims.size();
  }
  for (auto [tensor, output] : llvm::zip_equal(interface.outputs, outputs))
    if (output.bytes < 0)
      return createStringError("output '" + tensor.name +
                               "': its size is out of range");
  return outputs;
}
