// What fragments of a device that multiply codes change: float16 stays, a
// common zero point leaves the codes, and any number of rows shares them.
// RUN: tamis-opt %s --tamis-lower-qat --canonicalize --split-input-file --verify-diagnostics | FileCheck %s

#l = affine_map<(m, n, k) -> (m, k)>
#r = affine_map<(m, n, k) -> (k, n)>
#o = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
module attributes {tamis.target = #tamis.target<"vulkan", ["mma"]>} {
  // CHECK-LABEL: func.func @halves_by_codes
  // CHECK: %[[C:.+]] = linalg.generic
  // CHECK: arith.addi %{{.+}}, %c-8_i8
  // CHECK-NOT: arith.extf
  // CHECK: tamis.contract ins({{.+}} : tensor<64x2x3xf16>, tensor<2x3x2xi8>) {{.+}} accumulator f32 {{[^{]*}}-> tensor<2x64x2xf32>
  // CHECK: linalg.generic
  // CHECK: ^bb0(%[[SUM:.+]]: f32, %[[S:.+]]: f32, %[[T:.+]]: f32):
  func.func @halves_by_codes(%h: tensor<64x6xf16>) -> tensor<64x2xf32> {
    %wq = arith.constant dense<[[0, 15], [1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]> : tensor<6x2xi8>
    %sw = arith.constant dense<[[0.5, 0.25], [1.0, 2.0]]> : tensor<2x2xf32>
    %zw = arith.constant dense<8> : tensor<2x2xi8>
    %w = tamis.dequantize %wq, %sw, %zw unsigned {axis = 0, block_size = 3} : tensor<6x2xi8>, tensor<2x2xf32>, tensor<2x2xi8> -> tensor<6x2xf32>
    %ex = tensor.empty() : tensor<64x6xf32>
    %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%h : tensor<64x6xf16>) outs(%ex : tensor<64x6xf32>) {
    ^bb0(%a: f16, %u: f32):
      %v = arith.extf %a : f16 to f32
      linalg.yield %v : f32
    } -> tensor<64x6xf32>
    %e = tensor.empty() : tensor<64x2xf32>
    // expected-remark @below {{contraction left in float: its first operand is not dequantized}}
    %y = tamis.contract ins(%x, %w : tensor<64x6xf32>, tensor<6x2xf32>) outs(%e : tensor<64x2xf32>)
      maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x2xf32>
    return %y : tensor<64x2xf32>
  }

  // Zero points that differ multiply sums of rows, in float32.
  // CHECK-LABEL: func.func @zero_points_of_blocks
  // CHECK: tamis.contract ins({{.+}} : tensor<4x2x3xf16>, tensor<2x3x2xi8>) {{.+}} accumulator f32 {rhs_unsigned}
  // CHECK: linalg.generic {{.+}} ins({{.+}} : tensor<4x2x3xf16>) outs({{.+}} : tensor<4x2xf32>)
  // CHECK: %[[W:.+]] = arith.extf
  // CHECK: arith.addf %{{.+}}, %[[W]]
  func.func @zero_points_of_blocks(%h: tensor<4x6xf16>) -> tensor<4x2xf32> {
    %wq = arith.constant dense<[[0, 15], [1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]> : tensor<6x2xi8>
    %sw = arith.constant dense<[[0.5, 0.25], [1.0, 2.0]]> : tensor<2x2xf32>
    %zw = arith.constant dense<[[8, 7], [6, 5]]> : tensor<2x2xi8>
    %w = tamis.dequantize %wq, %sw, %zw unsigned {axis = 0, block_size = 3} : tensor<6x2xi8>, tensor<2x2xf32>, tensor<2x2xi8> -> tensor<6x2xf32>
    %ex = tensor.empty() : tensor<4x6xf32>
    %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%h : tensor<4x6xf16>) outs(%ex : tensor<4x6xf32>) {
    ^bb0(%a: f16, %u: f32):
      %v = arith.extf %a : f16 to f32
      linalg.yield %v : f32
    } -> tensor<4x6xf32>
    %e = tensor.empty() : tensor<4x2xf32>
    // expected-remark @below {{contraction left in float: its first operand is not dequantized}}
    %y = tamis.contract ins(%x, %w : tensor<4x6xf32>, tensor<6x2xf32>) outs(%e : tensor<4x2xf32>)
      maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
    return %y : tensor<4x2xf32>
  }
}

// -----

// Lanes alone multiply no float16.
#l = affine_map<(m, n, k) -> (m, k)>
#r = affine_map<(m, n, k) -> (k, n)>
#o = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
module attributes {tamis.target = #tamis.target<"vulkan", []>} {
  // CHECK-LABEL: func.func @widened
  // CHECK: tamis.contract ins({{.+}} : tensor<4x6xf32>, tensor<6x2xi8>) {{.+}} accumulator f32
  func.func @widened(%h: tensor<4x6xf16>) -> tensor<4x2xf32> {
    %wq = arith.constant dense<[[0, 15], [1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]> : tensor<6x2xi8>
    %sw = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
    %w = tamis.dequantize %wq, %sw {axis = 1} : tensor<6x2xi8>, tensor<2xf32> -> tensor<6x2xf32>
    %ex = tensor.empty() : tensor<4x6xf32>
    %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%h : tensor<4x6xf16>) outs(%ex : tensor<4x6xf32>) {
    ^bb0(%a: f16, %u: f32):
      %v = arith.extf %a : f16 to f32
      linalg.yield %v : f32
    } -> tensor<4x6xf32>
    %e = tensor.empty() : tensor<4x2xf32>
    // expected-remark @below {{contraction left in float: its first operand is not dequantized}}
    %y = tamis.contract ins(%x, %w : tensor<4x6xf32>, tensor<6x2xf32>) outs(%e : tensor<4x2xf32>)
      maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
    return %y : tensor<4x2xf32>
  }
}
