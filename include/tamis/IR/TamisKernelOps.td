// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The internal dialect: physical operands. Unstable, never serialized.

#ifndef TAMIS_IR_KERNEL_OPS_TD
#define TAMIS_IR_KERNEL_OPS_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "tamis/IR/TamisAttrs.td"

def TamisKernel_Dialect : Dialect {
  let name = "tamis_kernel";
  let cppNamespace = "::mlir::tamis::kernel";
  let summary = "physical operands of generated kernels (internal)";
  let description = [{
    What is decided is written here: which instruction a contraction uses, in
    which order its right operand lies, where a run-time check stands. Made by
    `--tamis-select-instructions` and the importer, gone after
    `--tamis-lower-contractions` and `--tamis-lower-checks`. No stability is
    promised between versions.
  }];
  let dependentDialects = ["::mlir::tamis::TamisDialect"];
}

class TamisKernel_Op<string mnemonic, list<Trait> traits = []>
    : Op<TamisKernel_Dialect, mnemonic, traits>;

def TamisKernel_CheckOp : TamisKernel_Op<"check"> {
  let summary = "records a run-time error without stopping";
  let description = [{
    Or-s `code` into the error word of the call when `condition` is false. The
    caller has clamped whatever the condition guards, so execution goes on in
    bounds and the entry function returns the word.

    Codes are the `TAMIS_FAULT_` bits of Runtime.h: 1 index out of range, 2
    shape mismatch, 4 allocation failed, 8 division by zero, 64 no room in a
    cache.

    Example: `tamis_kernel.check %in_range, 1`
  }];
  let arguments = (ins I1:$condition, I32Attr:$code);
  let assemblyFormat = "$condition `,` $code attr-dict";
}

def TamisKernel_StoreOutputOp : TamisKernel_Op<"store_output",
    [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "hands a result over whose shape only the data decides";
  let description = [{
    At run time allocates output `index` through the host, copies the buffer
    there and reports its dimensions.

    Example: `tamis_kernel.store_output %m, 0 : memref<?x2xi64>`
  }];
  let arguments = (ins AnyMemRef:$source, I64Attr:$index);
  let assemblyFormat = "$source `,` $index attr-dict `:` type($source)";
}

def TamisKernel_PackOp : TamisKernel_Op<"pack", [
    DestinationStyleOpInterface, AttrSizedResultSegments,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "brings a right operand into the order an instruction reads";
  let description = [{
    `packed[g][p][k][c * step + s]` is the source element at group g (the
    `groups` dimensions of the source, linearized), column `p * width + c` (of
    dimension `column`), reduction step `k * step + s` (the `reductions`
    dimensions, linearized; the innermost `run` of them together are padded to a
    multiple of the step). What lies outside the source is zero. Integers are
    read by `is_unsigned` and lessened by `offset`. `sums[g][column]` is the sum
    of the packed column.

    With `nibbles`, elements are 0 to 15 and a byte holds two: `packed[g][p][k]`
    is step 2k in the low and step 2k + 1 in the high halves.

    Of a constant it becomes a new parameter (`--tamis-pack-parameters`), of an
    activation a loop.

    Example:
    ```mlir
    %p = tamis_kernel.pack ins(%w : tensor<3x3x8x32xf32>) outs(%e : tensor<1x1x72x32xf32>)
           groups [] column 3 reductions [0, 1, 2] run 1 step 1 -> tensor<1x1x72x32xf32>
    ```
  }];
  let arguments = (ins AnyShaped:$source, AnyShaped:$packed,
    Optional<AnyShaped>:$sums, DenseI64ArrayAttr:$groups, I64Attr:$column,
    DenseI64ArrayAttr:$reductions, I64Attr:$run, I64Attr:$step,
    DefaultValuedAttr<I64Attr, "0">:$offset, UnitAttr:$is_unsigned,
    UnitAttr:$nibbles);
  let results = (outs Optional<AnyRankedTensor>:$packed_result,
                      Optional<AnyRankedTensor>:$sums_result);
  let assemblyFormat = [{
    `ins` `(` $source `:` type($source) `)` `outs` `(` $packed `:` type($packed) `)`
    (`sums` `(` $sums^ `:` type($sums) `)`)?
    `groups` $groups `column` $column `reductions` $reductions `run` $run
    `step` $step attr-dict (`->` type($packed_result)^ (`sums` type($sums_result)^)?)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable();
    /// Columns of one panel.
    int64_t getWidth();
  }];
}

