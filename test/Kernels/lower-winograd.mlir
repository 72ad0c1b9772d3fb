// RUN: tamis-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tamis-lower-contractions),canonicalize,cse)' | FileCheck %s

// 4 x 4 results are whole tiles of 2 x 2: 16 places are read and written for each vector of channels.
// CHECK-LABEL: @whole_tiles
// CHECK-NOT: scf.if
// CHECK: scf.for
// CHECK-COUNT-16: vector.load {{.*}} vector<8xf32>
// CHECK: arith.subf
// CHECK-COUNT-16: vector.store {{.*}} vector<8xf32>
// CHECK-NOT: vector.{{load|store}}
func.func @whole_tiles(%x: memref<1x6x6x16xf32>, %t: memref<16x2x16xf32>, %line: index) {
  %zero = arith.constant 0 : index
  tamis_kernel.winograd_input ins(%x : memref<1x6x6x16xf32>) outs(%t : memref<16x2x16xf32>) at %zero, %line output 2 by #tamis.vector_fma<lanes = 8, fused = true>
  return
}

// -----

// Tiles of the last line and place are read as far as there is something; half a vector of channels likewise.
// CHECK-LABEL: @ends_of_images
// CHECK: scf.if
// CHECK-COUNT-16: vector.load
// CHECK-COUNT-16: vector.maskedload
// CHECK: } else {
// CHECK-COUNT-32: vector.maskedload
// CHECK-NOT: vector.load
func.func @ends_of_images(%x: memref<1x5x6x12xf32>, %t: memref<16x2x16xf32>, %line: index) {
  %zero = arith.constant 0 : index
  %tiles = memref.subview %t[0, 0, 0] [16, 2, 12] [1, 1, 1] : memref<16x2x16xf32> to memref<16x2x12xf32, strided<[32, 16, 1]>>
  tamis_kernel.winograd_input ins(%x : memref<1x5x6x12xf32>) outs(%tiles : memref<16x2x12xf32, strided<[32, 16, 1]>>) at %zero, %line output 2 by #tamis.vector_fma<lanes = 8, fused = true>
  return
}

// -----

// Products of 2 and 1/2 are added by the instruction.
// CHECK-LABEL: @tiles_of_four
// CHECK: vector.fma
func.func @tiles_of_four(%x: memref<1x6x6x8xf32>, %t: memref<36x1x8xf32>) {
  %zero = arith.constant 0 : index
  tamis_kernel.winograd_input ins(%x : memref<1x6x6x8xf32>) outs(%t : memref<36x1x8xf32>) at %zero, %zero output 4 by #tamis.vector_fma<lanes = 8, fused = true>
  return
}

// -----

// The results wait beside each other for one epilogue; the second of three lines is the last of its tile.
// CHECK-LABEL: @epilogue
// CHECK: %[[RESULTS:.+]] = memref.alloca() {alignment = 64 : i64} : memref<32xf32>
// CHECK: scf.for
// CHECK-COUNT-16: vector.load {{.*}} vector<8xf32>
// CHECK-COUNT-4: vector.store {{.*}} %[[RESULTS]]
// CHECK: %[[LEFT:.+]] = arith.subi %c3, %{{.+}}
// CHECK: %[[LINES:.+]] = arith.minui %[[LEFT]], %c2
// CHECK: scf.for %{{.+}} = %c0 to %[[LINES]] step %c1
// CHECK: scf.for %{{.+}} = %c0 to %c2 step %c1
// CHECK: %[[SUM:.+]] = vector.load %[[RESULTS]]
// CHECK: %[[BIAS:.+]] = vector.load
// CHECK: %[[R:.+]] = arith.addf %[[SUM]], %[[BIAS]]
// CHECK: vector.store %[[R]]
func.func @epilogue(%t: memref<16x4x8xf32>, %b: memref<8xf32>, %y: memref<1x3x4x8xf32>) {
  %zero = arith.constant 0 : index
  tamis_kernel.winograd_output ins(%t : memref<16x4x8xf32>) extras(%b : memref<8xf32>) outs(%y : memref<1x3x4x8xf32>)
      maps [affine_map<(n, h, w, c) -> (c)>] at %zero, %zero output 2 by #tamis.vector_fma<lanes = 8, fused = true> epilogue {
  ^bb0(%sum: f32, %v: f32):
    %r = arith.addf %sum, %v : f32
    tamis.yield %r : f32
  }
  return
}
