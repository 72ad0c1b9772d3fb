// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The criteria that score elements one by one.
#include "PruneCriteria.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/Compress/Statistics.h"
#include "tamis/Transforms/ConstantTensor.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/xxhash.h"
#include <cfloat>
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::tamis;

FailureOr<std::vector<float>> tamis::readStatistic(const WeightMatrix &matrix,
                                                   ObserveOp observe,
                                                   StringRef kind,
                                                   int64_t count) {
  DictionaryAttr statistics = observe.getStatisticsAttr();
  Attribute attr = statistics ? statistics.get(kind) : Attribute();
  auto fail = [&]() {
    return observe.emitError("layer '")
           << matrix.layer << "': tensor '" << observe.getTensor() << "' ";
  };
  if (!attr)
    return fail() << "has no statistic '" << kind
                  << "'; it has to be calibrated, or given, before pruning";
  std::optional<ConstantTensor> constant = readConstant(attr);
  if (!constant || !constant->type.getElementType().isF32())
    return fail() << "expected float32 elements in the statistic '" << kind
                  << "'";
  if (count >= 0 && constant->type.getNumElements() != count)
    return fail() << "expected " << count << " elements in the statistic '"
                  << kind << "', got " << constant->type.getNumElements();
  std::vector<float> values(constant->type.getNumElements());
  for (size_t i = 0; i < values.size(); ++i)
    std::memcpy(&values[i],
                constant->bytes.data() + (constant->splat ? 0 : 4 * i), 4);
  if (!llvm::all_of(values, [](float v) { return std::isfinite(v); }))
    return fail() << "holds a value that is not finite in the statistic '"
                  << kind << "'";
  return values;
}

LogicalResult tamis::scoreWeights(const PruneCriterion &criterion,
                                  const WeightMatrix &matrix,
                                  ArrayRef<float> values, int64_t seed,
                                  MutableArrayRef<float> scores) {
  if (failed(criterion.score(matrix, values, seed, scores)))
    return failure();
  for (auto [value, score] : llvm::zip_equal(values, scores))
    score = value == 0 ? 0 : std::clamp(score, FLT_MIN, FLT_MAX);
  return success();
}

std::vector<uint8_t> tamis::selectWeights(const PruneCriterion &criterion,
                                          const WeightMatrix &matrix,
                                          ArrayRef<float> scores,
                                          const PrunePattern &pattern,
                                          const PruneTarget &target) {
  std::vector<uint8_t> drop(scores.size());
  int64_t step = criterion.comparesRows() ? pattern.getRowStep() : matrix.rows;
  // Rounded shares of single rows would add up to another share, so each row
  // makes good what those before it missed.
  double owed = 0;
  for (int64_t row = 0; row < matrix.rows; row += step) {
    int64_t rows = std::min(step, matrix.rows - row);
    int64_t first = row * matrix.columns, count = rows * matrix.columns;
    PruneTarget part = target;
    owed += target.sparsity * count;
    part.sparsity = std::clamp(owed / count, 0.0, 1.0);
    pattern.select(ScoredPiece{scores.data() + first, drop.data() + first, rows,
                               matrix.columns, matrix.columns},
                   part);
    owed -= llvm::count(ArrayRef(drop).slice(first, count), 1);
  }
  return drop;
}

LogicalResult PruneCriterion::prune(const WeightMatrix &matrix,
                                    MutableArrayRef<float> values, int64_t seed,
                                    const PrunePattern &pattern,
                                    const PruneTarget &target) const {
  std::vector<float> scores(values.size());
  if (failed(scoreWeights(*this, matrix, values, seed, scores)))
    return failure();
  std::vector<uint8_t> drop =
      selectWeights(*this, matrix, scores, pattern, target);
  for (auto [value, dropped] : llvm::zip_equal(values, drop))
    if (dropped)
      value = 0;
  return success();
}

namespace {

/// |w| (Han et al. 2015). Over a channel the sum of it is its L1 norm.
struct Magnitude : PruneCriterion {
  LogicalResult score(const WeightMatrix &, ArrayRef<float> values, int64_t,
                      MutableArrayRef<float> scores) const override {
    for (auto [value, score] : llvm::zip_equal(values, scores))
      score = std::fabs(value);
    return success();
  }
};

/// w²: the mean over a block or channel orders as its L2 norm does (Li et al.
/// 2017 rank filters by norm).
struct L2 : PruneCriterion {
  LogicalResult score(const WeightMatrix &, ArrayRef<float> values, int64_t,
                      MutableArrayRef<float> scores) const override {
    for (auto [value, score] : llvm::zip_equal(values, scores))
      score = value * value;
    return success();
  }
};

/// Numbers that depend on the seed, the parameter's name and the place only.
struct Random : PruneCriterion {
  LogicalResult score(const WeightMatrix &matrix, ArrayRef<float> values,
                      int64_t seed,
                      MutableArrayRef<float> scores) const override {
    uint64_t state = llvm::xxh3_64bits(matrix.use.observe.getTensor()) +
                     uint64_t(seed) * 0x9e3779b97f4a7c15;
    for (float &score : scores) {
      // SplitMix64 (Steele, Lea and Flood 2014).
      uint64_t z = state += 0x9e3779b97f4a7c15;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      score = float((z ^ (z >> 31)) >> 40) * 0x1p-24f;
    }
    return success();
  }
};

/// |w · ∂L/∂w|, the first term of the loss's change (Molchanov et al. 2017).
/// The gradient stands in the parameter's statistics.
struct Gradient : PruneCriterion {
  LogicalResult score(const WeightMatrix &matrix, ArrayRef<float> values,
                      int64_t, MutableArrayRef<float> scores) const override {
    FailureOr<std::vector<float>> gradient =
        readStatistic(matrix, matrix.use.observe, statistics::kGradient,
                      int64_t(values.size()));
    if (failed(gradient))
      return failure();
    for (auto [value, score, offset] :
         llvm::zip_equal(values, scores, matrix.getOffsets()))
      score = std::fabs(value * (*gradient)[offset]);
    return success();
  }
};

/// |w| · ‖x‖₂ of the input channel, compared within an output channel (Wanda,
/// Sun et al. 2023). A convolution takes the norm of the whole channel for
/// every place of its window.
struct Wanda : PruneCriterion {
  bool comparesRows() const override { return true; }

