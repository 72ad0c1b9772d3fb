// The telling instructions of contraction kernels in PTX.
// RUN: tamis-compile %s --target nvptx:sm_80 --emit ptx -o - | FileCheck %s
// RUN: tamis-compile %s --target nvptx:sm_90a --emit ptx -o - | FileCheck %s --check-prefix=HOPPER

// Sums wrap as they do on CPUs; products of floats stay apart from sums unless
// the kernel says so.
// HOPPER: .target sm_90a
// CHECK: .target sm_80
// CHECK: .maxntid 64
// CHECK: .minnctapersm 1
// CHECK-NOT: satfinite
// CHECK-DAG: cp.async.cg.shared.global
// CHECK-DAG: cp.async.wait_group {{.*}}4;
// CHECK-DAG: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK-DAG: mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32
// CHECK-DAG: mma.sp::ordered_metadata.sync.aligned.m16n8k64.row.col.s32.s8.s8.s32
// CHECK-DAG: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
// CHECK-DAG: cvt.rn.f16.f32
// CHECK-DAG: fma.rn.f32
// CHECK-DAG: mul.rn.f32
// CHECK-DAG: cvt.rni.f32.f32
// CHECK-NOT: satfinite
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<?x64xi8>, %s: tensor<?x8xi8>, %f: tensor<?x64xf32>, %h: tensor<?x64xf16>)
    -> (tensor<?x16xf32>, tensor<?x1xi32>, tensor<?x16xf32>, tensor<?x16xf16>) {
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x64xi8>
  %e = tensor.empty(%m) : tensor<?x16xf32>
  %w = arith.constant dense<3> : tensor<64x16xi8>
  %scale = arith.constant 0.25 : f32
  %y = tamis.contract ins(%x, %w : tensor<?x64xi8>, tensor<64x16xi8>) outs(%e : tensor<?x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 {lhs_unsigned} epilogue {
    ^bb0(%acc: i32):
      %float = arith.sitofp %acc : i32 to f32
      %scaled = arith.mulf %float, %scale : f32
      %r = math.roundeven %scaled : f32
      tamis.yield %r : f32
    } -> tensor<?x16xf32>
  %ms = tensor.dim %s, %c0 : tensor<?x8xi8>
  %es = tensor.empty(%ms) : tensor<?x1xi32>
  %ws = arith.constant dense<[[1], [0], [2], [0], [0], [0], [3], [4]]> : tensor<8x1xi8>
  %ys = tamis.contract ins(%s, %ws : tensor<?x8xi8>, tensor<8x1xi8>) outs(%es : tensor<?x1xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<?x1xi32>
  %mf = tensor.dim %f, %c0 : tensor<?x64xf32>
  %ef = tensor.empty(%mf) : tensor<?x16xf32>
  %wf = arith.constant dense<3.0> : tensor<64x16xf32>
  %yf = tamis.contract ins(%f, %wf : tensor<?x64xf32>, tensor<64x16xf32>) outs(%ef : tensor<?x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<?x16xf32>
  %mh = tensor.dim %h, %c0 : tensor<?x64xf16>
  %eh = tensor.empty(%mh) : tensor<?x16xf16>
  %wh = arith.constant dense<3.0> : tensor<64x16xf16>
  %yh = tamis.contract ins(%h, %wh : tensor<?x64xf16>, tensor<64x16xf16>) outs(%eh : tensor<?x16xf16>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 epilogue {
    ^bb0(%acc: f32):
      %half = arith.truncf %acc : f32 to f16
      tamis.yield %half : f16
    } -> tensor<?x16xf16>
  return %y, %ys, %yf, %yh : tensor<?x16xf32>, tensor<?x1xi32>, tensor<?x16xf32>, tensor<?x16xf16>
}
