// RUN: tamis-opt %s --tamis-lower-views | FileCheck %s

// CHECK-LABEL: func.func @expand
// CHECK-SAME: %[[D:[a-z0-9]+]]: index
// CHECK: memref.reinterpret_cast %{{.+}} to offset: [0], sizes: [1, 1, %[[D]], 1], strides: [%{{.+}}, %{{.+}}, 1, 1]
func.func @expand(%m: memref<?xi64>, %d : index) -> memref<1x1x?x1xi64> {
  %e = memref.expand_shape %m [[0, 1, 2, 3]] output_shape [1, 1, %d, 1] : memref<?xi64> into memref<1x1x?x1xi64>
  return %e: memref<1x1x?x1xi64>
}

// CHECK-LABEL: func.func @collapse
// CHECK: memref.reinterpret_cast %{{.+}} to offset: [0], sizes: [%{{.+}}, 24], strides: [24, 1]
func.func @collapse(%m: memref<?x4x6xi64>) -> memref<?x24xi64> {
  %c = memref.collapse_shape %m [[0], [1, 2]] : memref<?x4x6xi64> into memref<?x24xi64>
  return %c: memref<?x24xi64>
}

// Upstream's patterns know buffers with gaps.
// CHECK-LABEL: func.func @expand_gaps
// CHECK: memref.reinterpret_cast %{{.+}} to offset: [0], sizes: [4, 2, 3], strides: [8, 3, 1]
func.func @expand_gaps(%m: memref<4x6xf32, strided<[8, 1]>>) -> memref<4x2x3xf32, strided<[8, 3, 1]>> {
  %e = memref.expand_shape %m [[0], [1, 2]] output_shape [4, 2, 3] : memref<4x6xf32, strided<[8, 1]>> into memref<4x2x3xf32, strided<[8, 3, 1]>>
  return %e: memref<4x2x3xf32, strided<[8, 3, 1]>>
}

// CHECK-LABEL: func.func @slice
// CHECK: memref.reinterpret_cast %{{.+}} to offset: [%{{.+}}], sizes: [2], strides: [1]
func.func @slice(%m: memref<8xf32>, %at: index) -> memref<2xf32, strided<[1], offset: ?>> {
  %s = memref.subview %m[%at] [2] [1] : memref<8xf32> to memref<2xf32, strided<[1], offset: ?>>
  return %s: memref<2xf32, strided<[1], offset: ?>>
}
