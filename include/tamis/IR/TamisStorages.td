// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attributes that say how weights lie without their zeros.

#ifndef TAMIS_IR_STORAGES_TD
#define TAMIS_IR_STORAGES_TD

include "tamis/IR/TamisDialect.td"
include "tamis/IR/TamisInterfaces.td"

def Tamis_RowStreamAttr : Tamis_Attr<"RowStream", "row_stream", [
    DeclareAttrInterfaceMethods<StorageAttrInterface, ["getStreams", "withoutEntries"]>]> {
  let summary = "the nonzero words of weights, output channel by output channel";
  let description = [{
    A word is 32 bits of one output channel along the reduction: one float32 or
    four 8-bit elements. One array holds `entries` words, each followed by the
    place of its activations in a block of `positions` rows that the kernel has
    staged word by word, `pitch` words apart; another where the list of each
    output channel begins: CSR whose indices are data, not code. Words of nothing
    but zeros are left out.

    The second reduction from inside has `taps` steps that read what the next
    rows read as well (the width of a window that moves by one); these share one
    staged word. Where `line` is not 0, lines of so many positions are walked as
    one loop, those that are no rows for nothing, and the steps of the third
    reduction from inside share staged words too: they read `line` positions on.

    An entry has the words of `channels` neighbouring output channels at one
    place and is left out if all of them are zero. `depth` entries lie together,
    channel by channel, as rows of a register tile, and behind them their places:
    the entries of each group of channels are a multiple of that, the last ones
    zeros.

    The innermost reduction may be cut into `parts` of as many words, so that the
    stage of one is small: all entries of a part lie before those of the next.
    Where they all have room in a stage (`stagesAllParts`), one is staged behind
    the other, and else one after the other in the same place.

    Lists lie in the order of their channels, or among every `sorted` of them the
    longest first, so that neighbours are about as long and a processor foresees
    where they end.

    Example: `#tamis.row_stream<entries = 3, positions = 32, pitch = 40, taps = 3>`,
    `#tamis.row_stream<entries = 48, positions = 32, pitch = 32, channels = 32, depth = 16>`,
    `#tamis.row_stream<entries = 3, positions = 64, pitch = 64, parts = 4, sorted = 128>`
  }];
  let parameters = (ins "int64_t":$entries, "int64_t":$positions,
                        "int64_t":$pitch, DefaultValuedParameter<"int64_t", "1">:$taps,
                        DefaultValuedParameter<"int64_t", "0">:$line,
                        DefaultValuedParameter<"int64_t", "1">:$channels,
                        DefaultValuedParameter<"int64_t", "1">:$depth,
                        DefaultValuedParameter<"int64_t", "1">:$parts,
                        DefaultValuedParameter<"int64_t", "1">:$sorted);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tamis_BitmaskAttr : Tamis_Attr<"Bitmask", "bitmask", [
    DeclareAttrInterfaceMethods<StorageAttrInterface, ["hasPanels", "withoutEntries"]>]> {
  let summary = "packed weights without the units that are zero, and which are there";
  let description = [{
    Panels as `tamis_kernel.pack` orders them, cut into units of `unit` elements
    of one output channel, consecutive in the reduction. Units of nothing but
    zeros are left out; `entries` are stored, one after the other. A mask
    says for each vector of units which are there, and an array where each panel
    begins. All of it is read in order, vector by vector, by `expansion`, which
    also says how many units a vector has.

    Example: `#tamis.bitmask<entries = 9, unit = 2, expansion = #tamis.x86_shuffle<bytes = 2>>`
  }];
  let parameters = (ins "int64_t":$entries, "int64_t":$unit,
                        "::mlir::tamis::ExpansionAttrInterface":$expansion);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// Elements of one vector: as many are readable behind the last entry.
    int64_t getVectorElements() const;
  }];
}

def Tamis_BlockListAttr : Tamis_Attr<"BlockList", "block_list", [
    DeclareAttrInterfaceMethods<StorageAttrInterface, ["hasPanels"]>]> {
  let summary = "packed weights without the blocks that are zero, and where the others lie";
  let description = [{
    Panels as `tamis_kernel.pack` orders them. What a panel has for one
    iteration of the outer reductions is `run` reduction steps, cut into blocks
    of `steps`. Blocks of nothing but zeros are left out; `entries` are stored,
    one after the other. A list for each such run says where in the run its
    blocks lie, counted in blocks, and an array where each list begins: indices
    are data, not code. The kernel is that of dense panels, which walks a list
    instead of the run.

    Example: `#tamis.block_list<entries = 9, steps = 16, run = 192>`
  }];
  let parameters = (ins "int64_t":$entries, "int64_t":$steps, "int64_t":$run);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tamis_BoundedAttr : Tamis_Attr<"Bounded", "bounded", [
    DeclareAttrInterfaceMethods<StorageAttrInterface, ["hasPanels", "getStreams", "withoutEntries"]>]> {
  let summary = "packed weights whose sums of neighbours stay within 16 bits, and what is left of the others";
  let description = [{
    For instructions that add products up in 16 bits (`getPairBound`). Panels as
    `tamis_kernel.pack` orders them, with weights made smaller until those that
    `steps` steps add up in 16 bits, 2 of each, are at most the bound of either
    sign together. What was taken away lies in `entries` steps of all columns of
    a panel, multiplied one by one: values, the element of the reduction where
    each begins (not counting what fills up the last step of a run of `run`
    elements), and an array where the entries of each panel begin. Panels and
    entries together are the weights, so results are exact.

    Example: `#tamis.bounded<entries = 9, steps = 2, run = 183>`
  }];
  let parameters = (ins "int64_t":$entries, "int64_t":$steps, "int64_t":$run);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
}

/// What `tamis_kernel.encode` makes.
class Tamis_EncodedAttr<string name, string mnemonic>
    : Tamis_Attr<name, mnemonic, [DeclareAttrInterfaceMethods<
        StorageAttrInterface, ["hasPanels", "getStreams", "getEncoded"]>]> {
  let extraClassDefinition = [{
    bool $cppClass::hasPanels() const { return true; }
    int64_t $cppClass::getStreams() const { return 1; }
  }];
}

def Tamis_NOfMAttr : Tamis_EncodedAttr<"NOfM", "n_of_m"> {
  let summary = "packed weights of which each step of a lane keeps equally many";
  let description = [{
    Panels as `tamis_kernel.pack` orders them for `selection`, an instruction
    that multiplies N of every M consecutive weights of an output channel. Of
    each vector of steps the N are stored, and an integer that says where they
    stand; `entries` elements altogether. Where fewer are not zero, zeros fill
    up. Nothing has to be looked for: vector i begins at a multiple of i.

    Example: `#tamis.n_of_m<entries = 256, selection = #tamis.x86_select_fma<lanes = 8, kept = 2>>`
  }];
  let parameters = (ins "int64_t":$entries,
                        "::mlir::tamis::SelectionAttrInterface":$selection);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// The instruction that `selection` is.
    ::mlir::tamis::InstructionAttrInterface getInstruction() const;
    /// Stored elements of one vector.
    int64_t getVectorElements() const;
  }];
}

