// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model that is being compressed: imported with its tensors named, kept
// alive between passes, measured by an instrumented copy. Everything the
// Python package offers for compression goes through here.
#ifndef TAMIS_COMPRESS_SESSION_H
#define TAMIS_COMPRESS_SESSION_H

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "tamis/Compress/Delta.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Pipeline/Compile.h"
#include <memory>

namespace mlir::tamis {

class Session {
public:
  /// Diagnostics of everything that follows go to `sink`.
  Session(const CompileOptions &options, DiagnosticSink sink);
  ~Session();

  /// Imports a model and runs the passes of stage `import`.
  LogicalResult load(StringRef path);
  /// The same from memory; `bytes` outlive the session.
  LogicalResult load(ArrayRef<char> bytes);

  /// Runs a pipeline given as text on the module.
  LogicalResult run(StringRef pipeline);

  /// Every observation, in the order of the program.
  SmallVector<ObserveOp> getObservations();

  /// Compiles a copy of the module whose outputs are the statistics that its
  /// observations collect, each named "<tensor>//<kind>". Open dimensions that
  /// the options fix are fixed in the copy.
  LogicalResult instrument(StringRef output, const CompileOptions &options);

  /// What `instrument` is to measure of a tensor, in place of what passes asked
  /// for; `axis` is the one of statistics per channel.
  LogicalResult setCollect(StringRef tensor, ArrayRef<StringRef> kinds,
                           std::optional<int64_t> axis);

  /// Records one statistic (see Statistics.h) of a tensor.
  LogicalResult setStatistic(StringRef tensor, StringRef kind,
                             ArrayRef<int64_t> shape, StringRef dtype,
                             ArrayRef<char> bytes);

  /// The statistics recorded of a tensor, by kind.
  FailureOr<std::map<std::string, DeltaArray>> getStatistics(StringRef tensor);

  /// The contents of a parameter.
  FailureOr<DeltaArray> getParameter(StringRef tensor);

  FailureOr<Delta> getDelta() { return collectDelta(*module); }

  /// Null before a model is loaded.
  ModuleOp getModule() { return *module; }

private:
  LogicalResult finishImport(class Compilation &compilation);
  /// The observation of `tensor`, or a reported failure.
  FailureOr<ObserveOp> find(StringRef tensor);
  InFlightDiagnostic emitError();

  CompileOptions options;
  std::unique_ptr<MLIRContext> context;
  OwningOpRef<ModuleOp> module;
};

} // namespace mlir::tamis

#endif // TAMIS_COMPRESS_SESSION_H
