// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The back end on several parts of a module at a time. LLVM's contexts belong
// to one thread each, so a part travels as bitcode.
#include "Emission.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Transforms/Utils/SplitModule.h"
#include <atomic>

using namespace mlir;
using namespace mlir::tamis;

/// Instructions of a part that are worth a context of its own (about 0.02 s of
/// the back end, of which the context is a fifth), and the most parts. The
/// machine has no say: every one writes the same bytes.
static constexpr unsigned kInstructionsOfPart = 700;
static constexpr unsigned kMostParts = 8;

static unsigned countParts(const llvm::Module &module) {
  return std::clamp(module.getInstructionCount() / kInstructionsOfPart, 1u,
                    kMostParts);
}

FailureOr<std::vector<emission::ObjectCode>>
emission::generateObjects(llvm::Module &module, const MachineFactory &machine,
                          unsigned optLevel) {
  std::vector<ObjectCode> parts;
  llvm::SplitModule(module, countParts(module),
                    [&](std::unique_ptr<llvm::Module> part) {
                      llvm::raw_svector_ostream stream(parts.emplace_back());
                      llvm::WriteBitcodeToFile(*part, stream);
                    });
  std::atomic<bool> failed = false;
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(parts.size()));
  for (ObjectCode &part : parts)
    pool.async([&part, &machine, &failed, optLevel] {
      llvm::LLVMContext context;
      auto read = llvm::parseBitcodeFile(
          {StringRef(part.data(), part.size()), "part"}, context);
      if (!read) {
        llvm::consumeError(read.takeError());
        failed = true;
        return;
      }
      ObjectCode code;
      llvm::raw_svector_ostream stream(code);
      std::unique_ptr<llvm::TargetMachine> own = machine();
      if (own)
        optimizeFunctions(**read, *own, optLevel);
      if (!own ||
          mlir::failed(generateCode(**read, *own, /*assembly=*/false, stream)))
        failed = true;
      part = std::move(code);
    });
  pool.wait();
  if (failed)
    return failure();
  return parts;
}
