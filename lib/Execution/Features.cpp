// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which cpuid bit stands for which LLVM feature. The table is the compiler's:
// an artifact carries only the rows it requires.
#include "Emission.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::tamis;

namespace {
enum Register : uint8_t { EAX, EBX, ECX, EDX };
constexpr uint32_t kExtended = 0x80000000;
constexpr uint8_t kAny = TAMIS_STATE_NONE, kAvx = TAMIS_STATE_AVX,
                  kZmm = TAMIS_STATE_AVX512, kAmx = TAMIS_STATE_AMX;
} // namespace

static constexpr tamis_feature kFeatures[] = {
    {"x87", 1, 0, EDX, 0, kAny, 0},
    {"cx8", 1, 0, EDX, 8, kAny, 0},
    {"cmov", 1, 0, EDX, 15, kAny, 0},
    {"mmx", 1, 0, EDX, 23, kAny, 0},
    {"fxsr", 1, 0, EDX, 24, kAny, 0},
    {"sse", 1, 0, EDX, 25, kAny, 0},
    {"sse2", 1, 0, EDX, 26, kAny, 0},
    {"sse3", 1, 0, ECX, 0, kAny, 0},
    {"pclmul", 1, 0, ECX, 1, kAny, 0},
    {"ssse3", 1, 0, ECX, 9, kAny, 0},
    {"fma", 1, 0, ECX, 12, kAvx, 0},
    {"cx16", 1, 0, ECX, 13, kAny, 0},
    {"sse4.1", 1, 0, ECX, 19, kAny, 0},
    {"sse4.2", 1, 0, ECX, 20, kAny, 0},
    {"crc32", 1, 0, ECX, 20, kAny, 0},
    {"movbe", 1, 0, ECX, 22, kAny, 0},
    {"popcnt", 1, 0, ECX, 23, kAny, 0},
    {"aes", 1, 0, ECX, 25, kAny, 0},
    {"xsave", 1, 0, ECX, 27, kAny, 0},
    {"avx", 1, 0, ECX, 28, kAvx, 0},
    {"f16c", 1, 0, ECX, 29, kAvx, 0},
    {"rdrnd", 1, 0, ECX, 30, kAny, 0},
    {"fsgsbase", 7, 0, EBX, 0, kAny, 0},
    {"sgx", 7, 0, EBX, 2, kAny, 0},
    {"bmi", 7, 0, EBX, 3, kAny, 0},
    {"avx2", 7, 0, EBX, 5, kAvx, 0},
    {"bmi2", 7, 0, EBX, 8, kAny, 0},
    {"invpcid", 7, 0, EBX, 10, kAny, 0},
    {"rtm", 7, 0, EBX, 11, kAny, 0},
    {"avx512f", 7, 0, EBX, 16, kZmm, 0},
    {"avx512dq", 7, 0, EBX, 17, kZmm, 0},
    {"rdseed", 7, 0, EBX, 18, kAny, 0},
    {"adx", 7, 0, EBX, 19, kAny, 0},
    {"avx512ifma", 7, 0, EBX, 21, kZmm, 0},
    {"clflushopt", 7, 0, EBX, 23, kAny, 0},
    {"clwb", 7, 0, EBX, 24, kAny, 0},
    {"avx512cd", 7, 0, EBX, 28, kZmm, 0},
    {"sha", 7, 0, EBX, 29, kAny, 0},
    {"avx512bw", 7, 0, EBX, 30, kZmm, 0},
    {"avx512vl", 7, 0, EBX, 31, kZmm, 0},
    {"avx512vbmi", 7, 0, ECX, 1, kZmm, 0},
    {"pku", 7, 0, ECX, 4, kAny, 0},
    {"waitpkg", 7, 0, ECX, 5, kAny, 0},
    {"avx512vbmi2", 7, 0, ECX, 6, kZmm, 0},
    {"shstk", 7, 0, ECX, 7, kAny, 0},
    {"gfni", 7, 0, ECX, 8, kAny, 0},
    {"vaes", 7, 0, ECX, 9, kAvx, 0},
    {"vpclmulqdq", 7, 0, ECX, 10, kAvx, 0},
    {"avx512vnni", 7, 0, ECX, 11, kZmm, 0},
    {"avx512bitalg", 7, 0, ECX, 12, kZmm, 0},
    {"avx512vpopcntdq", 7, 0, ECX, 14, kZmm, 0},
    {"rdpid", 7, 0, ECX, 22, kAny, 0},
    {"kl", 7, 0, ECX, 23, kAny, 0},
    {"cldemote", 7, 0, ECX, 25, kAny, 0},
    {"movdiri", 7, 0, ECX, 27, kAny, 0},
    {"movdir64b", 7, 0, ECX, 28, kAny, 0},
    {"enqcmd", 7, 0, ECX, 29, kAny, 0},
    {"uintr", 7, 0, EDX, 5, kAny, 0},
    {"avx512vp2intersect", 7, 0, EDX, 8, kZmm, 0},
    {"serialize", 7, 0, EDX, 14, kAny, 0},
    {"tsxldtrk", 7, 0, EDX, 16, kAny, 0},
    {"pconfig", 7, 0, EDX, 18, kAny, 0},
    {"amx-bf16", 7, 0, EDX, 22, kAmx, 0},
    {"avx512fp16", 7, 0, EDX, 23, kZmm, 0},
    {"amx-tile", 7, 0, EDX, 24, kAmx, 0},
    {"amx-int8", 7, 0, EDX, 25, kAmx, 0},
    {"sha512", 7, 1, EAX, 0, kAny, 0},
    {"sm3", 7, 1, EAX, 1, kAny, 0},
    {"sm4", 7, 1, EAX, 2, kAny, 0},
    {"raoint", 7, 1, EAX, 3, kAny, 0},
    {"avxvnni", 7, 1, EAX, 4, kAvx, 0},
    {"avx512bf16", 7, 1, EAX, 5, kZmm, 0},
    {"cmpccxadd", 7, 1, EAX, 7, kAny, 0},
    {"amx-fp16", 7, 1, EAX, 21, kAmx, 0},
    {"hreset", 7, 1, EAX, 22, kAny, 0},
    {"avxifma", 7, 1, EAX, 23, kAvx, 0},
    {"avxvnniint8", 7, 1, EDX, 4, kAvx, 0},
    {"avxneconvert", 7, 1, EDX, 5, kAvx, 0},
    {"amx-complex", 7, 1, EDX, 8, kAmx, 0},
    {"avxvnniint16", 7, 1, EDX, 10, kAvx, 0},
    {"prefetchi", 7, 1, EDX, 14, kAny, 0},
    {"usermsr", 7, 1, EDX, 15, kAny, 0},
    {"xsaveopt", 0xd, 1, EAX, 0, kAny, 0},
    {"xsavec", 0xd, 1, EAX, 1, kAny, 0},
    {"xsaves", 0xd, 1, EAX, 3, kAny, 0},
    {"ptwrite", 0x14, 0, EBX, 4, kAny, 0},
    {"sahf", kExtended + 1, 0, ECX, 0, kAny, 0},
    {"lzcnt", kExtended + 1, 0, ECX, 5, kAny, 0},
    {"sse4a", kExtended + 1, 0, ECX, 6, kAny, 0},
    {"prfchw", kExtended + 1, 0, ECX, 8, kAny, 0},
    {"xop", kExtended + 1, 0, ECX, 11, kAvx, 0},
    {"lwp", kExtended + 1, 0, ECX, 15, kAny, 0},
    {"fma4", kExtended + 1, 0, ECX, 16, kAvx, 0},
    {"tbm", kExtended + 1, 0, ECX, 21, kAny, 0},
    {"mwaitx", kExtended + 1, 0, ECX, 29, kAny, 0},
    {"64bit", kExtended + 1, 0, EDX, 29, kAny, 0},
    {"clzero", kExtended + 8, 0, EBX, 0, kAny, 0},
    {"rdpru", kExtended + 8, 0, EBX, 4, kAny, 0},
    {"wbnoinvd", kExtended + 8, 0, EBX, 9, kAny, 0},
};

const tamis_feature *emission::findFeature(StringRef name, bool &known) {
  known = true;
  for (const tamis_feature &feature : kFeatures)
    if (name == feature.name)
      return &feature;
  // Names that say which instructions are quick, not which exist.
  for (StringRef prefix : {"fast", "slow-", "prefer-", "false-deps-", "tuning-",
                           "evex512", "branchfusion", "macrofusion", "idiv",
                           "no-bypass", "ermsb", "fsrm", "vzeroupper"})
    if (name.starts_with(prefix))
      return nullptr;
  known = false;
  return nullptr;
}
