/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What x86 instructions compute, after Intel's Software Developer's Manual,
 * volumes 2 and 1 (AMX), one element at a time. Called by emulation.py, with
 * vectors in memory; the first argument is the result.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { ROW_BYTES = 64 };

typedef struct {
  uint8_t bytes[16][ROW_BYTES];
} tile;

void emulated_tilezero_internal(tile *out, int16_t rows, int16_t bytes) {
  memset(out, 0, sizeof *out);
}

void emulated_tileloadd64_internal(tile *out, int16_t rows, int16_t bytes,
                                   const char *from, int64_t stride) {
  memset(out, 0, sizeof *out);
  for (int16_t i = 0; i < rows; ++i)
    memcpy(out->bytes[i], from + i * stride, bytes);
}

/* The hint that nobody reads the lines again soon changes no value. */
void emulated_tileloaddt164_internal(tile *out, int16_t rows, int16_t bytes,
                                     const char *from, int64_t stride) {
  emulated_tileloadd64_internal(out, rows, bytes, from, stride);
}

void emulated_tilestored64_internal(int16_t rows, int16_t bytes, char *to,
                                    int64_t stride, const tile *from) {
  for (int16_t i = 0; i < rows; ++i)
    memcpy(to + i * stride, from->bytes[i], bytes);
}

#define BYTE_TILES(name, left, right)                                          \
  void emulated_##name##_internal(tile *out, int16_t rows, int16_t width,      \
                                  int16_t depth, const tile *sum,              \
                                  const tile *a, const tile *b) {              \
    *out = *sum;                                                               \
    for (int16_t i = 0; i < rows; ++i)                                         \
      for (int16_t k = 0; k < depth / 4; ++k)                                  \
        for (int16_t j = 0; j < width / 4; ++j) {                              \
          uint32_t total;                                                      \
          memcpy(&total, out->bytes[i] + 4 * j, 4);                            \
          for (int q = 0; q < 4; ++q)                                          \
            total += (uint32_t)((left)a->bytes[i][4 * k + q] *                 \
                                (right)b->bytes[k][4 * j + q]);                \
          memcpy(out->bytes[i] + 4 * j, &total, 4);                            \
        }                                                                      \
  }
BYTE_TILES(tdpbssd, int8_t, int8_t)
BYTE_TILES(tdpbsud, int8_t, uint8_t)
BYTE_TILES(tdpbusd, uint8_t, int8_t)
BYTE_TILES(tdpbuud, uint8_t, uint8_t)

/* bfloat16, and floats between instructions, know no subnormals. */
static float flush(float value) {
  return fpclassify(value) == FP_SUBNORMAL ? copysignf(0, value) : value;
}

static float read_bf16(const uint8_t *from) {
  uint32_t bits = (uint32_t)(from[0] | from[1] << 8) << 16;
  float value;
  memcpy(&value, &bits, 4);
  return flush(value);
}

/* The even and the odd products of a row are summed up apart. */
void emulated_tdpbf16ps_internal(tile *out, int16_t rows, int16_t width,
                                 int16_t depth, const tile *sum, const tile *a,
                                 const tile *b) {
  *out = *sum;
  for (int16_t i = 0; i < rows; ++i)
    for (int16_t j = 0; j < width / 4; ++j) {
      float parts[2] = {0, 0}, total;
      for (int16_t k = 0; k < depth / 4; ++k)
        for (int q = 0; q < 2; ++q)
          parts[q] = flush(fmaf(read_bf16(a->bytes[i] + 4 * k + 2 * q),
                                read_bf16(b->bytes[k] + 4 * j + 2 * q),
                                parts[q]));
      memcpy(&total, sum->bytes[i] + 4 * j, 4);
      total = flush(total + flush(parts[0] + parts[1]));
      memcpy(out->bytes[i] + 4 * j, &total, 4);
    }
}

void emulated_avx512bf16_dpbf16ps_512(float *out, const float *sum,
                                      const uint8_t *a, const uint8_t *b) {
  for (int i = 0; i < 16; ++i) {
    float total = flush(sum[i]);
    for (int q = 1; q >= 0; --q)
      total = flush(fmaf(read_bf16(a + 4 * i + 2 * q),
                         read_bf16(b + 4 * i + 2 * q), total));
    out[i] = total;
  }
}

