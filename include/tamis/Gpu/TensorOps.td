// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The internal dialect of contractions on GPUs: fragment instructions and the
// contraction that carries one.

#ifndef TAMIS_GPU_TENSOR_OPS_TD
#define TAMIS_GPU_TENSOR_OPS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/Interfaces.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def TamisGpu_Dialect : Dialect {
  let name = "tamis_gpu";
  let cppNamespace = "::mlir::tamis::device";
  let summary = "contractions decided for a GPU (internal)";
  let description = [{
    Made by `--tamis-select-fragments`, gone after `--tamis-map-to-gpu`. No
    stability is promised between versions.
  }];
  let dependentDialects = ["::mlir::tamis::TamisDialect"];
  let useDefaultAttributePrinterParser = 1;
}

def FragmentAttrInterface : AttrInterface<"FragmentAttrInterface"> {
  let cppNamespace = "::mlir::tamis::device";
  let description = [{
    A product that the 32 lanes of a warp compute together, or each for itself:
    `channels` x `words` of weights times `words` x `rows` of activations, with
    words of 32 bits along the reduction. It says which word each register of
    each lane holds; what copies tiles and what finishes sums ask nothing else.
  }];
  let methods = [
    InterfaceMethod<[{
      The mnemonic by which reports and tests name it.
    }], "::llvm::StringRef", "getInstructionName">,
    InterfaceMethod<[{
      True if it multiplies these element types exactly as the numeric contract
      asks. `lhsUnsigned`/`rhsUnsigned` give the meaning of 8-bit operands.
      Integers of rhs beside floats are constant: they come as codes.
    }], "bool", "accepts", (ins "::mlir::Type":$lhs, "::mlir::Type":$rhs,
        "::mlir::Type":$accumulator, "bool":$lhsUnsigned, "bool":$rhsUnsigned)>,
    InterfaceMethod<[{
      Extents and registers of one product.
    }], "::mlir::tamis::device::FragmentShape", "getShape">,
    InterfaceMethod<[{
      True if weights are 2:4: two of four consecutive elements are stored, and
      a word of metadata in each lane says which.
    }], "bool", "isSparse", (ins), "", "return false;">,
    InterfaceMethod<[{
      Words of workgroup memory through which a warp exchanges its registers; 0
      where the product needs none.
    }], "int64_t", "getExchangeWords", (ins), "", "return 0;">,
    InterfaceMethod<[{
      Channel and stored word that weight register `index` of a lane holds.
    }], "::mlir::tamis::device::LanePlace", "getWeightPlace",
    (ins "int64_t":$index)>,
    InterfaceMethod<[{
      Row and word that activation register `index` of a lane holds.
    }], "::mlir::tamis::device::LanePlace", "getRowPlace", (ins "int64_t":$index)>,
    InterfaceMethod<[{
      Channel and row whose sum register `index` of a lane holds.
    }], "::mlir::tamis::device::LanePlace", "getSumPlace", (ins "int64_t":$index)>,
    InterfaceMethod<[{
      Builds a weight register of elements `code + low`; `codes` is a word with
      an unsigned code in the lowest bits of each element. Only where `accepts`
      takes integers beside floats.
    }], "::mlir::Value", "buildDecode",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$codes, "int64_t":$low), "",
    "llvm_unreachable(\"multiplies no codes\");">,
    InterfaceMethod<[{
      Builds `sums + weights * rows`; all lanes of the workgroup get here
      together. Returns the new sums.
    }], "::llvm::SmallVector<::mlir::Value>", "buildMultiply",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "const ::mlir::tamis::device::FragmentOperands &":$operands)>,
  ];
}

//===-- instructions ------------------------------------------------------===//

class TamisGpu_Fragment<string name, string mnemonic_, list<string> methods = []>
    : AttrDef<TamisGpu_Dialect, name, [
        DeclareAttrInterfaceMethods<FragmentAttrInterface, methods>]> {
  let mnemonic = mnemonic_;
}

