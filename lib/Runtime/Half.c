/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Conversions of 16-bit floats that LLVM calls by name where the processor
 * has no instruction; they live in compiler runtimes, which a model does not
 * link. All round to nearest even.
 */
#include <stdint.h>
#include <string.h>

typedef union {
  float f;
  uint32_t u;
} bits32;
typedef union {
  _Float16 h;
  uint16_t u;
} bits16;

/* The compiler must not turn these bodies into calls of themselves, so they
   work on integers throughout. */
static uint16_t half_of_double_bits(uint64_t bits) {
  uint16_t sign = (uint16_t)(bits >> 48) & 0x8000;
  int32_t exponent = (int32_t)(bits >> 52 & 0x7ff) - 1023;
  uint64_t mantissa = bits & 0xfffffffffffff;
  if (exponent == 1024) /* infinity or a quiet NaN with the payload's top */
    return sign | 0x7c00 | (mantissa ? 0x200 | (uint16_t)(mantissa >> 42) : 0);
  if (exponent < -25)
    return sign;
  if (exponent > 15)
    return sign | 0x7c00;
  mantissa |= (uint64_t)1 << 52;
  int32_t shift = exponent < -14 ? 42 - 14 - exponent : 42;
  uint64_t value = mantissa >> shift;
  uint64_t rest = mantissa & (((uint64_t)1 << shift) - 1);
  uint64_t tie = (uint64_t)1 << (shift - 1);
  if (rest > tie || (rest == tie && (value & 1)))
    ++value;
  /* A normal value still holds its leading one, which adds to the exponent;
     rounding may carry into it, up to infinity. */
  if (exponent >= -14)
    value += (uint64_t)(exponent + 14) << 10;
  return sign | (uint16_t)value;
}

static uint64_t double_bits_of_float(uint32_t bits) {
  uint64_t sign = (uint64_t)(bits >> 31) << 63;
  uint32_t exponent = bits >> 23 & 0xff, mantissa = bits & 0x7fffff;
  if (exponent == 0xff)
    return sign | (uint64_t)0x7ff << 52 | (uint64_t)mantissa << 29;
  if (exponent == 0) /* far below the smallest half */
    return sign;
  return sign | (uint64_t)(exponent + 1023 - 127) << 52 |
         (uint64_t)mantissa << 29;
}

_Float16 __truncdfhf2(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (bits16){.u = half_of_double_bits(bits)}.h;
}

_Float16 __truncsfhf2(float value) {
  uint64_t bits = double_bits_of_float((bits32){.f = value}.u);
  return (bits16){.u = half_of_double_bits(bits)}.h;
}

float __extendhfsf2(_Float16 value) {
  uint32_t bits = (bits16){.h = value}.u;
  uint32_t sign = (bits & 0x8000) << 16;
  uint32_t exponent = bits >> 10 & 0x1f, mantissa = bits & 0x3ff;
  if (exponent == 0x1f)
    return (bits32){.u = sign | 0x7f800000 | mantissa << 13 |
                         (mantissa ? 0x400000 : 0)}
        .f;
  if (exponent == 0) {
    if (!mantissa)
      return (bits32){.u = sign}.f;
    int shift = __builtin_clz(mantissa) - 21;
    mantissa = mantissa << shift & 0x3ff;
    exponent = (uint32_t)(1 - shift);
  }
  return (bits32){.u = sign | (exponent + 112) << 23 | mantissa << 13}.f;
}

static uint16_t bfloat_of_float_bits(uint32_t bits) {
  if ((bits & 0x7fffffff) > 0x7f800000)
    return (uint16_t)(bits >> 16) | 0x40;
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

__bf16 __truncsfbf2(float value) {
  uint16_t bits = bfloat_of_float_bits((bits32){.f = value}.u);
  __bf16 result;
  memcpy(&result, &bits, sizeof result);
  return result;
}

__bf16 __truncdfbf2(double value) {
  /* Round to odd first: the second rounding then sees every lost bit. */
  float near = (float)value;
  uint32_t bits = (bits32){.f = near}.u;
  if ((double)near != value && near == near &&
      (bits & 0x7fffffff) != 0x7f800000) {
    /* Truncate towards zero, then set the last bit. */
    double size = value < 0 ? -value : value;
    double found = near < 0 ? -(double)near : (double)near;
    if (found > size)
      --bits;
    bits |= 1;
  }
  uint16_t half = bfloat_of_float_bits(bits);
  __bf16 result;
  memcpy(&result, &half, sizeof result);
  return result;
}
