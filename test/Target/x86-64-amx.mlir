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

  // With each multiplication of a block two rows of the one before it have their
  // epilogue, before the sums of the block take their place. The last block's
  // follows behind.
  // CODE-LABEL: func.func @waits
  // CODE-DAG: %[[SUMS:.+]] = memref.alloca() {alignment = 64 : i64} : memref<1024xi32>
  // CODE-DAG: %[[WAITING:.+]] = memref.alloca() : memref<4xindex>
  // CODE: scf.for {{.+}} -> (!amx.tile<16x16xi32>, !amx.tile<16x16xi32>, !amx.tile<16x16xi32>, !amx.tile<16x16xi32>) {
  // CODE-COUNT-4: amx.tile_muli
  // CODE: %[[NEXT:.+]] = memref.load %[[WAITING]]
  // CODE: %[[WAITS:.+]] = arith.cmpi ult, %[[NEXT]], %{{.+}} : index
  // CODE: scf.if %[[WAITS]] {
  // CODE-COUNT-4: vector.load %[[SUMS]]
  // CODE-NOT: vector.load
  // CODE-COUNT-4: arith.muli {{.+}} : vector<16xi32>
  // CODE: memref.store %{{.+}}, %[[WAITING]]
  // CODE: scf.yield {{.+}} : !amx.tile<16x16xi32>
  // CODE-NOT: arith.muli {{.+}} : vector<16xi32>
  // CODE-COUNT-4: amx.tile_store %[[SUMS]]
  // CODE: scf.if
  // CODE: scf.for
  // CODE-COUNT-2: arith.muli {{.+}} : vector<16xi32>
  // CODE: return
  func.func @waits(%x: tensor<96x1024xi8>, %e: tensor<96x32xi32>) -> tensor<96x32xi32> {
    %w = arith.constant dense<1> : tensor<1024x32xi8>
    %y = tamis.contract ins(%x, %w : tensor<96x1024xi8>, tensor<1024x32xi8>) outs(%e : tensor<96x32xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32
           epilogue {
           ^bb0(%sum: i32):
             %square = arith.muli %sum, %sum : i32
             tamis.yield %square : i32
           } -> tensor<96x32xi32>
    return %y : tensor<96x32xi32>
  }
  // The rows pass through L1, the panel of weights stays.
  // CODE-LABEL: func.func @streams_rows
  // CODE: scf.for {{.+}} -> (!amx.tile<16x16xi32>
  // CODE: %[[ROWS:.+]] = llvm.call_intrinsic "llvm.x86.tileloaddt164.internal"
  // CODE: %[[TILE:.+]] = builtin.unrealized_conversion_cast %[[ROWS]] : !llvm.x86_amx to !amx.tile<16x64xi8>
  // CODE: %[[WEIGHTS:.+]] = amx.tile_load {{.+}} into !amx.tile<16x64xi8>
  // CODE: amx.tile_muli %[[TILE]], %[[WEIGHTS]]
  func.func @streams_rows(%x: tensor<96x1024xi8>, %e: tensor<96x32xi32>) -> tensor<96x32xi32> {
    %w = arith.constant dense<1> : tensor<1024x32xi8>
    %y = tamis.contract ins(%x, %w : tensor<96x1024xi8>, tensor<1024x32xi8>) outs(%e : tensor<96x32xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<96x32xi32>
    return %y : tensor<96x32xi32>
  }
  // One block of rows: they are read again for each panel.
  // CODE-LABEL: func.func @streams_weights
  // CODE: scf.for {{.+}} -> (!amx.tile<16x16xi32>
  // CODE: %[[TILE:.+]] = amx.tile_load {{.+}} into !amx.tile<16x64xi8>
  // CODE: %[[WEIGHTS:.+]] = llvm.call_intrinsic "llvm.x86.tileloaddt164.internal"
  // CODE: %[[PANEL:.+]] = builtin.unrealized_conversion_cast %[[WEIGHTS]] : !llvm.x86_amx to !amx.tile<16x64xi8>
  // CODE: amx.tile_muli %[[TILE]], %[[PANEL]]
  func.func @streams_weights(%x: tensor<32x1024xi8>, %e: tensor<32x64xi32>) -> tensor<32x64xi32> {
    %w = arith.constant dense<1> : tensor<1024x64xi8>
    %y = tamis.contract ins(%x, %w : tensor<32x1024xi8>, tensor<1024x64xi8>) outs(%e : tensor<32x64xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<32x64xi32>
    return %y : tensor<32x64xi32>
  }
  // Both stay.
  // CODE-LABEL: func.func @streams_nothing
  // CODE-NOT: tileloaddt1
  // CODE: return
  func.func @streams_nothing(%x: tensor<96x256xi8>, %e: tensor<96x32xi32>) -> tensor<96x32xi32> {
    %w = arith.constant dense<1> : tensor<256x32xi8>
    %y = tamis.contract ins(%x, %w : tensor<96x256xi8>, tensor<256x32xi8>) outs(%e : tensor<96x32xi32>)
           maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator i32 -> tensor<96x32xi32>
    return %y : tensor<96x32xi32>
  }
}
