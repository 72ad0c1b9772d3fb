// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Storages of fixed stride of drawn panels, read back by decoders that are
// written here once more, element by element.
#include "../../lib/Kernels/Encoded.h"
#include "Checks.h"
#include "mlir/IR/MLIRContext.h"
#include <cstring>
#include <random>

using namespace mlir;
using namespace mlir::tamis;

/// The step at which stored element `i` of `lane` stands, by the description of
/// the two instructions alone: places of two bits, or a mask of four. Of 64
/// bits even lanes have the lower half.
static size_t findStep(uint64_t places, size_t lane, size_t lanes, size_t kept,
                       bool masks, size_t i) {
  size_t width = masks ? 4 : 2 * kept;
  uint64_t bits = lanes * width == 64
                      ? places >> 32 * (lane % 2) >> width * (lane / 2)
                      : places >> width * lane;
  if (!masks)
    return bits >> 2 * i & 3;
  for (size_t step = 0; step < 4; ++step)
    if (bits >> step & 1 && i-- == 0)
      return step;
  return 4;
}

static std::vector<char> decode(const EncodedPanels &panels, size_t vectors,
                                size_t lanes, size_t kept, bool masks,
                                size_t bytes) {
  std::vector<char> packed(vectors * lanes * 4 * bytes, 0);
  size_t keyBytes = panels.keys.size() / vectors;
  for (size_t v = 0; v < vectors; ++v) {
    uint64_t places = 0;
    std::memcpy(&places, &panels.keys[v * keyBytes], keyBytes);
    for (size_t lane = 0; lane < lanes; ++lane)
      for (size_t i = 0; i < kept; ++i) {
        size_t step = findStep(places, lane, lanes, kept, masks, i);
        if (step > 3)
          return {};
        // Pairs lie lane by lane, floats element by element.
        size_t slot = masks ? lane * kept + i : i * lanes + lane;
        std::memcpy(&packed[((v * lanes + lane) * 4 + step) * bytes],
                    &panels.values[(v * lanes * kept + slot) * bytes], bytes);
      }
  }
  return packed;
}

static void testNOfM(MLIRContext &context, std::mt19937 &random) {
  for (size_t lanes : {8, 16})
    for (auto [kept, bytes] :
         {std::pair<size_t, size_t>{1, 4}, {2, 4}, {2, 1}}) {
      bool masks = bytes == 1;
      Attribute instruction =
          masks
              ? Attribute(X86SelectMaddAttr::get(&context, int64_t(lanes)))
              : X86SelectFmaAttr::get(&context, int64_t(lanes), int64_t(kept));
      // Full steps, fewer weights, one, none.
      for (double share : {1.0, 0.5, -1.0, 0.0}) {
        size_t vectors = 7;
        std::vector<char> packed(vectors * lanes * 4 * bytes, 0);
        std::bernoulli_distribution isThere(std::max(share, 0.0));
        auto put = [&](size_t element) {
          packed[element * bytes + random() % bytes] = char(1 + random() % 127);
        };
        for (size_t step = 0; step < vectors * lanes; ++step)
          for (size_t i = 0; i < kept; ++i)
            if (isThere(random))
              put(4 * step + random() % 4);
        if (share < 0)
          put(packed.size() / bytes - 1);
        auto storage = NOfMAttr::get(&context, int64_t(vectors * lanes * kept),
                                     cast<SelectionAttrInterface>(instruction));
        std::optional<EncodedPanels> panels =
            encodeNOfM(packed, storage, int64_t(bytes), /*isFloat=*/false);
        expect(
            panels && panels->values.size() == vectors * lanes * kept * bytes &&
                decode(*panels, vectors, lanes, kept, masks, bytes) == packed,
            llvm::Twine(kept) + " of 4, " + llvm::Twine(lanes) + " lanes x " +
                llvm::Twine(bytes) + " bytes, share " + std::to_string(share));
        // One more than a step may have.
        for (size_t i = 0; i <= kept; ++i)
          put(4 * 5 + i);
        expect(!encodeNOfM(packed, storage, int64_t(bytes), /*isFloat=*/false),
               "too many weights");
      }
    }
  // Of floats, negative zeros are zeros.
  float values[32] = {0, -0.0f, 1e-45f, -2};
  values[7] = -0.0f;
  auto storage = NOfMAttr::get(&context, 16,
                               cast<SelectionAttrInterface>(Attribute(
                                   X86SelectFmaAttr::get(&context, 8, 2))));
  std::optional<EncodedPanels> panels = encodeNOfM(
      ArrayRef(reinterpret_cast<const char *>(values), sizeof values), storage,
      4, /*isFloat=*/true);
  float first[2];
  if (panels) {
    std::memcpy(&first[0], &panels->values[0], 4);
    std::memcpy(&first[1], &panels->values[32], 4);
  }
  expect(panels && first[0] == 1e-45f && first[1] == -2 &&
             (panels->keys[0] & 15) == (2 | 3 << 2),
         "negative zeros");
}

static void testCodebook(std::mt19937 &random) {
  for (size_t bytes : {1, 4})
    for (size_t values : {1, 2, 9, 16, 17}) {
      size_t row = 24, rows = 10;
      std::vector<char> table(values * bytes), packed;
      for (size_t i = 0; i < table.size(); ++i)
        table[i] = char(random());
      for (size_t i = 0; i < values; ++i)
        table[i * bytes] = char(i * 7 + 1); // all different, none zero
      for (size_t i = 0; i < row * rows; ++i) {
        size_t at = i < values ? i : random() % values;
        packed.insert(packed.end(), &table[at * bytes],
                      &table[at * bytes] + bytes);
      }
      std::optional<EncodedPanels> panels =
          encodeCodebook(packed, int64_t(row), int64_t(bytes),
                         int64_t(std::min<size_t>(values, 16)));
      if (values > 16) {
        expect(!panels, "17 values");
        continue;
      }
      std::vector<char> read(packed.size());
      for (size_t k = 0; panels && k < rows; ++k)
        for (size_t i = 0; i < row; ++i) {
          int code = panels->values[k / 2 * row + i] >> 4 * (k % 2) & 15;
          std::memcpy(&read[(k * row + i) * bytes], &panels->keys[code * bytes],
                      bytes);
        }
      expect(panels && panels->keys.size() == 16 * bytes && read == packed,
             llvm::Twine(values) + " values of " + llvm::Twine(bytes) +
                 " bytes");
    }
}

int main() {
  MLIRContext context;
  context.loadDialect<TamisDialect>();
  std::mt19937 random(0);
  testNOfM(context, random);
  testCodebook(random);
  return report();
}
