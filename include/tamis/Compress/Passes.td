// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes that make a model smaller: what to observe, what was seen, what
// is pruned and quantized. They work on what the importer made with
// `ImportOptions::observe`, where every tensor of the model is a value with a
// name.

#ifndef TAMIS_COMPRESS_PASSES_TD
#define TAMIS_COMPRESS_PASSES_TD

include "mlir/Pass/PassBase.td"

def DropObservations : Pass<"tamis-drop-observations"> {
  let summary = "remove every tamis.observe";
  let description = [{
    What is left when compression is done: `tamis.observe` gives way to its
    operand. Later stages see a model as if it had never been observed.
    Doctest: test/Compress/drop-observations.mlir
  }];
  let statistics = [Statistic<"numDropped", "dropped", "observations removed">];
}

#endif // TAMIS_COMPRESS_PASSES_TD
