// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// k-means of weights. In one dimension clusters are intervals of the sorted
// values, so with sums up to each value a round costs a bisection a cluster.
#include "ValueSet.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>
#include <random>

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// Distinct values with their weights, ascending, and sums over those before.
class SortedValues {
public:
  SortedValues(ArrayRef<float> values, ArrayRef<float> importance) {
    std::vector<std::pair<float, float>> pairs;
    for (auto [value, weight] : llvm::zip_equal(values, importance))
      pairs.push_back({value == 0 ? 0.0f : value, weight});
    llvm::sort(pairs);
    for (auto [value, weight] : pairs) {
      if (distinct.empty() || distinct.back() != value) {
        distinct.push_back(value);
        mass.push_back(mass.back());
        moment.push_back(moment.back());
        energy.push_back(energy.back());
      }
      mass.back() += weight;
      moment.back() += double(weight) * value;
      energy.back() += double(weight) * value * value;
    }
  }

  int64_t find(double bound) const {
    return llvm::lower_bound(distinct, bound) - distinct.begin();
  }
  double getMass(int64_t from, int64_t to) const {
    return mass[to] - mass[from];
  }
  double getMean(int64_t from, int64_t to) const {
    double all = getMass(from, to);
    return all > 0 ? (moment[to] - moment[from]) / all : distinct[from];
  }
  /// The squared error of putting the values of an interval at `center`.
  double getError(int64_t from, int64_t to, double center) const {
    double error = energy[to] - energy[from] -
                   2 * center * (moment[to] - moment[from]) +
                   center * center * getMass(from, to);
    return std::max(error, 0.0);
  }

  std::vector<float> distinct;

private:
  std::vector<double> mass{0.0}, moment{0.0}, energy{0.0};
};

/// Centres and what they leave.
struct Clusters {
  std::vector<double> centers;
  double error = 0;
};

class LearnedCodebook : public ListedValues {
public:
  LearnedCodebook(int64_t bits, bool hasScale, uint64_t seed)
      : size(size_t(1) << bits), hasScale(hasScale), seed(seed) {}

  /// The root mean square of what is not zero: groups of other spread then have
  /// one distribution, which their largest values do not tell.
  float chooseScale(ArrayRef<float> group) const override {
    if (!hasScale)
      return 1;
    double sum = 0;
    int64_t count = 0;
    for (float value : group) {
      sum += double(value) * value;
      count += value != 0;
    }
    return std::max(static_cast<float>(std::sqrt(sum / double(count))),
                    0x1p-100f);
  }

  void fit(ArrayRef<float> units, ArrayRef<float> importance) override {
    SortedValues sorted(units, importance);
    if (sorted.distinct.size() <= size)
      return setValues(sorted.distinct);
    Clusters best = improve(sorted, spaceEvenly(sorted));
    constexpr int kRestarts = 3;
    for (int restart = 0; restart < kRestarts; ++restart) {
      Clusters found = improve(sorted, scatter(sorted, seed + restart));
      if (found.error < best.error)
        best = std::move(found);
    }
    std::vector<float> values(best.centers.begin(), best.centers.end());
    setValues(std::move(values));
  }

private:
  /// Zeros are a cluster of their own centre: pruned weights stay pruned.
  static bool hasZero(const SortedValues &sorted) {
    return llvm::binary_search(sorted.distinct, 0.0f);
  }

  std::vector<double> spaceEvenly(const SortedValues &sorted) const {
    double low = sorted.distinct.front(), high = sorted.distinct.back();
    std::vector<double> centers;
    for (size_t i = 0; i < size; ++i)
      centers.push_back(low + (high - low) * double(i) / double(size - 1));
    return pinZero(sorted, std::move(centers));
  }