def TamisGpu_LaneFmaAttr : TamisGpu_Fragment<"LaneFma", "lane_fma",
    ["buildDecode"]> {
  let summary = "float32 multiply-add, one sum of each lane";
  let description = [{
    Lane `l` has channel `l / 4` and row `l % 4`.

    Example: `#tamis_gpu.lane_fma`
  }];
}

def TamisGpu_LaneDotAttr : TamisGpu_Fragment<"LaneDot", "lane_dot"> {
  let summary = "four products of 8-bit elements into int32, one sum of each lane";
  let description = [{
    `dp4a` where native, else widened, multiplied and added. Lane `l` has channel
    `l / 4` and row `l % 4`.

    Example: `#tamis_gpu.lane_dot<native = true>`
  }];
  let parameters = (ins "bool":$native);
  let assemblyFormat = "`<` struct(params) `>`";
}

def TamisGpu_MmaAttr : TamisGpu_Fragment<"Mma", "mma",
    ["buildDecode", "getExchangeWords"]> {
  let summary = "tensor core product of 16 channels and 8 rows, mma.sync";
  let description = [{
    m16n8k32 of 8-bit integers, whose sums wrap, m16n8k16 of float16 and
    bfloat16 into float32. `emulated` computes it in scalar code from the same
    registers.

    Example: `#tamis_gpu.mma<element = i8, emulated = false>`
  }];
  let parameters = (ins "::mlir::Type":$element, "bool":$emulated);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def TamisGpu_MmaSparseAttr : TamisGpu_Fragment<"MmaSparse", "mma_sparse",
    ["getExchangeWords", "isSparse"]> {
  let summary = "tensor core product of 2:4 weights, mma.sp.sync m16n8k64";
  let description = [{
    8-bit integers, sums wrap, metadata is ordered. `emulated` decodes it in
    scalar code.

    Example: `#tamis_gpu.mma_sparse<emulated = false>`
  }];
  let parameters = (ins "bool":$emulated);
  let assemblyFormat = "`<` struct(params) `>`";
}

def TamisGpu_TilesAttr : AttrDef<TamisGpu_Dialect, "Tiles"> {
  let mnemonic = "tiles";
  let summary = "how a workgroup walks a contraction";
  let description = [{
    A workgroup computes `channels` x `rows` sums, a warp `warpChannels` x
    `warpRows` of them. `words` words of the reduction are in workgroup memory
    at once, in `stages` copies; with more than one, copies are asynchronous and
    run that far ahead. With `splits` above 1 so many workgroups divide the
    reduction of each tile of sums.

    Example: `#tamis_gpu.tiles<channels = 128, rows = 128, words = 16, warpChannels = 32, warpRows = 64, stages = 3>`
  }];
  let parameters = (ins "int64_t":$channels, "int64_t":$rows, "int64_t":$words,
    "int64_t":$warpChannels, "int64_t":$warpRows, "int64_t":$stages,
    DefaultValuedParameter<"int64_t", "1">:$splits);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getWarps() const {
      return getChannels() / getWarpChannels() * (getRows() / getWarpRows());
    }
  }];
}

