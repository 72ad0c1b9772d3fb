// RUN: tamis-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tamis-vectorize-loops),canonicalize,cse)' | FileCheck %s
// RUN: tamis-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(tamis-vectorize-loops),canonicalize,cse,func.func(tamis-vectorize-loops),canonicalize,cse)' | FileCheck %s

#avx512 = #tamis.target<"x86_64", ["avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq"]>
#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#column = affine_map<(i, j) -> (j)>
#turned = affine_map<(i, j) -> (j, i)>

module attributes {tamis.target = #avx512} {
// Two dense dimensions are one loop, four vectors a step.
// CHECK-LABEL: func.func @merges_dense_dimensions
// CHECK: scf.for %{{.+}} = %{{.+}} to %c262144 step %c64
// CHECK-COUNT-4: arith.addf %{{.+}}, %{{.+}} : vector<16xf32>
// CHECK-NOT: scf.for
func.func @merges_dense_dimensions(%a: memref<512x512xf32>, %b: memref<512x512xf32>, %o: memref<512x512xf32>) {
  linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%a, %b : memref<512x512xf32>, memref<512x512xf32>) outs(%o : memref<512x512xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %s = arith.addf %x, %y : f32
    linalg.yield %s : f32
  }
  return
}

// A row operand keeps the two loops; 37 = 2 * 16 + a mask of 5.
// CHECK-LABEL: func.func @masks_the_tail
// CHECK: %[[MASK:.+]] = arith.constant dense<[true, true, true, true, true, false
// CHECK: vector.maskedload {{.*}} %[[MASK]]
// CHECK: vector.maskedstore {{.*}} %[[MASK]]
func.func @masks_the_tail(%a: memref<?x37xf32>, %b: memref<37xf32>, %o: memref<?x37xf32>) {
  linalg.generic {indexing_maps = [#all, #column, #all], iterator_types = ["parallel", "parallel"]}
      ins(%a, %b : memref<?x37xf32>, memref<37xf32>) outs(%o : memref<?x37xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %s = arith.addf %x, %y : f32
    linalg.yield %s : f32
  }
  return
}

// An operand that stands still is read once, ahead of the strips.
// CHECK-LABEL: func.func @hoists_what_stands_still
// CHECK: scf.for
// CHECK: memref.load
// CHECK: scf.for
// CHECK-NOT: memref.load
// CHECK: vector.broadcast
func.func @hoists_what_stands_still(%a: memref<8x640xf32>, %b: memref<8xf32>, %o: memref<8x640xf32>) {
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%a, %b : memref<8x640xf32>, memref<8xf32>) outs(%o : memref<8x640xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %s = arith.mulf %x, %y : f32
    linalg.yield %s : f32
  }
  return
}

// Partial sums in vectors; the fill becomes the start value.
// CHECK-LABEL: func.func @sums_rows_in_vectors
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK: vector.shuffle
// CHECK: memref.store
// CHECK-NOT: memref.store
func.func @sums_rows_in_vectors(%a: memref<64x256xf32>, %o: memref<64xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%o : memref<64xf32>)
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%a : memref<64x256xf32>) outs(%o : memref<64xf32>) {
  ^bb0(%x: f32, %z: f32):
    %s = arith.addf %z, %x : f32
    linalg.yield %s : f32
  }
  return
}

