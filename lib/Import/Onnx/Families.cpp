// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The families of operators the importer knows.
#include "Importer.h"

using namespace mlir::tamis::onnx;

void mlir::tamis::onnx::registerFamilies(OpTable &table) {
  registerElementwise(table);
  registerActivations(table);
  registerLogic(table);
  registerCasts(table);
  registerMovement(table);
  registerReshape(table);
  registerConstants(table);
  registerSlice(table);
  registerPad(table);
  registerContraction(table);
  registerConvolution(table);
  registerConvTranspose(table);
  registerEinsum(table);
  registerNormalization(table);
  registerSoftmax(table);
  registerLosses(table);
  registerQuantization(table);
  registerQuantizedOps(table);
  registerFewBitProducts(table);
  registerContribAttention(table);
  registerQonnx(table);
  registerOpenvino(table);
  registerRecurrent(table);
  registerAttention(table);
  registerTransformerOps(table);
  registerSignal(table);
  registerControlFlow(table);
  registerQuantizedElementwise(table);
  registerResize(table);
  registerIndexing(table);
  registerPooling(table);
  registerReduction(table);
  registerGenerators(table);
  registerSampling(table);
  registerSequence(table);
  registerSelection(table);
  registerScatter(table);
}

const OpRow *OpTable::find(StringRef domain, StringRef name,
                           int64_t version) const {
  auto found = rows.find(key(domain, name));
  if (found == rows.end())
    return nullptr;
  const OpRow *best = nullptr;
  for (const OpRow &row : found->second)
    if (row.sinceVersion <= version &&
        (!best || best->sinceVersion <= row.sinceVersion))
      best = &row;
  return best;
}
