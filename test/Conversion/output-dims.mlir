// RUN: tamis-opt %s -split-input-file --tamis-output-dims | FileCheck %s

// The second size is twice the input's, whatever computes the values.
// CHECK-LABEL: func.func private @output_dims
// CHECK-SAME: (%[[D0:.+]]: index, %{{.+}}: index) -> (index, index)
// CHECK: %[[TWICE:.+]] = affine.apply #{{.+}}()[%[[D0]]]
// CHECK: return %[[TWICE]], %{{.+}}
#twice = affine_map<()[s] -> (s * 2)>
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %d = tensor.dim %x, %c0 : tensor<?x8xf32>
  %n = affine.apply #twice()[%d]
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %f : tensor<?x8xf32>
}

// -----

// CHECK-LABEL: func.func private @output_dims
// CHECK: arith.constant -1 : index
// CHECK-LABEL: func.func @main
// CHECK-SAME: -> (tensor<?xf32> {tamis.unbounded})
func.func @main(%x: tensor<8xf32>, %size: tensor<1xindex>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.extract %size[%c0] : tensor<1xindex>
  %s = tensor.extract_slice %x[0] [%n] [1] : tensor<8xf32> to tensor<?xf32>
  return %s : tensor<?xf32>
}