// The sum runs outside in, vectors across the columns.
// CHECK-LABEL: func.func @sums_columns_across
// CHECK: scf.for {{.*}} step %c64
// CHECK: scf.for {{.*}} iter_args
// CHECK: vector.load
func.func @sums_columns_across(%a: memref<100x256xf32>, %o: memref<256xf32>) {
  linalg.generic {indexing_maps = [#all, #column], iterator_types = ["reduction", "parallel"]}
      ins(%a : memref<100x256xf32>) outs(%o : memref<256xf32>) {
  ^bb0(%x: f32, %z: f32):
    %s = arith.addf %z, %x : f32
    linalg.yield %s : f32
  }
  return
}

// Tiles of 16 x 16 turned in registers: 4 stages of 16 shuffles.
// CHECK-LABEL: func.func @turns_tiles
// CHECK-COUNT-16: vector.load
// CHECK-COUNT-64: vector.shuffle
// CHECK-COUNT-16: vector.store
func.func @turns_tiles(%a: memref<64x128xf32>, %o: memref<128x64xf32>) {
  linalg.generic {indexing_maps = [#turned, #all], iterator_types = ["parallel", "parallel"]}
      ins(%a : memref<64x128xf32>) outs(%o : memref<128x64xf32>) {
  ^bb0(%x: f32, %z: f32):
    linalg.yield %x : f32
  }
  return
}

// Rows read through a table of indices stay whole vectors.
// CHECK-LABEL: func.func @gathers_whole_rows
// CHECK: memref.load
// CHECK: vector.load
func.func @gathers_whole_rows(%table: memref<50x64xf32>, %i: memref<9xi64>, %o: memref<9x64xf32>) {
  linalg.generic {indexing_maps = [#row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%i : memref<9xi64>) outs(%o : memref<9x64xf32>) {
  ^bb0(%x: i64, %z: f32):
    %r = arith.index_cast %x : i64 to index
    %c = linalg.index 1 : index
    %v = memref.load %table[%r, %c] : memref<50x64xf32>
    linalg.yield %v : f32
  }
  return
}

// Booleans are bytes in memory.
// CHECK-LABEL: func.func @stores_booleans_as_bytes
// CHECK: arith.extui %{{.+}} : vector<16xi1> to vector<16xi8>
// CHECK: vector.store {{.*}} vector<16xi8>
func.func @stores_booleans_as_bytes(%a: memref<640xf32>, %o: memref<640xi1>) {
  %zero = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%a : memref<640xf32>) outs(%o : memref<640xi1>) {
  ^bb0(%x: f32, %z: i1):
    %p = arith.cmpf ogt, %x, %zero : f32
    linalg.yield %p : i1
  }
  return
}
}

// -----

#avx2 = #tamis.target<"x86_64", ["avx2", "fma"]>
#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>

module attributes {tamis.target = #avx2, tamis.policy = #tamis.policy<strict = true>} {
// A strict policy keeps the order of a float sum: vectors hold different rows.
// CHECK-LABEL: func.func @keeps_the_order_when_strict
// CHECK: scf.for {{.*}} to %c256 step %c1 iter_args
// CHECK-NOT: vector.shuffle
// CHECK: return
func.func @keeps_the_order_when_strict(%a: memref<64x256xf32>, %o: memref<64xf32>) {
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%a : memref<64x256xf32>) outs(%o : memref<64xf32>) {
  ^bb0(%x: f32, %z: f32):
    %s = arith.addf %z, %x : f32
    linalg.yield %s : f32
  }
  return
}

// The target masks nothing: vectors of 8 and a scalar rest.
// CHECK-LABEL: func.func @scalar_rest_without_masks
// CHECK-NOT: maskedload
// CHECK: vector<8xf32>
// CHECK: scf.for
// CHECK: memref.load
// CHECK: memref.store
func.func @scalar_rest_without_masks(%a: memref<37xf32>, %o: memref<37xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%a : memref<37xf32>) outs(%o : memref<37xf32>) {
  ^bb0(%x: f32, %z: f32):
    %s = arith.negf %x : f32
    linalg.yield %s : f32
  }
  return
}
}

// -----

#four = #tamis.target<"x86_64", ["avx2", "fma"], threads = 4>
#all = affine_map<(i, j) -> (i, j)>
#column = affine_map<(i, j) -> (j)>

module attributes {tamis.target = #four} {
// 1000 rows in four tasks of 250.
// CHECK-LABEL: func.func @splits_large_work
// CHECK: scf.forall (%{{.+}}) in (4)
// CHECK: arith.minui
// CHECK: scf.for
func.func @splits_large_work(%a: memref<1000x1000xf32>, %b: memref<1000xf32>, %o: memref<1000x1000xf32>) {
  linalg.generic {indexing_maps = [#all, #column, #all], iterator_types = ["parallel", "parallel"]}
      ins(%a, %b : memref<1000x1000xf32>, memref<1000xf32>) outs(%o : memref<1000x1000xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %s = arith.addf %x, %y : f32
    linalg.yield %s : f32
  }
  return
}

// CHECK-LABEL: func.func @keeps_small_work_whole
// CHECK-NOT: scf.forall
// CHECK: return
func.func @keeps_small_work_whole(%a: memref<100x100xf32>, %o: memref<100x100xf32>) {
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%a : memref<100x100xf32>) outs(%o : memref<100x100xf32>) {
  ^bb0(%x: f32, %z: f32):
    %s = arith.negf %x : f32
    linalg.yield %s : f32
  }
  return
}
}

// -----

module attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512vbmi"]>} {
// 256 values once, then 64 lookups in two instructions and a choice.
// CHECK-LABEL: func.func @costly_function_of_a_byte
// CHECK: memref.alloca() {{.*}}memref<256xi8>
// CHECK: math.tanh
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.avx512.vpermi2var.qi.512"
func.func @costly_function_of_a_byte(%a: memref<8192xi8>, %o: memref<8192xi8>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%a : memref<8192xi8>) outs(%o : memref<8192xi8>) {
  ^bb0(%x: i8, %z: i8):
    %f = arith.sitofp %x : i8 to f32
    %t = math.tanh %f : f32
    %i = arith.fptosi %t : f32 to i8
    linalg.yield %i : i8
  }
  return
}
}

