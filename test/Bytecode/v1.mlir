// Everything that version 1 of the dialect can say, as text. v1.mlirbc is this
// file as the release that introduced version 1 wrote it; it is never written
// again, and every later release has to read it as the same module.
// RUN: tamis-opt %S/v1.mlirbc -o %t.golden
// RUN: tamis-opt %s -o %t.text && diff %t.golden %t.text
// RUN: tamis-opt %s -emit-bytecode -o %t.mlirbc && tamis-opt %t.mlirbc | diff %t.text -

module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"], l1 = 49152, l2 = 524288, threads = 2>, tamis.policy = #tamis.policy<strict = true>} {
  func.func @product(%a: tensor<?x8xi8>, %b: tensor<8x16xi8>, %s: tensor<16xi32>, %za: i8, %zb: i8, %e: tensor<?x16xi8>) -> tensor<?x16xi8> {
    %c = tamis.contract ins(%a, %b : tensor<?x8xi8>, tensor<8x16xi8>) lhs_zero(%za : i8) rhs_zero(%zb : i8)
      extras(%s : tensor<16xi32>) outs(%e : tensor<?x16xi8>)
      maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>,
            affine_map<(m, n, k) -> (n)>]
      iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 {lhs_unsigned, origin = "conv1"} epilogue {
    ^bb0(%acc: i32, %bias: i32):
      %sum = arith.addi %acc, %bias : i32
      %t = arith.trunci %sum : i32 to i8
      tamis.yield %t : i8
    } -> tensor<?x16xi8>
    return %c : tensor<?x16xi8>
  }
  func.func @window(%x: tensor<1x14x14x8xf32>, %w: tensor<3x3x8x4xf32>, %e: tensor<1x14x14x4xf32>) -> tensor<1x14x14x4xf32> {
    %c = tamis.contract ins(%x, %w : tensor<1x14x14x8xf32>, tensor<3x3x8x4xf32>) outs(%e : tensor<1x14x14x4xf32>)
      maps [affine_map<(n, h, w, o, i, j, c) -> (n, h + i, w + j, c)>,
            affine_map<(n, h, w, o, i, j, c) -> (i, j, c, o)>,
            affine_map<(n, h, w, o, i, j, c) -> (n, h, w, o)>]
      iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
      pad [0, 1, 1, 0] accumulator f32 -> tensor<1x14x14x4xf32>
    return %c : tensor<1x14x14x4xf32>
  }
  func.func @quantize(%x: tensor<4x8xf32>, %s: tensor<f32>, %z: tensor<i8>) -> tensor<4x8xi8> {
    %q = tamis.quantize %x, %s, %z unsigned {bits = 4 : i64, origin = "q"} : tensor<4x8xf32>, tensor<f32>, tensor<i8> -> tensor<4x8xi8>
    return %q : tensor<4x8xi8>
  }
  func.func @dequantize(%q: tensor<4x8xi8>, %s: tensor<4x2xf32>) -> tensor<4x8xf32> {
    %x = tamis.dequantize %q, %s {axis = 1 : i64, block_size = 4 : i64} : tensor<4x8xi8>, tensor<4x2xf32> -> tensor<4x8xf32>
    return %x : tensor<4x8xf32>
  }
  func.func private @instructions() attributes {
    a = #tamis.vector_fma<lanes = 16, fused = true>, b = #tamis.vector_mul<lanes = 4>, c = #tamis.x86_madd<lanes = 8>,
    d = #tamis.x86_vnni<lanes = 16>, e = #tamis.x86_amx_int8
  }
}
