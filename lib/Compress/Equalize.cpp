// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Equalization: channels between layers that can be scaled together (see
// ScaleGroups.h) are scaled down where they are made and up where they are
// read. By weights, without data: so that both have the same range in each
// channel (Nagel et al., ICCV 2019). By activations, calibrated: so that the
// rounding of tensors with one scale for all channels, and that of the weights
// that read them, costs least.
#include "InputMoments.h"
#include "ScaleGroups.h"
#include "tamis/Compress/Passes.h"
#include "tamis/Compress/Report.h"
#include "tamis/Compress/Statistics.h"
#include "llvm/ADT/MapVector.h"
#include <cmath>

namespace mlir::tamis {
#define GEN_PASS_DEF_EQUALIZE
#include "tamis/Compress/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// A layer is in the group of its input and in that of its result.
static constexpr int kSweeps = 20;
/// A channel that was silent on the samples may be loud later; it gets no more
/// room than this share of the loudest one's.
static constexpr double kMostRatio = 16;

namespace {
/// The weights and biases of all groups, written back at the end.
class Parameters {
public:
  LogicalResult read(ArrayRef<WeightMatrix> all, ArrayRef<ScaleGroup> groups) {
    matrices = all;
    weights.resize(all.size());
    for (const ScaleGroup &group : groups) {
      for (ArrayRef<size_t> layers :
           {ArrayRef(group.producers), ArrayRef(group.consumers)})
        for (size_t i : layers) {
          if (!weights[i].empty())
            continue;
          FailureOr<std::vector<float>> values = all[i].read();
          if (failed(values))
            return failure();
          weights[i] = std::move(*values);
        }
      for (ObserveOp bias : group.biases) {
        FailureOr<std::vector<float>> values = readParameter(bias);
        if (failed(values))
          return failure();
        biases[bias] = std::move(*values);
      }
    }
    return success();
  }

  void write() {
    for (auto [matrix, values] : llvm::zip_equal(matrices, weights))
      if (!values.empty())
        matrix.write(values);
    for (auto &[bias, values] : biases)
      writeParameter(cast<ObserveOp>(bias), values);
  }

  /// visit(weight, channel) for all that give, or read, the group's channels.
  void forProducers(const ScaleGroup &group,
                    llvm::function_ref<void(float &, int64_t)> visit) {
    for (size_t at : group.producers)
      for (int64_t i = 0, e = weights[at].size(); i < e; ++i)
        visit(weights[at][i], i / matrices[at].columns);
  }
  void forConsumers(const ScaleGroup &group,
                    llvm::function_ref<void(float &, int64_t)> visit) {
    for (size_t at : group.consumers) {
      int64_t columns = matrices[at].columns;
      for (int64_t i = 0, e = weights[at].size(); i < e; ++i)
        visit(weights[at][i],
              matrices[at].getInputChannel(i / columns, i % columns));
    }
  }

  void divide(const ScaleGroup &group, ArrayRef<float> divisor) {
    forProducers(group, [&](float &value, int64_t channel) {
      value /= divisor[channel];
    });
    forConsumers(group, [&](float &value, int64_t channel) {
      value *= divisor[channel];
    });
    for (ObserveOp bias : group.biases)
      for (auto [value, by] : llvm::zip_equal(biases[bias], divisor))
        value /= by;
  }

  ArrayRef<float> getWeight(size_t at) const { return weights[at]; }

private:
  ArrayRef<WeightMatrix> matrices;
  std::vector<std::vector<float>> weights;
  llvm::MapVector<Operation *, std::vector<float>> biases;
};

/// The rounding noise of one group's tensors and of the weights that read them,
/// up to a factor.
struct Noise {
  struct Tensor {
    ObserveOp observe;
    Interval range;
    double levels;              // how many steps its integers have
    std::vector<float> largest; // absolute value by channel
  };
  /// One row of every reader.
  struct Row {
    int64_t first;           // of the channels it reads
    int64_t window;          // how many weights of a channel it has
    std::vector<float> most; // the largest of them
  };
  std::vector<Tensor> tensors;
  std::vector<double> energy; // sum of squared weights that read a channel
  std::vector<double> power;  // mean square of a channel
  std::vector<Row> rows;

