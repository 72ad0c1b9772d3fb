// RUN: tamis-opt %s -split-input-file --tamis-fold-constants --tamis-select-instructions --tamis-select-storage | FileCheck %s

#window = affine_map<(n, h, w, c, i, j, k) -> (n, h + i, w + j, k)>
#weights = affine_map<(n, h, w, c, i, j, k) -> (c, k, i, j)>
#out = affine_map<(n, h, w, c, i, j, k) -> (n, h, w, c)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>} {
  // Lines have 7 tiles: four have the 24 rows that a product wants.
  // CHECK-LABEL: func.func @window
  // CHECK: %[[TILES:.+]] = tamis_kernel.winograd_weights %{{.+}} output 4 column 0 channel 1 window [2, 3] : tensor<64x64x3x3xf32> -> tensor<36x64x64xf32>
  // CHECK: %[[PANELS:.+]] = tamis_kernel.pack ins(%[[TILES]] : tensor<36x64x64xf32>) outs(%{{.+}} : tensor<36x4x64x16xf32>) groups [0] column 2 reductions [1] run 1 step 1
  // CHECK: tamis_kernel.contract ins(%{{.+}}, %[[PANELS]] : tensor<1x30x30x64xf32>, tensor<36x4x64x16xf32>)
  // CHECK-SAME: {packed, storage = #tamis.winograd<output = 4, strip = 4>, tamis.choice = {candidates = {"Winograd 2x2 by {{.+}}" = {{.+}}, "Winograd 4x4 by 4, 6x2x0" = {{.+}}, "dense {{.+}}chosen = "Winograd 4x4 by 4, 6x2x0"
  func.func @window(%x: tensor<1x28x28x64xf32>, %e: tensor<1x28x28x64xf32>) -> tensor<1x28x28x64xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<63x64x3x3xf32>
    %w = tensor.pad %ones low[0, 0, 0, 0] high[1, 0, 0, 0] {
    ^bb0(%c: index, %k: index, %i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<63x64x3x3xf32> to tensor<64x64x3x3xf32>
    %y = tamis.contract ins(%x, %w : tensor<1x28x28x64xf32>, tensor<64x64x3x3xf32>) outs(%e : tensor<1x28x28x64xf32>)
           maps [#window, #weights, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
           pad [0, 1, 1, 0] accumulator f32 -> tensor<1x28x28x64xf32>
    return %y : tensor<1x28x28x64xf32>
  }

  // CHECK-LABEL: func.func @unknown_weights
  // CHECK-NOT: winograd
  // CHECK: tamis_kernel.contract
  func.func @unknown_weights(%x: tensor<1x28x28x64xf32>, %w: tensor<64x64x3x3xf32>, %e: tensor<1x28x28x64xf32>) -> tensor<1x28x28x64xf32> {
    %y = tamis.contract ins(%x, %w : tensor<1x28x28x64xf32>, tensor<64x64x3x3xf32>) outs(%e : tensor<1x28x28x64xf32>)
           maps [#window, #weights, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
           pad [0, 1, 1, 0] accumulator f32 -> tensor<1x28x28x64xf32>
    return %y : tensor<1x28x28x64xf32>
  }
}

// -----

#window = affine_map<(n, h, w, c, i, j, k) -> (n, h * 2 + i, w * 2 + j, k)>
#weights = affine_map<(n, h, w, c, i, j, k) -> (c, k, i, j)>
#out = affine_map<(n, h, w, c, i, j, k) -> (n, h, w, c)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>} {
  // CHECK-LABEL: func.func @step_of_two
  // CHECK-NOT: winograd
  // CHECK: tamis_kernel.contract
  func.func @step_of_two(%x: tensor<1x28x28x64xf32>, %e: tensor<1x14x14x64xf32>) -> tensor<1x14x14x64xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<63x64x3x3xf32>
    %w = tensor.pad %ones low[0, 0, 0, 0] high[1, 0, 0, 0] {
    ^bb0(%c: index, %k: index, %i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<63x64x3x3xf32> to tensor<64x64x3x3xf32>
    %y = tamis.contract ins(%x, %w : tensor<1x28x28x64xf32>, tensor<64x64x3x3xf32>) outs(%e : tensor<1x14x14x64xf32>)
           maps [#window, #weights, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
           pad [0, 1, 1, 0] accumulator f32 -> tensor<1x14x14x64xf32>
    return %y : tensor<1x14x14x64xf32>
  }
}

// -----

#window = affine_map<(n, h, w, c, i, j, k) -> (n, h + i, w + j, k)>
#weights = affine_map<(n, h, w, c, i, j, k) -> (c, k, i, j)>
#out = affine_map<(n, h, w, c, i, j, k) -> (n, h, w, c)>
module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma"]>, tamis.profile = #tamis.profile<facts = {block_list.margin = 1.0e-06 : f64}>} {
  // A stream is a little faster than transformed windows by its price, and much faster than dense panels: not enough.
  // CHECK-LABEL: func.func @some_zeros
  // CHECK: storage = #tamis.winograd
  func.func @some_zeros(%x: tensor<1x28x28x128xf32>, %e: tensor<1x28x28x128xf32>) -> tensor<1x28x28x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<128x25x3x3xf32>
    %w = tensor.pad %ones low[0, 0, 0, 0] high[0, 103, 0, 0] {
    ^bb0(%c: index, %k: index, %i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<128x25x3x3xf32> to tensor<128x128x3x3xf32>
    %y = tamis.contract ins(%x, %w : tensor<1x28x28x128xf32>, tensor<128x128x3x3xf32>) outs(%e : tensor<1x28x28x128xf32>)
           maps [#window, #weights, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
           pad [0, 1, 1, 0] accumulator f32 -> tensor<1x28x28x128xf32>
    return %y : tensor<1x28x28x128xf32>
  }

  // CHECK-LABEL: func.func @many_zeros
  // CHECK: storage = #tamis.row_stream
  func.func @many_zeros(%x: tensor<1x28x28x128xf32>, %e: tensor<1x28x28x128xf32>) -> tensor<1x28x28x128xf32> {
    %zero = arith.constant 0.0 : f32
    %ones = arith.constant dense<1.0> : tensor<128x13x3x3xf32>
    %w = tensor.pad %ones low[0, 0, 0, 0] high[0, 115, 0, 0] {
    ^bb0(%c: index, %k: index, %i: index, %j: index):
      tensor.yield %zero : f32
    } : tensor<128x13x3x3xf32> to tensor<128x128x3x3xf32>
    %y = tamis.contract ins(%x, %w : tensor<1x28x28x128xf32>, tensor<128x128x3x3xf32>) outs(%e : tensor<1x28x28x128xf32>)
           maps [#window, #weights, #out] iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
           pad [0, 1, 1, 0] accumulator f32 -> tensor<1x28x28x128xf32>
    return %y : tensor<1x28x28x128xf32>
  }
}
