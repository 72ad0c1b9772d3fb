// RUN: tamis-opt %s --pass-pipeline='builtin.module(func.func(canonicalize{test-convergence}))' | FileCheck %s

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
#row = affine_map<(m, n, k) -> (n)>

// CHECK-LABEL: func.func @contract_drops_unused_extra
func.func @contract_drops_unused_extra(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %u: tensor<16xf32>, %v: tensor<16xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // CHECK: extras(%{{.+}} : tensor<16xf32>)
  // CHECK: ^bb0(%[[ACC:.+]]: f32, %[[V:.+]]: f32):
  // CHECK-NEXT: arith.addf %[[ACC]], %[[V]]
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) extras(%u, %v : tensor<16xf32>, tensor<16xf32>) outs(%e : tensor<4x16xf32>)
    maps [#lhs, #rhs, #out, #row, #row] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 epilogue {
  ^bb0(%acc: f32, %x: f32, %y: f32):
    %r = arith.addf %acc, %y : f32
    tamis.yield %r : f32
  } -> tensor<4x16xf32>
  return %c : tensor<4x16xf32>
}

// CHECK-LABEL: func.func @contract_merges_equal_extras
func.func @contract_merges_equal_extras(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %u: tensor<16xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // CHECK: extras(%{{.+}} : tensor<16xf32>)
  // CHECK: ^bb0(%{{.+}}: f32, %[[U:.+]]: f32):
  // CHECK: arith.mulf %{{.+}}, %[[U]]
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) extras(%u, %u : tensor<16xf32>, tensor<16xf32>) outs(%e : tensor<4x16xf32>)
    maps [#lhs, #rhs, #out, #row, #row] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 epilogue {
  ^bb0(%acc: f32, %x: f32, %y: f32):
    %s = arith.addf %acc, %x : f32
    %r = arith.mulf %s, %y : f32
    tamis.yield %r : f32
  } -> tensor<4x16xf32>
  return %c : tensor<4x16xf32>
}

// CHECK-LABEL: func.func @contract_keeps_extra_of_another_map
func.func @contract_keeps_extra_of_another_map(%a: tensor<16x8xf32>, %b: tensor<8x16xf32>, %u: tensor<16xf32>, %e: tensor<16x16xf32>) -> tensor<16x16xf32> {
  // CHECK: extras(%{{.+}}, %{{.+}} : tensor<16xf32>, tensor<16xf32>)
  %c = tamis.contract ins(%a, %b : tensor<16x8xf32>, tensor<8x16xf32>) extras(%u, %u : tensor<16xf32>, tensor<16xf32>) outs(%e : tensor<16x16xf32>)
    maps [#lhs, #rhs, #out, #row, affine_map<(m, n, k) -> (m)>] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 epilogue {
  ^bb0(%acc: f32, %x: f32, %y: f32):
    %s = arith.addf %acc, %x : f32
    %r = arith.mulf %s, %y : f32
    tamis.yield %r : f32
  } -> tensor<16x16xf32>
  return %c : tensor<16x16xf32>
}

// CHECK-LABEL: func.func @contract_drops_forwarding_epilogue
func.func @contract_drops_forwarding_epilogue(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %u: tensor<16xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // CHECK: tamis.contract
  // CHECK-NOT: epilogue
  // CHECK: return
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) extras(%u : tensor<16xf32>) outs(%e : tensor<4x16xf32>)
    maps [#lhs, #rhs, #out, #row] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 epilogue {
  ^bb0(%acc: f32, %x: f32):
    tamis.yield %acc : f32
  } -> tensor<4x16xf32>
  return %c : tensor<4x16xf32>
}

