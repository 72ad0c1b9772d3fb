// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operations of the `tamis` dialect.

#ifndef TAMIS_IR_OPS_TD
#define TAMIS_IR_OPS_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "tamis/IR/TamisDialect.td"
include "tamis/IR/TamisAttrs.td"

class Tamis_Op<string mnemonic, list<Trait> traits = []>
    : Op<Tamis_Dialect, mnemonic, traits>;

//===-- contraction -------------------------------------------------------===//

def Tamis_ContractOp : Tamis_Op<"contract", [
    AttrSizedOperandSegments, DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    SingleBlockImplicitTerminator<"::mlir::tamis::YieldOp">,
    RecursiveMemoryEffects]> {
  let summary = "sum of products over indexing maps, with zero points and padding";
  let description = [{
    With iteration space `d` and maps L, R, O:

    ```
    out[O(d)] = epilogue( Σ (lhs[L(d) - pad] - lhs_zero) · (rhs[R(d)] - rhs_zero) )
    ```

    the sum over the reduction dimensions. It covers matrix products,
    convolutions of any rank (`L` holds `oh * 2 + kh`), grouped and depthwise
    ones (a dimension in all three maps). `pad[i]` is subtracted from lhs
    coordinate `i`; a coordinate outside lhs contributes real zero, that is
    `lhs_zero`. Upper padding follows from the shape of `init`. R and O are
    projected permutations, so every iteration bound is a dimension of rhs or
    init.

    Integer operands accumulate in the accumulator type exactly, modulo its
    width; floats accumulate in float32 (float64 for float64), in unspecified
    order unless the policy is strict. `lhs_unsigned` and `rhs_unsigned` give
    the meaning of integer operands. Integers of rhs beside a float lhs are
    multiplied as the floats of their value: weights of few bits.

    The epilogue region runs once per output element after the whole
    reduction. Its first argument is the accumulator; the others are elements
    of `extras`, read through the maps that follow the first three (over
    O's dimensions). Its result is stored. An empty epilogue stores the
    accumulator.

    `init` gives the destination; its value is not read.

    Example:
    ```mlir
    %y = tamis.contract ins(%x, %w : tensor<1x14x14x64xf32>, tensor<3x3x64x32xf32>)
           extras(%bias : tensor<32xf32>) outs(%e : tensor<1x14x14x32xf32>)
           maps [affine_map<(n, h, w, o, i, j, c) -> (n, h + i, w + j, c)>,
                 affine_map<(n, h, w, o, i, j, c) -> (i, j, c, o)>,
                 affine_map<(n, h, w, o, i, j, c) -> (n, h, w, o)>,
                 affine_map<(n, h, w, o, i, j, c) -> (o)>]
           iterators ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
           pad [0, 1, 1, 0] accumulator f32 epilogue {
    ^bb0(%acc: f32, %b: f32):
      %r = arith.addf %acc, %b : f32
      tamis.yield %r : f32
    } -> tensor<1x14x14x32xf32>
    ```
  }];
  let arguments = (ins
    AnyShaped:$lhs, AnyShaped:$rhs,
    Optional<AnySignlessInteger>:$lhs_zero,
    Optional<AnySignlessInteger>:$rhs_zero,
    Variadic<AnyType>:$extras,
    AnyShaped:$init,
    AffineMapArrayAttr:$indexing_maps,
    StrArrayAttr:$iterator_types,
    DenseI64ArrayAttr:$pad,
    TypeAttr:$accumulator,
    UnitAttr:$lhs_unsigned,
    UnitAttr:$rhs_unsigned,
    OptionalAttr<StrAttr>:$origin);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let regions = (region MaxSizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    `ins` `(` $lhs `,` $rhs `:` type($lhs) `,` type($rhs) `)`
    (`lhs_zero` `(` $lhs_zero^ `:` type($lhs_zero) `)`)?
    (`rhs_zero` `(` $rhs_zero^ `:` type($rhs_zero) `)`)?
    (`extras` `(` $extras^ `:` type($extras) `)`)?
    `outs` `(` $init `:` type($init) `)`
    `maps` $indexing_maps `iterators` $iterator_types `pad` $pad
    `accumulator` $accumulator attr-dict
    (`epilogue` $epilogue^)? (`->` type($result)^)?
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
    ::mlir::AffineMap getLhsMap();
    ::mlir::AffineMap getRhsMap();
    ::mlir::AffineMap getOutMap();
    /// The map through which extra operand `i` is read.
    ::mlir::AffineMap getExtraMap(unsigned i);
    ::llvm::SmallVector<::mlir::utils::IteratorType> getIterators();
    /// Iteration bounds in order; kDynamic where only run time knows.
    ::llvm::SmallVector<int64_t> getStaticLoopRanges();
    bool hasEpilogue() { return !getEpilogue().empty(); }
  }];
}

