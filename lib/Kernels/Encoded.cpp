// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes storages of fixed stride.
#include "Encoded.h"
#include <cstring>
#include <set>

using namespace mlir;
using namespace mlir::tamis;

bool mlir::tamis::keepsFew(const SourceView &view, kernel::PackOp pack,
                           int64_t step, int64_t kept) {
  ArrayRef<int64_t> reductions = pack.getReductions();
  auto length = static_cast<int64_t>(pack.getRun());
  SmallVector<int64_t> outer = view.getOffsets(reductions.drop_back(length));
  SmallVector<int64_t> run = view.getOffsets(reductions.take_back(length));
  auto column = static_cast<int64_t>(pack.getColumn());
  int64_t columns = view.shape[column], stride = view.strides[column];
  auto offset = static_cast<int64_t>(pack.getOffset());
  bool isUnsigned = pack.getIsUnsigned();
  auto isZero = [&](int64_t at) { return view.isZero(at, offset, isUnsigned); };
  auto size = static_cast<int64_t>(run.size());
  for (int64_t from : outer)
    for (int64_t k = 0; k < size; k += step)
      for (int64_t c = 0; c < columns; ++c) {
        int64_t at = from + c * stride;
        auto weights = ArrayRef(run).slice(k, std::min(step, size - k));
        if (llvm::count_if(weights, [&](int64_t element) {
              return !isZero(at + element);
            }) > kept)
          return false;
      }
  return true;
}

/// An element of 1 or 4 bytes, an integer or a float32, as an integer of the
/// same order. Negative floats have theirs turned around.
static int32_t readOrdered(const char *element, int64_t bytes) {
  if (bytes == 1)
    return static_cast<int8_t>(*element);
  int32_t bits;
  std::memcpy(&bits, element, sizeof bits);
  return bits < 0 ? bits ^ 0x7fffffff : bits;
}

/// The values of an array; one more than a table holds at most.
static std::set<int32_t> findValues(ArrayRef<char> elements, int64_t bytes) {
  std::set<int32_t> values;
  for (size_t i = 0; i < elements.size() &&
                     values.size() <= static_cast<size_t>(CodebookAttr::kCodes);
       i += bytes)
    values.insert(readOrdered(elements.data() + i, bytes));
  return values;
}

std::optional<int64_t> mlir::tamis::countValues(const SourceView &view) {
  size_t count =
      findValues(view.bytes, view.element.getIntOrFloatBitWidth() / 8).size();
  if (count > CodebookAttr::kCodes)
    return std::nullopt;
  return count;
}

std::optional<EncodedPanels> mlir::tamis::encodeNOfM(ArrayRef<char> packed,
                                                     NOfMAttr storage,
                                                     int64_t bytes,
                                                     bool isFloat) {
  SelectionAttrInterface selection = storage.getSelection();
  InstructionAttrInterface instruction = storage.getInstruction();
  int64_t lanes = instruction.getLanes(), kept = selection.getKept();
  int64_t step = instruction.getReductionStep();
  auto vectors = static_cast<int64_t>(packed.size()) / (lanes * step * bytes);
  int64_t stored = lanes * kept * bytes,
          keyBytes = selection.getPlaceBits() / 8;
  EncodedPanels panels;
  panels.values.assign(vectors * stored, 0);
  panels.keys.assign(vectors * keyBytes, 0);
  auto isZero = [&](const char *element) {
    if (!isFloat)
      return llvm::all_of(ArrayRef(element, bytes),
                          [](char byte) { return byte == 0; });
    float value;
    std::memcpy(&value, element, sizeof value);
    return value == 0;
  };
  for (int64_t v = 0; v < vectors; ++v) {
    uint64_t places = 0;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const char *from = packed.data() + (v * lanes + lane) * step * bytes;
      SmallVector<int64_t> steps;
      for (int64_t s = 0; s < step; ++s)
        if (!isZero(from + s * bytes))
          steps.push_back(s);
      if (static_cast<int64_t>(steps.size()) > kept)
        return std::nullopt;
      // Zeros fill up; each place is named once.
      for (int64_t s = 0; static_cast<int64_t>(steps.size()) < kept; ++s)
        if (!llvm::is_contained(steps, s))
          steps.push_back(s);
      llvm::sort(steps);
      places |= selection.encodePlaces(lane, steps);
      for (auto [i, s] : llvm::enumerate(steps))
        std::memcpy(
            &panels.values[v * stored + selection.getSlot(lane, i) * bytes],
            from + s * bytes, bytes);
    }
    // Little endian, as every target that selects.
    std::memcpy(&panels.keys[v * keyBytes], &places, keyBytes);
  }
  return panels;
}

std::optional<EncodedPanels> mlir::tamis::encodeCodebook(ArrayRef<char> packed,
                                                         int64_t row,
                                                         int64_t bytes,
                                                         int64_t entries) {
  std::set<int32_t> values = findValues(packed, bytes);
  if (static_cast<int64_t>(values.size()) == entries + 1)
    values.erase(0);
  if (static_cast<int64_t>(values.size()) != entries)
    return std::nullopt;
  EncodedPanels panels;
  for (int32_t value : values) {
    if (bytes == 4 && value < 0)
      value ^= 0x7fffffff;
    const char *first = reinterpret_cast<const char *>(&value);
    panels.keys.insert(panels.keys.end(), first, first + bytes);
  }
  panels.keys.resize(CodebookAttr::kCodes * bytes, 0);
  auto codeOf = [&](int64_t element) {
    int32_t value = readOrdered(packed.data() + element * bytes, bytes);
    auto found = values.find(value);
    return static_cast<char>(
        found == values.end() ? 0 : std::distance(values.begin(), found));
  };
  auto pairs = static_cast<int64_t>(packed.size()) / (2 * row * bytes);
  panels.values.reserve(pairs * row);
  for (int64_t pair = 0; pair < pairs; ++pair)
    for (int64_t i = 0; i < row; ++i)
      panels.values.push_back(static_cast<char>(
          codeOf(2 * pair * row + i) | codeOf((2 * pair + 1) * row + i) << 4));
  return panels;
}
