/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Runs a model's launches on its Vulkan device. Launches are written down; when
 * the host has to wait they become one command buffer, or the one that an
 * earlier run made of the same launches.
 */
#include "Vulkan.h"

#include <sched.h>
#include <string.h>

/* A launch as the log has it: then follow `buffer_count` places and
   `word_count` words. */
typedef struct vk_entry {
  int64_t kernel;
  uint32_t groups[4]; /* the last is padding */
} vk_entry;

typedef struct vk_place {
  VkBuffer buffer;
  VkDeviceSize offset, range;
} vk_place;

static int64_t entry_bytes(const tamis_kernel *kernel) {
  int64_t bytes = (int64_t)sizeof(vk_entry) +
                  kernel->buffer_count * (int64_t)sizeof(vk_place) +
                  kernel->word_count * (int64_t)sizeof(uint32_t);
  return (bytes + 7) & ~INT64_C(7);
}

static vk_place *places_of(void *entry) {
  return (vk_place *)((vk_entry *)entry + 1);
}

void tamis_vk_forget(struct tamis_device *device) {
  for (int64_t index = 0; index < device->segment_count; ++index)
    device->segments[index].recorded = 0;
}

/* Keeps the first failure of a run; what follows it is not worth much. */
static void fault(tamis_run *run, tamis_status status) {
  atomic_fetch_or(&run->faults, status == TAMIS_ERROR_MEMORY
                                    ? TAMIS_FAULT_DEVICE_MEMORY
                                    : TAMIS_FAULT_DEVICE);
}

static const vk_buffer *find_buffer(const struct tamis_device *device,
                                    const char *pointer) {
  const vk_buffer *list[] = {&device->workspace, &device->weights,
                             &device->transfer};
  for (int index = 0; index < 3; ++index)
    if (pointer >= list[index]->base &&
        pointer < list[index]->base + list[index]->bytes)
      return list[index];
  for (int64_t index = 0; index < device->temporary_next; ++index) {
    const vk_buffer *buffer = &device->temporaries[index];
    if (pointer >= buffer->base && pointer < buffer->base + buffer->bytes)
      return buffer;
  }
  return NULL;
}

/* Where a binding begins and ends, and the element of it that is first. */
static int place(struct tamis_device *device, const tamis_kernel *kernel,
                 int32_t index, const tamis_launch *launch, vk_place *out,
                 uint32_t *word) {
  const VkPhysicalDeviceLimits *limits = &device->properties.limits;
  const char *first = launch->buffers[index].first;
  int64_t bytes = launch->buffers[index].bytes;
  const vk_buffer *buffer = find_buffer(device, first);
  if (!buffer || bytes > buffer->base + buffer->bytes - first) {
    snprintf(device->text, TAMIS_TEXT_BYTES,
             "kernel '%s': operand %d is not in the device's memory",
             kernel->name, index);
    return 0;
  }
  int64_t offset = first - buffer->base;
  int64_t rest = offset % (int64_t)limits->minStorageBufferOffsetAlignment;
  int64_t range = (rest + (bytes > 0 ? bytes : 1) + 3) & ~INT64_C(3);
  /* Kernels count elements with signed words. */
  int64_t most = INT64_C(0x7fffffff) * kernel->element_bytes[index];
  if (most > (int64_t)limits->maxStorageBufferRange)
    most = limits->maxStorageBufferRange;
  if (range > most) {
    snprintf(device->text, TAMIS_TEXT_BYTES,
             "kernel '%s': operand %d has %lld bytes, the Vulkan device '%s' "
             "takes %lld",
             kernel->name, index, (long long)bytes,
             device->properties.deviceName, (long long)most);
    return 0;
  }
  out->buffer = buffer->handle;
  out->offset = (VkDeviceSize)(offset - rest);
  out->range = (VkDeviceSize)range;
  *word = (uint32_t)(rest / kernel->element_bytes[index]);
  return 1;
}

