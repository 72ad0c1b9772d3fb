// RUN: tamis-opt %s --tamis-group-attention | FileCheck %s

// Notes: what was grouped, and why the rest was not.
// CHECK: tamis.attention = [
// CHECK-SAME: {layer = "one_kernel", length = 90 : i64, rows = 8 : i64}
// CHECK-SAME: {layer = "bounded_length", length = 300 : i64, rows = 8 : i64}
// CHECK-SAME: {layer = "open_length", reason = "the length of a row has no bound"}
// CHECK-SAME: {layer = "long_rows", reason = "a row of 5000 scores is too long for workgroup memory"}
// CHECK-SAME: {layer = "read_elsewhere", reason = "scores are read elsewhere"}
// CHECK-SAME: {layer = "in_between", reason = "something in between needs its place"}
// CHECK-SAME: {layer = "two_values", reason = "a row has several values at once"}
// CHECK-SAME: {layer = "parts_of_rows", reason = "what lies between does not see whole rows"}
// CHECK-SAME: {layer = "neighbours", reason = "two views of a row are written"}
// CHECK-NOT: layer
// CHECK-SAME: ]

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(d0) -> (d0)>
#out2 = affine_map<(m, n) -> (m, n)>
#none = affine_map<(d0) -> ()>
#tiles = #tamis_gpu.tiles<channels = 64, rows = 64, words = 16, warpChannels = 32, warpRows = 32, stages = 3>
!row = memref<90xf32, strided<[1], offset: ?>>
!one = memref<f32, strided<[], offset: ?>>

module attributes {tamis.target = #tamis.target<"nvptx64", []>} {
// Four warps, eight rows: 64 rows are too few for more.
// CHECK-LABEL: @one_kernel
// CHECK-NOT: memref.alloc()
// CHECK: scf.execute_region no_inline
// CHECK: %[[S:.*]] = memref.alloca() : memref<64x90xf32>
// CHECK: tamis_gpu.contract {{.*}} outs(%[[S]] : {{.*}} tiles <channels = 96, rows = 8, words = 16, warpChannels = 24, warpRows = 8, stages = 2>
// CHECK-NOT: origin
// CHECK: scf.for
// CHECK: memref.subview %[[S]]
// CHECK: tamis_gpu.contract ins(%[[S]], {{.*}} tiles <channels = 16, rows = 8, words = 16, warpChannels = 8, warpRows = 4, stages = 2>
// CHECK: {origin = "one_kernel", tamis.kernel, tamis.strip = 104 : i64}
func.func @one_kernel(%q: memref<64x32xf32>, %k: memref<32x90xf32>, %v: memref<90x16xf32>, %r: memref<64xf32>, %o: memref<64x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %s = memref.alloc() : memref<64x90xf32>
  tamis_gpu.contract ins(%q, %k : memref<64x32xf32>, memref<32x90xf32>) outs(%s : memref<64x90xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 90, 32] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "scores"}
  scf.for %i = %c0 to %c64 step %c1 {
    %row = memref.subview %s[%i, 0] [1, 90] [1, 1] : memref<64x90xf32> to !row
    %sum = memref.subview %r[%i] [1] [1] : memref<64xf32> to !one
    linalg.fill ins(%zero : f32) outs(%sum : !one)
    linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]} ins(%row : !row) outs(%sum : !one) {
    ^bb0(%a: f32, %b: f32):
      %x = arith.addf %b, %a : f32
      linalg.yield %x : f32
    }
    linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel"]} ins(%row, %sum : !row, !one) outs(%row : !row) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %x = arith.divf %a, %b : f32
      linalg.yield %x : f32
    }
  } {tamis.kernel}
  tamis_gpu.contract ins(%s, %v : memref<64x90xf32>, memref<90x16xf32>) outs(%o : memref<64x16xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 16, 90] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "one_kernel"}
  return
}

