// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// lld in this process: no linker needs to be on the user's machine. Libraries
// to link with are not needed either: the symbol tables of libc and libm are
// embedded, so the result depends on their oldest supported version only.
#include "Emission.h"
#include "lld/Common/Driver.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/Error.h"

#include <array>
#include <fcntl.h>
#include <mutex>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

LLD_HAS_DRIVER(elf)

#define EMBEDDED(name)                                                         \
  extern "C" const char tamis_embedded_##name[],                               \
      tamis_embedded_##name##_end[];                                           \
  static StringRef name##File() {                                              \
    return StringRef(tamis_embedded_##name,                                    \
                     tamis_embedded_##name##_end - tamis_embedded_##name);     \
  }

using namespace mlir;
using namespace mlir::tamis;

EMBEDDED(threaded)
EMBEDDED(serial)
EMBEDDED(vulkan)
EMBEDDED(cuda)
EMBEDDED(libc)
EMBEDDED(libm)
#undef EMBEDDED

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
  MemoryFile(MemoryFile &&other)
      : descriptor(std::exchange(other.descriptor, -1)) {}
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

namespace {
/// A pipe that is written as a file, and what came out of it. lld maps a plain
/// file, which kills the process where the disk is full.
class Pipe {
public:
  Pipe() {
    if (pipe2(ends, O_CLOEXEC) == 0)
      reader = std::thread([this] { read(); });
  }
  ~Pipe() { finish(); }

  bool isOpen() const { return reader.joinable(); }
  std::string getPath() const {
    return "/proc/self/fd/" + std::to_string(ends[1]);
  }

  /// All that was written. Nobody writes any more.
  std::string finish() {
    if (isOpen()) {
      close(ends[1]);
      reader.join();
      close(ends[0]);
    }
    return std::move(bytes);
  }

private:
  void read() {
    std::array<char, 1 << 16> buffer;
    for (;;) {
      ssize_t count = ::read(ends[0], buffer.data(), buffer.size());
      if (count > 0)
        bytes.append(buffer.data(), count);
      else if (count == 0 || errno != EINTR)
        return;
    }
  }

  int ends[2] = {-1, -1};
  std::thread reader;
  std::string bytes;
};
} // namespace

/// What lld makes of `inputs` with `options`: kilobytes, as weights are no part
/// of it.
static llvm::Expected<std::string> runLinker(ArrayRef<std::string> options,
                                             ArrayRef<StringRef> inputs) {
  Pipe output;
  if (!output.isOpen())
    return llvm::createStringError("no pipe for the linker's output");
  std::vector<MemoryFile> files;
  std::vector<std::string> arguments = {"ld.lld", "--threads=1", "-o",
                                        output.getPath()};
  arguments.insert(arguments.end(), options.begin(), options.end());
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
  return output.finish();
}

static StringRef getRuntime(emission::RuntimeKind kind) {
  switch (kind) {
  case emission::RuntimeKind::Serial:
    return serialFile();
  case emission::RuntimeKind::Threaded:
    return threadedFile();
  case emission::RuntimeKind::Vulkan:
    return vulkanFile();
  case emission::RuntimeKind::Cuda:
    return cudaFile();
  }
  llvm_unreachable("no such runtime");
}

llvm::Expected<std::string> emission::linkLibrary(ArrayRef<StringRef> objects,
                                                  RuntimeKind runtime,
                                                  ArrayRef<uint8_t> buildId) {
  std::vector<StringRef> inputs(objects);
  inputs.insert(inputs.end(), {getRuntime(runtime), libcFile(), libmFile()});
  return runLinker({"-shared", "-Bsymbolic", "--gc-sections", "--as-needed",
                    "--hash-style=gnu", "--no-undefined", "-znow", "-zrelro",
                    "-znoexecstack", "-zlrodata-after-bss",
                    "--build-id=0x" + llvm::toHex(buildId, true)},
                   inputs);
}

llvm::Expected<std::string> emission::linkObject(ArrayRef<StringRef> objects,
                                                 RuntimeKind runtime) {
  std::vector<StringRef> inputs(objects);
  inputs.push_back(getRuntime(runtime));
  auto linked = runLinker({"-r"}, inputs);
  if (!linked)
    return linked.takeError();
  // What the parts share is hidden, yet two models in one program would both
  // define it: make it local.
  auto file = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(*linked, "object"));
  if (!file)
    return file.takeError();
  llvm::objcopy::ConfigManager config;
  config.ELF.LocalizeHidden = true;
  std::string bytes;
  llvm::raw_string_ostream stream(bytes);
  if (llvm::Error error =
          llvm::objcopy::executeObjcopyOnBinary(config, **file, stream))
    return error;
  return bytes;
}
