func.func @main(%x: tensor<4xi8> {tamis.name = "x", tamis.dtype = "int8", tamis.dims = ["4"]})
    -> (tensor<4xf32> {tamis.name = "y", tamis.dtype = "float32", tamis.dims = ["4"]}) {
  %q = quant.scast %x : tensor<4xi8> to tensor<4x!quant.uniform<i8:f32, 0.5>>
  %y = quant.dcast %q : tensor<4x!quant.uniform<i8:f32, 0.5>> to tensor<4xf32>
  return %y : tensor<4xf32>
}
