/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Opens a Vulkan device for an instance of a model: library, device, weights,
 * pipelines. The library stays loaded when the last instance is gone, because
 * drivers leave threads behind.
 */
#include "Vulkan.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* How a device feature reads in a message; in the order of the bits. */
static const char *const feature_names[] = {"8-bit integers",
                                            "16-bit integers",
                                            "64-bit integers",
                                            "16-bit floats",
                                            "8-bit elements in buffers",
                                            "16-bit elements in buffers"};

/* The structures in which Vulkan says what a device has, and is told what to
   switch on of it. */
struct features {
  VkPhysicalDeviceFeatures2 all;
  VkPhysicalDevice16BitStorageFeatures storage16;
  VkPhysicalDevice8BitStorageFeatures storage8;
  VkPhysicalDeviceShaderFloat16Int8Features narrow;
};

static void chain(struct features *features) {
  memset(features, 0, sizeof *features);
  features->all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  features->storage16.sType =
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES;
  features->storage8.sType =
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES;
  features->narrow.sType =
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES;
  features->all.pNext = &features->storage16;
  features->storage16.pNext = &features->storage8;
  features->storage8.pNext = &features->narrow;
}

/* The places of the bits of tamis_device_feature, in their order. */
static void list(struct features *features, VkBool32 *bits[6]) {
  bits[0] = &features->narrow.shaderInt8;
  bits[1] = &features->all.features.shaderInt16;
  bits[2] = &features->all.features.shaderInt64;
  bits[3] = &features->narrow.shaderFloat16;
  bits[4] = &features->storage8.storageBuffer8BitAccess;
  bits[5] = &features->storage16.storageBuffer16BitAccess;
}

/* Takes structures out of the chain that ask for nothing: a device need not
   know them. */
static void drop_unused(struct features *features) {
  void *next = NULL;
  if (features->narrow.shaderInt8 || features->narrow.shaderFloat16) {
    features->narrow.pNext = next;
    next = &features->narrow;
  }
  if (features->storage8.storageBuffer8BitAccess) {
    features->storage8.pNext = next;
    next = &features->storage8;
  }
  if (features->storage16.storageBuffer16BitAccess) {
    features->storage16.pNext = next;
    next = &features->storage16;
  }
  features->all.pNext = next;
}

static int32_t required_features(void) {
  int32_t required = 0;
  for (int32_t index = 0; index < tamis_model_data.kernel_count; ++index)
    required |= tamis_model_data.kernels[index].features;
  return required;
}

/* The name of the first feature that `physical` lacks; null if it has all. */
static const char *find_missing(struct tamis_device *device,
                                VkPhysicalDevice physical) {
  struct features features;
  VkBool32 *bits[6];
  chain(&features);
  list(&features, bits);
  device->GetPhysicalDeviceFeatures2(physical, &features.all);
  for (int bit = 0; bit < 6; ++bit)
    if (required_features() >> bit & 1 && !*bits[bit])
      return feature_names[bit];
  return NULL;
}

/* The first queue family that computes, -1 if there is none; `clock_bits` says
   how many bits its times have. */
static int find_family(struct tamis_device *device, VkPhysicalDevice physical) {
  VkQueueFamilyProperties families[32];
  uint32_t count = 32;
  device->GetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
  for (uint32_t family = 0; family < count; ++family)
    if (families[family].queueFlags & VK_QUEUE_COMPUTE_BIT) {
      device->clock_bits = families[family].timestampValidBits;
      return (int)family;
    }
  return -1;
}

/* Devices for computing first. */
static int rank(const VkPhysicalDeviceProperties *properties) {
  switch (properties->deviceType) {
  case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
    return 4;
  case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
    return 3;
  case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
    return 2;
  case VK_PHYSICAL_DEVICE_TYPE_CPU:
    return 1;
  default:
    return 0;
  }
}

/* Whether the user's `wish` (a number, or part of a name) means this device. */
static int is_wished(const char *wish, uint32_t number, const char *name) {
  char *end;
  long index = strtol(wish, &end, 10);
  return *end ? strstr(name, wish) != NULL : index == (long)number;
}

