/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Two models in one C program, through their generated headers. */
#include "exp.h"
#include "scale.h"
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  scale_instance *instance;
  if (scale_create(NULL, &instance) != TAMIS_OK) {
    fprintf(stderr, "%s\n", scale_last_error(NULL));
    return 1;
  }
  float x[8] = {1, -2, 3, -4, 5, -6, 7, -8}, y[8];
  const void *inputs[SCALE_INPUTS] = {x};
  void *outputs[SCALE_OUTPUTS] = {y, NULL};
  int64_t dims[SCALE_DIMS] = {2, 4};
  if (scale_run(instance, inputs, outputs, dims, NULL) != TAMIS_OK) {
    fprintf(stderr, "%s\n", scale_last_error(instance));
    return 1;
  }
  for (int i = 0; i < 8; ++i)
    printf("%g ", y[i]);
  printf("| %lld above zero, the last %g\n", (long long)dims[4],
         ((float *)outputs[1])[dims[4] - 1]);
  free(outputs[1]);
  dims[1] = 3;
  if (scale_run(instance, inputs, outputs, dims, NULL) == TAMIS_ERROR_SHAPE)
    printf("%s\n", scale_last_error(instance));
  scale_destroy(instance);

  int32_t variant;
  void *results[EXP_OUTPUTS] = {y, &variant};
  if (exp_run_static(inputs, results, NULL) != TAMIS_OK)
    return 1;
  printf("exp(1) is %.4f, workspace %d\n", y[0], EXP_WORKSPACE_BYTES);
  return exp_abi_version() != EXP_ABI_VERSION;
}
