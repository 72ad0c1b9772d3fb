// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The storages that could take the place of the dense panels of a contraction:
// each has a file that finds its options, SelectStorage.cpp chooses.
#ifndef TAMIS_LIB_KERNELS_STORAGEOPTIONS_H
#define TAMIS_LIB_KERNELS_STORAGEOPTIONS_H

#include "mlir/IR/PatternMatch.h"
#include "tamis/Kernels/Candidates.h"
#include "tamis/Kernels/SourceView.h"
#include "tamis/Kernels/Tiling.h"

namespace mlir::tamis {

/// A contraction with its dense decision and the constant that it reads.
struct StorageProblem {
  kernel::ContractOp op;
  kernel::PackOp pack;
  SourceView view;
  TargetAttr target;
  ProfileAttr profile;
  /// Cycles as it is, and the bytes of all weights of the module.
  double dense = 0, modelBytes = 0;
  /// True if bytes count instead of cycles.
  bool size = false;
};

/// One storage with what it is expected to take.
struct StorageOption {
  /// The name of the candidate, and what messages call it.
  std::string name;
  StringRef what;
  double cycles = 0, bytes = 0;
  /// The share of the dense time that it has to promise.
  double margin = 1;
  /// Replaces the panels of the problem's contraction.
  std::function<void(IRRewriter &)> apply;
  /// False for one that weights without zeros have as well: the others have to
  /// promise their share of its time too.
  bool leavesZeros = true;
};

/// What was weighed for the contraction of a problem, and what was chosen.
struct StorageSelection {
  StorageProblem problem;
  KernelChoice choice;
  SmallVector<StorageOption> options;
  /// One of `options`, or null for dense panels.
  const StorageOption *option = nullptr;
};

/// What --tamis-select-storage does with one contraction: chooses for a problem
/// that lacks pack and dense price yet, of the weights that `view` shows; a
/// failure where they are not known.
void selectStorage(StorageSelection &selection, FailureOr<SourceView> view);

/// Packed panels: elements of a step, columns, steps of a run and of all runs,
/// how many panels there are, and the dimensions and elements of a run.
struct PanelShape {
  int64_t step = 1, width = 1, run = 1, steps = 1, count = 1;
  int64_t runDims = 1, runElements = 1;
};

/// The panels of `problem` for an instruction, of so many vectors.
PanelShape describePanels(const StorageProblem &problem,
                          InstructionAttrInterface instruction,
                          int64_t vectors);

/// The cheapest register block of at most so many vectors and accumulators of
/// `instruction`, with as many rows between passes of the panels as the dense
/// one has.
Tiling choosePanelTile(const StorageProblem &problem,
                       InstructionAttrInterface instruction,
                       int64_t mostVectors, int64_t mostAccumulators);

/// Packs the weights of `problem` in such panels.
kernel::PackOp repack(OpBuilder &b, const StorageProblem &problem,
                      const PanelShape &panels, bool withSums);

/// The options that are worth comparing, the cheapest first; none, and
/// `reason`, where the dense panels stay whatever is compared.
SmallVector<StorageOption> findRowStreams(const StorageProblem &problem,
                                          std::string &reason);
SmallVector<StorageOption> findBitmasks(const StorageProblem &problem,
                                        std::string &reason);
SmallVector<StorageOption> findBlockLists(const StorageProblem &problem,
                                          std::string &reason);
SmallVector<StorageOption> findBoundedPanels(const StorageProblem &problem,
                                             std::string &reason);
SmallVector<StorageOption> findNOfM(const StorageProblem &problem,
                                    std::string &reason);
SmallVector<StorageOption> findCodebook(const StorageProblem &problem,
                                        std::string &reason);
SmallVector<StorageOption> findSlotWindows(const StorageProblem &problem,
                                           std::string &reason);
SmallVector<StorageOption> findWinograd(const StorageProblem &problem,
                                        std::string &reason);

/// Why the weights of `problem` cannot be panels of another storage whatever
/// they are, as the end of a sentence; empty if they could.
StringRef findPanelObstacle(const StorageProblem &problem);

/// Rows that read each weight.
int64_t countRows(kernel::ContractOp op);

/// Vectors of panels for `instruction`, each of `vectors` vectors of columns.
int64_t countVectors(const StorageProblem &problem,
                     InstructionAttrInterface instruction, int64_t vectors);

/// The weights as such panels, in front of the contraction.
kernel::PackOp packPanels(IRRewriter &rewriter, const StorageProblem &problem,
                          InstructionAttrInterface instruction,
                          int64_t vectors);

/// Makes the contraction read the `arrays` of `storage`, which were made of
/// `panels`, by `instruction`.
void storePanels(IRRewriter &rewriter, const StorageProblem &problem,
                 kernel::PackOp panels, StorageAttrInterface storage,
                 InstructionAttrInterface instruction, ValueRange arrays);

} // namespace mlir::tamis

#endif // TAMIS_LIB_KERNELS_STORAGEOPTIONS_H
