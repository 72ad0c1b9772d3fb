// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The six stages. Their order is written in lib/Pipeline/Pipeline.cpp and
// nowhere else.
#ifndef TAMIS_PIPELINE_PIPELINE_H
#define TAMIS_PIPELINE_PIPELINE_H

#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace mlir::tamis {

struct CompileOptions;

/// One watershed of compilation.
struct Stage {
  llvm::StringRef name;
  /// What holds once it ends, in one sentence.
  llvm::StringRef promise;
  /// Adds its passes. `import` and `emit` have work outside the pass manager
  /// and may add none.
  void (*populate)(OpPassManager &pm, const CompileOptions &options);
  /// Dialects and operations that must not be left when the stage ends.
  llvm::ArrayRef<llvm::StringRef> forbidden;
};

/// All stages in order.
llvm::ArrayRef<Stage> getStages();

/// Index of a stage by name, -1 if there is none.
int getStageIndex(llvm::StringRef name);

/// Adds the passes of every stage after `from` up to and including `to`, each
/// followed by the check of its contract. Empty names mean the ends.
LogicalResult buildPipeline(OpPassManager &pm, const CompileOptions &options,
                            llvm::StringRef from = "", llvm::StringRef to = "");

/// Registers `--tamis-cpu-pipeline`, `--tamis-gpu-pipeline` and one
/// `--tamis-stage-<name>` per stage.
void registerPipelines();

} // namespace mlir::tamis

#endif // TAMIS_PIPELINE_PIPELINE_H
