# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints a product of ROWS rows with a weight of 256 x 256 (K x N) of which three quarters are faint, in blocks.

    faint_blocks.py ROWS CHANNELSxINPUTS

Everywhere a few pieces of a quarter of a block's length are fainter still, so that finer patterns choose others.
"""
import sys

import numpy as np

rows = int(sys.argv[1])
height, width = (int(part) for part in sys.argv[2].split("x"))
random = np.random.default_rng(0)


def draw(height, width, share):
    grid = random.permutation((256 // height) * (256 // width)).reshape(256 // width, 256 // height)
    return np.repeat(np.repeat(grid < share * grid.size, width, 0), height, 1)


weight = random.standard_normal((256, 256))
weight *= np.where(draw(height, width, 0.75), 0.1, 1) * np.where(draw(*((height, 4) if width > 4 else (1, width)), 0.15), 0.05, 1)
print(f"""
func.func @layer(%x: tensor<{rows}x256xf32>) -> tensor<{rows}x256xf32> {{
  %c = arith.constant dense<"0x{weight.astype('<f4').tobytes().hex()}"> : tensor<256x256xf32>
  %w = tamis.observe parameter %c tensor "w" : tensor<256x256xf32>
  %e = tensor.empty() : tensor<{rows}x256xf32>
  %0 = tamis.contract ins(%x, %w : tensor<{rows}x256xf32>, tensor<256x256xf32>) outs(%e : tensor<{rows}x256xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {{origin = "layer"}} -> tensor<{rows}x256xf32>
  return %0 : tensor<{rows}x256xf32>
}}""")
