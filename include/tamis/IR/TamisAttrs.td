// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attributes: the target, the policy, the instructions; those of storages are in
// TamisStorages.td.

#ifndef TAMIS_IR_ATTRS_TD
#define TAMIS_IR_ATTRS_TD

include "mlir/IR/EnumAttr.td"
include "tamis/IR/TamisDialect.td"
include "tamis/IR/TamisInterfaces.td"
include "tamis/IR/TamisStorages.td"

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
