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

static int64_t countLanes(SlotWindowsAttr storage) {
  return storage.getLookup().getElements() / storage.getStep();
}

namespace {
/// The weights of one panel that are not zero.
class Panel {
public:
  Panel(SlotWindowsAttr storage, int64_t bound)
      : isFloat(storage.getLookup().getElementBytes() != 1),
        slots(storage.getSlots()), run(storage.getRun()), bound(bound),
        channels(countLanes(storage)) {}

  void clear() {
    for (Channel &channel : channels) {
      channel.weights.clear();
      channel.next = 0;
    }
  }

  /// The next weight of a channel: elements ascend. Bytes have `offset` taken
  /// away, also unsigned ones: what is packed wraps around.
  void add(int64_t channel, int64_t element, const char *bytes,
           int64_t offset) {
    uint32_t bits = 0;
    bool isZero = false;
    if (isFloat) {
      float value;
      std::memcpy(&value, bytes, sizeof value);
      std::memcpy(&bits, bytes, sizeof bits);
      isZero = value == 0;
    } else {
      bits = static_cast<uint8_t>(*bytes - offset);
      isZero = bits == 0;
    }
    if (!isZero)
      channels[channel].weights.push_back({element, bits});
  }

  /// Visits the windows in turn: begin(first element), then for each filled
  /// slot fill(channel, slot, place in the window, bits). Returns how many
  /// there are.
  template <typename Begin, typename Fill>
  int64_t walk(Begin begin, Fill fill) {
    constexpr int64_t length = SlotWindowsAttr::kWindow;
    for (int64_t windows = 0;; ++windows) {
      int64_t first = run;
      for (const Channel &channel : channels)
        if (const Weight *weight = channel.peek())
          first = std::min(first, weight->element);
      if (first == run)
        return windows;
      // A whole window of activations is read.
      first = std::min(first, run - length);
      begin(first);
      for (size_t c = 0; c < channels.size(); ++c) {
        uint32_t before = 0;
        for (int64_t slot = 0; slot < slots; ++slot) {
          const Weight *weight = channels[c].peek();
          if (!weight || weight->element >= first + length ||
              (slot > 0 && exceeds(before, weight->bits)))
            break;
          fill(c, slot, weight->element - first, weight->bits);
          before = weight->bits;
          ++channels[c].next;
        }
      }
    }
  }

private:
  struct Weight {
    int64_t element;
    uint32_t bits;
  };
  struct Channel {
    std::vector<Weight> weights;
    size_t next = 0;
    const Weight *peek() const {
      return next < weights.size() ? &weights[next] : nullptr;
    }
  };

  bool exceeds(uint32_t x, uint32_t y) const {
    return getExcess(static_cast<int8_t>(x), static_cast<int8_t>(y), bound) !=
           std::pair(0, 0);
  }

  bool isFloat;
  int64_t slots, run, bound;
  std::vector<Channel> channels;
};
} // namespace

std::optional<int64_t> mlir::tamis::countSlotEntries(const SourceView &view,
                                                     kernel::PackOp pack,
                                                     SlotWindowsAttr storage,
                                                     int64_t bound,
                                                     double most) {
  SmallVector<int64_t> run = view.getOffsets(pack.getReductions());
  auto column = static_cast<int64_t>(pack.getColumn());
  int64_t columns = view.shape[column], stride = view.strides[column];
  int64_t bytes = storage.getLookup().getElementBytes();
  int64_t lanes = countLanes(storage);
  Panel panel(storage, bound);
  int64_t entries = 0;
  for (int64_t first = 0; first < columns; first += lanes) {
    panel.clear();
    int64_t width = std::min(lanes, columns - first);
    for (auto [k, element] : llvm::enumerate(run))
      for (int64_t c = 0; c < width; ++c)
        panel.add(c, static_cast<int64_t>(k),
                  &view.bytes[(element + (first + c) * stride) * bytes],
                  static_cast<int64_t>(pack.getOffset()));
    int64_t windows = panel.walk([](int64_t) {}, [](auto...) {});
    entries += llvm::divideCeil(windows, storage.getEntryWindows());
    if (double(entries) > most)
      return std::nullopt;
  }
  return entries;
}

SlotWindows mlir::tamis::makeSlotWindows(ArrayRef<char> packed, int64_t panels,
                                         SlotWindowsAttr storage,
                                         int64_t bound) {
  SlotWindows result;
  int64_t bytes = storage.getLookup().getElementBytes();
  int64_t vectorBytes = storage.getVectorBytes(), step = storage.getStep();
  int64_t slots = storage.getSlots(), all = storage.getEntryBytes();
  int64_t vectorWindows = storage.getVectorWindows();
  int64_t entryWindows = storage.getEntryWindows();
  int64_t lanes = countLanes(storage);
  Panel panel(storage, bound);
  auto countAll = [&] {
    return static_cast<int32_t>(result.places.size() / entryWindows);
  };
  for (int64_t p = 0; p < panels; ++p) {
    panel.clear();
    const char *from = packed.data() + p * (packed.size() / panels);
    for (int64_t k = 0; k < storage.getRun(); ++k)
      for (int64_t c = 0; c < lanes; ++c)
        panel.add(c, k,
                  from + k / step * vectorBytes + (c * step + k % step) * bytes,
                  /*offset=*/0);
    result.starts.push_back(countAll());
    int64_t window = -1;
    char *entry = nullptr;
    auto begin = [&](int64_t first) {
      if (++window % entryWindows == 0) {
        result.values.resize(result.values.size() + all);
        result.places.resize(result.places.size() + entryWindows);
        entry = &result.values[result.values.size() - all];
      }
      result
          .places[result.places.size() - entryWindows + window % entryWindows] =
          static_cast<uint16_t>(first);
    };
    auto fill = [&](int64_t channel, int64_t slot, int64_t place,
                    uint32_t bits) {
      int64_t within = window % entryWindows, vector = within / vectorWindows;
      int64_t at = channel * step + within % vectorWindows * slots + slot;
      // Little endian, as every target that looks up.
      std::memcpy(entry + vector * vectorBytes + at * bytes, &bits, bytes);
      // The places of the second vector are the upper halves.
      entry[SlotWindowsAttr::kVectors * vectorBytes + at] |=
          static_cast<char>(place << 4 * vector);
    };
    panel.walk(begin, fill);
  }
  result.starts.push_back(countAll());
  return result;
}
