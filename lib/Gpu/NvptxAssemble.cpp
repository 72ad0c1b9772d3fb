// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// NVIDIA's assembler, a program of its own: text in a file, binary in another.
#include "Nvptx.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Signals.h"

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// A file that goes away with this object, or when a signal ends the process.
class TemporaryFile {
public:
  explicit TemporaryFile(StringRef suffix) {
    error = llvm::sys::fs::createTemporaryFile("tamis", suffix, path);
    if (!error)
      llvm::sys::RemoveFileOnSignal(path);
  }
  ~TemporaryFile() {
    if (error)
      return;
    llvm::sys::fs::remove(path);
    llvm::sys::DontRemoveFileOnSignal(path);
  }
  TemporaryFile(const TemporaryFile &) = delete;

  std::string read() const {
    auto file = llvm::MemoryBuffer::getFile(path);
    return file ? (*file)->getBuffer().str() : "";
  }

  std::error_code error;
  SmallString<128> path;
};
} // namespace

FailureOr<std::string> device::assemble(StringRef ptxas, StringRef chip,
                                        StringRef ptx, std::string &error) {
  TemporaryFile source("ptx"), binary("cubin"), said("log");
  for (const TemporaryFile *file : {&source, &binary, &said})
    if (file->error) {
      error = "no temporary file: " + file->error.message();
      return failure();
    }
  {
    std::error_code failed;
    llvm::raw_fd_ostream stream(source.path, failed);
    stream << ptx;
    stream.close();
    if (failed || stream.has_error()) {
      error =
          "no temporary file: " + (failed ? failed : stream.error()).message();
      stream.clear_error();
      return failure();
    }
  }
  std::string arch = ("-arch=" + chip).str();
  StringRef log(said.path);
  int status = llvm::sys::ExecuteAndWait(
      ptxas, {ptxas, arch, "-o", binary.path, source.path}, std::nullopt,
      {StringRef(), log, log}, /*SecondsToWait=*/0, /*MemoryLimit=*/0, &error);
  std::string cubin = binary.read();
  if (status == 0 && !cubin.empty())
    return cubin;
  StringRef text = StringRef(error).trim();
  std::string output = said.read();
  if (text.empty())
    text = StringRef(output).trim();
  error = text.empty() ? "status " + std::to_string(status) : text.str();
  return failure();
}
