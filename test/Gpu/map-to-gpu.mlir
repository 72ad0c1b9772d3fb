// RUN: tamis-opt %s --tamis-map-to-gpu | FileCheck %s
// RUN: tamis-opt %s --tamis-map-to-gpu --tamis-map-to-gpu | FileCheck %s

// CHECK: tamis.device = {host = [{kernel = "sums_to_one_element", reason = "the result is one element"}, {kernel = "computes_in_float64", reason = "f64 has no device form"}, {kernel = "has_an_unknown_function", reason = "'math.atan' has no device form"}, {kernel = "reads_indices_of_the_host", reason = "memref<8xindex> has no device form"}, {kernel = "writes_one_element_often", reason = "invocations would write the same element"}], kernels = 4 : i64}

#id = affine_map<(d0, d1) -> (d0, d1)>
#vector = affine_map<(d0) -> (d0)>
#none = affine_map<(d0) -> ()>
#lhs = affine_map<(d0, d1, d2) -> (d0, d2)>
#rhs = affine_map<(d0, d1, d2) -> (d2, d1)>
#out = affine_map<(d0, d1, d2) -> (d0, d1)>

// One invocation for each of 4 x 40 elements, 3 workgroups of 64; the columns
// are innermost.
// CHECK-LABEL: func.func private @maps_elementwise
// CHECK: gpu.launch blocks({{.*}}) in ({{.*}} = %c3{{.*}}, {{.*}} = %c1{{.*}}, {{.*}}) threads({{.*}}) in ({{.*}} = %c64
// CHECK: %[[IN:.+]] = arith.cmpi ult, %[[N:.+]], %c160
// CHECK: scf.if %[[IN]]
// CHECK: %[[COL:.+]] = arith.remui %[[N]], %c40
// CHECK: %[[ROW:.+]] = arith.divui %[[N]], %c40
// CHECK: %[[A:.+]] = memref.load %arg0[%[[ROW]], %[[COL]]]
// CHECK: %[[E:.+]] = arith.addf %[[A]], %[[A]]
// CHECK: memref.store %[[E]], %arg1[%[[ROW]], %[[COL]]]
func.func private @maps_elementwise(%a: memref<4x40xf32>, %b: memref<4x40xf32>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : memref<4x40xf32>) outs(%b : memref<4x40xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %in : f32
    linalg.yield %0 : f32
  }
  return
}

// Four columns of four rows read eight elements for sixteen products. The sums
// stay in registers; the number of rows is known at run time. What is beyond
// the last row or column is not written.
// CHECK-LABEL: func.func private @maps_reduction_in_blocks
// CHECK: %[[ROWS:.+]] = memref.dim %arg0, %c0
// CHECK: gpu.launch
// CHECK: %[[LAST:.+]] = arith.subi %c7{{.*}}, %c1
// CHECK: %[[NEXT:.+]] = arith.addi %[[COL:.+]], %c2
// CHECK: arith.minui %[[NEXT]], %[[LAST]]
// CHECK: %[[EXISTS:.+]] = arith.cmpi ule, %[[NEXT]], %[[LAST]]
// CHECK: %[[OLD:.+]] = memref.load %arg2
// CHECK: %[[SUM:.+]]:16 = scf.for {{.*}} iter_args(%{{.*}} = %[[OLD]], {{.*}})
// CHECK-COUNT-1: memref.load %arg0
// CHECK-COUNT-4: memref.load %arg1
// CHECK-COUNT-3: memref.load %arg0
// CHECK-NOT: memref.load
// CHECK: memref.store %[[SUM]]#0, %arg2
// CHECK: scf.if %[[EXISTS]]
// CHECK-NEXT: memref.store %[[SUM]]#1, %arg2
func.func private @maps_reduction_in_blocks(%a: memref<?x16xi32>, %b: memref<16x7xi32>, %c: memref<?x7xi32>) {
  linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<?x16xi32>, memref<16x7xi32>) outs(%c : memref<?x7xi32>) {
  ^bb0(%x: i32, %y: i32, %out: i32):
    %0 = arith.muli %x, %y : i32
    %1 = arith.addi %out, %0 : i32
    linalg.yield %1 : i32
  }
  return
}

// A result of 24 elements gives a device little to do as it is.
// CHECK-LABEL: func.func private @keeps_small_sum_apart
// CHECK: scf.for {{.*}} -> (i32)
func.func private @keeps_small_sum_apart(%a: memref<3x16xi32>, %b: memref<16x8xi32>, %c: memref<3x8xi32>) {
  linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<3x16xi32>, memref<16x8xi32>) outs(%c : memref<3x8xi32>) {
  ^bb0(%x: i32, %y: i32, %out: i32):
    %0 = arith.muli %x, %y : i32
    %1 = arith.addi %out, %0 : i32
    linalg.yield %1 : i32
  }
  return
}

