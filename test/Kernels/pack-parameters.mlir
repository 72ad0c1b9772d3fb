// RUN: tamis-opt %s --tamis-pack-parameters | FileCheck %s
// RUN: tamis-opt %s --tamis-pack-parameters --tamis-pack-parameters | FileCheck %s

// CHECK-DAG: ml_program.global private @packed(dense<5.000000e-01> : tensor<1x16x64x16xf32>)
// CHECK-DAG: ml_program.global private @packed_0(dense_resource<packed> : tensor<1x16x17x32xbf16>)
// CHECK: ml_program.global private @w.packed(dense_resource<w.packed> : tensor<1x2x1x8xi8>) : tensor<1x2x1x8xi8>
// CHECK: ml_program.global private @w.sums(dense_resource<w.sums> : tensor<1x4xi32>) : tensor<1x4xi32>
// CHECK-NOT: @w(
ml_program.global private @w(dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi8>) : tensor<2x3xi8>
// CHECK: ml_program.global private @still_read
ml_program.global private @still_read(dense<1.0> : tensor<2x2xf32>) : tensor<2x2xf32>

// CHECK-LABEL: func.func @columns_are_padded
func.func @columns_are_padded() -> (tensor<1x2x1x8xi8>, tensor<1x4xi32>) {
  %w = ml_program.global_load_const @w : tensor<2x3xi8>
  %e = tensor.empty() : tensor<1x2x1x8xi8>
  %s = tensor.empty() : tensor<1x4xi32>
  // CHECK: ml_program.global_load_const @w.packed
  // CHECK: ml_program.global_load_const @w.sums
  %p:2 = tamis_kernel.pack ins(%w : tensor<2x3xi8>) outs(%e : tensor<1x2x1x8xi8>) sums(%s : tensor<1x4xi32>)
           groups [] column 1 reductions [0] run 1 step 4 {offset = 1 : i64} -> tensor<1x2x1x8xi8> sums tensor<1x4xi32>
  return %p#0, %p#1 : tensor<1x2x1x8xi8>, tensor<1x4xi32>
}

// CHECK-LABEL: func.func @equal_packs_are_shared
func.func @equal_packs_are_shared() -> (tensor<1x2x1x8xi8>, tensor<1x4xi32>) {
  %w = ml_program.global_load_const @w : tensor<2x3xi8>
  %e = tensor.empty() : tensor<1x2x1x8xi8>
  %s = tensor.empty() : tensor<1x4xi32>
  // CHECK: ml_program.global_load_const @w.packed
  // CHECK: ml_program.global_load_const @w.sums
  %p:2 = tamis_kernel.pack ins(%w : tensor<2x3xi8>) outs(%e : tensor<1x2x1x8xi8>) sums(%s : tensor<1x4xi32>)
           groups [] column 1 reductions [0] run 1 step 4 {offset = 1 : i64} -> tensor<1x2x1x8xi8> sums tensor<1x4xi32>
  return %p#0, %p#1 : tensor<1x2x1x8xi8>, tensor<1x4xi32>
}

// CHECK-LABEL: func.func @through_a_transpose
func.func @through_a_transpose() -> tensor<1x1x2x2xf32> {
  // CHECK-NOT: linalg.transpose
  // CHECK{LITERAL}: arith.constant dense<[[[[1.000000e+00, 3.000000e+00], [2.000000e+00, 4.000000e+00]]]]>
  %w = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %t = tensor.empty() : tensor<2x2xf32>
  %x = linalg.transpose ins(%w : tensor<2x2xf32>) outs(%t : tensor<2x2xf32>) permutation = [1, 0]
  %e = tensor.empty() : tensor<1x1x2x2xf32>
  %p = tamis_kernel.pack ins(%x : tensor<2x2xf32>) outs(%e : tensor<1x1x2x2xf32>)
         groups [] column 1 reductions [0] run 1 step 1 -> tensor<1x1x2x2xf32>
  return %p : tensor<1x1x2x2xf32>
}

// CHECK-LABEL: func.func @splats_stay_one_element
func.func @splats_stay_one_element() -> (tensor<1x16x64x16xf32>, tensor<1x16x64x16xf32>, tensor<1x16x17x32xbf16>) {
  // CHECK: ml_program.global_load_const @packed : tensor<1x16x64x16xf32>
  %w = arith.constant dense<0.5> : tensor<64x250xf32>
  %e = tensor.empty() : tensor<1x16x64x16xf32>
  %p = tamis_kernel.pack ins(%w : tensor<64x250xf32>) outs(%e : tensor<1x16x64x16xf32>)
         groups [] column 1 reductions [0] run 1 step 1 -> tensor<1x16x64x16xf32>
  // CHECK: ml_program.global_load_const @packed : tensor<1x16x64x16xf32>
  %q = tamis_kernel.pack ins(%w : tensor<64x250xf32>) outs(%e : tensor<1x16x64x16xf32>)
         groups [] column 1 reductions [0] run 1 step 1 -> tensor<1x16x64x16xf32>
  // An odd number of products: the last pair is padded with zeros.
  // CHECK: ml_program.global_load_const @packed_0 : tensor<1x16x17x32xbf16>
  %v = arith.constant dense<0.5> : tensor<33x250xbf16>
  %f = tensor.empty() : tensor<1x16x17x32xbf16>
  %r = tamis_kernel.pack ins(%v : tensor<33x250xbf16>) outs(%f : tensor<1x16x17x32xbf16>)
         groups [] column 1 reductions [0] run 1 step 2 -> tensor<1x16x17x32xbf16>
  return %p, %q, %r : tensor<1x16x64x16xf32>, tensor<1x16x64x16xf32>, tensor<1x16x17x32xbf16>
}

// CHECK-LABEL: func.func @keeps_activation
func.func @keeps_activation(%w: tensor<2x2xf32>) -> (tensor<1x1x2x2xf32>, tensor<2x2xf32>) {
  // CHECK: tamis_kernel.pack
  %e = tensor.empty() : tensor<1x1x2x2xf32>
  %p = tamis_kernel.pack ins(%w : tensor<2x2xf32>) outs(%e : tensor<1x1x2x2xf32>)
         groups [] column 1 reductions [0] run 1 step 1 -> tensor<1x1x2x2xf32>
  %r = ml_program.global_load_const @still_read : tensor<2x2xf32>
  return %p, %r : tensor<1x1x2x2xf32>, tensor<2x2xf32>
}

// The bytes: columns 0 and 1 in the first panel, 2 and nothing in the second,
// each less the offset, padded to four steps.
// CHECK: w.packed: "0x400000000003000001040000020500000000000
// CHECK: w.sums: "0x400000000300000005000000070000000000000
