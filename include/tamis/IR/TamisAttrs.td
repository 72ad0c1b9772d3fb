// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attributes: the target, the policy, the instructions.

#ifndef TAMIS_IR_ATTRS_TD
#define TAMIS_IR_ATTRS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "tamis/IR/TamisDialect.td"
include "tamis/IR/TamisInterfaces.td"

class Tamis_Attr<string name, string mnemonic_, list<Trait> traits = []>
    : AttrDef<Tamis_Dialect, name, traits> {
  let mnemonic = mnemonic_;
}

def Tamis_TargetAttr : Tamis_Attr<"Target", "target"> {
  let summary = "one machine to generate code for";
  let description = [{
    A machine is its feature list, never a CPU name: LLVM calls an AMX machine
    `rocketlake`. Cache sizes are bytes per core; `threads` is the upper bound
    of the task split.

    Example: `#tamis.target<"x86_64", ["avx2", "fma"], l1 = 32768, l2 = 1048576, threads = 1>`
  }];
  let parameters = (ins
    StringRefParameter<"LLVM architecture name">:$arch,
    OptionalArrayRefParameter<"::mlir::StringAttr", "LLVM target features">:$features,
    DefaultValuedParameter<"int64_t", "32768">:$l1,
    DefaultValuedParameter<"int64_t", "1048576">:$l2,
    DefaultValuedParameter<"int64_t", "1">:$threads);
  let genVerifyDecl = 1;
  let assemblyFormat = [{
    `<` $arch `,` `[` (`]`) : ($features^ `]`)? `` custom<Sizes>($l1, $l2, $threads) `>`
  }];
  let extraClassDeclaration = [{
    /// True if the feature list holds `feature` (without `+`).
    bool hasFeature(::llvm::StringRef feature) const;
    /// The features as LLVM spells a feature string: `+avx2,+fma`.
    std::string getFeatureString() const;
  }];
}

def Tamis_ProfileAttr : Tamis_Attr<"Profile", "profile"> {
  let summary = "what the cost models know of a machine";
  let description = [{
    `facts` are numbers by name, of which those that are missing have their
    built-in value (lib/Target/Profile.cpp has the names and units). `measured`
    holds, by the key of a contraction and the name of a candidate, the
    microseconds that it took.

    Example: `#tamis.profile<facts = {dense.share = 0.9 : f64}>`
  }];
  let parameters = (ins "::mlir::DictionaryAttr":$facts,
                        OptionalParameter<"::mlir::DictionaryAttr">:$measured);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// Microseconds of `candidate` for the contraction `key`.
    std::optional<double> getMeasured(::llvm::StringRef key,
                                      ::llvm::StringRef candidate) const;
  }];
}

def Tamis_PolicyAttr : Tamis_Attr<"Policy", "policy"> {
  let summary = "what numeric freedom the passes have";
  let description = [{
    `strict` asks every quantized operation to equal its QLinear formula bit
    for bit and forbids reassociation of float sums. `allow_bf16` permits
    bfloat16 products of float32 operands.

    Example: `#tamis.policy<strict = true>`
  }];
  let parameters = (ins DefaultValuedParameter<"bool", "false">:$strict,
                        DefaultValuedParameter<"bool", "false">:$allowBf16);
  let assemblyFormat = "`<` struct(params) `>`";
}

/// What a code stands for, in units of its scale. Names are those that
/// `weight-system` takes.
def Tamis_NumberSystem : I32EnumAttr<"NumberSystem", "number system of a quantized tensor", [
    I32EnumAttrCase<"Integer", 0, "integer">,
    I32EnumAttrCase<"FixedPoint", 1, "fixed_point">,
    I32EnumAttrCase<"Codebook", 2, "codebook">,
    I32EnumAttrCase<"PowerOfTwo", 3, "power_of_two">,
    I32EnumAttrCase<"Float8E4M3FN", 4, "float8_e4m3fn">,
    I32EnumAttrCase<"Float8E5M2", 5, "float8_e5m2">,
    I32EnumAttrCase<"Float16", 6, "float16">,
    I32EnumAttrCase<"BFloat16", 7, "bfloat16">]> {
  let cppNamespace = "::mlir::tamis";
  let genSpecializedAttr = 0;
}

