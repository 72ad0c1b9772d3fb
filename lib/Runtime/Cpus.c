/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The number of CPUs worth a thread: those the scheduler allows, and no more
 * than the control group pays for. A container with half a CPU on a 64-CPU
 * machine must not start 64 spinning workers.
 */
#include "Internal.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int read_text(const char *path, char *text, size_t size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return 0;
  ssize_t length = read(file, text, size - 1);
  close(file);
  if (length <= 0)
    return 0;
  text[length] = 0;
  return 1;
}

/* The number at *text, 0 if there is none ("max"); moves *text behind it. */
static long read_number(const char **text) {
  long value = 0;
  while (**text == ' ')
    ++*text;
  for (; **text >= '0' && **text <= '9' && value < 1000000000000; ++*text)
    value = value * 10 + (**text - '0');
  return value;
}

/* CPUs, rounded up, that a quota in microseconds per period grants. */
static int32_t granted(long quota, long period, int32_t count) {
  if (quota <= 0 || period <= 0)
    return count;
  long cpus = (quota + period - 1) / period;
  return cpus < count ? (int32_t)cpus : count;
}

static int32_t limit_by_control_group(int32_t count) {
  char text[4096], path[4096 + 64], value[64];
  /* Version 2: one line "0::/a/b"; every level up to the root may limit. */
  if (read_text("/proc/self/cgroup", text, sizeof text)) {
    char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (line) {
      char *group = strchr(line, '/');
      char *end = group ? strchr(group, '\n') : NULL;
      if (end)
        *end = 0;
      while (group) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
        if (read_text(path, value, sizeof value)) {
          const char *at = value;
          long quota = read_number(&at);
          count = granted(quota, read_number(&at), count);
        }
        char *slash = strrchr(group, '/');
        if (!slash)
          break;
        *slash = 0;
      }
    }
  }
  /* Version 1. */
  if (read_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", value, sizeof value)) {
    const char *at = value;
    long quota = read_number(&at);
    at = value;
    if (read_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us", value, sizeof value))
      count = granted(quota, read_number(&at), count);
  }
  return count;
}

int32_t tamis_rt_usable_cpus(void) {
  cpu_set_t set;
  int32_t count = 1;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    count = CPU_COUNT(&set);
  else
    count = (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
  count = limit_by_control_group(count < 1 ? 1 : count);
  return count < 1 ? 1 : count;
}
