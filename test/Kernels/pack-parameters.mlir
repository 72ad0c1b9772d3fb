// RUN: tamis-opt %s --tamis-pack-parameters | FileCheck %s
// RUN: tamis-opt %s --tamis-pack-parameters --tamis-pack-parameters | FileCheck %s

// CHECK-DAG: ml_program.global private @packed(dense<5.000000e-01> : tensor<1x16x64x16xf32>)
// CHECK-DAG: ml_program.global private @packed_0(dense_resource<packed> : tensor<1x16x17x32xbf16>)
// CHECK: ml_program.global private @w.packed(dense_resource<w.packed> : tensor<1x2x1x8xi8>) : tensor<1x2x1x8xi8>
// CHECK: ml_program.global private @w.sums(dense_resource<w.sums> : tensor<1x4xi32>) : tensor<1x4xi32>
// CHECK-NOT: @w(
ml_program.global private @w(dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi8>) : tensor<2x3xi8>
// CHECK: ml_program.global private @v.values(dense_resource<v.values> : tensor<2x8xi8>) : tensor<2x8xi8>
// CHECK: ml_program.global private @v.starts(dense_resource<v.starts> : tensor<5xi32>) : tensor<5xi32>
// CHECK: ml_program.global private @v.sums(dense_resource<v.sums> : tensor<1x8xi32>) : tensor<1x8xi32>
// CHECK-NOT: @v(
ml_program.global private @v(dense<[[128, 0, 128, 255], [128, 129, 126, 128]]> : tensor<2x4xi8>) : tensor<2x4xi8>
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

// CHECK-LABEL: func.func @stream_of_floats
func.func @stream_of_floats() -> (tensor<4x2xf32>, tensor<7xi32>) {
  // Columns are rows of %w; words 0 to 3 are 16 words of the stage apart: 1.4e-45 as a float is 1.
  %w = arith.constant dense<[[[0.0, 1.0], [-0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]], [[3.0, 0.0], [0.0, 4.0]]]> : tensor<3x2x2xf32>
  // CHECK-DAG{LITERAL}: arith.constant dense<[[1.000000e+00, 2.242080e-44], [2.000000e+00, 6.726230e-44], [3.000000e+00, 0.000000e+00], [4.000000e+00, 6.726230e-44]]> : tensor<4x2xf32>
  // CHECK-DAG: arith.constant dense<[0, 0, 2, 1, 2, 2, 4]> : tensor<7xi32>
  %v, %s = tamis_kernel.pack_stream %w column 0 reductions [1, 2] step 1 <entries = 4, positions = 16, pitch = 16>
    : tensor<3x2x2xf32> -> tensor<4x2xf32>, tensor<7xi32>
  return %v, %s : tensor<4x2xf32>, tensor<7xi32>
}

// Word 1 of tap 1 of line 1 lies pitch + tap + 10 words in.
// CHECK-LABEL: func.func @stream_of_windows
func.func @stream_of_windows() -> (tensor<3x2xf32>, tensor<3xi32>) {
  %w = arith.constant dense<[[[[1.0], [0.0]], [[0.0], [0.0]]], [[[0.0], [2.0]], [[0.0], [3.0]]]]> : tensor<2x2x2x1xf32>
  // CHECK-DAG{LITERAL}: arith.constant dense<[[1.000000e+00, 0.000000e+00], [2.000000e+00, 4.764410e-44], [3.000000e+00, 4.904540e-44]]> : tensor<3x2xf32>
  // CHECK-DAG: arith.constant dense<[0, 0, 3]> : tensor<3xi32>
  %v, %s = tamis_kernel.pack_stream %w column 3 reductions [0, 1, 2] step 1 <entries = 3, positions = 8, pitch = 24, taps = 2, line = 10>
    : tensor<2x2x2x1xf32> -> tensor<3x2xf32>, tensor<3xi32>
  return %v, %s : tensor<3x2xf32>, tensor<3xi32>
}

