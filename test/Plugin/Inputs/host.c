/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Loads a plugin as mlir-opt does. Linked with empty libraries that carry the
 * names of some version of LLVM, it stands for the mlir-opt of that version. */
#include <dlfcn.h>
#include <stdio.h>

struct info {
  unsigned api_version;
  const char *name, *version;
  void (*callback)(void *);
};

int main(int argc, char **argv) {
  void *plugin = argc == 2 ? dlopen(argv[1], RTLD_LAZY | RTLD_GLOBAL) : NULL;
  if (!plugin) {
    puts(dlerror());
    return 3;
  }
  struct info (*get)(void) =
      (struct info(*)(void))dlsym(plugin, "mlirGetDialectPluginInfo");
  printf("loaded %s\n", get().name);
  return 0;
}