// A range of the argument's dimension is a bound.
// CHECK-LABEL: @bounded_length
// CHECK: scf.execute_region
// CHECK: memref.alloca(%{{.*}}) : memref<64x?xf32>
// CHECK: tamis.strip = 328
func.func @bounded_length(%q: memref<64x32xf32>, %k: memref<32x?xf32> {tamis.dim_ranges = [array<i64>, array<i64: 1, 300>]}, %v: memref<?x16xf32>, %r: memref<64xf32>, %o: memref<64x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %n = memref.dim %k, %c1 : memref<32x?xf32>
  %s = memref.alloc(%n) : memref<64x?xf32>
  tamis_gpu.contract ins(%q, %k : memref<64x32xf32>, memref<32x?xf32>) outs(%s : memref<64x?xf32>) maps [#lhs, #rhs, #out]
      bounds [64, -9223372036854775808, 32] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "scores"}
  scf.for %i = %c0 to %c64 step %c1 {
    %row = memref.subview %s[%i, 0] [1, %n] [1, 1] : memref<64x?xf32> to memref<?xf32, strided<[1], offset: ?>>
    %sum = memref.subview %r[%i] [1] [1] : memref<64xf32> to !one
    linalg.fill ins(%zero : f32) outs(%sum : !one)
    linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]} ins(%row : memref<?xf32, strided<[1], offset: ?>>) outs(%sum : !one) {
    ^bb0(%a: f32, %b: f32):
      %x = arith.addf %b, %a : f32
      linalg.yield %x : f32
    }
    linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel"]} ins(%row, %sum : memref<?xf32, strided<[1], offset: ?>>, !one) outs(%row : memref<?xf32, strided<[1], offset: ?>>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %x = arith.divf %a, %b : f32
      linalg.yield %x : f32
    }
  } {tamis.kernel}
  tamis_gpu.contract ins(%s, %v : memref<64x?xf32>, memref<?x16xf32>) outs(%o : memref<64x16xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 16, -9223372036854775808] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "bounded_length"}
  return
}

// CHECK-LABEL: @open_length
// CHECK-NOT: scf.execute_region
func.func @open_length(%q: memref<64x32xf32>, %k: memref<32x?xf32>, %v: memref<?x16xf32>, %r: memref<64xf32>, %o: memref<64x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %n = memref.dim %k, %c1 : memref<32x?xf32>
  %s = memref.alloc(%n) : memref<64x?xf32>
  tamis_gpu.contract ins(%q, %k : memref<64x32xf32>, memref<32x?xf32>) outs(%s : memref<64x?xf32>) maps [#lhs, #rhs, #out]
      bounds [64, -9223372036854775808, 32] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "scores"}
  scf.for %i = %c0 to %c64 step %c1 {
    %row = memref.subview %s[%i, 0] [1, %n] [1, 1] : memref<64x?xf32> to memref<?xf32, strided<[1], offset: ?>>
    %sum = memref.subview %r[%i] [1] [1] : memref<64xf32> to !one
    linalg.fill ins(%zero : f32) outs(%sum : !one)
    linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]} ins(%row : memref<?xf32, strided<[1], offset: ?>>) outs(%sum : !one) {
    ^bb0(%a: f32, %b: f32):
      %x = arith.addf %b, %a : f32
      linalg.yield %x : f32
    }
    linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel"]} ins(%row, %sum : memref<?xf32, strided<[1], offset: ?>>, !one) outs(%row : memref<?xf32, strided<[1], offset: ?>>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %x = arith.divf %a, %b : f32
      linalg.yield %x : f32
    }
  } {tamis.kernel}
  tamis_gpu.contract ins(%s, %v : memref<64x?xf32>, memref<?x16xf32>) outs(%o : memref<64x16xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 16, -9223372036854775808] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "open_length"}
  return
}

