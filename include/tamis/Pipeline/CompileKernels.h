// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The contractions of a model as libraries of their own, which whoever can run
// code times to write a profile.
#ifndef TAMIS_PIPELINE_COMPILEKERNELS_H
#define TAMIS_PIPELINE_COMPILEKERNELS_H

#include "tamis/Pipeline/Compile.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace mlir::tamis {

/// One contraction with the candidate that the options' profile makes it take.
struct CompiledKernel {
  /// What its time is filed under.
  std::string key, candidate;
  /// Everything that is in question for it.
  std::vector<std::string> candidates;
  /// The library; empty where it cannot be cut out of the model, or need not.
  std::string path;
};

/// A model: its file, or bytes if `path` is empty.
struct ModelInput {
  llvm::StringRef path;
  llvm::ArrayRef<char> bytes;
};

/// Compiles each distinct contraction of `model` into a library in `folder`,
/// but those for which `isKnown(key, candidate)`. The options have one target.
FailureOr<std::vector<CompiledKernel>> compileKernels(
    ModelInput model, llvm::StringRef folder, const CompileOptions &options,
    llvm::function_ref<bool(llvm::StringRef, llvm::StringRef)> isKnown,
    DiagnosticSink sink = nullptr);

/// The profile of the options' one target as the text of a file: the built-in
/// numbers, or those of the options' own file.
FailureOr<std::string> getProfileText(const CompileOptions &options,
                                      DiagnosticSink sink = nullptr);

} // namespace mlir::tamis

#endif // TAMIS_PIPELINE_COMPILEKERNELS_H