def Tamis_SchemeAttr : Tamis_Attr<"Scheme", "scheme"> {
  let summary = "how one tensor is to be quantized";
  let description = [{
    Decided by `--tamis-select-quantization`, applied by `--tamis-quantize`.
    `bits` and `isUnsigned` give the integer range; `symmetric` fixes the zero
    point at zero (at the middle where unsigned). Without `axis` the tensor has
    one scale; with `axis` one per index of it; with `block` too, one for each
    `block` consecutive elements of `axis` and each index of all others.

    `system` says what codes stand for: integers; integers whose scale is a
    power of two (`fixed_point`; `fraction = p` fixes it at 2 to the -p); one of
    2 to the `bits` learned values (`codebook`); zero or a signed power of two
    (`power_of_two`); floats of 8 or 16 bits, the latter without scales.

    `exact` says that the values lie on a grid of integers already, which is
    found again instead of chosen; `offset` that it has a real offset per scale
    and no zero point.

    Example: `#tamis.scheme<bits = 8, isUnsigned = true>`,
    `#tamis.scheme<bits = 4, symmetric = true, axis = 0, block = 32>`,
    `#tamis.scheme<bits = 4, symmetric = true, system = codebook>`
  }];
  let parameters = (ins
    "int64_t":$bits,
    DefaultValuedParameter<"bool", "false">:$isUnsigned,
    DefaultValuedParameter<"bool", "false">:$symmetric,
    DefaultValuedParameter<"int64_t", "-1">:$axis,
    DefaultValuedParameter<"int64_t", "0">:$block,
    DefaultValuedParameter<"::mlir::tamis::NumberSystem", "::mlir::tamis::NumberSystem::Integer">:$system,
    OptionalParameter<"::std::optional<int64_t>">:$fraction,
    DefaultValuedParameter<"bool", "false">:$exact,
    DefaultValuedParameter<"bool", "false">:$offset);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
  // Values that are on no grid yet: of integers, and of any system.
  let builders = [AttrBuilder<(ins "int64_t":$bits, "bool":$isUnsigned,
      "bool":$symmetric, "int64_t":$axis, "int64_t":$block), [{
    return $_get($_ctxt, bits, isUnsigned, symmetric, axis, block,
                 NumberSystem::Integer, std::nullopt, false, false);
  }]>, AttrBuilder<(ins "int64_t":$bits, "bool":$isUnsigned,
      "bool":$symmetric, "int64_t":$axis, "int64_t":$block,
      "::mlir::tamis::NumberSystem":$system,
      "::std::optional<int64_t>":$fraction), [{
    return $_get($_ctxt, bits, isUnsigned, symmetric, axis, block, system,
                 fraction, false, false);
  }]>];
  let extraClassDeclaration = [{
    /// Whether codes are integers times a scale, as QuantizeLinear's.
    bool hasIntegers() const {
      return getSystem() == NumberSystem::Integer ||
             getSystem() == NumberSystem::FixedPoint;
    }
    /// The least and the greatest integer of the range.
    int64_t getMin() const;
    int64_t getMax() const;
    bool isPerTensor() const { return getAxis() < 0; }
  }];
}

