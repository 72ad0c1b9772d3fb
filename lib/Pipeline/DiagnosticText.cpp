// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Diagnostics as lines that are safe to print, whatever a model's names hold.
#include "mlir/IR/Location.h"
#include "tamis/Pipeline/Compile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

/// Control characters, and those that hide or reorder text.
static bool isHarmful(uint32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x00ad ||
         point == 0x061c || (point >= 0x200b && point <= 0x200f) ||
         (point >= 0x2028 && point <= 0x202e) ||
         (point >= 0x2060 && point <= 0x206f) || point == 0xfeff;
}

/// Only our own text has `lines`; a name with one would forge a diagnostic.
static void printEscaped(llvm::raw_ostream &os, StringRef text,
                         bool lines = false) {
  const auto *at = reinterpret_cast<const llvm::UTF8 *>(text.begin());
  const auto *end = reinterpret_cast<const llvm::UTF8 *>(text.end());
  while (at != end) {
    const llvm::UTF8 *start = at;
    llvm::UTF32 point = 0;
    if (llvm::convertUTF8Sequence(&at, end, &point, llvm::strictConversion) !=
        llvm::conversionOK) {
      at = start + 1;
      os << "\\x"
         << llvm::toHex(StringRef(reinterpret_cast<const char *>(start), 1));
    } else if (isHarmful(point) && !(lines && point == '\n')) {
      os << "\\u" << llvm::format_hex_no_prefix(point, 4);
    } else {
      os.write(reinterpret_cast<const char *>(start), at - start);
    }
  }
}

std::string mlir::tamis::getDiagnosticText(const Diagnostic &diagnostic) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  Location location = diagnostic.getLocation();
  if (auto name = dyn_cast<NameLoc>(location)) {
    printEscaped(stream, name.getName());
    stream << ": ";
  } else if (auto place = dyn_cast<FileLineColLoc>(location)) {
    printEscaped(stream, place.getFilename());
    stream << ":" << place.getLine() << ":" << place.getColumn() << ": ";
  }
  // The importer names nodes and tensors in its text, too; others print
  // operations, which have many lines.
  printEscaped(stream, diagnostic.str(), !isa<NameLoc>(location));
  return text;
}
