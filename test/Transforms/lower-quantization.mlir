// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --tamis-lower-quantization | FileCheck %s
// RUN: tamis-opt %s --tamis-lower-quantization --tamis-lower-quantization | FileCheck %s

// CHECK-DAG: #[[ID:.+]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[NONE:.+]] = affine_map<(d0, d1) -> ()>
// CHECK-DAG: #[[ROW:.+]] = affine_map<(d0, d1) -> (d0)>
// CHECK-DAG: #[[BLOCK:.+]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[RAGGED:.+]] = affine_map<(d0, d1) -> (d0 floordiv 32, d1)>

// Divide, clamp to the range less the zero point, round, convert, add it.
// CHECK-LABEL: func.func @quantize_per_tensor
// CHECK: linalg.generic {indexing_maps = [#[[ID]], #[[NONE]], #[[NONE]], #[[ID]]]
// CHECK: ^bb0(%[[X:.+]]: f32, %[[S:.+]]: f32, %[[Z:.+]]: i8, %{{.+}}: i8):
// CHECK: %[[Q:.+]] = arith.divf %[[X]], %[[S]]
// CHECK: %[[W:.+]] = arith.extui %[[Z]] : i8 to i32
// CHECK: %[[F:.+]] = arith.sitofp %[[W]]
// CHECK: %[[LOW:.+]] = arith.subf %{{.+}}, %[[F]]
// CHECK: %[[HIGH:.+]] = arith.subf %{{.+}}, %[[F]]
// CHECK: %[[A:.+]] = arith.maxnumf %[[Q]], %[[LOW]]
// CHECK: %[[B:.+]] = arith.minnumf %[[A]], %[[HIGH]]
// CHECK: %[[R:.+]] = math.roundeven %[[B]]
// CHECK: %[[I:.+]] = arith.fptosi %[[R]] : f32 to i32
// CHECK: %[[T:.+]] = arith.addi %[[I]], %[[W]]
// CHECK: arith.trunci %[[T]] : i32 to i8
func.func @quantize_per_tensor(%x: tensor<4x?xf32>, %s: tensor<f32>, %z: tensor<i8>) -> tensor<4x?xi8> {
  %q = tamis.quantize %x, %s, %z unsigned : tensor<4x?xf32>, tensor<f32>, tensor<i8> -> tensor<4x?xi8>
  return %q : tensor<4x?xi8>
}

// Four bits in i8, a zero point known to be zero, half precision input.
// CHECK-LABEL: func.func @quantize_narrow
// CHECK: linalg.generic {indexing_maps = [#[[ID]], #[[ROW]], #[[ID]]]
// CHECK: arith.extf {{.+}} : f16 to f32
// CHECK: arith.constant -8.000000e+00 : f32
// CHECK: arith.constant 7.000000e+00 : f32
// CHECK-NOT: arith.addi
// CHECK: return
func.func @quantize_narrow(%x: tensor<4x8xf16>, %s: tensor<4xf32>) -> tensor<4x8xi8> {
  %z = arith.constant dense<0> : tensor<4xi8>
  %q = tamis.quantize %x, %s, %z {axis = 0, bits = 4} : tensor<4x8xf16>, tensor<4xf32>, tensor<4xi8> -> tensor<4x8xi8>
  return %q : tensor<4x8xi8>
}

// 2^31 - 1 has no float: its neighbour below keeps the conversion defined.
// CHECK-LABEL: func.func @quantize_to_i32
// CHECK: arith.constant -2.14748365E+9 : f32
// CHECK: arith.constant 2.14748352E+9 : f32
func.func @quantize_to_i32(%x: tensor<4xf32>, %s: tensor<f32>) -> tensor<4xi32> {
  %q = tamis.quantize %x, %s : tensor<4xf32>, tensor<f32> -> tensor<4xi32>
  return %q : tensor<4xi32>
}

