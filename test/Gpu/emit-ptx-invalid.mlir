// RUN: not tamis-compile %s --target x86-64-v3 --emit ptx -o %t 2>&1 | FileCheck %s
// RUN: not test -e %t
// CHECK: error: {{.*}}emit 'ptx': expected a target nvptx:... and a kernel that runs there
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
