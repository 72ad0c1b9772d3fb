// RUN: tamis-opt %s --pass-pipeline='builtin.module(func.func(tamis-vectorize-loops))' -verify-diagnostics -o %t

func.func @refuses_maps_that_are_not_linear(%a: memref<64xf32>, %o: memref<128xf32>) {
  // expected-remark@+1 {{scalar loops: an indexing map is not linear}}
  linalg.generic {indexing_maps = [affine_map<(i) -> (i floordiv 2)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%a : memref<64xf32>) outs(%o : memref<128xf32>) {
  ^bb0(%x: f32, %z: f32):
    linalg.yield %x : f32
  }
  return
}

func.func @refuses_bodies_with_regions(%a: memref<64xf32>, %o: memref<64xf32>, %flag: i1) {
  // expected-remark@+1 {{scalar loops: the body holds operations without a vector form}}
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%a : memref<64xf32>) outs(%o : memref<64xf32>) {
  ^bb0(%x: f32, %z: f32):
    %r = scf.if %flag -> f32 {
      %n = arith.negf %x : f32
      scf.yield %n : f32
    } else {
      scf.yield %x : f32
    }
    linalg.yield %r : f32
  }
  return
}
