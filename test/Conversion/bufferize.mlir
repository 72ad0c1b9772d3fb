// RUN: tamis-opt %s --tamis-bind-buffers --eliminate-empty-tensors --tamis-bufferize | FileCheck %s

ml_program.global private @w(dense<2.0> : tensor<2x3xf32>) : tensor<2x3xf32>

// The result is computed in the caller's memory; the parameter stays global.
// CHECK: ml_program.global private @w
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[Y:[^:]+]]: memref<2x3xf32> {tamis.output = 0 : i64}
// CHECK-NOT: memref.alloc
// CHECK: linalg.add ins(%{{.+}}, %{{.+}} : {{.*}}) outs(%[[Y]] : memref<2x3xf32>)
func.func @main(%x: tensor<2x3xf32> {tamis.name = "x", tamis.dtype = "float32"})
    -> (tensor<2x3xf32> {tamis.name = "y", tamis.dtype = "float32"}) {
  %w = ml_program.global_load_const @w : tensor<2x3xf32>
  %e = tensor.empty() : tensor<2x3xf32>
  %y = linalg.add ins(%x, %w : tensor<2x3xf32>, tensor<2x3xf32>) outs(%e : tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// Kernels load vectors of neighbours: what a slice leaves apart is copied, a
// slice of whole neighbours is not.
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
// CHECK-LABEL: func.func @slices_of_a_kernel
// CHECK: %[[GAPS:.+]] = memref.subview %{{.+}} [1, 2] : memref<4x32xf32> to memref<4x8xf32, strided<[32, 2]>>
// CHECK: %[[COPY:.+]] = memref.alloc() {alignment = 64 : i64} : memref<4x8xf32>
// CHECK: linalg.copy ins(%[[GAPS]] : {{.+}}) outs(%[[COPY]] : memref<4x8xf32>)
// CHECK: tamis_kernel.contract ins(%[[COPY]], %{{.+}} : memref<4x8xf32>, memref<8x16xf32, strided<[32, 1]>>)
func.func @slices_of_a_kernel(%x: tensor<4x32xf32>, %w: tensor<8x32xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %s = tensor.extract_slice %x[0, 0] [4, 8] [1, 2] : tensor<4x32xf32> to tensor<4x8xf32>
  %t = tensor.extract_slice %w[0, 0] [8, 16] [1, 1] : tensor<8x32xf32> to tensor<8x16xf32>
  %y = tamis_kernel.contract ins(%s, %t : tensor<4x8xf32>, tensor<8x16xf32>) outs(%e : tensor<4x16xf32>)
         maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [4, 16, 8]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 0] -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}
