/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * A compiled model through the C API. Usage: c_api MODEL.so */
#include "tamis-c/Tamis.h"
#include <stdio.h>
#include <stdlib.h>

static void print(TamisSeverity severity, const char *text, void *user) {
  (void)user;
  printf("%d: %s\n", (int)severity, text);
}

int main(int argc, char **argv) {
  if (argc != 2 || tamisGetApiVersion() != TAMIS_API_VERSION)
    return 1;
  TamisModel *model = tamisModelLoad(argv[1], 1, print, NULL);
  if (!model)
    return 1;
  printf("%s %s, rank %d\n", tamisModelGetInputName(model, 0),
         tamisModelGetInputType(model, 0),
         (int)tamisModelGetInputRank(model, 0));
  float x[4] = {1, 2, 3, 4}, y[4];
  const void *inputs[1] = {x};
  void *outputs[2] = {y, NULL};
  int64_t dims[5] = {1, 4};
  if (tamisModelGetOutputDims(model, dims, print, NULL) ||
      tamisModelRun(model, inputs, outputs, dims, print, NULL))
    return 1;
  printf("%g %g\n", y[0], y[3]);
  free(outputs[1]);
  inputs[0] = NULL;
  tamisModelRun(model, inputs, outputs, dims, print, NULL);
  tamisModelDestroy(model);

  tamisModelLoad("nowhere.so", 0, print, NULL);
  const char *options[] = {"threads=none"};
  tamisCompileFile("x.onnx", "x.so", options, 1, print, NULL);
  options[0] = "speed=high";
  tamisCompileFile("x.onnx", "x.so", options, 1, print, NULL);
  return tamisCompileFile(NULL, NULL, NULL, 0, print, NULL) == 0;
}
