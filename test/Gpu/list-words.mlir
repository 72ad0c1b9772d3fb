// RUN: tamis-opt %s --tamis-pack-parameters --tamis-compress-weights | FileCheck %s

// Channel 0 has word 0, channel 2 word 5, channel 17, which is of the second
// 256 words, word 2. Places are those after the exchange of chunks: chunk 1 of
// line 2 is exchanged with chunk 0 (2 / 2 % 4 = 1), so word 5 lies at 2 * 16 +
// 1; line 17 exchanges nothing (17 / 2 % 4 = 0). The last word of a quad is
// repeated.
// CHECK-LABEL: @places
// CHECK-DAG: arith.constant dense<[1, 2, 555819264, 1065353216, 1073741824, 1073741824, 1073741824, 303174162, -1082130432, -1082130432, -1082130432, -1082130432]> : tensor<12xi32>
// CHECK-DAG: arith.constant dense<[0, 3]> : tensor<2xi32>
func.func @places() -> (i32, i32) {
  %c0 = arith.constant 0 : index
  %w = arith.constant dense<[[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]> : tensor<6x20xf32>
  %e = tensor.empty() : tensor<1x1x1x512xf32>
  %p = tamis_kernel.pack ins(%w : tensor<6x20xf32>) outs(%e : tensor<1x1x1x512xf32>)
    groups [] column 1 reductions [0] run 1 step 16 -> tensor<1x1x1x512xf32>
  %r, %s = tamis_gpu.list %p words 16 : tensor<1x1x1x512xf32> -> tensor<12xi32>, tensor<2xi32>
  %a = tensor.extract %r[%c0] : tensor<12xi32>
  %b = tensor.extract %s[%c0] : tensor<2xi32>
  return %a, %b : i32, i32
}
