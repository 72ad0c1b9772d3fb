// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mapping the model and its external data. A path in a model is hostile input:
// the kernel resolves it beneath the model's folder, and what was opened is
// looked at again before it is used.
#include "Files.h"
#include "tamis/Import/MappedFiles.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <mutex>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace mlir::tamis::onnx;
using llvm::Expected;
using llvm::Twine;

llvm::Error mlir::tamis::onnx::makeError(const Twine &text) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), text);
}

namespace {
/// The mappings that exist.
struct Mappings {
  std::mutex lock;
  llvm::DenseSet<const MappedFile *> files;

  static Mappings &get() {
    // Never destroyed: a blob may outlive every other static object.
    static auto *mappings = new Mappings;
    return *mappings;
  }
};
} // namespace

MappedFile::MappedFile(ArrayRef<char> data) : data(data) {
  std::lock_guard<std::mutex> guard(Mappings::get().lock);
  Mappings::get().files.insert(this);
}

MappedFile::~MappedFile() {
  {
    std::lock_guard<std::mutex> guard(Mappings::get().lock);
    Mappings::get().files.erase(this);
  }
  if (!data.empty())
    munmap(const_cast<char *>(data.data()), data.size());
}

void mlir::tamis::releaseMappedPages() {
  std::lock_guard<std::mutex> guard(Mappings::get().lock);
  for (const MappedFile *file : Mappings::get().files)
    if (!file->bytes().empty())
      madvise(const_cast<char *>(file->bytes().data()), file->bytes().size(),
              MADV_DONTNEED);
}

Expected<std::shared_ptr<const MappedFile>> MappedFile::map(int descriptor,
                                                            const Twine &what) {
  struct stat status;
  if (fstat(descriptor, &status) != 0)
    return makeError("cannot read " + what + ": " + std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    return makeError(what + " is not a regular file");
  size_t size = status.st_size;
  if (size == 0)
    return std::shared_ptr<const MappedFile>(new MappedFile({}));
  void *address =
      mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, /*offset=*/0);
  if (address == MAP_FAILED)
    return makeError("cannot map " + what + ": " + std::strerror(errno));
  return std::shared_ptr<const MappedFile>(
      new MappedFile({static_cast<const char *>(address), size}));
}

Expected<std::shared_ptr<const MappedFile>> MappedFile::open(StringRef path) {
  // O_NONBLOCK: a FIFO must be refused, not waited for.
  int descriptor =
      ::open(path.str().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return makeError("cannot open '" + path + "': " + std::strerror(errno));
  auto close = llvm::scope_exit([&] { ::close(descriptor); });
  return map(descriptor, "'" + path + "'");
}

/// For kernels without openat2: component by component, following no link.
static int openBeneathByComponent(int folder, StringRef location) {
  llvm::SmallVector<StringRef> components;
  location.split(components, '/', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  if (location.starts_with("/") || components.empty() ||
      llvm::is_contained(components, "..")) {
    errno = EXDEV;
    return -1;
  }
  int current = dup(folder);
  for (auto [index, component] : llvm::enumerate(components)) {
    if (current < 0)
      return -1;
    bool last = index + 1 == components.size();
    int next = openat(current, component.str().c_str(),
                      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
                          (last ? 0 : O_DIRECTORY));
    int saved = errno;
    ::close(current);
    errno = saved;
    current = next;
  }
  return current;
}

static int openBeneath(int folder, const std::string &location) {
  open_how how = {};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  long descriptor =
      syscall(SYS_openat2, folder, location.c_str(), &how, sizeof(how));
  if (descriptor < 0 && (errno == ENOSYS || errno == EPERM))
    return openBeneathByComponent(folder, location);
  return static_cast<int>(descriptor);
}

/// True if the opened file really lies in one of `folders`.
static bool liesIn(int descriptor, ArrayRef<std::string> folders) {
  llvm::SmallString<256> real;
  if (llvm::sys::fs::real_path("/proc/self/fd/" + Twine(descriptor), real))
    return false;
  for (const std::string &folder : folders) {
    llvm::SmallString<256> root;
    if (llvm::sys::fs::real_path(folder, root))
      continue;
    if (!root.ends_with("/"))
      root += "/";
    if (StringRef(real).starts_with(root))
      return true;
  }
  return false;
}

Expected<std::shared_ptr<const MappedFile>>
ExternalFiles::open(StringRef location) {
  std::string shown =
      ("external data '" + location.take_front(200) + "'").str();
  if (location.empty() || location.contains('\0'))
    return makeError("external data has no valid file name");
  if (options.folder.empty())
    return makeError(shown + " needs a folder: the model was read from memory");
  auto known = files.find(location);
  if (known != files.end())
    return known->second;

  int folder = ::open(options.folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0)
    return makeError("cannot open folder '" + options.folder +
                     "': " + std::strerror(errno));
  auto closeFolder = llvm::scope_exit([&] { ::close(folder); });

  bool allowed = false;
  int descriptor = openBeneath(folder, location.str());
  int reason = errno;
  if (descriptor < 0 && !options.allowExternal.empty()) {
    descriptor = openat(folder, location.str().c_str(),
                        O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor >= 0 && !liesIn(descriptor, options.allowExternal)) {
      ::close(descriptor);
      descriptor = -1;
      reason = EXDEV;
    }
    allowed = descriptor >= 0;
  }
  if (descriptor < 0) {
    if (reason == EXDEV || reason == ELOOP)
      return makeError(shown + " lies outside the model's folder; allow its "
                               "folder with --allow-external");
    return makeError("cannot open " + shown + ": " + std::strerror(reason));
  }
  auto close = llvm::scope_exit([&] { ::close(descriptor); });

  struct stat status;
  if (fstat(descriptor, &status) != 0)
    return makeError("cannot read " + shown + ": " + std::strerror(errno));
  // A second name may lie anywhere, so the first one proves nothing.
  if (S_ISREG(status.st_mode) && status.st_nlink != 1 && !allowed &&
      !liesIn(descriptor, options.allowExternal))
    return makeError(shown + " has more than one hard link; allow its folder "
                             "with --allow-external");
  Expected<std::shared_ptr<const MappedFile>> file =
      MappedFile::map(descriptor, shown);
  if (file)
    files[location] = *file;
  return file;
}
