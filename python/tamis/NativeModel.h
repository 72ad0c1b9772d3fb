// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A compiled model as the native half of the Python class Model. Names, types
// and shapes have been checked by the caller; here are pointers and the GIL.
#ifndef TAMIS_PYTHON_NATIVEMODEL_H
#define TAMIS_PYTHON_NATIVEMODEL_H

#include "tamis/Execution/Load.h"
#include <memory>
#include <mutex>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <string>
#include <tuple>
#include <vector>

namespace mlir::tamis {

using InputArray = nanobind::ndarray<nanobind::ro, nanobind::device::cpu>;
using OutputArray = nanobind::ndarray<nanobind::device::cpu>;
/// Name, element type and dimensions (a number, a symbol or "?").
using TensorTuple =
    std::tuple<std::string, std::string, std::vector<std::string>>;

/// A call whose arrays, dimensions and workspace are fixed.
class BoundCall {
public:
  BoundCall(std::shared_ptr<CompiledModel> model,
            const std::vector<InputArray> &inputs,
            const std::vector<OutputArray> &outputs);

  void call();

private:
  std::shared_ptr<CompiledModel> model;
  // Keep the memory alive that the pointers name.
  std::vector<InputArray> inputs;
  std::vector<OutputArray> outputs;
  std::vector<const void *> inputPointers;
  std::vector<void *> outputPointers;
  std::vector<int64_t> dims;
  std::unique_ptr<void, CompiledModel::Output::Release> workspace;
  std::mutex running;
};

class NativeModel {
public:
  NativeModel(const std::string &path, int threads);

  std::vector<TensorTuple> getInputs() const;
  std::vector<TensorTuple> getOutputs() const;
  nanobind::dict getMetadata() const;
  const std::string &getProducer() const;
  std::string getReport() const;
  /// The same of the library at `path`, which need not run here.
  static std::string readReport(const std::string &path);

  /// The shape of each output for these inputs; -1 where the data decides.
  std::vector<std::vector<int64_t>>
  getOutputDims(const std::vector<InputArray> &inputs) const;

  /// Runs with fresh outputs: a list of one-dimensional byte arrays and their
  /// shapes, since numpy knows element types this module does not.
  std::vector<std::tuple<nanobind::object, std::vector<int64_t>>>
  run(const std::vector<InputArray> &inputs) const;

  double getDeviceSeconds() const { return model->getDeviceSeconds(); }
  double measureDeviceCopy(int64_t bytes) const {
    return model->measureDeviceCopy(bytes);
  }

  std::unique_ptr<BoundCall> bind(const std::vector<InputArray> &inputs,
                                  const std::vector<OutputArray> &outputs);

private:
  std::shared_ptr<CompiledModel> model;
};

} // namespace mlir::tamis

#endif // TAMIS_PYTHON_NATIVEMODEL_H
