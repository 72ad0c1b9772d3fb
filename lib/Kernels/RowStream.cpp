// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes row streams. Words are visited reduction by reduction, all columns of
// one after the other: that is how weights lie, and within a column the order
// of words comes out the same.
#include "RowStream.h"
#include "PairBound.h"
#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// The pieces of one word: usually one, two where a bound divides it, none
/// where it is zero.
struct Pieces {
  std::array<std::array<char, kWordBytes>, 2> bytes{};
  int count = 0;
};

/// Reads words of a source.
class WordReader {
public:
  WordReader(const SourceView &view, const StreamOrder &order)
      : view(view), order(order), offsets(view.getOffsets(order.reductions)),
        columns(view.shape[order.column]),
        columnStride(view.strides[order.column]),
        floats(view.element.isF32()
                   ? reinterpret_cast<const float *>(view.bytes.data())
                   : nullptr) {}

  int64_t getWords() const { return offsets.size() / order.step; }
  int64_t getColumns() const { return columns; }

  /// visit(column, pieces) for all of a word that are not zero.
  template <typename Visit>
  void forEach(int64_t word, Visit visit) const {
    for (int64_t column = 0; column < columns; ++column) {
      Pieces pieces = read(word, column);
      if (pieces.count > 0)
        visit(column, pieces);
    }
  }

  /// The floats of a word side by side; null where there are none or they lie
  /// otherwise.
  const float *getFloats(int64_t word) const {
    return order.step == 1 && columnStride == 1 && floats
               ? floats + offsets[word]
               : nullptr;
  }

  /// The most pieces that the word has in a column from `first` to `last`.
  int countMost(int64_t word, int64_t first, int64_t last) const {
    if (floats && order.step == 1) {
      const float *row = floats + offsets[word];
      for (int64_t column = first; column < last; ++column)
        if (row[column * columnStride] != 0)
          return 1;
      return 0;
    }
    int most = 0, limit = order.step == 1 || order.bound == 0 ? 1 : 2;
    for (int64_t column = first; column < last && most < limit; ++column)
      most = std::max(most, read(word, column).count);
    return most;
  }

private:
  Pieces read(int64_t word, int64_t column) const {
    return order.step == 1 ? readFloat(word, column) : readBytes(word, column);
  }

  Pieces readFloat(int64_t word, int64_t column) const {
    int64_t at = offsets[word] + column * columnStride;
    float value = floats ? floats[at] : view.getFloat(at);
    Pieces pieces;
    pieces.count = value != 0;
    std::memcpy(pieces.bytes[0].data(), &value, sizeof value);
    return pieces;
  }

  Pieces readBytes(int64_t word, int64_t column) const {
    std::array<int, kWordBytes> weights;
    bool any = false;
    for (int64_t s = 0; s < order.step; ++s) {
      char byte =
          view.bytes[offsets[word * order.step + s] + column * columnStride];
      int weight = order.isUnsigned ? static_cast<uint8_t>(byte)
                                    : static_cast<int8_t>(byte);
      weights[s] = weight - static_cast<int>(order.offset);
      any |= weights[s] != 0;
    }
    Pieces pieces;
    if (!any)
      return pieces;
    pieces.count = 1;
    for (int pair = 0; pair < kWordBytes; pair += 2) {
      auto [x, y] = getExcess(weights[pair], weights[pair + 1], order.bound);
      pieces.bytes[0][pair] = static_cast<char>(weights[pair] - x);
      pieces.bytes[0][pair + 1] = static_cast<char>(weights[pair + 1] - y);
      pieces.bytes[1][pair] = static_cast<char>(x);
      pieces.bytes[1][pair + 1] = static_cast<char>(y);
      if (x != 0 || y != 0)
        pieces.count = 2;
    }
    return pieces;
  }

  const SourceView &view;
  const StreamOrder &order;
  SmallVector<int64_t> offsets;
  int64_t columns, columnStride;
  const float *floats;
};
} // namespace

namespace {
/// One list of entries while words pass: those of one place share them.
struct Group {
  int64_t word = -1;
  int32_t first = 0, next = 0;

  /// The first of `count` entries of `at`.
  int32_t take(int64_t at, int count) {
    if (word != at) {
      word = at;
      first = next;
    }
    next = std::max(next, first + count);
    return first;
  }
};

/// The lists of a stream. Those of a part of the reduction lie together; a word
/// belongs to that of its group of columns in its part.
struct Lists {
  int64_t channels, groups, inner, partInner;
  /// Of each list, as groups of columns follow each other, its place among all;
  /// by place, the first entry, with the number of all, and the first column.
  std::vector<int32_t> places, starts, columns;

