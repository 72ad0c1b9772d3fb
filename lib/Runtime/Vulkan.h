/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What the files about Vulkan share: VulkanDevice.c opens a device and builds
 * the kernels, VulkanMemory.c owns its memory, Vulkan.c runs launches on it,
 * VulkanClock.c times them.
 */
#ifndef TAMIS_LIB_RUNTIME_VULKAN_H
#define TAMIS_LIB_RUNTIME_VULKAN_H

#include "Device.h"

#define VK_NO_PROTOTYPES
#include <stdio.h>
#include <vulkan/vulkan_core.h>

/* Functions of an instance, and of a device. */
#define TAMIS_VK_INSTANCE(X)                                                   \
  X(DestroyInstance)                                                           \
  X(EnumeratePhysicalDevices)                                                  \
  X(GetPhysicalDeviceProperties)                                               \
  X(GetPhysicalDeviceFeatures2)                                                \
  X(GetPhysicalDeviceQueueFamilyProperties)                                    \
      X(GetPhysicalDeviceMemoryProperties)                                     \
          X(EnumerateDeviceExtensionProperties) X(CreateDevice)                \
              X(GetDeviceProcAddr)
#define TAMIS_VK_DEVICE(X)                                                     \
  X(DestroyDevice)                                                             \
  X(GetDeviceQueue)                                                            \
  X(CreateBuffer)                                                              \
  X(DestroyBuffer)                                                             \
  X(GetBufferMemoryRequirements) X(AllocateMemory) X(FreeMemory)               \
      X(BindBufferMemory) X(MapMemory) X(CreateShaderModule) X(                \
          DestroyShaderModule) X(CreateDescriptorSetLayout)                    \
          X(DestroyDescriptorSetLayout) X(CreatePipelineLayout) X(             \
              DestroyPipelineLayout) X(CreateComputePipelines)                 \
              X(DestroyPipeline) X(CreateDescriptorPool) X(                    \
                  DestroyDescriptorPool) X(AllocateDescriptorSets)             \
                  X(UpdateDescriptorSets) X(CreateCommandPool) X(              \
                      DestroyCommandPool) X(AllocateCommandBuffers)            \
                      X(BeginCommandBuffer) X(EndCommandBuffer) X(             \
                          CmdBindPipeline) X(CmdBindDescriptorSets)            \
                          X(CmdDispatch) X(CmdPipelineBarrier) X(CreateFence)  \
                              X(DestroyFence) X(ResetFences) X(WaitForFences)  \
                                  X(QueueSubmit) X(CreateQueryPool)            \
                                      X(DestroyQueryPool) X(CmdResetQueryPool) \
                                          X(CmdWriteTimestamp)                 \
                                              X(GetQueryPoolResults)           \
                                                  X(CmdCopyBuffer)             \
                                                      X(FreeCommandBuffers)

/* Memory that both sides see. */
typedef struct vk_buffer {
  VkBuffer handle;
  VkDeviceMemory memory;
  char *base; /* as the host sees it; null: no memory */
  int64_t bytes;
} vk_buffer;

typedef struct vk_kernel {
  VkDescriptorSetLayout set;
  VkPipelineLayout layout;
  VkPipeline pipeline;
} vk_kernel;

/* Launches up to one wait of the host: what was asked for, as bytes, and the
   commands that do it. Asked for the same again, the commands serve again. */
typedef struct vk_segment {
  char *log;
  int64_t log_bytes, log_capacity;
  int recorded;
  VkCommandBuffer commands;
  VkDescriptorPool descriptors;
  vk_buffer words;
} vk_segment;

struct tamis_device {
  const tamis_host *host;
  char *text; /* of the last failure, TAMIS_TEXT_BYTES */
#define X(name) PFN_vk##name name;
  TAMIS_VK_INSTANCE(X)
  TAMIS_VK_DEVICE(X)
#undef X
  VkInstance instance;
  VkPhysicalDevice physical;
  VkDevice device;
  VkQueue queue;
  VkCommandPool pool;
  VkFence fence;
  /* Two times around what is timed; null until somebody asks. */
  VkQueryPool clock;
  uint32_t clock_bits; /* of a time; 0: the device has none */
  double seconds;      /* of the last call */
  VkPhysicalDeviceProperties properties;
  VkPhysicalDeviceMemoryProperties memory;
  vk_kernel *kernels;
  vk_buffer weights, workspace, transfer;
  /* Allocations of a run, kept for the next; `temporary_next` is the first
     one this run does not use. */
  vk_buffer *temporaries;
  int64_t temporary_count, temporary_capacity, temporary_next;
  vk_segment *segments;
  int64_t segment_count, segment_capacity, segment_next;
  /* What the run has launched since its last wait. */
  char *log;
  int64_t log_bytes, log_capacity;
  void **pointers; /* of inputs and outputs in `transfer` */
  atomic_flag taken;
};

/* tamis_rt_grow with the device's host. */
int tamis_vk_grow(struct tamis_device *device, void *array, int64_t *capacity,
                  int64_t count, int64_t size);

/* Makes `buffer` hold at least `bytes`; its content is lost if it grows. */
tamis_status tamis_vk_reserve(struct tamis_device *device, vk_buffer *buffer,
                              int64_t bytes);
void tamis_vk_release(struct tamis_device *device, vk_buffer *buffer);

/* Ends every recording: buffers they use are about to change. */
void tamis_vk_forget(struct tamis_device *device);

/* Commands before and after what is timed, and seconds between them once they
   have run; below 0 without a clock. */
void tamis_vk_start(struct tamis_device *device, VkCommandBuffer commands);
void tamis_vk_stop(struct tamis_device *device, VkCommandBuffer commands);
double tamis_vk_elapsed(struct tamis_device *device);
/* Submits and waits. */
tamis_status tamis_vk_submit(struct tamis_device *device,
                             VkCommandBuffer commands);

/* The status of a failed call, its text in the device's. */
tamis_status tamis_vk_fail(struct tamis_device *device, VkResult result,
                           const char *what);

/* Returns `status` with a text. */
#define TAMIS_VK_FAIL(device, status, ...)                                     \
  do {                                                                         \
    snprintf((device)->text, TAMIS_TEXT_BYTES, __VA_ARGS__);                   \
    return status;                                                             \
  } while (0)

/* Returns if a call of Vulkan for `device` fails. */
#define TAMIS_VK_CHECK(call, what)                                             \
  do {                                                                         \
    VkResult result_ = (call);                                                 \
    if (result_ != VK_SUCCESS)                                                 \
      return tamis_vk_fail(device, result_, what);                             \
  } while (0)

#endif /* TAMIS_LIB_RUNTIME_VULKAN_H */
