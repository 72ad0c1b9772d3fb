// RUN: tamis-opt %s --tamis-lower-masks | FileCheck %s

// CHECK-LABEL: func.func @mask
// CHECK: %[[LENGTH:.+]] = arith.minsi
// CHECK: %[[BOUND:.+]] = vector.broadcast %{{.+}} : i32 to vector<16xi32>
// CHECK: arith.cmpi slt, %{{.+}}, %[[BOUND]] : vector<16xi32>
// CHECK-NOT: vector.create_mask
func.func @mask(%n: index) -> vector<16xi1> {
  %m = vector.create_mask %n : vector<16xi1>
  return %m : vector<16xi1>
}