  static Interval divide(const Tensor &tensor, ArrayRef<float> divisor) {
    Interval covered;
    for (auto [largest, by] : llvm::zip_equal(tensor.largest, divisor)) {
      double low = std::max<double>(-largest, std::min(tensor.range.low, 0.0));
      double high = std::min<double>(largest, std::max(tensor.range.high, 0.0));
      covered.low = std::min(covered.low, low / by);
      covered.high = std::max(covered.high, high / by);
    }
    return covered;
  }

  double estimate(ArrayRef<float> divisor) const {
    double read = 0, total = 0;
    for (auto [i, by] : llvm::enumerate(divisor))
      read += energy[i] * by * by;
    for (const Tensor &tensor : tensors) {
      Interval covered = divide(tensor, divisor);
      double step = (covered.high - covered.low) / tensor.levels;
      total += step * step * read;
    }
    for (const Row &row : rows) {
      double most = 0, inputs = 0;
      for (auto [i, weight] : llvm::enumerate(row.most)) {
        double by = divisor[row.first + i];
        most = std::max(most, weight * by);
        inputs += power[row.first + i] / (by * by);
      }
      total += most * most / (127.0 * 127.0) * inputs * double(row.window);
    }
    return total;
  }
};

struct Equalize : tamis::impl::EqualizeBase<Equalize> {
  using EqualizeBase::EqualizeBase;

  void runOnOperation() override;
  void equalizeWeights();
  LogicalResult equalizeActivations(Report &report);
  FailureOr<std::optional<Noise>> measure(const ScaleGroup &group,
                                          std::string &reason);
  void addReport(Report &report, const ScaleGroup &group, StringRef decision,
                 const Twine &reason);

