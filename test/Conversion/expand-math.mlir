// RUN: tamis-opt %s --split-input-file --tamis-expand-math | FileCheck %s
// RUN: tamis-opt %s --split-input-file --tamis-expand-math --tamis-expand-math | FileCheck %s

module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma", "avx512f"]>} {
// CHECK-LABEL: func.func @exp
// CHECK-NOT: math.exp
// CHECK: math.fma {{.*}} : vector<16xf32>
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"
func.func @exp(%x: vector<16xf32>) -> vector<16xf32> {
  %y = math.exp %x : vector<16xf32>
  return %y : vector<16xf32>
}

// CHECK-LABEL: func.func @half_goes_through_single
// CHECK: arith.extf
// CHECK-NOT: math.tanh
// CHECK: arith.truncf
func.func @half_goes_through_single(%x: vector<16xf16>) -> vector<16xf16> {
  %y = math.tanh %x : vector<16xf16>
  return %y : vector<16xf16>
}

// CHECK-LABEL: func.func @square
// CHECK: %[[Y:.+]] = arith.mulf %[[X:.+]], %[[X]]
// CHECK: return %[[Y]]
func.func @square(%x: vector<16xf32>) -> vector<16xf32> {
  %two = arith.constant dense<2.0> : vector<16xf32>
  %y = math.powf %x, %two : vector<16xf32>
  return %y : vector<16xf32>
}

// CHECK-LABEL: func.func @relu_is_one_comparison
// CHECK: arith.cmpf ogt
// CHECK-NOT: arith.cmpf
// CHECK: return
func.func @relu_is_one_comparison(%x: vector<16xf32>) -> vector<16xf32> {
  %zero = arith.constant dense<0.0> : vector<16xf32>
  %y = arith.maximumf %x, %zero : vector<16xf32>
  return %y : vector<16xf32>
}

// CHECK-LABEL: func.func @number_over_a_constant_is_one_comparison
// CHECK-SAME: (%[[X:.+]]: vector
// CHECK: %[[C:.+]] = arith.constant
// CHECK: %[[WINS:.+]] = arith.cmpf ogt, %[[X]], %[[C]]
// CHECK: %[[Y:.+]] = arith.select %[[WINS]], %[[X]], %[[C]]
// CHECK: return %[[Y]]
func.func @number_over_a_constant_is_one_comparison(%x: vector<8xf32>) -> vector<8xf32> {
  %low = arith.constant dense<-128.0> : vector<8xf32>
  %y = arith.maxnumf %x, %low : vector<8xf32>
  return %y : vector<8xf32>
}

// CHECK-LABEL: func.func @either_may_be_no_number
// CHECK-SAME: (%[[X:.+]]: f32, %[[Y:.+]]: f32)
// CHECK: llvm.intr.minnum(%[[Y]], %[[X]])
func.func @either_may_be_no_number(%x: f32, %y: f32) -> f32 {
  %z = arith.minnumf %x, %y : f32
  return %z : f32
}

// CHECK-LABEL: func.func @leaves_double_to_libm
// CHECK: math.exp %{{.+}} : f64
func.func @leaves_double_to_libm(%x: f64) -> f64 {
  %y = math.exp %x : f64
  return %y : f64
}
}

// -----

// No target: no fused multiply-add, which would be a call.
// CHECK-LABEL: func.func @no_fma_without_the_feature
// CHECK-NOT: math.fma
// CHECK: return
func.func @no_fma_without_the_feature(%x: vector<4xf32>) -> vector<4xf32> {
  %y = math.erf %x : vector<4xf32>
  return %y : vector<4xf32>
}
