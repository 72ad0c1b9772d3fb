// NVIDIA's assembler takes kernels whose lanes share rows: open rows
// whose exponentials are made, and a sum of everything.
// REQUIRES: ptxas
// RUN: rm -rf %t && mkdir %t
// RUN: tamis-compile %s --target nvptx:sm_80 --dump-stages %t -o %t/model.so
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: test -s %t/kernels.cubin

// CHECK: .target sm_80
// CHECK: .entry {{.+}}_kernel(
// CHECK: .shared .align {{.*}}[512]
// CHECK: bar.sync 0
// CHECK: st.global.b32
// CHECK: .entry {{.+}}_kernel(
// CHECK: bar.sync 0
func.func @main(%x: tensor<?x1000xf32> {tamis.dims = ["n", "1000"], tamis.name = "x"})
    -> (tensor<?x1000xf32> {tamis.dims = ["n", "1000"], tamis.name = "y"}, tensor<f32> {tamis.name = "s"}) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %n = tensor.dim %x, %c0 : tensor<?x1000xf32>
  %empty = tensor.empty(%n) : tensor<?x1000xf32>
  %low = arith.constant 0xFF800000 : f32
  %none = tensor.empty(%n) : tensor<?xf32>
  %lowest = linalg.fill ins(%low : f32) outs(%none : tensor<?xf32>) -> tensor<?xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x1000xf32>) outs(%lowest : tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.maximumf %b, %a : f32
    linalg.yield %r : f32
  } -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%x, %m : tensor<?x1000xf32>, tensor<?xf32>) outs(%empty : tensor<?x1000xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %d = arith.subf %a, %b : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<?x1000xf32>
  %one = tensor.empty() : tensor<f32>
  %start = linalg.fill ins(%zero : f32) outs(%one : tensor<f32>) -> tensor<f32>
  %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> ()>], iterator_types = ["reduction", "reduction"]}
      ins(%x : tensor<?x1000xf32>) outs(%start : tensor<f32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.addf %b, %a : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %y, %s : tensor<?x1000xf32>, tensor<f32>
}