static tamis_status pick(struct tamis_device *device) {
  VkPhysicalDevice list[16];
  uint32_t count = 16;
  VkResult result =
      device->EnumeratePhysicalDevices(device->instance, &count, list);
  if ((result != VK_SUCCESS && result != VK_INCOMPLETE) || !count)
    TAMIS_VK_FAIL(device, TAMIS_ERROR_DEVICE,
                  "no Vulkan device on this machine");
  const char *wish = getenv("TAMIS_VULKAN_DEVICE");
  if (wish && !*wish)
    wish = NULL;
  const char *missing = NULL;
  char names[256] = "";
  int best = -1;
  for (uint32_t number = 0; number < count; ++number) {
    VkPhysicalDeviceProperties properties;
    device->GetPhysicalDeviceProperties(list[number], &properties);
    size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, "%s%u '%s'", number ? ", " : "",
             number, properties.deviceName);
    if (wish && !is_wished(wish, number, properties.deviceName))
      continue;
    const char *lacks = properties.apiVersion < VK_API_VERSION_1_1
                            ? "Vulkan 1.1"
                            : find_missing(device, list[number]);
    if (!lacks && find_family(device, list[number]) < 0)
      lacks = "a queue that computes";
    if (lacks ? best < 0 && !missing : rank(&properties) > best) {
      missing = lacks;
      device->properties = properties;
      if (!lacks) {
        device->physical = list[number];
        best = rank(&properties);
      }
    }
  }
  if (best >= 0)
    return TAMIS_OK;
  if (missing)
    TAMIS_VK_FAIL(device, TAMIS_ERROR_DEVICE,
                  "the Vulkan device '%s' lacks %s, which this model needs",
                  device->properties.deviceName, missing);
  TAMIS_VK_FAIL(
      device, TAMIS_ERROR_DEVICE,
      "no Vulkan device matches TAMIS_VULKAN_DEVICE='%.64s', found %s", wish,
      names);
}

static tamis_status open_instance(struct tamis_device *device) {
  void *library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    TAMIS_VK_FAIL(
        device, TAMIS_ERROR_DEVICE,
        "this model runs on a Vulkan device, and there is no Vulkan loader: "
        "%s",
        dlerror());
  PFN_vkGetInstanceProcAddr lookup;
  *(void **)&lookup = dlsym(library, "vkGetInstanceProcAddr");
  PFN_vkCreateInstance create =
      lookup ? (PFN_vkCreateInstance)lookup(NULL, "vkCreateInstance") : NULL;
  if (!create)
    TAMIS_VK_FAIL(device, TAMIS_ERROR_DEVICE,
                  "libvulkan.so.1 is no Vulkan loader");
  VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                   .apiVersion = VK_API_VERSION_1_1};
  VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                               .pApplicationInfo = &application};
  VkResult result = create(&info, NULL, &device->instance);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
    TAMIS_VK_FAIL(device, TAMIS_ERROR_DEVICE,
                  "no Vulkan driver on this machine");
  if (result != VK_SUCCESS)
    TAMIS_VK_FAIL(device, TAMIS_ERROR_DEVICE, "the Vulkan loader failed (%d)",
                  (int)result);
