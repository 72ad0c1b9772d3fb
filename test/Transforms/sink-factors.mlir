// RUN: tamis-opt %s --tamis-sink-factors | FileCheck %s
// RUN: tamis-opt %s --tamis-sink-factors --tamis-sink-factors | FileCheck %s

#id = affine_map<(k, n) -> (k, n)>
#column = affine_map<(k, n) -> (n)>
#depth = affine_map<(k, n) -> (k)>
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>

// The product is by the table, its result is scaled.
// CHECK-LABEL: func.func @factors_of_columns
func.func @factors_of_columns(%x: tensor<1x8xf32>, %codes: tensor<8x4xindex>, %s: tensor<4xf32>, %e: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %table = arith.constant dense<[0.0, 1.0, 2.5]> : tensor<3xf32>
  %i = tensor.empty() : tensor<8x4xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%codes : tensor<8x4xindex>) outs(%i : tensor<8x4xf32>) {
  ^bb0(%c: index, %o: f32):
    %v = tensor.extract %table[%c] : tensor<3xf32>
    linalg.yield %v : f32
  } -> tensor<8x4xf32>
  %w = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%t, %s : tensor<8x4xf32>, tensor<4xf32>) outs(%i : tensor<8x4xf32>) {
  ^bb0(%a: f32, %f: f32, %o: f32):
    %v = arith.mulf %a, %f : f32
    linalg.yield %v : f32
  } -> tensor<8x4xf32>
  // CHECK: %[[T:.+]] = linalg.generic {{.+}} ins(%arg1
  // CHECK: %[[Y:.+]] = tamis.contract ins(%arg0, %[[T]] :
  // CHECK: %[[R:.+]] = linalg.generic {{.+}} ins(%[[Y]], %arg2 : tensor<1x4xf32>, tensor<4xf32>)
  // CHECK: arith.mulf
  // CHECK: return %[[R]]
  %y = tamis.contract ins(%x, %w : tensor<1x8xf32>, tensor<8x4xf32>) outs(%e : tensor<1x4xf32>)
         maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}


// CHECK-LABEL: func.func @keeps_factors_along_the_sum
func.func @keeps_factors_along_the_sum(%x: tensor<1x8xf32>, %codes: tensor<8x4xindex>, %s: tensor<8xf32>, %e: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %table = arith.constant dense<[0.0, 1.0, 2.5]> : tensor<3xf32>
  %i = tensor.empty() : tensor<8x4xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%codes : tensor<8x4xindex>) outs(%i : tensor<8x4xf32>) {
  ^bb0(%c: index, %o: f32):
    %v = tensor.extract %table[%c] : tensor<3xf32>
    linalg.yield %v : f32
  } -> tensor<8x4xf32>
  %w = linalg.generic {indexing_maps = [#id, #depth, #id], iterator_types = ["parallel", "parallel"]} ins(%t, %s : tensor<8x4xf32>, tensor<8xf32>) outs(%i : tensor<8x4xf32>) {
  ^bb0(%a: f32, %f: f32, %o: f32):
    %v = arith.mulf %a, %f : f32
    linalg.yield %v : f32
  } -> tensor<8x4xf32>
  // CHECK: %[[W:.+]] = linalg.generic {{.+}} ins(%{{.+}}, %arg2
  // CHECK: %[[Y:.+]] = tamis.contract ins(%arg0, %[[W]] :
  // CHECK: return %[[Y]]
  %y = tamis.contract ins(%x, %w : tensor<1x8xf32>, tensor<8x4xf32>) outs(%e : tensor<1x4xf32>)
         maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}


// CHECK-LABEL: func.func @keeps_many_rows
func.func @keeps_many_rows(%x: tensor<32x8xf32>, %codes: tensor<8x4xindex>, %s: tensor<4xf32>, %e: tensor<32x4xf32>) -> tensor<32x4xf32> {
  %table = arith.constant dense<[0.0, 1.0, 2.5]> : tensor<3xf32>
  %i = tensor.empty() : tensor<8x4xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%codes : tensor<8x4xindex>) outs(%i : tensor<8x4xf32>) {
  ^bb0(%c: index, %o: f32):
    %v = tensor.extract %table[%c] : tensor<3xf32>
    linalg.yield %v : f32
  } -> tensor<8x4xf32>
  %w = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%t, %s : tensor<8x4xf32>, tensor<4xf32>) outs(%i : tensor<8x4xf32>) {
  ^bb0(%a: f32, %f: f32, %o: f32):
    %v = arith.mulf %a, %f : f32
    linalg.yield %v : f32
  } -> tensor<8x4xf32>
  // CHECK: %[[Y:.+]] = tamis.contract
  // CHECK: return %[[Y]]
  %y = tamis.contract ins(%x, %w : tensor<32x8xf32>, tensor<8x4xf32>) outs(%e : tensor<32x4xf32>)
         maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<32x4xf32>
  return %y : tensor<32x4xf32>
}


// CHECK-LABEL: func.func @keeps_large_table
func.func @keeps_large_table(%x: tensor<1x8xf32>, %codes: tensor<8x4xindex>, %s: tensor<4xf32>, %e: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %table = arith.constant dense<1.0> : tensor<17xf32>
  %i = tensor.empty() : tensor<8x4xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%codes : tensor<8x4xindex>) outs(%i : tensor<8x4xf32>) {
  ^bb0(%c: index, %o: f32):
    %v = tensor.extract %table[%c] : tensor<17xf32>
    linalg.yield %v : f32
  } -> tensor<8x4xf32>
  %w = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%t, %s : tensor<8x4xf32>, tensor<4xf32>) outs(%i : tensor<8x4xf32>) {
  ^bb0(%a: f32, %f: f32, %o: f32):
    %v = arith.mulf %a, %f : f32
    linalg.yield %v : f32
  } -> tensor<8x4xf32>
  // CHECK: %[[Y:.+]] = tamis.contract
  // CHECK: return %[[Y]]
  %y = tamis.contract ins(%x, %w : tensor<1x8xf32>, tensor<8x4xf32>) outs(%e : tensor<1x4xf32>)
         maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}
