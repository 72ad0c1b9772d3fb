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
