func.func @main(%x: tensor<4xf32> {tamis.name = "x", tamis.dtype = "float32"}, %ok: tensor<i1> {tamis.name = "ok", tamis.dtype = "bool"})
    -> (tensor<4xf32> {tamis.name = "y", tamis.dtype = "float32"}) {
  %c = tensor.extract %ok[] : tensor<i1>
  cf.assert %c, "would abort the caller's process"
  return %x : tensor<4xf32>
}