// Both words of a tap are parts, one staged behind the other; the longest list of a part comes first.
// CHECK-LABEL: func.func @stream_of_parts
func.func @stream_of_parts() -> (tensor<6x8xi8>, tensor<13xi32>, tensor<1x8xi32>) {
  %w = arith.constant dense<[[[[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0]],
                              [[0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0]]],
                             [[[0, 0, 0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 0, 0, 0, 0]],
                              [[0, 0, 0, 0, 4, 4, 4, 4], [2, 2, 2, 2, 0, 0, 0, 0]]],
                             [[[0, 0, 0, 0, 5, 5, 5, 5], [0, 0, 0, 0, 0, 0, 0, 0]],
                              [[0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 6, 6, 6, 6]]]]> : tensor<3x2x2x8xi8>
  // CHECK-DAG{LITERAL}: arith.constant dense<[[3, 3, 3, 3, 1, 0, 0, 0], [2, 2, 2, 2, 11, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0], [5, 5, 5, 5, 24, 0, 0, 0], [6, 6, 6, 6, 35, 0, 0, 0], [4, 4, 4, 4, 34, 0, 0, 0]]> : tensor<6x8xi8>
  // CHECK-DAG: arith.constant dense<[0, 1, 2, 0, 3, 2, 3, 2, 5, 1, 6, 0, 6]> : tensor<13xi32>
  %v, %s, %t = tamis_kernel.pack_stream %w column 0 reductions [1, 2, 3] step 4 <entries = 6, positions = 8, pitch = 24, taps = 2, line = 10, parts = 2, sorted = 4>
    : tensor<3x2x2x8xi8> -> tensor<6x8xi8>, tensor<13xi32> sums tensor<1x8xi32>
  return %v, %s, %t : tensor<6x8xi8>, tensor<13xi32>, tensor<1x8xi32>
}

// Of 100 and 100 together half goes into a word of its own, of 127 and -128 not.
// CHECK-LABEL: func.func @stream_divides_words
func.func @stream_divides_words() -> (tensor<6x8xi8>, tensor<7xi32>, tensor<1x8xi32>) {
  %w = arith.constant dense<[[100, 100, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, -3], [127, -128, 1, 1, -128, -127, 5, 5]]> : tensor<3x8xi8>
  // CHECK-DAG{LITERAL}: arith.constant dense<[[50, 50, 0, 0, 0, 0, 0, 0], [50, 50, 0, 0, 0, 0, 0, 0], [0, 0, 0, -3, 8, 0, 0, 0], [127, -128, 1, 1, 0, 0, 0, 0], [-64, -64, 5, 5, 8, 0, 0, 0], [-64, -63, 0, 0, 8, 0, 0, 0]]> : tensor<6x8xi8>
  // CHECK-DAG: arith.constant dense<[0, 0, 2, 1, 3, 2, 6]> : tensor<7xi32>
  // CHECK-DAG{LITERAL}: arith.constant dense<[[200, -3, -244, 0, 0, 0, 0, 0]]> : tensor<1x8xi32>
  %v, %s, %t = tamis_kernel.pack_stream %w column 0 reductions [1] step 4 <entries = 6, positions = 8, pitch = 8> {bound = 128 : i64}
    : tensor<3x8xi8> -> tensor<6x8xi8>, tensor<7xi32> sums tensor<1x8xi32>
  return %v, %s, %t : tensor<6x8xi8>, tensor<7xi32>, tensor<1x8xi32>
}

// Unsigned weights less their zero point, through a transpose.
// CHECK-LABEL: func.func @stream_of_a_parameter
func.func @stream_of_a_parameter() -> (tensor<2x8xi8>, tensor<5xi32>, tensor<1x8xi32>) {
  // CHECK-NOT: linalg.transpose
  // CHECK: ml_program.global_load_const @v.values :
  %w = ml_program.global_load_const @v : tensor<2x4xi8>
  %e = tensor.empty() : tensor<4x2xi8>
  %x = linalg.transpose ins(%w : tensor<2x4xi8>) outs(%e : tensor<4x2xi8>) permutation = [1, 0]
  %v, %s, %t = tamis_kernel.pack_stream %x column 1 reductions [0] step 4 <entries = 2, positions = 16, pitch = 16> {offset = 128 : i64, is_unsigned}
    : tensor<4x2xi8> -> tensor<2x8xi8>, tensor<5xi32> sums tensor<1x8xi32>
  return %v, %s, %t : tensor<2x8xi8>, tensor<5xi32>, tensor<1x8xi32>
}

