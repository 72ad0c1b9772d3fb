// RUN: tamis-opt %s --tamis-import-sparse-tensor | FileCheck %s

#CSR = #sparse_tensor.encoding<{map = (d0, d1) -> (d0 : dense, d1 : compressed)}>
#CSR32 = #sparse_tensor.encoding<{map = (d0, d1) -> (d0 : dense, d1 : compressed), posWidth = 32, crdWidth = 32}>
#CSC = #sparse_tensor.encoding<{map = (d0, d1) -> (d1 : dense, d0 : compressed)}>
#COO = #sparse_tensor.encoding<{map = (d0, d1) -> (d0 : compressed(nonunique), d1 : singleton)}>
#BSR = #sparse_tensor.encoding<{map = (i, j) -> (i floordiv 2 : dense, j floordiv 2 : compressed, i mod 2 : dense, j mod 2 : dense)}>
#NV24 = #sparse_tensor.encoding<{map = (i, j) -> (i : dense, j floordiv 4 : dense, j mod 4 : structured[2, 4])}>

// CHECK: ml_program.global private @w(dense<{{.+}}> : tensor<2x2xf32>) : tensor<2x2xf32>
ml_program.global private @w(dense<[[1.0, 0.0], [0.0, 2.0]]> : tensor<2x2xf32, #CSR>) : tensor<2x2xf32, #CSR>

// CHECK-LABEL: func.func @parameter
// CHECK-NOT: #{{.*}}sparse
// CHECK: linalg.matmul ins(%{{.+}}, %{{.+}} : tensor<3x2xf32>, tensor<2x2xf32>)
func.func @parameter(%x: tensor<3x2xf32>, %e: tensor<3x2xf32>) -> tensor<3x2xf32> {
  %w = ml_program.global_load_const @w : tensor<2x2xf32, #CSR>
  %y = linalg.matmul ins(%x, %w : tensor<3x2xf32>, tensor<2x2xf32, #CSR>) outs(%e : tensor<3x2xf32>) -> tensor<3x2xf32>
  return %y : tensor<3x2xf32>
}

// CHECK-LABEL: func.func @constant
// CHECK{LITERAL}: arith.constant dense<[[0.000000e+00, 3.000000e+00], [4.000000e+00, 0.000000e+00]]> : tensor<2x2xf32>
// CHECK-NOT: sparse_tensor
func.func @constant() -> tensor<2x2xf32> {
  %s = arith.constant sparse<[[0, 1], [1, 0]], [3.0, 4.0]> : tensor<2x2xf32>
  %c = sparse_tensor.convert %s : tensor<2x2xf32> to tensor<2x2xf32, #CSC>
  %d = sparse_tensor.convert %c : tensor<2x2xf32, #CSC> to tensor<2x2xf32>
  return %d : tensor<2x2xf32>
}

// CHECK-LABEL: func.func @rows
// CHECK{LITERAL}: arith.constant dense<[[0, 1, 0], [0, 0, 0], [2, 0, 3]]> : tensor<3x3xi8>
func.func @rows() -> tensor<3x3xi8> {
  %p = arith.constant dense<[0, 1, 1, 3]> : tensor<4xi32>
  %c = arith.constant dense<[1, 0, 2]> : tensor<3xi32>
  %v = arith.constant dense<[1, 2, 3]> : tensor<3xi8>
  %s = sparse_tensor.assemble (%p, %c), %v : (tensor<4xi32>, tensor<3xi32>), tensor<3xi8> to tensor<3x3xi8, #CSR32>
  %d = sparse_tensor.convert %s : tensor<3x3xi8, #CSR32> to tensor<3x3xi8>
  return %d : tensor<3x3xi8>
}

// CHECK-LABEL: func.func @columns
// CHECK{LITERAL}: arith.constant dense<[[0, 0, 2], [1, 0, 0], [0, 0, 3]]> : tensor<3x3xi8>
func.func @columns() -> tensor<3x3xi8> {
  %p = arith.constant dense<[0, 1, 1, 3]> : tensor<4xindex>
  %c = arith.constant dense<[1, 0, 2]> : tensor<3xindex>
  %v = arith.constant dense<[1, 2, 3]> : tensor<3xi8>
  %s = sparse_tensor.assemble (%p, %c), %v : (tensor<4xindex>, tensor<3xindex>), tensor<3xi8> to tensor<3x3xi8, #CSC>
  %d = sparse_tensor.convert %s : tensor<3x3xi8, #CSC> to tensor<3x3xi8>
  return %d : tensor<3x3xi8>
}

// CHECK-LABEL: func.func @coordinates
// CHECK{LITERAL}: arith.constant dense<[[5, 0, 0, 0], [0, 0, 6, 7]]> : tensor<2x4xi8>
func.func @coordinates() -> tensor<2x4xi8> {
  %p = arith.constant dense<[0, 3]> : tensor<2xindex>
  %c = arith.constant dense<[[0, 0], [1, 2], [1, 3]]> : tensor<3x2xindex>
  %v = arith.constant dense<[5, 6, 7]> : tensor<3xi8>
  %s = sparse_tensor.assemble (%p, %c), %v : (tensor<2xindex>, tensor<3x2xindex>), tensor<3xi8> to tensor<2x4xi8, #COO>
  %d = sparse_tensor.convert %s : tensor<2x4xi8, #COO> to tensor<2x4xi8>
  return %d : tensor<2x4xi8>
}

// CHECK-LABEL: func.func @blocks
// CHECK{LITERAL}: arith.constant dense<[[0, 0, 1, 2], [0, 0, 3, 4], [5, 6, 0, 0], [7, 8, 0, 0]]> : tensor<4x4xi8>
func.func @blocks() -> tensor<4x4xi8> {
  %p = arith.constant dense<[0, 1, 2]> : tensor<3xindex>
  %c = arith.constant dense<[1, 0]> : tensor<2xindex>
  %v = arith.constant dense<[1, 2, 3, 4, 5, 6, 7, 8]> : tensor<8xi8>
  %s = sparse_tensor.assemble (%p, %c), %v : (tensor<3xindex>, tensor<2xindex>), tensor<8xi8> to tensor<4x4xi8, #BSR>
  %d = sparse_tensor.convert %s : tensor<4x4xi8, #BSR> to tensor<4x4xi8>
  return %d : tensor<4x4xi8>
}

// CHECK-LABEL: func.func @two_of_four
// CHECK{LITERAL}: arith.constant dense<[[0, 1, 0, 2, 3, 0, 4, 0]]> : tensor<1x8xi8>
func.func @two_of_four() -> tensor<1x8xi8> {
  %c = arith.constant dense<[1, 3, 0, 2]> : tensor<4xindex>
  %v = arith.constant dense<[1, 2, 3, 4]> : tensor<4xi8>
  %s = sparse_tensor.assemble (%c), %v : (tensor<4xindex>), tensor<4xi8> to tensor<1x8xi8, #NV24>
  %d = sparse_tensor.convert %s : tensor<1x8xi8, #NV24> to tensor<1x8xi8>
  return %d : tensor<1x8xi8>
}
