// RUN: tamis-opt %s --tamis-flatten-launches -split-input-file -verify-diagnostics

module attributes {gpu.container_module} {
  gpu.module @device {
    gpu.func @kernel(%a: memref<4xf32>) kernel {
      // expected-error @+1 {{uses a buffer in a way that has no flat form}}
      %v = memref.subview %a[0] [2] [1] : memref<4xf32> to memref<2xf32>
      gpu.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  gpu.module @device {
    gpu.func @kernel(%a: memref<4xf64>, %x: i128) kernel {
      gpu.return
    }
  }
  func.func @main(%a: memref<4xf64>, %x: i128, %workspace: memref<?xi8>, %weights: memref<?xi8>) {
    %one = arith.constant 1 : index
    // expected-error @+1 {{expected scalars of at most 64 bits, got 'i128'}}
    gpu.launch_func @device::@kernel blocks in (%one, %one, %one) threads in (%one, %one, %one)
        args(%a : memref<4xf64>, %x : i128)
    return
  }
}
