// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cost model of devices: a roofline with few workgroups in it.
#include "tamis/Gpu/FragmentPrice.h"
#include "tamis/Target/Profile.h"
#include "tamis/Target/Target.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::device;

static std::optional<double> findFact(ProfileAttr profile, const Twine &name) {
  auto fact = profile.getFacts().getAs<FloatAttr>(name.str());
  return fact ? std::optional(fact.getValueAsDouble()) : std::nullopt;
}

double device::getTypicalBytes(ShapedType type) {
  double bytes = std::max(1.0, type.getElementTypeBitWidth() / 8.0);
  for (int64_t size : type.getShape())
    bytes *= double(ShapedType::isDynamic(size) ? kTypicalRows : size);
  return bytes;
}

std::optional<double> device::priceBytes(ProfileAttr profile, double bytes) {
  std::optional<double> memory = findFact(profile, "device.gigabytes_per_s");
  std::optional<double> launch = findFact(profile, "device.launch_us");
  std::optional<double> share = findFact(profile, "device.share");
  if (!memory || !launch || !share)
    return std::nullopt;
  return *launch + bytes / (*memory * 1e3 * *share);
}

std::optional<double> device::priceFragment(ProfileAttr profile,
                                            FragmentAttrInterface instruction,
                                            TilesAttr tiles,
                                            const FragmentProblem &problem) {
  /// Warps that issue at once on a multiprocessor.
  constexpr double kSchedulers = 4;
  /// Operations that dp4a counts as: an integer instruction of a lane.
  constexpr double kDotOperations = 8;
  /// Integer instructions for a word that is put in its place, and to clear
  /// one.
  constexpr double kPut = 6, kClear = 0.5;
  std::optional<double> rate =
      findFact(profile, "fragment." + instruction.getInstructionName());
  std::optional<double> processors = findFact(profile, "device.processors");
  std::optional<double> launch = findFact(profile, "device.launch_us");
  std::optional<double> share = findFact(profile, "device.share");
  std::optional<double> memory = priceBytes(profile, problem.bytes);
  if (!rate || !processors || !launch || !share || !memory)
    return std::nullopt;
  double rowTiles = std::ceil(problem.rows / double(tiles.getRows()));
  double workgroups = problem.groups * rowTiles *
                      std::ceil(problem.columns / double(tiles.getChannels())) *
                      double(tiles.getSplits());
  double operations = 2 * double(tiles.getRows() * tiles.getChannels()) *
                      problem.depth * workgroups / double(tiles.getSplits());
  double busy = std::min(1.0, workgroups / *processors);
  double warps =
      double(tiles.getWarps()) * std::max(1.0, workgroups / *processors);
  // Of a microsecond, of all that are busy.
  double part = 1e6 * *share * busy * std::min(1.0, warps / kSchedulers);
  double products = operations / (*rate * part);
  if (problem.denseWords > 0) {
    double dot = findFact(profile, "fragment.dp4a").value_or(*rate);
    double instructions =
        rowTiles * (kPut * problem.listedWords + kClear * problem.denseWords);
    products += instructions / (dot / kDotOperations * part);
  }
  double tilesOfOne =
      std::ceil(problem.depth / problem.perWord / double(tiles.getWords()) /
                double(tiles.getSplits()));
  double latency = findFact(profile, "device.latency_us").value_or(0);
  double chain =
      latency * tilesOfOne / std::max(1.0, double(tiles.getStages() - 1));
  double time = std::max({*launch + products, *launch + chain, *memory});
  if (tiles.getSplits() > 1)
    // Parts are of 32 bits.
    time += *priceBytes(profile, 2 * 4.0 * double(tiles.getSplits()) *
                                     problem.groups * problem.rows *
                                     problem.columns);
  return time;
}

double device::predictTwoOfFourGain(TargetAttr target, const LayerShape &shape,
                                    Type element) {
  Type accumulator =
      element.isF32() ? element : IntegerType::get(element.getContext(), 32);
  FragmentAttrInterface dense, sparse;
  for (FragmentAttrInterface instruction : getFragments(target))
    if (instruction.accepts(element, element, accumulator, false, false)) {
      FragmentAttrInterface &place = instruction.isSparse() ? sparse : dense;
      if (!place)
        place = instruction;
    }
  if (!dense || !sparse)
    return 1;
  FragmentProblem problem;
  problem.rows =
      double(ShapedType::isDynamic(shape.rows) ? kTypicalRows : shape.rows);
  problem.columns = double(shape.columns);
  problem.depth = double(shape.depth);
  problem.perWord = 32.0 / element.getIntOrFloatBitWidth();
  double size = element.getIntOrFloatBitWidth() / 8.0;
  double weights = problem.columns * problem.depth * size;
  double others = problem.rows * (problem.columns + problem.depth) * size;
  ProfileAttr profile = getDefaultProfile(target);
  auto price = [&](FragmentAttrInterface instruction) {
    // Four bits of metadata for four elements.
    problem.bytes =
        others +
        (instruction.isSparse() ? weights / 2 + weights / size / 8 : weights);
    double best = INFINITY;
    for (int64_t rows : {32, 64, 128})
      for (int64_t channels : {32, 64, 128}) {
        auto tiles = TilesAttr::get(
            target.getContext(), channels, rows, /*words=*/16,
            /*warpChannels=*/32, rows / 2, /*stages=*/3, /*splits=*/1);
        best =
            std::min(best, priceFragment(profile, instruction, tiles, problem)
                               .value_or(INFINITY));
      }
    return best;
  };
  double with = price(sparse), without = price(dense);
  return std::isfinite(with) && std::isfinite(without) ? without / with : 1;
}
