// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes slot windows. Both who counts and who writes lists the weights of one
// panel, channel by channel, and walks its windows.
#include "SlotWindows.h"
#include "PairBound.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>

using namespace mlir;
using namespace mlir::tamis;

static constexpr int64_t kWindow = SlotWindowsAttr::kWindow;
static constexpr int64_t kSlots = SlotWindowsAttr::kSlots;
static constexpr int64_t kVectorWindows = SlotWindowsAttr::kVectorWindows;
static constexpr int64_t kEntryWindows = SlotWindowsAttr::kEntryWindows;
static constexpr int64_t kStep = SlotWindowsAttr::kStep;

namespace {
/// The weights of one panel that are not zero.
class Panel {
public:
  Panel(int64_t lanes, int64_t run, int64_t bound)
      : run(run), bound(bound), channels(lanes) {}

  void clear() {
    for (Channel &channel : channels) {
      channel.weights.clear();
      channel.next = 0;
    }
  }

  /// The next weight of a channel: elements ascend.
  void add(int64_t channel, int64_t element, char weight) {
    if (weight != 0)
      channels[channel].weights.push_back({element, weight});
  }

  /// Visits the windows in turn: begin(first element), then for each filled
  /// slot fill(channel, slot, place in the window, weight). Returns how many
  /// there are.
  template <typename Begin, typename Fill>
  int64_t walk(Begin begin, Fill fill) {
    int64_t windows = 0;
    for (;; ++windows) {
      int64_t first = run;
      for (const Channel &channel : channels)
        if (const Weight *weight = channel.peek())
          first = std::min(first, weight->element);
      if (first == run)
        return windows;
      // A whole window of activations is read.
      first = std::min(first, run - kWindow);
      begin(first);
      for (size_t c = 0; c < channels.size(); ++c) {
        char before = 0;
        for (int64_t slot = 0; slot < kSlots; ++slot) {
          const Weight *weight = channels[c].peek();
          if (!weight || weight->element >= first + kWindow ||
              getExcess(before, weight->value, bound) != std::pair(0, 0))
            break;
          fill(c, slot, weight->element - first, weight->value);
          before = weight->value;
          ++channels[c].next;
        }
      }
    }
  }

private:
  struct Weight {
    int64_t element;
    char value;
  };
  struct Channel {
    std::vector<Weight> weights;
    size_t next = 0;
    const Weight *peek() const {
      return next < weights.size() ? &weights[next] : nullptr;
    }
  };
  int64_t run, bound;
  std::vector<Channel> channels;
};
} // namespace

std::optional<int64_t>
mlir::tamis::countSlotEntries(const SourceView &view, kernel::PackOp pack,
                              int64_t lanes, int64_t bound, double most) {
  SmallVector<int64_t> run = view.getOffsets(pack.getReductions());
  auto column = static_cast<int64_t>(pack.getColumn());
  int64_t columns = view.shape[column], stride = view.strides[column];
  // Also of unsigned bytes: what is packed wraps around.
  auto offset = static_cast<char>(pack.getOffset());
  Panel panel(lanes, static_cast<int64_t>(run.size()), bound);
  int64_t entries = 0;
  for (int64_t first = 0; first < columns; first += lanes) {
    panel.clear();
    int64_t width = std::min(lanes, columns - first);
    for (auto [k, element] : llvm::enumerate(run))
      for (int64_t c = 0; c < width; ++c)
        panel.add(c, static_cast<int64_t>(k),
                  static_cast<char>(view.bytes[element + (first + c) * stride] -
                                    offset));
    int64_t windows = panel.walk([](int64_t) {}, [](auto...) {});
    entries += llvm::divideCeil(windows, kEntryWindows);
    if (double(entries) > most)
      return std::nullopt;
  }
  return entries;
}

SlotWindows mlir::tamis::makeSlotWindows(ArrayRef<char> packed, int64_t panels,
                                         SlotWindowsAttr storage,
                                         int64_t bound) {
  SlotWindows result;
  int64_t vectorBytes = storage.getVectorBytes();
  int64_t lanes = vectorBytes / kStep;
  Panel panel(lanes, storage.getRun(), bound);
  for (int64_t p = 0; p < panels; ++p) {
    panel.clear();
    const char *from = packed.data() + p * (packed.size() / panels);
    for (int64_t k = 0; k < storage.getRun(); ++k)
      for (int64_t c = 0; c < lanes; ++c)
        panel.add(c, k, from[k / kStep * vectorBytes + c * kStep + k % kStep]);
    auto entries = static_cast<int64_t>(result.places.size()) / kEntryWindows;
    result.starts.push_back(static_cast<int32_t>(entries));
    int64_t window = -1;
    char *entry = nullptr;
    auto begin = [&](int64_t first) {
      if (++window % kEntryWindows == 0) {
        result.values.resize(result.values.size() + storage.getEntryBytes());
        result.places.resize(result.places.size() + kEntryWindows);
        entry = &result.values[result.values.size() - storage.getEntryBytes()];
      }
      result.places[result.places.size() - kEntryWindows +
                    window % kEntryWindows] = static_cast<uint16_t>(first);
    };
    auto fill = [&](int64_t channel, int64_t slot, int64_t place, char weight) {
      int64_t within = window % kEntryWindows;
      int64_t vector = within / kVectorWindows;
      int64_t at = channel * kStep + within % kVectorWindows * kSlots + slot;
      entry[vector * vectorBytes + at] = weight;
      // The places of the second vector are the upper halves.
      entry[2 * vectorBytes + at] |= static_cast<char>(place << 4 * vector);
    };
    panel.walk(begin, fill);
  }
  result.starts.push_back(
      static_cast<int32_t>(result.places.size() / kEntryWindows));
  return result;
}