// CHECK-LABEL: func.func @dequantize_per_axis
// CHECK: linalg.generic {indexing_maps = [#[[ID]], #[[ROW]], #[[ROW]], #[[ID]]]
// CHECK: ^bb0(%[[Q:.+]]: i8, %[[S:.+]]: f32, %[[Z:.+]]: i8, %{{.+}}: f32):
// CHECK: %[[QW:.+]] = arith.extsi %[[Q]] : i8 to i32
// CHECK: %[[ZW:.+]] = arith.extsi %[[Z]] : i8 to i32
// CHECK: %[[D:.+]] = arith.subi %[[QW]], %[[ZW]]
// CHECK: %[[F:.+]] = arith.sitofp %[[D]] : i32 to f32
// CHECK: arith.mulf %[[F]], %[[S]]
func.func @dequantize_per_axis(%q: tensor<4x8xi8>, %s: tensor<4xf32>, %z: tensor<4xi8>) -> tensor<4x8xf32> {
  %x = tamis.dequantize %q, %s, %z {axis = 0} : tensor<4x8xi8>, tensor<4xf32>, tensor<4xi8> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// Product and sum apart.
// CHECK-LABEL: func.func @dequantize_with_offset
// CHECK: ^bb0(%[[Q:.+]]: i8, %[[S:.+]]: f32, %[[O:.+]]: f32, %{{.+}}: f32):
// CHECK: %[[W:.+]] = arith.extui %[[Q]] : i8 to i32
// CHECK: %[[F:.+]] = arith.sitofp %[[W]] : i32 to f32
// CHECK: %[[P:.+]] = arith.mulf %[[F]], %[[S]]
// CHECK: arith.addf %[[P]], %[[O]]
func.func @dequantize_with_offset(%q: tensor<64x4xi8>, %s: tensor<2x4xf32>, %o: tensor<2x4xf32>) -> tensor<64x4xf32> {
  %x = tamis.dequantize %q, %s offset(%o : tensor<2x4xf32>) unsigned {axis = 0, block_size = 32} : tensor<64x4xi8>, tensor<2x4xf32> -> tensor<64x4xf32>
  return %x : tensor<64x4xf32>
}

// CHECK-LABEL: func.func @dequantize_by_blocks
// CHECK: %[[E:.+]] = tensor.expand_shape %{{.+}} : tensor<64x4xi8> into tensor<2x32x4xi8>
// CHECK: %[[G:.+]] = linalg.generic {indexing_maps = [#{{.+}}, #[[BLOCK]], #{{.+}}]{{.+}} ins(%[[E]],
// CHECK: tensor.collapse_shape %[[G]] {{.+}} : tensor<2x32x4xf32> into tensor<64x4xf32>
func.func @dequantize_by_blocks(%q: tensor<64x4xi8>, %s: tensor<2x4xf32>) -> tensor<64x4xf32> {
  %x = tamis.dequantize %q, %s {axis = 0, block_size = 32} : tensor<64x4xi8>, tensor<2x4xf32> -> tensor<64x4xf32>
  return %x : tensor<64x4xf32>
}

// CHECK-LABEL: func.func @open_rows_by_blocks
// CHECK: tensor.expand_shape %{{.+}} : tensor<?x64xf32> into tensor<?x2x32xf32>
// CHECK: tensor.collapse_shape {{.+}} : tensor<?x2x32xi8> into tensor<?x64xi8>
func.func @open_rows_by_blocks(%x: tensor<?x64xf32>, %s: tensor<?x2xf32>) -> tensor<?x64xi8> {
  %q = tamis.quantize %x, %s {axis = 1, block_size = 32} : tensor<?x64xf32>, tensor<?x2xf32> -> tensor<?x64xi8>
  return %q : tensor<?x64xi8>
}

// CHECK-LABEL: func.func @keeps_axis_that_blocks_do_not_divide
// CHECK-NOT: tensor.expand_shape
// CHECK: linalg.generic {indexing_maps = [#[[ID]], #[[RAGGED]], #[[ID]]]
func.func @keeps_axis_that_blocks_do_not_divide(%q: tensor<60x4xi8>, %s: tensor<2x4xf32>) -> tensor<60x4xf32> {
  %x = tamis.dequantize %q, %s {axis = 0, block_size = 32} : tensor<60x4xi8>, tensor<2x4xf32> -> tensor<60x4xf32>
  return %x : tensor<60x4xf32>
}

// By its definition, in float.
// CHECK-LABEL: func.func @fake_quantization
// CHECK: linalg.generic
// CHECK: arith.divf
// CHECK-NEXT: math.roundeven
// CHECK-NEXT: arith.addf
// CHECK: arith.maxnumf
// CHECK: arith.minnumf
// CHECK-NEXT: arith.subf
// CHECK-NEXT: arith.mulf
func.func @fake_quantization(%x: tensor<2x8xf32>, %z: tensor<2xf32>) -> tensor<2x8xf32> {
  %s = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %y = tamis.fake_quant %x, %s, %z range[-8, 7] {axis = 0 : i64} : tensor<2x8xf32>, tensor<2xf32>, tensor<2xf32>
  return %y : tensor<2x8xf32>
}

// A code beyond the codebook reads its last value; the scale comes last.
// CHECK-LABEL: func.func @decode_codebook
// CHECK: linalg.generic {indexing_maps = [#[[ID]], #[[ROW]], #[[ID]]]
// CHECK: ^bb0(%[[Q:.+]]: i8, %[[S:.+]]: f32, %{{.+}}: f32):
// CHECK: %[[W:.+]] = arith.extui %[[Q]] : i8 to i32
// CHECK: %[[M:.+]] = arith.minsi %[[W]], %{{.+}} : i32
// CHECK: %[[I:.+]] = arith.index_cast %[[M]] : i32 to index
// CHECK: %[[X:.+]] = tensor.extract %{{.+}}[%[[I]]] : tensor<16xf32>
// CHECK: arith.mulf %[[X]], %[[S]] : f32
func.func @decode_codebook(%q: tensor<4x8xi8>, %c: tensor<16xf32>, %s: tensor<4xf32>) -> tensor<4x8xf32> {
  %x = tamis.decode %q codebook(%c : tensor<16xf32>) scale(%s : tensor<4xf32>) {axis = 0} : tensor<4x8xi8> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// Every code is in a codebook of 256.
// CHECK-LABEL: func.func @decode_float8
// CHECK-NOT: arith.minsi
// CHECK: tensor.extract
// CHECK-NOT: arith.mulf
// CHECK: return
func.func @decode_float8(%q: tensor<4x8xi8>, %c: tensor<256xf32>) -> tensor<4x8xf32> {
  %x = tamis.decode %q codebook(%c : tensor<256xf32>) : tensor<4x8xi8> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @decode_half
// CHECK: linalg.generic {indexing_maps = [#[[ID]], #[[ID]]]
// CHECK: arith.extf %{{.+}} : bf16 to f32
func.func @decode_half(%h: tensor<4x8xbf16>) -> tensor<4x8xf32> {
  %x = tamis.decode %h : tensor<4x8xbf16> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// Rows of a table are read as integers, with the row's scale and zero point;
// the table is not expanded.
// CHECK-LABEL: func.func @gather_per_row
// CHECK-SAME: %[[W:.+]]: tensor<64x8xi8>, %[[S:.+]]: tensor<64xf32>, %[[Z:.+]]: tensor<64xi8>
// CHECK: ^bb0(%[[ROW:.+]]: index,
// CHECK: %[[COLUMN:.+]] = linalg.index 1
// CHECK: %[[ZERO:.+]] = tensor.extract %[[Z]][%[[ROW]]]
// CHECK: %[[Q:.+]] = tensor.extract %[[W]][%[[ROW]], %[[COLUMN]]]
// CHECK: %[[SCALE:.+]] = tensor.extract %[[S]][%[[ROW]]]
// CHECK: %[[QW:.+]] = arith.extui %[[Q]]
// CHECK: %[[ZW:.+]] = arith.extui %[[ZERO]]
// CHECK: %[[D:.+]] = arith.subi %[[QW]], %[[ZW]]
// CHECK: %[[F:.+]] = arith.sitofp %[[D]]
// CHECK: arith.mulf %[[F]], %[[SCALE]]
// CHECK-NOT: tensor<64x8xf32>
func.func @gather_per_row(%w: tensor<64x8xi8>, %s: tensor<64xf32>, %z: tensor<64xi8>, %at: tensor<4xindex>) -> tensor<4x8xf32> {
  %t = tamis.dequantize %w, %s, %z unsigned {axis = 0} : tensor<64x8xi8>, tensor<64xf32>, tensor<64xi8> -> tensor<64x8xf32>
  %e = tensor.empty() : tensor<4x8xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%at : tensor<4xindex>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%row: index, %out: f32):
    %column = linalg.index 1 : index
    %v = tensor.extract %t[%row, %column] : tensor<64x8xf32>
    linalg.yield %v : f32
  } -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// A scale for each block of a row; the product reads the table as well.
// CHECK-LABEL: func.func @gather_blocks
// CHECK-SAME: %[[W:.+]]: tensor<64x8xi8>, %[[S:.+]]: tensor<64x2xf32>, %[[R:.+]]: index, %[[C:.+]]: index
// CHECK: linalg.generic
// CHECK: %[[BLOCK:.+]] = arith.divui %[[C]], %c4
// CHECK: tensor.extract %[[W]][%[[R]], %[[C]]]
// CHECK: tensor.extract %[[S]][%[[R]], %[[BLOCK]]]
func.func @gather_blocks(%w: tensor<64x8xi8>, %s: tensor<64x2xf32>, %r: index, %c: index) -> (f32, tensor<64x8xf32>) {
  %t = tamis.dequantize %w, %s {axis = 1, block_size = 4} : tensor<64x8xi8>, tensor<64x2xf32> -> tensor<64x8xf32>
  %v = tensor.extract %t[%r, %c] : tensor<64x8xf32>
  return %v, %t : f32, tensor<64x8xf32>
}

// The offset is read where the scale is.
// CHECK-LABEL: func.func @gather_offset
// CHECK-SAME: %[[W:.+]]: tensor<64x8xi8>, %[[S:.+]]: tensor<64x2xf32>, %[[O:.+]]: tensor<64x2xf32>, %[[R:.+]]: index, %[[C:.+]]: index
// CHECK: %[[BLOCK:.+]] = arith.divui %[[C]], %c4
// CHECK: %[[OFFSET:.+]] = tensor.extract %[[O]][%[[R]], %[[BLOCK]]]
// CHECK: %[[P:.+]] = arith.mulf
// CHECK: arith.addf %[[P]], %[[OFFSET]]
// CHECK-NOT: linalg.generic
func.func @gather_offset(%w: tensor<64x8xi8>, %s: tensor<64x2xf32>, %o: tensor<64x2xf32>, %r: index, %c: index) -> f32 {
  %t = tamis.dequantize %w, %s offset(%o : tensor<64x2xf32>) {axis = 1, block_size = 4} : tensor<64x8xi8>, tensor<64x2xf32> -> tensor<64x8xf32>
  %v = tensor.extract %t[%r, %c] : tensor<64x8xf32>
  return %v : f32
}
