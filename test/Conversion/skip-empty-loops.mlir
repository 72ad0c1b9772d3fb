// RUN: tamis-opt %s --tamis-skip-empty-loops | FileCheck %s

// CHECK-LABEL: func.func @nest
// CHECK-SAME: %[[ROWS:.*]]: index, %[[COLUMNS:.*]]: index
// CHECK: %[[ANY:.*]] = arith.cmpi slt, %{{.*}}, %[[COLUMNS]]
// CHECK-NEXT: scf.if %[[ANY]] {
// CHECK-NEXT: scf.for
// CHECK-NEXT: scf.for
// CHECK-NOT: scf.if
func.func @nest(%m: memref<?x?xf32>, %v: f32, %rows: index, %columns: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %rows step %c1 {
    scf.for %j = %c0 to %columns step %c1 {
      memref.store %v, %m[%i, %j] : memref<?x?xf32>
    }
  }
  return
}

// Whole vectors and the rest of them; the bound between is computed inside.
// CHECK-LABEL: func.func @vectors_and_rest
// CHECK: %[[MAIN:.*]] = arith.cmpi slt, %c0, %[[BOUND:.*]] :
// CHECK-NEXT: %[[REST:.*]] = arith.cmpi slt, %[[BOUND]], %{{.*}} :
// CHECK-NEXT: %[[ANY:.*]] = arith.ori %[[MAIN]], %[[REST]]
// CHECK-NEXT: scf.if %[[ANY]]
// CHECK-NEXT: scf.forall
func.func @vectors_and_rest(%m: memref<?x?xf32>, %v: f32, %tasks: index, %columns: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  scf.forall (%i) in (%tasks) {
    %rest = arith.remui %columns, %c8 : index
    %bound = arith.subi %columns, %rest : index
    scf.for %j = %c0 to %bound step %c8 {
      %vector = vector.broadcast %v : f32 to vector<8xf32>
      vector.store %vector, %m[%i, %j] : memref<?x?xf32>, vector<8xf32>
    }
    scf.for %j = %bound to %columns step %c1 {
      memref.store %v, %m[%i, %j] : memref<?x?xf32>
    }
  }
  return
}

// A sum over nothing is zero: its loop writes.
// CHECK-LABEL: func.func @writes_before_its_loop
// CHECK-NOT: scf.if
func.func @writes_before_its_loop(%m: memref<?xf32>, %x: memref<?x?xf32>, %v: f32, %rows: index, %columns: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %rows step %c1 {
    memref.store %v, %m[%i] : memref<?xf32>
    scf.for %j = %c0 to %columns step %c1 {
      %e = memref.load %x[%i, %j] : memref<?x?xf32>
      memref.store %e, %m[%i] : memref<?xf32>
    }
  }
  return
}

// CHECK-LABEL: func.func @bounds_that_depend_on_the_row
// CHECK-NOT: scf.if
func.func @bounds_that_depend_on_the_row(%m: memref<?x?xf32>, %v: f32, %rows: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %rows step %c1 {
    scf.for %j = %c0 to %i step %c1 {
      memref.store %v, %m[%i, %j] : memref<?x?xf32>
    }
  }
  return
}

// CHECK-LABEL: func.func @constant_bounds
// CHECK-NOT: scf.if
func.func @constant_bounds(%m: memref<?x4xf32>, %v: f32, %rows: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.for %i = %c0 to %rows step %c1 {
    scf.for %j = %c0 to %c4 step %c1 {
      memref.store %v, %m[%i, %j] : memref<?x4xf32>
    }
  }
  return
}
