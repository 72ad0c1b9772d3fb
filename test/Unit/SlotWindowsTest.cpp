// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Slot windows of drawn weights: what the slots multiply are the weights, each
// once, every window lies within the run, and no pair exceeds the bound.
#include "../../lib/Kernels/SlotWindows.h"
#include "../../lib/Kernels/PairBound.h"
#include "Checks.h"
#include <random>

using namespace mlir;
using namespace mlir::tamis;

/// The weights by channel and element of the run; nullopt where a window leaves
/// the run, a slot without a weight says more than nothing or a pair exceeds
/// `bound`.
static std::optional<std::vector<int>> decode(const SlotWindows &slots,
                                              int64_t panels,
                                              SlotWindowsAttr storage,
                                              int64_t bound) {
  int64_t bytes = storage.getVectorBytes();
  int64_t lanes = bytes / SlotWindowsAttr::kStep, run = storage.getRun();
  std::vector<int> weights(panels * lanes * run);
  for (int64_t p = 0; p < panels; ++p)
    for (int32_t e = slots.starts[p]; e < slots.starts[p + 1]; ++e)
      for (int64_t i = 0; i < 2 * bytes; ++i) {
        const char *entry = &slots.values[e * storage.getEntryBytes()];
        int64_t vector = i / bytes, slot = i % SlotWindowsAttr::kStep;
        int64_t window = vector * SlotWindowsAttr::kVectorWindows +
                         slot / SlotWindowsAttr::kSlots;
        int64_t first =
            slots.places[e * SlotWindowsAttr::kEntryWindows + window];
        int64_t place =
            static_cast<uint8_t>(entry[2 * bytes + i % bytes]) >> 4 * vector &
            15;
        int weight = static_cast<int8_t>(entry[i]);
        if (first + SlotWindowsAttr::kWindow > run || (!weight && place) ||
            (i % 2 == 1 && getExcess(static_cast<int8_t>(entry[i - 1]), weight,
                                     bound) != std::pair(0, 0)))
          return std::nullopt;
        int64_t channel = i % bytes / SlotWindowsAttr::kStep;
        weights[(p * lanes + channel) * run + first + place] += weight;
      }
  return weights;
}

int main() {
  MLIRContext context;
  context.loadDialect<TamisDialect>();
  std::mt19937 random(0);
  constexpr int64_t step = SlotWindowsAttr::kStep;
  for (int64_t bytes : {16, 32, 64})
    for (int64_t panels : {1, 3})
      for (int64_t run : {16, 17, 18, 31, 32, 61, 512})
        for (int share : {0, 1, 20, 50, 90, 100})
          for (int64_t bound : {0, 128}) {
            auto storage = SlotWindowsAttr::get(
                &context, /*entries=*/0, run,
                cast<LookupAttrInterface>(Attribute(
                    X86LookupAttr::get(&context, /*bytes=*/1, bytes))));
            int64_t lanes = bytes / step, steps = llvm::divideCeil(run, step);
            std::vector<char> packed(panels * steps * bytes);
            std::vector<int> want(panels * lanes * run);
            for (int64_t p = 0; p < panels; ++p)
              for (int64_t c = 0; c < lanes; ++c)
                for (int64_t k = 0; k < run; ++k) {
                  int drawn = static_cast<int>(random() % 256) - 128;
                  // The ends of the range, too, and panels without weights.
                  int weight = drawn % 3 == 0 ? drawn > 0 ? 127 : -128 : drawn;
                  if (static_cast<int>(random() % 100) >= share || p == 1)
                    weight = 0;
                  want[(p * lanes + c) * run + k] = weight;
                  packed[(p * steps + k / step) * bytes + c * step + k % step] =
                      static_cast<char>(weight);
                }
            SlotWindows slots = makeSlotWindows(packed, panels, storage, bound);
            auto name = llvm::Twine(bytes) + " bytes, " + llvm::Twine(run) +
                        " elements, " + llvm::Twine(share) + " %, bound " +
                        llvm::Twine(bound);
            int64_t entries = slots.starts.back();
            expect(int64_t(slots.values.size()) ==
                           entries * storage.getEntryBytes() &&
                       int64_t(slots.places.size()) ==
                           entries * SlotWindowsAttr::kEntryWindows,
                   name + ": whole entries");
            expect(decode(slots, panels, storage, bound) == want,
                   name + ": the same weights");
            if (share == 0)
              expect(entries == 0, name + ": nothing of nothing");
          }
  return report();
}
