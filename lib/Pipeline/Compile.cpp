// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The compiler as one call: import, the stages one after the other, emission.
#include "mlir/Analysis/CallGraph.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "tamis/Execution/Emit.h"
#include "tamis/Execution/OutputFile.h"
#include "tamis/Gpu/Passes.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Import/MappedFiles.h"
#include "tamis/InitAll.h"
#include "tamis/Pipeline/Compilation.h"
#include "tamis/Pipeline/Variants.h"
#include "tamis/Target/Profile.h"
#include "tamis/Target/Target.h"
#include "llvm/ADT/SCCIterator.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace mlir::tamis;

static void printDiagnostic(Diagnostic &diagnostic) {
  auto print = [](const Diagnostic &one) {
    StringRef kind =
        one.getSeverity() == DiagnosticSeverity::Error     ? "error"
        : one.getSeverity() == DiagnosticSeverity::Warning ? "warning"
        : one.getSeverity() == DiagnosticSeverity::Remark  ? "remark"
                                                           : "note";
    llvm::errs() << kind << ": " << getDiagnosticText(one) << "\n";
  };
  print(diagnostic);
  for (const Diagnostic &note : diagnostic.getNotes())
    print(note);
}

static const DialectRegistry &getRegistry() {
  static const DialectRegistry *registry = [] {
    auto *made = new DialectRegistry;
    registerAllDialects(*made);
    return made;
  }();
  return *registry;
}

std::unique_ptr<MLIRContext>
mlir::tamis::createCompilerContext(DiagnosticSink sink) {
  auto context = std::make_unique<MLIRContext>(getRegistry());
  context->loadDialect<TamisDialect, kernel::TamisKernelDialect,
                       affine::AffineDialect, arith::ArithDialect,
                       func::FuncDialect, linalg::LinalgDialect,
                       math::MathDialect, ml_program::MLProgramDialect,
                       scf::SCFDialect, tensor::TensorDialect>();
  // A message about a module would end in the module.
  context->printOpOnDiagnostic(false);
  if (!sink)
    sink = printDiagnostic;
  context->getDiagEngine().registerHandler(
      [sink](Diagnostic &diagnostic) { sink(diagnostic); });
  return context;
}

FailureOr<SmallVector<ProfileAttr>>
mlir::tamis::getProfiles(MLIRContext &context, const CompileOptions &options,
                         ArrayRef<TargetAttr> targets) {
  if (options.profile.empty())
    return llvm::map_to_vector(targets, getDefaultProfile);
  auto emitError = [&] {
    InFlightDiagnostic error = mlir::emitError(UnknownLoc::get(&context));
    error << "profile '" << options.profile << "': ";
    return error;
  };
  auto file = llvm::MemoryBuffer::getFile(options.profile, /*IsText=*/true);
  if (!file)
    return emitError() << file.getError().message();
  return readProfile((*file)->getBuffer(), targets, emitError);
}

/// What no stage can compile of a module that somebody wrote.
static LogicalResult checkFunctions(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  auto check = [&](TypeRange types, StringRef what) -> LogicalResult {
    for (auto [i, type] : llvm::enumerate(types))
      if (!isa<RankedTensorType>(type))
        return main.emitError() << "@main: expected a ranked tensor as " << what
                                << " " << i << ", got " << type;
    return success();
  };
  if (main && (failed(check(main.getArgumentTypes(), "argument")) ||
               failed(check(main.getResultTypes(), "result"))))
    return failure();
  CallGraph calls(module);
  for (auto cycle = llvm::scc_begin(&std::as_const(calls)); !cycle.isAtEnd();
       ++cycle)
    if (cycle.hasCycle())
      return module.emitError("a function calls itself");
  return success();
}

LogicalResult Compilation::importFile(StringRef path) {
  StringRef extension = llvm::sys::path::extension(path);
  if (extension == ".mlir" || extension == ".mlirbc") {
    module = parseSourceFile<ModuleOp>(path, ParserConfig(&context));
    return success(!!module);
  }
  module = importOnnx(context, path, options.import);
  return success(!!module);
}

LogicalResult Compilation::importBytes(ArrayRef<char> bytes) {
  StringRef text(bytes.data(), bytes.size());
  // MLIR text and bytecode are told from protobuf by their first bytes.
  if (text.starts_with("ML\xefR") ||
      text.ltrim().starts_with_insensitive("module") ||
      text.ltrim().starts_with("func.func") ||
      text.ltrim().starts_with("ml_program") ||
      llvm::any_of(StringRef("#!/"), [&](char c) {
        return text.ltrim().starts_with(StringRef(&c, 1));
      })) {
    module = parseSourceString<ModuleOp>(text, ParserConfig(&context));
    return success(!!module);
  }
  module = importOnnx(context, bytes, nullptr, options.import);
  return success(!!module);
}