// CHECK-LABEL: @long_rows
// CHECK-NOT: scf.execute_region
func.func @long_rows(%q: memref<64x32xf32>, %k: memref<32x5000xf32>, %v: memref<5000x16xf32>, %r: memref<64xf32>, %o: memref<64x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %s = memref.alloc() : memref<64x5000xf32>
  tamis_gpu.contract ins(%q, %k : memref<64x32xf32>, memref<32x5000xf32>) outs(%s : memref<64x5000xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 5000, 32] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "scores"}
  scf.for %i = %c0 to %c64 step %c1 {
    %row = memref.subview %s[%i, 0] [1, 5000] [1, 1] : memref<64x5000xf32> to memref<5000xf32, strided<[1], offset: ?>>
    %sum = memref.subview %r[%i] [1] [1] : memref<64xf32> to !one
    linalg.fill ins(%zero : f32) outs(%sum : !one)
    linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]} ins(%row : memref<5000xf32, strided<[1], offset: ?>>) outs(%sum : !one) {
    ^bb0(%a: f32, %b: f32):
      %x = arith.addf %b, %a : f32
      linalg.yield %x : f32
    }
    linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel"]} ins(%row, %sum : memref<5000xf32, strided<[1], offset: ?>>, !one) outs(%row : memref<5000xf32, strided<[1], offset: ?>>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %x = arith.divf %a, %b : f32
      linalg.yield %x : f32
    }
  } {tamis.kernel}
  tamis_gpu.contract ins(%s, %v : memref<64x5000xf32>, memref<5000x16xf32>) outs(%o : memref<64x16xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 16, 5000] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "long_rows"}
  return
}

// CHECK-LABEL: @read_elsewhere
// CHECK-NOT: scf.execute_region
func.func @read_elsewhere(%q: memref<64x32xf32>, %k: memref<32x90xf32>, %v: memref<90x16xf32>, %r: memref<64xf32>, %o: memref<64x16xf32>, %copy: memref<64x90xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %s = memref.alloc() : memref<64x90xf32>
  tamis_gpu.contract ins(%q, %k : memref<64x32xf32>, memref<32x90xf32>) outs(%s : memref<64x90xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 90, 32] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "scores"}
  scf.for %i = %c0 to %c64 step %c1 {
    %row = memref.subview %s[%i, 0] [1, 90] [1, 1] : memref<64x90xf32> to !row
    %sum = memref.subview %r[%i] [1] [1] : memref<64xf32> to !one
    linalg.fill ins(%zero : f32) outs(%sum : !one)
    linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]} ins(%row : !row) outs(%sum : !one) {
    ^bb0(%a: f32, %b: f32):
      %x = arith.addf %b, %a : f32
      linalg.yield %x : f32
    }
    linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel"]} ins(%row, %sum : !row, !one) outs(%row : !row) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %x = arith.divf %a, %b : f32
      linalg.yield %x : f32
    }
  } {tamis.kernel}
  tamis_gpu.contract ins(%s, %v : memref<64x90xf32>, memref<90x16xf32>) outs(%o : memref<64x16xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 16, 90] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "read_elsewhere"}
  linalg.generic {indexing_maps = [#out2, #out2], iterator_types = ["parallel", "parallel"]} ins(%s : memref<64x90xf32>) outs(%copy : memref<64x90xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  }
  return
}

// Scores cannot wait for what overwrites the queries.
// CHECK-LABEL: @in_between
// CHECK-NOT: scf.execute_region
func.func @in_between(%q: memref<64x32xf32>, %k: memref<32x90xf32>, %v: memref<90x16xf32>, %r: memref<64xf32>, %o: memref<64x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %s = memref.alloc() : memref<64x90xf32>
  tamis_gpu.contract ins(%q, %k : memref<64x32xf32>, memref<32x90xf32>) outs(%s : memref<64x90xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 90, 32] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "scores"}
  linalg.fill ins(%zero : f32) outs(%q : memref<64x32xf32>)
  scf.for %i = %c0 to %c64 step %c1 {
    %row = memref.subview %s[%i, 0] [1, 90] [1, 1] : memref<64x90xf32> to !row
    %sum = memref.subview %r[%i] [1] [1] : memref<64xf32> to !one
    linalg.fill ins(%zero : f32) outs(%sum : !one)
    linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]} ins(%row : !row) outs(%sum : !one) {
    ^bb0(%a: f32, %b: f32):
      %x = arith.addf %b, %a : f32
      linalg.yield %x : f32
    }
    linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel"]} ins(%row, %sum : !row, !one) outs(%row : !row) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %x = arith.divf %a, %b : f32
      linalg.yield %x : f32
    }
  } {tamis.kernel}
  tamis_gpu.contract ins(%s, %v : memref<64x90xf32>, memref<90x16xf32>) outs(%o : memref<64x16xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 16, 90] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "in_between"}
  return
}

