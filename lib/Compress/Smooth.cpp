// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SmoothQuant (Xiao et al., ICML 2023): channels of an activation that are much
// larger than the others are divided by a factor, and the weights that read
// them are multiplied by it. The division is an operation of its own in front
// of the quantize, because other readers (a residual sum) want the tensor as it
// is; it is fused into what computes the tensor. In ONNX, the writer folds it
// into the producer's parameters where there is no other reader.
#include "InputMoments.h"
#include "QuantizationFlow.h"
#include "WeightMatrix.h"
#include "tamis/Compress/Passes.h"
#include "tamis/Compress/Ranges.h"
#include "tamis/Compress/Report.h"
#include "tamis/Compress/Statistics.h"
#include "llvm/ADT/MapVector.h"
#include <cmath>

namespace mlir::tamis {
#define GEN_PASS_DEF_SMOOTH
#include "tamis/Compress/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// An activation with the weights that read it.
struct Candidate {
  SmallVector<WeightMatrix *> readers;
  int64_t contractions = 0;
  bool isReadOtherwise = false;
};

struct Smooth : tamis::impl::SmoothBase<Smooth> {
  using SmoothBase::SmoothBase;

  void runOnOperation() override;
  LogicalResult smooth(ObserveOp input, Candidate &candidate, Report &report);
};
} // namespace

namespace {
/// What is known of an activation and its weights, by input channel.
struct Layer {
  Interval range;
  ArrayRef<float> largest;             // absolute value of the activation
  ArrayRef<float> weight;              // largest absolute weight
  ArrayRef<double> energy;             // sum of squared weights
  std::vector<double> power;           // mean square of the activation
  ArrayRef<std::vector<float>> values; // weights, rows of channels
  double levels;                       // of the activation's integers
  ArrayRef<double> largestIntegers;    // of each of the weights

  /// The rounding noise in the products' results when channels are divided by
  /// `divisor`, up to a factor: that of the activation, and that of weights
  /// with a scale for each row.
  double estimate(ArrayRef<float> divisor, Interval &covered) const {
    int64_t n = divisor.size();
    double activation = 0, inputs = 0, steps = 0;
    covered = {};
    for (int64_t i = 0; i < n; ++i) {
      double low = std::max<double>(-largest[i], std::min(range.low, 0.0));
      double high = std::min<double>(largest[i], std::max(range.high, 0.0));
      covered.low = std::min(covered.low, low / divisor[i]);
      covered.high = std::max(covered.high, high / divisor[i]);
      activation += energy[i] * divisor[i] * divisor[i];
      inputs += power[i] / (double(divisor[i]) * divisor[i]);
    }
    for (auto [matrix, largestInteger] :
         llvm::zip_equal(values, largestIntegers))
      for (size_t row = 0; row < matrix.size(); row += n) {
        float most = 0;
        for (int64_t i = 0; i < n; ++i)
          most = std::max(most, std::fabs(matrix[row + i]) * divisor[i]);
        double step = most / largestInteger;
        steps += step * step;
      }
    double step = (covered.high - covered.low) / levels;
    return step * step * activation + steps * inputs;
  }
};
} // namespace

/// SmoothQuant's divisors for `alpha`; if that is negative, those of several
/// alphas, and such that only cut the channels above a threshold.
static std::vector<std::vector<float>> proposeDivisors(const Layer &layer,
                                                       double alpha) {
  int64_t n = layer.largest.size();
  std::vector<std::vector<float>> proposed;
  auto propose = [&](double share) {
    std::vector<float> divisor(n, 1.0f);
    double logarithms = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; ++i) {
      if (!(layer.largest[i] > 0) || !(layer.weight[i] > 0))
        continue;
      divisor[i] =
          static_cast<float>(std::pow(double(layer.largest[i]), share) /
                             std::pow(double(layer.weight[i]), 1 - share));
      logarithms += std::log(divisor[i]);
      ++count;
    }
    // One on (geometric) average.
    double mean = count ? std::exp(logarithms / double(count)) : 1;
    for (int64_t i = 0; i < n; ++i)
      if (layer.largest[i] > 0 && layer.weight[i] > 0)
        divisor[i] = std::clamp<float>(divisor[i] / float(mean), 1e-3f, 1e3f);
    proposed.push_back(std::move(divisor));
  };
  if (alpha >= 0) {
    propose(alpha);
    return proposed;
  }
  for (int tenth = 3; tenth <= 8; ++tenth)
    propose(0.1 * tenth);
  std::vector<float> sorted(layer.largest);
  llvm::sort(sorted);
  for (double share : {0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998}) {
    float threshold = sorted[static_cast<int64_t>(share * double(n - 1))];
    if (!(threshold > 0))
      continue;
    std::vector<float> divisor;
    for (float value : layer.largest)
      divisor.push_back(std::clamp(value / threshold, 1.0f, 1e3f));
    proposed.push_back(std::move(divisor));
  }
  return proposed;
}