def Tamis_RowStreamAttr : Tamis_Attr<"RowStream", "row_stream", [
    DeclareAttrInterfaceMethods<StorageAttrInterface, ["getStreams", "withoutEntries"]>]> {
  let summary = "the nonzero words of weights, output channel by output channel";
  let description = [{
    A word is 32 bits of one output channel along the reduction: one float32 or
    four 8-bit elements. One array holds `entries` words, each followed by the
    place of its activations in a block of `positions` rows that the kernel has
    staged word by word, `pitch` words apart; another where the list of each
    output channel begins: CSR whose indices are data, not code. Words of nothing
    but zeros are left out.

    The second reduction from inside has `taps` steps that read what the next
    rows read as well (the width of a window that moves by one); these share one
    staged word. Where `line` is not 0, lines of so many positions are walked as
    one loop, those that are no rows for nothing, and the steps of the third
    reduction from inside share staged words too: they read `line` positions on.

    An entry has the words of `channels` neighbouring output channels at one
    place and is left out if all of them are zero. `depth` entries lie together,
    channel by channel, as rows of a register tile, and behind them their places:
    the entries of each group of channels are a multiple of that, the last ones
    zeros.

    The innermost reduction may be cut into `parts` of as many words, so that the
    stage of one is small: all entries of a part lie before those of the next.
    Where they all have room in a stage (`stagesAllParts`), one is staged behind
    the other, and else one after the other in the same place.

    Lists lie in the order of their channels, or among every `sorted` of them the
    longest first, so that neighbours are about as long and a processor foresees
    where they end.

    Example: `#tamis.row_stream<entries = 3, positions = 32, pitch = 40, taps = 3>`,
    `#tamis.row_stream<entries = 48, positions = 32, pitch = 32, channels = 32, depth = 16>`,
    `#tamis.row_stream<entries = 3, positions = 64, pitch = 64, parts = 4, sorted = 128>`
  }];
  let parameters = (ins "int64_t":$entries, "int64_t":$positions,
                        "int64_t":$pitch, DefaultValuedParameter<"int64_t", "1">:$taps,
                        DefaultValuedParameter<"int64_t", "0">:$line,
                        DefaultValuedParameter<"int64_t", "1">:$channels,
                        DefaultValuedParameter<"int64_t", "1">:$depth,
                        DefaultValuedParameter<"int64_t", "1">:$parts,
                        DefaultValuedParameter<"int64_t", "1">:$sorted);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tamis_BitmaskAttr : Tamis_Attr<"Bitmask", "bitmask", [
    DeclareAttrInterfaceMethods<StorageAttrInterface, ["hasPanels", "withoutEntries"]>]> {
  let summary = "packed weights without the units that are zero, and which are there";
  let description = [{
    Panels as `tamis_kernel.pack` orders them, cut into units of `unit` elements
    of one output channel, consecutive in the reduction. Units of nothing but
    zeros are left out; `entries` are stored, one after the other. A mask
    says for each vector of units which are there, and an array where each panel
    begins. All of it is read in order, vector by vector, by `expansion`, which
    also says how many units a vector has.

    Example: `#tamis.bitmask<entries = 9, unit = 2, expansion = #tamis.x86_shuffle<bytes = 2>>`
  }];
  let parameters = (ins "int64_t":$entries, "int64_t":$unit,
                        "::mlir::tamis::ExpansionAttrInterface":$expansion);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// Elements of one vector: as many are readable behind the last entry.
    int64_t getVectorElements() const;
  }];
}

def Tamis_BlockListAttr : Tamis_Attr<"BlockList", "block_list", [
    DeclareAttrInterfaceMethods<StorageAttrInterface, ["hasPanels"]>]> {
  let summary = "packed weights without the blocks that are zero, and where the others lie";
  let description = [{
    Panels as `tamis_kernel.pack` orders them. What a panel has for one
    iteration of the outer reductions is `run` reduction steps, cut into blocks
    of `steps`. Blocks of nothing but zeros are left out; `entries` are stored,
    one after the other. A list for each such run says where in the run its
    blocks lie, counted in blocks, and an array where each list begins: indices
    are data, not code. The kernel is that of dense panels, which walks a list
    instead of the run.

    Example: `#tamis.block_list<entries = 9, steps = 16, run = 192>`
  }];
  let parameters = (ins "int64_t":$entries, "int64_t":$steps, "int64_t":$run);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tamis_BoundedAttr : Tamis_Attr<"Bounded", "bounded", [
    DeclareAttrInterfaceMethods<StorageAttrInterface, ["hasPanels", "getStreams", "withoutEntries"]>]> {
  let summary = "packed weights whose sums of neighbours stay within 16 bits, and what is left of the others";
  let description = [{
    For instructions that add products up in 16 bits (`getPairBound`). Panels as
    `tamis_kernel.pack` orders them, with weights made smaller until those that
    `steps` steps add up in 16 bits, 2 of each, are at most the bound of either
    sign together. What was taken away lies in `entries` steps of all columns of
    a panel, multiplied one by one: values, the element of the reduction where
    each begins (not counting what fills up the last step of a run of `run`
    elements), and an array where the entries of each panel begin. Panels and
    entries together are the weights, so results are exact.

    Example: `#tamis.bounded<entries = 9, steps = 2, run = 183>`
  }];
  let parameters = (ins "int64_t":$entries, "int64_t":$steps, "int64_t":$run);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

/// What `tamis_kernel.encode` makes.
class Tamis_EncodedAttr<string name, string mnemonic>
    : Tamis_Attr<name, mnemonic, [DeclareAttrInterfaceMethods<
        StorageAttrInterface, ["hasPanels", "getStreams", "getEncoded"]>]> {
  let extraClassDefinition = [{
    bool $cppClass::hasPanels() const { return true; }
    int64_t $cppClass::getStreams() const { return 1; }
  }];
}

def Tamis_NOfMAttr : Tamis_EncodedAttr<"NOfM", "n_of_m"> {
  let summary = "packed weights of which each step of a lane keeps equally many";
  let description = [{
    Panels as `tamis_kernel.pack` orders them for `selection`, an instruction
    that multiplies N of every M consecutive weights of an output channel. Of
    each vector of steps the N are stored, and an integer that says where they
    stand; `entries` elements altogether. Where fewer are not zero, zeros fill
    up. Nothing has to be looked for: vector i begins at a multiple of i.

    Example: `#tamis.n_of_m<entries = 256, selection = #tamis.x86_select_fma<lanes = 8, kept = 2>>`
  }];
  let parameters = (ins "int64_t":$entries,
                        "::mlir::tamis::SelectionAttrInterface":$selection);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// The instruction that `selection` is.
    ::mlir::tamis::InstructionAttrInterface getInstruction() const;
    /// Stored elements of one vector.
    int64_t getVectorElements() const;
  }];
}

