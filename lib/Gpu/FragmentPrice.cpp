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
                                            int64_t tileRows,
                                            int64_t tileChannels,
                                            const FragmentProblem &problem) {
  std::optional<double> rate =
      findFact(profile, "fragment." + instruction.getInstructionName());
  std::optional<double> processors = findFact(profile, "device.processors");
  std::optional<double> launch = findFact(profile, "device.launch_us");
  std::optional<double> share = findFact(profile, "device.share");
  std::optional<double> memory = priceBytes(profile, problem.bytes);
  if (!rate || !processors || !launch || !share || !memory)
    return std::nullopt;
  double workgroups = problem.groups *
                      std::ceil(problem.rows / double(tileRows)) *
                      std::ceil(problem.columns / double(tileChannels));
  double operations =
      2 * double(tileRows) * double(tileChannels) * problem.depth;
  // Operations, and bytes, of a microsecond.
  double ofProcessor = *rate * 1e6 * *share / *processors;
  double products =
      std::max(1.0, workgroups / *processors) * operations / ofProcessor;
  return std::max(*launch + products, *memory);
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
      for (int64_t channels : {32, 64, 128})
        best = std::min(
            best, priceFragment(profile, instruction, rows, channels, problem)
                      .value_or(INFINITY));
    return best;
  };
  double with = price(sparse), without = price(dense);
  return std::isfinite(with) && std::isfinite(without) ? without / with : 1;
}
