// RUN: tamis-opt %s --tamis-drop-observations | FileCheck %s

// CHECK-LABEL: func.func @observed
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>)
func.func @observed(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK-NEXT: return %[[X]]
  %y = tamis.observe %x tensor "x" : tensor<4xf32>
  %z = tamis.observe %y tensor "z" {collect = ["minmax"]} : tensor<4xf32>
  return %z : tensor<4xf32>
}
