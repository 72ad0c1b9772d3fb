// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes that make a model smaller: what to observe, what was seen, what
// is pruned and quantized. They work on what the importer made with
// `ImportOptions::observe`, where every tensor of the model is a value with a
// name.

#ifndef TAMIS_COMPRESS_PASSES_TD
#define TAMIS_COMPRESS_PASSES_TD

include "mlir/Pass/PassBase.td"

def DropObservations : Pass<"tamis-drop-observations"> {
  let summary = "remove every tamis.observe";
  let description = [{
    What is left when compression is done: `tamis.observe` gives way to its
    operand. Later stages see a model as if it had never been observed.
    Doctest: test/Compress/drop-observations.mlir
  }];
  let statistics = [Statistic<"numDropped", "dropped", "observations removed">];
}

def SelectQuantization : Pass<"tamis-select-quantization", "::mlir::ModuleOp"> {
  let summary = "decide which tensors become integers, and how";
  let description = [{
    Puts a `scheme` on the observation of every tensor to be quantized, and into
    `collect` what `--tamis-quantize` has to know of it. Contractions with a
    constant operand are quantized: their weights, and what they read, at the
    observation nearest to where it is computed; movement and max-pool pass
    integers through, relu and clip belong to what computes their operand.
    Where such a tensor is a sum of two results of contractions, an average, or
    a concatenation, its operands are quantized too. Tables whose rows are
    gathered become 8-bit with a scale for each row; a table that is a
    contraction's weight too stays one tensor, in the weight's form. What
    contractions read stays float where weights are no integers or wider than
    activations. What has a scheme from an earlier run, for other layers, keeps
    it, and where it is a sum its operands get the same one. Every
    decision and every refusal is in the module's report with its reason.

    With `recover`, weights only are selected, and only those whose values are
    bit for bit levels of a grid of 4 or 8 bits: whole multiples of a scale per
    output channel or per block of 128, 64, 32 or 16 along the reduction, with
    an integer zero point, or with a real offset per block (GGUF's Q8_0, Q4_0
    and Q4_1 are such grids).
    Doctest: test/Compress/select-quantization.mlir
  }];
  let options = [
    Option<"activationBits", "activation-bits", "int64_t", "8",
           "bits of activations, 8 or 16">,
    Option<"activationUnsigned", "activation-unsigned", "bool", "true",
           "unsigned activations; signed where the target has AMX">,
    Option<"activationSymmetric", "activation-symmetric", "bool", "false",
           "no zero point for activations (the middle where unsigned)">,
    Option<"activationFixedPoint", "activation-fixed-point", "bool", "false",
           "scales of activations are powers of two; they are signed and symmetric">,
    Option<"weightSystem", "weight-system", "std::string", "\"integer\"",
           "integer, fixed_point, codebook, power_of_two, float8_e4m3fn, float8_e5m2, float16, bfloat16">,
    Option<"weightBits", "weight-bits", "int64_t", "8",
           "bits of weights: 1 to 8; 2 to 16 of fixed_point; what a float has">,
    Option<"weightFraction", "weight-fraction", "int64_t", "-1000",
           "fixed_point scales are 2 to the minus this (-100 to 100; default: what fits)">,
    Option<"weightUnsigned", "weight-unsigned", "bool", "false", "unsigned weights">,
    Option<"weightSymmetric", "weight-symmetric", "bool", "true",
           "no zero point for weights">,
    Option<"perChannel", "per-channel", "bool", "true",
           "a scale for each output channel of a weight">,
    Option<"block", "block", "int64_t", "0",
           "a scale for this many elements of a reduction; 0: none">,
    Option<"weightOnly", "weight-only", "bool", "false",
           "weights only; activations stay float">,
    Option<"recover", "recover", "bool", "false",
           "only weights that lie on a grid already, as they are; activations stay float">,
    Option<"method", "method", "std::string", "\"minmax\"",
           "how ranges will be chosen: minmax, moving_average, percentile, entropy, mse">,
    Option<"target", "target", "std::string", "\"\"",
           "\"amx\" or \"vnni\"; empty: the module's own target">,
    Option<"attention", "attention", "bool", "false",
           "products of two activations too">,
    Option<"tables", "tables", "bool", "false",
           "tables of embeddings too">,
    ListOption<"exclude", "exclude", "std::string",
               "names of nodes or tensors to leave float; regular expressions">,
    ListOption<"opTypes", "op-types", "std::string",
               "node types to quantize (Conv, MatMul, Gemm, Gather, Add, ...); none: all">,
    ListOption<"corrections", "corrections", "std::string",
               "collect for: bias, smooth, gptq, equalize">,
  ];
  let statistics = [
    Statistic<"numContractions", "contractions", "contractions selected">,
    Statistic<"numRefused", "refused", "contractions left float">,
    Statistic<"numTables", "tables", "tables of embeddings selected">,
  ];
  let dependentDialects = ["::mlir::tamis::TamisDialect"];
}

