// RUN: tamis-opt %s -split-input-file --tamis-plan-memory | FileCheck %s

// %a is dead when %c is born, so both lie at 64; %b lies behind.
// CHECK: tamis.workspace = 2112 : i64
// CHECK-LABEL: func.func @main
func.func @main(%x: memref<256xf32>, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  // CHECK: %[[A:.+]] = arith.constant 64 : index
  // CHECK: memref.view %{{.+}}[%[[A]]][] : memref<?xi8> to memref<256xf32>
  // CHECK: %[[B:.+]] = arith.constant 1088 : index
  // CHECK: memref.view %{{.+}}[%[[B]]][]
  // CHECK: %[[C:.+]] = arith.constant 64 : index
  // CHECK: memref.view %{{.+}}[%[[C]]][]
  %a = memref.alloc() : memref<256xf32>
  linalg.copy ins(%x : memref<256xf32>) outs(%a : memref<256xf32>)
  %b = memref.alloc() : memref<256xf32>
  linalg.copy ins(%a : memref<256xf32>) outs(%b : memref<256xf32>)
  %c = memref.alloc() : memref<256xf32>
  linalg.copy ins(%b : memref<256xf32>) outs(%c : memref<256xf32>)
  linalg.copy ins(%c : memref<256xf32>) outs(%x : memref<256xf32>)
  return
}

// -----

// A range bounds the size: 64 + 512 * 4.
// CHECK: tamis.workspace = 2112 : i64
// CHECK-LABEL: func.func @main
// CHECK-NOT: memref.alloc
func.func @main(%x: memref<?xf32> {tamis.dim_ranges = [array<i64: 1, 512>]}, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?xf32>
  %a = memref.alloc(%n) : memref<?xf32>
  linalg.copy ins(%x : memref<?xf32>) outs(%a : memref<?xf32>)
  linalg.copy ins(%a : memref<?xf32>) outs(%x : memref<?xf32>)
  return
}

// -----

// So does arithmetic, by both ends: %n is from -1 to 0, its negative up to 1,
// and what is left of 9 up to 10. 64 + 2 * 64, the second smaller than the first.
// CHECK: tamis.workspace = 192 : i64
// CHECK-LABEL: func.func @main
// CHECK-NOT: memref.alloc
func.func @main(%x: memref<1xindex>, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c-1 = arith.constant -1 : index
  %c9 = arith.constant 9 : index
  %data = memref.load %x[%c0] : memref<1xindex>
  %most = arith.minsi %data, %c0 : index
  %n = arith.maxsi %most, %c-1 : index
  %negative = arith.muli %n, %c-1 : index
  %left = arith.subi %c9, %n : index
  %f = arith.constant 0.0 : f32
  %a = memref.alloc(%negative) : memref<?xf32>
  %b = memref.alloc(%left) : memref<?xf32>
  linalg.fill ins(%f : f32) outs(%b : memref<?xf32>)
  linalg.fill ins(%f : f32) outs(%a : memref<?xf32>)
  linalg.fill ins(%f : f32) outs(%b : memref<?xf32>)
  return
}

// -----

// A factor of either sign bounds nothing.
// CHECK-LABEL: func.func @main
// CHECK: memref.alloc(%{{.+}}) {alignment = 64 : i64, tamis.at_run_time}
func.func @main(%x: memref<1xindex>, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c-1 = arith.constant -1 : index
  %data = memref.load %x[%c0] : memref<1xindex>
  %most = arith.minsi %data, %c0 : index
  %n = arith.muli %most, %c-1 : index
  %a = memref.alloc(%n) {alignment = 64 : i64} : memref<?xf32>
  %f = arith.constant 0.0 : f32
  linalg.fill ins(%f : f32) outs(%a : memref<?xf32>)
  return
}

// -----

// Nothing bounds what the data says.
// CHECK-LABEL: func.func @main
// CHECK: memref.alloc(%{{.+}}) {tamis.at_run_time}
func.func @main(%x: memref<1xindex>, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %n = memref.load %x[%c0] : memref<1xindex>
  %a = memref.alloc(%n) : memref<?xf32>
  %f = arith.constant 0.0 : f32
  linalg.fill ins(%f : f32) outs(%a : memref<?xf32>)
  return
}