def Tamis_CodebookAttr : Tamis_EncodedAttr<"Codebook", "codebook"> {
  let summary = "packed weights of few values as places in a table of them";
  let description = [{
    Panels as `tamis_kernel.pack` orders nibbles: two codes in a byte, each the
    place of an element in a table of 16, of which `entries` are in use, in
    ascending order. `lookup` brings the elements back.

    Example: `#tamis.codebook<entries = 9, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>>`
  }];
  let parameters = (ins "int64_t":$entries,
                        "::mlir::tamis::LookupAttrInterface":$lookup);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// Elements of a table, in use or not.
    static constexpr int64_t kCodes = 16;
  }];
}

def Tamis_WinogradAttr : Tamis_Attr<"Winograd", "winograd", [
    DeclareAttrInterfaceMethods<StorageAttrInterface, ["getEntries", "hasPanels", "getStreams"]>]> {
  let summary = "weights of 3x3 windows as products of transformed tiles take them";
  let description = [{
    Winograd's minimal filtering F(m x m, 3 x 3), `m` = `output` (Lavin and Gray,
    "Fast Algorithms for Convolutional Neural Networks", CVPR 2016): a tile of m x m
    results is the inverse transform of element-wise products of transformed
    tiles of (m + 2) x (m + 2) weights and activations. Summed over channels, those are
    (m + 2)^2 matrix products, with 9 m^2 / (m + 2)^2 times fewer
    multiplications than windows have.

    Panels are those of `tamis_kernel.pack`, a group for each place of a tile.
    `strip` lines of tiles are computed at a time.

    Example: `#tamis.winograd<output = 4, strip = 7>`
  }];
  let parameters = (ins "int64_t":$output, "int64_t":$strip);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// Lines, and places of a line, of a tile of weights or activations.
    int64_t getSize() const { return getOutput() + 2; }
  }];
}

//===-- lookups -----------------------------------------------------------===//

