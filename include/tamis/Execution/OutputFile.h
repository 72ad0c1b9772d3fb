// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the compiler writes is complete or not there: an earlier file of the
// name stays until the new one is.
#ifndef TAMIS_EXECUTION_OUTPUTFILE_H
#define TAMIS_EXECUTION_OUTPUTFILE_H

#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <memory>
#include <string>

namespace mlir::tamis {

class OutputFile {
public:
  /// Opens `path` for writing. What is no regular file (a device, a pipe) is
  /// written in place, "-" is the standard output; everything else is a
  /// temporary beside it, which takes its place when kept.
  static llvm::Expected<std::unique_ptr<OutputFile>>
  open(llvm::StringRef path, bool isExecutable = false);

  /// Leaves nothing behind of what was not kept.
  ~OutputFile();

  llvm::raw_fd_ostream &os() { return *stream; }

  /// Everything is written: closes the file, still under its temporary name.
  /// What failed until then is said here.
  llvm::Error close();
  /// Closes it and gives it its name.
  llvm::Error keep();

private:
  OutputFile() = default;
  llvm::Error makeError(std::error_code error) const;

  std::string path, temporary;
  std::unique_ptr<llvm::raw_fd_ostream> stream;
};

/// Writes `text` to `path`.
llvm::Error writeFile(llvm::StringRef path, llvm::StringRef text);

} // namespace mlir::tamis

#endif // TAMIS_EXECUTION_OUTPUTFILE_H