  std::vector<WeightMatrix> matrices;
  std::vector<ScaleGroup> groups;
  Parameters parameters;
};
} // namespace

void Equalize::addReport(Report &report, const ScaleGroup &group,
                         StringRef decision, const Twine &reason) {
  const WeightMatrix &reader = matrices[group.consumers.front()];
  report.add(reader.layer, reader.input.getTensor(), decision, reason);
}

/// "'a' and 2 others".
static std::string listLayers(ArrayRef<WeightMatrix> matrices,
                              ArrayRef<size_t> layers) {
  std::string text = "'" + matrices[layers.front()].layer + "'";
  if (layers.size() > 1)
    text += " and " + std::to_string(layers.size() - 1) + " more";
  return text;
}

void Equalize::equalizeWeights() {
  for (int sweep = 0; sweep < kSweeps; ++sweep)
    for (ScaleGroup &group : groups) {
      std::vector<float> made(group.channels), read(group.channels);
      auto note = [](std::vector<float> &largest) {
        return [&](float &value, int64_t channel) {
          largest[channel] = std::max(largest[channel], std::fabs(value));
        };
      };
      parameters.forProducers(group, note(made));
      parameters.forConsumers(group, note(read));
      std::vector<float> divisor(group.channels, 1.0f);
      for (int64_t i = 0; i < group.channels; ++i)
        if (made[i] > 0 && read[i] > 0)
          divisor[i] = std::clamp(std::sqrt(made[i] / read[i]), 1e-4f, 1e4f);
      parameters.divide(group, divisor);
    }
  // They were of the tensors before.
  for (ScaleGroup &group : groups)
    for (ScaleGroup::Tensor &tensor : group.tensors)
      tensor.observe.removeStatisticsAttr();
}

/// What is known of a group; nullopt with a reason if nothing can be gained.
FailureOr<std::optional<Noise>> Equalize::measure(const ScaleGroup &group,
                                                  std::string &reason) {
  Noise noise;
  int64_t n = group.channels;
  noise.energy.assign(n, 0);
  noise.power.assign(n, 0);
  for (const ScaleGroup::Tensor &tensor : group.tensors) {
    ObserveOp observe = tensor.observe;
    if (!observe.getScheme())
      continue;
    auto fail = [&](llvm::Error error) {
      return observe.emitError("tensor '")
             << observe.getTensor()
             << "': " << llvm::toString(std::move(error));
    };
    auto range = readMinMax(observe.getStatisticsAttr());
    if (!range)
      return fail(range.takeError());
    auto largest =
        readFloats(observe.getStatisticsAttr(), statistics::kChannelAbsMax);
    if (!largest)
      return fail(largest.takeError());
    if (static_cast<int64_t>(largest->size()) != n) {
      reason = "it was measured along another axis";
      return std::optional<Noise>();
    }
    double levels = std::exp2(observe.getSchemeAttr().getBits()) - 1;
    noise.tensors.push_back({observe, *range, levels, std::move(*largest)});
  }
  if (noise.tensors.empty()) {
    reason = "none of its tensors is quantized";
    return std::optional<Noise>();
  }
  for (const Noise::Tensor &tensor : noise.tensors)
    for (int64_t i = 0; i < n; ++i)
      noise.power[i] = std::max(noise.power[i], double(tensor.largest[i]) *
                                                    tensor.largest[i] / 16);
  for (size_t at : group.consumers) {
    const WeightMatrix &matrix = matrices[at];
    ArrayRef<float> values = parameters.getWeight(at);
    for (int64_t i = 0; i < matrix.rows; ++i) {
      Noise::Row row{matrix.getInputChannel(i, 0),
                     matrix.columns / matrix.channels,
                     std::vector<float>(matrix.channels)};
      for (int64_t column = 0; column < matrix.columns; ++column) {
        float value = std::fabs(values[i * matrix.columns + column]);
        int64_t channel = matrix.getInputChannel(i, column);
        noise.energy[channel] += double(value) * value;
        float &most = row.most[channel - row.first];
        most = std::max(most, value);
      }
      noise.rows.push_back(std::move(row));
    }
  }
  return std::optional<Noise>(std::move(noise));
}

LogicalResult Equalize::equalizeActivations(Report &report) {
  for (ScaleGroup &group : groups) {
    std::string reason;
    auto noise = measure(group, reason);
    if (failed(noise))
      return failure();
    if (!*noise) {
      addReport(report, group, "not equalized", reason);
      continue;
    }
    int64_t n = group.channels;
    std::vector<double> loudest(n);
    double most = 0;
    for (const Noise::Tensor &tensor : (*noise)->tensors)
      for (int64_t i = 0; i < n; ++i)
        most = std::max(
            most, loudest[i] = std::max<double>(loudest[i], tensor.largest[i]));
    std::vector<float> divisor(n, 1.0f);
    double before = (*noise)->estimate(divisor), least = before;
    for (int tenth = 1; tenth <= 10 && most > 0; ++tenth) {
      std::vector<float> proposed;
      for (double channel : loudest)
        proposed.push_back(static_cast<float>(
            std::max(std::pow(channel / most, 0.1 * tenth), 1 / kMostRatio)));
      if (double total = (*noise)->estimate(proposed); total < least) {
        least = total;
        divisor = std::move(proposed);
      }
    }
    double gain = least > 0 ? 10 * std::log10(before / least) : 0;
    if (!(gain >= minGain)) {
      addReport(report, group, "not equalized",
                "it would gain " + Twine(int64_t(std::max(gain, 0.0))) + " dB");
      continue;
    }
    parameters.divide(group, divisor);
    std::vector<float> factors;
    for (float by : divisor)
      factors.push_back(1 / by);
    for (size_t at : group.consumers)
      scaleWindowGram(matrices[at], factors);
    for (Noise::Tensor &tensor : (*noise)->tensors) {
      scaleStatistics(tensor.observe, factors, Noise::divide(tensor, divisor));
      tensor.observe->setAttr(kEqualizedAttrName, UnitAttr::get(&getContext()));
    }
    // Others tell of the means and moments of what weights read.
    for (ScaleGroup::Tensor &tensor : group.tensors)
      if (!tensor.observe.getScheme())
        scaleStatistics(tensor.observe, factors, std::nullopt);
    report.add(matrices[group.consumers.front()].layer,
               matrices[group.consumers.front()].input.getTensor(), "equalized",
               "channels of " + listLayers(matrices, group.producers) +
                   " scaled against each other",
               {report.number("gain", gain)});
    ++numGroups;
  }
  return success();
}

void Equalize::runOnOperation() {
  ModuleOp module = getOperation();
  if (by != "weights" && by != "activations") {
    module.emitError("tamis-equalize: by expected weights or activations, got ")
        << by;
    return signalPassFailure();
  }
  Report report(module, "equalize");
  matrices = collectWeights(module);
  groups = findScaleGroups(matrices);
  if (failed(parameters.read(matrices, groups)))
    return signalPassFailure();
  if (by == "activations") {
    if (failed(equalizeActivations(report)))
      return signalPassFailure();
  } else {
    equalizeWeights();
    for (ScaleGroup &group : groups)
      addReport(report, group, "equalized",
                "channels of " + listLayers(matrices, group.producers) +
                    " scaled against those of " +
                    listLayers(matrices, group.consumers));
    numGroups += groups.size();
  }
  parameters.write();
}
