// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which kind of device a target's kernels run on, beside the host.
#ifndef TAMIS_TARGET_DEVICE_H
#define TAMIS_TARGET_DEVICE_H

namespace mlir::tamis {

enum class DeviceKind {
  None,   // kernels run on the host
  Vulkan, // SPIR-V through include/tamis/Gpu/Passes.td
  Nvptx   // PTX for the CUDA driver
};

} // namespace mlir::tamis

#endif // TAMIS_TARGET_DEVICE_H
