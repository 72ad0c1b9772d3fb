// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: tamis-opt %s --split-input-file --tamis-narrow-contractions | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-stage-plan | FileCheck %s --check-prefix=PLAN

#l = affine_map<(m, n, k) -> (m, k)>
#r = affine_map<(m, n, k) -> (k, n)>
#o = affine_map<(m, n, k) -> (m, n)>
#d = affine_map<(m, c, k) -> (m + k, c)>
#dr = affine_map<(m, c, k) -> (k, c)>
#dout = affine_map<(m, c, k) -> (m, c)>

module attributes {tamis.policy = #tamis.policy<allowBf16 = true>, tamis.target = #tamis.target<"x86_64", ["avx512f", "avx512bw", "avx512bf16"]>} {
  ml_program.global private @w(dense<0.5> : tensor<64x32xf32>) : tensor<64x32xf32>
  ml_program.global private @v(dense<0.25> : tensor<32x64xf32>) : tensor<32x64xf32>

  // Both products in bfloat16, each value rounded once; sums stay float32.
  // CHECK-LABEL: func.func @two_layers
  // CHECK-SAME: %[[X:[^: ]+]]: tensor<?x64xf32>
  // CHECK: %[[XB:.+]] = linalg.generic {{.+}} ins(%[[X]] : tensor<?x64xf32>) outs(%{{.+}} : tensor<?x64xbf16>)
  // CHECK: arith.truncf %{{.+}} : f32 to bf16
  // CHECK: %[[WB:.+]] = linalg.generic {{.+}} outs(%{{.+}} : tensor<64x32xbf16>)
  // CHECK: %[[H:.+]] = tamis.contract ins(%[[XB]], %[[WB]] : tensor<?x64xbf16>, tensor<64x32xbf16>) {{.+}} accumulator f32 -> tensor<?x32xf32>
  // CHECK: %[[HB:.+]] = linalg.generic {{.+}} ins(%[[H]]
  // CHECK: tamis.contract ins(%[[HB]],
  // Weights are rounded while compiling, the activation by its producer.
  // PLAN-LABEL: func.func @two_layers
  // PLAN: tamis_kernel.contract
  // PLAN-SAME: by #tamis.x86_dot_bf16
  // PLAN: ^bb0(%[[ACC:.+]]: f32):
  // PLAN-NEXT: %[[N:.+]] = arith.truncf %[[ACC]] : f32 to bf16
  // PLAN-NEXT: tamis.yield %[[N]] : bf16
  // PLAN: tamis_kernel.contract
  // PLAN-SAME: by #tamis.x86_dot_bf16
  // PLAN-NOT: linalg.generic
  // PLAN: return
  func.func @two_layers(%x: tensor<?x64xf32>, %e: tensor<?x32xf32>, %f: tensor<?x64xf32>) -> tensor<?x64xf32> {
    %w = ml_program.global_load_const @w : tensor<64x32xf32>
    %v = ml_program.global_load_const @v : tensor<32x64xf32>
    %h = tamis.contract ins(%x, %w : tensor<?x64xf32>, tensor<64x32xf32>) outs(%e : tensor<?x32xf32>)
      maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<?x32xf32>
    %y = tamis.contract ins(%h, %v : tensor<?x32xf32>, tensor<32x64xf32>) outs(%f : tensor<?x64xf32>)
      maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }

  // Two activations: only with rows enough.
  // CHECK-LABEL: func.func @few_rows
  // CHECK-NOT: truncf
  func.func @few_rows(%x: tensor<4x64xf32>, %w: tensor<64x128xf32>, %e: tensor<4x128xf32>) -> tensor<4x128xf32> {
    %y = tamis.contract ins(%x, %w : tensor<4x64xf32>, tensor<64x128xf32>) outs(%e : tensor<4x128xf32>)
      maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x128xf32>
    return %y : tensor<4x128xf32>
  }

  // CHECK-LABEL: func.func @depthwise
  // CHECK-NOT: truncf
  func.func @depthwise(%x: tensor<160x64xf32>, %w: tensor<33x64xf32>, %e: tensor<128x64xf32>) -> tensor<128x64xf32> {
    %y = tamis.contract ins(%x, %w : tensor<160x64xf32>, tensor<33x64xf32>) outs(%e : tensor<128x64xf32>)
      maps [#d, #dr, #dout] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<128x64xf32>
    return %y : tensor<128x64xf32>
  }
}

// -----

#l = affine_map<(m, n, k) -> (m, k)>
#r = affine_map<(m, n, k) -> (k, n)>
#o = affine_map<(m, n, k) -> (m, n)>
// Not allowed, the default.
module attributes {tamis.target = #tamis.target<"x86_64", ["avx512f", "avx512bw", "avx512bf16"]>} {
  // CHECK-LABEL: func.func @not_allowed
  // CHECK-NOT: truncf
  func.func @not_allowed(%x: tensor<64x64xf32>, %w: tensor<64x64xf32>, %e: tensor<64x64xf32>) -> tensor<64x64xf32> {
    %y = tamis.contract ins(%x, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>)
      maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x64xf32>
    return %y : tensor<64x64xf32>
  }
}

// -----

#l = affine_map<(m, n, k) -> (m, k)>
#r = affine_map<(m, n, k) -> (k, n)>
#o = affine_map<(m, n, k) -> (m, n)>
// Allowed, but the target multiplies no bfloat16.
module attributes {tamis.policy = #tamis.policy<allowBf16 = true>, tamis.target = #tamis.target<"x86_64", ["avx512f"]>} {
  // CHECK-LABEL: func.func @no_instruction
  // CHECK-NOT: truncf
  func.func @no_instruction(%x: tensor<64x64xf32>, %w: tensor<64x64xf32>, %e: tensor<64x64xf32>) -> tensor<64x64xf32> {
    %y = tamis.contract ins(%x, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>)
      maps [#l, #r, #o] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<64x64xf32>
    return %y : tensor<64x64xf32>
  }
}
