/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The files the compiler carries for its output, as bytes of this library:
 * the runtime's objects and the symbol tables of libc and libm.
 */
#define EMBED(symbol, file)                                                    \
  __asm__(".pushsection .rodata\n"                                             \
          ".balign 16\n"                                                       \
          ".globl " #symbol "\n.hidden " #symbol "\n" #symbol ":\n"            \
          ".incbin \"" TAMIS_RUNTIME_FOLDER "/" file "\"\n"                    \
          ".globl " #symbol "_end\n.hidden " #symbol "_end\n" #symbol          \
          "_end:\n.byte 0\n.popsection\n")

EMBED(tamis_embedded_threaded, "threaded.runtime");
EMBED(tamis_embedded_serial, "serial.runtime");
EMBED(tamis_embedded_vulkan, "vulkan.runtime");
EMBED(tamis_embedded_cuda, "cuda.runtime");
EMBED(tamis_embedded_libc, "libc.stub");
EMBED(tamis_embedded_libm, "libm.stub");
