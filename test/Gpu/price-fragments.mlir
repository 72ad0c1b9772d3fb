// RUN: tamis-opt %s --split-input-file --tamis-select-fragments --tamis-price-fragments --tamis-report-decisions | FileCheck %s

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