  std::optional<std::string>
  collectNeeds(const WeightMatrix &matrix,
               SmallVectorImpl<NeededStatistic> &needed) const override {
    if (!matrix.input)
      return "its input channels are no axis of an observed tensor";
    needed.push_back(
        {matrix.input, matrix.inputAxis, statistics::kChannelMoments});
    return std::nullopt;
  }

  LogicalResult score(const WeightMatrix &matrix, ArrayRef<float> values,
                      int64_t, MutableArrayRef<float> scores) const override {
    int64_t channels = matrix.input.getType().getDimSize(matrix.inputAxis);
    FailureOr<std::vector<float>> moments = readStatistic(
        matrix, matrix.input, statistics::kChannelMoments, 3 * channels);
    if (failed(moments))
      return failure();
    std::vector<float> norms;
    for (float square : ArrayRef(*moments).take_back(channels))
      norms.push_back(std::sqrt(square));
    for (int64_t i = 0, at = 0; i < matrix.rows; ++i)
      for (int64_t j = 0; j < matrix.columns; ++j, ++at)
        scores[at] =
            std::fabs(values[at]) * norms[matrix.getInputChannel(i, j)];
    return success();
  }
};

/// The activation of the neuron that the output channel feeds: the mean of its
/// absolute value over the calibration data, behind the activation function
/// that follows. All weights of a neuron score alike.
struct Activation : PruneCriterion {
  /// The last tensor that is made of the contraction's result element by
  /// element, and its axis of output channels.
  static ObserveOp findNeurons(const WeightMatrix &matrix, int64_t &axis) {
    Value value = matrix.use.contract.getResult();
    ObserveOp last;
    while (value && value.hasOneUse()) {
      Operation *user = *value.getUsers().begin();
      if (auto observe = dyn_cast<ObserveOp>(user)) {
        if (std::optional<int64_t> found = findAxis(observe, matrix.rows)) {
          last = observe;
          axis = *found;
        }
      } else if (auto generic = dyn_cast<linalg::LinalgOp>(user)) {
        if (generic.getNumParallelLoops() != generic.getNumLoops() ||
            generic->getNumResults() != 1)
          break;
      } else if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(user)) {
        break;
      }
      value = user->getResult(0);
    }
    return last;
  }

  /// The one axis of that extent.
  static std::optional<int64_t> findAxis(ObserveOp observe, int64_t extent) {
    std::optional<int64_t> found;
    for (auto [axis, size] : llvm::enumerate(observe.getType().getShape()))
      if (size == extent) {
        if (found)
          return std::nullopt;
        found = axis;
      }
    return found;
  }

  std::optional<std::string>
  collectNeeds(const WeightMatrix &matrix,
               SmallVectorImpl<NeededStatistic> &needed) const override {
    int64_t axis;
    ObserveOp neurons = findNeurons(matrix, axis);
    if (!neurons)
      return "its output channels are no axis of an observed tensor";
    needed.push_back({neurons, axis, statistics::kChannelMagnitudes});
    return std::nullopt;
  }

  LogicalResult score(const WeightMatrix &matrix, ArrayRef<float> values,
                      int64_t, MutableArrayRef<float> scores) const override {
    int64_t axis;
    ObserveOp neurons = findNeurons(matrix, axis);
    FailureOr<std::vector<float>> magnitudes = readStatistic(
        matrix, neurons, statistics::kChannelMagnitudes, 2 * matrix.rows);
    if (failed(magnitudes))
      return failure();
    for (int64_t i = 0; i < matrix.rows; ++i) {
      float count = std::max((*magnitudes)[i], 1.0f);
      float mean = (*magnitudes)[matrix.rows + i] / count;
      std::fill_n(scores.begin() + i * matrix.columns, matrix.columns, mean);
    }
    return success();
  }
};

struct NamedCriterion {
  StringRef name;
  const PruneCriterion *criterion;
  StringRef fallback;
};

} // namespace

static ArrayRef<NamedCriterion> getCriteria() {
  static const Magnitude magnitude;
  static const L2 l2;
  static const Random random;
  static const Gradient gradient;
  static const Wanda wanda;
  static const Activation activation;
  static const NamedCriterion criteria[] = {
      {"magnitude", &magnitude, ""},
      {"random", &random, ""},
      {"l1", &magnitude, ""},
      {"l2", &l2, ""},
      {"activation", &activation, "l2"},
      {"gradient", &gradient, ""},
      {"wanda", &wanda, "magnitude"},
      {"sparsegpt", getSparseGptCriterion(), "wanda"}};
  return criteria;
}

const PruneCriterion *tamis::findCriterion(StringRef name,
                                           StringRef *fallback) {
  for (const NamedCriterion &entry : getCriteria())
    if (entry.name == name) {
      if (fallback)
        *fallback = entry.fallback;
      return entry.criterion;
    }
  return nullptr;
}

std::string tamis::listCriteria() {
  return llvm::join(
      llvm::map_range(getCriteria(),
                      [](const NamedCriterion &entry) { return entry.name; }),
      ", ");
}
