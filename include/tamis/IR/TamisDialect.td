// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The `tamis` dialect: value-level, stable (bytecode promise).

#ifndef TAMIS_IR_DIALECT_TD
#define TAMIS_IR_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/DialectBase.td"

def Tamis_Dialect : Dialect {
  let name = "tamis";
  let cppNamespace = "::mlir::tamis";
  let summary = "sparse and quantized tensor operations";
  let description = [{
    The dialect in which Tamis thinks: quantization, contractions with their
    zero points and epilogues, and the few operations whose decomposition
    would lose what fusion needs. Everything else is upstream: `linalg`,
    `tensor`, `arith`, `math`, `scf`, `ml_program`.

    Integers are signless; where the sign matters the operation says so
    (`unsigned`). Quantization parameters are operands, because block-wise and
    run-time parameters have no home in a type.

    Bytecode versions: 1 (0.1.0), the first; 2, `tamis.dequantize` may have an
    offset.
  }];
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let extraClassDeclaration = [{
    /// The version that this build writes into bytecode.
    static constexpr uint64_t kBytecodeVersion = 2;
    /// Reading and writing of versions, in TamisBytecode.cpp.
    void addBytecodeInterface();
  }];
}

class Tamis_Attr<string name, string mnemonic_, list<Trait> traits = []>
    : AttrDef<Tamis_Dialect, name, traits> {
  let mnemonic = mnemonic_;
}

#endif // TAMIS_IR_DIALECT_TD
