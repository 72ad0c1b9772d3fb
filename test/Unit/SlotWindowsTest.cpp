// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Slot windows of drawn weights: what the slots multiply are the weights, each
// once, every window lies within the run, and no pair exceeds the bound.
#include "../../lib/Kernels/SlotWindows.h"
#include "../../lib/Kernels/PairBound.h"
#include "Checks.h"
#include <cstring>
#include <random>

using namespace mlir;
using namespace mlir::tamis;

/// A weight, a byte or a float of `bytes` bytes.
static int read(const char *from, int64_t bytes) {
  if (bytes == 1)
    return static_cast<int8_t>(*from);
  float value;
  std::memcpy(&value, from, sizeof value);
  return static_cast<int>(value);
}

static void write(char *to, int64_t bytes, int weight) {
  auto value = static_cast<float>(weight);
  if (bytes == 1)
    *to = static_cast<char>(weight);
  else
    std::memcpy(to, &value, sizeof value);
}

/// The weights by channel and element of the run; nullopt where a window leaves
/// the run, a slot without a weight says more than nothing or a pair exceeds
/// `bound`.
static std::optional<std::vector<int>> decode(const SlotWindows &slots,
                                              int64_t panels,
                                              SlotWindowsAttr storage,
                                              int64_t bound) {
  LookupAttrInterface lookup = storage.getLookup();
  int64_t bytes = lookup.getElementBytes(), elements = lookup.getElements();
  int64_t step = storage.getStep(), run = storage.getRun();
  int64_t lanes = elements / step;
  std::vector<int> weights(panels * lanes * run);
  for (int64_t p = 0; p < panels; ++p)
    for (int32_t e = slots.starts[p]; e < slots.starts[p + 1]; ++e)
      for (int64_t i = 0; i < SlotWindowsAttr::kVectors * elements; ++i) {
        const char *entry = &slots.values[e * storage.getEntryBytes()];
        const char *codes =
            entry + SlotWindowsAttr::kVectors * elements * bytes;
        int64_t vector = i / elements;
        int64_t window =
            vector * storage.getVectorWindows() + i % step / storage.getSlots();
        int64_t first = slots.places[e * storage.getEntryWindows() + window];
        int64_t place =
            static_cast<uint8_t>(codes[i % elements]) >> 4 * vector & 15;
        int weight = read(entry + i * bytes, bytes);
        bool isSecond = bytes == 1 && i % 2 == 1;
        if (first + SlotWindowsAttr::kWindow > run || (!weight && place) ||
            (isSecond && getExcess(read(entry + i - 1, 1), weight, bound) !=
                             std::pair(0, 0)))
          return std::nullopt;
        int64_t channel = i % elements / step;
        weights[(p * lanes + channel) * run + first + place] += weight;
      }
  return weights;
}

int main() {
  MLIRContext context;
  context.loadDialect<TamisDialect>();
  std::mt19937 random(0);
  std::pair<int64_t, int64_t> lookups[] = {
      {1, 16}, {1, 32}, {1, 64}, {4, 8}, {4, 16}};
  for (auto [bytes, elements] : lookups)
    for (int64_t panels : {1, 3})
      for (int64_t run : {16, 17, 18, 31, 32, 61, 512})
        for (int share : {0, 1, 20, 50, 90, 100})
          for (int64_t bound : {0, 128}) {
            auto storage = SlotWindowsAttr::get(
                &context, /*entries=*/0, run,
                cast<LookupAttrInterface>(
                    Attribute(X86LookupAttr::get(&context, bytes, elements))));
            int64_t step = storage.getStep(), lanes = elements / step;
            int64_t steps = llvm::divideCeil(run, step);
            std::vector<char> packed(panels * steps * elements * bytes);
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
                  int64_t at =
                      (p * steps + k / step) * elements + c * step + k % step;
                  write(&packed[at * bytes], bytes, weight);
                }
            SlotWindows slots = makeSlotWindows(packed, panels, storage, bound);
            auto name = llvm::Twine(elements) + " elements of " +
                        llvm::Twine(bytes) + " bytes, run " + llvm::Twine(run) +
                        ", " + llvm::Twine(share) + " %, bound " +
                        llvm::Twine(bound);
            int64_t entries = slots.starts.back();
            expect(int64_t(slots.values.size()) ==
                           entries * storage.getEntryBytes() &&
                       int64_t(slots.places.size()) ==
                           entries * storage.getEntryWindows(),
                   name + ": whole entries");
            expect(decode(slots, panels, storage, bound) == want,
                   name + ": the same weights");
            if (share == 0)
              expect(entries == 0, name + ": nothing of nothing");
          }
  return report();
}
