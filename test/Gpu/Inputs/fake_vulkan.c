/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * A Vulkan loader with one device that computes nothing. FAKE_VULKAN says what
 * is wrong with it: `features` (it has none), `memory` (it has none left),
 * `little` memory (two buffers), `ranges` (16 bytes of a buffer), `lost` (it
 * takes no work), `devices` (there is none).
 */
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan_core.h>

static int is(const char *fault) {
  const char *wish = getenv("FAKE_VULKAN");
  return wish && !strcmp(wish, fault);
}

static VkResult succeed(void) { return VK_SUCCESS; }

static VkResult create_instance(const VkInstanceCreateInfo *info,
                                const VkAllocationCallbacks *callbacks,
                                VkInstance *instance) {
  (void)info, (void)callbacks;
  *instance = (VkInstance)1;
  return VK_SUCCESS;
}

static VkResult enumerate(VkInstance instance, uint32_t *count,
                          VkPhysicalDevice *devices) {
  (void)instance;
  *count = is("devices") ? 0 : 1;
  if (devices && *count)
    devices[0] = (VkPhysicalDevice)1;
  return VK_SUCCESS;
}

static void get_properties(VkPhysicalDevice device,
                           VkPhysicalDeviceProperties *properties) {
  (void)device;
  memset(properties, 0, sizeof *properties);
  properties->apiVersion = VK_API_VERSION_1_1;
  strcpy(properties->deviceName, "fake");
  properties->limits.maxPerStageDescriptorStorageBuffers = 16;
  properties->limits.maxStorageBufferRange = is("ranges") ? 16 : 1 << 27;
  properties->limits.minStorageBufferOffsetAlignment = 16;
  for (int axis = 0; axis < 3; ++axis)
    properties->limits.maxComputeWorkGroupCount[axis] = 65535;
}

/* Every feature, or none: structures of the chain end in booleans. */
static void get_features(VkPhysicalDevice device,
                         VkPhysicalDeviceFeatures2 *features) {
  (void)device;
  VkBool32 has = !is("features");
  features->features.shaderInt16 = has;
  features->features.shaderInt64 = has;
  for (VkBaseOutStructure *next = features->pNext; next; next = next->pNext) {
    if (next->sType ==
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES)
      ((VkPhysicalDevice8BitStorageFeatures *)next)->storageBuffer8BitAccess =
          has;
    if (next->sType ==
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES)
      ((VkPhysicalDeviceShaderFloat16Int8Features *)next)->shaderInt8 = has;
  }
}

static void get_families(VkPhysicalDevice device, uint32_t *count,
                         VkQueueFamilyProperties *families) {
  (void)device;
  *count = 1;
  if (families)
    families[0] =
        (VkQueueFamilyProperties){.queueFlags = VK_QUEUE_COMPUTE_BIT};
}

static void get_memory(VkPhysicalDevice device,
                       VkPhysicalDeviceMemoryProperties *memory) {
  (void)device;
  memset(memory, 0, sizeof *memory);
  memory->memoryTypeCount = 1;
  memory->memoryTypes[0].propertyFlags = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                         VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
}

static VkResult get_extensions(VkPhysicalDevice device, const char *layer,
                               uint32_t *count, VkExtensionProperties *list) {
  (void)device, (void)layer, (void)list;
  *count = 0;
  return VK_SUCCESS;
}

static VkResult create_device(VkPhysicalDevice physical,
                              const VkDeviceCreateInfo *info,
                              const VkAllocationCallbacks *callbacks,
                              VkDevice *device) {
  (void)physical, (void)info, (void)callbacks;
  *device = (VkDevice)1;
  return VK_SUCCESS;
}

static VkResult create_buffer(VkDevice device, const VkBufferCreateInfo *info,
                              const VkAllocationCallbacks *callbacks,
                              VkBuffer *buffer) {
  (void)device, (void)info, (void)callbacks;
  *buffer = (VkBuffer)1;
  return VK_SUCCESS;
}

static void get_requirements(VkDevice device, VkBuffer buffer,
                             VkMemoryRequirements *needs) {
  (void)device, (void)buffer;
  *needs = (VkMemoryRequirements){.size = 256, .memoryTypeBits = 1};
}

static VkResult allocate(void) {
  static int count;
  return is("memory") || (is("little") && ++count > 2)
             ? VK_ERROR_OUT_OF_DEVICE_MEMORY
             : VK_SUCCESS;
}

static VkResult submit(void) {
  return is("lost") ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
}

static VkResult map(VkDevice device, VkDeviceMemory memory, VkDeviceSize offset,
                    VkDeviceSize size, VkMemoryMapFlags flags, void **base) {
  static char bytes[16][4096];
  static int next;
  (void)device, (void)memory, (void)offset, (void)size, (void)flags;
  *base = bytes[next++ % 16];
  return VK_SUCCESS;
}

PFN_vkVoidFunction vkGetDeviceProcAddr(VkDevice device, const char *name);

PFN_vkVoidFunction vkGetInstanceProcAddr(VkInstance instance,
                                         const char *name) {
  (void)instance;
  static const struct {
    const char *name;
    PFN_vkVoidFunction function;
  } table[] = {
#define ENTRY(name, function) {"vk" name, (PFN_vkVoidFunction)function}
      ENTRY("CreateInstance", create_instance),
      ENTRY("EnumeratePhysicalDevices", enumerate),
      ENTRY("GetPhysicalDeviceProperties", get_properties),
      ENTRY("GetPhysicalDeviceFeatures2", get_features),
      ENTRY("GetPhysicalDeviceQueueFamilyProperties", get_families),
      ENTRY("GetPhysicalDeviceMemoryProperties", get_memory),
      ENTRY("EnumerateDeviceExtensionProperties", get_extensions),
      ENTRY("CreateDevice", create_device),
      ENTRY("GetDeviceProcAddr", vkGetDeviceProcAddr),
      ENTRY("GetBufferMemoryRequirements", get_requirements),
      ENTRY("AllocateMemory", allocate),
      ENTRY("MapMemory", map),
      ENTRY("CreateBuffer", create_buffer),
      ENTRY("QueueSubmit", submit),
  };
  for (size_t index = 0; index < sizeof table / sizeof *table; ++index)
    if (!strcmp(table[index].name, name))
      return table[index].function;
  return (PFN_vkVoidFunction)succeed;
}

PFN_vkVoidFunction vkGetDeviceProcAddr(VkDevice device, const char *name) {
  (void)device;
  return vkGetInstanceProcAddr(NULL, name);
}