// -----

#avx512 = #tamis.target<"x86_64", ["avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq"]>
#tall = affine_map<(k, j) -> (k, j)>
#sums = affine_map<(k, j) -> (j)>

module attributes {tamis.target = #avx512} {
// A long float sum adds up sums of 128 elements each; the policy "strict" keeps
// one running sum.
// CHECK-LABEL: func.func @long_sums_go_in_blocks
func.func @long_sums_go_in_blocks(%x: memref<1000x64xf32>, %y: memref<64xf32>) {
  // CHECK: scf.for %[[BLOCK:.+]] = %{{.+}} to %c1000{{.*}} step %c128{{.*}} iter_args(
  // CHECK: arith.minui
  // CHECK: scf.for %{{.+}} = %[[BLOCK]] to
  // CHECK: arith.addf
  linalg.generic {indexing_maps = [#tall, #sums], iterator_types = ["reduction", "parallel"]}
    ins(%x : memref<1000x64xf32>) outs(%y : memref<64xf32>) {
  ^bb0(%a: f32, %s: f32):
    %r = arith.addf %s, %a : f32
    linalg.yield %r : f32
  }
  return
}
}

// -----

#avx512 = #tamis.target<"x86_64", ["avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq"]>
#tall = affine_map<(k, j) -> (k, j)>
#sums = affine_map<(k, j) -> (j)>

module attributes {tamis.target = #avx512, tamis.policy = #tamis.policy<strict = true>} {
// CHECK-LABEL: func.func @strict_sums_keep_their_order
func.func @strict_sums_keep_their_order(%x: memref<1000x64xf32>, %y: memref<64xf32>) {
  // CHECK-NOT: arith.minui
  // CHECK: return
  linalg.generic {indexing_maps = [#tall, #sums], iterator_types = ["reduction", "parallel"]}
    ins(%x : memref<1000x64xf32>) outs(%y : memref<64xf32>) {
  ^bb0(%a: f32, %s: f32):
    %r = arith.addf %s, %a : f32
    linalg.yield %r : f32
  }
  return
}
}

// -----

#avx512 = #tamis.target<"x86_64", ["avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq"]>
#rows = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>

module attributes {tamis.target = #avx512} {
// Strips run across short rows; the rest of them writes no row of its own.
// CHECK-LABEL: func.func @across_short_rows
// CHECK: %[[MASK:.*]] = arith.constant dense<[true, false,
// CHECK: vector.scatter {{.*}}, %[[MASK]], %{{.*}} : memref<34xf32
func.func @across_short_rows(%x: memref<17x2xf32>, %m: memref<17xf32>, %y: memref<17x2xf32>) {
  linalg.generic {indexing_maps = [#rows, #row, #rows], iterator_types = ["parallel", "parallel"]}
    ins(%x, %m : memref<17x2xf32>, memref<17xf32>) outs(%y : memref<17x2xf32>) {
  ^bb0(%a: f32, %s: f32, %o: f32):
    %d = arith.subf %a, %s : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  }
  return
}
}
