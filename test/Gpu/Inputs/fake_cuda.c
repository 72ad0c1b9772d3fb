/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * A CUDA driver without a device behind it: memory is the host's, kernels do
 * nothing. FAKE_CUDA names what fails: of kernels `cubin`, `ptx` or both, `chip`.
 */
#include <stdlib.h>
#include <string.h>

static int fails(const char *what) {
  const char *wish = getenv("FAKE_CUDA");
  return wish && !strcmp(wish, what);
}

int cuInit(unsigned flags) { return fails("init") ? 100 : (int)flags; }
int cuDeviceGetCount(int *count) {
  *count = fails("devices") ? 0 : 1;
  return 0;
}
int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return 0;
}
int cuDeviceGetName(char *name, int bytes, int device) {
  (void)bytes, (void)device;
  strcpy(name, "fake");
  return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? 7 : 5;
  return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) {
  static int made;
  (void)device;
  *context = &made;
  return 0;
}
int cuDevicePrimaryCtxRelease_v2(int device) { return device; }
int cuCtxPushCurrent_v2(void *context) { return !context; }
int cuCtxPopCurrent_v2(void **context) {
  *context = NULL;
  return 0;
}
int cuStreamCreate(void **stream, unsigned flags) {
  *stream = malloc(1 + flags);
  return 0;
}
int cuStreamDestroy_v2(void *stream) {
  free(stream);
  return 0;
}
int cuStreamSynchronize(void *stream) { return !stream || fails("run") ? 700 : 0; }
int cuMemAllocManaged(unsigned long long *address, size_t bytes,
                      unsigned flags) {
  if (fails("memory") || flags != 1)
    return 2;
  *address = (unsigned long long)calloc(1, bytes);
  return 0;
}
int cuMemFree_v2(unsigned long long address) {
  free((void *)address);
  return 0;
}
int cuMemcpyDtoDAsync_v2(unsigned long long to, unsigned long long from,
                         size_t bytes, void *stream) {
  if (!stream || fails("copy"))
    return 1;
  memcpy((void *)to, (void *)from, bytes);
  return 0;
}
/* An event is the number of those recorded before it; one takes a millisecond. */
int cuEventCreate(void **event, unsigned flags) {
  if (fails("event"))
    return 1;
  *event = calloc(1, sizeof(int) + flags);
  return 0;
}
int cuEventDestroy_v2(void *event) {
  free(event);
  return 0;
}
int cuEventRecord(void *event, void *stream) {
  static int count;
  *(int *)event = ++count;
  return !stream;
}
int cuEventElapsedTime(float *milliseconds, void *from, void *to) {
  *milliseconds = (float)(*(int *)to - *(int *)from);
  return 0;
}
int cuModuleLoadData(void **module, const void *image) {
  int cubin = !memcmp(image, "\x7f" "ELF", 4);
  if (fails("chip") || fails(cubin ? "cubin" : "ptx"))
    return 209;
  *module = malloc(1);
  return cubin || strstr(image, ".version") ? 0 : 218;
}
int cuModuleUnload(void *module) {
  free(module);
  return 0;
}
int cuModuleGetFunction(void **function, void *module, const char *name) {
  *function = module;
  return !strstr(name, "kernel");
}
int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z,
                   unsigned threads, unsigned threads_y, unsigned threads_z,
                   unsigned shared, void *stream, void **arguments,
                   void **extra) {
  (void)shared, (void)extra;
  if (!function || !stream || !*(void **)arguments[0] || !x || !y || !z ||
      threads_y != 1 || threads_z != 1)
    return 1;
  return threads % 32 || fails("launch") ? 1 : 0;
}
int cuGetErrorString(int error, const char **text) {
  *text = error == 700 ? "an illegal address" : "an invalid argument";
  return 0;
}
