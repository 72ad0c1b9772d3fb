// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --tamis-fold-constants --canonicalize --symbol-dce | FileCheck %s
// RUN: tamis-opt %s --tamis-fold-constants --tamis-fold-constants --canonicalize --symbol-dce | FileCheck %s

// Bytes 0..95 as 4 x 24 i8: the transpose starts with 0, 24, 48, 72.
ml_program.global private @bytes(dense_resource<bytes> : tensor<4x24xi8>) : tensor<4x24xi8>
// CHECK-DAG: ml_program.global private @[[T:.+]](dense_resource<[[TB:.+]]> : tensor<24x4xi8>) : tensor<24x4xi8>
// CHECK-DAG: ml_program.global private @[[R:.+]](dense_resource<bytes> : tensor<96xi8>) : tensor<96xi8>
// CHECK-NOT: tensor<4x24xi8>

// CHECK-LABEL: func.func @transpose_of_parameter
// CHECK: %[[W:.+]] = ml_program.global_load_const @[[T]] : tensor<24x4xi8>
// CHECK: return %[[W]]
func.func @transpose_of_parameter() -> tensor<24x4xi8> {
  %w = ml_program.global_load_const @bytes : tensor<4x24xi8>
  %e = tensor.empty() : tensor<24x4xi8>
  %t = linalg.transpose ins(%w : tensor<4x24xi8>) outs(%e : tensor<24x4xi8>) permutation = [1, 0]
  return %t : tensor<24x4xi8>
}

// CHECK-LABEL: func.func @reshape_shares_the_bytes
// CHECK: ml_program.global_load_const @[[R]] : tensor<96xi8>
func.func @reshape_shares_the_bytes() -> tensor<96xi8> {
  %w = ml_program.global_load_const @bytes : tensor<4x24xi8>
  %r = tensor.collapse_shape %w [[0, 1]] : tensor<4x24xi8> into tensor<96xi8>
  return %r : tensor<96xi8>
}

// CHECK-LABEL: func.func @slice_with_steps
// CHECK: arith.constant dense<{{\[}}[25, 28], [73, 76]]> : tensor<2x2xi8>
func.func @slice_with_steps() -> tensor<2x2xi8> {
  %w = ml_program.global_load_const @bytes : tensor<4x24xi8>
  %s = tensor.extract_slice %w[1, 1] [2, 2] [2, 3] : tensor<4x24xi8> to tensor<2x2xi8>
  return %s : tensor<2x2xi8>
}

// CHECK-LABEL: func.func @pad_concat_insert
// CHECK: arith.constant dense<[9, 1, 7, 3, 9, 5]> : tensor<6xi8>
func.func @pad_concat_insert() -> tensor<6xi8> {
  %a = arith.constant dense<[1, 2, 3]> : tensor<3xi8>
  %b = arith.constant dense<5> : tensor<1xi8>
  %v = arith.constant dense<7> : tensor<1xi8>
  %nine = arith.constant 9 : i8
  %p = tensor.pad %a low[1] high[1] {
  ^bb0(%i: index):
    tensor.yield %nine : i8
  } : tensor<3xi8> to tensor<5xi8>
  %c = tensor.concat dim(0) %p, %b : (tensor<5xi8>, tensor<1xi8>) -> tensor<6xi8>
  %r = tensor.insert_slice %v into %c[2] [1] [1] : tensor<1xi8> into tensor<6xi8>
  return %r : tensor<6xi8>
}

// CHECK-LABEL: func.func @splat_stays_a_splat
// CHECK: arith.constant dense<1.000000e+00> : tensor<3x3x512x2048xf32>
func.func @splat_stays_a_splat() -> tensor<3x3x512x2048xf32> {
  %w = arith.constant dense<1.0> : tensor<2048x512x3x3xf32>
  %e = tensor.empty() : tensor<3x3x512x2048xf32>
  %t = linalg.transpose ins(%w : tensor<2048x512x3x3xf32>) outs(%e : tensor<3x3x512x2048xf32>) permutation = [2, 3, 1, 0]
  return %t : tensor<3x3x512x2048xf32>
}

#id = affine_map<(d0) -> (d0)>
#reverse = affine_map<(d0) -> (3 - d0)>

