/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Whether this machine can execute a feature: the processor must report it
 * and the operating system must save its registers. Tiles additionally need
 * a permission, asked for once per process (the kernel remembers it).
 */
#include "tamis/Runtime/Runtime.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bits of XCR0. */
#define SAVES_AVX 0x6u
#define SAVES_AVX512 0xe6u
#define SAVES_AMX 0x60000u
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

static uint32_t saved_state(void) {
  uint32_t eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & (1u << 27)))
    return 0;
  __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return eax;
}

int tamis_rt_has_feature(const tamis_feature *feature) {
  uint32_t regs[4];
  if (!__get_cpuid_count(feature->leaf, feature->subleaf, &regs[0], &regs[1],
                         &regs[2], &regs[3]))
    return 0;
  if (!((regs[feature->reg & 3] >> feature->bit) & 1))
    return 0;
  switch (feature->state) {
  case TAMIS_STATE_NONE:
    return 1;
  case TAMIS_STATE_AVX:
    return (saved_state() & SAVES_AVX) == SAVES_AVX;
  case TAMIS_STATE_AVX512:
    return (saved_state() & SAVES_AVX512) == SAVES_AVX512;
  case TAMIS_STATE_AMX:
    return (saved_state() & SAVES_AMX) == SAVES_AMX &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) ==
               0;
  }
  return 0;
}
#else
int tamis_rt_has_feature(const tamis_feature *feature) {
  (void)feature;
  return 0;
}
#endif