def Tamis_X86LookupAttr : Tamis_Attr<"X86Lookup", "x86_lookup", [
    DeclareAttrInterfaceMethods<LookupAttrInterface>]> {
  let summary = "elements of a table of 16, by shuffles";
  let description = [{
    Elements of 4 `bytes` by vpermps, of 1 by vpshufb; vectors are of 16 bytes
    (elements of 1), 32 (AVX2) or 64 (AVX-512).

    Example: `#tamis.x86_lookup<bytes = 4, elements = 8>`
  }];
  let parameters = (ins "int64_t":$bytes, "int64_t":$elements);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

//===-- expansions --------------------------------------------------------===//

def Tamis_X86ShuffleAttr : Tamis_Attr<"X86Shuffle", "x86_shuffle", [
    DeclareAttrInterfaceMethods<ExpansionAttrInterface>]> {
  let summary = "eight units put in place by a shuffle from a table of 256 masks";
  let description = [{
    Units of 2 `bytes` by vpshufb, of 4 by vpermps: AVX2.

    Example: `#tamis.x86_shuffle<bytes = 4>`
  }];
  let parameters = (ins "int64_t":$bytes);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tamis_X86ExpandAttr : Tamis_Attr<"X86Expand", "x86_expand", [
    DeclareAttrInterfaceMethods<ExpansionAttrInterface>]> {
  let summary = "units of 64 bytes put in place by one instruction";
  let description = [{
    Units of 4 `bytes` by vpexpandd (AVX512F), of 1 by vpexpandb (VBMI2).

    Example: `#tamis.x86_expand<bytes = 1>`
  }];
  let parameters = (ins "int64_t":$bytes);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

//===-- instructions ------------------------------------------------------===//

class Tamis_InstructionAttr<string name, string mnemonic_>
    : Tamis_Attr<name, mnemonic_, [DeclareAttrInterfaceMethods<
        InstructionAttrInterface, ["getLhsOffset", "isTile"]>]>;

def Tamis_VectorFmaAttr : Tamis_Attr<"VectorFma", "vector_fma", [
    DeclareAttrInterfaceMethods<InstructionAttrInterface, [
      "getLhsOffset", "isTile", "buildNibbles"]>]> {
  let summary = "float32 multiply-add over one vector";
  let description = [{
    `lanes` products and sums of float32 (float16, bfloat16 and weights that are
    bytes are widened); `fused` where the target has a fused form, else multiply
    and add.

    Example: `#tamis.vector_fma<lanes = 16, fused = true>`
  }];
  let parameters = (ins "int64_t":$lanes, "bool":$fused);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tamis_VectorMulAttr : Tamis_Attr<"VectorMul", "vector_mul", [
    DeclareAttrInterfaceMethods<InstructionAttrInterface, [
      "getLhsOffset", "isTile", "getCycles"]>]> {
  let summary = "integers widened to int32, multiplied and added";
  let description = [{
    Exact on every target, one reduction step per lane.

    Example: `#tamis.vector_mul<lanes = 4>`
  }];
  let parameters = (ins "int64_t":$lanes);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tamis_X86MaddAttr : Tamis_Attr<"X86Madd", "x86_madd", [
    DeclareAttrInterfaceMethods<InstructionAttrInterface, [
      "getLhsOffset", "isTile", "getStagedType", "getCycles"]>]> {
  let summary = "8-bit pairs widened to int16, vpmaddwd";
  let description = [{
    Exact where vpmaddubsw would saturate. 4 lanes are SSE2, 8 AVX2, 16 AVX512BW.
    With `quads`, a lane takes four elements, first and third as one pair: the
    order of 32-bit words, which expand faster than pairs do.

    Example: `#tamis.x86_madd<lanes = 8>`
  }];
  let parameters = (ins "int64_t":$lanes,
                        DefaultValuedParameter<"bool", "false">:$quads);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tamis_X86MaddubsAttr : Tamis_Attr<"X86Maddubs", "x86_maddubs", [
    DeclareAttrInterfaceMethods<InstructionAttrInterface, [
      "getLhsOffset", "isTile", "getPairBound", "getCycles", "getNarrowSteps",
      "buildNarrowProduct", "buildWiden"]>]> {
  let summary = "u8 x s8 pairs into int16, vpmaddubsw, then vpmaddwd";
  let description = [{
    Exact only for weights whose neighbours of one sign have a magnitude of at
    most 128 together; signed lhs elements are offset by 128. 8 lanes are AVX2,
    16 AVX512BW. `swapped`, weights of 4 bits are the unsigned multiplicand and
    signed lhs elements stay as they are; then it is exact for all.

    Example: `#tamis.x86_maddubs<lanes = 8>`
  }];
  let parameters = (ins "int64_t":$lanes,
                        DefaultValuedParameter<"bool", "false">:$swapped);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tamis_X86VnniAttr : Tamis_Attr<"X86Vnni", "x86_vnni", [
    DeclareAttrInterfaceMethods<InstructionAttrInterface, [
      "getLhsOffset", "getRhsOffset", "isTile"]>]> {
  let summary = "u8 x s8 quads into int32, vpdpbusd";
  let description = [{
    The non-saturating form; signed lhs elements are offset by 128. 8 lanes are
    AVX-VNNI or AVX512VL, 16 AVX512-VNNI. `swapped`, weights are the unsigned
    multiplicand and signed lhs elements stay as they are: those of 4 bits, and
    bytes in blocks, which have no sums of columns; signed ones are offset by
    128.

    Example: `#tamis.x86_vnni<lanes = 16>`
  }];
  let parameters = (ins "int64_t":$lanes,
                        DefaultValuedParameter<"bool", "false">:$swapped);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tamis_X86DotBf16Attr : Tamis_InstructionAttr<"X86DotBf16", "x86_dot_bf16"> {
  let summary = "bfloat16 pairs into float32, vdpbf16ps";
  let description = [{
    Subnormals count as zero, so it is in the table only where the policy
    allows bfloat16; a bfloat16 model is otherwise widened.

    Example: `#tamis.x86_dot_bf16`
  }];
  let assemblyFormat = "";
}

def Tamis_X86SelectFmaAttr : Tamis_Attr<"X86SelectFma", "x86_select_fma", [
    DeclareAttrInterfaceMethods<InstructionAttrInterface, [
      "getLhsOffset", "isTile", "getCycles"]>,
    DeclareAttrInterfaceMethods<SelectionAttrInterface>]> {
  let summary = "float32 multiply-add of some of four elements, vpermilps";
  let description = [{
    Of four consecutive elements of lhs each lane picks `kept`, 1 or 2, by their
    places of two bits. 8 lanes are AVX2, 16 AVX-512.

    Example: `#tamis.x86_select_fma<lanes = 8, kept = 2>`
  }];
  let parameters = (ins "int64_t":$lanes, "int64_t":$kept);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tamis_X86SelectMaddAttr : Tamis_Attr<"X86SelectMadd", "x86_select_madd", [
    DeclareAttrInterfaceMethods<InstructionAttrInterface, [
      "getLhsOffset", "isTile", "getStagedType", "getCycles"]>,
    DeclareAttrInterfaceMethods<SelectionAttrInterface>]> {
  let summary = "two of four 8-bit elements widened to int16, vpshufb, vpmaddwd";
  let description = [{
    Each lane picks two of four consecutive elements of lhs by a mask of four
    bits, whose lower three find the bytes in a table. 8 lanes are AVX2, 16
    AVX512BW.

    Example: `#tamis.x86_select_madd<lanes = 8>`
  }];
  let parameters = (ins "int64_t":$lanes);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

/// An instruction of AMX: its products are built tile by tile.
class Tamis_TileInstructionAttr<string name, string mnemonic>
    : Tamis_Attr<name, mnemonic, [
    DeclareAttrInterfaceMethods<InstructionAttrInterface, [
      "getLhsOffset", "getRhsOffset", "isTile", "getCycles",
      "getRemainderInstruction", "buildTileZero", "buildTileLoad",
      "buildTileMultiply", "buildTileStore"]>]> {
  let extraClassDefinition = [{
    bool $cppClass::isTile() const { return true; }
    int64_t $cppClass::getLanes() const { return 16; }
    int64_t $cppClass::getMaxAccumulators() const { return 4; }
    int64_t $cppClass::getLhsOffset(bool) const { return 0; }
    int64_t $cppClass::getRhsOffset(bool rhsUnsigned) const {
      return getRemainderInstruction().getRhsOffset(rhsUnsigned);
    }
    ::mlir::Value $cppClass::buildLhs(::mlir::OpBuilder &, ::mlir::Location,
        ::mlir::Value elements, bool) const { return elements; }
    ::mlir::Value $cppClass::buildRhs(::mlir::OpBuilder &, ::mlir::Location,
        ::mlir::Value loaded) const { return loaded; }
    ::mlir::Value $cppClass::buildMultiplyAccumulate(::mlir::OpBuilder &,
        ::mlir::Location, ::mlir::Value, ::mlir::Value,
        ::mlir::Value acc) const { return acc; }
  }];
}

def Tamis_X86AmxInt8Attr
    : Tamis_TileInstructionAttr<"X86AmxInt8", "x86_amx_int8"> {
  let summary = "16x16x64 int8 tiles, tdpb[su][su]d";
  let description = [{
    Any sign combination, exact. Weights lie in the vpdpbusd order, and rows
    that fill no tile are multiplied by it. With `nibbles`, weights of 4 bits by
    signed lhs elements are its unsigned multiplicand. With `quads`, such rows
    take vpmaddwd, which needs no sums of columns: blocks have none.

    Example: `#tamis.x86_amx_int8`
  }];
  let parameters = (ins DefaultValuedParameter<"bool", "false">:$nibbles,
                        DefaultValuedParameter<"bool", "false">:$quads);
  let genVerifyDecl = 1;
  let assemblyFormat = "(`<` struct(params)^ `>`)?";
}

def Tamis_X86AmxBf16Attr
    : Tamis_TileInstructionAttr<"X86AmxBf16", "x86_amx_bf16"> {
  let summary = "16x16x32 bfloat16 tiles, tdpbf16ps";
  let description = [{
    Subnormals count as zero and the two products of a step are summed up in
    columns of their own, so it is in the table only where the policy allows
    bfloat16. Weights lie in the vdpbf16ps order.

    Example: `#tamis.x86_amx_bf16`
  }];
  let assemblyFormat = "";
}

#endif // TAMIS_IR_ATTRS_TD
