// RUN: tamis-opt %s --tamis-pack-parameters --tamis-compress-weights | FileCheck %s

// Of channel 0, the first chunk keeps elements 1 and 3, 0b1101; the second one
// value, beside which the first free place counts, 0b0100, as in empty chunks.
// Channel 9 keeps 2 and 3 of its first chunk, 0b1110, in lane 4 * (9 % 8) + 1.
// CHECK: ml_program.global {{.*}}tensor<1x1x1x512xi8>
// CHECK-LABEL: @places
// CHECK: %[[V:.*]] = ml_program.global_load_const {{.*}} : tensor<1x1x1x512xi8>
// CHECK: %[[M:.*]] = arith.constant dense<{{\[\[\[\[}}1145324621, 1145324612, 1145324612, 1145324612, 1145324612, 1145324622, 1145324612,
// CHECK: tensor.extract %[[V]]
// CHECK: tensor.extract %[[M]]
func.func @places() -> (i8, i32) {
  %c0 = arith.constant 0 : index
  %w = arith.constant dense<[[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 7], [2, 0, 0, 0, 0, 0, 0, 0, 0, 8], [5, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]> : tensor<8x10xi8>
  %e = tensor.empty() : tensor<1x1x1x1024xi8>
  %p = tamis_kernel.pack ins(%w : tensor<8x10xi8>) outs(%e : tensor<1x1x1x1024xi8>)
    groups [] column 1 reductions [0] run 1 step 64 -> tensor<1x1x1x1024xi8>
  %v, %m = tamis_gpu.compress %p words 16 : tensor<1x1x1x1024xi8> -> tensor<1x1x1x512xi8>, tensor<1x1x1x32xi32>
  %a = tensor.extract %v[%c0, %c0, %c0, %c0] : tensor<1x1x1x512xi8>
  %b = tensor.extract %m[%c0, %c0, %c0, %c0] : tensor<1x1x1x32xi32>
  return %a, %b : i8, i32
}

// Codes of float16 products: channel c of 16 has 3c + k modulo 16, less 8, at
// element k. Lane 0 holds elements 0, 1, 8 and 9 of channels 0 and 8, the first
// of each pair in the low half of its word: 0x19910880.
// CHECK-LABEL: @codes
// CHECK: arith.constant dense<{{\[\[\[\[}}428935296, 1001597602, 1574259908, 2146922214, 1287928755, 1860591061,
func.func @codes() -> i32 {
  %c0 = arith.constant 0 : index
  %p = arith.constant dense<"0xF8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFCFDFEFF0001020304050607FBFCFDFEFF0001020304050607F8F9FAFBFCFDFEFF0001020304050607F8F9FAFEFF0001020304050607F8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFCFD01020304050607F8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFCFDFEFF0004050607F8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFCFDFEFF0001020307F8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFCFDFEFF00010203040506FAFBFCFDFEFF0001020304050607F8F9FAFBFCFDFEFF0001020304050607F8F9FDFEFF0001020304050607F8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFC0001020304050607F8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFCFDFEFF0304050607F8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFCFDFEFF0001020607F8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFCFDFEFF000102030405F9FAFBFCFDFEFF0001020304050607F8F9FAFBFCFDFEFF0001020304050607F8FCFDFEFF0001020304050607F8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFF0001020304050607F8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFCFDFE020304050607F8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFCFDFEFF0001050607F8F9FAFBFCFDFEFF0001020304050607F8F9FAFBFCFDFEFF0001020304"> : tensor<1x1x1x512xi8>
  %c = tamis_gpu.encode %p by #tamis_gpu.mma<element = f16, emulated = false> codes <bits = 4, low = -8> step 32 words 16 : tensor<1x1x1x512xi8> -> tensor<1x1x1x64xi32>
  %a = tensor.extract %c[%c0, %c0, %c0, %c0] : tensor<1x1x1x64xi32>
  return %a : i32
}
