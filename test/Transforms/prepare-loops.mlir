// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --pass-pipeline='builtin.module(func.func(tamis-prepare-loops))' | FileCheck %s
// RUN: tamis-opt %s --pass-pipeline='builtin.module(func.func(tamis-prepare-loops,tamis-to-linalg),eliminate-empty-tensors,tamis-bufferize,cse,canonicalize)' | FileCheck %s --check-prefix=BUFFER

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>

// The product of the features does not depend on the iteration.
// CHECK-LABEL: func.func @invariant
// CHECK: tamis.contract
// CHECK: scf.for
// CHECK-NOT: tamis.contract
func.func @invariant(%x: tensor<4x8xf32>, %w: tensor<8x4xf32>, %s: tensor<4x4xf32>, %n: index) -> tensor<4x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %s) -> (tensor<4x4xf32>) {
    %e = tensor.empty() : tensor<4x4xf32>
    %p = tamis.contract ins(%x, %w : tensor<4x8xf32>, tensor<8x4xf32>) outs(%e : tensor<4x4xf32>)
      maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x4xf32>
    %q = linalg.add ins(%a, %p : tensor<4x4xf32>, tensor<4x4xf32>) outs(%a : tensor<4x4xf32>) -> tensor<4x4xf32>
    scf.yield %q : tensor<4x4xf32>
  }
  return %r : tensor<4x4xf32>
}

// What may fail must not run if the loop does not.
// CHECK-LABEL: func.func @division
// CHECK: scf.for
// CHECK: arith.divsi
func.func @division(%a: index, %b: index, %n: index) -> index {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %c0) -> (index) {
    %d = arith.divsi %a, %b : index
    %t = arith.addi %s, %d : index
    scf.yield %t : index
  }
  return %r : index
}

// The flag is not passed on, so the tensor would change its position.
// CHECK-LABEL: func.func @positions
// CHECK: scf.while (%[[FLAG:[^ ]+]] = %{{[^ ]+}}, %[[T:[^ ]+]] = %{{[^ ]+}}, %[[I:[^ ]+]] = %{{[^ ]+}}) {{.*}} -> (i1, tensor<64xf32>, index)
// CHECK: scf.condition(%[[FLAG]]) %[[FLAG]], %[[T]], %[[I]]
// CHECK: ^bb0(%{{.*}}: i1, %[[BODY:.*]]: tensor<64xf32>, %[[AT:.*]]: index):
// CHECK: tensor.insert %{{.*}} into %[[BODY]][%[[AT]]]
// BUFFER-LABEL: func.func @positions
// BUFFER: scf.while
// BUFFER-NOT: memref.alloc
// BUFFER: memref.store
// BUFFER: return
func.func @positions(%go: i1, %v: f32, %n: index) -> tensor<64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %e = tensor.empty() : tensor<64xf32>
  %z = linalg.fill ins(%v : f32) outs(%e : tensor<64xf32>) -> tensor<64xf32>
  %r:2 = scf.while (%f = %go, %t = %z, %i = %c0) : (i1, tensor<64xf32>, index) -> (tensor<64xf32>, index) {
    scf.condition(%f) %t, %i : tensor<64xf32>, index
  } do {
  ^bb0(%t: tensor<64xf32>, %i: index):
    %u = tensor.insert %v into %t[%i] : tensor<64xf32>
    %j = arith.addi %i, %c1 : index
    %more = arith.cmpi slt, %j, %n : index
    scf.yield %more, %u, %j : i1, tensor<64xf32>, index
  }
  return %r#0 : tensor<64xf32>
}

// Two results that start from one fill each get their own.
// CHECK-LABEL: func.func @shared_fill
// CHECK-COUNT-2: linalg.fill
// CHECK: linalg.generic
// CHECK: linalg.generic
// BUFFER-LABEL: func.func @shared_fill
// BUFFER-NOT: {{memref|linalg}}.copy
// BUFFER: return
func.func @shared_fill(%x: tensor<8xf32>, %y: tensor<8xf32>) -> (tensor<f32>, tensor<f32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<f32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<f32>) -> tensor<f32>
  %a = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%x : tensor<8xf32>) outs(%f : tensor<f32>) {
  ^bb0(%in: f32, %out: f32):
    %s = arith.addf %in, %out : f32
    linalg.yield %s : f32
  } -> tensor<f32>
  %b = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%y : tensor<8xf32>) outs(%f : tensor<f32>) {
  ^bb0(%in: f32, %out: f32):
    %s = arith.addf %in, %out : f32
    linalg.yield %s : f32
  } -> tensor<f32>
  return %a, %b : tensor<f32>, tensor<f32>
}

// Two results that are padded alike are each made inside a border of their own;
// the reader of the bare border keeps the first.
// CHECK-LABEL: func.func @shared_border
// CHECK-COUNT-3: linalg.fill
// CHECK-NOT: linalg.fill
// BUFFER-LABEL: func.func @shared_border
// BUFFER-NOT: {{memref|linalg}}.copy
// BUFFER: return
func.func @shared_border(%x: tensor<8xf32>, %y: tensor<8xf32>, %i: index) -> (f32, f32, f32) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<9xf32>
  %edge = tensor.extract_slice %e[8] [1] [1] : tensor<9xf32> to tensor<1xf32>
  %f = linalg.fill ins(%zero : f32) outs(%edge : tensor<1xf32>) -> tensor<1xf32>
  %border = tensor.insert_slice %f into %e[8] [1] [1] : tensor<1xf32> into tensor<9xf32>
  %inner = tensor.extract_slice %border[0] [8] [1] : tensor<9xf32> to tensor<8xf32>
  %a = linalg.exp ins(%x : tensor<8xf32>) outs(%inner : tensor<8xf32>) -> tensor<8xf32>
  %p = tensor.insert_slice %a into %border[0] [8] [1] : tensor<8xf32> into tensor<9xf32>
  %b = linalg.exp ins(%y : tensor<8xf32>) outs(%inner : tensor<8xf32>) -> tensor<8xf32>
  %q = tensor.insert_slice %b into %border[0] [8] [1] : tensor<8xf32> into tensor<9xf32>
  %r = tensor.extract %p[%i] : tensor<9xf32>
  %s = tensor.extract %q[%i] : tensor<9xf32>
  %t = tensor.extract %border[%i] : tensor<9xf32>
  return %r, %s, %t : f32, f32, f32
}