void tamis_rt_launch(tamis_run *run, int64_t index, const tamis_launch *launch,
                     const uint32_t *words) {
  struct tamis_device *device = run->device;
  const tamis_kernel *kernel = &tamis_model_data.kernels[index];
  if (atomic_load(&run->faults))
    return;
  if (!launch->groups[0] || !launch->groups[1] || !launch->groups[2])
    return;
  int64_t bytes = entry_bytes(kernel);
  if (!tamis_vk_grow(device, &device->log, &device->log_capacity,
                     device->log_bytes + bytes, 1)) {
    fault(run, TAMIS_ERROR_MEMORY);
    return;
  }
  char *memory = device->log + device->log_bytes;
  memset(memory, 0, bytes);
  vk_entry *entry = (vk_entry *)memory;
  entry->kernel = index;
  for (int axis = 0; axis < 3; ++axis) {
    uint32_t most = device->properties.limits.maxComputeWorkGroupCount[axis];
    if (launch->groups[axis] > most) {
      snprintf(device->text, TAMIS_TEXT_BYTES,
               "kernel '%s': %lld workgroups, the Vulkan device '%s' takes %u",
               kernel->name, (long long)launch->groups[axis],
               device->properties.deviceName, most);
      fault(run, TAMIS_ERROR_DEVICE);
      return;
    }
    entry->groups[axis] = (uint32_t)launch->groups[axis];
  }
  vk_place *places = places_of(entry);
  uint32_t *copy = (uint32_t *)(places + kernel->buffer_count);
  memcpy(copy, words, (size_t)kernel->word_count * sizeof *copy);
  for (int32_t buffer = 0; buffer < kernel->buffer_count; ++buffer)
    if (!place(device, kernel, buffer, launch, &places[buffer],
               &copy[buffer])) {
      fault(run, TAMIS_ERROR_DEVICE);
      return;
    }
  device->log_bytes += bytes;
}

/* The room for words of one entry: as bindings may begin. */
static int64_t word_stride(const struct tamis_device *device,
                           const tamis_kernel *kernel) {
  int64_t alignment =
      (int64_t)device->properties.limits.minStorageBufferOffsetAlignment;
  int64_t bytes = kernel->word_count * (int64_t)sizeof(uint32_t);
  return (bytes + alignment - 1) / alignment * alignment;
}

/* Memory and descriptors for all that the segment's log says. */
static tamis_status prepare(struct tamis_device *device, vk_segment *segment) {
  int64_t words = 0;
  uint32_t sets = 0, descriptors = 0;
  for (int64_t at = 0; at < segment->log_bytes;) {
    const vk_entry *entry = (const vk_entry *)(segment->log + at);
    const tamis_kernel *kernel = &tamis_model_data.kernels[entry->kernel];
    words += word_stride(device, kernel);
    descriptors += (uint32_t)kernel->buffer_count + 1;
    ++sets;
    at += entry_bytes(kernel);
  }
  tamis_status status = tamis_vk_reserve(device, &segment->words, words);
  if (status != TAMIS_OK)
    return status;
  device->DestroyDescriptorPool(device->device, segment->descriptors, NULL);
  segment->descriptors = VK_NULL_HANDLE;
  VkDescriptorPoolSize size = {.type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                               .descriptorCount = descriptors};
  VkDescriptorPoolCreateInfo pool = {
      .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
      .maxSets = sets,
      .poolSizeCount = 1,
      .pPoolSizes = &size};
  TAMIS_VK_CHECK(device->CreateDescriptorPool(device->device, &pool, NULL,
                                              &segment->descriptors),
                 "a descriptor pool");
  if (segment->commands)
    return TAMIS_OK;
  VkCommandBufferAllocateInfo commands = {
      .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
      .commandPool = device->pool,
      .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
      .commandBufferCount = 1};
  TAMIS_VK_CHECK(device->AllocateCommandBuffers(device->device, &commands,
                                                &segment->commands),
                 "a command buffer");
  return TAMIS_OK;
}

static void barrier(struct tamis_device *device, VkCommandBuffer commands,
                    VkAccessFlags readers, VkPipelineStageFlags stage) {
  VkMemoryBarrier memory = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                            .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                            .dstAccessMask = readers};
  device->CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                             stage, 0, 1, &memory, 0, NULL, 0, NULL);
}