  /// Parts cut the innermost reduction, of `inner` words.
  Lists(const WordReader &reader, const StreamOrder &order, int64_t inner,
        int64_t parts, int64_t sorted)
      : channels(order.channels),
        groups(llvm::divideCeil(reader.getColumns(), channels)), inner(inner),
        partInner(inner / parts), places(parts * groups),
        columns(parts * groups) {
    std::vector<int32_t> entries = count(reader, order);
    std::vector<int32_t> lists(places.size());
    std::iota(lists.begin(), lists.end(), 0);
    for (int64_t part = 0; part < parts; ++part)
      for (int64_t first = 0; first < groups; first += sorted)
        std::stable_sort(
            lists.begin() + part * groups + first,
            lists.begin() + part * groups + std::min(first + sorted, groups),
            [&](int32_t x, int32_t y) { return entries[x] > entries[y]; });
    starts.push_back(0);
    for (auto [place, list] : llvm::enumerate(lists)) {
      places[list] = static_cast<int32_t>(place);
      columns[place] = static_cast<int32_t>(list % groups * channels);
      starts.push_back(starts.back() + entries[list]);
    }
  }

  int64_t find(int64_t word, int64_t column) const {
    return word % inner / partInner * groups + column / channels;
  }

private:
  /// The entries of each list, in wholes of `depth`.
  std::vector<int32_t> count(const WordReader &reader,
                             const StreamOrder &order) const {
    std::vector<int32_t> entries(places.size());
    for (int64_t word = 0, words = reader.getWords(); word < words; ++word) {
      int32_t *list = &entries[find(word, 0)];
      if (const float *row = reader.getFloats(word); row && channels == 1) {
        for (int64_t column = 0; column < groups; ++column)
          list[column] += row[column] != 0;
        continue;
      }
      for (int64_t first = 0, end = reader.getColumns(); first < end;
           first += channels)
        *list++ +=
            reader.countMost(word, first, std::min(first + channels, end));
    }
    for (int32_t &n : entries)
      n = static_cast<int32_t>(llvm::alignTo(n, order.depth));
    return entries;
  }
};
} // namespace

int64_t mlir::tamis::countEntries(const SourceView &view,
                                  const StreamOrder &order) {
  WordReader reader(view, order);
  return Lists(reader, order, reader.getWords(), /*parts=*/1, /*sorted=*/1)
      .starts.back();
}

RowStream mlir::tamis::makeRowStream(const SourceView &view,
                                     const StreamOrder &order,
                                     RowStreamAttr storage) {
  WordReader reader(view, order);
  int64_t columns = reader.getColumns();
  // Words between one tap and the next, and taps between lines.
  ArrayRef<int64_t> reductions = order.reductions;
  int64_t taps = storage.getTaps(), line = storage.getLine();
  int64_t inner = taps == 1 ? reader.getWords()
                            : view.shape[reductions.back()] / order.step;
  int64_t lineTaps =
      line == 0 ? 1 : view.shape[reductions[reductions.size() - 3]];
  Lists lists(reader, order, inner, storage.getParts(), storage.getSorted());
  // Staged words of all parts.
  int64_t words = reader.getWords() / (taps * lineTaps);
  bool all = stagesAllParts(words, storage.getPitch(), storage.getParts());
  auto offsetOf = [&](int64_t word) {
    int64_t tap = word / inner % taps;
    int64_t lineTap = word / (inner * taps) % lineTaps;
    int64_t outer = word / (inner * taps * lineTaps);
    int64_t staged = outer * lists.partInner + word % inner % lists.partInner;
    if (all)
      staged += word % inner / lists.partInner * (words / storage.getParts());
    return staged * storage.getPitch() + tap + lineTap * line;
  };
  RowStream stream;
  for (auto [start, column] : llvm::zip(lists.starts, lists.columns))
    stream.starts.insert(stream.starts.end(), {start, column});
  stream.starts.push_back(lists.starts.back());
  stream.sums.assign(columns, 0);
  int64_t channels = order.channels, depth = order.depth;
  // `depth` entries lie together, and behind them where they read.
  int64_t together = (channels + 1) * depth;
  stream.values.resize(lists.starts.back() / depth * together * kWordBytes);
  auto write = [&](int64_t entry, int64_t channel, const void *bytes) {
    int64_t at = entry / depth * together + channel * depth + entry % depth;
    std::memcpy(&stream.values[at * kWordBytes], bytes, kWordBytes);
  };
  std::vector<Group> groups(lists.places.size());
  for (auto [group, place] : llvm::zip(groups, lists.places))
    group.next = lists.starts[place];
  for (int64_t word = 0, count = reader.getWords(); word < count; ++word) {
    auto offset = static_cast<int32_t>(offsetOf(word));
    Group *ofWord = &groups[lists.find(word, 0)];
    reader.forEach(word, [&](int64_t column, const Pieces &pieces) {
      int32_t first = ofWord[column / channels].take(word, pieces.count);
      for (int i = 0; i < pieces.count; ++i) {
        write(first + i, column % channels, pieces.bytes[i].data());
        write(first + i, channels, &offset);
        if (order.step > 1)
          for (char weight : pieces.bytes[i])
            stream.sums[column] += static_cast<int8_t>(weight);
      }
    });
  }
  return stream;
}
