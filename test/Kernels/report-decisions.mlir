// RUN: tamis-opt %s --tamis-select-instructions --tamis-report-decisions | FileCheck %s

// CHECK: tamis.layers = [{bounds = array<i64: 64, 32, 16>, instruction = "vector_fma", macs = 32768 : i64, node = "fc1"
// CHECK-SAME: {{.*}}instruction = "none"{{.*}}node = "wide"{{.*}}reason = "no instruction takes these element types"
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>} {
func.func @main(%a: tensor<64x16xf32>, %b: tensor<16x32xf32>, %c: tensor<64x16xf64>, %d: tensor<16x32xf64>)
    -> (tensor<64x32xf32>, tensor<64x32xf64>) {
  %e = tensor.empty() : tensor<64x32xf32>
  %x = tamis.contract ins(%a, %b : tensor<64x16xf32>, tensor<16x32xf32>) outs(%e : tensor<64x32xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32
    {origin = "fc1"} -> tensor<64x32xf32>
  %f = tensor.empty() : tensor<64x32xf64>
  %y = tamis.contract ins(%c, %d : tensor<64x16xf64>, tensor<16x32xf64>) outs(%f : tensor<64x32xf64>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f64
    {origin = "wide"} -> tensor<64x32xf64>
  return %x, %y : tensor<64x32xf32>, tensor<64x32xf64>
}
}
