// RUN: tamis-opt %s --tamis-select-instructions | FileCheck %s
// RUN: tamis-opt %s --tamis-select-instructions --tamis-pack-parameters \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries allow-unknown-ops dialect-filter=arith,func,tensor,bufferization,tamis_kernel" --tamis-lower-contractions | FileCheck %s --check-prefix=CODE

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
module attributes {tamis.target = #tamis.target<"x86_64", ["amx-int8", "amx-tile", "avx512f", "avx512vnni"]>} {
  // CHECK-LABEL: func.func @fills_tiles
  // CODE-LABEL: func.func @fills_tiles
  func.func @fills_tiles(%x: tensor<33x96xi8>, %e: tensor<33x32xi32>) -> tensor<33x32xi32> {
    %w = arith.constant dense<1> : tensor<96x32xi8>
    // CHECK: by #tamis.x86_amx_int8 tile [22, 2, 0]
    // CODE: amx.tile_load {{.+}} into !amx.tile<11x48xi8>
    // CODE: amx.tile_load {{.+}} into !amx.tile<12x64xi8>
    // CODE: amx.tile_muli %{{.+}}, %{{.+}} : !amx.tile<11x48xi8>, !amx.tile<12x64xi8>, !amx.tile<11x16xi32>
    %y = tamis.contract ins(%x, %w : tensor<33x96xi8>, tensor<96x32xi8>) outs(%e : tensor<33x32xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<33x32xi32>
    return %y : tensor<33x32xi32>
  }
  // CHECK-LABEL: func.func @few_rows
  func.func @few_rows(%x: tensor<2x96xi8>, %e: tensor<2x32xi32>) -> tensor<2x32xi32> {
    %w = arith.constant dense<1> : tensor<96x32xi8>
    // CHECK: by #tamis.x86_vnni<lanes = 16>
    %y = tamis.contract ins(%x, %w : tensor<2x96xi8>, tensor<96x32xi8>) outs(%e : tensor<2x32xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<2x32xi32>
    return %y : tensor<2x32xi32>
  }
  // CHECK-LABEL: func.func @odd_reduction
  func.func @odd_reduction(%x: tensor<32x97xi8>, %e: tensor<32x32xi32>) -> tensor<32x32xi32> {
    %w = arith.constant dense<1> : tensor<97x32xi8>
    // CHECK: by #tamis.x86_vnni<lanes = 16>
    %y = tamis.contract ins(%x, %w : tensor<32x97xi8>, tensor<97x32xi8>) outs(%e : tensor<32x32xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<32x32xi32>
    return %y : tensor<32x32xi32>
  }
}
