// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --tamis-lower-qat --canonicalize --verify-diagnostics | FileCheck %s
// RUN: tamis-opt %s --tamis-lower-qat --tamis-lower-qat --canonicalize --verify-diagnostics | FileCheck %s

// CHECK-DAG: #[[SUMS:.+]] = affine_map<(d0, d1, d2) -> (d2, d0, d1)>
// CHECK-DAG: #[[SCALES:.+]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG: #[[RESULT:.+]] = affine_map<(d0, d1, d2) -> (d0, d1)>

#l = affine_map<(m, n, k) -> (m, k)>
#r = affine_map<(m, n, k) -> (k, n)>
#o = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(d0, d1) -> (d0, d1)>
#col = affine_map<(d0, d1) -> (d1)>

// Scales per output channel, an i32 bias in the accumulator's scale, relu6.
// CHECK-LABEL: func.func @bias_clip_quantize
// CHECK-SAME: %[[X:[^: ]+]]: tensor<4x3xi8>, %[[W:[^: ]+]]: tensor<3x2xi8>
// CHECK-DAG: %[[BIAS:.+]] = arith.constant dense<[10, -20]> : tensor<2xi32>
// CHECK: %[[ACC:.+]] = tamis.contract ins(%[[X]], %[[W]] : tensor<4x3xi8>, tensor<3x2xi8>) lhs_zero(%{{.+}} : i8) outs(%{{.+}} : tensor<4x2xi32>) {{.+}} accumulator i32 {lhs_unsigned}
// CHECK: linalg.generic
// CHECK: %[[P:.+]] = arith.mulf
// CHECK-NEXT: arith.divf %[[P]]
// CHECK: %[[Y:.+]] = linalg.generic {{.+}} ins(%[[ACC]], %[[BIAS]],
// CHECK: %[[S:.+]] = arith.addi
// CHECK: %[[F:.+]] = arith.sitofp %[[S]] : i32 to f32
// CHECK: %[[M:.+]] = arith.mulf %[[F]]
// CHECK: %[[LOW:.+]] = arith.maxnumf %[[M]]
// CHECK: %[[SIX:.+]] = arith.divf
// CHECK: %[[STEPS:.+]] = math.roundeven %[[SIX]]
// CHECK: arith.minnumf %[[LOW]], %[[STEPS]]
// CHECK: math.roundeven
// CHECK: return %[[Y]] : tensor<4x2xi8>
func.func @bias_clip_quantize(%xq: tensor<4x3xi8>, %wq: tensor<3x2xi8>) -> tensor<4x2xi8> {
  %sx = arith.constant dense<0.5> : tensor<f32>
  %zx = arith.constant dense<7> : tensor<i8>
  %sw = arith.constant dense<[0.25, 0.125]> : tensor<2xf32>
  %zw = arith.constant dense<0> : tensor<2xi8>
  %sb = arith.constant dense<[0.125, 0.0625]> : tensor<2xf32>
  %bq = arith.constant dense<[10, -20]> : tensor<2xi32>
  %sy = arith.constant dense<0.1> : tensor<f32>
  %zy = arith.constant dense<-3> : tensor<i8>
  %x = tamis.dequantize %xq, %sx, %zx unsigned : tensor<4x3xi8>, tensor<f32>, tensor<i8> -> tensor<4x3xf32>
  %w = tamis.dequantize %wq, %sw, %zw {axis = 1} : tensor<3x2xi8>, tensor<2xf32>, tensor<2xi8> -> tensor<3x2xf32>
  %b = tamis.dequantize %bq, %sb {axis = 0} : tensor<2xi32>, tensor<2xf32> -> tensor<2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  %z = linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y, %b : tensor<4x2xf32>, tensor<2xf32>) outs(%e : tensor<4x2xf32>) {
  ^bb0(%p: f32, %q: f32, %u: f32):
    %t = arith.addf %p, %q : f32
    linalg.yield %t : f32
  } -> tensor<4x2xf32>
  %c = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%z : tensor<4x2xf32>) outs(%e : tensor<4x2xf32>) {
  ^bb0(%p: f32, %u: f32):
    %low = arith.constant 0.0 : f32
    %high = arith.constant 6.0 : f32
    %t = arith.maximumf %p, %low : f32
    %v = arith.minimumf %t, %high : f32
    linalg.yield %v : f32
  } -> tensor<4x2xf32>
  %q = tamis.quantize %c, %sy, %zy : tensor<4x2xf32>, tensor<f32>, tensor<i8> -> tensor<4x2xi8>
  return %q : tensor<4x2xi8>
}

// A float bias becomes the integers it rounds to.
// CHECK-LABEL: func.func @float_bias
// CHECK: %[[ACC:.+]] = tamis.contract {{.+}} accumulator i32
// CHECK: arith.divf
// CHECK: math.roundeven
// CHECK: linalg.generic {{.+}} ins(%[[ACC]], %{{.+}}, %{{.+}} : tensor<4x2xi32>, tensor<2xi32>, tensor<f32>)
// CHECK-NOT: tamis.quantize
// CHECK: return
func.func @float_bias(%xq: tensor<4x3xi8>, %wq: tensor<3x2xi8>) -> tensor<4x2xi8> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %b = arith.constant dense<[1.5, 2.5]> : tensor<2xf32>
  %x = tamis.dequantize %xq, %s : tensor<4x3xi8>, tensor<f32> -> tensor<4x3xf32>
  %w = tamis.dequantize %wq, %s : tensor<3x2xi8>, tensor<f32> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  %z = linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y, %b : tensor<4x2xf32>, tensor<2xf32>) outs(%e : tensor<4x2xf32>) {
  ^bb0(%p: f32, %q: f32, %u: f32):
    %t = arith.addf %p, %q : f32
    linalg.yield %t : f32
  } -> tensor<4x2xf32>
  %q = tamis.quantize %z, %s : tensor<4x2xf32>, tensor<f32> -> tensor<4x2xi8>
  return %q : tensor<4x2xi8>
}

