// A device's lanes put a maximum together, so the mapping has to see it; the
// kernel that it makes comes here again.
// RUN: tamis-opt %s --tamis-expand-math | FileCheck %s

#id = affine_map<(d0) -> (d0)>
#none = affine_map<(d0) -> ()>
// CHECK-LABEL: func.func @leaves_the_combiner
// CHECK: arith.cmpf
// CHECK: arith.maximumf
func.func @leaves_the_combiner(%x: memref<8xf32>, %m: memref<f32>) attributes {tamis.target = #tamis.target<"vulkan", []>} {
  linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]} ins(%x : memref<8xf32>) outs(%m : memref<f32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.minimumf %a, %a : f32
    %r = arith.maximumf %b, %c : f32
    linalg.yield %r : f32
  }
  return
}

// CHECK-LABEL: func.func @leaves_what_devices_have
// CHECK: arith.maxnumf
func.func @leaves_what_devices_have(%x: f32, %y: f32) -> f32 attributes {tamis.target = #tamis.target<"vulkan", []>} {
  %z = arith.maxnumf %x, %y : f32
  return %z : f32
}
