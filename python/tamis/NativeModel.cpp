// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "NativeModel.h"
#include "llvm/Support/JSON.h"
#include <algorithm>
#include <cstdlib>
#include <nanobind/stl/string.h>
#include <stdexcept>

namespace nb = nanobind;
using namespace mlir;
using namespace mlir::tamis;

/// An LLVM error becomes the RuntimeError that Python turns into tamis.Error.
static void check(llvm::Error error) {
  if (error)
    throw std::runtime_error(llvm::toString(std::move(error)));
}

template <typename T>
static T check(llvm::Expected<T> value) {
  check(value.takeError());
  return std::move(*value);
}

/// The address of an array; one without elements may have none, and the model
/// refuses a null pointer.
template <typename Array>
static auto getPointer(const Array &array) -> decltype(array.data()) {
  alignas(64) static char nothing[64];
  return array.data() ? array.data() : nothing;
}

static std::vector<const void *>
getPointers(const std::vector<InputArray> &arrays) {
  std::vector<const void *> pointers;
  for (const InputArray &array : arrays)
    pointers.push_back(getPointer(array));
  return pointers;
}

template <typename Array>
static std::vector<int64_t> getDims(const std::vector<Array> &arrays) {
  std::vector<int64_t> dims;
  for (const Array &array : arrays)
    for (size_t i = 0; i < array.ndim(); ++i)
      dims.push_back(static_cast<int64_t>(array.shape(i)));
  return dims;
}

/// A model given too few dimensions would read beyond them.
static void checkCounts(const CompiledModel &model, size_t inputs,
                        size_t dims) {
  if (inputs != model.getInterface().inputs.size() ||
      static_cast<int64_t>(dims) != model.getInputDimCount())
    throw std::runtime_error("the inputs have other ranks than the model's");
}

static std::vector<TensorTuple>
describe(const std::vector<InterfaceTensor> &tensors) {
  std::vector<TensorTuple> result;
  for (const InterfaceTensor &tensor : tensors) {
    std::vector<std::string> dims;
    for (const InterfaceDim &dim : tensor.dims)
      dims.push_back(llvm::json::fixUTF8(dim.str()));
    result.emplace_back(llvm::json::fixUTF8(tensor.name), tensor.dtype,
                        std::move(dims));
  }
  return result;
}

BoundCall::BoundCall(std::shared_ptr<CompiledModel> model,
                     const std::vector<InputArray> &inputs,
                     const std::vector<OutputArray> &outputs)
    : model(std::move(model)), inputs(inputs), outputs(outputs),
      inputPointers(getPointers(inputs)), dims(getDims(inputs)) {
  checkCounts(*this->model, inputs.size(), dims.size());
  for (const OutputArray &array : outputs)
    outputPointers.push_back(getPointer(array));
  int64_t bytes = check(this->model->getWorkspaceSize(dims));
  int64_t rounded = (std::max<int64_t>(bytes, 1) + TAMIS_ALIGNMENT - 1) /
                    TAMIS_ALIGNMENT * TAMIS_ALIGNMENT;
  workspace.reset(std::aligned_alloc(TAMIS_ALIGNMENT, rounded));
  if (!workspace)
    throw std::runtime_error("cannot allocate a workspace of " +
                             std::to_string(bytes) + " bytes");
  dims.resize(dims.size() + this->model->getOutputDimCount());
}

void BoundCall::call() {
  nb::gil_scoped_release release;
  std::lock_guard<std::mutex> lock(running);
  check(model->run(inputPointers.data(), outputPointers.data(), dims.data(),
                   workspace.get()));
}

NativeModel::NativeModel(const std::string &path, int threads) {
  LoadOptions options;
  options.threads = threads;
  nb::gil_scoped_release release;
  model = check(CompiledModel::load(path, options));
}

std::vector<TensorTuple> NativeModel::getInputs() const {
  return describe(model->getInterface().inputs);
}

std::vector<TensorTuple> NativeModel::getOutputs() const {
  return describe(model->getInterface().outputs);
}

nb::dict NativeModel::getMetadata() const {
  nb::dict result;
  for (const auto &[key, value] : model->getInterface().metadata)
    result[nb::cast(llvm::json::fixUTF8(key))] = llvm::json::fixUTF8(value);
  return result;
}

const std::string &NativeModel::getProducer() const {
  return model->getInterface().producer;
}

std::string NativeModel::getReport() const {
  return model->getDescription().str();
}

std::string NativeModel::readReport(const std::string &path) {
  return check(CompiledModel::readDescription(path));
}

std::vector<std::vector<int64_t>>
NativeModel::getOutputDims(const std::vector<InputArray> &inputs) const {
  std::vector<int64_t> dims = getDims(inputs);
  checkCounts(*model, inputs.size(), dims.size());
  size_t at = dims.size();
  dims.resize(at + model->getOutputDimCount());
  check(model->getOutputDims(dims));
  std::vector<std::vector<int64_t>> result;
  for (const InterfaceTensor &tensor : model->getInterface().outputs) {
    result.emplace_back(dims.begin() + at,
                        dims.begin() + at + tensor.dims.size());
    at += tensor.dims.size();
  }
  return result;
}

std::vector<std::tuple<nb::object, std::vector<int64_t>>>
NativeModel::run(const std::vector<InputArray> &inputs) const {
  std::vector<const void *> pointers = getPointers(inputs);
  std::vector<int64_t> dims = getDims(inputs);
  checkCounts(*model, inputs.size(), dims.size());
  std::vector<CompiledModel::Output> outputs;
  {
    nb::gil_scoped_release release;
    outputs = check(model->run(pointers, dims));
  }
  std::vector<std::tuple<nb::object, std::vector<int64_t>>> result;
  for (CompiledModel::Output &output : outputs) {
    void *data = output.data.release();
    if (!data) // no elements, and a capsule needs an address
      data = std::malloc(1);
    nb::capsule owner(data, [](void *pointer) noexcept { std::free(pointer); });
    size_t bytes = static_cast<size_t>(output.bytes);
    nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>> array(data, {bytes}, owner);
    result.emplace_back(nb::cast(array), std::move(output.dims));
  }
  return result;
}

std::unique_ptr<BoundCall>
NativeModel::bind(const std::vector<InputArray> &inputs,
                  const std::vector<OutputArray> &outputs) {
  if (outputs.size() != model->getInterface().outputs.size())
    throw std::runtime_error("expected one array per output");
  return std::make_unique<BoundCall>(model, inputs, outputs);
}
