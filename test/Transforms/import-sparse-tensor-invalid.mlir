// RUN: tamis-opt %s -split-input-file -verify-diagnostics --tamis-import-sparse-tensor

#CSR = #sparse_tensor.encoding<{map = (d0, d1) -> (d0 : dense, d1 : compressed)}>
// expected-error@+1 {{argument #0 of 'tensor<2x2xf32, #sparse}}
func.func @argument(%w: tensor<2x2xf32, #CSR>) {
  return
}

// -----

#CSR = #sparse_tensor.encoding<{map = (d0, d1) -> (d0 : dense, d1 : compressed)}>
func.func @values_of_a_call(%v: tensor<3xi8>) {
  %p = arith.constant dense<[0, 1, 1, 3]> : tensor<4xindex>
  %c = arith.constant dense<[1, 0, 2]> : tensor<3xindex>
  // expected-error@+1 {{values expected to be constant}}
  %s = sparse_tensor.assemble (%p, %c), %v : (tensor<4xindex>, tensor<3xindex>), tensor<3xi8> to tensor<3x3xi8, #CSR>
  return
}

// -----

#CSR = #sparse_tensor.encoding<{map = (d0, d1) -> (d0 : dense, d1 : compressed)}>
func.func @array_of_a_call(%c: tensor<3xindex>) {
  %p = arith.constant dense<[0, 1, 1, 3]> : tensor<4xindex>
  %v = arith.constant dense<[1, 2, 3]> : tensor<3xi8>
  // expected-error@+1 {{array #1 expected to be constant}}
  %s = sparse_tensor.assemble (%p, %c), %v : (tensor<4xindex>, tensor<3xindex>), tensor<3xi8> to tensor<3x3xi8, #CSR>
  return
}

// -----

#CSR = #sparse_tensor.encoding<{map = (d0, d1) -> (d0 : dense, d1 : compressed)}>
func.func @positions_fall() {
  %p = arith.constant dense<[0, 2, 1, 3]> : tensor<4xindex>
  %c = arith.constant dense<[1, 0, 2]> : tensor<3xindex>
  %v = arith.constant dense<[1, 2, 3]> : tensor<3xi8>
  // expected-error@+1 {{array #0: expected positions that do not fall, got 2 and 1}}
  %s = sparse_tensor.assemble (%p, %c), %v : (tensor<4xindex>, tensor<3xindex>), tensor<3xi8> to tensor<3x3xi8, #CSR>
  return
}

// -----

#CSR = #sparse_tensor.encoding<{map = (d0, d1) -> (d0 : dense, d1 : compressed)}>
func.func @coordinate_outside() {
  %p = arith.constant dense<[0, 1, 1, 3]> : tensor<4xindex>
  %c = arith.constant dense<[1, 0, 3]> : tensor<3xindex>
  %v = arith.constant dense<[1, 2, 3]> : tensor<3xi8>
  // expected-error@+1 {{array #1: expected coordinates below 3, got 3}}
  %s = sparse_tensor.assemble (%p, %c), %v : (tensor<4xindex>, tensor<3xindex>), tensor<3xi8> to tensor<3x3xi8, #CSR>
  return
}

// -----

#CSR = #sparse_tensor.encoding<{map = (d0, d1) -> (d0 : dense, d1 : compressed)}>
func.func @coordinates_missing() {
  %p = arith.constant dense<[0, 1, 1, 4]> : tensor<4xindex>
  %c = arith.constant dense<[1, 0, 2]> : tensor<3xindex>
  %v = arith.constant dense<[1, 2, 3]> : tensor<3xi8>
  // expected-error@+1 {{array #1: expected more than 3 elements}}
  %s = sparse_tensor.assemble (%p, %c), %v : (tensor<4xindex>, tensor<3xindex>), tensor<3xi8> to tensor<3x3xi8, #CSR>
  return
}

// -----

#CSR = #sparse_tensor.encoding<{map = (d0, d1) -> (d0 : dense, d1 : compressed)}>
func.func @values_missing() {
  %p = arith.constant dense<[0, 1, 1, 3]> : tensor<4xindex>
  %c = arith.constant dense<[1, 0, 2]> : tensor<3xindex>
  %v = arith.constant dense<[1, 2]> : tensor<2xi8>
  // expected-error@+1 {{expected more than 2 values}}
  %s = sparse_tensor.assemble (%p, %c), %v : (tensor<4xindex>, tensor<3xindex>), tensor<2xi8> to tensor<3x3xi8, #CSR>
  return
}

// -----

#CSR = #sparse_tensor.encoding<{map = (d0, d1) -> (d0 : dense, d1 : compressed)}>
func.func @another_operation() -> index {
  %s = arith.constant dense<1.0> : tensor<2x2xf32, #CSR>
  // expected-error@+1 {{has no dense form}}
  %n = sparse_tensor.number_of_entries %s : tensor<2x2xf32, #CSR>
  return %n : index
}
