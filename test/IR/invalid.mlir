// RUN: tamis-opt %s -split-input-file -verify-diagnostics

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @contract_missing_map(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // expected-error@+1 {{expected 3 indexing maps, got 2}}
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%e : tensor<4x16xf32>)
    maps [#lhs, #rhs] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x16xf32>
  return %c : tensor<4x16xf32>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @contract_unknown_iterator(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // expected-error@+1 {{iterator expected parallel or reduction, got window}}
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%e : tensor<4x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "window"] pad [0, 0] accumulator f32 -> tensor<4x16xf32>
  return %c : tensor<4x16xf32>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k, n)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @contract_rank(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // expected-error@+1 {{lhs map has 3 results, expected the rank 2}}
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%e : tensor<4x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x16xf32>
  return %c : tensor<4x16xf32>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @contract_pad_count(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // expected-error@+1 {{expected one pad value per lhs dimension, got 1 for rank 2}}
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%e : tensor<4x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0] accumulator f32 -> tensor<4x16xf32>
  return %c : tensor<4x16xf32>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, k)>
func.func @contract_reduction_in_result(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %e: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error@+1 {{init is indexed by a reduction dimension}}
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%e : tensor<4x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x8xf32>
  return %c : tensor<4x8xf32>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @contract_stored_type(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %e: tensor<4x16xf16>) -> tensor<4x16xf16> {
  // expected-error@+1 {{stores 'f32' into elements of 'f16'}}
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%e : tensor<4x16xf16>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x16xf16>
  return %c : tensor<4x16xf16>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @contract_float_zero(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %z = arith.constant 1 : i32
  // expected-error@+1 {{zero points belong to integer operands}}
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) lhs_zero(%z : i32) outs(%e : tensor<4x16xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x16xf32>
  return %c : tensor<4x16xf32>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @contract_extra_without_epilogue(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %x: tensor<4x16xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // expected-error@+1 {{extra operands need an epilogue that reads them}}
  %c = tamis.contract ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) extras(%x : tensor<4x16xf32>) outs(%e : tensor<4x16xf32>)
    maps [#lhs, #rhs, #out, #out] iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 -> tensor<4x16xf32>
  return %c : tensor<4x16xf32>
}

// -----

func.func @quantize_needs_axis(%x: tensor<4x8xf32>, %s: tensor<4xf32>) -> tensor<4x8xi8> {
  // expected-error@+1 {{a scale of rank 1 needs an axis}}
  %q = tamis.quantize %x, %s : tensor<4x8xf32>, tensor<4xf32> -> tensor<4x8xi8>
  return %q : tensor<4x8xi8>
}

// -----

func.func @quantize_axis_range(%x: tensor<4x8xf32>, %s: tensor<4xf32>) -> tensor<4x8xi8> {
  // expected-error@+1 {{axis 2 is outside the input's rank 2}}
  %q = tamis.quantize %x, %s {axis = 2 : i64} : tensor<4x8xf32>, tensor<4xf32> -> tensor<4x8xi8>
  return %q : tensor<4x8xi8>
}

// -----

func.func @quantize_scale_count(%x: tensor<4x8xf32>, %s: tensor<4xf32>) -> tensor<4x8xi8> {
  // expected-error@+1 {{expected 8 scales along axis 1, got 4}}
  %q = tamis.quantize %x, %s {axis = 1 : i64} : tensor<4x8xf32>, tensor<4xf32> -> tensor<4x8xi8>
  return %q : tensor<4x8xi8>
}

// -----

func.func @dequantize_float_input(%x: tensor<4x8xf32>, %s: tensor<f32>) -> tensor<4x8xf32> {
  // expected-error@+1 {{expected integer input and float result}}
  %q = tamis.dequantize %x, %s : tensor<4x8xf32>, tensor<f32> -> tensor<4x8xf32>
  return %q : tensor<4x8xf32>
}

// -----

func.func @dequantize_zero_shape(%x: tensor<4x8xi8>, %s: tensor<f32>, %z: tensor<1xi8>) -> tensor<4x8xf32> {
  // expected-error@+1 {{scale and zero point differ in shape}}
  %q = tamis.dequantize %x, %s, %z : tensor<4x8xi8>, tensor<f32>, tensor<1xi8> -> tensor<4x8xf32>
  return %q : tensor<4x8xf32>
}

// -----

func.func @dequantize_offset_type(%x: tensor<4x8xi8>, %s: tensor<f32>, %o: tensor<1xf32>) -> tensor<4x8xf32> {
  // expected-error@+1 {{offset expected the scale's type 'tensor<f32>', got 'tensor<1xf32>'}}
  %q = tamis.dequantize %x, %s offset(%o : tensor<1xf32>) : tensor<4x8xi8>, tensor<f32> -> tensor<4x8xf32>
  return %q : tensor<4x8xf32>
}

// -----

func.func @dequantize_block(%x: tensor<4x8xi8>, %s: tensor<4x2xf32>) -> tensor<4x8xf32> {
  // expected-error@+1 {{expected a positive block size, got 0}}
  %q = tamis.dequantize %x, %s {axis = 1 : i64, block_size = 0 : i64} : tensor<4x8xi8>, tensor<4x2xf32> -> tensor<4x8xf32>
  return %q : tensor<4x8xf32>
}

// -----

func.func @decode_without_codebook(%q: tensor<4x8xi8>) -> tensor<4x8xf32> {
  // expected-error@+1 {{expected a codebook for codes of 'i8'}}
  %x = tamis.decode %q : tensor<4x8xi8> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// -----

func.func @decode_wide_codes(%q: tensor<4x8xi16>, %c: tensor<16xf32>) -> tensor<4x8xf32> {
  // expected-error@+1 {{expected i8 codes of a codebook, got 'i16'}}
  %x = tamis.decode %q codebook(%c : tensor<16xf32>) : tensor<4x8xi16> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// -----

func.func @decode_large_codebook(%q: tensor<4x8xi8>, %c: tensor<257xf32>) -> tensor<4x8xf32> {
  // expected-error@+1 {{expected a codebook of 1 to 256 values, got 257}}
  %x = tamis.decode %q codebook(%c : tensor<257xf32>) : tensor<4x8xi8> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// -----

func.func @decode_open_codebook(%q: tensor<4x8xi8>, %c: tensor<?xf32>) -> tensor<4x8xf32> {
  // expected-error@+1 {{expected a codebook of 1 to 256 values, got an open number}}
  %x = tamis.decode %q codebook(%c : tensor<?xf32>) : tensor<4x8xi8> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// -----

func.func @decode_shape(%q: tensor<4x8xf16>) -> tensor<8x4xf32> {
  // expected-error@+1 {{expected a float result of the input's shape}}
  %x = tamis.decode %q : tensor<4x8xf16> -> tensor<8x4xf32>
  return %x : tensor<8x4xf32>
}

// -----

func.func @decode_axis_without_scale(%q: tensor<4x8xf16>) -> tensor<4x8xf32> {
  // expected-error@+1 {{expected a scale for axis and block size}}
  %x = tamis.decode %q {axis = 0 : i64} : tensor<4x8xf16> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// -----

func.func @decode_scales(%q: tensor<4x8xi8>, %c: tensor<16xf32>, %s: tensor<8xf32>) -> tensor<4x8xf32> {
  // expected-error@+1 {{expected 4 scales along axis 0, got 8}}
  %x = tamis.decode %q codebook(%c : tensor<16xf32>) scale(%s : tensor<8xf32>) {axis = 0 : i64} : tensor<4x8xi8> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// -----

func.func @observe_integers(%x: tensor<4xi8>) -> tensor<4xi8> {
  // expected-error@+1 {{expected floats, got 'i8'}}
  %y = tamis.observe %x tensor "x" : tensor<4xi8>
  return %y : tensor<4xi8>
}

// -----

func.func @observe_axis(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{axis 2 is outside the rank 1}}
  %y = tamis.observe %x tensor "x" {scheme = #tamis.scheme<bits = 8, axis = 2>} : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @fake_quant_empty_range(%x: tensor<4xf32>, %s: tensor<f32>) -> tensor<4xf32> {
  // expected-error@+1 {{expected a range, got [7, 7]}}
  %y = tamis.fake_quant %x, %s, %s range[7, 7] : tensor<4xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<4xf32>
}

// -----

func.func @stream_column(%w: tensor<8x4xf32>) {
  // expected-error@+1 {{column expected a dimension of rank 2, got 2}}
  %v, %s = tamis_kernel.pack_stream %w column 2 reductions [0] step 1 <entries = 9, positions = 32, pitch = 32>
    : tensor<8x4xf32> -> tensor<9x2xf32>, tensor<9xi32>
  return
}

// -----

func.func @stream_values(%w: tensor<8x4xf32>) {
  // expected-error@+1 {{values expected 9x2}}
  %v, %s = tamis_kernel.pack_stream %w column 1 reductions [0] step 1 <entries = 9, positions = 32, pitch = 32>
    : tensor<8x4xf32> -> tensor<9x1xf32>, tensor<9xi32>
  return
}

// -----

func.func @stream_starts(%w: tensor<8x4xf32>) {
  // expected-error@+1 {{starts expected 9 elements}}
  %v, %s = tamis_kernel.pack_stream %w column 1 reductions [0] step 1 <entries = 9, positions = 32, pitch = 32>
    : tensor<8x4xf32> -> tensor<9x2xf32>, tensor<5xi32>
  return
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @storage_without_stream(%x: tensor<8x8xf32>, %v: tensor<9x2xf32>, %e: tensor<8x8xf32>) -> tensor<8x8xf32> {
  // expected-error@+1 {{expected 1 arrays beside the weights, got 0}}
  %y = tamis_kernel.contract ins(%x, %v : tensor<8x8xf32>, tensor<9x2xf32>) outs(%e : tensor<8x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [8, 8, 8] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [8, 1, 0] {storage = #tamis.row_stream<entries = 9, positions = 8, pitch = 8>} -> tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @storage_of_panels(%x: tensor<8x8xf32>, %v: tensor<1x1x8x8xf32>, %o: tensor<9xi32>, %e: tensor<8x8xf32>) -> tensor<8x8xf32> {
  // expected-error@+1 {{expected no packed panels with this storage}}
  %y = tamis_kernel.contract ins(%x, %v : tensor<8x8xf32>, tensor<1x1x8x8xf32>) stream(%o : tensor<9xi32>) outs(%e : tensor<8x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [8, 8, 8] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [8, 1, 0] {storage = #tamis.row_stream<entries = 9, positions = 8, pitch = 8>, packed} -> tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @bitmask_of_strides(%x: tensor<1x8xf32>, %v: tensor<17xf32>, %m: tensor<8xi8>, %s: tensor<2xi32>, %e: tensor<1x8xf32>) -> tensor<1x8xf32> {
  // expected-error@+1 {{expected packed panels with this storage}}
  %y = tamis_kernel.contract ins(%x, %v : tensor<1x8xf32>, tensor<17xf32>) stream(%m, %s : tensor<8xi8>, tensor<2xi32>) outs(%e : tensor<1x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [1, 8, 8] accumulator f32
    by #tamis.vector_fma<lanes = 8, fused = true> tile [1, 1, 0] {storage = #tamis.bitmask<entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>} -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @bitmask_of_tiles(%x: tensor<16x64xi8>, %v: tensor<73xi8>, %m: tensor<16xi64>, %s: tensor<2xi32>, %e: tensor<16x16xi32>) -> tensor<16x16xi32> {
  // expected-error@+1 {{expected no tiles with a bitmask}}
  %y = tamis_kernel.contract ins(%x, %v : tensor<16x64xi8>, tensor<73xi8>) stream(%m, %s : tensor<16xi64>, tensor<2xi32>) outs(%e : tensor<16x16xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [16, 16, 64] accumulator i32
    by #tamis.x86_amx_int8 tile [16, 1, 0] {packed, storage = #tamis.bitmask<entries = 9, unit = 1, expansion = #tamis.x86_expand<bytes = 1>>} -> tensor<16x16xi32>
  return %y : tensor<16x16xi32>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @words_of_tiles(%x: tensor<16x64xi8>, %v: tensor<9x8xi8>, %s: tensor<33xi32>, %e: tensor<16x16xi32>) -> tensor<16x16xi32> {
  // expected-error@+1 {{expected entries of a row stream to lie together for tiles, and only for them}}
  %y = tamis_kernel.contract ins(%x, %v : tensor<16x64xi8>, tensor<9x8xi8>) stream(%s : tensor<33xi32>) outs(%e : tensor<16x16xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [16, 16, 64] accumulator i32
    by #tamis.x86_amx_int8 tile [16, 1, 0] {storage = #tamis.row_stream<entries = 9, positions = 16, pitch = 16>} -> tensor<16x16xi32>
  return %y : tensor<16x16xi32>
}

// -----

func.func @list_panels(%w: tensor<8x8xf32>) {
  // expected-error@+1 {{expected packed panels of a static shape}}
  %v, %p, %s = tamis_kernel.list_blocks %w <entries = 1, steps = 8, run = 8> : tensor<8x8xf32> -> tensor<1x8x8xf32>, tensor<1xi32>, tensor<2xi32>
  return
}

// -----

func.func @list_runs(%w: tensor<1x1x12x8xf32>) {
  // expected-error@+1 {{expected panels of whole runs of 8 steps, got 12}}
  %v, %p, %s = tamis_kernel.list_blocks %w <entries = 1, steps = 8, run = 8> : tensor<1x1x12x8xf32> -> tensor<1x8x8xf32>, tensor<1xi32>, tensor<2xi32>
  return
}

// -----

func.func @list_values(%w: tensor<1x1x8x8xf32>) {
  // expected-error@+1 {{values expected 'tensor<1x8x8xf32>', got 'tensor<2x8x8xf32>'}}
  %v, %p, %s = tamis_kernel.list_blocks %w <entries = 1, steps = 8, run = 8> : tensor<1x1x8x8xf32> -> tensor<2x8x8xf32>, tensor<1xi32>, tensor<2xi32>
  return
}

// -----

func.func @list_places(%w: tensor<1x1x8x8xf32>) {
  // expected-error@+1 {{places expected 'tensor<1xi32>', got 'tensor<2xi32>'}}
  %v, %p, %s = tamis_kernel.list_blocks %w <entries = 1, steps = 8, run = 8> : tensor<1x1x8x8xf32> -> tensor<1x8x8xf32>, tensor<2xi32>, tensor<2xi32>
  return
}

// -----

func.func @list_starts(%w: tensor<1x1x8x8xf32>) {
  // expected-error@+1 {{starts expected 'tensor<2xi32>', got 'tensor<1xi32>'}}
  %v, %p, %s = tamis_kernel.list_blocks %w <entries = 1, steps = 8, run = 8> : tensor<1x1x8x8xf32> -> tensor<1x8x8xf32>, tensor<1xi32>, tensor<1xi32>
  return
}

// -----

func.func @compress_panels(%w: tensor<8x8xf32>) {
  // expected-error@+1 {{expected packed panels of a static shape}}
  %v, %m, %s = tamis_kernel.compress %w <entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<8x8xf32> -> tensor<17xf32>, tensor<8xi8>, tensor<2xi32>
  return
}

// -----

func.func @compress_units(%w: tensor<1x1x8x8xf32>) {
  // expected-error@+1 {{expected units of 4 bytes, got 2 x 'f32'}}
  %v, %m, %s = tamis_kernel.compress %w <entries = 9, unit = 2, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<1x1x8x8xf32> -> tensor<26xf32>, tensor<8xi8>, tensor<2xi32>
  return
}

// -----

func.func @compress_vectors(%w: tensor<1x1x8x12xf32>) {
  // expected-error@+1 {{expected panels of whole vectors of 8 elements, got 12}}
  %v, %m, %s = tamis_kernel.compress %w <entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<1x1x8x12xf32> -> tensor<17xf32>, tensor<12xi8>, tensor<2xi32>
  return
}

// -----

func.func @compress_values(%w: tensor<1x1x8x8xf32>) {
  // expected-error@+1 {{values expected 'tensor<17xf32>', got 'tensor<9xf32>'}}
  %v, %m, %s = tamis_kernel.compress %w <entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<1x1x8x8xf32> -> tensor<9xf32>, tensor<8xi8>, tensor<2xi32>
  return
}

// -----

func.func @compress_masks(%w: tensor<1x1x8x8xf32>) {
  // expected-error@+1 {{masks expected 'tensor<8xi8>', got 'tensor<8xi16>'}}
  %v, %m, %s = tamis_kernel.compress %w <entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<1x1x8x8xf32> -> tensor<17xf32>, tensor<8xi16>, tensor<2xi32>
  return
}

// -----

func.func @compress_starts(%w: tensor<1x2x8x8xf32>) {
  // expected-error@+1 {{starts expected 'tensor<3xi32>', got 'tensor<2xi32>'}}
  %v, %m, %s = tamis_kernel.compress %w <entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<1x2x8x8xf32> -> tensor<17xf32>, tensor<16xi8>, tensor<2xi32>
  return
}

// -----

#lhs = affine_map<(m, n, b, k) -> (m, b, k)>
#rhs = affine_map<(m, n, b, k) -> (n, b, k)>
#out = affine_map<(m, n, b, k) -> (m, n)>
func.func @block_without_combine(%x: tensor<1x2x8xi8>, %w: tensor<1x1x4x32xi8>, %e: tensor<1x8xi32>) -> tensor<1x8xi32> {
  // expected-error @below {{expected a region combine with a block dimension}}
  %y = tamis_kernel.contract ins(%x, %w : tensor<1x2x8xi8>, tensor<1x1x4x32xi8>) outs(%e : tensor<1x8xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction", "reduction"] bounds [1, 8, 2, 8]
    accumulator i32 by #tamis.vector_mul<lanes = 8> tile [1, 1, 0] {packed, block = 2 : i64} -> tensor<1x8xi32>
  return %y : tensor<1x8xi32>
}

// -----

#lhs = affine_map<(m, n, b, k) -> (m, b, k)>
#rhs = affine_map<(m, n, b, k) -> (n, b, k)>
#out = affine_map<(m, n, b, k) -> (m, n)>
func.func @combine_adds_something_else(%x: tensor<1x2x8xi8>, %w: tensor<1x1x4x32xi8>, %e: tensor<1x8xf32>) -> tensor<1x8xf32> {
  // expected-error @below {{combine expected to add 'i32' to a total of 'f32'}}
  %y = tamis_kernel.contract ins(%x, %w : tensor<1x2x8xi8>, tensor<1x1x4x32xi8>) outs(%e : tensor<1x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction", "reduction"] bounds [1, 8, 2, 8]
    accumulator i32 by #tamis.vector_mul<lanes = 8> tile [1, 1, 0] {packed, block = 2 : i64} combine {
  ^bb0(%total: f32, %sum: f32):
    %t = arith.addf %total, %sum : f32
    tamis.yield %t : f32
  } -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @nibbles_as_they_lie(%x: tensor<8x8xi8>, %w: tensor<8x8xi8>, %e: tensor<8x8xi32>) -> tensor<8x8xi32> {
  // expected-error @below {{expected nibbles to be packed}}
  %y = tamis_kernel.contract ins(%x, %w : tensor<8x8xi8>, tensor<8x8xi8>) outs(%e : tensor<8x8xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [8, 8, 8]
    accumulator i32 by #tamis.vector_mul<lanes = 8> tile [1, 1, 0] {nibbles} -> tensor<8x8xi32>
  return %y : tensor<8x8xi32>
}

// -----

#lhs = affine_map<(m, n, b, k) -> (m, b, k)>
#rhs = affine_map<(m, n, b, k) -> (n, b, k)>
#out = affine_map<(m, n, b, k) -> (m, n)>
func.func @block_that_is_a_row(%x: tensor<1x2x8xi8>, %w: tensor<1x1x4x32xi8>, %e: tensor<1x8xf32>) -> tensor<1x8xf32> {
  // expected-error @below {{expected the block dimension to be a reduction}}
  %y = tamis_kernel.contract ins(%x, %w : tensor<1x2x8xi8>, tensor<1x1x4x32xi8>) outs(%e : tensor<1x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction", "reduction"] bounds [1, 8, 2, 8]
    accumulator i32 by #tamis.vector_mul<lanes = 8> tile [1, 1, 0] {packed, block = 0 : i64} combine {
  ^bb0(%total: f32, %sum: i32):
    tamis.yield %total : f32
  } -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// -----

func.func @nibbles_of_floats(%w: tensor<2x4xi8>, %e: tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32> {
  // expected-error @below {{expected bytes of nibbles, got 'f32'}}
  %p = tamis_kernel.pack ins(%w : tensor<2x4xi8>) outs(%e : tensor<1x1x2x2xf32>) groups [] column 0 reductions [1] run 1 step 1 {nibbles} -> tensor<1x1x2x2xf32>
  return %p : tensor<1x1x2x2xf32>
}

// -----

func.func @tile_without_positions(%x: memref<4x8xf32>, %w: memref<8x16xf32>, %y: memref<4x16xf32>) {
  // expected-error @below {{expected rows, vectors and cache positions in tile}}
  tamis_kernel.contract ins(%x, %w : memref<4x8xf32>, memref<8x16xf32>) outs(%y : memref<4x16xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [4, 16, 8]
    accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2]
  return
}

// -----

func.func @negative_depth(%x: memref<4x8xf32>, %w: memref<8x16xf32>, %y: memref<4x16xf32>) {
  // expected-error @below {{expected a positive register block in tile}}
  tamis_kernel.contract ins(%x, %w : memref<4x8xf32>, memref<8x16xf32>) outs(%y : memref<4x16xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [4, 16, 8]
    accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 0, -8]
  return
}

// -----

func.func @pieces_of_another_type(%x: memref<4x8xf32>, %w: memref<8x16xf32>, %y: memref<4x16xi8>) {
  // expected-error @below {{a sum in pieces expected a result of its own float type, got 'i8'}}
  tamis_kernel.contract ins(%x, %w : memref<4x8xf32>, memref<8x16xf32>) outs(%y : memref<4x16xi8>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [4, 16, 8]
    accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 0, 4] epilogue {
  ^bb0(%a: f32):
    %0 = arith.fptosi %a : f32 to i8
    tamis.yield %0 : i8
  }
  return
}

// -----

func.func @encode_panels(%w: tensor<8x8xf32>) {
  // expected-error@+1 {{expected packed panels of a static shape}}
  %v, %p = tamis_kernel.encode %w : tensor<8x8xf32>
    as #tamis.n_of_m<entries = 32, selection = #tamis.x86_select_fma<lanes = 8, kept = 2>> -> tensor<32xf32>, tensor<2xi32>
  return
}

// -----

func.func @encode_vectors(%w: tensor<1x1x2x24xf32>) {
  // expected-error@+1 {{expected panels of whole vectors of 32 elements}}
  %v, %p = tamis_kernel.encode %w : tensor<1x1x2x24xf32>
    as #tamis.n_of_m<entries = 24, selection = #tamis.x86_select_fma<lanes = 8, kept = 2>> -> tensor<24xf32>, tensor<1xi32>
  return
}

// -----

func.func @encode_entries(%w: tensor<1x1x2x32xf32>) {
  // expected-error@+1 {{expected 32 entries}}
  %v, %p = tamis_kernel.encode %w : tensor<1x1x2x32xf32>
    as #tamis.n_of_m<entries = 16, selection = #tamis.x86_select_fma<lanes = 8, kept = 2>> -> tensor<16xf32>, tensor<2xi32>
  return
}

// -----

func.func @encode_places(%w: tensor<1x1x2x32xf32>) {
  // expected-error@+1 {{keys expected 'tensor<2xi32>', got 'tensor<2xi8>'}}
  %v, %p = tamis_kernel.encode %w : tensor<1x1x2x32xf32>
    as #tamis.n_of_m<entries = 32, selection = #tamis.x86_select_fma<lanes = 8, kept = 2>> -> tensor<32xf32>, tensor<2xi8>
  return
}

// -----

func.func @encode_codes_of_bytes(%w: tensor<1x1x2x32xi8>) {
  // expected-error@+1 {{expected elements of 4 bytes}}
  %v, %p = tamis_kernel.encode %w : tensor<1x1x2x32xi8>
    as #tamis.codebook<entries = 3, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>> -> tensor<1x1x1x32xi8>, tensor<16xi8>
  return
}

// -----

func.func @encode_odd_steps(%w: tensor<1x1x3x32xf32>) {
  // expected-error@+1 {{expected an even number of steps}}
  %v, %p = tamis_kernel.encode %w : tensor<1x1x3x32xf32>
    as #tamis.codebook<entries = 3, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>> -> tensor<1x1x1x32xi8>, tensor<16xf32>
  return
}

// -----

func.func @encode_a_bitmask(%w: tensor<1x1x2x32xf32>) {
  // expected-error@+1 {{expected a storage of fixed stride, got #tamis.bitmask<}}
  %v, %p = tamis_kernel.encode %w : tensor<1x1x2x32xf32>
    as #tamis.bitmask<entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>> -> tensor<17xf32>, tensor<8xi8>
  return
}

// -----

func.func @compress_panels(%w: tensor<8x8xf32>) {
  // expected-error@+1 {{expected packed panels of a static shape}}
  %v, %m, %s = tamis_kernel.compress %w <entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<8x8xf32> -> tensor<17xf32>, tensor<8xi8>, tensor<2xi32>
  return
}

// -----

func.func @compress_units(%w: tensor<1x1x8x8xf32>) {
  // expected-error@+1 {{expected units of 4 bytes, got 2 x 'f32'}}
  %v, %m, %s = tamis_kernel.compress %w <entries = 9, unit = 2, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<1x1x8x8xf32> -> tensor<26xf32>, tensor<8xi8>, tensor<2xi32>
  return
}

// -----

func.func @compress_vectors(%w: tensor<1x1x8x12xf32>) {
  // expected-error@+1 {{expected panels of whole vectors of 8 elements, got 12}}
  %v, %m, %s = tamis_kernel.compress %w <entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<1x1x8x12xf32> -> tensor<17xf32>, tensor<12xi8>, tensor<2xi32>
  return
}

// -----

func.func @compress_values(%w: tensor<1x1x8x8xf32>) {
  // expected-error@+1 {{values expected 'tensor<17xf32>', got 'tensor<9xf32>'}}
  %v, %m, %s = tamis_kernel.compress %w <entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<1x1x8x8xf32> -> tensor<9xf32>, tensor<8xi8>, tensor<2xi32>
  return
}

// -----

func.func @compress_masks(%w: tensor<1x1x8x8xf32>) {
  // expected-error@+1 {{masks expected 'tensor<8xi8>', got 'tensor<8xi16>'}}
  %v, %m, %s = tamis_kernel.compress %w <entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<1x1x8x8xf32> -> tensor<17xf32>, tensor<8xi16>, tensor<2xi32>
  return
}

// -----

func.func @compress_starts(%w: tensor<1x2x8x8xf32>) {
  // expected-error@+1 {{starts expected 'tensor<3xi32>', got 'tensor<2xi32>'}}
  %v, %m, %s = tamis_kernel.compress %w <entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
    : tensor<1x2x8x8xf32> -> tensor<17xf32>, tensor<16xi8>, tensor<2xi32>
  return
}

// -----

#lhs = affine_map<(m, n, b, k) -> (m, b, k)>
#rhs = affine_map<(m, n, b, k) -> (n, b, k)>
#out = affine_map<(m, n, b, k) -> (m, n)>
func.func @block_without_combine(%x: tensor<1x2x8xi8>, %w: tensor<1x1x4x32xi8>, %e: tensor<1x8xi32>) -> tensor<1x8xi32> {
  // expected-error @below {{expected a region combine with a block dimension}}
  %y = tamis_kernel.contract ins(%x, %w : tensor<1x2x8xi8>, tensor<1x1x4x32xi8>) outs(%e : tensor<1x8xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction", "reduction"] bounds [1, 8, 2, 8]
    accumulator i32 by #tamis.vector_mul<lanes = 8> tile [1, 1, 0] {packed, block = 2 : i64} -> tensor<1x8xi32>
  return %y : tensor<1x8xi32>
}

// -----

#lhs = affine_map<(m, n, b, k) -> (m, b, k)>
#rhs = affine_map<(m, n, b, k) -> (n, b, k)>
#out = affine_map<(m, n, b, k) -> (m, n)>
func.func @combine_adds_something_else(%x: tensor<1x2x8xi8>, %w: tensor<1x1x4x32xi8>, %e: tensor<1x8xf32>) -> tensor<1x8xf32> {
  // expected-error @below {{combine expected to add 'i32' to a total of 'f32'}}
  %y = tamis_kernel.contract ins(%x, %w : tensor<1x2x8xi8>, tensor<1x1x4x32xi8>) outs(%e : tensor<1x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction", "reduction"] bounds [1, 8, 2, 8]
    accumulator i32 by #tamis.vector_mul<lanes = 8> tile [1, 1, 0] {packed, block = 2 : i64} combine {
  ^bb0(%total: f32, %sum: f32):
    %t = arith.addf %total, %sum : f32
    tamis.yield %t : f32
  } -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// -----

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @nibbles_as_they_lie(%x: tensor<8x8xi8>, %w: tensor<8x8xi8>, %e: tensor<8x8xi32>) -> tensor<8x8xi32> {
  // expected-error @below {{expected nibbles to be packed}}
  %y = tamis_kernel.contract ins(%x, %w : tensor<8x8xi8>, tensor<8x8xi8>) outs(%e : tensor<8x8xi32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction"] bounds [8, 8, 8]
    accumulator i32 by #tamis.vector_mul<lanes = 8> tile [1, 1, 0] {nibbles} -> tensor<8x8xi32>
  return %y : tensor<8x8xi32>
}

// -----

#lhs = affine_map<(m, n, b, k) -> (m, b, k)>
#rhs = affine_map<(m, n, b, k) -> (n, b, k)>
#out = affine_map<(m, n, b, k) -> (m, n)>
func.func @block_that_is_a_row(%x: tensor<1x2x8xi8>, %w: tensor<1x1x4x32xi8>, %e: tensor<1x8xf32>) -> tensor<1x8xf32> {
  // expected-error @below {{expected the block dimension to be a reduction}}
  %y = tamis_kernel.contract ins(%x, %w : tensor<1x2x8xi8>, tensor<1x1x4x32xi8>) outs(%e : tensor<1x8xf32>)
    maps [#lhs, #rhs, #out] iterators ["parallel", "parallel", "reduction", "reduction"] bounds [1, 8, 2, 8]
    accumulator i32 by #tamis.vector_mul<lanes = 8> tile [1, 1, 0] {packed, block = 0 : i64} combine {
  ^bb0(%total: f32, %sum: i32):
    tamis.yield %total : f32
  } -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// -----

func.func @nibbles_of_floats(%w: tensor<2x4xi8>, %e: tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32> {
  // expected-error @below {{expected bytes of nibbles, got 'f32'}}
  %p = tamis_kernel.pack ins(%w : tensor<2x4xi8>) outs(%e : tensor<1x1x2x2xf32>) groups [] column 0 reductions [1] run 1 step 1 {nibbles} -> tensor<1x1x2x2xf32>
  return %p : tensor<1x1x2x2xf32>
}

// -----

func.func @tile_without_positions(%x: memref<4x8xf32>, %w: memref<8x16xf32>, %y: memref<4x16xf32>) {
  // expected-error @below {{expected rows, vectors and cache positions in tile}}
  tamis_kernel.contract ins(%x, %w : memref<4x8xf32>, memref<8x16xf32>) outs(%y : memref<4x16xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [4, 16, 8]
    accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2]
  return
}

// -----

func.func @negative_depth(%x: memref<4x8xf32>, %w: memref<8x16xf32>, %y: memref<4x16xf32>) {
  // expected-error @below {{expected a positive register block in tile}}
  tamis_kernel.contract ins(%x, %w : memref<4x8xf32>, memref<8x16xf32>) outs(%y : memref<4x16xf32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [4, 16, 8]
    accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 0, -8]
  return
}

// -----

func.func @pieces_of_another_type(%x: memref<4x8xf32>, %w: memref<8x16xf32>, %y: memref<4x16xi8>) {
  // expected-error @below {{a sum in pieces expected a result of its own float type, got 'i8'}}
  tamis_kernel.contract ins(%x, %w : memref<4x8xf32>, memref<8x16xf32>) outs(%y : memref<4x16xi8>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [4, 16, 8]
    accumulator f32 by #tamis.vector_fma<lanes = 8, fused = true> tile [4, 2, 0, 4] epilogue {
  ^bb0(%a: f32):
    %0 = arith.fptosi %a : f32 to i8
    tamis.yield %0 : i8
  }
  return
}

// -----

func.func @bound_panels(%w: tensor<1x1x8x8xf32>) {
  // expected-error@+1 {{expected packed panels of bytes of a static shape}}
  %b, %v, %p, %s = tamis_kernel.bound %w <entries = 1, steps = 1, run = 8> : tensor<1x1x8x8xf32> -> tensor<1x8xf32>, tensor<1xi32>, tensor<2xi32>
  return
}

// -----

func.func @bound_values(%w: tensor<1x1x8x32xi8>) {
  // expected-error@+1 {{values expected 'tensor<1x32xi8>', got 'tensor<2x32xi8>'}}
  %b, %v, %p, %s = tamis_kernel.bound %w <entries = 1, steps = 1, run = 32> : tensor<1x1x8x32xi8> -> tensor<2x32xi8>, tensor<1xi32>, tensor<2xi32>
  return
}

// -----

func.func @bound_run(%w: tensor<1x1x8x32xi8>) {
  // expected-error@+1 {{expected panels of whole runs of 3 steps, got 8}}
  %b, %v, %p, %s = tamis_kernel.bound %w <entries = 1, steps = 1, run = 9> : tensor<1x1x8x32xi8> -> tensor<1x32xi8>, tensor<1xi32>, tensor<2xi32>
  return
}

// -----

func.func @bounded_exact(%x: tensor<16x64xi8>, %p: tensor<1x2x16x64xi8>, %v: tensor<3x64xi8>, %l: tensor<3xi32>, %e: tensor<16x32xi32>) -> tensor<16x32xi32> {
  // expected-error@+1 {{expected an instruction that adds up in 16 bits with bounded panels, got #tamis.x86_madd<lanes = 8>}}
  %y = tamis_kernel.contract ins(%x, %p : tensor<16x64xi8>, tensor<1x2x16x64xi8>) stream(%l, %l, %v : tensor<3xi32>, tensor<3xi32>, tensor<3x64xi8>) outs(%e : tensor<16x32xi32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [16, 32, 64] accumulator i32
    by #tamis.x86_madd<lanes = 8> tile [4, 2, 0] {lhs_unsigned, packed, storage = #tamis.bounded<entries = 3, steps = 2, run = 64>} -> tensor<16x32xi32>
  return %y : tensor<16x32xi32>
}

// -----

func.func @winograd_of_other_windows(%w: tensor<32x16x5x5xf32>) {
  // expected-error@+1 {{expected windows of 3x3, got 'tensor<32x16x5x5xf32>'}}
  %u = tamis_kernel.winograd_weights %w output 4 column 0 channel 1 window [2, 3] : tensor<32x16x5x5xf32> -> tensor<36x16x32xf32>
  return
}

// -----

func.func @winograd_of_one_dimension_twice(%w: tensor<32x16x3x3xf32>) {
  // expected-error@+1 {{expected each of 4 dimensions of the source once}}
  %u = tamis_kernel.winograd_weights %w output 4 column 0 channel 0 window [2, 3] : tensor<32x16x3x3xf32> -> tensor<36x16x32xf32>
  return
}

// -----

func.func @winograd_of_another_result(%w: tensor<32x16x3x3xf32>) {
  // expected-error@+1 {{expected a result of 'tensor<16x16x32xf32>'}}
  %u = tamis_kernel.winograd_weights %w output 2 column 0 channel 1 window [2, 3] : tensor<32x16x3x3xf32> -> tensor<36x16x32xf32>
  return
}

// -----

func.func @winograd_tiles_of_three(%x: memref<1x30x30x16xf32>, %t: memref<25x14x16xf32>, %i: index) {
  // expected-error@+1 {{expected tiles of 2 or 4 results, got 3}}
  tamis_kernel.winograd_input ins(%x : memref<1x30x30x16xf32>) outs(%t : memref<25x14x16xf32>) at %i, %i output 3 by #tamis.vector_fma<lanes = 8, fused = true>
  return
}

// -----

func.func @winograd_of_other_places(%x: memref<1x30x30x16xf32>, %t: memref<16x14x16xf32>, %i: index) {
  // expected-error@+1 {{expected tiles of float32 at 36 places, got 'memref<16x14x16xf32>'}}
  tamis_kernel.winograd_input ins(%x : memref<1x30x30x16xf32>) outs(%t : memref<16x14x16xf32>) at %i, %i output 4 by #tamis.vector_fma<lanes = 8, fused = true>
  return
}

// -----

func.func @winograd_of_other_channels(%x: memref<1x30x30x8xf32>, %t: memref<36x14x16xf32>, %i: index) {
  // expected-error@+1 {{expected images of 16 channels, got 'memref<1x30x30x8xf32>'}}
  tamis_kernel.winograd_input ins(%x : memref<1x30x30x8xf32>) outs(%t : memref<36x14x16xf32>) at %i, %i output 4 by #tamis.vector_fma<lanes = 8, fused = true>
  return
}

// -----

func.func @winograd_without_room(%x: memref<1x30x30x12xf32>, %t: memref<36x14x12xf32>, %i: index) {
  // expected-error@+1 {{expected room for whole vectors of channels of #tamis.vector_fma<lanes = 8, fused = true> in each tile, got 'memref<36x14x12xf32>'}}
  tamis_kernel.winograd_input ins(%x : memref<1x30x30x12xf32>) outs(%t : memref<36x14x12xf32>) at %i, %i output 4 by #tamis.vector_fma<lanes = 8, fused = true>
  return
}

// -----

func.func @winograd_without_a_map(%t: memref<36x14x16xf32>, %b: memref<16xf32>, %y: memref<1x28x28x16xf32>, %i: index) {
  // expected-error@+1 {{expected a map for each extra operand}}
  tamis_kernel.winograd_output ins(%t : memref<36x14x16xf32>) extras(%b : memref<16xf32>) outs(%y : memref<1x28x28x16xf32>)
      maps [] at %i, %i output 4 by #tamis.vector_fma<lanes = 8, fused = true>
  return
}

// -----

func.func @winograd_with_another_map(%t: memref<36x14x16xf32>, %b: memref<16xf32>, %y: memref<1x28x28x16xf32>, %i: index) {
  // expected-error@+1 {{expected maps from the dimensions of the result}}
  tamis_kernel.winograd_output ins(%t : memref<36x14x16xf32>) extras(%b : memref<16xf32>) outs(%y : memref<1x28x28x16xf32>)
      maps [affine_map<(n, h, w) -> (w)>] at %i, %i output 4 by #tamis.vector_fma<lanes = 8, fused = true>
  return
}

// -----

func.func @slots_of_floats(%w: tensor<1x1x8x32xf32>) {
  // expected-error@+1 {{expected panels of elements of 1 bytes, got 'f32'}}
  %v, %p, %s = tamis_kernel.fill_slots %w <entries = 1, run = 32, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>> : tensor<1x1x8x32xf32> -> tensor<1x96xf32>, tensor<1x4xi16>, tensor<2xi32>
  return
}

// -----

func.func @slots_of_an_open_shape(%w: tensor<1x?x8x32xi8>) {
  // expected-error@+1 {{expected packed panels of a static shape}}
  %v, %p, %s = tamis_kernel.fill_slots %w <entries = 1, run = 32, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>> : tensor<1x?x8x32xi8> -> tensor<1x96xi8>, tensor<1x4xi16>, tensor<2xi32>
  return
}

// -----

func.func @float_slots_of_bytes(%w: tensor<1x1x32x8xi8>) {
  // expected-error@+1 {{expected panels of elements of 4 bytes, got 'i8'}}
  %v, %p, %s = tamis_kernel.fill_slots %w <entries = 1, run = 32, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>> : tensor<1x1x32x8xi8> -> tensor<1x72xi8>, tensor<1x2xi16>, tensor<2xi32>
  return
}

// -----

func.func @slots_of_wide_panels(%w: tensor<1x1x8x64xi8>) {
  // expected-error@+1 {{expected panels of one vector of 32 elements, got 64}}
  %v, %p, %s = tamis_kernel.fill_slots %w <entries = 1, run = 32, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>> : tensor<1x1x8x64xi8> -> tensor<1x96xi8>, tensor<1x4xi16>, tensor<2xi32>
  return
}

// -----

func.func @slots_of_another_run(%w: tensor<1x1x8x32xi8>) {
  // expected-error@+1 {{expected panels of 9 steps, got 8}}
  %v, %p, %s = tamis_kernel.fill_slots %w <entries = 1, run = 33, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>> : tensor<1x1x8x32xi8> -> tensor<1x96xi8>, tensor<1x4xi16>, tensor<2xi32>
  return
}

// -----

func.func @slot_values(%w: tensor<1x1x8x32xi8>) {
  // expected-error@+1 {{values expected 'tensor<1x96xi8>', got 'tensor<2x96xi8>'}}
  %v, %p, %s = tamis_kernel.fill_slots %w <entries = 1, run = 32, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>> : tensor<1x1x8x32xi8> -> tensor<2x96xi8>, tensor<1x4xi16>, tensor<2xi32>
  return
}

// -----

func.func @slot_places(%w: tensor<1x1x8x32xi8>) {
  // expected-error@+1 {{places expected 'tensor<1x4xi16>', got 'tensor<1x4xi32>'}}
  %v, %p, %s = tamis_kernel.fill_slots %w <entries = 1, run = 32, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>> : tensor<1x1x8x32xi8> -> tensor<1x96xi8>, tensor<1x4xi32>, tensor<2xi32>
  return
}

// -----

func.func @slot_starts(%w: tensor<1x1x8x32xi8>) {
  // expected-error@+1 {{starts expected 'tensor<2xi32>', got 'tensor<1xi32>'}}
  %v, %p, %s = tamis_kernel.fill_slots %w <entries = 1, run = 32, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>> : tensor<1x1x8x32xi8> -> tensor<1x96xi8>, tensor<1x4xi16>, tensor<1xi32>
  return
}

// -----

func.func @slots_by_pairs(%x: tensor<1x64xi8>, %v: tensor<3x96xi8>, %p: tensor<3x4xi16>, %s: tensor<3xi32>, %e: tensor<1x16xi32>) -> tensor<1x16xi32> {
  // expected-error@+1 {{expected an instruction of 32 products, 4 in a lane, with slot windows, got #tamis.x86_madd<lanes = 8>}}
  %y = tamis_kernel.contract ins(%x, %v : tensor<1x64xi8>, tensor<3x96xi8>) stream(%p, %s : tensor<3x4xi16>, tensor<3xi32>) outs(%e : tensor<1x16xi32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [1, 16, 64] accumulator i32
    by #tamis.x86_madd<lanes = 8> tile [1, 1, 0] {lhs_unsigned, packed, storage = #tamis.slot_windows<entries = 3, run = 64, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>} -> tensor<1x16xi32>
  return %y : tensor<1x16xi32>
}

// -----

func.func @slots_of_two_vectors(%x: tensor<1x64xi8>, %v: tensor<3x96xi8>, %p: tensor<3x4xi16>, %s: tensor<3xi32>, %e: tensor<1x16xi32>) -> tensor<1x16xi32> {
  // expected-error@+1 {{expected one vector in tile with slot windows}}
  %y = tamis_kernel.contract ins(%x, %v : tensor<1x64xi8>, tensor<3x96xi8>) stream(%p, %s : tensor<3x4xi16>, tensor<3xi32>) outs(%e : tensor<1x16xi32>)
    maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
    iterators ["parallel", "parallel", "reduction"] bounds [1, 16, 64] accumulator i32
    by #tamis.x86_maddubs<lanes = 8> tile [1, 2, 0] {lhs_unsigned, packed, storage = #tamis.slot_windows<entries = 3, run = 64, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>} -> tensor<1x16xi32>
  return %y : tensor<1x16xi32>
}
