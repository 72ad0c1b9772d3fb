// RUN: tamis-opt %s -split-input-file -verify-diagnostics

// expected-error@+1 {{target expected an architecture, got an empty name}}
func.func private @target_arch() attributes {a = #tamis.target<"", []>}

// -----

// expected-error@+1 {{target feature expected a plain name, got '+avx2'}}
func.func private @target_feature() attributes {a = #tamis.target<"x86_64", ["+avx2"]>}

// -----

// expected-error@+1 {{target expected threads above 0, got 0}}
func.func private @target_threads() attributes {a = #tamis.target<"x86_64", [], threads = 0>}

// -----

// expected-error@+1 {{expected l1, l2 or threads}}
func.func private @target_size_name() attributes {a = #tamis.target<"x86_64", [], l3 = 1>}

// -----

// expected-error@+1 {{duplicate or unknown struct parameter name: speed}}
func.func private @policy_name() attributes {a = #tamis.policy<speed = true>}

// -----

// expected-error@+1 {{vector_fma expected lanes to be a power of two up to 64, got 3}}
func.func private @fma_lanes() attributes {a = #tamis.vector_fma<lanes = 3, fused = true>}

// -----

// expected-error@+1 {{vector_mul expected lanes to be a power of two up to 64, got 0}}
func.func private @mul_lanes() attributes {a = #tamis.vector_mul<lanes = 0>}

// -----

// expected-error@+1 {{x86_madd expected 4 or 8 or 16 lanes, got 32}}
func.func private @madd_lanes() attributes {a = #tamis.x86_madd<lanes = 32>}

// -----

// expected-error@+1 {{x86_maddubs expected 8 or 16 lanes, got 4}}
func.func private @maddubs_lanes() attributes {a = #tamis.x86_maddubs<lanes = 4>}

// -----

// expected-error@+1 {{row_stream expected no negative entries, got -1}}
func.func private @stream_entries() attributes {a = #tamis.row_stream<entries = -1, positions = 8, pitch = 8>}

// -----

// expected-error@+1 {{row_stream expected positions above 0, got 0}}
func.func private @stream_positions() attributes {a = #tamis.row_stream<entries = 1, positions = 0, pitch = 8>}

// -----

// expected-error@+1 {{row_stream expected taps above 0, got 0}}
func.func private @stream_taps() attributes {a = #tamis.row_stream<entries = 1, positions = 8, pitch = 8, taps = 0>}

// -----

// expected-error@+1 {{row_stream expected a pitch of at least 10, got 8}}
func.func private @stream_pitch() attributes {a = #tamis.row_stream<entries = 1, positions = 8, pitch = 8, taps = 3>}

// -----

// expected-error@+1 {{row_stream expected no negative line, got -1}}
func.func private @stream_line() attributes {a = #tamis.row_stream<entries = 1, positions = 8, pitch = 8, line = -1>}

// -----

// expected-error@+1 {{row_stream expected channels above 0, got 0}}
func.func private @stream_channels() attributes {a = #tamis.row_stream<entries = 1, positions = 8, pitch = 8, channels = 0>}

// -----

// expected-error@+1 {{row_stream expected entries in wholes of 16, got 24}}
func.func private @stream_depth() attributes {a = #tamis.row_stream<entries = 24, positions = 8, pitch = 8, channels = 16, depth = 16>}

// -----

// expected-error@+1 {{row_stream expected one part, or parts of one channel at a time, got 2}}
func.func private @stream_parts() attributes {a = #tamis.row_stream<entries = 32, positions = 8, pitch = 8, channels = 16, depth = 16, parts = 2>}

// -----

// expected-error@+1 {{row_stream expected lists in order, or sorted ones of one channel at a time, got 128}}
func.func private @stream_sorted() attributes {a = #tamis.row_stream<entries = 32, positions = 8, pitch = 8, channels = 16, depth = 16, sorted = 128>}

// -----

// expected-error@+1 {{block_list expected no negative entries, got -1}}
func.func private @list_entries() attributes {a = #tamis.block_list<entries = -1, steps = 8, run = 8>}

// -----

// expected-error@+1 {{block_list expected steps above 0, got 0}}
func.func private @list_steps() attributes {a = #tamis.block_list<entries = 1, steps = 0, run = 8>}

// -----

// expected-error@+1 {{block_list expected a run of whole blocks of 8 steps, got 12}}
func.func private @list_run() attributes {a = #tamis.block_list<entries = 1, steps = 8, run = 12>}

// -----

// expected-error@+1 {{bitmask expected no negative entries, got -1}}
func.func private @bitmask_entries() attributes {a = #tamis.bitmask<entries = -1, unit = 1, expansion = #tamis.x86_expand<bytes = 4>>}

// -----

// expected-error@+1 {{bitmask expected a unit above 0, got 0}}
func.func private @bitmask_unit() attributes {a = #tamis.bitmask<entries = 1, unit = 0, expansion = #tamis.x86_expand<bytes = 4>>}

// -----

// expected-error@+1 {{x86_shuffle expected 2 or 4 bytes, got 8}}
func.func private @shuffle_bytes() attributes {a = #tamis.x86_shuffle<bytes = 8>}

// -----

// expected-error@+1 {{x86_expand expected 1 or 4 bytes, got 2}}
func.func private @expand_bytes() attributes {a = #tamis.x86_expand<bytes = 2>}

// -----

// expected-error@+1 {{x86_vnni expected 8 or 16 lanes, got 4}}
func.func private @vnni_lanes() attributes {a = #tamis.x86_vnni<lanes = 4>}

// -----

// expected-error@+1 {{scheme expected 1 to 16 bits, got 32}}
func.func private @scheme_bits() attributes {a = #tamis.scheme<bits = 32>}

// -----

// expected-error@+1 {{scheme expected 1 to 8 bits of codebook, got 9}}
func.func private @codebook_bits() attributes {a = #tamis.scheme<bits = 9, symmetric = true, system = codebook>}

// -----

// expected-error@+1 {{scheme expected 8 to 8 bits of float8_e5m2, got 4}}
func.func private @float_bits() attributes {a = #tamis.scheme<bits = 4, symmetric = true, system = float8_e5m2>}

// -----

// expected-error@+1 {{scheme expected power_of_two to be signed and symmetric}}
func.func private @unsigned_system() attributes {a = #tamis.scheme<bits = 4, isUnsigned = true, system = power_of_two>}

// -----

// expected-error@+1 {{scheme expected no fraction of integer}}
func.func private @fraction_of_integers() attributes {a = #tamis.scheme<bits = 8, symmetric = true, fraction = 7>}

// -----

// expected-error@+1 {{scheme expected a fraction of -100 to 100, got 101}}
func.func private @fraction_range() attributes {a = #tamis.scheme<bits = 8, symmetric = true, system = fixed_point, fraction = 101>}

// -----

// expected-error@+1 {{scheme expected a positive block along an axis, got 32 along axis -1}}
func.func private @scheme_block() attributes {a = #tamis.scheme<bits = 4, block = 32>}

// -----

// expected-error@+1 {{scheme with offset expected to be exact, unsigned and in blocks}}
func.func private @scheme_offset() attributes {a = #tamis.scheme<bits = 4, isUnsigned = true, axis = 0, block = 32, offset = true>}

// -----

// expected-error@+1 {{exact scheme expected integers, got codebook}}
func.func private @exact_system() attributes {a = #tamis.scheme<bits = 4, symmetric = true, system = codebook, exact = true>}

// -----

// expected-error@+1 {{profile expected 'dense.share' to be a finite f64 above 0, got -1.000000e+00 : f64}}
func.func private @profile_fact() attributes {a = #tamis.profile<facts = {dense.share = -1.0 : f64}>}

// -----

// expected-error@+1 {{profile expected times of 'key' by candidate, got 1.000000e+00 : f64}}
func.func private @profile_times() attributes {a = #tamis.profile<facts = {}, measured = {key = 1.0 : f64}>}

// -----

// expected-error@+1 {{profile expected 'dense 4x3x0' to be a finite f64 above 0, got 1 : i64}}
func.func private @profile_time() attributes {a = #tamis.profile<facts = {}, measured = {key = {"dense 4x3x0" = 1 : i64}}>}

// -----

// expected-error@+1 {{n_of_m expected no negative entries, got -1}}
func.func private @n_of_m_entries() attributes {a = #tamis.n_of_m<entries = -1, selection = #tamis.x86_select_madd<lanes = 8>>}

// -----

// expected-error@+1 {{x86_select_fma expected to keep 1 or 2, got 3}}
func.func private @selection_of_floats() attributes {a = #tamis.x86_select_fma<lanes = 8, kept = 3>}

// -----

// expected-error@+1 {{x86_select_madd expected 8 or 16 lanes, got 4}}
func.func private @selection_lanes() attributes {a = #tamis.x86_select_madd<lanes = 4>}

// -----

// expected-error@+1 {{codebook expected 1 to 16 entries, got 17}}
func.func private @codebook_entries() attributes {a = #tamis.codebook<entries = 17, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>}

// -----

// expected-error@+1 {{x86_lookup expected 1 or 4 bytes, got 2}}
func.func private @lookup_bytes() attributes {a = #tamis.x86_lookup<bytes = 2, elements = 16>}

// -----

// expected-error@+1 {{x86_lookup expected a whole vector, got 4 elements of 4 bytes}}
func.func private @lookup_vector() attributes {a = #tamis.x86_lookup<bytes = 4, elements = 4>}

// -----

// expected-error@+1 {{bounded expected no negative entries, got -1}}
func.func private @bounded_entries() attributes {a = #tamis.bounded<entries = -1, steps = 1, run = 8>}

// -----

// expected-error@+1 {{bounded expected steps above 0, got 0}}
func.func private @bounded_steps() attributes {a = #tamis.bounded<entries = 1, steps = 0, run = 8>}

// -----

// expected-error@+1 {{bounded expected a run above 0, got 0}}
func.func private @bounded_run() attributes {a = #tamis.bounded<entries = 1, steps = 1, run = 0>}

// -----

// expected-error@+1 {{winograd expected tiles of 2 or 4 results, got 3}}
func.func private @winograd_output() attributes {a = #tamis.winograd<output = 3, strip = 1>}

// -----

// expected-error@+1 {{winograd expected a strip above 0, got 0}}
func.func private @winograd_strip() attributes {a = #tamis.winograd<output = 2, strip = 0>}

// -----

// expected-error@+1 {{expected nibbles or quads, got both}}
func.func private @f() attributes {a = #tamis.x86_amx_int8<nibbles = true, quads = true>}

// -----

// expected-error@+1 {{slot_windows expected no negative entries, got -1}}
func.func private @slot_entries() attributes {a = #tamis.slot_windows<entries = -1, run = 16, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>}

// -----

// expected-error@+1 {{slot_windows expected a run of 16 to 65551 elements, got 15}}
func.func private @slot_run() attributes {a = #tamis.slot_windows<entries = 1, run = 15, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>}

// -----

// expected-error@+1 {{slot_windows expected a run of 16 to 65551 elements, got 65552}}
func.func private @slot_long_run() attributes {a = #tamis.slot_windows<entries = 1, run = 65552, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>}
