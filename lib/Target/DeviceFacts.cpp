// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// NVIDIA's chips in public numbers. Rates of tensor cores, of float32 and of
// memory, and the number of multiprocessors are those of data sheets, dense:
//   sm_80   "NVIDIA A100 Tensor Core GPU" (80 GB SXM), 2021
//   sm_89   "NVIDIA L40S", 2023
//   sm_90a  "NVIDIA H100 Tensor Core GPU" (SXM), 2023
// dp4a: instructions a clock and multiprocessor from the table "Throughput of
// Native Arithmetic Instructions" of the CUDA C++ Programming Guide (64), eight
// operations each, at the boost clock of the data sheet. Latencies of memory
// are cycles that Luo et al. measured (arXiv 2402.13499; of sm_89 on an RTX
// 4090), at that clock. Nothing was measured by us: shares and launches are
// guesses that a profile replaces.
#include "DeviceFacts.h"

using namespace mlir;
using namespace mlir::tamis;

using Fact = std::pair<StringLiteral, double>;

static constexpr Fact kA100[] = {
    {"device.gigabytes_per_s", 2039},
    {"device.processors", 108},
    {"device.launch_us", 2},
    {"device.latency_us", 466 / 1410.0},
    {"device.share", 0.6},
    {"fragment.mma_sp_s8", 1248},
    {"fragment.mma_s8", 624},
    {"fragment.mma_f16", 312},
    {"fragment.mma_bf16", 312},
    {"fragment.dp4a", 78},
    {"fragment.lane_fma", 19.5},
};

static constexpr Fact kL40S[] = {
    {"device.gigabytes_per_s", 864}, {"device.processors", 142},
    {"device.launch_us", 2},         {"device.latency_us", 542 / 2520.0},
    {"device.share", 0.6},           {"fragment.mma_sp_s8", 1466},
    {"fragment.mma_s8", 733},        {"fragment.mma_f16", 362},
    {"fragment.mma_bf16", 362},      {"fragment.dp4a", 183},
    {"fragment.lane_fma", 91.6},
};

/// mma.sync reaches 62 % of what the data sheet says, which wgmma reaches:
/// Luo et al., "Benchmarking and Dissecting the Nvidia Hopper GPU Architecture
/// via Microbenchmarking", arXiv 2402.13499.
static constexpr double kWithoutWgmma = 0.62;

static constexpr Fact kH100[] = {
    {"device.gigabytes_per_s", 3350},
    {"device.processors", 132},
    {"device.launch_us", 2},
    {"device.latency_us", 479 / 1755.0},
    {"device.share", 0.6},
    {"fragment.mma_sp_s8", 3958 * kWithoutWgmma},
    {"fragment.mma_s8", 1979 * kWithoutWgmma},
    {"fragment.mma_f16", 989 * kWithoutWgmma},
    {"fragment.mma_bf16", 989 * kWithoutWgmma},
    {"fragment.dp4a", 134},
    {"fragment.lane_fma", 67},
};

ArrayRef<Fact> mlir::tamis::getDeviceFacts(TargetAttr target) {
  if (target.hasFeature("sm_90a"))
    return kH100;
  if (target.hasFeature("sm_89"))
    return kL40S;
  if (target.hasFeature("sm_80"))
    return kA100;
  return {};
}