// CHECK-LABEL: func.func @equal_streams_are_shared
func.func @equal_streams_are_shared() -> (tensor<2x8xi8>, tensor<5xi32>, tensor<1x8xi32>) {
  // CHECK: ml_program.global_load_const @v.values :
  %w = ml_program.global_load_const @v : tensor<2x4xi8>
  %e = tensor.empty() : tensor<4x2xi8>
  %x = linalg.transpose ins(%w : tensor<2x4xi8>) outs(%e : tensor<4x2xi8>) permutation = [1, 0]
  %v, %s, %t = tamis_kernel.pack_stream %x column 1 reductions [0] step 4 <entries = 2, positions = 16, pitch = 16> {offset = 128 : i64, is_unsigned}
    : tensor<4x2xi8> -> tensor<2x8xi8>, tensor<5xi32> sums tensor<1x8xi32>
  return %v, %s, %t : tensor<2x8xi8>, tensor<5xi32>, tensor<1x8xi32>
}

// Units of two elements of a column, in the order of the panels; behind them
// one vector may be read.
// CHECK-LABEL: func.func @bitmask
func.func @bitmask() -> (tensor<22xi8>, tensor<2xi8>, tensor<3xi32>) {
  // CHECK-NOT: tamis_kernel
  %p = arith.constant dense<[[[[0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]], [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4]]]]> : tensor<1x2x1x16xi8>
  // CHECK-DAG{LITERAL}: arith.constant dense<[1, 0, 0, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]> : tensor<22xi8>
  // CHECK-DAG{LITERAL}: arith.constant dense<[10, -128]> : tensor<2xi8>
  // CHECK-DAG{LITERAL}: arith.constant dense<[0, 2, 3]> : tensor<3xi32>
  %v, %m, %s = tamis_kernel.compress %p <entries = 3, unit = 2, expansion = #tamis.x86_shuffle<bytes = 2>>
    : tensor<1x2x1x16xi8> -> tensor<22xi8>, tensor<2xi8>, tensor<3xi32>
  return %v, %m, %s : tensor<22xi8>, tensor<2xi8>, tensor<3xi32>
}

// A negative zero is one.
// CHECK-LABEL: func.func @bitmask_of_packed_weights
func.func @bitmask_of_packed_weights() -> (tensor<17xf32>, tensor<1xi16>, tensor<2xi32>) {
  // CHECK-NOT: tamis_kernel
  %w = arith.constant dense<[[0.0, -0.0, 5.0]]> : tensor<1x3xf32>
  %e = tensor.empty() : tensor<1x1x1x16xf32>
  %p = tamis_kernel.pack ins(%w : tensor<1x3xf32>) outs(%e : tensor<1x1x1x16xf32>)
         groups [] column 1 reductions [0] run 1 step 1 -> tensor<1x1x1x16xf32>
  // CHECK-DAG: arith.constant dense<[5.000000e+00, 0.000000e+00,
  // CHECK-DAG: arith.constant dense<4> : tensor<1xi16>
  %v, %m, %s = tamis_kernel.compress %p <entries = 1, unit = 1, expansion = #tamis.x86_expand<bytes = 4>>
    : tensor<1x1x1x16xf32> -> tensor<17xf32>, tensor<1xi16>, tensor<2xi32>
  return %v, %m, %s : tensor<17xf32>, tensor<1xi16>, tensor<2xi32>
}

// Three lists of two blocks of two steps, the second one empty.
// CHECK-LABEL: func.func @block_list
func.func @block_list() -> (tensor<2x2x2xi8>, tensor<2xi32>, tensor<4xi32>) {
  // CHECK-NOT: tamis_kernel
  %p = arith.constant dense<[[[[0, 0], [0, 0], [0, 1], [0, 0]], [[0, 0], [0, 0], [0, 0], [0, 0]], [[0, 0], [2, 3], [0, 0], [0, 0]]]]> : tensor<1x3x4x2xi8>
  // CHECK-DAG{LITERAL}: arith.constant dense<[[[0, 1], [0, 0]], [[0, 0], [2, 3]]]> : tensor<2x2x2xi8>
  // CHECK-DAG{LITERAL}: arith.constant dense<[1, 0]> : tensor<2xi32>
  // CHECK-DAG{LITERAL}: arith.constant dense<[0, 1, 1, 2]> : tensor<4xi32>
  %v, %l, %s = tamis_kernel.list_blocks %p <entries = 2, steps = 2, run = 4>
    : tensor<1x3x4x2xi8> -> tensor<2x2x2xi8>, tensor<2xi32>, tensor<4xi32>
  return %v, %l, %s : tensor<2x2x2xi8>, tensor<2xi32>, tensor<4xi32>
}

