// Weights without zero words and divided reductions in PTX: records come by
// asynchronous copies, of which what is not there is zero bytes, a word of
// places is taken apart, and tensor cores multiply what was put in its place.
// Open rows have a kernel for few of them beside that for many.
// RUN: tamis-compile %s --target nvptx:sm_80 --emit ptx -o - | FileCheck %s
// RUN: tamis-compile %s --target nvptx:sm_90a --emit ptx -o - | FileCheck %s

// CHECK: .entry kernel_0_kernel(
// CHECK-DAG: cp.async.cg.shared.global [{{.*}}], [{{.*}}], 16, %r
// CHECK-DAG: shr.u32 %r{{[0-9]+}}, %r{{[0-9]+}}, 24
// CHECK-DAG: fma.rn.f32
// CHECK: .entry kernel_0_kernel_1(
// CHECK: add.rn.f32
// CHECK: .entry kernel_1_kernel(
// CHECK-DAG: cp.async.cg.shared.global
// CHECK-DAG: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK-DAG: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
// CHECK: .entry kernel_2_kernel(
// CHECK-DAG: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
// CHECK: .entry kernel_2_kernel_1(
// CHECK-DAG: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
// CHECK: .entry kernel_3_kernel(
// CHECK-DAG: mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<1x4096xf32>, %h: tensor<4x8192xf16>, %o: tensor<?x64xf16>, %b: tensor<2x8192xi8>)
    -> (tensor<1x768xf32>, tensor<4x1024xf32>, tensor<?x64xf32>, tensor<2x4096xi32>) {
  %e = tensor.empty() : tensor<1x768xf32>
  %w = arith.constant dense<0.0> : tensor<4096x768xf32>
  %y = tamis.contract ins(%x, %w : tensor<1x4096xf32>, tensor<4096x768xf32>) outs(%e : tensor<1x768xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x768xf32>
  %eh = tensor.empty() : tensor<4x1024xf32>
  %wh = arith.constant dense<0.0> : tensor<8192x1024xf16>
  %yh = tamis.contract ins(%h, %wh : tensor<4x8192xf16>, tensor<8192x1024xf16>) outs(%eh : tensor<4x1024xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x1024xf32>
  %c0 = arith.constant 0 : index
  %m = tensor.dim %o, %c0 : tensor<?x64xf16>
  %eo = tensor.empty(%m) : tensor<?x64xf32>
  %wo = arith.constant dense<2.0> : tensor<64x64xf16>
  %yo = tamis.contract ins(%o, %wo : tensor<?x64xf16>, tensor<64x64xf16>) outs(%eo : tensor<?x64xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<?x64xf32>
  %eb = tensor.empty() : tensor<2x4096xi32>
  %wb = arith.constant dense<0> : tensor<8192x4096xi8>
  %yb = tamis.contract ins(%b, %wb : tensor<2x8192xi8>, tensor<8192x4096xi8>) outs(%eb : tensor<2x4096xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<2x4096xi32>
  return %y, %yh, %yo, %yb : tensor<1x768xf32>, tensor<4x1024xf32>, tensor<?x64xf32>, tensor<2x4096xi32>
}