def TamisGpu_CodesAttr : AttrDef<TamisGpu_Dialect, "Codes"> {
  let mnemonic = "codes";
  let summary = "constant weights of few bits";
  let description = [{
    An element is `low` plus an unsigned code of `bits`, 4 or 8. In memory codes
    have the order in which the lanes of a fragment want them, see `CodeLayout`
    (include/tamis/Gpu/Tensor.h).

    Example: `#tamis_gpu.codes<bits = 4, low = -8>`
  }];
  let parameters = (ins "int64_t":$bits, "int64_t":$low);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def TamisGpu_ListedAttr : AttrDef<TamisGpu_Dialect, "Listed"> {
  let mnemonic = "listed";
  let summary = "constant weights without the words that are zero";
  let description = [{
    Each panel of a tile is a record, see `tamis_gpu.list`, of which the largest
    has `chunks` of 16 bytes. A workgroup puts its words where they belong in
    workgroup memory and multiplies what dense weights would be.

    Example: `#tamis_gpu.listed<chunks = 33>`
  }];
  let parameters = (ins "int64_t":$chunks);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

//===-- operations --------------------------------------------------------===//

class TamisGpu_Op<string mnemonic, list<Trait> traits = []>
    : Op<TamisGpu_Dialect, mnemonic, traits>;

def TamisGpu_CompressOp : TamisGpu_Op<"compress", [Pure]> {
  let summary = "leaves out the zeros of packed 2:4 weights";
  let description = [{
    Of four consecutive elements along the innermost dimension of `packed`, two
    at most are not zero. `values` are those two in order, `metadata` their
    places in the order of the lanes of `#tamis_gpu.mma_sparse`: word `32 * f + l`
    is lane `l`'s for fragment `f`, fragments outer by channels, inner by the
    reduction (`words` words of 32 bits, unpacked, per channel of a tile).

    `--tamis-compress-weights` does it to constants; others do not occur.

    Example:
    ```mlir
    %v, %m = tamis_gpu.compress %p words 16 : tensor<1x1x1x1024xi8> -> tensor<1x1x1x512xi8>, tensor<1x1x1x32xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$packed, I64Attr:$words);
  let results = (outs AnyRankedTensor:$values, AnyRankedTensor:$metadata);
  let assemblyFormat = [{
    $packed `words` $words attr-dict `:` type($packed) `->` type($values) `,`
    type($metadata)
  }];
  let hasVerifier = 1;
}

def TamisGpu_EncodeOp : TamisGpu_Op<"encode", [Pure]> {
  let summary = "packed integers as codes in the order of lanes";
  let description = [{
    `packed` are bytes in tiles, `step` elements of the reduction for each
    channel, which `words` words of `instruction`'s elements hold once they are
    decoded. `encoded` are the same tiles in words of 32 bits by `CodeLayout`,
    each code modulo two to the power of its bits.

    `--tamis-compress-weights` does it to constants; others do not occur.

    Example:
    ```mlir
    %c = tamis_gpu.encode %p by #tamis_gpu.mma<element = f16, emulated = false> codes <bits = 4, low = -8> step 32 words 16 : tensor<1x1x4x1024xi8> -> tensor<1x1x4x128xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$packed,
    FragmentAttrInterface:$instruction, TamisGpu_CodesAttr:$codes, I64Attr:$step,
    I64Attr:$words);
  let results = (outs AnyRankedTensor:$encoded);
  let assemblyFormat = [{
    $packed `by` $instruction `codes` $codes `step` $step `words` $words attr-dict
    `:` type($packed) `->` type($encoded)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::tamis::device::CodeLayout getLayout();
  }];
}

def TamisGpu_ListOp : TamisGpu_Op<"list", [Pure]> {
  let summary = "packed weights without the words that are zero";
  let description = [{
    `packed` are panels of tiles, `words` words of 32 bits for each channel.
    `records` has one record for each, of whole chunks of 16 bytes: the number of
    quads of its first 256 words, that of all its quads, and the quads: a word
    of four places, and the four words that belong there. A place counts words
    of workgroup memory (`exchangeChunks`) from a multiple of 256 on. The last
    quad of 256 words repeats its last word. `starts` has the chunk where each
    record begins, and the number of all.

    `--tamis-compress-weights` does it to constants; others do not occur.

    Example:
    ```mlir
    %r, %s = tamis_gpu.list %p words 16 : tensor<1x1x1x512xf32> -> tensor<8xi32>, tensor<2xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$packed, I64Attr:$words);
  let results = (outs AnyRankedTensor:$records, AnyRankedTensor:$starts);
  let assemblyFormat = [{
    $packed `words` $words attr-dict `:` type($packed) `->` type($records) `,`
    type($starts)
  }];
  let hasVerifier = 1;
}

def TamisGpu_ContractOp : TamisGpu_Op<"contract", [
    AttrSizedOperandSegments, DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    SingleBlockImplicitTerminator<"::mlir::tamis::YieldOp">,
    RecursiveMemoryEffects]> {
  let summary = "a contraction with its fragments and tiles decided";
  let description = [{
    The meaning is that of `tamis.contract` without padding. With `packed`, `rhs`
    is what `tamis_kernel.pack` wrote for tiles: panels of `kPanelChannels`, as
    many as tiles need, its step the reduction of a tile, all reductions being
    one run. Else it is read where it lies. `metadata` comes from
    `tamis_gpu.compress`, `sums` from the pack. `bounds` are the iteration bounds, dynamic ones follow from
    `init` and `lhs`.

    With `codes`, `rhs` comes from `tamis_gpu.encode`. With a `block` dimension,
    the outermost reduction, each of its steps has a sum of its own, which the
    region `combine` adds to a total as in `tamis_kernel.contract`: its arguments
    are the total, the sum and elements of `factors`, read through the last maps.
    A block is a whole number of tiles.

    With `listed`, `rhs` and `metadata` are records and starts of
    `tamis_gpu.list`.

    Where rows are open, `few` has the tiles for at most `rows` of them, of the
    same `words`; which tiles are used is decided at run time.

    Where tiles have `splits`, `parts` is memory for the sums of each part of the
    reduction, splits x groups x rows x channels; what it holds before and after
    has no meaning.

    Example:
    ```mlir
    %y = tamis_gpu.contract ins(%x, %p : tensor<?x72xi8>, tensor<1x1x2x2048xi8>) outs(%e : tensor<?x32xi32>)
           maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
           bounds [-9223372036854775808, 32, 72] accumulator i32 by #tamis_gpu.mma<element = i8, emulated = false>
           tiles <channels = 32, rows = 64, words = 16, warpChannels = 32, warpRows = 32, stages = 3> {packed} -> tensor<?x32xi32>
    ```
  }];
  let arguments = (ins AnyShaped:$lhs, AnyShaped:$rhs,
    Optional<AnyShaped>:$metadata, Optional<AnyShaped>:$sums,
    Optional<AnySignlessInteger>:$lhs_zero, Optional<AnySignlessInteger>:$rhs_zero,
    Variadic<AnyType>:$extras, Variadic<AnyType>:$factors,
    Optional<AnyShaped>:$parts, AnyShaped:$init,
    AffineMapArrayAttr:$indexing_maps, DenseI64ArrayAttr:$bounds, TypeAttr:$accumulator,
    FragmentAttrInterface:$instruction, TamisGpu_TilesAttr:$tiles,
    OptionalAttr<TamisGpu_TilesAttr>:$few, UnitAttr:$packed,
    OptionalAttr<TamisGpu_CodesAttr>:$codes,
    OptionalAttr<TamisGpu_ListedAttr>:$listed, OptionalAttr<I64Attr>:$block, UnitAttr:$lhs_unsigned, UnitAttr:$rhs_unsigned,
    OptionalAttr<StrAttr>:$origin);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let regions = (region MaxSizedRegion<1>:$combine, MaxSizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    `ins` `(` $lhs `,` $rhs `:` type($lhs) `,` type($rhs) `)`
    (`metadata` `(` $metadata^ `:` type($metadata) `)`)?
    (`sums` `(` $sums^ `:` type($sums) `)`)?
    (`lhs_zero` `(` $lhs_zero^ `:` type($lhs_zero) `)`)?
    (`rhs_zero` `(` $rhs_zero^ `:` type($rhs_zero) `)`)?
    (`extras` `(` $extras^ `:` type($extras) `)`)?
    (`factors` `(` $factors^ `:` type($factors) `)`)?
    (`parts` `(` $parts^ `:` type($parts) `)`)?
    `outs` `(` $init `:` type($init) `)`
    `maps` $indexing_maps `bounds` $bounds `accumulator` $accumulator
    `by` $instruction `tiles` $tiles (`few` $few^)? (`codes` $codes^)?
    (`listed` $listed^)? attr-dict
    (`combine` $combine^)? (`epilogue` $epilogue^)?
    (`->` type($result)^)?
  }];
  let hasVerifier = 1;
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
    bool hasEpilogue() { return !getEpilogue().empty(); }
    /// The tiles, of all or of few rows, whose reduction is divided; none may be.
    ::std::optional<::mlir::tamis::device::TilesAttr> getSplitTiles();
    /// What the epilogue sees: the total of all blocks or the accumulator.
    ::mlir::Type getTotalType();
  }];
}

#endif // TAMIS_GPU_TENSOR_OPS_TD
