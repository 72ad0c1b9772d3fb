// Weights of few bits in PTX: nibbles come through workgroup memory, become
// float16 by an or and an addition, and meet tensor cores; beside float32 they
// become float32.
// RUN: tamis-compile %s --target nvptx:sm_80 --emit ptx -o - | FileCheck %s
// RUN: tamis-compile %s --target nvptx:sm_90a --emit ptx -o - | FileCheck %s

// CHECK-DAG: and.b32 {{.*}}, 983055;
// CHECK-DAG: or.b32 {{.*}}, 1677747200;
// CHECK-DAG: add.rn.f16x2
// CHECK-DAG: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK-DAG: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
// CHECK-DAG: cp.async.cg.shared.global
// CHECK-DAG: or.b32 {{.*}}, 1258291200;
// CHECK-DAG: add.rn.f32
#lhs = affine_map<(m, n, k, b) -> (m, b, k)>
#rhs = affine_map<(m, n, k, b) -> (n, b, k)>
#sums = affine_map<(m, n, k, b) -> (b, m, n)>
#read = affine_map<(m, n, b) -> (b, m, n)>
#scale = affine_map<(m, n, b) -> (n, b)>
#out = affine_map<(m, n, b) -> (m, n)>
func.func @main(%x: tensor<?x4x32xf16>, %f: tensor<?x4x32xf32>, %s: tensor<48x4xf32>) -> (tensor<?x48xf32>, tensor<?x48xf32>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<[[[-8, 7, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, -8, 7, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6]]]> : tensor<1x1x32xi8>
  %e0 = tensor.empty() : tensor<48x4x32xi8>
  %codes = linalg.generic {indexing_maps = [affine_map<(n, b, k) -> (0, 0, k)>, affine_map<(n, b, k) -> (n, b, k)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%w : tensor<1x1x32xi8>) outs(%e0 : tensor<48x4x32xi8>) {
  ^bb0(%a: i8, %o: i8):
    linalg.yield %a : i8
  } -> tensor<48x4x32xi8>
  %m = tensor.dim %x, %c0 : tensor<?x4x32xf16>
  %e1 = tensor.empty(%m) : tensor<4x?x48xf32>
  %sums = tamis.contract ins(%x, %codes : tensor<?x4x32xf16>, tensor<48x4x32xi8>) outs(%e1 : tensor<4x?x48xf32>)
    maps [#lhs, #rhs, #sums] iterators ["parallel", "parallel", "reduction", "parallel"] pad [0, 0, 0] accumulator f32 -> tensor<4x?x48xf32>
  %e2 = tensor.empty(%m) : tensor<?x48xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e2 : tensor<?x48xf32>) -> tensor<?x48xf32>
  %y = linalg.generic {indexing_maps = [#read, #scale, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums, %s : tensor<4x?x48xf32>, tensor<48x4xf32>) outs(%init : tensor<?x48xf32>) {
  ^bb0(%a: f32, %b: f32, %t: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %t, %p : f32
    linalg.yield %q : f32
  } -> tensor<?x48xf32>
  %mf = tensor.dim %f, %c0 : tensor<?x4x32xf32>
  %e3 = tensor.empty(%mf) : tensor<4x?x48xf32>
  %sumsf = tamis.contract ins(%f, %codes : tensor<?x4x32xf32>, tensor<48x4x32xi8>) outs(%e3 : tensor<4x?x48xf32>)
    maps [#lhs, #rhs, #sums] iterators ["parallel", "parallel", "reduction", "parallel"] pad [0, 0, 0] accumulator f32 -> tensor<4x?x48xf32>
  %e4 = tensor.empty(%mf) : tensor<?x48xf32>
  %initf = linalg.fill ins(%zero : f32) outs(%e4 : tensor<?x48xf32>) -> tensor<?x48xf32>
  %yf = linalg.generic {indexing_maps = [#read, #scale, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sumsf, %s : tensor<4x?x48xf32>, tensor<48x4xf32>) outs(%initf : tensor<?x48xf32>) {
  ^bb0(%a: f32, %b: f32, %t: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %t, %p : f32
    linalg.yield %q : f32
  } -> tensor<?x48xf32>
  return %y, %yf : tensor<?x48xf32>, tensor<?x48xf32>
}
