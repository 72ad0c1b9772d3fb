// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The interfaces that replace switches over operations and targets.

#ifndef TAMIS_IR_INTERFACES_TD
#define TAMIS_IR_INTERFACES_TD

include "mlir/IR/Interfaces.td"

def InstructionAttrInterface : AttrInterface<"InstructionAttrInterface"> {
  let cppNamespace = "::mlir::tamis";
  let description = [{
    A hardware operation that multiplies and accumulates: one m×n×k block of a
    contraction. New silicon is one attribute that implements this, in one
    file of `lib/Target`; nothing else asks which instruction it is.
  }];
  let methods = [
    InterfaceMethod<[{
      The mnemonic by which `--target` tables, reports and tests name it.
    }], "::llvm::StringRef", "getInstructionName">,
    InterfaceMethod<[{
      The LLVM target features without which it must not be executed.
    }], "::llvm::SmallVector<::llvm::StringRef>", "getRequiredFeatures">,
    InterfaceMethod<[{
      True if it multiplies these element types exactly as the numeric contract
      asks. `lhsUnsigned`/`rhsUnsigned` give the meaning of 8-bit operands; a
      `rhs` of 4 bits stands for bytes of 0 to 15.
    }], "bool", "accepts", (ins "::mlir::Type":$lhs, "::mlir::Type":$rhs,
        "::mlir::Type":$accumulator, "bool":$lhsUnsigned, "bool":$rhsUnsigned)>,
    InterfaceMethod<[{
      Consecutive reduction steps that one lane consumes (1 for fp32, 2 for
      bf16, 4 for 8-bit dot products): the innermost dimension of packed
      weights.
    }], "int64_t", "getReductionStep">,
    InterfaceMethod<[{
      Accumulator lanes of one vector (the unit of the N block).
    }], "int64_t", "getLanes">,
    InterfaceMethod<[{
      Vector accumulators a register block may hold without spilling.
    }], "int64_t", "getMaxAccumulators">,
    InterfaceMethod<[{
      True if the instruction multiplies whole register tiles; `build…` are then
      not called and the tile generator takes over.
    }], "bool", "isTile", (ins), "", "return false;">,
    InterfaceMethod<[{
      What the instruction adds to every integer lhs element before it
      multiplies (128 where an unsigned multiplicand takes signed values). The
      generator subtracts the effect exactly, through column sums.
    }], "int64_t", "getLhsOffset", (ins "bool":$lhsUnsigned), "", "return 0;">,
    InterfaceMethod<[{
      What is added to every rhs element that is packed as a byte: -128 makes
      unsigned ones signed, 128 signed ones unsigned. It moves the zero point;
      where that is none then, sums of rows subtract the effect.
    }], "int64_t", "getRhsOffset", (ins "bool":$rhsUnsigned), "",
    "return rhsUnsigned ? -128 : 0;">,
    InterfaceMethod<[{
      Where two neighbouring weights of one sign may have at most this magnitude
      together, or the instruction saturates; 0 where it is exact for all. Only
      storages that divide larger weights among several words use such an
      instruction.
    }], "int64_t", "getPairBound", (ins), "", "return 0;">,
    InterfaceMethod<[{
      Cycles that products of one vector of lanes cost one core where nothing
      waits, for the cost models: one number for each of its machines is enough,
      since they choose between large differences.
    }], "double", "getCycles", (ins), "", "return 0.5;">,
    InterfaceMethod<[{
      Element type of packed weights whose type in the model is `rhs`.
    }], "::mlir::Type", "getPackedType", (ins "::mlir::Type":$rhs)>,
    InterfaceMethod<[{
      The wider type to which the generator may bring the lhs rows of a block
      before it multiplies them, once for all columns; null where reading them
      in place costs nothing. buildLhs takes both.
    }], "::mlir::Type", "getStagedType", (ins "::mlir::Type":$lhs), "",
    "return {};">,
    InterfaceMethod<[{
      Broadcasts `getReductionStep()` lhs elements (a scalar for step 1, else a
      vector) to the register the multiplication takes.
    }], "::mlir::Value", "buildLhs",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$elements, "bool":$lhsUnsigned)>,
    InterfaceMethod<[{
      Turns a loaded vector of lanes x step packed weights into the register
      the multiplication takes.
    }], "::mlir::Value", "buildRhs",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$loaded)>,
    InterfaceMethod<[{
      Builds `acc + lhs * rhs` from what buildLhs and buildRhs returned.
    }], "::mlir::Value", "buildMultiplyAccumulate",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$lhs, "::mlir::Value":$rhs, "::mlir::Value":$acc)>,
    InterfaceMethod<[{
      Turns half of each loaded byte, the lower or the upper one, into the
      register the multiplication takes; null where buildRhs of the halves as
      bytes is as good.
    }], "::mlir::Value", "buildNibbles",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$loaded, "bool":$upper), "", "return {};">,
    InterfaceMethod<[{
      How many products of weights that are nibbles may be added up before they
      take the width of the accumulator; 0 where they have it at once.
    }], "int64_t", "getNarrowSteps", (ins), "", "return 0;">,
    InterfaceMethod<[{
      Builds `sum + lhs * rhs` in the narrow width; `sum` may be null.
    }], "::mlir::Value", "buildNarrowProduct",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$lhs, "::mlir::Value":$rhs, "::mlir::Value":$sum),
    "", "return {};">,
    InterfaceMethod<[{
      Builds `acc + sum` of a narrow sum.
    }], "::mlir::Value", "buildWiden",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$sum, "::mlir::Value":$acc), "", "return {};">,
    InterfaceMethod<[{
      Tile instructions: what multiplies the rows that do not fill a tile. It
      reads the same packed weights.
    }], "::mlir::tamis::InstructionAttrInterface", "getRemainderInstruction",
    (ins), "", "return {};">,
    InterfaceMethod<[{
      Tile instructions: a zero accumulator of `rows` x `columns` elements.
    }], "::mlir::Value", "buildTileZero",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "int64_t":$rows, "int64_t":$columns), "", "return {};">,
    InterfaceMethod<[{
      Tile instructions: reads `rows` rows of `columns` elements, `stride`
      elements apart, from element `offset` of a flat operand. What is
      `streamed` passes once and shall not take the place in L1 of what stays.
    }], "::mlir::Value", "buildTileLoad",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$flat, "::mlir::Value":$offset,
         "::mlir::Value":$stride, "int64_t":$rows, "int64_t":$columns,
         "bool":$streamed),
    "", "return {};">,
    InterfaceMethod<[{
      Tile instructions: `acc + lhs * rhs`. Either operand may be the weights:
      whose 8-bit elements are unsigned is said of both.
    }], "::mlir::Value", "buildTileMultiply",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$lhs, "::mlir::Value":$rhs, "::mlir::Value":$acc,
         "bool":$lhsUnsigned, "bool":$rhsUnsigned), "", "return {};">,
    InterfaceMethod<[{
      Tile instructions: writes an accumulator to `scratch`.
    }], "void", "buildTileStore",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$tile, "::mlir::Value":$scratch,
         "::mlir::Value":$offset, "::mlir::Value":$stride), "", "return;">,
  ];
}

