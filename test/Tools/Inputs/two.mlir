func.func @main(%x: tensor<4x8xf32> {tamis.name = "x", tamis.dtype = "float32", tamis.dims = ["4", "8"]},
                %w: tensor<8x16xf32> {tamis.name = "w", tamis.dtype = "float32", tamis.dims = ["8", "16"]})
    -> (tensor<4x16xf32> {tamis.name = "y", tamis.dtype = "float32", tamis.dims = ["4", "16"]}) {
  %e = tensor.empty() : tensor<4x16xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x8xf32>, tensor<8x16xf32>) outs(%e : tensor<4x16xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}
func.func @elsewhere(%q: tensor<4x8xi8>, %s: tensor<f32>) -> tensor<4x8xf32> {
  %x = tamis.dequantize %q, %s : tensor<4x8xi8>, tensor<f32> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}
