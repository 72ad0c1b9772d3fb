// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// lld in this process: no linker needs to be on the user's machine. Libraries
// to link with are not needed either: the symbol tables of libc and libm are
// embedded, so the result depends on their oldest supported version only.
#include "Emission.h"
#include "lld/Common/Driver.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Error.h"

#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

LLD_HAS_DRIVER(elf)

extern "C" const char tamis_embedded_runtime[], tamis_embedded_runtime_end[],
    tamis_embedded_libc[], tamis_embedded_libc_end[], tamis_embedded_libm[],
    tamis_embedded_libm_end[];

using namespace mlir;
using namespace mlir::tamis;

StringRef emission::getRuntimeBitcode() {
  return StringRef(tamis_embedded_runtime,
                   tamis_embedded_runtime_end - tamis_embedded_runtime);
}

StringRef emission::getLibcStub() {
  return StringRef(tamis_embedded_libc,
                   tamis_embedded_libc_end - tamis_embedded_libc);
}

StringRef emission::getLibmStub() {
  return StringRef(tamis_embedded_libm,
                   tamis_embedded_libm_end - tamis_embedded_libm);
}

namespace {
/// Bytes in memory that can be opened as a file.
class MemoryFile {
public:
  explicit MemoryFile(StringRef bytes)
      : descriptor(memfd_create("tamis", MFD_CLOEXEC)) {
    while (descriptor >= 0 && !bytes.empty()) {
      ssize_t written = write(descriptor, bytes.data(), bytes.size());
      if (written <= 0) {
        close(descriptor);
        descriptor = -1;
        return;
      }
      bytes = bytes.drop_front(written);
    }
  }
  MemoryFile(MemoryFile &&other) : descriptor(std::exchange(other.descriptor, -1)) {}
  ~MemoryFile() {
    if (descriptor >= 0)
      close(descriptor);
  }

  bool isOpen() const { return descriptor >= 0; }
  std::string getPath() const {
    return "/proc/self/fd/" + std::to_string(descriptor);
  }

private:
  int descriptor;
};
} // namespace

llvm::Error emission::link(ArrayRef<StringRef> objects, StringRef path,
                         bool relocatable, ArrayRef<uint8_t> buildId) {
  std::vector<StringRef> inputs(objects);
  if (!relocatable)
    inputs.insert(inputs.end(), {getLibcStub(), getLibmStub()});
  std::vector<MemoryFile> files;
  std::vector<std::string> arguments = {"ld.lld", "--threads=1", "-o",
                                        path.str()};
  if (relocatable)
    arguments.push_back("-r");
  else
    for (StringRef option :
         {"-shared", "-Bsymbolic", "--gc-sections", "--as-needed",
          "--hash-style=gnu", "--no-undefined", "-znow", "-zrelro",
          "-znoexecstack", "-zlrodata-after-bss"})
      arguments.push_back(option.str());
  if (!relocatable)
    arguments.push_back("--build-id=0x" + llvm::toHex(buildId, true));
  for (StringRef input : inputs) {
    files.emplace_back(input);
    if (!files.back().isOpen())
      return llvm::createStringError("no memory for the linker's input");
    arguments.push_back(files.back().getPath());
  }
  std::vector<const char *> pointers;
  for (const std::string &argument : arguments)
    pointers.push_back(argument.c_str());

  // lld keeps its state in globals.
  static std::mutex mutex;
  std::lock_guard<std::mutex> guard(mutex);
  std::string text;
  llvm::raw_string_ostream messages(text);
  lld::Result result = lld::lldMain(pointers, llvm::nulls(), messages,
                                    {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return llvm::createStringError("link: " + StringRef(text).trim());
  return llvm::Error::success();
}
