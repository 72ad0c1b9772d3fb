// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LLVM's middle end and back end, for the host's code and for devices'.
#ifndef TAMIS_EXECUTION_CODEGENERATION_H
#define TAMIS_EXECUTION_CODEGENERATION_H

#include "mlir/Support/LLVM.h"

namespace llvm {
class Module;
class TargetMachine;
class raw_pwrite_stream;
} // namespace llvm

namespace mlir::tamis::emission {

/// Runs LLVM's middle end: its standard pipeline for level 3, a short one for
/// finished kernels below.
void optimize(llvm::Module &module, llvm::TargetMachine &machine,
              unsigned optLevel);

/// Runs LLVM's back end. Fails where the machine does not write such a file.
LogicalResult generateCode(llvm::Module &module, llvm::TargetMachine &machine,
                           bool assembly, llvm::raw_pwrite_stream &output);

} // namespace mlir::tamis::emission

#endif // TAMIS_EXECUTION_CODEGENERATION_H