// CHECK-LABEL: func.func @scales_without_quantize
// CHECK: %[[ACC:.+]] = tamis.contract {{.+}} accumulator i32
// CHECK: %[[Y:.+]] = linalg.generic {{.+}} ins(%[[ACC]], %{{.+}} : tensor<4x2xi32>, tensor<f32>)
// CHECK: %[[F:.+]] = arith.sitofp
// CHECK-NEXT: arith.mulf %[[F]]
// CHECK: return %[[Y]] : tensor<4x2xf32>
func.func @scales_without_quantize(%xq: tensor<4x3xi8>, %wq: tensor<3x2xi8>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %xq, %s : tensor<4x3xi8>, tensor<f32> -> tensor<4x3xf32>
  %w = tamis.dequantize %wq, %s : tensor<3x2xi8>, tensor<f32> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

#gl = affine_map<(g, n, o, k) -> (n, g, k)>
#gr = affine_map<(g, n, o, k) -> (g, o, k)>
#go = affine_map<(g, n, o, k) -> (n, g, o)>
// The scales per channel split as the channels do.
// CHECK-LABEL: func.func @groups
// CHECK-SAME: %[[X:[^: ]+]]: tensor<4x6xi8>, %[[W:[^: ]+]]: tensor<4x3xi8>
// CHECK-DAG: %[[XE:.+]] = tensor.expand_shape %[[X]] {{.+}} : tensor<4x6xi8> into tensor<4x2x3xi8>
// CHECK-DAG: %[[WE:.+]] = tensor.expand_shape %[[W]] {{.+}} : tensor<4x3xi8> into tensor<2x2x3xi8>
// CHECK: tamis.contract ins(%[[XE]], %[[WE]] :
// CHECK: %[[Q:.+]] = linalg.generic {{.+}} ins(%{{.+}}, %{{.+}}, %{{.+}} : tensor<4x2x2xi32>, tensor<2x2xi32>, tensor<2x2xf32>)
// CHECK: tensor.collapse_shape %[[Q]] {{.+}} : tensor<4x2x2xi8> into tensor<4x4xi8>
func.func @groups(%xq: tensor<4x6xi8>, %wq: tensor<4x3xi8>) -> tensor<4x4xi8> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %sw = arith.constant dense<[0.5, 0.25, 0.5, 0.25]> : tensor<4xf32>
  %bq = arith.constant dense<[1, 2, 3, 4]> : tensor<4xi32>
  %sb = arith.constant dense<[0.25, 0.125, 0.25, 0.125]> : tensor<4xf32>
  %x = tamis.dequantize %xq, %s : tensor<4x6xi8>, tensor<f32> -> tensor<4x6xf32>
  %w = tamis.dequantize %wq, %sw {axis = 0} : tensor<4x3xi8>, tensor<4xf32> -> tensor<4x3xf32>
  %b = tamis.dequantize %bq, %sb {axis = 0} : tensor<4xi32>, tensor<4xf32> -> tensor<4xf32>
  %xe = tensor.expand_shape %x [[0], [1, 2]] output_shape [4, 2, 3] : tensor<4x6xf32> into tensor<4x2x3xf32>
  %we = tensor.expand_shape %w [[0, 1], [2]] output_shape [2, 2, 3] : tensor<4x3xf32> into tensor<2x2x3xf32>
  %e = tensor.empty() : tensor<4x2x2xf32>
  %y = tamis.contract ins(%xe, %we : tensor<4x2x3xf32>, tensor<2x2x3xf32>) outs(%e : tensor<4x2x2xf32>)
    maps [#gl, #gr, #go] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<4x2x2xf32>
  %c = tensor.collapse_shape %y [[0], [1, 2]] : tensor<4x2x2xf32> into tensor<4x4xf32>
  %f = tensor.empty() : tensor<4x4xf32>
  %z = linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]}
      ins(%c, %b : tensor<4x4xf32>, tensor<4xf32>) outs(%f : tensor<4x4xf32>) {
  ^bb0(%p: f32, %q: f32, %u: f32):
    %t = arith.addf %p, %q : f32
    linalg.yield %t : f32
  } -> tensor<4x4xf32>
  %q = tamis.quantize %z, %s : tensor<4x4xf32>, tensor<f32> -> tensor<4x4xi8>
  return %q : tensor<4x4xi8>
}