  /// k-means++: each centre is a value, the likelier the farther it is from
  /// those before. Of many values, evenly many are candidates.
  std::vector<double> scatter(const SortedValues &sorted, uint64_t seed) const {
    std::mt19937_64 random(seed);
    constexpr size_t kCandidates = 1 << 14;
    size_t count = sorted.distinct.size();
    std::vector<std::pair<double, double>> candidates; // value, mass
    for (size_t i = 0, n = std::min(count, kCandidates); i < n; ++i)
      candidates.push_back(
          {sorted.distinct[i * count / n],
           sorted.getMass(i * count / n, (i + 1) * count / n)});
    std::vector<double> distance(candidates.size(), 1.0), centers;
    if (hasZero(sorted))
      centers.push_back(0);
    while (centers.size() < size) {
      double all = 0;
      for (auto [i, candidate] : llvm::enumerate(candidates)) {
        double off = centers.empty() ? 1 : candidate.first - centers.back();
        distance[i] =
            centers.size() <= 1 ? off * off : std::min(distance[i], off * off);
        all += distance[i] * candidate.second;
      }
      double at = double(random() >> 11) * 0x1p-53 * all;
      size_t chosen = 0;
      for (double sum = 0; chosen + 1 < candidates.size(); ++chosen)
        if ((sum += distance[chosen] * candidates[chosen].second) > at)
          break;
      centers.push_back(candidates[chosen].first);
    }
    llvm::sort(centers);
    return centers;
  }

  /// The centre next to zero moves there.
  static std::vector<double> pinZero(const SortedValues &sorted,
                                     std::vector<double> centers) {
    if (hasZero(sorted))
      *llvm::min_element(centers, [](double a, double b) {
        return std::fabs(a) < std::fabs(b);
      }) = 0;
    return centers;
  }

  /// Lloyd's rounds until nothing moves. A cluster that has lost all its values
  /// takes half of the one with the largest error.
  static Clusters improve(const SortedValues &sorted,
                          std::vector<double> centers) {
    constexpr int kRounds = 100;
    bool zero = hasZero(sorted);
    std::vector<int64_t> ends;
    for (int round = 0; round < kRounds; ++round) {
      std::vector<int64_t> now = getEnds(sorted, centers);
      if (now == ends)
        break;
      ends = std::move(now);
      int64_t from = 0, empty = -1, worst = 0;
      double most = -1, middle = 0;
      for (auto [i, to] : llvm::enumerate(ends)) {
        bool pinned = zero && centers[i] == 0;
        if (from == to && !pinned)
          empty = i;
        if (from != to && !pinned)
          centers[i] = sorted.getMean(from, to);
        double error = sorted.getError(from, to, centers[i]);
        if (to - from > 1 && error > most) {
          most = error;
          worst = i;
          middle = sorted.getMean((from + to) / 2, to);
        }
        from = to;
      }
      if (empty >= 0 && most > 0 && middle != centers[worst]) {
        centers[empty] = middle;
        llvm::sort(centers);
        ends.clear();
      }
    }
    Clusters result;
    // The values that weights get are floats.
    for (double &center : centers)
      center = static_cast<float>(center);
    centers.erase(llvm::unique(centers), centers.end());
    int64_t from = 0;
    for (auto [center, to] : llvm::zip(centers, getEnds(sorted, centers))) {
      result.error += sorted.getError(from, to, center);
      from = to;
    }
    result.centers = std::move(centers);
    return result;
  }

  /// Where the values of each ascending centre end.
  static std::vector<int64_t> getEnds(const SortedValues &sorted,
                                      ArrayRef<double> centers) {
    std::vector<int64_t> ends;
    for (size_t i = 0; i + 1 < centers.size(); ++i)
      ends.push_back(sorted.find((centers[i] + centers[i + 1]) / 2));
    ends.push_back(sorted.distinct.size());
    return ends;
  }

  size_t size;
  bool hasScale;
  uint64_t seed;
};
} // namespace

std::unique_ptr<ValueSet> tamis::makeCodebook(int64_t bits, bool hasScale,
                                              uint64_t seed) {
  return std::make_unique<LearnedCodebook>(bits, hasScale, seed);
}
