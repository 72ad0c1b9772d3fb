// RUN: tamis-opt %s -split-input-file -verify-diagnostics --tamis-pack-parameters

func.func @stream_of_an_activation(%w: tensor<8x4xf32>) -> tensor<9x2xf32> {
  // expected-error@+1 {{expected a constant source}}
  %v, %s = tamis_kernel.pack_stream %w column 1 reductions [0] step 1 <entries = 9, positions = 32, pitch = 32>
    : tensor<8x4xf32> -> tensor<9x2xf32>, tensor<9xi32>
  return %v : tensor<9x2xf32>
}

// -----

func.func @stream_of_other_entries() -> tensor<9x2xf32> {
  %w = arith.constant dense<1.0> : tensor<8x4xf32>
  // expected-error@+1 {{expected 9 entries, but the source has 32}}
  %v, %s = tamis_kernel.pack_stream %w column 1 reductions [0] step 1 <entries = 9, positions = 32, pitch = 32>
    : tensor<8x4xf32> -> tensor<9x2xf32>, tensor<9xi32>
  return %v : tensor<9x2xf32>
}

// -----

func.func @bitmask_of_an_activation(%p: tensor<1x1x1x8xf32>) -> tensor<9xf32> {
  // expected-error@+1 {{expected constant panels}}
  %v, %m, %s = tamis_kernel.compress %p <entries = 1, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<1x1x1x8xf32> -> tensor<9xf32>, tensor<1xi8>, tensor<2xi32>
  return %v : tensor<9xf32>
}

// -----

func.func @bitmask_of_other_units() -> tensor<9xf32> {
  %p = arith.constant dense<[[[[1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]]]]> : tensor<1x1x1x8xf32>
  // expected-error@+1 {{expected 1 units, but the source has 2}}
  %v, %m, %s = tamis_kernel.compress %p <entries = 1, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<1x1x1x8xf32> -> tensor<9xf32>, tensor<1xi8>, tensor<2xi32>
  return %v : tensor<9xf32>
}

// -----

func.func @blocks_of_an_activation(%p: tensor<1x1x4x8xf32>) -> tensor<1x2x8xf32> {
  // expected-error@+1 {{expected constant panels}}
  %v, %l, %s = tamis_kernel.list_blocks %p <entries = 1, steps = 2, run = 4>
    : tensor<1x1x4x8xf32> -> tensor<1x2x8xf32>, tensor<1xi32>, tensor<2xi32>
  return %v : tensor<1x2x8xf32>
}

// -----

func.func @other_blocks() -> tensor<1x1x2xf32> {
  %p = arith.constant dense<[[[[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]]]> : tensor<1x1x3x2xf32>
  // expected-error@+1 {{expected 1 blocks, but the source has 2}}
  %v, %l, %s = tamis_kernel.list_blocks %p <entries = 1, steps = 1, run = 3>
    : tensor<1x1x3x2xf32> -> tensor<1x1x2xf32>, tensor<1xi32>, tensor<2xi32>
  return %v : tensor<1x1x2xf32>
}

// -----

func.func @codes_of_an_activation(%p: tensor<1x1x2x16xi8>) -> tensor<1x1x1x16xi8> {
  // expected-error@+1 {{expected constant panels}}
  %v, %t = tamis_kernel.encode %p : tensor<1x1x2x16xi8>
    as #tamis.codebook<entries = 3, lookup = #tamis.x86_lookup<bytes = 1, elements = 16>> -> tensor<1x1x1x16xi8>, tensor<16xi8>
  return %v : tensor<1x1x1x16xi8>
}

// -----

func.func @codes_of_many_values() -> tensor<1x1x1x16xi8> {
  %p = arith.constant dense<[[[[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], [17, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]]]]> : tensor<1x1x2x16xi8>
  // expected-error@+1 {{expected other values}}
  %v, %t = tamis_kernel.encode %p : tensor<1x1x2x16xi8>
    as #tamis.codebook<entries = 16, lookup = #tamis.x86_lookup<bytes = 1, elements = 16>> -> tensor<1x1x1x16xi8>, tensor<16xi8>
  return %v : tensor<1x1x1x16xi8>
}

// -----

func.func @three_of_four() -> tensor<16xi8> {
  %p = arith.constant dense<[[[[1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]]]> : tensor<1x1x1x32xi8>
  // expected-error@+1 {{expected fewer weights in a step}}
  %v, %q = tamis_kernel.encode %p : tensor<1x1x1x32xi8>
    as #tamis.n_of_m<entries = 16, selection = #tamis.x86_select_madd<lanes = 8>> -> tensor<16xi8>, tensor<1xi32>
  return %v : tensor<16xi8>
}

// -----

func.func @bounds_of_an_activation(%p: tensor<1x1x2x32xi8>) -> tensor<1x32xi8> {
  // expected-error@+1 {{expected constant panels}}
  %b, %v, %l, %s = tamis_kernel.bound %p <entries = 1, steps = 1, run = 8>
    : tensor<1x1x2x32xi8> -> tensor<1x32xi8>, tensor<1xi32>, tensor<2xi32>
  return %v : tensor<1x32xi8>
}

// -----

func.func @other_entries() -> tensor<2x4xi8> {
  %p = arith.constant dense<[[[[100, 100, 0, 0], [1, 2, 3, 4]]]]> : tensor<1x1x2x4xi8>
  // expected-error@+1 {{expected 2 entries, but the source has 1}}
  %b, %v, %l, %s = tamis_kernel.bound %p <entries = 2, steps = 1, run = 8>
    : tensor<1x1x2x4xi8> -> tensor<2x4xi8>, tensor<2xi32>, tensor<2xi32>
  return %v : tensor<2x4xi8>
}

// -----

func.func @slots_of_an_activation(%p: tensor<1x1x4x16xi8>) -> tensor<1x48xi8> {
  // expected-error@+1 {{expected constant panels}}
  %v, %l, %s = tamis_kernel.fill_slots %p <entries = 1, run = 16, lookup = #tamis.x86_lookup<bytes = 1, elements = 16>>
    : tensor<1x1x4x16xi8> -> tensor<1x48xi8>, tensor<1x4xi16>, tensor<2xi32>
  return %v : tensor<1x48xi8>
}

// -----

func.func @other_slots() -> tensor<2x48xi8> {
  %p = arith.constant dense<[[[[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]]]> : tensor<1x1x4x16xi8>
  // expected-error@+1 {{expected 2 entries, but the source has 1}}
  %v, %l, %s = tamis_kernel.fill_slots %p <entries = 2, run = 16, lookup = #tamis.x86_lookup<bytes = 1, elements = 16>>
    : tensor<1x1x4x16xi8> -> tensor<2x48xi8>, tensor<2x4xi16>, tensor<2xi32>
  return %v : tensor<2x48xi8>
}

// -----

func.func @tiles_of_an_activation(%w: tensor<8x8x3x3xf32>) -> tensor<16x8x8xf32> {
  // expected-error@+1 {{expected a constant source}}
  %u = tamis_kernel.winograd_weights %w output 2 column 0 channel 1 window [2, 3] : tensor<8x8x3x3xf32> -> tensor<16x8x8xf32>
  return %u : tensor<16x8x8xf32>
}
