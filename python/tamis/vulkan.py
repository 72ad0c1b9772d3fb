# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Vulkan devices of this machine by name, as libraries for `--target vulkan` find them."""
import ctypes

KINDS = ("other", "integrated", "discrete", "virtual", "CPU")  # VkPhysicalDeviceType


class _InstanceInfo(ctypes.Structure):
    """VkInstanceCreateInfo."""
    _fields_ = [("type", ctypes.c_uint32), ("next", ctypes.c_void_p), ("flags", ctypes.c_uint32), ("application", ctypes.c_void_p),
                ("layer_count", ctypes.c_uint32), ("layers", ctypes.c_void_p), ("extension_count", ctypes.c_uint32),
                ("extensions", ctypes.c_void_p)]


class _Properties(ctypes.Structure):
    """The head of VkPhysicalDeviceProperties, and room for the rest of its 824 bytes."""
    _fields_ = [("api", ctypes.c_uint32), ("driver", ctypes.c_uint32), ("vendor", ctypes.c_uint32), ("device", ctypes.c_uint32),
                ("kind", ctypes.c_uint32), ("name", ctypes.c_char * 256), ("rest", ctypes.c_uint64 * 96)]


def devices():
    """[{"name", "kind", "api"}, ...] in Vulkan's order, which TAMIS_VULKAN_DEVICE counts; empty without loader or driver."""
    try:
        library = ctypes.CDLL("libvulkan.so.1")
    except OSError:
        return []
    instance, info = ctypes.c_void_p(), _InstanceInfo(type=1)
    if library.vkCreateInstance(ctypes.byref(info), None, ctypes.byref(instance)):
        return []
    count, handles = ctypes.c_uint32(16), (ctypes.c_void_p * 16)()
    library.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), handles)
    found = []
    for handle in handles[:count.value]:
        properties = _Properties()
        library.vkGetPhysicalDeviceProperties(ctypes.c_void_p(handle), ctypes.byref(properties))
        found.append({"name": properties.name.decode("utf8", "replace"), "kind": KINDS[properties.kind if properties.kind < 5 else 0],
                      "api": f"{properties.api >> 22 & 0x7f}.{properties.api >> 12 & 0x3ff}.{properties.api & 0xfff}"})
    library.vkDestroyInstance(instance, None)
    return found
