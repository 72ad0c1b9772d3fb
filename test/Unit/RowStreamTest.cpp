// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Row streams of drawn int8 weights, in parts or with entries of several
// channels, read back by a decoder that trusts nothing; arrays that contradict
// each other are refused.
#include "../../lib/Kernels/RowStream.h"
#include "Checks.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/MLIRContext.h"
#include <array>
#include <random>

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
  size_t entries = stream.offsets.size();
  std::vector<char> weights(words * columns * kStep, 0);
  if (stream.starts.size() != lists + 1 || stream.starts[0] != 0 ||
      size_t(stream.starts[lists]) != entries ||
      stream.values.size() != entries * channels * kStep)
    return std::nullopt;
  for (size_t list = 0; list < lists; ++list) {
    size_t g = list % groups;
    int32_t first = stream.starts[list], last = stream.starts[list + 1];
    if (first > last || last > int32_t(entries) || first % depth != 0)
      return std::nullopt;
    for (size_t e = first; e < size_t(last); ++e) {
      int64_t word = stream.offsets[e] / storage.getPitch();
      if (stream.offsets[e] < 0 ||
          stream.offsets[e] % storage.getPitch() != 0 ||
          word >= int64_t(partWords))
        return std::nullopt;
      word += list / groups * partWords;
      for (size_t c = 0; c < channels; ++c)
        for (size_t s = 0; s < kStep; ++s) {
          size_t at =
              (e / depth * depth * channels + c * depth + e % depth) * kStep +
              s;
          size_t column = g * channels + c;
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
      for (auto [channels, depth, parts] :
           {std::array<int64_t, 3>{1, 1, 1}, {32, 16, 1}, {8, 2, 1}, {1, 1, 4}})
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
          auto storage = RowStreamAttr::get(&context, entries, 32, 32, 1, 0,
                                            channels, depth, parts);
          RowStream stream = makeRowStream(view, order, storage);
          expect(int64_t(stream.offsets.size()) == entries &&
                     decode(stream, storage, words, columns) == weights,
                 llvm::Twine(words) + " words of " + llvm::Twine(columns) +
                     " columns by " + llvm::Twine(channels) + " in " +
                     llvm::Twine(parts));
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
          refuses([](RowStream &s) { s.offsets.pop_back(); });
          refuses([](RowStream &s) { s.starts.pop_back(); });
          refuses([](RowStream &s) { s.starts.front() = 1; });
          refuses([](RowStream &s) { ++s.starts.back(); });
          refuses([](RowStream &s) { s.offsets.back() = -1; });
          refuses([&](RowStream &s) { s.offsets.back() = 32 * words; });
        }
  return report();
}
