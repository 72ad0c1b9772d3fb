// What is no contraction is expected to take a launch (2 us on an A100) and all
// its bytes once, 128 of an open size; contractions are the report's layers.
// RUN: tamis-opt %s --tamis-map-to-gpu | FileCheck %s

// CHECK: others = [{calls = 2 : i64, kernel = "kernel_0", mapping = "elements", predicted = 2.837{{[0-9e+]*}} : f64}]
module attributes {tamis.target = #tamis.target<"nvptx64", ["mma", "mma-sp", "sm_80"]>} {
  func.func private @kernel_0(%a: memref<?x1000xf32>, %b: memref<?x1000xf32>) {
    linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
        ins(%a : memref<?x1000xf32>) outs(%b : memref<?x1000xf32>) {
    ^bb0(%in: f32, %out: f32):
      %0 = arith.negf %in : f32
      linalg.yield %0 : f32
    }
    return
  }
  func.func @main(%a: memref<?x1000xf32>, %b: memref<?x1000xf32>) {
    call @kernel_0(%a, %b) : (memref<?x1000xf32>, memref<?x1000xf32>) -> ()
    call @kernel_0(%b, %a) : (memref<?x1000xf32>, memref<?x1000xf32>) -> ()
    return
  }
}