def Tamis_YieldOp : Tamis_Op<"yield", [Pure, ReturnLike, Terminator]> {
  let summary = "ends a region of a tamis operation with its results";
  let description = [{
    Example: `tamis.yield %r : f32`
  }];
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
}

//===-- quantization ------------------------------------------------------===//

def Tamis_QuantizeOp : Tamis_Op<"quantize", [Pure]> {
  let summary = "float to integer by scale and zero point";
  let description = [{
    `q = saturate(round_half_even(x / scale) + zero_point)`, as ONNX
    QuantizeLinear. `scale` and `zero_point` are rank 0 (per tensor), rank 1
    along `axis` (per axis), or of x's rank with `block_size` elements of
    `axis` sharing one entry. `unsigned` gives the result's range; `bits`
    narrows it (4 and 2 bit values live in i8).

    Example:
    ```mlir
    %q = tamis.quantize %x, %s, %z unsigned : tensor<4x8xf32>, tensor<f32>, tensor<i8> -> tensor<4x8xi8>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$scale,
    Optional<AnyRankedTensor>:$zero_point, UnitAttr:$is_unsigned,
    OptionalAttr<I64Attr>:$axis, OptionalAttr<I64Attr>:$block_size,
    OptionalAttr<I64Attr>:$bits, OptionalAttr<StrAttr>:$origin);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $input `,` $scale (`,` $zero_point^)? (`unsigned` $is_unsigned^)? attr-dict `:`
    type($input) `,` type($scale) (`,` type($zero_point)^)? `->` type($result)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Tamis_DequantizeOp : Tamis_Op<"dequantize", [Pure, AttrSizedOperandSegments]> {
  let summary = "integer to float by scale, zero point and offset";
  let description = [{
    `x = (q - zero_point) * scale + offset`, as ONNX DequantizeLinear where
    there is no offset; parameters as in `tamis.quantize`. The difference is
    taken in i32, product and sum are rounded each to float32, never fused
    (dequantize_n1, dequantize_n2 in docs/Numerics.md). `offset` is a real
    number per scale, of the scale's type: the minimum of a GGUF Q4_1 block,
    for which no integer zero point exists. A tensor that has one has no
    integer for real zero.

    Example:
    ```mlir
    %x = tamis.dequantize %q, %s offset(%o : tensor<4x1xf32>) unsigned {axis = 1 : i64, block_size = 8 : i64} : tensor<4x8xi8>, tensor<4x1xf32> -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$scale,
    Optional<AnyRankedTensor>:$zero_point, Optional<AnyRankedTensor>:$offset,
    UnitAttr:$is_unsigned,
    OptionalAttr<I64Attr>:$axis, OptionalAttr<I64Attr>:$block_size,
    OptionalAttr<StrAttr>:$origin);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $input `,` $scale (`,` $zero_point^)? (`offset` `(` $offset^ `:` type($offset) `)`)?
    (`unsigned` $is_unsigned^)? attr-dict `:`
    type($input) `,` type($scale) (`,` type($zero_point)^)? `->` type($result)
  }];
  // Without offset, as most are.
  let builders = [OpBuilder<(ins "::mlir::Type":$type, "::mlir::Value":$input,
      "::mlir::Value":$scale, "::mlir::Value":$zero_point, "bool":$is_unsigned,
      "::mlir::IntegerAttr":$axis, "::mlir::IntegerAttr":$block_size,
      "::mlir::StringAttr":$origin), [{
    build($_builder, $_state, type, input, scale, zero_point, ::mlir::Value(),
          is_unsigned, axis, block_size, origin);
  }]>, OpBuilder<(ins "::mlir::Type":$type, "::mlir::Value":$input,
      "::mlir::Value":$scale, "::mlir::Value":$zero_point,
      "::mlir::UnitAttr":$is_unsigned, "::mlir::IntegerAttr":$axis,
      "::mlir::IntegerAttr":$block_size, "::mlir::StringAttr":$origin), [{
    build($_builder, $_state, type, input, scale, zero_point, ::mlir::Value(),
          is_unsigned, axis, block_size, origin);
  }]>];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  // Bytecode of version 1 knows no offset and holds no segments.
  let useCustomPropertiesEncoding = 1;
}

