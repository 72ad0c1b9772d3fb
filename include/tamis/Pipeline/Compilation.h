// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A compilation in its parts, for those who do something between import and
// artifact: one context can serve several.
#ifndef TAMIS_PIPELINE_COMPILATION_H
#define TAMIS_PIPELINE_COMPILATION_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Pipeline/Compile.h"
#include "tamis/Pipeline/Pipeline.h"
#include "tamis/Target/ParameterLayout.h"
#include <memory>
#include <optional>

namespace mlir::tamis {

/// A context with every dialect a model can come to. Diagnostics go to `sink`,
/// or to stderr if it is null.
std::unique_ptr<MLIRContext> createCompilerContext(DiagnosticSink sink);

/// What is known of each of `targets`: the options' profile, or the built-in
/// ones.
FailureOr<SmallVector<ProfileAttr>> getProfiles(MLIRContext &context,
                                                const CompileOptions &options,
                                                ArrayRef<TargetAttr> targets);

/// A module on its way through the stages.
class Compilation {
public:
  Compilation(MLIRContext &context, const CompileOptions &options)
      : options(options), context(context) {}

  LogicalResult importFile(StringRef path);
  LogicalResult importBytes(ArrayRef<char> bytes);
  /// Continues with a module that somebody else made.
  void setModule(OwningOpRef<ModuleOp> made) { module = std::move(made); }
  OwningOpRef<ModuleOp> takeModule() { return std::move(module); }

  /// One stage, its contract included.
  LogicalResult runStage(const Stage &stage);
  /// All stages the options ask for; one module holds the result.
  LogicalResult runStages();
  /// The same, then the artifact.
  LogicalResult run(StringRef output);

private:
  LogicalResult describeTarget();
  void split();
  SmallVector<ModuleOp> getModules();
  LogicalResult layOutParameters();
  LogicalResult dump(ModuleOp target, const Stage &stage, size_t variant);
  LogicalResult writeModule(ModuleOp target, StringRef path, bool elide);
  LogicalResult writePtx(StringRef path);
  LogicalResult emit(StringRef output);

  const CompileOptions &options;
  MLIRContext &context;
  OwningOpRef<ModuleOp> module;
  std::vector<OwningOpRef<ModuleOp>> others;
  /// The machines of the artifact, and what is known of them.
  SmallVector<TargetAttr> targets;
  SmallVector<ProfileAttr> profiles;
  std::optional<ParameterLayout> parameters;
};

} // namespace mlir::tamis

#endif // TAMIS_PIPELINE_COMPILATION_H
