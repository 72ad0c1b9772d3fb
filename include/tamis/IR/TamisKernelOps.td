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

    Codes: 1 index out of range, 2 shape mismatch, 4 allocation failed,
    8 division by zero.

    Example: `tamis_kernel.check %in_range, 1`
  }];
  let arguments = (ins I1:$condition, I32Attr:$code);
  let assemblyFormat = "$condition `,` $code attr-dict";
}

#endif // TAMIS_IR_KERNEL_OPS_TD