// The first values of a row are wanted after the second ones were written.
// CHECK-LABEL: @two_values
// CHECK-NOT: scf.execute_region
func.func @two_values(%q: memref<64x32xf32>, %k: memref<32x90xf32>, %v: memref<90x16xf32>, %r: memref<64xf32>, %o: memref<64x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %t = memref.alloc() : memref<64x90xf32>
  %s = memref.alloc() : memref<64x90xf32>
  tamis_gpu.contract ins(%q, %k : memref<64x32xf32>, memref<32x90xf32>) outs(%s : memref<64x90xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 90, 32] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "scores"}
  scf.for %i = %c0 to %c64 step %c1 {
    %row = memref.subview %s[%i, 0] [1, 90] [1, 1] : memref<64x90xf32> to !row
    %other = memref.subview %t[%i, 0] [1, 90] [1, 1] : memref<64x90xf32> to !row
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%row : !row) outs(%other : !row) {
    ^bb0(%a: f32, %b: f32):
      %x = arith.negf %a : f32
      linalg.yield %x : f32
    }
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%other : !row) outs(%row : !row) {
    ^bb0(%a: f32, %b: f32):
      %x = arith.mulf %a, %b : f32
      linalg.yield %x : f32
    }
  } {tamis.kernel}
  tamis_gpu.contract ins(%s, %v : memref<64x90xf32>, memref<90x16xf32>) outs(%o : memref<64x16xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 16, 90] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "two_values"}
  return
}

// CHECK-LABEL: @parts_of_rows
// CHECK-NOT: scf.execute_region
func.func @parts_of_rows(%q: memref<64x32xf32>, %k: memref<32x90xf32>, %v: memref<90x16xf32>, %r: memref<64xf32>, %o: memref<64x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %s = memref.alloc() : memref<64x90xf32>
  tamis_gpu.contract ins(%q, %k : memref<64x32xf32>, memref<32x90xf32>) outs(%s : memref<64x90xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 90, 32] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "scores"}
  scf.for %i = %c0 to %c64 step %c1 {
    %row = memref.subview %s[%i, 0] [1, 89] [1, 1] : memref<64x90xf32> to memref<89xf32, strided<[1], offset: ?>>
    linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]} outs(%row : memref<89xf32, strided<[1], offset: ?>>) {
    ^bb0(%a: f32):
      %x = arith.negf %a : f32
      linalg.yield %x : f32
    }
  } {tamis.kernel}
  tamis_gpu.contract ins(%s, %v : memref<64x90xf32>, memref<90x16xf32>) outs(%o : memref<64x16xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 16, 90] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "parts_of_rows"}
  return
}

// CHECK-LABEL: @neighbours
// CHECK-NOT: scf.execute_region
func.func @neighbours(%q: memref<64x32xf32>, %k: memref<32x90xf32>, %v: memref<90x16xf32>, %r: memref<64xf32>, %o: memref<64x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %s = memref.alloc() : memref<64x90xf32>
  tamis_gpu.contract ins(%q, %k : memref<64x32xf32>, memref<32x90xf32>) outs(%s : memref<64x90xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 90, 32] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "scores"}
  scf.for %i = %c0 to %c64 step %c1 {
    %row = memref.subview %s[%i, 0] [1, 90] [1, 1] : memref<64x90xf32> to !row
    %first = memref.subview %s[%i, 0] [1, 1] [1, 1] : memref<64x90xf32> to !one
    linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel"]} ins(%row, %first : !row, !one) outs(%row : !row) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %x = arith.subf %a, %b : f32
      linalg.yield %x : f32
    }
  } {tamis.kernel}
  tamis_gpu.contract ins(%s, %v : memref<64x90xf32>, memref<90x16xf32>) outs(%o : memref<64x16xf32>) maps [#lhs, #rhs, #out]
      bounds [64, 16, 90] accumulator f32 by #tamis_gpu.lane_fma tiles #tiles {origin = "neighbours"}
  return
}
}