def TamisKernel_PackStreamOp : TamisKernel_Op<"pack_stream",
    [Pure]> {
  let summary = "brings constant weights into a row stream";
  let description = [{
    `values` are the entries of `#tamis.row_stream`: `step` elements of a word,
    then the bytes of an i32, its distance in words from the beginning of the
    stage. `starts` has the first entry and the column of each list and, last,
    the number of all entries. Words are numbered along the reductions without
    the taps; word `w` of tap `t` is `w * pitch + t` words in, and as many lines
    further as the tap between lines says.
    With `channels`, lists are those of groups of so many columns, and an entry
    has as many words: those of `depth` entries lie channel by channel, in front
    of their distances.
    Where `bound` is not zero, weights are divided among several words of one
    offset until two neighbours of one sign have at most that magnitude
    together. The rest is as for `tamis_kernel.pack`.

    Example:
    ```mlir
    %v, %s = tamis_kernel.pack_stream %w column 1 reductions [0] step 1 #tamis.row_stream<entries = 9, positions = 32, pitch = 32>
        : tensor<72x32xf32> -> tensor<9x2xf32>, tensor<65xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$source, I64Attr:$column,
    DenseI64ArrayAttr:$reductions, I64Attr:$step, Tamis_RowStreamAttr:$storage,
    DefaultValuedAttr<I64Attr, "0">:$bound,
    DefaultValuedAttr<I64Attr, "0">:$offset, UnitAttr:$is_unsigned);
  let results = (outs AnyRankedTensor:$values, AnyRankedTensor:$starts,
                      Optional<AnyRankedTensor>:$sums);
  let assemblyFormat = [{
    $source `column` $column `reductions` $reductions `step` $step $storage
    attr-dict `:` type($source) `->` type($values) `,` type($starts)
    (`sums` type($sums)^)?
  }];
  let hasVerifier = 1;
}

def TamisKernel_CompressOp : TamisKernel_Op<"compress", [Pure]> {
  let summary = "leaves the zeros of packed constant weights out";
  let description = [{
    The arrays of `#tamis.bitmask`: `values` are the stored units and one vector
    of zeros, `masks` an integer for each vector of `packed`, as it lies, and
    `starts` the number of units before each panel and, last, of all.

    Example:
    ```mlir
    %v, %m, %s = tamis_kernel.compress %p #tamis.bitmask<entries = 9, unit = 1, expansion = #tamis.x86_shuffle<bytes = 4>>
        : tensor<1x4x72x32xf32> -> tensor<17xf32>, tensor<1152xi8>, tensor<5xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$packed, Tamis_BitmaskAttr:$storage);
  let results = (outs AnyRankedTensor:$values, AnyRankedTensor:$masks,
                      AnyRankedTensor:$starts);
  let assemblyFormat = [{
    $packed $storage attr-dict `:` type($packed) `->` type($values) `,`
    type($masks) `,` type($starts)
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$packed,
                                 "::mlir::tamis::BitmaskAttr":$storage)>];
  let hasVerifier = 1;
}

def TamisKernel_ListBlocksOp : TamisKernel_Op<"list_blocks", [Pure]> {
  let summary = "leaves the zero blocks of packed constant weights out";
  let description = [{
    The arrays of `#tamis.block_list`: `values` are the stored blocks, `places`
    where in its run each lies, in blocks, and `starts` the first block of each
    list and, last, the number of all.

    Example:
    ```mlir
    %v, %p, %s = tamis_kernel.list_blocks %w <entries = 9, steps = 16, run = 192>
        : tensor<1x96x192x128xi8> -> tensor<9x16x128xi8>, tensor<9xi32>, tensor<97xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$packed, Tamis_BlockListAttr:$storage);
  let results = (outs AnyRankedTensor:$values, AnyRankedTensor:$places,
                      AnyRankedTensor:$starts);
  let assemblyFormat = [{
    $packed $storage attr-dict `:` type($packed) `->` type($values) `,`
    type($places) `,` type($starts)
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$packed,
                                 "::mlir::tamis::BlockListAttr":$storage)>];
  let hasVerifier = 1;
}

def TamisKernel_BoundOp : TamisKernel_Op<"bound", [Pure,
    AllTypesMatch<["packed", "panels"]>]> {
  let summary = "splits packed constant weights into bounded panels and entries";
  let description = [{
    The arrays of `#tamis.bounded`: the panels, `values` of the entries, `places`
    where in the reduction each lies, and `starts` the first entry of each panel
    and, last, the number of all.

    Example:
    ```mlir
    %b, %v, %p, %s = tamis_kernel.bound %w <entries = 9, steps = 2, run = 183>
        : tensor<1x8x138x64xi8> -> tensor<9x64xi8>, tensor<9xi32>, tensor<9xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$packed, Tamis_BoundedAttr:$storage);
  let results = (outs AnyRankedTensor:$panels, AnyRankedTensor:$values,
                      AnyRankedTensor:$places, AnyRankedTensor:$starts);
  let assemblyFormat = [{
    $packed $storage attr-dict `:` type($packed) `->` type($values) `,`
    type($places) `,` type($starts)
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$packed,
                                 "::mlir::tamis::BoundedAttr":$storage)>];
  let hasVerifier = 1;
}

def TamisKernel_EncodeOp : TamisKernel_Op<"encode", [Pure]> {
  let summary = "brings packed constant weights into a storage of fixed stride";
  let description = [{
    The two arrays of the storage: of `#tamis.n_of_m` the stored elements and the
    places of each vector, of `#tamis.codebook` panels of codes and the table.

    Example:
    ```mlir
    %v, %p = tamis_kernel.encode %w : tensor<1x4x18x128xf32>
        as #tamis.n_of_m<entries = 4608, selection = #tamis.x86_select_fma<lanes = 8, kept = 2>> -> tensor<4608xf32>, tensor<288xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$packed, StorageAttrInterface:$storage);
  let results = (outs AnyRankedTensor:$values, AnyRankedTensor:$keys);
  let assemblyFormat = [{
    $packed attr-dict `:` type($packed) `as` $storage `->` type($values) `,`
    type($keys)
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$packed,
                                 "::mlir::tamis::StorageAttrInterface":$storage)>];
  let hasVerifier = 1;
}

def TamisKernel_FillSlotsOp : TamisKernel_Op<"fill_slots", [Pure]> {
  let summary = "brings packed constant weights into slots of windows";
  let description = [{
    The arrays of `#tamis.slot_windows`: `values` are the bytes of the entries,
    `places` the elements of the reduction where the windows of each begin, and `starts` the
    first entry of each panel and, last, the number of all. Where `bound` is not
    zero, two bytes of a channel and one sign in a window have at most that
    magnitude together.

    Example:
    ```mlir
    %v, %p, %s = tamis_kernel.fill_slots %w <entries = 9, run = 768, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>
        : tensor<1x4x192x32xi8> -> tensor<9x96xi8>, tensor<9x4xi16>, tensor<5xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$packed, Tamis_SlotWindowsAttr:$storage,
    DefaultValuedAttr<I64Attr, "0">:$bound);
  let results = (outs AnyRankedTensor:$values, AnyRankedTensor:$places,
                      AnyRankedTensor:$starts);
  let assemblyFormat = [{
    $packed $storage attr-dict `:` type($packed) `->` type($values) `,`
    type($places) `,` type($starts)
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$packed,
                                 "::mlir::tamis::SlotWindowsAttr":$storage,
                                 "int64_t":$bound)>];
  let hasVerifier = 1;
}

def TamisKernel_WinogradWeightsOp : TamisKernel_Op<"winograd_weights", [Pure]> {
  let summary = "transforms constant weights of 3x3 windows";
  let description = [{
    `result[p][channel][column]` is place `p` (line by line) of the tile that the
    window of `column` and `channel` becomes for tiles of `output` x `output` results,
    computed in float64. The numbers say which dimension of `source` is which.

    Example:
    ```mlir
    %u = tamis_kernel.winograd_weights %w output 4 column 0 channel 1 window [2, 3]
        : tensor<32x16x3x3xf32> -> tensor<36x16x32xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$source, I64Attr:$output, I64Attr:$column,
    I64Attr:$channel, DenseI64ArrayAttr:$window);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $source `output` $output `column` $column `channel` $channel `window` $window
    attr-dict `:` type($source) `->` type($result)
  }];
  let hasVerifier = 1;
}