def Tamis_DecodeOp : Tamis_Op<"decode", [Pure, AttrSizedOperandSegments]> {
  let summary = "codes of a number system to the floats they stand for";
  let description = [{
    `x = codebook[q] * scale` (decode_n1) for codes q of up to 8 bits, which are read
    unsigned, and a codebook of at most 256 floats (a code beyond it reads its
    last value); `x = q * scale` for float16 and bfloat16, without a codebook.
    `scale` is as in `tamis.dequantize`; without it, it is one. `format` names
    the element type that the source model has for the codes, where it has one.

    Example:
    ```mlir
    %x = tamis.decode %q codebook(%c : tensor<16xf32>) scale(%s : tensor<4xf32>) {axis = 0 : i64} : tensor<4x8xi8> -> tensor<4x8xf32>
    %y = tamis.decode %h : tensor<4x8xf16> -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input,
    Optional<1DTensorOf<[F32]>>:$codebook, Optional<AnyRankedTensor>:$scale,
    OptionalAttr<I64Attr>:$axis, OptionalAttr<I64Attr>:$block_size,
    OptionalAttr<StrAttr>:$format, OptionalAttr<StrAttr>:$origin);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $input (`codebook` `(` $codebook^ `:` type($codebook) `)`)?
    (`scale` `(` $scale^ `:` type($scale) `)`)? attr-dict `:`
    type($input) `->` type($result)
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}

//===-- compression -------------------------------------------------------===//

def Tamis_ObserveOp : Tamis_Op<"observe", [SameOperandsAndResultType,
    MemoryEffects<[MemWrite]>]> {
  let summary = "marks where a tensor of the source model is a value";
  let description = [{
    The identity on a float tensor. `tensor` is the name in the source model;
    `parameter` says that it is an initializer. What passes decide about the
    tensor and learn of it stands here until they act on it:

    - `collect` names the statistics that calibration gathers: `minmax`,
      `histogram`, `channel_absmax`, `channel_moments`, `channel_magnitudes`,
      `gram`; those per channel are taken along `axis`. `gradient`, of a
      parameter, comes from the user; `gram` of a parameter is that of what it
      is multiplied with.
    - `statistics` holds them afterwards, in the form that
      include/tamis/Compress/Statistics.h gives.
    - `scheme` is how the tensor is to be quantized.

    It has an effect, so that cleanup neither merges nor drops it, and nothing
    fuses across it; the passes of stage `compress` remove it.

    Example:
    ```mlir
    %y = tamis.observe %x tensor "relu1" {collect = ["minmax"]} : tensor<?x8xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, StrAttr:$tensor,
    UnitAttr:$parameter, OptionalAttr<StrArrayAttr>:$collect,
    OptionalAttr<I64Attr>:$axis, OptionalAttr<DictionaryAttr>:$statistics,
    OptionalAttr<Tamis_SchemeAttr>:$scheme);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    (`parameter` $parameter^)? $input `tensor` $tensor attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
}

def Tamis_FakeQuantOp : Tamis_Op<"fake_quant", [Pure,
    AllTypesMatch<["input", "result"]>]> {
  let summary = "rounds floats to the levels of a quantization, in float";
  let description = [{
    `y = (clamp(round_half_even(x / scale) + zero_point, low, high) - zero_point) * scale`
    with a float zero point that is integral for a quantization that integers
    can express. Parameters are rank 0 (per tensor) or rank 1 along `axis`.
    `--tamis-fold-fake-quant` turns it into `tamis.quantize` and
    `tamis.dequantize` where `low`, `high` and the parameters allow it.

    Example:
    ```mlir
    %y = tamis.fake_quant %x, %s, %z range[-128, 127] : tensor<4x8xf32>, tensor<f32>, tensor<f32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$scale,
    AnyRankedTensor:$zero_point, I64Attr:$low, I64Attr:$high,
    OptionalAttr<I64Attr>:$axis, OptionalAttr<StrAttr>:$origin);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $input `,` $scale `,` $zero_point `range` `` `[` $low `,` $high `]` attr-dict `:`
    type($input) `,` type($scale) `,` type($zero_point)
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$input,
      "::mlir::Value":$scale, "::mlir::Value":$zero_point, "int64_t":$low,
      "int64_t":$high, "::mlir::IntegerAttr":$axis), [{
    $_state.addOperands({input, scale, zero_point});
    $_state.addTypes(input.getType());
    $_state.addAttribute("low", $_builder.getI64IntegerAttr(low));
    $_state.addAttribute("high", $_builder.getI64IntegerAttr(high));
    if (axis)
      $_state.addAttribute("axis", axis);
  }]>];
  let hasVerifier = 1;
}

#endif // TAMIS_IR_OPS_TD