def StorageAttrInterface : AttrInterface<"StorageAttrInterface"> {
  let cppNamespace = "::mlir::tamis";
  let description = [{
    How weights of a contraction lie without their zeros. What packs and what
    reads such bytes knows the storage; everything else asks here.
  }];
  let methods = [
    InterfaceMethod<[{
      The name that reports and candidates show.
    }], "::llvm::StringRef", "getStorageName">,
    InterfaceMethod<"How many pieces are stored.", "int64_t", "getEntries">,
    InterfaceMethod<[{
      What a kernel knows of the storage, so that layers of one shape share it
      whatever is stored: lists are then as long as their arrays say.
    }], "::mlir::tamis::StorageAttrInterface", "withoutEntries", (ins), "",
    "return $_attr;">,
    InterfaceMethod<[{
      True if it is the packed panels with something left out: kernels walk
      panels, and the weights have the type and order of the instruction's.
    }], "bool", "hasPanels", (ins), "", "return false;">,
    InterfaceMethod<[{
      How many arrays a contraction reads beside the first, as `stream`.
    }], "int64_t", "getStreams", (ins), "", "return 2;">,
    InterfaceMethod<[{
      The types of the two arrays that `tamis_kernel.encode` makes of panels
      `packed`; none, and `expected`, where they do not fit. Other storages have
      packers of their own.
    }], "::llvm::SmallVector<::mlir::Type>", "getEncoded",
    (ins "::mlir::RankedTensorType":$packed, "std::string &":$expected), "",
    "return {};">,
  ];
}

