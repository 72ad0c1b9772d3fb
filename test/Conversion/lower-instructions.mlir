// RUN: tamis-opt %s --tamis-lower-instructions | FileCheck %s
// RUN: tamis-opt %s --tamis-lower-instructions --convert-to-llvm --reconcile-unrealized-casts | FileCheck %s --check-prefix=LLVM
// LLVM-NOT: unrealized_conversion_cast

// The pointer of a buffer is computed once, where the buffer is made.
// CHECK-LABEL: func.func @loads
// CHECK-SAME: %[[M:.+]]: memref<?x8xf32, strided<[8, 1], offset: ?>>
// CHECK: %[[D:.+]] = builtin.unrealized_conversion_cast %[[M]]
// CHECK: %[[ALIGNED:.+]] = llvm.extractvalue %[[D]][1]
// CHECK: %[[OFFSET:.+]] = llvm.extractvalue %[[D]][2]
// CHECK: %[[P:.+]] = llvm.getelementptr %[[ALIGNED]][%[[OFFSET]]]
// CHECK: %[[ROW:.+]] = llvm.mul
// CHECK: %[[PLACE:.+]] = llvm.add %[[ROW]]
// CHECK: %[[A:.+]] = llvm.getelementptr %[[P]][%[[PLACE]]]
// CHECK: %[[X:.+]] = llvm.load %[[A]] {alignment = 4 : i64} : !llvm.ptr -> vector<8xf32>
// CHECK: llvm.getelementptr inbounds|nuw %[[P]]
// CHECK: %[[S:.+]] = llvm.load %{{.+}} : !llvm.ptr -> f32
// CHECK: %[[I:.+]] = llvm.insertelement %[[S]]
// CHECK: %[[B:.+]] = llvm.shufflevector %[[I]]
// CHECK: %[[F:.+]] = llvm.intr.fmuladd(%[[X]], %[[B]], %[[X]])
// CHECK: llvm.store %[[F]], %{{.+}} {alignment = 4 : i64}
// CHECK-NOT: extractvalue
func.func @loads(%m: memref<?x8xf32, strided<[8, 1], offset: ?>>, %i: index) {
  %c0 = arith.constant 0 : index
  %x = vector.load %m[%i, %c0] : memref<?x8xf32, strided<[8, 1], offset: ?>>, vector<8xf32>
  %s = memref.load %m[%i, %c0] : memref<?x8xf32, strided<[8, 1], offset: ?>>
  %b = vector.broadcast %s : f32 to vector<8xf32>
  %f = vector.fma %x, %b, %x : vector<8xf32>
  vector.store %f, %m[%i, %c0] : memref<?x8xf32, strided<[8, 1], offset: ?>>, vector<8xf32>
  return
}

// Indices are integers from block to block.
// CHECK-LABEL: func.func @loop
// CHECK: llvm.br ^[[HEAD:.+]](%{{.+}} : i64)
// CHECK: ^[[HEAD]](%[[I:.+]]: i64):
// CHECK: %[[LESS:.+]] = llvm.icmp "slt" %[[I]], %{{.+}} : i64
// CHECK: llvm.cond_br %[[LESS]], ^[[BODY:.+]], ^
// CHECK: ^[[BODY]]:
// CHECK: %[[NEXT:.+]] = llvm.add %[[I]], %{{.+}} : i64
// CHECK: llvm.br ^[[HEAD]](%[[NEXT]] : i64)
func.func @loop(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  cf.br ^head(%c0 : index)
^head(%i: index):
  %less = arith.cmpi slt, %i, %n : index
  cf.cond_br %less, ^body, ^exit
^body:
  %next = arith.addi %i, %c1 : index
  cf.br ^head(%next : index)
^exit:
  return
}

// A cast serves what still reads an index.
// CHECK-LABEL: func.func @casts
// CHECK: %[[S:.+]] = llvm.add
// CHECK: %[[I:.+]] = builtin.unrealized_conversion_cast %[[S]] : i64 to index
// CHECK: return %[[I]] : index
func.func @casts(%a: index, %b: index) -> index {
  %s = arith.addi %a, %b : index
  return %s : index
}

