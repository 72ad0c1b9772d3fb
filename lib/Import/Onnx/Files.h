// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mapped files: the model itself and its external data.
#ifndef TAMIS_LIB_IMPORT_ONNX_FILES_H
#define TAMIS_LIB_IMPORT_ONNX_FILES_H

#include "tamis/Import/Onnx/Model.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::tamis::onnx {

/// A read-only private mapping of a whole regular file.
class MappedFile {
public:
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  ArrayRef<char> bytes() const { return data; }

  /// Maps the open file `descriptor` (which stays the caller's to close).
  static llvm::Expected<std::shared_ptr<const MappedFile>>
  map(int descriptor, const llvm::Twine &what);
  static llvm::Expected<std::shared_ptr<const MappedFile>> open(StringRef path);

private:
  explicit MappedFile(ArrayRef<char> data);
  ArrayRef<char> data;
};

/// Opens external data. Every external tensor of a model goes through `open`,
/// whose judgement is of the opened file, not of the text of its path.
class ExternalFiles {
public:
  explicit ExternalFiles(const ReadOptions &options) : options(options) {}

  llvm::Expected<std::shared_ptr<const MappedFile>> open(StringRef location);

private:
  const ReadOptions &options;
  llvm::StringMap<std::shared_ptr<const MappedFile>> files;
};

/// An llvm::Error with that text.
llvm::Error makeError(const llvm::Twine &text);

/// Sorts every graph and checks names and calls (Validate.cpp).
llvm::Error validateModel(Model &model);

} // namespace mlir::tamis::onnx

#endif // TAMIS_LIB_IMPORT_ONNX_FILES_H
