// RUN: tamis-opt %s --split-input-file --tamis-select-quantization="tables=true" | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization="tables=true" --tamis-quantize | FileCheck %s --check-prefix=APPLY
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization | FileCheck %s --check-prefix=OFF
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization="tables=true op-types=MatMul" | FileCheck %s --check-prefix=TYPES
// RUN: tamis-opt %s --split-input-file --tamis-select-quantization="tables=true exclude=table" | FileCheck %s --check-prefix=NAME

#i = affine_map<(d0, d1) -> (d0)>
#id = affine_map<(d0, d1) -> (d0, d1)>

// A scale for each row.
// CHECK: decision = "int8", {{.*}} reason = "table of embeddings, a scale for each row", tensor = "table"
// TYPES: reason = "its node type is not among op-types", tensor = "table"
// NAME: reason = "it is excluded by name", tensor = "table"
// CHECK-LABEL: func.func @rows
// OFF-LABEL: func.func @rows
func.func @rows(%at: tensor<4xindex>) -> tensor<4x32xf32> {
  %c = arith.constant dense<1.0> : tensor<64x32xf32>
  // CHECK: tensor "table" {scheme = #tamis.scheme<bits = 8, symmetric = true, axis = 0>}
  // OFF: tensor "table" :
  // TYPES: tensor "table" :
  // NAME: tensor "table" :
  // APPLY: tamis.dequantize %{{.*}}, %{{.*}} {axis = 0 : i64, origin = "table"} : tensor<64x32xi8>, tensor<64xf32> -> tensor<64x32xf32>
  %w = tamis.observe parameter %c tensor "table" : tensor<64x32xf32>
  %e = tensor.empty() : tensor<4x32xf32>
  %y = linalg.generic {indexing_maps = [#i, #id], iterator_types = ["parallel", "parallel"]} ins(%at : tensor<4xindex>) outs(%e : tensor<4x32xf32>) {
  ^bb0(%row: index, %out: f32):
    %column = linalg.index 1 : index
    %v = tensor.extract %w[%row, %column] : tensor<64x32xf32>
    linalg.yield %v : f32
  } -> tensor<4x32xf32>
  return %y : tensor<4x32xf32>
}

// -----

#i = affine_map<(d0, d1) -> (d0)>
#id = affine_map<(d0, d1) -> (d0, d1)>
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>

// The weight of a product keeps the product's form, here along the same axis.
// CHECK: decision = "int8", {{.*}} reason = "table that is the weight of a contraction too", tensor = "tied"
// CHECK-LABEL: func.func @tied
func.func @tied(%at: tensor<4xindex>) -> tensor<4x64xf32> {
  %c = arith.constant dense<1.0> : tensor<64x32xf32>
  // CHECK: tensor "tied" {scheme = #tamis.scheme<bits = 8, symmetric = true, axis = 0>}
  %w = tamis.observe parameter %c tensor "tied" : tensor<64x32xf32>
  %e = tensor.empty() : tensor<4x32xf32>
  %f = tensor.empty() : tensor<4x64xf32>
  %r = linalg.generic {indexing_maps = [#i, #id], iterator_types = ["parallel", "parallel"]} ins(%at : tensor<4xindex>) outs(%e : tensor<4x32xf32>) {
  ^bb0(%row: index, %out: f32):
    %column = linalg.index 1 : index
    %v = tensor.extract %w[%row, %column] : tensor<64x32xf32>
    linalg.yield %v : f32
  } -> tensor<4x32xf32>
  %o = tamis.observe %r tensor "rows" {statistics = {minmax = dense<[-1.0, 1.0]> : tensor<2xf32>}} : tensor<4x32xf32>
  %p = tamis.contract ins(%o, %w : tensor<4x32xf32>, tensor<64x32xf32>) outs(%f : tensor<4x64xf32>)
    maps [#x, #w, #y] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "head"} -> tensor<4x64xf32>
  return %p : tensor<4x64xf32>
}

// -----

#i = affine_map<(d0, d1) -> (d0)>
#id = affine_map<(d0, d1) -> (d0, d1)>

// What the other reader needs of it nobody knows.
// CHECK: reason = "other operations than gathers of rows read the table", tensor = "table"
// CHECK-LABEL: func.func @read_otherwise
func.func @read_otherwise(%at: tensor<4xindex>) -> (tensor<4x32xf32>, tensor<64x32xf32>) {
  %c = arith.constant dense<1.0> : tensor<64x32xf32>
  // CHECK: tensor "table" :
  %w = tamis.observe parameter %c tensor "table" : tensor<64x32xf32>
  %e = tensor.empty() : tensor<4x32xf32>
  %y = linalg.generic {indexing_maps = [#i, #id], iterator_types = ["parallel", "parallel"]} ins(%at : tensor<4xindex>) outs(%e : tensor<4x32xf32>) {
  ^bb0(%row: index, %out: f32):
    %column = linalg.index 1 : index
    %v = tensor.extract %w[%row, %column] : tensor<64x32xf32>
    linalg.yield %v : f32
  } -> tensor<4x32xf32>
  return %y, %w : tensor<4x32xf32>, tensor<64x32xf32>
}

// -----

#i = affine_map<(d0, d1) -> (d1)>
#id = affine_map<(d0, d1) -> (d0, d1)>

// Columns would need a scale each time.
// CHECK-NOT: tamis.compression
// CHECK-LABEL: func.func @columns
func.func @columns(%at: tensor<4xindex>) -> tensor<64x4xf32> {
  %c = arith.constant dense<1.0> : tensor<64x32xf32>
  // CHECK: tensor "table" :
  %w = tamis.observe parameter %c tensor "table" : tensor<64x32xf32>
  %e = tensor.empty() : tensor<64x4xf32>
  %y = linalg.generic {indexing_maps = [#i, #id], iterator_types = ["parallel", "parallel"]} ins(%at : tensor<4xindex>) outs(%e : tensor<64x4xf32>) {
  ^bb0(%column: index, %out: f32):
    %row = linalg.index 0 : index
    %v = tensor.extract %w[%row, %column] : tensor<64x32xf32>
    linalg.yield %v : f32
  } -> tensor<64x4xf32>
  return %y : tensor<64x4xf32>
}

// -----

#i = affine_map<(d0, d1) -> (d0)>
#id = affine_map<(d0, d1) -> (d0, d1)>

// CHECK: reason = "the table is small, or its rows are", tensor = "table"
// CHECK-LABEL: func.func @small
func.func @small(%at: tensor<4xindex>) -> tensor<4x32xf32> {
  %c = arith.constant dense<1.0> : tensor<2x32xf32>
  // CHECK: tensor "table" :
  %w = tamis.observe parameter %c tensor "table" : tensor<2x32xf32>
  %e = tensor.empty() : tensor<4x32xf32>
  %y = linalg.generic {indexing_maps = [#i, #id], iterator_types = ["parallel", "parallel"]} ins(%at : tensor<4xindex>) outs(%e : tensor<4x32xf32>) {
  ^bb0(%row: index, %out: f32):
    %column = linalg.index 1 : index
    %v = tensor.extract %w[%row, %column] : tensor<2x32xf32>
    linalg.yield %v : f32
  } -> tensor<4x32xf32>
  return %y : tensor<4x32xf32>
}

// -----

#i = affine_map<(d0, d1) -> (d0)>
#id = affine_map<(d0, d1) -> (d0, d1)>

// CHECK: reason = "the table is not float32", tensor = "table"
// CHECK-LABEL: func.func @half
func.func @half(%at: tensor<4xindex>) -> tensor<4x32xf16> {
  %c = arith.constant dense<1.0> : tensor<64x32xf16>
  // CHECK: tensor "table" :
  %w = tamis.observe parameter %c tensor "table" : tensor<64x32xf16>
  %e = tensor.empty() : tensor<4x32xf16>
  %y = linalg.generic {indexing_maps = [#i, #id], iterator_types = ["parallel", "parallel"]} ins(%at : tensor<4xindex>) outs(%e : tensor<4x32xf16>) {
  ^bb0(%row: index, %out: f16):
    %column = linalg.index 1 : index
    %v = tensor.extract %w[%row, %column] : tensor<64x32xf16>
    linalg.yield %v : f16
  } -> tensor<4x32xf16>
  return %y : tensor<4x32xf16>
}