/* Records one launch; its words go to byte `at` of the segment's. */
static tamis_status record_launch(struct tamis_device *device,
                                  vk_segment *segment, vk_entry *entry,
                                  int64_t at) {
  const tamis_kernel *kernel = &tamis_model_data.kernels[entry->kernel];
  const vk_kernel *built = &device->kernels[entry->kernel];
  VkDescriptorSetAllocateInfo allocate = {
      .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
      .descriptorPool = segment->descriptors,
      .descriptorSetCount = 1,
      .pSetLayouts = &built->set};
  VkDescriptorSet set;
  TAMIS_VK_CHECK(
      device->AllocateDescriptorSets(device->device, &allocate, &set),
      "a descriptor set");
  uint32_t count = (uint32_t)kernel->buffer_count + 1;
  int64_t bytes = kernel->word_count * (int64_t)sizeof(uint32_t);
  vk_place *places = places_of(entry);
  memcpy(segment->words.base + at, places + kernel->buffer_count,
         (size_t)bytes);
  VkDescriptorBufferInfo buffers[count];
  for (uint32_t index = 0; index + 1 < count; ++index)
    buffers[index] = (VkDescriptorBufferInfo){
        places[index].buffer, places[index].offset, places[index].range};
  buffers[count - 1] = (VkDescriptorBufferInfo){
      segment->words.handle, (VkDeviceSize)at, (VkDeviceSize)bytes};
  VkWriteDescriptorSet writes[count];
  for (uint32_t index = 0; index < count; ++index)
    writes[index] = (VkWriteDescriptorSet){
        .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
        .dstSet = set,
        .dstBinding = index,
        .descriptorCount = 1,
        .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
        .pBufferInfo = &buffers[index]};
  device->UpdateDescriptorSets(device->device, count, writes, 0, NULL);
  device->CmdBindPipeline(segment->commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                          built->pipeline);
  device->CmdBindDescriptorSets(segment->commands,
                                VK_PIPELINE_BIND_POINT_COMPUTE, built->layout,
                                0, 1, &set, 0, NULL);
  device->CmdDispatch(segment->commands, entry->groups[0], entry->groups[1],
                      entry->groups[2]);
  return TAMIS_OK;
}

