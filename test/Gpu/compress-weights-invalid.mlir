// RUN: tamis-opt %s --tamis-compress-weights --split-input-file --verify-diagnostics

func.func @not_two_of_four() -> (tensor<1x1x1x512xi8>, tensor<1x1x1x32xi32>) {
  %p = arith.constant dense<1> : tensor<1x1x1x1024xi8>
  // expected-error @below {{expected two zeros among four consecutive elements}}
  %v, %m = tamis_gpu.compress %p words 16 : tensor<1x1x1x1024xi8> -> tensor<1x1x1x512xi8>, tensor<1x1x1x32xi32>
  return %v, %m : tensor<1x1x1x512xi8>, tensor<1x1x1x32xi32>
}

// -----

func.func @activation(%p: tensor<1x1x1x1024xi8>) -> (tensor<1x1x1x512xi8>, tensor<1x1x1x32xi32>) {
  // expected-error @below {{expected constant weights}}
  %v, %m = tamis_gpu.compress %p words 16 : tensor<1x1x1x1024xi8> -> tensor<1x1x1x512xi8>, tensor<1x1x1x32xi32>
  return %v, %m : tensor<1x1x1x512xi8>, tensor<1x1x1x32xi32>
}

// -----

func.func @parts_of_fragments(%p: tensor<1x1x1x512xi8>) -> (tensor<1x1x1x256xi8>, tensor<1x1x1x16xi32>) {
  // expected-error @below {{expected tiles of whole fragments, got 512}}
  %v, %m = tamis_gpu.compress %p words 8 : tensor<1x1x1x512xi8> -> tensor<1x1x1x256xi8>, tensor<1x1x1x16xi32>
  return %v, %m : tensor<1x1x1x256xi8>, tensor<1x1x1x16xi32>
}

// -----

func.func @coded_activation(%p: tensor<1x1x1x512xi8>) -> tensor<1x1x1x64xi32> {
  // expected-error @below {{expected constant weights}}
  %c = tamis_gpu.encode %p by #tamis_gpu.mma<element = f16, emulated = true> codes <bits = 4, low = 0> step 32 words 16 : tensor<1x1x1x512xi8> -> tensor<1x1x1x64xi32>
  return %c : tensor<1x1x1x64xi32>
}

// -----

func.func @coded_parts(%p: tensor<1x1x1x256xi8>) -> tensor<1x1x1x32xi32> {
  // expected-error @below {{expected tiles of whole fragments, got 256 elements}}
  %c = tamis_gpu.encode %p by #tamis_gpu.mma<element = f16, emulated = true> codes <bits = 4, low = 0> step 32 words 16 : tensor<1x1x1x256xi8> -> tensor<1x1x1x32xi32>
  return %c : tensor<1x1x1x32xi32>
}

// -----

func.func @coded_words(%p: tensor<1x1x1x512xi8>) -> tensor<1x1x1x512xi32> {
  // expected-error @below {{encoded expected 64 words of 32 bits for a tile}}
  %c = tamis_gpu.encode %p by #tamis_gpu.mma<element = f16, emulated = true> codes <bits = 4, low = 0> step 32 words 16 : tensor<1x1x1x512xi8> -> tensor<1x1x1x512xi32>
  return %c : tensor<1x1x1x512xi32>
}

// -----

func.func @listed_activation(%p: tensor<1x1x1x512xf32>) -> (tensor<4xi32>, tensor<2xi32>) {
  // expected-error @below {{expected constant weights}}
  %r, %s = tamis_gpu.list %p words 16 : tensor<1x1x1x512xf32> -> tensor<4xi32>, tensor<2xi32>
  return %r, %s : tensor<4xi32>, tensor<2xi32>
}

// -----

func.func @listed_size() -> (tensor<4xi32>, tensor<2xi32>) {
  %p = arith.constant dense<1.0> : tensor<1x1x1x512xf32>
  // expected-error @below {{records expected 644 words, got 4}}
  %r, %s = tamis_gpu.list %p words 16 : tensor<1x1x1x512xf32> -> tensor<4xi32>, tensor<2xi32>
  return %r, %s : tensor<4xi32>, tensor<2xi32>
}

// -----

func.func @listed_panels(%p: tensor<1x1x1x1024xf32>) -> (tensor<4xi32>, tensor<2xi32>) {
  // expected-error @below {{expected panels of at most 512 words of 32 bits, 32 channels of 32 each}}
  %r, %s = tamis_gpu.list %p words 32 : tensor<1x1x1x1024xf32> -> tensor<4xi32>, tensor<2xi32>
  return %r, %s : tensor<4xi32>, tensor<2xi32>
}

// -----

func.func @listed_starts(%p: tensor<1x2x1x512xf32>) -> (tensor<8xi32>, tensor<2xi32>) {
  // expected-error @below {{starts expected 3 words of 32 bits}}
  %r, %s = tamis_gpu.list %p words 16 : tensor<1x2x1x512xf32> -> tensor<8xi32>, tensor<2xi32>
  return %r, %s : tensor<8xi32>, tensor<2xi32>
}
