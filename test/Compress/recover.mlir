// RUN: tamis-opt %s --split-input-file --tamis-select-quantization=recover=true | FileCheck %s --check-prefix=SELECT
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization=recover=true --tamis-quantize | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization="recover=true exclude=fc" | FileCheck %s --check-prefix=SKIP

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// Sixteen levels above a minimum that is no multiple of their step.
// CHECK-LABEL: func.func @offset
// SELECT-LABEL: func.func @offset
// SKIP-LABEL: func.func @offset
func.func @offset(%a: tensor<2x16xf32>) -> tensor<2x1xf32> {
  %c = arith.constant dense<[[0.0625], [0.5625], [1.0625], [1.5625], [2.0625], [2.5625], [3.0625], [3.5625], [4.0625], [4.5625], [5.0625], [5.5625], [6.0625], [6.5625], [7.0625], [7.5625]]> : tensor<16x1xf32>
  // SELECT: tensor "w" {scheme = #tamis.scheme<bits = 4, isUnsigned = true, axis = 0, block = 16, exact = true, offset = true>}
  // SKIP: tensor "w" :
  // CHECK: tamis.dequantize %{{.+}}, %{{.+}} offset(%{{.+}} : tensor<1x1xf32>) unsigned {axis = 0 : i64, block_size = 16 : i64, origin = "w", tamis.bits = 4 : i64}
  %w = tamis.observe parameter %c tensor "w" : tensor<16x1xf32>
  %x = tamis.observe %a tensor "a" : tensor<2x16xf32>
  %e = tensor.empty() : tensor<2x1xf32>
  %p = tamis.contract ins(%x, %w : tensor<2x16xf32>, tensor<16x1xf32>) outs(%e : tensor<2x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "fc"} -> tensor<2x1xf32>
  return %p : tensor<2x1xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// SELECT-LABEL: func.func @no_grid
func.func @no_grid(%a: tensor<2x16xf32>) -> tensor<2x1xf32> {
  %c = arith.constant dense<[[0.131], [0.617], [1.173], [1.639], [2.197], [2.6], [3.1], [3.6], [4.1], [4.6], [5.1], [5.6], [6.1], [6.6], [7.1], [7.6]]> : tensor<16x1xf32>
  // SELECT: tensor "w" :
  %w = tamis.observe parameter %c tensor "w" : tensor<16x1xf32>
  %x = tamis.observe %a tensor "a" : tensor<2x16xf32>
  %e = tensor.empty() : tensor<2x1xf32>
  %p = tamis.contract ins(%x, %w : tensor<2x16xf32>, tensor<16x1xf32>) outs(%e : tensor<2x1xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "fc"} -> tensor<2x1xf32>
  return %p : tensor<2x1xf32>
}