#define X(name)                                                                \
  device->name = (PFN_vk##name)lookup(device->instance, "vk" #name);           \
  if (!device->name)                                                           \
    TAMIS_VK_FAIL(device, TAMIS_ERROR_DEVICE,                                  \
                  "the Vulkan loader lacks vk" #name);
  TAMIS_VK_INSTANCE(X)
#undef X
  return TAMIS_OK;
}

/* Puts those of `wanted` that the device has into `names`. */
static uint32_t find_extensions(struct tamis_device *device,
                                const char *const *wanted, uint32_t count,
                                const char **names) {
  uint32_t known = 0, found = 0;
  device->EnumerateDeviceExtensionProperties(device->physical, NULL, &known,
                                             NULL);
  VkExtensionProperties *list = tamis_rt_host_allocate(
      device->host, (int64_t)known * (int64_t)sizeof *list);
  if (!list)
    return 0;
  device->EnumerateDeviceExtensionProperties(device->physical, NULL, &known,
                                             list);
  for (uint32_t want = 0; want < count; ++want)
    for (uint32_t index = 0; index < known; ++index)
      if (!strcmp(list[index].extensionName, wanted[want])) {
        names[found++] = wanted[want];
        break;
      }
  tamis_rt_host_release(device->host, list);
  return found;
}

static tamis_status open_device(struct tamis_device *device) {
  struct features features;
  VkBool32 *bits[6];
  chain(&features);
  list(&features, bits);
  for (int bit = 0; bit < 6; ++bit)
    *bits[bit] = required_features() >> bit & 1;
  drop_unused(&features);
  /* In the core from Vulkan 1.2 on. */
  static const char *const wanted[] = {"VK_KHR_8bit_storage",
                                       "VK_KHR_shader_float16_int8"};
  const char *names[2];
  float priority = 1;
  VkDeviceQueueCreateInfo queue = {
      .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
      .queueFamilyIndex = (uint32_t)find_family(device, device->physical),
      .queueCount = 1,
      .pQueuePriorities = &priority};
  VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                             .pNext = &features.all,
                             .queueCreateInfoCount = 1,
                             .pQueueCreateInfos = &queue,
                             .enabledExtensionCount =
                                 find_extensions(device, wanted, 2, names),
                             .ppEnabledExtensionNames = names};
  TAMIS_VK_CHECK(
      device->CreateDevice(device->physical, &info, NULL, &device->device),
      "opening it");
#define X(name)                                                                \
  device->name =                                                               \
      (PFN_vk##name)device->GetDeviceProcAddr(device->device, "vk" #name);
  TAMIS_VK_DEVICE(X)
#undef X
  device->GetDeviceQueue(device->device, queue.queueFamilyIndex, 0,
                         &device->queue);
  device->GetPhysicalDeviceMemoryProperties(device->physical, &device->memory);
  VkCommandPoolCreateInfo pool = {
      .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
      .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
      .queueFamilyIndex = queue.queueFamilyIndex};
  TAMIS_VK_CHECK(
      device->CreateCommandPool(device->device, &pool, NULL, &device->pool),
      "a command pool");
  VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  TAMIS_VK_CHECK(
      device->CreateFence(device->device, &fence, NULL, &device->fence),
      "a fence");
  return TAMIS_OK;
}

static tamis_status build_kernel(struct tamis_device *device,
                                 const tamis_kernel *kernel, vk_kernel *built) {
  uint32_t count = (uint32_t)kernel->buffer_count + 1;
  if (count > device->properties.limits.maxPerStageDescriptorStorageBuffers)
    TAMIS_VK_FAIL(device, TAMIS_ERROR_DEVICE,
                  "the Vulkan device '%s' takes %u buffers, kernel '%s' has %u",
                  device->properties.deviceName,
                  device->properties.limits.maxPerStageDescriptorStorageBuffers,
                  kernel->name, count);
  VkDescriptorSetLayoutBinding bindings[count];
  for (uint32_t index = 0; index < count; ++index)
    bindings[index] = (VkDescriptorSetLayoutBinding){
        .binding = index,
        .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
        .descriptorCount = 1,
        .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
  VkDescriptorSetLayoutCreateInfo set = {
      .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
      .bindingCount = count,
      .pBindings = bindings};
  TAMIS_VK_CHECK(device->CreateDescriptorSetLayout(device->device, &set, NULL,
                                                   &built->set),
                 kernel->name);
  VkPipelineLayoutCreateInfo layout = {
      .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
      .setLayoutCount = 1,
      .pSetLayouts = &built->set};
  TAMIS_VK_CHECK(device->CreatePipelineLayout(device->device, &layout, NULL,
                                              &built->layout),
                 kernel->name);
  VkShaderModuleCreateInfo code = {
      .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
      .codeSize = (size_t)kernel->code_bytes,
      .pCode = kernel->code};
  VkShaderModule module;
  TAMIS_VK_CHECK(
      device->CreateShaderModule(device->device, &code, NULL, &module),
      kernel->name);
  VkComputePipelineCreateInfo pipeline = {
      .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
      .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module,
                .pName = kernel->name},
      .layout = built->layout};
  VkResult result = device->CreateComputePipelines(
      device->device, VK_NULL_HANDLE, 1, &pipeline, NULL, &built->pipeline);
  device->DestroyShaderModule(device->device, module, NULL);
  TAMIS_VK_CHECK(result, kernel->name);
  return TAMIS_OK;
}

static tamis_status fill(struct tamis_device *device, int64_t weight_bytes) {
  int64_t capacity = 0;
  if (!tamis_vk_grow(device, &device->kernels, &capacity,
                     tamis_model_data.kernel_count + 1, sizeof(vk_kernel)))
    TAMIS_VK_FAIL(device, TAMIS_ERROR_MEMORY, "an allocation failed");
  capacity = 0;
  if (!tamis_vk_grow(device, &device->pointers, &capacity,
                     tamis_model_data.input_count +
                         tamis_model_data.output_count + 1,
                     sizeof(void *)))
    TAMIS_VK_FAIL(device, TAMIS_ERROR_MEMORY, "an allocation failed");
  for (int32_t index = 0; index < tamis_model_data.kernel_count; ++index) {
    tamis_status status = build_kernel(device, &tamis_model_data.kernels[index],
                                       &device->kernels[index]);
    if (status != TAMIS_OK)
      return status;
  }
  tamis_status status =
      tamis_vk_reserve(device, &device->weights, weight_bytes);
  if (status == TAMIS_OK)
    memcpy(device->weights.base, tamis_model_data.weights, weight_bytes);
  return status;
}

const int64_t tamis_rt_device_bytes = sizeof(struct tamis_device);

tamis_status tamis_rt_device_open(struct tamis_device *device,
                                  const tamis_host *host, char *text) {
  device->host = host;
  device->text = text;
  tamis_status status = open_instance(device);
  if (status == TAMIS_OK)
    status = pick(device);
  if (status == TAMIS_OK)
    status = open_device(device);
  if (status == TAMIS_OK)
    status = fill(device, tamis_model_data.weight_bytes);
  return status;
}

static void close_device(struct tamis_device *device) {
  for (int64_t index = 0; index < device->segment_count; ++index) {
    vk_segment *segment = &device->segments[index];
    device->DestroyDescriptorPool(device->device, segment->descriptors, NULL);
    tamis_vk_release(device, &segment->words);
    tamis_rt_host_release(device->host, segment->log);
  }
  for (int64_t index = 0; index < device->temporary_count; ++index)
    tamis_vk_release(device, &device->temporaries[index]);
  tamis_vk_release(device, &device->weights);
  tamis_vk_release(device, &device->workspace);
  tamis_vk_release(device, &device->transfer);
  for (int32_t index = 0;
       device->kernels && index < tamis_model_data.kernel_count; ++index) {
    vk_kernel *kernel = &device->kernels[index];
    device->DestroyPipeline(device->device, kernel->pipeline, NULL);
    device->DestroyPipelineLayout(device->device, kernel->layout, NULL);
    device->DestroyDescriptorSetLayout(device->device, kernel->set, NULL);
  }
  device->DestroyQueryPool(device->device, device->clock, NULL);
  device->DestroyFence(device->device, device->fence, NULL);
  device->DestroyCommandPool(device->device, device->pool, NULL);
  device->DestroyDevice(device->device, NULL);
}

void tamis_rt_device_destroy(struct tamis_device *device) {
  if (!device)
    return;
  if (device->device)
    close_device(device);
  if (device->instance && device->DestroyInstance)
    device->DestroyInstance(device->instance, NULL);
  tamis_rt_host_release(device->host, device->kernels);
  tamis_rt_host_release(device->host, device->pointers);
  tamis_rt_host_release(device->host, device->temporaries);
  tamis_rt_host_release(device->host, device->segments);
  tamis_rt_host_release(device->host, device->log);
  tamis_rt_host_release(device->host, device);
}
