// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tiles and prices of the ways in which fragments compute a contraction.
#include "FragmentOptions.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/Format.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

/// What another way has to promise: this share of the time.
static constexpr double kMargin = 0.9;

//===-- tiles -------------------------------------------------------------===//

namespace {
/// What kinds of machines can have at once.
struct Limits {
  int64_t warps, channels, rows, stages;
};
} // namespace

/// A workgroup of 128 invocations with 16 KiB is what every Vulkan device has;
/// 256 threads with 48 KiB, three stages of it, every NVIDIA one since sm_80.
static Limits getLimits(TargetAttr target) {
  if (getDevice(target) == DeviceKind::Nvptx)
    return {8, 128, 128, 3};
  return {4, 64, 64, 1};
}

/// Bytes of workgroup memory.
static int64_t getMemory(TargetAttr target) {
  return getDevice(target) == DeviceKind::Nvptx ? 48 << 10 : 16 << 10;
}

/// Where copies run ahead and tiles are small, more of them at once, since
/// their bytes have to keep the memory busy.
static int64_t chooseStages(const Limits &limits, int64_t bytes) {
  constexpr int64_t kMost = 8, kBytes = 24 << 10;
  if (limits.stages == 1)
    return 1;
  return std::clamp(kBytes / bytes, limits.stages, kMost);
}

TilesAttr device::chooseTiles(TargetAttr target, FragmentShape shape,
                              const TileProblem &problem) {
  /// Workgroups that fill a device; an open extent is taken to be large.
  constexpr int64_t kBusy = 128, kOpen = 4096;
  Limits limits = getLimits(target);
  auto known = [](int64_t extent) {
    return ShapedType::isDynamic(extent) ? kOpen : extent;
  };
  int64_t columns = known(problem.columns), rows = known(problem.rows),
          groups = known(problem.groups);
  int64_t channels = limits.channels, tileRows = limits.rows;
  while (channels > kPanelChannels && channels / 2 >= columns)
    channels /= 2;
  while (tileRows > shape.rows && tileRows / 2 >= rows)
    tileRows /= 2;
  auto workgroups = [&] {
    return llvm::divideCeil(columns, channels) *
           llvm::divideCeil(rows, tileRows) * groups;
  };
  while (int64_t(workgroups()) < kBusy &&
         (tileRows > kPanelChannels || channels > kPanelChannels)) {
    if (tileRows >= channels && tileRows > kPanelChannels)
      tileRows /= 2;
    else if (channels > kPanelChannels)
      channels /= 2;
    else
      break;
  }
  // Warps beside each other along channels, two along rows where they fit.
  int64_t across = channels / kPanelChannels;
  int64_t along = std::clamp<int64_t>(limits.warps / across, 1, 2);
  int64_t warpRows = std::max(tileRows / along, shape.rows);
  warpRows = std::min({warpRows, tileRows, problem.mostWarpRows});
  return TilesAttr::get(
      target.getContext(), channels, tileRows, problem.words, kPanelChannels,
      warpRows, chooseStages(limits, 4 * problem.words * (channels + tileRows)),
      /*splits=*/1);
}

static TilesAttr withSplits(TilesAttr tiles, int64_t splits) {
  return TilesAttr::get(tiles.getContext(), tiles.getChannels(),
                        tiles.getRows(), tiles.getWords(),
                        tiles.getWarpChannels(), tiles.getWarpRows(),
                        tiles.getStages(), splits);
}

//===-- options -----------------------------------------------------------===//

std::string FragmentOption::getName() const {
  std::string name;
  llvm::raw_string_ostream out(name);
  out << (listed                   ? "listed "
          : instruction.isSparse() ? "2:4 "
                                   : "dense ")
      << instruction.getInstructionName() << " " << tiles.getRows() << "x"
      << tiles.getChannels();
  if (tiles.getSplits() > 1)
    out << " /" << tiles.getSplits();
  if (listed)
    out << ", "
        << llvm::format("%.0f%%", 100 * double(listed->words) / denseWords);
  return name;
}