// CHECK-LABEL: func.func @sizes
// CHECK: %[[I:.+]] = llvm.sext %{{.+}} : i32 to i64
// CHECK: llvm.trunc %{{.+}} : i64 to i32
// CHECK: llvm.extractelement
// CHECK: llvm.shufflevector %{{.+}} [0, 2]
func.func @sizes(%n: i32, %i: index, %v: vector<2xi8>) -> (index, i32, i8, vector<2xi8>) {
  %a = arith.index_cast %n : i32 to index
  %b = arith.index_cast %i : index to i32
  %c = vector.extract %v[1] : i8 from vector<2xi8>
  %d = vector.shuffle %v, %v [0, 2] : vector<2xi8>, vector<2xi8>
  return %a, %b, %c, %d : index, i32, i8, vector<2xi8>
}

// What LLVM has no single operation for, or another one for.
// CHECK-LABEL: func.func @leaves
// CHECK: arith.addi %{{.+}} overflow<nsw>
// CHECK: arith.addf %{{.+}} fastmath<contract>
// CHECK: arith.addf %{{.+}} : vector<2x4xf32>
// CHECK: memref.load
func.func @leaves(%i: index, %x: f32, %v: vector<2x4xf32>, %m: memref<?xf32, strided<[?], offset: ?>>) -> (index, f32, vector<2x4xf32>, f32) {
  %a = arith.addi %i, %i overflow<nsw> : index
  %b = arith.addf %x, %x fastmath<contract> : f32
  %c = arith.addf %v, %v : vector<2x4xf32>
  %d = memref.load %m[%i] : memref<?xf32, strided<[?], offset: ?>>
  return %a, %b, %c, %d : index, f32, vector<2x4xf32>, f32
}

// Sizes and offsets of a view are what it was given; nobody reads the view.
// CHECK-LABEL: func.func @view
// CHECK-SAME: %[[M:.+]]: memref<?x8xf32, strided<[8, 1], offset: ?>>
// CHECK: %[[D:.+]] = builtin.unrealized_conversion_cast %[[M]]
// CHECK-DAG: %[[ALIGNED:.+]] = llvm.extractvalue %[[D]][1]
// CHECK-DAG: %[[OFFSET:.+]] = llvm.extractvalue %[[D]][2]
// CHECK-DAG: %[[ROWS:.+]] = llvm.extractvalue %[[D]][3, 0]
// CHECK: %[[ALL:.+]] = llvm.mul %[[ROWS]]
// CHECK-NOT: memref
// CHECK: %[[I:.+]] = builtin.unrealized_conversion_cast %[[ALL]] : i64 to index
// CHECK: %[[P:.+]] = llvm.getelementptr %[[ALIGNED]][%[[OFFSET]]]
// CHECK: llvm.getelementptr inbounds|nuw %[[P]]
// CHECK: return %{{.+}}, %[[I]]
func.func @view(%m: memref<?x8xf32, strided<[8, 1], offset: ?>>, %i: index) -> (f32, index) {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %rows = memref.dim %m, %c0 : memref<?x8xf32, strided<[8, 1], offset: ?>>
  %all = arith.muli %rows, %c8 : index
  %base, %offset, %sizes:2, %strides:2 = memref.extract_strided_metadata %m : memref<?x8xf32, strided<[8, 1], offset: ?>> -> memref<f32>, index, index, index, index, index
  %flat = memref.reinterpret_cast %base to offset: [%offset], sizes: [%all], strides: [1] : memref<f32> to memref<?xf32, strided<[1], offset: ?>>
  %x = memref.load %flat[%i] : memref<?xf32, strided<[1], offset: ?>>
  %size = memref.dim %flat, %c0 : memref<?xf32, strided<[1], offset: ?>>
  return %x, %size : f32, index
}

// A view that a call is given stays.
// CHECK-LABEL: func.func @given
// CHECK: memref.cast
// CHECK: call @take
func.func private @take(memref<?xf32>)
func.func @given(%m: memref<8xf32>) {
  %c = memref.cast %m : memref<8xf32> to memref<?xf32>
  call @take(%c) : (memref<?xf32>) -> ()
  return
}
