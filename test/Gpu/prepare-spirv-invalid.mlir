// RUN: tamis-opt %s --pass-pipeline='builtin.module(gpu.module(tamis-prepare-spirv))' -verify-diagnostics

gpu.module @device {
  // expected-error @+1 {{expected a kernel with known_block_size}}
  gpu.func @kernel() kernel {
    gpu.return
  }
}
