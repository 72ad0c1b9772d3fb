// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Limits.h"
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

/// Each loop multiplies and adds into independent accumulators; the empty asm
/// keeps the compiler from hoisting or folding the work.
constexpr int64_t kSteps = 200000;

#if defined(__x86_64__)
/// Enough independent chains to hide the latency of two FMA units.
constexpr int kChains = 12;

__attribute__((target("avx512f"))) double fmaAvx512() {
  __m512 sums[kChains];
  __m512 a = _mm512_set1_ps(1.0f), b = _mm512_set1_ps(0.5f);
  for (int j = 0; j < kChains; ++j)
    sums[j] = _mm512_set1_ps(float(j));
  for (int64_t i = 0; i < kSteps; ++i) {
    asm volatile("" : "+v"(a), "+v"(b));
#pragma clang loop unroll(full)
    for (int j = 0; j < kChains; ++j)
      sums[j] = _mm512_fmadd_ps(sums[j], a, b);
  }
  for (int j = 0; j < kChains; ++j)
    asm volatile("" ::"v"(sums[j]));
  return 2.0 * 16 * kChains * kSteps;
}

__attribute__((target("avx2,fma"))) double fmaAvx2() {
  __m256 sums[kChains];
  __m256 a = _mm256_set1_ps(1.0f), b = _mm256_set1_ps(0.5f);
  for (int j = 0; j < kChains; ++j)
    sums[j] = _mm256_set1_ps(float(j));
  for (int64_t i = 0; i < kSteps; ++i) {
    asm volatile("" : "+x"(a), "+x"(b));
#pragma clang loop unroll(full)
    for (int j = 0; j < kChains; ++j)
      sums[j] = _mm256_fmadd_ps(sums[j], a, b);
  }
  for (int j = 0; j < kChains; ++j)
    asm volatile("" ::"x"(sums[j]));
  return 2.0 * 8 * kChains * kSteps;
}

/// Bytes without VNNI: two products of pairs are added in 16 bits before they
/// are widened, which is exact for the values here.
__attribute__((target("avx2"))) double maddubsAvx2() {
  __m256i sums[kChains];
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(2);
  __m256i c = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
  for (int j = 0; j < kChains; ++j)
    sums[j] = _mm256_set1_epi32(j);
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma clang loop unroll(full)
    for (int j = 0; j < kChains; ++j) {
      // In every chain: equal products would be made once.
      asm volatile("" : "+x"(a), "+x"(b));
      __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(a, b),
                                       _mm256_maddubs_epi16(a, c));
      sums[j] = _mm256_add_epi32(sums[j], _mm256_madd_epi16(pairs, ones));
    }
  }
  for (int j = 0; j < kChains; ++j)
    asm volatile("" ::"x"(sums[j]));
  return 2.0 * 64 * kChains * kSteps;
}

__attribute__((target("avx512f,avx512vnni"))) double vnniAvx512() {
  __m512i sums[kChains];
  __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(2);
  for (int j = 0; j < kChains; ++j)
    sums[j] = _mm512_set1_epi32(j);
  for (int64_t i = 0; i < kSteps; ++i) {
    asm volatile("" : "+v"(a), "+v"(b));
#pragma clang loop unroll(full)
    for (int j = 0; j < kChains; ++j)
      sums[j] = _mm512_dpbusd_epi32(sums[j], a, b);
  }
  for (int j = 0; j < kChains; ++j)
    asm volatile("" ::"v"(sums[j]));
  return 2.0 * 64 * kChains * kSteps;
}

struct alignas(64) TileConfig {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t columnBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

/// The 2x2 tile blocking of a matrix product, without its loads.
__attribute__((target("amx-tile,amx-int8"))) double amxInt8() {
  TileConfig config;
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int64_t i = 0; i < kSteps / 8; ++i) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_release();
  return 2.0 * 4 * 16 * 16 * 64 * (kSteps / 8);
}

/// Linux gives a process the tile state only when it asks for it.
bool haveTiles() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return __builtin_cpu_supports("amx-int8") &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#else
/// A portable loop, as wide as the compiler's default vectors.
double fmaPortable() {
  float sums[64];
  for (int j = 0; j < 64; ++j)
    sums[j] = float(j);
  float a = 1.0f, b = 0.5f;
  for (int64_t i = 0; i < kSteps; ++i) {
    asm volatile("" : "+r"(a), "+r"(b));
    for (int j = 0; j < 64; ++j)
      sums[j] = __builtin_fmaf(sums[j], a, b);
  }
  asm volatile("" ::"r"(sums) : "memory");
  return 2.0 * 64 * kSteps;
}
#endif

/// Bytes from behind the caches, at a few places in turns: prefetchers bring
/// them faster than those of one.
double readMemory() {
  using Words = uint64_t __attribute__((vector_size(16)));
  constexpr int64_t kPlaces = 4, kCount = int64_t(3) << 19, kLine = 4;
  static const auto memory = std::make_unique<Words[]>(kPlaces * kCount);
  Words even[kPlaces] = {}, odd[kPlaces] = {};
  for (int64_t i = 0; i < kCount; i += kLine)
#pragma clang loop unroll(full)
    for (int64_t place = 0; place < kPlaces; ++place) {
      const Words *line = &memory[place * kCount + i];
      even[place] += line[0] + line[2];
      odd[place] += line[1] + line[3];
    }
  for (int64_t place = 0; place < kPlaces; ++place)
    even[place] += odd[place];
  asm volatile("" ::"r"(even) : "memory");
  return double(kPlaces * kCount) * sizeof(Words);
}

struct Loop {
  const char *name;
  double (*run)();
};

std::vector<Loop> supportedLoops() {
  std::vector<Loop> loops;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    loops.push_back({"fma-avx512", fmaAvx512});
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    loops.push_back({"fma-avx2", fmaAvx2});
  if (__builtin_cpu_supports("avx2"))
    loops.push_back({"maddubs-avx2", maddubsAvx2});
  if (__builtin_cpu_supports("avx512vnni"))
    loops.push_back({"vnni-avx512", vnniAvx512});
  if (haveTiles())
    loops.push_back({"amx-int8", amxInt8});
#else
  loops.push_back({"fma", fmaPortable});
#endif
  loops.push_back({"read", readMemory});
  return loops;
}

} // namespace

std::vector<std::string> mlir::tamis::limitLoops() {
  std::vector<std::string> names;
  for (const Loop &loop : supportedLoops())
    names.push_back(loop.name);
  return names;
}

double mlir::tamis::measureLimit(const std::string &name, double seconds) {
  using Clock = std::chrono::steady_clock;
  for (const Loop &loop : supportedLoops()) {
    if (name != loop.name)
      continue;
    double best = 0;
    Clock::time_point start = Clock::now();
    Clock::time_point now = start;
    do {
      Clock::time_point before = now;
      double operations = loop.run();
      now = Clock::now();
      double elapsed = std::chrono::duration<double>(now - before).count();
      best = std::max(best, operations / elapsed);
    } while (std::chrono::duration<double>(now - start).count() < seconds);
    return best;
  }
  return 0;
}
