// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tamis/Execution/OutputFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Process.h"
#include <unistd.h>

using namespace mlir::tamis;
using llvm::StringRef;
namespace fs = llvm::sys::fs;

/// Where `path` leads to: a link stays one.
static std::string resolve(StringRef path) {
  llvm::SmallString<128> resolved;
  bool isLink = fs::is_symlink_file(path);
  return isLink && !fs::real_path(path, resolved) ? resolved.str().str()
                                                  : path.str();
}

/// A new file beside `path`; LLVM's own unique names take each % for a digit.
static std::error_code createBeside(StringRef path, bool isExecutable,
                                    std::string &name, int &descriptor) {
  std::error_code error;
  do {
    name = (path + "." +
            llvm::utohexstr(llvm::sys::Process::GetRandomNumber()) + ".tmp")
               .str();
    error = fs::openFileForWrite(name, descriptor, fs::CD_CreateNew,
                                 fs::OF_None, isExecutable ? 0777 : 0666);
  } while (error == std::errc::file_exists);
  return error;
}

llvm::Error OutputFile::makeError(std::error_code error) const {
  return llvm::createStringError("'" + path +
                                 "': cannot be written: " + error.message());
}

llvm::Expected<std::unique_ptr<OutputFile>>
OutputFile::open(StringRef path, bool isExecutable) {
  std::unique_ptr<OutputFile> file(new OutputFile());
  file->path = path == "-" ? "the standard output" : resolve(path);
  int descriptor = STDOUT_FILENO;
  std::error_code error;
  if (path != "-") {
    fs::file_status status;
    bool isPlain =
        fs::status(file->path, status) || fs::is_regular_file(status);
    if (fs::is_directory(status))
      error = std::make_error_code(std::errc::is_a_directory);
    else if (isPlain)
      error =
          createBeside(file->path, isExecutable, file->temporary, descriptor);
    else
      error = fs::openFileForWrite(file->path, descriptor, fs::CD_OpenExisting);
  }
  if (error) {
    file->temporary.clear();
    return file->makeError(error);
  }
  file->stream = std::make_unique<llvm::raw_fd_ostream>(
      descriptor, /*shouldClose=*/path != "-");
  return file;
}

OutputFile::~OutputFile() {
  llvm::consumeError(close());
  if (!temporary.empty())
    fs::remove(temporary);
}

llvm::Error OutputFile::close() {
  if (!stream)
    return llvm::Error::success();
  stream->flush();
  if (!stream->has_error() && !temporary.empty())
    stream->close();
  std::error_code error = stream->error();
  stream->clear_error();
  stream.reset();
  return error ? makeError(error) : llvm::Error::success();
}

llvm::Error OutputFile::keep() {
  if (llvm::Error error = close())
    return error;
  if (temporary.empty())
    return llvm::Error::success();
  if (std::error_code error = fs::rename(temporary, path))
    return makeError(error);
  temporary.clear();
  return llvm::Error::success();
}

llvm::Error mlir::tamis::writeFile(StringRef path, StringRef text) {
  auto file = OutputFile::open(path);
  if (!file)
    return file.takeError();
  (*file)->os() << text;
  return (*file)->keep();
}
