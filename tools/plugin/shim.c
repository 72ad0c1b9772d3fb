/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The plugin that the stock mlir-opt loads. MLIR has no stable ABI: a plugin
 * built for another version fails with an unresolved C++ symbol at best. So
 * this file knows nothing of MLIR. It looks which libMLIR and libLLVM the host
 * has mapped, ends the process with one line if they are not those that
 * libTamis.so was built for, and only then loads libTamis.so from its own
 * folder.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* mlir::DialectPluginLibraryInfo and mlir::PassPluginLibraryInfo. */
struct plugin_info {
  uint32_t api_version;
  const char *name;
  const char *version;
  void (*register_callback)(void *registry);
};

/* The version behind "libMLIR.so." and "libLLVM.so." in the names of the
 * mapped files; empty if the host has no such file. */
struct versions {
  char mlir[32], llvm[32];
};

static int note_library(struct dl_phdr_info *info, size_t size, void *data) {
  struct versions *found = data;
  const char *slash = strrchr(info->dlpi_name, '/');
  const char *name = slash ? slash + 1 : info->dlpi_name;
  (void)size;
  if (!strncmp(name, "libMLIR.so.", 11))
    snprintf(found->mlir, sizeof(found->mlir), "%s", name + 11);
  else if (!strncmp(name, "libLLVM.so.", 11))
    snprintf(found->llvm, sizeof(found->llvm), "%s", name + 11);
  else if (!strncmp(name, "libLLVM-", 8)) /* libLLVM-15.so.1, up to LLVM 17 */
    snprintf(found->llvm, sizeof(found->llvm), "%.*s",
             (int)strcspn(name + 8, "."), name + 8);
  return 0;
}

static void check_host(void) {
  struct versions found = {"", ""};
  dl_iterate_phdr(note_library, &found);
  if (!strcmp(found.mlir, TAMIS_LLVM_VERSION) &&
      !strcmp(found.llvm, TAMIS_LLVM_VERSION))
    return;
  const char *other =
      strcmp(found.llvm, TAMIS_LLVM_VERSION) ? found.llvm : found.mlir;
  fprintf(stderr,
          "error: TamisPlugin.so needs a host that uses the shared libraries "
          "libMLIR.so.%s and libLLVM.so.%s; this one has %s%s\n",
          TAMIS_LLVM_VERSION, TAMIS_LLVM_VERSION,
          *other ? "version " : "none of them", other);
  exit(1);
}

/* Calls `name` of libTamis.so. */
static struct plugin_info forward(const char *name) {
  Dl_info self;
  char path[4096];
  void *library = NULL, *function = NULL;
  check_host();
  if (dladdr((void *)(uintptr_t)check_host, &self) && self.dli_fname) {
    const char *slash = strrchr(self.dli_fname, '/');
    int length = slash ? (int)(slash + 1 - self.dli_fname) : 0;
    snprintf(path, sizeof(path), "%.*slibTamis.so", length, self.dli_fname);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  }
  if (library)
    function = dlsym(library, name);
  if (!function) {
    const char *reason = dlerror();
    fprintf(stderr, "error: TamisPlugin.so: %s\n",
            reason ? reason : "the folder of the plugin is unknown");
    exit(1);
  }
  return ((struct plugin_info(*)(void))(uintptr_t)function)();
}

__attribute__((visibility("default"))) struct plugin_info
mlirGetDialectPluginInfo(void) {
  return forward("tamisGetDialectPluginInfo");
}

__attribute__((visibility("default"))) struct plugin_info
mlirGetPassPluginInfo(void) {
  return forward("tamisGetPassPluginInfo");
}
