// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Winograd's minimal filtering of 3x3 windows (Lavin and Gray, CVPR 2016), its
// matrices by Toom and Cook. Tiles of 4 results are interpolated at 0, 1, -1,
// 1/2, -2 and infinity, which rounds less than the usual 2 instead of 1/2
// (Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd
// Convolution for Deep Neural Networks", ACM TOMS 2020).
#include "Winograd.h"

using namespace mlir;
using namespace mlir::tamis;

using Row = std::array<float, 6>;

//===-- matrices ----------------------------------------------------------===//

static constexpr Row kInput2[] = {
    {-1, 0, 1}, {0, 1, 1}, {0, -1, 1}, {0, -1, 0, 1}};
static constexpr Row kInverse2[] = {{1, 1, 1}, {0, 1, -1, 1}};
static constexpr std::array<double, 3> kWeights2[] = {
    {-1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};

// Differences of every second element, then what the rows of 1 and -1 share.
static constexpr Row kInput4a[] = {{-1, 0, 1},       {0, -1, 0, 1},
                                   {0, 0, -1, 0, 1}, {0, 0, 0, -1, 0, 1},
                                   {0, 0, 1},        {0, 0, 0, 1}};
static constexpr Row kInput4b[] = {{-1, 1.5, 1},         {0, 1, 0, 0, 1.5},
                                   {0, 0, 1, 0, 0, 1.5}, {0, 2, 1},
                                   {0, -0.5, 1},         {0, -1, 1.5, 1}};
static constexpr Row kInput4c[] = {
    {1},          {0, 1, 1},       {0, -1, 1},
    {0, 0, 0, 1}, {0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 1}};
static constexpr Row kInverse4a[] = {
    {1},          {0, 1, 1},       {0, 1, -1},
    {0, 0, 0, 1}, {0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 1}};
static constexpr Row kInverse4b[] = {{1, 1, 0, 1, 1},
                                     {0, 0, 1, 0.5, -2},
                                     {0, 1, 0, 0.25, 4},
                                     {0, 0, 1, 0.125, -8, 1}};
static constexpr std::array<double, 3> kWeights4[] = {
    {1, 0, 0},
    {1 / 3., 1 / 3., 1 / 3.},
    {-1 / 3., 1 / 3., -1 / 3.},
    {-16 / 15., -8 / 15., -4 / 15.},
    {1 / 15., -2 / 15., 4 / 15.},
    {0, 0, 1}};

const WinogradTransform &mlir::tamis::getWinogradTransform(int64_t output) {
  static const WinogradFactor input2[] = {kInput2}, inverse2[] = {kInverse2},
                              input4[] = {kInput4a, kInput4b, kInput4c},
                              inverse4[] = {kInverse4a, kInverse4b};
  static const WinogradTransform two{2, input2, inverse2, kWeights2},
      four{4, input4, inverse4, kWeights4};
  return output == 2 ? two : four;
}

//===-- weights -----------------------------------------------------------===//

std::vector<float> mlir::tamis::transformWeights(kernel::WinogradWeightsOp op,
                                                 const SourceView &view) {
  const WinogradTransform &transform =
      getWinogradTransform(static_cast<int64_t>(op.getOutput()));
  auto type = cast<RankedTensorType>(op.getResult().getType());
  int64_t size = transform.getSize(), channels = type.getDimSize(1),
          columns = type.getDimSize(2);
  ArrayRef<int64_t> window = op.getWindow();
  SmallVector<int64_t> offsets = view.getOffsets(window);
  int64_t columnStride = view.strides[op.getColumn()],
          channelStride = view.strides[op.getChannel()];
  std::vector<float> result(type.getNumElements());
  for (int64_t channel = 0; channel < channels; ++channel)
    for (int64_t column = 0; column < columns; ++column) {
      int64_t from = channel * channelStride + column * columnStride;
      double half[6][3] = {};
      for (int64_t i = 0; i < size; ++i)
        for (int64_t j = 0; j < 3; ++j)
          for (int64_t k = 0; k < 3; ++k)
            half[i][j] += transform.weights[i][k] *
                          double(view.getFloat(from + offsets[k * 3 + j]));
      for (int64_t i = 0; i < size; ++i)
        for (int64_t j = 0; j < size; ++j) {
          double sum = 0;
          for (int64_t k = 0; k < 3; ++k)
            sum += half[i][k] * transform.weights[j][k];
          result[((i * size + j) * channels + channel) * columns + column] =
              static_cast<float>(sum);
        }
    }
  return result;
}