#define DOT_BYTES(bits, lanes)                                                 \
  void emulated_avx512_vpdpbusd_##bits(uint32_t *out, const uint32_t *sum,     \
                                       const uint8_t *a, const int8_t *b) {    \
    for (int i = 0; i < lanes; ++i) {                                          \
      out[i] = sum[i];                                                         \
      for (int q = 4 * i; q < 4 * i + 4; ++q)                                  \
        out[i] += (uint32_t)(a[q] * b[q]);                                     \
    }                                                                          \
  }
DOT_BYTES(256, 8)
DOT_BYTES(512, 16)

void emulated_avx512_pmaddw_d_512(uint32_t *out, const int16_t *a,
                                  const int16_t *b) {
  for (int i = 0; i < 16; ++i)
    out[i] = (uint32_t)(a[2 * i] * b[2 * i]) +
             (uint32_t)(a[2 * i + 1] * b[2 * i + 1]);
}

void emulated_avx512_pmaddubs_w_512(int16_t *out, const uint8_t *a,
                                    const int8_t *b) {
  for (int i = 0; i < 32; ++i) {
    int sum = a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
    out[i] = sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum;
  }
}

/* vcvtneps2bf16, where LLVM has no instruction for it. */
__bf16 __truncsfbf2(float value) {
  uint32_t bits;
  uint16_t rounded;
  __bf16 result;
  value = flush(value);
  memcpy(&bits, &value, 4);
  rounded = isnan(value) ? bits >> 16 | 64
                         : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  memcpy(&result, &rounded, 2);
  return result;
}

/* vpexpand: elements in their order, where a bit of the mask is set. */
#define EXPAND(name, type, lanes)                                              \
  void emulated_avx512_mask_expand_##name(                                     \
      type *out, const type *from, const type *otherwise,                      \
      const uint8_t *mask) {                                                   \
    for (int i = 0; i < lanes; ++i)                                            \
      out[i] = mask[i / 8] >> i % 8 & 1 ? *from++ : otherwise[i];              \
  }
EXPAND(v16f32, float, 16)
EXPAND(v16i32, uint32_t, 16)
EXPAND(v32i16, uint16_t, 32)
EXPAND(v64i8, uint8_t, 64)

/* vpermd and vpermps: the lowest four bits say which element. */
#define PERMUTE(name, type)                                                    \
  void emulated_avx512_permvar_##name##_512(type *out, const type *from,       \
                                            const uint32_t *at) {              \
    for (int i = 0; i < 16; ++i)                                               \
      out[i] = from[at[i] & 15];                                               \
  }
PERMUTE(si, uint32_t)
PERMUTE(sf, float)

/* vpermilps: one of the four elements of the same 16 bytes. */
void emulated_avx512_vpermilvar_ps_512(float *out, const float *from,
                                       const uint32_t *at) {
  for (int i = 0; i < 16; ++i)
    out[i] = from[i / 4 * 4 + (at[i] & 3)];
}

/* vpshufb: a byte of the same 16, zero where the top bit is set. */
void emulated_avx512_pshuf_b_512(uint8_t *out, const uint8_t *from,
                                 const uint8_t *at) {
  for (int i = 0; i < 64; ++i)
    out[i] = at[i] & 128 ? 0 : from[i / 16 * 16 + (at[i] & 15)];
}

/* vmaxps: the second operand unless the first is larger. */
void emulated_avx512_max_ps_512(float *out, const float *a, const float *b,
                                int32_t rounding) {
  for (int i = 0; i < 16; ++i)
    out[i] = a[i] > b[i] ? a[i] : b[i];
}

void emulated_avx512_mask_scalef_ps_512(float *out, const float *a,
                                        const float *b, const float *otherwise,
                                        int16_t mask, int32_t rounding) {
  for (int i = 0; i < 16; ++i)
    out[i] = mask >> i & 1 ? a[i] * exp2f(floorf(b[i])) : otherwise[i];
}