def TamisKernel_WinogradInputOp : TamisKernel_Op<"winograd_input", [
    DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "transforms tiles of activations";
  let description = [{
    `tiles[p][t]` are the channels of place `p` of the transformed tile `t`. Tiles
    of `output` + 2 lines and places begin every `output`, from line `line` of
    tiles of image `image` on, and go line by line. What lies outside of
    `source` is zero; lines of tiles without a result stay as they are.

    Example:
    ```mlir
    tamis_kernel.winograd_input ins(%x : memref<1x30x30x16xf32>) outs(%v : memref<36x14x16xf32>)
        at %image, %line output 4 by #tamis.vector_fma<lanes = 8, fused = true>
    ```
  }];
  let arguments = (ins AnyMemRef:$source, AnyMemRef:$tiles, Index:$image,
    Index:$line, I64Attr:$output, InstructionAttrInterface:$instruction);
  let assemblyFormat = [{
    `ins` `(` $source `:` type($source) `)` `outs` `(` $tiles `:` type($tiles) `)`
    `at` $image `,` $line `output` $output `by` $instruction attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getTilesMutable(); }
  }];
}

def TamisKernel_WinogradOutputOp : TamisKernel_Op<"winograd_output", [
    DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    SingleBlockImplicitTerminator<"::mlir::tamis::YieldOp">,
    RecursiveMemoryEffects]> {
  let summary = "transforms products of tiles back, with an epilogue";
  let description = [{
    The reverse of `tamis_kernel.winograd_input`: tile `t` of products becomes
    `output` x `output` places of `init`, as far as these exist. `epilogue` is
    that of `tamis.contract`; `indexing_maps` read the extra operands, from the
    dimensions of `init`.

    Example:
    ```mlir
    tamis_kernel.winograd_output ins(%m : memref<36x14x32xf32>) extras(%bias : memref<32xf32>)
        outs(%y : memref<1x28x28x32xf32>) maps [affine_map<(n, h, w, c) -> (c)>]
        at %image, %line output 4 by #tamis.vector_fma<lanes = 8, fused = true> epilogue {
    ^bb0(%sum: f32, %b: f32):
      %r = arith.addf %sum, %b : f32
      tamis.yield %r : f32
    }
    ```
  }];
  let arguments = (ins AnyMemRef:$tiles, Variadic<AnyType>:$extras,
    AnyMemRef:$init, Index:$image, Index:$line, AffineMapArrayAttr:$indexing_maps,
    I64Attr:$output, InstructionAttrInterface:$instruction);
  let regions = (region MaxSizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    `ins` `(` $tiles `:` type($tiles) `)` (`extras` `(` $extras^ `:` type($extras) `)`)?
    `outs` `(` $init `:` type($init) `)` `maps` $indexing_maps
    `at` $image `,` $line `output` $output `by` $instruction attr-dict
    (`epilogue` $epilogue^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
    bool hasEpilogue() { return !getEpilogue().empty(); }
  }];
}

