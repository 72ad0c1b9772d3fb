// RUN: tamis-opt %s --tamis-map-to-gpu | FileCheck %s

// Two warps of 32 lanes; tiles of weights and rows in workgroup memory, and the
// words through which warps exchange registers where products are emulated.
// CHECK-LABEL: func.func private @kernel_0
// CHECK: gpu.launch blocks({{.*}}) in (%{{.*}} = %[[X:.*]], %{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}) threads
// CHECK-SAME: workgroup(%[[W:[a-z0-9]+]] : memref<512xi32, #gpu.address_space<workgroup>>, %[[R:[a-z0-9]+]] : memref<512xi32, #gpu.address_space<workgroup>>, %{{[a-z0-9]+}} : memref<384xi32, #gpu.address_space<workgroup>>)
// CHECK: scf.for
// CHECK: gpu.barrier
// CHECK: memref.store %{{.*}}, %[[W]]
// CHECK: memref.store %{{.*}}, %[[R]]
// CHECK: gpu.barrier
// CHECK-NOT: nvvm
// CHECK: memref.store %{{.*}} : memref<37x32xi32>
// CHECK: gpu.terminator
// CHECK-NOT: tamis_gpu.contract
func.func private @kernel_0(%x: memref<37x64xi8>, %w: memref<1x1x1x2048xi8>, %y: memref<37x32xi32>) {
  tamis_gpu.contract ins(%x, %w : memref<37x64xi8>, memref<1x1x1x2048xi8>) outs(%y : memref<37x32xi32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    bounds [37, 32, 64] accumulator i32 by #tamis_gpu.mma<element = i8, emulated = true>
    tiles <channels = 32, rows = 32, words = 16, warpChannels = 32, warpRows = 16, stages = 1> {packed}
  return
}

func.func @main(%x: memref<37x64xi8>, %w: memref<1x1x1x2048xi8>, %y: memref<37x32xi32>, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  call @kernel_0(%x, %w, %y) : (memref<37x64xi8>, memref<1x1x1x2048xi8>, memref<37x32xi32>) -> ()
  return
}