/// Target, profile and policy as attributes of the module.
LogicalResult Compilation::describeTarget() {
  Operation *op = *module;
  auto parsed = parseTargets(&context, options.target, options.threads, [&] {
    return mlir::emitError(UnknownLoc::get(&context));
  });
  if (failed(parsed))
    return failure();
  targets = std::move(*parsed);
  // An artifact for MLIR input keeps the target written in the module.
  if (auto written = op->getAttrOfType<TargetAttr>(kTargetAttrName))
    targets = {written};
  FailureOr<SmallVector<ProfileAttr>> found =
      getProfiles(context, options, targets);
  if (failed(found))
    return failure();
  profiles = std::move(*found);
  op->setAttr(kTargetAttrName, targets.front());
  if (!options.profile.empty() || !op->hasAttr(kProfileAttrName))
    op->setAttr(kProfileAttrName, profiles.front());
  op->setAttr(kPolicyAttrName,
              PolicyAttr::get(&context, options.strict, options.allowBf16));
  return success();
}

LogicalResult Compilation::runStages() {
  auto emitError = [&] { return mlir::emitError(UnknownLoc::get(&context)); };
  int first = options.from.empty() ? 0 : getStageIndex(options.from) + 1;
  int last =
      options.to.empty() ? getStageIndex("emit") : getStageIndex(options.to);
  if (!options.from.empty() && first == 0)
    return emitError() << "there is no stage '" << options.from << "'";
  if (last < 0)
    return emitError() << "there is no stage '" << options.to << "'";
  if (last < first)
    return emitError() << "stage '" << options.to << "' does not come after '"
                       << options.from << "'";
  // Later stages have functions of other types, their own.
  if (first == 0 && failed(checkFunctions(*module)))
    return failure();
  if (failed(describeTarget()))
    return failure();

  // Before `emit` drops the parameters, which nothing reads any more.
  if (first > getStageIndex("pack") && failed(layOutParameters()))
    return failure();
  for (int i = first; i <= last; ++i) {
    const Stage &stage = getStages()[i];
    if (stage.name == "plan")
      split();
    if (failed(runStage(stage)))
      return failure();
    // Weights are final from here on; codegen turns them into offsets.
    if (stage.name == "pack" && failed(layOutParameters()))
      return failure();
    // Most of what was read of them has been copied.
    if (stage.name == "pack")
      releaseMappedPages();
  }
  mergeVariants(getModules());
  return success();
}

LogicalResult Compilation::run(StringRef output) {
  if (failed(runStages()))
    return failure();
  if ((!options.to.empty() && options.to != "emit") ||
      options.emit == EmitKind::MLIR)
    return writeModule(*module, output, /*elide=*/false);
  // Their bytes are written by emission, through the layout.
  for (auto global :
       llvm::make_early_inc_range(module->getOps<ml_program::GlobalOp>()))
    global.erase();
  return emit(output);
}

/// One module per further target.
void Compilation::split() {
  for (size_t i = 1; i < targets.size(); ++i) {
    OwningOpRef<ModuleOp> copy = module->clone();
    copy->getOperation()->setAttr(kTargetAttrName, targets[i]);
    copy->getOperation()->setAttr(kProfileAttrName, profiles[i]);
    others.push_back(std::move(copy));
  }
}

SmallVector<ModuleOp> Compilation::getModules() {
  SmallVector<ModuleOp> list{*module};
  for (OwningOpRef<ModuleOp> &other : others)
    list.push_back(*other);
  return list;
}

LogicalResult Compilation::layOutParameters() {
  if (!others.empty())
    unifyParameters(getModules());
  auto layout = ParameterLayout::get(*module);
  if (failed(layout))
    return failure();
  parameters = *layout;
  return success();
}