def TamisKernel_ContractOp : TamisKernel_Op<"contract", [
    AttrSizedOperandSegments, DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    SingleBlockImplicitTerminator<"::mlir::tamis::YieldOp">,
    RecursiveMemoryEffects]> {
  let summary = "a contraction with its operands in place and its code decided";
  let description = [{
    The meaning is that of `tamis.contract` without padding. `rhs` is what
    `tamis_kernel.pack` wrote when `packed` is set (the rhs map then still
    speaks of the unpacked operand), else it is read with its strides. `bounds`
    are the iteration bounds, dynamic ones follow from `init` and `lhs`. With a
    `storage`, `rhs` and `stream` are what `tamis_kernel.pack_stream` or, where
    `packed` is set too, `tamis_kernel.compress`, `list_blocks`, `bound`, `encode`
    or `fill_slots` made,
    with `nibbles` a packed `rhs` has two elements in a byte.

    With a `block` dimension, the outermost reduction, each of its steps has a sum
    of its own. The region `combine` adds it to the total, which begins at zero
    and is what the epilogue sees: its arguments are the total, the sum and
    elements of `factors`, read through the last maps over all iteration
    dimensions. Factors that follow column and block are packed like `rhs`, by
    steps of one.

    `instruction` multiplies; `tile` is rows and vectors of the register block,
    then (0: all) positions of a cache block, elements of a piece of the sum, rows
    of a strip; `tasks` is the number of pieces that may run at the same time.

    Example:
    ```mlir
    %y = tamis_kernel.contract ins(%x, %p : tensor<?x72xf32>, tensor<1x1x72x32xf32>) outs(%e : tensor<?x32xf32>)
           maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
           iterators ["parallel", "parallel", "reduction"] bounds [-9223372036854775808, 32, 72]
           accumulator f32 by #tamis.vector_fma<lanes = 16, fused = true> tile [6, 2, 0] {packed} -> tensor<?x32xf32>
    ```
  }];
  let arguments = (ins AnyShaped:$lhs, AnyShaped:$rhs,
    Variadic<AnyShaped>:$stream, Optional<AnyShaped>:$sums,
    Optional<AnySignlessInteger>:$lhs_zero, Optional<AnySignlessInteger>:$rhs_zero,
    Variadic<AnyType>:$extras, Variadic<AnyType>:$factors, AnyShaped:$init,
    AffineMapArrayAttr:$indexing_maps, StrArrayAttr:$iterator_types,
    DenseI64ArrayAttr:$bounds, TypeAttr:$accumulator,
    InstructionAttrInterface:$instruction, DenseI64ArrayAttr:$tile,
    DefaultValuedAttr<I64Attr, "1">:$tasks,
    UnitAttr:$packed, UnitAttr:$nibbles, OptionalAttr<I64Attr>:$block,
    OptionalAttr<StorageAttrInterface>:$storage,
    UnitAttr:$lhs_unsigned, UnitAttr:$rhs_unsigned,
    OptionalAttr<StrAttr>:$origin);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let regions = (region MaxSizedRegion<1>:$combine,
                        MaxSizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    `ins` `(` $lhs `,` $rhs `:` type($lhs) `,` type($rhs) `)`
    (`stream` `(` $stream^ `:` type($stream) `)`)?
    (`sums` `(` $sums^ `:` type($sums) `)`)?
    (`lhs_zero` `(` $lhs_zero^ `:` type($lhs_zero) `)`)?
    (`rhs_zero` `(` $rhs_zero^ `:` type($rhs_zero) `)`)?
    (`extras` `(` $extras^ `:` type($extras) `)`)?
    (`factors` `(` $factors^ `:` type($factors) `)`)?
    `outs` `(` $init `:` type($init) `)`
    `maps` $indexing_maps `iterators` $iterator_types `bounds` $bounds
    `accumulator` $accumulator `by` $instruction `tile` $tile attr-dict
    (`combine` $combine^)? (`epilogue` $epilogue^)? (`->` type($result)^)?
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
    ::mlir::AffineMap getMap(unsigned i);
    ::mlir::AffineMap getLhsMap() { return getMap(0); }
    ::mlir::AffineMap getRhsMap() { return getMap(1); }
    ::mlir::AffineMap getOutMap() { return getMap(2); }
    /// The map through which extra operand `i` is read.
    ::mlir::AffineMap getExtraMap(unsigned i) { return getMap(3 + i); }
    /// The map through which factor `i` is read.
    ::mlir::AffineMap getFactorMap(unsigned i) {
      return getMap(3 + getExtras().size() + i);
    }
    /// True if factor `i` follows column and block: it is packed.
    bool isFactorPacked(unsigned i);
    bool hasEpilogue() { return !getEpilogue().empty(); }
    /// What the epilogue sees, and is stored without one: the total of all
    /// blocks or the accumulator.
    ::mlir::Type getTotalType();
  }];
}

#endif // TAMIS_IR_KERNEL_OPS_TD