std::optional<double> FragmentOption::price(ProfileAttr profile,
                                            TilesAttr tiles,
                                            FragmentProblem problem) const {
  problem.bytes += weightBytes;
  if (listed) {
    problem.listedWords = double(listed->words);
    problem.denseWords = denseWords;
  }
  return priceFragment(profile, instruction, tiles, problem);
}

bool device::fits(TargetAttr target, const FragmentOption &option) {
  for (TilesAttr tiles : {option.tiles, option.few}) {
    if (!tiles)
      continue;
    int64_t stages = tiles.getStages();
    int64_t line = 4 * tiles.getWords();
    int64_t bytes =
        2 * tiles.getChannels() * line + stages * tiles.getRows() * line +
        4 * option.instruction.getExchangeWords() * tiles.getWarps();
    // With one stage records are read where they lie.
    if (stages > 1)
      bytes += stages * tiles.getChannels() / kPanelChannels * 16 *
               option.listed->most;
    if (bytes > getMemory(target))
      return false;
  }
  return true;
}

void device::chooseSplits(FragmentOption &option, ProfileAttr profile,
                          FragmentProblem problem, int64_t most) {
  /// More parts than this are added up one after the other by one invocation.
  constexpr int64_t kMost = 32;
  TilesAttr &tiles = option.few ? option.few : option.tiles;
  if (option.few)
    problem.rows = double(tiles.getRows());
  std::optional<double> best = option.price(profile, tiles, problem);
  if (!best)
    return;
  // Each part fills its stages at least.
  double tilesOfOne =
      problem.depth / problem.perWord / double(tiles.getWords());
  most = std::min<int64_t>(
      most, static_cast<int64_t>(tilesOfOne / double(tiles.getStages())));
  TilesAttr undivided = tiles;
  for (int64_t splits = 2; splits <= std::min(most, kMost); splits *= 2) {
    TilesAttr divided = withSplits(undivided, splits);
    double time = *option.price(profile, divided, problem);
    // More parts have to promise more.
    if (time >= kMargin * *best)
      continue;
    best = time;
    tiles = divided;
  }
}

bool device::couldGain(FragmentOption dense, ProfileAttr profile,
                       const FragmentProblem &problem, int64_t mostSplits) {
  FragmentOption empty = dense;
  empty.listed.emplace();
  empty.weightBytes = 0;
  for (FragmentOption *option : {&dense, &empty})
    chooseSplits(*option, profile, problem, mostSplits);
  std::optional<double> with = empty.price(profile, empty.tiles, problem),
                        without = dense.price(profile, dense.tiles, problem);
  return with && without && *with < kMargin * *without;
}

size_t device::choose(ArrayRef<FragmentOption> options, ProfileAttr profile,
                      const FragmentProblem &problem, KernelChoice &choice) {
  size_t chosen = 0;
  std::optional<double> first, least;
  for (auto [i, option] : llvm::enumerate(options)) {
    std::optional<double> time = option.price(profile, option.tiles, problem);
    if (!time)
      continue;
    if (i == 0)
      first = time;
    choice.candidates.push_back({option.getName(), *time, std::nullopt});
    if (option.listed && first && *time < kMargin * *first &&
        (!least || *time < *least)) {
      least = time;
      chosen = i;
    }
  }
  const FragmentOption &option = options[chosen];
  choice.chosen = option.getName();
  choice.reason = option.instruction.isSparse()
                      ? "two of four weights are zero"
                      : "the first that takes these types";
  if (option.listed)
    choice.reason = "without words that are zero fewer bytes are read";
  else if (llvm::any_of(options, [](const FragmentOption &other) {
             return other.listed.has_value();
           }))
    choice.reason += "; listed words gain too little";
  return chosen;
}