// CHECK-LABEL: func.func private @maps_copy
// CHECK: gpu.launch
// CHECK-NOT: memref.copy
func.func private @maps_copy(%a: memref<8xf32>, %b: memref<8xf32, strided<[2], offset: ?>>) {
  memref.copy %a, %b : memref<8xf32> to memref<8xf32, strided<[2], offset: ?>>
  return
}

// CHECK-LABEL: func.func private @sums_to_one_element
// CHECK-NOT: gpu.launch
func.func private @sums_to_one_element(%a: memref<8xf32>, %b: memref<f32>) {
  linalg.generic {indexing_maps = [#vector, #none], iterator_types = ["reduction"]}
      ins(%a : memref<8xf32>) outs(%b : memref<f32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    linalg.yield %0 : f32
  }
  return
}

// CHECK-LABEL: func.func private @computes_in_float64
// CHECK-NOT: gpu.launch
func.func private @computes_in_float64(%a: memref<8xf32>) {
  linalg.generic {indexing_maps = [#vector], iterator_types = ["parallel"]} outs(%a : memref<8xf32>) {
  ^bb0(%out: f32):
    %0 = arith.extf %out : f32 to f64
    %1 = arith.addf %0, %0 : f64
    %2 = arith.truncf %1 : f64 to f32
    linalg.yield %2 : f32
  }
  return
}

// CHECK-LABEL: func.func private @has_an_unknown_function
// CHECK-NOT: gpu.launch
func.func private @has_an_unknown_function(%a: memref<8xf32>) {
  linalg.generic {indexing_maps = [#vector], iterator_types = ["parallel"]} outs(%a : memref<8xf32>) {
  ^bb0(%out: f32):
    %0 = math.atan %out : f32
    linalg.yield %0 : f32
  }
  return
}

// CHECK-LABEL: func.func private @reads_indices_of_the_host
// CHECK-NOT: gpu.launch
func.func private @reads_indices_of_the_host(%a: memref<8xindex>) {
  linalg.generic {indexing_maps = [#vector], iterator_types = ["parallel"]} outs(%a : memref<8xindex>) {
  ^bb0(%out: index):
    %0 = arith.addi %out, %out : index
    linalg.yield %0 : index
  }
  return
}

// CHECK-LABEL: func.func private @writes_one_element_often
// CHECK-NOT: gpu.launch
func.func private @writes_one_element_often(%a: memref<8xf32>, %b: memref<f32>) {
  linalg.generic {indexing_maps = [#vector, #none], iterator_types = ["parallel"]}
      ins(%a : memref<8xf32>) outs(%b : memref<f32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  }
  return
}

// The host waits before it reads what a launch may have written, once; not for
// its own error word; and before it returns.
// CHECK-LABEL: func.func @main
// CHECK: call @maps_elementwise
// CHECK-NEXT: %[[WORD:.+]] = memref.load %{{.*}}[] : memref<i32>
// CHECK-NEXT: call @tamis_device_wait()
// CHECK-NEXT: memref.load %arg1
// CHECK-NEXT: memref.load %arg1
// CHECK: call @maps_copy
// CHECK-NEXT: call @tamis_device_wait()
// CHECK-NEXT: call @sums_to_one_element
// CHECK-NEXT: call @maps_elementwise
// CHECK-NEXT: call @tamis_device_wait()
// CHECK-NEXT: return
func.func @main(%a: memref<4x40xf32>, %b: memref<4x40xf32>, %v: memref<8xf32>, %s: memref<f32>, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %word = memref.view %workspace[%c0][] : memref<?xi8> to memref<i32>
  %w = memref.reinterpret_cast %v to offset: [0], sizes: [8], strides: [2] : memref<8xf32> to memref<8xf32, strided<[2]>>
  %view = memref.cast %w : memref<8xf32, strided<[2]>> to memref<8xf32, strided<[2], offset: ?>>
  call @maps_elementwise(%a, %b) : (memref<4x40xf32>, memref<4x40xf32>) -> ()
  %e = memref.load %word[] : memref<i32>
  %x = memref.load %b[%c0, %c0] : memref<4x40xf32>
  %y = memref.load %b[%c0, %c0] : memref<4x40xf32>
  call @maps_copy(%v, %view) : (memref<8xf32>, memref<8xf32, strided<[2], offset: ?>>) -> ()
  call @sums_to_one_element(%v, %s) : (memref<8xf32>, memref<f32>) -> ()
  call @maps_elementwise(%a, %b) : (memref<4x40xf32>, memref<4x40xf32>) -> ()
  return
}
