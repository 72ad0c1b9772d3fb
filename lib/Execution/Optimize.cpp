// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LLVM's middle end and back end, in this process.
#include "Emission.h"
#include "llvm-c/Target.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/OptBisect.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Transforms/IPO/DeadArgumentElimination.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/IPO/SCCP.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/ADCE.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/LoopRotation.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"

#include <mutex>

using namespace mlir;
using namespace mlir::tamis;

std::unique_ptr<llvm::TargetMachine>
emission::createMachine(ModuleOp source, StringRef arch, unsigned optLevel) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser(); // inline assembly
  });
  if (arch != "x86_64") {
    source.emitError("architecture '")
        << arch << "': expected 'x86_64', the only one with a runtime";
    return nullptr;
  }
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target) {
    source.emitError("no code generator: ") << error;
    return nullptr;
  }
  llvm::TargetOptions options;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, "x86-64", "", options, llvm::Reloc::PIC_, std::nullopt,
      optLevel >= 2 ? llvm::CodeGenOptLevel::Default
                    : llvm::CodeGenOptLevel::Less));
}

/// Strides and sizes are constants at every call: the arguments go away.
static llvm::ModulePassManager buildModulePipeline() {
  using namespace llvm;
  ModulePassManager passes;
  passes.addPass(GlobalDCEPass());
  // Takes apart the descriptors of memrefs.
  passes.addPass(createModuleToFunctionPassAdaptor(EarlyCSEPass()));
  // A kernel has one caller: nothing to specialize.
  passes.addPass(IPSCCPPass(IPSCCPOptions(/*AllowFuncSpec=*/false)));
  passes.addPass(DeadArgumentEliminationPass());
  passes.addPass(GlobalDCEPass());
  return passes;
}

/// Kernels arrive as finished loops over vectors with accumulators in
/// registers, so what is left for the middle end is to clear the descriptors of
/// memrefs away, share addresses and hoist what does not change. The standard
/// O2 pipeline takes four times as long for code of the same speed.
static llvm::ModulePassManager buildFunctionPipeline() {
  using namespace llvm;
  FunctionPassManager passes;
  passes.addPass(SimplifyCFGPass());
  passes.addPass(SROAPass(SROAOptions::ModifyCFG));
  passes.addPass(EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(InstCombinePass());
  LoopPassManager loops;
  loops.addPass(LoopRotatePass());
  loops.addPass(LICMPass(LICMOptions()));
  passes.addPass(createFunctionToLoopPassAdaptor(std::move(loops),
                                                 /*UseMemorySSA=*/true));
  passes.addPass(EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(InstCombinePass());
  passes.addPass(SimplifyCFGPass());
  passes.addPass(ADCEPass());
  ModulePassManager all;
  all.addPass(createModuleToFunctionPassAdaptor(std::move(passes)));
  return all;
}

/// Runs what `build` makes of a builder for this machine.
static void runPasses(
    llvm::Module &module, llvm::TargetMachine &machine,
    llvm::function_ref<llvm::ModulePassManager(llvm::PassBuilder &)> build) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  build(builder).run(module, modules);
}

void emission::optimizeModule(llvm::Module &module,
                              llvm::TargetMachine &machine, unsigned optLevel) {
  runPasses(module, machine, [&](llvm::PassBuilder &builder) {
    return optLevel >= 3 ? builder.buildPerModuleDefaultPipeline(
                               llvm::OptimizationLevel::O3)
                         : buildModulePipeline();
  });
}

void emission::optimizeFunctions(llvm::Module &module,
                                 llvm::TargetMachine &machine,
                                 unsigned optLevel) {
  if (optLevel < 3)
    runPasses(module, machine,
              [](llvm::PassBuilder &) { return buildFunctionPipeline(); });
}

namespace {
/// For level 1: a quarter of the back end's time is spent on induction
/// variables, which kernels have few of.
class FastGate : public llvm::OptPassGate {
  bool isEnabled() const override { return true; }
  bool shouldRunPass(StringRef pass, StringRef) const override {
    return pass != "Loop Strength Reduction";
  }
};
} // namespace

LogicalResult emission::generateCode(llvm::Module &module,
                                     llvm::TargetMachine &machine,
                                     bool assembly,
                                     llvm::raw_pwrite_stream &output) {
  llvm::LLVMContext &context = module.getContext();
  llvm::OptPassGate &usual = context.getOptPassGate();
  llvm::scope_exit restore([&] { context.setOptPassGate(usual); });
  FastGate fast;
  if (machine.getOptLevel() < llvm::CodeGenOptLevel::Default)
    context.setOptPassGate(fast);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, output, nullptr,
                                  assembly ? llvm::CodeGenFileType::AssemblyFile
                                           : llvm::CodeGenFileType::ObjectFile,
                                  /*DisableVerify=*/true))
    return failure();
  passes.run(module);
  return success();
}
