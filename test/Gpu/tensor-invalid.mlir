// RUN: tamis-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{expected i8, f16 or bf16, got 'f32'}}
func.func private @element() attributes {a = #tamis_gpu.mma<element = f32, emulated = false>}

// -----

// expected-error @below {{expected whole warps in a tile}}
func.func private @warps() attributes {a = #tamis_gpu.tiles<channels = 48, rows = 32, words = 16, warpChannels = 32, warpRows = 16, stages = 1>}

// -----

// expected-error @below {{words expected a power of two from 4 on, got 12}}
func.func private @words() attributes {a = #tamis_gpu.tiles<channels = 32, rows = 32, words = 12, warpChannels = 32, warpRows = 16, stages = 1>}

// -----

// expected-error @below {{stages expected at least 1, got 0}}
func.func private @stages() attributes {a = #tamis_gpu.tiles<channels = 32, rows = 32, words = 16, warpChannels = 32, warpRows = 16, stages = 0>}

// -----

#maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
func.func @metadata(%x: memref<8x64xi8>, %w: memref<1x1x1x1024xi8>, %y: memref<8x32xi32>) {
  // expected-error @below {{expected metadata if and only if weights are 2:4 or listed}}
  tamis_gpu.contract ins(%x, %w : memref<8x64xi8>, memref<1x1x1x1024xi8>) outs(%y : memref<8x32xi32>)
    maps #maps bounds [8, 32, 64] accumulator i32 by #tamis_gpu.mma_sparse<emulated = true>
    tiles <channels = 32, rows = 8, words = 16, warpChannels = 32, warpRows = 8, stages = 1> {packed}
  return
}

// -----

#maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
func.func @fragments(%x: memref<8x64xi8>, %w: memref<64x32xi8>, %y: memref<8x32xi32>) {
  // expected-error @below {{expected tiles of whole fragments}}
  tamis_gpu.contract ins(%x, %w : memref<8x64xi8>, memref<64x32xi8>) outs(%y : memref<8x32xi32>)
    maps #maps bounds [8, 32, 64] accumulator i32 by #tamis_gpu.mma<element = i8, emulated = true>
    tiles <channels = 32, rows = 4, words = 16, warpChannels = 32, warpRows = 4, stages = 1>
  return
}

// -----

#maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
func.func @stored(%x: memref<8x64xi8>, %w: memref<64x32xi8>, %y: memref<8x32xf32>) {
  // expected-error @below {{stores 'i32' into elements of 'f32'}}
  tamis_gpu.contract ins(%x, %w : memref<8x64xi8>, memref<64x32xi8>) outs(%y : memref<8x32xf32>)
    maps #maps bounds [8, 32, 64] accumulator i32 by #tamis_gpu.mma<element = i8, emulated = true>
    tiles <channels = 32, rows = 8, words = 16, warpChannels = 32, warpRows = 8, stages = 1>
  return
}

// -----

// expected-error @below {{expected 4 or 8 bits, got 2}}
func.func private @bits() attributes {a = #tamis_gpu.codes<bits = 2, low = 0>}

// -----

// expected-error @below {{low expected a value of 8 bits, got 256}}
func.func private @low() attributes {a = #tamis_gpu.codes<bits = 4, low = 256>}

// -----

#maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
func.func @codes(%x: memref<8x64xf16>, %w: memref<32x64xi8>, %y: memref<8x32xf32>) {
  // expected-error @below {{expected codes of packed dense weights}}
  tamis_gpu.contract ins(%x, %w : memref<8x64xf16>, memref<32x64xi8>) outs(%y : memref<8x32xf32>)
    maps #maps bounds [8, 32, 64] accumulator f32 by #tamis_gpu.mma<element = f16, emulated = true>
    tiles <channels = 32, rows = 8, words = 16, warpChannels = 32, warpRows = 8, stages = 1> codes <bits = 4, low = 0>
  return
}

// -----

#maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
func.func @block(%x: memref<8x64xf16>, %w: memref<32x64xf16>, %y: memref<8x32xf32>) {
  // expected-error @below {{expected a region combine with a block dimension}}
  tamis_gpu.contract ins(%x, %w : memref<8x64xf16>, memref<32x64xf16>) outs(%y : memref<8x32xf32>)
    maps #maps bounds [8, 32, 64] accumulator f32 by #tamis_gpu.mma<element = f16, emulated = true>
    tiles <channels = 32, rows = 8, words = 16, warpChannels = 32, warpRows = 8, stages = 1> {block = 2}
  return
}

// -----

// expected-error @below {{splits expected at least 1, got 0}}
func.func private @splits() attributes {a = #tamis_gpu.tiles<channels = 32, rows = 32, words = 16, warpChannels = 32, warpRows = 16, stages = 1, splits = 0>}

// -----

// expected-error @below {{chunks expected at least 1, got 0}}
func.func private @chunks() attributes {a = #tamis_gpu.listed<chunks = 0>}

// -----

#maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
func.func @listed_rank(%x: memref<?x64xi8>, %w: memref<1x1x1x2048xi8>, %y: memref<?x32xi32>, %s: memref<2xi32>) {
  // expected-error @below {{packed rhs expected rank 1}}
  tamis_gpu.contract ins(%x, %w : memref<?x64xi8>, memref<1x1x1x2048xi8>) metadata(%s : memref<2xi32>) outs(%y : memref<?x32xi32>)
    maps #maps bounds [-9223372036854775808, 32, 64] accumulator i32 by #tamis_gpu.mma<element = i8, emulated = true>
    tiles <channels = 32, rows = 8, words = 16, warpChannels = 32, warpRows = 8, stages = 1> listed <chunks = 1> {packed}
  return
}

// -----

#maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
func.func @listed_in_place(%x: memref<?x64xi8>, %w: memref<64x32xi8>, %y: memref<?x32xi32>, %s: memref<2xi32>) {
  // expected-error @below {{expected listed words of packed dense weights}}
  tamis_gpu.contract ins(%x, %w : memref<?x64xi8>, memref<64x32xi8>) metadata(%s : memref<2xi32>) outs(%y : memref<?x32xi32>)
    maps #maps bounds [-9223372036854775808, 32, 64] accumulator i32 by #tamis_gpu.mma<element = i8, emulated = true>
    tiles <channels = 32, rows = 8, words = 16, warpChannels = 32, warpRows = 8, stages = 1> listed <chunks = 1>
  return
}

// -----

#maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
func.func @few(%x: memref<?x64xi8>, %w: memref<1x1x1x2048xi8>, %y: memref<?x32xi32>) {
  // expected-error @below {{tiles of few rows expected 16 words, at most 32 channels, and to be the only ones with splits}}
  tamis_gpu.contract ins(%x, %w : memref<?x64xi8>, memref<1x1x1x2048xi8>) outs(%y : memref<?x32xi32>)
    maps #maps bounds [-9223372036854775808, 32, 64] accumulator i32 by #tamis_gpu.mma<element = i8, emulated = true>
    tiles <channels = 32, rows = 32, words = 16, warpChannels = 32, warpRows = 16, stages = 1> few <channels = 64, rows = 8, words = 16, warpChannels = 32, warpRows = 8, stages = 1> {packed}
  return
}

// -----

#maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
func.func @parts(%x: memref<?x64xi8>, %w: memref<1x1x1x2048xi8>, %y: memref<?x32xi32>) {
  // expected-error @below {{expected parts if and only if tiles have splits}}
  tamis_gpu.contract ins(%x, %w : memref<?x64xi8>, memref<1x1x1x2048xi8>) outs(%y : memref<?x32xi32>)
    maps #maps bounds [-9223372036854775808, 32, 64] accumulator i32 by #tamis_gpu.mma<element = i8, emulated = true>
    tiles <channels = 32, rows = 32, words = 16, warpChannels = 32, warpRows = 16, stages = 1, splits = 2> {packed}
  return
}

// -----

#maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
func.func @parts_shape(%x: memref<?x64xi8>, %w: memref<1x1x1x2048xi8>, %y: memref<?x32xi32>, %p: memref<4x1x8x32xi32>) {
  // expected-error @below {{parts expected 2 x groups x rows x channels of 'i32'}}
  tamis_gpu.contract ins(%x, %w : memref<?x64xi8>, memref<1x1x1x2048xi8>) parts(%p : memref<4x1x8x32xi32>) outs(%y : memref<?x32xi32>)
    maps #maps bounds [-9223372036854775808, 32, 64] accumulator i32 by #tamis_gpu.mma<element = i8, emulated = true>
    tiles <channels = 32, rows = 32, words = 16, warpChannels = 32, warpRows = 16, stages = 1> few <channels = 32, rows = 8, words = 16, warpChannels = 32, warpRows = 8, stages = 1, splits = 2> {packed}
  return
}
