// A convolution with a bias and a clip, of floats; a product of bytes scaled to
// bytes; rows of open number.
#in = affine_map<(n, f, h, w, c, i, j) -> (n, c, h + i, w + j)>
#filter = affine_map<(n, f, h, w, c, i, j) -> (f, c, i, j)>
#result = affine_map<(n, f, h, w, c, i, j) -> (n, f, h, w)>
#id = affine_map<(a, b) -> (a, b)>
func.func @main(%x: tensor<1x2x8x8xf32> {tamis.name = "x"}, %a: tensor<?x16xi8> {tamis.name = "a", tamis.dims = ["rows", "16"]})
    -> (tensor<1x4x6x6xf32> {tamis.name = "y"}, tensor<?x8xi8> {tamis.name = "b"}) {
  %w = arith.constant dense<0.5> : tensor<4x2x3x3xf32>
  %v = arith.constant dense<3> : tensor<16x8xi8>
  %zero = arith.constant 0.0 : f32
  %none = arith.constant 0 : i32
  %e = tensor.empty() : tensor<1x4x6x6xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<1x4x6x6xf32>) -> tensor<1x4x6x6xf32>
  %y = linalg.generic {indexing_maps = [#in, #filter, #result],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%x, %w : tensor<1x2x8x8xf32>, tensor<4x2x3x3xf32>) outs(%z : tensor<1x4x6x6xf32>) {
  ^bb0(%p: f32, %q: f32, %acc: f32):
    %0 = arith.mulf %p, %q : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<1x4x6x6xf32>
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %a, %c0 : tensor<?x16xi8>
  %f = tensor.empty(%rows) : tensor<?x8xi32>
  %g = linalg.fill ins(%none : i32) outs(%f : tensor<?x8xi32>) -> tensor<?x8xi32>
  %s = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %v : tensor<?x16xi8>, tensor<16x8xi8>) outs(%g : tensor<?x8xi32>) {
  ^bb0(%p: i8, %q: i8, %acc: i32):
    %0 = arith.extsi %p : i8 to i32
    %1 = arith.extsi %q : i8 to i32
    %2 = arith.muli %0, %1 : i32
    %3 = arith.addi %acc, %2 : i32
    linalg.yield %3 : i32
  } -> tensor<?x8xi32>
  %h = tensor.empty(%rows) : tensor<?x8xi8>
  %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<?x8xi32>) outs(%h : tensor<?x8xi8>) {
  ^bb0(%p: i32, %out: i8):
    %scale = arith.constant 0.01 : f32
    %low = arith.constant -128.0 : f32
    %high = arith.constant 127.0 : f32
    %0 = arith.sitofp %p : i32 to f32
    %1 = arith.mulf %0, %scale : f32
    %2 = math.roundeven %1 : f32
    %3 = arith.maximumf %2, %low : f32
    %4 = arith.minimumf %3, %high : f32
    %5 = arith.fptosi %4 : f32 to i8
    linalg.yield %5 : i8
  } -> tensor<?x8xi8>
  return %y, %b : tensor<1x4x6x6xf32>, tensor<?x8xi8>
}