/// How to prune, for the pass that decides and the one that applies.
defvar pruningOptions = [
  Option<"sparsity", "sparsity", "double", "-1.0",
         "share of the weights to drop, 0 to below 1 (default: 0.5, or the pattern's own)">,
  Option<"threshold", "threshold", "double", "-1.0",
         "drop what scores no more than this, whatever share that is">,
  Option<"pattern", "pattern", "std::string", "\"unstructured\"",
         "unstructured, N:M (at most N of M are not zero), RxC (R output channels x C of K), channel, head, neuron, auto">,
  Option<"criterion", "criterion", "std::string", "\"magnitude\"",
         "magnitude, random, l1, l2, activation, gradient, wanda, sparsegpt">,
  Option<"scope", "scope", "std::string", "\"local\"",
         "local: each layer its share; global: one order over all layers; time: where it saves most time for the score lost">,
  Option<"seed", "seed", "int64_t", "0", "seed of criterion random">,
  ListOption<"include", "include", "std::string",
             "only these layers or tensors (names or regular expressions)">,
  ListOption<"exclude", "exclude", "std::string",
             "not these layers or tensors (names or regular expressions)">,
  Option<"protect", "protect", "bool", "true",
         "leave first, last and small layers alone">
];

def SelectPruning : Pass<"tamis-select-pruning", "::mlir::ModuleOp"> {
  let summary = "decide which weights are pruned, how and how much";
  let description = [{
    Writes a decision (attribute `tamis.pruning`) on the observation of every
    weight that is to be pruned, and what the criterion needs measured
    (`collect`, `axis`) on the observations of activations. Layers that
    read the inputs or give the outputs, have fewer than 1024 weights or sums
    of fewer than 16 products stay, unless `protect=false`. Where a criterion's
    statistic cannot be had, a simpler criterion takes its place. All of it is
    in the report, with the pattern of zeros each weight already has. Weights
    not named by `include` keep the decision they have, so several runs mix
    patterns. Doctest: test/Compress/select-pruning.mlir
  }];
  let options = pruningOptions;
  let statistics = [Statistic<"numSelected", "selected", "weights to be pruned">];
}

def Prune : Pass<"tamis-prune", "::mlir::ModuleOp"> {
  let summary = "set the least important weights to zero, or remove channels";
  let description = [{
    Applies the decisions of `--tamis-select-pruning`; where there are none, it
    first decides by its own options. A pruned parameter gets new bytes and the
    mark `tamis.changed`. Zeros of the model count and stay. Pattern `auto`
    gives way to the coarsest of `channel`, 32x64, 32x4, 1x4 and N:4 (where it
    makes the sparsity) that keeps at least 90 % of the score that dropping
    single weights keeps and from which the target is predicted to gain more than
    from a finer one, in float32 or in 8-bit integers; without a target, scores
    alone decide. The report has every share and gain. With scope `time` each
    layer gets a sparsity of its own: the step that loses the least share of a
    layer's score for each microsecond it is predicted to save is taken until
    all layers take as long as with the asked sparsity. Pattern `channel` removes
    channels: their weights become zero here, and the module attribute
    `tamis.removed` says which indices of which parameters stay, and which
    tensors shrink, everywhere the channel is seen. `head` removes only heads of
    attentions (what two activations are multiplied one by one along), `neuron`
    only other channels. `dead-channels` does nothing else but that for
    channels that are constant whatever the input, also behind depthwise
    convolutions and reductions, whose constant moves into the bias of their
    readers, and for channels that all readers multiply by zero; where one has
    to stay the report says which reader keeps it.
    Doctest: test/Compress/prune.mlir
  }];
  let options = !listconcat(pruningOptions, [
    Option<"deadChannels", "dead-channels", "bool", "false",
           "remove channels that do not depend on the input, and nothing else">,
    Option<"correctBias", "correct-bias", "bool", "true",
           "add what is lost on average to the bias, where inputs were measured">,
    Option<"target", "target", "std::string", "\"\"",
           "machine for which pattern auto chooses; empty: the module's own">
  ]);
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"numPruned", "pruned", "weights set to zero">,
    Statistic<"numRemoved", "removed", "channels removed">];
}

