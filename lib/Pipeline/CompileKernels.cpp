// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model up to `plan`, then each of its contractions to a library.
#include "tamis/Pipeline/CompileKernels.h"
#include "tamis/Kernels/CutKernels.h"
#include "tamis/Pipeline/Compilation.h"
#include "tamis/Target/Profile.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::tamis;

FailureOr<std::vector<CompiledKernel>> mlir::tamis::compileKernels(
    ModelInput model, StringRef folder, const CompileOptions &options,
    llvm::function_ref<bool(StringRef, StringRef)> isKnown,
    DiagnosticSink sink) {
  auto context = createCompilerContext(std::move(sink));
  CompileOptions planned = options;
  planned.to = "plan";
  Compilation compilation(*context, planned);
  if (failed(model.path.empty() ? compilation.importBytes(model.bytes)
                                : compilation.importFile(model.path)) ||
      failed(compilation.runStages()))
    return failure();
  OwningOpRef<ModuleOp> module = compilation.takeModule();

  CompileOptions alone = options;
  alone.from = "plan";
  std::vector<CompiledKernel> kernels;
  for (CutKernel &cut : cutKernels(*module)) {
    CompiledKernel &kernel = kernels.emplace_back();
    kernel.key = std::move(cut.key);
    kernel.candidate = std::move(cut.candidate);
    kernel.candidates = std::move(cut.candidates);
    if (!cut.module || isKnown(kernel.key, kernel.candidate))
      continue;
    SmallString<128> path(folder);
    llvm::sys::path::append(path, "kernel" + Twine(kernels.size()) + ".so");
    Compilation one(*context, alone);
    one.setModule(std::move(cut.module));
    if (failed(one.run(path)))
      return failure();
    kernel.path = path.str();
  }
  return kernels;
}

FailureOr<std::string>
mlir::tamis::getProfileText(const CompileOptions &options,
                            DiagnosticSink sink) {
  auto context = createCompilerContext(std::move(sink));
  auto emitError = [&] { return mlir::emitError(UnknownLoc::get(&*context)); };
  auto targets =
      parseTargets(&*context, options.target, options.threads, emitError);
  if (failed(targets))
    return failure();
  if (targets->size() != 1)
    return emitError() << "times are measured for one target, '"
                       << options.target << "' has " << targets->size();
  auto profiles = getProfiles(*context, options, *targets);
  if (failed(profiles))
    return failure();
  return writeProfile(targets->front(), profiles->front());
}
