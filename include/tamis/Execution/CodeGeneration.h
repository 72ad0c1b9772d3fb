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

/// The part of LLVM's middle end that looks at all functions together; for
/// level 3 its whole standard pipeline.
void optimizeModule(llvm::Module &module, llvm::TargetMachine &machine,
                    unsigned optLevel);

/// The part that takes each function of `module`, or of a piece of it, for
/// itself. For level 3 nothing is left to do.
void optimizeFunctions(llvm::Module &module, llvm::TargetMachine &machine,
                       unsigned optLevel);

/// Runs LLVM's back end. Fails where the machine does not write such a file.
LogicalResult generateCode(llvm::Module &module, llvm::TargetMachine &machine,
                           bool assembly, llvm::raw_pwrite_stream &output);

} // namespace mlir::tamis::emission

#endif // TAMIS_EXECUTION_CODEGENERATION_H