def Tamis_CodebookAttr : Tamis_EncodedAttr<"Codebook", "codebook"> {
  let summary = "packed weights of few values as places in a table of them";
  let description = [{
    Panels as `tamis_kernel.pack` orders nibbles: two codes in a byte, each the
    place of an element in a table of 16, of which `entries` are in use, in
    ascending order. `lookup` brings the elements back.

    Example: `#tamis.codebook<entries = 9, lookup = #tamis.x86_lookup<bytes = 4, elements = 8>>`
  }];
  let parameters = (ins "int64_t":$entries,
                        "::mlir::tamis::LookupAttrInterface":$lookup);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// Elements of a table, in use or not.
    static constexpr int64_t kCodes = 16;
  }];
}

def Tamis_SlotWindowsAttr : Tamis_Attr<"SlotWindows", "slot_windows", [
    DeclareAttrInterfaceMethods<StorageAttrInterface, ["hasPanels", "withoutEntries"]>]> {
  let summary = "the nonzero weights of a vector of channels, and where in short windows they stand";
  let description = [{
    Panels as `tamis_kernel.pack` orders them, one vector of channels wide. What a
    channel has in a window, 16 consecutive elements of a reduction of `run`,
    fills its slots, two of bytes or one of float32: a weight, and 4 bits that say
    which of the 16 it multiplies. A window begins at the first weight that is in
    none yet, of any of the channels, and may begin anywhere; one more weight of a
    channel begins another one. Two windows of bytes or one of floats are a vector
    of products, whose activations `lookup` picks, a window being its table; so
    zeros cost neither bytes nor products, and nothing is expanded.

    `entries` are two vectors each: their weights and, in the halves of as many
    bytes as one has elements, the places of both; beside them where the windows
    begin. An array says where the entries of each panel begin.

    Example: `#tamis.slot_windows<entries = 9, run = 768, lookup = #tamis.x86_lookup<bytes = 1, elements = 32>>`
  }];
  let parameters = (ins "int64_t":$entries, "int64_t":$run,
                        "::mlir::tamis::LookupAttrInterface":$lookup);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// Elements of a window: those of a table.
    static constexpr int64_t kWindow = CodebookAttr::kCodes;
    /// Vectors of an entry: halves of bytes say what each picks.
    static constexpr int64_t kVectors = 2;
    /// Slots of a channel in a window, windows of a vector, both together, and
    /// windows of an entry.
    int64_t getSlots() const { return getLookup().getElementBytes() == 1 ? 2 : 1; }
    int64_t getVectorWindows() const { return getSlots(); }
    int64_t getStep() const { return getSlots() * getVectorWindows(); }
    int64_t getEntryWindows() const { return kVectors * getVectorWindows(); }
    /// Bytes of the weights of one vector.
    int64_t getVectorBytes() const {
      return getLookup().getElements() * getLookup().getElementBytes();
    }
    /// Bytes of an entry beside where its windows begin.
    int64_t getEntryBytes() const {
      return kVectors * getVectorBytes() + getLookup().getElements();
    }
  }];
}

def Tamis_WinogradAttr : Tamis_Attr<"Winograd", "winograd", [
    DeclareAttrInterfaceMethods<StorageAttrInterface, ["getEntries", "hasPanels", "getStreams"]>]> {
  let summary = "weights of 3x3 windows as products of transformed tiles take them";
  let description = [{
    Winograd's minimal filtering F(m x m, 3 x 3), `m` = `output` (Lavin and Gray,
    "Fast Algorithms for Convolutional Neural Networks", CVPR 2016): a tile of m x m
    results is the inverse transform of element-wise products of transformed
    tiles of (m + 2) x (m + 2) weights and activations. Summed over channels, those are
    (m + 2)^2 matrix products, with 9 m^2 / (m + 2)^2 times fewer
    multiplications than windows have.

    Panels are those of `tamis_kernel.pack`, a group for each place of a tile.
    `strip` lines of tiles are computed at a time.

    Example: `#tamis.winograd<output = 4, strip = 7>`
  }];
  let parameters = (ins "int64_t":$output, "int64_t":$strip);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// Lines, and places of a line, of a tile of weights or activations.
    int64_t getSize() const { return getOutput() + 2; }
  }];
}

#endif // TAMIS_IR_STORAGES_TD
