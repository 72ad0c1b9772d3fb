// RUN: tamis-opt %s --split-input-file --tamis-bind-buffers | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-bind-buffers --tamis-bufferize --canonicalize --cse | FileCheck %s --check-prefix=MEMORY

// A row put into an argument: the argument's memory may be the result's, and is
// copied where it is not. Sizes still come from the argument.
// CHECK: outputs = [{{{.*}}name = "present", state = "past"}]
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[PAST:.+]]: memref<?x8xf32> {{.*}}, %{{.+}}: memref<1x8xf32> {{.*}}, %[[AT:.+]]: memref<index> {{.*}}, %[[PRESENT:.+]]: memref<?x8xf32> {tamis.output
// CHECK: %[[FROM:.+]] = memref.extract_aligned_pointer_as_index %[[PAST]]
// CHECK: %[[TO:.+]] = memref.extract_aligned_pointer_as_index %[[PRESENT]]
// CHECK: %[[APART:.+]] = arith.cmpi ne, %[[FROM]], %[[TO]]
// CHECK: scf.if %[[APART]] {
// CHECK-NEXT: linalg.copy ins(%[[PAST]] : {{.+}}) outs(%[[PRESENT]]
// CHECK: %[[STATE:.+]] = bufferization.to_tensor %[[PRESENT]] restrict writable
// CHECK: tensor.insert_slice %{{.+}} into %[[STATE]]

// MEMORY-LABEL: func.func @main
// MEMORY-SAME: %[[PRESENT:[^:]+]]: memref<?x8xf32> {tamis.output
// MEMORY: linalg.copy
// MEMORY-NOT: memref.alloc
// MEMORY: memref.subview %[[PRESENT]]
// MEMORY: linalg.copy
// MEMORY-NOT: linalg.copy
// MEMORY: return
func.func @main(%past: tensor<?x8xf32> {tamis.name = "past", tamis.dims = ["room", "8"]}, %row: tensor<1x8xf32> {tamis.name = "row"},
                %place: tensor<index> {tamis.name = "place", tamis.dtype = "int64"}) -> (tensor<?x8xf32> {tamis.name = "present"}) {
  %at = tensor.extract %place[] : tensor<index>
  %present = tensor.insert_slice %row into %past[%at, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<?x8xf32>
  return %present : tensor<?x8xf32>
}

// -----

// Through a loop; the second result of the same argument is on its own.
// CHECK: outputs = [{{{.*}}name = "a", state = "x"}, {{{[^}]*}}name = "b"}]
func.func @main(%x: tensor<4x8xf32> {tamis.name = "x"}, %row: tensor<1x8xf32> {tamis.name = "row"})
    -> (tensor<4x8xf32> {tamis.name = "a"}, tensor<4x8xf32> {tamis.name = "b"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %a = scf.for %i = %c0 to %c2 step %c1 iter_args(%t = %x) -> tensor<4x8xf32> {
    %next = tensor.insert_slice %row into %t[%i, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<4x8xf32>
    scf.yield %next : tensor<4x8xf32>
  }
  %b = tensor.insert_slice %row into %x[3, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<4x8xf32>
  return %a, %b : tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// A new tensor continues nothing.
// CHECK: outputs = [{{{[^}]*}}name = "y"}]
// CHECK-NOT: scf.if
func.func @main(%x: tensor<4x8xf32> {tamis.name = "x"}) -> (tensor<4x8xf32> {tamis.name = "y"}) {
  %e = tensor.empty() : tensor<4x8xf32>
  %y = linalg.add ins(%x, %x : tensor<4x8xf32>, tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
