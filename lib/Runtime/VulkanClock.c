/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Times by a Vulkan device's own clock: of calls, and of copies.
 */
#include "Vulkan.h"

#include <sched.h>

void tamis_vk_start(struct tamis_device *device, VkCommandBuffer commands) {
  if (!device->clock)
    return;
  device->CmdResetQueryPool(commands, device->clock, 0, 2);
  device->CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT,
                            device->clock, 0);
}

void tamis_vk_stop(struct tamis_device *device, VkCommandBuffer commands) {
  if (device->clock)
    device->CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                              device->clock, 1);
}

double tamis_vk_elapsed(struct tamis_device *device) {
  uint64_t times[2] = {0};
  /* What was submitted has run, so there is nothing to wait for; a driver that
     loses a time would wait for ever. */
  if (!device->clock ||
      device->GetQueryPoolResults(device->device, device->clock, 0, 2,
                                  sizeof times, times, sizeof times[0],
                                  VK_QUERY_RESULT_64_BIT) != VK_SUCCESS)
    return -1;
  uint64_t ticks = times[1] - times[0];
  if (device->clock_bits < 64)
    ticks &= (UINT64_C(1) << device->clock_bits) - 1;
  return (double)ticks * device->properties.limits.timestampPeriod * 1e-9;
}

/* What was recorded before has no times in it. */
static void start_clock(struct tamis_device *device) {
  VkQueryPoolCreateInfo info = {.sType =
                                    VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                .queryCount = 2};
  device->seconds = -1;
  if (device->clock_bits == 0 ||
      device->CreateQueryPool(device->device, &info, NULL, &device->clock) !=
          VK_SUCCESS)
    device->clock = VK_NULL_HANDLE;
  else
    tamis_vk_forget(device);
}

static void take(struct tamis_device *device) {
  while (atomic_flag_test_and_set(&device->taken))
    sched_yield();
  if (!device->clock)
    start_clock(device);
}

double tamis_rt_device_seconds(struct tamis_device *device) {
  take(device);
  double seconds = device->seconds;
  atomic_flag_clear(&device->taken);
  return seconds;
}

/* Records the copies and runs them. */
static double run_copies(struct tamis_device *device, VkCommandBuffer commands,
                         const vk_buffer *buffers, int64_t bytes) {
  VkCommandBufferBeginInfo begin = {
      .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  if (device->BeginCommandBuffer(commands, &begin) != VK_SUCCESS)
    return -1;
  VkBufferCopy region = {.size = (VkDeviceSize)bytes};
  VkMemoryBarrier memory = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                            .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                            .dstAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT};
  tamis_vk_start(device, commands);
  for (int round = 0; round < TAMIS_DEVICE_COPIES; ++round) {
    device->CmdCopyBuffer(commands, buffers[0].handle, buffers[1].handle, 1,
                          &region);
    device->CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                               VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &memory, 0,
                               NULL, 0, NULL);
  }
  tamis_vk_stop(device, commands);
  if (device->EndCommandBuffer(commands) != VK_SUCCESS ||
      tamis_vk_submit(device, commands) != TAMIS_OK)
    return -1;
  return tamis_vk_elapsed(device);
}

double tamis_rt_device_copy(struct tamis_device *device, int64_t bytes) {
  char text[TAMIS_TEXT_BYTES];
  take(device);
  device->text = text;
  vk_buffer buffers[2] = {{0}};
  VkCommandBuffer commands = NULL;
  VkCommandBufferAllocateInfo allocate = {
      .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
      .commandPool = device->pool,
      .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
      .commandBufferCount = 1};
  double seconds = -1;
  if (device->clock &&
      tamis_vk_reserve(device, &buffers[0], bytes) == TAMIS_OK &&
      tamis_vk_reserve(device, &buffers[1], bytes) == TAMIS_OK &&
      device->AllocateCommandBuffers(device->device, &allocate, &commands) ==
          VK_SUCCESS) {
    seconds = run_copies(device, commands, buffers, bytes);
    device->FreeCommandBuffers(device->device, device->pool, 1, &commands);
  }
  for (int index = 0; index < 2; ++index)
    tamis_vk_release(device, &buffers[index]);
  device->text = NULL;
  atomic_flag_clear(&device->taken);
  return seconds > 0 ? 2.0 * TAMIS_DEVICE_COPIES * (double)bytes / seconds : -1;
}
