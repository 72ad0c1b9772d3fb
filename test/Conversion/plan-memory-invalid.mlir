// RUN: tamis-opt %s --tamis-plan-memory=limit=1024 -verify-diagnostics

// expected-error@+1 {{needs a workspace of 4160 bytes, more than the limit of 1024}}
func.func @main(%x: memref<1024xf32>, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
  %a = memref.alloc() : memref<1024xf32>
  linalg.copy ins(%x : memref<1024xf32>) outs(%a : memref<1024xf32>)
  return
}