static LogicalResult verifyContract(ModuleOp target, const Stage &stage) {
  WalkResult result = target.walk([&](Operation *op) {
    OperationName name = op->getName();
    if (!llvm::is_contained(stage.forbidden, name.getDialectNamespace()) &&
        !llvm::is_contained(stage.forbidden, name.getStringRef()))
      return WalkResult::advance();
    op->emitOpError("is left after stage '")
        << stage.name << "', which promises: " << stage.promise;
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

LogicalResult Compilation::runStage(const Stage &stage) {
  CompileOptions local = options;
  for (auto [variant, target] : llvm::enumerate(getModules())) {
    local.variant = variant;
    local.device = getDevice(getTarget(target));
    PassManager pm(&context, ModuleOp::getOperationName());
    pm.enableVerifier(false);
    if (options.timing)
      pm.enableTiming();
    if (options.statistics)
      pm.enableStatistics();
    stage.populate(pm, local);
    if (failed(pm.run(target)) || failed(mlir::verify(target)) ||
        failed(verifyContract(target, stage)))
      return failure();
    if (!options.dumpStages.empty() && failed(dump(target, stage, variant)))
      return failure();
  }
  return success();
}

LogicalResult Compilation::dump(ModuleOp target, const Stage &stage,
                                size_t variant) {
  SmallString<128> path(options.dumpStages);
  if (std::error_code error = llvm::sys::fs::create_directories(path))
    return mlir::emitError(UnknownLoc::get(&context))
           << "cannot create '" << path << "': " << error.message();
  std::string suffix = variant ? "." + std::to_string(variant) : "";
  llvm::sys::path::append(path, stage.name + suffix + ".mlir");
  return writeModule(target, path, /*elide=*/true);
}

/// Large constants are left out of dumps that people read.
LogicalResult Compilation::writeModule(ModuleOp target, StringRef path,
                                       bool elide) {
  auto file = OutputFile::open(path);
  if (!file)
    return mlir::emitError(UnknownLoc::get(&context))
           << llvm::toString(file.takeError());
  OpPrintingFlags flags;
  if (elide)
    flags.elideLargeElementsAttrs(64).elideLargeResourceString(64);
  target.print((*file)->os(), flags);
  (*file)->os() << '\n';
  if (llvm::Error error = (*file)->keep())
    return mlir::emitError(UnknownLoc::get(&context))
           << llvm::toString(std::move(error));
  return success();
}

/// The kernels of an NVIDIA device, as `--tamis-embed-kernels` left them.
LogicalResult Compilation::writePtx(StringRef path) {
  auto text = module->lookupSymbol<LLVM::GlobalOp>(kPtxName);
  if (!text)
    return mlir::emitError(UnknownLoc::get(&context))
           << "emit 'ptx': expected a target nvptx:... and a kernel that runs "
              "there";
  StringRef padded = cast<StringAttr>(*text.getValue()).getValue();
  if (llvm::Error error =
          writeFile(path, padded.take_until([](char c) { return c == '\0'; })))
    return mlir::emitError(UnknownLoc::get(&context))
           << llvm::toString(std::move(error));
  return success();
}

LogicalResult Compilation::emit(StringRef output) {
  if (options.emit == EmitKind::Ptx)
    return writePtx(output);
  EmitOptions emission;
  emission.prefix = options.prefix;
  emission.optLevel = options.optLevel;
  switch (options.emit) {
  case EmitKind::SharedLibrary:
    emission.kind = EmitOptions::Kind::SharedLibrary;
    break;
  case EmitKind::Object:
    emission.kind = EmitOptions::Kind::Object;
    break;
  case EmitKind::LLVMIR:
    emission.kind = EmitOptions::Kind::LLVMIR;
    break;
  case EmitKind::Assembly:
  case EmitKind::Ptx:
  case EmitKind::MLIR:
    emission.kind = EmitOptions::Kind::Assembly;
    break;
  }
  emission.writeHeader = options.emit == EmitKind::SharedLibrary ||
                         options.emit == EmitKind::Object;
  return emitArtifact(*module, *parameters, output, emission);
}

LogicalResult mlir::tamis::compileModel(StringRef input, StringRef output,
                                        const CompileOptions &options,
                                        DiagnosticSink sink) {
  auto context = createCompilerContext(std::move(sink));
  Compilation compilation(*context, options);
  return failure(failed(compilation.importFile(input)) ||
                 failed(compilation.run(output)));
}

LogicalResult mlir::tamis::compileModel(ArrayRef<char> bytes, StringRef output,
                                        const CompileOptions &options,
                                        DiagnosticSink sink) {
  auto context = createCompilerContext(std::move(sink));
  Compilation compilation(*context, options);
  return failure(failed(compilation.importBytes(bytes)) ||
                 failed(compilation.run(output)));
}
