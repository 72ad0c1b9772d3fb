// RUN: tamis-opt %s --tamis-fold-offsets | FileCheck %s
// RUN: tamis-opt %s --tamis-fold-offsets --tamis-fold-offsets | FileCheck %s

#id = affine_map<(b, k, n) -> (b, k, n)>
#scale = affine_map<(b, k, n) -> (b, n)>
#other = affine_map<(b, k, n) -> (k, n)>

// CHECK-LABEL: func.func @offset_of_blocks
// CHECK-SAME: %[[Q:.+]]: tensor<64x3xi8>, %[[S:.+]]: tensor<2x3xf32>, %[[O:.+]]: tensor<2x3xf32>
// CHECK: %[[X:.+]] = tamis.dequantize %[[Q]], %[[S]] offset(%[[O]] : tensor<2x3xf32>) unsigned {axis = 0 : i64, block_size = 32 : i64, origin = "w"}
// CHECK-NEXT: %[[B:.+]] = tensor.expand_shape %[[X]]
// CHECK-NEXT: tensor.collapse_shape %[[B]]
// CHECK-NEXT: return
func.func @offset_of_blocks(%q: tensor<64x3xi8>, %s: tensor<2x3xf32>, %o: tensor<2x3xf32>) -> tensor<64x3xf32> {
  %x = tamis.dequantize %q, %s unsigned {axis = 0 : i64, block_size = 32 : i64, origin = "w"} : tensor<64x3xi8>, tensor<2x3xf32> -> tensor<64x3xf32>
  %b = tensor.expand_shape %x [[0, 1], [2]] output_shape [2, 32, 3] : tensor<64x3xf32> into tensor<2x32x3xf32>
  %e = tensor.empty() : tensor<2x32x3xf32>
  %y = linalg.generic {indexing_maps = [#scale, #id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%o, %b : tensor<2x3xf32>, tensor<2x32x3xf32>) outs(%e : tensor<2x32x3xf32>) {
  ^bb0(%l: f32, %v: f32, %out: f32):
    %sum = arith.addf %v, %l : f32
    linalg.yield %sum : f32
  } -> tensor<2x32x3xf32>
  %r = tensor.collapse_shape %y [[0, 1], [2]] : tensor<2x32x3xf32> into tensor<64x3xf32>
  return %r : tensor<64x3xf32>
}

// One vector for all blocks is no offset of theirs.
// CHECK-LABEL: func.func @not_along_the_scales
// CHECK-NOT: offset
// CHECK: arith.addf
func.func @not_along_the_scales(%q: tensor<64x3xi8>, %s: tensor<32x3xf32>, %o: tensor<32x3xf32>) -> tensor<2x32x3xf32> {
  %x = tamis.dequantize %q, %s {axis = 0 : i64, block_size = 2 : i64} : tensor<64x3xi8>, tensor<32x3xf32> -> tensor<64x3xf32>
  %b = tensor.expand_shape %x [[0, 1], [2]] output_shape [2, 32, 3] : tensor<64x3xf32> into tensor<2x32x3xf32>
  %e = tensor.empty() : tensor<2x32x3xf32>
  %y = linalg.generic {indexing_maps = [#id, #other, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%b, %o : tensor<2x32x3xf32>, tensor<32x3xf32>) outs(%e : tensor<2x32x3xf32>) {
  ^bb0(%v: f32, %l: f32, %out: f32):
    %sum = arith.addf %v, %l : f32
    linalg.yield %sum : f32
  } -> tensor<2x32x3xf32>
  return %y : tensor<2x32x3xf32>
}

// CHECK-LABEL: func.func @product_is_no_offset
// CHECK-NOT: offset
// CHECK: arith.mulf
func.func @product_is_no_offset(%q: tensor<64x3xi8>, %s: tensor<2x3xf32>, %o: tensor<2x3xf32>) -> tensor<2x32x3xf32> {
  %x = tamis.dequantize %q, %s {axis = 0 : i64, block_size = 32 : i64} : tensor<64x3xi8>, tensor<2x3xf32> -> tensor<64x3xf32>
  %b = tensor.expand_shape %x [[0, 1], [2]] output_shape [2, 32, 3] : tensor<64x3xf32> into tensor<2x32x3xf32>
  %e = tensor.empty() : tensor<2x32x3xf32>
  %y = linalg.generic {indexing_maps = [#id, #scale, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%b, %o : tensor<2x32x3xf32>, tensor<2x3xf32>) outs(%e : tensor<2x32x3xf32>) {
  ^bb0(%v: f32, %l: f32, %out: f32):
    %p = arith.mulf %v, %l : f32
    linalg.yield %p : f32
  } -> tensor<2x32x3xf32>
  return %y : tensor<2x32x3xf32>
}
