// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every pass from the tamis dialect to itself, sorted by stage.

#ifndef TAMIS_TRANSFORMS_PASSES_TD
#define TAMIS_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

//===-- stage import ------------------------------------------------------===//

def ImportSparseTensor : Pass<"tamis-import-sparse-tensor", "::mlir::ModuleOp"> {
  let summary = "turn constants of upstream sparse tensor types into dense ones";
  let description = [{
    Constants, parameters and `sparse_tensor.assemble` of constant arrays become
    dense constants of the same elements, `sparse_tensor.convert` disappears, and
    values lose their encoding: the zeros are seen again when storages are
    selected for the machine. Levels may be dense, compressed, singleton or
    structured (N:M), in any order and in blocks.

    Refused, with an error that names the operation: arrays that contradict the
    type (positions that fall, coordinates outside, missing elements), arguments
    and results of functions, other operations of the sparse_tensor dialect.
    Doctest: test/Transforms/import-sparse-tensor.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"numConstants", "constants", "constants made dense">];
}

def ImportQuantTypes : Pass<"tamis-import-quant-types", "::mlir::ModuleOp"> {
  let summary = "turn upstream quant types and casts into operations on integers";
  let description = [{
    `quant.qcast` and `quant.dcast` become `tamis.quantize` and
    `tamis.dequantize` with constant scales and zero points, `quant.scast`
    disappears, and values and function signatures of `!quant.uniform` (per
    tensor, per axis) get their storage integers; types narrower than 8 bits
    lie in i8. A storage range narrower than its width is kept by a clamp. Runs
    before any canonicalization: upstream folds a cast to a quantized type and
    back to nothing, and the rounding with it.

    Refused, with an error that names the operation: sub-channel, calibrated
    and `any` types, expressed types other than f32, and operations other than
    calls, returns and (per tensor) data movement on quantized values.
    Doctest: test/Transforms/import-quant-types.mlir
  }];
  let dependentDialects = ["::mlir::tamis::TamisDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numCasts", "casts", "casts replaced">,
    Statistic<"numValues", "values", "values that became storage integers">
  ];
}

def ImportTosa : Pass<"tamis-import-tosa", "::mlir::func::FuncOp"> {
  let summary = "turn TOSA into linalg, tensor and arith";
  let description = [{
    Runs upstream's conversions where a function has TOSA operations:
    contractions of integers become `linalg.conv_2d_nhwc_fhwc_q` and
    `linalg.quantized_batch_matmul` with their zero points, `tosa.rescale`
    integer arithmetic of the same bits. An operation that upstream does not
    lower is an error that names it.
    Doctest: test/Transforms/import-tosa.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::index::IndexDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numFunctions", "functions", "functions lowered">];
}

//===-- stage compress ----------------------------------------------------===//

def FoldFakeQuant : Pass<"tamis-fold-fake-quant", "::mlir::func::FuncOp"> {
  let summary = "turn fake quantization into quantize and dequantize";
  let description = [{
    `tamis.fake_quant` with a constant whole zero point and at most 65536
    levels becomes `tamis.quantize` and `tamis.dequantize` on integers of 8 or
    16 bits. A range that is no whole number of bits is kept by a clamp of the
    integers; a range that neither sign of a type holds is shifted, the zero
    point with it. Weights are integers once constants are folded.

    Left alone, with a remark that says why: zero points that are not whole or
    not known, more levels, scales that are not float32;
    `--tamis-lower-quantization` computes those in float. Refused, with an
    error: constant scales that are not positive and finite, zero points
    outside the range.
    Doctest: test/Transforms/fold-fake-quant.mlir
  }];
  let dependentDialects = ["::mlir::tamis::TamisDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numFolded", "folded", "fake quantizations made integer">,
    Statistic<"numFloat", "float", "fake quantizations left in float">
  ];
}

def FoldOffsets : Pass<"tamis-fold-offsets", "::mlir::func::FuncOp"> {
  let summary = "take an offset that is added to dequantized blocks into dequantize";
  let description = [{
    A real number per block that is added to what `tamis.dequantize` makes,
    behind the reshape that gives blocks an axis of their own, becomes the
    `offset` operand: the same arithmetic in the same order. It is how
    `tamis quantize` writes such weights to ONNX.
    Doctest: test/Transforms/fold-offsets.mlir
  }];
  let dependentDialects = ["::mlir::tamis::TamisDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numFolded", "folded", "offsets taken in">];
}

def SinkFactors : Pass<"tamis-sink-factors", "::mlir::func::FuncOp"> {
  let summary = "take the factors of output channels behind a product by a codebook";
  let description = [{
    A contraction in float32 whose weights are elements of a constant of at most
    16, looked up, times one factor or one for each output channel, multiplies
    by the elements and its result by the factors: as in
    `--tamis-lower-qat`, what a scale covers is one sum. The weights have few
    values then, and `#tamis.codebook` can be chosen for them. It is how
    `tamis quantize --weights codebook4` writes weights to ONNX.

    Left alone: strict contractions, whose roundings are fixed, those of 32 and
    more rows, factors along what is summed over, targets that look nothing up.
    Doctest: test/Transforms/sink-factors.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numSunk", "sunk", "factors behind a product">];
}

def RecoverGrid : Pass<"tamis-recover-grid", "::mlir::ModuleOp"> {
  let summary = "find the integers in float weights that were quantized once";
  let description = [{
    A constant float32 weight of a contraction whose other operand is
    dequantized is compared with whole multiples, from -128 to 127, of a scale:
    one for the tensor, else one for each result channel. If the products have
    the bits of all weights, the weight becomes `tamis.dequantize` of these
    integers, and nothing the model computes changes.

    Left alone: weights off every such grid (all but quantized ones), weights
    of contractions whose other operand is float.
    Doctest: test/Transforms/recover-grid.mlir
  }];
  let dependentDialects = ["::mlir::tamis::TamisDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::ml_program::MLProgramDialect"];
  let statistics = [
    Statistic<"numRecovered", "recovered", "weights made integer">,
    Statistic<"numOff", "off-grid", "weights on no grid of 8 bits">
  ];
}

def LowerQAT : Pass<"tamis-lower-qat", "::mlir::func::FuncOp"> {
  let summary = "turn dequantize-op-quantize groups into integer operations";
  let description = [{
    Input: a graph in which float operations read `tamis.dequantize` and feed
    `tamis.quantize`. A contraction of two dequantized operands becomes a
    contraction of the integers with their zero points, an optional i32 bias
    and one generic that requantizes by the QLinear formula (or, where no
    quantize follows, scales the exact sum to float). Operands of 16 bits are
    contractions of their bytes, whose sums the generic adds up; scales in
    blocks of what is summed over are one sum for each block, which a generic
    scales and adds up in float. Constant weights beside an operand that is
    float, or has no zero point, stay the integers they are: what a scale covers
    is one sum of products by codes, and zero points and offsets multiply sums
    of rows. A batch normalization
    between the two, of constant normal factors, scales the weights' scales and
    the bias; others stay float arithmetic on the exact sum. Operations that
    only move or select values (reshape, transpose, slice, pad with zero,
    concat with equal parameters, max-pool, relu) move to the integer side; a
    quantized concatenation quantizes its parts, a quantized transpose moves
    integers.

    Left alone: elementwise float operations between dequantize and quantize
    (they fuse into one integer-to-integer generic later), weights quantized
    along another axis than the output channel or in other blocks, several zero
    points of weights that do not fit in a byte without them; each contraction
    left in float gets a remark with the reason.
    Doctest: test/Transforms/lower-qat.mlir
  }];
  let dependentDialects = ["::mlir::tamis::TamisDialect",
                           "::mlir::tamis::device::TamisGpuDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect",
                           "::mlir::ml_program::MLProgramDialect"];
  let statistics = [
    Statistic<"numContractions", "contractions", "contractions made integer">,
    Statistic<"numRequantized", "requantized", "integer contractions whose result is requantized directly">,
    Statistic<"numNormalizations", "normalizations", "batch normalizations taken into scales and biases">,
    Statistic<"numMoved", "moved", "movement operations made integer">,
    Statistic<"numCodes", "codes", "float contractions that read their weights as integers">,
    Statistic<"numFloatOperand", "float-operand", "contractions left float: an operand is not dequantized">,
    Statistic<"numParameters", "parameters", "contractions left float: quantization parameters of a form integers cannot use">
  ];
}

def RaiseContractions : Pass<"tamis-raise-contractions", "::mlir::func::FuncOp"> {
  let summary = "turn linalg contractions and convolutions into tamis.contract";
  let description = [{
    A linalg operation with two inputs whose body multiplies them, extended to
    the accumulator's type, and adds to the output (`linalg.matmul`,
    `linalg.conv_2d_nhwc_hwcf`, a generic of that form, …) becomes
    `tamis.contract` on the same maps. What the output held before is added
    afterwards unless it is a fill with zero. A body of any other form, a right
    operand or output that is not indexed by a projected permutation, and
    operations on buffers are left alone. Constants subtracted from an extended
    integer factor, as in `linalg.quantized_matmul`, become its zero point.
    Doctest: test/Transforms/raise-contractions.mlir
  }];
  let dependentDialects = ["::mlir::tamis::TamisDialect",
    "::mlir::tensor::TensorDialect", "::mlir::linalg::LinalgDialect"];
  let statistics = [Statistic<"raised", "raised", "contractions raised">];
}

def LowerQuantization : Pass<"tamis-lower-quantization"> {
  let summary = "turn quantization operations into linalg.generic";
  let description = [{
    Output: no `tamis.quantize`, `tamis.dequantize` or `tamis.fake_quant`; the
    last is float arithmetic by its definition. Quantize divides,
    clamps, rounds half to even and adds the zero point, so that it is total:
    NaN becomes the lower bound. Dequantize subtracts in i32 and multiplies in
    f32. Block-wise parameters split the axis with a reshape where the block
    divides it. A gather from a dequantized table reads integers and scales
    and dequantizes only them.
    Doctest: test/Transforms/lower-quantization.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numLowered", "lowered", "quantize and dequantize operations lowered">
  ];
}

//===-- stage plan --------------------------------------------------------===//

def FoldConstants : Pass<"tamis-fold-constants", "::mlir::ModuleOp"> {
  let summary = "evaluate operations whose operands are constants or parameters";
  let description = [{
    Data movement on constants and on `ml_program` parameters is done on the
    bytes, of any size; a reshape shares the bytes; a splat stays a splat.
    Elementwise generics of casts, arithmetic and functions (these in double
    precision, for narrower floats) are evaluated natively, others through the
    folders of their operations up to 64 Ki elements. No result larger than both its operands and 64 MiB is made.

    Left alone: parameters that become unused (`symbol-dce` removes them), and
    `linalg.fill`, which is a destination rather than a value.
    Doctest: test/Transforms/fold-constants.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::ml_program::MLProgramDialect"];
  let statistics = [
    Statistic<"numMoved", "moved", "data movements evaluated">,
    Statistic<"numEvaluated", "evaluated", "elementwise operations evaluated">,
    Statistic<"numOverBudget", "over-budget", "operations left because the result would be too large">
  ];
}

def WidenHalf : Pass<"tamis-widen-half", "::mlir::func::FuncOp"> {
  let summary = "keep float16 activations as float32 unless the policy is strict";
  let description = [{
    Generics, contractions and movement on float16 tensors work on float32
    tensors; inputs are extended, results rounded, and no rounding is left in
    between. Weights of contractions stay float16, since packing extends them.
    Loops and other operations get float16 through conversions. Does nothing
    under a strict policy, nor where the target has fragments that multiply
    float16 (include/tamis/Gpu/TensorOps.td). Doctest: test/Transforms/widen-half.mlir
  }];
  let dependentDialects = ["::mlir::tamis::TamisDialect",
    "::mlir::tamis::device::TamisGpuDialect",
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numWidened", "widened", "operations rewritten">];
}

def AssignLayouts : Pass<"tamis-assign-layouts", "::mlir::func::FuncOp"> {
  let summary = "put the channel last in every chain that meets a convolution";
  let description = [{
    Dimensions of values connected by operations that can work in any layout
    form classes; convolutions label classes as channels or not. Every value
    with a channel dimension then gets its channels last (grouped channels in
    their order), and operations are rewritten over the moved values with the
    output's contiguous dimension as innermost parallel loop;
    `linalg.transpose` remains where a chain begins or ends. A transpose that
    keeps the innermost dimension is absorbed into the maps of its readers.

    Left alone: values that no convolution reaches; matrix products, which are
    the borders of chains.
    Doctest: test/Transforms/assign-layouts.mlir
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect",
                           "::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"numValues", "values", "values whose layout changed">,
    Statistic<"numAbsorbed", "absorbed", "transposes absorbed by all or some of their readers">,
    Statistic<"numTransposes", "transposes", "transposes left at borders">
  ];
}

def NarrowContractions : Pass<"tamis-narrow-contractions", "::mlir::ModuleOp"> {
  let summary = "multiply float32 contractions in bfloat16 where the policy allows it";
  let description = [{
    Where `tamis.policy` has `allowBf16` and the target an instruction that
    multiplies bfloat16 into float32, both operands of a large enough float32
    contraction are rounded to bfloat16; the accumulator, the epilogue and the
    result stay float32. The roundings are elementwise generics: constant
    folding takes those of weights, fusion takes those of activations into
    the producer. One value is rounded once for all its readers.

    Left alone: depthwise and short reductions, few columns, and products of
    two activations with few rows, where rounding costs more than it saves.
    Doctest: test/Transforms/narrow-contractions.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numNarrowed", "narrowed", "contractions made bfloat16">,
    Statistic<"numRounded", "rounded", "values rounded">,
    Statistic<"numSmall", "small", "contractions left: too small to gain">,
    Statistic<"numShape", "shape", "contractions left: the instruction cannot walk them">
  ];
}

def MaterializePadding : Pass<"tamis-materialize-padding", "::mlir::func::FuncOp"> {
  let summary = "give every padded contraction an explicit padded operand";
  let description = [{
    A `tamis.contract` that reads outside its lhs gets an operand padded with
    real zero and `pad = 0`; a `tensor.pad` with a constant is treated alike.
    Several readers of one value share the widest padded buffer through
    `tensor.extract_slice`; consecutive pads merge. The padded value is a
    filled border into which the value is inserted, and where the producer
    writes a fresh destination, it writes into that place instead: the padding
    then costs the border only. Runs after epilogue fusion, which decides who
    the producer is.

    Left alone: negative pads, pads of something else than one value.
    Doctest: test/Transforms/materialize-padding.mlir
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::affine::AffineDialect",
                           "::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"numPads", "pads", "padded buffers made">,
    Statistic<"numDirect", "direct", "padded buffers that the producer writes itself">,
    Statistic<"numShared", "shared", "readers that share another reader's padded buffer">
  ];
}

def FuseElementwise : Pass<"tamis-fuse-elementwise"> {
  let summary = "merge elementwise generics into their readers";
  let description = [{
    A producer with one reader is merged, and a cheap one (dequantize, cast,
    broadcast) with several. Never merged: a producer the reader would
    evaluate more than once per element (windows, broadcasts of costly
    bodies), one that reads a contraction other operations also wait for.
    Reshapes between two elementwise operations are removed by expansion.
    Doctest: test/Transforms/fuse-elementwise.mlir
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::affine::AffineDialect"];
  let statistics = [
    Statistic<"numBefore", "generics-before", "generics before fusion">,
    Statistic<"numAfter", "generics-after", "generics after fusion">
  ];
}

def FuseEpilogues : Pass<"tamis-fuse-epilogues"> {
  let summary = "move elementwise readers of a contraction into its epilogue";
  let description = [{
    An elementwise generic that is the only reader of a contraction's result,
    element by element, becomes (part of) the contraction's epilogue region;
    its other operands become `extras`. Transposes that keep the innermost
    dimension are absorbed, reshapes in between are pushed below.
    Doctest: test/Transforms/fuse-epilogues.mlir
  }];
  let dependentDialects = ["::mlir::tamis::TamisDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::affine::AffineDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numFused", "fused", "generics moved into epilogues">,
    Statistic<"numAbsorbed", "absorbed", "transposes absorbed into results">,
    Statistic<"numManyReaders", "many-readers", "refused: the result has several readers">,
    Statistic<"numWindow", "window", "refused: the reader reduces, reads a window or a broadcast">,
    Statistic<"numTwoMaps", "two-maps", "refused: the reader reads the result through two maps">,
    Statistic<"numOtherBlock", "other-block", "refused: the reader is in another block">,
    Statistic<"numReadsInit", "reads-init", "refused: the reader reads its destination">
  ];
}

//===-- stage codegen: loops and rows -------------------------------------===//

def PrepareLoops : Pass<"tamis-prepare-loops", "::mlir::func::FuncOp"> {
  let summary = "hoists invariants and lines up what a loop carries";
  let description = [{
    Contractions, generics and movement that do not depend on the iteration
    leave `scf.for` and `scf.while`. The condition of an `scf.while` passes on
    all of the loop's arguments in their order, so that one-shot bufferization,
    which compares carried tensors by position, updates them in place.
    Everyone who updates a filled tensor, or one whose borders are filled, gets one
    of its own.
    Doctest: test/Transforms/prepare-loops.mlir
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numHoisted", "hoisted", "operations moved out of loops">,
    Statistic<"numAligned", "aligned", "while loops rewritten">,
    Statistic<"numSeparated", "separated", "fills made for one user each">
  ];
}

def FuseRows : Pass<"tamis-fuse-rows", "::mlir::func::FuncOp"> {
  let summary = "reductions and their neighbours share one loop over rows";
  let description = [{
    Input: linalg operations on buffers, before the memory plan. A reduction
    with the fills, generics and further reductions next to it that touch the
    same rows of the same buffers (softmax, layer norm, RMS norm, mean)
    becomes one loop nest over rows, marked `tamis.kernel`, in which each
    operation works on slices. A temporary that dies in an elementwise
    operation lives in that operation's destination. A reduction without rows
    still takes the fill it starts from into one `scf.execute_region`.

    Left alone: neighbours that read a buffer of the group across rows, and
    buffers with two names. Doctest: test/Transforms/fuse-rows.mlir

    With `lanes`, for devices, a row is shared by the lanes of a workgroup: it
    is reduced along its innermost dimension, as a whole, by an operation that
    puts partial results together, and of what the group writes each lane
    touches its own places. A reduction alone is a group too.
    test/Transforms/fuse-rows-lanes.mlir
  }];
  let options = [Option<"lanes", "lanes", "bool", "false",
                        "for lanes that share a row">];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numGroups", "groups", "row loops made">,
    Statistic<"numFused", "fused", "operations moved into row loops">,
    Statistic<"numHosted", "hosted", "temporaries that live in a destination">
  ];
}

def VectorizeLoops : Pass<"tamis-vectorize-loops", "::mlir::func::FuncOp"> {
  let summary = "linalg operations on memrefs become loops over vectors";
  let description = [{
    Input: linalg operations and copies on strided memrefs of any shape.
    Output: scf loops over explicit vectors as wide as the widest element the
    body computes with allows on `tamis.target` (512, 256 or 128 bits),
    unrolled, with a masked tail where the target masks every width and a
    scalar tail elsewhere. Loops that all operands walk as one are merged; the
    vector loop is the cheapest by a small cost model: parallel dimensions,
    or a reduction with partial sums in vectors (never for float sums under a
    strict `tamis.policy`). A costly function of one byte becomes a table of its
    256 values, filled at the start of the call, where the target picks bytes
    out of registers.

    What cannot be modelled (maps that are not linear, bodies with regions)
    becomes scalar loops with a remark. Dense copies are left to memcpy.
    Doctest: test/Transforms/vectorize-loops.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::ub::UBDialect",
                           "::mlir::vector::VectorDialect"];
  let statistics = [
    Statistic<"numVectorized", "vectorized", "operations turned into vector loops">,
    Statistic<"numTables", "tables", "functions of one byte made a table">,
    Statistic<"numScalar", "scalar", "operations left to scalar loops">
  ];
}

#endif // TAMIS_TRANSFORMS_PASSES_TD
