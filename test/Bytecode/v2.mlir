// What version 2 of the dialect adds, as text: offsets. v2.mlirbc is this file as
// the release that introduced version 2 wrote it; it is never written again.
// RUN: tamis-opt %S/v2.mlirbc -o %t.golden
// RUN: tamis-opt %s -o %t.text && diff %t.golden %t.text
// RUN: tamis-opt %s -emit-bytecode -o %t.mlirbc && tamis-opt %t.mlirbc | diff %t.text -

// A file of a newer dialect is refused.
// RUN: %python %S/Inputs/newer.py %S/v2.mlirbc %t.newer
// RUN: not tamis-opt %t.newer 2>&1 | FileCheck %s
// CHECK: error: bytecode of the tamis dialect has version 3, expected at most 2

module {
  func.func @dequantize(%q: tensor<4x8xi8>, %s: tensor<4x2xf32>, %z: tensor<4x2xi8>, %o: tensor<4x2xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) {
    %x = tamis.dequantize %q, %s offset(%o : tensor<4x2xf32>) unsigned {axis = 1 : i64, block_size = 4 : i64} : tensor<4x8xi8>, tensor<4x2xf32> -> tensor<4x8xf32>
    %y = tamis.dequantize %q, %s, %z offset(%o : tensor<4x2xf32>) {axis = 1 : i64, block_size = 4 : i64, origin = "w"} : tensor<4x8xi8>, tensor<4x2xf32>, tensor<4x2xi8> -> tensor<4x8xf32>
    %w = tamis.dequantize %q, %s, %z {axis = 1 : i64, block_size = 4 : i64} : tensor<4x8xi8>, tensor<4x2xf32>, tensor<4x2xi8> -> tensor<4x8xf32>
    return %x, %y, %w : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>
  }
  func.func private @schemes() attributes {a = #tamis.scheme<bits = 4, isUnsigned = true, axis = 0, block = 32, exact = true, offset = true>}
}