#window = affine_map<(d0, d1) -> (d0 * 2 + d1)>
#taps = affine_map<(d0, d1) -> (d1)>
#at = affine_map<(d0, d1) -> (d0)>
// Pad with zero, a maximum over windows, concat, reshape: all on bytes.
// CHECK-LABEL: func.func @moves_bytes
// CHECK-SAME: %[[X:[^: ]+]]: tensor<7xi8>
// CHECK-DAG: %[[LOW:.+]] = arith.constant -128 : i8
// CHECK-DAG: %[[ZERO:.+]] = arith.constant 5 : i8
// CHECK: tensor.pad %[[X]] low[0] high[1]
// CHECK: tensor.yield %[[ZERO]] : i8
// CHECK: tensor.pad
// CHECK: tensor.yield %[[LOW]] : i8
// CHECK: linalg.fill ins(%[[LOW]] : i8)
// CHECK: arith.maxsi
// CHECK: tensor.concat dim(0) {{.+}} -> tensor<8xi8>
// CHECK: %[[R:.+]] = tensor.expand_shape {{.+}} : tensor<8xi8> into tensor<2x4xi8>
// CHECK: return %[[R]]
func.func @moves_bytes(%xq: tensor<7xi8>) -> tensor<2x4xi8> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<5> : tensor<i8>
  %zero = arith.constant 0.0 : f32
  %lowest = arith.constant 0xFF800000 : f32
  %x = tamis.dequantize %xq, %s, %z : tensor<7xi8>, tensor<f32>, tensor<i8> -> tensor<7xf32>
  %p = tensor.pad %x low[0] high[1] {
  ^bb0(%i: index):
    tensor.yield %zero : f32
  } : tensor<7xf32> to tensor<8xf32>
  %pp = tensor.pad %p low[1] high[0] {
  ^bb0(%i: index):
    tensor.yield %lowest : f32
  } : tensor<8xf32> to tensor<9xf32>
  %k = tensor.empty() : tensor<3xf32>
  %e = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%lowest : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %m = linalg.generic {indexing_maps = [#window, #taps, #at], iterator_types = ["parallel", "reduction"]}
      ins(%pp, %k : tensor<9xf32>, tensor<3xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %u: f32, %o: f32):
    %r = arith.maximumf %o, %a : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %c = tensor.concat dim(0) %m, %m : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
  %r = tensor.expand_shape %c [[0, 1]] output_shape [2, 4] : tensor<8xf32> into tensor<2x4xf32>
  %q = tamis.quantize %r, %s, %z : tensor<2x4xf32>, tensor<f32>, tensor<i8> -> tensor<2x4xi8>
  return %q : tensor<2x4xi8>
}

// CHECK-LABEL: func.func @keeps_float_operand
// CHECK: tamis.contract {{.+}} accumulator f32
func.func @keeps_float_operand(%x: tensor<4x3xf32>, %wq: tensor<3x2xi8>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %w = tamis.dequantize %wq, %s : tensor<3x2xi8>, tensor<f32> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  // expected-remark @below {{contraction left in float: its first operand is not dequantized}}
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @keeps_scales_along_the_sum
// CHECK: tamis.contract {{.+}} accumulator f32
func.func @keeps_scales_along_the_sum(%xq: tensor<4x3xi8>, %wq: tensor<3x2xi8>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %sw = arith.constant dense<[0.5, 0.25, 0.125]> : tensor<3xf32>
  %x = tamis.dequantize %xq, %s : tensor<4x3xi8>, tensor<f32> -> tensor<4x3xf32>
  %w = tamis.dequantize %wq, %sw {axis = 0} : tensor<3x2xi8>, tensor<3xf32> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  // expected-remark @below {{contraction left in float: its second operand's scales follow a dimension that is summed over}}
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// A sum for each block, then their sum in float, first the first.
// CHECK-LABEL: func.func @scales_in_blocks
// CHECK-SAME: %[[X:[^: ]+]]: tensor<4x6xi8>, %[[W:[^: ]+]]: tensor<6x2xi8>
// CHECK-DAG: %[[Z:.+]] = arith.constant 7 : i8
// CHECK-DAG: %[[XE:.+]] = tensor.expand_shape %[[X]] {{.+}} : tensor<4x6xi8> into tensor<4x2x3xi8>
// CHECK-DAG: %[[WE:.+]] = tensor.expand_shape %[[W]] {{.+}} : tensor<6x2xi8> into tensor<2x3x2xi8>
// CHECK: %[[ACC:.+]] = tamis.contract ins(%[[XE]], %[[WE]] : {{.+}}) lhs_zero(%[[Z]] : i8) outs(%{{.+}} : tensor<2x4x2xi32>)
// CHECK-SAME: iterators ["parallel", "parallel", "reduction", "parallel"] {{.+}} accumulator i32 {lhs_unsigned}
// CHECK: %[[S:.+]] = linalg.generic {{.+}} outs(%{{.+}} : tensor<2x2xf32>)
// CHECK: linalg.generic {indexing_maps = [#[[SUMS]], #[[SCALES]], #[[RESULT]]], iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[ACC]], %[[S]] :
// CHECK: %[[P:.+]] = arith.mulf
// CHECK-NEXT: arith.addf %{{.+}}, %[[P]]
func.func @scales_in_blocks(%xq: tensor<4x6xi8>, %wq: tensor<6x2xi8>, %sw: tensor<2x2xf32>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<7> : tensor<i8>
  %x = tamis.dequantize %xq, %s, %z unsigned : tensor<4x6xi8>, tensor<f32>, tensor<i8> -> tensor<4x6xf32>
  %w = tamis.dequantize %wq, %sw {axis = 0, block_size = 3} : tensor<6x2xi8>, tensor<2x2xf32> -> tensor<6x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x6xf32>, tensor<6x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// Without a zero point of the activations, constant weights are multiplied as
// unsigned codes (8 was added), and what their zero points take away is a
// product by the sums of rows.
// CHECK-LABEL: func.func @codes_in_blocks
// CHECK-SAME: (%[[XQ:.+]]: tensor<4x6xi8>, %[[SX:.+]]: tensor<4x2xf32>)
// CHECK-DAG: %[[W:.+]] = tensor.expand_shape %{{.+}} output_shape [2, 3, 2] : tensor<6x2xi8> into tensor<2x3x2xi8>
// CHECK-DAG: %[[X:.+]] = tensor.expand_shape %[[XQ]] {{.+}} : tensor<4x6xi8> into tensor<4x2x3xi8>
// CHECK: tamis.contract ins(%[[X]], %[[W]] : tensor<4x2x3xi8>, tensor<2x3x2xi8>) {{.+}} accumulator i32 {rhs_unsigned} -> tensor<2x4x2xi32>
// CHECK: %[[ROWS:.+]] = linalg.generic {{.+}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[X]] : tensor<4x2x3xi8>)
// CHECK: linalg.generic {{.+}} ins(%{{.+}}, %[[ROWS]], %{{.+}}, %[[SX]] : tensor<2x4x2xi32>, tensor<4x2xi32>, tensor<2x2xf32>, tensor<4x2xf32>)
// CHECK: arith.mulf
// CHECK: arith.muli %{{.+}}, %c8_i32
// CHECK: arith.subi
// CHECK: arith.sitofp
func.func @codes_in_blocks(%xq: tensor<4x6xi8>, %sx: tensor<4x2xf32>) -> tensor<4x2xf32> {
  %wq = arith.constant dense<[[-8, 7], [1, 2], [3, 4], [5, 6], [7, -7], [0, 1]]> : tensor<6x2xi8>
  %sw = arith.constant dense<[[0.5, 0.25], [1.0, 2.0]]> : tensor<2x2xf32>
  %x = tamis.dequantize %xq, %sx {axis = 1, block_size = 3} : tensor<4x6xi8>, tensor<4x2xf32> -> tensor<4x6xf32>
  %w = tamis.dequantize %wq, %sw {axis = 0, block_size = 3} : tensor<6x2xi8>, tensor<2x2xf32> -> tensor<6x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x6xf32>, tensor<6x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// The same by floats; the offset of each block multiplies the sum of its row.
// CHECK-LABEL: func.func @floats_by_codes
// CHECK: tamis.contract {{.+}} : tensor<4x2x3xf32>, tensor<2x3x2xi8>) {{.+}} accumulator f32 {rhs_unsigned} -> tensor<2x4x2xf32>
// CHECK: linalg.generic
// CHECK: ^bb0(%[[SUM:.+]]: f32, %[[S:.+]]: f32, %[[ROW:.+]]: f32, %[[O:.+]]: f32, %[[T:.+]]: f32):
// CHECK: %[[Q:.+]] = arith.mulf %[[ROW]], %[[O]] fastmath<contract>
// CHECK: %[[R:.+]] = arith.addf %[[T]], %[[Q]] fastmath<contract>
// CHECK: %[[P:.+]] = arith.mulf %[[SUM]], %[[S]] fastmath<contract>
// CHECK: arith.addf %[[R]], %[[P]] fastmath<contract>
func.func @floats_by_codes(%x: tensor<4x6xf32>) -> tensor<4x2xf32> {
  %wq = arith.constant dense<[[0, 15], [1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]> : tensor<6x2xi8>
  %sw = arith.constant dense<[[0.5, 0.25], [1.0, 2.0]]> : tensor<2x2xf32>
  %ow = arith.constant dense<[[0.1, 0.2], [0.3, 0.4]]> : tensor<2x2xf32>
  %w = tamis.dequantize %wq, %sw offset(%ow : tensor<2x2xf32>) unsigned {axis = 0, block_size = 3} : tensor<6x2xi8>, tensor<2x2xf32> -> tensor<6x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  // expected-remark @below {{contraction left in float: its first operand is not dequantized}}
  %y = tamis.contract ins(%x, %w : tensor<4x6xf32>, tensor<6x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// By integers what an offset multiplies is computed once for all columns.
// CHECK-LABEL: func.func @offsets_beside_codes
// CHECK-SAME: (%{{.+}}, %[[SX:.+]]: tensor<4x2xf32>)
// CHECK: %[[ROWS:.+]] = linalg.generic {{.+}} ins(%{{.+}} : tensor<4x2x3xi8>)
// CHECK: %[[SCALED:.+]] = linalg.generic {{.+}} ins(%[[ROWS]], %[[SX]] : tensor<4x2xi32>, tensor<4x2xf32>)
// CHECK: %[[FLOAT:.+]] = arith.sitofp
// CHECK: arith.mulf %[[FLOAT]]
// CHECK: linalg.generic {{.+}} ins(%{{.+}}, %{{.+}}, %[[SX]], %[[SCALED]], %{{.+}} : tensor<2x4x2xi32>,
// CHECK: ^bb0(%[[SUM:.+]]: i32, %[[S:.+]]: f32, %[[X:.+]]: f32, %[[ROW:.+]]: f32, %[[O:.+]]: f32, %[[T:.+]]: f32):
// CHECK: %[[SS:.+]] = arith.mulf %[[X]], %[[S]] : f32
// CHECK: %[[Y:.+]] = arith.sitofp %[[SUM]]
// CHECK: %[[Q:.+]] = arith.mulf %[[ROW]], %[[O]] fastmath<contract>
// CHECK: %[[R:.+]] = arith.addf %[[T]], %[[Q]] fastmath<contract>
// CHECK: %[[P:.+]] = arith.mulf %[[Y]], %[[SS]] fastmath<contract>
// CHECK: arith.addf %[[R]], %[[P]] fastmath<contract>
func.func @offsets_beside_codes(%xq: tensor<4x6xi8>, %sx: tensor<4x2xf32>) -> tensor<4x2xf32> {
  %wq = arith.constant dense<[[0, 15], [1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]> : tensor<6x2xi8>
  %sw = arith.constant dense<[[0.5, 0.25], [1.0, 2.0]]> : tensor<2x2xf32>
  %ow = arith.constant dense<[[0.1, 0.2], [0.3, 0.4]]> : tensor<2x2xf32>
  %x = tamis.dequantize %xq, %sx {axis = 1, block_size = 3} : tensor<4x6xi8>, tensor<4x2xf32> -> tensor<4x6xf32>
  %w = tamis.dequantize %wq, %sw offset(%ow : tensor<2x2xf32>) unsigned {axis = 0, block_size = 3} : tensor<6x2xi8>, tensor<2x2xf32> -> tensor<6x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x6xf32>, tensor<6x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// One scale for each column: bytes without their zero points.
// CHECK-LABEL: func.func @floats_by_bytes
// CHECK: tamis.contract {{.+}} : tensor<4x3xf32>, tensor<3x2xi8>) {{.+}} accumulator f32 -> tensor<4x2xf32>
// CHECK: linalg.generic {{.+}} : tensor<4x2xf32>, tensor<2xf32>)
// CHECK: arith.mulf
func.func @floats_by_bytes(%x: tensor<4x3xf32>) -> tensor<4x2xf32> {
  %wq = arith.constant dense<[[0, 200], [1, 2], [3, 4]]> : tensor<3x2xi8>
  %sw = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %zw = arith.constant dense<[100, 90]> : tensor<2xi8>
  %w = tamis.dequantize %wq, %sw, %zw unsigned {axis = 1} : tensor<3x2xi8>, tensor<2xf32>, tensor<2xi8> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  // expected-remark @below {{contraction left in float: its first operand is not dequantized}}
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// Enough rows share the weights for their floats to be faster.
// CHECK-LABEL: func.func @keeps_many_rows
// CHECK: tamis.contract {{.+}} : tensor<32x3xf32>, tensor<3x2xf32>)
func.func @keeps_many_rows(%x: tensor<32x3xf32>) -> tensor<32x2xf32> {
  %wq = arith.constant dense<[[0, 20], [1, 2], [3, 4]]> : tensor<3x2xi8>
  %sw = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %w = tamis.dequantize %wq, %sw {axis = 1} : tensor<3x2xi8>, tensor<2xf32> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<32x2xf32>
  // expected-remark @below {{contraction left in float: its first operand is not dequantized}}
  %y = tamis.contract ins(%x, %w : tensor<32x3xf32>, tensor<3x2xf32>) outs(%e : tensor<32x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<32x2xf32>
  return %y : tensor<32x2xf32>
}

// Differences that a byte does not hold stay what they stand for.
// CHECK-LABEL: func.func @keeps_wide_differences
// CHECK: tamis.contract {{.+}} : tensor<4x3xf32>, tensor<3x2xf32>)
func.func @keeps_wide_differences(%x: tensor<4x3xf32>) -> tensor<4x2xf32> {
  %wq = arith.constant dense<[[0, 255], [1, 2], [3, 4]]> : tensor<3x2xi8>
  %sw = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %zw = arith.constant dense<[100, 90]> : tensor<2xi8>
  %w = tamis.dequantize %wq, %sw, %zw unsigned {axis = 1} : tensor<3x2xi8>, tensor<2xf32>, tensor<2xi8> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  // expected-remark @below {{contraction left in float: its first operand is not dequantized}}
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @keeps_two_scales_of_activations
// CHECK: tamis.contract {{.+}} : tensor<4x6xf32>, tensor<6x2xf32>)
func.func @keeps_two_scales_of_activations(%xq: tensor<4x6xi8>, %sx: tensor<4x3xf32>) -> tensor<4x2xf32> {
  %wq = arith.constant dense<1> : tensor<6x2xi8>
  %sw = arith.constant dense<[[0.5, 0.25], [1.0, 2.0]]> : tensor<2x2xf32>
  %x = tamis.dequantize %xq, %sx {axis = 1, block_size = 2} : tensor<4x6xi8>, tensor<4x3xf32> -> tensor<4x6xf32>
  %w = tamis.dequantize %wq, %sw {axis = 0, block_size = 3} : tensor<6x2xi8>, tensor<2x2xf32> -> tensor<6x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  // expected-remark @below {{contraction left in float: its first operand has more than one scale}}
  %y = tamis.contract ins(%x, %w : tensor<4x6xf32>, tensor<6x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// The last block is shorter: filled up with the activations' zero point. An
// open dimension of the other operand has the size of the weights.
// CHECK-LABEL: func.func @last_block_is_shorter
// CHECK-DAG: %[[Z:.+]] = arith.constant 7 : i8
// CHECK-DAG: tensor.pad %{{.+}} low[0, 0] high[1, 0]
// CHECK-DAG: %[[C:.+]] = tensor.cast %{{.+}} : tensor<?x?xi8> to tensor<?x5xi8>
// CHECK: tensor.pad %[[C]] low[0, 0] high[0, 1]
// CHECK: tensor.yield %[[Z]] : i8
// CHECK: tamis.contract ins(%{{.+}}, %{{.+}} : tensor<?x2x3xi8>, tensor<2x3x2xi8>)
func.func @last_block_is_shorter(%xq: tensor<?x?xi8>, %wq: tensor<5x2xi8>, %sw: tensor<2x2xf32>, %e: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<7> : tensor<i8>
  %x = tamis.dequantize %xq, %s, %z unsigned : tensor<?x?xi8>, tensor<f32>, tensor<i8> -> tensor<?x?xf32>
  %w = tamis.dequantize %wq, %sw {axis = 0, block_size = 3} : tensor<5x2xi8>, tensor<2x2xf32> -> tensor<5x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<?x?xf32>, tensor<5x2xf32>) outs(%e : tensor<?x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: func.func @keeps_blocks_of_columns
// CHECK: tamis.contract {{.+}} accumulator f32
func.func @keeps_blocks_of_columns(%xq: tensor<4x3xi8>, %wq: tensor<3x4xi8>, %sw: tensor<3x2xf32>) -> tensor<4x4xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %xq, %s : tensor<4x3xi8>, tensor<f32> -> tensor<4x3xf32>
  %w = tamis.dequantize %wq, %sw {axis = 1, block_size = 2} : tensor<3x4xi8>, tensor<3x2xf32> -> tensor<3x4xf32>
  %e = tensor.empty() : tensor<4x4xf32>
  // expected-remark @below {{contraction left in float: its second operand's blocks lie along a dimension that is not summed over}}
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x4xf32>) outs(%e : tensor<4x4xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// CHECK-LABEL: func.func @keeps_blocks_with_large_sums
// CHECK: tamis.contract {{.+}} accumulator f32
func.func @keeps_blocks_with_large_sums(%xq: tensor<4096x4096xi8>, %wq: tensor<4096x4096xi8>, %sw: tensor<128x4096xf32>) -> tensor<4096x4096xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %xq, %s : tensor<4096x4096xi8>, tensor<f32> -> tensor<4096x4096xf32>
  %w = tamis.dequantize %wq, %sw {axis = 0, block_size = 32} : tensor<4096x4096xi8>, tensor<128x4096xf32> -> tensor<4096x4096xf32>
  %e = tensor.empty() : tensor<4096x4096xf32>
  // expected-remark @below {{contraction left in float: the sums of its second operand's blocks take more than 256 MiB}}
  %y = tamis.contract ins(%x, %w : tensor<4096x4096xf32>, tensor<4096x4096xf32>) outs(%e : tensor<4096x4096xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4096x4096xf32>
  return %y : tensor<4096x4096xf32>
}

#taps_in = affine_map<(n, o, k) -> (n + k)>
#taps_of = affine_map<(n, o, k) -> (k, o)>
// CHECK-LABEL: func.func @keeps_blocks_of_a_window
// CHECK: tamis.contract {{.+}} accumulator f32
func.func @keeps_blocks_of_a_window(%xq: tensor<7xi8>, %wq: tensor<4x2xi8>, %sw: tensor<2x2xf32>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %xq, %s : tensor<7xi8>, tensor<f32> -> tensor<7xf32>
  %w = tamis.dequantize %wq, %sw {axis = 0, block_size = 2} : tensor<4x2xi8>, tensor<2x2xf32> -> tensor<4x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  // expected-remark @below {{contraction left in float: its second operand's blocks lie along a window}}
  %y = tamis.contract ins(%x, %w : tensor<7xf32>, tensor<4x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#taps_in, #taps_of, #o] iterators ["parallel", "parallel", "reduction"] pad [0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @keeps_blocks_of_unknown_size
// CHECK: tamis.contract {{.+}} accumulator f32
func.func @keeps_blocks_of_unknown_size(%xq: tensor<4x?xi8>, %wq: tensor<?x2xi8>, %sw: tensor<?x2xf32>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %xq, %s : tensor<4x?xi8>, tensor<f32> -> tensor<4x?xf32>
  %w = tamis.dequantize %wq, %sw {axis = 0, block_size = 3} : tensor<?x2xi8>, tensor<?x2xf32> -> tensor<?x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  // expected-remark @below {{contraction left in float: the size of its second operand, which has scales in blocks, is not known}}
  %y = tamis.contract ins(%x, %w : tensor<4x?xf32>, tensor<?x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @keeps_blocks_of_grouped_channels
// CHECK: tamis.contract {{.+}} accumulator f32
func.func @keeps_blocks_of_grouped_channels(%xq: tensor<4x6xi8>, %wq: tensor<4x3xi8>, %sw: tensor<4x1xf32>) -> tensor<4x2x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %xq, %s : tensor<4x6xi8>, tensor<f32> -> tensor<4x6xf32>
  %w = tamis.dequantize %wq, %sw {axis = 1, block_size = 3} : tensor<4x3xi8>, tensor<4x1xf32> -> tensor<4x3xf32>
  %xe = tensor.expand_shape %x [[0], [1, 2]] output_shape [4, 2, 3] : tensor<4x6xf32> into tensor<4x2x3xf32>
  %we = tensor.expand_shape %w [[0, 1], [2]] output_shape [2, 2, 3] : tensor<4x3xf32> into tensor<2x2x3xf32>
  %e = tensor.empty() : tensor<4x2x2xf32>
  // expected-remark @below {{contraction left in float: its second operand has scales in blocks of grouped channels}}
  %y = tamis.contract ins(%xe, %we : tensor<4x2x3xf32>, tensor<2x2x3xf32>) outs(%e : tensor<4x2x2xf32>)
    maps [#gl, #gr, #go] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator f32 -> tensor<4x2x2xf32>
  return %y : tensor<4x2x2xf32>
}

// Upper and lower bytes, of the zero point too (-300 is -2 * 256 + 212); their
// sums meet in float64 and are rounded once.
// CHECK-LABEL: func.func @sixteen_bits
// CHECK-DAG: %[[LZ:.+]] = arith.constant -44 : i8
// CHECK-DAG: %[[HZ:.+]] = arith.constant -2 : i8
// CHECK: %[[L:.+]] = tamis.contract {{.+}} lhs_zero(%[[LZ]] : i8) {{.+}} accumulator i32 {lhs_unsigned}
// CHECK: %[[H:.+]] = tamis.contract {{.+}} lhs_zero(%[[HZ]] : i8) {{.+}} accumulator i32 ->
// CHECK: linalg.generic {{.+}} ins(%[[L]], %[[H]], %{{.+}} : tensor<4x2xi32>, tensor<4x2xi32>, tensor<f32>, tensor<i16>)
// CHECK: %[[F:.+]] = arith.addf %{{.+}}, %{{.+}} : f64
// CHECK-NEXT: %[[T:.+]] = arith.truncf %[[F]] : f64 to f32
// CHECK-NEXT: arith.mulf %[[T]]
func.func @sixteen_bits(%xq: tensor<4x3xi16>, %wq: tensor<3x2xi8>) -> tensor<4x2xi16> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<-300> : tensor<i16>
  %x = tamis.dequantize %xq, %s, %z : tensor<4x3xi16>, tensor<f32>, tensor<i16> -> tensor<4x3xf32>
  %w = tamis.dequantize %wq, %s : tensor<3x2xi8>, tensor<f32> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  %q = tamis.quantize %y, %s, %z : tensor<4x2xf32>, tensor<f32>, tensor<i16> -> tensor<4x2xi16>
  return %q : tensor<4x2xi16>
}

// CHECK-LABEL: func.func @keeps_long_sums_of_sixteen_bits
// CHECK: tamis.contract {{.+}} accumulator f32
func.func @keeps_long_sums_of_sixteen_bits(%xq: tensor<4x33026xi16>, %wq: tensor<33026x2xi8>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %xq, %s : tensor<4x33026xi16>, tensor<f32> -> tensor<4x33026xf32>
  %w = tamis.dequantize %wq, %s : tensor<33026x2xi8>, tensor<f32> -> tensor<33026x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  // expected-remark @below {{contraction left in float: it sums up more products of 16 bits than 32 bits hold byte by byte}}
  %y = tamis.contract ins(%x, %w : tensor<4x33026xf32>, tensor<33026x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @keeps_32_bits
// CHECK: tamis.contract {{.+}} accumulator f32
func.func @keeps_32_bits(%xq: tensor<4x3xi32>, %wq: tensor<3x2xi8>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %xq, %s : tensor<4x3xi32>, tensor<f32> -> tensor<4x3xf32>
  %w = tamis.dequantize %wq, %s : tensor<3x2xi8>, tensor<f32> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  // expected-remark @below {{contraction left in float: its operands are not integers of 8 or 16 bits with float32 scales}}
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// Zero points that differ are gone where the weights fit in a byte without.
// CHECK-LABEL: func.func @takes_zero_points_off
// CHECK: %[[W:.+]] = linalg.generic {{.+}} outs(%{{.+}} : tensor<2x2xi8>)
// CHECK: tamis.contract ins(%{{.+}}, %[[W]] : {{.+}}) outs({{.+}} accumulator i32 ->
func.func @takes_zero_points_off(%xq: tensor<4x2xi8>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %sw = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %zw = arith.constant dense<[-56, 8]> : tensor<2xi8>
  %wq = arith.constant dense<[[72, 15], [-1, 0]]> : tensor<2x2xi8>
  %x = tamis.dequantize %xq, %s : tensor<4x2xi8>, tensor<f32> -> tensor<4x2xf32>
  %w = tamis.dequantize %wq, %sw, %zw unsigned {axis = 1} : tensor<2x2xi8>, tensor<2xf32>, tensor<2xi8> -> tensor<2x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x2xf32>, tensor<2x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @keeps_zero_points_that_differ
// CHECK: tamis.contract {{.+}} accumulator f32
func.func @keeps_zero_points_that_differ(%xq: tensor<4x3xi8>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %sw = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %zw = arith.constant dense<[1, 2]> : tensor<2xi8>
  %wq = arith.constant dense<[[127, -126], [0, 0], [0, -127]]> : tensor<3x2xi8>
  %x = tamis.dequantize %xq, %s : tensor<4x3xi8>, tensor<f32> -> tensor<4x3xf32>
  %w = tamis.dequantize %wq, %sw, %zw {axis = 1} : tensor<3x2xi8>, tensor<2xf32>, tensor<2xi8> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  // expected-remark @below {{contraction left in float: its second operand has more than one zero point}}
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// Another reader needs the float, rounded once at most.
// CHECK-LABEL: func.func @keeps_quantize_of_shared_result
// CHECK: tamis.contract {{.+}} accumulator i32
// CHECK: tamis.quantize
func.func @keeps_quantize_of_shared_result(%xq: tensor<4x3xi8>, %wq: tensor<3x2xi8>) -> (tensor<4x2xf32>, tensor<4x2xi8>) {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %xq, %s : tensor<4x3xi8>, tensor<f32> -> tensor<4x3xf32>
  %w = tamis.dequantize %wq, %s : tensor<3x2xi8>, tensor<f32> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  %q = tamis.quantize %y, %s : tensor<4x2xf32>, tensor<f32> -> tensor<4x2xi8>
  return %y, %q : tensor<4x2xf32>, tensor<4x2xi8>
}

// CHECK-LABEL: func.func @keeps_concat_of_different_scales
// CHECK-COUNT-2: tamis.dequantize
// CHECK: tensor.concat {{.+}} -> tensor<8xf32>
func.func @keeps_concat_of_different_scales(%a: tensor<4xi8>, %b: tensor<4xi8>) -> tensor<8xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %t = arith.constant dense<0.25> : tensor<f32>
  %x = tamis.dequantize %a, %s : tensor<4xi8>, tensor<f32> -> tensor<4xf32>
  %y = tamis.dequantize %b, %t : tensor<4xi8>, tensor<f32> -> tensor<4xf32>
  %c = tensor.concat dim(0) %x, %y : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
  return %c : tensor<8xf32>
}

// A batch normalization of constant factors scales the weights' scale and, with
// its shift, the bias.
// CHECK-LABEL: func.func @normalization
// CHECK-DAG: %[[F:.+]] = arith.constant dense<[2.000000e+00, -5.000000e-01]> : tensor<2xf32>
// CHECK-DAG: %[[H:.+]] = arith.constant dense<[1.000000e+00, 3.000000e+00]> : tensor<2xf32>
// CHECK: %[[ACC:.+]] = tamis.contract {{.+}} accumulator i32
// CHECK: arith.divf
// CHECK: math.roundeven
// CHECK: linalg.generic {{.+}} ins(%[[ACC]],
// CHECK-NEXT: ^bb0(%{{.+}}: i32, %{{.+}}: i32, %{{.+}}: f32
// CHECK-NEXT: arith.addi
// CHECK-NEXT: arith.sitofp
// CHECK-NEXT: arith.mulf
// CHECK-NOT: arith.mulf
// CHECK: return
func.func @normalization(%xq: tensor<4x3xi8>, %wq: tensor<3x2xi8>) -> tensor<4x2xi8> {
  %sx = arith.constant dense<0.5> : tensor<f32>
  %sw = arith.constant dense<0.25> : tensor<f32>
  %f = arith.constant dense<[2.0, -0.5]> : tensor<2xf32>
  %h = arith.constant dense<[1.0, 3.0]> : tensor<2xf32>
  %sy = arith.constant dense<0.1> : tensor<f32>
  %x = tamis.dequantize %xq, %sx : tensor<4x3xi8>, tensor<f32> -> tensor<4x3xf32>
  %w = tamis.dequantize %wq, %sw : tensor<3x2xi8>, tensor<f32> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  %n = linalg.generic {indexing_maps = [#id, #col, #col, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y, %f, %h : tensor<4x2xf32>, tensor<2xf32>, tensor<2xf32>) outs(%e : tensor<4x2xf32>) {
  ^bb0(%p: f32, %q: f32, %r: f32, %u: f32):
    %t = arith.mulf %p, %q : f32
    %v = arith.addf %t, %r : f32
    linalg.yield %v : f32
  } -> tensor<4x2xf32>
  %q = tamis.quantize %n, %sy : tensor<4x2xf32>, tensor<f32> -> tensor<4x2xi8>
  return %q : tensor<4x2xi8>
}

// No bias in units of zero: the normalization stays float, on the exact sum.
// CHECK-LABEL: func.func @normalization_of_a_dead_channel
// CHECK: tamis.contract {{.+}} accumulator i32
// CHECK: tamis.quantize
func.func @normalization_of_a_dead_channel(%xq: tensor<4x3xi8>, %wq: tensor<3x2xi8>) -> tensor<4x2xi8> {
  %sx = arith.constant dense<0.5> : tensor<f32>
  %f = arith.constant dense<[2.0, 0.0]> : tensor<2xf32>
  %x = tamis.dequantize %xq, %sx : tensor<4x3xi8>, tensor<f32> -> tensor<4x3xf32>
  %w = tamis.dequantize %wq, %sx : tensor<3x2xi8>, tensor<f32> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  %n = linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y, %f : tensor<4x2xf32>, tensor<2xf32>) outs(%e : tensor<4x2xf32>) {
  ^bb0(%p: f32, %q: f32, %u: f32):
    %t = arith.mulf %p, %q : f32
    linalg.yield %t : f32
  } -> tensor<4x2xf32>
  %q = tamis.quantize %n, %sx : tensor<4x2xf32>, tensor<f32> -> tensor<4x2xi8>
  return %q : tensor<4x2xi8>
}

// CHECK-LABEL: func.func @relu_on_integers
// CHECK: %[[Z:.+]] = arith.constant -3 : i8
// CHECK: linalg.generic
// CHECK: arith.maxsi %{{.+}}, %[[Z]] : i8
// CHECK: tamis.dequantize
// CHECK-NEXT: return
func.func @relu_on_integers(%q: tensor<4x2xi8>) -> tensor<4x2xf32> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %z = arith.constant dense<-3> : tensor<i8>
  %x = tamis.dequantize %q, %s, %z : tensor<4x2xi8>, tensor<f32>, tensor<i8> -> tensor<4x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x2xf32>) outs(%e : tensor<4x2xf32>) {
  ^bb0(%p: f32, %u: f32):
    %low = arith.constant 0.0 : f32
    %t = arith.maximumf %p, %low : f32
    linalg.yield %t : f32
  } -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// A scale that is not known to be positive could turn the order around.
// CHECK-LABEL: func.func @relu_of_any_scale
// CHECK: arith.maximumf
func.func @relu_of_any_scale(%q: tensor<4x2xi8>, %s: tensor<f32>) -> tensor<4x2xf32> {
  %x = tamis.dequantize %q, %s : tensor<4x2xi8>, tensor<f32> -> tensor<4x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x2xf32>) outs(%e : tensor<4x2xf32>) {
  ^bb0(%p: f32, %u: f32):
    %low = arith.constant 0.0 : f32
    %t = arith.maximumf %p, %low : f32
    linalg.yield %t : f32
  } -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// Parts of other scales are quantized one by one; one of the same is there.
// CHECK-LABEL: func.func @concat_rescaled
// CHECK-SAME: %[[A:[^: ]+]]: tensor<4x2xi8>, %[[B:[^: ]+]]: tensor<4x2xi8>
// CHECK: %[[D:.+]] = tamis.dequantize %[[B]]
// CHECK: %[[Q:.+]] = tamis.quantize %[[D]]
// CHECK: %[[C:.+]] = tensor.concat dim(1) %[[A]], %[[Q]] : (tensor<4x2xi8>, tensor<4x2xi8>) -> tensor<4x4xi8>
// CHECK: return %[[C]]
func.func @concat_rescaled(%a: tensor<4x2xi8>, %b: tensor<4x2xi8>) -> tensor<4x4xi8> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %t = arith.constant dense<0.25> : tensor<f32>
  %x = tamis.dequantize %a, %s : tensor<4x2xi8>, tensor<f32> -> tensor<4x2xf32>
  %y = tamis.dequantize %b, %t : tensor<4x2xi8>, tensor<f32> -> tensor<4x2xf32>
  %c = tensor.concat dim(1) %x, %y : (tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<4x4xf32>
  %q = tamis.quantize %c, %s : tensor<4x4xf32>, tensor<f32> -> tensor<4x4xi8>
  return %q : tensor<4x4xi8>
}

// The quantize meets its contraction; bytes are transposed.
// CHECK-LABEL: func.func @transpose_between
// CHECK: tamis.contract {{.+}} accumulator i32
// CHECK-NOT: tamis.quantize
// CHECK: %[[Y:.+]] = linalg.transpose ins(%{{.+}} : tensor<4x2xi8>)
// CHECK: return %[[Y]]
func.func @transpose_between(%xq: tensor<4x3xi8>, %wq: tensor<3x2xi8>) -> tensor<2x4xi8> {
  %s = arith.constant dense<0.5> : tensor<f32>
  %x = tamis.dequantize %xq, %s : tensor<4x3xi8>, tensor<f32> -> tensor<4x3xf32>
  %w = tamis.dequantize %wq, %s : tensor<3x2xi8>, tensor<f32> -> tensor<3x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %y = tamis.contract ins(%x, %w : tensor<4x3xf32>, tensor<3x2xf32>) outs(%e : tensor<4x2xf32>)
    maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x2xf32>
  %f = tensor.empty() : tensor<2x4xf32>
  %t = linalg.transpose ins(%y : tensor<4x2xf32>) outs(%f : tensor<2x4xf32>) permutation = [1, 0]
  %q = tamis.quantize %t, %s : tensor<2x4xf32>, tensor<f32> -> tensor<2x4xi8>
  return %q : tensor<2x4xi8>
}
