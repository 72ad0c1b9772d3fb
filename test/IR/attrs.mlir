// RUN: tamis-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func.func private @targets
// CHECK-SAME: a = #tamis.target<"x86_64", []>
// CHECK-SAME: b = #tamis.target<"x86_64", ["avx2", "fma"], l1 = 49152, l2 = 524288, threads = 2>
// CHECK-SAME: c = #tamis.target<"x86_64", ["avx2"], threads = 4>
func.func private @targets() attributes {
  a = #tamis.target<"x86_64", []>,
  b = #tamis.target<"x86_64", ["avx2", "fma"], threads = 2, l2 = 524288, l1 = 49152>,
  c = #tamis.target<"x86_64", ["avx2"], l1 = 32768, threads = 4>
}

// CHECK-LABEL: func.func private @policies
// CHECK-SAME: a = #tamis.policy<strict = true>
// CHECK-SAME: b = #tamis.policy<allowBf16 = true>
func.func private @policies() attributes {
  a = #tamis.policy<strict = true>,
  b = #tamis.policy<strict = false, allowBf16 = true>
}

// CHECK-LABEL: func.func private @instructions
// CHECK-SAME: a = #tamis.vector_fma<lanes = 16, fused = true>
// CHECK-SAME: b = #tamis.vector_mul<lanes = 4>
// CHECK-SAME: c = #tamis.x86_madd<lanes = 8>
// CHECK-SAME: d = #tamis.x86_vnni<lanes = 16>
// CHECK-SAME: e = #tamis.x86_amx_int8
// CHECK-SAME: f = #tamis.x86_dot_bf16
// CHECK-SAME: g = #tamis.x86_maddubs<lanes = 8>
// CHECK-SAME: h = #tamis.x86_amx_bf16
// CHECK-SAME: i = #tamis.x86_amx_int8<nibbles = true>
// CHECK-SAME: j = #tamis.x86_amx_int8<quads = true>
func.func private @instructions() attributes {
  a = #tamis.vector_fma<lanes = 16, fused = true>,
  b = #tamis.vector_mul<lanes = 4>,
  c = #tamis.x86_madd<lanes = 8>,
  d = #tamis.x86_vnni<lanes = 16>,
  e = #tamis.x86_amx_int8,
  f = #tamis.x86_dot_bf16,
  g = #tamis.x86_maddubs<lanes = 8>,
  h = #tamis.x86_amx_bf16,
  i = #tamis.x86_amx_int8<nibbles = true>,
  j = #tamis.x86_amx_int8<quads = true>
}

// CHECK-LABEL: func.func private @schemes
// CHECK-SAME: a = #tamis.scheme<bits = 4, symmetric = true, axis = 0, system = codebook>
// CHECK-SAME: b = #tamis.scheme<bits = 16, symmetric = true, system = fixed_point, fraction = -3>
// CHECK-SAME: c = #tamis.scheme<bits = 16, symmetric = true, system = bfloat16>
func.func private @schemes() attributes {
  a = #tamis.scheme<bits = 4, symmetric = true, axis = 0, system = codebook>,
  b = #tamis.scheme<bits = 16, symmetric = true, system = fixed_point, fraction = -3>,
  c = #tamis.scheme<bits = 16, symmetric = true, system = bfloat16>}

// CHECK-LABEL: func.func private @storages
// CHECK-SAME: a = #tamis.row_stream<entries = 3, positions = 32, pitch = 32>,
// CHECK-SAME: b = #tamis.row_stream<entries = 3, positions = 32, pitch = 56, taps = 3, line = 10>,
// CHECK-SAME: c = #tamis.bitmask<entries = 3, unit = 2, expansion = #tamis.x86_shuffle<bytes = 2>>,
// CHECK-SAME: d = #tamis.bitmask<entries = 3, unit = 1, expansion = #tamis.x86_expand<bytes = 4>>,
// CHECK-SAME: e = #tamis.block_list<entries = 3, steps = 16, run = 32>,
// CHECK-SAME: f = #tamis.row_stream<entries = 48, positions = 32, pitch = 32, channels = 32, depth = 16>,
// CHECK-SAME: g = #tamis.n_of_m<entries = 16, selection = #tamis.x86_select_fma<lanes = 8, kept = 2>>,
// CHECK-SAME: h = #tamis.n_of_m<entries = 32, selection = #tamis.x86_select_madd<lanes = 16>>,
// CHECK-SAME: i = #tamis.codebook<entries = 9, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>>,
// CHECK-SAME: j = #tamis.bounded<entries = 9, steps = 2, run = 183>,
// CHECK-SAME: k = #tamis.row_stream<entries = 3, positions = 32, pitch = 40, taps = 3, parts = 4, sorted = 128>,
// CHECK-SAME: l = #tamis.winograd<output = 4, strip = 7>,
// CHECK-SAME: m = #tamis.slot_windows<entries = 9, run = 768, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>,
// CHECK-SAME: n = #tamis.slot_windows<entries = 9, run = 768, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>>
func.func private @storages() attributes {
  a = #tamis.row_stream<positions = 32, entries = 3, pitch = 32>,
  k = #tamis.row_stream<positions = 32, entries = 3, pitch = 40, sorted = 128, parts = 4, taps = 3>,
  b = #tamis.row_stream<positions = 32, entries = 3, pitch = 56, taps = 3, line = 10>,
  c = #tamis.bitmask<entries = 3, unit = 2, expansion = #tamis.x86_shuffle<bytes = 2>>,
  d = #tamis.bitmask<unit = 1, entries = 3, expansion = #tamis.x86_expand<bytes = 4>>,
  e = #tamis.block_list<steps = 16, run = 32, entries = 3>,
  f = #tamis.row_stream<positions = 32, entries = 48, pitch = 32, depth = 16, channels = 32>,
  g = #tamis.n_of_m<entries = 16, selection = #tamis.x86_select_fma<kept = 2, lanes = 8>>,
  h = #tamis.n_of_m<entries = 32, selection = #tamis.x86_select_madd<lanes = 16>>,
  i = #tamis.codebook<entries = 9, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>>,
  j = #tamis.bounded<steps = 2, run = 183, entries = 9>,
  l = #tamis.winograd<strip = 7, output = 4>,
  m = #tamis.slot_windows<run = 768, entries = 9, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>,
  n = #tamis.slot_windows<run = 768, entries = 9, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>>}

// CHECK-LABEL: func.func private @profiles
// CHECK-SAME: a = #tamis.profile<facts = {dense.share = 9.000000e-01 : f64}>,
// CHECK-SAME: b = #tamis.profile<facts = {}, measured = {key = {"dense 4x3x0" = 1.500000e+00 : f64}}>
func.func private @profiles() attributes {
  a = #tamis.profile<facts = {dense.share = 0.9 : f64}>,
  b = #tamis.profile<facts = {}, measured = {key = {"dense 4x3x0" = 1.5 : f64}}>}
