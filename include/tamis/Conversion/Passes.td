// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes that leave the dialect: to linalg (the oracle), to memrefs with a
// memory plan, to LLVM.

#ifndef TAMIS_CONVERSION_PASSES_TD
#define TAMIS_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def TamisToLinalg : Pass<"tamis-to-linalg"> {
  let summary = "the slow, obvious meaning of every tamis operation";
  let description = [{
    Rewrites `tamis.contract` on tensors to `tensor.pad`, one `linalg.generic`
    for the sum and one for the epilogue. It is the oracle against which fast
    paths are tested, and the way of every contraction no instruction takes.
    Memref forms and `tamis_kernel` operations are left alone.
    Doctest: test/Conversion/tamis-to-linalg.mlir
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
  let statistics = [Statistic<"contractions", "contractions",
                              "contractions lowered to plain loops">];
}

def BindBuffers : Pass<"tamis-bind-buffers", "::mlir::ModuleOp"> {
  let summary = "inputs, outputs and parameters of @main become caller-owned memory";
  let description = [{
    @main's tensor arguments become read-only memrefs, each result a writable
    memref argument that the result is materialized in, so that bufferization
    computes it in place; then follow `%workspace` and `%weights`, both
    `memref<?xi8>`. Every `ml_program.global_load_const` becomes a typed view
    of `%weights` at the offset that `ParameterLayout` assigns; the globals
    stay, for emission writes their bytes. A result marked `tamis.unbounded`
    by `--tamis-output-dims` is handed over with `tamis_kernel.store_output`.
    A result made by changing an argument (destinations from one to the other)
    continues it: at the start the argument is copied into the result's memory,
    unless the caller has given both the same, and read from there. The
    interface says so as `state`.
    Functions other than @main must not load parameters.
    Doctest: test/Conversion/bind-buffers.mlir
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect",
    "::mlir::bufferization::BufferizationDialect", "::mlir::arith::ArithDialect",
    "::mlir::scf::SCFDialect", "::mlir::linalg::LinalgDialect"];
}

def OutputDims : Pass<"tamis-output-dims", "::mlir::ModuleOp"> {
  let summary = "states how result dimensions follow from argument dimensions";
  let description = [{
    Adds `func.func private @output_dims`, which takes every input
    dimension as an index and returns every output dimension, -1 where only
    the data decides. Tensor-level: runs before bufferization.
  }];
  let dependentDialects = ["::mlir::func::FuncDialect",
    "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

def Bufferize : Pass<"tamis-bufferize", "::mlir::ModuleOp"> {
  let summary = "values become buffers, in place wherever that is safe";
  let description = [{
    Upstream one-shot bufferization of @main with this project's choices:
    64-byte alignment, copies as `linalg.copy` so that they become kernels,
    parameters left as they are. Functions have been given memref arguments by
    `--tamis-bind-buffers`.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect",
    "::mlir::bufferization::BufferizationDialect",
    "::mlir::linalg::LinalgDialect"];
}

def LowerChecks : Pass<"tamis-lower-checks", "::mlir::ModuleOp"> {
  let summary = "run-time checks or their code into the error word";
  let description = [{
    The error word is the first i32 of the workspace. The condition has been
    clamped where it guards an access, so execution goes on.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

def PlanMemory : Pass<"tamis-plan-memory", "::mlir::ModuleOp"> {
  let summary = "places every buffer of @main in one arena";
  let description = [{
    Lifetimes in program order (a buffer used in a loop lives as long as the
    loop), then first fit by decreasing size: the greedy-by-size planner of
    Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
    Inference" (2020). Dynamic sizes count with their upper bound, known from
    the ranges of the inputs (`tamis.dim_ranges`); a buffer without a bound is
    allocated through the host at run time. Sets `tamis.workspace` (bytes) on
    the module.
  }];
  let options = [
    Option<"limit", "limit", "int64_t", "int64_t(1) << 40",
           "bytes above which the plan is an error">];
  let statistics = [
    Statistic<"buffers", "buffers", "buffers placed in the arena">,
    Statistic<"unbounded", "unbounded", "buffers allocated at run time">];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

def OutlineKernels : Pass<"tamis-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "every computation becomes a function; equal ones become one";
  let description = [{
    Each operation on buffers in @main (structured operations, contractions,
    row loops) moves into a private function `@kernel_N`; operations that are
    equal but for their operands share it.
  }];
  let statistics = [
    Statistic<"kernels", "kernels", "functions made">,
    Statistic<"calls", "calls", "operations replaced by calls">];
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

def LowerParallel : Pass<"tamis-lower-parallel", "::mlir::ModuleOp"> {
  let summary = "scf.forall becomes tasks of the runtime, or a loop";
  let description = [{
    The body of every `scf.forall` with one induction variable in a kernel
    becomes a function `@<kernel>_task_N(args, task)`; its captured values
    travel in a struct on the caller's stack and `tamis_rt_parallel` calls it
    for every index. With `threads` = 1 it becomes a serial loop. Tasks write
    disjoint memory, so the result does not depend on the number of threads.
  }];
  let options = [Option<"threads", "threads", "int64_t", "1",
                        "1: serial loops">];
  let statistics = [Statistic<"tasks", "tasks", "task functions made">];
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::scf::SCFDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect"];
}

def LowerMasks : Pass<"tamis-lower-masks"> {
  let summary = "vector masks of run-time length become comparisons";
  let description = [{
    `vector.create_mask` becomes a comparison of a lane index vector with the
    length. The interface of `--convert-to-llvm` lacks this, and the pass that
    has it cannot carry AMX tiles over blocks.
    Doctest: test/Conversion/lower-masks.mlir
  }];
  let dependentDialects = ["::mlir::vector::VectorDialect",
    "::mlir::arith::ArithDialect"];
}

def LeaveOnError : Pass<"tamis-leave-on-error", "::mlir::func::FuncOp"> {
  let summary = "@main returns as soon as a check of shapes has failed";
  let description = [{
    After each store into the error word that `--tamis-lower-checks` marked, the
    function returns if the word is not zero: what follows would read out of
    bounds. Runs on a control-flow graph, so also inside loops.
    Doctest: test/Conversion/leave-on-error.mlir
  }];
  let dependentDialects = ["::mlir::cf::ControlFlowDialect",
    "::mlir::arith::ArithDialect"];
}

def LowerCopies : Pass<"tamis-lower-copies", "::mlir::func::FuncOp"> {
  let summary = "copies between strided views to linalg.generic";
  let description = [{
    Input: memrefs, outlined. Output: every `memref.copy` left is between
    buffers without a layout, which is one memcpy. Test:
    `test/Conversion/lower-copies.mlir`.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def LowerViews : Pass<"tamis-lower-views"> {
  let summary = "views of buffers become reinterpretations";
  let description = [{
    `memref.expand_shape` and `memref.collapse_shape` of a buffer without gaps
    become `memref.reinterpret_cast` with row-major strides: upstream's
    expansion of strided metadata crashes on some groups of unit and dynamic
    dimensions. It is applied to the other views, and to nothing else.
    Doctest: test/Conversion/lower-views.mlir
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect",
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect"];
}

def LowerStructured : Pass<"tamis-lower-structured", "::mlir::func::FuncOp"> {
  let summary = "structured operations on buffers become loops";
  let description = [{
    Each `linalg` operation on memrefs becomes a nest of `scf.for` over its
    elements, in one walk. Index arithmetic is left for the next cleanup.
    Doctest: test/Conversion/lower-structured.mlir
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def SkipEmptyLoops : Pass<"tamis-skip-empty-loops", "::mlir::func::FuncOp"> {
  let summary = "loops around nothing but empty loops stand behind a branch";
  let description = [{
    A tensor of shape [2^50, 0] has no element, but the loop over its first
    dimension would still count. Where all that a loop writes is written in
    loops inside, and bounds that are known before it may be empty, an `scf.if`
    asks whether any of these loops runs.
    Doctest: test/Conversion/skip-empty-loops.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::scf::SCFDialect"];
  let statistics = [Statistic<"numLoops", "loops", "loops behind a branch">];
}

def LowerInstructions : Pass<"tamis-lower-instructions", "::mlir::func::FuncOp"> {
  let summary = "what has one counterpart in LLVM, in one walk";
  let description = [{
    Input: blocks, buffers with known strides. Arithmetic of `arith`, `math` and
    `vector` on numbers and vectors of one dimension, loads and stores of these,
    and branches become operations of the `llvm` dialect; the pointer of a
    buffer is computed once, where the buffer is made. Indices become i64,
    with casts beside what is left: operations with flags, other types,
    buffers with dynamic strides, calls. `--convert-to-llvm` takes these.
    Doctest: test/Conversion/lower-instructions.mlir
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def LowerInterface : Pass<"tamis-lower-interface", "::mlir::ModuleOp"> {
  let summary = "the entry points that the runtime calls";
  let description = [{
    Adds `tamis_compute_<variant>`, `tamis_workspace_<variant>` and
    `tamis_output_dims` with the signatures of
    include/tamis/Runtime/Runtime.h around @main.
  }];
  let options = [Option<"variant", "variant", "int64_t", "0",
                        "number of the target variant">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
    "::mlir::memref::MemRefDialect", "::mlir::arith::ArithDialect",
    "::mlir::scf::SCFDialect"];
}

def ShortenRounding : Pass<"tamis-shorten-rounding"> {
  let summary = "fewer operations for floats that become integers of few bits";
  let description = [{
    Where a clamped and rounded float is truncated to an integer of few bits and
    extended again (one operator quantizes what the next dequantizes), the
    extension of what is in range is the integer before, and a zero point that
    is added and subtracted is nothing. On x86-64 a float32 that is rounded to
    the nearest integer, ties to even, becomes an int32 in one operation. Results
    stay the same, bit for bit.
    Doctest: test/Conversion/shorten-rounding.mlir
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
  let statistics = [Statistic<"numShortened", "shortened",
                              "operations replaced">];
}

def ExpandMath : Pass<"tamis-expand-math"> {
  let summary = "transcendental functions as polynomials on any vector width";
  let description = [{
    exp, exp2, expm1, tanh, erf, log, log2, log10, log1p, sin, cos, pow and
    rsqrt of float32 (float16 and bfloat16 through float32), scalars and
    vectors alike, become straight-line arithmetic within 3 units in the last
    place, exact at infinities, zeros and NaN. Maxima and minima become
    comparisons that are one instruction of the host. Fused multiply-add only
    where `tamis.target` has it. sin and cos beyond 2^20 keep a scalar path in
    float64, so this runs before scf is lowered. float64 and all other
    functions are left to libm.
    Doctest: test/Conversion/expand-math.mlir
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
  let statistics = [Statistic<"numExpanded", "expanded", "operations expanded">];
}

#endif // TAMIS_CONVERSION_PASSES_TD
