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
