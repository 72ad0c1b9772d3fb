// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Block lists of drawn panels, read back by a decoder that trusts nothing;
// arrays that contradict each other are refused.
#include "../../lib/Kernels/BlockList.h"
#include "Checks.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/MLIRContext.h"
#include <algorithm>
#include <random>

using namespace mlir;
using namespace mlir::tamis;

/// `lists` x `perList` blocks; nothing where the arrays contradict each other.
static std::optional<std::vector<char>>
decode(const BlockList &list, size_t lists, size_t perList, size_t bytes) {
  std::vector<char> packed(lists * perList * bytes, 0);
  if (list.starts.size() != lists + 1 || list.starts[0] != 0 ||
      size_t(list.starts[lists]) != list.places.size() ||
      list.values.size() != list.places.size() * bytes)
    return std::nullopt;
  for (size_t i = 0; i < lists; ++i) {
    int64_t before = -1;
    if (list.starts[i] > list.starts[i + 1])
      return std::nullopt;
    for (int32_t e = list.starts[i]; e < list.starts[i + 1]; ++e) {
      if (e < 0 || size_t(e) >= list.places.size())
        return std::nullopt;
      int64_t place = list.places[e];
      if (place <= before || place >= int64_t(perList))
        return std::nullopt;
      before = place;
      std::copy_n(&list.values[e * bytes], bytes,
                  &packed[(i * perList + place) * bytes]);
    }
  }
  return packed;
}

int main() {
  MLIRContext context;
  Builder b(&context);
  std::mt19937 random(0);
  for (size_t lists : {1, 3})
    for (size_t perList : {1, 7})
      for (size_t bytes : {4, 64, 2048})
        for (double zeros : {0.0, 0.5, 0.95, 1.0, -1.0}) {
          std::vector<char> packed(lists * perList * bytes);
          std::bernoulli_distribution isZero(std::abs(zeros));
          size_t stored = 0;
          for (size_t i = 0; i < packed.size(); i += bytes)
            if (!isZero(random)) {
              packed[i + random() % bytes] = char(1 + random() % 255);
              ++stored;
            }
          if (zeros < 0) // all zero but for the last byte
            stored = packed.back() = 1;
          BlockList list = makeBlockList(packed, int64_t(perList),
                                         int64_t(bytes), b.getI8Type());
          expect(list.places.size() == stored &&
                     decode(list, lists, perList, bytes) == packed,
                 llvm::Twine(lists) + " lists of " + llvm::Twine(perList) +
                     " blocks of " + llvm::Twine(bytes));
          if (stored == 0)
            continue;
          auto refuses = [&](auto change) {
            BlockList broken = list;
            change(broken);
            expect(!decode(broken, lists, perList, bytes), "a broken list");
          };
          refuses([](BlockList &l) { l.values.pop_back(); });
          refuses([](BlockList &l) { l.places.pop_back(); });
          refuses([](BlockList &l) { l.starts.pop_back(); });
          refuses([](BlockList &l) { l.starts.front() = 1; });
          refuses([](BlockList &l) { ++l.starts.back(); });
          refuses([](BlockList &l) { l.places.back() = -1; });
          refuses([&](BlockList &l) { l.places.back() = int32_t(perList); });
        }
  // Negative zeros are zeros of floats, not of bytes.
  float floats[4] = {0, -0.0f, -0.0f, 1e-45f};
  ArrayRef<char> bytes(reinterpret_cast<const char *>(floats), sizeof floats);
  expect(makeBlockList(bytes, 2, 8, b.getF32Type()).places ==
             std::vector<int32_t>{1},
         "negative zeros of floats");
  expect(makeBlockList(bytes, 2, 8, b.getI8Type()).places ==
             std::vector<int32_t>{0, 1},
         "bytes of negative zeros");
  expect(makeBlockList(bytes.drop_front(2).take_front(4), 2, 2, b.getBF16Type())
             .places.empty(),
         "negative zeros of bfloat16");
  return report();
}
