// RUN: tamis-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tamis-select-attention))' | FileCheck %s

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#row = affine_map<(h, m, n) -> (h, m)>

// 90 rows in three strips of about as many.
// CHECK-LABEL: @softmax
// CHECK: tamis_kernel.contract {{.*}} tile [2, 4, 0, 0, 32]
// CHECK: tamis_kernel.contract {{.*}} tile [2, 4, 0, 0, 32]
func.func @softmax(%q: tensor<4x90x32xf32>, %k: tensor<4x32x256xf32>, %v: tensor<4x256x32xf32>,
                   %e: tensor<4x90x256xf32>, %r: tensor<4x90xf32>, %o: tensor<4x90x32xf32>) -> tensor<4x90x32xf32> {
  %0 = tamis_kernel.contract ins(%q, %k : tensor<4x90x32xf32>, tensor<4x32x256xf32>) outs(%e : tensor<4x90x256xf32>)
         maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 256, 32]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0] -> tensor<4x90x256xf32>
  %1 = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%0 : tensor<4x90x256xf32>) outs(%r : tensor<4x90xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.maximumf %b, %a : f32
    linalg.yield %x : f32
  } -> tensor<4x90xf32>
  %2 = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%0, %1 : tensor<4x90x256xf32>, tensor<4x90xf32>) outs(%e : tensor<4x90x256xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    linalg.yield %x : f32
  } -> tensor<4x90x256xf32>
  %3 = tamis_kernel.contract ins(%2, %v : tensor<4x90x256xf32>, tensor<4x256x32xf32>) outs(%o : tensor<4x90x32xf32>)
         maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 32, 256]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0] -> tensor<4x90x32xf32>
  return %3 : tensor<4x90x32xf32>
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#row = affine_map<(h, m, n) -> (h, m)>

// Open sizes.
// CHECK-LABEL: @open
// CHECK: tamis_kernel.contract {{.*}} tile [2, 4, 112, 0, 32]
// CHECK: tamis_kernel.contract {{.*}} tile [2, 4, 112, 0, 32]
func.func @open(%q: tensor<4x?x32xf32>, %k: tensor<4x32x?xf32>, %v: tensor<4x?x32xf32>,
                %e: tensor<4x?x?xf32>, %r: tensor<4x?xf32>, %o: tensor<4x?x32xf32>) -> tensor<4x?x32xf32> {
  %0 = tamis_kernel.contract ins(%q, %k : tensor<4x?x32xf32>, tensor<4x32x?xf32>) outs(%e : tensor<4x?x?xf32>)
         maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"]
         bounds [4, -9223372036854775808, -9223372036854775808, 32]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 112] -> tensor<4x?x?xf32>
  %1 = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%0 : tensor<4x?x?xf32>) outs(%r : tensor<4x?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.maximumf %b, %a : f32
    linalg.yield %x : f32
  } -> tensor<4x?xf32>
  %2 = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%0, %1 : tensor<4x?x?xf32>, tensor<4x?xf32>) outs(%e : tensor<4x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    linalg.yield %x : f32
  } -> tensor<4x?x?xf32>
  %3 = tamis_kernel.contract ins(%2, %v : tensor<4x?x?xf32>, tensor<4x?x32xf32>) outs(%o : tensor<4x?x32xf32>)
         maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"]
         bounds [4, -9223372036854775808, 32, -9223372036854775808]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 112] -> tensor<4x?x32xf32>
  return %3 : tensor<4x?x32xf32>
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#row = affine_map<(h, m, n) -> (h, m)>

// The scores are a result too: shared.
// CHECK-LABEL: @shared
// CHECK-NOT: 0, 0, 32]
func.func @shared(%q: tensor<4x90x32xf32>, %k: tensor<4x32x256xf32>, %v: tensor<4x256x32xf32>,
                  %e: tensor<4x90x256xf32>, %r: tensor<4x90xf32>, %o: tensor<4x90x32xf32>) -> (tensor<4x90xf32>, tensor<4x90x32xf32>) {
  %0 = tamis_kernel.contract ins(%q, %k : tensor<4x90x32xf32>, tensor<4x32x256xf32>) outs(%e : tensor<4x90x256xf32>)
         maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 256, 32]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0] -> tensor<4x90x256xf32>
  %1 = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%0 : tensor<4x90x256xf32>) outs(%r : tensor<4x90xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.maximumf %b, %a : f32
    linalg.yield %x : f32
  } -> tensor<4x90xf32>
  %2 = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%0, %1 : tensor<4x90x256xf32>, tensor<4x90xf32>) outs(%e : tensor<4x90x256xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    linalg.yield %x : f32
  } -> tensor<4x90x256xf32>
  %3 = tamis_kernel.contract ins(%2, %v : tensor<4x90x256xf32>, tensor<4x256x32xf32>) outs(%o : tensor<4x90x32xf32>)
         maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 90, 32, 256]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0] -> tensor<4x90x32xf32>
  return %1, %3 : tensor<4x90xf32>, tensor<4x90x32xf32>
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#column = affine_map<(h, n, m) -> (h, m, n)>
#result = affine_map<(h, n, m) -> (h, n)>