static tamis_status record(struct tamis_device *device, vk_segment *segment) {
  segment->recorded = 0;
  segment->log_bytes = 0;
  if (!tamis_vk_grow(device, &segment->log, &segment->log_capacity,
                     device->log_bytes, 1))
    return tamis_vk_fail(device, VK_ERROR_OUT_OF_HOST_MEMORY, "a log");
  memcpy(segment->log, device->log, (size_t)device->log_bytes);
  segment->log_bytes = device->log_bytes;
  tamis_status status = prepare(device, segment);
  if (status != TAMIS_OK)
    return status;
  VkCommandBufferBeginInfo begin = {
      .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  TAMIS_VK_CHECK(device->BeginCommandBuffer(segment->commands, &begin),
                 "recording");
  tamis_vk_start(device, segment->commands);
  int64_t words = 0;
  for (int64_t at = 0; at < segment->log_bytes;) {
    vk_entry *entry = (vk_entry *)(segment->log + at);
    const tamis_kernel *kernel = &tamis_model_data.kernels[entry->kernel];
    if (at)
      barrier(device, segment->commands,
              VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT,
              VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
    status = record_launch(device, segment, entry, words);
    if (status != TAMIS_OK)
      return status;
    words += word_stride(device, kernel);
    at += entry_bytes(kernel);
  }
  barrier(device, segment->commands, VK_ACCESS_HOST_READ_BIT,
          VK_PIPELINE_STAGE_HOST_BIT);
  tamis_vk_stop(device, segment->commands);
  TAMIS_VK_CHECK(device->EndCommandBuffer(segment->commands), "recording");
  segment->recorded = 1;
  return TAMIS_OK;
}

tamis_status tamis_vk_submit(struct tamis_device *device,
                             VkCommandBuffer commands) {
  VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                       .commandBufferCount = 1,
                       .pCommandBuffers = &commands};
  TAMIS_VK_CHECK(device->QueueSubmit(device->queue, 1, &info, device->fence),
                 "submitting");
  TAMIS_VK_CHECK(device->WaitForFences(device->device, 1, &device->fence,
                                       VK_TRUE, UINT64_MAX),
                 "waiting");
  TAMIS_VK_CHECK(device->ResetFences(device->device, 1, &device->fence),
                 "a fence");
  return TAMIS_OK;
}

static tamis_status submit(struct tamis_device *device) {
  int64_t index = device->segment_next++;
  if (!tamis_vk_grow(device, &device->segments, &device->segment_capacity,
                     index + 1, sizeof(vk_segment)))
    return tamis_vk_fail(device, VK_ERROR_OUT_OF_HOST_MEMORY, "a segment");
  if (device->segment_count <= index)
    device->segment_count = index + 1;
  vk_segment *segment = &device->segments[index];
  if (!segment->recorded || segment->log_bytes != device->log_bytes ||
      memcmp(segment->log, device->log, (size_t)device->log_bytes)) {
    tamis_status status = record(device, segment);
    if (status != TAMIS_OK)
      return status;
  }
  tamis_status status = tamis_vk_submit(device, segment->commands);
  if (status != TAMIS_OK || !device->clock)
    return status;
  double seconds = tamis_vk_elapsed(device);
  /* A call of which one time is missing has none. */
  device->seconds =
      seconds < 0 || device->seconds < 0 ? -1 : device->seconds + seconds;
  return TAMIS_OK;
}

void tamis_rt_synchronize(tamis_run *run) {
  struct tamis_device *device = run->device;
  if (device->log_bytes && !atomic_load(&run->faults)) {
    tamis_status status = submit(device);
    if (status != TAMIS_OK)
      fault(run, status);
  }
  device->log_bytes = 0;
}

void *tamis_rt_device_alloc(tamis_run *run, int64_t bytes) {
  struct tamis_device *device = run->device;
  int64_t index = device->temporary_next;
  if (bytes < 0 || bytes > INT64_C(1) << 46 ||
      !tamis_vk_grow(device, &device->temporaries, &device->temporary_capacity,
                     index + 1, sizeof(vk_buffer))) {
    atomic_fetch_or(&run->faults, TAMIS_FAULT_MEMORY);
    return NULL;
  }
  vk_buffer *buffer = &device->temporaries[index];
  tamis_status status = tamis_vk_reserve(device, buffer, bytes);
  if (device->temporary_count <= index)
    device->temporary_count = index + 1;
  if (status != TAMIS_OK) {
    fault(run, status);
    return NULL;
  }
  ++device->temporary_next;
  return buffer->base;
}

uint32_t tamis_rt_device_compute(tamis_run *run, int32_t variant,
                                 const void *const *inputs, void **outputs,
                                 int64_t *dims, char *text) {
  struct tamis_device *device = run->device;
  const tamis_variant *code = &tamis_model_data.variants[variant];
  /* One call at a time: the memory on the device belongs to the instance. */
  while (atomic_flag_test_and_set(&device->taken))
    sched_yield();
  device->text = text;
  device->temporary_next = 0;
  device->segment_next = 0;
  device->log_bytes = 0;
  device->seconds = device->clock ? 0 : -1;
  uint32_t faults = 0;
  tamis_status status = tamis_vk_reserve(
      device, &device->transfer,
      tamis_rt_transfer(TAMIS_MEASURE, NULL, NULL, dims, inputs, outputs));
  if (status == TAMIS_OK)
    status = tamis_vk_reserve(device, &device->workspace,
                              code->workspace_size(dims));
  if (status != TAMIS_OK) {
    fault(run, status);
  } else {
    tamis_rt_transfer(TAMIS_COPY_IN, device->transfer.base, device->pointers,
                      dims, inputs, outputs);
    faults = code->compute(run, (const void *const *)device->pointers,
                           device->pointers + tamis_model_data.input_count,
                           dims, device->workspace.base, device->weights.base);
    tamis_rt_synchronize(run);
    faults |= atomic_load(&run->faults);
    if (!faults)
      tamis_rt_transfer(TAMIS_COPY_OUT, device->transfer.base, device->pointers,
                        dims, inputs, outputs);
  }
  device->text = NULL;
  atomic_flag_clear(&device->taken);
  return faults;
}
