// RUN: tamis-opt %s --tamis-lower-interface=variant=0 | FileCheck %s
// RUN: tamis-opt %s --tamis-lower-interface=variant=1 | FileCheck %s --check-prefix=SECOND

module attributes {tamis.workspace = 4160 : i64,
    tamis.interface = {inputs = [{name = "x", dtype = "float32", dims = ["n", 3]}],
                       outputs = [{name = "y", dtype = "float32", dims = ["n", 3]}, {name = "z", dtype = "int64", dims = ["?"]}],
                       ranges = {}, metadata = {}, producer = "", threads = 1 : i64}} {

func.func private @output_dims(%n: index, %c: index) -> (index, index, index) {
  %unknown = arith.constant -1 : index
  return %n, %c, %unknown : index, index, index
}

// The third result is allocated at run time: two dimensions of x and two of y
// come before its only one in dims[].
// CHECK-LABEL: func.func private @main
// CHECK: %[[COUNT:.+]] = arith.index_cast %{{.+}} : index to i64
// CHECK: llvm.getelementptr %{{.+}}[32]
// CHECK: call @tamis_rt_alloc_output
// CHECK-NOT: tamis_kernel.store_output
func.func @main(%x: memref<?x3xf32>, %y: memref<?x3xf32> {tamis.output = 0 : i64}, %found: memref<?xi64>,
                %workspace: memref<?xi8>, %weights: memref<?xi8>) attributes {tamis.test} {
  linalg.copy ins(%x : memref<?x3xf32>) outs(%y : memref<?x3xf32>)
  tamis_kernel.store_output %found, 1 : memref<?xi64>
  return
}

// The error word is cleared first and returned last.
// CHECK-LABEL: func.func @tamis_compute_0
// CHECK-SAME: -> i32
// CHECK: llvm.store %{{.+}} : i32, !llvm.ptr
// CHECK: call @main
// CHECK: %[[WORD:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i32
// CHECK: return %[[WORD]] : i32
// CHECK-LABEL: func.func @tamis_workspace_0
// CHECK: llvm.mlir.constant(4160 : i64)
// CHECK-LABEL: func.func @tamis_output_dims
// CHECK: call @output_dims

// SECOND: func.func @tamis_compute_1
// SECOND: func.func @tamis_workspace_1
// SECOND-NOT: func.func @tamis_output_dims
}
