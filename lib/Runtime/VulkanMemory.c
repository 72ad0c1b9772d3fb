/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Memory on a Vulkan device that the host sees, and the texts of failures.
 */
#include "Vulkan.h"

#include <string.h>

int tamis_vk_grow(struct tamis_device *device, void *array, int64_t *capacity,
                  int64_t count, int64_t size) {
  return tamis_rt_grow(device->host, array, capacity, count, size);
}

tamis_status tamis_vk_fail(struct tamis_device *device, VkResult result,
                           const char *what) {
  if (result == VK_ERROR_OUT_OF_HOST_MEMORY ||
      result == VK_ERROR_OUT_OF_DEVICE_MEMORY ||
      result == VK_ERROR_OUT_OF_POOL_MEMORY)
    TAMIS_VK_FAIL(device, TAMIS_ERROR_MEMORY,
                  "the Vulkan device '%s' is out of memory (%s)",
                  device->properties.deviceName, what);
  TAMIS_VK_FAIL(device, TAMIS_ERROR_DEVICE,
                "the Vulkan device '%s': %s failed (%d)",
                device->properties.deviceName, what, (int)result);
}

/* Memory the host sees without flushes: best on the device, then cached. */
static int score(VkMemoryPropertyFlags flags) {
  const VkMemoryPropertyFlags shared = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                       VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  if ((flags & shared) != shared)
    return 0;
  return 1 + 2 * !!(flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) +
         !!(flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
}

static VkResult allocate(struct tamis_device *device, vk_buffer *buffer) {
  VkMemoryRequirements needs;
  device->GetBufferMemoryRequirements(device->device, buffer->handle, &needs);
  VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
  for (int wanted = 4; wanted > 0; --wanted)
    for (uint32_t type = 0; type < device->memory.memoryTypeCount; ++type) {
      if (!(needs.memoryTypeBits >> type & 1) ||
          score(device->memory.memoryTypes[type].propertyFlags) != wanted)
        continue;
      VkMemoryAllocateInfo info = {.sType =
                                       VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                   .allocationSize = needs.size,
                                   .memoryTypeIndex = type};
      result =
          device->AllocateMemory(device->device, &info, NULL, &buffer->memory);
      if (result == VK_SUCCESS)
        return result;
    }
  return result;
}

tamis_status tamis_vk_reserve(struct tamis_device *device, vk_buffer *buffer,
                              int64_t bytes) {
  if (buffer->base && buffer->bytes >= bytes)
    return TAMIS_OK;
  tamis_vk_release(device, buffer);
  /* A buffer has a size, and bindings are rounded up to words. */
  bytes = ((bytes > 0 ? bytes : 1) + 255) & ~INT64_C(255);
  VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                             .size = (VkDeviceSize)bytes,
                             .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                      VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                      VK_BUFFER_USAGE_TRANSFER_DST_BIT};
  TAMIS_VK_CHECK(
      device->CreateBuffer(device->device, &info, NULL, &buffer->handle),
      "a buffer");
  VkResult result = allocate(device, buffer);
  if (result == VK_SUCCESS)
    result = device->BindBufferMemory(device->device, buffer->handle,
                                      buffer->memory, 0);
  void *base = NULL;
  if (result == VK_SUCCESS)
    result = device->MapMemory(device->device, buffer->memory, 0, VK_WHOLE_SIZE,
                               0, &base);
  if (result != VK_SUCCESS) {
    tamis_vk_release(device, buffer);
    char what[64];
    snprintf(what, sizeof what, "a buffer of %lld bytes", (long long)bytes);
    return tamis_vk_fail(device, result, what);
  }
  buffer->base = base;
  buffer->bytes = bytes;
  return TAMIS_OK;
}

void tamis_vk_release(struct tamis_device *device, vk_buffer *buffer) {
  if (buffer->handle)
    tamis_vk_forget(device);
  device->DestroyBuffer(device->device, buffer->handle, NULL);
  device->FreeMemory(device->device, buffer->memory, NULL);
  memset(buffer, 0, sizeof *buffer);
}
