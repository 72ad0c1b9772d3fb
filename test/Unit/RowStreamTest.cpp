// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row streams of drawn int8 weights, in parts, with sorted lists or with
// entries of several channels, read back by a decoder that trusts nothing;
// arrays that contradict each other are refused.
#include "../../lib/Kernels/RowStream.h"
#include "Checks.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/MLIRContext.h"
#include <array>
#include <cstring>
#include <random>
#include <set>

using namespace mlir;
using namespace mlir::tamis;

static constexpr size_t kStep = 4;

/// Weights [word][column][element]; nothing where the arrays contradict each
/// other.
static std::optional<std::vector<char>> decode(const RowStream &stream,
                                               RowStreamAttr storage,
                                               size_t words, size_t columns) {
  size_t channels = storage.getChannels(), depth = storage.getDepth();
  size_t groups = (columns + channels - 1) / channels;
  size_t lists = groups * storage.getParts();
  size_t partWords = words / storage.getParts();
  size_t sorted = storage.getSorted();
  size_t entries = storage.getEntries();
  std::vector<char> weights(words * columns * kStep, 0);
  if (stream.starts.size() != 2 * lists + 1 || stream.starts[0] != 0 ||
      size_t(stream.starts.back()) != entries ||
      stream.values.size() != entries * (channels + 1) * kStep)
    return std::nullopt;
  std::set<std::pair<size_t, size_t>> seen;
  int32_t longest = 0;
  for (size_t list = 0; list < lists; ++list) {
    int32_t first = stream.starts[2 * list], last = stream.starts[2 * list + 2];
    size_t from = stream.starts[2 * list + 1];
    // A list of every group of columns in every part, near its own place, and
    // none longer than the one before where they are sorted.
    size_t place = list % groups, group = from / channels;
    if (from >= columns || from % channels != 0 ||
        group / sorted != place / sorted ||
        !seen.insert({list / groups, group}).second)
      return std::nullopt;
    if (first > last || last > int32_t(entries) || first % depth != 0 ||
        (place % sorted != 0 && last - first > longest))
      return std::nullopt;
    longest = last - first;
    for (size_t e = first; e < size_t(last); ++e) {
      auto wordAt = [&](size_t channel) {
        return ((e / depth * (channels + 1) + channel) * depth + e % depth) *
               kStep;
      };
      int32_t offset;
      std::memcpy(&offset, &stream.values[wordAt(channels)], sizeof offset);
      // Of a part, or of all of them where they are staged together.
      int64_t word = offset / storage.getPitch();
      int64_t begin = list / groups * partWords;
      int64_t staged =
          stagesAllParts(words, storage.getPitch(), storage.getParts()) ? begin
                                                                        : 0;
      if (offset < 0 || offset % storage.getPitch() != 0 || word < staged ||
          word >= staged + int64_t(partWords))
        return std::nullopt;
      word += begin - staged;
      for (size_t c = 0; c < channels; ++c)
        for (size_t s = 0; s < kStep; ++s) {
          size_t at = wordAt(c) + s, column = from + c;
          if (stream.values[at] == 0)
            continue;
          if (column >= columns)
            return std::nullopt;
          weights[(word * columns + column) * kStep + s] += stream.values[at];
        }
    }
  }
  return weights;
}

int main() {
  MLIRContext context;
  context.loadDialect<TamisDialect>();
  std::mt19937 random(0);
  for (int64_t words : {1, 16, 19})
    for (int64_t columns : {1, 32, 75})
      for (auto [channels, depth, parts, sorted, pitch] :
           {std::array<int64_t, 5>{1, 1, 1, 1, 32},
            {32, 16, 1, 1, 32},
            {8, 2, 1, 1, 32},
            {1, 1, 4, 1, 32},
            {1, 1, 1, 128, 32},
            {1, 1, 4, 16, 32},
            {1, 1, 4, 16, 8192}})
        for (double zeros : {0.0, 0.9, 0.99, 1.0, -1.0}) {
          if (words % parts != 0)
            continue;
          std::vector<char> weights(words * columns * kStep);
          std::bernoulli_distribution isZero(std::abs(zeros));
          for (char &weight : weights)
            if (!isZero(random))
              weight = char(1 + random() % 255);
          if (zeros < 0) // all zero but for the last
            weights.back() = 1;
          // Reductions are words and elements of a word.
          SourceView view;
          view.bytes = weights;
          view.element = IntegerType::get(&context, 8);
          view.shape = {words, columns, kStep};
          view.strides = {columns * int64_t(kStep), kStep, 1};
          StreamOrder order{1, {0, 2}, kStep};
          order.channels = channels;
          order.depth = depth;
          int64_t entries = countEntries(view, order);
          auto storage = RowStreamAttr::get(&context, entries, 32, pitch, 1, 0,
                                            channels, depth, parts, sorted);
          RowStream stream = makeRowStream(view, order, storage);
          expect(decode(stream, storage, words, columns) == weights,
                 llvm::Twine(words) + " words of " + llvm::Twine(columns) +
                     " columns by " + llvm::Twine(channels) + " in " +
                     llvm::Twine(parts) + ", sorted by " + llvm::Twine(sorted) +
                     ", pitch " + llvm::Twine(pitch));
          for (int64_t c = 0; c < columns; ++c) {
            int32_t sum = 0;
            for (int64_t w = 0; w < words; ++w)
              for (size_t s = 0; s < kStep; ++s)
                sum += int8_t(weights[(w * columns + c) * kStep + s]);
            if (sum != stream.sums[c])
              expect(false, "sums of columns");
          }
          if (entries == 0)
            continue;
          auto refuses = [&](auto change) {
            RowStream broken = stream;
            change(broken);
            expect(!decode(broken, storage, words, columns), "a broken stream");
          };
          refuses([](RowStream &s) { s.values.pop_back(); });
          refuses([](RowStream &s) { s.starts.pop_back(); });
          refuses([](RowStream &s) { s.starts[1] = -1; });
          refuses([&](RowStream &s) { s.starts[1] = columns; });
          refuses([](RowStream &s) { s.starts.front() = 1; });
          refuses([](RowStream &s) { ++s.starts.back(); });
          auto setOffset = [](RowStream &s, int32_t offset) {
            std::memcpy(s.values.data() + s.values.size() - sizeof offset,
                        &offset, sizeof offset);
          };
          refuses([&](RowStream &s) { setOffset(s, -1); });
          refuses([&](RowStream &s) { setOffset(s, int32_t(pitch * words)); });
        }
  return report();
}
