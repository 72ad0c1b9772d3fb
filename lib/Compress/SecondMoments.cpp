// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Cholesky factors in double precision: the matrices are badly conditioned.
#include "SecondMoments.h"
#include <cmath>

using namespace mlir;

/// What is added to the diagonal, as a share of its mean.
static constexpr double kDamping = 0.01;
/// Each further try of a matrix that is not positive definite adds ten times
/// more.
static constexpr int kTries = 6;

/// Sum of products; several sums, because the compiler must not reorder one.
static double dot(const double *a, const double *b, int64_t count) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int64_t lane = 0; lane < 8; ++lane)
      sums[lane] += a[i + lane] * b[i + lane];
  for (; i < count; ++i)
    sums[0] += a[i] * b[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
         ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/// Replaces the symmetric `h` by an upper triangular A with A·Aᵀ = h; false if
/// it is not positive definite.
static bool factorize(std::vector<double> &h, int64_t n) {
  for (int64_t j = n - 1; j >= 0; --j) {
    double *row = &h[j * n];
    int64_t rest = n - 1 - j;
    double pivot = row[j] - dot(row + j + 1, row + j + 1, rest);
    if (!(pivot > 0) || !std::isfinite(pivot))
      return false;
    row[j] = std::sqrt(pivot);
    for (int64_t i = 0; i < j; ++i) {
      double *above = &h[i * n];
      above[j] = (above[j] - dot(above + j + 1, row + j + 1, rest)) / row[j];
    }
  }
  return true;
}

/// The inverse of an upper triangular matrix, in single precision. It is the
/// upper Cholesky factor of the inverse of A·Aᵀ.
static std::vector<float> invert(const std::vector<double> &a, int64_t n) {
  std::vector<double> inverse(n * n);
  for (int64_t i = n - 1; i >= 0; --i) {
    double *row = &inverse[i * n];
    double scale = 1 / a[i * n + i];
    for (int64_t k = i + 1; k < n; ++k) {
      double factor = -scale * a[i * n + k];
      const double *below = &inverse[k * n];
      for (int64_t j = k; j < n; ++j)
        row[j] += factor * below[j];
    }
    row[i] = scale;
  }
  return std::vector<float>(inverse.begin(), inverse.end());
}

double tamis::getMoment(llvm::ArrayRef<float> gram, int64_t n, int64_t i,
                        int64_t j, bool centered) {
  const float *sums = &gram[n * (n + 1)];
  double moment = gram[i * (n + 1) + j];
  return centered && sums[n] > 0 ? moment - double(sums[i]) * sums[j] / sums[n]
                                 : moment;
}

std::optional<std::vector<float>>
tamis::getInverseFactor(llvm::ArrayRef<float> gram, int64_t n, bool centered) {
  double mean = 0;
  for (int64_t i = 0; i < n; ++i)
    mean += getMoment(gram, n, i, i, centered) / double(n);
  double damping = kDamping * (mean > 0 ? mean : 1);
  for (int attempt = 0; attempt < kTries; ++attempt, damping *= 10) {
    std::vector<double> h(n * n);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j)
        h[i * n + j] = getMoment(gram, n, i, j, centered);
      h[i * n + i] += damping;
    }
    if (factorize(h, n))
      return invert(h, n);
  }
  return std::nullopt;
}
