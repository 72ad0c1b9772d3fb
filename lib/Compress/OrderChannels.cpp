// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Channels in another order, so that more words of neighbouring inputs are
// empty. Whoever makes a channel has its weights in one place of an axis, and
// whoever reads it in another; all these places are exchanged together.
#include "WeightMatrix.h"
#include "tamis/Compress/ChannelGroups.h"
#include "tamis/Compress/Passes.h"
#include "tamis/Compress/Report.h"
#include "llvm/ADT/BitVector.h"
#include <numeric>

namespace mlir::tamis {
#define GEN_PASS_DEF_ORDERCHANNELS
#include "tamis/Compress/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// Inputs of a word of 8-bit integers.
static constexpr size_t kWord = 4;

namespace {
/// Channels that can take each other's places.
struct Channels {
  /// Of each parameter and axis, where each channel is; channels are in the
  /// order of the first one.
  struct Place {
    mutable ObserveOp parameter;
    int64_t axis;
    SmallVector<int64_t> indices;
  };
  SmallVector<Place> places;
  /// For each channel, which of the sums that read it have a weight for it.
  std::vector<llvm::BitVector> used;
  std::string layer;
};
} // namespace

/// The elements of `type` by their index along `axis`.
static int64_t getIndex(RankedTensorType type, int64_t axis, int64_t element) {
  int64_t stride = 1;
  for (int64_t size : type.getShape().drop_front(axis + 1))
    stride *= size;
  return element / stride % type.getDimSize(axis);
}

static Channels collect(const ChannelGroups &groups,
                        const ChannelGroups::Group &group) {
  Channels channels;
  DenseMap<int64_t, size_t> numbers;
  for (auto [parameter, axis] : group.parameters) {
    Channels::Place place{parameter, axis, {}};
    place.indices.resize(group.units.size());
    bool isFirst = numbers.empty();
    DenseSet<int64_t> members(group.units.begin(), group.units.end());
    for (int64_t i = 0, e = parameter.getType().getDimSize(axis); i < e; ++i) {
      int64_t unit = groups.getUnit(parameter.getResult(), axis, i);
      if (!members.contains(unit))
        continue;
      if (isFirst)
        numbers[unit] = numbers.size();
      place.indices[numbers.lookup(unit)] = i;
    }
    channels.places.push_back(std::move(place));
  }
  channels.used.resize(group.units.size());
  return channels;
}

/// Notes which weights of `matrix`, whose inputs `place` are, are not zero.
static LogicalResult noteReader(Channels &channels,
                                const Channels::Place &place,
                                const WeightMatrix &matrix) {
  FailureOr<std::vector<float>> values = matrix.read();
  if (failed(values))
    return failure();
  RankedTensorType type = place.parameter.getType();
  std::vector<int32_t> offsets = matrix.getOffsets();
  DenseMap<int64_t, size_t> numbers;
  for (auto [number, index] : llvm::enumerate(place.indices))
    numbers[index] = number;
  for (int64_t column = 0; column < matrix.columns; ++column) {
    auto found = numbers.find(getIndex(type, place.axis, offsets[column]));
    if (found == numbers.end())
      continue;
    llvm::BitVector &used = channels.used[found->second];
    for (int64_t row = 0; row < matrix.rows; ++row)
      used.push_back((*values)[row * matrix.columns + column] != 0);
  }
  channels.layer = matrix.layer;
  return success();
}

/// Words that are not zero if channels come in this order.
static int64_t countWords(const Channels &channels, ArrayRef<size_t> order) {
  int64_t count = 0;
  for (; !order.empty();
       order = order.drop_front(std::min(kWord, order.size()))) {
    llvm::BitVector word = channels.used[order.front()];
    for (size_t channel : order.take_front(kWord).drop_front())
      word |= channels.used[channel];
    count += word.count();
  }
  return count;
}

static int64_t countCommon(const llvm::BitVector &a, const llvm::BitVector &b) {
  int64_t count = 0;
  for (auto [x, y] : llvm::zip_equal(a.getData(), b.getData()))
    count += llvm::popcount(x & y);
  return count;
}

/// An order in which neighbours are used by the same sums: greedily, to the
/// busiest channel left those whose sums are nearest to the word's, as parts of
/// both together.
static std::vector<size_t> findOrder(const Channels &channels) {
  size_t count = channels.used.size();
  std::vector<size_t> left(count), order;
  std::iota(left.begin(), left.end(), 0);
  SmallVector<int64_t> busy;
  for (const llvm::BitVector &used : channels.used)
    busy.push_back(used.count());
  llvm::stable_sort(left,
                    [&](size_t a, size_t b) { return busy[a] > busy[b]; });
  llvm::BitVector word;
  while (!left.empty()) {
    auto best = left.begin();
    if (order.size() % kWord == 0) {
      word = channels.used[*best];
    } else {
      double nearest = -1;
      auto inWord = double(word.count());
      for (auto at = left.begin(); at != left.end(); ++at) {
        auto shared = double(countCommon(word, channels.used[*at]));
        double near = (shared + 1) / (inWord + double(busy[*at]) - shared + 1);
        if (near > nearest) {
          nearest = near;
          best = at;
        }
      }
      word |= channels.used[*best];
    }
    order.push_back(*best);
    left.erase(best);
  }
  return order;
}

/// Moves channel `order[i]` to where channel `i` is.
static LogicalResult move(const Channels::Place &place,
                          ArrayRef<size_t> order) {
  ObserveOp parameter = place.parameter;
  FailureOr<std::vector<float>> values = readParameter(parameter);
  if (failed(values))
    return failure();
  RankedTensorType type = parameter.getType();
  SmallVector<int64_t> from(type.getDimSize(place.axis));
  std::iota(from.begin(), from.end(), 0);
  for (auto [i, channel] : llvm::enumerate(order))
    from[place.indices[i]] = place.indices[channel];
  int64_t inner = 1;
  for (int64_t size : type.getShape().drop_front(place.axis + 1))
    inner *= size;
  std::vector<float> moved(values->size());
  for (auto [i, value] : llvm::enumerate(moved)) {
    int64_t index = getIndex(type, place.axis, int64_t(i));
    value = (*values)[int64_t(i) + (from[index] - index) * inner];
  }
  writeParameter(parameter, moved);
  return success();
}

namespace {
struct OrderChannels : tamis::impl::OrderChannelsBase<OrderChannels> {
  using OrderChannelsBase::OrderChannelsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    Report report(module, getArgument());
    ChannelGroups groups(module);
    std::vector<WeightMatrix> matrices = collectWeights(module);
    for (const ChannelGroups::Group &group : groups.findExchangeable()) {
      if (!llvm::all_of(group.parameters, [&](auto parameter) {
            return parameter.first.getType().getElementType().isF32() &&
                   !llvm::is_contained(keep, parameter.first.getTensor().str());
          }))
        continue;
      Channels channels = collect(groups, group);
      for (const Channels::Place &place : channels.places)
        for (const WeightMatrix &matrix : matrices)
          if (matrix.use.observe == place.parameter &&
              llvm::is_contained(matrix.use.reductionAxes, place.axis) &&
              failed(noteReader(channels, place, matrix)))
            return signalPassFailure();
      if (failed(order(groups, group, channels, report)))
        return signalPassFailure();
    }
  }

private:
  LogicalResult order(const ChannelGroups &groups,
                      const ChannelGroups::Group &group, Channels &channels,
                      Report &report) {
    std::vector<size_t> given(channels.used.size());
    std::iota(given.begin(), given.end(), 0);
    std::vector<size_t> order = findOrder(channels);
    int64_t before = countWords(channels, given),
            after = countWords(channels, order);
    // Weights without zeros, or none at all.
    if (after >= before)
      return success();
    for (const Channels::Place &place : channels.places)
      if (failed(move(place, order)))
        return failure();
    DenseSet<int64_t> units(group.units.begin(), group.units.end());
    for (ObserveOp observe : groups.getObservations())
      if (groups.hasUnitOf(observe.getResult(), units))
        observe.removeStatisticsAttr();
    numMoved += order.size();
    report.add(
        channels.layer, channels.places.front().parameter.getTensor(),
        "channels in order",
        Twine(after) + " words of four inputs are left of " + Twine(before),
        {report.number("channels", int64_t(order.size())),
         report.number("words_before", before), report.number("words", after)});
    return success();
  }
};
} // namespace
