// RUN: tamis-opt %s --tamis-fold-constants --tamis-select-instructions --tamis-select-storage --tamis-report-decisions | FileCheck %s

// CHECK: tamis.layers = [{bounds = array<i64: 64, 32, 16>, candidates = {"dense 5x2x0" = {predicted = {{[0-9.e+-]+}} : f64}, "dense 6x2x0" = {predicted = {{[0-9.e+-]+}} : f64}}, chosen = "dense 6x2x0", instruction = "vector_fma", key = "64x32x16 f32 x f32 -> f32 #{{[0-9a-f]+}}", macs = 32768 : i64, node = "fc1", storage = {{.*}}why = "no row stream: weights are not known"
// CHECK-SAME: {{.*}}instruction = "none"{{.*}}node = "wide"{{.*}}reason = "no instruction takes these element types"
// CHECK-SAME: chosen = "row stream {{[^"]*}}", entries = 768 : i64, instruction = "vector_fma"{{.*}}node = "fc2", storage = "row stream"{{.*}}why = "dense is {{[^"]*}} slower (predicted)", words = 7680 : i64
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>, tamis.profile = #tamis.profile<facts = {block_list.margin = 1.0e-06 : f64}>} {
func.func @main(%a: tensor<64x16xf32>, %b: tensor<16x32xf32>, %c: tensor<64x16xf64>, %d: tensor<16x32xf64>, %g: tensor<64x60xf32>)
    -> (tensor<64x32xf32>, tensor<64x32xf64>, tensor<64x128xf32>) {
  %e = tensor.empty() : tensor<64x32xf32>
  %x = tamis.contract ins(%a, %b : tensor<64x16xf32>, tensor<16x32xf32>) outs(%e : tensor<64x32xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32
    {origin = "fc1"} -> tensor<64x32xf32>
  %f = tensor.empty() : tensor<64x32xf64>
  %y = tamis.contract ins(%c, %d : tensor<64x16xf64>, tensor<16x32xf64>) outs(%f : tensor<64x32xf64>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f64
    {origin = "wide"} -> tensor<64x32xf64>
  %zero = arith.constant 0.0 : f32
  %ones = arith.constant dense<1.0> : tensor<6x128xf32>
  %w = tensor.pad %ones low[0, 0] high[54, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<6x128xf32> to tensor<60x128xf32>
  %h = tensor.empty() : tensor<64x128xf32>
  %z = tamis.contract ins(%g, %w : tensor<64x60xf32>, tensor<60x128xf32>) outs(%h : tensor<64x128xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32
    {origin = "fc2"} -> tensor<64x128xf32>
  return %x, %y, %z : tensor<64x32xf32>, tensor<64x32xf64>, tensor<64x128xf32>
}
}
