// RUN: tamis-opt %s --tamis-shorten-rounding --split-input-file | FileCheck %s

module attributes {tamis.target = #tamis.target<"x86_64", ["avx2"]>} {
  // What one operator quantizes the next dequantizes.
  // CHECK-LABEL: func.func @through_eight_bits
  // CHECK: %[[LOW:.+]] = arith.maxnumf
  // CHECK: %[[X:.+]] = arith.minnumf %[[LOW]]
  // CHECK: %[[I:.+]] = llvm.intr.lrint(%[[X]]) : (vector<8xf32>) -> vector<8xi32>
  // CHECK: %[[F:.+]] = arith.sitofp %[[I]]
  // CHECK: return %[[F]]
  func.func @through_eight_bits(%x: vector<8xf32>) -> vector<8xf32> {
    %low = arith.constant dense<-121.0> : vector<8xf32>
    %high = arith.constant dense<134.0> : vector<8xf32>
    %zero = arith.constant dense<-7> : vector<8xi32>
    %a = arith.maxnumf %x, %low : vector<8xf32>
    %b = arith.minnumf %a, %high : vector<8xf32>
    %c = math.roundeven %b : vector<8xf32>
    %d = arith.fptosi %c : vector<8xf32> to vector<8xi32>
    %e = arith.addi %d, %zero : vector<8xi32>
    %f = arith.trunci %e : vector<8xi32> to vector<8xi8>
    %g = arith.extsi %f : vector<8xi8> to vector<8xi32>
    %h = arith.subi %g, %zero : vector<8xi32>
    %i = arith.sitofp %h : vector<8xi32> to vector<8xf32>
    return %i : vector<8xf32>
  }

  // CHECK-LABEL: func.func @unsigned_scalar
  // CHECK: %[[I:.+]] = llvm.intr.lrint
  // CHECK: return %[[I]]
  func.func @unsigned_scalar(%x: f32) -> i32 {
    %low = arith.constant 0.0 : f32
    %high = arith.constant 255.0 : f32
    %a = arith.maxnumf %x, %low : f32
    %b = arith.minnumf %a, %high : f32
    %c = math.roundeven %b : f32
    %d = arith.fptosi %c : f32 to i32
    %f = arith.trunci %d : i32 to i8
    %g = arith.extui %f : i8 to i32
    return %g : i32
  }

  // 128 is not one of eight signed bits.
  // CHECK-LABEL: func.func @out_of_range
  // CHECK: %[[T:.+]] = arith.trunci
  // CHECK: %[[E:.+]] = arith.extsi %[[T]]
  // CHECK: return %[[E]]
  func.func @out_of_range(%x: f32) -> i32 {
    %low = arith.constant 0.0 : f32
    %high = arith.constant 128.0 : f32
    %a = arith.maxnumf %x, %low : f32
    %b = arith.minnumf %a, %high : f32
    %c = math.roundeven %b : f32
    %d = arith.fptosi %c : f32 to i32
    %f = arith.trunci %d : i32 to i8
    %g = arith.extsi %f : i8 to i32
    return %g : i32
  }

  // Nothing says how large it is.
  // CHECK-LABEL: func.func @no_clamp
  // CHECK: arith.trunci
  // CHECK: arith.extsi
  func.func @no_clamp(%x: i32) -> i32 {
    %f = arith.trunci %x : i32 to i8
    %g = arith.extsi %f : i8 to i32
    return %g : i32
  }

  // Other zero points are a difference; truncation is no rounding.
  // CHECK-LABEL: func.func @differences
  // CHECK: arith.fptosi
  // CHECK: arith.addi
  // CHECK: arith.subi
  func.func @differences(%x: f32) -> i32 {
    %three = arith.constant 3 : i32
    %four = arith.constant 4 : i32
    %d = arith.fptosi %x : f32 to i32
    %e = arith.addi %d, %three : i32
    %f = arith.subi %e, %four : i32
    return %f : i32
  }

  // A float that is read elsewhere stays, and one of 64 bits has no such
  // operation.
  // CHECK-LABEL: func.func @other_readers
  // CHECK: %[[R:.+]] = math.roundeven
  // CHECK: llvm.intr.lrint
  // CHECK: arith.fptosi {{.+}} : f64 to i32
  // CHECK: return %[[R]]
  func.func @other_readers(%x: f32, %y: f64) -> (f32, i32, i32) {
    %c = math.roundeven %x : f32
    %d = arith.fptosi %c : f32 to i32
    %e = math.roundeven %y : f64
    %f = arith.fptosi %e : f64 to i32
    return %c, %d, %f : f32, i32, i32
  }
}

// -----

module attributes {tamis.target = #tamis.target<"aarch64", ["neon"]>} {
  // CHECK-LABEL: func.func @other_machines
  // CHECK: math.roundeven
  // CHECK: arith.fptosi
  func.func @other_machines(%x: f32) -> i32 {
    %c = math.roundeven %x : f32
    %d = arith.fptosi %c : f32 to i32
    return %d : i32
  }
}