// Of each column its second and fourth weight, then where they stand, two bits
// each; columns of zeros name their first two places.
// CHECK-LABEL: func.func @two_of_four
func.func @two_of_four() -> (tensor<16xf32>, tensor<1xi32>) {
  // CHECK-NOT: tamis_kernel
  %w = arith.constant dense<[[0.0], [5.0], [-0.0], [6.0]]> : tensor<4x1xf32>
  %e = tensor.empty() : tensor<1x1x1x32xf32>
  %p = tamis_kernel.pack ins(%w : tensor<4x1xf32>) outs(%e : tensor<1x1x1x32xf32>)
         groups [] column 1 reductions [0] run 1 step 4 -> tensor<1x1x1x32xf32>
  // CHECK-DAG{LITERAL}: arith.constant dense<[5.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00, 6.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00]>
  // CHECK-DAG: arith.constant dense<1145324621> : tensor<1xi32>
  %v, %q = tamis_kernel.encode %p : tensor<1x1x1x32xf32>
    as #tamis.n_of_m<entries = 16, selection = #tamis.x86_select_fma<lanes = 8, kept = 2>> -> tensor<16xf32>, tensor<1xi32>
  return %v, %q : tensor<16xf32>, tensor<1xi32>
}

// Two steps in a byte; the table ascends.
// CHECK-LABEL: func.func @codebook
func.func @codebook() -> (tensor<1x1x1x16xi8>, tensor<16xi8>) {
  // CHECK-NOT: tamis_kernel
  %p = arith.constant dense<[[[[7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, -3], [7, -3, -3, 9, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]]]]> : tensor<1x1x2x16xi8>
  // CHECK-DAG{LITERAL}: arith.constant dense<[[[[17, 1, 1, 33, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 16]]]]> : tensor<1x1x1x16xi8>
  // CHECK-DAG{LITERAL}: arith.constant dense<[-3, 7, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]> : tensor<16xi8>
  %v, %t = tamis_kernel.encode %p : tensor<1x1x2x16xi8>
    as #tamis.codebook<entries = 3, lookup = #tamis.x86_lookup<bytes = 1, elements = 16>> -> tensor<1x1x1x16xi8>, tensor<16xi8>
  return %v, %t : tensor<1x1x1x16xi8>, tensor<16xi8>
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

// Column 0 has the steps 1 2 3 4, two of them in a byte: 0x21, 0x43.
// CHECK-LABEL: func.func @nibbles
// CHECK: arith.constant dense<{{\[\[\[}}[33, 101], [67, -121]{{\]\]\]}}> : tensor<1x1x2x2xi8>
func.func @nibbles() -> tensor<1x1x2x2xi8> {
  %w = arith.constant dense<[[1, 2, 3, 4], [5, 6, 7, 8]]> : tensor<2x4xi8>
  %e = tensor.empty() : tensor<1x1x2x2xi8>
  %p = tamis_kernel.pack ins(%w : tensor<2x4xi8>) outs(%e : tensor<1x1x2x2xi8>) groups [] column 0 reductions [1] run 1 step 1 {is_unsigned, nibbles} -> tensor<1x1x2x2xi8>
  return %p : tensor<1x1x2x2xi8>
}

// CHECK-LABEL: func.func @half_precision
// CHECK: arith.constant dense<{{\[\[\[}}[5.000000e-01, 2.000000e+00]{{\]\]\]}}> : tensor<1x1x1x2xf16>
func.func @half_precision() -> tensor<1x1x1x2xf16> {
  %s = arith.constant dense<[[0.5], [2.0]]> : tensor<2x1xf32>
  %e = tensor.empty() : tensor<1x1x1x2xf16>
  %p = tamis_kernel.pack ins(%s : tensor<2x1xf32>) outs(%e : tensor<1x1x1x2xf16>) groups [] column 0 reductions [1] run 1 step 1 -> tensor<1x1x1x2xf16>
  return %p : tensor<1x1x1x2xf16>
}

// Of two steps of one column in a sum, 100 + 90 is 62 more than 128; the last
// step of a run of seven begins one element earlier.
// CHECK-LABEL: func.func @bounded
func.func @bounded() -> (tensor<1x1x2x4xi8>, tensor<1x4xi8>, tensor<1xi32>, tensor<2xi32>) {
  // CHECK-NOT: tamis_kernel
  %p = arith.constant dense<[[[[100, 0, -5, 3], [50, 40, 2, 0]]]]> : tensor<1x1x2x4xi8>
  // CHECK-DAG{LITERAL}: arith.constant dense<[[[[100, 0, -5, 3], [0, 28, 2, 0]]]]> : tensor<1x1x2x4xi8>
  // CHECK-DAG{LITERAL}: arith.constant dense<[[0, 50, 12, 0]]> : tensor<1x4xi8>
  // CHECK-DAG: arith.constant dense<3> : tensor<1xi32>
  // CHECK-DAG{LITERAL}: arith.constant dense<[0, 1]> : tensor<2xi32>
  %b, %v, %l, %s = tamis_kernel.bound %p <entries = 1, steps = 2, run = 7>
    : tensor<1x1x2x4xi8> -> tensor<1x4xi8>, tensor<1xi32>, tensor<2xi32>
  return %b, %v, %l, %s : tensor<1x1x2x4xi8>, tensor<1x4xi8>, tensor<1xi32>, tensor<2xi32>
}

// Four channels of 19 elements in two panels. The first has windows from element
// 1 on and, since 16 of them have to be there, from 3 on; 90 and 100 are too
// large for one window together, and so are 100 and 110.
// CHECK-LABEL: func.func @slots
func.func @slots() -> (tensor<2x48xi8>, tensor<2x4xi16>, tensor<3xi32>) {
  // CHECK-NOT: tamis_kernel
  %p = arith.constant dense<[[[[0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0], [-5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]], [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 90, 100, 110, 0]]]]> : tensor<1x2x5x16xi8>
  // CHECK: ml_program.global_load_const @values : tensor<2x48xi8>
  // CHECK-DAG{LITERAL}: arith.constant dense<[[1, 3, 0, 0], [3, 3, 3, 0]]> : tensor<2x4xi16>
  // CHECK-DAG{LITERAL}: arith.constant dense<[0, 1, 2]> : tensor<3xi32>
  %v, %l, %s = tamis_kernel.fill_slots %p <entries = 2, run = 19, lookup = #tamis.x86_lookup<bytes = 1, elements = 16>> {bound = 128 : i64}
    : tensor<1x2x5x16xi8> -> tensor<2x48xi8>, tensor<2x4xi16>, tensor<3xi32>
  return %v, %l, %s : tensor<2x48xi8>, tensor<2x4xi16>, tensor<3xi32>
}

