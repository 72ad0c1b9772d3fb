// RUN: tamis-opt %s --tamis-bufferize | FileCheck %s

// What is taken from one place, changed and put back there needs no memory.
// CHECK-LABEL: func.func @same_place
// CHECK-NOT: memref.alloc
func.func @same_place(%t: tensor<4x8xf32>, %v: f32, %at: index) -> tensor<4x8xf32> {
  %a = tensor.extract_slice %t[0, 0] [1, 8] [1, 1] : tensor<4x8xf32> to tensor<1x8xf32>
  %f = linalg.fill ins(%v : f32) outs(%a : tensor<1x8xf32>) -> tensor<1x8xf32>
  %i = tensor.insert_slice %f into %t[0, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<4x8xf32>
  %b = tensor.extract_slice %i[%at, 0] [1, 8] [1, 1] : tensor<4x8xf32> to tensor<1x8xf32>
  %g = linalg.fill ins(%v : f32) outs(%b : tensor<1x8xf32>) -> tensor<1x8xf32>
  %j = tensor.insert_slice %g into %i[%at, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<4x8xf32>
  return %j : tensor<4x8xf32>
}

// Constants tell that the places differ: the slice must not be overwritten.
// CHECK-LABEL: func.func @other_place
// CHECK: %[[NEW:.+]] = memref.alloc()
// CHECK: linalg.fill {{.*}} outs(%[[NEW]]
// CHECK: linalg.copy ins(%[[NEW]]
func.func @other_place(%t: tensor<4x8xf32>, %v: f32) -> tensor<4x8xf32> {
  %a = tensor.extract_slice %t[0, 0] [1, 8] [1, 1] : tensor<4x8xf32> to tensor<1x8xf32>
  %f = linalg.fill ins(%v : f32) outs(%a : tensor<1x8xf32>) -> tensor<1x8xf32>
  %i = tensor.insert_slice %f into %t[1, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<4x8xf32>
  return %i : tensor<4x8xf32>
}

// Bounds of values tell that they are the same.
// CHECK-LABEL: func.func @same_by_bounds
// CHECK-NOT: memref.alloc
func.func @same_by_bounds(%t: tensor<4x8xf32>, %v: f32, %n: index) -> tensor<4x8xf32> {
  %c0 = arith.constant 0 : index
  %x = arith.addi %n, %c0 : index
  %a = tensor.extract_slice %t[%x, 0] [1, 8] [1, 1] : tensor<4x8xf32> to tensor<1x8xf32>
  %f = linalg.fill ins(%v : f32) outs(%a : tensor<1x8xf32>) -> tensor<1x8xf32>
  %i = tensor.insert_slice %f into %t[%n, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<4x8xf32>
  return %i : tensor<4x8xf32>
}
