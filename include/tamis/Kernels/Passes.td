// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes that decide, pack and generate the code of contractions.

#ifndef TAMIS_KERNELS_PASSES_TD
#define TAMIS_KERNELS_PASSES_TD

include "mlir/Pass/PassBase.td"

def SelectInstructions : Pass<"tamis-select-instructions", "::mlir::ModuleOp"> {
  let summary = "decides instruction and tiles of every contraction";
  let description = [{
    `tamis.contract` on tensors whose columns are innermost in the result
    becomes `tamis_kernel.contract` with the best instruction the target has,
    its right operand brought into that instruction's order by
    `tamis_kernel.pack`. Padding becomes `tensor.pad`. Contractions it cannot
    take stay, each with a remark (`-v`, `--debug`) that says why; the oracle
    lowering takes them.

    The target is the module attribute `tamis.target`; without one, the generic
    instructions of 128-bit vectors. Of the best tiles that one is taken which
    `tamis.profile` says was measured to be the fastest, or the one expected to
    be. test/Kernels/select-instructions.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::tensor::TensorDialect", "::mlir::tamis::kernel::TamisKernelDialect"];
  let statistics = [
    Statistic<"numSelected", "selected", "Contractions given an instruction">,
    Statistic<"numLeft", "left", "Contractions left to the generic lowering">];
}

def SelectStorage : Pass<"tamis-select-storage", "::mlir::ModuleOp"> {
  let summary = "decides which weights are stored without their zeros";
  let description = [{
    Weights of a selected contraction that are known now stay dense panels or
    become `#tamis.row_stream`, `#tamis.bitmask`, `#tamis.block_list` or
    `#tamis.slot_windows`, whichever the cost model expects to be faster by a
    margin, so that zeros never make a layer slower; or, with or without zeros,
    those of 3x3 windows `#tamis.winograd`. The model counts cycles of the
    products, of staging activations, of looking them up, of expanding weights,
    of walking lists and of bytes from L2, another cache or memory, with the
    numbers of `tamis.profile`. A stream that takes more bytes than the panels
    has to gain more. With `size`
    the fewest bytes are taken instead. Where the profile has measured times of
    all candidates, these decide (test/Kernels/select-by-profile.mlir).

    Sets `tamis.choice` on the contraction: the candidates, their times and the
    reason, which the report shows. test/Kernels/select-storage.mlir
  }];
  let dependentDialects = ["::mlir::tamis::kernel::TamisKernelDialect",
    "::mlir::tensor::TensorDialect"];
  let options = [
    Option<"size", "size", "bool", /*default=*/"false",
           "Take the smallest storage, not the fastest">];
  let statistics = [
    Statistic<"numStreams", "streams", "Weights stored without zeros">];
}

def SelectAttention : Pass<"tamis-select-attention", "::mlir::func::FuncOp"> {
  let summary = "decides which scores never become a whole tensor";
  let description = [{
    A selected contraction of floats, operations on the rows of its result
    (softmax, masks) and a second contraction that reads the rows are attention,
    or anything that is made alike. Both contractions get a `strip`: the number
    of rows for which all of it is done before the next, so that these rows stay
    in a quarter of L2. `--tamis-fuse-attention` makes the loop.

    Left alone: rows that something else reads too, operations that mix rows,
    and scores that fit into L1 whole. test/Kernels/select-attention.mlir
  }];
  let dependentDialects = ["::mlir::tamis::kernel::TamisKernelDialect"];
  let statistics = [
    Statistic<"numSelected", "selected", "pairs of contractions given a strip">,
    Statistic<"numShared", "shared", "rows that something else reads too">,
    Statistic<"numMixed", "mixed", "operations in between that mix rows">,
    Statistic<"numSmall", "small", "scores that fit into L1">];
}

def FuseAttention : Pass<"tamis-fuse-attention", "::mlir::func::FuncOp"> {
  let summary = "contraction, row operations, contraction: a strip at a time";
  let description = [{
    Input: operations on buffers, before `--tamis-fuse-rows`. Two contractions
    with a `strip` and the operations between them become one loop over strips,
    marked `tamis.kernel`, in which each works on slices. Buffers that hold the
    rows in between and nothing that is read later become buffers of one strip
    for each task. Strips do not depend on the number of tasks.

    Where a mask is added to scores of an open number of keys and the operations
    in between are seen to turn its minus infinity into a weight of zero that
    changes nothing else, a strip ends with the last key that one of its rows
    sees.

    Left alone, without a `strip` from then on: what cannot be moved past an
    operation in between because of a buffer that both touch.
    test/Kernels/fuse-attention.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::tamis::kernel::TamisKernelDialect"];
  let statistics = [
    Statistic<"numFused", "fused", "loops over strips made">,
    Statistic<"numLocal", "local", "buffers that became one strip">,
    Statistic<"numMasked", "masked", "loops whose strips end with their mask">,
    Statistic<"numLeft", "left", "marked contractions left as they were">];
}

def FuseWindows : Pass<"tamis-fuse-windows", "::mlir::func::FuncOp"> {
  let summary = "convolutions around a depthwise one take turns, line by line";
  let description = [{
    Input: operations on buffers, before the memory plan. A depthwise convolution
    becomes one loop, marked `tamis.kernel`, with the contraction that writes its
    image, the pointwise one that reads its result, or both: whatever the next
    line of the last one needs is made first. This is done where the image in
    between is larger than half of L2. A result that only the pointwise one reads
    becomes a buffer of one line.

    Left alone: convolutions in tasks or with sparse weights, images of open size,
    lines of few register blocks, and what cannot be moved past an operation in
    between because of a buffer that both touch.
    test/Kernels/fuse-windows.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::tamis::kernel::TamisKernelDialect"];
  let statistics = [
    Statistic<"numFused", "fused", "loops over lines made">,
    Statistic<"numLocal", "local", "buffers that became one line">,
    Statistic<"numLeft", "left", "chains left because of a buffer">];
}

def ExpandWinograd : Pass<"tamis-expand-winograd", "::mlir::func::FuncOp"> {
  let summary = "convolutions of transformed tiles: transform, products, transform back";
  let description = [{
    Input: operations on buffers, before the memory plan. A contraction with
    `#tamis.winograd` becomes one loop over strips of tiles, marked
    `tamis.kernel`: `tamis_kernel.winograd_input`, one `tamis_kernel.contract` with a
    group for each place of a tile, `tamis_kernel.winograd_output` with the
    epilogue. A task has strips of its own and room for the tiles of one.
    test/Kernels/expand-winograd.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::tamis::kernel::TamisKernelDialect"];
  let statistics = [
    Statistic<"numExpanded", "expanded", "loops over strips made">];
}

def ReportDecisions : Pass<"tamis-report-decisions", "::mlir::ModuleOp"> {
  let summary = "writes down what was decided for each contraction";
  let description = [{
    Sets the module attribute `tamis.layers`: one dictionary per contraction with
    the node it came from, its shape, multiplications, storage of the weights,
    instruction, register block and tasks, its candidates and why it is this one,
    or the reason why it takes the generic lowering. The artifact carries it; `tamis explain` prints it.
    test/Kernels/report-decisions.mlir
  }];
}

def PackParameters : Pass<"tamis-pack-parameters", "::mlir::ModuleOp"> {
  let summary = "packs constant right operands at compile time";
  let description = [{
    `tamis_kernel.pack` of an `arith.constant` or of a loaded
    `ml_program.global` becomes a new constant or parameter of final bytes;
    parameters nobody reads any more are erased. Packs of
    activations stay. test/Kernels/pack-parameters.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::ml_program::MLProgramDialect"];
  let statistics = [
    Statistic<"numPacked", "packed", "Operands packed at compile time">];
}

def LowerContractions : Pass<"tamis-lower-contractions"> {
  let summary = "generates the loops of tamis_kernel.contract and pack";
  let description = [{
    Operations on memrefs become loops over register blocks: accumulators are
    carried by the reduction loops, the instruction attribute builds products,
    the epilogue region is inlined at vector width and stores straight into the
    destination. test/Kernels/lower-contractions.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::amx::AMXDialect"];
}

#endif // TAMIS_KERNELS_PASSES_TD
