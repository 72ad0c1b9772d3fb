// RUN: tamis-opt %s --tamis-map-to-gpu | FileCheck %s

// CHECK: tamis.device = {host = [{kernel = "refuses_a_row_of_float64", reason = "f64 has no device form"}, {kernel = "refuses_another_place", reason = "a lane reads what another one writes"}], kernels = 2 : i64}

#id = affine_map<(d0) -> (d0)>
#none = affine_map<(d0) -> ()>
!row = memref<1000xf32, strided<[1], offset: ?>>
!sum = memref<f32, strided<[], offset: ?>>

// A workgroup of 128 for each row. The sum of a lane begins with 0, halves go
// through workgroup memory, the start value comes last; the scaled row is
// written by the lanes that read it, and the sum by one of them.
// CHECK-LABEL: func.func private @sums_and_scales_rows
// CHECK: gpu.launch blocks({{.*}}) in ({{.*}} = %c7{{.*}}, {{.*}}) threads({{.*}}) in ({{.*}} = %c128
// CHECK-SAME: workgroup(%[[SHARED:.+]] : memref<128xf32, #gpu.address_space<workgroup>>)
// CHECK: %[[INSIDE:.+]] = arith.cmpi ult, %{{.+}}, %c7
// CHECK: %[[END:.+]] = arith.select %[[INSIDE]], %c1000{{.*}}, %c0
// CHECK: %[[PART:.+]] = scf.for %[[AT:.+]] = %[[LANE:.+]] to %[[END]] step %c128{{.*}} iter_args(%{{.+}} = %[[NEUTRAL:.+]])
// CHECK: memref.load %arg0[%[[ROW:.+]], %[[AT]]]
// CHECK: memref.store %[[PART]], %[[SHARED]]
// CHECK-COUNT-8: gpu.barrier
// CHECK: %[[ALL:.+]] = memref.load %[[SHARED]]
// CHECK: gpu.barrier
// CHECK: %[[SUM:.+]] = arith.addf %cst{{.*}}, %[[ALL]]
// CHECK: scf.for
// CHECK: %[[X:.+]] = memref.load %arg0
// CHECK: %[[Y:.+]] = arith.mulf %[[X]], %[[SUM]]
// CHECK: memref.store %[[Y]], %arg2
// CHECK: gpu.barrier
// CHECK: scf.if
// CHECK: memref.store %[[SUM]], %arg1
func.func private @sums_and_scales_rows(%x: memref<7x1000xf32>, %s: memref<7xf32>, %y: memref<7x1000xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  %zero = arith.constant 0.0 : f32
  scf.for %i = %c0 to %c7 step %c1 {
    %row = memref.subview %x[%i, 0] [1, 1000] [1, 1] : memref<7x1000xf32> to !row
    %sum = memref.subview %s[%i] [1] [1] : memref<7xf32> to !sum
    %out = memref.subview %y[%i, 0] [1, 1000] [1, 1] : memref<7x1000xf32> to !row
    linalg.fill ins(%zero : f32) outs(%sum : !sum)
    linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]} ins(%row : !row) outs(%sum : !sum) {
    ^bb0(%a: f32, %b: f32):
      %r = arith.addf %b, %a : f32
      linalg.yield %r : f32
    }
    linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel"]} ins(%row, %sum : !row, !sum) outs(%out : !row) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %r = arith.mulf %a, %b : f32
      linalg.yield %r : f32
    }
  } {tamis.kernel}
  return
}

// Four rows of at most 256 elements share a workgroup, 32 lanes each.
// CHECK-LABEL: func.func private @puts_short_rows_together
// CHECK: gpu.launch blocks({{.*}}) in ({{.*}} = %c3{{.*}}, {{.*}}) threads({{.*}}) in ({{.*}} = %c128
// CHECK: arith.remui %{{.+}}, %c32
// CHECK: arith.divui %{{.+}}, %c32
// CHECK-COUNT-6: gpu.barrier
// CHECK: memref.load
func.func private @puts_short_rows_together(%x: memref<10x40xi32>, %s: memref<10xi32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c10 = arith.constant 10 : index
  scf.for %i = %c0 to %c10 step %c1 {
    %row = memref.subview %x[%i, 0] [1, 40] [1, 1] : memref<10x40xi32> to memref<40xi32, strided<[1], offset: ?>>
    %max = memref.subview %s[%i] [1] [1] : memref<10xi32> to memref<i32, strided<[], offset: ?>>
    linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]}
        ins(%row : memref<40xi32, strided<[1], offset: ?>>) outs(%max : memref<i32, strided<[], offset: ?>>) {
    ^bb0(%a: i32, %b: i32):
      %r = arith.maxsi %b, %a : i32
      linalg.yield %r : i32
    }
  } {tamis.kernel}
  return
}

func.func private @refuses_a_row_of_float64(%x: memref<40xf32>, %s: memref<f32>) {
  scf.execute_region no_inline {
    linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]} ins(%x : memref<40xf32>) outs(%s : memref<f32>) {
    ^bb0(%a: f32, %b: f32):
      %w = arith.extf %a : f32 to f64
      %n = arith.truncf %w : f64 to f32
      %r = arith.addf %b, %n : f32
      linalg.yield %r : f32
    }
    scf.yield
  } {tamis.kernel}
  return
}

func.func private @refuses_another_place(%x: memref<40xf32>, %y: memref<40xf32>, %z: memref<40xf32>) {
  scf.execute_region no_inline {
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : memref<40xf32>) outs(%y : memref<40xf32>) {
    ^bb0(%a: f32, %b: f32):
      linalg.yield %a : f32
    }
    linalg.generic {indexing_maps = [affine_map<(d0) -> (39 - d0)>, #id], iterator_types = ["parallel"]} ins(%y : memref<40xf32>) outs(%z : memref<40xf32>) {
    ^bb0(%a: f32, %b: f32):
      linalg.yield %a : f32
    }
    scf.yield
  } {tamis.kernel}
  return
}

func.func @main() {
  return
}