// CHECK-LABEL: func.func @contract_drops_zero_of_zero
func.func @contract_drops_zero_of_zero(%a: tensor<4x8xi8>, %b: tensor<8x16xi8>, %e: tensor<4x16xi32>) -> tensor<4x16xi32> {
  %zero = arith.constant 0 : i8
  %three = arith.constant 3 : i8
  // CHECK: tensor<8x16xi8>) lhs_zero(%{{.+}} : i8) outs
  %c = tamis.contract ins(%a, %b : tensor<4x8xi8>, tensor<8x16xi8>) lhs_zero(%three : i8) rhs_zero(%zero : i8) outs(%e : tensor<4x16xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<4x16xi32>
  return %c : tensor<4x16xi32>
}

// CHECK-LABEL: func.func @contract_takes_static_operands
func.func @contract_takes_static_operands(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %e: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // CHECK: ins(%{{.+}}, %{{.+}} : tensor<4x8xf32>, tensor<8x16xf32>)
  %d = tensor.cast %a : tensor<4x8xf32> to tensor<?x8xf32>
  %c = tamis.contract ins(%d, %b : tensor<?x8xf32>, tensor<8x16xf32>) outs(%e : tensor<?x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<?x16xf32>
  return %c : tensor<?x16xf32>
}

// CHECK-LABEL: func.func @quantize_of_dequantize
// CHECK-SAME: %[[Q:.+]]: tensor<4x8xi8>
func.func @quantize_of_dequantize(%q: tensor<4x8xi8>, %z: tensor<i8>) -> tensor<4x8xi8> {
  // CHECK: return %[[Q]]
  %s = arith.constant dense<0.125> : tensor<f32>
  %x = tamis.dequantize %q, %s, %z unsigned : tensor<4x8xi8>, tensor<f32>, tensor<i8> -> tensor<4x8xf32>
  %r = tamis.quantize %x, %s, %z unsigned : tensor<4x8xf32>, tensor<f32>, tensor<i8> -> tensor<4x8xi8>
  return %r : tensor<4x8xi8>
}

// CHECK-LABEL: func.func @quantize_keeps_dequantize_with_offset
func.func @quantize_keeps_dequantize_with_offset(%q: tensor<4x8xi8>) -> tensor<4x8xi8> {
  // CHECK: tamis.quantize
  %s = arith.constant dense<0.5> : tensor<f32>
  %o = arith.constant dense<0.25> : tensor<f32>
  %x = tamis.dequantize %q, %s offset(%o : tensor<f32>) : tensor<4x8xi8>, tensor<f32> -> tensor<4x8xf32>
  %r = tamis.quantize %x, %s : tensor<4x8xf32>, tensor<f32> -> tensor<4x8xi8>
  return %r : tensor<4x8xi8>
}

// CHECK-LABEL: func.func @quantize_of_dequantize_per_axis
// CHECK-SAME: %[[Q:.+]]: tensor<2x8xi8>
func.func @quantize_of_dequantize_per_axis(%q: tensor<2x8xi8>) -> tensor<2x8xi8> {
  // CHECK: return %[[Q]]
  %s = arith.constant dense<[0.125, 3.0]> : tensor<2xf32>
  %x = tamis.dequantize %q, %s {axis = 0 : i64} : tensor<2x8xi8>, tensor<2xf32> -> tensor<2x8xf32>
  %r = tamis.quantize %x, %s {axis = 0 : i64} : tensor<2x8xf32>, tensor<2xf32> -> tensor<2x8xi8>
  return %r : tensor<2x8xi8>
}

// CHECK-LABEL: func.func @keeps_runtime_scale
func.func @keeps_runtime_scale(%q: tensor<4x8xi8>, %s: tensor<f32>) -> tensor<4x8xi8> {
  // CHECK: tamis.quantize
  %x = tamis.dequantize %q, %s : tensor<4x8xi8>, tensor<f32> -> tensor<4x8xf32>
  %r = tamis.quantize %x, %s : tensor<4x8xf32>, tensor<f32> -> tensor<4x8xi8>
  return %r : tensor<4x8xi8>
}

// CHECK-LABEL: func.func @keeps_zero_scale
func.func @keeps_zero_scale(%q: tensor<4x8xi8>) -> tensor<4x8xi8> {
  // CHECK: tamis.quantize
  %s = arith.constant dense<0.0> : tensor<f32>
  %x = tamis.dequantize %q, %s : tensor<4x8xi8>, tensor<f32> -> tensor<4x8xf32>
  %r = tamis.quantize %x, %s : tensor<4x8xf32>, tensor<f32> -> tensor<4x8xi8>
  return %r : tensor<4x8xi8>
}

// CHECK-LABEL: func.func @keeps_other_sign
func.func @keeps_other_sign(%q: tensor<4x8xi8>) -> tensor<4x8xi8> {
  // CHECK: tamis.quantize
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %q, %s unsigned : tensor<4x8xi8>, tensor<f32> -> tensor<4x8xf32>
  %r = tamis.quantize %x, %s : tensor<4x8xf32>, tensor<f32> -> tensor<4x8xi8>
  return %r : tensor<4x8xi8>
}

// CHECK-LABEL: func.func @keeps_fewer_bits
func.func @keeps_fewer_bits(%q: tensor<4x8xi8>) -> tensor<4x8xi8> {
  // CHECK: tamis.quantize
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %q, %s : tensor<4x8xi8>, tensor<f32> -> tensor<4x8xf32>
  %r = tamis.quantize %x, %s {bits = 4 : i64} : tensor<4x8xf32>, tensor<f32> -> tensor<4x8xi8>
  return %r : tensor<4x8xi8>
}

// CHECK-LABEL: func.func @keeps_wide_integer
func.func @keeps_wide_integer(%q: tensor<4x8xi32>) -> tensor<4x8xi32> {
  // CHECK: tamis.quantize
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %q, %s : tensor<4x8xi32>, tensor<f32> -> tensor<4x8xf32>
  %r = tamis.quantize %x, %s : tensor<4x8xf32>, tensor<f32> -> tensor<4x8xi32>
  return %r : tensor<4x8xi32>
}

// CHECK-LABEL: func.func @quantize_sinks_cast
func.func @quantize_sinks_cast(%x: tensor<4x8xf32>, %s: tensor<f32>) -> tensor<?x8xi8> {
  // CHECK: %[[Q:.+]] = tamis.quantize %{{.+}} : tensor<4x8xf32>, tensor<f32> -> tensor<4x8xi8>
  // CHECK: tensor.cast %[[Q]]
  %c = tensor.cast %x : tensor<4x8xf32> to tensor<?x8xf32>
  %q = tamis.quantize %c, %s : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xi8>
  return %q : tensor<?x8xi8>
}

// CHECK-LABEL: func.func @dequantize_sinks_cast
func.func @dequantize_sinks_cast(%q: tensor<4x8xi8>, %s: tensor<f32>) -> tensor<?x8xf32> {
  // CHECK: %[[X:.+]] = tamis.dequantize %{{.+}} : tensor<4x8xi8>, tensor<f32> -> tensor<4x8xf32>
  // CHECK: tensor.cast %[[X]]
  %c = tensor.cast %q : tensor<4x8xi8> to tensor<?x8xi8>
  %x = tamis.dequantize %c, %s : tensor<?x8xi8>, tensor<f32> -> tensor<?x8xf32>
  return %x : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @contract_takes_static_destination
func.func @contract_takes_static_destination(%a: tensor<?x8xf32>, %b: tensor<8x16xf32>, %e: tensor<4x16xf32>) -> tensor<?x16xf32> {
  // CHECK: %[[C:.+]] = tamis.contract {{.*}} -> tensor<4x16xf32>
  // CHECK: tensor.cast %[[C]]
  %d = tensor.cast %e : tensor<4x16xf32> to tensor<?x16xf32>
  %c = tamis.contract ins(%a, %b : tensor<?x8xf32>, tensor<8x16xf32>) outs(%d : tensor<?x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<?x16xf32>
  return %c : tensor<?x16xf32>
}

// CHECK-LABEL: func.func @kernel_contract_takes_static_operands
func.func @kernel_contract_takes_static_operands(%a: tensor<4x8xf32>, %b: tensor<1x1x8x16xf32>, %e: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // CHECK: tamis_kernel.contract ins(%{{.+}}, %{{.+}} : tensor<4x8xf32>, tensor<1x1x8x16xf32>)
  %d = tensor.cast %a : tensor<4x8xf32> to tensor<?x8xf32>
  %c = tamis_kernel.contract ins(%d, %b : tensor<?x8xf32>, tensor<1x1x8x16xf32>) outs(%e : tensor<?x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [-9223372036854775808, 16, 8]
    accumulator f32 by #tamis.vector_fma<lanes = 16, fused = true> tile [6, 1, 0] {packed} -> tensor<?x16xf32>
  return %c : tensor<?x16xf32>
}
