// RUN: tamis-opt %s --split-input-file --tamis-prune="sparsity=0.5 protect=false" | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-prune="sparsity=0.5 protect=false" --tamis-prune="sparsity=0.5 protect=false" | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-prune="threshold=4 protect=false" | FileCheck %s --check-prefix=THRESHOLD
// RUN: tamis-opt %s --split-input-file --tamis-prune="pattern=1:4 protect=false" | FileCheck %s --check-prefix=GROUPS
// RUN: tamis-opt %s --split-input-file --tamis-prune="pattern=1x2 protect=false" | FileCheck %s --check-prefix=BLOCKS
// RUN: tamis-opt %s --split-input-file --tamis-prune="scope=global protect=false" | FileCheck %s --check-prefix=GLOBAL
// RUN: tamis-opt %s --split-input-file --tamis-prune="exclude=.*1 protect=false" | FileCheck %s --check-prefix=EXCLUDE
// RUN: tamis-opt %s --split-input-file --tamis-prune="include=w2 protect=false" | FileCheck %s --check-prefix=INCLUDE

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// The zero of the model counts; of equal scores the earlier goes.
// CHECK: tamis.compression =
// CHECK-SAME: decision = "pruned", layer = "first", pass = "tamis-prune"
// CHECK-SAME: sparsity = 5.000000e-01 : f64
// CHECK-LABEL: func.func @two_layers
// GROUPS-LABEL: func.func @two_layers
// BLOCKS-LABEL: func.func @two_layers
// GLOBAL-LABEL: func.func @two_layers
// EXCLUDE-LABEL: func.func @two_layers
// INCLUDE-LABEL: func.func @two_layers
// THRESHOLD-LABEL: func.func @two_layers
func.func @two_layers(%x: tensor<3x4xf32>) -> tensor<3x2xf32> {
  // K lies along the first axis of a matrix product's parameter.
  // CHECK: arith.constant dense<{{\[}}[0.000000e+00, 6.000000e+00], [0.000000e+00, 0.000000e+00], [0.000000e+00, 7.000000e+00], [-4.000000e+00, 8.000000e+00]]>
  // CHECK: tamis.observe parameter %{{.*}} tensor "w1" {tamis.changed}
  // THRESHOLD: arith.constant dense<{{\[}}[0.000000e+00, 6.000000e+00], [0.000000e+00, 0.000000e+00], [0.000000e+00, 7.000000e+00], [0.000000e+00, 8.000000e+00]]>
  // GROUPS: arith.constant dense<{{\[}}[0.000000e+00, 0.000000e+00], [0.000000e+00, 0.000000e+00], [0.000000e+00, 0.000000e+00], [-4.000000e+00, 8.000000e+00]]>
  // BLOCKS: arith.constant dense<{{\[}}[0.000000e+00, 6.000000e+00], [0.000000e+00, 1.000000e+00], [0.000000e+00, 7.000000e+00], [0.000000e+00, 8.000000e+00]]>
  // GLOBAL: arith.constant dense<0.000000e+00> : tensor<4x2xf32>
  // EXCLUDE: observe parameter %{{.*}} tensor "w1" : tensor
  // INCLUDE: observe parameter %{{.*}} tensor "w1" : tensor
  %c1 = arith.constant dense<[[0.0, 6.0], [2.0, 1.0], [3.0, 7.0], [-4.0, 8.0]]> : tensor<4x2xf32>
  %w1 = tamis.observe parameter %c1 tensor "w1" : tensor<4x2xf32>
  %e = tensor.empty() : tensor<3x2xf32>
  %0 = tamis.contract ins(%x, %w1 : tensor<3x4xf32>, tensor<4x2xf32>) outs(%e : tensor<3x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "first"} -> tensor<3x2xf32>
  %1 = tamis.observe %0 tensor "first" : tensor<3x2xf32>
  // CHECK: arith.constant dense<{{\[}}[0.000000e+00, 2.000000e+01], [0.000000e+00, 4.000000e+01], [0.000000e+00, 0.000000e+00], [7.000000e+01, 8.000000e+01]]>
  // GLOBAL: arith.constant dense<{{\[}}[1.000000e+01, 2.000000e+01]
  // EXCLUDE: observe parameter %{{.*}} tensor "w2" {tamis.changed}
  // INCLUDE: observe parameter %{{.*}} tensor "w2" {tamis.changed}
  %c2 = arith.constant dense<[[10.0, 20.0], [10.0, 40.0], [10.0, 10.0], [70.0, 80.0]]> : tensor<4x2xf32>
  %w2 = tamis.observe parameter %c2 tensor "w2" : tensor<4x2xf32>
  %2 = tamis.contract ins(%x, %w2 : tensor<3x4xf32>, tensor<4x2xf32>) outs(%e : tensor<3x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "second"} -> tensor<3x2xf32>
  %3 = linalg.add ins(%1, %2 : tensor<3x2xf32>, tensor<3x2xf32>) outs(%e : tensor<3x2xf32>) -> tensor<3x2xf32>
  return %3 : tensor<3x2xf32>
}
