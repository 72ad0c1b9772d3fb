// Products of 16 bits, and dp4a, which no target reaches, as PTX.
// RUN: rm -rf %t && mkdir %t
// RUN: tamis-opt %s --pass-pipeline='builtin.module(tamis-map-to-gpu,gpu-launch-sink-index-computations,gpu-kernel-outlining,tamis-flatten-launches{pointers},canonicalize,cse,gpu.module(convert-scf-to-cf,tamis-lower-to-nvvm),tamis-embed-kernels{folder=%t})' | FileCheck %s --check-prefix=HOST
// RUN: FileCheck %s < %t/kernels.ptx

// HOST: llvm.mlir.global internal constant @tamis_ptx
// HOST: llvm.mlir.global internal constant @tamis_kernels
// CHECK: .target sm_89
// CHECK-DAG: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
// CHECK-DAG: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK-DAG: dp4a.s32.u32
#maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
module attributes {tamis.target = #tamis.target<"nvptx64", ["sm_89"]>} {
  func.func private @kernel_0(%x: memref<8x32xf16>, %w: memref<16x32xf16>, %y: memref<8x16xf32>) {
    tamis_gpu.contract ins(%x, %w : memref<8x32xf16>, memref<16x32xf16>) outs(%y : memref<8x16xf32>)
      maps #maps bounds [8, 16, 32] accumulator f32 by #tamis_gpu.mma<element = f16, emulated = false>
      tiles <channels = 16, rows = 8, words = 16, warpChannels = 16, warpRows = 8, stages = 2>
    return
  }
  func.func private @kernel_1(%x: memref<8x32xbf16>, %w: memref<16x32xbf16>, %y: memref<8x16xf32>) {
    tamis_gpu.contract ins(%x, %w : memref<8x32xbf16>, memref<16x32xbf16>) outs(%y : memref<8x16xf32>)
      maps #maps bounds [8, 16, 32] accumulator f32 by #tamis_gpu.mma<element = bf16, emulated = false>
      tiles <channels = 16, rows = 8, words = 16, warpChannels = 16, warpRows = 8, stages = 2>
    return
  }
  func.func private @kernel_2(%x: memref<8x32xi8>, %w: memref<16x32xi8>, %y: memref<8x16xi32>) {
    tamis_gpu.contract ins(%x, %w : memref<8x32xi8>, memref<16x32xi8>) outs(%y : memref<8x16xi32>)
      maps #maps bounds [8, 16, 32] accumulator i32 by #tamis_gpu.lane_dot<native = true>
      tiles <channels = 16, rows = 8, words = 16, warpChannels = 16, warpRows = 8, stages = 2> {lhs_unsigned}
    return
  }
  func.func @main(%a: memref<8x32xf16>, %b: memref<16x32xf16>, %c: memref<8x32xbf16>, %d: memref<16x32xbf16>, %e: memref<8x32xi8>,
                  %f: memref<16x32xi8>, %x: memref<8x16xf32>, %y: memref<8x16xf32>, %z: memref<8x16xi32>, %workspace: memref<?xi8>,
                  %weights: memref<?xi8>) {
    call @kernel_0(%a, %b, %x) : (memref<8x32xf16>, memref<16x32xf16>, memref<8x16xf32>) -> ()
    call @kernel_1(%c, %d, %y) : (memref<8x32xbf16>, memref<16x32xbf16>, memref<8x16xf32>) -> ()
    call @kernel_2(%e, %f, %z) : (memref<8x32xi8>, memref<16x32xi8>, memref<8x16xi32>) -> ()
    return
  }
}