// Of a window of nothing but its centre all places have weights of their line times those of their column: 0, 1/2, -1/2 and 0.
// CHECK-LABEL: func.func @winograd_weights
func.func @winograd_weights() -> tensor<16x1x1xf32> {
  %w = arith.constant dense<[[[[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]]> : tensor<1x1x3x3xf32>
  // CHECK: arith.constant dense<{{.+}}, {{\[}}[2.500000e-01]], {{\[}}[-2.500000e-01]], {{\[}}[0.0{{.+}}]], {{\[}}[0.0{{.+}}]], {{\[}}[-2.500000e-01]], {{\[}}[2.500000e-01]], {{.+}} : tensor<16x1x1xf32>
  %u = tamis_kernel.winograd_weights %w output 2 column 0 channel 1 window [2, 3] : tensor<1x1x3x3xf32> -> tensor<16x1x1xf32>
  return %u : tensor<16x1x1xf32>
}


// The bytes: columns 0 and 1 in the first panel, 2 and nothing in the second,
// each less the offset, padded to four steps.
// CHECK: w.packed: "0x400000000003000001040000020500000000000
// CHECK: w.sums: "0x400000000300000005000000070000000000000
// CHECK: v.values: "0x400000000080007F000000000001FE0000000000"
// CHECK: v.starts: "0x400000000000000000000000010000000100000002000000"
// CHECK: v.sums: "0x40000000FFFFFFFFFFFFFFFF000000000000000