LogicalResult Smooth::smooth(ObserveOp input, Candidate &candidate,
                             Report &report) {
  StringRef layer = candidate.readers.front()->layer;
  auto refuse = [&](const Twine &reason) {
    report.add(layer, input.getTensor(), "not smoothed", reason);
    return success();
  };
  // A channel of a normalized token is large on every input; one of an image
  // may be silent on the samples and loud later, and then saturates.
  if (!convolutions && llvm::any_of(candidate.readers, [](WeightMatrix *w) {
        return getNode(w->use.contract).type == "Conv";
      }))
    return refuse("a convolution reads it");
  if (candidate.isReadOtherwise ||
      candidate.contractions != int64_t(candidate.readers.size()))
    return refuse("other integer operations read it, or share its weights");
  auto largest =
      readFloats(input.getStatisticsAttr(), statistics::kChannelAbsMax);
  if (!largest)
    return input.emitError("tensor '")
           << input.getTensor() << "': " << llvm::toString(largest.takeError());
  auto range = readMinMax(input.getStatisticsAttr());
  if (!range)
    return input.emitError("tensor '")
           << input.getTensor() << "': " << llvm::toString(range.takeError());
  int64_t n = largest->size();
  // Of each input channel: the largest weight and the sum of squares.
  std::vector<float> weight(n);
  std::vector<double> energy(n);
  std::vector<std::vector<float>> values;
  for (WeightMatrix *reader : candidate.readers) {
    if (reader->columns != reader->channels ||
        reader->rowsPerGroup != reader->rows || reader->columns != n)
      return refuse("what reads it slides a window or has groups");
    FailureOr<std::vector<float>> read = reader->read();
    if (failed(read))
      return failure();
    for (auto [i, value] : llvm::enumerate(*read)) {
      weight[i % n] = std::max(weight[i % n], std::fabs(value));
      energy[i % n] += double(value) * value;
    }
    values.push_back(std::move(*read));
  }
  auto getLargest = [](int64_t bits) {
    return std::max(std::exp2(double(bits)) - 1, 1.0);
  };
  auto largestIntegers =
      llvm::map_to_vector(candidate.readers, [&](WeightMatrix *reader) {
        return getLargest(reader->use.observe.getSchemeAttr().getBits() - 1);
      });
  Layer noise{*range,
              *largest,
              weight,
              energy,
              {},
              values,
              getLargest(input.getSchemeAttr().getBits()),
              largestIntegers};
  noise.power.assign(n, 0);
  auto moments =
      readFloats(input.getStatisticsAttr(), statistics::kChannelMoments);
  for (int64_t i = 0; i < n; ++i)
    noise.power[i] =
        moments && int64_t(moments->size()) == 3 * n && (*moments)[i] > 0
            ? (*moments)[2 * n + i] / (*moments)[i]
            : double((*largest)[i]) * (*largest)[i] / 16;
  llvm::consumeError(moments.takeError());
  std::vector<float> divisor;
  Interval after;
  double least = std::numeric_limits<double>::infinity();
  for (std::vector<float> &candidate : proposeDivisors(noise, alpha)) {
    Interval covered;
    double total = noise.estimate(candidate, covered);
    if (total >= least)
      continue;
    least = total;
    after = covered;
    divisor = std::move(candidate);
  }
  Interval unchanged;
  double before = noise.estimate(std::vector<float>(n, 1.0f), unchanged);
  double gain = before > 0 && least > 0 ? 10 * std::log10(before / least) : 0;
  if (gain < minGain)
    return refuse("it would gain " + llvm::Twine(int64_t(gain)) + " dB");

  std::vector<float> factors;
  for (float value : divisor)
    factors.push_back(1 / value);
  for (auto [reader, floats] : llvm::zip_equal(candidate.readers, values)) {
    for (auto [i, value] : llvm::enumerate(floats))
      value *= divisor[i % n];
    reader->write(floats);
  }
  scaleStatistics(input, factors, after);
  auto type = RankedTensorType::get({n}, Float32Type::get(&getContext()));
  input->setAttr(kFactorAttrName,
                 DenseElementsAttr::get(type, ArrayRef<float>(factors)));
  input.setAxis(candidate.readers.front()->inputAxis);
  report.add(layer, input.getTensor(), "smoothed",
             "channels scaled against each other",
             {report.number("gain", gain)});
  ++numSmoothed;
  return success();
}

void Smooth::runOnOperation() {
  ModuleOp module = getOperation();
  if (alpha != -1 && !(alpha >= 0 && alpha <= 1)) {
    module.emitError("tamis-smooth: alpha expected from 0 to 1, or -1, got ")
        << alpha;
    return signalPassFailure();
  }
  Report report(module, "smooth");
  std::vector<WeightMatrix> matrices = collectWeights(module);
  llvm::MapVector<Operation *, Candidate> candidates;
  for (WeightMatrix &matrix : matrices)
    if (matrix.input && matrix.input.getScheme() &&
        !matrix.input->hasAttr(kFactorAttrName) &&
        matrix.use.observe.getScheme() && isReadOnce(matrix.use.observe) &&
        findSource(matrix.use.contract.getLhsMutable()).observe == matrix.input)
      candidates[matrix.input].readers.push_back(&matrix);
  auto readOtherwise = [&](OpOperand &operand) {
    if (auto it = candidates.find(findSource(operand).observe.getOperation());
        it != candidates.end())
      it->second.isReadOtherwise = true;
  };
  module.walk([&](Operation *op) {
    if (auto contract = dyn_cast<ContractOp>(op)) {
      if (!isa<RankedTensorType>(contract.getLhs().getType()))
        return;
      if (!findWeight(contract))
        readOtherwise(contract.getRhsMutable());
      if (auto it = candidates.find(
              findSource(contract.getLhsMutable()).observe.getOperation());
          it != candidates.end())
        ++it->second.contractions;
    }
    auto observe = dyn_cast<ObserveOp>(op);
    if (!observe || !observe.getScheme() || observe.getParameter())
      return;
    for (OpOperand *operand : getProducer(observe).operands)
      readOtherwise(*operand);
  });
  for (auto &[input, candidate] : candidates)
    if (failed(smooth(cast<ObserveOp>(input), candidate, report)))
      return signalPassFailure();
}
