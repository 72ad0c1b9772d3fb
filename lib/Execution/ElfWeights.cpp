// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights never pass through LLVM or the linker. The linker sees a section of
// the right size without bytes (NOBITS), which it puts into a read-only segment
// of its own at the end; afterwards the bytes are appended to the linked file
// and the headers changed to point at them. Each weight is thus written once,
// and memory stays constant whatever the model's size.
#include "Emission.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace llvm::ELF;

/// The linker's own name for read-only data of any size; it keeps the part
/// before the second dot in shared libraries.
static constexpr StringLiteral kWeightSection = ".lrodata.tamis";
static constexpr StringLiteral kNoteSection = ".note.tamis";
static constexpr uint64_t kPage = 4096;

namespace {
/// A string table under construction.
struct StringTable {
  std::string bytes = std::string(1, '\0');

  uint32_t add(StringRef text) {
    uint32_t offset = bytes.size();
    bytes += text;
    bytes += '\0';
    return offset;
  }
};
} // namespace

static StringRef bytesOf(const auto &value) {
  return StringRef(reinterpret_cast<const char *>(&value), sizeof value);
}

std::vector<char> emission::buildWeightObject(StringRef weightSymbol,
                                              int64_t weightBytes,
                                              StringRef note) {
  // An ELF note: sizes of name and description, type, both padded to 4.
  std::string noteBytes;
  for (uint32_t word : {6u, uint32_t(note.size()), 1u})
    noteBytes += bytesOf(word);
  noteBytes += StringRef("Tamis\0\0\0", 8);
  noteBytes += note;
  noteBytes.resize(llvm::alignTo(noteBytes.size(), 4));

  StringTable strings;
  Elf64_Sym symbols[2] = {};
  symbols[1].st_name = strings.add(weightSymbol);
  symbols[1].setBindingAndType(STB_GLOBAL, STT_OBJECT);
  symbols[1].st_other = STV_HIDDEN;
  symbols[1].st_shndx = 2;
  symbols[1].st_size = weightBytes;

  enum { Null, Note, Weights, Symbols, Strings, Stack, Count };
  Elf64_Shdr sections[Count] = {};
  std::string body;
  auto place = [&](Elf64_Shdr &section, StringRef name, uint32_t type,
                   uint64_t flags, uint64_t align, StringRef bytes) {
    body.resize(llvm::alignTo(body.size(), align));
    section.sh_name = strings.add(name);
    section.sh_type = type;
    section.sh_flags = flags;
    section.sh_addralign = align;
    section.sh_offset = sizeof(Elf64_Ehdr) + body.size();
    section.sh_size = bytes.size();
    body += bytes;
  };
  place(sections[Note], kNoteSection, SHT_NOTE, SHF_ALLOC, 4, noteBytes);
  place(sections[Weights], kWeightSection, SHT_NOBITS,
        SHF_ALLOC | SHF_X86_64_LARGE, kPage, "");
  sections[Weights].sh_size = weightBytes;
  place(sections[Symbols], ".symtab", SHT_SYMTAB, 0, 8, bytesOf(symbols));
  sections[Symbols].sh_link = Strings;
  sections[Symbols].sh_info = 1;
  sections[Symbols].sh_entsize = sizeof(Elf64_Sym);
  place(sections[Stack], ".note.GNU-stack", SHT_PROGBITS, 0, 1, "");
  uint32_t name = strings.add(".strtab");
  place(sections[Strings], "", SHT_STRTAB, 0, 1, strings.bytes);
  sections[Strings].sh_name = name;

  Elf64_Ehdr header = {};
  memcpy(header.e_ident, ElfMagic, 4);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = Count;
  header.e_shstrndx = Strings;
  body.resize(llvm::alignTo(body.size(), 8));
  header.e_shoff = sizeof header + body.size();

  std::vector<char> object;
  for (StringRef part : {bytesOf(header), StringRef(body), bytesOf(sections)})
    object.insert(object.end(), part.begin(), part.end());
  return object;
}

/// The index of the weight section of the linked file, found by its name.
static std::optional<unsigned> findWeightSection(StringRef file,
                                                 const Elf64_Ehdr &header,
                                                 const Elf64_Shdr *sections) {
  const Elf64_Shdr &names = sections[header.e_shstrndx];
  for (unsigned index = 1; index < header.e_shnum; ++index)
    if (sections[index].sh_type == SHT_NOBITS) {
      StringRef name = file.substr(names.sh_offset + sections[index].sh_name);
      if (name.take_until([](char c) { return !c; }).starts_with(".lrodata"))
        return index;
    }
  return std::nullopt;
}

llvm::Error emission::appendWeights(std::string file,
                                    const ParameterLayout &parameters,
                                    llvm::raw_fd_ostream &output) {
  // Our own linker made it a moment ago: kilobytes, and well-formed.
  auto &header = *reinterpret_cast<Elf64_Ehdr *>(file.data());
  auto *sections = reinterpret_cast<Elf64_Shdr *>(file.data() + header.e_shoff);
  std::optional<unsigned> index = findWeightSection(file, header, sections);
  if (!index)
    return llvm::createStringError("the linker dropped the weight section");
  Elf64_Shdr &section = sections[*index];
  uint64_t offset = llvm::alignTo(file.size(), kPage);
  section.sh_type = SHT_PROGBITS;
  section.sh_offset = offset;
  auto *segments = reinterpret_cast<Elf64_Phdr *>(file.data() + header.e_phoff);
  for (unsigned segment = 0; segment < header.e_phnum; ++segment) {
    Elf64_Phdr &entry = segments[segment];
    if (entry.p_type == PT_LOAD && entry.p_vaddr == section.sh_addr) {
      if (entry.p_filesz || entry.p_memsz != section.sh_size)
        return llvm::createStringError("the weight section shares its segment");
      entry.p_offset = offset;
      entry.p_filesz = section.sh_size;
    }
  }
  file.resize(offset);

  output << file;
  LogicalResult written = parameters.write([&](ArrayRef<char> bytes) {
    output.write(bytes.data(), bytes.size());
    return success(!output.has_error());
  });
  // What is wrong with the output is said where it is closed.
  if (failed(written) && !output.has_error())
    return llvm::createStringError("the bytes of a parameter are gone");
  return llvm::Error::success();
}