// CHECK-LABEL: func.func @reverse
// CHECK: arith.constant dense<[4, 3, 2, 1]> : tensor<4xi64>
func.func @reverse() -> tensor<4xi64> {
  %a = arith.constant dense<[1, 2, 3, 4]> : tensor<4xi64>
  %e = tensor.empty() : tensor<4xi64>
  %r = linalg.generic {indexing_maps = [#reverse, #id], iterator_types = ["parallel"]}
      ins(%a : tensor<4xi64>) outs(%e : tensor<4xi64>) {
  ^bb0(%x: i64, %o: i64):
    linalg.yield %x : i64
  } -> tensor<4xi64>
  return %r : tensor<4xi64>
}

// CHECK-LABEL: func.func @cast_is_native
// CHECK: arith.constant dense<[1.500000e+00, -2.000000e+00, 0x7F800000]> : tensor<3xf32>
func.func @cast_is_native() -> tensor<3xf32> {
  %a = arith.constant dense<[1.5, -2.0, 0x7C00]> : tensor<3xf16>
  %e = tensor.empty() : tensor<3xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%a : tensor<3xf16>) outs(%e : tensor<3xf32>) {
  ^bb0(%x: f16, %o: f32):
    %y = arith.extf %x : f16 to f32
    linalg.yield %y : f32
  } -> tensor<3xf32>
  return %r : tensor<3xf32>
}

// A dequantize: (q - 3) * 0.5, the zero point captured from outside.
// CHECK-LABEL: func.func @dequantize
// CHECK: arith.constant dense<[-6.550000e+01, 0.000000e+00, 6.200000e+01]> : tensor<3xf32>
func.func @dequantize() -> tensor<3xf32> {
  %q = arith.constant dense<[-128, 3, 127]> : tensor<3xi8>
  %zero = arith.constant 3 : i32
  %half = arith.constant 0.5 : f32
  %e = tensor.empty() : tensor<3xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%q : tensor<3xi8>) outs(%e : tensor<3xf32>) {
  ^bb0(%x: i8, %o: f32):
    %w = arith.extsi %x : i8 to i32
    %d = arith.subi %w, %zero : i32
    %f = arith.sitofp %d : i32 to f32
    %y = arith.mulf %f, %half : f32
    linalg.yield %y : f32
  } -> tensor<3xf32>
  return %r : tensor<3xf32>
}

// CHECK-LABEL: func.func @through_the_folders
// CHECK: arith.constant dense<[0.000000e+00, 0.785398185, 1.10714877]> : tensor<3xf32>
func.func @through_the_folders() -> tensor<3xf32> {
  %a = arith.constant dense<[0.0, 1.0, 2.0]> : tensor<3xf32>
  %e = tensor.empty() : tensor<3xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%a : tensor<3xf32>) outs(%e : tensor<3xf32>) {
  ^bb0(%x: f32, %o: f32):
    %y = math.atan %x : f32
    linalg.yield %y : f32
  } -> tensor<3xf32>
  return %r : tensor<3xf32>
}

// In double precision, rounded once. Maxima keep NaN and order zeros.
// CHECK-LABEL: func.func @functions
// CHECK-DAG: arith.constant dense<[0.000000e+00, 0.841470957, 0.909297406]> : tensor<3xf32>
// CHECK-DAG: arith.constant dense<[1.000000e+00, 1.64872122, 2.71828175]> : tensor<3xf32>
// CHECK-DAG: arith.constant dense<[0.000000e+00, 1.000000e+00, 0x7FC00000]> : tensor<3xf32>
func.func @functions() -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) {
  %c = arith.constant dense<[0.0, 1.0, 2.0]> : tensor<3xf32>
  %d = arith.constant dense<[-0.0, -1.0, 0x7FC00000]> : tensor<3xf32>
  %half = arith.constant 0.5 : f32
  %e = tensor.empty() : tensor<3xf32>
  %sin = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%c : tensor<3xf32>) outs(%e : tensor<3xf32>) {
  ^bb0(%x: f32, %o: f32):
    %y = math.sin %x : f32
    linalg.yield %y : f32
  } -> tensor<3xf32>
  %exp = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%c : tensor<3xf32>) outs(%e : tensor<3xf32>) {
  ^bb0(%x: f32, %o: f32):
    %h = arith.mulf %x, %half : f32
    %y = math.exp %h : f32
    linalg.yield %y : f32
  } -> tensor<3xf32>
  %max = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%c, %d : tensor<3xf32>, tensor<3xf32>) outs(%e : tensor<3xf32>) {
  ^bb0(%x: f32, %z: f32, %o: f32):
    %y = arith.maximumf %z, %x : f32
    linalg.yield %y : f32
  } -> tensor<3xf32>
  return %sin, %exp, %max : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
}

