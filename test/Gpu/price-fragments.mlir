// RUN: tamis-opt %s --split-input-file --tamis-select-fragments --tamis-report-decisions | FileCheck %s

// 4096x1024x1024 bytes on an A100: twice the rate of products, but then the
// bytes are what takes the time.
// CHECK: candidates = {"2:4 mma_sp_s8 128x128" = {predicted = 1.9{{[0-9]+}}e+01 : f64}, "dense dp4a 128x128" = {predicted = 1{{[0-9.]+}}e+02 : f64}, "dense mma_s8 128x128" = {predicted = 2.4{{[0-9]+}}e+01 : f64}}
// CHECK-SAME: chosen = "2:4 mma_sp_s8 128x128"
// CHECK-SAME: why = "two of four weights are zero"
module attributes {tamis.target = #tamis.target<"nvptx64", ["mma", "mma-sp", "sm_80"]>} {
  func.func @two_of_four(%x: tensor<4096x1024xi8>, %e: tensor<4096x1024xi32>) -> tensor<4096x1024xi32> {
    %w = arith.constant dense<0> : tensor<1024x1024xi8>
    %y = tamis.contract ins(%x, %w : tensor<4096x1024xi8>, tensor<1024x1024xi8>) outs(%e : tensor<4096x1024xi32>)
      maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<4096x1024xi32>
    return %y : tensor<4096x1024xi32>
  }
}

// -----

// A profile's number instead of the built-in one: a launch of a second.
// CHECK: candidates = {"dense lane_fma {{[0-9x]+}}" = {predicted = 1000002.{{[0-9]+}} : f64}
module attributes {tamis.target = #tamis.target<"nvptx64", ["mma", "mma-sp", "sm_80"]>,
    tamis.profile = #tamis.profile<facts = {device.gigabytes_per_s = 2000.0 : f64, device.processors = 100.0 : f64, device.launch_us = 1.0e6 : f64,
                                            device.share = 0.5 : f64, fragment.lane_fma = 20.0 : f64}>} {
  func.func @profile(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>, %e: tensor<?x64xf32>) -> tensor<?x64xf32> {
    %y = tamis.contract ins(%x, %w : tensor<?x64xf32>, tensor<64x64xf32>) outs(%e : tensor<?x64xf32>)
      maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

// -----

// A Vulkan device could be any.
// CHECK-NOT: candidates
// CHECK: instruction = "lane_fma"
module attributes {tamis.target = #tamis.target<"vulkan", []>} {
  func.func @unknown(%x: tensor<8x64xf32>, %w: tensor<64x64xf32>, %e: tensor<8x64xf32>) -> tensor<8x64xf32> {
    %y = tamis.contract ins(%x, %w : tensor<8x64xf32>, tensor<64x64xf32>) outs(%e : tensor<8x64xf32>)
      maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<8x64xf32>
    return %y : tensor<8x64xf32>
  }
}

// -----

// One row of an L40S. Of dense weights bytes are the time. Where they are zero,
// few workgroups would be busy, so several divide the reduction.
// CHECK: candidates = {"dense lane_fma 4x32" = {predicted = [[DENSE:.*]] : f64}, "listed lane_fma 4x32 /[[PARTS:[0-9]+]], 0%" = {predicted = [[LISTED:.*]] : f64}}
// CHECK-SAME: chosen = "listed lane_fma 4x32 /[[PARTS]], 0%"
// CHECK-SAME: storage = "listed words"
// CHECK-SAME: types = "f32 x f32 -> f32"
// CHECK-SAME: why = "without words that are zero fewer bytes are read"
// CHECK: tamis_gpu.list %{{.*}} words 16 : tensor<1x24x256x512xf32> -> tensor<24576xi32>, tensor<6145xi32>
// CHECK: metadata(%{{.*}} : tensor<6145xi32>) parts(%{{.*}} : tensor<[[PARTS]]x1x1x768xf32>)
// CHECK-SAME: splits = [[PARTS]]> listed <chunks = 1>
module attributes {tamis.target = #tamis.target<"nvptx64", ["mma", "mma-sp", "sm_89"]>} {
  func.func @listed(%x: tensor<1x4096xf32>, %e: tensor<1x768xf32>) -> tensor<1x768xf32> {
    %w = arith.constant dense<0.0> : tensor<4096x768xf32>
    %y = tamis.contract ins(%x, %w : tensor<1x4096xf32>, tensor<4096x768xf32>) outs(%e : tensor<1x768xf32>)
      maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x768xf32>
    return %y : tensor<1x768xf32>
  }
}

// -----

// Nothing is zero: listed words were counted, and refused.
// CHECK: bounds = array<i64: 1, 4096, 4096>{{.*}} chosen = "dense lane_fma
// CHECK-SAME: why = "the first that takes these types; listed words gain too little"
module attributes {tamis.target = #tamis.target<"nvptx64", ["mma", "mma-sp", "sm_89"]>} {
  func.func @dense(%x: tensor<1x4096xf32>, %e: tensor<1x4096xf32>) -> tensor<1x4096xf32> {
    %w = arith.constant dense<1.0> : tensor<4096x4096xf32>
    %y = tamis.contract ins(%x, %w : tensor<1x4096xf32>, tensor<4096x4096xf32>) outs(%e : tensor<1x4096xf32>)
      maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<1x4096xf32>
    return %y : tensor<1x4096xf32>
  }
}

// -----

// Many rows: expanding again for each tile of them would take longer.
// CHECK: bounds = array<i64: 512, 1024, 1024>{{.*}} chosen = "dense lane_fma
// CHECK-SAME: why = "the first that takes these types"
module attributes {tamis.target = #tamis.target<"nvptx64", ["mma", "mma-sp", "sm_89"]>} {
  func.func @many_rows(%x: tensor<512x1024xf32>, %e: tensor<512x1024xf32>) -> tensor<512x1024xf32> {
    %w = arith.constant dense<0.0> : tensor<1024x1024xf32>
    %y = tamis.contract ins(%x, %w : tensor<512x1024xf32>, tensor<1024x1024xf32>) outs(%e : tensor<512x1024xf32>)
      maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<512x1024xf32>
    return %y : tensor<512x1024xf32>
  }
}
