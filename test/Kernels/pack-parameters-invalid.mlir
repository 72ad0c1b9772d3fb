// RUN: tamis-opt %s -split-input-file -verify-diagnostics --tamis-pack-parameters

func.func @stream_of_an_activation(%w: tensor<8x4xf32>) -> tensor<9x1xf32> {
  // expected-error@+1 {{expected a constant source}}
  %v, %o, %s = tamis_kernel.pack_stream %w column 1 reductions [0] step 1 <entries = 9, positions = 32, pitch = 32>
    : tensor<8x4xf32> -> tensor<9x1xf32>, tensor<9xi32>, tensor<5xi32>
  return %v : tensor<9x1xf32>
}

// -----

func.func @stream_of_other_entries() -> tensor<9x1xf32> {
  %w = arith.constant dense<1.0> : tensor<8x4xf32>
  // expected-error@+1 {{expected 9 entries, but the source has 32}}
  %v, %o, %s = tamis_kernel.pack_stream %w column 1 reductions [0] step 1 <entries = 9, positions = 32, pitch = 32>
    : tensor<8x4xf32> -> tensor<9x1xf32>, tensor<9xi32>, tensor<5xi32>
  return %v : tensor<9x1xf32>
}