// CHECK-LABEL: func.func @keeps_run_time_operand
// CHECK: linalg.transpose
func.func @keeps_run_time_operand(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %e = tensor.empty() : tensor<3x2xf32>
  %t = linalg.transpose ins(%x : tensor<2x3xf32>) outs(%e : tensor<3x2xf32>) permutation = [1, 0]
  return %t : tensor<3x2xf32>
}

// CHECK-LABEL: func.func @keeps_result_over_budget
// CHECK: tensor.pad
func.func @keeps_result_over_budget() -> tensor<20000001xf32> {
  %a = arith.constant dense<1.0> : tensor<1xf32>
  %zero = arith.constant 0.0 : f32
  %p = tensor.pad %a low[0] high[20000000] {
  ^bb0(%i: index):
    tensor.yield %zero : f32
  } : tensor<1xf32> to tensor<20000001xf32>
  return %p : tensor<20000001xf32>
}

// What an index picks from a constant, and bits read as another type.
// CHECK-LABEL: func.func @picked
// CHECK: %[[R:.+]] = arith.constant dense<[3.000000e+00, 1.000000e+00, 2.000000e+00]> : tensor<3xf32>
// CHECK: return %[[R]]
func.func @picked() -> tensor<3xf32> {
  %q = arith.constant dense<[2, -4, 1]> : tensor<3xi32>
  %c = arith.constant dense<[1065353216, 1073741824, 1077936128]> : tensor<3xi32>
  %three = arith.constant 3 : index
  %zero = arith.constant 0 : index
  %e = tensor.empty() : tensor<3xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%q : tensor<3xi32>) outs(%e : tensor<3xf32>) {
  ^bb0(%x: i32, %o: f32):
    %i = arith.index_cast %x : i32 to index
    %less = arith.cmpi slt, %i, %zero : index
    %more = arith.addi %i, %three : index
    %there = arith.select %less, %more, %i : index
    %at = arith.maxsi %there, %zero : index
    %bits = tensor.extract %c[%at] : tensor<3xi32>
    %y = arith.bitcast %bits : i32 to f32
    %same = arith.cmpf oeq, %y, %y : f32
    %z = arith.select %same, %y, %y : f32
    linalg.yield %z : f32
  } -> tensor<3xf32>
  return %r : tensor<3xf32>
}

// CHECK-LABEL: func.func @keeps_index_out_of_range
// CHECK: tensor.extract
func.func @keeps_index_out_of_range() -> tensor<2xf32> {
  %q = arith.constant dense<[0, 5]> : tensor<2xi32>
  %c = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %e = tensor.empty() : tensor<2xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%q : tensor<2xi32>) outs(%e : tensor<2xf32>) {
  ^bb0(%x: i32, %o: f32):
    %i = arith.index_cast %x : i32 to index
    %y = tensor.extract %c[%i] : tensor<2xf32>
    linalg.yield %y : f32
  } -> tensor<2xf32>
  return %r : tensor<2xf32>
}

// CHECK-LABEL: func.func @keeps_undefined_conversion
// CHECK: arith.fptosi
func.func @keeps_undefined_conversion() -> tensor<2xi8> {
  %a = arith.constant dense<[1.0, 1.0e9]> : tensor<2xf32>
  %e = tensor.empty() : tensor<2xi8>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%a : tensor<2xf32>) outs(%e : tensor<2xi8>) {
  ^bb0(%x: f32, %o: i8):
    %y = arith.fptosi %x : f32 to i8
    linalg.yield %y : i8
  } -> tensor<2xi8>
  return %r : tensor<2xi8>
}

// CHECK: [[TB]]: "0x40000000{{0*}}183048
{-#
  dialect_resources: {
    builtin: {
      bytes: "0x40000000000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F"
    }
  }
#-}
