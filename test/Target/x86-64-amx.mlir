// RUN: tamis-opt %s --tamis-select-instructions | FileCheck %s
// RUN: tamis-opt %s --tamis-select-instructions --tamis-pack-parameters \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries allow-unknown-ops dialect-filter=arith,func,tensor,bufferization,tamis_kernel" --tamis-lower-contractions | FileCheck %s --check-prefix=CODE

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
#by_rows = affine_map<(m, n, b, k) -> (m, b, k)>
#by_columns = affine_map<(m, n, b, k) -> (n, b, k)>
#by_blocks = affine_map<(m, n, b, k) -> (b, m, n)>
#add = affine_map<(m, n, b) -> (b, m, n)>
#scale = affine_map<(m, n, b) -> (n, b)>
#res = affine_map<(m, n, b) -> (m, n)>
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

  // Weights of 4 bits become bytes once for all rows. The sums of a block of 32
  // wait while the next one is multiplied; rows of their totals are beside it.
  // CHECK-LABEL: func.func @unpacks_nibbles
  // CHECK: by #tamis.x86_amx_int8<nibbles = true> tile [32, 2, 0]
  // CHECK-SAME: nibbles, packed
  // CODE-LABEL: func.func @unpacks_nibbles
  // CODE: %[[PANEL:.+]] = memref.alloca() {alignment = 64 : i64} : memref<4096xi8>
  // CODE: %[[SUMS:.+]] = memref.alloca() {alignment = 64 : i64} : memref<1024xi32>
  // CODE: %[[TOTALS:.+]] = memref.alloca() {alignment = 64 : i64} : memref<1024xf32>
  // CODE: scf.for
  // CODE-COUNT-2: vector.store %{{.+}}, %[[PANEL]]{{.+}} vector<64xi8>
  // CODE: amx.tile_load %[[PANEL]]{{.+}} into !amx.tile<8x64xi8>
  // CODE-COUNT-4: amx.tile_store %[[SUMS]]
  // CODE: scf.for
  // CODE-COUNT-4: amx.tile_muli {{.+}} : !amx.tile<16x32xi8>, !amx.tile<8x64xi8>, !amx.tile<16x16xi32>
  // CODE: scf.for %{{.+}} = %c0{{.*}} to %c32{{.*}} step %c4
  // CODE: vector.load %[[SUMS]]
  // CODE: vector.load %[[TOTALS]]
  // CODE-COUNT-8: vector.store %{{.+}}, %[[TOTALS]]
  // CODE-COUNT-4: amx.tile_store %[[SUMS]]
  // CODE: scf.for
  // CODE: vector.store
  // CODE-NOT: vpdpbusd
  // CODE: return
  func.func @unpacks_nibbles(%x: tensor<32x4x32xi8>) -> tensor<32x32xf32> {
    %w = arith.constant dense<15> : tensor<32x4x32xi8>
    %s = arith.constant dense<0.25> : tensor<32x4xf32>
    %e = tensor.empty() : tensor<4x32x32xi32>
    %sums = tamis.contract ins(%x, %w : tensor<32x4x32xi8>, tensor<32x4x32xi8>) outs(%e : tensor<4x32x32xi32>)
      maps [#by_rows, #by_columns, #by_blocks] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator i32 {rhs_unsigned} -> tensor<4x32x32xi32>
    %zero = arith.constant 0.0 : f32
    %f = tensor.empty() : tensor<32x32xf32>
    %init = linalg.fill ins(%zero : f32) outs(%f : tensor<32x32xf32>) -> tensor<32x32xf32>
    %y = linalg.generic {indexing_maps = [#add, #scale, #res], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums, %s : tensor<4x32x32xi32>, tensor<32x4xf32>) outs(%init : tensor<32x32xf32>) {
    ^bb0(%sum: i32, %scale: f32, %total: f32):
      %g = arith.sitofp %sum : i32 to f32
      %p = arith.mulf %g, %scale : f32
      %t = arith.addf %total, %p : f32
      linalg.yield %t : f32
    } -> tensor<32x32xf32>
    return %y : tensor<32x32xf32>
  }
  // CHECK-LABEL: func.func @unsigned_rows
  // CHECK: by #tamis.x86_amx_int8 tile [32, 2, 0]
  // CHECK-SAME: nibbles, packed
  func.func @unsigned_rows(%x: tensor<32x4x32xi8>) -> tensor<32x32xf32> {
    %w = arith.constant dense<15> : tensor<32x4x32xi8>
    %s = arith.constant dense<0.25> : tensor<32x4xf32>
    %e = tensor.empty() : tensor<4x32x32xi32>
    %sums = tamis.contract ins(%x, %w : tensor<32x4x32xi8>, tensor<32x4x32xi8>) outs(%e : tensor<4x32x32xi32>)
      maps [#by_rows, #by_columns, #by_blocks] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator i32 {lhs_unsigned, rhs_unsigned} -> tensor<4x32x32xi32>
    %zero = arith.constant 0.0 : f32
    %f = tensor.empty() : tensor<32x32xf32>
    %init = linalg.fill ins(%zero : f32) outs(%f : tensor<32x32xf32>) -> tensor<32x32xf32>
    %y = linalg.generic {indexing_maps = [#add, #scale, #res], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums, %s : tensor<4x32x32xi32>, tensor<32x4xf32>) outs(%init : tensor<32x32xf32>) {
    ^bb0(%sum: i32, %scale: f32, %total: f32):
      %g = arith.sitofp %sum : i32 to f32
      %p = arith.mulf %g, %scale : f32
      %t = arith.addf %total, %p : f32
      linalg.yield %t : f32
    } -> tensor<32x32xf32>
    return %y : tensor<32x32xf32>
  }
  // Unpacking is for many rows, and blocks that are too short leave tiles empty.
  // CHECK-LABEL: func.func @few_rows_of_nibbles
  // CHECK: by #tamis.x86_vnni<lanes = 16, swapped = true>
  func.func @few_rows_of_nibbles(%x: tensor<4x4x32xi8>) -> tensor<4x32xf32> {
    %w = arith.constant dense<15> : tensor<32x4x32xi8>
    %s = arith.constant dense<0.25> : tensor<32x4xf32>
    %e = tensor.empty() : tensor<4x4x32xi32>
    %sums = tamis.contract ins(%x, %w : tensor<4x4x32xi8>, tensor<32x4x32xi8>) outs(%e : tensor<4x4x32xi32>)
      maps [#by_rows, #by_columns, #by_blocks] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator i32 {rhs_unsigned} -> tensor<4x4x32xi32>
    %zero = arith.constant 0.0 : f32
    %f = tensor.empty() : tensor<4x32xf32>
    %init = linalg.fill ins(%zero : f32) outs(%f : tensor<4x32xf32>) -> tensor<4x32xf32>
    %y = linalg.generic {indexing_maps = [#add, #scale, #res], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums, %s : tensor<4x4x32xi32>, tensor<32x4xf32>) outs(%init : tensor<4x32xf32>) {
    ^bb0(%sum: i32, %scale: f32, %total: f32):
      %g = arith.sitofp %sum : i32 to f32
      %p = arith.mulf %g, %scale : f32
      %t = arith.addf %total, %p : f32
      linalg.yield %t : f32
    } -> tensor<4x32xf32>
    return %y : tensor<4x32xf32>
  }
  // CHECK-LABEL: func.func @short_blocks
  // CHECK: by #tamis.x86_vnni<lanes = 16, swapped = true>
  func.func @short_blocks(%x: tensor<32x4x16xi8>) -> tensor<32x32xf32> {
    %w = arith.constant dense<15> : tensor<32x4x16xi8>
    %s = arith.constant dense<0.25> : tensor<32x4xf32>
    %e = tensor.empty() : tensor<4x32x32xi32>
    %sums = tamis.contract ins(%x, %w : tensor<32x4x16xi8>, tensor<32x4x16xi8>) outs(%e : tensor<4x32x32xi32>)
      maps [#by_rows, #by_columns, #by_blocks] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator i32 {rhs_unsigned} -> tensor<4x32x32xi32>
    %zero = arith.constant 0.0 : f32
    %f = tensor.empty() : tensor<32x32xf32>
    %init = linalg.fill ins(%zero : f32) outs(%f : tensor<32x32xf32>) -> tensor<32x32xf32>
    %y = linalg.generic {indexing_maps = [#add, #scale, #res], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums, %s : tensor<4x32x32xi32>, tensor<32x4xf32>) outs(%init : tensor<32x32xf32>) {
    ^bb0(%sum: i32, %scale: f32, %total: f32):
      %g = arith.sitofp %sum : i32 to f32
      %p = arith.mulf %g, %scale : f32
      %t = arith.addf %total, %p : f32
      linalg.yield %t : f32
    } -> tensor<32x32xf32>
    return %y : tensor<32x32xf32>
  }
  // Two vectors of 8704 bytes a column would be more than the stack may hold.
  // CHECK-LABEL: func.func @long_sums
  // CHECK: by #tamis.x86_amx_int8<nibbles = true> tile [32, 1, 0]
  func.func @long_sums(%x: tensor<32x68x128xi8>) -> tensor<32x32xf32> {
    %w = arith.constant dense<15> : tensor<32x68x128xi8>
    %s = arith.constant dense<0.25> : tensor<32x68xf32>
    %e = tensor.empty() : tensor<68x32x32xi32>
    %sums = tamis.contract ins(%x, %w : tensor<32x68x128xi8>, tensor<32x68x128xi8>) outs(%e : tensor<68x32x32xi32>)
      maps [#by_rows, #by_columns, #by_blocks] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator i32 {rhs_unsigned} -> tensor<68x32x32xi32>
    %zero = arith.constant 0.0 : f32
    %f = tensor.empty() : tensor<32x32xf32>
    %init = linalg.fill ins(%zero : f32) outs(%f : tensor<32x32xf32>) -> tensor<32x32xf32>
    %y = linalg.generic {indexing_maps = [#add, #scale, #res], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums, %s : tensor<68x32x32xi32>, tensor<32x68xf32>) outs(%init : tensor<32x32xf32>) {
    ^bb0(%sum: i32, %scale: f32, %total: f32):
      %g = arith.sitofp %sum : i32 to f32
      %p = arith.mulf %g, %scale : f32
      %t = arith.addf %total, %p : f32
      linalg.yield %t : f32
    } -> tensor<32x32xf32>
    return %y : tensor<32x32xf32>
  }
  // Where only run time knows, few rows have a kernel of their own.
  // CHECK-LABEL: func.func @open_rows_of_nibbles
  // CHECK: by #tamis.x86_amx_int8<nibbles = true> tile [32, 2, 2720]
  // CODE-LABEL: func.func @open_rows_of_nibbles
  // CODE: %[[FEW:.+]] = arith.cmpi ult, %{{.+}}, %c16{{.*}}
  // CODE: scf.if %[[FEW]] {
  // CODE-NOT: amx.
  // CODE: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
  // CODE-NOT: amx.
  // CODE: } else {
  // CODE: amx.tile_muli
  func.func @open_rows_of_nibbles(%x: tensor<?x4x32xi8>) -> tensor<?x32xf32> {
    %c0 = arith.constant 0 : index
    %r = tensor.dim %x, %c0 : tensor<?x4x32xi8>
    %w = arith.constant dense<15> : tensor<32x4x32xi8>
    %s = arith.constant dense<0.25> : tensor<32x4xf32>
    %e = tensor.empty(%r) : tensor<4x?x32xi32>
    %sums = tamis.contract ins(%x, %w : tensor<?x4x32xi8>, tensor<32x4x32xi8>) outs(%e : tensor<4x?x32xi32>)
      maps [#by_rows, #by_columns, #by_blocks] iterators ["parallel", "parallel", "parallel", "reduction"] pad [0, 0, 0] accumulator i32 {rhs_unsigned} -> tensor<4x?x32xi32>
    %zero = arith.constant 0.0 : f32
    %f = tensor.empty(%r) : tensor<?x32xf32>
    %init = linalg.fill ins(%zero : f32) outs(%f : tensor<?x32xf32>) -> tensor<?x32xf32>
    %y = linalg.generic {indexing_maps = [#add, #scale, #res], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%sums, %s : tensor<4x?x32xi32>, tensor<32x4xf32>) outs(%init : tensor<?x32xf32>) {
    ^bb0(%sum: i32, %scale: f32, %total: f32):
      %g = arith.sitofp %sum : i32 to f32
      %p = arith.mulf %g, %scale : f32
      %t = arith.addf %total, %p : f32
      linalg.yield %t : f32
    } -> tensor<?x32xf32>
    return %y : tensor<?x32xf32>
  }
}
