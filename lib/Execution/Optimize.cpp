// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LLVM's middle end and back end, in this process.
#include "Emission.h"
#include "llvm-c/Target.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"

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

void emission::optimize(llvm::Module &module, llvm::TargetMachine &machine,
                        unsigned optLevel) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = optLevel >= 2;
  tuning.SLPVectorization = optLevel >= 2;
  tuning.LoopInterleaving = optLevel >= 2;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder
      .buildPerModuleDefaultPipeline(optLevel >= 2
                                         ? llvm::OptimizationLevel::O2
                                         : llvm::OptimizationLevel::O1)
      .run(module, modules);
}

LogicalResult emission::generateCode(llvm::Module &module,
                                     llvm::TargetMachine &machine,
                                     bool assembly,
                                     llvm::raw_pwrite_stream &output) {
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, output, nullptr,
                                  assembly ? llvm::CodeGenFileType::AssemblyFile
                                           : llvm::CodeGenFileType::ObjectFile,
                                  /*DisableVerify=*/true))
    return failure();
  passes.run(module);
  return success();
}
