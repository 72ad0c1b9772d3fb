// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the note of an artifact without executing anything in it.
#include "Emission.h"
#include "tamis/Execution/Load.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace mlir::tamis;
using llvm::createStringError;
using llvm::object::ELF64LE;

std::string mlir::tamis::findMissingFeature(ArrayRef<std::string> features) {
  for (const std::string &name : features) {
    bool known;
    const tamis_feature *feature = emission::findFeature(name, known);
    if (!known || (feature && !tamis_rt_has_feature(feature)))
      return name;
  }
  return "";
}

static llvm::Expected<ArtifactNote> parseNote(StringRef text) {
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(text);
  if (!value)
    return value.takeError();
  const llvm::json::Object *object = value->getAsObject();
  if (!object)
    return createStringError("expected a JSON object");
  ArtifactNote note;
  note.abiVersion = object->getInteger("abi").value_or(0);
  note.version = object->getString("version").value_or("").str();
  note.arch = object->getString("arch").value_or("").str();
  note.prefix = object->getString("prefix").value_or("").str();
  note.hash = object->getString("hash").value_or("").str();
  if (const llvm::json::Array *variants = object->getArray("variants"))
    for (const llvm::json::Value &variant : *variants) {
      std::vector<std::string> features;
      if (const llvm::json::Array *names = variant.getAsArray())
        for (const llvm::json::Value &name : *names)
          features.push_back(name.getAsString().value_or("").str());
      note.variants.push_back(std::move(features));
    }
  return note;
}

/// Finds the note and makes sure that every segment lies in the file: a
/// truncated library would load and then die on its first missing page.
static llvm::Expected<ArtifactNote> readElf(StringRef bytes) {
  if (!bytes.starts_with(StringRef(llvm::ELF::ElfMagic, 4)))
    return createStringError("expected an ELF file");
  auto file = llvm::object::ELFFile<ELF64LE>::create(bytes);
  if (!file)
    return file.takeError();
  if (bytes.size() < sizeof(llvm::object::Elf_Ehdr_Impl<ELF64LE>) ||
      file->getHeader().getFileClass() != llvm::ELF::ELFCLASS64 ||
      file->getHeader().getDataEncoding() != llvm::ELF::ELFDATA2LSB ||
      file->getHeader().e_machine != llvm::ELF::EM_X86_64 ||
      file->getHeader().e_type != llvm::ELF::ET_DYN)
    return createStringError("expected a shared library for x86-64");
  auto segments = file->program_headers();
  if (!segments)
    return segments.takeError();
  for (const auto &segment : *segments)
    if (segment.p_offset > bytes.size() ||
        segment.p_filesz > bytes.size() - segment.p_offset)
      return createStringError("the file is truncated");
  for (const auto &segment : *segments) {
    if (segment.p_type != llvm::ELF::PT_NOTE)
      continue;
    llvm::Error error = llvm::Error::success();
    std::optional<std::string> text;
    for (const auto &entry : file->notes(segment, error))
      if (entry.getName() == "Tamis" && entry.getType() == 1)
        text = entry.getDescAsStringRef(4).str();
    if (error)
      return std::move(error);
    if (text)
      return parseNote(*text);
  }
  return createStringError("not compiled by Tamis: no note");
}

llvm::Expected<ArtifactNote> mlir::tamis::readNote(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return createStringError("'" + path + "': " + buffer.getError().message());
  llvm::Expected<ArtifactNote> note = readElf((*buffer)->getBuffer());
  if (!note)
    return createStringError("'" + path +
                             "': " + llvm::toString(note.takeError()));
  return note;
}
