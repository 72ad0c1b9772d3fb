/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tamis-c/Tamis.h"
#include <stdio.h>

int main(void) {
  printf("Tamis %s\n", tamisGetVersion());
  return tamisGetApiVersion() != TAMIS_API_VERSION;
}