def ExpansionAttrInterface : AttrInterface<"ExpansionAttrInterface"> {
  let cppNamespace = "::mlir::tamis";
  let description = [{
    A way to put the stored units of one vector back to where their mask says,
    zeros between them. A unit is some bytes of one output channel; a vector has
    `getUnits()` of them and its mask as many bits, the lowest for the first.
    A target without one is not offered `#tamis.bitmask`.
  }];
  let methods = [
    InterfaceMethod<[{
      The LLVM target features without which it must not be executed.
    }], "::llvm::SmallVector<::llvm::StringRef>", "getRequiredFeatures">,
    InterfaceMethod<"Units of a vector: 8, 16, 32 or 64.", "int64_t",
      "getUnits">,
    InterfaceMethod<"Bytes of a unit.", "int64_t", "getUnitBytes">,
    InterfaceMethod<[{
      Cycles that one vector costs one core beside its products.
    }], "double", "getCycles">,
    InterfaceMethod<[{
      The vector of `type` whose units are the next ones of `values`, a flat
      memref, from element `position` on where `mask`, an integer of as many
      bits, is set and zero elsewhere. Up to a whole vector may be read there.
    }], "::mlir::Value", "buildExpand",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$values, "::mlir::Value":$position,
         "::mlir::Value":$mask, "::mlir::VectorType":$type)>,
  ];
}

def SelectionAttrInterface : AttrInterface<"SelectionAttrInterface"> {
  let cppNamespace = "::mlir::tamis";
  let description = [{
    What an instruction does besides, whose weights are `#tamis.n_of_m`: of the
    reduction steps of a lane it multiplies only those whose weights are stored,
    by picking the left operand's elements for them. A vector of weights is
    `getKept()` elements a lane and one integer, the places, which says for each
    where in the step it stands.
  }];
  let methods = [
    InterfaceMethod<"Elements that are stored of a step of a lane.", "int64_t",
      "getKept">,
    InterfaceMethod<"Bits of the places of one vector.", "int64_t",
      "getPlaceBits">,
    InterfaceMethod<[{
      The bits of a vector's places that say that the stored elements of `lane`
      stand at `steps`, which ascend.
    }], "uint64_t", "encodePlaces",
    (ins "int64_t":$lane, "::llvm::ArrayRef<int64_t>":$steps)>,
    InterfaceMethod<[{
      Where stored element `element` of `lane` lies in the vector.
    }], "int64_t", "getSlot", (ins "int64_t":$lane, "int64_t":$element)>,
    InterfaceMethod<[{
      Cycles that the places of one vector cost one core beside its products.
    }], "double", "getPlaceCycles">,
    InterfaceMethod<[{
      The register that the multiplication takes, of the stored elements of a
      vector and its places.
    }], "::mlir::Value", "buildSelected",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$values, "::mlir::Value":$places)>,
  ];
}

def LookupAttrInterface : AttrInterface<"LookupAttrInterface"> {
  let cppNamespace = "::mlir::tamis";
  let description = [{
    A way to replace codes of 4 bits by the elements of a table of 16. A target
    without one for an element type is not offered `#tamis.codebook` of it.
  }];
  let methods = [
    InterfaceMethod<[{
      The LLVM target features without which it must not be executed.
    }], "::llvm::SmallVector<::llvm::StringRef>", "getRequiredFeatures">,
    InterfaceMethod<"Bytes of an element of the table.", "int64_t",
      "getElementBytes">,
    InterfaceMethod<"Elements of one vector.", "int64_t", "getElements">,
    InterfaceMethod<[{
      Cycles that one vector costs one core beside its products.
    }], "double", "getCycles">,
    InterfaceMethod<[{
      The elements of `table`, a vector of 16, for half of each byte of `codes`,
      the lower or the upper one.
    }], "::mlir::Value", "buildLookup",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
         "::mlir::Value":$table, "::mlir::Value":$codes, "bool":$upper)>,
  ];
}

#endif // TAMIS_IR_INTERFACES_TD