def OrderChannels : Pass<"tamis-order-channels", "::mlir::ModuleOp"> {
  let summary = "bring inputs that are zero in the same sums together";
  let description = [{
    Channels that nothing tells apart but parameters exchange their places, in
    the weights that make them, in biases and in the weights that read them,
    where fewer words of four neighbouring inputs are left so: the unit of zeros
    that a stream of 8-bit weights leaves out. The model computes the same but
    for the order of its sums. Statistics of tensors whose channels moved are
    dropped, so it is the last step. Left alone: channels that a residual sum, a
    reshape or the outputs keep where they are, and weights without zeros.
    Doctest: test/Compress/order-channels.mlir
  }];
  let options = [
    ListOption<"keep", "keep", "std::string",
               "parameters whose channels stay where they are: something outside of the module lies beside them">,
  ];
  let statistics = [
    Statistic<"numMoved", "moved", "channels whose order was found">];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def Quantize : Pass<"tamis-quantize", "::mlir::ModuleOp"> {
  let summary = "turn tensors with a scheme into integers";
  let description = [{
    Weights with a scheme become constants of integers behind `tamis.dequantize`
    whose `origin` is the parameter's name; activations get `tamis.quantize` and
    `tamis.dequantize` with scale and zero point from their statistics; the
    bias of a contraction whose both operands are 8-bit integers becomes int32
    in units of its sum. Zero stays zero. Concatenated tensors share one scale.
    What is computed in float is read as float by float readers; the integers
    are for those that compute with them (`tamis.readers` names them). Weights
    of other number systems become codes behind `tamis.decode`.

    GPTQ rounds weights by the second moments of their inputs; bias correction
    takes the mean error of rounded weights off the bias. Weights of at most 4
    bits are clipped where their squared error is least.
    Doctest: test/Compress/quantize.mlir
  }];
  let options = [
    Option<"method", "method", "std::string", "\"minmax\"",
           "ranges of activations: minmax, moving_average, percentile, entropy, mse">,
    Option<"percentile", "percentile", "double", "99.99",
           "share of the values inside the range, in percent">,
    Option<"weightMethod", "weight-method", "std::string", "\"auto\"",
           "ranges of weights: minmax, mse, auto (mse up to 4 bits)">,
    Option<"gptq", "gptq", "bool", "false",
           "round weights by the statistic gram of their inputs">,
    Option<"correctBias", "correct-bias", "bool", "false",
           "correct biases by the statistic channel_moments of the inputs">,
    Option<"seed", "seed", "int64_t", "0", "seed of k-means for codebooks">,
    Option<"floatReaders", "float-readers", "bool", "true",
           "float operations read a float result unrounded">,
  ];
  let statistics = [
    Statistic<"numWeights", "weights", "parameters made integers">,
    Statistic<"numBiases", "biases", "biases made int32">,
    Statistic<"numTensors", "tensors", "activations quantized">,
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::ml_program::MLProgramDialect", "::mlir::tensor::TensorDialect",
    "TamisDialect"];
}

def Calibrate : Pass<"tamis-calibrate", "::mlir::ModuleOp"> {
  let summary = "make the statistics that observations collect the outputs";
  let description = [{
    Turns the model into one that measures itself: each kind in `collect` of
    an observation becomes one output of @main, named "<tensor>//<kind>", in the
    form of include/tamis/Compress/Statistics.h. The model's own outputs and
    all observations go; what only they needed falls to cleanup. The host runs
    the compiled result once per sample and merges. Doctest: test/Compress/calibrate.mlir
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
    "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numCollected", "collected", "statistics made outputs">];
}

def Smooth : Pass<"tamis-smooth", "::mlir::ModuleOp"> {
  let summary = "even out the channels of activations before they are quantized";
  let description = [{
    Divides the channels of an activation by factors that move the difference
    between them into the weights of the matrix products that read it. The
    observation keeps the factors; `--tamis-quantize` multiplies with them in
    front of the quantize, so that other readers are not concerned. Needs
    schemes and the statistic `channel_absmax`; done only where the rounding
    noise of the results falls.
    Doctest: test/Compress/smooth.mlir
  }];
  let options = [
    Option<"alpha", "alpha", "double", "-1",
           "share of the difference that weights take, 0 to 1; -1: the best by estimate">,
    Option<"minGain", "min-gain", "double", "1.0",
           "least gain in dB of signal to rounding noise">,
    Option<"convolutions", "convolutions", "bool", "false",
           "what convolutions read too">,
  ];
  let statistics = [
    Statistic<"numSmoothed", "smoothed", "activations smoothed">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def Equalize : Pass<"tamis-equalize", "::mlir::ModuleOp"> {
  let summary = "scale channels between layers against each other";
  let description = [{
    Where only relu, maxima, biases, products with constants and sums are
    between contractions, each channel is scaled down where it is made and up
    where it is read; sums tie the channels of their operands. The model
    computes the same. `by=weights` gives the weights on both sides the same
    range in each channel; it runs before calibration, and the statistics of
    the tensors between are dropped. `by=activations` needs schemes and the
    statistic `channel_absmax`; channels of quantized tensors come closer to
    each other as far as the rounding noise, that of the weights included,
    falls. Doctest: test/Compress/equalize.mlir
  }];
  let options = [
    Option<"by", "by", "std::string", "\"weights\"",
           "what is evened out: weights or activations">,
    Option<"minGain", "min-gain", "double", "1.0",
           "by activations: least gain in dB of signal to rounding noise">,
  ];
  let statistics = [
    Statistic<"numGroups", "groups", "groups of tensors equalized">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

#endif // TAMIS_COMPRESS_PASSES_TD