// A maximum over rows: mixed.
// CHECK-LABEL: @mixed
// CHECK-NOT: 0, 0, 32]
func.func @mixed(%q: tensor<4x256x32xf32>, %k: tensor<4x32x256xf32>, %v: tensor<4x256x32xf32>,
                 %e: tensor<4x256x256xf32>, %r: tensor<4x256xf32>, %o: tensor<4x256x32xf32>) -> tensor<4x256x32xf32> {
  %0 = tamis_kernel.contract ins(%q, %k : tensor<4x256x32xf32>, tensor<4x32x256xf32>) outs(%e : tensor<4x256x256xf32>)
         maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 256, 256, 32]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0] -> tensor<4x256x256xf32>
  %1 = linalg.generic {indexing_maps = [#column, #result], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%0 : tensor<4x256x256xf32>) outs(%r : tensor<4x256xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.maximumf %b, %a : f32
    linalg.yield %x : f32
  } -> tensor<4x256xf32>
  %2 = linalg.generic {indexing_maps = [#all, affine_map<(h, m, n) -> (h, m)>, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%0, %1 : tensor<4x256x256xf32>, tensor<4x256xf32>) outs(%e : tensor<4x256x256xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    linalg.yield %x : f32
  } -> tensor<4x256x256xf32>
  %3 = tamis_kernel.contract ins(%2, %v : tensor<4x256x256xf32>, tensor<4x256x32xf32>) outs(%o : tensor<4x256x32xf32>)
         maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 256, 32, 256]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0] -> tensor<4x256x32xf32>
  return %3 : tensor<4x256x32xf32>
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#all = affine_map<(h, m, n) -> (h, m, n)>
#row = affine_map<(h, m, n) -> (h, m)>

// 16 KB of scores: small.
// CHECK-LABEL: @small
// CHECK-NOT: 0, 0, 32]
func.func @small(%q: tensor<4x32x32xf32>, %k: tensor<4x32x32xf32>, %v: tensor<4x32x32xf32>,
                 %e: tensor<4x32x32xf32>, %r: tensor<4x32xf32>, %o: tensor<4x32x32xf32>) -> tensor<4x32x32xf32> {
  %0 = tamis_kernel.contract ins(%q, %k : tensor<4x32x32xf32>, tensor<4x32x32xf32>) outs(%e : tensor<4x32x32xf32>)
         maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 32, 32, 32]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0] -> tensor<4x32x32xf32>
  %1 = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%0 : tensor<4x32x32xf32>) outs(%r : tensor<4x32xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x = arith.maximumf %b, %a : f32
    linalg.yield %x : f32
  } -> tensor<4x32xf32>
  %2 = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%0, %1 : tensor<4x32x32xf32>, tensor<4x32xf32>) outs(%e : tensor<4x32x32xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    linalg.yield %x : f32
  } -> tensor<4x32x32xf32>
  %3 = tamis_kernel.contract ins(%2, %v : tensor<4x32x32xf32>, tensor<4x32x32xf32>) outs(%o : tensor<4x32x32xf32>)
         maps [#q, #k, #s] iterators ["parallel", "parallel", "parallel", "reduction"] bounds [4, 32, 32, 32]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0] -> tensor<4x32x32xf32>
  return %3 : tensor<4x32x32xf32>
}

// -----

#all = affine_map<(m, n) -> (m, n)>
#row = affine_map<(m, n) -> (m)>

// Every second row of the input: its slice is no strip.
// CHECK-LABEL: @strided
// CHECK-NOT: 0, 0, 32]
func.func @strided(%x: tensor<511x32xf32>, %k: tensor<32x256xf32>, %v: tensor<256x32xf32>,
                   %e: tensor<256x256xf32>, %r: tensor<256xf32>, %o: tensor<256x32xf32>) -> tensor<256x32xf32> {
  %0 = tamis_kernel.contract ins(%x, %k : tensor<511x32xf32>, tensor<32x256xf32>) outs(%e : tensor<256x256xf32>)
         maps [affine_map<(m, n, k) -> (m * 2, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
         iterators ["parallel", "parallel", "reduction"] bounds [256, 256, 32]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0] -> tensor<256x256xf32>
  %1 = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%0 : tensor<256x256xf32>) outs(%r : tensor<256xf32>) {
  ^bb0(%a: f32, %b: f32):
    %x2 = arith.maximumf %b, %a : f32
    linalg.yield %x2 : f32
  } -> tensor<256xf32>
  %2 = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%0, %1 : tensor<256x256xf32>, tensor<256xf32>) outs(%e : tensor<256x256xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x2 = arith.subf %a, %b : f32
    linalg.yield %x2 : f32
  } -> tensor<256x256xf32>
  %3 = tamis_kernel.contract ins(%2, %v : tensor<256x256xf32>, tensor<256x32xf32>) outs(%o : tensor<256x32xf32>)
         maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
         iterators ["parallel", "parallel", "reduction"] bounds [256, 32, 256]
         accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [2, 4, 0] -> tensor<256x32xf32>
  return %3 : tensor<256x32xf32>
}
